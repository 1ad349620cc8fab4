"""The demo's nodes: each a virtual board with what `reverbere node bundle` makes, started, cut and started again.

What a board gets is the bundle of its node, with two differences: its compiled modules lie in a read-only image (as
they would in a node's flash, off the heap), and the broker's port is the demo's.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from firmware.system.store import Store
from host_tools.node_bundle import make_bundle
from host_tools.node_config import Fleet
from host_tools.site_keys import SiteKeys
from sim.board.names_index import index_bytes
from sim.board.virtual_board import Event, Runtime, Street, VirtualBoard

from .script import Script

# What a classic ESP32 leaves, less the index of the program's names: for up to 620 of them, as here.
HEAP_BYTES = 110 * 1024 - index_bytes(620)
# The same for an interpreter whose words have 64 bits: its objects are twice as large.
WIDE_HEAP_BYTES = 2 * HEAP_BYTES

START_S = 120.0
_LOOK_S = 0.02
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_LIBRARY = "lib/"
_JOURNAL = "/data/journal/"
# A clock chip counts when it is read: a tick more often would only wake the board.
_TICK_MS = 600_000


@dataclass(frozen=True)
class Interpreter:
    """A MicroPython to run boards on; ``is_wide``: its words have 64 bits."""

    title: str
    runtime: Runtime
    is_wide: bool

    @property
    def heap_bytes(self) -> int:
        """The heap of a board on it."""
        return WIDE_HEAP_BYTES if self.is_wide else HEAP_BYTES


class Node:
    """One node: its board, what was installed on it, and what its last start said."""

    def __init__(
        self, name: str, street: Street, interpreter: Interpreter, files: dict[str, bytes], wifi: dict[str, Any]
    ) -> None:
        self.name = name
        self.interpreter = interpreter
        self.config = b""
        self.plan = b""
        rom = {path.removeprefix(_LIBRARY): data for path, data in files.items() if path.startswith(_LIBRARY)}
        flash = {path: data for path, data in files.items() if not path.startswith(_LIBRARY)}
        self.board: VirtualBoard = street.board(
            name,
            interpreter.runtime,
            heap_bytes=interpreter.heap_bytes,
            rom_files=rom,
            wifi=wifi,
            names_outside=True,
        )
        self.board.install(flash)
        self.starts = 0

    def journal(self) -> dict[str, bytes]:
        """Return the segments of the node's journal as they lie on its flash."""
        found = {path: data for path, data in self.board.files().items() if path.startswith(_JOURNAL)}
        return {path.removeprefix(_JOURNAL): data for path, data in found.items() if path.endswith(".jnl")}


class Nodes:
    """All nodes of a script. ``broker_port``: of the loopback; ``begin_ms``: the script's time at the street's 0."""

    def __init__(
        self,
        script: Script,
        fleet: Fleet,
        keys: SiteKeys,
        street: Street,
        interpreters: list[Interpreter],
        broker_port: int,
        begin_ms: int,
    ):
        self.script = script
        self.street = street
        self.begin_ms = begin_ms
        kind = fleet.hardware.kinds[fleet.node(script.lamps[0]).kind]
        self.presence_pin = int(kind.sensors[0]["pin"])
        self.dimmer_pin = int(kind.outputs[0].dimmer["pin"])
        ssid = fleet.hardware.wifi.ssid if fleet.hardware.wifi else ""
        wifi = {"ssid": ssid, "password": keys.wifi_password(ssid), "has_access_point": True}
        # The firmware believes nothing before the day it was built: three weeks before the night.
        build_day = script.noon_s // 86_400 - 21
        self.nodes: list[Node] = []
        for number, name in enumerate(script.lamps):
            files = dict(make_bundle(fleet, name, keys, build_day).files)
            config = json.loads(fleet.data(name, build_day))
            config["mqtt"]["port"] = broker_port
            data = json.dumps(config, separators=(",", ":"), ensure_ascii=False).encode()
            files["data/store/config.0"] = _stored("config", data)
            node = Node(name, street, interpreters[number % len(interpreters)], files, wifi)
            node.config = data
            node.plan = script.site.plan_bytes(name)
            self.nodes.append(node)

    @property
    def now_ms(self) -> int:
        """The script's present, ms since its noon."""
        return self.begin_ms + round(self.street.now_s * 1000)

    def start(self) -> list[Event]:
        """Switch the feeder on; return the boot events, in the street's order.

        Time is held until every node waits for it: so all have the same turns, as lamps on one feeder have, and run
        side by side on this computer's cores ever after.
        """
        conductor = self.street.conductor
        conductor.hold()
        try:
            with ThreadPoolExecutor(len(self.nodes)) as pool:
                events = list(pool.map(self._start, self.nodes))
            until = time.monotonic() + START_S
            while not conductor.are_waiting() and time.monotonic() < until:
                time.sleep(_LOOK_S)
        finally:
            conductor.release()
        return events

    def _start(self, node: Node) -> Event:
        now_ms = self.now_ms
        utc = _EPOCH + timedelta(seconds=self.script.noon_s + now_ms // 1000)
        shown = (utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second)
        chip = {"model": "sim.board.chips.ds3231:Ds3231Model", "name": "clock", "time": shown}
        pin = self.presence_pin
        script = [(self.street.now_s, {"op": "pin", "n": pin, "v": self.script.value_at(node.name, now_ms)})]
        script += [
            ((at - self.begin_ms) / 1000, {"op": "pin", "n": pin, "v": value})
            for at, value in self.script.edges[node.name]
            if at > now_ms
        ]
        node.board.prepare({"i2c": {"0": [chip]}, "tick_ms": _TICK_MS}, script)
        node.board.cut_at(0)
        node.starts += 1
        return node.board.mains_on(START_S)

    def tear(self) -> None:
        """Have every board lose its current in the middle of its next write to flash."""
        for node in self.nodes:
            node.board.cut_at(node.board.flash_operations + 1, "half")

    def cut(self) -> int:
        """Cut the feeder; return how many boards had already lost their current in the middle of a write."""
        torn = sum(not node.board.is_on for node in self.nodes)
        for node in self.nodes:
            node.board.power_cut()
        return torn

    def crashed(self) -> list[str]:
        """Return the names of boards whose interpreter died by itself."""
        return [node.name for node in self.nodes if node.board.state == "crashed"]


def _stored(name: str, data: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        Store(folder).write(name, data)
        return (Path(folder) / f"{name}.0").read_bytes()


def level_of(event: Event) -> int:
    """Return what a PWM event makes of the lamp, in permille of its duty."""
    return round(event["duty"] * 1000 / 65_535) if event["on"] else 0


def pwm_events(events: Iterable[Event], pin: int) -> list[Event]:
    """Return the events of the dimmer's pin."""
    return [event for event in events if event["e"] == "pwm" and event["n"] == pin]
