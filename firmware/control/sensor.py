"""The node's own presence sensor, judged: a sensor that chatters or sticks loses its vote, says so, and earns it back.

Faults 10 to 12 of the reliability list. A lost vote never makes the street darker than its program: the lamp falls
back to the schedule and to its neighbours' presence.
"""

from .compat import const
from .ticks import ticks_add, ticks_diff

# What `PresenceSensor.trust` says.
TRUSTED = const(0)
CHATTERING = const(1)
STUCK_HIGH = const(2)
STUCK_LOW = const(3)

# No timer runs. Ticks are 0 … 2^30 - 1.
_NONE = const(-1)


class PresenceSensor:
    """A presence sensor and what it is worth.

    ``edge()`` takes its raw edges, ``neighbours_saw()`` what the neighbours say about it. Attributes: ``is_on``, what
    the sensor reports; ``is_present``, its vote (on, and trusted); ``trust``: ``TRUSTED``, ``CHATTERING``,
    ``STUCK_HIGH`` or ``STUCK_LOW``. While ``is_due``, ``pass_due(due_ms)`` is to be called at the tick ``due_ms``.

    *Chattering*: more than ``rises_max`` (1 … 10000) rising edges in one window of ``window_ms``. A window opens with
    the first rising edge when none is open, so it needs one counter and no list of times; the price: a sensor with at
    most ``rises_max`` in every stretch of that length is never accused, one with more than twice as many in some
    stretch always is. The vote returns after ``good_windows`` windows in a row with fewer than a quarter of
    ``rises_max`` each. Defaults: 30 in 60 s is one lane at saturation flow (1,800 vehicles an hour), which no street
    that dims has at night; ten good minutes.

    *Stuck high*: on without a break for longer than ``on_max_ms`` (2 h). The vote returns with ``off_min_ms`` (1 min)
    of unbroken off.

    *Stuck low*: ``passes_max`` (20) passers in a row whom the neighbours on both sides saw and this sensor did not. The
    next rising edge clears it. It has nothing to vote meanwhile: the fault is there to be reported.

    All spans are at most ``TICKS_SPAN_MAX_MS``.
    """

    def __init__(
        self,
        rises_max: int = 30,
        window_ms: int = 60000,
        good_windows: int = 10,
        on_max_ms: int = 7200000,
        off_min_ms: int = 60000,
        passes_max: int = 20,
    ):
        self._rises_max = rises_max
        self._span_ms = window_ms
        self._good_windows = good_windows
        self._on_max_ms = on_max_ms
        self._off_min_ms = off_min_ms
        self._passes_max = passes_max
        self.is_on = False
        self.is_present = False
        self.trust = TRUSTED
        self.is_due = False
        self.due_ms = 0
        self._rises = 0
        self._good = 0
        self._passes = 0
        # The open window's end, and the end of the time that the present raw state may or must last.
        self._window_ms = _NONE
        self._level_ms = _NONE

    def edge(self, tick: int, is_on: bool, merged: int = 0) -> None:
        """Take the sensor's state after an edge; the state it already had is no edge.

        ``merged`` (0 … 2^20): further rising edges that the driver counted and swallowed since the last call, so that
        one which masks a storm does not hide it.
        """
        if is_on == self.is_on and merged == 0:
            return
        rises = merged
        if is_on and not self.is_on:
            rises += 1
        self.is_on = is_on
        if rises > 0:
            self._count(tick, rises)
        # Swallowed edges were a break too, so the time of the present state starts in any case.
        self._level_ms = _NONE
        if is_on:
            self._level_ms = ticks_add(tick, self._on_max_ms)
        elif self.trust == STUCK_HIGH:
            self._level_ms = ticks_add(tick, self._off_min_ms)
        self._settle()

    def neighbours_saw(self, tick: int) -> None:
        """Note that a passer went by, seen at ``tick`` on both sides of this pole (see `Passage.trigger`)."""
        if self.is_on or self.trust != TRUSTED:
            return
        self._passes += 1
        if self._passes >= self._passes_max:
            self.trust = STUCK_LOW

    def pass_due(self, tick: int) -> None:
        """Do what is due at ``tick``."""
        if self._level_ms >= 0 and ticks_diff(tick, self._level_ms) >= 0:
            self._level_ms = _NONE
            # Off is timed only after it stuck high, and any other change of trust comes with an edge.
            self.trust = STUCK_HIGH if self.is_on else TRUSTED
        if self._window_ms >= 0 and ticks_diff(tick, self._window_ms) >= 0:
            self._close_window()
        self._settle()

    def _count(self, tick: int, rises: int) -> None:
        self._passes = 0
        if self.trust == STUCK_LOW:
            self.trust = TRUSTED
        if self._window_ms < 0:
            self._window_ms = ticks_add(tick, self._span_ms)
        self._rises += rises
        if self._rises > self._rises_max:
            # One too many is enough to know: the counter is bounded.
            self._rises = self._rises_max + 1
            self.trust = CHATTERING

    def _close_window(self) -> None:
        self._good = self._good + 1 if self._rises * 4 < self._rises_max else 0
        self._rises = 0
        if self.trust == CHATTERING and self._good < self._good_windows:
            # Good behaviour is counted in windows that follow each other.
            self._window_ms = ticks_add(self._window_ms, self._span_ms)
            return
        self._window_ms = _NONE
        self._good = 0
        if self.trust == CHATTERING:
            self.trust = TRUSTED

    def _settle(self) -> None:
        self.is_present = self.is_on and self.trust == TRUSTED
        due_ms = self._window_ms
        if due_ms < 0 or (self._level_ms >= 0 and ticks_diff(self._level_ms, due_ms) < 0):
            due_ms = self._level_ms
        self.is_due = due_ms >= 0
        self.due_ms = due_ms
