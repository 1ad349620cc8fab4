"""Reads the bytes of a journal (`journal_format`), whatever they are, without being hurt.

Pure: imports nothing but control and the format. Loaded where it is used, and forgotten (`once`): a node reads its
newest segment once a boot.
"""

from firmware.control.compat import const
from firmware.control.ticks import TICKS_MAX

from .intake_apply import BOUNDS, BOUNDS_AT, KINDS
from .journal_format import (
    DECISION,
    GAP,
    HASH_SIZE,
    HEADER_SIZE,
    LAMPS_MAX,
    MAGIC,
    MARK,
    RUN,
    RUN_FORMAT,
    STARTED,
    VERSION_MAX,
    crc16,
)

_BODY_MAX = const(96)
_BIG = const(0x3FFFFFFF)

_DECISION_BOUNDS = ((0, 1000), (0, _BIG), (0, 255), (0, 255))
_GAP_BOUNDS = ((1, _BIG),)


class JournalError(Exception):
    """The bytes are no journal of this format. ``place``: the byte at which it is seen, from the segment's start."""

    def __init__(self, place, what):
        super().__init__("byte %d: %s" % (place, what))
        self.place = place
        self.what = what


def get_u32(data, at):
    """Return 4 bytes as a number; beyond 2^30 it is on the heap of a 32-bit board."""
    return data[at] | data[at + 1] << 8 | data[at + 2] << 16 | data[at + 3] << 24


def read_header(data):
    """Return (sequence, tick, boot). Raises `JournalError` where these bytes begin no segment."""
    if len(data) < HEADER_SIZE:
        raise JournalError(len(data), "ends within the header of %d bytes" % HEADER_SIZE)
    if bytes(data[0:4]) != MAGIC:
        raise JournalError(0, "does not begin with RVJ1")
    if crc16(data, 0, 16) != data[16] | data[17] << 8:
        raise JournalError(16, "header with a wrong checksum")
    tick = get_u32(data, 8)
    if tick > TICKS_MAX:
        raise JournalError(8, "tick %d beyond the ring" % tick)
    return get_u32(data, 4), tick, get_u32(data, 12)


class Run:
    """What a `RUN` frame says: ``tick``, ``boot``, ``config_hash``, ``plan_hash``, ``start_permille``, ``firmware``."""

    def __init__(self, data, at, end):
        fixed = at + 1 + 8 + 2 * HASH_SIZE + 2
        if not fixed <= end <= fixed + VERSION_MAX:
            raise JournalError(at, "a run of %d bytes" % (end - at))
        if data[at] != RUN_FORMAT:
            raise JournalError(at, "a run of format %d, this reads %d" % (data[at], RUN_FORMAT))
        self.tick = get_u32(data, at + 1)
        self.boot = get_u32(data, at + 5)
        at += 9
        self.config_hash = bytes(data[at : at + HASH_SIZE])
        at += HASH_SIZE
        self.plan_hash = bytes(data[at : at + HASH_SIZE])
        at += HASH_SIZE
        self.start_permille = data[at] | data[at + 1] << 8
        if self.tick > TICKS_MAX or self.start_permille > 1000:
            raise JournalError(at, "a run at tick %d with level %d" % (self.tick, self.start_permille))
        for i in range(at + 2, end):
            if not 32 <= data[i] < 127:
                raise JournalError(i, "a version that is no ASCII")
        self.firmware = bytes(data[at + 2 : end]).decode()


class Segment:
    """Reads one segment. ``sequence`` and ``boot`` as in its header.

    ``next()`` goes to the next record and returns True, or False at the end: ``end`` is then where the last whole frame
    ends, and ``is_torn`` tells whether something stands behind it that is none. A record is ``lamp``, ``kind``,
    ``tick`` (absolute), ``values`` (a list, empty for `RUN`) and ``run`` (a `Run` or None). Raises `JournalError` for a
    bad header, and for a frame that is whole and says what cannot be.
    """

    def __init__(self, data):
        self.sequence, self.tick, self.boot = read_header(data)
        self._data = data
        self.end = HEADER_SIZE
        self.is_torn = False
        self.lamp = 0
        self.kind = MARK
        self.values = []
        self.run = None

    def next(self):
        """Go to the next record; False at the end or at a torn one."""
        data = self._data
        at = self.end
        left = len(data) - at
        if left == 0:
            return False
        length = data[at]
        self.is_torn = True
        if not 1 <= length <= _BODY_MAX or left < length + 3:
            return False
        end = at + 1 + length
        if crc16(data, at, end) != data[end] | data[end + 1] << 8:
            return False
        self.is_torn = False
        self._decode(at + 1, end)
        self.end = end + 2
        return True

    def _decode(self, at, end):
        data = self._data
        head = data[at]
        self.lamp = head >> 5
        self.kind = head & 31
        if self.lamp >= LAMPS_MAX:
            raise JournalError(at, "lamp %d, there are 0 to 3" % self.lamp)
        self.run = None
        self.values = []
        if self.kind == RUN:
            self.run = Run(data, at + 1, end)
            self.tick = self.run.tick
            return
        bounds = bounds_of(self.kind)
        if bounds is None:
            raise JournalError(at, "a record of kind %d" % self.kind)
        numbers = []
        place = at + 1
        while place < end:
            value = 0
            shift = 0
            while True:
                if place == end or shift > 28:
                    raise JournalError(place, "a number without its end")
                byte = data[place]
                place += 1
                value |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            numbers.append((value >> 1) ^ -(value & 1))
        if len(numbers) != len(bounds) + 1:
            raise JournalError(at, "a record of kind %d with %d values" % (self.kind, len(numbers) - 1))
        for i in range(len(bounds)):
            if not bounds[i][0] <= numbers[i + 1] <= bounds[i][1]:
                raise JournalError(at, "value %d of kind %d is %d" % (i, self.kind, numbers[i + 1]))
        self.tick = (self.tick + numbers[0]) & TICKS_MAX
        self.values = numbers[1:]


def fuzz_journal(data):
    """Read any bytes as a segment; return how many records they have. Raises `JournalError` and nothing else."""
    segment = Segment(data)
    count = 0
    while segment.next():
        count += 1
    return count


def bounds_of(kind):
    """Return the least and the greatest of each value of a kind of record, None for a kind that there is not."""
    if kind < KINDS:
        at, count = BOUNDS_AT[2 * kind], BOUNDS_AT[2 * kind + 1]
        return [(BOUNDS[at + 2 * i], BOUNDS[at + 2 * i + 1]) for i in range(count)]
    if kind == DECISION:
        return _DECISION_BOUNDS
    if kind == GAP:
        return _GAP_BOUNDS
    if kind in (STARTED, MARK):
        return ()
    return None


def newest_of(path, number, most):
    """Read the newest segment to its end: return its size, -1 where it cannot be read, and whether a run may follow.

    ``number``: the one that its name says; ``most``: the bytes that a segment may have.
    """
    size = -1
    try:
        file = open(path, "rb")
        try:
            data = file.read(most + 1)
        finally:
            file.close()
        size = len(data)
        if size > most or read_header(data)[0] != number:
            return size, False
        segment = Segment(data)
        while segment.next():
            pass
    except (OSError, JournalError):
        return size, False
    return size, not segment.is_torn
