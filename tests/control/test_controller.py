"""The decision, one behaviour at a time: presence and its hold, the clock, late calls, the ring, and why."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.control import plan_format as layout
from firmware.control.reasons import FAILSAFE, INACTIVE, PROGRAM, SENSOR
from firmware.control.ticks import ticks_add
from host_tools.plan.encode import ActivePeriod, DynamicControl, FixedTimeControl, LampPlan
from tests.control.driver import DAY_MS, EPOCH, NOON, Driver, Made, every_day, fixed, seconds

T0 = seconds("10:00") * 1000  # 22:00, in ms from noon
RING = 2**30


def street(
    hold_ms=20_000, up_ms=800, down_ms=8_000, effect=layout.EFFECT_MAX, value=1000, base=200, **more
) -> LampPlan:
    """Return a street: ``base`` always, and more while somebody is there."""
    dynamic = [DynamicControl(effect, value, hold_ms // 100, up_ms // 100, down_ms // 100)]
    return every_day(fixed(("00:00", base, 0)), dynamic=dynamic, **more)


@pytest.mark.parametrize(
    ("effect", "value", "base", "level"),
    [
        (layout.EFFECT_SET, 700, 200, 700),
        (layout.EFFECT_SET, 100, 200, 100),
        (layout.EFFECT_MAX, 700, 200, 700),
        (layout.EFFECT_MIN, 100, 200, 100),
        (layout.EFFECT_ADD, 300, 200, 500),
        (layout.EFFECT_ADD, 900, 200, 1000),
        (layout.EFFECT_SUB, 150, 200, 50),
        (layout.EFFECT_SUB, 900, 200, 0),
        (layout.EFFECT_MUL, 500, 333, 166),
        (layout.EFFECT_MUL, 0, 200, 0),
    ],
)
def test_each_effect_of_talq(effect, value, base, level):
    """An operator's other systems give these six words a meaning (TALQ 2.7.1, EffectOperation). So ours is that, and a
    sum stays between off and full."""
    driver = Driver(street(effect=effect, value=value, base=base))
    assert [(made.level, made.reason) for made in driver.see(T0, 1)] == [(level, SENSOR)]


@pytest.mark.parametrize(
    ("effect", "value"),
    [
        (layout.EFFECT_MAX, 100),
        (layout.EFFECT_MAX, 200),
        (layout.EFFECT_MIN, 700),
        (layout.EFFECT_ADD, 0),
        (layout.EFFECT_SUB, 0),
        (layout.EFFECT_MUL, 1000),
        (layout.EFFECT_SET, 200),
    ],
)
def test_presence_that_changes_nothing_is_no_decision(effect, value):
    """ "Why is it lit" must not say "sensor" where the sensor made no difference. So an effect that leaves the level
    decides nothing."""
    driver = Driver(street(effect=effect, value=value))
    assert driver.see(T0, 1) == []
    assert driver.see(T0 + 5_000, 0) == []
    assert driver.run(T0 + 60_000) == []
    assert driver.controller.reason == PROGRAM


def test_the_hold_starts_when_the_sensor_drops():
    """Somebody who waits at a stop for ten minutes must not stand in the dark after the hold time. So the hold begins
    when the sensor drops (TALQ 2.7.1, ControlEffect.holdTime), and then come the ramp down and the program."""
    driver = Driver(street())
    assert driver.see(T0, 1) == [Made("22:00:00", 1000, 800, SENSOR)]
    assert driver.see("22:10", 0) == []
    assert driver.run("22:30") == [Made("22:10:20", 200, 8_000, PROGRAM)]


def test_somebody_new_within_the_hold_starts_it_again():
    """A line of walkers is one presence to the street. So a new one within the hold decides nothing, and the hold is
    counted from the last drop."""
    driver = Driver(street())
    driver.see(T0, 1)
    driver.see(T0 + 1_000, 0)
    assert driver.see(T0 + 20_500, 1) == []
    assert driver.see(T0 + 21_500, 0) == []
    assert driver.run("22:30") == [Made("22:00:41.500", 200, 8_000, PROGRAM)]


def test_presence_at_the_very_tick_the_hold_ends_keeps_the_light():
    """At that tick dimming and brightening would be one blink. So the input comes first and the lamp stays lit."""
    driver = Driver(street())
    driver.see(T0, 1)
    driver.see(T0 + 1_000, 0)
    assert driver.see(T0 + 21_000, 1) == []
    assert driver.see(T0 + 22_000, 0) == []
    assert driver.run("22:30") == [Made("22:00:42", 200, 8_000, PROGRAM)]


def test_presence_one_tick_after_the_hold_turns_the_ramp_around():
    """The ramp down has just begun when somebody comes. So there are two decisions, and the second starts from the
    level the first had reached."""
    driver = Driver(street())
    driver.see(T0, 1)
    driver.see(T0 + 1_000, 0)
    assert driver.see(T0 + 25_000, 1) == [
        Made("22:00:21", 200, 8_000, PROGRAM),
        Made("22:00:25", 1000, 800, SENSOR),
    ]
    # Half of 8 s from 1000 to 200.
    assert driver.raw[-1][1] == 600


def test_a_hold_of_nothing_and_a_pulse_of_nothing():
    """A sensor may send pulses shorter than a tick, and a hold may be zero. So rise and drop at one tick with a hold of
    zero light nothing for longer than that tick, and with a hold they are a whole presence."""
    driver = Driver(street(hold_ms=0, up_ms=0))
    driver.see(T0, 1)
    assert driver.see(T0, 0) == [Made("22:00:00", 200, 8_000, PROGRAM)]
    driver = Driver(street())
    driver.see(T0, 1)
    driver.see(T0, 0)
    assert driver.run("22:30") == [Made("22:00:20", 200, 8_000, PROGRAM)]


def test_presence_by_day_does_nothing():
    """People walk by day as well. So outside every active period presence lights no lamp, and a hold that began there
    does not reach into the night for longer than it lasts."""
    period = [ActivePeriod(layout.PERIOD_ABSOLUTE, seconds("20:00"), seconds("06:00"))]
    driver = Driver(street(hold_ms=600_000, periods=period))
    assert driver.see("18:30", 1) == []
    assert driver.see("19:55", 0) == []
    assert driver.controller.starts == 0
    made = driver.run("20:30")
    # Dusk falls within the hold: the lamp comes on for whoever has just passed, then goes to its program.
    assert [(m.clock, m.level, m.reason) for m in made] == [("20:00:00", 1000, SENSOR), ("20:05:00", 200, PROGRAM)]


def test_dawn_ends_the_light_even_under_presence():
    """The period is the operator's word, presence only shapes the light within it. So at the period's end the lamp goes
    off though somebody is there, by the ramp that leads away from presence."""
    period = [ActivePeriod(layout.PERIOD_ABSOLUTE, seconds("20:00"), seconds("06:00"))]
    driver = Driver(street(periods=period, default_ramp_ds=0))
    driver.see("05:59:30", 1)
    assert driver.run("06:10") == [Made("06:00:00", 0, 8_000, INACTIVE)]


def test_a_step_of_the_program_under_presence():
    """While somebody is there the program goes on underneath. So a step that leaves the level decides nothing, one that
    rises above it is the program's, and presence's own ramps lead to it and from it, either way."""
    program = every_day(
        fixed(("12:00", 200, 0), ("22:05", 300, 60_000), ("22:10", 1000, 60_000), ("22:20", 100, 60_000)),
        dynamic=[DynamicControl(layout.EFFECT_MAX, 700, 0, 10, 20)],
    )
    driver = Driver(program)
    driver.see(T0, 1)
    assert driver.run("22:30") == [
        Made("22:10:00", 1000, 2_000, PROGRAM),
        Made("22:20:00", 700, 1_000, SENSOR),
    ]
    assert driver.see("22:40", 0) == [Made("22:40:00", 100, 2_000, PROGRAM)]


@pytest.mark.parametrize("base", [0, 200])
def test_without_a_clock_the_fail_safe_level_says_why(base):
    """Cold boot at dusk with neither clock nor network is the normal case after a feeder cut. So the lamp takes the
    plan's fail-safe level, says FAILSAFE, and neither program nor presence nor the default light state has a word."""
    program = street(base=base, failsafe_level_permille=700, default_level_permille=300)
    driver = Driver(program, is_clock_known=False, start_level=1000)
    assert driver.decisions == [Made("12:00:00", 700, 2_000, FAILSAFE)]
    assert driver.see(T0, 1) == []
    assert driver.see(T0 + 60_000, 0) == []
    assert driver.run(5 * DAY_MS) == []


