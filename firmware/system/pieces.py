"""Chunks of a plan, or of a configuration. Loaded where it is used, and forgotten with `plan_switch`."""

from firmware.control.compat import const
from firmware.control.plan_format import PLAN_MAX_BYTES

# 8192 bytes in chunks of 128; a radio with shorter ones carries shorter plans.
PIECES_MAX = const(64)


class Pieces:
    """Chunks of one thing on its way in, in any order; ``key`` says of what. A chunk of another thing begins anew."""

    def __init__(self):
        self.key = b""
        self._chunks: list = []

    def add(self, key, offset: int, chunk) -> bool:
        """Keep a chunk; False where it would end too late, overlap another one, or be one too many.

        The same place and length again is a repetition, and replaces what was there.
        """
        if key != self.key:
            self.clear()
            self.key = key
        end = offset + len(chunk)
        if offset < 0 or end > PLAN_MAX_BYTES or not chunk:
            return False
        chunks = self._chunks
        at = 0
        while at < len(chunks) and chunks[at][0] < offset:
            at += 1
        if at > 0 and chunks[at - 1][0] + len(chunks[at - 1][1]) > offset:
            return False
        if at < len(chunks) and chunks[at][0] == offset and len(chunks[at][1]) == len(chunk):
            chunks[at] = (offset, bytes(chunk))
            return True
        if (at < len(chunks) and chunks[at][0] < end) or len(chunks) >= PIECES_MAX:
            return False
        chunks.insert(at, (offset, bytes(chunk)))
        return True

    def length(self, key) -> int:
        """Return how many bytes of ``key`` are there from the first on, up to the first hole."""
        end = 0
        for offset, chunk in self._chunks if key == self.key else ():
            if offset != end:
                break
            end += len(chunk)
        return end

    def whole(self, key, length: int, head=b""):
        """Return all ``length`` bytes behind ``head``, None unless all of them are here and none beyond."""
        if length == 0 or self.length(key) != length or self._chunks[-1][0] >= length:
            return None
        return b"".join([head] + [chunk for _, chunk in self._chunks])

    def clear(self) -> None:
        """Give the memory back."""
        self.key = b""
        self._chunks = []
