"""A clock that only the feeder vouches for: the program runs by it, and switches nothing off in the first lit hours."""

from datetime import timedelta

import pytest

from firmware.control import plan_format as layout
from firmware.control.failsafe import LIT_BY_POWER, OFF_BY_CELL
from firmware.control.faults import CLOCK_DOUBT
from firmware.control.inputs import CLOCK_DOUBTED, CLOCK_GOOD, CLOCK_HELD, COMMAND_OVERRIDE
from firmware.control.reasons import BY_CLOCK, BY_LOCAL, BY_OVERRIDE, FAILSAFE, INACTIVE, PROGRAM, SENSOR
from host_tools.plan.encode import ActivePeriod, DynamicControl
from tests.control.driver import NOON, Driver, every_day, fixed

MIN_MS = 60_000
H_MS = 60 * MIN_MS
# Dimmed from 22:30, dark from 23:00 to 05:00: a town that switches off.
EXTINCTION = fixed(("05:00", 800, 0), ("22:30", 400, 0), ("23:00", 0, 0))
DUSK = NOON + timedelta(hours=10)


def tell(driver: Driver, quality: int) -> None:
    """Let the node say how good its clock is, which goes on as it is."""
    driver._quality = quality
    driver._now.changes += 1
    driver.step()


def lamp(controls=EXTINCTION, start=DUSK, quality: int = CLOCK_DOUBTED, **more) -> Driver:
    """A lamp on a switched feeder, told the time at its start."""
    plan = {name: more.pop(name) for name in ("periods", "dynamic") if name in more}
    driver = Driver(every_day(controls, default_ramp_ds=0, **plan), start, is_feeder_switched=True, **more)
    tell(driver, quality)
    return driver


def state(driver: Driver) -> tuple[int, int, int]:
    controller = driver.controller
    return controller.level_permille, controller.reason, controller.by


def test_no_switch_off_in_the_first_four_lit_hours():
    """In June the feeder comes at 22:00, and its clock may be half an hour wrong: a street that goes dark at 22:35 is a
    street in the dusk. So the extinction waits for the four hours that the feeder must be on (lighting.md, F6), lit by
    the fail-safe; dimming does not wait, and after the hours the program has its way."""
    driver = lamp()
    driver.run(45 * MIN_MS)
    assert state(driver)[:2] == (400, PROGRAM)
    driver.run(2 * H_MS)
    assert state(driver) == (1000, FAILSAFE, BY_CLOCK)
    assert driver.controller.by_index == LIT_BY_POWER
    driver.change(4 * H_MS, may_dim=1)
    assert state(driver)[:2] == (0, PROGRAM)
    driver.run(7 * H_MS + MIN_MS)
    assert state(driver)[:2] == (800, PROGRAM)


def test_dusk_does_not_wait_for_a_clock_that_is_late():
    """The feeder is switched on because it is dark; a clock that says a quarter of an hour before sunset is the one
    that errs. So a lamp outside its active period is lit all the same, until the clock agrees."""
    driver = lamp(fixed(("00:00", 700, 0)), periods=[ActivePeriod(layout.PERIOD_ABSOLUTE, 81_000, 21_600)])
    assert state(driver) == (1000, FAILSAFE, BY_CLOCK)
    driver.run(30 * MIN_MS)
    assert state(driver)[:2] == (700, PROGRAM)


@pytest.mark.parametrize("quality", [CLOCK_HELD, CLOCK_GOOD])
def test_a_better_clock_ends_the_doubt(quality):
    """A chip with a battery, or the network after two minutes: from then on the program means what it says."""
    driver = lamp()
    driver.run(90 * MIN_MS)
    assert state(driver)[1] == FAILSAFE
    tell(driver, quality)
    assert state(driver)[:2] == (0, PROGRAM)
    assert lamp(quality=quality, start=NOON + timedelta(hours=12)).controller.level_permille == 0


def test_people_are_obeyed_in_doubt():
    """Doubt is about the time. Whoever commands darkness, at the desk or at the pole, knows what he does."""
    driver = lamp()
    driver.order(10 * MIN_MS, COMMAND_OVERRIDE, 0)
    assert state(driver) == (0, 1, BY_OVERRIDE)
    driver = lamp()
    driver.change(10 * MIN_MS, local_permille=0)
    assert state(driver) == (0, 1, BY_LOCAL)


def test_presence_in_doubt_is_presence():
    """Somebody under the lamp is no question of time: the light and the reason are a sensor's, then the fail-safe's."""
    driver = lamp(dynamic=[DynamicControl(layout.EFFECT_MAX, 600, 100)])
    driver.run(90 * MIN_MS)
    driver.see(91 * MIN_MS, 1)
    assert state(driver)[:2] == (600, SENSOR)
    driver.see(92 * MIN_MS, 0)
    driver.run(93 * MIN_MS)
    assert state(driver) == (1000, FAILSAFE, BY_CLOCK)


def test_a_photocell_may_say_that_it_is_day():
    """Where there is a photocell it knows more than the feeder. So a bright sky lets the program's darkness be, and the
    reason says who: but not against the sun of a clock that is half an hour wrong."""
    start = NOON + timedelta(hours=6, minutes=30)
    driver = lamp(fixed(("00:00", 0, 0)), start, has_photocell=True)
    assert state(driver)[0] == 1000
    driver.change(MIN_MS, lux=500)
    driver.run(3 * MIN_MS)
    assert state(driver)[:2] == (0, FAILSAFE)
    assert driver.controller.by_index == OFF_BY_CELL


def test_doubt_is_told():
    """A street that follows its feeder for a year must be on somebody's list. So doubt is a fault as no clock is one,
    and ends with it."""
    driver = lamp()
    driver.run(10 * MIN_MS)
    assert driver.controller.monitor.faults.active >> CLOCK_DOUBT & 1
    tell(driver, CLOCK_GOOD)
    assert not driver.controller.monitor.faults.active >> CLOCK_DOUBT & 1
    assert state(driver)[1] != INACTIVE
