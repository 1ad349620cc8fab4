"""`reverbere node`, `keys`, `command`, `listen`: at the prompt, against a real mosquitto, and a node's own gate."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from typer.testing import CliRunner, Result

from firmware.links.commands import CommandGate
from host_tools.cli import app
from host_tools.command_sender import day_and_second
from host_tools.node_config import load_fleet
from host_tools.payload import from_json
from host_tools.payload_words import VERDICTS
from host_tools.plan.site import load_site
from host_tools.site_keys import SiteKeys
from host_tools.verbs.command import VERDICT_WORDS
from tests.node.broker import Broker, free_port, require_mosquitto
from tests.node.links_main import MemoryStore

ROOT = Path(__file__).parents[2]
VILLE = ROOT / "examples" / "ville"
SITE, HARDWARE = VILLE / "site.yaml", VILLE / "hardware.yaml"


def run(*args: object) -> Result:
    """Run the command line."""
    return CliRunner().invoke(app, [str(arg) for arg in args], env={"COLUMNS": "200"})


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Path:
    """Keys made at the prompt, with those of the nodes of one group."""
    folder = tmp_path_factory.mktemp("site") / "keys"
    assert run("keys", "new", folder, "--site", "Ville-Exemple").exit_code == 0
    for node in ("L001", "L002"):
        SiteKeys(folder).node(node)
    return folder


@pytest.fixture(scope="module")
def broker(keys, tmp_path_factory) -> Iterator[Broker]:
    """A mosquitto with the very files that `keys broker` writes: TLS with certificates of both sides, and rules."""
    server = require_mosquitto()
    folder = tmp_path_factory.mktemp("broker")
    port = free_port()
    made = run("keys", "broker", keys, "127.0.0.1", "broker.ville.example", "--out", folder, "--port", port)
    assert made.exit_code == 0, made.output
    lines = [line for line in (folder / "mosquitto.conf").read_text().splitlines() if line.split()[0] not in OWN]
    started = Broker(server, folder / "state", lines, port=port)
    yield started.start()
    started.kill()


# What the fixture says by itself.
OWN = ("listener", "persistence", "persistence_location", "autosave_interval")


class Node:
    """A double of a node: paho and its certificate instead of its MQTT client, but the firmware's own command gate."""

    def __init__(self, name: str, keys: SiteKeys, port: int) -> None:
        fleet = load_fleet(load_site(SITE), HARDWARE)
        groups = [(number, keys.group_secret(group)) for group, number in fleet.groups(name).items()]
        self.gate = CommandGate(keys.node(name).secret, fleet.node_id(name), groups, MemoryStore())
        self.prefix = f"reverbere/1/Ville-Exemple/{name}"
        self.heard: list[str] = []
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, name)
        base = keys.folder / "nodes" / name
        self.client.tls_set(str(keys.folder / "ca.crt"), f"{base}.crt", f"{base}.key")
        self.client.on_message = self._take
        ready = threading.Event()
        self.client.on_connect = lambda client, *_: client.subscribe(
            [(f"{self.prefix}/cmd", 1)] + [(f"reverbere/1/Ville-Exemple/group/{group}/cmd", 1) for group in GROUPS]
        )
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert ready.wait(10)

    def _take(self, client: paho.Client, _: object, message: paho.MQTTMessage) -> None:
        day, second = day_and_second(datetime.now(UTC))
        verdict = self.gate.accept(message.payload, True, day, second, time.monotonic_ns() // 1_000_000 & 0x3FFFFFFF)
        self.heard.append(VERDICTS[verdict])
        if ack := self.gate.acknowledge(verdict, bytes(4)):
            client.publish(f"{self.prefix}/ack", ack, 1)
        if verdict == 0 and self.gate.accepted.verb == 6:
            client.publish(f"{self.prefix}/why", WHY, 1)

    def close(self) -> None:
        """Go."""
        self.client.disconnect()
        self.client.loop_stop()


GROUPS = ("main-street",)
WHY = from_json(
    {
        "message": "why", "lamp": 0, "level_permille": 500, "reason": "program", "by": "fixed", "index": 1,
        "program": 0, "limit": "guard", "since_s": 3600, "until_s": 90, "next_level_permille": 700,
        "next_reason": "program", "next_by": "fixed",
    }
)  # fmt: skip


@pytest.fixture
def node(keys, broker) -> Iterator[Callable[[str], Node]]:
    """Call it with a name: a node that listens."""
    nodes: list[Node] = []

    def start(name: str) -> Node:
        nodes.append(Node(name, SiteKeys(keys), broker.port))
        return nodes[-1]

    yield start
    for one in nodes:
        one.close()


def command(keys: Path, broker: Broker, *args: object) -> Result:
    """Run `reverbere command` for the example."""
    return run("command", SITE, *args, "--keys", keys, "--broker", f"127.0.0.1:{broker.port}")


def test_a_command_is_obeyed_and_its_answer_is_said_in_words(node, keys, broker):
    """The operator wants to know whether the lamp obeys, not that bytes have left. So the node's own gate takes the
    command over the site's TLS and rules, and its ack comes back as a sentence."""
    street = node("L001")
    done = command(keys, broker, "L001", "dim", "50%", "--for", "10min", "--ramp", "3s")
    assert (done.exit_code, done.stdout) == (0, "L001 obeys (number 1)\n"), done.output
    accepted = street.gate.accepted
    assert (accepted.values[:2], accepted.minutes, accepted.values[3]) == ([0, 500], 10, 3000)
    again = command(keys, broker, "L001", "resume", "--json")
    assert json.loads(again.stdout)["acks"]["L001"]["counter"] == 2


def test_a_refusal_says_what_to_do(node, keys, broker):
    """A refusal without its reason is a call to the workshop. So 30 minutes of dark are refused in words, exit 1."""
    node("L001")
    done = command(keys, broker, "L001", "dim", "0%", "--for", "45min")
    assert done.exit_code == 1
    assert "will not be dark for so long: give a shorter time or a higher level" in done.stdout


def test_why_is_answered_in_a_sentence(node, keys, broker):
    """*Why am I lit* has one answer, and a mayor can read it."""
    node("L001")
    done = command(keys, broker, "L001", "why")
    assert done.exit_code == 0
    assert "L001 is at 50 % by program (fixed), for 1:00:00; in 0:01:30: 70 % by program (fixed)" in done.stdout


def test_lost_counters_are_found_again(node, keys, broker):
    """The office restores last week's backup: its next number was used already. The node says above which to go on, and
    the command is made again, once, without anybody looking anything up."""
    street = node("L002")
    for _ in range(3):
        assert command(keys, broker, "L002", "test", "100%", "--for", "1min").exit_code == 0
    counters = keys / "counters.json"
    kept = json.loads(counters.read_bytes())
    counters.write_text(json.dumps({**kept, "node/2/0": 1}))
    counters.chmod(0o600)
    done = command(keys, broker, "L002", "test", "80%", "--for", "1min")
    assert (done.exit_code, street.heard[-2:]) == (0, ["replayed", "accepted"]), done.output


def test_a_group_answers_one_by_one_and_who_is_silent_is_named(node, keys, broker):
    """Of a street of forty one lamp is cut off: which? So every node of the group answers for itself."""
    node("L001")
    done = command(keys, broker, "main-street", "dim", "70%", "--for", "5min", "--group", "--wait", "1")
    assert done.exit_code == 1
    assert "L001 obeys" in done.stdout and "L002 has not answered within 1 s" in done.stdout


def test_every_report_is_a_line_of_json(node, keys, broker):
    """Other tools read this: one report a line, as docs/payload.md has it, and what cannot be read is said."""
    street = node("L001")
    shown: list[Result] = []
    arguments = ["listen", SITE, "--keys", keys, "--broker", f"127.0.0.1:{broker.port}", "--count", "3"]
    listening = threading.Thread(target=lambda: shown.append(run(*arguments)))
    listening.start()
    until = time.monotonic() + 20
    while time.monotonic() < until and listening.is_alive():
        street.client.publish(f"{street.prefix}/state", b"1", 1)
        street.client.publish(f"{street.prefix}/event", b"\xff\x00", 1)
        time.sleep(0.1)
    listening.join(5)
    assert [one.exit_code for one in shown] == [0]
    lines: list[dict[str, Any]] = [json.loads(line) for line in shown[0].stdout.splitlines()]
    assert len(lines) == 3
    for line in lines:
        assert line["node"] == "L001" and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
        assert line["message"] in ("state", "unreadable")
    assert {"message": "state", "is_online": True}.items() <= next(x for x in lines if x["message"] == "state").items()


def test_every_verdict_has_its_words():
    """A verdict without words would be shown as a code. So the table is complete, and has nothing else."""
    assert set(VERDICT_WORDS) == set(VERDICTS.values())


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["L01", "resume"], "there is no such node: did you mean L001"),
        (["main-street", "resume"], "there is no such node (a group needs --group)"),
        (["L001", "dimm", "50%"], "'dimm' is none: did you mean dim?"),
        (["L001", "dim"], "needs a level: write it like 50%"),
        (["L001", "dim", "50%"], "needs to know for how long: add --for"),
        (["L001", "dim", "50", "--for", "10min"], "50 has no unit"),
        (["L001", "dim", "50%", "--for", "90s"], "90s is no whole number of minutes"),
        (["L001", "dim", "150%", "--for", "10min"], "1500: 0 to 1000"),
        (["L001", "dim", "50%", "--for", "48h"], "2880: 1 to 1440"),
        (["L001", "resume", "50%"], "takes no level"),
        (["L001", "why", "--for", "10min"], "takes no time"),
        (["L003", "resume"], "has no keys yet: make its bundle"),
        (["L001", "resume", "--broker", "127.0.0.1:1"], "broker 127.0.0.1:1"),
    ],
)
def test_what_cannot_be_sent_is_said_and_sent_is_nothing(args, said, keys):
    """A command that was meant otherwise must not leave. So it is refused with words, exit 2, and no number is used."""
    done = run("command", SITE, *args, "--keys", keys, *([] if "--broker" in args else ["--broker", "127.0.0.1:1"]))
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr and "nothing was sent" in done.stderr


