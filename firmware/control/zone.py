"""Local civil time from the zone's rule: a few integers, no table of years.

The rule is the POSIX ``TZ`` rule of a zone (POSIX.1-2024, 8.3: ``Mm.w.d/time``), compiled on the host from its tz
database. It is valid for every year until the law changes; then the host compiles and pushes another.
"""

from .civil import SECONDS_PER_DAY, nth_weekday, year_of
from .compat import const

RULE_LENGTH = const(10)
# How far ahead a change is looked for. The schedule asks again at least once a day.
HORIZON_S = const(172800)


class ZoneRule:
    """A zone as ten integers, and the answer for the last moment that was asked.

    ``rule`` is (standard offset, daylight offset, start month, week, weekday, time, end month, week, weekday, time):
    offsets and times in seconds, offsets positive east of Greenwich, week 1 … 5 (5 = last), weekday 0 = Sunday.
    A start month of 0 means that the zone never changes.

    After ``at()``: ``offset_s`` is local time minus UTC. ``change_in_s`` is the time to the next change of the offset,
    at most ``HORIZON_S``. ``held_s`` is 0 but in the hour that the clocks repeat: there it is how many seconds the
    schedule's clock lies ahead of the wall clock, and ``held_for_s`` how long that goes on.
    """

    def __init__(self, rule):
        self.standard_offset_s = rule[0]
        self.daylight_offset_s = rule[1]
        self._start_month = rule[2]
        self._start_week = rule[3]
        self._start_weekday = rule[4]
        self._start_time_s = rule[5]
        self._end_month = rule[6]
        self._end_week = rule[7]
        self._end_weekday = rule[8]
        self._end_time_s = rule[9]
        self._year = -1
        self._start_day = 0
        self._end_day = 0
        self.offset_s = self.standard_offset_s
        self.change_in_s = HORIZON_S
        self.held_s = 0
        self.held_for_s = 0

    def at(self, day: int, second: int) -> None:
        """Answer for UTC ``day`` and ``second`` of day (0 … 86399). See the class for what it sets."""
        self.change_in_s = HORIZON_S
        self.held_s = 0
        self.held_for_s = 0
        if not self._start_month:
            self.offset_s = self.standard_offset_s
            return
        standard = self.standard_offset_s
        daylight = self.daylight_offset_s
        year = year_of(day + (second + standard) // SECONDS_PER_DAY)
        if year != self._year:
            self._year = year
            self._start_day = nth_weekday(year, self._start_month, self._start_week, self._start_weekday)
            self._end_day = nth_weekday(year, self._end_month, self._end_week, self._end_weekday)
        # Seconds since each change of this year; negative before it. A year of seconds fits 30 bits.
        since_start = (day - self._start_day) * SECONDS_PER_DAY + second - self._start_time_s + standard
        since_end = (day - self._end_day) * SECONDS_PER_DAY + second - self._end_time_s + daylight
        if self._start_month < self._end_month:
            is_daylight = since_start >= 0 and since_end < 0
        else:
            is_daylight = since_start >= 0 or since_end < 0
        self.offset_s = daylight if is_daylight else standard
        if since_start < 0 and -since_start < self.change_in_s:
            self.change_in_s = -since_start
        if since_end < 0 and -since_end < self.change_in_s:
            self.change_in_s = -since_end
        # Clocks go back by `repeated` seconds at one of the two changes (at the start where "daylight" is the
        # winter time, as in Ireland). The schedule's clock waits at the last second before the change, so that
        # nothing already switched is switched again.
        repeated = daylight - standard
        since = since_end
        if repeated < 0:
            repeated = -repeated
            since = since_start
        if 0 <= since < repeated:
            self.held_for_s = repeated - since
            self.held_s = repeated - since - 1
