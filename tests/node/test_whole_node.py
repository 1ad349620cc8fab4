"""The unmodified firmware as a whole, on the board, against a real broker."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from firmware.system.built_in_plan import BUILT_IN
from host_tools.plan.encode import LampPlan, encode
from tests.conftest import require_runtime
from tests.node.whole_node import NODE, SENSOR_PIN, Town, shows
from tests.runtimes import Runtime

DIM = {"lamp": 0, "level_permille": 400, "duration_min": 10, "ramp_to_ms": 1000}


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path / "town")
    yield made
    made.close()


def test_the_built_in_plan_is_light_all_night():
    """A node without a plan is a node on a ladder: it must be lit, and nobody has to know why."""
    assert encode(LampPlan([], default_program=255)) == BUILT_IN


def test_a_node_lights_reports_and_obeys(town: Town, micropython_runtime: Runtime):
    """The first evening of a commissioned node: power comes, the lamp is lit before anything else, the node says who it
    is over TLS with its own certificate, takes the time from its operator, obeys and acknowledges."""
    board = town.board(micropython_runtime)
    boot = board.start()
    lit = board.wait_for(lambda event: event["e"] == "pwm")
    assert lit["duty"] == 65535
    first_ms = 1000 * (lit["t"] - boot["t"])
    assert town.wait_for("state") == {"state": "1"}
    assert town.wait_for("event", lambda twin: twin["message"] == "boot")["cause"] == "power"
    status = town.wait_for("status")
    assert (status["level_permille"], status["reason"], status["clock"]) == (1000, "failsafe", "unknown")

    # Without the time nothing is obeyed but a clock command that answers the node's own challenge.
    town.give_time(board)
    assert town.wait_for("status", lambda twin: twin["clock"] == "good")["reason"] != "failsafe"

    mark = len(board.events)
    assert town.command(board, "dim", DIM)["verdict"] == "done"
    dimmed = board.wait_for(shows(town, 400), since=mark)
    assert town.command(board, "why", {"lamp": 0})["verdict"] == "done"
    why = town.wait_for("why")
    assert (why["level_permille"], why["reason"], why["by"]) == (400, "override", "override")
    assert town.command(board, "resume", {"lamp": 0})["verdict"] == "done"
    heap = board.query()
    print(
        f"figure: {micropython_runtime.name}: lit {first_ms:.0f} ms after main.py started; "
        f"heap used {heap['heap_used']} B, free {heap['heap_free']} B; dimmed at {dimmed['t']:.1f} s"
    )


def test_a_passer_is_lit_while_the_broker_is_dead(town: Town):
    """A server room floods at midnight. The street must not notice: presence lights as ever, and when the broker is
    back the node is too."""
    board = town.board(require_runtime("micropython32"), world=datetime(2026, 11, 24, 23))
    board.start()
    town.wait_for("status")
    town.give_time(board)
    town.broker.kill()
    mark = len(board.events)
    board.set_pin(SENSOR_PIN, 1)
    board.wait_for(shows(town, 800), since=mark)
    board.set_pin(SENSOR_PIN, 0)
    town.messages.clear()
    town.broker.start()
    assert town.wait_for("state", lambda twin: twin["state"] == "1", timeout_s=60)


def test_power_cuts_at_any_moment_lose_nothing(town: Town):
    """A contactor chatters, lightning strikes, dawn comes: power goes at any moment. So after each cut the lamp is lit
    at once, and plan, configuration, keys and counters are what they were."""
    board = town.board(require_runtime("micropython32"))
    for moment_s in (0.05, 1.1, 5.3, 6.3):
        mark = len(board.events)
        board.start()
        assert board.wait_for(lambda event: event["e"] == "pwm", since=mark)["duty"] == 65535
        time.sleep(moment_s)
        board.power_cut()
        assert board.state == "off"
        assert not [event for event in board.events[mark:] if event["e"] in ("reset", "crash")]
    board.start()
    status = town.wait_for("status", lambda twin: twin["boots"] > 1, timeout_s=60)
    assert status["plan_tag"] == hashlib.sha256(town.site.plan_bytes(NODE)).digest()[0] & 15
