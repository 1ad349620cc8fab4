"""The site's own certificates: an authority, the broker's, and one for each node. Nothing is bought, nothing is shared.

All keys are P-256: an ESP32 with stock MicroPython verifies and signs with it, and a certificate has about 500 bytes.
Every certificate begins on 2000-01-01: a node that wakes up without a clock is on that day, and must be able to reach
the broker to learn the time (mbedTLS checks dates since MicroPython 1.22, by the board's clock, which begins there:
ports/esp32/main.c, platform_mbedtls_time). That loses nothing: who may sign is the site
alone. What protects is the end, which the broker and every node with a clock enforce, and the revocation list.

MicroPython before 1.29 reads DER only; mosquitto reads PEM.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOT_BEFORE = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
AUTHORITY_YEARS = 30
NODE_YEARS = 10
BROKER_DAYS = 825
# A node's id is its common name, a level of its topics and its client id: no wildcard, no slash, nothing to escape.
NODE_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")


class CertificateError(ValueError):
    """What was asked for cannot be certified; the message says what to change."""


@dataclass(frozen=True)
class Credential:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def certificate_der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def key_pem(self) -> bytes:
        return self._key(serialization.Encoding.PEM)

    @property
    def key_der(self) -> bytes:
        return self._key(serialization.Encoding.DER)

    def _key(self, encoding: serialization.Encoding) -> bytes:
        # SEC 1 (RFC 5915): 121 bytes instead of 138, and mbedTLS reads both.
        kind = serialization.PrivateFormat.TraditionalOpenSSL
        return self.key.private_bytes(encoding, kind, serialization.NoEncryption())

    def write(self, folder: Path, name: str) -> None:
        """Write ``name``.crt, .key (PEM), .crt.der and .key.der; keys are readable by their owner only."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.crt").write_bytes(self.certificate_pem)
        (folder / f"{name}.crt.der").write_bytes(self.certificate_der)
        write_private(folder / f"{name}.key", self.key_pem)
        write_private(folder / f"{name}.key.der", self.key_der)


@dataclass(frozen=True)
class Authority(Credential):
    """A site's authority: it signs the broker and the nodes, and says who is no longer to be believed."""

    @classmethod
    def create(cls, site: str, years: int = AUTHORITY_YEARS, now: dt.datetime | None = None) -> Authority:
        """Make the authority of a new site. Its key is the site: keep it off the broker, with two copies."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{site} authority")])
        usage = _usage(sign=False, authority=True)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOT_BEFORE)
            .not_valid_after(_now(now) + dt.timedelta(days=365 * years))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        return cls(builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def load(cls, certificate_pem: bytes, key_pem: bytes) -> Authority:
        """Read an authority back; raise `CertificateError` when key and certificate do not belong together."""
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        key = serialization.load_pem_private_key(key_pem, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise CertificateError("the key is not the certificate's: take both from the same copy of the site's files")
        return cls(certificate, key)

    def broker(
        self, names: Sequence[str], days: int = BROKER_DAYS, now: dt.datetime | None = None, key: KeyOrNone = None
    ) -> Credential:
        """Certify a broker under the host names and IP addresses by which nodes will call it."""
        if not names:
            raise CertificateError("a broker needs a name: nodes refuse one that does not bear the name they called")
        alternatives = [_general_name(name) for name in names]
        end = _now(now) + dt.timedelta(days=days)
        return self._issue(names[0], ExtendedKeyUsageOID.SERVER_AUTH, end, alternatives, key)

    def node(
        self, node_id: str, years: int = NODE_YEARS, now: dt.datetime | None = None, key: KeyOrNone = None
    ) -> Credential:
        """Certify a node; its common name is its id, by which the broker knows it (`use_identity_as_username`)."""
        if not NODE_ID.fullmatch(node_id) or node_id == "group":
            raise CertificateError(f"node id {node_id!r}: use 1 to 32 of A-Z a-z 0-9 _ -, and not the word group")
        end = _now(now) + dt.timedelta(days=365 * years)
        return self._issue(node_id, ExtendedKeyUsageOID.CLIENT_AUTH, end, [], key)

    def operator(self, name: str, years: int = 2, now: dt.datetime | None = None) -> Credential:
        """Certify an operator's tool; its common name is "operator.NAME", which no node can have."""
        if not NODE_ID.fullmatch(name):
            raise CertificateError(f"operator {name!r}: use 1 to 32 of A-Z a-z 0-9 _ -")
        end = _now(now) + dt.timedelta(days=365 * years)
        return self._issue(f"operator.{name}", ExtendedKeyUsageOID.CLIENT_AUTH, end, [], None)

    def revocations(self, serials: Iterable[int], days: int = 30, now: dt.datetime | None = None) -> bytes:
        """Return the list of revoked certificates (PEM) for the broker's `crlfile`; renew it before ``days`` end.

        A broker with an outdated list refuses everybody: renew it every week.
        """
        moment = _now(now)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(moment - dt.timedelta(hours=1))
            .next_update(moment + dt.timedelta(days=days))
        )
        for serial in sorted(set(serials)):
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(moment).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _issue(
        self,
        name: str,
        purpose: x509.ObjectIdentifier,
        end: dt.datetime,
        alternatives: list[x509.GeneralName],
        key: KeyOrNone,
    ) -> Credential:
        key = key or ec.generate_private_key(ec.SECP256R1())
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOT_BEFORE)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign=True, authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(issuer, critical=False)
        )
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        return Credential(builder.sign(self.key, hashes.SHA256()), key)


KeyOrNone = ec.EllipticCurvePrivateKey | None


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, from its first byte on."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        os.chmod(path, 0o600)
        file.write(data)


def _now(now: dt.datetime | None) -> dt.datetime:
    return now or dt.datetime.now(dt.UTC)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(sign: bool, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
