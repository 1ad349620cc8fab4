"""A real mosquitto for tests: on a free port of the loopback, in a folder of its own, killed at the end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from host_tools.certificates import Authority, Credential
from tests.runtimes import in_ci
from tests.runtimes.servers import Server, known_mosquitto

START_S = 10
STOP_S = 5
# The name on the broker's certificate: connections go to the loopback, the name is checked all the same.
BROKER_NAME = "broker.reverbere.example"


def require_mosquitto() -> Server:
    """The broker; when it is missing the test is skipped loudly, and in CI it fails."""
    found = known_mosquitto()
    if isinstance(found, Server):
        return found
    if in_ci():
        pytest.fail(f"server {found.description}", pytrace=False)
    pytest.skip(f"server {found.description}")


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@dataclass
class Broker:
    """One mosquitto. `kill` is kill -9; `start` after it listens on the same port with the same stored sessions."""

    server: Server
    folder: Path
    lines: Sequence[str] = ("allow_anonymous true",)
    has_tls13: bool = False
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> Broker:
        """Start it and wait until it listens."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = [
            # Saved at every change: what a kill -9 finds on disk is what was promised.
            "persistence true",
            f"persistence_location {self.folder}/",
            "autosave_interval 1",
            "autosave_on_changes true",
            "log_dest stderr",
            "log_type all",
            "connection_messages true",
            "sys_interval 0",
            *(["user root"] if os.geteuid() == 0 else []),
            f"listener {self.port} 127.0.0.1",
            *self.lines,
        ]
        path = self.folder / "mosquitto.conf"
        path.write_text("\n".join(config) + "\n")
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.server.command, "-c", str(path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "OPENSSL_CONF": str(self._openssl_config())},
            )
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise AssertionError(f"mosquitto ended with {self.process.returncode}: {self.log()[-2000:]}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.02)
        self.kill()
        raise AssertionError(f"mosquitto does not listen after {START_S} s: {self.log()[-2000:]}")

    def _openssl_config(self) -> Path:
        # An ESP32 with the stock image speaks TLS 1.2 only; the unix ports would take 1.3, where a client learns that
        # it is refused only after its handshake. mosquitto has no upper bound of its own.
        path = self.folder / "openssl.cnf"
        newest = "TLSv1.3" if self.has_tls13 else "TLSv1.2"
        path.write_text(
            f"openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = tls\n[tls]\nMaxProtocol = {newest}\n"
        )
        return path

    def kill(self) -> None:
        """kill -9, as a power cut of the server."""
        if self.process:
            self.process.kill()
            self.process.wait(STOP_S)
            self.process = None

    def settle(self) -> None:
        """Wait until it has saved what it has acknowledged: mosquitto saves a moment after its PUBACK."""
        until = time.monotonic() + START_S
        while "Saving in-memory" not in self.log().splitlines()[-1]:
            assert time.monotonic() < until, self.log()[-2000:]
            time.sleep(0.02)
        time.sleep(0.1)

    def reload(self) -> None:
        """Have it read its ACL file and certificates again."""
        assert self.process
        self.process.send_signal(signal.SIGHUP)

    def log(self) -> str:
        """What it has said since the first start."""
        return (self.folder / "log").read_text(errors="replace")


@dataclass(frozen=True)
class Site:
    """The certificates of a test site, in files: the good ones, and one of each kind of bad one."""

    folder: Path
    authority: Authority
    stranger: Authority

    @classmethod
    def create(cls, folder: Path) -> Site:
        """Make the authorities and the broker's certificate."""
        site = cls(folder, Authority.create("Testville"), Authority.create("Elsewhere"))
        site.authority.write(folder, "ca")
        site.stranger.write(folder, "stranger")
        site.authority.broker([BROKER_NAME, "127.0.0.1"]).write(folder, "broker")
        site.authority.broker(["elsewhere.example"]).write(folder, "wrong_name")
        site.authority.broker([BROKER_NAME], days=-1).write(folder, "expired")
        site.stranger.broker([BROKER_NAME]).write(folder, "wrong_ca")
        return site

    def node(self, node_id: str) -> Credential:
        """Certify a node and write its files under its id."""
        credential = self.authority.node(node_id)
        credential.write(self.folder, node_id)
        return credential

    def operator(self, name: str = "desk") -> str:
        """Certify an operator's tool; return its common name, which is also that of its files."""
        common_name = f"operator.{name}"
        if not (self.folder / f"{common_name}.crt").exists():
            self.authority.operator(name).write(self.folder, common_name)
        return common_name

    def tls_lines(self, broker: str = "broker", requires_client: bool = True) -> list[str]:
        """The lines of mosquitto.conf for TLS with this broker certificate."""
        return [
            f"cafile {self.folder}/ca.crt",
            f"certfile {self.folder}/{broker}.crt",
            f"keyfile {self.folder}/{broker}.key",
            f"require_certificate {'true' if requires_client else 'false'}",
            f"use_identity_as_username {'true' if requires_client else 'false'}",
            "allow_anonymous " + ("false" if requires_client else "true"),
        ]
