"""The wave on the air: presence from pole to pole, over a radio that anybody may use."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.control.bubble import Bubble
from firmware.control.inputs import Message
from firmware.drivers.espnow_radio import BROADCAST, EspNowRadio
from firmware.links.wave_link import FRAME_BYTES, STORE_NAME, Wave
from tests.node import links_main
from tests.node.links_main import AirRadio, Chance, LossyAir, MemoryStore

SECRET = bytes(range(32))


def wave_of(air: LossyAir, pole: int, poles: int = 3, store: MemoryStore | None = None, secret: bytes = SECRET) -> Wave:
    """A started wave of pole 100 + its number, whose neighbours are all the others."""
    others = [100 + other for other in range(poles) if other != pole]
    wave = Wave(secret, 100 + pole, others, AirRadio(air, pole), store or MemoryStore())
    assert wave.start()
    return wave


def heard(wave: Wave, tick: int = 0) -> list[tuple[int, int, int, int, int]]:
    """All that a wave takes from the air now."""
    message = Message()
    found = []
    while wave.receive(message, tick):
        found.append((message.sender, message.origin, message.sequence, message.hops, message.travelled))
    return found


poles = st.integers(0, 65535)


@given(poles, poles, st.integers(0, 255), st.integers(0, 15), st.integers(0, 15))
def test_a_message_arrives_as_it_went(sender, origin, sequence, hops, travelled):
    """The neighbour must light for whoever is there, not for a number that the air made. So all fields arrive, in a
    frame of 20 bytes (an ESP-NOW broadcast of more would be heard less far)."""
    air = LossyAir(Chance(1), 2)
    one = Wave(SECRET, sender, [1], AirRadio(air, 0), MemoryStore())
    other = Wave(SECRET, 1, [sender], AirRadio(air, 1), MemoryStore())
    assert one.start()
    assert one.send(origin, sequence, hops, travelled, 0)
    assert len(air.log[0]) == FRAME_BYTES == 20
    assert heard(other) == [(sender, origin, sequence, hops, travelled)]


def test_a_frame_by_hand():
    """Whoever writes another decoder needs one frame. By CPython's own HMAC and HKDF."""
    import hashlib
    import hmac

    air = LossyAir(Chance(1), 1)
    wave = Wave(SECRET, 0x0102, [], AirRadio(air, 0), MemoryStore())
    wave.start()
    wave.send(0x0304, 5, 2, 1, 0)
    key = hmac.new(SECRET, b"reverbere/1 wave\0\x01", hashlib.sha256).digest()
    body = bytes.fromhex("1d 0201 0403 05 12 0100 010000")
    assert air.log == [body + hmac.new(key, body, hashlib.sha256).digest()[:8]]


@given(st.integers(0, 19), st.integers(0, 7))
def test_every_bit_is_under_the_tag(at, bit):
    """Chance and malice on the air must light nothing. So a frame with one bit turned is not taken, and the genuine one
    is, after it."""
    air = LossyAir(Chance(1), 2)
    one, other = wave_of(air, 0, 2), wave_of(air, 1, 2)
    one.send(100, 1, 2, 0, 0)
    genuine = air.queues[1].pop()
    bad = bytearray(genuine)
    bad[at] ^= 1 << bit
    air.queues[1] = [bytes(bad)]
    assert heard(other) == []
    assert other.unknown + other.forged + other.replayed == 1
    air.queues[1] = [genuine]
    assert len(heard(other)) == 1


@given(st.lists(st.binary(max_size=30) | st.binary(min_size=20, max_size=20), max_size=20))
def test_any_bytes_light_nothing(frames):
    """ESP-NOW hands over whatever a stranger broadcasts. So no bytes raise or are taken."""
    air = LossyAir(Chance(1), 2)
    other = wave_of(air, 1, 2)
    air.queues[1] = [*frames, *(b"\x1d\x64\x00" + frame[3:] for frame in frames if len(frame) > 3)]
    assert heard(other) == []
    assert other.received == 0


