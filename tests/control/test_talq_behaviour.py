"""TALQ's words, each as a lamp lives them: commands, active periods, astro and dynamic controls, the calendar's days.

Times are UTC; the place lies on the equator, where in January the sun sets shortly after 18:00.
"""

from datetime import timedelta

import pytest

from firmware.control import plan_format as layout
from firmware.control.inputs import COMMAND_EMERGENCY, COMMAND_OVERRIDE, COMMAND_RESUME, COMMAND_SERVICE
from firmware.control.reasons import (
    BY_ASTRO,
    BY_DYNAMIC,
    BY_EMERGENCY,
    BY_FIXED,
    BY_LOCAL,
    BY_OVERRIDE,
    BY_SERVICE,
    FAILSAFE,
    INACTIVE,
    OVERRIDE,
    PROGRAM,
    SENSOR,
)
from host_tools.plan.encode import ActivePeriod, AstroTimeControl, DynamicControl, LampPlan, Program, Rule
from tests.control.driver import DAY_MS, NOON, Driver, Made, every_day, fixed, seconds

H_MS = 3_600_000
FLAT = every_day(fixed(("00:00", 400, 0)), default_ramp_ds=0)


def utc(hours: float):
    """Return so many hours after the start (noon)."""
    return NOON + timedelta(hours=hours)


def cause(driver: Driver) -> tuple[int, int]:
    return driver.controller.level_permille, driver.controller.by


# Commands.


def test_an_override_starts_and_ends_at_its_seconds():
    """A match lasts from 20:00 to 22:00 and the light was ordered on Monday. So the command waits, holds, and is left
    with its own ramp, at the second."""
    driver = Driver(FLAT)
    ordered = driver.order(H_MS, COMMAND_OVERRIDE, 900, ramp_to_ms=1_000, ramp_from_ms=5_000, start=utc(8), end=utc(10))
    assert ordered == []
    assert driver.run(20 * H_MS) == [Made("20:00:00", 900, 1_000, OVERRIDE), Made("22:00:00", 400, 5_000, PROGRAM)]


def test_the_last_override_wins_and_the_former_does_not_come_back():
    """Two dispatchers, one lamp. So the second command removes the first at once, also where it starts later itself,
    and after its end comes the program (TALQ 2.7.1, OverrideCommand)."""
    driver = Driver(FLAT)
    driver.order(1_000, COMMAND_OVERRIDE, 900)
    assert driver.order(2_000, COMMAND_OVERRIDE, 700, end=utc(2)) == [Made("12:00:02", 700, 0, OVERRIDE)]
    assert driver.order(3_000, COMMAND_OVERRIDE, 600, start=utc(1), end=utc(2)) == [Made("12:00:03", 400, 0, PROGRAM)]
    assert driver.run(4 * H_MS) == [Made("13:00:00", 600, 0, OVERRIDE), Made("14:00:00", 400, 0, PROGRAM)]


def test_who_stands_above_whom():
    """A test on the ladder must not be overruled by the street, nor an evacuation by a festival. So service is above
    emergency, that above an override, that above the switch at the pole, and that above the program."""
    driver = Driver(FLAT)
    driver.change(1_000, local_permille=300)
    assert cause(driver) == (300, BY_LOCAL)
    driver.order(2_000, COMMAND_SERVICE, 100, end=utc(4))
    driver.order(3_000, COMMAND_OVERRIDE, 700, end=utc(1))
    driver.order(4_000, COMMAND_EMERGENCY, 1000, end=utc(2))
    assert cause(driver) == (100, BY_SERVICE)
    driver.order(5_000, COMMAND_SERVICE, 100, end=utc(0))
    assert cause(driver) == (1000, BY_EMERGENCY)
    driver.order(6_000, COMMAND_OVERRIDE, 200, end=utc(3))
    assert cause(driver) == (1000, BY_EMERGENCY)
    driver.run(2 * H_MS)
    assert cause(driver) == (200, BY_OVERRIDE)
    driver.run(3 * H_MS)
    assert cause(driver) == (300, BY_LOCAL)
    driver.change(3 * H_MS + 1_000, local_permille=-1)
    assert cause(driver) == (400, BY_FIXED)


def test_a_resume_ends_all_that_was_commanded():
    """Back to normal is what a dispatcher presses who does not know what is in force. So it ends each place, and what
    was still to start never does; the switch at the pole is not a command and stays."""
    driver = Driver(FLAT)
    driver.order(1_000, COMMAND_SERVICE, 100)
    driver.order(2_000, COMMAND_EMERGENCY, 1000)
    driver.order(3_000, COMMAND_OVERRIDE, 700, start=utc(1))
    driver.order(4_000, COMMAND_RESUME)
    assert cause(driver) == (400, BY_FIXED)
    assert driver.run(30 * H_MS) == []


