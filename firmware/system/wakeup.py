"""One task waits, others and interrupts wake it: `asyncio.ThreadSafeFlag` with a time limit, on chip and host.

Not `wait_for_ms(flag.wait(), ms)`: that makes two tasks for each wait, which then have to be run, cancelled and swept
away, half of all that an idle node does. Here one task of its own waits for the flag all the time, and cuts the pause
of whoever waits short. It may listen for something else than a flag, too: a socket that has something to read.
"""

import asyncio

from firmware.control.compat import const
from firmware.links.timing import sleep_ms

if hasattr(asyncio, "ThreadSafeFlag"):
    _Flag = asyncio.ThreadSafeFlag
else:  # CPython: there are no interrupts, so an event will do

    class _HostFlag(asyncio.Event):
        async def wait(self):
            await super().wait()
            self.clear()
            return True

    _Flag = _HostFlag

_LOOK_MS = const(20)


class Wakeup:
    """``set()``, from anywhere, a soft interrupt too; ``await wait_ms(ms)`` in one task, which it ends sooner. A
    second task that waits meanwhile waits for a short while only.

    ``source``: what else ends a wait; then `set` is for tasks only. Its ``listen(ring)``, a coroutine, calls ``ring``
    once and ends, and is begun anew by the next `wait_ms`: a socket that nobody reads must not ring for ever.
    """

    def __init__(self, source=None):
        self._source = source
        self._flag = None
        self.set = self.ring
        if source is None:
            self._flag = _Flag()
            self.set = self._flag.set
        # Whoever waits now, and the task that listens; another loop needs another one.
        self._waiter: asyncio.Task | None = None
        self.ringer = None
        self._is_rung = False

    async def wait_ms(self, ms):
        """Wait for `set`, or for ``ms`` (1 … 2^29). A `set` before the call ends it at once."""
        ringer = self.ringer
        if ringer is None or ringer.done():
            source = self._source
            self.ringer = asyncio.create_task(self._ring() if source is None else source.listen(self.ring))
        if self._waiter is not None:
            # What ends that wait is another task's; this one looks by itself.
            await sleep_ms(min(ms, _LOOK_MS))
            return
        was_rung = self._is_rung
        if was_rung:
            # It came while nobody waited. The others have their turn all the same.
            self._is_rung = False
            await sleep_ms(0)
            return
        self._waiter = asyncio.current_task()
        try:
            await sleep_ms(ms)
        except asyncio.CancelledError:
            # The ringer's doing, or somebody's who means it. Should both come before this task has run again, it goes
            # on, and whoever means it has to say so again.
            if not self._is_rung:
                self.ringer.cancel()
                self.ringer = None
                raise
            if hasattr(self._waiter, "uncancel"):  # CPython counts: `asyncio.timeout` would take it for somebody's
                self._waiter.uncancel()
        finally:
            self._waiter = None
            self._is_rung = False

    def ring(self):
        """End the wait of now, or the next; in a task."""
        if not self._is_rung:
            self._is_rung = True
            if self._waiter is not None:
                self._waiter.cancel()

    async def _ring(self):
        while True:
            await self._flag.wait()
            self.ring()