def test_a_clock_that_comes_later_is_obeyed_at_once():
    """A node finds the time minutes after it was fed. So the program is in force from that very tick, with whoever is
    there; and a clock that is lost gives the fail-safe level again."""
    driver = Driver(street(), is_clock_known=False)
    assert driver.see(1_000, 1) == []
    made = driver.set_clock(60_000, NOON.replace(hour=22))
    assert [(m.clock, m.level, m.reason) for m in made] == [("22:00:00", 1000, SENSOR)]
    assert [(m.level, m.reason) for m in driver.see(61_000, 0)] == []
    assert [(m.clock, m.level, m.reason) for m in driver.run(120_000)] == [("22:00:21", 200, PROGRAM)]
    assert [(m.level, m.reason) for m in driver.set_clock(180_000, None)] == [(1000, FAILSAFE)]


@pytest.mark.parametrize("utc", [EPOCH, EPOCH.replace(year=2019, month=12, day=31, hour=23), EPOCH.replace(year=2200)])
def test_a_clock_outside_its_years_is_none(utc):
    """A clock chip with an empty battery says 2000, and says it with confidence. So a date outside 2020 to 2199 is no
    clock, whatever its quality."""
    driver = Driver(street(), utc)
    assert [made.reason for made in driver.decisions] == [FAILSAFE]