@pytest.mark.parametrize("lost_ms", [1_000, 13 * H_MS, 6 * DAY_MS, 9 * DAY_MS, 14 * DAY_MS])
def test_without_a_clock_an_end_is_at_most_twelve_hours_away(lost_ms):
    """A clock that fails must neither end an emergency on the spot nor let it burn for months. So from the loss of the
    clock on twelve hours are counted in ticks, wherever in the ring the command came."""
    driver = Driver(FLAT)
    driver.order(500, COMMAND_EMERGENCY, 900, end=NOON + timedelta(days=20))
    driver.set_clock(lost_ms, None)
    assert cause(driver) == (900, BY_EMERGENCY)
    driver.run(lost_ms + 12 * H_MS - 1)
    assert cause(driver) == (900, BY_EMERGENCY)
    driver.run(lost_ms + 12 * H_MS)
    assert driver.controller.reason == FAILSAFE


def test_a_clock_that_comes_back_tells_the_end_again():
    """A clock that is away for an hour has told the end before and tells it after. So it ends at its second."""
    driver = Driver(FLAT)
    driver.order(500, COMMAND_OVERRIDE, 900, end=utc(20))
    driver.set_clock(2 * H_MS, None)
    driver.set_clock(3 * H_MS, utc(3))
    assert driver.run(30 * H_MS) == [Made("08:00:00", 400, 0, PROGRAM)]


def test_without_a_clock_a_command_without_an_end_stays_and_one_with_a_start_waits():
    """Nobody knows when 20:00 is. So what starts then does not start; what was ordered for ever holds for ever."""
    driver = Driver(FLAT, is_clock_known=False)
    driver.order(1_000, COMMAND_OVERRIDE, 700, start=utc(1))
    assert driver.controller.reason == FAILSAFE
    driver.order(2_000, COMMAND_EMERGENCY, 600)
    driver.run(8 * DAY_MS)
    assert cause(driver) == (600, BY_EMERGENCY)


# Active periods.


