"""Dates against the standard library's calendar."""

import calendar
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from firmware.control.civil import DAY_MAX, DAY_MIN, day_number, nth_weekday, weekday_of, year_of

EPOCH = date(2000, 1, 1)


def test_every_day_of_two_centuries_has_its_number_year_and_weekday():
    """A leap year got wrong moves every lamp of a town by a day. So each day from 2000 to 2199 is held against
    `datetime`, 2100 without its leap day among them."""
    day = EPOCH
    number = 0
    while day.year < 2200:
        assert day_number(day.year, day.month, day.day) == number
        assert year_of(number) == day.year
        assert weekday_of(number) == day.isoweekday() % 7
        day += timedelta(days=1)
        number += 1
    assert number == 73049


@given(st.dates(date(1600, 1, 1), date(9998, 12, 31)))
def test_the_calendar_has_no_end(day):
    """Code that is right until 2199 by luck is wrong in a way nobody sees. So any date of 84 centuries is right too."""
    number = (day - EPOCH).days
    assert day_number(day.year, day.month, day.day) == number
    assert year_of(number) == day.year
    assert weekday_of(number) == day.isoweekday() % 7


def test_accepted_days_are_those_the_product_says():
    """A clock that was never set shows 2000 or 1970 and must not count as known. So the first accepted day is
    2020-01-01 and the last 2199-12-31."""
    assert EPOCH + timedelta(days=DAY_MIN) == date(2020, 1, 1)
    assert EPOCH + timedelta(days=DAY_MAX) == date(2199, 12, 31)


def test_nth_weekday_as_the_calendar_hangs_on_the_wall():
    """Summer time begins on "the last Sunday", and in some months that is the fourth. So every week and weekday of
    every month of two centuries is found in `calendar`."""
    weeks = calendar.Calendar()
    for year in range(2000, 2200):
        for month in range(1, 13):
            days: dict[int, list[int]] = {weekday: [] for weekday in range(7)}
            for day, monday_based in weeks.itermonthdays2(year, month):
                if day:
                    days[(monday_based + 1) % 7].append(day)
            for weekday, found in days.items():
                for week in range(1, 5):
                    assert nth_weekday(year, month, week, weekday) == day_number(year, month, found[week - 1])
                assert nth_weekday(year, month, 5, weekday) == day_number(year, month, found[-1])
