"""Any bytes, and damaged good ones, where a decoder stands before a state: what is refused has changed nothing.

    micropython tests/node/state_fuzz.py commands SEED COUNT
    micropython tests/node/state_fuzz.py plans SEED COUNT FILE

``commands`` go through the gate of a node: bytes, genuine commands that are damaged, and damaged ones with a right MAC
(a wrong host). ``plans`` (FILE has good ones, one a line, in hexadecimal) are staged, switched and installed. It prints
how many were taken, how many refused, and a sum over the verdicts: the same on every interpreter. A state that changed,
and whatever else is raised, ends the program.
"""

# ruff: noqa: UP031  (what runs on the chip formats as the chip's own code does)

import binascii
import sys

from firmware.links import codec, codec_fields
from firmware.links.codec_fields import ACCEPTED, DONE, STAGED, VERB_DIM
from firmware.system import keys
from firmware.system.plan_stage import PlanStage, hash8_of
from tests.node.bytes_fuzz import Chance, damaged, fuzz_plan, make_plan
from tests.node.links_main import (
    DAY,
    GROUP_KEY,
    NODE_KEY,
    NOON,
    MemoryStore,
    codes_of,
    drawn_values,
    gate_of,
    signed,
)
from tests.node.links_main import Chance as Draw

_SUM = 0x3FFFFFF
_TICKS = 0x3FFFFFFF
# So many inputs see one gate; then the next one starts, with another genuine command behind it.
_GATE_LIFE = 500
# Every input has its turn: what the measure of old numbers gives back in this time is one look.
_STEP_MS = 10000


def genuine_commands(chance, count):
    """Return signed commands of every verb, by several senders, for the node and its group."""
    found = []
    verbs = codes_of(codec_fields.VERBS_AT)
    for number in range(count):
        verb = verbs[number % len(verbs)]
        values = drawn_values(chance, codec_fields.VERBS_AT, verb)
        counter = 60 + chance.below(1 << 20)
        found.append(signed(counter, verb, values, scope=number // len(verbs) & 1, sender=chance.below(codec.SENDERS)))
    return found


class Sealer:
    """Puts a right MAC under anything: the host has the keys, and a fault."""

    def __init__(self):
        self._keys = {}

    def seal(self, data):
        """Return the body with the MAC of the address and sender that it names, unchanged where it names none."""
        body = bytes(data[: len(data) - codec.MAC_BYTES])
        try:
            envelope = codec.decode_envelope(bytes(data))
        except codec.CodecError:
            return bytes(data)
        where = (envelope[0], envelope[1])
        if where not in self._keys:
            secret, purpose = (GROUP_KEY, codec.PURPOSE_GROUP) if envelope[0] else (NODE_KEY, codec.PURPOSE_COMMAND)
            self._keys[where] = keys.derive(secret, purpose, bytes((envelope[1],)))
        return body + keys.tag(self._keys[where], body, codec.MAC_BYTES)


def make_command(chance, goods, sealer):
    """Return (bytes, whether their MAC may be right)."""
    kind = chance.below(16)
    good = goods[chance.below(len(goods))]
    if kind == 0:
        return chance.bytes(90), False
    if kind == 1:
        # The right beginning, as far as the number: all that a stranger knows.
        return good[:9] + chance.bytes(60), False
    data = damaged(chance, good)
    if kind < 10:
        return bytes(data), bytes(data) == good
    return sealer.seal(data), True


def state_of(gate, store):
    """Return all that a refused command may not touch."""
    accepted = gate.accepted
    return (
        tuple(gate._last),
        tuple(gate._limits),
        tuple(gate._tags),
        tuple(gate._acks),
        tuple(gate._dark_ms),
        (gate._issued_day, gate._issued_second),
        (accepted.verb, tuple(accepted.values), accepted.lamp, accepted.minutes, accepted.scope, accepted.sender),
        (accepted.address, accepted.counter, accepted.issued_day, accepted.issued_second, accepted.day),
        store.writes,
        store.files.get("commands"),
    )


def fuzz_commands(seed, count):
    """Return (taken, refused, sum over the verdicts)."""
    chance = Chance(seed)
    sealer = Sealer()
    goods = genuine_commands(Draw(seed), 120)
    taken = refused = verdicts = tick = 0
    gate = store = before = None
    for number in range(count):
        if number % _GATE_LIFE == 0:
            store = MemoryStore()
            gate = gate_of(store)
            gate.accept(signed(50, VERB_DIM, (0, 500, 5, 0)), True, DAY, NOON, tick)
            before = state_of(gate, store)
        tick = (tick + _STEP_MS) & _TICKS
        data, may_be_right = make_command(chance, goods, sealer)
        challenge = gate._challenge
        verdict = gate.accept(data, chance.below(4) > 0, DAY, NOON + chance.below(300), tick)
        if verdict == ACCEPTED:
            taken += 1
            told = codec.decode_verb(data)
            if not may_be_right or (gate.accepted.verb, gate.accepted.values) != told:
                raise ValueError("obeyed", data)
            before = state_of(gate, store)
        else:
            refused += 1
            is_known = gate._place >= 0
            if state_of(gate, store) != before:
                raise ValueError("changed by verdict %d" % verdict, data)
            if not is_known and (gate._challenge != challenge or gate.acknowledge(DONE, bytes(4))):
                raise ValueError("answered", data)
        verdicts = (verdicts + verdict * ((number & 1023) + 1)) & _SUM
    return taken, refused, verdicts


class PlanStore(MemoryStore):
    """The same, and it can forget."""

    def remove(self, name):
        """Forget a name."""
        self.files.pop(name, None)


def run(generator):
    """Return what a generator returns, at once."""
    while True:
        try:
            next(generator)
        except StopIteration as stop:
            return stop.value


def fuzz_plans(seed, count, goods):
    """Return (taken, refused, sum over the verdicts)."""
    chance = Chance(seed)
    taken = refused = verdicts = 0
    in_force = goods[0]
    store = PlanStore()
    store.files["plan0"] = in_force
    stage = PlanStage(store, 0)
    stage.load()
    for number in range(count):
        data = make_plan(chance, goods)
        if data == in_force or not data:
            continue
        # A host may send what its hash does not say.
        hash8 = hash8_of(data) if chance.below(8) else chance.bytes(1) + bytes(8)
        before = (dict(store.files), stage.hash8, stage.is_next)
        if stage.stage(0, hash8, data) == STAGED:
            verdict = run(stage.switch_steps(len(data), hash8, b"", None))
        else:
            verdict = codec_fields.REFUSED
        if verdict == STAGED:
            taken += 1
            if fuzz_plan(data) or stage.install() != data or store.files != {"plan0": data}:
                raise ValueError("installed otherwise", data)
            in_force = data
        else:
            refused += 1
            if (store.files, stage.hash8, stage.is_next) != before:
                raise ValueError("changed by verdict %d" % verdict, data)
        verdicts = (verdicts + verdict * ((number & 1023) + 1)) & _SUM
    return taken, refused, verdicts


if __name__ == "__main__":
    if sys.argv[1] == "commands":
        print(*fuzz_commands(int(sys.argv[2]), int(sys.argv[3])))
    else:
        with open(sys.argv[4]) as file:
            lines = file.read().split()
        print(*fuzz_plans(int(sys.argv[2]), int(sys.argv[3]), [binascii.unhexlify(line) for line in lines]))
