"""A cold boot at dusk with neither network nor clock is the normal case: what the node then believes must be known."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.control.civil import day_number
from firmware.control.clock import (
    CLOCK_GOOD,
    CLOCK_HELD,
    CLOCK_UNKNOWN,
    GNSS,
    KEPT,
    NETWORK,
    REFUSED,
    SET,
    SIGNED,
    STEPPED,
    ClockTrust,
)
from firmware.control.feeder import FeederTeacher
from firmware.control.inputs import CLOCK_DOUBTED
from firmware.system import boot_files
from firmware.system.bootlog import BootLog
from firmware.system.clock_keeper import ClockKeeper
from firmware.system.store import BootGuard, Store
from tests.conftest import require_runtime
from tests.node.keeper_main import BUILD, KNOWN, NIGHTS, Clock, memory_of

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "tests/node/keeper_main.py"
TODAY = day_number(2026, 11, 24)
NOON = 43_200


class Chip:
    """A double of a clock chip: it says what it was told, or fails."""

    def __init__(self, day=None, second=0):
        self.time = None if day is None else (day, second)
        self.written: list[tuple[int, int]] = []

    def read(self):
        if self.time is None:
            raise OSError(19)
        return self.time

    def write(self, day, second):
        if self.time is None:
            raise OSError(19)
        self.time = (day, second)
        self.written.append(self.time)


class Node:
    """One boot of a node's clock; ``told`` is what its controller is told."""

    def __init__(self, folder, end=boot_files.POWER, is_guarded=False, has_feeder=False, **keys):
        self.clock = Clock(0x3FFFFFFF - 60_000)
        self.store = Store(str(folder), BootGuard(self.clock) if is_guarded else None)
        self.told: list[tuple[int, ...]] = []
        self.trust = ClockTrust(BUILD)
        teacher = FeederTeacher(43_604_000, 1_444_000) if has_feeder else None
        self.log = BootLog(memory_of(end), self.store)
        self.keeper = ClockKeeper(
            self.trust, lambda *told: self.told.append(told), self.clock, self.store, self.log, teacher, **keys
        )
        self.keeper.start()

    def live(self, seconds, step_s=10):
        for _ in range(seconds // step_s):
            self.clock.tick = (self.clock.tick + step_s * 1000) & 0x3FFFFFFF
            self.keeper.poll()


def test_nobody_knows_and_nobody_is_told(tmp_path):
    """A date that nobody gave must not reach the street. So without a source the controller hears of no clock."""
    node = Node(tmp_path)
    node.live(7200)
    assert node.told == [] and node.trust.quality == CLOCK_UNKNOWN


def test_a_chip_is_asked_first_and_confirmed_by_the_network(tmp_path):
    """Power comes at dusk, the network a minute later. So the chip's time is there at once, held; a server makes it
    good; and what the chip is off is put right in the chip."""
    chip = Chip(TODAY, NOON)
    node = Node(tmp_path, chip=chip)
    assert node.told == [(CLOCK_HELD, TODAY, NOON, 0)]
    node.live(60)
    assert node.keeper.report(NETWORK, TODAY, NOON + 75, 600) == STEPPED
    assert node.told[1] == (CLOCK_GOOD, TODAY, NOON + 75, 600)
    assert chip.written == [(TODAY, NOON + 76)]
    chip.time = (TODAY, NOON + 76 + 60)
    node.live(60)
    assert node.keeper.report(NETWORK, TODAY, NOON + 136, 0) == KEPT
    assert len(node.told) == 2 and len(chip.written) == 1


def test_a_kept_report_renews_the_quality(tmp_path):
    """A chip that is right needs no step, only somebody who says so. So the quality is told without moving the time."""
    node = Node(tmp_path, chip=Chip(TODAY, NOON))
    assert node.keeper.report(GNSS, TODAY, NOON, 900) == KEPT
    assert node.told == [(CLOCK_HELD, TODAY, NOON, 0), (CLOCK_GOOD, TODAY, NOON, 0)]


def test_the_chip_is_written_once_a_day(tmp_path):
    """Each write stops the chip's second. So reports that change nothing write it once a day."""
    chip = Chip(TODAY, NOON)
    node = Node(tmp_path, chip=chip)
    for hour in range(49):
        day, second = TODAY + (NOON + hour * 3600) // 86400, (NOON + hour * 3600) % 86400
        chip.time = (day, second)
        assert node.keeper.report(NETWORK, day, second, 0) == KEPT
        node.live(3600)
    assert len(chip.written) == 3


def test_a_chip_that_fails_stops_nothing(tmp_path):
    """A chip on a cold pole may be gone. So its errors are counted, every hour it is asked again, and the network does
    without it."""
    node = Node(tmp_path, chip=Chip())
    node.live(7260, 60)
    assert node.keeper.chip_failures == 3
    assert node.keeper.report(NETWORK, TODAY, NOON, 0) == SET
    assert node.keeper.chip_failures == 4 and node.told[-1][0] == CLOCK_GOOD


def test_the_floor_outlives_a_power_cut(tmp_path):
    """A chip with an empty battery says 2020 or last year. So the day that was last sure is kept, and a chip that lies
    before it is refused after the cut; one that was right two years ago is no clock any more."""
    node = Node(tmp_path)
    node.keeper.report(NETWORK, TODAY, NOON, 0)
    node.live(900)
    after = Node(tmp_path, chip=Chip(TODAY - 30, NOON))
    assert after.told == [] and after.trust.quality == CLOCK_UNKNOWN
    later = Node(tmp_path, chip=Chip(TODAY + 730, NOON))
    assert later.trust.error_ms > 1_800_000 and later.trust.quality == CLOCK_UNKNOWN


def test_an_operator_may_take_the_floor_back(tmp_path):
    """A clock that once lay in the future must be correctable for ever. So a signed time moves the floor back, and that
    outlives the cut too."""
    node = Node(tmp_path)
    node.keeper.report(NETWORK, TODAY + 400, NOON, 0)
    assert node.keeper.report(SIGNED, TODAY, NOON, 0) == STEPPED
    node.live(900)
    after = Node(tmp_path, chip=Chip(TODAY + 1, NOON))
    assert after.told == [(CLOCK_HELD, TODAY + 1, NOON, 0)]


@pytest.mark.parametrize(("end", "is_warm"), [(boot_files.WATCHDOG, True), (boot_files.INTENDED, True),
                                              (boot_files.POWER, False), (boot_files.BROWN_OUT, False)])  # fmt: skip
def test_the_chips_own_clock_counts_after_a_reset_only(tmp_path, end, is_warm):
    """The ESP32's own clock runs through a reset and starts at 2000 after a cut. So it is asked after a reset alone,
    and the other chip where there is none or it does not answer."""
    warm, chip = Chip(TODAY, 100), Chip(TODAY, 200)
    node = Node(tmp_path / "a", end, chip=chip, warm_chip=warm)
    assert node.told[0][2] == (100 if is_warm else 200)
    node = Node(tmp_path / "b", end, chip=chip, warm_chip=Chip())
    assert node.told[0][2] == 200


def test_an_old_clock_fades(tmp_path):
    """A node that hears nobody for a year must not switch lamps off by a clock that may be half an hour wrong. So its
    quality falls, and the controller is told when."""
    node = Node(tmp_path)
    node.keeper.report(NETWORK, TODAY, NOON, 0)
    node.live(230 * 86400, 43200)
    assert [told[0] for told in node.told] == [CLOCK_GOOD, CLOCK_HELD, CLOCK_UNKNOWN]
    assert 207 <= node.told[-1][1] - TODAY <= 209


def test_nothing_is_saved_in_the_first_seconds(tmp_path):
    """A contactor chatters at dusk. So boots of a few seconds leave no trace in the store, and the night before is told
    to the teacher once, by the boot that lives."""
    node = Node(tmp_path / "s", is_guarded=True, has_feeder=True)
    node.keeper.report(NETWORK, TODAY, 64_800, 0)
    node.live(30_000, 30)
    before = node.store.read("clock")
    for _ in range(5):
        short = Node(tmp_path / "s", is_guarded=True, has_feeder=True)
        short.clock.tick = (short.clock.tick + 3000) & 0x3FFFFFFF
        short.keeper.poll()
        assert short.store.read("clock") == before
    long = Node(tmp_path / "s", is_guarded=True, has_feeder=True)
    long.live(60)
    assert long.store.read("clock") != before and long.store.read("clock")[-4:] == b"\xff" * 4
    long.live(1800)
    assert long.store.read("clock")[-4:] != b"\xff" * 4


@given(st.binary(max_size=40))
def test_any_saved_bytes_are_survived(tmp_path_factory, data):
    """A store of an older version, or of another program, is data all the same. So any bytes start a clock, and no
    report is lost for them."""
    folder = tmp_path_factory.mktemp("keeper")
    Store(str(folder)).write("clock", data)
    node = Node(folder, has_feeder=True)
    assert node.keeper.report(SIGNED, TODAY, NOON, 0) in (SET, STEPPED)


def test_a_refused_report_tells_nobody(tmp_path):
    """A forged time must leave no trace in the journal of decisions. So what is refused changes nothing."""
    node = Node(tmp_path, chip=Chip(TODAY, NOON))
    assert node.keeper.report(NETWORK, BUILD - 1, NOON, 0) == REFUSED
    assert node.keeper.report(NETWORK, TODAY, 86_400, 0) == REFUSED
    assert len(node.told) == 1


@cache
def ten_nights(name, folder):
    """Live the nights of `keeper_main` on an interpreter, once."""
    if name == "cpython":
        done = subprocess.run(
            [sys.executable, PROGRAM, folder],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    else:
        done = require_runtime(name).run([PROGRAM, folder])
    assert done.returncode == 0, done.stderr + done.stdout
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    return ten_nights("cpython", str(tmp_path_factory.mktemp("nights")))


def test_the_feeder_tells_the_time_when_nobody_does(lived):
    """An orphan has the feeder alone. So after five taught nights each cold boot at dusk has a time at once, in
    doubt, with an error bound of its own, and the truth is within it for all the nights that follow."""
    clocks = [told for told in lived if told[0] != "dim"]
    orphan = [told for told in clocks if told[0] >= KNOWN]
    assert [told[0] for told in orphan] == list(range(KNOWN, NIGHTS))
    for _, elapsed, quality, _, _, _, off_s, error_s in orphan:
        assert (elapsed, quality) == (0, CLOCK_DOUBTED)
        assert abs(off_s) <= error_s < 1800 + 1, (off_s, error_s)
    assert {told[0] for told in lived if told[0] == "dim"} == {"dim"}


def test_late_dimming_needs_four_lit_hours(lived):
    """Four hours after dusk nobody is surprised by less light. So no night is allowed to dim before."""
    dims = [told for told in lived if told[0] == "dim"]
    assert len(dims) >= NIGHTS - KNOWN and all(told[2] >= 14_400 for told in dims)


def test_the_nights_are_the_same_on_the_chips_interpreter(micropython_runtime, lived, tmp_path):
    """What the server's Python keeps of a night the chip must keep as well. So ten nights are told the same there."""
    assert ten_nights(micropython_runtime.name, str(tmp_path)) == lived
