"""The outbox: what waits for a link that may be away for days, in a node that is cut off every dawn."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.links.outbox import (
    ACK,
    ALARM,
    CLASSES,
    ENERGY,
    EVENT,
    PAYLOAD_MAX_BYTES,
    ROUTINE,
    STORE_NAME,
    Outbox,
)
from tests.node import links_main
from tests.node.links_main import MemoryStore

KEPT = (ALARM, EVENT, ENERGY)
# From the one that is worth most to the one that goes first.
WORTH = [ALARM, EVENT, ENERGY, ACK, ROUTINE]
QUARTER_MS = 900_000


class Cut(BaseException):
    """The power goes: nobody catches that."""


class CutStore(MemoryStore):
    """A double of the store that dies at an operation: before it, or after it is whole on the flash but not reported.
    What the real one promises (old or new, never half) is tested where it lives."""

    def __init__(self, dies_at: int, is_after: bool) -> None:
        super().__init__()
        self.at = dies_at
        self.is_after = is_after
        self.operations = 0

    def write(self, name, data):
        self.operations += 1
        is_now = self.operations - 1 == self.at
        if is_now and not self.is_after:
            raise Cut
        super().write(name, data)
        if is_now:
            raise Cut


def drain(box: Outbox) -> list[bytes]:
    """Send all there is; return the payloads in their order."""
    found = []
    while (message := box.peek()) is not None:
        found.append(message[1])
        box.done()
    return found


def test_the_important_goes_first():
    """A lamp that hangs by its cable must be known before last week's energy. So alarms leave first, then acks, events,
    energy and routine; the oldest first within each."""
    box = Outbox(None, 0, prefix="reverbere/1/s/n/")
    for number, priority in enumerate((ROUTINE, ENERGY, EVENT, ACK, ALARM, ALARM, ENERGY)):
        assert box.put(priority, "x", bytes([priority, number]), 1)
    assert box.peek() == ("reverbere/1/s/n/x", bytes([ALARM, 4]), 1)
    assert [(one[0], one[1]) for one in drain(box)] == [(0, 4), (0, 5), (1, 3), (2, 2), (3, 1), (3, 6), (4, 0)]
    assert len(box) == box.bytes_waiting == 0
    box.done()
    assert box.peek() is None and box.age_s() == 0


def test_the_latest_routine_wins():
    """After a day without a link nobody wants a hundred old states of a lamp. So one of each key waits, the latest, and
    one that is under way is not swapped under the link's hands."""
    box = Outbox(None, 0)
    for number in range(5):
        box.put(ROUTINE, "status", bytes([number]), 0)
        box.put(ROUTINE, "status", bytes([100 + number]), 0, key="status 1")
    assert drain(box) == [b"\x04", b"\x68"]
    box.put(ROUTINE, "status", b"old", 0)
    assert box.peek()[1] == b"old"
    box.put(ROUTINE, "status", b"new", 0)
    box.put(ROUTINE, "status", b"newer", 0)
    box.done()
    assert drain(box) == [b"newer"]
    # The link broke before it was done: the old one is not sent again.
    box.put(ROUTINE, "status", b"old", 0)
    box.peek()
    box.put(ROUTINE, "status", b"new", 0)
    assert drain(box) == [b"new"]


def test_done_is_done_for_what_was_sent():
    """An alarm that comes while a status is under way must not be taken for sent."""
    box = Outbox(None, 0)
    box.put(ENERGY, "energy", b"energy", 1)
    assert box.peek()[1] == b"energy"
    box.put(ALARM, "event", b"alarm", 1)
    box.done()
    assert drain(box) == [b"alarm"]


messages = st.tuples(st.integers(0, CLASSES - 1), st.integers(0, 300), st.integers(0, 3))


