"""Calendars against an oracle written from TALQ 2.7.1's text with Python's own dates."""

import calendar as python_calendar
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.control import plan_format as layout
from firmware.control.calendar_rules import Calendar
from firmware.control.plan import Plan
from host_tools.plan.encode import FixedTimeControl, LampPlan, Program, Rule, encode

EPOCH = date(2000, 1, 1)
PROGRAMS = [Program([FixedTimeControl(0, level)]) for level in (100, 200, 300)]

months = st.integers(1, 12)
# The 29th to 31st too: a month may lack them.
days = st.integers(1, 31)
bounds = st.none() | st.tuples(st.sampled_from([0, 0, 2026, 2027, 2029]), months, days)
ranges = st.tuples(st.just(0), days, st.just(0), days).filter(lambda d: d[1] <= d[3]) | st.tuples(
    months, days, months, days
)
rules = st.one_of(
    st.builds(Rule, st.integers(0, 2), start=bounds, end=bounds),
    st.builds(
        Rule,
        st.integers(0, 2),
        st.just(layout.CONDITION_DATE),
        dates=st.lists(ranges, min_size=1, max_size=3),
        start=bounds,
        end=bounds,
    ),
    st.builds(
        Rule,
        st.integers(0, 2),
        st.just(layout.CONDITION_DAY),
        weekdays=st.integers(1, 127),
        occurrences=st.integers(0, 63),
        start=bounds,
        end=bounds,
    ),
)


def matches(rule: Rule, day: date) -> bool:
    """Tell whether a rule's dates and condition hold on a day, by TALQ's text and docs/talq-readings.md."""
    today = (day.month, day.day)
    start, end = rule.start, rule.end
    if start and end and not start[0] and not end[0] and end[1:] < start[1:]:
        # Without years a range may go over New Year.
        if not (today >= start[1:] or today <= end[1:]):
            return False
    else:
        if start and not ((day.year, *today) >= start if start[0] else today >= start[1:]):
            return False
        if end and not ((day.year, *today) <= end if end[0] else today <= end[1:]):
            return False
    if rule.condition == layout.CONDITION_DATE:
        return any(_in_range(found, today) for found in rule.dates)
    if rule.condition == layout.CONDITION_DAY:
        if not rule.weekdays >> day.weekday() & 1:
            return False
        if not rule.occurrences:
            return True
        is_last = day.day + 7 > python_calendar.monthrange(day.year, day.month)[1]
        return bool(rule.occurrences >> ((day.day - 1) // 7) & 1) or (is_last and bool(rule.occurrences & 32))
    return True


def _in_range(found: tuple[int, int, int, int], today: tuple[int, int]) -> bool:
    start, end = found[:2], found[2:]
    if not start[0]:
        return start[1] <= today[1] <= end[1]
    return start <= today <= end if start <= end else today >= start or today <= end


def programs_of(plan_rules: list[Rule], default: int, first: date, last: date) -> list[tuple[date, int]]:
    """Return each day with the program that the node gives it."""
    calendar = Calendar(Plan(encode(LampPlan(PROGRAMS, plan_rules, default_program=default))))
    span = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return [(day, calendar.program_of((day - EPOCH).days)) for day in span]


@settings(max_examples=60)
@given(st.lists(rules, max_size=5), st.sampled_from([0, 1, 2, layout.NO_PROGRAM]), st.integers(2025, 2031))
def test_the_first_rule_that_matches_wins_on_every_day(plan_rules: list[Rule], default: int, year: int):
    """A market town plans its year in rules and exceptions; one day read otherwise is a square in the dark."""
    for day, program in programs_of(plan_rules, default, date(year, 1, 1), date(year + 1, 12, 31)):
        expected = next((rule.program for rule in plan_rules if matches(rule, day)), default)
        assert program == expected, day


@pytest.mark.parametrize(
    ("rule", "days"),
    [
        (Rule(1, layout.CONDITION_DAY, weekdays=1, occurrences=0b10), ["2026-03-09", "2026-04-13"]),
        (Rule(1, layout.CONDITION_DAY, weekdays=0b1000000, occurrences=32), ["2026-03-29", "2026-04-26"]),
        (Rule(1, layout.CONDITION_DAY, weekdays=0b10, occurrences=0b10000), ["2026-03-31"]),
        (Rule(1, layout.CONDITION_DATE, dates=[(0, 31, 0, 31)]), ["2026-03-31"]),
        (Rule(1, start=(0, 4, 29), end=(2026, 4, 30)), ["2026-04-29", "2026-04-30"]),
        # One day, with and without its year: both ends belong to the range.
        (Rule(1, start=(0, 4, 1), end=(0, 4, 1)), ["2026-04-01"]),
        (Rule(1, start=(2026, 4, 1), end=(2026, 4, 1)), ["2026-04-01"]),
        (Rule(1, end=(0, 3, 2)), ["2026-03-01", "2026-03-02"]),
        (Rule(1, end=(2026, 3, 2)), ["2026-03-01", "2026-03-02"]),
        (Rule(1, start=(0, 4, 30)), ["2026-04-30"]),
        (Rule(1, start=(2026, 4, 30)), ["2026-04-30"]),
        (Rule(1, start=(0, 4, 30), end=(0, 3, 1)), ["2026-03-01", "2026-04-30"]),
    ],
)
def test_known_days_of_spring_2026(rule: Rule, days: list[str]):
    """Known from a wall calendar: the second Mondays, the last Sundays, the fifth Tuesday, the 31sts of two months."""
    found = programs_of([rule], 0, date(2026, 3, 1), date(2026, 4, 30))
    assert [day.isoformat() for day, program in found if program == 1] == days


def test_the_leap_day_is_a_day_of_its_own():
    """Every four years somebody asks: 29 February is its own date, and the last Thursday of February 2024."""
    on_the_day = Rule(1, layout.CONDITION_DATE, dates=[(2, 29, 2, 29)])
    assert programs_of([on_the_day], 0, date(2024, 2, 28), date(2024, 3, 1))[1] == (date(2024, 2, 29), 1)
    assert all(program == 0 for _, program in programs_of([on_the_day], 0, date(2026, 2, 20), date(2026, 3, 10)))
    last = Rule(2, layout.CONDITION_DAY, weekdays=0b1000, occurrences=32)
    assert [p for _, p in programs_of([last], 0, date(2024, 2, 22), date(2024, 2, 29))] == [0] * 7 + [2]
