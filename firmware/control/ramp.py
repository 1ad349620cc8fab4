"""The way from one level to another: a straight line in time, and a pure function of where and when it began."""

from .ticks import ticks_diff


class Ramp:
    """The last change of level. ``is_running`` until somebody has seen it end; levels in permille, times in ms."""

    def __init__(self, level: int):
        self.is_running = False
        self._from = level
        self._to = level
        self._start_ms = 0
        self._length_ms = 0

    def start(self, tick: int, level: int, target: int, length_ms: int) -> None:
        """Go from ``level`` to ``target`` in ``length_ms`` (0 … 1,000,000)."""
        self._from = level
        self._to = target
        self._start_ms = tick
        self._length_ms = length_ms
        self.is_running = length_ms > 0

    def level_at(self, tick: int) -> int:
        """Return the level at a tick not before the start."""
        if not self.is_running:
            return self._to
        elapsed = ticks_diff(tick, self._start_ms)
        if elapsed >= self._length_ms:
            return self._to
        return self._from + (self._to - self._from) * elapsed // self._length_ms

    def left_ms(self, tick: int) -> int:
        """Return how long the ramp still runs after ``tick``, which lies within it."""
        return self._length_ms - ticks_diff(tick, self._start_ms)