@pytest.mark.parametrize(
    "utc", [datetime(2020, 1, 1), datetime(2036, 2, 7, 6, 28), datetime(2038, 1, 19), datetime(2199, 12, 31)]
)
def test_a_clock_within_its_years_is_one(utc):
    """2034, 2036, 2038 and 2100 end other people's clocks. So within 2020 to 2199 any date is obeyed."""
    driver = Driver(street(), utc.replace(tzinfo=NOON.tzinfo))
    assert [made.reason for made in driver.decisions] == [PROGRAM]


def test_a_clock_that_steps_forward_or_back_gives_the_state_of_its_new_moment():
    """Corrections of an hour happen, and a list of alarms would skip one or ring it twice. So after a step the level is
    that of the new moment, at once, and what lies ahead is met at its new time."""
    driver = Driver(every_day(fixed(("12:00", 300, 0), ("22:00", 200, 0))))
    assert driver.set_clock("21:00", NOON.replace(hour=22, minute=30)) == [Made("22:30:00", 200, 0, PROGRAM)]
    back = driver.set_clock(driver.at("21:00") + 60_000, NOON.replace(hour=21, minute=59))
    assert back == [Made("21:59:00", 300, 0, PROGRAM)]
    assert driver.run(driver.at("21:00") + 180_000) == [Made("22:00:00", 200, 0, PROGRAM)]


def test_a_step_of_the_clock_does_not_touch_a_hold():
    """How long and what time are two clocks that never mix. So a hold of 20 s is 20 s of ticks, though the time of day
    jumps by two hours in the middle."""
    driver = Driver(street())
    driver.see(T0, 1)
    driver.see(T0 + 1_000, 0)
    assert driver.set_clock(T0 + 5_000, NOON.replace(hour=20)) == []
    driver.run(T0 + 60_000)
    assert driver.raw[-1] == (T0 + 21_000, 1000, 200, 8_000, PROGRAM)


def test_a_correction_of_nothing_is_no_event():
    """A node sets its clock every hour, mostly to what it already showed. So such a correction decides nothing and
    moves no deadline, down to the millisecond."""
    driver = Driver(street())
    driver.see(T0, 1)
    driver.see(T0 + 1_000, 0)
    wake = driver.controller.wake_ms
    assert driver.set_clock(T0 + 5_123, NOON + timedelta(milliseconds=T0 + 5_123)) == []
    assert driver.controller.wake_ms == wake


