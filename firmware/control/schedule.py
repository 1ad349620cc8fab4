"""What the calendar's program wants at one moment, as a state and not a list of events: nothing is missed or doubled.

A clock that was wrong, a node that slept, a night with a changed hour: asked again, the schedule gives the state that
belongs to that moment, and how many seconds it stays. TALQ's silences are filled as `docs/talq-readings.md` says.
"""

from .active_periods import ActivePeriods
from .calendar_rules import Calendar
from .civil import SECONDS_PER_DAY
from .compat import const
from .effects import apply_effect
from .plan_format import EVENT_SUNRISE, NO_PROGRAM
from .sun import SUN_NORMAL
from .sun_days import SunDays

_NEVER = const(-1)


class Schedule:
    """The calendar and programs of ``plan`` at one place: ``zone`` (`ZoneRule`) and ``sun`` (`Sun`) answer for it.

    After ``at(day, second, seen)``: ``program`` (`NO_PROGRAM`: none today), ``is_active`` (inside an active period),
    ``level_permille`` of the fixed time control and the astro clock time control over it, ``fixed`` and ``astro``:
    their indices (``astro`` -1: none), ``dynamic``: bit i is set inside the period of dynamic control i, ``next_s``:
    how many seconds that holds at least; ``local_day`` and ``local_s``: the schedule's own clock.
    """

    def __init__(self, plan, zone, sun):
        self._plan = plan
        self._zone = zone
        self._calendar = Calendar(plan)
        self._sun_days = SunDays(sun, zone.standard_offset_s)
        self._periods = ActivePeriods(plan, self._sun_days)
        self.program = NO_PROGRAM
        self.is_active = False
        self.level_permille = 0
        self.fixed = 0
        # Whose the fixed time control is: yesterday's program, until today's first begins.
        self.fixed_program = NO_PROGRAM
        self.fixed_ramp_to_ms = 0
        self.fixed_ramp_from_ms = 0
        self.astro = _NEVER
        self.dynamic = 0
        self.next_s = 0
        self.local_day = 0
        self.local_s = 0

    @property
    def is_sensing(self) -> bool:
        """Return whether presence, own or of neighbours, makes an active period begin or end."""
        return self.program != NO_PROGRAM and self._periods.is_sensing

    @property
    def periods(self) -> ActivePeriods:
        """Return the active periods: they remember what their sensors said."""
        return self._periods

    @property
    def sun_days(self) -> SunDays:
        """Return the sun's times of the days around the last moment asked for."""
        return self._sun_days

    def at(self, day: int, second: int, seen) -> None:
        """Answer for UTC ``day`` and ``second`` (0 … 86399) with what is ``seen`` (`Seen`)."""
        zone = self._zone
        plan = self._plan
        zone.at(day, second)
        local = second + zone.offset_s + zone.held_s
        local_day = day + local // SECONDS_PER_DAY
        local_s = local % SECONDS_PER_DAY
        self.local_day = local_day
        self.local_s = local_s
        # Noon to noon: the calendar's day is the one that the evening belongs to.
        in_day = local_s - plan.day_offset_s
        calendar_day = local_day if in_day >= 0 else local_day - 1
        in_day %= SECONDS_PER_DAY
        self.next_s = zone.change_in_s
        if zone.held_for_s:
            # The hour that the clocks repeat: the schedule's clock stands still, its own times do not come nearer.
            self._sooner(zone.held_for_s)
        else:
            self._sooner(SECONDS_PER_DAY - local_s)
            self._sooner(SECONDS_PER_DAY - in_day)
        self.program = self._calendar.program_of(calendar_day)
        self.dynamic = 0
        self.astro = _NEVER
        if self.program == NO_PROGRAM:
            self.is_active = True
            self.level_permille = plan.default_level_permille
            return
        self._find_fixed(calendar_day, in_day)
        periods = self._periods
        periods.next_s = self.next_s
        periods.is_held = zone.held_for_s > 0
        self.is_active = periods.at(self.program, day, second, local_day, local_s, seen)
        self._find_dynamic(local_s)
        self.next_s = periods.next_s
        self._find_astro(day, second, local_day)

    def _sooner(self, seconds: int) -> None:
        if seconds < self.next_s:
            self.next_s = seconds

    def _find_fixed(self, calendar_day: int, in_day: int) -> None:
        """Find the fixed time control in force: each ends at the next; before the day's first, yesterday's last."""
        plan = self._plan
        plan.select(self.program)
        found = _NEVER
        found_at = _NEVER
        for i in range(plan.fixed):
            at = (plan.fixed_start_s(i) - plan.day_offset_s) % SECONDS_PER_DAY
            if at > in_day:
                if not self._zone.held_for_s:
                    self._sooner(at - in_day)
            elif at > found_at:
                found = i
                found_at = at
        if found == _NEVER:
            yesterday = self._calendar.program_of(calendar_day - 1)
            if yesterday != NO_PROGRAM:
                plan.select(yesterday)
            found = self._last_fixed()
        self.fixed = found
        self.fixed_program = plan.selected
        self.level_permille = plan.fixed_level_permille(found)
        self.fixed_ramp_to_ms = plan.fixed_ramp_to_ms(found)
        self.fixed_ramp_from_ms = plan.fixed_ramp_from_ms(found)
        plan.select(self.program)

    def _last_fixed(self) -> int:
        """Return the control that ends the calendar day of the selected program."""
        plan = self._plan
        found = 0
        found_at = _NEVER
        for i in range(plan.fixed):
            at = (plan.fixed_start_s(i) - plan.day_offset_s) % SECONDS_PER_DAY
            if at > found_at:
                found = i
                found_at = at
        return found

    def _find_dynamic(self, local_s: int) -> None:
        plan = self._plan
        for i in range(plan.dynamic):
            if not plan.dynamic_has_period(i) or self._periods.inside(
                plan.dynamic_start_s(i), plan.dynamic_end_s(i), local_s
            ):
                self.dynamic |= 1 << i

    def _find_astro(self, day: int, second: int, local_day: int) -> None:
        """Find the astro clock time control in force, the last to have begun, and apply it over the fixed one.

        It lasts to the next one of its program, over midnight too; an event that the sun does not have is passed over.
        """
        plan = self._plan
        if not plan.astro:
            return
        days = self._sun_days
        since = SECONDS_PER_DAY * 2
        for i in range(plan.astro):
            for near in range(local_day - 1, local_day + 2):
                slot = days.of(near)
                if days.kind[slot] != SUN_NORMAL:
                    continue
                event = days.rise_s[slot] if plan.astro_event(i) == EVENT_SUNRISE else days.set_s[slot]
                left = (near - day) * SECONDS_PER_DAY + event + plan.astro_offset_s(i) - second
                if left > 0:
                    self._sooner(left)
                elif -left <= since:
                    since = -left
                    self.astro = i
        if self.astro != _NEVER:
            self.level_permille = apply_effect(
                plan.astro_operation(self.astro), self.level_permille, plan.astro_level_permille(self.astro)
            )
