"""What takes more than one command: a plan in pieces, a configuration read or written, the clock, the log of errors."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from firmware.system import boot_files, bootlog
from firmware.system.bootlog import BootLog

from .command_sender import day_and_second
from .site_link import GOOD, LinkError, Talk

# A piece must fit a node's memory beside TLS; eight of them are the longest plan there may be, and the gate takes ten
# commands at once.
PIECE_BYTES = 1024
# A node without a challenge is asked with a wrong one, and gives it in its refusal.
_NO_CHALLENGE = 0
_REASONS = {
    getattr(bootlog, name): name.removeprefix("REASON_").lower() for name in dir(bootlog) if name.startswith("REASON_")
}


class Refused(Exception):
    """The node refuses. ``ack``: what it says."""

    def __init__(self, ack: Mapping[str, Any]) -> None:
        super().__init__(ack["verdict"])
        self.ack = ack


def pieces(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, bytes) of each piece, the last one first: then the node makes room for the whole at once."""
    for offset in reversed(range(0, len(data), PIECE_BYTES)):
        yield offset, data[offset : offset + PIECE_BYTES]


def hash8(data: bytes) -> str:
    """Return by which a node calls a plan or a configuration, in hexadecimal."""
    return hashlib.sha256(data).digest()[:8].hex()


async def push_plan(talk: Talk, lamp: int, plan: bytes, signature: bytes, start: datetime | None = None) -> str:
    """Stage a plan on an output and switch to it at ``start`` (None: at once). Return the verdict of the switch.

    Pieces that got lost (the node was started anew meanwhile) are sent again, once. Raises `Refused`, `LinkError`.
    """
    moment = day_and_second(start) if start is not None else (None, None)
    switch = {
        "lamp": lamp, "length": len(plan), "start_day": moment[0], "start_second": moment[1],
        "plan_hash": hash8(plan), "signature": signature.hex(),
    }  # fmt: skip
    verdict = ""
    for _ in range(2):
        for offset, piece in pieces(plan):
            staged = {"lamp": lamp, "offset": offset, "plan_hash": hash8(plan), "chunk": piece.hex()}
            await _asked(talk, "plan_stage", staged)
        told = await talk.ask("plan_switch", switch)
        verdict = told.ack["verdict"]
        if verdict != "refused":
            break
    if verdict not in GOOD:
        raise Refused(told.ack)
    return verdict


async def read_configuration(talk: Talk) -> bytes:
    """Return the configuration that the node will start with. Raises `Refused`, `LinkError`."""
    data = b""
    while True:
        report = await _report(
            talk, "configuration_read", {"offset": len(data), "most_bytes": PIECE_BYTES}, "configuration"
        )
        data += bytes.fromhex(report["chunk"])
        if len(data) >= report["length"] or not report["chunk"]:
            break
    if hash8(data) != report["configuration_hash"]:
        raise LinkError("the configuration was changed while it was read: read it again")
    return data


async def write_configuration(talk: Talk, data: bytes) -> None:
    """Give the node another configuration, for its next start. Raises `Refused`, `LinkError`."""
    for offset, piece in pieces(data):
        fields = {"offset": offset, "length": len(data), "configuration_hash": hash8(data), "chunk": piece.hex()}
        await _asked(talk, "configuration_write", fields)


async def set_clock(talk: Talk) -> dict[str, Any]:
    """Set the node's clock by this machine's: a challenge, and its answer. Return the ack. Raises `Refused`."""
    told = await talk.ask("clock", {"challenge": _NO_CHALLENGE})
    if told.ack["challenge"] is not None:
        told = await talk.ask("clock", {"challenge": told.ack["challenge"]})
    if told.ack["verdict"] not in GOOD:
        raise Refused(told.ack)
    return told.ack


async def read_log(talk: Talk) -> Log:
    """Return the node's log. Raises `Refused`, `LinkError`."""
    found = []
    for name in ("boots", "errors"):
        data = b""
        while True:
            fields = {"log": name, "offset": len(data), "most_bytes": PIECE_BYTES}
            report = await _report(talk, "log_read", fields, "log")
            data += bytes.fromhex(report["chunk"])
            if len(data) >= report["length"] or not report["chunk"]:
                break
        found.append(data)
    return Log(found[0], found[1])


@dataclass(frozen=True)
class Log:
    """A node's log of starts and errors, as its store has it (firmware/system/bootlog.py)."""

    boots: bytes
    errors: bytes

    def lines(self) -> list[str]:
        """Return it in words, oldest first: each start, and what was noted in that run."""
        noted: dict[int, list[str]] = {}
        book = self._book()
        for text in book.errors():
            number, _, what = text.decode(errors="replace").partition(" ")
            noted.setdefault(int(number) if number.isdigit() else 0, []).append(what)
        lines = []
        starts = book.boots()
        known = {start[0] for start in starts}
        for number in sorted(set(noted) - known):
            lines += [f"start {number} (no longer in the log)", *_indented(noted[number])]
        for number, end, reason, bad in starts:
            why = f", for {_REASONS.get(reason, reason)}" if reason else ""
            failed = f"; {bad} failed starts in a row" if bad else ""
            lines.append(f"start {number}: after {boot_files.END_NAMES.get(end, 'unknown')}{why}{failed}")
            lines += _indented(noted.get(number, []))
        return lines

    def tree(self) -> dict[str, Any]:
        """Return it for other tools."""
        book = self._book()
        return {
            "starts": [
                {"number": one[0], "after": boot_files.END_NAMES.get(one[1], "unknown"),
                 "reason": _REASONS.get(one[2], "unknown"), "failed": one[3]}
                for one in book.boots()
            ],
            "errors": [text.decode(errors="replace") for text in book.errors()],
        }  # fmt: skip

    def _book(self) -> BootLog:
        return BootLog(lambda: b"", _Copy({"boots": self.boots, "errors": self.errors}))


class _Copy(dict[str, bytes]):
    """What was read of a node's store, for the firmware's own reader of it."""

    def read(self, name: str) -> bytes | None:
        return self.get(name)


def _indented(texts: list[str]) -> list[str]:
    return [f"  {line}" for text in texts for line in text.strip().splitlines()]


async def _asked(talk: Talk, verb: str, fields: Mapping[str, Any]) -> None:
    told = await talk.ask(verb, fields)
    if told.ack["verdict"] not in GOOD:
        raise Refused(told.ack)


async def _report(talk: Talk, verb: str, fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    told = await talk.ask(verb, fields, name)
    if told.ack["verdict"] not in GOOD:
        raise Refused(told.ack)
    if told.report is None:
        raise LinkError(f"{verb}: the node says that it has answered, and the answer did not come: ask again")
    return told.report
