"""Calendars as people write them, in TALQ 2.7.1's words: which program a day has, and their way into the binary plan.

A date is kept as (year, month, day): year 0 where the file gives none, month 0 where it gives a day of every month.
"""

import calendar
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from firmware.control import plan_format as layout

from . import encode as plan
from .program import Strict

Date = tuple[int, int, int]

YEAR_MIN, YEAR_MAX = 1900, 9999
# TALQ 2.7.1, ccDay.occurrences: maxItems.
OCCURRENCES_MAX = 5
DAYS_MAX = 7

_FULL = re.compile(r"^([0-9]{4})-([0-9]{2})-([0-9]{2})$")
_MONTH_DAY = re.compile(r"^--([0-9]{2})-([0-9]{2})$")
_DAY = re.compile(r"^---([0-9]{2})$")


def _exists(text: str, year: int, month: int, day: int) -> Date:
    """Return the date. Without a year, 29 February exists; without a month, days 1 to 31 do."""
    if year and not YEAR_MIN <= year <= YEAR_MAX:
        raise ValueError(f"{text} is outside the supported years, {YEAR_MIN} to {YEAR_MAX}: choose a year in them")
    if month < 0 or month > 12:
        raise ValueError(f"{text} does not exist: months are 01 to 12")
    last = calendar.monthrange(year or 2000, month)[1] if month else 31
    if not 1 <= day <= last:
        raise ValueError(f"{text} does not exist: that month has days 01 to {last}")
    return (year, month, day)


def rule_date(text: Any) -> Date:
    """Return a rule's first or last day, ``yyyy-mm-dd`` or ``--mm-dd``. Raises ValueError with reason and remedy."""
    full = _FULL.match(text) if isinstance(text, str) else None
    if full:
        year, month, day = (int(part) for part in full.groups())
        return _exists(text, year or -1, month or -1, day)
    part = _MONTH_DAY.match(text) if isinstance(text, str) else None
    if part:
        return _exists(text, 0, int(part[1]) or -1, int(part[2]))
    raise ValueError(f"{text!r} is not a date of a rule: write it like 2026-07-13, or --07-13 for every year")


def condition_date(text: Any) -> Date:
    """Return a day of a ccDate condition, ``---dd`` or ``--mm-dd``. Raises ValueError with reason and remedy."""
    every = _DAY.match(text) if isinstance(text, str) else None
    if every:
        return _exists(text, 0, 0, int(every[1]))
    part = _MONTH_DAY.match(text) if isinstance(text, str) else None
    if part:
        return _exists(text, 0, int(part[1]) or -1, int(part[2]))
    raise ValueError(f"{text!r} is not a date of a condition: write it like ---01 (every month) or --12-24")


def date_text(date: Date) -> str:
    """Return a date as the file has it: ``yyyy-mm-dd``, ``--mm-dd`` or ``---dd``."""
    year, month, day = date
    if year:
        return f"{year:04}-{month:02}-{day:02}"
    return f"--{month:02}-{day:02}" if month else f"---{day:02}"


def _weekday(text: Any) -> int:
    if not isinstance(text, str) or not re.fullmatch(r"[1-7]", text):
        raise ValueError(f"{text!r} is not a weekday: write 1 (Monday) to 7 (Sunday)")
    return int(text)


def _occurrence(text: Any) -> str:
    if not isinstance(text, str) or not re.fullmatch(r"[1-5L]", text):
        raise ValueError(f"{text!r} is not an occurrence: write 1 to 5, or L for the last of the month")
    return text


RuleDate = Annotated[Date, BeforeValidator(rule_date)]
ConditionDate = Annotated[Date, BeforeValidator(condition_date)]
Weekday = Annotated[int, BeforeValidator(_weekday)]
Occurrence = Annotated[str, BeforeValidator(_occurrence)]