@given(st.lists(messages | st.sampled_from(["peek", "done"]), max_size=120), st.integers(2, 12))
@settings(max_examples=150)
def test_bounds_and_worth(steps, count_max):
    """A store-room without walls fills the chip's memory in a week. So count and bytes hold at every moment, each
    message is delivered, waiting or counted as dropped, and nothing is dropped while something worth less waits."""
    box = Outbox(None, 0, count_max=count_max, bytes_max=2400)
    put = delivered = replaced = 0
    sent = None
    for number, step in enumerate(steps):
        if step == "peek":
            before = len(box)
            sent = box.peek()
            # One that was replaced while it was under way.
            replaced += before - len(box)
        elif step == "done":
            before = len(box)
            box.done()
            delivered += before - len(box)
            sent = None
        else:
            priority, size, key = step
            before_drops, before_len = sum(box.dropped), len(box)
            waiting = sorted(WORTH.index(entry.priority) for entry in box._entries if entry is not box._sent)
            drops = list(box.dropped)
            box.put(priority, "t", bytes(size) + bytes([number & 255]), 1, key=str(key))
            put += 1
            new_drops = sum(box.dropped) - before_drops
            replaced += before_len + 1 - new_drops - len(box)
            for victim in range(CLASSES):
                for _ in range(box.dropped[victim] - drops[victim]):
                    worst = max([*waiting, WORTH.index(priority)])
                    assert WORTH.index(victim) == worst
                    if worst in waiting:
                        waiting.remove(worst)
        assert len(box) <= count_max
        assert box.bytes_waiting == sum(len(entry.topic) + len(entry.payload) for entry in box._entries) <= 2400
    assert sent is None or box._sent is not None
    assert put == delivered + replaced + len(box) + sum(box.dropped)


def test_the_oldest_goes_and_never_what_is_being_sent():
    """Within a class the newest knows most. So the oldest is dropped; but what the link has in its hands stays, or
    `done` would take another for it."""
    box = Outbox(None, 0, count_max=3)
    for number in range(3):
        box.put(ENERGY, "energy", bytes([number]), 1)
    box.put(ENERGY, "energy", b"new", 1)
    assert drain(box) == [b"\x01", b"\x02", b"new"]
    for number in range(3):
        box.put(ENERGY, "energy", bytes([number]), 1)
    assert box.peek()[1] == b"\x00"
    box.put(ALARM, "event", b"alarm", 1)
    box.put(ALARM, "event", b"second", 1)
    box.done()
    assert drain(box) == [b"alarm", b"second"]
    assert box.dropped == [0, 0, 0, 3, 0]


def test_too_much_is_refused():
    """What no link can carry is refused at the door and counted."""
    box = Outbox(None, 0)
    assert not box.put(EVENT, "event", bytes(PAYLOAD_MAX_BYTES + 1), 1)
    assert not box.put(EVENT, "x" * 25, b"", 1)
    assert box.dropped[EVENT] == 2
    for count_max, bytes_max in ((1, 4096), (4, 2399), (4, 5001)):
        with pytest.raises(ValueError, match="an outbox"):
            Outbox(None, 0, count_max=count_max, bytes_max=bytes_max)


