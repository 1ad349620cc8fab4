"""Time as a test tells it: a clock and a scheduler for the DALI driver and its bus double. No real second passes.

A driver's ``await clock.sleep_ms(n)`` hands n to `World.run`, which lets the bus advance to that moment and goes on
with whoever is due first. Ticks begin just below the wrap of the ring of 2^30 us.
"""

from sim.board.chips.dali_bus import DaliBus

RING = 0x3FFFFFFF


class _Sleep:
    def __init__(self, ms):
        self.ms = ms

    def __iter__(self):
        yield self.ms

    __await__ = __iter__


class World:
    """A bus with its gear, and the clock that the driver gets."""

    def __init__(self, gears, seed=1, jitter_us=20):
        self.bus = DaliBus(gears, seed, jitter_us=jitter_us)
        self._offset_us = RING - 50000
        self._tasks = []
        self._turn = 0

    def ticks_us(self):
        return (self.bus.now_us + self._offset_us) & RING

    def ticks_ms(self):
        return (self.bus.now_us // 1000) & RING

    def ticks_diff(self, a, b):
        return ((a - b + (RING + 1) // 2) & RING) - (RING + 1) // 2

    def sleep_ms(self, ms):
        return _Sleep(ms)

    @property
    def now_ms(self):
        return self.bus.now_us // 1000

    def start(self, task):
        """Add a coroutine; it begins with the next `run`."""
        self._turn += 1
        self._tasks.append([self.bus.now_us, self._turn, task, None])
        return task

    def stop(self, task):
        """End a task from outside, as a supervisor would."""
        self._tasks = [one for one in self._tasks if one[2] is not task]
        task.close()

    def run(self, ms):
        """Let ms pass. What a task raises comes out here."""
        self._until(self.bus.now_us + ms * 1000, None)

    def result(self, task, limit_ms=3600000):
        """Run a coroutine to its end and return its result."""
        self.start(task)
        return self._until(self.bus.now_us + limit_ms * 1000, task)

    def _until(self, end_us, wanted):
        while True:
            due = None
            for one in self._tasks:
                if due is None or (one[0], one[1]) < (due[0], due[1]):
                    due = one
            if due is None or due[0] > end_us:
                self.bus.advance(end_us)
                if wanted is not None:
                    raise RuntimeError("the task did not end")
                return None
            self.bus.advance(max(due[0], self.bus.now_us))
            try:
                ms = due[2].send(None)
            except StopIteration as stop:
                self._tasks.remove(due)
                if due[2] is wanted:
                    return stop.value
                continue
            except Exception:
                self._tasks.remove(due)
                raise
            self._turn += 1
            due[0] = self.bus.now_us + ms * 1000
            due[1] = self._turn
