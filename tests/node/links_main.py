"""What must be the same on every interpreter, as digests. Runs on CPython and MicroPython:

    micropython tests/node/links_main.py SECTION

Each section prints lines that the tests compare with CPython's own.
"""

import gc
import hashlib
import struct
import sys
import time

from firmware.control.inputs import Message
from firmware.links import codec
from firmware.links.codec_fields import (
    ACCEPTED,
    DONE,
    DUPLICATE,
    ENVELOPE_AT,
    FIELDS,
    FORGED,
    MALFORMED,
    MISADDRESSED,
    RATE_LIMITED,
    REPLAYED,
    REPORTS_AT,
    VERB_DIM,
    VERBS_AT,
)
from firmware.links.commands import CommandGate
from firmware.links.outbox import CLASSES, ROUTINE, Outbox
from firmware.links.wave_link import Wave
from firmware.system import ed25519, keys
from firmware.system.sha512 import sha512

NODE_KEY = bytes([7] * 32)
GROUP_KEY = bytes([9] * 32)
NODE_ID = 1234
GROUP_ID = 3
DAY = 9800
NOON = 43200


class MemoryStore:
    """A double of the node's store: names and bytes. ``dies_at``: the write that fails, counted from 0."""

    def __init__(self):
        self.files = {}
        self.writes = 0
        self.dies_at = -1

    def read(self, name, skip=0):
        """Return the bytes from ``skip`` on, or None."""
        data = self.files.get(name)
        return data if data is None else data[skip:]

    def write(self, name, data):
        """Keep the bytes, or die."""
        self.writes += 1
        if self.writes - 1 == self.dies_at:
            raise OSError(5)
        self.files[name] = bytes(data)


def signed(counter, verb, values, **changes):
    """Return a signed command. ``changes``: secret, purpose, scope, sender, address, day, second, lifetime."""
    sender = changes.get("sender", 0)
    scope = changes.get("scope", 0)
    address = changes.get("address", GROUP_ID if scope else NODE_ID)
    envelope = [scope, sender, address, counter, changes.get("day", DAY), changes.get("second", NOON)]
    envelope.append(changes.get("lifetime", 600))
    body = codec.encode_command(envelope, verb, values)
    secret = changes.get("secret", GROUP_KEY if scope else NODE_KEY)
    purpose = changes.get("purpose", codec.PURPOSE_GROUP if scope else codec.PURPOSE_COMMAND)
    return body + keys.tag(keys.derive(secret, purpose, bytes((sender,))), body, codec.MAC_BYTES)


def gate_of(store=None, **options):
    """Return a gate of the node in these tests."""
    options.setdefault("chance", bytes)
    return CommandGate(NODE_KEY, NODE_ID, ((GROUP_ID, GROUP_KEY),), store or MemoryStore(), **options)


def fuzz_commands(data):
    """Give any bytes to a gate that has accepted a command: none is accepted, nothing is raised, nothing changes."""
    store = MemoryStore()
    gate = gate_of(store)
    if gate.accept(signed(50, VERB_DIM, (0, 500, 5, 0)), True, DAY, NOON, 0) != ACCEPTED:
        raise ValueError("the genuine command was refused")
    before = store.files["commands"]
    for is_known in (True, False):
        verdict = gate.accept(data, is_known, DAY, NOON, 1000)
        if verdict not in (MALFORMED, MISADDRESSED, FORGED, RATE_LIMITED):
            raise ValueError("verdict", verdict, data)
        if gate.acknowledge(DONE, bytes(4)):
            raise ValueError("answered")
    if store.files["commands"] != before or gate.accepted.counter != 50:
        raise ValueError("state changed")


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


def fuzz_codec(data):
    """Give any bytes to the decoders: a message whose only encoding they are, or a `CodecError`."""
    try:
        kind, values = codec.decode(data)
    except codec.CodecError:
        pass
    else:
        if codec.encode(kind, values) != data:
            raise ValueError("a second encoding", data)
    try:
        envelope = codec.decode_envelope(data)
        verb, values = codec.decode_verb(data)
    except codec.CodecError:
        return
    if codec.encode_command(envelope, verb, values) + data[-8:] != data:
        raise ValueError("a second encoding", data)


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