def test_strangers_and_other_sites():
    """The next town has poles of the same numbers. So its key is another, and poles that are no neighbours are not
    listened to at all."""
    air = LossyAir(Chance(1), 3)
    own, other_site = wave_of(air, 0), wave_of(air, 1, secret=bytes(32))
    far = Wave(SECRET, 999, [100], AirRadio(air, 2), MemoryStore())
    far.start()
    other_site.send(101, 1, 2, 0, 0)
    far.send(101, 1, 2, 0, 0)
    assert heard(own) == []
    assert (own.forged, own.unknown) == (1, 1)


@given(
    st.lists(
        st.tuples(st.sampled_from(["send", "replay", "cut", "poll", "receiver cut"]), st.integers(0, 99)), max_size=40
    )
)
@settings(max_examples=100)
def test_no_frame_is_taken_twice(steps):
    """Who records a street's evening could light it all night (row 28). So no frame is taken twice, whoever is cut off
    in between; only the receiver's own cut forgets, and then nothing older than the epochs it has stored."""
    air = LossyAir(Chance(1), 2)
    stores = [MemoryStore(), MemoryStore()]
    one, other = wave_of(air, 0, 2, stores[0]), wave_of(air, 1, 2, stores[1])
    taken: set[bytes] = set()
    tick = stored = 0
    for what, number in steps:
        tick += 2000
        if what == "send":
            one.send(100, number, 2, 0, tick)
        elif what == "replay" and air.log:
            air.queues[1].append(air.log[number % len(air.log)])
        elif what == "cut":
            one = wave_of(air, 0, 2, stores[0])
        elif what == "poll":
            tick += 600_000
            newest = other._epochs[0]
            if other.poll(tick):
                stored = newest
        elif what == "receiver cut":
            other = wave_of(air, 1, 2, stores[1])
            taken = {frame for frame in taken if frame[7] + 256 * frame[8] < stored}
        for frame in list(air.queues[1]):
            air.queues[1] = [frame]
            if heard(other, tick):
                assert frame not in taken
                taken.add(frame)


def test_an_epoch_is_stored_before_it_is_used():
    """A number used twice would be a message that neighbours refuse, or one that can be shown again. So the epoch is
    on the flash before the first frame; where it cannot be stored, nothing is sent."""
    store = MemoryStore()
    air = LossyAir(Chance(1), 2)
    wave = Wave(SECRET, 100, [101], AirRadio(air, 0), store)
    assert not wave.send(100, 1, 2, 0, 0)
    store.dies_at = 0
    assert not wave.start()
    assert not wave.is_started and air.log == []
    assert wave.start()
    assert wave.send(100, 1, 2, 0, 0)
    assert store.files[STORE_NAME][1] == air.log[0][7] == 1
    # 194 days of a message a second: the next epoch.
    wave._number = 0xFFFFFF
    assert wave.send(100, 2, 2, 0, 5000)
    assert store.files[STORE_NAME][1] == 2 and air.log[1][7:12] == bytes([2, 0, 1, 0, 0])
    wave._last_epoch = 65535
    assert not wave.start()
    assert wave.lost == 1


def test_one_cannot_shout_the_others_down():
    """A broken pole that sends without end must not cost its neighbours their time (row 34). So of each sender three
    are taken at once, then one a second; and forgeries cost 20 tags at once, then 10 a second."""
    air = LossyAir(Chance(1), 3)
    loud, quiet, own = wave_of(air, 0), wave_of(air, 1), wave_of(air, 2)
    for number in range(200):
        loud._own_bucket = links_main.Wave(SECRET, 1, [], None, MemoryStore())._own_bucket
        loud.send(100, number, 2, 0, 0)
    tick = 5000
    taken = []
    for number in range(200):
        air.queues[2] = [air.log[number]]
        taken += heard(own, tick + 10 * number)
    assert 3 <= len(taken) <= 5
    assert own.limited == 200 - len(taken)
    quiet.send(101, 1, 2, 0, 0)
    air.queues[2] = [air.log[-1]]
    assert heard(own, tick + 3000) == [(101, 101, 1, 2, 0)]
    # The sender keeps to it by itself.
    assert [quiet.send(101, 2, 2, 0, 60_000) for _ in range(5)] == [True] * 3 + [False] * 2


