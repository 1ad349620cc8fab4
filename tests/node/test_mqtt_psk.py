"""Keys instead of certificates: what the broker does with them, and which a node takes.

No interpreter of the tests has TLS-PSK (MicroPython 1.29 does: extmod/modtls_mbedtls.c, ``psk_identity``, ``psk_key``):
the broker is tried with OpenSSL's client, and the node's choice with a double of the interpreter's module.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from firmware.links import tls_context
from firmware.links.codec import PURPOSE_PSK
from firmware.system.keys import derive
from host_tools.cli import app
from host_tools.site_keys import SiteKeys
from tests.node.broker import Broker, free_port, require_mosquitto

# MQTT 3.1.1, section 3.1: CONNECT of client "L001", clean session, keep-alive 60 s; then DISCONNECT, which ends it.
CONNECT = bytes.fromhex("101000044d5154540402003c00044c303031") + bytes.fromhex("e000")
ACCEPTED = bytes.fromhex("20020000")


def connack(port: int, identity: str, key: bytes) -> bytes:
    """Return what the broker says to CONNECT over TLS-PSK, b"" where there is no TLS."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("server mosquitto was not tried with PSK: openssl is not installed, install it")
    done = subprocess.run(
        [
            openssl, "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_2", "-quiet", "-psk_identity", identity,
            "-psk", key.hex(),
        ],
        input=CONNECT, capture_output=True, timeout=20, check=False,
    )  # fmt: skip
    return done.stdout


def test_a_broker_knows_nodes_by_their_keys(tmp_path: Path) -> None:
    """A node that wakes up without the time cannot judge certificates' dates, and TLS with them takes its memory. So
    what `keys broker --psk-port` writes lets each node in by its own key, and nobody else, under its own name."""
    server = require_mosquitto()
    keys = SiteKeys.create(tmp_path / "keys", "Town")
    keys.operator("office")
    for name in ("L001", "L002"):
        keys.node(name)
    port, psk_port = free_port(), free_port()
    made = CliRunner().invoke(
        app,
        [
            "keys", "broker", str(keys.folder), "127.0.0.1", "--out", str(tmp_path / "out"), "--port", str(port),
            "--psk-port", str(psk_port),
        ],
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    assert (tmp_path / "out" / "psk").stat().st_mode & 0o077 == 0
    lines = (tmp_path / "out" / "mosquitto.conf").read_text().splitlines()
    own = ("persistence", "persistence_location", "autosave_interval")
    first = [line for line in lines if line.split()[0] not in own and line != f"listener {port}"]
    broker = Broker(server, tmp_path / "state", first, port=port).start()
    try:
        # The same key as the node derives from its own secret.
        assert keys.psk("L001") == derive(keys.node_secret("L001"), PURPOSE_PSK, b"")
        assert connack(psk_port, "L001", keys.psk("L001")) == ACCEPTED
        assert connack(psk_port, "L001", keys.psk("L002")) == b""
        assert connack(psk_port, "L003", keys.psk("L001")) == b""
    finally:
        broker.kill()


class Store:
    """What a node has on its flash; nothing of it is a certificate."""

    def read(self, name: str) -> bytes:
        return b""


class Interpreter:
    """A double of MicroPython's `tls`; ``has_psk``: of 1.29 or later."""

    PROTOCOL_TLS_CLIENT = CERT_NONE = 0
    CERT_REQUIRED = 2

    def __init__(self, has_psk: bool) -> None:
        class Context:
            verify_mode = 0

            def __init__(self, protocol: int) -> None:
                if has_psk:
                    self.psk_identity = self.psk_key = None

            def load_verify_locations(self, data: bytes) -> None:
                """Take anything."""

            def load_cert_chain(self, certificate: bytes, key: bytes) -> None:
                """Take anything."""

        self.SSLContext = Context


@pytest.mark.parametrize("has_psk", [True, False])
def test_a_node_uses_its_key_where_the_interpreter_can(has_psk: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """One configuration serves a street in which some nodes have an older interpreter. So each takes its key at the one
    port where it can, and its certificate at the other where not."""
    monkeypatch.setattr(tls_context, "tls", Interpreter(has_psk))
    mqtt = {"port": 8883, "psk_port": 8884, "tls": True}
    secret = bytes(range(32))
    context: Any
    context, port = tls_context.node_context(mqtt, "L001", secret, Store())
    if has_psk:
        assert (port, context.psk_identity, context.psk_key) == (8884, b"L001", derive(secret, PURPOSE_PSK, b""))
        assert context.verify_mode == Interpreter.CERT_NONE
    else:
        assert (port, context.verify_mode) == (8883, Interpreter.CERT_REQUIRED)
    # Without a port for keys nothing changes.
    assert tls_context.node_context({"tls": False, "port": 1883}, "L001", secret, Store()) == (None, 1883)
    assert tls_context.node_context({}, "L001", secret, Store())[1] == 8883