def run_keys():
    """Tags and keys of odd lengths."""
    chance = Chance(2)
    digest = hashlib.sha256()
    for length in range(0, 140, 7):
        key = chance.some_bytes(length)
        digest.update(keys.hmac_sha256(key, chance.some_bytes(3 * length)))
        digest.update(keys.derive(key, codec.PURPOSE_WAVE, bytes((length,))))
    print_digest("keys", digest)


def attack(chance, count):
    """Attack a gate ``count`` times with what was once genuine; return (wrongly accepted, digest of all verdicts)."""
    store = MemoryStore()
    gate = gate_of(store)
    digest = hashlib.sha256()
    tick = 0
    second = NOON
    heard = []
    wrong = 0
    counter = 0
    for _ in range(count):
        tick = (tick + 200 + chance.below(20000)) & 0x3FFFFFFF
        if second < 80000:
            second += chance.below(2)
        if len(heard) < 8 or chance.below(50) == 0:
            counter += 1 + chance.below(3)
            data = signed(counter, VERB_DIM, (0, chance.below(1001), 1 + chance.below(30), 0), second=second)
            verdict = gate.accept(data, chance.below(8) > 0, DAY, second, tick)
            if verdict == ACCEPTED:
                heard.append(data)
            if len(heard) > 100:
                heard.pop(0)
            digest.update(bytes((verdict,)))
            gate.acknowledge(DONE, bytes(4))
            if chance.below(10) == 0:
                # A power cut.
                gate = gate_of(store)
            continue
        data = bytearray(heard[chance.below(len(heard))])
        kind = chance.below(5)
        if kind == 0:
            data[chance.below(len(data))] ^= 1 << chance.below(8)
        elif kind == 1:
            for i in range(3):
                data[3 + i] = chance.below(256)
        elif kind == 2:
            data = bytearray(signed(counter + 40, VERB_DIM, (0, 0, 5, 0), address=77, second=second))
        elif kind == 3:
            data = bytearray(signed(counter + 40, VERB_DIM, (0, 0, 5, 0), secret=GROUP_KEY, second=second))
        verdict = gate.accept(data, chance.below(8) > 0, DAY, second, tick)
        digest.update(bytes((verdict,)))
        if verdict == ACCEPTED or (verdict in (DUPLICATE, REPLAYED) and kind != 4):
            wrong += 1
    return wrong, digest


def run_commands():
    """Attack the gate a thousand times."""
    wrong, digest = attack(Chance(3), 1000)
    print("accepted wrongly", wrong)
    print_digest("commands", digest)


class LossyAir:
    """A double of the radio: every pole hears every other, now and then, late, twice, or damaged.

    ``loss``, ``doubles``, ``damage``: chances in percent. What was ever sent is in ``log``.
    """

    def __init__(self, chance, poles, loss=0, doubles=0, damage=0):
        self._chance = chance
        self.queues = [[] for _ in range(poles)]
        self.log = []
        self.loss = loss
        self.doubles = doubles
        self.damage = damage

    def send(self, pole, frame):
        """Broadcast from a pole."""
        self.log.append(frame)
        for other in range(len(self.queues)):
            if other == pole or self._chance.below(100) < self.loss:
                continue
            if self._chance.below(100) < self.damage:
                frame = bytearray(frame)
                frame[self._chance.below(len(frame))] ^= 1 << self._chance.below(8)
            self.queues[other].append(bytes(frame))
            if self._chance.below(100) < self.doubles:
                self.queues[other].append(bytes(frame))
        return True


class AirRadio:
    """What one pole sees of the air."""

    def __init__(self, air, pole):
        self._air = air
        self._pole = pole

    def send(self, frame):
        """Broadcast."""
        return self._air.send(self._pole, frame)

    def receive(self):
        """Return the next frame or None."""
        queue = self._air.queues[self._pole]
        return queue.pop(0) if queue else None


