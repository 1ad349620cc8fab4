"""One task waits, others and interrupts wake it: `asyncio.ThreadSafeFlag` with a time limit, on chip and host."""

import asyncio

if hasattr(asyncio, "ThreadSafeFlag"):
    _Flag = asyncio.ThreadSafeFlag
    _wait_for = asyncio.wait_for_ms
else:  # CPython: there are no interrupts, so an event will do

    class _HostFlag(asyncio.Event):
        async def wait(self):
            await super().wait()
            self.clear()
            return True

    _Flag = _HostFlag

    def _wait_for(awaitable, ms):
        return asyncio.wait_for(awaitable, ms / 1000)


class Wakeup:
    """``set()``, from anywhere, a soft interrupt too; ``await wait_ms(ms)`` in one task only, which it ends sooner."""

    def __init__(self):
        self._flag = _Flag()
        self.set = self._flag.set

    async def wait_ms(self, ms):
        """Wait for `set`, or for ``ms`` (1 … 2^29). A `set` before the call ends it at once."""
        try:
            await _wait_for(self._flag.wait(), ms)
        except asyncio.TimeoutError:
            pass
