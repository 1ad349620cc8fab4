"""Dates of clock chips and satellites to day numbers and back: 0 is 2000-01-01. A part of several drivers.

A driver may not import control's arithmetic (DESIGN, section 1), and needs only 1970 … 2199; a test compares every day.
"""

_BEFORE_MONTH = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)
_LENGTH = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def is_leap(year):
    """Return True for a leap year of the Gregorian calendar."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def day_of_date(year, month, day):
    """Return the day number (negative before 2000), or None when there is no such date or year (1970 … 2199)."""
    if not (1970 <= year <= 2199 and 1 <= month <= 12):
        return None
    length = _LENGTH[month - 1] + (1 if month == 2 and is_leap(year) else 0)
    if not 1 <= day <= length:
        return None
    number = _new_year(year) + _BEFORE_MONTH[month - 1] + day - 1
    if month > 2 and is_leap(year):
        number += 1
    return number


def date_of_day(number, date):
    """Write year, month and day of a day number (1970 … 2199) into the list ``date``."""
    # Begin one or two years early: never late, as the test of every day shows.
    year = 1999 + number // 366
    if year < 1970:
        year = 1970
    while year < 2199 and _new_year(year + 1) <= number:
        year += 1
    rest = number - _new_year(year)
    month = 1
    while True:
        length = _LENGTH[month - 1] + (1 if month == 2 and is_leap(year) else 0)
        if rest < length or month == 12:
            break
        rest -= length
        month += 1
    date[0] = year
    date[1] = month
    date[2] = rest + 1


def _new_year(year):
    # Leap days before 1 January, counted from 2000: (y + 3) // 4 and so on, floored, so right before 2000 too.
    years = year - 2000
    return years * 365 + (years + 3) // 4 - (years + 99) // 100 + (years + 399) // 400