def run_wave():
    """Three poles speak over bad air, one is cut off now and then, and old frames come again."""
    chance = Chance(5)
    air = LossyAir(chance, 3, 20, 10, 10)
    stores = [MemoryStore() for _ in range(3)]
    ids = (100, 101, 102)

    def wave_of(pole):
        wave = Wave(NODE_KEY, ids[pole], [one for one in ids if one != ids[pole]], AirRadio(air, pole), stores[pole])
        wave.start()
        return wave

    waves = [wave_of(pole) for pole in range(3)]
    digest = hashlib.sha256()
    message = Message()
    tick = 0x3FFF0000
    heard = 0
    for number in range(400):
        tick = (tick + chance.below(1500)) & 0x3FFFFFFF
        pole = chance.below(3)
        if chance.below(100) == 0:
            waves[pole] = wave_of(pole)
        waves[pole].send(ids[pole], number & 255, 2, chance.below(3), tick)
        if air.log and chance.below(4) == 0:
            air.queues[chance.below(3)].append(air.log[chance.below(len(air.log))])
        for other in range(3):
            while waves[other].receive(message, tick):
                line = (other, message.sender, message.origin, message.sequence, message.hops, message.travelled)
                digest.update(repr(line).encode())
                heard += 1
    for wave in waves:
        digest.update(repr((wave.sent, wave.received, wave.unknown, wave.forged, wave.replayed, wave.limited)).encode())
    print_digest("wave", digest)
    print("heard", heard, "frame bytes", max([len(frame) for frame in air.log]))


def run_outbox():
    """A long life of an outbox with a bad link and power cuts."""
    chance = Chance(4)
    store = MemoryStore()
    box = Outbox(store, 0)
    digest = hashlib.sha256()
    tick = 0
    for number in range(4000):
        tick = (tick + chance.below(30000)) & 0x3FFFFFFF
        pick = chance.below(100)
        if pick < 50:
            priority = chance.below(CLASSES)
            box.put(priority, "t" + str(chance.below(3)), chance.some_bytes(1 + chance.below(200)), 1)
        elif pick < 80:
            digest.update(repr(box.peek()).encode())
            if chance.below(3):
                box.done()
        elif pick < 99:
            store.dies_at = store.writes if chance.below(4) == 0 else -1
            digest.update(bytes((box.poll(tick),)))
        else:
            box = Outbox(store, tick)
        digest.update(repr((number, len(box), box.bytes_waiting, box.dropped)).encode())
    print_digest("outbox", digest)
    print(store.writes, box.dropped[ROUTINE])


# RFC 8032, 7.1, TEST 1 to 3 and SHA(abc): public key, message, signature.
RFC_8032 = (
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
        "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
)


def run_ed25519():
    """The RFC's vectors, and each with one bit turned; digests of SHA-512 of odd lengths."""
    chance = Chance(6)
    digest = hashlib.sha256()
    for length in (0, 3, 55, 111, 112, 127, 128, 129, 240):
        digest.update(sha512(chance.some_bytes(length)))
    print_digest("sha512", digest)
    for key, message, signature in RFC_8032:
        parts = [bytearray(bytes.fromhex(one)) for one in (key, message, signature)]
        good = ed25519.verify(parts[0], parts[1], parts[2])
        part = parts[2 if not parts[1] else chance.below(3)]
        part[chance.below(len(part))] ^= 1 << chance.below(8)
        print("genuine", good, "turned", ed25519.verify(parts[0], parts[1], parts[2]))


def run_ed25519_time():
    """Print in us: a verification, its steps, the longest (the collector's work included); then each step's best of
    five, which is its own work on a machine that others use too, with the collector kept out."""
    key, message, signature = [bytes.fromhex(one) for one in RFC_8032[2]]
    best = [1 << 29] * 1000
    for turn in range(6):
        steps = ed25519.verify_steps(key, message, signature)
        total = longest = count = 0
        while True:
            if turn and count % 20 == 0:
                gc.collect()
            start = time.ticks_us()
            try:
                next(steps)
            except StopIteration as stop:
                if turn == 0:
                    print("good", stop.value, "total_us", total, "steps", count, "longest_us", longest)
                break
            spent = time.ticks_diff(time.ticks_us(), start)
            total += spent
            longest = max(longest, spent)
            if turn:
                best[count] = min(best[count], spent)
            count += 1
    print("total_us", sum(best[:count]), "longest_us", max(best[:count]))


def main(arguments):
    """Run one section."""
    SECTIONS[arguments[0]]()


SECTIONS = {
    "codec": run_codec,
    "keys": run_keys,
    "commands": run_commands,
    "outbox": run_outbox,
    "wave": run_wave,
    "ed25519": run_ed25519,
    "ed25519_time": run_ed25519_time,
}

if __name__ == "__main__":
    main(sys.argv[1:])
