"""From the level that is wanted to what the lamp may give: limits, heat, no flicker; then what the driver is told."""

from .derating import ThermalDerating
from .flicker import FlickerGuard
from .flux import FluxKeeper
from .limits import NONE, PROTECTION, Limits
from .relay import Relay
from .ticks import ticks_add, ticks_diff

_FULL = 1000


class Output:
    """The way out of one lamp output.

    ``driver_permille(level, burning_h)``: what the driver is told, with constant light output and virtual power output.
    ``is_closed``: the mains relay, where there is one. ``limits`` says which limit changed the level last. While
    ``is_due``, ``pass_due(due_ms)`` is to be called; it returns True when the level must be looked at again.
    """

    def __init__(self, config):
        self.limits = Limits(config.guard_permille, config.is_derogated, config.driver_minimum_permille)
        self.derating = ThermalDerating(*config.derating) if config.derating else None
        self.flicker = FlickerGuard(config.quiet_ms, config.start_level_permille)
        self._flux = FluxKeeper(
            config.flux_hours, config.flux_needs_permille, config.maximum_permille, config.driver_minimum_permille
        )
        self._relay = Relay(*config.relay) if config.relay else None
        self._is_dark_due = False
        self._dark_due_ms = 0
        self.is_closed = True
        self.is_due = False
        self.due_ms = 0

    def temperature(self, tick: int, value_dc: int) -> None:
        """Take the temperature in tenths of °C, or `derating.UNKNOWN_DC`."""
        if self.derating is not None:
            self.derating.temperature(tick, value_dc)
            self._settle()

    def allow(self, level: int, must_be_lit: bool, is_service: bool) -> int:
        """Return the level that the lamp may have. A service command passes by all limits but protection."""
        cap = _FULL
        is_protection = False
        if self.derating is not None:
            cap = self.derating.cap_permille
            is_protection = self.derating.is_protection
        if is_service:
            limits = self.limits
            limits.which = PROTECTION if is_protection and cap < level else NONE
            allowed = cap if limits.which == PROTECTION else level
            limits.is_below_guard = level > 0 and allowed < limits.guard_permille
            return allowed
        return self.limits.allowed(level, must_be_lit, cap, is_protection)

    def would_allow(self, level: int) -> int:
        """Return what `allow` would of a program's or a command's level; what the limits say of now stays."""
        limits = self.limits
        which = limits.which
        is_below_guard = limits.is_below_guard
        allowed = self.allow(level, False, False)
        limits.which = which
        limits.is_below_guard = is_below_guard
        return allowed

    @property
    def is_hot(self) -> bool:
        """Return whether heat takes light, or would."""
        derating = self.derating
        return derating is not None and (derating.is_protection or derating.cap_permille < _FULL)

    @property
    def is_protecting(self) -> bool:
        """Return whether protection changed the level last."""
        return self.limits.which == PROTECTION

    def driver_permille(self, level: int, burning_h: int) -> int:
        """Return what the driver is told for ``level``, after ``burning_h`` hours of burning."""
        return self._flux.output(level, burning_h)

    def changed(self, tick: int, before: int, after: int, fade_ms: int) -> None:
        """Note a decision: the light goes from ``before`` to ``after`` in ``fade_ms``."""
        self.flicker.changed(tick, before, after)
        if self._relay is not None:
            self._is_dark_due = after == 0 and fade_ms > 0
            if self._is_dark_due:
                # The relay opens after the fade, not into it.
                self._dark_due_ms = ticks_add(tick, fade_ms)
            else:
                self._relay.want(tick, after > 0)
                self.is_closed = self._relay.is_closed
        self._settle()

    def may_change(self, tick: int, is_urgent: bool) -> bool:
        """Tell whether the light may change now; if not, ``pass_due()`` says when to look again."""
        is_free = self.flicker.may_change(tick, is_urgent)
        self._settle()
        return is_free

    def pass_due(self, tick: int) -> None:
        """Do what is due at ``tick``. The caller decides anew after it."""
        if self._relay is not None:
            if self._is_dark_due and self._dark_due_ms == tick:
                self._is_dark_due = False
                self._relay.want(tick, False)
            if self._relay.is_due and self._relay.due_ms == tick:
                self._relay.pass_due(tick)
            self.is_closed = self._relay.is_closed
        if self.derating is not None and self.derating.is_due and self.derating.due_ms == tick:
            self.derating.pass_due(tick)
        self.refresh(tick)

    def refresh(self, tick: int) -> None:
        """Let a quiet end that is over. Nobody is woken for one that nothing waits for; at the least, once a day."""
        flicker = self.flicker
        if flicker.is_due and ticks_diff(tick, flicker.due_ms) >= 0:
            flicker.pass_due(tick)
        self._settle()

    def _settle(self) -> None:
        self.is_due = self._is_dark_due
        self.due_ms = self._dark_due_ms
        if self.flicker.is_waiting:
            self._sooner(self.flicker)
        if self.derating is not None:
            self._sooner(self.derating)
        if self._relay is not None:
            self._sooner(self._relay)

    def _sooner(self, part) -> None:
        if part.is_due and (not self.is_due or ticks_diff(part.due_ms, self.due_ms) < 0):
            self.is_due = True
            self.due_ms = part.due_ms
