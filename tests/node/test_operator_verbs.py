"""Every verb of an operator, at the prompt, against the whole node over a real broker with mutual TLS."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from firmware.links.commands import _FRESH_BURST
from host_tools.cli import app
from host_tools.command_sender import CommandSender
from host_tools.plan.sign import sign_plan
from sim.board.virtual_board import VirtualBoard
from tests.conftest import require_runtime
from tests.node.whole_node import EXAMPLE, NODE, Town, shows

DIM = {"lamp": 0, "level_permille": 200, "duration_min": 5, "ramp_to_ms": 0}
ASKED = "is at ([0-9.]+) % by ([a-z]+)"


class Desk:
    """An operator's prompt, with the site's files and keys."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.site = EXAMPLE
        self.options = [
            "--keys", town.keys.folder, "--hardware", town.folder / "hardware.yaml",
            "--broker", f"127.0.0.1:{town.port}",
        ]  # fmt: skip

    def run(self, *args: object, site: Path | None = None) -> Result:
        """Run `reverbere ARGS` for the node; "SITE" among them is the site's file."""
        words = [site or self.site if one == "SITE" else one for one in args]
        return CliRunner().invoke(app, [str(one) for one in (*words, *self.options)], env={"COLUMNS": "200"})

    def command(self, *args: object) -> str:
        """Send a command that is obeyed; return what was said."""
        done = self.run("command", "SITE", NODE, *args)
        assert done.exit_code == 0, (args, done.output)
        return done.stdout

    def sender(self) -> CommandSender:
        """Return a sender with the numbers that the prompt uses too."""
        keys = self.town.keys
        return CommandSender(keys.node_secret(NODE), self.town.fleet.node_id(NODE), keys.counters)

    def why(self) -> tuple[float, str]:
        """Return level and reason of the lamp."""
        found = re.search(ASKED, self.command("why"))
        assert found
        return float(found[1]), found[2]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    town = Town(tmp_path / "town")
    yield Desk(town)
    town.close()


def started(desk: Desk) -> VirtualBoard:
    """Start the node, in this machine's time, and set its clock at the prompt."""
    board = desk.town.board(require_runtime("micropython32"), world=datetime.now(UTC).replace(tzinfo=None))
    board.start()
    desk.town.wait_for("status")
    assert "has done it" in desk.command("clock")
    desk.town.wait_for("status", lambda twin: twin["clock"] == "good")
    return board


def other_site(desk: Desk) -> Path:
    """Return the same site with another plan for the node's lamp."""
    text = EXAMPLE.read_text(encoding="utf-8")
    path = desk.town.folder / "other.yaml"
    path.write_text(text.replace("state: 40 %, rampToLevelTime: 60 s", "state: 45 %, rampToLevelTime: 60 s"), "utf-8")
    return path


def test_every_light_command_is_obeyed_by_the_whole_node(desk: Desk):
    """The operator has words, the lamp has light. So each verb is sent as an operator sends it, and the pin, or the
    lamp's own answer why, says that it was obeyed; an override ends by itself, and identify never darkens."""
    board = started(desk)
    # Levels that the plan has at no hour: whoever ran this after 23:30 commanded 40 % where 40 % was.
    for verb, level in (("dim", 430), ("emergency", 910), ("test", 670)):
        mark = len(board.events)
        desk.command(verb, f"{level // 10}%", "--for", "10min")
        board.wait_for(shows(desk.town, level), since=mark)
    desk.command("resume")
    end = (datetime.now(UTC) + timedelta(seconds=12)).strftime("%Y-%m-%dT%H:%M:%SZ")
    mark = len(board.events)
    desk.command("override", "33%", "--end", end)
    board.wait_for(shows(desk.town, 330), since=mark)
    mark = len(board.events)
    board.wait_for(lambda event: event["e"] == "pwm" and not shows(desk.town, 330)(event), since=mark, timeout_s=30)
    assert desk.why()[1] != "override"
    desk.command("override", "73%")
    assert desk.why() == (73, "override")
    desk.command("resume")
    mark = len(board.events)
    desk.command("identify", "--for", "5s")
    shown = board.wait_for("pwm", since=mark)
    time.sleep(6)
    assert shown["duty"] > 0 and all(event["duty"] > 0 for event in board.events[mark:] if event["e"] == "pwm")
    refused = desk.run("command", "SITE", NODE, "acknowledge", "deviceMalfunction")
    assert refused.exit_code == 1 and "refuses" in refused.stdout


def test_a_configuration_is_read_compared_and_written(desk: Desk):
    """Which node has which wires? The file says it, and the node says what it has: they are compared field by field,
    and a change reaches the pole without a ladder."""
    board = started(desk)
    same = desk.run("node", "read", "SITE", NODE)
    assert (same.exit_code, "as the files say" in same.stdout) == (0, True), same.output
    file = desk.town.folder / "hardware.yaml"
    file.write_text(file.read_text().replace("drift: 20 ppm", "drift: 30 ppm"))
    other = desk.run("node", "read", "SITE", NODE)
    assert other.exit_code == 1 and "clock.drift_ppm: 30 in the files, 20 in the node" in other.stdout
    written = desk.run("node", "write", "SITE", NODE, "--build-day", "2026-11-01")
    assert written.exit_code == 0 and "from its next start on" in written.stdout, written.output
    mark = len(board.events)
    desk.command("reset")
    board.wait_for("boot", since=mark)
    assert (
        desk.town.wait_for("event", lambda twin: twin["message"] == "boot" and twin["boots"] == 2)["cause"] == "command"
    )
    assert desk.run("node", "read", "SITE", NODE).exit_code == 0


