"""Dynamic controls: what sensors and outside sources make of the program's level (TALQ 2.7.1, DynamicControl)."""

from .compat import const
from .effects import apply_effect
from .inputs import UNKNOWN
from .plan_format import (
    CHANNEL_EXTERNAL,
    CHANNEL_LUX,
    CHANNEL_PRESENCE,
    CHANNELS,
    DYNAMIC_EXTERNAL,
    DYNAMIC_MAX,
    NO_PROGRAM,
)
from .ticks import ticks_add, ticks_diff

_LEVEL_MAX = const(1000)


class Dynamics:
    """The dynamic controls of the program in force: which are on, and until when each is held after its sensor dropped.

    ``apply()`` sets ``index`` to the control that had the last word, `UNKNOWN` when none changed anything.
    """

    def __init__(self, plan):
        self._plan = plan
        self._program = NO_PROGRAM
        self._is_on = [0] * CHANNELS
        self._is_holding = [0] * DYNAMIC_MAX
        self._hold_due_ms = [0] * DYNAMIC_MAX
        self._external = 0
        self.index = UNKNOWN
        # Set while somebody asks what the program would be without its sensors.
        self.is_muted = False
        self.is_due = False
        self.due_ms = 0

    def choose(self, program: int) -> None:
        """Use the controls of ``program``. Another program's hold times end; a sensor that is on stays on."""
        if program != self._program:
            self._program = program
            for i in range(DYNAMIC_MAX):
                self._is_holding[i] = 0
            self._find_due()

    def take(self, seen, tick: int) -> None:
        """Take note of the sensors. The hold time starts when the sensor drops (TALQ, ControlEffect.holdTime)."""
        if seen.external != UNKNOWN:
            # The last level asked for is what the hold time holds.
            self._external = seen.external if seen.external < _LEVEL_MAX else _LEVEL_MAX
        for channel in range(CHANNELS):
            is_on = _is_on(seen, channel)
            if is_on != self._is_on[channel]:
                self._is_on[channel] = is_on
                self._edge(channel, is_on, tick)
        self._find_due()

    def pass_due(self, tick: int) -> None:
        """End the hold times that are due at ``tick``."""
        for i in range(DYNAMIC_MAX):
            if self._is_holding[i] and self._hold_due_ms[i] == tick:
                self._is_holding[i] = 0
        self._find_due()

    def apply(self, level: int, in_period: int) -> int:
        """Return what the controls make of ``level``; bit i of ``in_period`` is set within the period of control i.

        The list is applied from its end to its beginning, each to the result of the one before: the first element has
        the highest priority, so it has the last word.
        """
        plan = self._plan
        self.index = UNKNOWN
        if self.is_muted:
            return level
        for back in range(plan.dynamic):
            i = plan.dynamic - 1 - back
            if not in_period >> i & 1 or not (self._is_on[plan.dynamic_channel(i)] or self._is_holding[i]):
                continue
            value = plan.dynamic_level_permille(i)
            if plan.dynamic_kind(i) == DYNAMIC_EXTERNAL:
                value = self._external
            after = apply_effect(plan.dynamic_operation(i), level, value)
            if after != level:
                level = after
                self.index = i
        return level

    def _edge(self, channel: int, is_on: int, tick: int) -> None:
        if self._program == NO_PROGRAM:
            return
        plan = self._plan
        plan.select(self._program)
        for i in range(plan.dynamic):
            if plan.dynamic_channel(i) == channel:
                self._is_holding[i] = 0 if is_on else 1
                self._hold_due_ms[i] = ticks_add(tick, plan.dynamic_hold_ms(i))

    def _find_due(self) -> None:
        self.is_due = False
        for i in range(DYNAMIC_MAX):
            if self._is_holding[i] and (not self.is_due or ticks_diff(self._hold_due_ms[i], self.due_ms) < 0):
                self.is_due = True
                self.due_ms = self._hold_due_ms[i]


def _is_on(seen, channel: int) -> int:
    if channel == CHANNEL_PRESENCE:
        return 1 if seen.presence else 0
    if channel == CHANNEL_EXTERNAL:
        return 1 if seen.external != UNKNOWN else 0
    if channel == CHANNEL_LUX:
        # A photocell that reports 0 lux says dark.
        return 1 if seen.lux == 0 else 0
    return 1 if seen.neighbours else 0
