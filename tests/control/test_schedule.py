"""What a program wants at a moment: periods, fixed time controls, midnight, the sun, the nights with a changed hour."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from astral import Observer
from astral.sun import sunrise, sunset

from firmware.control import plan_format as layout
from firmware.control.reasons import INACTIVE, PROGRAM, SENSOR
from host_tools.plan.encode import ActivePeriod, DynamicControl, FixedTimeControl
from tests.control.driver import PARIS_RULE, TROMSO, Driver, Made, every_day, fixed, seconds

PARIS = (48_856_600, 2_352_200)
HOUR_MS = 3_600_000


def absolute(start: str, end: str) -> ActivePeriod:
    return ActivePeriod(layout.PERIOD_ABSOLUTE, seconds(start), seconds(end))


def astro(sunset_s: int = 0, sunrise_s: int = 0) -> ActivePeriod:
    return ActivePeriod(layout.PERIOD_ASTRO_CLOCK, sunset_s, sunrise_s)


def test_each_fixed_time_control_ends_at_the_next():
    """The operator writes when a level begins, never when it ends. So each lasts to the next, and is reached by its own
    ramp."""
    driver = Driver(every_day(fixed(("18:00", 1000, 0), ("22:00", 500, 30_000), ("23:30:15", 200, 1_000))))
    assert driver.run("23:59") == [
        Made("18:00:00", 1000, 0, PROGRAM),
        Made("22:00:00", 500, 30_000, PROGRAM),
        Made("23:30:15", 200, 1_000, PROGRAM),
    ]


def test_the_last_fixed_time_control_goes_on_over_midnight():
    """The night of a street begins before midnight and ends after it. So the last level of the day is in force until
    the first of the next, and midnight itself decides nothing."""
    driver = Driver(every_day(fixed(("05:30", 700, 0), ("22:00", 200, 0))))
    assert driver.decisions == [Made("12:00:00", 700, 0, PROGRAM)]
    assert driver.run("05:29:59") == [Made("22:00:00", 200, 0, PROGRAM)]
    assert driver.run("11:00") == [Made("05:30:00", 700, 0, PROGRAM)]


def test_an_absolute_period_over_midnight():
    """Most periods of a street go over midnight. So outside is off, inside is the program, both edges are kept, and the
    program's control is left by its own ramp (TALQ 2.7.1, rampFromLevelTime)."""
    control = FixedTimeControl(0, 800, ramp_from_ds=30)
    driver = Driver(every_day([control], [absolute("20:00", "06:00")], default_ramp_ds=50))
    assert driver.decisions == [Made("12:00:00", 0, 0, INACTIVE)]
    assert driver.run("11:59") == [Made("20:00:00", 800, 0, PROGRAM), Made("06:00:00", 0, 3_000, INACTIVE)]


def test_an_absolute_period_within_the_day():
    """A tunnel or a car park is lit by day. So a period that ends after it starts lies within one day."""
    driver = Driver(every_day(fixed(("00:00", 800, 0)), [absolute("13:00", "14:30")], default_ramp_ds=0))
    assert driver.run("11:59") == [Made("13:00:00", 800, 0, PROGRAM), Made("14:30:00", 0, 0, INACTIVE)]


def test_a_period_that_ends_where_it_starts_is_the_whole_day():
    """TALQ gives no way to write "always" in one period. So equal times mean all day, and never nothing."""
    driver = Driver(every_day(fixed(("00:00", 800, 0)), [absolute("15:00", "15:00")]))
    assert driver.decisions == [Made("12:00:00", 800, 0, PROGRAM)]
    assert driver.run(72 * HOUR_MS) == []


def test_two_periods_are_one_where_they_touch():
    """An evening and a morning period may meet or overlap. So a lamp is lit while any is active, without a gap where
    they touch, and dark between them."""
    periods = [absolute("18:00", "21:00"), absolute("21:00", "23:00"), absolute("05:00", "07:00")]
    driver = Driver(every_day(fixed(("00:00", 800, 0)), periods, default_ramp_ds=0))
    assert [(made.clock, made.level) for made in driver.run("11:59")] == [
        ("18:00:00", 800),
        ("23:00:00", 0),
        ("05:00:00", 800),
        ("07:00:00", 0),
    ]


