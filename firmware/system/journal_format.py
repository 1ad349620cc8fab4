"""The bytes of the journal: what a node writes, and what a host reads from any bytes without being hurt.

A segment is a file: a header of 18 bytes, then frames up to its end. Little-endian.

====== ===== ===============================================================
offset bytes header of a segment
====== ===== ===============================================================
0      4     ``RVJ1``
4      4     sequence: segments count up by one for the node's whole life
8      4     tick: what the first frame's difference counts from
12     4     boot: the node's count of boots at the time the segment began
16     2     CRC-16 of the bytes before
====== ===== ===============================================================

A frame is a length (1 … 96), so many bytes of body, and a CRC-16 of both. A body is a byte, lamp << 5 | kind; then the
tick as a difference to the frame before in ms; then values. Numbers are variable-length (7 bits a byte, lowest first,
zig-zag for the sign). Kinds 0 … 12 are the inputs of `intake_apply`; the others stand below. A frame that ends before
its length, or whose CRC is wrong, is where power was cut: what follows in that segment is not read.

CRC-16 is CRC-16/IBM-3740 ("CCITT-FALSE": 0x1021, start 0xFFFF; check value 0x29B1 for ``123456789``).
Pure: imports nothing but control.
"""

from firmware.control.compat import const
from firmware.control.ticks import TICKS_MAX

from .intake_apply import BOUNDS, KINDS

# Level, fade in ms, reason, by: at the tick at which it was decided, which may lie before that of the last input.
DECISION = const(16)
# The controller's first step came without an input.
STARTED = const(17)
# Nothing but the tick: the node lived, and no difference between two frames comes near half the ring.
MARK = const(18)
# So many records were lost before this one: the journal could not be written. No replay passes it.
GAP = const(19)
# A controller starts: `RUN_VALUES`. The tick is absolute.
RUN = const(30)

HEADER_SIZE = const(18)
LAMPS_MAX = const(4)
FRAME_MAX = const(99)
HASH_SIZE = const(8)
VERSION_MAX = const(24)
RUN_FORMAT = const(1)

_MAGIC = b"RVJ1"
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


def crc16(data, start, end):
    """Return the CRC-16/IBM-3740 of ``data[start:end]``, 0 … 65535."""
    crc = 0xFFFF
    for i in range(start, end):
        crc = (crc >> 8 | crc << 8) & 0xFFFF
        crc ^= data[i]
        crc ^= (crc & 0xFF) >> 4
        crc ^= (crc << 12) & 0xFFFF
        crc ^= (crc & 0xFF) << 5
    return crc


def put_u32(buffer, at, value):
    """Write ``value`` (0 … 2^32 - 1) in 4 bytes; return the next place."""
    for i in range(4):
        buffer[at + i] = (value >> (8 * i)) & 255
    return at + 4


def get_u32(data, at):
    """Return 4 bytes as a number; beyond 2^30 it is on the heap of a 32-bit board."""
    return data[at] | data[at + 1] << 8 | data[at + 2] << 16 | data[at + 3] << 24


def put_header(buffer, sequence, tick, boot):
    """Write a segment's header into the first ``HEADER_SIZE`` bytes."""
    buffer[0:4] = _MAGIC
    put_u32(buffer, 4, sequence)
    put_u32(buffer, 8, tick)
    put_u32(buffer, 12, boot)
    crc = crc16(buffer, 0, 16)
    buffer[16] = crc & 255
    buffer[17] = crc >> 8


def read_header(data):
    """Return (sequence, tick, boot). Raises `JournalError` where these bytes begin no segment."""
    if len(data) < HEADER_SIZE:
        raise JournalError(len(data), "ends within the header of %d bytes" % HEADER_SIZE)
    if bytes(data[0:4]) != _MAGIC:
        raise JournalError(0, "does not begin with RVJ1")
    if crc16(data, 0, 16) != data[16] | data[17] << 8:
        raise JournalError(16, "header with a wrong checksum")
    tick = get_u32(data, 8)
    if tick > TICKS_MAX:
        raise JournalError(8, "tick %d beyond the ring" % tick)
    return get_u32(data, 4), tick, get_u32(data, 12)


def put_frame(buffer, at, lamp, kind, delta, values):
    """Write a frame of numbers at ``at``, where ``FRAME_MAX`` bytes are free; return the next place.

    ``lamp`` 0 … 3; ``delta`` in ms; ``values`` within -2^30 … 2^30 - 1, which the caller has checked.
    """
    end = at + 1
    buffer[end] = lamp << 5 | kind
    end = _put_number(buffer, end + 1, delta)
    for value in values:
        end = _put_number(buffer, end, value)
    return _close_frame(buffer, at, end)


def put_run(buffer, at, lamp, tick, boot, config_hash, plan_hash, firmware, start_permille):
    """Write a `RUN` frame at ``at``, where ``FRAME_MAX`` bytes are free; return the next place.

    The hashes are the first 8 bytes of the SHA-256 of the files; ``firmware`` is the version, ASCII, cut after 24.
    """
    end = at + 1
    buffer[end] = lamp << 5 | RUN
    buffer[end + 1] = RUN_FORMAT
    end = put_u32(buffer, put_u32(buffer, end + 2, tick), boot)
    buffer[end : end + HASH_SIZE] = config_hash[:HASH_SIZE]
    end += HASH_SIZE
    buffer[end : end + HASH_SIZE] = plan_hash[:HASH_SIZE]
    end += HASH_SIZE
    buffer[end] = start_permille & 255
    buffer[end + 1] = start_permille >> 8
    end += 2
    text = firmware.encode()[:VERSION_MAX]
    buffer[end : end + len(text)] = text
    return _close_frame(buffer, at, end + len(text))


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
        bounds = _bounds_of(self.kind)
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


def _bounds_of(kind):
    if kind < KINDS:
        return BOUNDS[kind]
    if kind == DECISION:
        return _DECISION_BOUNDS
    if kind == GAP:
        return _GAP_BOUNDS
    if kind in (STARTED, MARK):
        return ()
    return None


def _put_number(buffer, at, value):
    # Zig-zag: small numbers of either sign take one byte.
    value = -2 * value - 1 if value < 0 else 2 * value
    while value > 127:
        buffer[at] = value & 127 | 128
        value >>= 7
        at += 1
    buffer[at] = value
    return at + 1


def _close_frame(buffer, at, end):
    buffer[at] = end - at - 1
    crc = crc16(buffer, at, end)
    buffer[end] = crc & 255
    buffer[end + 1] = crc >> 8
    return end + 2