def test_a_late_call_makes_each_decision_at_its_own_tick():
    """A node may sleep through several moments of its night. So a late call makes them one by one, in order, each with
    the tick at which it was due, before it takes what is seen now."""
    program = every_day(
        fixed(("12:00", 300, 0), ("22:00", 250, 0), ("23:00", 200, 0), ("23:30", 150, 0)),
        dynamic=[DynamicControl(layout.EFFECT_MAX, 1000, 200, 8, 80)],
    )
    on_time, late = Driver(program), Driver(program)
    for driver in (on_time, late):
        driver.see("21:59:50", 1)
        driver.see("21:59:55", 0)
    on_time.run("23:40")
    late.t_ms = late.at("23:40")
    late.step()
    assert late.raw == on_time.raw
    assert [made.clock for made in late.decisions[-3:]] == ["22:00:15", "23:00:00", "23:30:00"]
    late.see("23:40", 1)
    assert late.decisions[-1] == Made("23:40:00", 1000, 800, SENSOR)


def test_a_late_call_with_a_new_input_takes_the_deadlines_first():
    """Presence seen now cannot have lengthened a hold that ended before. So the hold ends at its own tick, and then the
    presence counts at this one."""
    driver = Driver(street(up_ms=0, down_ms=0))
    driver.see(T0, 1)
    driver.see(T0 + 1_000, 0)
    driver.t_ms = T0 + 30_000
    driver.put(presence=1)
    driver.step()
    assert driver.decisions[-2:] == [Made("22:00:21", 200, 0, PROGRAM), Made("22:00:30", 1000, 0, SENSOR)]


def test_starts_counts_the_times_the_lamp_came_on():
    """Switchings wear a driver out, so a fleet wants them counted. A start is a level above 0 from 0, and neither
    dimming nor presence on a lit lamp is one."""
    period = [ActivePeriod(layout.PERIOD_ABSOLUTE, seconds("20:00"), seconds("06:00"))]
    driver = Driver(street(periods=period, default_ramp_ds=0))
    driver.see("22:00", 1)
    driver.see("22:01", 0)
    driver.run("23:00")
    assert driver.controller.starts == 1
    driver.run(60 * 3_600_000)
    assert driver.controller.starts == 3
    dark = Driver(street(base=0, down_ms=0))
    for number in range(5):
        dark.see(T0 + number * 60_000, 1)
        dark.see(T0 + number * 60_000 + 1_000, 0)
    dark.run(T0 + 600_000)
    assert dark.controller.starts == 5


def test_the_level_on_the_way_is_a_straight_line():
    """The light on the street is what the driver is told along the ramp. So it starts where it was, ends where it was
    sent, at the time that was said, and lies on the line between, rounded down."""
    driver = Driver(street(up_ms=800, down_ms=8_000))
    driver.see(T0, 1)
    assert [driver.level(T0 + ms) for ms in (0, 1, 400, 799, 800, 5_000)] == [200, 201, 600, 999, 1000, 1000]
    driver.see(T0 + 1_000, 0)
    driver.run(T0 + 21_000)
    assert [driver.level(T0 + 21_000 + ms) for ms in (0, 1, 4_000, 7_990, 8_000)] == [1000, 999, 600, 201, 200]


@given(st.lists(st.integers(0, 30_000), max_size=20), st.integers(0, RING - 1))
def test_asking_for_the_level_changes_nothing(asked, tick0):
    """Anybody may ask how bright it is: a report, a neighbour, a test. So asking changes no answer, and no decision."""
    quiet, asking = Driver(street(), tick0=tick0), Driver(street(), tick0=tick0)
    for driver in (quiet, asking):
        driver.see(T0, 1)
        driver.see(T0 + 300, 0)
    answers = [asking.level(T0 + 300 + ms) for ms in asked]
    assert answers == [asking.level(T0 + 300 + ms) for ms in asked]
    assert answers == [quiet.level(T0 + 300 + ms) for ms in asked]
    for driver in (quiet, asking):
        driver.run(T0 + 60_000)
    assert asking.raw == quiet.raw


