"""Day numbers and dates of the Gregorian calendar, without a table and without a year that ends.

Day 0 is Saturday 2000-01-01, the first day of the ESP32 port's own epoch. The conversion counts years from March, so
that the leap day is the last of its year, in eras of 400 years (H. Hinnant, "chrono-compatible low-level date
algorithms", `days_from_civil` and `civil_from_days`).
"""

from .compat import const

# The days this core accepts: 2020-01-01 … 2199-12-31. Below lies a clock that was never set, above nothing was tested.
DAY_MIN = const(7305)
DAY_MAX = const(73048)

SECONDS_PER_DAY = const(86400)

_DAYS_TO_MARCH_2000 = const(60)
_DAYS_PER_ERA = const(146097)


def day_number(year: int, month: int, day: int) -> int:
    """Return the day number of a date: 0 for 2000-01-01. ``month`` 1 … 12, ``day`` 1 … 31, not checked."""
    if month <= 2:
        year -= 1
        month += 12
    year -= 2000
    era = year // 400
    year_of_era = year - era * 400
    day_of_year = (153 * (month - 3) + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * _DAYS_PER_ERA + day_of_era + _DAYS_TO_MARCH_2000


def year_of(day: int) -> int:
    """Return the year in which day number ``day`` lies."""
    day -= _DAYS_TO_MARCH_2000
    era = day // _DAYS_PER_ERA
    day_of_era = day - era * _DAYS_PER_ERA
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    year = 2000 + era * 400 + year_of_era
    # Day 306 of a year that starts in March is 1 January of the next.
    return year + 1 if day_of_year >= 306 else year


def weekday_of(day: int) -> int:
    """Return 0 for Sunday … 6 for Saturday, the numbering of POSIX time zone rules."""
    return (day + 6) % 7


def nth_weekday(year: int, month: int, week: int, weekday: int) -> int:
    """Return the day number of the ``week``-th ``weekday`` (0 = Sunday) of a month; ``week`` 5 means the last."""
    first = day_number(year, month, 1)
    day = first + (weekday - weekday_of(first)) % 7 + (week - 1) * 7
    if week == 5:
        following = day_number(year + 1, 1, 1) if month == 12 else day_number(year, month + 1, 1)
        if day >= following:
            day -= 7
    return day
