"""The decision: what level a lamp output has, how it gets there, why, and when to ask again.

A decision is a function of what was seen and when, never of how often ``step()`` was called: deadlines that have passed
are carried out at their own tick, in order, before anything newer. So an event-driven caller, which calls at inputs and
at ``wake_ms``, and one that calls every 100 ms get the same decisions, bit for bit.
"""

from .civil import DAY_MAX, DAY_MIN, SECONDS_PER_DAY
from .compat import const
from .dynamics import Dynamics
from .inputs import CLOCK_UNKNOWN, COMMAND_EMERGENCY, COMMAND_OVERRIDE, COMMAND_SERVICE, UNKNOWN, Now, Seen
from .overrides import Override
from .plan_format import NO_PROGRAM
from .power import EnergyCounter, PowerCurve
from .ramp import Ramp
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
    OVERRIDE,
    PROGRAM,
    SENSOR,
)
from .schedule import Schedule
from .sun import Sun
from .ticks import ticks_add, ticks_diff
from .zone import ZoneRule

_NONE = const(255)
_DAY_S = const(86400)
# Places for commands, the highest first.
_SERVICE = const(0)
_EMERGENCY = const(1)
_OVERRIDE = const(2)
_PLACES = const(3)


class Config:
    """What belongs to one lamp and not to the program: its place, zone, luminaire, and the level found at start.

    ``zone``: the ten integers of `ZoneRule`. ``levels_permille`` and ``powers_mw``: the knots of `PowerCurve`.
    ``start_level_permille``: the level the launcher has put the lamp to before the first step (it fails lit: 1000).
    """

    def __init__(
        self,
        zone,
        latitude_udeg: int,
        longitude_udeg: int,
        levels_permille,
        powers_mw,
        standby_mw: int,
        start_level_permille: int = 1000,
    ):
        self.zone = zone
        self.latitude_udeg = latitude_udeg
        self.longitude_udeg = longitude_udeg
        self.levels_permille = levels_permille
        self.powers_mw = powers_mw
        self.standby_mw = standby_mw
        self.start_level_permille = start_level_permille


