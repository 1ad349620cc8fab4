"""The controls of a plan in words: which program, and which of its controls, as an operator wrote them."""

from collections.abc import Sequence

from firmware.control import plan_format as layout
from firmware.control import reasons
from firmware.control.calendar_rules import Calendar
from firmware.control.civil import SECONDS_PER_DAY
from firmware.control.plan import Plan
from firmware.control.zone import ZoneRule

from .program import CHANNELS, EVENTS, clock_text

_CHANNEL_NAMES = {number: name for name, number in CHANNELS.items()}
_EVENT_NAMES = {number: name for name, number in EVENTS.items()}


class PlanWords:
    """Names the controls of a plan: which program, and which of its controls, as an operator wrote them."""

    def __init__(self, plan: Plan, names: Sequence[str], zone: ZoneRule):
        self.plan = plan
        self.calendar = Calendar(plan)
        self._names = names
        self._zone = zone

    def program(self, index: int) -> str:
        """Return the id of a program."""
        return self._names[index] if index < len(self._names) else f"program {index + 1}"

    def control(self, program: int, by: int, index: int, day: int, second: int) -> str:
        """Return a control in words; ``day`` and ``second``: the node's UTC."""
        plan = self.plan
        if by == reasons.BY_FIXED:
            source, found = self.fixed_source(program, index, day, second)
            words = self.fixed(source, found)
            return words if source == program else f"{self.program(program)}: still {words} of the day before"
        plan.select(program)
        if by == reasons.BY_ASTRO:
            return self.astro(program, index)
        if by == reasons.BY_DYNAMIC:
            return self.dynamic(program, index)
        return f"{self.program(program)}: outside its active periods"

    def fixed(self, program: int, index: int) -> str:
        """Return a fixed time control in words."""
        self.plan.select(program)
        start = clock_text(self.plan.fixed_start_s(index))
        return f"{self.program(program)}: fixed {start.removesuffix(':00')}"

    def astro(self, program: int, index: int) -> str:
        """Return an astro clock time control in words."""
        self.plan.select(program)
        minutes = self.plan.astro_offset_s(index) // 60
        event = _EVENT_NAMES[self.plan.astro_event(index)]
        return f"{self.program(program)}: astro {index + 1} ({event}{f' {minutes:+} min' if minutes else ''})"

    def dynamic(self, program: int, index: int) -> str:
        """Return a dynamic control in words."""
        self.plan.select(program)
        return f"{self.program(program)}: dynamic {index + 1} ({_CHANNEL_NAMES[self.plan.dynamic_channel(index)]})"

    def fixed_source(self, program: int, index: int, day: int, second: int) -> tuple[int, int]:
        """Return the program and control that a fixed level really comes from: before the day's first, yesterday's."""
        plan = self.plan
        self._zone.at(day, second)
        in_day = second + self._zone.offset_s + self._zone.held_s - plan.day_offset_s
        calendar_day = day + in_day // SECONDS_PER_DAY
        plan.select(program)
        starts = self._starts()
        if min(starts) <= in_day % SECONDS_PER_DAY:
            return program, index
        yesterday = self.calendar.program_of(calendar_day - 1)
        if yesterday in (layout.NO_PROGRAM, program):
            return program, index
        plan.select(yesterday)
        starts = self._starts()
        return yesterday, starts.index(max(starts))

    def _starts(self) -> list[int]:
        plan = self.plan
        return [(plan.fixed_start_s(i) - plan.day_offset_s) % SECONDS_PER_DAY for i in range(plan.fixed)]