def test_last_nights_messages_are_nothing_new():
    """Who has recorded a night shows it to a pole that starts anew. So the epochs that were heard are stored, rarely,
    and what is older than them is not taken after a cut."""
    air = LossyAir(Chance(1), 2)
    stores = [MemoryStore(), MemoryStore()]
    other = wave_of(air, 1, 2, stores[1])
    for _ in range(3):
        wave_of(air, 0, 2, stores[0]).send(100, 1, 2, 0, 0)
    assert len(heard(other)) == 3
    stores[1].dies_at = stores[1].writes
    assert not other.poll(700_000)
    assert not other.poll(710_000)
    assert other.poll(1_400_000)
    assert not other.poll(3_000_000)
    assert stores[1].writes == 3
    other = wave_of(air, 1, 2, stores[1])
    air.queues[1] = air.log[:2]
    assert heard(other) == []
    assert other.replayed == 2


def test_forgeries_cost_little():
    """A tag costs a part of a millisecond, and a flood of thousands a second must not cost the lamp its time."""
    air = LossyAir(Chance(1), 2)
    one, own = wave_of(air, 0, 2, secret=bytes(32)), wave_of(air, 1, 2)
    one.send(100, 1, 2, 0, 0)
    for number in range(1000):
        air.queues[1] = [air.log[0]]
        assert heard(own, 60_000 + number) == []
    assert own.forged == 20 + 9
    assert own.limited == 1000 - own.forged


@pytest.mark.parametrize("seed", range(3))
def test_a_wave_of_five_poles_over_bad_air(seed):
    """What the simulator promises must hold over a radio that loses every fifth frame, doubles and damages others. So
    somebody at one end lights the poles in reach, each message counts once, and when all is quiet all lights end."""
    air = LossyAir(Chance(seed), 5, loss=20, doubles=20, damage=10)
    ids = [100 + pole for pole in range(5)]
    near = [[(ids[other], other - pole) for other in range(5) if 0 < abs(other - pole) <= 2] for pole in range(5)]
    bubbles = [Bubble(ids[pole], 2, 1000, 20_000, near[pole], repeat_ms=5000) for pole in range(5)]
    waves = [
        Wave(SECRET, ids[pole], [pair[0] for pair in near[pole]], AirRadio(air, pole), MemoryStore())
        for pole in range(5)
    ]
    for wave in waves:
        assert wave.start()
    message = Message()
    lit = set()
    for tick in range(0, 120_000, 100):
        if tick in (1000, 61_000):
            bubbles[0].own(tick, tick == 1000)
        for pole in range(5):
            bubble = bubbles[pole]
            while bubble.is_due and bubble.due_ms <= tick:
                bubble.pass_due(bubble.due_ms)
            while waves[pole].receive(message, tick):
                args = (message.sender, message.origin, message.sequence, message.hops, message.travelled)
                bubble.receive(tick, *args)
            if bubble.has_to_send:
                waves[pole].send(
                    bubble.send_origin, bubble.send_sequence, bubble.send_hops, bubble.send_travelled, tick
                )
                bubble.sent()
            if bubble.is_lit:
                lit.add(pole)
    assert lit == {1, 2}
    assert not any(bubble.is_lit for bubble in bubbles)
    # All that arrived whole came once: what the bubble calls a duplicate came over another pole.
    assert sum(wave.forged for wave in waves) > 0 < sum(wave.replayed for wave in waves)


def test_what_it_refuses_to_be():
    """A site file that asks for too much is refused where it enters."""
    with pytest.raises(ValueError, match="8 at most"):
        Wave(SECRET, 1, range(9), None, MemoryStore())
    with pytest.raises(ValueError, match="32 bytes"):
        Wave(b"short", 1, [], None, MemoryStore())


