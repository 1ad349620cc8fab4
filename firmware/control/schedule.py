"""What the program wants at one moment, as a state and not as a list of events: nothing can be missed or doubled.

A clock that was wrong, a node that slept, a night with a changed hour: asked again, the schedule gives the state that
belongs to that moment, and how many seconds it stays.
"""

from .civil import SECONDS_PER_DAY
from .compat import const
from .plan import PERIOD_ABSOLUTE
from .sun import POLAR_DAY, POLAR_NIGHT

# The sun's times of four days are kept: yesterday, today, tomorrow, and room for the next. A power of two.
_SUN_DAYS = const(4)


class Schedule:
    """The program of ``plan`` at one place: ``zone`` (`ZoneRule`) and ``sun`` (`Sun`) answer for it.

    After ``at(day, second)``: ``is_active`` (inside an active period), ``index`` of the fixed time control in force,
    ``is_dynamic`` (inside the dynamic control's own period) and ``next_s``: how many seconds that holds at least.
    """

    def __init__(self, plan, zone, sun):
        self._plan = plan
        self._zone = zone
        self._sun = sun
        # Where the zone lies across the date line from its meridian (Kiribati), the sun's day is not the civil one.
        self._sun_shift = -((sun.mean_noon_s + zone.standard_offset_s) // SECONDS_PER_DAY)
        self._sun_day = [-1] * _SUN_DAYS
        self._sun_kind = [0] * _SUN_DAYS
        self._sun_rise = [0] * _SUN_DAYS
        self._sun_transit = [0] * _SUN_DAYS
        self._sun_set = [0] * _SUN_DAYS
        self.is_active = False
        self.is_dynamic = False
        self.index = 0
        self.next_s = 0

    def at(self, day: int, second: int) -> None:
        """Answer for UTC ``day`` and ``second`` (0 … 86399). See the class for what it sets."""
        zone = self._zone
        zone.at(day, second)
        local = second + zone.offset_s + zone.held_s
        local_day = day + local // SECONDS_PER_DAY
        local_s = local % SECONDS_PER_DAY
        self.next_s = zone.change_in_s
        if zone.held_for_s:
            # The hour that the clocks repeat: the schedule's clock stands still, so its own times do not come nearer.
            self._sooner(zone.held_for_s)
        else:
            self._sooner(SECONDS_PER_DAY - local_s)
        self._find_fixed(local_s)
        self.is_active = self._find_active(day, second, local_day, local_s)
        self.is_dynamic = self._plan.dynamic > 0 and self._inside(
            self._plan.dynamic_start_s(0), self._plan.dynamic_end_s(0), local_s
        )

    def _sooner(self, seconds: int) -> None:
        if seconds < self.next_s:
            self.next_s = seconds

    def _local_event(self, event_s: int, local_s: int) -> None:
        """Take note of a local time of day at which the state may change."""
        if event_s > local_s and not self._zone.held_for_s:
            self._sooner(event_s - local_s)

    def _find_fixed(self, local_s: int) -> None:
        """Find the fixed time control in force: each ends at the next, the last goes on over midnight."""
        plan = self._plan
        self.index = plan.fixed - 1
        for i in range(plan.fixed):
            start = plan.fixed_start_s(i)
            if start <= local_s:
                self.index = i
            else:
                self._local_event(start, local_s)
                break

    def _inside(self, start: int, end: int, local_s: int) -> bool:
        """Tell whether a time of day lies in [start, end); over midnight where end < start, all day where equal."""
        self._local_event(start, local_s)
        self._local_event(end, local_s)
        if start == end:
            return True
        if start < end:
            return start <= local_s < end
        return local_s >= start or local_s < end

    def _find_active(self, day: int, second: int, local_day: int, local_s: int) -> bool:
        plan = self._plan
        if plan.periods == 0:
            return True
        active = False
        for i in range(plan.periods):
            start = plan.period_start_s(i)
            end = plan.period_end_s(i)
            # Both are asked even when one is already active: each knows the next moment of its own.
            if plan.period_kind(i) == PERIOD_ABSOLUTE:
                if self._inside(start, end, local_s):
                    active = True
            else:
                for night in range(local_day - 1, local_day + 1):
                    if self._inside_night(night, start, end, day, second):
                        active = True
        return active

    def _inside_night(self, night: int, sunset_offset: int, sunrise_offset: int, day: int, second: int) -> bool:
        """Tell whether the moment lies between the sunset of local day ``night`` and the sunrise of the next.

        In the polar night it lasts from transit to transit; on a polar day there is none, and where the next day has no
        sunrise, none of the next day begins: it ends in the middle of the night.
        """
        evening = self._sun_of(night)
        if self._sun_kind[evening] == POLAR_DAY:
            return False
        base = (night - day) * SECONDS_PER_DAY - second
        if self._sun_kind[evening] == POLAR_NIGHT:
            start = base + self._sun_transit[evening]
        else:
            start = base + self._sun_set[evening] + sunset_offset
        morning = self._sun_of(night + 1)
        kind = self._sun_kind[morning]
        end = base + SECONDS_PER_DAY
        if kind == POLAR_NIGHT:
            end += self._sun_transit[morning]
        elif kind == POLAR_DAY:
            end += self._sun_transit[morning] - SECONDS_PER_DAY // 2
        else:
            end += self._sun_rise[morning] + sunrise_offset
        if start >= end:
            return False
        if start > 0:
            self._sooner(start)
        if end > 0:
            self._sooner(end)
        return start <= 0 < end

    def _sun_of(self, local_day: int) -> int:
        """Return the slot that holds the sun's times of a local day, relative to UTC midnight of that day number."""
        slot = local_day & (_SUN_DAYS - 1)
        if self._sun_day[slot] != local_day:
            sun = self._sun
            sun.of(local_day + self._sun_shift)
            shift = self._sun_shift * SECONDS_PER_DAY
            self._sun_day[slot] = local_day
            self._sun_kind[slot] = sun.kind
            self._sun_rise[slot] = sun.rise_s + shift
            self._sun_transit[slot] = sun.transit_s + shift
            self._sun_set[slot] = sun.set_s + shift
        return slot
