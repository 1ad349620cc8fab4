"""A site's keys, in a folder that only their owner can read: the authority, the secrets of nodes and groups, counters.

======================== ==============================================================================================
``site.json``            whose keys these are
``ca.*``                 the site's authority: it certifies the broker, the operators and the nodes
``signing.key``          Ed25519, 32 bytes: signs plans
``wave.key``             32 bytes: the neighbours' radio, the same in every node of the site
``groups/NAME.key``      32 bytes: commands to a group
``nodes/NAME.node.key``  32 bytes: commands to this node; ``NAME.service.key``: its service mode; ``NAME.crt`` and
                         ``NAME.key``: its certificate, by which the broker knows it
``broker.*``             the broker's certificate; ``operator.*``: the one of this very workplace
``wifi.json``            the access points' passwords
``counters.json``        the last number used for each key of commands
======================== ==============================================================================================

Secrets are random (the operating system's), made once, never printed; only the key by which a node and the broker may
know each other is derived, from the node's, since the broker may not know that one. A copy of the folder
is the site: keep two, off the broker. A folder inside a git repository is refused.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from firmware.links.codec import PURPOSE_PSK

from .certificates import NODE_ID, Authority, Credential
from .command_sender import Counters

SECRET_BYTES = 32
FORMAT = 1


class KeysError(Exception):
    """The keys cannot be used or made; the message says where, why and what to do, and holds no secret."""


@dataclass(frozen=True)
class NodeKeys:
    """What belongs to one node alone. Its secrets do not show when it is printed."""

    secret: bytes = field(repr=False)
    service: bytes = field(repr=False)
    credential: Credential = field(repr=False)


class SiteKeys:
    """The keys of one site. `create` makes a folder, `SiteKeys(folder)` opens it. Raises `KeysError`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            found = json.loads((folder / "site.json").read_bytes())
            self.site = str(found["site"])
        except FileNotFoundError:
            raise KeysError(f"{folder}: no keys of a site: make them by `reverbere keys new`") from None
        except OSError as error:
            raise KeysError(f"{folder}: cannot be read: {error.strerror}: see who owns it") from error
        except (ValueError, KeyError, TypeError) as error:
            raise KeysError(f"{folder / 'site.json'}: is not what was written: restore it from your copy") from error

    @classmethod
    def create(cls, folder: Path, site: str) -> SiteKeys:
        """Make the keys of a new site in a new or empty folder."""
        if not NODE_ID.fullmatch(site):
            raise KeysError(f"site {site!r}: write 1 to 32 of A-Z a-z 0-9 _ -, as in the site's file")
        refuse_git(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if any(folder.iterdir()):
                raise KeysError(f"{folder}: is not empty: keys are never overwritten, give a new folder")
            folder.chmod(0o700)
            _write_pair(Authority.create(site), folder / "ca")
            for name in ("signing", "wave"):
                _make(folder / f"{name}.key", _random)
            # Last: without it the folder is no site's, and half of one can be thrown away.
            _make(folder / "site.json", lambda: json.dumps({"format": FORMAT, "site": site}).encode() + b"\n")
        except OSError as error:
            raise KeysError(f"{folder}: cannot be written: {error.strerror}: choose another folder") from error
        return cls(folder)

    @property
    def authority(self) -> Authority:
        """The site's authority, its key included."""
        certificate, key = self._pair(self.folder / "ca")
        return Authority(certificate, key)

    @property
    def authority_der(self) -> bytes:
        """The authority's certificate, which is no secret."""
        return self._read(self.folder / "ca.crt.der")

    @property
    def wave_secret(self) -> bytes:
        return self._secret(self.folder / "wave.key")

    @property
    def signing_key(self) -> Ed25519PrivateKey:
        """The key that signs plans."""
        return Ed25519PrivateKey.from_private_bytes(self._secret(self.folder / "signing.key"))

    @property
    def signing_public(self) -> bytes:
        """What nodes check plans by: 32 bytes, no secret."""
        raw = serialization.Encoding.Raw
        return self.signing_key.public_key().public_bytes(raw, serialization.PublicFormat.Raw)

    @property
    def counters(self) -> Counters:
        return Counters(self.folder / "counters.json")

    def group_secret(self, name: str) -> bytes:
        """Return a group's secret, made at the first call."""
        return self._made(self.folder / "groups" / f"{_checked(name)}.key")

    def node_secret(self, name: str) -> bytes:
        """Return the secret of a node's commands, which a bundle has made. Raises `KeysError` where none was."""
        return self._node_key(name, "node")

    def service_secret(self, name: str) -> bytes:
        """Return the secret of a node's service mode, which a bundle has made. Raises `KeysError` where none was."""
        return self._node_key(name, "service")

    def psk(self, name: str) -> bytes:
        """Return the key by which a node and the broker may know each other instead of by certificates."""
        return HKDFExpand(SHA256(), 32, PURPOSE_PSK + b"\0").derive(self.node_secret(name))

    def nodes(self) -> list[str]:
        """Return the names of all nodes that have keys."""
        return sorted(path.name.removesuffix(".node.key") for path in (self.folder / "nodes").glob("*.node.key"))

    def _node_key(self, name: str, what: str) -> bytes:
        path = self.folder / "nodes" / f"{_checked(name)}.{what}.key"
        if not path.exists():
            raise KeysError(f"{name}: has no keys yet: make its bundle by `reverbere node bundle`")
        return self._secret(path)

    def node(self, name: str) -> NodeKeys:
        """Return the keys of a node, made at the first call."""
        base = self.folder / "nodes" / _checked(name)
        secret = self._made(base.with_name(f"{name}.node.key"))
        service = self._made(base.with_name(f"{name}.service.key"))
        return NodeKeys(secret, service, self._credential(base, lambda: self.authority.node(name)))

    def operator(self, name: str) -> Credential:
        """Return the certificate of this workplace, made at the first call under ``name``."""
        return self._credential(self.folder / "operator", lambda: self.authority.operator(_checked(name)))

    def certify_broker(self, names: Iterable[str]) -> None:
        """Make the broker's certificate (anew) for the names by which nodes call it."""
        refuse_git(self.folder)
        _write_pair(self.authority.broker(list(names)), self.folder / "broker")

    def set_wifi_password(self, ssid: str, password: str) -> None:
        """Keep the password of an access point (WPA2: 8 to 63 characters)."""
        if not 8 <= len(password) <= 63:
            raise KeysError(f"the password of {ssid!r} has {len(password)} characters: WPA2 takes 8 to 63")
        known = self._wifi()
        known[ssid] = password
        _write(self.folder / "wifi.json", json.dumps(known, indent=1, sort_keys=True).encode() + b"\n")

    def wifi_password(self, ssid: str) -> str | None:
        """Return the password of an access point, None where none was given (an open network)."""
        return self._wifi().get(ssid)

    def _wifi(self) -> dict[str, str]:
        path = self.folder / "wifi.json"
        if not path.exists():
            return {}
        try:
            found = json.loads(self._read(path))
        except ValueError as error:
            raise KeysError(f"{path}: is no JSON: restore it from your copy") from error
        if not isinstance(found, dict):
            raise KeysError(f"{path}: is not what was written: restore it from your copy")
        return found

    def _made(self, path: Path) -> bytes:
        if not path.exists():
            refuse_git(self.folder)
            try:
                path.parent.mkdir(exist_ok=True, mode=0o700)
                _make(path, _random)
            except OSError as error:
                raise KeysError(f"{path}: cannot be written: {error.strerror}") from error
        return self._secret(path)

    def _secret(self, path: Path) -> bytes:
        data = self._read(path)
        if len(data) != SECRET_BYTES:
            raise KeysError(f"{path}: has {len(data)} bytes, not {SECRET_BYTES}: restore it from your copy")
        return data

    def _credential(self, base: Path, make: Callable[[], Credential]) -> Credential:
        if not base.with_name(f"{base.name}.crt").exists():
            refuse_git(self.folder)
            try:
                base.parent.mkdir(exist_ok=True, mode=0o700)
                _write_pair(make(), base)
            except OSError as error:
                raise KeysError(f"{base}.crt: cannot be written: {error.strerror}") from error
        return Credential(*self._pair(base))

    def _pair(self, base: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        certificate_file, key_file = base.with_name(f"{base.name}.crt"), base.with_name(f"{base.name}.key")
        try:
            certificate = x509.load_pem_x509_certificate(self._read(certificate_file))
            key = serialization.load_pem_private_key(self._read(key_file), None)
        except ValueError as error:
            raise KeysError(f"{base}.crt, .key: cannot be read: restore both from your copy") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise KeysError(f"{base}.crt, .key: do not belong together: restore both from your copy")
        return certificate, key

    def _read(self, path: Path) -> bytes:
        """Return a file of the folder. One that others could read is refused: they may have."""
        try:
            if path.suffix in (".key", ".json") and os.name == "posix" and path.stat().st_mode & 0o077:
                raise KeysError(f"{path}: can be read by others: chmod 600, and think whether it still is a secret")
            return path.read_bytes()
        except FileNotFoundError:
            raise KeysError(f"{path}: is missing: restore it from your copy of the keys") from None
        except OSError as error:
            raise KeysError(f"{path}: cannot be read: {error.strerror}: see who owns it") from error


def refuse_git(folder: Path) -> None:
    """Raise `KeysError` for a folder inside a git repository: what is once pushed cannot be called back."""
    for parent in (folder.resolve(), *folder.resolve().parents):
        if (parent / ".git").exists():
            raise KeysError(
                f"{folder}: is inside the git repository {parent}: secrets do not belong there, choose another"
            )


def _checked(name: str) -> str:
    if not NODE_ID.fullmatch(name):
        raise KeysError(f"{name!r} names no file here: write 1 to 32 of A-Z a-z 0-9 _ -")
    return name


def _random() -> bytes:
    return secrets.token_bytes(SECRET_BYTES)


def _write_pair(credential: Credential, base: Path) -> None:
    """Write key before certificate: a certificate that is there has its key."""
    _write(base.with_name(f"{base.name}.key"), credential.key_pem)
    _write(base.with_name(f"{base.name}.crt.der"), credential.certificate_der)
    _write(base.with_name(f"{base.name}.crt"), credential.certificate_pem)


def _make(path: Path, content: Callable[[], bytes]) -> None:
    """Write a file that is not there yet; where somebody else was faster, his stays."""
    with contextlib.suppress(FileExistsError):
        _write(path, content(), is_new=True)


def _write(path: Path, data: bytes, is_new: bool = False) -> None:
    """Write a file whole or not at all, for its owner only from its first byte on."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            os.link(name, path)
        else:
            Path(name).replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