class Controller:
    """One lamp output under one plan.

    After ``step()``: ``level_permille`` is the target, reached ``fade_ms`` after ``decided_ms`` in a straight line from
    ``from_permille``; ``reason``, ``by`` and ``by_index`` say why (`reasons`), ``since_ms`` since when. ``wake_ms`` is
    the tick at which it wants to be called again, at most a day ahead. ``energy`` is an `EnergyCounter`, complete up
    to the last deadline or input; ``count_to()`` brings it up to a tick.
    """

    def __init__(self, config: Config, plan):
        self._plan = plan
        self._curve = PowerCurve(config.levels_permille, config.powers_mw, config.standby_mw)
        zone = ZoneRule(config.zone)
        self._schedule = Schedule(plan, zone, Sun(config.latitude_udeg, config.longitude_udeg))
        self._dynamics = Dynamics(plan)
        self._places = [Override(), Override(), Override()]
        self._ramp = Ramp(config.start_level_permille)
        self.energy = EnergyCounter()
        self.starts = 0
        self.level_permille = config.start_level_permille
        self.from_permille = config.start_level_permille
        self.fade_ms = 0
        self.decided_ms = 0
        self.reason = _NONE
        self.by = _NONE
        self.by_index = 0
        self.since_ms = 0
        self.wake_ms = 0
        # What was last taken from the caller. Deadlines are carried out with these, not with what came after them.
        self._seen = Seen()
        self._now_changes = UNKNOWN
        self._seen_changes = UNKNOWN
        self._is_started = False
        self._is_known = False
        self._tick = 0
        self._day = 0
        self._second = 0
        self._ms = 0
        self._counted_ms = 0
        self._schedule_due_ms = 0
        # What the last look wanted.
        self._want_level = 0
        self._want_reason = _NONE
        self._want_by = _NONE
        self._want_index = 0
        self._want_ramp_ms = 0
        # The ramp with which the present cause is left for a lower one (TALQ, rampFromLevelTime).
        self._leave_ramp_ms = 0

    def step(self, now: Now, seen: Seen) -> bool:
        """Take note of the moment and of what is seen; return True when a decision was made.

        Then call again with the same arguments until it returns False: a late call may have several decisions to make,
        each with its own ``decided_ms``. Calls may not come later than ``wake_ms`` by days, nor go back. It allocates
        nothing.
        """
        tick = now.ticks_ms
        is_news = now.changes != self._now_changes or seen.changes != self._seen_changes
        if self._is_started:
            if not is_news and ticks_diff(tick, self.wake_ms) < 0:
                return False
            while ticks_diff(tick, self.wake_ms) > 0:
                if self._pass_deadline():
                    return True
        else:
            self._is_started = True
            self._tick = tick
            self._counted_ms = tick
            self.decided_ms = tick
            is_news = True
        if is_news:
            self._move_to(tick)
            self.count_to(tick)
            self._take(now, seen)
            if self._decide():
                return True
        while ticks_diff(tick, self.wake_ms) >= 0:
            if self._pass_deadline():
                return True
        return False

    def level_at(self, tick: int) -> int:
        """Return the level in permille at a tick not before ``decided_ms``: a pure function of the last decision."""
        return self._ramp.level_at(tick)

    def count_to(self, tick: int) -> None:
        """Bring the energy and burning counters up to ``tick``."""
        ramp = self._ramp
        if ramp.is_running:
            span = ticks_diff(tick, self._counted_ms)
            left = ramp.left_ms(self._counted_ms)
            if span > left:
                span = left
            before = ramp.level_at(self._counted_ms)
            self._counted_ms = ticks_add(self._counted_ms, span)
            after = ramp.level_at(self._counted_ms)
            power = self._curve.at(before) if before == after else self._curve.mean(before, after)
            self.energy.add(power, span, True)
            if span == left:
                ramp.is_running = False
        span = ticks_diff(tick, self._counted_ms)
        if span > 0:
            self.energy.add(self._curve.at(self.level_permille), span, self.level_permille > 0)
            self._counted_ms = tick

    def _move_to(self, tick: int) -> None:
        """Let both clocks run on to ``tick``."""
        if self._is_known:
            ms = self._ms + ticks_diff(tick, self._tick)
            self._ms = ms % 1000
            second = self._second + ms // 1000
            self._second = second % SECONDS_PER_DAY
            self._day += second // SECONDS_PER_DAY
        self._tick = tick

    def _take(self, now: Now, seen: Seen) -> None:
        """Take over what has changed, at the current tick."""
        mine = self._seen
        # The schedule is asked again only where it may answer otherwise: a presence edge must stay cheap.
        is_time = False
        if now.changes != self._now_changes:
            self._now_changes = now.changes
            # A clock outside 2020 … 2199 is none.
            self._is_known = now.quality != CLOCK_UNKNOWN and DAY_MIN <= now.day <= DAY_MAX
            self._day = now.day
            self._second = now.second
            self._ms = now.ms
            is_time = True
        if seen.changes != self._seen_changes:
            self._seen_changes = seen.changes
            if seen.commands != mine.commands:
                mine.commands = seen.commands
                self._take_command(seen.command)
                is_time = True
            if seen.lux != mine.lux or seen.external != mine.external:
                is_time = True
            mine.presence = seen.presence
            mine.neighbours = seen.neighbours
            mine.external = seen.external
            mine.lux = seen.lux
            mine.local_permille = seen.local_permille
        if is_time:
            self._ask_time()
        self._dynamics.take(mine, self._tick)
        self._set_wake()

    def _take_command(self, command) -> None:
        kind = command.kind
        if kind == COMMAND_SERVICE:
            self._places[_SERVICE].take(command, self._tick)
        elif kind == COMMAND_EMERGENCY:
            self._places[_EMERGENCY].take(command, self._tick)
        elif kind == COMMAND_OVERRIDE:
            self._places[_OVERRIDE].take(command, self._tick)
        else:
            for i in range(_PLACES):
                self._places[i].resume()

    def _pass_deadline(self) -> bool:
        """Carry out what was due at ``wake_ms``, at that tick; True when it made a decision."""
        tick = self.wake_ms
        self._move_to(tick)
        self.count_to(tick)
        self._dynamics.pass_due(tick)
        if self._schedule_due_ms == tick or self._is_blind_due(tick):
            self._ask_time()
        self._set_wake()
        return self._decide()

    def _is_blind_due(self, tick: int) -> bool:
        for i in range(_PLACES):
            place = self._places[i]
            if place.is_blind and place.blind_due_ms == tick:
                return True
        return False

    def _ask_time(self) -> None:
        """Ask all that depends on the time of day, and note when to ask again."""
        ahead_s = _DAY_S
        for i in range(_PLACES):
            place = self._places[i]
            place.at(self._is_known, self._day, self._second, self._tick)
            if place.next_s < ahead_s:
                ahead_s = place.next_s
        ms = 0
        if self._is_known:
            self._schedule.at(self._day, self._second, self._seen)
            if self._schedule.next_s < ahead_s:
                ahead_s = self._schedule.next_s
            self._dynamics.choose(self._schedule.program)
            ms = self._ms
        self._schedule_due_ms = ticks_add(self._tick, ahead_s * 1000 - ms)

    def _set_wake(self) -> None:
        wake = self._schedule_due_ms
        if self._dynamics.is_due and ticks_diff(self._dynamics.due_ms, wake) < 0:
            wake = self._dynamics.due_ms
        for i in range(_PLACES):
            place = self._places[i]
            if place.is_blind and ticks_diff(place.blind_due_ms, wake) < 0:
                wake = place.blind_due_ms
        self.wake_ms = wake

    def _decide(self) -> bool:
        """Compare what is wanted with the last decision; True when a new one was made, at the current tick."""
        self._resolve()
        is_new = self._want_level != self.level_permille or self._want_reason != self.reason
        if is_new:
            self._change()
        if is_new or self._want_by != self.by or self._want_index != self.by_index:
            self.since_ms = self._tick
            self.by = self._want_by
            self.by_index = self._want_index
            self._leave_ramp_ms = self._leaving_ramp_ms()
        return is_new

    def _change(self) -> None:
        tick = self._tick
        level = self._ramp.level_at(tick)
        ramp_ms = self._want_ramp_ms
        if _rank(self._want_reason) < _rank(self.reason):
            ramp_ms = self._leave_ramp_ms
        if level == self._want_level:
            ramp_ms = 0
        if level == 0 and self._want_level > 0:
            self.starts += 1
        self._ramp.start(tick, level, self._want_level, ramp_ms)
        self.from_permille = level
        self.level_permille = self._want_level
        self.fade_ms = ramp_ms
        self.reason = self._want_reason
        self.decided_ms = tick

    def _leaving_ramp_ms(self) -> int:
        """Return the ramp with which the present cause will be left."""
        by = self.by
        if by == BY_DYNAMIC:
            return self._plan.dynamic_ramp_from_ms(self.by_index)
        if by == BY_FIXED:
            return self._plan.fixed_ramp_from_ms(self.by_index)
        if by == BY_SERVICE:
            return self._places[_SERVICE].ramp_from_ms
        if by == BY_EMERGENCY:
            return self._places[_EMERGENCY].ramp_from_ms
        if by == BY_OVERRIDE:
            return self._places[_OVERRIDE].ramp_from_ms
        return self._plan.default_ramp_ms

    def _want(self, level: int, reason: int, by: int, index: int, ramp_ms: int) -> None:
        self._want_level = level
        self._want_reason = reason
        self._want_by = by
        self._want_index = index
        self._want_ramp_ms = ramp_ms

    def _resolve(self) -> None:
        """Find what is wanted now, the highest first: commands, then the program with its dynamic controls."""
        for i in range(_PLACES):
            place = self._places[i]
            if place.is_active:
                by = BY_SERVICE if i == _SERVICE else BY_EMERGENCY if i == _EMERGENCY else BY_OVERRIDE
                self._want(place.level_permille, OVERRIDE, by, 0, place.ramp_to_ms)
                return
        plan = self._plan
        default_ms = plan.default_ramp_ms
        if self._seen.local_permille != UNKNOWN:
            self._want(self._seen.local_permille, OVERRIDE, BY_LOCAL, 0, default_ms)
        elif not self._is_known:
            # The lamp fails lit: the fail-safe level, for as long as there is no clock; a clock clears it.
            self._want(plan.failsafe_level_permille, FAILSAFE, BY_CLOCK, 0, default_ms)
        elif self._schedule.program == NO_PROGRAM:
            self._want(plan.default_level_permille, DEFAULT, BY_DEFAULT, 0, default_ms)
        elif not self._schedule.is_active:
            self._want(0, INACTIVE, BY_PERIOD, 0, default_ms)
        else:
            self._resolve_program()

    def _resolve_program(self) -> None:
        plan = self._plan
        schedule = self._schedule
        dynamics = self._dynamics
        plan.select(schedule.program)
        base = schedule.level_permille
        level = dynamics.apply(base, schedule.dynamic)
        if dynamics.index != UNKNOWN and level != base:
            self._want(level, SENSOR, BY_DYNAMIC, dynamics.index, plan.dynamic_ramp_to_ms(dynamics.index))
        elif schedule.astro != UNKNOWN:
            self._want(base, PROGRAM, BY_ASTRO, schedule.astro, plan.astro_ramp_to_ms(schedule.astro))
        else:
            self._want(base, PROGRAM, BY_FIXED, schedule.fixed, plan.fixed_ramp_to_ms(schedule.fixed))


def _rank(reason: int) -> int:
    """Return the height of a reason: falling to a lower one takes the ramp of what is left."""
    if reason == OVERRIDE:
        return 3
    if reason == SENSOR:
        return 2
    return 0 if reason == INACTIVE else 1
