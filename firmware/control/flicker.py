"""No visible flicker: changes of light that nobody asked for keep their distance.

At most one visible change in 10 s outside presence and commands, and nothing in 0.1 … 3 Hz, which counts as obtrusive
(ILP, Lighting Journal, "Flash cordon"; DESIGN.md, section 2).
"""

from .compat import const
from .ticks import ticks_add, ticks_diff

# More than this much of full light is visible: just above one arc of DALI's logarithmic curve at full light (2.8 %),
# the step that IEC 62386-102 is built on so that a fade looks smooth.
VISIBLE_PERMILLE = const(30)

_QUIET_MS = const(10000)


class FlickerGuard:
    """When the light of one lamp may change.

    Urgent (presence, commands, protection, fail-safe) is always let through. After a visible change all else waits
    until ``quiet_ms`` (0 … 2^29 - 1) are over. It holds no level: the caller asks again when ``pass_due()`` says so,
    with what is wanted then, so the latest wanted wins. A change waits ``quiet_ms`` at most, whatever urgent ones come
    between: those do not move its ``due_ms``.

    ``is_due``, ``due_ms``: quiet until that tick; ``is_waiting``: somebody was refused since.
    """

    def __init__(self, quiet_ms: int = _QUIET_MS):
        self._quiet_ms = quiet_ms
        self.is_due = False
        self.due_ms = 0
        self.is_waiting = False
        # Small changes since the last visible one: many small ones make a visible one.
        self._drift_permille = 0

    def may_change(self, tick: int, is_urgent: bool) -> bool:
        """Tell whether the light may change now; if not, the change is waiting for ``due_ms``."""
        if is_urgent:
            return True
        self.is_waiting = self.is_due and ticks_diff(tick, self.due_ms) < 0
        return not self.is_waiting

    def changed(self, tick: int, change_permille: int) -> None:
        """Note that the light changed by ``change_permille`` (-1000 … 1000, later less earlier level), at its start."""
        drift = self._drift_permille + change_permille
        if -VISIBLE_PERMILLE <= drift <= VISIBLE_PERMILLE:
            self._drift_permille = drift
            return
        self._drift_permille = 0
        if not self.is_waiting:
            self.is_due = True
            self.due_ms = ticks_add(tick, self._quiet_ms)

    def pass_due(self, tick: int) -> bool:
        """End the quiet, at ``due_ms``; True when somebody waits: decide again now, with what is wanted now."""
        was_waiting = self.is_waiting
        self.is_due = False
        self.is_waiting = False
        return was_waiting
