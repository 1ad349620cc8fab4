"""The payload on both radios: one header byte, then bits, little-endian, checked on both sides.

Described once, in host_tools/payload_table.py, for people in docs/payload.md; `codec_fields` is what the node needs of
it. A message is a list of integers in the order of the table: None where a value is unknown, bytes where it is bytes.
`struct` does not check ranges on MicroPython (it packs 300 into a byte as 44), so every field is checked here.

Decoding is strict: one message has one encoding. A wrong version, type, length, a value out of range or a set padding
bit is refused with `CodecError`, and no other exception leaves for any bytes.
"""

import struct

from firmware.control.compat import const

from .codec_fields import COMMAND, ENVELOPE_AT, FIELDS, REPORTS_AT, VERBS_AT, VERSION

# Bytes of MAC at the end of a command: see `firmware.system.keys`.
MAC_BYTES = const(8)
ENVELOPE_BYTES = const(12)
# Header, envelope, verb, MAC: no command is shorter.
COMMAND_MIN_BYTES = const(22)
# The longest of all: a chunk of a plan. More is refused before it is looked at.
MESSAGE_MAX_BYTES = const(1100)

# What the keys are derived for (`keys.derive`), and what a MAC of a command begins with. Never used for two things.
PURPOSE_COMMAND = b"reverbere/1 command"
PURPOSE_GROUP = b"reverbere/1 group command"
PURPOSE_WAVE = b"reverbere/1 wave"
PURPOSE_PLAN = b"reverbere/1 plan"
PURPOSE_PSK = b"reverbere/1 psk"
SENDERS = const(4)

_FIELD_FORMAT = "<BHii"
_FIELD_SIZE = const(11)
_IS_UNKNOWN = const(0x20)
_BITS = const(0x1F)


class CodecError(ValueError):
    """What cannot be encoded or decoded. ``place``: "length", "header", "verb", or "field 3" (counted from 0)."""

    def __init__(self, place: str, reason: str):
        super().__init__("payload, %s: %s" % (place, reason))
        self.place = place
        self.reason = reason


def known(value: int):
    """Return ``value``, or None where control says `UNKNOWN` (-1); for values that are never negative."""
    return None if value < 0 else value


def encode(kind: int, values) -> bytes:
    """Return the bytes of a report. ``kind``: its type (`codec_fields`); ``values``: in the order of the table.

    A value is rounded to the step of its field. Raises `CodecError` for an unknown kind, a wrong number of values, one
    that is out of its range, or of a wrong type.
    """
    body = _encode_body(REPORTS_AT, kind, values)
    return bytes((VERSION << 4 | kind,)) + body


def decode(data):
    """Return (type, values) of a report. Raises `CodecError` for all that `encode` would not write."""
    kind = _kind_of(data)
    if kind == COMMAND:
        raise CodecError("header", "a command, not a report")
    values, at = _decode_body(REPORTS_AT, kind, data, 1, len(data))
    _check_end(at, len(data))
    return kind, values


def encode_command(envelope, verb: int, values) -> bytes:
    """Return a command without its MAC: what the MAC is made over. Raises `CodecError`."""
    head = _encode_body(ENVELOPE_AT, 0, envelope)
    body = _encode_body(VERBS_AT, verb, values)
    return bytes((VERSION << 4 | COMMAND,)) + head + bytes((verb,)) + body


def decode_envelope(data):
    """Return the envelope's values of a command with its MAC; the rest has not been looked at. Raises `CodecError`."""
    if _kind_of(data) != COMMAND:
        raise CodecError("header", "a report, not a command")
    if len(data) < COMMAND_MIN_BYTES:
        raise CodecError("length", "%d bytes, a command has %d or more" % (len(data), COMMAND_MIN_BYTES))
    return _decode_body(ENVELOPE_AT, 0, data, 1, 1 + ENVELOPE_BYTES)[0]


def decode_verb(data):
    """Return (verb, values) of a command with its MAC. Raises `CodecError`."""
    end = len(data) - MAC_BYTES
    if end <= 1 + ENVELOPE_BYTES:
        raise CodecError("length", "%d bytes, a command has %d or more" % (len(data), COMMAND_MIN_BYTES))
    verb = data[1 + ENVELOPE_BYTES]
    values, at = _decode_body(VERBS_AT, verb, data, 2 + ENVELOPE_BYTES, end)
    _check_end(at, end)
    return verb, values


def _kind_of(data) -> int:
    if not 1 <= len(data) <= MESSAGE_MAX_BYTES:
        raise CodecError("length", "%d bytes, 1 to %d" % (len(data), MESSAGE_MAX_BYTES))
    if data[0] >> 4 != VERSION:
        raise CodecError("header", "version %d, this is %d" % (data[0] >> 4, VERSION))
    return data[0] & 15


