"""The links' two needs of time: a tick on the ring of 2^30 ms, and a pause that lets other tasks run."""

import asyncio
import time

from firmware.control.ticks import TICKS_MAX

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
