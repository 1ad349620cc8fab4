"""A second opinion on one lamp: who should speak, and how bright, restated from DESIGN.md, section 2, and TALQ 2.7.1.

It shares no code with `firmware.control`, knows plans only as `host_tools.plan.encode` has them, and judges those
without the sun in the zone UTC. What the street senses (sensor trust, wave, volume class, thermal cap) it is told:
those parts have oracles of their own.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from host_tools.plan.encode import LampPlan

DAY_S = 86_400
BLIND_MS = 12 * 3_600_000
DEFAULT, OVERRIDE, SENSOR, PROGRAM, INACTIVE, FAILSAFE, PROTECTION = 0, 1, 2, 3, 16, 17, 18
BY = {"default": 0, "fixed": 1, "astro": 2, "dynamic": 3, "period": 4, "override": 5, "local": 6}
BY |= {"emergency": 7, "service": 8, "clock": 9, "temperature": 10}
KINDS = {0: "override", 2: "emergency", 3: "service"}


class Verdict(NamedTuple):
    """What should be: ``level`` -1 where only the cause can be told."""

    reason: int
    by: int
    level: int


@dataclass
class Order:
    """A command in force or to come; times in s of UTC since 2000, None: none."""

    level: int
    start_s: int | None
    end_s: int | None
    blind_since_ms: int | None = None


@dataclass
class World:
    """All that a lamp is told; ``utc_s`` is None without a clock."""

    presence: int = 0
    neighbours: int = 0
    external: int = -1
    lux: int = -1
    local: int = -1
    may_dim: int = 0
    classes_down: int = 0
    cap: int = 1000
    is_protecting: bool = False
    utc_s: int | None = None
    is_doubted: bool = False


@dataclass
class Oracle:
    """Follows one lamp from its first moment; `judge` is to be asked at every moment at which something changes."""

    plan: LampPlan
    options: dict
    orders: dict[str, Order] = field(default_factory=dict)
    _program: int | None = None
    _on: list[bool] = field(default_factory=lambda: [False] * 4)
    _holds: dict[int, int] = field(default_factory=dict)
    _dark: list[bool] = field(default_factory=lambda: [True] * 4)

    def command(self, kind: int, level: int, start_s: int | None, end_s: int | None) -> None:
        """Take a command: the last wins in its place, a resume ends all."""
        if kind == 1:
            self.orders.clear()
        else:
            self.orders[KINDS[kind]] = Order(level, start_s, end_s)

    def judge(self, t_ms: int, world: World) -> Verdict:
        """Return what should be the case now."""
        active = self._active_order(t_ms, world)
        found = None
        if world.utc_s is not None:
            found = self._schedule(t_ms, world, world.utc_s)
        else:
            self._edges(t_ms, world)
        if active:
            verdict = Verdict(OVERRIDE, BY[active], self.orders[active].level)
        elif world.local != -1:
            verdict = Verdict(OVERRIDE, BY["local"], world.local)
        elif found is None:
            verdict = Verdict(FAILSAFE, BY["clock"], self._failsafe(world))
        else:
            verdict = found
            if world.is_doubted and not world.may_dim and found.level == 0:
                # Nothing is switched off by a clock that only the feeder vouches for, in its first hours.
                verdict = Verdict(FAILSAFE, BY["clock"], self._failsafe(world))
        return self._limit(verdict, world)

    def _active_order(self, t_ms: int, world: World) -> str | None:
        speaking = None
        for place in ("service", "emergency", "override"):
            order = self.orders.get(place)
            if order is None:
                continue
            if world.utc_s is not None:
                order.blind_since_ms = None
                is_over = order.end_s is not None and world.utc_s >= order.end_s
                is_begun = order.start_s is None or world.utc_s >= order.start_s
            else:
                if order.blind_since_ms is None:
                    order.blind_since_ms = t_ms
                is_over = order.end_s is not None and t_ms - order.blind_since_ms >= BLIND_MS
                is_begun = order.start_s is None
            if is_over:
                del self.orders[place]
            elif is_begun and speaking is None:
                speaking = place
        return speaking

    def _failsafe(self, world: World) -> int:
        """Lit, and at most dimmed late; a photocell is left to its own tests (-1)."""
        if world.lux >= 0:
            return -1
        lit, dim = self.plan.failsafe_level_permille, self.options["dim_permille"]
        return dim if world.may_dim and 0 < dim < lit else lit

    def _schedule(self, t_ms: int, world: World, utc_s: int) -> Verdict:
        plan = self.plan
        offset_s = plan.day_offset_h * 3600
        day, in_day = divmod(utc_s - offset_s, DAY_S)
        number = self._program_of(day)
        if number != self._program:
            self._program = number
            self._holds.clear()
            self._dark = [True] * 4
        self._edges(t_ms, world)
        if number is None:
            return Verdict(DEFAULT, BY["default"], plan.default_level_permille)
        program = plan.programs[number]
        second = utc_s % DAY_S
        is_active = not program.periods
        for i, period in enumerate(program.periods):
            is_active = self._is_active(i, period, second, world) or is_active
        if not is_active:
            return Verdict(INACTIVE, BY["period"], 0)

        def starts_in_day(control) -> int:
            return (control.start_s - offset_s) % DAY_S

        begun = [control for control in program.fixed if starts_in_day(control) <= in_day]
        if begun:
            level = max(begun, key=starts_in_day).level_permille
        else:
            before = self._program_of(day - 1)
            last = plan.programs[number if before is None else before].fixed
            level = max(last, key=starts_in_day).level_permille
        share = (1000, 700, 500)[world.classes_down]
        base = max(level * share // 1000, 1 if level else 0)
        level = base
        decisive = None
        for i in reversed(range(len(program.dynamic))):
            control = program.dynamic[i]
            if control.period and control.period[0] != control.period[1]:
                start, end = control.period
                if not (start <= second < end if start < end else second >= start or second < end):
                    continue
            if not self._on[control.channel] and self._holds.get(i, 0) <= t_ms:
                continue
            value = self._last_external if control.kind == 1 else control.level_permille
            after = (value, max(level, value), min(level, value), level + value, level - value, level * value // 1000)
            changed = min(max(after[control.operation], 0), 1000)
            if changed != level:
                level, decisive = changed, i
        if decisive is not None and level != base:
            return Verdict(SENSOR, BY["dynamic"], level)
        return Verdict(PROGRAM, BY["fixed"], base)

    _last_external = 0

    def _edges(self, t_ms: int, world: World) -> None:
        if world.external != -1:
            self._last_external = world.external
        now = [world.presence == 1, world.neighbours == 1, world.external != -1, world.lux == 0]
        if self._program is not None:
            for i, control in enumerate(self.plan.programs[self._program].dynamic):
                if now[control.channel] != self._on[control.channel]:
                    self._holds[i] = 0 if now[control.channel] else t_ms + control.hold_ds * 100
        self._on = now

    def _program_of(self, day: int) -> int | None:
        for rule in self.plan.rules:
            # 2000-01-01 was a Saturday; bit 0 is Monday.
            if rule.weekdays >> ((day + 5) % 7) & 1:
                return rule.program
        return None if self.plan.default_program == 255 else self.plan.default_program

    def _is_active(self, i: int, period, second: int, world: World) -> bool:
        if period.kind == 0:
            start, end = period.start_s, period.end_s
            if start == end:
                return True
            return start <= second < end if start < end else second >= start or second < end
        value = (world.presence, world.neighbours, world.external, world.lux)[period.channel]
        if period.kind == 3:
            if value == -1 or value < period.on_level:
                self._dark[i] = True
            elif value > period.off_level:
                self._dark[i] = False
            return self._dark[i]
        if value == -1 and period.channel == 2:
            # Who asks for nothing asks for no light.
            value = 0
        state = period.on_level
        answers = (value == state, value != state, value >= state, value > state, value <= state, value < state)
        return value == -1 or answers[period.operator]

    def _limit(self, verdict: Verdict, world: World) -> Verdict:
        level = verdict.level
        if level == -1:
            return verdict
        guard = self.options["guard_permille"]
        least = self.options["driver_minimum_permille"]
        is_derogated = self.options["is_derogated"]
        cap = world.cap
        if verdict.by == BY["service"]:
            cap = cap if world.is_protecting else 1000
        else:
            if level > 0:
                level = max(level, least if is_derogated else max(guard, least))
            if not world.is_protecting and not is_derogated:
                cap = max(cap, guard)
            if cap > 0:
                cap = max(cap, least)
        if level > cap and world.is_protecting:
            return Verdict(PROTECTION, BY["temperature"], cap)
        return verdict._replace(level=min(level, cap))