class DateRange(Strict):
    """One day, or the days from ``start`` to ``end``, both included and in the same form."""

    start: ConditionDate
    end: ConditionDate | None = None

    @model_validator(mode="after")
    def _ascending(self) -> "DateRange":
        if self.end is None:
            return self
        if bool(self.start[1]) != bool(self.end[1]):
            raise ValueError("start and end differ in form: write both like ---01 or both like --12-24")
        if self.end <= self.start:
            over = " and one up to --12-31" if self.start[1] else " and one up to ---31"
            raise ValueError(
                f"end {date_text(self.end)} must come after start {date_text(self.start)}: for one day leave end out; "
                f"over the turn write two items, one from the first day on{over}"
            )
        return self


class DateCondition(Strict):
    """TALQ's `ccDate`."""

    type: Literal["ccDate"]
    dates: list[DateRange] = Field(min_length=1, max_length=layout.DATES_MAX)


class DayRange(Strict):
    """One weekday (1 is Monday), or the weekdays from ``start`` to ``end``, both included."""

    start: Weekday
    end: Weekday | None = None

    @model_validator(mode="after")
    def _ascending(self) -> "DayRange":
        if self.end is not None and self.end <= self.start:
            raise ValueError(
                f"end {self.end} must come after start {self.start}: for one day leave end out; over Sunday write "
                "two items, one up to 7 and one from 1 on"
            )
        return self


class DayCondition(Strict):
    """TALQ's `ccDay`; without ``occurrences`` every such weekday of the month."""

    type: Literal["ccDay"]
    days: list[DayRange] = Field(min_length=1, max_length=DAYS_MAX)
    occurrences: list[Occurrence] = Field(default=[], max_length=OCCURRENCES_MAX)

    @model_validator(mode="after")
    def _once(self) -> "DayCondition":
        for value in dict.fromkeys(self.occurrences):
            if self.occurrences.count(value) > 1:
                raise ValueError(f"occurrence {value} stands twice: keep one")
        return self


AnyCondition = Annotated[DateCondition | DayCondition, Field(discriminator="type")]


class CalendarRule(Strict):
    """From ``startDate`` to ``endDate`` (both included, as ``dayOffset`` has the day) and where the condition holds."""

    program: str
    startDate: RuleDate | None = None
    endDate: RuleDate | None = None
    condition: AnyCondition | None = None

    @model_validator(mode="after")
    def _dates(self) -> "CalendarRule":
        start, end = self.startDate, self.endDate
        if start is None or end is None:
            return self
        if start[0] and end[0] and end < start:
            raise ValueError(f"endDate {date_text(end)} lies before startDate {date_text(start)}: exchange them")
        # With one year missing only TALQ's own defaults, the whole year, have a plain meaning.
        if bool(start[0]) != bool(end[0]) and start != (0, 1, 1) and end != (0, 12, 31):
            raise ValueError(
                f"one of startDate {date_text(start)} and endDate {date_text(end)} has a year, the other has none: "
                "give both a year, or neither"
            )
        return self

    def compiled(self, programs: Mapping[str, int]) -> plan.Rule:
        """Return the rule in the plan's units; ``programs``: the index of each program in the plan."""
        condition = self.condition
        dates: list[tuple[int, int, int, int]] = []
        weekdays = occurrences = 0
        kind = layout.CONDITION_NONE
        if isinstance(condition, DateCondition):
            kind = layout.CONDITION_DATE
            dates = [(*one.start[1:], *(one.end or one.start)[1:]) for one in condition.dates]
        elif isinstance(condition, DayCondition):
            kind = layout.CONDITION_DAY
            for days in condition.days:
                for weekday in range(days.start, (days.end or days.start) + 1):
                    weekdays |= 1 << (weekday - 1)
            for occurrence in condition.occurrences:
                occurrences |= layout.OCCURRENCE_LAST if occurrence == "L" else 1 << (int(occurrence) - 1)
        return plan.Rule(programs[self.program], kind, dates, weekdays, occurrences, self.startDate, self.endDate)


class Calendar(Strict):
    """TALQ's `Calendar`: the first rule that matches a day has it; without any, ``defaultProgram``, or none."""

    defaultProgram: str | None = None
    rules: list[CalendarRule] = Field(default=[], max_length=layout.RULES_MAX)

    def programs_used(self) -> set[str]:
        """Return the ids of the programs that the calendar names."""
        used = {rule.program for rule in self.rules}
        return used | {self.defaultProgram} if self.defaultProgram is not None else used
