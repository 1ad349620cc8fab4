"""The test's end of an MQTT link: nodes as processes, an operator (paho, not ours), a proxy that misbehaves."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.conftest import require_runtime
from tests.node.broker import BROKER_NAME, Site
from tests.runtimes import NAMES, ROOT

INTERPRETERS = ("cpython", *NAMES)
MAIN = "tests/node/mqtt_main.py"
WAIT_S = 20


def interpreter_command(name: str) -> tuple[list[str], dict[str, str]]:
    """The command that runs mqtt_main.py on an interpreter, and its environment."""
    if name == "cpython":
        return [sys.executable, "-m", "tests.node.mqtt_main"], dict(os.environ)
    runtime = require_runtime(name)
    return [*runtime.command, MAIN], runtime.environment()


class Node:
    """A process of mqtt_main.py, and the lines it has printed."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], order: Mapping[str, object]) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [*command, json.dumps(order)],
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as output:
            for line in output:
                self.lines.append(line.rstrip("\n"))

    def wait_for(self, line: str, times: int = 1, wait_s: float = WAIT_S) -> None:
        """Wait until it has printed a line so many times."""
        until = time.monotonic() + wait_s
        while self.lines.count(line) < times:
            assert time.monotonic() < until, f"{line!r} not in {wait_s} s: {self.lines}, ended: {self.process.poll()}"
            time.sleep(0.005)

    def finish(self, wait_s: float = WAIT_S) -> dict[str, str]:
        """Wait for its end; return its last value under each name. It must have ended well."""
        try:
            code = self.process.wait(wait_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the node did not end in {wait_s} s: {self.lines[-20:]}") from None
        self._reader.join(wait_s)
        assert code == 0, self.lines
        return dict(line.split(" ", 1) for line in self.lines if " " in line)

    def all(self, name: str) -> list[str]:
        """Every value printed under a name, in order."""
        return [line[len(name) + 1 :] for line in self.lines if line.startswith(name + " ")]

    def kill(self) -> None:
        """kill -9, as a power cut of the node."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(WAIT_S)


def wait_until(is_true: Callable[[], bool], what: str, wait_s: float = WAIT_S) -> None:
    """Wait until something is true; fail with ``what`` when it is not in time."""
    until = time.monotonic() + wait_s
    while not is_true():
        assert time.monotonic() < until, f"not in {wait_s} s: {what}"
        time.sleep(0.005)


@dataclass(frozen=True)
class Got:
    """A message that the operator has received."""

    topic: str
    payload: bytes
    retain: bool
    duplicate: bool


class Operator:
    """The operator's client: paho, an implementation that is not ours."""

    def __init__(self, port: int, site: Site | None = None, credential: str = "", client_id: str = "") -> None:
        self.got: list[Got] = []
        self.answers: dict[int, list[int]] = {}
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id)
        if site:
            folder = site.folder
            certificate = {"certfile": f"{folder}/{credential}.crt", "keyfile": f"{folder}/{credential}.key"}
            self.client.tls_set(f"{folder}/ca.crt", **(certificate if credential else {}))
        self.client.on_message = self._on_message
        self.client.on_subscribe = lambda _client, _data, mid, codes, _properties: self.answers.update(
            {mid: [code.value for code in codes]}
        )
        self.client.connect("127.0.0.1", port, keepalive=30)
        self.client.loop_start()
        wait_until(self.client.is_connected, "the operator is connected")

    def _on_message(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        self.got.append(Got(message.topic, bytes(message.payload), message.retain, message.dup))

    def subscribe(self, topic: str) -> int:
        """Subscribe with QoS 1; return the broker's answer."""
        _, mid = self.client.subscribe(topic, 1)
        assert mid is not None
        wait_until(lambda: mid in self.answers, f"SUBACK for {topic}")
        return self.answers[mid][0]

    def publish(self, topic: str, payload: bytes, qos: int = 1, retain: bool = False) -> None:
        """Publish and wait until the broker has it."""
        self.client.publish(topic, payload, qos, retain).wait_for_publish(WAIT_S)

    def payloads(self, topic: str) -> list[bytes]:
        """What came in on a topic, in order."""
        return [one.payload for one in self.got if one.topic == topic]

    def close(self) -> None:
        """Go away."""
        self.client.disconnect()
        self.client.loop_stop()

    def __enter__(self) -> Operator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass
class Proxy:
    """A way to the broker that can be broken. A double of a bad network.

    ``cut_up``, ``cut_down``: so many bytes of the first connection pass towards the broker (from it), then both ends
    are cut. ``is_swallowing``: everything is read and nothing passed on, as behind a NAT that has forgotten the
    connection.
    """

    target: int
    cut_up: int | None = None
    cut_down: int | None = None
    is_swallowing: bool = False
    port: int = 0
    connections: int = 0
    passed: list[int] = field(default_factory=lambda: [0, 0])

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        self._is_stopped = False
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while not self._is_stopped:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._carry, args=(near, self.connections == 1), daemon=True).start()

    def _carry(self, near: socket.socket, is_first: bool) -> None:
        limits = [self.cut_up, self.cut_down] if is_first else [None, None]
        try:
            far = socket.create_connection(("127.0.0.1", self.target), 5)
        except OSError:
            near.close()
            return
        passed = [0, 0]
        for one in (near, far):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while not self._is_stopped:
                readable, _, _ = select.select([near, far], [], [], 0.1)
                for one in readable:
                    way = 0 if one is near else 1
                    data = one.recv(4096)
                    if not data:
                        # Who has forgotten a connection does not tell of its end either.
                        while self.is_swallowing and one is far and not self._is_stopped:
                            time.sleep(0.02)
                        return
                    limit = limits[way]
                    if limit is not None:
                        data = data[: limit - passed[way]]
                    if not self.is_swallowing:
                        (far if one is near else near).sendall(data)
                    passed[way] += len(data)
                    if is_first:
                        self.passed[way] = passed[way]
                    if limit is not None and passed[way] >= limit:
                        return
        except OSError:
            return
        finally:
            near.close()
            far.close()

    def close(self) -> None:
        """Stop; what is under way is cut."""
        self._is_stopped = True
        with contextlib.suppress(OSError):
            # Else the thread that accepts would go on holding the port.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def tls_order(site: Site, node: str | None = "L001") -> dict[str, object]:
    """The part of an order that says how to speak TLS."""
    return {"certs": str(site.folder), "node": node, "server_name": BROKER_NAME}
