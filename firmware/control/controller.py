"""The decision: what level a lamp output has, how it gets there, why, and when to ask again.

A decision is a function of what was seen and when, never of how often ``step()`` was called: deadlines that have passed
are carried out at their own tick, in order, before anything newer. So an event-driven caller, which calls at inputs and
at ``wake_ms``, and one that calls every 100 ms get the same decisions, bit for bit.
"""

from .civil import DAY_MAX, DAY_MIN, SECONDS_PER_DAY
from .compat import const
from .plan import EFFECT_ADD, EFFECT_MAX, EFFECT_MIN, EFFECT_MUL, EFFECT_SET, EFFECT_SUB
from .power import EnergyCounter, PowerCurve
from .reasons import FAILSAFE, INACTIVE, PROGRAM, SENSOR
from .schedule import Schedule
from .sun import Sun
from .ticks import ticks_add, ticks_diff
from .zone import ZoneRule

LEVEL_FULL = const(1000)

# Quality of the clock. Held: it was set once and runs on by itself.
CLOCK_UNKNOWN = const(0)
CLOCK_HELD = const(1)
CLOCK_GOOD = const(2)

_NONE = const(255)
_DAY_MS = const(86400000)


class Now:
    """The moment of a call, on two clocks that never mix.

    ``ticks_ms``: the ring of 2^30 ms, for how long. ``day`` (0 = 2000-01-01), ``second`` (0 … 86399) and ``ms``
    (0 … 999): UTC, for what time; they mean something unless ``quality`` is ``CLOCK_UNKNOWN``. Between corrections both
    clocks must advance together: a caller keeps one anchor and derives UTC from ticks.
    """

    def __init__(self):
        self.ticks_ms = 0
        self.quality = CLOCK_UNKNOWN
        self.day = 0
        self.second = 0
        self.ms = 0


class Seen:
    """What the node sees: ``presence`` is 1 while the sensor reports somebody, else 0.

    A driver whose sensor gives shorter pulses than the caller's period keeps 1 until it was seen.
    """

    def __init__(self):
        self.presence = 0


