"""Any bytes into the node's MQTT reader: it returns packets or raises `MqttError`, and it stays within its bounds.

`fuzz_packets(data)` is the entry for a fuzzer. As a program, also on MicroPython, it makes its own bytes:

    micropython tests/node/fuzz_packets.py SEED COUNT
"""

import sys

from firmware.links.mqtt_packets import PUBLISH, MqttError, PacketReader

SIZE_MAX = 96
SKIP_MAX = 300

_reader = PacketReader(SIZE_MAX, SKIP_MAX)


def read_all(data, portion):
    """Return what a reader makes of ``data`` given in portions: a tuple for each packet, then the error's name."""
    _reader.reset()
    found = []
    try:
        for start in range(0, len(data), portion):
            part = data[start : start + portion]
            at = 0
            while at < len(part):
                before = at
                at = _reader.feed(part, at, len(part))
                if not before < at <= len(part):
                    raise AssertionError("no progress")
                if _reader.is_complete:
                    found.append(describe(_reader))
    except MqttError as error:
        found.append(error.what)
    return found


def describe(reader):
    """Return what a packet said; what cannot be is an AssertionError."""
    kind = reader.kind
    if kind == PUBLISH:
        if len(reader.payload) > SIZE_MAX or not reader.topic or (reader.qos and not reader.packet_id):
            raise AssertionError("a PUBLISH beyond its bounds")
        return (
            kind,
            reader.topic,
            bytes(reader.payload),
            reader.qos,
            reader.retain,
            reader.packet_id,
            reader.is_oversize,
        )
    return (kind, reader.packet_id, bytes(reader.codes) if kind == 9 else reader.code)


def fuzz_packets(data):
    """Read ``data`` whole and byte by byte: both must say the same. The first byte says the third portion.

    Whatever it was, a reset is enough: the next session's first packet is read as ever.
    """
    whole = read_all(data, max(len(data), 1))
    if whole != read_all(data, 1):
        raise AssertionError("portions change the meaning")
    if data and whole != read_all(data, data[0] % 7 + 2):
        raise AssertionError("portions change the meaning")
    if read_all(_SEEDS[2], 99) != _THE_SECOND:
        raise AssertionError("something of it is left")
    return whole


# Beginnings that get a random byte string past the first checks.
_SEEDS = (
    b"\x20\x02\x00\x00",
    b"\x30\x08\x00\x03a/bxyz",
    b"\x32\x08\x00\x03a/b\x00\x0ax",
    b"\x3a\x08\x00\x03a/b\x00\x0ax",
    b"\x30\xc8\x01\x00\x03a/b",
    b"\x40\x02\x00\x0a",
    b"\x90\x03\x00\x0a\x01",
    b"\xb0\x02\x00\x0a",
    b"\xd0\x00",
)
_THE_SECOND = [(PUBLISH, "a/b", b"x", 1, 0, 10, False)]


class Xorshift:
    """The same chance on every interpreter: xorshift32."""

    def __init__(self, seed):
        self._state = seed or 1

    def below(self, bound):
        """Return a number in 0 … bound - 1."""
        state = self._state
        state ^= (state << 13) & 0xFFFFFFFF
        state ^= state >> 17
        state ^= (state << 5) & 0xFFFFFFFF
        self._state = state
        return (state >> 3) % bound


def make(chance):
    """Return some bytes: packets, cut, joined and with bytes changed."""
    data = bytearray()
    for _ in range(1 + chance.below(4)):
        if chance.below(8) == 0:
            for _ in range(chance.below(12)):
                data.append(chance.below(256))
        else:
            seed = _SEEDS[chance.below(len(_SEEDS))]
            data.extend(seed[: 1 + chance.below(len(seed))] if chance.below(6) == 0 else seed)
            if seed[1] == 0xC8:
                data.extend(bytes(195))
    for _ in range(chance.below(3) if data else 0):
        data[chance.below(len(data))] = chance.below(256)
    return bytes(data)


def main(seed, count):
    """Fuzz, and print how many packets and errors came of it: the numbers are the same everywhere."""
    chance = Xorshift(seed)
    packets = errors = 0
    for _ in range(count):
        data = make(chance)
        found = fuzz_packets(data)
        for one in found:
            if isinstance(one, tuple):
                packets += 1
            else:
                errors += 1
    print("packets", packets, "errors", errors)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