@pytest.mark.parametrize("offsets", [(0, 0), (-1200, 600), (21600, -7200)])
@pytest.mark.parametrize("start", [datetime(2026, 3, 20, 11), datetime(2026, 6, 21, 11), datetime(2026, 12, 21, 11)])
def test_an_astro_period_begins_and_ends_with_the_sun(offsets, start):
    """Light from dusk to dawn is the first thing anybody asks of a street lamp. So the period's edges are the sun's as
    `astral` has them, with the offsets, to 5 s."""
    start = start.replace(tzinfo=UTC)
    observer = Observer(PARIS[0] / 1e6, PARIS[1] / 1e6)
    evening = sunset(observer, start.date()) + timedelta(seconds=offsets[0])
    morning = sunrise(observer, start.date() + timedelta(days=1)) + timedelta(seconds=offsets[1])
    driver = Driver(every_day(fixed(("00:00", 1000, 0)), [astro(*offsets)], default_ramp_ds=0), start, place=PARIS)
    driver.run(24 * HOUR_MS)
    if evening >= morning:
        assert [made.level for made in driver.decisions] == [0]
        return
    assert [made.level for made in driver.decisions] == [0, 1000, 0]
    for raw, expected in zip(driver.raw[1:], (evening, morning), strict=True):
        assert abs((start + timedelta(milliseconds=raw[0]) - expected).total_seconds()) <= 5


def test_half_night_is_an_astro_period_with_an_absolute_hole():
    """French towns cut the light in the middle of the night. So "off from 23:00 to 05:00" between dusk and dawn is said
    with level 0, and the lamp remains active: its reason is the program."""
    program = every_day(fixed(("05:00", 1000, 0), ("23:00", 0, 0)), [astro()], default_ramp_ds=0)
    driver = Driver(program, datetime(2026, 12, 21, 12, tzinfo=UTC), place=PARIS)
    made = driver.run(24 * HOUR_MS)
    assert [(m.level, m.reason) for m in made] == [(1000, PROGRAM), (0, PROGRAM), (1000, PROGRAM), (0, INACTIVE)]
    assert made[1].clock == "23:00:00"
    assert made[2].clock == "05:00:00"


def test_in_the_polar_night_the_lamps_never_go_out():
    """In Tromsø's December nobody may stand in the dark because the sun has no sunrise to give. So an astro period is
    active without a break, whatever its offsets."""
    for offsets in ((0, 0), (3600, -3600)):
        driver = Driver(every_day(fixed(("00:00", 1000, 0)), [astro(*offsets)]), _utc(2026, 12, 5), place=TROMSO)
        assert [made.reason for made in driver.decisions] == [PROGRAM]
        assert driver.run(25 * 24 * HOUR_MS) == []


def test_on_a_polar_day_the_lamps_never_come_on():
    """Under the midnight sun a lit street is a report to the newspaper. So an astro period is never active in June."""
    driver = Driver(every_day(fixed(("00:00", 1000, 0)), [astro()]), _utc(2026, 6, 5), place=TROMSO)
    assert [(made.level, made.reason) for made in driver.decisions] == [(0, INACTIVE)]
    assert driver.run(25 * 24 * HOUR_MS) == []


@pytest.mark.parametrize("start", [(2026, 5, 5), (2026, 7, 15), (2026, 11, 15), (2027, 1, 5)])
def test_the_polar_seasons_turn_without_flicker(start):
    """Where the season turns, a night is minutes long or nearly a day, and rules for odd days meet. So over thirty days
    there the lamp is switched at most once on and once off a day, and never twice within ten minutes."""
    driver = Driver(every_day(fixed(("00:00", 1000, 0)), [astro()], default_ramp_ds=0), _utc(*start), place=TROMSO)
    driver.run(30 * 24 * HOUR_MS)
    moments = [raw[0] for raw in driver.raw]
    assert 2 <= len(moments) <= 61
    assert all(after - before > 600_000 for before, after in pairwise(moments[1:]))


def test_the_wake_tick_is_the_next_moment_of_its_own():
    """A lamp that is called every second for nothing wastes a battery clock and a simulator. So in a night with four
    changes it wants to be called a dozen times, not a thousand."""
    program = every_day(fixed(("05:30", 400, 0), ("22:00", 200, 0)), [astro()])
    driver = Driver(program, _utc(2026, 3, 20), place=PARIS)
    driver.run(24 * HOUR_MS)
    assert len(driver.decisions) == 5
    assert driver.calls <= 15


