"""A bound on how often something may happen."""

from firmware.control.ticks import ticks_diff


class Bucket:
    """So many at once, then one in ``cost_ms``."""

    def __init__(self, cost_ms: int, burst: int):
        self._cost_ms = cost_ms
        self._most_ms = cost_ms * burst
        self._room_ms = self._most_ms
        self._tick = 0

    def take(self, tick: int) -> bool:
        """Tell whether there is room for one more, and take it."""
        passed_ms = ticks_diff(tick, self._tick)
        self._tick = tick
        # Negative: more than six days of silence.
        room_ms = self._room_ms + passed_ms
        if passed_ms < 0 or room_ms > self._most_ms:
            room_ms = self._most_ms
        self._room_ms = room_ms
        if room_ms < self._cost_ms:
            return False
        self._room_ms = room_ms - self._cost_ms
        return True
