"""Make signed commands. Counters live in a file that is replaced before a command leaves, so none is used twice.

The rules of a command are those of `firmware.links.codec`; what a node does with it is in `firmware.links.commands`.
HMAC and HKDF are the host's own libraries, so that the node's are tested against others'.
"""

import contextlib
import hashlib
import hmac
import json
import os
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from firmware.links import codec

from .payload import command_values, to_json

# A node skips at most 32 numbers at a power cut. An ack that asks for a larger jump is not followed by itself: acks
# carry no MAC, and a forged one could use up all numbers.
JUMP_MAX = 1000
COUNTER_MAX = (1 << 30) - 1
LIFETIME_S = 600

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class SenderError(Exception):
    """A command that cannot be made. Says why and what to do; no number was used."""


def derive_key(secret: bytes, purpose: bytes, sender: int) -> bytes:
    """Return the key of a node or group for one sender."""
    if len(secret) != 32:
        raise SenderError(f"the secret has {len(secret)} bytes: give the 32 of the node's or group's key file")
    if not 0 <= sender < codec.SENDERS:
        raise SenderError(f"sender {sender}: 0 to {codec.SENDERS - 1}")
    return HKDFExpand(SHA256(), 32, purpose + b"\0" + bytes((sender,))).derive(secret)


class Counters:
    """The last number used for each key, in a JSON file: {"node/7/0": 41}."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def last(self, name: str) -> int:
        """Return the last number used, 0 for none. Raises `SenderError` for a file that cannot be read."""
        return self._read().get(name, 0)

    def use(self, name: str) -> int:
        """Return the next number, which is in the file before it is returned."""
        number = self.last(name) + 1
        self.skip_to(name, number)
        return number

    def skip_to(self, name: str, number: int) -> None:
        """Never use ``number`` or one below it again."""
        if number > COUNTER_MAX:
            raise SenderError(f"{name} has used up its numbers: give it a new secret")
        counters = self._read()
        if number <= counters.get(name, 0):
            return
        counters[name] = number
        text = json.dumps(counters, indent=1, sort_keys=True) + "\n"
        aside = None
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("wb", dir=self._file.parent, prefix=".counters.", delete=False) as file:
                aside = Path(file.name)
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self._file)
            folder = os.open(self._file.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            if aside is not None:
                with contextlib.suppress(OSError):
                    aside.unlink()
            raise SenderError(f"{self._file}: {error.strerror}: the command was not made") from error

    def _read(self) -> dict[str, int]:
        try:
            found = json.loads(self._file.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise SenderError(f"{self._file} cannot be read ({error}): restore it; old numbers are refused") from error
        if not isinstance(found, dict) or any(type(number) is not int or number < 0 for number in found.values()):
            raise SenderError(f"{self._file} is no file of counters: restore it; old numbers are refused")
        return found


class CommandSender:
    """Makes commands for one node or one group.

    ``secret``: its 32 bytes; ``address``: its id; ``sender``: 0 … 3, each with a key and numbers of its own, so that
    two offices need not share a file. ``counters``: where the numbers are.
    """

    def __init__(
        self, secret: bytes, address: int, counters: Counters, *, is_group: bool = False, sender: int = 0
    ) -> None:
        if not 0 <= address <= 65535:
            raise SenderError(f"address {address}: 0 to 65535")
        purpose = codec.PURPOSE_GROUP if is_group else codec.PURPOSE_COMMAND
        self._key = derive_key(secret, purpose, sender)
        self._scope = int(is_group)
        self._address = address
        self._sender = sender
        self._counters = counters
        self.name = f"{'group' if is_group else 'node'}/{address}/{sender}"

    def make(
        self, verb: str, fields: Mapping[str, Any], now: datetime | None = None, lifetime_s: int = LIFETIME_S
    ) -> bytes:
        """Return a signed command. ``fields``: the verb's JSON twin; ``now``: an aware time, default the host's.

        Raises `PayloadError` or `CodecError` for fields that the table refuses, `SenderError` for numbers that cannot
        be kept: no number is used then.
        """
        code, values = command_values(verb, fields)
        day, second = day_and_second(now or datetime.now(UTC))
        envelope = [self._scope, self._sender, self._address, 1, day, second, lifetime_s]
        codec.encode_command(envelope, code, values)
        envelope[3] = self._counters.use(self.name)
        body = codec.encode_command(envelope, code, values)
        return body + hmac.new(self._key, body, hashlib.sha256).digest()[: codec.MAC_BYTES]

    def take_ack(self, ack: bytes, *, is_any_jump: bool = False) -> dict[str, Any]:
        """Return the twin of an ack of this command's node or group. Told a floor, go on above it.

        ``is_any_jump``: the operator says that numbers were lost, so that a jump beyond ``JUMP_MAX`` is right.
        """
        twin = to_json(ack)
        if twin["message"] != "ack":
            raise SenderError(f"a {twin['message']}, not an ack")
        floor = twin["floor"]
        is_mine = twin["address"] == self._address and twin["sender"] == self._sender
        if floor is not None and is_mine and (twin["scope"] == "group") == bool(self._scope):
            jump = floor - self._counters.last(self.name)
            if jump > JUMP_MAX and not is_any_jump:
                raise SenderError(f"the node wants numbers {jump} further on: say so if the counters' file was lost")
            self._counters.skip_to(self.name, floor)
        return twin


def day_and_second(moment: datetime) -> tuple[int, int]:
    """Return (days since 2000-01-01, second of the day) in UTC of an aware time."""
    if moment.tzinfo is None:
        raise SenderError("a time without a zone: give an aware datetime")
    passed = moment.astimezone(UTC) - _EPOCH
    return passed.days, passed.seconds