class Config:
    """What belongs to one lamp and not to the program: its place, zone, luminaire, and the level found at start.

    ``zone``: the ten integers of `ZoneRule`. ``levels_permille`` and ``powers_mw``: the knots of `PowerCurve`.
    ``start_level_permille``: the level the launcher has put the lamp to before the first step (it fails lit: 1000).
    """

    def __init__(
        self,
        zone,
        latitude_udeg,
        longitude_udeg,
        levels_permille,
        powers_mw,
        standby_mw,
        start_level_permille=1000,
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
    ``from_permille``; ``reason`` is a code of `reasons`; ``wake_ms`` is the tick at which it wants to be called again
    (at most a day ahead). ``energy`` is an `EnergyCounter`, complete up to the last deadline or input; ``count_to()``
    brings it up to a tick.
    """

    def __init__(self, config: Config, plan):
        self._plan = plan
        self._curve = PowerCurve(config.levels_permille, config.powers_mw, config.standby_mw)
        self._schedule = Schedule(plan, ZoneRule(config.zone), Sun(config.latitude_udeg, config.longitude_udeg))
        self.energy = EnergyCounter()
        self.starts = 0
        self.from_permille = config.start_level_permille
        self.level_permille = config.start_level_permille
        self.fade_ms = 0
        self.reason = _NONE
        self.decided_ms = 0
        self.wake_ms = 0
        self._is_fading = False
        self._is_known = False
        self._is_present = False
        self._is_holding = False
        self._tick = 0
        self._day = 0
        self._second = 0
        self._ms = 0
        self._counted_ms = 0
        self._schedule_due_ms = 0
        self._hold_due_ms = 0
        # What the last look at program and sensor wanted.
        self._want_level = 0
        self._want_ramp_ms = 0
        self._want_reason = _NONE

    def step(self, now: Now, seen: Seen) -> bool:
        """Take note of the moment and of what is seen; return True when a decision was made.

        Then call again with the same arguments until it returns False: a late call may have several decisions to make,
        each with its own ``decided_ms``. Calls may not come later than ``wake_ms`` by days, nor go back. It allocates
        nothing.
        """
        tick = now.ticks_ms
        if self._want_reason == _NONE:
            self._start(tick)
        else:
            while ticks_diff(tick, self.wake_ms) > 0:
                if self._pass_deadline():
                    return True
            self._move_to(tick)
        if self._take_clock(now) | self._take_presence(seen):
            self.count_to(tick)
            self._set_wake()
            if self._decide():
                return True
        while ticks_diff(tick, self.wake_ms) >= 0:
            if self._pass_deadline():
                return True
        return False

    def level_at(self, tick: int) -> int:
        """Return the level in permille at a tick not before ``decided_ms``: a pure function of the last decision."""
        if not self._is_fading:
            return self.level_permille
        elapsed = ticks_diff(tick, self.decided_ms)
        if elapsed >= self.fade_ms:
            return self.level_permille
        return self.from_permille + (self.level_permille - self.from_permille) * elapsed // self.fade_ms

    def count_to(self, tick: int) -> None:
        """Bring the energy and burning counters up to ``tick``."""
        if self._is_fading:
            left = self.fade_ms - ticks_diff(self._counted_ms, self.decided_ms)
            span = ticks_diff(tick, self._counted_ms)
            if span >= left:
                span = left
            before = self.level_at(self._counted_ms)
            self._counted_ms = ticks_add(self._counted_ms, span)
            after = self.level_at(self._counted_ms)
            power = self._curve.at(before) if before == after else self._curve.mean(before, after)
            self.energy.add(power, span, True)
            if span == left:
                self._is_fading = False
        span = ticks_diff(tick, self._counted_ms)
        if span > 0:
            self.energy.add(self._curve.at(self.level_permille), span, self.level_permille > 0)
            self._counted_ms = tick

    def _start(self, tick: int) -> None:
        self._tick = tick
        self._counted_ms = tick
        self.decided_ms = tick
        self._want_reason = FAILSAFE
        self._schedule_due_ms = tick

    def _move_to(self, tick: int) -> None:
        """Let both clocks run on to ``tick``."""
        if self._is_known:
            ms = self._ms + ticks_diff(tick, self._tick)
            self._ms = ms % 1000
            second = self._second + ms // 1000
            self._second = second % SECONDS_PER_DAY
            self._day += second // SECONDS_PER_DAY
        self._tick = tick

    def _take_clock(self, now: Now) -> bool:
        """Take the caller's clock; True when it says something else than ours. A clock outside 2020 … 2199 is none."""
        is_known = now.quality != CLOCK_UNKNOWN and DAY_MIN <= now.day <= DAY_MAX
        if is_known == self._is_known and (
            not is_known or (now.second == self._second and now.ms == self._ms and now.day == self._day)
        ):
            # The first step comes this way with no clock: its decision is still to be made.
            return self.reason == _NONE
        self._is_known = is_known
        self._day = now.day
        self._second = now.second
        self._ms = now.ms
        self._ask_schedule()
        return True

    def _take_presence(self, seen: Seen) -> bool:
        is_present = seen.presence != 0
        if is_present == self._is_present:
            return False
        self._is_present = is_present
        # The hold time starts when the sensor drops (TALQ 2.7.1, ControlEffect.holdTime).
        self._is_holding = not is_present and self._plan.dynamic > 0
        if self._is_holding:
            self._hold_due_ms = ticks_add(self._tick, self._plan.dynamic_hold_ms(0))
        return True

    def _pass_deadline(self) -> bool:
        """Carry out what was due at ``wake_ms``, at that tick; True when it made a decision."""
        tick = self.wake_ms
        self._move_to(tick)
        self.count_to(tick)
        if self._is_holding and self._hold_due_ms == tick:
            self._is_holding = False
        if self._schedule_due_ms == tick:
            self._ask_schedule()
        self._set_wake()
        return self._decide()

    def _ask_schedule(self) -> None:
        ahead_ms = _DAY_MS
        if self._is_known:
            self._schedule.at(self._day, self._second)
            ahead_ms = self._schedule.next_s * 1000 - self._ms
        self._schedule_due_ms = ticks_add(self._tick, ahead_ms)

    def _set_wake(self) -> None:
        self.wake_ms = self._schedule_due_ms
        if self._is_holding and ticks_diff(self._hold_due_ms, self.wake_ms) < 0:
            self.wake_ms = self._hold_due_ms

    def _decide(self) -> bool:
        """Compare what is wanted with the last decision; True when a new one was made, at the current tick."""
        self._resolve()
        if self._want_level == self.level_permille and self._want_reason == self.reason:
            return False
        tick = self._tick
        level = self.level_at(tick)
        is_sensor = self._want_reason == SENSOR or (self._want_reason == PROGRAM and self.reason == SENSOR)
        if is_sensor:
            if self._want_level > level:
                self._want_ramp_ms = self._plan.dynamic_ramp_up_ms(0)
            else:
                self._want_ramp_ms = self._plan.dynamic_ramp_down_ms(0)
        if level == 0 and self._want_level > 0:
            self.starts += 1
        self.from_permille = level
        self.level_permille = self._want_level
        self.fade_ms = 0 if level == self._want_level else self._want_ramp_ms
        self.reason = self._want_reason
        self.decided_ms = tick
        self._is_fading = self.fade_ms > 0
        return True

    def _resolve(self) -> None:
        """Find what is wanted now: level, ramp and reason."""
        plan = self._plan
        schedule = self._schedule
        if not self._is_known:
            # The lamp fails lit: the default light state, for as long as there is no clock; a clock clears it.
            self._want_level = plan.default_level_permille
            self._want_ramp_ms = plan.default_ramp_ms
            self._want_reason = FAILSAFE
            return
        if not schedule.is_active:
            self._want_level = 0
            self._want_ramp_ms = plan.default_ramp_ms
            self._want_reason = INACTIVE
            return
        base = plan.fixed_level_permille(schedule.index)
        self._want_level = base
        self._want_ramp_ms = plan.fixed_ramp_ms(schedule.index)
        self._want_reason = PROGRAM
        if schedule.is_dynamic and (self._is_present or self._is_holding):
            level = _apply(plan.dynamic_effect(0), base, plan.dynamic_value(0))
            if level != base:
                self._want_level = level
                self._want_reason = SENSOR


def _apply(effect: int, base: int, value: int) -> int:
    """Return the level that an effect (TALQ 2.7.1, EffectOperation) makes of ``base``, in 0 … 1000 permille."""
    level = base
    if effect == EFFECT_SET:
        level = value
    elif effect == EFFECT_MAX:
        level = value if value > base else base
    elif effect == EFFECT_MIN:
        level = value if value < base else base
    elif effect == EFFECT_ADD:
        level = base + value
    elif effect == EFFECT_SUB:
        level = base - value
    elif effect == EFFECT_MUL:
        # The value is a factor: 500 permille halves the level.
        level = base * value // 1000
    if level < 0:
        return 0
    return LEVEL_FULL if level > LEVEL_FULL else level
