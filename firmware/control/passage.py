"""Where a passer goes and how fast, from the order in which poles saw somebody.

It serves to light ahead, where that is configured: people prefer light around them to light ahead (Haans & de Kort
2012), so a missing estimate costs little and a wrong one lights a street for nobody. Hence the rule of this file: one
passer in plain order gives an estimate, anything else gives none until the street has been quiet.
"""

from .compat import const
from .ticks import ticks_add, ticks_diff

# A pole spacing of 25 to 35 m in 0.5 s is 180 km/h and more; in 60 s somebody who stands still.
_PACE_MIN_MS = const(500)
_PACE_MAX_MS = const(60000)

# Pace after which the passer is overdue: one sensor on the way missed (2 poles), at half the speed.
_OVERDUE_PACES = const(4)


class Passage:
    """Direction and pace of one passer along the street.

    ``trigger()`` takes each onset of presence, own (position 0) and neighbours' (their signed distance in poles).
    ``direction``: +1 towards positive positions, -1 towards negative ones, 0 not known; then ``pace_ms`` is the time
    from pole to pole (500 … 60000). ``ahead``: the passer comes nearer from before (-1) or from after (+1), expected
    here at the tick ``arrival_ms`` (already past when he lingers); 0: nobody known to come. ``is_mixed``: what was seen
    is not one passer in order; then nothing is estimated before ``window_ms`` without any trigger. That is no loss on a
    busy street: where somebody comes within a minute of the last, lamps hold their light in between. While ``is_due``,
    ``pass_due(due_ms)`` is to be called at the tick ``due_ms``.

    In order means: pole after pole in one direction, each step at a plausible pace and within a factor of two of the
    pace so far. One pole may be missing once the pace is known. Two triggers by two people who both appear in mid
    street within the window look like one passer: nothing in the triggers tells them apart.

    ``window_ms``: 60000 … 2^26. Positions are at most 127 poles away. Kept is what the estimate needs: the first
    trigger, the last one, and when the last position was seen again.
    """

    def __init__(self, window_ms: int = _PACE_MAX_MS):
        self._window_ms = window_ms
        self.direction = 0
        self.pace_ms = 0
        self.ahead = 0
        self.arrival_ms = 0
        self.is_mixed = False
        self.is_due = False
        self.due_ms = 0
        self._first = 0
        self._first_ms = 0
        self._last = 0
        self._last_ms = 0
        self._again_ms = 0

    def trigger(self, tick: int, position: int) -> bool:
        """Take a trigger; True when it ends a pass from one side of this pole to the other that it did not see.

        That is for `PresenceSensor.neighbours_saw`: the neighbours at -1 and +1, in either order, at a plausible pace,
        with nothing from here in between. Two people can look so, a dozen times in a row they do not.
        """
        is_unseen = False
        if not self.is_due:
            self._first = self._last = position
            self._first_ms = self._last_ms = tick
        elif not self.is_mixed:
            if position != self._last:
                is_unseen = self._move(tick, position)
            elif ticks_diff(tick, self._last_ms) > self._window_ms:
                # Somebody stays there: nobody's pace is to be learned from it.
                self._mix()
        self._again_ms = tick
        self.is_due = True
        self._estimate_ahead()
        return is_unseen

    def pass_due(self, tick: int) -> None:
        """Do what is due at ``tick``: the passer is overdue, or the street has been quiet."""
        quiet_ms = ticks_add(self._again_ms, self._window_ms)
        self._mix()
        if ticks_diff(tick, quiet_ms) >= 0:
            self.is_mixed = False
            self.is_due = False
        else:
            self.due_ms = quiet_ms

    def _move(self, tick: int, position: int) -> bool:
        """Let the passer come to another pole, or find that this is not one passer."""
        step = position - self._last
        poles = abs(step)
        elapsed = ticks_diff(tick, self._last_ms)
        # Somebody else may have been at the last pole since: the true pace then lies between these two.
        shortest = ticks_diff(tick, self._again_ms)
        is_plausible = poles <= 2 and _PACE_MIN_MS * poles <= elapsed <= _PACE_MAX_MS * poles
        is_plausible = is_plausible and elapsed <= 2 * shortest
        is_unseen = is_plausible and poles == 2 and self._last + position == 0
        if self.direction == 0:
            is_plausible = is_plausible and poles == 1
        else:
            expected = self.pace_ms * poles
            is_plausible = is_plausible and step * self.direction > 0 and expected <= 2 * elapsed <= 4 * expected
        self._last = position
        self._last_ms = tick
        if is_plausible:
            self.direction = 1 if step > 0 else -1
            self.pace_ms = ticks_diff(tick, self._first_ms) // abs(position - self._first)
        else:
            self._mix()
        return is_unseen

    def _mix(self) -> None:
        self.is_mixed = True
        self.direction = 0
        self.pace_ms = 0
        self.ahead = 0

    def _estimate_ahead(self) -> None:
        span_ms = self._window_ms
        self.ahead = 0
        if self.direction != 0:
            if self._last * self.direction < 0:
                self.ahead = -self.direction
                self.arrival_ms = ticks_add(self._last_ms, abs(self._last) * self.pace_ms)
            if _OVERDUE_PACES * self.pace_ms < span_ms:
                span_ms = _OVERDUE_PACES * self.pace_ms
        self.due_ms = ticks_add(self._again_ms, span_ms)
