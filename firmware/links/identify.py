"""Which one are you? The lamp glides slowly between two levels, both lit, for whoever stands below and looks up.

Nothing that blinks (0.1 … 3 Hz is obtrusive: control/flicker.py): a fade of 3 s, then rest; 12 s from one to the next,
so a turn takes 24 s, 0.04 Hz. It is never darker than it was, unless it was brighter than ``_LOW_MAX_PERMILLE`` and the
class guard: then it goes down to these. It is a service command, so "why am I lit" says `service`. Asking again while
it lasts makes it last longer and changes nothing else; whoever asks every second sees the same slow glide.

A lamp in an emergency, under test, or protecting itself is left alone, and so is one with any command that comes later:
that ends it at once. Each step ends by itself (UTC), and without a clock within the 12 h of control: should this task
die, the lamp is lit meanwhile.

Loaded where it is used, and forgotten (`firmware.system.once`).
"""

from firmware.control.civil import DAY_MAX
from firmware.control.compat import const
from firmware.control.inputs import COMMAND_SERVICE, UNKNOWN
from firmware.control.reasons import BY_EMERGENCY, BY_SERVICE, PROTECTION
from firmware.control.ticks import ticks_add, ticks_diff

STEP_MS = const(12000)
_RAMP_MS = const(3000)
_HIGH_PERMILLE = const(1000)
_LOW_MIN_PERMILLE = const(400)
_LOW_MAX_PERMILLE = const(600)
# Should the next step not come, control ends this one so long after its time.
_GRACE_S = const(30)
_DAY_S = const(86400)


class Identify:
    """Shows one lamp output (`Lamp`). Its steps are not remembered: the controller of a new plan gets none of them.

    ``is_over``: it has been shown, and the next showing need keep no distance from it.
    """

    def __init__(self, lamp):
        self._lamp = lamp
        self.is_running = False
        self._end_ms = 0
        self._next_ms = 0
        # The last change may be that of an earlier showing: the next one keeps its distance from it too.
        self._is_quiet = False
        self._is_high = False
        self._low = _LOW_MIN_PERMILLE

    @property
    def is_over(self) -> bool:
        """Tell whether nothing of it is left to be known."""
        return not self.is_running and not self._is_quiet

    def start(self, controller, tick: int, duration_s: int) -> bool:
        """Begin, or go on for longer; False where the lamp has something better to do."""
        if not self.is_running:
            if controller.by in (BY_EMERGENCY, BY_SERVICE) or controller.reason == PROTECTION:
                return False
            level = controller.level_permille
            guard = controller.output.limits.guard_permille
            self._low = max(_LOW_MIN_PERMILLE, guard, min(level, _LOW_MAX_PERMILLE))
            # The first step is the one that shows most.
            self._is_high = level > (self._low + _HIGH_PERMILLE) // 2
            self.is_running = True
            if not self._is_quiet or ticks_diff(tick, self._next_ms) >= 0:
                self._next_ms = tick
            self._end_ms = tick
        end_ms = ticks_add(tick, duration_s * 1000)
        if ticks_diff(end_ms, self._end_ms) > 0:
            self._end_ms = end_ms
        return True

    def poll(self, tick: int, is_known: bool, day: int, second: int) -> bool:
        """Make the step that is due; True if there was one. To be called every few seconds."""
        if self._is_quiet and not self.is_running and ticks_diff(tick, self._next_ms) >= 0:
            self._is_quiet = False
        if not self.is_running or ticks_diff(tick, self._next_ms) < 0:
            return False
        if ticks_diff(tick, self._end_ms) >= 0:
            self.stop(tick)
            return True
        self._is_high = not self._is_high
        self._note(tick)
        end_s = second + STEP_MS // 1000 + _GRACE_S
        if not is_known:
            day = DAY_MAX - 1
        level = _HIGH_PERMILLE if self._is_high else self._low
        self._give((COMMAND_SERVICE, level, _RAMP_MS, _RAMP_MS, UNKNOWN, 0, day + end_s // _DAY_S, end_s % _DAY_S))
        return True

    def stop(self, tick: int) -> None:
        """End it now: the lamp goes back to what it is to do without."""
        if not self.is_running:
            return
        self.is_running = False
        self._note(tick)
        # A service command of a moment that never comes: it takes the place of the step, and is itself never in force,
        # with a clock or without. A resume would end the commands of others.
        self._give((COMMAND_SERVICE, _HIGH_PERMILLE, _RAMP_MS, _RAMP_MS, DAY_MAX, 0, DAY_MAX, 1))

    def _give(self, values) -> None:
        self._lamp.intake.command(*values)

    def _note(self, tick: int) -> None:
        self._is_quiet = True
        self._next_ms = ticks_add(tick, STEP_MS)
