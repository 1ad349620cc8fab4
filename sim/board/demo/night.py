"""One night of the demo's street: start, feeder cut, morning. What nodes and broker tell is kept for the page."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from host_tools.node_config import Fleet
from host_tools.site_keys import SiteKeys
from sim.board.conductor import diff30
from sim.board.virtual_board import Street

from .broker import make_broker, prepare
from .listener import Listener
from .nodes import Interpreter, Node, Nodes, level_of, pwm_events
from .script import Hours, Script

WIFI_PASSWORD = "a lamp in the night"
_LOOK_S = 0.1
# The last reports are on their way for so long of the computer's time, at rate 1.
_SETTLE_S = 2.0
# So long of virtual time may pass until every board has begun to write: counters and journal at a quarter of an hour.
TEAR_MS = 60_000


class NightError(Exception):
    """The night could not be played to its end; says what happened."""


@dataclass(frozen=True)
class Settings:
    """How the night is played. ``rate``: virtual seconds a second, at most. ``slack_ms``: how late a board may wake.

    ``answer_ms``: a tenth of what the broker is given of the computer's time, at rate 1, to read what a board has sent.
    """

    rate: int = 100_000
    slack_ms: int = 500
    answer_ms: int = 100


@dataclass
class Cut:
    """The feeder's cut: when (ms since noon), how many boards were in a write, and how the nodes came back."""

    at_ms: int
    back_ms: int = 0
    torn: int = 0
    # Per node: ms from the feeder's return to the lamp being lit, and at how many permille.
    lit: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass
class Shown:
    """What a view may show of a node: ``level`` from the PWM events of its pin, the rest from what it has told."""

    name: str
    is_on: bool
    level: int
    presence: int
    is_online: bool
    reason: str
    by: str


View = Callable[["Night"], None]


