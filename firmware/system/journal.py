"""The journal on the node: inputs and decisions in a ring of segment files, bounded, written in batches.

What can be lost: a power cut takes what is still in RAM, at most ``flush_s`` of a quiet night or a full buffer of a
busy one. What was flushed stays: littlefs commits an append when the file is closed, and a torn frame is recognised.
Oldest segments are dropped whole; a run that began in one of them can be read and no longer replayed. A node with a
permanent supply therefore starts a new run (a new controller) now and then, by day, if its journal is to be replayed.
Space: ``segments`` × ``segment_bytes``, 128 KiB as delivered, some 12,000 records: eight nights of 300 rises,
three where a meter is read every 20 s.
Format: `journal_format`.
"""

import os

from firmware.control.compat import const
from firmware.control.ticks import ticks_diff

from .journal_format import (
    DECISION,
    FRAME_MAX,
    GAP,
    HEADER_SIZE,
    MARK,
    STARTED,
    put_frame,
    put_header,
    put_run,
)
from .once import forget

_SUFFIX = ".jnl"
_BUFFER_SIZE = const(832)
# From here on a flush is due before the next record finds no room.
_FULL_ENOUGH = const(560)
# Two frames are never further apart than this: half the ring is 6.2 days.
_MARK_MS = const(86400000)
_ENOENT = const(2)
_EEXIST = const(17)


