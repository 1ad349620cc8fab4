"""Thermal derating and thermal shutdown: what a temperature leaves of the light (TALQ 2.7.1, uCIFI 3416/22 … 25).

A luminaire that is too hot gives less light before it gives none. Temperatures are tenths of a degree Celsius
(``_dc``). Heat moves in minutes: what moves faster is noise, and noise may not be seen.
"""

from .compat import const
from .ticks import ticks_add, ticks_diff

_FULL = const(1000)

# What a driver says when it has no reading, and an absolute limit that is not there (both out of any sensor's range).
UNKNOWN_DC = const(-32768)
NO_LIMIT_DC = const(32767)

# Readings this close (1 °C) to the one last acted upon change nothing: ± 0.5 °C is what a sensor and its wiring do.
_NOISE_DC = const(10)
# At most one visible change in 10 s that nobody asked for: DESIGN.md, section 2 (0.1 … 3 Hz is obtrusive, ILP).
_QUIET_MS = const(10000)
# Protection lasts at least so long: a lamp that goes dark or dim and comes back is then far below 0.1 Hz.
_PROTECTION_MS = const(60000)

_NORMAL = const(0)
_SHUTDOWN = const(1)
_ABSOLUTE = const(2)


class ThermalDerating:
    """The thermal cap of one lamp.

    Below ``start_dc`` none; from there a straight line down to ``floor_permille`` at ``full_dc`` (> ``start_dc``), and
    the floor above. The cap comes down with the temperature and goes up when that has fallen ``hysteresis_dc``
    (10 or more) below, both in steps of at least 1 °C.

    Thermal shutdown (TALQ's word): from ``shutdown_dc`` on the lamp is at ``protection_permille`` (at most the floor),
    at once. From ``absolute_dc`` on (absent: never) it is off, the one case where heat darkens a lamp that must be lit.
    Each lasts 60 s at least, and until the temperature is ``hysteresis_dc`` below its threshold, or unknown: that
    clears it, nobody has to come.

    Results: ``cap_permille``; ``is_protection``: in thermal shutdown; ``is_unknown``: no reading, so no derating (the
    lamp fails lit). ``is_due``, ``due_ms``: the cap may not change before that tick, except into protection.
    """

    def __init__(
        self,
        start_dc: int,
        full_dc: int,
        floor_permille: int,
        shutdown_dc: int,
        hysteresis_dc: int,
        protection_permille: int = 100,
        absolute_dc: int = NO_LIMIT_DC,
    ):
        self._start_dc = start_dc
        self._full_dc = full_dc
        self._floor_permille = floor_permille
        self._shutdown_dc = shutdown_dc
        self._hysteresis_dc = hysteresis_dc
        self._protection_permille = protection_permille
        self._absolute_dc = absolute_dc
        self.cap_permille = _FULL
        self.is_protection = False
        self.is_unknown = True
        self.is_due = False
        self.due_ms = 0
        # The temperature acted upon, the stage it asks for, and the stage that the cap has.
        self._held_dc = UNKNOWN_DC
        self._stage = _NORMAL
        self._shown_stage = _NORMAL

    def temperature(self, tick: int, value_dc: int) -> None:
        """Take a reading in tenths of °C, or ``UNKNOWN_DC``. See the class for what it sets."""
        self.is_unknown = value_dc == UNKNOWN_DC
        held = self._held_dc
        # No reading is colder than any.
        if value_dc > held + _NOISE_DC:
            self._held_dc = value_dc
        elif value_dc < held - self._hysteresis_dc - _NOISE_DC:
            self._held_dc = value_dc + self._hysteresis_dc
        self._stage = self._stage_of(value_dc)
        self._follow(tick)

    def pass_due(self, tick: int) -> None:
        """Let the cap follow again: to be called at ``due_ms``."""
        self.is_due = False
        self._follow(tick)

    def _stage_of(self, value_dc: int) -> int:
        """Return the stage that a reading asks for: up at the threshold, down ``hysteresis_dc`` below it."""
        easier_dc = value_dc + self._hysteresis_dc
        if value_dc >= self._absolute_dc or (self._stage == _ABSOLUTE and easier_dc > self._absolute_dc):
            return _ABSOLUTE
        if value_dc >= self._shutdown_dc or (self._stage >= _SHUTDOWN and easier_dc > self._shutdown_dc):
            return _SHUTDOWN
        return _NORMAL

    def _wanted(self) -> int:
        if self._stage == _ABSOLUTE:
            return 0
        if self._stage == _SHUTDOWN:
            return self._protection_permille
        over = self._held_dc - self._start_dc
        if over <= 0:
            return _FULL
        span = self._full_dc - self._start_dc
        if over >= span:
            return self._floor_permille
        # The product is negative and `//` rounds down: to the cool side.
        return _FULL + (self._floor_permille - _FULL) * over // span

    def _follow(self, tick: int) -> None:
        stage = self._stage
        if self.is_due and stage <= self._shown_stage and ticks_diff(tick, self.due_ms) < 0:
            return
        cap = self._wanted()
        if cap == self.cap_permille and stage == self._shown_stage:
            return
        self.cap_permille = cap
        self._shown_stage = stage
        self.is_protection = stage != _NORMAL
        self.is_due = True
        self.due_ms = ticks_add(tick, _PROTECTION_MS if self.is_protection else _QUIET_MS)