def times(plan: LampPlan, until=DAY_MS, **inputs: int) -> list[tuple[int, int]]:
    """Return when (in s after noon) the lamp changed, and to what, with these inputs from the start."""
    driver = Driver(plan)
    driver.change(1, **inputs)
    driver.run(until)
    return [(made[0] // 1000, made[2]) for made in driver.raw[1:]]


def period(kind: int, **more) -> LampPlan:
    return every_day(fixed(("00:00", 400, 0)), [ActivePeriod(kind, **more)], default_ramp_ds=0)


SUNSET, SUNRISE = (at for at, _ in times(period(layout.PERIOD_ASTRO_CLOCK)))


def test_an_absolute_period_ends_at_its_end_and_goes_over_midnight():
    """A sports ground is lit from 20:00 to 01:30. So it is off outside, and midnight is no border."""
    plan = period(layout.PERIOD_ABSOLUTE, start_s=seconds("20:00"), end_s=seconds("01:30"))
    assert times(plan) == [(8 * 3600, 400), (13 * 3600 + 1800, 0)]


def test_an_astro_period_has_its_offsets():
    """Streets light ten minutes after sunset and go out a quarter before sunrise, all year."""
    plan = period(layout.PERIOD_ASTRO_CLOCK, start_s=600, end_s=-900)
    assert times(plan) == [(SUNSET + 600, 400), (SUNRISE - 900, 0)]
    assert 6 * 3600 < SUNSET < 6.5 * 3600 < 18 * 3600 < SUNRISE < 18.5 * 3600


def test_a_sensor_period_has_a_hysteresis():
    """A cloud at dusk must not make a street blink. So it lights below the on level, goes out above the off level, and
    between them stays as it is."""
    driver = Driver(period(layout.PERIOD_SENSOR, on_level=20, off_level=40))
    seen = []
    for i, lux in enumerate((100, 30, 20, 19, 30, 40, 41, 30)):
        driver.change((i + 1) * 60_000, lux=lux)
        driver.run((i + 1) * 60_000 + 20_000)
        seen.append(driver.controller.level_permille)
    assert seen == [0, 0, 0, 400, 400, 400, 0, 0]


@pytest.mark.parametrize("kind", [layout.PERIOD_SENSOR, layout.PERIOD_VALUE])
def test_a_light_sensor_that_has_not_spoken_is_dark(kind):
    """A cell whose cable is cut says nothing. So the lamp is lit, until it says bright, and again when it falls
    silent."""
    driver = Driver(period(kind, on_level=20, off_level=40, operator=layout.VALUE_LT))
    assert driver.controller.level_permille == 400
    driver.change(60_000, lux=100)
    driver.run(90_000)
    assert driver.controller.level_permille == 0
    driver.change(120_000, lux=-1)
    driver.run(150_000)
    assert driver.controller.level_permille == 400


def test_a_photocell_starts_early_and_ends_early_only_in_its_windows():
    """A thunderstorm at noon is not an evening, one at 17:45 is. So dark lights the street up to 30 min before sunset,
    bright puts it out up to 20 min before sunrise, and the calculated times hold in any case."""
    plan = period(
        layout.PERIOD_ASTRO_AND_SENSOR, on_level=20, off_level=40, before_sunset_min=30, before_sunrise_min=20
    )
    assert times(plan, lux=0) == [(SUNSET - 1800, 400), (SUNRISE, 0)]
    assert times(plan, lux=1000) == [(SUNSET, 400), (SUNRISE - 1200, 0)]
    assert times(plan) == [(SUNSET - 1800, 400), (SUNRISE, 0)]


@pytest.mark.parametrize(
    ("operator", "active"),
    [
        (layout.VALUE_EQ, [0, 1, 0]),
        (layout.VALUE_NE, [1, 0, 1]),
        (layout.VALUE_GE, [0, 1, 1]),
        (layout.VALUE_GT, [0, 0, 1]),
        (layout.VALUE_LE, [1, 1, 0]),
        (layout.VALUE_LT, [1, 0, 0]),
    ],
)
def test_a_value_period_compares(operator, active):
    """A tunnel lit while an outside source says more than 500: each of TALQ's operators, below, at and above."""
    driver = Driver(
        period(layout.PERIOD_VALUE, channel=layout.CHANNEL_EXTERNAL, on_level=500, operator=operator),
    )
    found = []
    for i, value in enumerate((499, 500, 501)):
        driver.change((i + 1) * 60_000, external=value)
        driver.run((i + 1) * 60_000 + 20_000)
        found.append(driver.controller.level_permille // 400)
    assert found == active


def test_presence_begins_and_ends_a_period_at_once():
    """A footpath that is lit only while somebody walks there cannot wait for the next hour. So presence begins a period
    at its edge, and the quiet of 10 s is all that may pass before it ends."""
    driver = Driver(period(layout.PERIOD_VALUE, channel=layout.CHANNEL_PRESENCE, on_level=1, operator=layout.VALUE_EQ))
    assert driver.controller.reason == INACTIVE
    assert driver.see(60_000, 1) == [Made("12:01:00", 400, 0, PROGRAM)]
    assert driver.see(90_000, 0) == [Made("12:01:30", 0, 0, INACTIVE)]


def test_several_periods_are_one_or_the_other():
    """Morning and evening are two periods of one program. So any of them is enough."""
    both = [
        ActivePeriod(layout.PERIOD_ABSOLUTE, seconds("18:00"), seconds("23:00")),
        ActivePeriod(layout.PERIOD_ABSOLUTE, seconds("22:00"), seconds("23:30")),
        ActivePeriod(layout.PERIOD_ABSOLUTE, seconds("05:00"), seconds("07:00")),
    ]
    plan = every_day(fixed(("00:00", 400, 0)), both, default_ramp_ds=0)
    assert times(plan) == [(6 * 3600, 400), (41_400, 0), (17 * 3600, 400), (19 * 3600, 0)]


# Astro clock time controls.


def test_an_astro_control_lasts_over_midnight_to_the_next_one():
    """ "Half from two hours after sunset until sunrise" has no time of day in it. So it lasts over midnight and over
    the fixed control there, until the next of its program."""
    plan = every_day(
        fixed(("00:00", 800, 0), ("12:00", 1000, 0)),
        astro=[
            AstroTimeControl(7200, layout.EVENT_SUNSET, layout.EFFECT_MUL, 500),
            AstroTimeControl(0, layout.EVENT_SUNRISE, layout.EFFECT_SET, 0),
        ],
        default_ramp_ds=0,
    )
    driver = Driver(plan)
    assert cause(driver) == (0, BY_ASTRO)
    driver.run(DAY_MS - 1)
    found = [(made[0] // 1000, made[2]) for made in driver.raw[1:]]
    assert found == [(SUNSET + 7200, 500), (12 * 3600, 400), (SUNRISE, 0)]


# Dynamic controls.


def test_the_first_dynamic_control_has_the_last_word():
    """A list is a list of priorities (TALQ: the first element has the highest). So a cap that stands first cuts what
    the second raised, and stood the other way round it would not."""
    up = DynamicControl(layout.EFFECT_MAX, 1000)
    cap = DynamicControl(layout.EFFECT_MIN, 600, channel=layout.CHANNEL_EXTERNAL)
    for controls, level, index in (([cap, up], 600, 0), ([up, cap], 1000, 0)):
        driver = Driver(every_day(fixed(("00:00", 400, 0)), dynamic=controls))
        driver.change(1_000, presence=1, external=1)
        assert (driver.controller.level_permille, driver.controller.by_index) == (level, index)
        assert driver.controller.reason == SENSOR


def test_an_external_effect_follows_its_source_and_holds_its_last_level():
    """A traffic computer sets the level and then its line is cut. So each level it asks for holds at once, and the last
    of them for the hold time."""
    control = DynamicControl(
        layout.EFFECT_SET, 0, 300, channel=layout.CHANNEL_EXTERNAL, kind=layout.DYNAMIC_EXTERNAL, ramp_from_ds=50
    )
    driver = Driver(every_day(fixed(("00:00", 400, 0)), dynamic=[control]))
    assert driver.change(1_000, external=700) == [Made("12:00:01", 700, 0, SENSOR)]
    assert driver.change(2_000, external=300) == [Made("12:00:02", 300, 0, SENSOR)]
    assert driver.change(60_000, external=-1) == []
    assert driver.run(120_000) == [Made("12:01:30", 400, 5_000, PROGRAM)]


def test_a_dynamic_control_ends_with_its_own_period():
    """Detection from 23:00 on, and somebody stands there at 22:59. So the light goes up at 23:00 and not before, and at
    the period's end down although somebody is there."""
    control = DynamicControl(layout.EFFECT_MAX, 1000, period=(seconds("23:00"), seconds("05:00")))
    driver = Driver(every_day(fixed(("00:00", 400, 0)), dynamic=[control]))
    assert driver.see("22:59", 1) == []
    driver.see("23:30", 0)
    assert driver.decisions[1:] == [Made("23:00:00", 1000, 0, SENSOR), Made("23:30:00", 400, 0, PROGRAM)]
    driver.see("04:59", 1)
    assert driver.run("05:01")[-1:] == [Made("05:00:00", 400, 0, PROGRAM)]


# The calendar.


def two_programs(day_offset_h: int, hold_ds: int = 0) -> LampPlan:
    """Return weekdays at 400, Saturday and Sunday (NOON is a Saturday) at 700, both with presence."""
    dynamic = [DynamicControl(layout.EFFECT_MAX, 1000, hold_ds)]
    programs = [Program(fixed(("00:00", level, 0), ("12:00", level, 0)), dynamic=dynamic) for level in (400, 700)]
    weekend = Rule(1, layout.CONDITION_DAY, weekdays=0b1100000)
    return LampPlan(programs, [weekend], day_offset_h=day_offset_h, default_ramp_ds=0)


@pytest.mark.parametrize(("offset", "begins"), [(0, 12), (12, 24)])
def test_the_calendar_changes_where_the_plan_says_its_day_begins(offset, begins):
    """The night from Sunday to Monday belongs to Sunday or is cut in two, as the operator's other system has it
    (TALQ, dayOffset). So with 12 h the program changes at noon, with 0 h at midnight."""
    driver = Driver(two_programs(offset), NOON - timedelta(days=1))
    driver.run(4 * DAY_MS)
    assert [(made[0] / H_MS, made[2]) for made in driver.raw] == [(0, 400), (begins, 700), (begins + 48, 400)]


def test_before_the_first_control_of_the_day_the_last_of_the_day_before_holds():
    """A night that goes over into another program's day must not have a hole. So until the new program's first fixed
    time control begins, the last one of the old program holds, with its level (TALQ is silent)."""
    programs = [Program(fixed(("22:00", 400, 0))), Program(fixed(("06:00", 700, 0), ("21:00", 300, 0)))]
    plan = LampPlan(programs, [Rule(1, layout.CONDITION_DAY, weekdays=0b1100000)], day_offset_h=0, default_ramp_ds=0)
    driver = Driver(plan, NOON - timedelta(days=1))
    driver.run(2 * DAY_MS)
    assert [(made[0] / H_MS, made[2]) for made in driver.raw] == [(0, 400), (18, 700), (33, 300), (42, 700)]


def test_a_hold_ends_with_its_program_and_a_sensor_that_is_on_does_not():
    """The new program knows nothing of who was there in the old one's time. So its hold ends at the change; somebody
    who is still there is seen by the new one."""
    for still_there in (0, 1):
        driver = Driver(two_programs(0, 6_000))
        driver.see("23:50", 1)
        # Sunday ends at midnight of the next day.
        driver.see(DAY_MS + 11 * H_MS, 0)
        driver.see(DAY_MS + 12 * H_MS - 60_000, 1)
        if not still_there:
            driver.see(DAY_MS + 12 * H_MS - 30_000, 0)
        made = driver.run(DAY_MS + 12 * H_MS + 5_000)
        assert made == ([] if still_there else [Made("00:00:00", 400, 0, PROGRAM)])
        assert driver.controller.by == (BY_DYNAMIC if still_there else BY_FIXED)
