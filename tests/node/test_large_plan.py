"""A town's plan may be large, and a lamp's heap is not: the switch to it works where everything else is running."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from firmware.control.plan_format import CHANNEL_NEIGHBOURS, EFFECT_MAX
from host_tools.node_talk import hash8, pieces
from host_tools.plan.encode import DynamicControl, FixedTimeControl, LampPlan, Program, encode
from host_tools.plan.sign import sign_plan
from sim.board.virtual_board import Street, VirtualBoard
from tests.conftest import require_runtime
from tests.node.whole_node import EPOCH, HARDWARE, NODE, SENSOR_PIN, Town, chip_heap, shows, stored

# The board's time runs so much faster, and with it the gate, which looks at 2 commands a second after a first 10.
RATE = 8
COMMAND_PERIOD_S = 0.8 / RATE
SWITCHES = 3
# What is asked to stay free of a node without a plan of its own (test_node_heap), less one plan.
LEFT_BYTES = 26_000
RECONNECTS_S = 60
WORLD = datetime(2026, 11, 24, 23)


def large_plan(number: int, programs: int = 8) -> bytes:
    """A plan of ``programs`` programs of 48 controls each, 3,952 bytes for 8: 20 + ``number`` % of light, 80 % while
    somebody is there, and programs that no day has."""
    always = Program([FixedTimeControl(0, 200 + 10 * number)], dynamic=[DynamicControl(EFFECT_MAX, 800)])
    filling = [Program([FixedTimeControl(60 * at, 500 + number) for at in range(48)]) for _ in range(programs)]
    return encode(LampPlan([always, *filling]))


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path / "town")
    yield made
    made.close()


def started(town: Town, taken_bytes: int = 0) -> VirtualBoard:
    """Start the node with a large plan and the time, in a classic ESP32's heap less ``taken_bytes``."""
    runtime = require_runtime("micropython32")
    bound = chip_heap(runtime, town.fleet.drivers(NODE)) - taken_bytes
    board = town.board(runtime, world=WORLD, heap_bytes=bound, names_outside=True, rate=RATE)
    board.install(stored({"plan0": large_plan(0)}))
    board.start()
    town.wait_for("status")
    town.give_time(board)
    return board


def push(town: Town, board: VirtualBoard, plan: bytes) -> str:
    """Send a plan as the host's tools do; return the verdict of the switch."""
    sender = town.sender(NODE)
    for offset, piece in pieces(plan):
        staged = {"lamp": 0, "offset": offset, "plan_hash": hash8(plan), "chunk": piece.hex()}
        assert town.command(board, "plan_stage", staged, NODE, sender)["verdict"] == "staged"
        time.sleep(COMMAND_PERIOD_S)
    signature = sign_plan(plan, town.keys.signing_key.private_bytes_raw()).hex()
    switch = {"lamp": 0, "length": len(plan), "plan_hash": hash8(plan), "signature": signature}
    verdict = town.command(board, "plan_switch", switch, NODE, sender)["verdict"]
    time.sleep(COMMAND_PERIOD_S)
    return verdict


def answers_again(town: Town, board: VirtualBoard) -> bool:
    """Tell whether the node is asked and answers, over a broker that was started anew: the desk must be back too."""
    end = time.monotonic() + RECONNECTS_S
    while time.monotonic() < end:
        try:
            return town.command(board, "why", {"lamp": 0})["verdict"] == "done"
        except (AssertionError, RuntimeError):
            time.sleep(0.5)
    return False


@pytest.mark.timeout(240)
def test_large_plans_follow_each_other_in_the_chips_heap(town: Town):
    """A heap that held the first large plan and not the second is a street with two plans. The old plan and its
    controller leave nothing behind: so 4 kB follow on 4 kB, three times, in what a classic ESP32 has; what is free
    afterwards is what it was, the sensor still moves the lamp, and a lost broker is found again."""
    board = started(town)
    print()
    for number in range(1, SWITCHES + 1):
        mark = len(board.events)
        assert push(town, board, large_plan(number)) == "done"
        board.wait_for(shows(town, 200 + 10 * number), since=mark)
        # A turn of the house, which sweeps what served the switch.
        time.sleep(10 / RATE)
        figures = board.query()
        print(
            f"figure: 32-bit, 110 KiB, plan of {len(large_plan(number))} B, switch {number}: free "
            f"{figures['heap_free']} B, largest block {figures['max_free_block']} B"
        )
        assert figures["heap_free"] >= LEFT_BYTES
    town.broker.kill()
    town.broker.start()
    assert answers_again(town, board)
    mark = len(board.events)
    board.set_pin(SENSOR_PIN, 1)
    board.wait_for(shows(town, 800), since=mark)
    bad = [event for event in board.events if event["e"] in ("reset", "crash", "repl", "event_lost")]
    assert not bad, bad


@pytest.mark.timeout(120)
def test_a_plan_without_room_is_refused_and_the_old_one_goes_on(town: Town):
    """The largest plan there may be, twice, is more than the heap has. So a node that has no room says so, is not
    reset, is lit by its old plan, and takes a smaller one."""
    board = started(town, 8_000)
    largest = large_plan(1, 15)
    try:
        verdict = push(town, board, largest)
    except AssertionError:
        verdict = [twin["verdict"] for kind, twin in town.messages if kind == "ack"][-1]
    assert verdict == "refused"
    mark = len(board.events)
    assert push(town, board, large_plan(2, 1)) == "done"
    board.wait_for(shows(town, 220), since=mark)
    bad = [event for event in board.events if event["e"] in ("reset", "crash", "repl", "event_lost")]
    assert not bad, bad


TWO = HARDWARE.replace("  L003: {{kind: simple}}", "  L003: {{kind: simple}}\n  L004: {{kind: simple}}")


def neighbourly_plan(number: int) -> bytes:
    """A plan of 20 + ``number`` % of light, and 60 % while a neighbour has somebody."""
    heard = DynamicControl(EFFECT_MAX, 600, channel=CHANNEL_NEIGHBOURS)
    return encode(LampPlan([Program([FixedTimeControl(0, 200 + 10 * number)], dynamic=[heard])]))


def test_a_lamp_with_a_new_plan_still_hears_its_neighbours(tmp_path: Path):
    """The wave's task kept the controller it began with: from its first change of plan on a lamp was deaf to the street
    until its next start, and the heap held both. So whoever walks up to the next pole lights this one after a switch as
    before it."""
    town = Town(tmp_path / "town", hardware=TWO)
    street = Street(tmp_path / "street", RATE, world_s=int((WORLD - EPOCH).total_seconds()))
    try:
        runtime = require_runtime("micropython32")
        board, other = (town.board(runtime, name, WORLD, street=street) for name in (NODE, "L004"))
        board.install(stored({"plan0": neighbourly_plan(0)}))
        board.start()
        other.start()
        town.wait_for("status")
        town.give_time(board)
        for number in (0, 1):
            if number:
                mark = len(board.events)
                assert push(town, board, neighbourly_plan(number)) == "done"
                board.wait_for(shows(town, 200 + 10 * number), since=mark)
            mark = len(board.events)
            other.set_pin(SENSOR_PIN, 1)
            board.wait_for(shows(town, 600), since=mark)
            # Until the street has forgotten it.
            mark = len(board.events)
            other.set_pin(SENSOR_PIN, 0)
            board.wait_for(shows(town, 200 + 10 * number), 60, since=mark)
    finally:
        town.close()
        street.close()
