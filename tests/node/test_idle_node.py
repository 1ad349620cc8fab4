"""A node that has nothing to do sleeps: fewer wakes leave an ESP32's processor to the lamp, and let a month be lived
here in minutes."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

import pytest

from sim.board import rom
from sim.board.virtual_board import VirtualBoard
from tests.node.whole_node import Town
from tests.runtimes import Runtime

# Once in five seconds for all tasks together, and as much again for the controller's own deadlines, what is written at
# a quarter's end, and the reports that go, one a minute. It was 2.7 a second without, and 20 with a session.
WAKES_AN_HOUR = 2 * 720
HOUR_S = 3600
# The application's minutes after a start are not idle: it connects, gets the time, writes what it has learnt.
SETTLED_S = 600
COMMANDS = 9


@pytest.mark.parametrize("has_broker", [True, False], ids=["session", "dead_broker"])
def test_an_idle_node_wakes_once_in_five_seconds(tmp_path: Path, micropython_runtime: Runtime, has_broker: bool):
    """A task that looks twice a second for what comes once a night is easily written, and costs each of ten thousand
    nodes its sleep. So the wakes of an hour of a whole node as delivered, with wave, metering of presence and a session
    that stands (or a broker that is dead), have a bound."""
    town = Town(tmp_path)
    try:
        if not has_broker:
            town.broker.kill()
        script = [(SETTLED_S + hours * HOUR_S, {"op": "query", "id": 100 + hours}) for hours in (0, 1)]
        board = town.board(micropython_runtime, jump=True, script=script, world=datetime(2026, 11, 24, 23))
        board.start()
        answers = [board.wait_for("answer", timeout_s=120, id=100 + hours) for hours in (0, 1)]
        wakes = answers[1]["wakes"] - answers[0]["wakes"]
        print(f"\nfigure: {micropython_runtime.name}: {wakes} wakes an idle hour")
        assert 720 <= wakes <= WAKES_AN_HOUR
        # One session, from the start to the end of the hour.
        assert town.broker.log().count("New client connected") == (1 if has_broker else 0), town.broker.log()[-2000:]
    finally:
        town.close()


def test_a_command_does_not_wait_for_a_turn(tmp_path: Path, micropython_runtime: Runtime):
    """A node that sleeps until its next turn answers its operator seconds late. So what comes from the broker wakes it,
    and the answer leaves at once."""
    town = Town(tmp_path)
    try:
        board = town.board(micropython_runtime, world=datetime(2026, 11, 24, 23))
        board.start()
        town.wait_for("status", timeout_s=30)
        town.give_time(board)
        sender = town.sender()
        took_ms = []
        for number in range(COMMANDS):
            # At another place of the turn each time.
            time.sleep(1 + 0.17 * number)
            start = time.monotonic()
            assert town.command(board, "why", {"lamp": 0}, sender=sender)["verdict"] == "done"
            took_ms.append(1000 * (time.monotonic() - start))
        took_ms.sort()
        print(
            f"\nfigure: {micropython_runtime.name}: from command to ack {took_ms[COMMANDS // 2]:.0f} ms in the median, "
            f"{took_ms[-1]:.0f} ms at most, of {COMMANDS}"
        )
        # A turn comes after 2.5 s in the mean; this is for a loaded machine.
        assert took_ms[COMMANDS // 2] < 500
    finally:
        town.close()


MAIN = """
import asyncio, time
from firmware.senses import Sense, Senses
from firmware.wiring import Wiring

def told(name):
    return lambda value: print(name, value, time.ticks_ms())

class Lamp:
    pass

senses = Senses(None, print)
for name, device in (("plain", {"pin": 4}), ("stretched", {"pin": 5, "stretch_ms": 2000})):
    device["name"] = "presence_input"
    kind, driver = Wiring({}).sensor(device, told(name))
    senses.add(Sense(kind, driver, [Lamp()], 5000, name))
asyncio.run(senses.run(lambda: None))
"""


def test_what_waits_in_a_sensor_does_not_wait_for_a_turn(tmp_path: Path, micropython_runtime: Runtime):
    """A wet cable makes a hundred edges a second, and its interrupt is masked for one; a short pulse is stretched to
    two seconds. A node that looks once in five seconds must not be deaf, nor leave the light on, until then."""
    script = [(11 + 0.01 * edge, {"op": "pin", "n": 4, "v": (edge + 1) % 2}) for edge in range(120)]
    script += [(13.5, {"op": "pin", "n": 4, "v": 1}), (16, {"op": "pin", "n": 5, "v": 1})]
    script += [(16.1, {"op": "pin", "n": 5, "v": 0}), (30, {"op": "query", "id": 100})]
    life = {"script": script, "jump": True}
    with VirtualBoard(
        tmp_path, micropython_runtime, 160 * 1024 * 2, rom_files=rom.compiled_tree("firmware"), **life
    ) as board:
        board.install({"main.py": MAIN})
        on_ms = round(1000 * board.start()["t"])
        board.wait_for("answer", id=100)
        board.query()
        told = [line.split() for line in board.printed]
    assert all(len(line) == 3 for line in told), told
    plain = [int(ms) + on_ms for name, value, ms in told if (name, value) == ("plain", "1")]
    plain = [ms for ms in plain if ms > 12300]
    stretched = [(value, int(ms) + on_ms) for name, value, ms in told if name == "stretched"]
    assert plain and abs(plain[0] - 13500) < 200, told[-8:]
    assert [value for value, _ in stretched] == ["1", "0"]
    assert 1900 <= stretched[1][1] - stretched[0][1] <= 2300
