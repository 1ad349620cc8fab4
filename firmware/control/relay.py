"""The mains relay before the driver: it saves standby power by day, and wears with every operation.

Each closing is an inrush of many times the rated current: the driver's limiter must have cooled and a discharge lamp
must be able to strike again, so it rests before it closes. Before it opens, the light has long been out.
"""

from .compat import const
from .ticks import ticks_add, ticks_diff

# A counter that stops at the top is honest; one that wraps says a worn relay is new.
_OPERATIONS_MAX = const(0x3FFFFFFF)


class Relay:
    """The relay of one driver.

    All in ms, 0 … 2^29 - 1: once closed it stays so ``min_on_ms``, once open ``min_off_ms``, and it opens when no light
    was wanted for ``off_delay_ms``. So a lamp that must be lit waits ``min_off_ms`` at most. It fails closed: that is
    how it is made, and until it has opened once, when it closed is not known, so ``min_on_ms`` counts from the wish.

    ``is_closed``; ``operations`` since it was made (up to 2^30 - 1); ``is_due``, ``due_ms``: when it may switch next.
    """

    def __init__(self, min_on_ms: int, min_off_ms: int, off_delay_ms: int):
        self._min_on_ms = min_on_ms
        self._min_off_ms = min_off_ms
        self._off_delay_ms = off_delay_ms
        self._is_lit = True
        self.is_closed = True
        self.operations = 0
        self.is_due = False
        self.due_ms = 0

    def want(self, tick: int, is_lit: bool) -> None:
        """Say whether light is wanted, now or in a fade that is under way."""
        if is_lit == self._is_lit:
            return
        self._is_lit = is_lit
        if self.is_closed:
            if not is_lit:
                wait_ms = self._off_delay_ms
                if self.operations == 0 and wait_ms < self._min_on_ms:
                    wait_ms = self._min_on_ms
                # The rest after closing, if it is not over, and the delay: whichever ends later.
                if not self.is_due or ticks_diff(tick, self.due_ms) + wait_ms > 0:
                    self._wait(tick, wait_ms)
        elif is_lit and (not self.is_due or ticks_diff(tick, self.due_ms) >= 0):
            self._switch(tick)

    def pass_due(self, tick: int) -> None:
        """Switch if that is still wanted: to be called at ``due_ms``."""
        self.is_due = False
        if self.is_closed != self._is_lit:
            self._switch(tick)

    def _switch(self, tick: int) -> None:
        self.is_closed = self._is_lit
        if self.operations < _OPERATIONS_MAX:
            self.operations += 1
        self._wait(tick, self._min_on_ms if self.is_closed else self._min_off_ms)

    def _wait(self, tick: int, wait_ms: int) -> None:
        self.is_due = True
        self.due_ms = ticks_add(tick, wait_ms)
