"""`select` that lets virtual time pass: `poll` with the interpreter's own poll object underneath.

Objects with a file descriptor (sockets, TLS over them) are watched by the kernel. Objects written in Python with an
`ioctl` (asyncio.ThreadSafeFlag, the board's UART) are asked each time round: they change only in interrupts, which
are delivered here. The frozen asyncio works on it unchanged.
"""

import io
from time import ticks_us as real_us

import select as _select  # the interpreter's own, before it is replaced

from . import idle, irq, wire
from .clock import MASK, add30, diff30

POLLIN = _select.POLLIN
POLLOUT = _select.POLLOUT
POLLERR = _select.POLLERR
POLLHUP = _select.POLLHUP
_MP_STREAM_POLL = 3
_LONG_MS = 1 << 28
# For so long of real time the kernel is not asked again by whoever does not wait.
_FRESH_US = 500
_NOTHING = ()


class _Poll:
    def __init__(self):
        self._real = _select.poll()
        wire.watch(self._real)
        self._soft = []
        self._hard = 0
        self._asked_us = 0

    def _find(self, obj):
        for entry in self._soft:
            if entry[0] is obj:
                return entry
        return None

    def register(self, obj, eventmask=POLLIN | POLLOUT):
        """Watch an object."""
        if isinstance(obj, io.IOBase):
            entry = self._find(obj)
            if entry:
                entry[1] = eventmask
            else:
                self._soft.append([obj, eventmask])
        else:
            self._hard += 1
            self._real.register(obj, eventmask)

    def modify(self, obj, eventmask):
        """Watch for something else; ENOENT where the object is not watched."""
        if isinstance(obj, io.IOBase):
            entry = self._find(obj)
            if entry is None:
                raise OSError(2)
            entry[1] = eventmask
        else:
            self._real.modify(obj, eventmask)

    def unregister(self, obj):
        """Watch an object no more."""
        if isinstance(obj, io.IOBase):
            entry = self._find(obj)
            if entry is not None:
                self._soft.remove(entry)
        else:
            self._hard -= 1
            self._real.unregister(obj)

    def poll(self, timeout=-1):
        """Return a sequence of (object, events), empty after `timeout` ms of virtual time; -1 waits for ever."""
        if timeout == 0 and (not self._hard or ((real_us() - self._asked_us) & MASK) < _FRESH_US):
            # asyncio asks so before each task's turn, thirty times in a row. What the host says is looked for each
            # millisecond all the same.
            if irq.is_idle():
                idle.glance()
            else:
                irq.deliver()
            return self._ask_soft() or _NOTHING
        has_deadline = timeout is not None and timeout >= 0
        until30 = add30(idle.clock.world_ms30(), min(timeout, _LONG_MS)) if has_deadline else 0
        while True:
            found = self._ask_soft()
            if found:
                # Somebody in Python has something: take what the kernel has too, without waiting.
                idle.wait(self._real, idle.clock.world_ms30(), True, found)
                return found
            if self._hard:
                found = []
            idle.wait(self._real, until30, has_deadline, found)
            self._asked_us = real_us() & MASK
            if found:
                return found
            if has_deadline and diff30(until30, idle.clock.world_ms30()) <= 0:
                return self._ask_soft() or _NOTHING

    def _ask_soft(self):
        """Return what the objects written in Python have, None for nothing."""
        found = None
        for entry in self._soft:
            events = entry[0].ioctl(_MP_STREAM_POLL, entry[1])
            if events:
                if found is None:
                    found = []
                found.append((entry[0], events))
        return found

    def ipoll(self, timeout=-1, flags=0):
        """Return what poll() would return, to go through once; one-shot flags are not offered."""
        return self.poll(timeout)


def poll():
    """Return a new poll object."""
    return _Poll()