def test_when_it_writes():
    """Contactors chatter at dusk, and flash wears. So nothing is written in the first 5 s, an alarm 5 s after the last
    write, energy within the quarter, routine never; and where something goes wrong all day, 104 times at most."""
    store = MemoryStore()
    box = Outbox(store, 1000)
    box.put(ROUTINE, "status", b"s", 0)
    box.put(ACK, "ack", b"a", 1)
    assert not box.poll(1000 + QUARTER_MS)
    assert store.writes == 0 and box.is_saved
    store = MemoryStore()
    box = Outbox(store, 1000)
    box.put(ALARM, "event", b"alarm", 1)
    assert [box.poll(tick) for tick in (1000, 3000, 5999, 6000, 7000)] == [False, False, False, True, False]
    box.put(ENERGY, "energy", b"wh", 1)
    assert not box.poll(6000 + QUARTER_MS - 1)
    assert box.poll(6000 + QUARTER_MS)
    writes = store.writes
    tick = 10_000_000
    for _ in range(86_400 // 10):
        tick = (tick + 10_000) % 2**30
        box.put(ALARM, "event", b"again", 1)
        box.poll(tick)
    print(f"figure: {store.writes - writes} writes of the outbox in a day of an alarm every 10 s")
    assert store.writes - writes <= 8 + 96
    assert len(store.files[STORE_NAME]) <= 5000 + 48 * 7 + 1


def test_a_failing_store_is_tried_again():
    """A full flash must not silence an alarm: it waits in memory, and is written later."""
    store = MemoryStore()
    store.dies_at = 0
    box = Outbox(store, 0)
    box.put(ALARM, "event", b"alarm", 1)
    assert not box.poll(6000)
    assert box.failures == 1 and not box.is_saved
    assert not box.poll(7000)
    assert box.poll(11_000)
    assert drain(Outbox(store, 0)) == [b"alarm"]


def test_ages_are_told():
    """An event from before the cut is not from now. So every message tells how long it has waited, cuts not counted."""
    store = MemoryStore()
    box = Outbox(store, 2**30 - 3000)
    box.put(ALARM, "event", b"alarm", 1)
    for second in range(0, 600, 7):
        box.poll((2**30 - 3000 + second * 1000) % 2**30)
    box.peek()
    assert 590 <= box.age_s() <= 600
    box.put(EVENT, "event", b"later", 1)
    assert box.poll((2**30 - 3000 + 700_000) % 2**30)
    again = Outbox(store, 5)
    again.peek()
    assert again.age_s() == 11 * 60


steps_with_power = st.lists(
    st.tuples(st.sampled_from(["put", "put", "send", "poll"]), st.sampled_from([*KEPT, ROUTINE]), st.integers(1, 60)),
    min_size=1,
    max_size=40,
)


@given(steps_with_power, st.integers(0, 12), st.booleans())
@settings(max_examples=200)
def test_a_cut_loses_nothing_that_was_saved(steps, dies_at, is_after):
    """The feeder is cut at any moment. So whatever alarm, event or energy `poll` has said to be stored is there after
    the cut, unless it was sent; and nothing comes back that was never there."""
    store = CutStore(dies_at, is_after)
    box = Outbox(store, 0)
    tick = 0
    waiting: list[bytes] = []
    everything: set[bytes] = set()
    saved: set[bytes] = set()
    sent: set[bytes] = set()
    try:
        for number, (what, priority, seconds) in enumerate(steps):
            tick += seconds * 30_000
            if what == "put":
                payload = b"%d/%d" % (priority, number)
                box.put(priority, "t", payload, 1, key=str(number))
                everything.add(payload)
                if priority in KEPT:
                    waiting.append(payload)
            elif what == "send":
                message = box.peek()
                if message is not None:
                    sent.add(message[1])
                    box.done()
            elif box.poll(tick):
                saved = set(waiting) - sent
    except Cut:
        pass
    found = drain(Outbox(store, 0))
    assert saved - sent <= set(found)
    assert set(found) <= everything
    assert len(found) == len(set(found))
    assert all(payload[:1] != b"4" for payload in found)
    assert found == sorted(found, key=lambda payload: int(payload[:1]))


@given(st.binary(max_size=80) | st.binary(max_size=60).map(lambda data: b"\x01" + data))
def test_any_stored_bytes_can_be_loaded(data):
    """Should the store give back nonsense, the node starts all the same, with what can be read of it."""
    store = MemoryStore()
    store.files[STORE_NAME] = data
    box = Outbox(store, 0)
    assert all(len(payload) <= len(data) for payload in drain(box))


def test_the_same_on_the_chips_interpreter(micropython_runtime, capsys):
    """Four thousand steps with a bad link, failing writes and power cuts end in the same places there."""
    links_main.main(["outbox"])
    here = capsys.readouterr().out
    done = micropython_runtime.run(["tests/node/links_main.py", "outbox"])
    assert done.returncode == 0, done.stderr
    assert done.stdout == here
