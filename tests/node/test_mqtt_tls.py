"""TLS between a node and its broker, on CPython and both MicroPythons: only the right broker, only the right node."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509 import verification

from host_tools.certificates import Authority, CertificateError
from tests.node.broker import Broker, Site
from tests.node.peer import Node, interpreter_command, tls_order
from tests.runtimes import Runtime

Start = Callable[..., Node]
StartBroker = Callable[..., Broker]

# What another task may have to wait for the link, on a host: in processor time that this process used meanwhile. By the
# clock on the wall, a busy machine pauses any process for longer; that is only bounded against a handshake that waits.
COMPUTED_US = 20_000
WAITED_US = 300_000


def assert_others_ran(said: dict[str, str]) -> None:
    """No other task of the node waited too long."""
    assert int(said["computed_us"]) < COMPUTED_US and int(said["gap_us"]) < WAITED_US, figures(said)


def figures(said: dict[str, str]) -> str:
    """The longest wait in words."""
    computed, waited = (int(said[name]) / 1000 for name in ("computed_us", "gap_us"))
    return f"{computed:.1f} ms of computing, {waited:.1f} ms by the clock"


@pytest.mark.parametrize("has_tls13", [False, True])
def test_talks_over_tls_with_its_certificate(
    any_node: Start, mosquitto: StartBroker, site: Site, has_tls13: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """The link to the town crosses networks that are not the town's: both ends must prove who they are.
    The lamp's own task must not notice the handshake."""
    broker = mosquitto(site.tls_lines(), has_tls13)
    one = any_node(do="basic", port=broker.port, **tls_order(site))
    said = one.finish()
    assert one.all("got") == ["t/1 zero 0", "t/1 one 0"]
    assert said["closed"] == "1 handshakes 1"
    assert "u'L001'" in broker.log(), "the broker knows the node by its certificate"
    assert_others_ran(said)
    with capsys.disabled():
        print(f"\n  beside a TLS connection another task waits for {figures(said)}")


@pytest.mark.parametrize(
    ("broker_has", "what"),
    [("wrong_name", "tls name"), ("wrong_ca", "tls untrusted"), ("expired", "tls expired")],
)
def test_refuses_a_false_broker(
    broker_has: str, what: str, any_node: Start, mosquitto: StartBroker, site: Site
) -> None:
    """Whoever can answer in the broker's place could keep a district dark: a false broker is refused by name."""
    broker = mosquitto(site.tls_lines(broker_has))
    said = any_node(do="refused", port=broker.port, **tls_order(site)).finish()
    assert said["what"] == what
    assert_others_ran(said)
    assert "as L001" not in broker.log(), "nothing was said to it"


@pytest.mark.parametrize("node_has", [None, "stolen"])
def test_broker_refuses_a_false_node(node_has: str | None, node: Start, mosquitto: StartBroker, site: Site) -> None:
    """Anybody may open a pole and connect what they like: without a certificate of the site there is no link,
    and the node is told so in words that name the cause."""
    if node_has == "stolen":
        site.stranger.node("L001").write(site.folder, "stolen")
    broker = mosquitto(site.tls_lines())
    said = node(do="refused", port=broker.port, **tls_order(site, node_has)).finish()
    assert said["what"] in ("tls alert", "tls closed")
    assert_others_ran(said)
    assert "as L001" not in broker.log()


def test_revoked_node_is_refused(node: Start, mosquitto: StartBroker, site: Site) -> None:
    """A node was stolen, its key with it: one command must shut it out."""
    credential = site.node("L666")
    revoked = site.folder / "revoked.crl"
    revoked.write_bytes(site.authority.revocations([credential.certificate.serial_number]))
    broker = mosquitto([*site.tls_lines(), f"crlfile {revoked}"])
    assert node(do="refused", port=broker.port, **tls_order(site, "L666")).finish()["what"] in (
        "tls alert",
        "tls closed",
    )
    assert node(do="basic", port=broker.port, **tls_order(site)).finish()["closed"] == "1 handshakes 1"


def test_handshake_is_bounded(node: Start, site: Site, mosquitto: StartBroker) -> None:
    """A server that accepts and never speaks TLS (a captive portal does) must not hold the node: an error, in time."""
    said = node(do="refused", port=mosquitto().port, handshake_ms=600, **tls_order(site)).finish()
    assert said["what"].startswith("tls") or said["what"] == "timeout handshake"
    assert_others_ran(said)


