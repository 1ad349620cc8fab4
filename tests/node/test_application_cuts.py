"""The power fails at every flash operation of the whole application: what was promised holds, the lamp is lit first.

`test_store.py` and `test_journal.py` cut single writers; here the unmodified firmware runs on the virtual board with
all its writers at once, in the order in which a node writes. How: node_cuts.py. What the launcher writes is in
test_launcher.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from sim.board import flash_tape
from tests.conftest import require_runtime
from tests.node.node_cuts import WRITERS, Life, Node, Spoil, Tally, storm, sweep
from tests.runtimes import Runtime

# Writes over what is newest, in place.
IN_PLACE: Spoil = (
    "firmware/system/store.py",
    (
        ("target = 1 - slot if slot >= 0 else 0", "target = slot if slot >= 0 else 0"),
        ("temporary = self._folder + _TEMPORARY", "temporary = self._path(name, slot if slot >= 0 else 0)"),
    ),
)
# Obeys, and notes the number in RAM only.
FORGETFUL: Spoil = ("firmware/links/commands.py", (("self._store.write(STORE_NAME, self._state())", "pass"),))
# Of a life in the normal tests each operation is cut once with a start after it, in these turns.
TURNS = ("random", "half", "after")
STARTS = 10_000
CHUNKS = 4


@contextmanager
def living(folder: Path, spoilt: Spoil | None = None, safe_permille: int = 1000) -> Iterator[Node]:
    node = Node(folder / "node", require_runtime("micropython32"), spoilt=spoilt, safe_permille=safe_permille)
    try:
        yield node
    finally:
        node.board.stop()


@pytest.mark.timeout(900)
def test_the_node_survives_a_cut_in_any_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A contactor opens at dawn in the middle of anything. So the first life of a node and its second are cut at every
    operation: what lies there is as before the operation or as after it, whatever was torn; and the node that starts
    from it is lit first, and has its plan, configuration, keys, and all numbers and records that it had promised."""
    tally = Tally()
    with living(tmp_path) as node:
        for _ in range(2):
            life = node.live()
            assert life.written() >= {*WRITERS.values(), "journal"}, "a writer that does not write is not cut"
            sweep(node, life, tally, Random(1), TURNS)
            node.go_on(life, len(life.operations), "after", node.flash.read_bytes())
    with capsys.disabled():
        print(f"figure: {tally.lives} lives, {tally.cuts} cuts, {tally.starts} starts, {len(tally.wrong)} wrong")
    assert tally.wrong == []
    assert tally.starts > 200


def test_a_store_that_writes_in_place_is_caught(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A sweep that loses nothing may be one that cuts nothing. So a store is spoilt, and its cuts lose something."""
    with living(tmp_path, IN_PLACE) as node:
        life = node.live()
        cuts = flash_tape.images(life.base, life.operations)
        lost = {number for number, _, image in cuts if any(node.judge_cut(life, number, image))}
    with capsys.disabled():
        print(f"figure: a store that writes in place loses something at {len(lost)} of {len(life.operations)} cuts")
    assert lost


def test_a_gate_that_forgets_is_caught(tmp_path: Path) -> None:
    """A flash may be whole and still not have what was promised. So a gate that stores no number is spoilt firmware
    that only a start can catch, and does."""
    with living(tmp_path, FORGETFUL) as node:
        found = promise_broken(node, node.live())
    assert "would take commands again" in found, found


def promise_broken(node: Node, life: Life) -> str:
    """Start from the end of a life; return what is wrong."""
    return "; ".join(node.judge_start(node.flash.read_bytes(), life.promised(len(life.operations))))


def test_a_dark_start_is_caught(tmp_path: Path) -> None:
    """Nobody reads a thousand starts. So a node whose safe level is dark does not pass for one that is lit."""
    with living(tmp_path, safe_permille=0) as node:
        life = node.live()
        assert "not lit first" in promise_broken(node, life)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_the_node_survives_ten_thousand_cuts(
    tmp_path: Path, micropython_runtime: Runtime, capsys: pytest.CaptureFixture[str]
) -> None:
    """A feeder's lifetime is many cuts in a row. So lives are cut at every operation in every way to die, and the next
    life begins where one of the cuts has left the flash, until each runtime has started from 10,000 images."""
    with ProcessPoolExecutor(min(CHUNKS, os.cpu_count() or 1)) as pool:
        running = [
            pool.submit(storm, tmp_path / str(seed), micropython_runtime, seed, STARTS // CHUNKS)
            for seed in range(1, CHUNKS + 1)
        ]
        tallies = [one.result() for one in running]
    wrong = [what for tally in tallies for what in tally.wrong]
    with capsys.disabled():
        print(
            f"figure: {micropython_runtime.name}: {sum(one.lives for one in tallies)} lives, "
            f"{sum(one.cuts for one in tallies)} cuts, {sum(one.starts for one in tallies)} starts, {len(wrong)} wrong"
        )
    assert wrong == []
    assert sum(one.starts for one in tallies) >= STARTS
