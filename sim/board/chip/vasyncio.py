"""`_asyncio` in Python: the task queue and the task that the frozen asyncio takes from C, on virtual ticks.

The interpreter's own `_asyncio` reads the computer's clock, and on 64 bits compares ticks without the ESP32's ring,
so it cannot be used. The interface is what extmod/asyncio/core.py calls: TaskQueue.peek, push, pop, remove; Task with
coro, data, state, ph_key, done, cancel, iteration and the awaiting of a task by another. The queue is a list sorted by
time (a node has some twenty tasks), stable for equal times.
"""

from .vtime import ticks_diff, ticks_ms

_core = {}  # the globals of asyncio.core, which it hands to each task it makes


class TaskQueue:
    """Tasks by the tick at which they want to run; first come, first served where it is the same."""

    def __init__(self):
        self._tasks = []

    def peek(self):
        """Return the first task, or None."""
        return self._tasks[0] if self._tasks else None

    def push(self, task, key=None):
        """Insert a task at a tick; without one, now."""
        key = ticks_ms() if key is None else key
        task.data = None
        task.ph_key = key
        tasks = self._tasks
        at = len(tasks)
        while at and ticks_diff(key, tasks[at - 1].ph_key) < 0:
            at -= 1
        tasks.insert(at, task)

    def pop(self):
        """Take the first task out."""
        return self._tasks.pop(0)

    def remove(self, task):
        """Take a task out, wherever it stands."""
        self._tasks.remove(task)


class Task:
    """A coroutine that runs by itself. state: True runs and nobody waits, None done, a TaskQueue who waits for it."""

    def __init__(self, coro, globals=None):
        global _core
        if globals is not None:
            _core = globals
        self.coro = coro
        self.data = None
        self.state = True
        self.ph_key = 0

    def __iter__(self):
        if not self.state:
            # Done: whoever awaits it now gets the result at once.
            self.state = False
        elif self.state is True:
            self.state = TaskQueue()
        elif type(self.state) is not TaskQueue:
            raise RuntimeError("can't wait")
        return self

    def __next__(self):
        if not self.state:
            # Done: what it ended with, StopIteration with its value or an exception, goes to whoever awaited it.
            raise self.data
        # Wait: this task's queue takes the waiting one until it is done.
        waiting = _core["cur_task"]
        self.state.push(waiting)
        waiting.data = self
        return None

    def done(self):
        """Tell whether it has ended."""
        return not self.state

    def cancel(self):
        """Raise CancelledError in it at its next turn; return False where it has ended."""
        if not self.state:
            return False
        if self is _core["cur_task"]:
            raise RuntimeError("can't cancel self")
        task = self
        # What it waits for, where that is a task, is cancelled in its place.
        while isinstance(task.data, Task):
            task = task.data
        if hasattr(task.data, "remove"):
            task.data.remove(task)
            _core["_task_queue"].push(task)
        elif ticks_diff(task.ph_key, ticks_ms()) > 0:
            _core["_task_queue"].remove(task)
            _core["_task_queue"].push(task)
        task.data = _core["CancelledError"]
        return True