def _check_end(at: int, end: int) -> None:
    if at != end:
        raise CodecError("length", "%d bytes too many" % (end - at))


def _row(table, code: int):
    """Return (first field, fields) of a message."""
    if not 0 <= code < len(table) // 2 or table[2 * code] == 255:
        raise CodecError("verb" if table is VERBS_AT else "header", "no message %d" % code)
    return table[2 * code], table[2 * code + 1]


def _encode_body(table, code: int, values) -> bytes:
    first, count = _row(table, code)
    if len(values) != count:
        raise CodecError("length", "%d values, the message has %d" % (len(values), count))
    buffer = bytearray()
    at_bit = 0
    for i in range(count):
        flags, scale, low, most = struct.unpack_from(_FIELD_FORMAT, FIELDS, (first + i) * _FIELD_SIZE)
        bits = flags & _BITS
        value = values[i]
        if bits == 0:
            if not isinstance(value, (bytes, bytearray, memoryview)):
                raise CodecError("field %d" % i, "not bytes")
            if not low <= len(value) <= low + most:
                raise CodecError("field %d" % i, "%d bytes, %d to %d" % (len(value), low, low + most))
            buffer.extend(value)
            at_bit = 8 * len(buffer)
            continue
        code = _code_of(i, value, flags, scale, low, most)
        while len(buffer) * 8 < at_bit + bits:
            buffer.append(0)
        _put(buffer, at_bit, bits, code)
        at_bit += bits
    return bytes(buffer)


def _code_of(i: int, value, flags: int, scale: int, low: int, most: int) -> int:
    if value is None:
        if not flags & _IS_UNKNOWN:
            raise CodecError("field %d" % i, "must be known")
        return (1 << (flags & _BITS)) - 1
    # A bool is an int on CPython and none on MicroPython: refused on both.
    if type(value) is not int:
        raise CodecError("field %d" % i, "not an integer")
    # Compared before it is subtracted from: any integer may come.
    if not low <= value <= low + most * scale:
        raise CodecError("field %d" % i, "%d, %d to %d" % (value, low, low + most * scale))
    return (value - low + (scale >> 1)) // scale


def _decode_body(table, code: int, data, at: int, end: int):
    """Return the values, and where they end; ``at`` … ``end``: where they may stand in ``data``."""
    first, count = _row(table, code)
    values: list = []
    at_bit = 8 * at
    for i in range(count):
        flags, scale, low, most = struct.unpack_from(_FIELD_FORMAT, FIELDS, (first + i) * _FIELD_SIZE)
        bits = flags & _BITS
        if bits == 0:
            at = _aligned(data, at_bit)
            # Of variable length, it is the last, and takes what is left.
            length = low if most == 0 else end - at
            if at + length > end or not low <= length <= low + most:
                raise CodecError("field %d" % i, "%d bytes are left, %d to %d" % (end - at, low, low + most))
            values.append(bytes(data[at : at + length]))
            at_bit = 8 * (at + length)
            continue
        if at_bit + bits > 8 * end:
            raise CodecError("length", "ends within field %d" % i)
        code = _get(data, at_bit, bits)
        at_bit += bits
        if code <= most:
            values.append(low + code * scale)
        elif flags & _IS_UNKNOWN and code == (1 << bits) - 1:
            values.append(None)
        else:
            raise CodecError("field %d" % i, "code %d, 0 to %d" % (code, most))
    return values, _aligned(data, at_bit)


def _aligned(data, at_bit: int) -> int:
    """Return the byte at which the bits end; those that fill it up are 0."""
    if at_bit & 7 and data[at_bit >> 3] >> (at_bit & 7):
        raise CodecError("length", "padding bits are set")
    return (at_bit + 7) >> 3


def _put(buffer, at_bit: int, bits: int, code: int) -> None:
    """Write ``bits`` bits, lowest first. No number here is wider than ``code``: on the chip it stays a small one."""
    while bits > 0:
        shift = at_bit & 7
        take = 8 - shift if bits > 8 - shift else bits
        buffer[at_bit >> 3] |= (code & ((1 << take) - 1)) << shift
        code >>= take
        at_bit += take
        bits -= take


def _get(data, at_bit: int, bits: int) -> int:
    code = 0
    done = 0
    while done < bits:
        shift = at_bit & 7
        take = 8 - shift if bits - done > 8 - shift else bits - done
        code |= ((data[at_bit >> 3] >> shift) & ((1 << take) - 1)) << done
        at_bit += take
        done += take
    return code
