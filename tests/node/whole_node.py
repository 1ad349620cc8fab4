"""A node as a town would have it: the shipped firmware on a virtual board, its store as commissioning leaves it, a real
mosquitto with mutual TLS, and an operator's desk that sends signed commands and reads what comes."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho

from firmware.control.flux import FluxKeeper
from firmware.system.boot_files import lamp_file
from firmware.system.store import Store
from host_tools.command_sender import CommandSender, Counters
from host_tools.mosquitto_config import acl
from host_tools.mpy.modules import compiled, sources
from host_tools.mpy.shipped import shipped
from host_tools.node_bundle import store_files
from host_tools.node_config import Fleet, build_day_of, load_fleet
from host_tools.payload import command_to_json, to_json
from host_tools.plan.site import Site, load_site
from host_tools.site_keys import SiteKeys
from sim.board import names_index
from sim.board.virtual_board import VirtualBoard
from tests.node.broker import Broker, free_port, require_mosquitto
from tests.runtimes import ROOT, Runtime

EXAMPLE = ROOT / "examples" / "ville" / "site.yaml"
NODE = "L003"
DIMMER_PIN = 25
SENSOR_PIN = 27
BROKER_NAME = "broker.ville.example"
# What the whole application needs on the 32-bit build, with what is asked to stay free, where the board's index of
# names is within: some 9 kB more than on a chip (CHIP_HEAP_BYTES).
HEAP_BYTES = 120 * 1024
EPOCH = datetime(2000, 1, 1)

HARDWARE = """
mqtt: {{host: 127.0.0.1, port: {port}, server_name: {name}, window: 0 s, keepalive: 5 min}}
wifi: {{ssid: rue}}
wave: {{channel: 6}}
reports: {{status: 1 min, energy: 15 min}}
clock: {{drift: 20 ppm}}
kinds:
  simple:
    outputs:
      - dimmer: {{name: dimmer_pwm, pin: 25}}
    sensors:
      - {{name: presence_input, pin: 27}}
nodes:
  L003: {{kind: simple}}
