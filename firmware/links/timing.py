"""The links' two needs of time: a tick on the ring of 2^30 ms, and a pause that lets other tasks run.

And the node's common turn: what has to be looked at every few seconds, at no moment in particular, is looked at once in
`TURN_MS`, by all tasks at the same tick. So a node that has nothing to do wakes once in five seconds, not for each of
its dozen tasks by itself. The lamp has nothing to do with it: it wakes at its own deadlines and at edges.
"""

import asyncio
import time

from firmware.control.compat import const
from firmware.control.ticks import TICKS_MAX

TURN_MS = const(5000)
_origin = [0]

if hasattr(time, "ticks_ms"):

    def ticks_ms():
        """Return the tick; the unix ports' wider ring is folded into the ESP32's."""
        return time.ticks_ms() & TICKS_MAX

    sleep_ms = asyncio.sleep_ms
else:  # CPython

    def ticks_ms():
        """Return the tick, out of CPython's monotonic clock."""
        return time.monotonic_ns() // 1000000 & TICKS_MAX

    def sleep_ms(ms):
        """Return an awaitable that pauses the task."""
        return asyncio.sleep(ms / 1000)


def begin_turns(tick):
    """Count turns from ``tick`` on: the first one is then the first at which the store may be written to."""
    _origin[0] = tick


def turn_ms(tick, step_ms=TURN_MS):
    """Return the ms from ``tick`` to the next common turn, or to the next of every ``step_ms``: 1 … ``step_ms``.

    Where the ring ends, one turn is shorter than the others.
    """
    return step_ms - ((tick - _origin[0]) & TICKS_MAX) % step_ms
