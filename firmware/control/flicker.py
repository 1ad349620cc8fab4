"""No visible flicker: changes of light that nobody asked for keep their distance.

At most one visible change in 10 s outside presence and commands, and nothing in 0.1 … 3 Hz, which counts as obtrusive
(ILP, Lighting Journal, "Flash cordon"; DESIGN.md, section 2).
"""

from .compat import const
from .ticks import ticks_add, ticks_diff

# More than 3 % of the brighter of two levels is visible: the eye judges ratios (Weber's law), and this is just above
# one arc of DALI's logarithmic curve (2.8 % at every level), the step that IEC 62386-102 is built on so that a fade
# looks smooth. So 10 % to 13 % is visible, and 100 % to 97 % is not; on and off always are.
_VISIBLE_PERCENT = const(3)

_QUIET_MS = const(10000)


class FlickerGuard:
    """When the light of one lamp may change.

    Urgent (presence, commands, protection, fail-safe) is always let through. After a visible change all else waits
    until ``quiet_ms`` (0 … 2^29 - 1) are over. It holds no level: the caller asks again when ``pass_due()`` says so,
    with what is wanted then, so the latest wanted wins. A change waits ``quiet_ms`` at most, whatever urgent ones come
    between: those do not move its ``due_ms``.

    ``is_due``, ``due_ms``: quiet until that tick; ``is_waiting``: somebody was refused since.
    """

    def __init__(self, quiet_ms: int = _QUIET_MS, level_permille: int = 0):
        self._quiet_ms = quiet_ms
        self.is_due = False
        self.due_ms = 0
        self.is_waiting = False
        # The light after the last visible change: many small ones make a visible one.
        self._seen_permille = level_permille

    def may_change(self, tick: int, is_urgent: bool) -> bool:
        """Tell whether the light may change now; if not, the change is waiting for ``due_ms``."""
        if is_urgent:
            return True
        self.is_waiting = self.is_due and ticks_diff(tick, self.due_ms) < 0
        return not self.is_waiting

    def changed(self, tick: int, before: int, after: int) -> None:
        """Note that the light goes from ``before`` to ``after`` (0 … 1000 permille), at the start of that."""
        if not (is_visible(before, after) or is_visible(self._seen_permille, after)):
            return
        self._seen_permille = after
        if not self.is_waiting:
            self.is_due = True
            self.due_ms = ticks_add(tick, self._quiet_ms)

    def pass_due(self, tick: int) -> bool:
        """End the quiet, at ``due_ms``; True when somebody waits: decide again now, with what is wanted now."""
        was_waiting = self.is_waiting
        self.is_due = False
        self.is_waiting = False
        return was_waiting


def is_visible(before: int, after: int) -> bool:
    """Tell whether somebody sees the difference between two levels in permille."""
    if before > after:
        return (before - after) * 100 > before * _VISIBLE_PERCENT
    return (after - before) * 100 > after * _VISIBLE_PERCENT
