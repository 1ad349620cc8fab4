"""How much heap the whole application needs: TLS, presence, the wave to its neighbours and an energy meter, at once.

Heaps are counted as a chip has them (`sim.board.names_index`): the index of the program's own names is within, that of
the board's is not. How the memory is used: docs/node-figures.md.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from sim.board.virtual_board import BoardError
from tests.conftest import require_runtime
from tests.node.whole_node import CHIP_HEAP_BYTES, HARDWARE, HEAP_BYTES, NODE, SENSOR_PIN, Town, chip_heap, shows

KIB = 1024
ASKED_FREE_BYTES = 30_000
ASKED_BLOCK_BYTES = 17_000
SIZES_KIB = (84, 88, 92, 96, 100, 104, 110, 118, 126, 134)
# A reading of some 64 W at 230 V: what the model has at its pins (shunt 1 mohm, divider 1:991).
METERING = HARDWARE.replace(
    "    sensors:", "    buses: {{i2c0: {{scl: 22, sda: 21}}}}\n    sensors:\n      - {{name: ade7953, bus: i2c0}}"
)
METER: dict[str, Any] = {"model": "sim.board.chips.ade7953:Ade7953Model", "name": "meter"}
STAYS_S = 8


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path / "town", hardware=METERING)
    yield made
    made.close()


def lives_in(town: Town, heap_bytes: int, names_outside: bool, stays_s: float) -> dict[str, int]:
    """Start the whole application in so much heap and have it do all it does; return the heap's figures, collected.

    Raises AssertionError or `BoardError` where it does not come up, does not answer, or does not stay."""
    runtime = require_runtime("micropython32")
    town.messages.clear()
    board = town.board(
        runtime, world=datetime(2026, 11, 24, 23), heap_bytes=heap_bytes, names_outside=names_outside,
        wiring={"i2c": {"0": [METER]}, "tick_ms": 1000},
    )  # fmt: skip
    try:
        board.start()
        board.send("set", name="meter", what="voltage_uv", value=232_088)
        board.send("set", name="meter", what="current_uv", value=278)
        board.send("set", name="meter", what="power_pv2", value=64_000_000)
        # A broker keeps the last status for nobody: what comes is this board's.
        town.wait_for("status", timeout_s=30)
        town.give_time(board)
        mark = len(board.events)
        board.set_pin(SENSOR_PIN, 1)
        board.wait_for(shows(town, 800), since=mark)
        board.set_pin(SENSOR_PIN, 0)
        end = time.monotonic() + stays_s
        worst: dict[str, int] = {}
        while True:
            assert town.command(board, "why", {"lamp": 0})["verdict"] == "done"
            figures = board.query()
            if not worst or figures["heap_used"] > worst["heap_used"]:
                worst = figures
            if time.monotonic() >= end:
                break
            time.sleep(2)
        bad = [event for event in board.events if event["e"] in ("reset", "crash", "repl", "event_lost")]
        assert not bad, bad
        return worst
    finally:
        board.power_cut()


def told(figures: dict[str, int]) -> str:
    """Return the figures in words."""
    return f"used {figures['heap_used']} B, free {figures['heap_free']} B, largest block {figures['max_free_block']} B"


def test_the_whole_application_fits_its_heap(town: Town):
    """A heap that is full on the night of the first snow is a lamp that resets. So all that a node may carry at once
    runs in what a classic ESP32 has, with room for another TLS handshake and for a plan."""
    bound = chip_heap(require_runtime("micropython32"), town.fleet.drivers(NODE))
    figures = lives_in(town, bound, True, 8)
    print(
        f"\nfigure: heap {CHIP_HEAP_BYTES} B, 32-bit, all at once: {told(figures)}; "
        f"index of the program's names {CHIP_HEAP_BYTES - bound} B, within"
    )
    assert figures["heap_free"] >= ASKED_FREE_BYTES
    assert figures["max_free_block"] >= ASKED_BLOCK_BYTES


@pytest.mark.bench
@pytest.mark.timeout(1200)
def test_the_smallest_heap(town: Town):
    """Who chooses a module with or without external RAM must know how much the application needs, and what is asked
    and not met stands here as it is."""
    index = CHIP_HEAP_BYTES - chip_heap(require_runtime("micropython32"), town.fleet.drivers(NODE))
    forms = {
        "as on the chip": (True, index),
        "with the board's names": (False, 0),
        "names outside": (True, 0),
    }
    smallest: dict[str, int] = {}
    for what, (names_outside, taken) in forms.items():
        for size in SIZES_KIB:
            try:
                figures = lives_in(town, size * KIB - taken, names_outside, STAYS_S)
            except (AssertionError, BoardError) as error:
                print(f"figure: heap {size} KiB, {what}: does not live: {str(error)[:120]!r}")
                continue
            smallest.setdefault(what, size)
            print(f"figure: heap {size} KiB, {what}: {told(figures)}")
    print(f"figure: smallest heap in which it lives: {smallest} KiB")
    assert smallest["as on the chip"] <= CHIP_HEAP_BYTES // KIB
    assert smallest["with the board's names"] <= HEAP_BYTES // KIB