"""


# What an application finds free on a classic ESP32 with stock MicroPython (issue 4).
CHIP_HEAP_BYTES = 110 * 1024


def chip_heap(runtime: Runtime, drivers: Collection[str], heap_bytes: int = CHIP_HEAP_BYTES) -> int:
    """Return the bound of a board, its own names outside, that leaves the program what it has on a chip with so much
    heap: less what the index of its names takes there."""
    main = (ROOT / "firmware" / "main.py").read_text(encoding="utf-8")
    names = names_index.count(runtime, firmware_rom(tuple(drivers)), main) + names_index.ALLOWANCE
    return heap_bytes - names_index.index_bytes(names)


@cache
def firmware_rom(drivers: tuple[str, ...] = ("dimmer_pwm", "presence_input")) -> dict[str, bytes]:
    """The firmware as it lies in ROM: joined and shortened, with the drivers that this node has, compiled."""
    modules = compiled(shipped(sources(), list(drivers)).files)
    return {path.removesuffix(".py") + ".mpy": code for path, code in modules.items() if path != "firmware/main.py"}


class Town:
    """A site with keys, a broker, and nodes. Close it."""

    def __init__(self, folder: Path, site_file: Path = EXAMPLE, hardware: str = HARDWARE) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.site: Site = load_site(site_file)
        self.port = free_port()
        path = folder / "hardware.yaml"
        path.write_text(hardware.format(port=self.port, name=BROKER_NAME), encoding="utf-8")
        self.fleet: Fleet = load_fleet(self.site, path)
        self.keys = SiteKeys.create(folder / "keys", self.site.name)
        self.keys.set_wifi_password("rue", "a password")
        self.desk_credential = self.keys.operator("desk")
        self.broker = self._broker()
        self.boards: list[VirtualBoard] = []
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self._came = threading.Condition()
        self._desk: paho.Client | None = None

    def _broker(self) -> Broker:
        folder = self.folder / "certificates"
        folder.mkdir()
        self.keys.authority.broker([BROKER_NAME, "127.0.0.1"]).write(folder, "broker")
        (folder / "ca.crt").write_bytes(self.keys.authority.certificate_pem)
        self.desk_credential.write(folder, "desk")
        self._certificates = folder
        rules = self.folder / "acl"
        rules.write_text(acl(self.site.name, ["operator.desk"]), encoding="utf-8")
        rules.chmod(0o600)
        lines = [
            f"cafile {folder}/ca.crt", f"certfile {folder}/broker.crt", f"keyfile {folder}/broker.key",
            "require_certificate true", "use_identity_as_username true", "allow_anonymous false", f"acl_file {rules}",
            "set_tcp_nodelay true",
        ]  # fmt: skip
        return Broker(require_mosquitto(), self.folder / "mosquitto", lines, port=self.port).start()

    def board(self, runtime: Runtime, node: str = NODE, world: datetime = datetime(2026, 11, 24, 17), **settings: Any):
        """Return a board with everything that commissioning puts on it; its mains are off."""
        world_s = int((world - EPOCH).total_seconds())
        # On the 64-bit build every object is twice as large.
        heap_bytes = settings.pop("heap_bytes", HEAP_BYTES * (1 if runtime.small_int_bits < 32 else 2))
        board = VirtualBoard(
            self.folder / f"board-{node}-{len(self.boards)}", runtime, heap_bytes,
            rom_files=firmware_rom(tuple(self.fleet.drivers(node))), world_s=world_s,
            wifi={"ssid": "rue", "password": "a password", **settings.pop("wifi", {})}, **settings,
        )  # fmt: skip
        board.install(self.files(node))
        self.boards.append(board)
        self._world = world.replace(tzinfo=UTC)
        return board

    def now(self, board: VirtualBoard) -> datetime:
        """Return the world's time, as the board's clock chips would have it."""
        return self._world + timedelta(seconds=board.street.now_s)

    def give_time(self, board: VirtualBoard, node: str = NODE) -> None:
        """Set a node's clock as an operator does: a refused command brings a challenge, a clock command answers it."""
        sender = self.sender(node)
        # In its first five seconds a node stores nothing, and so obeys nothing: it says `store_failed`.
        for _ in range(8):
            refused = self.command(board, "why", {"lamp": 0}, node, sender)
            answer = self.command(board, "clock", {"challenge": refused["challenge"]}, node, sender)
            if answer["verdict"] == "done":
                return
            time.sleep(1)
        raise AssertionError(f"the clock was not taken: {answer}")

    def command(self, board: VirtualBoard, verb: str, fields: dict[str, Any], node: str = NODE, sender=None) -> Any:
        """Send a signed command and return its ack."""
        sender = sender or self.sender(node)
        payload = sender.make(verb, fields, self.now(board))
        counter = command_to_json(payload)["envelope"]["counter"]
        self.send(payload, node)
        return self.wait_for("ack", lambda twin: twin.get("counter") == counter)

    def files(self, node: str = NODE) -> dict[str, bytes | str]:
        """What lies on a node's flash when it is delivered."""
        files = stored(store_files(self.fleet, node, self.keys, build_day_of(2026, 11, 1)))
        files["main.py"] = (ROOT / "firmware" / "main.py").read_text(encoding="utf-8")
        files["boot.lamp"] = lamp_file([(1, DIMMER_PIN, 0, 0, 4000, 1000)])
        return files

    def desk(self) -> paho.Client:
        """Connect the operator's desk, once; its messages come into `messages`."""
        if self._desk is None:
            client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="operator.desk")
            client.tls_set(
                str(self._certificates / "ca.crt"), str(self._certificates / "desk.crt"),
                str(self._certificates / "desk.key"),
            )  # fmt: skip
            client.on_message = self._take
            # At each connection: the broker of a test is killed now and then.
            client.on_connect = lambda *_: client.subscribe(f"reverbere/1/{self.site.name}/#", 1)
            client.reconnect_delay_set(1, 2)
            client.connect("127.0.0.1", self.port)
            client.loop_start()
            self._desk = client
        return self._desk

    def _take(self, client: paho.Client, userdata: object, message: paho.MQTTMessage) -> None:
        kind = message.topic.rsplit("/", 1)[-1]
        if kind in ("cmd", "plan", "cfg"):
            return
        twin = {"state": message.payload.decode()} if kind == "state" else to_json(message.payload)
        with self._came:
            self.messages.append((kind, twin))
            self._came.notify_all()

    def wait_for(self, kind: str, is_right: Callable[[Mapping[str, Any]], bool] = bool, timeout_s: float = 20) -> Any:
        """Return the first message of a kind that is right; it may have come before."""
        self.desk()
        end = time.monotonic() + timeout_s
        with self._came:
            while True:
                for found, twin in self.messages:
                    if found == kind and is_right(twin):
                        return twin
                left = end - time.monotonic()
                if left <= 0 or not self._came.wait(left):
                    raise AssertionError(f"no {kind} in {timeout_s} s; there were {json.dumps(self.messages)[-1500:]}")

    def sender(self, node: str = NODE) -> CommandSender:
        """Return the desk's sender of commands for a node."""
        secret = self.keys.node(node).secret
        return CommandSender(secret, self.fleet.node_id(node), Counters(self.folder / "counters.json"))

    def send(self, payload: bytes, node: str = NODE) -> None:
        """Publish a command to a node."""
        done = self.desk().publish(f"reverbere/1/{self.site.name}/{node}/cmd", payload, 1)
        done.wait_for_publish(10)

    def close(self) -> None:
        """Stop everything."""
        for board in self.boards:
            board.stop()
        if self._desk is not None:
            self._desk.loop_stop()
            self._desk.disconnect()
        self.broker.kill()


def stored(contents: Mapping[str, bytes]) -> dict[str, bytes | str]:
    """Return files of a node's flash that hold `contents`, by their names in its store."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder + "/store")
        for name, data in contents.items():
            store.write(name, data)
        return {f"data/store/{path.name}": path.read_bytes() for path in Path(folder, "store").iterdir()}


def shows(town: Town, level_permille: int, node: str = NODE) -> Callable[[Mapping[str, Any]], bool]:
    """Return what tells whether an event puts the pin to a level: constant light output, then the duty, rounded."""
    config = town.site.lamp_config(node)["config"]
    flux = FluxKeeper(
        config["flux_hours"], config["flux_needs_permille"], config["maximum_permille"],
        config["driver_minimum_permille"],
    )  # fmt: skip
    duty = flux.output(level_permille, 0) * 65535 // 1000
    return lambda event: event["e"] == "pwm" and abs(event["duty"] - duty) <= 2