@given(st.binary(max_size=40))
def test_a_damaged_state_starts_all_the_same(state):
    """The store gives back what was written; should it not, the wave starts from what it can read."""
    store = MemoryStore()
    store.files[STORE_NAME] = state
    Wave(SECRET, 100, [101, 102], None, store)


class EspNowDouble:
    """A double of espnow.ESPNow: its buffer may be full or damaged, its peer may be there already."""

    def __init__(self) -> None:
        self.peers_table: dict[bytes, list[int]] = {}
        self.frames: list[tuple[bytes, bytes]] = []
        self.sent: list[tuple[bytes, bytes, bool]] = []
        self.fault = "none"

    def config(self, rxbuf: int) -> None:
        assert rxbuf >= 526

    def active(self, is_on: bool) -> None:
        assert is_on

    def add_peer(self, peer: bytes) -> None:
        if self.fault == "exists":
            raise OSError(-12395, "ESP_ERR_ESPNOW_EXIST")
        if self.fault == "full":
            raise OSError(-12392, "ESP_ERR_ESPNOW_FULL")

    def send(self, peer: bytes, frame: bytes, sync: bool) -> bool:
        if self.fault == "no_memory":
            raise OSError(-12391, "ESP_ERR_ESPNOW_NO_MEM")
        self.sent.append((peer, frame, sync))
        return True

    def any(self) -> bool:
        return bool(self.frames)

    def recv(self, timeout_ms: int) -> tuple[bytes | None, bytes | None]:
        assert timeout_ms == 0
        if self.fault == "damaged":
            self.frames.clear()
            raise ValueError("ESPNow.recv(): buffer error")
        peer, frame = self.frames.pop(0)
        self.peers_table[peer] = [0, 0]
        return peer, frame


def test_espnow_is_spoken_to_as_it_wants():
    """The radio is the chip's own. So it is asked without waiting, and no fault of it leaves the driver."""
    chip = EspNowDouble()
    radio = EspNowRadio(chip)
    assert radio.send(b"frame")
    assert chip.sent == [(BROADCAST, b"frame", False)]
    assert not radio.send(bytes(251))
    assert radio.receive() is None
    chip.frames = [(b"mac001", b"one"), (b"mac002", b"two")]
    assert (radio.receive(), radio.receive(), radio.receive()) == (b"one", b"two", None)
    chip.frames = [(b"mac001", b"one")]
    chip.fault = "damaged"
    assert radio.receive() is None
    chip.fault = "no_memory"
    assert not radio.send(b"x")
    chip.fault = "none"
    # A full radio held all tasks up for 2 s: it is left alone for a while.
    assert [radio.send(b"x") for _ in range(31)] == [False] * 30 + [True]
    assert radio.errors == 3
    chip.fault = "exists"
    EspNowRadio(chip)
    chip.fault = "full"
    with pytest.raises(OSError, match="FULL"):
        EspNowRadio(chip)


def test_strangers_cannot_fill_the_heap():
    """MicroPython keeps a place for each address it ever heard. So a stranger with a thousand addresses makes the radio
    deaf, not the node mute: at 128 it stops listening, and says so."""
    chip = EspNowDouble()
    radio = EspNowRadio(chip)
    for number in range(1000):
        chip.frames.append((number.to_bytes(6, "big"), b"x"))
        radio.receive()
    assert radio.is_deaf
    assert len(chip.peers_table) == 128
    assert radio.send(b"still speaks")


def test_the_same_on_the_chips_interpreter(micropython_runtime, capsys):
    """Bad air, cuts and replays end in the same messages there, byte for byte."""
    links_main.main(["wave"])
    here = capsys.readouterr().out
    done = micropython_runtime.run(["tests/node/links_main.py", "wave"])
    assert done.returncode == 0, done.stderr
    assert done.stdout == here
    assert "frame bytes 20" in here