class Journal:
    """The journal in ``folder``, which holds nothing else. ``guard``: an object with ``is_open()``, or None.

    ``boot``: the node's count of boots. Recording (`input`, `decision`, `started`, `start_run`) goes to RAM and never
    fails; call `flush` when `is_due`, which blocks for some 50 ms. Recording does so itself only when that was missed.
    ``lost`` counts records for which there was no room, ``failures`` flushes that the file system refused.
    """

    def __init__(self, folder, guard=None, boot=0, segments=16, segment_bytes=8192, flush_s=600):
        self._folder = folder
        self._guard = guard
        self._boot = boot
        self._segments = segments if segments > 2 else 2
        self._segment_bytes = segment_bytes if segment_bytes > 2 * _BUFFER_SIZE else 2 * _BUFFER_SIZE
        self._flush_ms = flush_s * 1000
        self._buffer = bytearray(_BUFFER_SIZE)
        self._view = memoryview(self._buffer)
        self._used = 0
        # The tick of the last frame, and the one that the buffer's first frame counts from.
        self._last = 0
        self._base = 0
        self._oldest_ms = 0
        self._gap = 0
        self._number = -1
        # -1: not read, or not to be read.
        self._size = -1
        # Whether the newest segment may be appended to: its end is known, and so is the tick there.
        self._is_appendable = False
        self._is_opened = False
        # Bytes of the buffer that an append which failed may have written.
        self._pending = 0
        self.lost = 0
        self.failures = 0

    def start_run(self, tick, lamp, config_hash, plan_hash, firmware, start_permille):
        """A new controller begins at ``tick``, at the level that the launcher gave the lamp."""
        if not self._has_room(tick):
            return
        self._note(tick)
        self._used = put_run(
            self._buffer, self._used, lamp, tick, self._boot, config_hash, plan_hash, firmware, start_permille
        )
        self._last = tick

    def started(self, tick, lamp):
        """The controller's first step comes without an input."""
        self._put(tick, lamp, STARTED, ())

    def input(self, tick, lamp, entry):
        """An input reached the controller: its kind and values, which `intake_apply.is_valid` has passed."""
        self._put(tick, lamp, entry[0], entry[1:])

    def decision(self, tick, lamp, level_permille, fade_ms, reason, by):
        """The controller decided; ``tick`` is the decision's own, not that of the call."""
        self._put(tick, lamp, DECISION, (level_permille, fade_ms, reason, by))

    def is_due(self, tick):
        """Tell whether `flush` should be called now."""
        if self._used >= _FULL_ENOUGH:
            return True
        if self._used:
            return ticks_diff(tick, self._oldest_ms) >= self._flush_ms
        return self._is_opened and ticks_diff(tick, self._last) >= _MARK_MS

    def flush(self, tick):
        """Append what waits to the newest segment; True when nothing waits any more. It never raises."""
        if self._guard is not None and not self._guard.is_open():
            return False
        if not self._used:
            if not self._is_opened or ticks_diff(tick, self._last) < _MARK_MS:
                return True
            self._put(tick, 0, MARK, ())
        try:
            self._open()
            if self._pending:
                self._settle()
            if not self._is_appendable or self._size + self._used > self._segment_bytes:
                self._begin_segment()
            self._pending = self._used
            self._append(self._path(self._number), "ab", self._view[: self._used])
        except OSError:
            self.failures += 1
            return False
        self._pending = 0
        self._size += self._used
        self._used = 0
        return True

    def files(self):
        """Return the paths of all segments, oldest first, to be copied out."""
        return [self._path(number) for number in self._numbers()]

    def _put(self, tick, lamp, kind, values):
        if not self._has_room(tick):
            return
        self._note(tick)
        self._used = put_frame(self._buffer, self._used, lamp, kind, ticks_diff(tick, self._last), values)
        self._last = tick

    def _has_room(self, tick):
        """Make room for one frame, and for the gap before it; count a loss where there is none."""
        if self._used + 2 * FRAME_MAX > _BUFFER_SIZE:
            self.flush(tick)
        if self._used + 2 * FRAME_MAX > _BUFFER_SIZE:
            self._gap += 1
            self.lost += 1
            return False
        return True

    def _note(self, tick):
        if not self._used:
            self._base = self._last
            self._oldest_ms = tick
        if self._gap:
            self._used = put_frame(self._buffer, self._used, 0, GAP, 0, (self._gap,))
            self._gap = 0

    def _path(self, number):
        return "%s/%08x%s" % (self._folder, number, _SUFFIX)

    def _numbers(self):
        try:
            files = os.listdir(self._folder)
        except OSError:
            return []
        numbers = []
        for file in files:
            if len(file) == 12 and file[8:] == _SUFFIX:
                try:
                    numbers.append(int(file[:8], 16))
                except ValueError:
                    # Not one of ours: it is neither counted nor removed.
                    pass
        numbers.sort()
        return numbers

    def _open(self):
        """Find the newest segment, once a boot: it is gone on with where its end is whole."""
        if self._is_opened:
            return
        try:
            os.mkdir(self._folder)
        except OSError as error:
            if error.args[0] != _EEXIST:
                raise
        numbers = self._numbers()
        if numbers:
            from .journal_read import newest_of

            self._number = numbers[-1]
            self._size, is_whole = newest_of(self._path(self._number), self._number, self._segment_bytes)
            forget("journal_read")
            # Only a run, whose tick is absolute, can follow on what another boot has written.
            self._is_appendable = is_whole and self._begins_with_run()
            if 0 <= self._size < HEADER_SIZE:
                # Cut while it was made: it must not take the place of an older one that says something.
                self._remove(self._number)
                self._number -= 1
        self._is_opened = True

    def _begins_with_run(self):
        return self._used > 1 and self._buffer[1] & 31 == 30

    def _settle(self):
        """Find out what became of an append that failed: all of it is there, or nothing, or a part."""
        size = os.stat(self._path(self._number))[6]
        if size == self._size + self._pending:
            rest = self._used - self._pending
            # Onto itself and forwards only; the slice is a copy.
            self._buffer[:rest] = self._buffer[self._pending : self._used]
            self._used = rest
            self._size = size
        elif size != self._size:
            # A part of the frames: writing them again would have them twice, so all that waits becomes a gap.
            self.lost += 1
            self._gap += 1
            self._used = 0
            self._is_appendable = False
            self._note(self._last)
        self._pending = 0

    def _begin_segment(self):
        numbers = self._numbers()
        while len(numbers) >= self._segments:
            self._remove(numbers.pop(0))
        number = numbers[-1] + 1 if numbers else self._number + 1
        header = bytearray(HEADER_SIZE)
        put_header(header, number, self._base, self._boot)
        self._is_appendable = False
        self._append(self._path(number), "wb", header)
        self._number = number
        self._size = HEADER_SIZE
        self._is_appendable = True

    def _remove(self, number):
        try:
            os.remove(self._path(number))
        except OSError as error:
            if error.args[0] != _ENOENT:
                raise

    def _append(self, path, mode, data):
        file = open(path, mode)
        try:
            file.write(data)
        finally:
            file.close()
