"""What must be the same on every interpreter, as digests. Runs on CPython and MicroPython:

    micropython tests/node/links_main.py SECTION

Each section prints lines that the tests compare with CPython's own.
"""

import hashlib
import struct
import sys

from firmware.links import codec
from firmware.links.codec_fields import ENVELOPE_AT, FIELDS, REPORTS_AT, VERBS_AT


class Chance:
    """A generator of 30 bits, the same everywhere (a linear congruence; only the high bits are given away)."""

    def __init__(self, seed):
        self._state = seed & 0x3FFFFFFF

    def below(self, limit):
        """Return 0 … limit - 1."""
        self._state = (self._state * 1103515245 + 12345) & 0x3FFFFFFF
        high = self._state >> 8
        self._state = (self._state * 1103515245 + 12345) & 0x3FFFFFFF
        return ((high << 20) ^ (self._state >> 4)) % limit

    def some_bytes(self, length):
        """Return so many bytes."""
        return bytes([self.below(256) for _ in range(length)])


def drawn_values(chance, table, code):
    """Return values that a message of the table may have, often at their ends."""
    values = []
    for i in range(table[2 * code], table[2 * code] + table[2 * code + 1]):
        flags, scale, low, most = struct.unpack_from("<BHii", FIELDS, 11 * i)
        if flags & 31 == 0:
            values.append(chance.some_bytes(low + (chance.below(min(most, 40) + 1) if most else 0)))
            continue
        pick = chance.below(8)
        if pick == 0 and flags & 32:
            values.append(None)
        elif pick < 3:
            values.append(low if pick == 1 else low + most * scale)
        else:
            values.append(low + chance.below(most + 1) * scale)
    return values


def codes_of(table):
    """Return the codes that a table has."""
    return [code for code in range(len(table) // 2) if table[2 * code] != 255]


def print_digest(name, digest):
    """Print a line: name and digest."""
    print(name, digest.digest().hex())


def run_codec():
    """Encode and decode thousands of messages, then anything."""
    chance = Chance(1)
    digest = hashlib.sha256()
    for _ in range(60):
        for kind in codes_of(REPORTS_AT):
            values = drawn_values(chance, REPORTS_AT, kind)
            data = codec.encode(kind, values)
            digest.update(data)
            if codec.decode(data) != (kind, values):
                print("REPORT", kind, values)
        for verb in codes_of(VERBS_AT):
            envelope = drawn_values(chance, ENVELOPE_AT, 0)
            values = drawn_values(chance, VERBS_AT, verb)
            data = codec.encode_command(envelope, verb, values) + chance.some_bytes(8)
            digest.update(data)
            if codec.decode_envelope(data) != envelope or codec.decode_verb(data) != (verb, values):
                print("COMMAND", verb, values)
    print_digest("codec", digest)
    digest = hashlib.sha256()
    refused = 0
    for _ in range(3000):
        data = bytearray(chance.some_bytes(1 + chance.below(40)))
        if chance.below(4):
            data[0] = 0x10 | data[0] & 15
        for decode in (codec.decode, codec.decode_envelope, codec.decode_verb):
            try:
                digest.update(repr(decode(data)).encode())
            except codec.CodecError as error:
                refused += 1
                digest.update(str(error).encode())
    print_digest("anything", digest)
    print("refused", refused)


def main(arguments):
    """Run one section."""
    SECTIONS[arguments[0]]()


SECTIONS = {"codec": run_codec}

if __name__ == "__main__":
    main(sys.argv[1:])
