"""Commands that stand above the program: the last wins, each ends when it says, none is forgotten halfway."""

from .compat import const
from .inputs import UNKNOWN
from .ticks import ticks_add, ticks_diff

# A command with an end waits for it at most this long while there is no clock to tell the end by.
BLIND_MAX_MS = const(43200000)
# Further ahead than this nobody looks: the schedule asks again at least once a day.
_FAR_S = const(172800)
_NONE = const(0)
_SET = const(1)


class Override:
    """One place for one command. ``is_active`` says whether it is in force at the moment last asked for.

    TALQ: a new command removes the former at once, even when the new one starts later; until then the program rules.
    """

    def __init__(self):
        self._state = _NONE
        self.is_active = False
        self.level_permille = 0
        self.ramp_to_ms = 0
        self.ramp_from_ms = 0
        self.next_s = _FAR_S
        self._start_day = UNKNOWN
        self._start_s = 0
        self._end_day = UNKNOWN
        self._end_s = 0
        self._is_blind = False
        self.blind_due_ms = 0

    def take(self, command) -> None:
        """Put ``command`` in the place of what was here."""
        self._state = _SET
        self.level_permille = command.level_permille
        self.ramp_to_ms = command.ramp_to_ms
        self.ramp_from_ms = command.ramp_from_ms
        self._start_day = command.start_day
        self._start_s = command.start_s
        self._end_day = command.end_day
        self._end_s = command.end_s
        self._is_blind = False

    def resume(self) -> None:
        """Remove what is here: back to normal operation."""
        self._state = _NONE
        self.is_active = False
        self._is_blind = False

    @property
    def is_blind(self) -> bool:
        """Return whether the command counts ticks because there is no clock; then ``blind_due_ms`` ends it."""
        return self._is_blind

    def at(self, is_known: bool, day: int, second: int, tick: int) -> None:
        """Set ``is_active``, and ``next_s``: when, at the latest, to ask again."""
        self.next_s = _FAR_S
        self.is_active = False
        if self._state == _NONE:
            return
        if not is_known:
            self._at_blind(tick)
            return
        self._is_blind = False
        if self._end_day != UNKNOWN:
            left = _seconds_to(self._end_day, self._end_s, day, second)
            if left <= 0:
                self.resume()
                return
            self.next_s = left
        if self._start_day != UNKNOWN:
            left = _seconds_to(self._start_day, self._start_s, day, second)
            if left > 0:
                if left < self.next_s:
                    self.next_s = left
                return
        self.is_active = True

    def _at_blind(self, tick: int) -> None:
        """Without a clock a command that starts later waits, and one with an end is trusted for twelve hours."""
        if self._end_day != UNKNOWN:
            if not self._is_blind:
                # From the loss of the clock on: until then the end was told by it, however many rings ago it came.
                self._is_blind = True
                self.blind_due_ms = ticks_add(tick, BLIND_MAX_MS)
            elif ticks_diff(tick, self.blind_due_ms) >= 0:
                self.resume()
                return
        self.is_active = self._start_day == UNKNOWN


def _seconds_to(day: int, second: int, now_day: int, now_second: int) -> int:
    """Return the time to a moment in s, cut to ± two days so that it fits 30 bits."""
    days = day - now_day
    if days > 1:
        return _FAR_S
    if days < -1:
        return -_FAR_S
    return days * 86400 + second - now_second