class Night:
    """Holds broker, street and nodes from `with` to its end; `play` plays the night."""

    def __init__(
        self,
        script: Script,
        fleet: Fleet,
        interpreters: list[Interpreter],
        mosquitto: tuple[list[str], str] | None,
        hours: Hours,
        settings: Settings,
    ) -> None:
        self.script = script
        self.hours = hours
        self.settings = settings
        self.cut: Cut | None = None
        self.wall_s = 0.0
        self.notes: list[str] = []
        # Keys are never made inside a git repository, which a build folder usually is.
        self.folder = Path(tempfile.mkdtemp(prefix="reverbere-demo."))
        self._seen: dict[str, int] = {name: 0 for name in script.lamps}
        self.levels: dict[str, int] = {name: 0 for name in script.lamps}
        self.wakes: dict[str, int] = {name: 0 for name in script.lamps}
        self._stops: list[Callable[[], object]] = []
        try:
            self._build(fleet, interpreters, mosquitto)
        except BaseException:
            self.close()
            raise

    def _build(self, fleet: Fleet, interpreters: list[Interpreter], mosquitto: tuple[list[str], str] | None) -> None:
        keys = SiteKeys.create(self.folder / "keys", fleet.site.name)
        hardware = fleet.hardware
        if hardware.wifi is None or hardware.mqtt is None:
            raise NightError(f"{fleet.path.name} has no mqtt or no wifi: the demo's nodes talk to a broker")
        keys.set_wifi_password(hardware.wifi.ssid, WIFI_PASSWORD)
        prepare(self.folder / "broker", keys, [hardware.mqtt.server_name or hardware.mqtt.host, "127.0.0.1"])
        command, title = mosquitto or (None, "")
        self.broker = make_broker(self.folder / "broker", command, title)
        self.broker.__enter__()
        self._stops.append(lambda: self.broker.__exit__(None, None, None))
        self.listener = Listener(self.broker.port, fleet.site.name, keys, self.script.lamps)
        self.listener.start()
        self._stops.append(self.listener.stop)
        settings = self.settings
        self.street = Street(
            self.folder / "street",
            1,
            world_s=self.script.noon_s + self.hours.start_ms // 1000,
            answer_us=settings.answer_ms * 1000,
            slack_us=settings.slack_ms * 1000,
        )
        self._stops.append(self.street.close)
        begin_ms = self.hours.start_ms
        self.nodes = Nodes(self.script, fleet, keys, self.street, interpreters, self.broker.port, begin_ms)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop everything that was started, and remove the folder with its keys."""
        while self._stops:
            self._stops.pop()()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def now_ms(self) -> int:
        """The night's present, ms since the scenario's noon."""
        return self.nodes.now_ms

    def play(self, view: View) -> None:
        """Play the night to its end. Raises `NightError` where a board crashes or nobody listens any more."""
        begun = time.monotonic()
        self.nodes.start()
        self.note(f"the feeder is on: {len(self.nodes.nodes)} nodes have started")
        self.street.conductor.rate = self.settings.rate
        if self.hours.cut_ms is not None:
            self._pass_until(self.hours.cut_ms[0], view)
            self._cut_feeder(view)
        self._pass_until(self.hours.end_ms, view)
        self.street.conductor.rate = 1
        until = time.monotonic() + _SETTLE_S
        while time.monotonic() < until:
            self._look()
            view(self)
            time.sleep(_LOOK_S)
        self.nodes.cut()
        self._look()
        self.wall_s = time.monotonic() - begun

    def note(self, text: str) -> None:
        """Keep a line for the view."""
        self.notes.append(text)

    def _pass_until(self, t_ms: int, view: View) -> None:
        # A look later may be an hour later: the clock itself stands there.
        self.street.conductor.until_us = (t_ms - self.nodes.begin_ms) * 1000
        while self.now_ms < t_ms:
            self._look()
            view(self)
            if crashed := self.nodes.crashed():
                events = next(node for node in self.nodes.nodes if node.name == crashed[0]).board.events[-8:]
                raise NightError(f"{', '.join(crashed)}: the interpreter died: {events}")
            if self.listener.failure:
                raise NightError(f"nobody listens any more: {self.listener.failure}")
            time.sleep(_LOOK_S)

    def _cut_feeder(self, view: View) -> None:
        assert self.hours.cut_ms is not None
        self.cut = cut = Cut(self.now_ms)
        self.nodes.tear()
        until_ms = self.now_ms + TEAR_MS
        while self.now_ms < until_ms and any(node.board.is_on for node in self.nodes.nodes):
            self._look()
            time.sleep(0.02)
        cut.torn = self.nodes.cut()
        self._look()
        self.note(f"the feeder is cut: {cut.torn} of {len(self.nodes.nodes)} nodes in the middle of a write to flash")
        view(self)
        self.street.conductor.rate = 1
        self.street.conductor.skip(max(0, self.hours.cut_ms[1] - self.now_ms) * 1000)
        cut.back_ms = self.now_ms
        marks = {node.name: len(node.board.events) for node in self.nodes.nodes}
        self.nodes.start()
        for node in self.nodes.nodes:
            cut.lit[node.name] = self._lit(node, marks[node.name])
        slowest = max((ms for ms, _ in cut.lit.values()), default=0)
        self.note(f"the feeder is back: every lamp lit within {slowest} ms of its board's start")
        self.street.conductor.rate = self.settings.rate

    def _lit(self, node: Node, mark: int) -> tuple[int, int]:
        """Return after how many ms of its start the lamp was lit, and at how many permille at first."""
        boot = node.board.wait_for("boot", since=mark)
        lit = node.board.wait_for("pwm", since=mark, n=self.nodes.dimmer_pin)
        # By this computer's clock: virtual time is held while the nodes start.
        return diff30(lit["r"], boot["r"]) // 1000, level_of(lit)

    def _look(self) -> None:
        for node in self.nodes.nodes:
            # One slice: more may come while it is looked at.
            new = node.board.events[self._seen[node.name] :]
            self._seen[node.name] += len(new)
            for event in pwm_events(new, self.nodes.dimmer_pin):
                self.levels[node.name] = level_of(event)

    def shown(self) -> list[Shown]:
        """Return what a view may show, in the street's order."""
        now_ms = self.now_ms
        found = []
        for node in self.nodes.nodes:
            heard = self.listener.heard[node.name]
            is_on = node.board.is_on
            found.append(
                Shown(
                    node.name,
                    is_on,
                    self.levels[node.name] if is_on else 0,
                    self.script.value_at(node.name, now_ms),
                    heard.is_online and is_on,
                    str(heard.status.get("reason", "")),
                    str(heard.status.get("by", "")),
                )
            )
        return found
