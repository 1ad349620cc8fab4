"""Commands, plans, journals and sensors out of any bytes: what is refused has changed nothing."""

from __future__ import annotations

import io
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from firmware.drivers.ld2410 import Ld2410
from firmware.drivers.nmea_gnss import NmeaGnss
from firmware.system import journal as journal_module
from firmware.system import journal_read
from firmware.system.journal import Journal
from firmware.system.journal_format import DECISION, HEADER_SIZE
from firmware.system.journal_read import Segment
from sim.board.chips.ld2410 import Ld2410Model
from sim.board.chips.nmea_gnss import NmeaGnssModel
from tests.node.bytes_fuzz import Chance, make_journal
from tests.node.state_fuzz import fuzz_commands, fuzz_plans
from tests.node.test_bytes_fuzz import goods, written
from tests.node.test_drivers_fuzz import mutate
from tests.runtimes import ROOT, Runtime

MAIN = ROOT / "tests/node/state_fuzz.py"
MILLION = 1_000_000
HASH = b"01234567"
FIRST = "00000000.jnl"


class Folder:
    """A double of the journal's folder, in memory: a million files are opened in it."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def open(self, path: str, mode: str) -> io.BytesIO:
        """Open as the firmware does: "rb", "wb", "ab"."""
        name = path.rsplit("/", 1)[1]
        if mode == "rb":
            return io.BytesIO(self.files[name])
        before = self.files.get(name, b"") if mode == "ab" else b""
        folder = self

        class Appended(io.BytesIO):
            def close(self) -> None:
                folder.files[name] = before + self.getvalue()
                super().close()

        return Appended()

    def mkdir(self, path: str) -> None:
        """It is there."""
        raise FileExistsError(17, path)

    def listdir(self, path: str) -> list[str]:
        """Return the names."""
        return list(self.files)

    def remove(self, path: str) -> None:
        """Forget a file."""
        del self.files[path.rsplit("/", 1)[1]]


def fuzz_journal_start(seed: int, count: int, made: list[bytes], monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Have a node start with any bytes as its newest segment; return how often it went on in it, and how often not.

    The segment before stands, and what the node writes then can be read.
    """
    chance = Chance(seed)
    gone_on = begun = 0
    folder = Folder()
    for module in (journal_module, journal_read):
        monkeypatch.setattr(module, "open", folder.open, raising=False)
    for name in ("mkdir", "listdir", "remove"):
        monkeypatch.setattr(os, name, getattr(folder, name))
    for _ in range(count):
        data = make_journal(chance, made)
        # Under the name of its own number, as far as it has one: else no node would look further.
        newest = f"{int.from_bytes(data[4:7], 'little') or 7:08x}.jnl"
        folder.files = {FIRST: made[0], newest: data}
        journal = Journal("/j", None, 9, segments=4, segment_bytes=2048)
        journal.start_run(5000, 0, HASH, HASH, "1.0", 1000)
        journal.decision(6000, 0, 123, 300, 3, 1)
        assert journal.flush(7000) and journal.failures == 0, data.hex()
        assert folder.files[FIRST] == made[0], data.hex()
        name = max(folder.files)
        segment = Segment(folder.files[name])
        while segment.next():
            pass
        assert not segment.is_torn and segment.kind == DECISION and segment.values[0] == 123, data.hex()
        if name == newest and len(data) >= HEADER_SIZE:
            assert folder.files[name].startswith(data)
            gone_on += 1
        else:
            assert folder.files.get(newest) == data or len(data) < HEADER_SIZE, data.hex()
            begun += 1
    return gone_on, begun


def sensed(seed: int, count: int) -> tuple[int, int]:
    """Give torn messages to a radar and a receiver; return how many changed nothing.

    What is no report, and no fix, changes neither presence nor place nor time. At every fiftieth two good messages
    come, and are heard whatever went before.
    """
    rng = random.Random(seed)
    radar_model, receiver_model = Ld2410Model(), NmeaGnssModel()
    radar, gnss = Ld2410(None, lambda value: None), NmeaGnss(None, 9497)
    unheard = unplaced = 0
    for number in range(count):
        if number % 50 == 0:
            radar_model.state, radar_model.distance_cm, radar_model.is_engineering = 2, 777, False
            receiver_model.second = 50_000
            for _ in range(2):
                feed(radar.feed, radar_model.report())
                feed(gnss.feed, receiver_model.sentences())
            assert (radar.presence, radar.distance_cm, gnss.second) == (1, 777, 50_000)
        reports, fixes = radar.reports, gnss.fixes
        before = radar.presence, radar.distance_cm, radar.is_moving, radar.moving_cm, radar.still_cm
        place = gnss.day, gnss.second, gnss.latitude_udeg, gnss.longitude_udeg
        radar_model.state, radar_model.distance_cm = rng.randrange(4), rng.randrange(1001)
        radar_model.is_engineering = rng.random() < 0.3
        receiver_model.second = rng.randrange(86400)
        feed(radar.feed, mutate(rng, radar_model.report()))
        feed(gnss.feed, mutate(rng, receiver_model.sentences()))
        if radar.reports == reports:
            unheard += 1
            assert (radar.presence, radar.distance_cm, radar.is_moving, radar.moving_cm, radar.still_cm) == before
        if gnss.fixes == fixes:
            unplaced += 1
            assert (gnss.day, gnss.second, gnss.latitude_udeg, gnss.longitude_udeg) == place
    return unheard, unplaced