def test_bad_files_are_refused_by_name(micropython_runtime: Runtime, tmp_path: Path) -> None:
    """A certificate cut by a bad copy must be named when the node starts, not fail in every handshake to come."""
    code = (
        "from firmware.links.tls_context import *\n"
        "for files in ((b'', ), (b'0' * 90, ), (b'x', b'y', b'z')):\n"
        "    try:\n        make_tls_context(*files)\n        print('taken')\n"
        "    except TlsUnusable as error:\n        print(error.what)\n"
        "try:\n    make_psk_context('L001', bytes(16))\n    print('psk')\n"
        "except TlsUnusable as error:\n    print(error.what)\n"
    )
    done = micropython_runtime.run(["-c", code])
    assert done.stdout.splitlines()[:3] == ["tls files"] * 3, done.stderr
    assert done.stdout.splitlines()[3] in ("tls no psk", "psk")


@pytest.mark.soak
@pytest.mark.parametrize("times", [1000])
def test_thousand_tls_reconnections_leave_nothing(
    node: Start, mosquitto: StartBroker, site: Site, times: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """TLS holds 24 kB a connection: a leak in one of a thousand closes is a node that falls silent in a year."""
    broker = mosquitto(site.tls_lines())
    said = node(do="reconnects", port=broker.port, times=times, **tls_order(site)).finish(600)
    before, after = ([int(word) for word in said[name].split()] for name in ("before", "after"))
    with capsys.disabled():
        print(f"\n  files, resident KiB, heap before {before} and after {after}; {figures(said)}")
    assert after[0] == before[0] and after[1] <= before[1] + 256 and after[2] <= before[2] + 512


# --- the certificates themselves ------------------------------------------------------------------------


def test_certificates_say_what_they_are_for() -> None:
    """A node's certificate used as a broker's would let a stolen lamp impersonate the town's server."""
    authority = Authority.create("Testville")
    now = dt.datetime.now(dt.UTC)
    for credential, purpose in (
        (authority.broker(["broker.example"]), x509.oid.ExtendedKeyUsageOID.SERVER_AUTH),
        (authority.node("L001"), x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH),
    ):
        one = credential.certificate
        one.verify_directly_issued_by(authority.certificate)
        assert list(one.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [purpose]
        assert not one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        # A node without a clock lives on 2000-01-01.
        assert one.not_valid_before_utc == dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
        assert now < one.not_valid_after_utc < authority.certificate.not_valid_after_utc
        assert len(credential.certificate_der) < 600 and len(credential.key_der) < 130


def test_a_node_without_a_clock_may_believe_the_broker() -> None:
    """On the morning after a long outage every clock says 2000-01-01: a broker's certificate that begins later would
    keep the town's nodes from learning the time. Judged by another verifier (RFC 5280 as cryptography has it)."""
    authority = Authority.create("Testville")
    broker = authority.broker(["broker.example"])
    policy = verification.PolicyBuilder().store(verification.Store([authority.certificate]))
    name = x509.DNSName("broker.example")
    for moment in (dt.datetime(2000, 1, 1, 0, 0, 1), dt.datetime.now(), dt.datetime.now() + dt.timedelta(days=800)):
        policy.time(moment).build_server_verifier(name).verify(broker.certificate, [])
    expired = policy.time(dt.datetime.now() + dt.timedelta(days=900)).build_server_verifier(name)
    stranger = policy.time(dt.datetime.now()).build_server_verifier(x509.DNSName("elsewhere.example"))
    for verifier in (expired, stranger):
        with pytest.raises(verification.VerificationError):
            verifier.verify(broker.certificate, [])


@pytest.mark.parametrize("name", ["", "a/b", "a+", "#", "operator.desk", "x" * 33, "group", "é"])
def test_names_that_would_open_other_topics_are_refused(name: str) -> None:
    """The broker builds topics from the certificate's name: a slash or a plus in it would open another lamp's."""
    with pytest.raises(CertificateError):
        Authority.create("Testville").node(name)


def test_private_keys_are_private(tmp_path: Path) -> None:
    """On a server with many users, a key readable by all is everybody's key."""
    authority = Authority.create("Testville")
    authority.write(tmp_path, "ca")
    assert (tmp_path / "ca.key").stat().st_mode & 0o777 == 0o600
    assert Authority.load((tmp_path / "ca.crt").read_bytes(), (tmp_path / "ca.key").read_bytes()).key_pem
    other = Authority.create("Elsewhere")
    with pytest.raises(CertificateError, match="not the certificate's"):
        Authority.load(authority.certificate_pem, other.key_pem)


@pytest.mark.bench
@pytest.mark.parametrize("interpreter", ["micropython64", "micropython32"])
def test_wait_of_another_task_beside_tls(
    interpreter: str, mosquitto: StartBroker, site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """The figure for the documentation: 50 handshakes beside a task that wants to run every 2 ms."""
    broker = mosquitto(site.tls_lines())
    command, environment = interpreter_command(interpreter)
    one = Node(command, environment, {"do": "reconnects", "port": broker.port, "times": 50, **tls_order(site)})
    said = one.finish(60)
    with capsys.disabled():
        print(f"\n  {interpreter}, 50 TLS sessions: another task waits for {figures(said)}")
    assert_others_ran(said)
