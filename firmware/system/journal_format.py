"""The bytes of the journal, as a node writes them; `journal_read` reads them.

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

MAGIC = b"RVJ1"


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


def put_header(buffer, sequence, tick, boot):
    """Write a segment's header into the first ``HEADER_SIZE`` bytes."""
    buffer[0:4] = MAGIC
    put_u32(buffer, 4, sequence)
    put_u32(buffer, 8, tick)
    put_u32(buffer, 12, boot)
    crc = crc16(buffer, 0, 16)
    buffer[16] = crc & 255
    buffer[17] = crc >> 8


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
