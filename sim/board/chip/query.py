"""What the host may ask: the heap, the counters. `{"op": "query", "id": 7}` is answered by an event of that id."""

import gc
import sys

from . import console, idle, wire

_board_bytes = 0
_ballast_bytes = 0
_app_start = 0


def start():
    """Note what the board's own modules take, before the heap is bound."""
    global _board_bytes
    _board_bytes = gc.mem_alloc()


def bound():
    """Note what was taken out of the heap."""
    global _ballast_bytes, _app_start
    gc.collect()
    _app_start = gc.mem_alloc()
    _ballast_bytes = _app_start - _board_bytes


def max_free_block():
    """Return the largest block that can be had now, in bytes, to within 256: by trying, since no call tells.

    A list is tried because `clear()` gives its memory back at once; what is merely dropped may live on for a while,
    where the collector finds a stale pointer to it on the C stack.
    """
    word = 8 if sys.maxsize > 0x7FFFFFFF else 4
    low, high = 0, gc.mem_free() // word
    while high - low > 256 // word:
        middle = (low + high) // 2
        try:
            probe = [None] * middle
            probe.clear()
            low = middle
        except MemoryError:
            high = middle
    return low * word


def heap():
    """Return the heap's figures as JSON members."""
    gc.collect()
    free = gc.mem_free()
    return ',"heap_board_bytes":%d,"heap_free":%d,"heap_used":%d,"max_free_block":%d' % (
        _board_bytes,
        free,
        max(0, gc.mem_alloc() - _app_start),
        max_free_block(),
    )


def _answer(message):
    slot = idle.clock.slot
    if not console.is_there():
        # On the way of what was printed: the host then knows that it has all of it.
        print("\x00%d" % message["id"])
    wire.post(
        "answer",
        ',"id":%d,"irq_lost":%d,"flash_ops":%d,"ticks_ms":%d,"wakes":%d%s'
        % (message["id"], slot.irq_lost, slot.flash_ops, idle.clock.ticks_ms(), slot.wakes, heap()),
    )


def _break(message):
    raise KeyboardInterrupt


wire.operations["query"] = _answer
wire.operations["break"] = _break
