"""What is wanted of a lamp: the highest that speaks, from commands down to the fail-safe, and who that is."""

from .compat import const
from .inputs import COMMAND_EMERGENCY, COMMAND_OVERRIDE, COMMAND_SERVICE, UNKNOWN
from .overrides import Override
from .plan_format import NO_PROGRAM
from .reasons import (
    BY_ASTRO,
    BY_CLOCK,
    BY_DEFAULT,
    BY_DYNAMIC,
    BY_EMERGENCY,
    BY_FIXED,
    BY_LOCAL,
    BY_OVERRIDE,
    BY_PERIOD,
    BY_SERVICE,
    DEFAULT,
    FAILSAFE,
    INACTIVE,
    ONE_CLASS_DOWN,
    OVERRIDE,
    PROGRAM,
    SENSOR,
    TWO_CLASSES_DOWN,
)
from .ticks import ticks_diff

# Places for commands, the highest first.
_SERVICE = const(0)
_EMERGENCY = const(1)
_OVERRIDE = const(2)
_PLACES = const(3)


class Wants:
    """Finds level, reason, who it is (``by``, ``index``) and the ramp to it. Levels in permille, ramps in ms.

    ``must_be_lit``, an input: no program switches the lamp off, for its clock is in doubt (lighting.md, F6).
    ``note``: `reasons.ONE_CLASS_DOWN` or `TWO_CLASSES_DOWN` where little traffic lowered the program's level, else 0.
    ``next_s``: when, at the latest, the commands are to be asked again. While ``is_due``, a command that has no clock
    to end by ends at the tick ``due_ms``.
    """

    def __init__(self, config, plan, schedule, dynamics, street, failsafe):
        self._plan = plan
        self._schedule = schedule
        self._dynamics = dynamics
        self._street = street
        self._failsafe = failsafe
        self._places = [Override(), Override(), Override()]
        # What is kept of the program's level, in permille, none, one and two classes down.
        self._shares = [1000, config.volume_one_permille, config.volume_two_permille]
        self.level = 0
        self.reason = DEFAULT
        self.by = BY_DEFAULT
        self.index = 0
        # Which program the control belongs to, where it belongs to one.
        self.program = NO_PROGRAM
        self.ramp_ms = 0
        self.note = 0
        self.must_be_lit = False
        self.next_s = 0
        self.is_due = False
        self.due_ms = 0

    def command(self, command) -> None:
        """Take a `Command`. A resume ends all that was commanded."""
        kind = command.kind
        if kind == COMMAND_SERVICE:
            self._places[_SERVICE].take(command)
        elif kind == COMMAND_EMERGENCY:
            self._places[_EMERGENCY].take(command)
        elif kind == COMMAND_OVERRIDE:
            self._places[_OVERRIDE].take(command)
        else:
            for i in range(_PLACES):
                self._places[i].resume()

    def time(self, is_known: bool, day: int, second: int, tick: int) -> None:
        """Ask the commands whether they are in force. Sets ``next_s``, ``is_due`` and ``due_ms``."""
        self.next_s = 86400
        self.is_due = False
        for i in range(_PLACES):
            place = self._places[i]
            place.at(is_known, day, second, tick)
            if place.next_s < self.next_s:
                self.next_s = place.next_s
            if place.is_blind and (not self.is_due or ticks_diff(place.blind_due_ms, self.due_ms) < 0):
                self.is_due = True
                self.due_ms = place.blind_due_ms

    def find(self, is_known: bool, local_permille: int) -> None:
        """Find what is wanted now."""
        for i in range(_PLACES):
            place = self._places[i]
            if place.is_active:
                by = BY_SERVICE if i == _SERVICE else BY_EMERGENCY if i == _EMERGENCY else BY_OVERRIDE
                self._set(place.level_permille, OVERRIDE, by, 0, place.ramp_to_ms)
                return
        self.find_below_commands(is_known, local_permille)

    def find_below_commands(self, is_known: bool, local_permille: int) -> None:
        """Find what is wanted where no command is in force."""
        plan = self._plan
        default_ms = plan.default_ramp_ms
        if local_permille != UNKNOWN:
            self._set(local_permille, OVERRIDE, BY_LOCAL, 0, default_ms)
        elif not is_known:
            # The lamp fails lit, for as long as there is no clock; a clock clears it.
            self._set(self._failsafe.level_permille, FAILSAFE, BY_CLOCK, self._failsafe.reason, default_ms)
        elif self._schedule.program == NO_PROGRAM:
            self._set(plan.default_level_permille, DEFAULT, BY_DEFAULT, 0, default_ms)
        elif not self._schedule.is_active:
            self._set(0, INACTIVE, BY_PERIOD, 0, default_ms)
        else:
            self._find_program()
        if self.must_be_lit and self.level == 0 and self.reason != OVERRIDE:
            self._set(self._failsafe.level_permille, FAILSAFE, BY_CLOCK, self._failsafe.reason, default_ms)

    def ends_in_s(self, by: int) -> int:
        """Return when the command ``by`` ends, in s from the last `time()`; `UNKNOWN`: not within a day."""
        place = self._places[_SERVICE if by == BY_SERVICE else _EMERGENCY if by == BY_EMERGENCY else _OVERRIDE]
        return place.next_s if place.next_s <= 86400 else UNKNOWN

    def leaving_ramp_ms(self, by: int, index: int) -> int:
        """Return the ramp with which a cause is left for a lower one (TALQ, rampFromLevelTime)."""
        # A lamp that stays up after its program ended has a control of that other program.
        if by == BY_DYNAMIC and index < self._plan.dynamic:
            return self._plan.dynamic_ramp_from_ms(index)
        if by == BY_FIXED:
            return self._schedule.fixed_ramp_from_ms
        if by == BY_ASTRO:
            return self._plan.astro_ramp_from_ms(index)
        if by == BY_SERVICE:
            return self._places[_SERVICE].ramp_from_ms
        if by == BY_EMERGENCY:
            return self._places[_EMERGENCY].ramp_from_ms
        if by == BY_OVERRIDE:
            return self._places[_OVERRIDE].ramp_from_ms
        return self._plan.default_ramp_ms

    def _find_program(self) -> None:
        plan = self._plan
        schedule = self._schedule
        dynamics = self._dynamics
        plan.select(schedule.program)
        base = schedule.level_permille * self._shares[self._street.classes_down] // 1000
        if base == 0 and schedule.level_permille > 0:
            # Little traffic asks for less light, never for none.
            base = 1
        level = dynamics.apply(base, schedule.dynamic)
        if dynamics.index != UNKNOWN and level != base:
            self._set(level, SENSOR, BY_DYNAMIC, dynamics.index, plan.dynamic_ramp_to_ms(dynamics.index))
            self.program = schedule.program
        elif schedule.astro != UNKNOWN:
            self._set(base, PROGRAM, BY_ASTRO, schedule.astro, plan.astro_ramp_to_ms(schedule.astro))
            self.program = schedule.program
        else:
            self._set(base, PROGRAM, BY_FIXED, schedule.fixed, schedule.fixed_ramp_to_ms)
            self.program = schedule.fixed_program
        if self.reason == PROGRAM and base != schedule.level_permille:
            self.note = ONE_CLASS_DOWN if self._street.classes_down == 1 else TWO_CLASSES_DOWN

    def _set(self, level: int, reason: int, by: int, index: int, ramp_ms: int) -> None:
        self.level = level
        self.reason = reason
        self.by = by
        self.index = index
        self.program = NO_PROGRAM
        self.ramp_ms = ramp_ms
        self.note = 0


def rank(reason: int) -> int:
    """Return the height of a reason: falling to a lower one takes the ramp of what is left."""
    if reason == OVERRIDE:
        return 3
    if reason == SENSOR:
        return 2
    return 0 if reason == INACTIVE else 1


def is_urgent(reason: int) -> bool:
    """Tell whether a reason changes the light at once: commands, presence, the fail-safe, protection."""
    return OVERRIDE <= reason <= SENSOR or reason >= FAILSAFE
