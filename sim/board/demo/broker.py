"""The demo's broker: a real mosquitto with the site's own certificates and rules, else amqtt inside this process.

mosquitto gets host_tools/mosquitto_config.py as it stands, on the loopback only. amqtt (pure Python) takes its place
where none is installed: TLS as well, but it demands no certificate of a node and has no rules of who may write what.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from host_tools import mosquitto_config
from host_tools.site_keys import SiteKeys

START_S = 10.0
STOP_S = 5.0


class BrokerError(Exception):
    """No broker: says why and what to do."""


class Running(Protocol):
    """A broker that runs."""

    port: int
    title: str
    # Whether it demands a certificate of each node, and says who may write what.
    has_rules: bool

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def prepare(folder: Path, keys: SiteKeys, names: Sequence[str]) -> None:
    """Write the broker's certificate for these names, and the rules, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    keys.certify_broker(names)
    operator = keys.operator("demo")
    for name in ("ca.crt", "broker.crt", "broker.key"):
        (folder / name).write_bytes((keys.folder / name).read_bytes())
    (folder / "broker.key").chmod(0o600)
    common_name = operator.certificate.subject.rfc4514_string().removeprefix("CN=")
    (folder / "acl").write_text(mosquitto_config.acl(keys.site, [common_name]))
    (folder / "acl").chmod(0o600)


def make_broker(folder: Path, command: Sequence[str] | None, title: str) -> Running:
    """Return mosquitto by its command, or amqtt where there is none; not started yet."""
    return Mosquitto(folder, command, title) if command else Amqtt(folder)


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _wait(port: int, is_alive: Any, told: Any) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and is_alive():
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise BrokerError(f"the broker does not listen after {START_S:g} s: {told()[-500:]}")


class Mosquitto:
    """A mosquitto process, from `with` to its end."""

    has_rules = True

    def __init__(self, folder: Path, command: Sequence[str], title: str) -> None:
        self.port = free_port()
        self.title = title
        self._folder = folder
        self._command = list(command)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        config = mosquitto_config.config(self._folder, self.port)
        config = config.replace(f"listener {self.port}\n", f"listener {self.port} 127.0.0.1\n")
        lines = [config, "log_dest stderr", *(["user root"] if os.geteuid() == 0 else [])]
        path = self._folder / "mosquitto.conf"
        path.write_text("\n".join(lines) + "\n")
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command, "-c", str(path)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            _wait(self.port, lambda: self._process is not None and self._process.poll() is None, self.log)
        except BrokerError:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_S)
            self._process = None

    def log(self) -> str:
        """What it has said."""
        return (self._folder / "log").read_text(errors="replace")


class Amqtt:
    """An amqtt broker in a thread of its own, from `with` to its end."""

    title = "amqtt (in the demo's process; demands no certificates, has no rules)"
    has_rules = False

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="amqtt", daemon=True)
        self._broker: Any = None

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(START_S)
        except Exception as error:
            self._loop.call_soon_threadsafe(self._loop.stop)
            raise BrokerError(f"amqtt does not start ({error}): install mosquitto, or `make runtimes`") from error
        return self

    async def _start(self) -> None:
        from amqtt.broker import Broker  # type: ignore[import-untyped]

        self._broker = Broker(
            {
                "listeners": {
                    "default": {
                        "type": "tcp",
                        "bind": f"127.0.0.1:{self.port}",
                        "ssl": True,
                        "cafile": str(self._folder / "ca.crt"),
                        "certfile": str(self._folder / "broker.crt"),
                        "keyfile": str(self._folder / "broker.key"),
                    }
                },
                "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
            }
        )
        await self._broker.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._broker is not None:
            asyncio.run_coroutine_threadsafe(self._broker.shutdown(), self._loop).result(STOP_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_S)
