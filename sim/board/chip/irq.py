"""Soft interrupts, as on the ESP32: a handler is scheduled and runs between two bytecodes, never in hardware context.

The chip's queue is 8 deep (ports/esp32/mpconfigport.h, MICROPY_SCHEDULER_DEPTH); what comes when it is full is lost.
Here handlers run inside the board's calls: poll, sleep and ticks. The lost ones are counted, for the host to see.
"""

import sys

QUEUE_DEPTH = 8

_handlers = [None] * QUEUE_DEPTH
_arguments = [None] * QUEUE_DEPTH
_first = 0
_count = 0
_is_running = False
_slot = None


def attach(slot):
    """Give the place where lost interrupts are counted."""
    global _slot
    _slot = slot


def put(handler, argument):
    """Schedule a handler; return False where the queue was full and it is lost."""
    global _count
    if _count >= QUEUE_DEPTH:
        _slot.irq_lost = _slot.irq_lost + 1
        return False
    at = (_first + _count) % QUEUE_DEPTH
    _handlers[at] = handler
    _arguments[at] = argument
    _count += 1
    return True


def is_idle():
    """Tell whether no handler waits or runs."""
    return _count == 0 and not _is_running


def is_running():
    """Tell whether a handler runs now: handlers do not interrupt each other."""
    return _is_running


def deliver():
    """Run what is scheduled now; what a handler schedules runs too, after it, within one queue's length."""
    global _first, _count, _is_running
    if _is_running:
        return
    left = QUEUE_DEPTH
    while _count and left:
        left -= 1
        handler = _handlers[_first]
        argument = _arguments[_first]
        _handlers[_first] = None
        _arguments[_first] = None
        _first = (_first + 1) % QUEUE_DEPTH
        _count -= 1
        _is_running = True
        try:
            handler(argument)
        except Exception as error:  # as the chip does: printed, and the program goes on
            sys.print_exception(error)
        finally:
            _is_running = False
