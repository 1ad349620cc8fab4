"""Every task is watched, and the watchdog is fed in one place only: here, when all have checked in.

A task that ends, of whatever, is started again after a delay that grows; one that dies too often, or is silent for
longer than it promised, has the node reset with its reason on record. The lamp keeps its level over the reset: the
pin's hardware default is lit, and the launcher puts it to the level in the RTC's memory. A task that blocks starves
this one too, and the hardware's watchdog ends that (reliability.md, rows 20 to 24).

The lamp's task is the first to be added. It is started before any other, started again at once (after a second death in
a row: at the next look) where others wait, and its death is never the consequence of another task's.
"""

import asyncio
import gc

from firmware.control.compat import const
from firmware.control.ticks import ticks_add, ticks_diff
from firmware.links.timing import sleep_ms, turn_ms

# How often the tasks are looked at.
_LOOK_MS = const(250)
# The delay before a start is this, doubled at each further death, up to the most.
_DELAY_MS = const(1000)
_DELAY_MAX_MS = const(60000)
# Deaths in a row before the node is reset. A task that has lived so long begins to count anew.
_DEATHS_MAX = const(6)
_LAMP_DEATHS_MAX = const(3)
_HEALED_MS = const(600000)
# Four lamps, each with gear and relay that have tasks; twelve meters on their buses; nine others (firmware/app.py).
TASKS_MAX = const(36)

# Why the node is reset (`BootLog.fail`).
FAIL_SILENT = const(1)
FAIL_DEATHS = const(2)


class SupervisorError(Exception):
    """The node has to be reset: ``task``, ``reason`` (`FAIL_SILENT`, `FAIL_DEATHS`), ``what``."""

    def __init__(self, task, reason, what):
        super().__init__("task %s: %s" % (task, what))
        self.task = task
        self.reason = reason
        self.what = what


class Watched:
    """One task. Whoever runs in it calls `beat` at least every ``silence_ms``; it costs next to nothing."""

    def __init__(self, name, factory, silence_ms, ticks_ms):
        self.name = name
        self.factory = factory
        self.silence_ms = silence_ms
        self._ticks_ms = ticks_ms
        # None while it is dead. Since when it lives, or from when on it may live again.
        self.task = None
        self.moment_ms = 0
        self.beat_ms = 0
        self.deaths = 0

    def beat(self):
        """Check in."""
        self.beat_ms = self._ticks_ms()


class Supervisor:
    """Starts tasks, watches them, feeds the watchdog.

    ``feed``: a callable, ``WDT.feed``; called only from `run`. ``ticks_ms``: a callable, the ring of 2^30 ms.
    ``on_error(name, error)``: told of every death, before the start that follows; what it raises is swallowed, since a
    full log must not be the end of the lamp. ``look_ms``: how often the tasks are looked at. ``restarts`` counts
    starts after a death, ``stray`` exceptions of tasks that nobody has added.

    The watchdog's own time must be longer than ``_LOOK_MS`` and than the longest blocking call (flash: 0.5 s).
    """

    def __init__(self, feed, ticks_ms, on_error=None, look_ms=_LOOK_MS):
        self._look_ms = look_ms
        self._feed = feed
        self._ticks_ms = ticks_ms
        self._on_error = on_error
        self._watched = []
        self.restarts = 0
        self.stray = 0
        # Of the last death.
        self._cause = ""

    def add(self, name, factory, silence_ms):
        """Add a task, the lamp's first. ``factory(beat)`` returns a new coroutine at each start; ``silence_ms``: the
        longest it may go without ``beat()``. Raises ValueError for a silence that no watchdog could keep.
        """
        if not 2 * _LOOK_MS <= silence_ms <= 3600000:
            raise ValueError("task %s: silence %d ms, 500 to 3600000" % (name, silence_ms))
        if len(self._watched) >= TASKS_MAX:
            raise ValueError("task %s: more than %d tasks" % (name, TASKS_MAX))
        watched = Watched(name, factory, silence_ms, self._ticks_ms)
        self._watched.append(watched)
        return watched

    async def run(self):
        """Watch, until the node has to be reset: raises `SupervisorError`. The caller records it and resets."""
        asyncio.get_event_loop().set_exception_handler(self._handle)
        for watched in self._watched:
            self._start(watched)
        try:
            while True:
                self.look()
                await sleep_ms(turn_ms(self._ticks_ms(), self._look_ms))
        finally:
            # The node is reset next. In a test, or a simulation of the whole node, nothing may live on.
            for watched in self._watched:
                if watched.task is not None:
                    watched.task.cancel()

    def look(self):
        """Look at each task once, and feed the watchdog where all is well. Raises `SupervisorError`."""
        tick = self._ticks_ms()
        for watched in self._watched:
            if watched.task is not None:
                silent_ms = ticks_diff(tick, watched.beat_ms)
                if silent_ms > watched.silence_ms:
                    raise SupervisorError(watched.name, FAIL_SILENT, "silent for %d ms" % silent_ms)
                if watched.deaths and ticks_diff(tick, watched.moment_ms) > _HEALED_MS:
                    watched.deaths = 0
            elif watched.deaths > (_LAMP_DEATHS_MAX if watched is self._watched[0] else _DEATHS_MAX):
                raise SupervisorError(
                    watched.name, FAIL_DEATHS, "died %d times, last of %s" % (watched.deaths, self._cause)
                )
            elif ticks_diff(tick, watched.moment_ms) >= 0:
                self._start_again(watched)
        self._feed()

    def _start_again(self, watched):
        self.restarts += 1
        self._start(watched)

    def _start(self, watched):
        tick = self._ticks_ms()
        watched.beat_ms = tick
        watched.moment_ms = tick
        watched.task = asyncio.create_task(self._guard(watched))

    async def _guard(self, watched):
        """Run one life of a task; whatever ends it is noted, and nothing goes further up."""
        error: Exception | None = None
        try:
            await watched.factory(watched.beat)
        except asyncio.CancelledError:
            # Cancelled from outside: by `run`, which has then stopped watching.
            self._cause = "cancelled"
            watched.task = None
            raise
        except MemoryError as one:
            # Before anything is written about it.
            gc.collect()
            error = one
        except Exception as one:
            error = one
        self._note_death(watched, error)
        if watched is self._watched[0] and watched.deaths == 1:
            # A look may be seconds away. Whatever kills it again and again is given that time to pass.
            self._start_again(watched)

    def _note_death(self, watched, error):
        self._cause = "its own end" if error is None else type(error).__name__
        watched.deaths += 1
        tick = self._ticks_ms()
        delay_ms = 0
        if watched is not self._watched[0]:
            delay_ms = min(_DELAY_MS << min(watched.deaths - 1, 10), _DELAY_MAX_MS)
        watched.moment_ms = ticks_add(tick, delay_ms)
        watched.task = None
        self._tell(watched.name, error)

    def _tell(self, name, error):
        if self._on_error is None:
            return
        try:
            self._on_error(name, error)
        except Exception:
            # The log failed: that is no reason to leave a street dark. `stray` shows it.
            self.stray += 1

    def _handle(self, loop, context):
        """A task of nobody died: asyncio would print it and go on. So is done here, and it is counted."""
        self.stray += 1
        error = context.get("exception")
        if isinstance(error, MemoryError):
            gc.collect()
        self._tell("stray", error)
