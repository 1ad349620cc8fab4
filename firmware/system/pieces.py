"""Chunks of a plan, or of a configuration. Loaded where it is used, and forgotten with `plan_switch`."""

from firmware.control.compat import const
from firmware.control.plan_format import PLAN_MAX_BYTES

# Stretches without a hole that may be known at once: 8192 bytes in chunks of 128, every second one lost.
RANGES_MAX = const(32)


class Pieces:
    """Chunks of one thing on its way in, in any order; ``key`` says of what. A chunk of another thing begins anew.

    They lie where they belong, in one buffer with ``head`` free bytes before them: joined afterwards, a plan of 8 kB
    would be there twice, and the heap has no room for that. The buffer ends with the last of what has come: whoever
    sends the end first has it made once.
    """

    def __init__(self, head: int = 0):
        self.key = b""
        self._head = head
        self._buffer = bytearray()
        # Starts and ends of what is here, in turn and in order: two stretches that touch are one.
        self._ranges: list = []

    def add(self, key, offset: int, chunk) -> bool:
        """Keep a chunk; False where it would end too late, or leave too many holes. What was there is overwritten: the
        hash of the whole is what says that it is right. Raises MemoryError, and what was there stands."""
        end = offset + len(chunk)
        if offset < 0 or end > PLAN_MAX_BYTES or not chunk:
            return False
        if key != self.key:
            self.clear()
            self.key = key
        ranges = self._merged(offset, end)
        if len(ranges) > 2 * RANGES_MAX:
            return False
        head = self._head
        if head + end > len(self._buffer):
            buffer = bytearray(head + end)
            buffer[: len(self._buffer)] = self._buffer
            self._buffer = buffer
        self._buffer[head + offset : head + end] = chunk
        self._ranges = ranges
        return True

    def length(self, key) -> int:
        """Return how many bytes of ``key`` are there from the first on, up to the first hole."""
        ranges = self._ranges
        return ranges[1] if key == self.key and ranges and ranges[0] == 0 else 0

    def whole(self, key, length: int):
        """Return the buffer with all ``length`` bytes behind its head, None unless all are here and none beyond."""
        is_whole = 0 < length == self.length(key) and self._head + length == len(self._buffer)
        return self._buffer if is_whole else None

    def clear(self) -> None:
        """Give the memory back."""
        self.key = b""
        self._buffer = bytearray()
        self._ranges = []

    def _merged(self, start: int, end: int):
        """Return the ranges with one more."""
        before: list = []
        after: list = []
        ranges = self._ranges
        for at in range(0, len(ranges), 2):
            if ranges[at + 1] < start:
                before += ranges[at : at + 2]
            elif ranges[at] > end:
                after += ranges[at : at + 2]
            else:
                start = min(start, ranges[at])
                end = max(end, ranges[at + 1])
        return before + [start, end] + after
