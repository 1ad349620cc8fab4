"""Dates on which lamps have flashed: clock changes, counters of weeks and seconds that wrap, leap days, our own ring.

A residential program on every such night of this century must look like the night beside it: as many decisions, dark at
noon, lit at midnight. In January 2021 lamps flashed across the United Kingdom for want of this test.
"""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from firmware.control.config import Config
from firmware.control.controller import Controller
from firmware.control.inputs import CLOCK_GOOD, Now, Seen
from firmware.control.plan import Plan
from firmware.control.plan_format import PERIOD_ASTRO_CLOCK
from firmware.control.reasons import INACTIVE, PROGRAM
from firmware.control.ticks import ticks_diff
from host_tools.plan.encode import ActivePeriod, FixedTimeControl, LampPlan, Program, encode
from host_tools.plan.zones import parse_posix_rule

RING = 2**30
DAY_MS = 86_400_000
H = 3600
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
# Full from dusk, half from 22:00, a third from 23:00, full again at 05:30 until dawn (if that is later).
LEVELS = ((5 * H + 1800, 1000), (22 * H, 500), (23 * H, 333))
RESIDENTIAL = encode(
    LampPlan([Program([FixedTimeControl(at, level) for at, level in LEVELS], [ActivePeriod(PERIOD_ASTRO_CLOCK)])])
)
# Zone rule, latitude, longitude, and the two changes as (month, nth Sunday, UTC hour of the change).
PARIS = (parse_posix_rule("CET-1CEST,M3.5.0,M10.5.0/3"), 48_856_600, 2_352_200)
SYDNEY = (parse_posix_rule("AEST-10AEDT,M10.1.0,M4.1.0/3"), -33_868_800, 151_209_300)


def sundays(year: int, month: int) -> list[date]:
    """Return a month's Sundays."""
    day = date(year, month, 1)
    found = [day + timedelta(days=i) for i in range(31)]
    return [one for one in found if one.month == month and one.weekday() == 6]


def paris_changes(year: int) -> tuple[datetime, datetime]:
    """Return when the clocks of Paris change, in UTC (directive 2000/84/EC: 01:00 UTC on the last Sunday)."""
    forward, back = sundays(year, 3)[-1], sundays(year, 10)[-1]
    return tuple(datetime(one.year, one.month, one.day, 1, tzinfo=UTC) for one in (forward, back))  # type: ignore[return-value]


def sydney_changes(year: int) -> tuple[datetime, datetime]:
    """Return when the clocks of Sydney change: 16:00 UTC on the day before the first Sunday of April and October."""
    back, forward = sundays(year, 4)[0], sundays(year, 10)[0]
    days = (one - timedelta(days=1) for one in (forward, back))
    return tuple(datetime(one.year, one.month, one.day, 16, tzinfo=UTC) for one in days)  # type: ignore[return-value]


def gps_rollovers(until: int) -> list[datetime]:
    """Return every moment at which the ten bits of the GPS week start anew, to the second within leap seconds."""
    found = []
    moment = datetime(1980, 1, 6, tzinfo=UTC)
    while moment.year <= until:
        found.append(moment)
        moment += timedelta(weeks=1024)
    return [one for one in found if one.year >= 2026]


def night(place, start: datetime, tick0: int, span_ms: int = DAY_MS):
    """Return the decisions (ms, level, reason) after the first, and the controller, one span from ``start`` on."""
    zone, latitude, longitude = place
    config = Config(list(zone), latitude, longitude, (100, 1000), (9_000, 64_000), 500, 0)
    lamp = Controller(config, Plan(RESIDENTIAL))
    now, seen = Now(), Seen()
    seconds = (start - EPOCH) // timedelta(seconds=1)
    now.quality, now.day, now.second, now.changes = CLOCK_GOOD, seconds // 86_400, seconds % 86_400, 1
    made = []
    t_ms = 0
    while True:
        now.ticks_ms = (tick0 + t_ms) % RING
        while lamp.step(now, seen):
            made.append((t_ms, lamp.level_permille, lamp.reason))
        if t_ms == span_ms:
            return made[1:], lamp, made[0]
        t_ms = min(span_ms, t_ms + ticks_diff(lamp.wake_ms, now.ticks_ms))


def level_at(made, first, t_ms: int) -> int:
    """Return the level that holds at a moment."""
    level = first[1]
    for at, after, _ in made:
        if at <= t_ms:
            level = after
    return level


def local_noon_before(moment: datetime, place) -> datetime:
    """Return the solar noon before a moment, near enough: between two nights."""
    hours = place[2] / 15_000_000
    noon = moment.replace(hour=12, minute=0, second=0) - timedelta(hours=round(hours))
    return noon if noon <= moment else noon - timedelta(days=1)