def test_the_night_the_clocks_go_back_dims_once():
    """02:30 comes twice that night, and a street that dims, brightens and dims again looks broken. So a level that
    begins at 02:30 begins once, at the first 02:30, and one for 03:00 waits for the one true 03:00."""
    # 2026-10-25: 03:00 CEST is 02:00 CET, at 01:00 UTC.
    program = every_day(fixed(("00:00", 1000, 0), ("02:00", 700, 0), ("02:30", 500, 0), ("03:00", 300, 0)))
    driver = Driver(program, datetime(2026, 10, 24, 12, tzinfo=UTC), zone=PARIS_RULE)
    assert [(made.clock, made.level) for made in driver.run("11:00")] == [
        ("22:00:00", 1000),
        ("00:00:00", 700),
        ("00:30:00", 500),
        ("02:00:00", 300),
    ]


def test_the_night_the_clocks_go_forward_skips_nothing():
    """02:30 does not come at all that night, and a list of alarms would miss it. So a level that begins at 02:30 is in
    force when the clocks show 03:00."""
    # 2026-03-29: 02:00 CET is 03:00 CEST, at 01:00 UTC.
    program = every_day(fixed(("00:00", 1000, 0), ("02:30", 500, 0), ("03:30", 300, 0)))
    driver = Driver(program, datetime(2026, 3, 28, 12, tzinfo=UTC), zone=PARIS_RULE)
    assert [(made.clock, made.level) for made in driver.run("11:00")] == [
        ("23:00:00", 1000),
        ("01:00:00", 500),
        ("01:30:00", 300),
    ]


def test_an_absolute_period_in_the_repeated_hour_is_not_left_twice():
    """A period that ends at 02:15 ends once. So the second 02:00 to 02:15 stays off."""
    program = every_day(fixed(("00:00", 1000, 0)), [absolute("20:00", "02:15")], default_ramp_ds=0)
    driver = Driver(program, datetime(2026, 10, 24, 12, tzinfo=UTC), zone=PARIS_RULE)
    assert [(made.clock, made.level) for made in driver.run("11:00")] == [("18:00:00", 1000), ("00:15:00", 0)]


def test_the_astro_clock_does_not_care_for_legal_time():
    """The sun keeps no summer time. So on both nights of change dusk and dawn lie where they lie in UTC."""
    for day in (datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)):
        program = every_day(fixed(("00:00", 1000, 0)), [astro()], default_ramp_ds=0)
        legal = Driver(program, day, zone=PARIS_RULE, place=PARIS)
        solar = Driver(program, day, place=PARIS)
        assert legal.run(24 * HOUR_MS) == solar.run(24 * HOUR_MS)
        assert len(legal.decisions) == 3


def test_presence_has_hours_of_its_own():
    """A town may want presence only in the heart of the night. So outside its own period a sensor changes nothing, and
    a person already there when it begins is lit at once."""
    dynamic = DynamicControl(layout.EFFECT_MAX, 1000, period=(seconds("23:00"), seconds("00:30")))
    driver = Driver(every_day(fixed(("00:00", 200, 0)), dynamic=[dynamic]))
    # After two hours without a break nobody believes the sensor: it drops before.
    assert driver.see("22:50", 1) == []
    assert driver.run("00:29:59") == [Made("23:00:00", 1000, 0, SENSOR)]
    assert driver.run("00:45") == [Made("00:30:00", 200, 0, PROGRAM)]


@pytest.mark.parametrize("zone_s", [14 * 3600, 12 * 3600 + 2700, -11 * 3600, 0])
def test_dusk_is_found_on_every_side_of_the_date_line(zone_s):
    """Kiritimati's civil day is a day ahead of its sun's. So on the same meridian dusk and dawn come at the same UTC,
    whatever the zone calls that day."""
    place = (1_872_100, -157_427_800)
    program = every_day([FixedTimeControl(0, 1000, 0)], [astro()], default_ramp_ds=0)
    start = datetime(2026, 3, 10, 0, 30, tzinfo=UTC)
    there = Driver(program, start, zone=(zone_s, zone_s, 0, 0, 0, 0, 0, 0, 0, 0), place=place)
    there.run(72 * HOUR_MS)
    moments = [start + timedelta(milliseconds=raw[0]) for raw in there.raw[1:]]
    # Solar noon at 157.43° W is 22:30 UTC: dusk near 04:35, dawn near 16:25, each day.
    assert [moment.hour for moment in moments] == [4, 16] * 3


def _utc(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, 12, tzinfo=UTC)