def feed(take: Callable[[int], None], data: bytes) -> None:
    for byte in data:
        take(byte)


def test_a_refused_command_changes_nothing(micropython_runtime: Runtime) -> None:
    """Whoever has a key and a fault, or no key, writes to the topic. So of 2,000 commands through the gate, damaged
    with and without a right MAC, those that are refused change neither numbers nor times nor store, on any
    interpreter."""
    found = fuzz_commands(1, 2000)
    assert found[0] and found[1], "some are obeyed and some refused, or the fuzzer tries nothing"
    done = micropython_runtime.run([MAIN, "commands", "1", "2000"])
    assert done.stdout.split() == [str(number) for number in found], done.stderr


def test_a_refused_plan_changes_nothing(micropython_runtime: Runtime, tmp_path: Path) -> None:
    """A lamp goes on by the plan it has, whatever is sent. So of 300 plans that are staged and switched, those that are
    refused leave the one in force and the one to come; those that are not are in force byte for byte."""
    found = fuzz_plans(1, 300, goods("plan", tmp_path))
    assert found[0] and found[1]
    done = micropython_runtime.run([MAIN, "plans", "1", "300", written("plan", tmp_path)])
    assert done.stdout.split() == [str(number) for number in found], done.stderr


def test_a_node_starts_with_any_newest_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged journal must not end journals. So with any bytes as the newest segment the next boot writes on, what
    it writes is read, and the segment before stands."""
    gone_on, begun = fuzz_journal_start(1, 1000, goods("journal", tmp_path), monkeypatch)
    assert gone_on and begun


def test_a_torn_message_changes_nothing() -> None:
    """A lamp that comes on for noise on a wire, or a clock that is set by it, is worse than none. So what is no report
    and no fix leaves presence, time and place."""
    unheard, unplaced = sensed(1, 500)
    assert unheard > 50 and unplaced > 50


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_million_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """Twenty years of somebody at the topic."""
    taken, refused, _ = fuzz_commands(2026, MILLION)
    with capsys.disabled():
        print(f"figure: commands through the gate, CPython, seed 2026: {taken} obeyed, {refused} refused")
    assert taken > 1000 and refused > 900_000


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_commands_on_the_chips_interpreters(
    micropython_runtime: Runtime, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same, where small integers have 31 bits and the MAC is in Python."""
    found = fuzz_commands(7, 100_000)
    done = micropython_runtime.run([MAIN, "commands", "7", "100000"], timeout_s=3000)
    with capsys.disabled():
        print(f"figure: commands through the gate, {micropython_runtime.name}, seed 7: {done.stdout.strip()}")
    assert done.stdout.split() == [str(number) for number in found], done.stderr


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_million_staged_plans(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Twenty years of hosts with faults."""
    taken, refused, _ = fuzz_plans(2026, MILLION, goods("plan", tmp_path))
    with capsys.disabled():
        print(f"figure: plans through stage and switch, CPython, seed 2026: {taken} in force, {refused} refused")
    assert taken > 1000 and refused > 900_000


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_million_newest_segments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twenty years of dawns, on ten thousand poles."""
    gone_on, begun = fuzz_journal_start(2026, MILLION, goods("journal", tmp_path), monkeypatch)
    with capsys.disabled():
        print(f"figure: starts on any newest segment, CPython, seed 2026: {gone_on} went on in it, {begun} did not")
    assert gone_on > 1000 and begun > 100_000


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("seed", range(10))
def test_a_million_torn_messages(seed: int) -> None:
    """The same for both sensors: a million torn messages each."""
    unheard, unplaced = sensed(2000 + seed, MILLION // 10)
    assert unheard > 10_000 and unplaced > 10_000