def test_a_plan_is_pushed_and_told_as_switched(desk: Desk):
    """A council decides, an operator pushes: the node verifies the site's signature, switches, and says by hash which
    plan is in force; one for tomorrow waits; one that another site signed changes nothing."""
    started(desk)
    site = other_site(desk)
    done = desk.run("plan", "push", "SITE", NODE, site=site)
    assert done.exit_code == 0 and "is in force" in done.stdout, done.output
    told = desk.town.wait_for("event", lambda twin: twin["message"] == "plan")
    assert told["outcome"] == "switched" and told["plan_hash"] in done.stdout
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%MZ")
    later = desk.run("plan", "push", "SITE", NODE, "--at", tomorrow)
    assert later.exit_code == 0 and f"will be in force {tomorrow}" in later.stdout, later.output
    over = desk.run("plan", "push", "SITE", NODE, "--at", "2026-01-01T12:00Z")
    assert over.exit_code == 2 and "is over" in over.stderr
    (desk.town.keys.folder / "signing.key").write_bytes(bytes(range(32)))
    forged = desk.run("plan", "push", "SITE", NODE)
    assert forged.exit_code == 1 and "does not believe the plan's signature" in forged.stdout, forged.output


def test_pieces_that_come_too_fast_are_told_as_a_refused_switch(desk: Desk):
    """Three runs of the latency bench waited a minute for a switch that nobody told. The gate looks at ten commands at
    once and two a second: what comes faster is dropped unanswered, and a plan with a hole is refused, and told so. At
    the gate's pace the same plan is switched."""
    board = started(desk)
    town = desk.town
    time.sleep(6)
    plan = town.site.plan_bytes("L001")
    digest = hashlib.sha256(plan).digest()
    size = -(-len(plan) // (2 * _FRESH_BURST))
    sender = desk.sender()
    for offset in range(0, len(plan), size):
        fields = {
            "lamp": 0,
            "offset": offset,
            "plan_hash": digest[:8].hex(),
            "chunk": plan[offset : offset + size].hex(),
        }
        town.send(sender.make("plan_stage", fields, town.now(board)))
    time.sleep(2)
    staged = [twin["verdict"] for kind, twin in town.messages if kind == "ack" and twin["verb"] == "plan_stage"]
    assert 5 <= len(staged) < 2 * _FRESH_BURST and set(staged) == {"staged"}, staged
    signature = sign_plan(plan, town.keys.signing_key.private_bytes_raw()).hex()
    switch = {"lamp": 0, "length": len(plan), "plan_hash": digest[:8].hex(), "signature": signature}
    assert town.command(board, "plan_switch", switch, sender=sender)["verdict"] == "refused"
    told = town.wait_for("event", lambda twin: twin["message"] == "plan")
    assert (told["outcome"], told["verdict"]) == ("refused", "refused")
    done = desk.run("plan", "push", "SITE", NODE, site=other_site(desk))
    assert done.exit_code == 0, done.output
    assert town.wait_for("event", lambda twin: twin.get("outcome") == "switched")


def test_the_log_of_a_crash_is_read_from_the_desk_and_from_a_copy(desk: Desk, tmp_path: Path):
    """A node that starts by itself at night must say why: the operator reads it from his desk, the installer from the
    files that he has copied; an intended reset, a power cut and a panic are not the same."""
    board = started(desk)
    time.sleep(6)
    desk.command("reset")
    desk.town.wait_for("event", lambda twin: twin["message"] == "boot" and twin["boots"] == 2)
    time.sleep(6)
    board.panic()
    desk.town.wait_for("event", lambda twin: twin["message"] == "boot" and twin["boots"] == 3)
    shown = desk.run("node", "log", "SITE", NODE)
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    assert [line for line in lines if line.startswith("start ")] == [
        "start 1: after power", "start 2: after intended, for command",
        "start 3: after panic; 1 failed starts in a row",
    ]  # fmt: skip
    board.power_cut()
    for path, data in board.files().items():
        target = tmp_path / "copy" / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    copied = CliRunner().invoke(app, ["node", "log", "--copy", str(tmp_path / "copy" / "data")])
    assert copied.stdout == shown.stdout


def test_a_group_obeys_and_what_is_not_for_it_changes_nothing(desk: Desk):
    """One key for a street is one key that a thief may have: a group can be dimmed and lit, and no more. And whoever
    records what an operator sent, or sends it late, or has no key, changes no lamp."""
    town = desk.town
    board = started(desk)
    mark = len(board.events)
    done = desk.run("command", "SITE", "quarter", "dim", "55%", "--for", "10min", "--group", "--wait", "5")
    assert done.exit_code == 0 and "L003 has done it" in done.stdout, done.output
    board.wait_for(shows(town, 550), since=mark)
    refused = desk.run("command", "SITE", "quarter", "reset", "--group")
    assert refused.exit_code == 2 and "is for one node: groups take dim" in refused.stderr
    assert desk.why() == (55, "override")
    sender = desk.sender()
    spoken = sender.make("dim", DIM, town.now(board))
    town.send(spoken)
    town.wait_for("ack", lambda twin: twin.get("counter") == town.keys.counters.last(sender.name))
    desk.command("resume")
    desk.command("dim", "70%", "--for", "10min")
    late = sender.make("dim", DIM, town.now(board) - timedelta(hours=2))
    forged = sender.make("dim", DIM, town.now(board))[:-1] + b"?"
    town.messages.clear()
    for payload in (spoken, late, forged):
        town.send(payload)
        time.sleep(1)
    verdicts = [twin["verdict"] for kind, twin in town.messages if kind == "ack"]
    assert verdicts == ["replayed", "stale"], "the forged one is not even answered"
    assert desk.why() == (70, "override")