def test_a_configuration_is_shown_to_people_and_as_json():
    """The installer compares it with the wires before him; other tools read the JSON, which is what the node gets."""
    words = run("node", "config", SITE, HARDWARE, "L003", "--build-day", "2026-11-24")
    assert words.exit_code == 0
    assert "output 1  dimmer_pwm on pin 27; safe level 100 %" in words.stdout
    tree = json.loads(run("node", "config", SITE, HARDWARE, "L003", "--build-day", "2026-11-24", "--json").stdout)
    assert (tree["node"], tree["clock"]["build_day"]) == ("L003", 9824)
    for args, said in ((["L999"], "there is no node 'L999'"), (["L001", "--build-day", "soon"], "is no date")):
        wrong = run("node", "config", SITE, HARDWARE, *args)
        assert wrong.exit_code == 2 and said in wrong.stderr


def test_a_bundle_is_made_at_the_prompt_and_shows_no_secret(keys, tmp_path):
    """What the prompt says goes into logs and tickets. So it tells sizes and hashes, and no secret."""
    made = run("node", "bundle", SITE, HARDWARE, "L001", "--keys", keys, "--out", tmp_path / "L001", "--json")
    assert made.exit_code == 0, made.output
    assert "rom/firmware/app.mpy" in [entry["path"] for entry in json.loads(made.stdout)["files"]]
    said = run("node", "bundle", SITE, HARDWARE, "L001", "--keys", keys, "--out", tmp_path / "L001").output
    assert SiteKeys(keys).node_secret("L001").hex() not in made.output + said
    assert "remove it after use" in said
    lost = run("node", "bundle", SITE, HARDWARE, "L001", "--keys", tmp_path / "none", "--out", tmp_path / "out")
    assert (
        lost.exit_code == 2 and "make them by `reverbere keys new`" in lost.stderr and not (tmp_path / "out").exists()
    )


def test_a_password_is_asked_for_and_kept(keys, tmp_path):
    """A password on a command line is in every history. So it is asked for, and kept with the keys."""
    folder = tmp_path / "keys"
    run("keys", "new", folder, "--site", "Ville-Exemple")
    kept = CliRunner().invoke(app, ["keys", "wifi", str(folder), "ville-eclairage"], input="correct horse\n")
    assert kept.exit_code == 0 and "horse" not in kept.output
    assert SiteKeys(folder).wifi_password("ville-eclairage") == "correct horse"
    short = CliRunner().invoke(app, ["keys", "wifi", str(folder), "x"], input="short\n")
    assert short.exit_code == 2 and "WPA2 takes 8 to 63" in short.stderr
