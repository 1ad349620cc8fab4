"""The ring of milliseconds: 2^30 values, so that only differences mean anything.

MicroPython's ``time.ticks_ms()`` wraps at 2^30 ms (12 d 10 h 15 min) on the ESP32. Every sum below is ordered so
that it stays inside a 31-bit small integer (-2^30 … 2^30 - 1): on a 32-bit board a larger one would be allocated.
"""

from .compat import const

TICKS_MAX = const(0x3FFFFFFF)
_HALF = const(0x20000000)

# The longest time between two ticks that still has a sign: 2^29 ms, 6.2 days.
TICKS_SPAN_MAX_MS = const(0x1FFFFFFF)


def ticks_add(ticks_ms: int, delta_ms: int) -> int:
    """Return the tick ``delta_ms`` (0 … ``TICKS_SPAN_MAX_MS``) after ``ticks_ms``."""
    return (ticks_ms - TICKS_MAX + delta_ms - 1) & TICKS_MAX


def ticks_diff(end_ms: int, start_ms: int) -> int:
    """Return how long after ``start_ms`` ``end_ms`` comes, in -2^29 … 2^29 - 1 ms; negative when it comes before."""
    delta = (end_ms - start_ms) & TICKS_MAX
    if delta >= _HALF:
        return delta - TICKS_MAX - 1
    return delta
