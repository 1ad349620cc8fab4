"""Which control program a day has: the calendar's rules in order, the first match wins (TALQ 2.7.1, Calendar)."""

from .civil import day_number, year_of
from .plan_format import CONDITION_DATE, CONDITION_NONE, OCCURRENCE_LAST


class Calendar:
    """The calendar of a plan. ``program_of(day)`` keeps the answers of the last four days it was asked for."""

    def __init__(self, plan):
        self._plan = plan
        self._days = [-1, -1, -1, -1]
        self._programs = [0, 0, 0, 0]
        self._year = 0
        self._month = 0
        self._dom = 0
        self._day = 0

    def program_of(self, day: int) -> int:
        """Return the program of a calendar day (its day number), or `plan_format.NO_PROGRAM`."""
        slot = day & 3
        if self._days[slot] != day:
            self._days[slot] = day
            self._programs[slot] = self._find(day)
        return self._programs[slot]

    def _find(self, day: int) -> int:
        plan = self._plan
        self._split(day)
        for index in range(plan.rules):
            at = plan.rule_at(index)
            if self._within(at) and self._meets(at):
                return plan.byte(at)
        return plan.default_program

    def _split(self, day: int) -> None:
        self._day = day
        self._year = year_of(day)
        month = 1
        while month < 12 and day_number(self._year, month + 1, 1) <= day:
            month += 1
        self._month = month
        self._dom = day - day_number(self._year, month, 1) + 1

    def _within(self, at: int) -> bool:
        """Tell whether the day lies between the rule's dates. Without years, a range may go over New Year."""
        plan = self._plan
        start_year = plan.word(at + 6)
        start = plan.byte(at + 8) * 32 + plan.byte(at + 9)
        end_year = plan.word(at + 10)
        end = plan.byte(at + 12) * 32 + plan.byte(at + 13)
        today = self._month * 32 + self._dom
        if start and end and not start_year and not end_year and end < start:
            return today >= start or today <= end
        if start and not (today >= start if not start_year else self._year * 512 + today >= start_year * 512 + start):
            return False
        return not end or (today <= end if not end_year else self._year * 512 + today <= end_year * 512 + end)

    def _meets(self, at: int) -> bool:
        """Tell whether the day meets the rule's condition."""
        plan = self._plan
        condition = plan.byte(at + 1)
        if condition == CONDITION_NONE:
            return True
        if condition == CONDITION_DATE:
            for index in range(plan.byte(at + 2)):
                if self._is_date(plan.rule_date_at(at, index)):
                    return True
            return False
        # Day 0 was a Saturday; bit 0 is Monday.
        if not plan.byte(at + 3) >> ((self._day + 5) % 7) & 1:
            return False
        occurrences = plan.byte(at + 4)
        if not occurrences or occurrences >> ((self._dom - 1) // 7) & 1:
            return True
        return bool(occurrences & OCCURRENCE_LAST) and self._is_last_week()

    def _is_date(self, at: int) -> bool:
        plan = self._plan
        start_month = plan.byte(at)
        if not start_month:
            return plan.byte(at + 1) <= self._dom <= plan.byte(at + 3)
        start = start_month * 32 + plan.byte(at + 1)
        end = plan.byte(at + 2) * 32 + plan.byte(at + 3)
        today = self._month * 32 + self._dom
        if end < start:
            return today >= start or today <= end
        return start <= today <= end

    def _is_last_week(self) -> bool:
        # The first day of the month after December is that of month 13: `day_number` counts on.
        return self._day + 7 >= day_number(self._year, self._month + 1, 1)
