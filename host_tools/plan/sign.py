"""The site's Ed25519 signature under compiled plans (RFC 8032), made and verified on the host by `cryptography`.

Signed is not the plan but ``PURPOSE_PLAN``, 0, and its SHA-256: the node hashes a plan in C and runs the slow part
(firmware/system/ed25519.py) over a few bytes; and no signature for a plan is one for anything else. The manifest is
signed likewise, as it stands with "signature" null.

The key file holds the private key's 32 bytes in hexadecimal and belongs to its owner alone. It never leaves the
operator's office; nodes have the public key.
"""

import hashlib
import json
import os
import secrets
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from firmware.links.codec import PURPOSE_PLAN

ALGORITHM = "Ed25519"
MANIFEST = "manifest.json"
_KEY_BYTES = 32
_PURPOSE_MANIFEST = b"reverbere/1 manifest"


class SignError(ValueError):
    """A key that cannot be used. Says why and what to do."""


def write_key(file: Path, key: bytes | None = None) -> None:
    """Write a new private key (``key``: a given one). Raises `SignError` where the file exists or cannot be written."""
    text = (key or secrets.token_bytes(_KEY_BYTES)).hex() + "\n"
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
    except FileExistsError:
        raise SignError(f"{file} exists: a key that is overwritten is lost; give another name") from None
    except OSError as error:
        raise SignError(f"{file} cannot be written: {error.strerror}") from error


def load_key(file: Path) -> bytes:
    """Return the private key's 32 bytes. Raises `SignError` for a file that is none, or that others may read."""
    try:
        if os.name == "posix" and file.stat().st_mode & 0o077:
            raise SignError(f"{file} can be read by others: chmod 600 {file}, and think of whether it was")
        text = file.read_text(encoding="ascii").strip()
        key = bytes.fromhex(text)
    except OSError as error:
        raise SignError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        if isinstance(error, SignError):
            raise
        key = b""
    if len(key) != _KEY_BYTES:
        raise SignError(f"{file} is no key of ours: it holds 64 hexadecimal digits")
    return key


def public_key_of(key: bytes) -> bytes:
    """Return the public key's 32 bytes: what nodes are given."""
    return Ed25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw()


def plan_message(plan: bytes) -> bytes:
    """Return what is signed for a plan."""
    return PURPOSE_PLAN + b"\0" + hashlib.sha256(plan).digest()


def sign_plan(plan: bytes, key: bytes) -> bytes:
    """Return the 64 bytes of the signature of a compiled plan."""
    return Ed25519PrivateKey.from_private_bytes(key).sign(plan_message(plan))


def verify_plan(plan: bytes, signature: bytes, public_key: bytes) -> bool:
    """Tell whether ``signature`` is the site's, for this plan."""
    return _is_good(plan_message(plan), signature, public_key)


def sign_manifest(manifest: dict[str, Any], plans: dict[str, bytes], key: bytes) -> dict[str, Any]:
    """Return the manifest with its "signature": of itself, and of each lamp's plan."""
    bare = {**manifest, "signature": None}
    private = Ed25519PrivateKey.from_private_bytes(key)
    # Many lamps share a plan.
    known = {plan: sign_plan(plan, key).hex() for plan in set(plans.values())}
    signature = {
        "algorithm": ALGORITHM,
        "manifest": private.sign(_manifest_message(bare)).hex(),
        "plans": {lamp: known[plan] for lamp, plan in plans.items()},
        "public_key": public_key_of(key).hex(),
    }
    return {**manifest, "signature": signature}


def verify_folder(folder: Path, public_key: bytes) -> list[str]:
    """Return what is wrong with a compiled folder, a line for each file: nothing, where it is what was signed."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        signature = manifest["signature"]
        if signature is None:
            return [f"{MANIFEST}: not signed: compile with --key"]
        bare = {**manifest, "signature": None}
        if not _is_good(_manifest_message(bare), bytes.fromhex(signature["manifest"]), public_key):
            return [f"{MANIFEST}: not signed by this key, or changed since"]
        wrong = []
        for lamp, entry in sorted(manifest["lamps"].items()):
            for end, part in ((".plan", entry["plan"]), (".json", entry["config"])):
                data = _read(folder / f"{lamp}{end}")
                if data is None or hashlib.sha256(data).hexdigest() != part["sha256"]:
                    wrong.append(f"{lamp}{end}: {'missing' if data is None else 'changed since it was signed'}")
                elif end == ".plan" and not verify_plan(data, bytes.fromhex(signature["plans"][lamp]), public_key):
                    wrong.append(f"{lamp}{end}: the signature is not of this plan")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return [f"{MANIFEST}: no manifest of ours ({error!r})"]
    return wrong


def _manifest_message(bare: dict[str, Any]) -> bytes:
    text = json.dumps(bare, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return _PURPOSE_MANIFEST + b"\0" + hashlib.sha256(text.encode()).digest()


def _is_good(message: bytes, signature: bytes, public_key: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