@pytest.mark.parametrize("into_ms", [400, 10_000, 25_000])
def test_the_ring_wraps_in_a_ramp_in_a_hold_and_in_the_ramp_down(into_ms):
    """Every twelve days the ring begins again, in the middle of somebody's walk. So decisions and levels are those of a
    lamp whose ring does not wrap, wherever in a presence it happens."""
    plain = Driver(street())
    wrapping = Driver(street(), tick0=RING - T0 - into_ms)
    for driver in (plain, wrapping):
        driver.see(T0, 1)
        driver.see(T0 + 1_000, 0)
    assert wrapping.tick(T0) > wrapping.tick(T0 + into_ms) == 0
    for t_ms in range(T0 + 1_000, T0 + 40_000, 97):
        plain.run(t_ms)
        wrapping.run(t_ms)
        assert wrapping.level(t_ms) == plain.level(t_ms)
    assert wrapping.raw == plain.raw
    assert wrapping.controller.energy.energy_mj == plain.controller.energy.energy_mj


def test_a_fade_of_the_greatest_length_ends_where_it_should():
    """A thousand seconds of fade at full range is the largest product in the core. So its level is right at its last
    millisecond, and an hour after it."""
    driver = Driver(every_day(fixed(("12:00", 0, 0), ("22:00", 1000, 1_000_000))))
    driver.run("22:00")
    assert driver.raw[-1][3] == 1_000_000
    for ms, level in ((0, 0), (1_000, 1), (500_500, 500), (999_999, 999), (1_000_000, 1000), (4_600_000, 1000)):
        assert driver.level(T0 + ms) == level


def test_the_start_level_is_where_the_first_fade_begins():
    """The launcher has lit the lamp before the controller exists (it fails lit). So the first decision starts from
    there, without a blink, and a lamp already there needs no fade."""
    driver = Driver(street(), is_clock_known=False, start_level=537)
    assert driver.raw == [(0, 537, 1000, 2_000, FAILSAFE)]
    driver = Driver(street(), is_clock_known=False, start_level=1000)
    assert driver.raw == [(0, 1000, 1000, 0, FAILSAFE)]


def test_wake_is_at_most_a_day_ahead_and_never_behind():
    """The ring has a sign for six days only. So a lamp that has nothing to do still wants to be called within a day,
    clock or no clock."""
    for is_known in (True, False):
        driver = Driver(every_day([FixedTimeControl(0, 500, 0)]), is_clock_known=is_known, tick0=RING - 5)
        for _ in range(20):
            assert 0 < driver.wake_at - driver.t_ms <= DAY_MS
            driver.t_ms = driver.wake_at
            driver.step()
        assert len(driver.decisions) == 1
        assert driver.controller.wake_ms == ticks_add(driver.tick(driver.t_ms), driver.wake_at - driver.t_ms)


def test_a_step_comes_at_the_full_second_whatever_the_milliseconds():
    """Two lamps set a moment apart must dim together. So a clock set in the middle of a second still meets 22:00 at
    22:00:00.000, by its own time."""
    driver = Driver(every_day(fixed(("12:00", 300, 0), ("22:00", 200, 0))), NOON + timedelta(milliseconds=573))
    driver.run(36_001_000)
    assert driver.decisions[1:] == [Made("22:00:00", 200, 0, PROGRAM)]
    assert driver.raw[-1][0] == 36_000_000 - 573


def test_a_lamp_that_is_caught_on_its_way_down_has_not_started():
    """A lamp that never went dark was not switched on. So presence in the middle of a ramp to off is no start."""
    driver = Driver(street(base=0, hold_ms=0))
    driver.see(T0, 1)
    driver.see(T0 + 2_000, 0)
    driver.see(T0 + 6_000, 1)
    assert driver.raw[-1][1] == 500
    assert driver.controller.starts == 1
