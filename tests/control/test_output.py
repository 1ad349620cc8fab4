"""The way out of one lamp, each limit beside the others: what a service command may, what the driver is told, who is
asked next."""

import pytest

from firmware.control.config import Config
from firmware.control.limits import GUARD, NONE
from firmware.control.output import Output
from firmware.control.ticks import ticks_add

MIN_MS = 60_000
# 60 °C … 80 °C down to 300 permille, shutdown at 85 °C, hysteresis 5 °C, 100 permille then.
HEAT = (600, 800, 300, 850, 50, 100)
ZONE = (0,) * 10


def output(**options) -> Output:
    """Return the way out of a lamp with these options of `Config`."""
    config = Config(ZONE, 0, 0, (1000,), (1000,), 0)
    for name, value in options.items():
        assert hasattr(config, name), name
        setattr(config, name, value)
    return Output(config)


def test_an_installer_may_go_below_the_class_and_it_is_shown():
    """A commissioning test goes through all levels, but whoever reads the report must see that the road was below its
    class. So a service command passes the guard, and `is_below_guard` says so: for light, and strictly below."""
    lamp = output(guard_permille=400, driver_minimum_permille=50)
    assert lamp.allow(100, False, False) == 400
    assert lamp.limits.which == GUARD
    for level, is_below in ((0, False), (1, True), (399, True), (400, False), (1000, False)):
        assert lamp.allow(level, True, True) == level
        assert lamp.limits.which == NONE
        assert lamp.limits.is_below_guard is is_below, level


def test_a_service_command_does_not_pass_by_protection():
    """An installer who tests full light on a lamp at 90 °C would break it. So shutdown caps his command as well, says
    so only where it takes light, and mere derating does not."""
    lamp = output(derating=HEAT, guard_permille=200)
    lamp.temperature(0, 700)
    assert lamp.allow(1000, False, True) == 1000
    assert not lamp.is_protecting
    assert lamp.allow(1000, False, False) == 650
    lamp.temperature(1, 860)
    assert lamp.allow(1000, False, True) == 100
    assert lamp.is_protecting
    assert lamp.limits.is_below_guard is True
    for level in (100, 99, 0):
        assert lamp.allow(level, False, True) == level
        assert not lamp.is_protecting, level


def test_without_a_sensor_heat_takes_nothing():
    """Most lamps have no temperature sensor. So a reading that reaches one is nobody's, and a lamp without derating has
    every level."""
    lamp = output()
    lamp.temperature(0, 990)
    assert not lamp.is_due
    assert lamp.allow(1000, False, False) == 1000
    assert lamp.limits.which == NONE


def test_the_driver_is_told_with_age_and_trim():
    """A new LED gives more than was planned, and a 60 W luminaire may be trimmed to 40 W (CLO, VPO). So the driver gets
    the level times both, at the lamp's own burning hours, and a lit lamp never less than the driver's minimum."""
    lamp = output(
        flux_hours=(0, 50_000), flux_needs_permille=(800, 1000), maximum_permille=700, driver_minimum_permille=100
    )
    assert lamp.driver_permille(1000, 0) == 560
    assert lamp.driver_permille(1000, 25_000) == 630
    assert lamp.driver_permille(1000, 50_000) == 700
    assert lamp.driver_permille(1000, 90_000) == 700
    assert lamp.driver_permille(10, 0) == 100
    assert lamp.driver_permille(0, 0) == 0


def test_the_relay_opens_after_the_fade_and_not_into_it():
    """A relay that opens while the light still fades cuts it: a visible jump, and an arc. So off is told to the relay
    when the fade has ended, and not at all when the light came back meanwhile."""
    lamp = output(relay=(0, 0, 1_000))
    assert lamp.is_closed
    lamp.changed(0, 1000, 0, 5_000)
    assert (lamp.is_due, lamp.due_ms) == (True, 5_000)
    lamp.pass_due(5_000)
    assert lamp.is_closed
    assert lamp.due_ms == 6_000
    lamp.pass_due(6_000)
    assert not lamp.is_closed
    lamp.changed(10_000, 0, 1000, 500)
    assert lamp.is_closed
    lamp.changed(20_000, 1000, 0, 5_000)
    lamp.changed(22_000, 400, 1000, 500)
    while lamp.is_due and lamp.due_ms < 60_000:
        lamp.pass_due(lamp.due_ms)
        assert lamp.is_closed
        if lamp.due_ms <= 22_000:
            break


def test_a_lamp_that_goes_out_at_once_tells_its_relay_at_once():
    """Without a fade there is nothing to wait for: the off delay counts from the decision."""
    lamp = output(relay=(0, 0, 1_000))
    lamp.changed(0, 1000, 0, 0)
    assert (lamp.is_due, lamp.due_ms) == (True, 1_000)
    lamp.pass_due(1_000)
    assert not lamp.is_closed


@pytest.mark.parametrize("start", [0, (1 << 30) - 30_000])
def test_who_is_due_first_is_asked_first(start):
    """A cap that may rise at 12:00:10 and a relay that may open at 12:00:20 share one due tick, across the wrap of the
    ring too. So the sooner of them is it, whichever was told last, and after it the others."""
    lamp = output(derating=HEAT, relay=(0, 100_000, 20_000))
    lamp.temperature(start, 860)
    derating_due = lamp.derating.due_ms
    assert (lamp.is_due, lamp.due_ms) == (True, derating_due)
    lamp.changed(start, 1000, 0, 0)
    assert lamp.due_ms == ticks_add(start, 20_000)
    lamp.pass_due(lamp.due_ms)
    assert not lamp.is_closed
    assert lamp.due_ms == derating_due
    lamp.pass_due(lamp.due_ms)
    assert lamp.due_ms == ticks_add(start, 120_000)


def test_the_cap_follows_the_heat_at_its_own_tick():
    """The cap rises by itself when the quiet of protection is over, without a new reading. So what is due is done at
    the tick at which it is due, and the level is then free."""
    lamp = output(derating=HEAT)
    lamp.temperature(0, 860)
    lamp.temperature(1_000, 200)
    assert lamp.allow(1000, False, False) == 100
    assert (lamp.is_due, lamp.due_ms) == (True, MIN_MS)
    lamp.pass_due(MIN_MS)
    assert lamp.allow(1000, False, False) == 1000
    # And again from there: it was told the right tick.
    lamp.temperature(MIN_MS + 500, 860)
    lamp.temperature(MIN_MS + 600, 200)
    assert lamp.due_ms == 2 * MIN_MS + 500