def assert_ordinary(place, moment: datetime, tick0: int) -> int:
    """Compare the night around ``moment`` with the one a week before; return how many decisions it had."""
    start = local_noon_before(moment, place)
    made, lamp, first = night(place, start, tick0)
    usual, _, _ = night(place, start - timedelta(days=7), 0)
    # One more or less where dawn passes 05:30 within the week or with the hour: then the morning's step is or is not.
    assert abs(len(made) - len(usual)) <= 1, (moment, made, usual)
    levels = [level for _, level, _ in made]
    assert levels[:3] == [1000, 500, 333] or levels[:2] == [500, 333] or levels[:2] == [1000, 333], (moment, made)
    assert levels[-1] == 0 and 0 not in levels[:-1], (moment, made)
    assert first[1] == 0 and first[2] == INACTIVE and lamp.level_permille == 0
    # Fourteen hours after solar noon it is past 23:00 and before 05:30 on any clock.
    assert level_at(made, first, 14 * H * 1000) == 333, (moment, made)
    assert all(reason in (PROGRAM, INACTIVE) for _, _, reason in made)
    times = [at for at, _, _ in made]
    assert all(later - earlier >= 60_000 for earlier, later in pairwise(times)), (moment, made)
    return len(made)


@pytest.mark.parametrize(("place", "changes"), [(PARIS, paris_changes), (SYDNEY, sydney_changes)])
def test_every_clock_change_until_the_end_of_the_century(place, changes, record_property):
    """An hour that comes twice must not switch a street twice, nor one that is left out leave it dark. So both nights
    of change of each year 2026 to 2099, north and south, look like their neighbours; the ring wraps in that hour."""
    counts = set()
    nights = 0
    for year in range(2026, 2100):
        for moment in changes(year):
            since_noon = (moment - local_noon_before(moment, place)) // timedelta(milliseconds=1)
            for tick0 in (0, RING - since_noon):
                counts.add(assert_ordinary(place, moment, tick0))
                nights += 1
    print(f"figure: {nights} nights of change, {sorted(counts)} decisions each")
    record_property("nights", nights)
    assert counts <= {3, 4, 5}
    assert nights == 74 * 2 * 2


DATES = {
    "DCF77, two digits of a year": datetime(2034, 1, 9, 12, tzinfo=UTC),
    "NTP era 1": datetime(2036, 2, 7, 6, 28, 16, tzinfo=UTC),
    "32 bits of Unix time": datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC),
    "30 bits of s since 2000": datetime(2034, 1, 9, 13, 37, 4, tzinfo=UTC),
    "31 bits of s since 2000": datetime(2068, 1, 19, 3, 14, 8, tzinfo=UTC),
    "two digits of POSIX year": datetime(2068, 12, 31, 23, 59, 59, tzinfo=UTC),
    "UBX and RTC year 2079": datetime(2079, 6, 7, tzinfo=UTC),
    "leap day 2028": datetime(2028, 2, 29, tzinfo=UTC),
    "leap day 2096": datetime(2096, 2, 29, tzinfo=UTC),
    "last of February 2100": datetime(2100, 2, 28, 23, 59, 59, tzinfo=UTC),
    "first of March 2100": datetime(2100, 3, 1, tzinfo=UTC),
    "32 bits unsigned": datetime(2106, 2, 7, 6, 28, 16, tzinfo=UTC),
    "turn of the century": datetime(2099, 12, 31, 23, 59, 59, tzinfo=UTC),
    **{f"GPS week rollover {one:%Y-%m-%d}": one for one in gps_rollovers(2100)},
}


@pytest.mark.parametrize("place", [PARIS, SYDNEY], ids=["Paris", "Sydney"])
@pytest.mark.parametrize("name", DATES)
def test_a_date_on_which_somebody_elses_counter_wraps(name, place):
    """A receiver or library that wraps is repaired by others; our lamp must not notice. So the nights around each such
    moment are ordinary, also where our own ring wraps within the same second."""
    moment = DATES[name]
    for days in (-1, 0, 1):
        near = moment + timedelta(days=days)
        since_noon = (near - local_noon_before(near, place)) // timedelta(milliseconds=1)
        for tick0 in (0, (RING - since_noon) % RING, (RING // 2 - since_noon) % RING):
            assert_ordinary(place, near, tick0)


def test_the_rollovers_are_those_that_are_known():
    """A table of dates with a mistake tests an ordinary night. So the computed ones are those that are published."""
    assert [f"{one:%Y-%m-%d}" for one in gps_rollovers(2100)] == [
        "2038-11-21",
        "2058-07-07",
        "2078-02-20",
        "2097-10-06",
    ]
    assert EPOCH + timedelta(seconds=2**30) == DATES["30 bits of s since 2000"]
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=2**31) == DATES["32 bits of Unix time"]
    assert EPOCH + timedelta(seconds=2**31) == DATES["31 bits of s since 2000"]
    assert datetime(1900, 1, 1, tzinfo=UTC) + timedelta(seconds=2**32) == DATES["NTP era 1"]


def test_a_year_without_a_break_has_no_night_that_differs():
    """A node runs for years, not for one night. So from October 2037 to April 2039, over 44 rings' worth of days, with
    both clock changes, Unix time and the GPS week in it, each night has its three to five decisions."""
    start = datetime(2037, 10, 1, 11, tzinfo=UTC)
    nights = 548
    made, _, _ = night(PARIS, start, RING - 5, nights * DAY_MS)
    counts = [0] * nights
    for at, _, _ in made:
        counts[at // DAY_MS] += 1
    print(f"figure: {nights} nights in one run, {len(made)} decisions, {min(counts)} to {max(counts)} a night")
    assert 3 <= min(counts) <= max(counts) <= 5
