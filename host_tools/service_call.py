"""The host's side of a node's serial door: the challenge of firmware/system/service.py answered by the node's own key.

The key never goes over the line, and an answer serves once. What a node prints besides is passed over.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Callable
from typing import Protocol

_CHALLENGE = re.compile(rb"challenge ([A-Za-z0-9_-]{1,32}) ([0-9a-f]{32})")
# A node looks at its line twice a second; one that has just started needs some seconds before it does.
_AGAIN_S = 3.0
_QUIET_S = 0.6
LINE_MAX = 4096


class ServiceError(Exception):
    """The door did not open; says why and what to do."""


class Line(Protocol):
    """A serial port, as pyserial has it, with a short timeout for reading."""

    def write(self, data: bytes, /) -> int | None:
        """Send."""

    def read(self, size: int = 1, /) -> bytes:
        """Return what came, b"" after the timeout."""


def open_service(line: Line, node: str | None, key_of: Callable[[str], bytes], wait_s: float = 15.0) -> str:
    """Have the node on the line open its prompt, and return its name. ``node``: which it has to be; None: any.

    ``key_of(name)``: the key of a node's service mode. Raises `ServiceError`, and what ``key_of`` raises.
    """
    end = time.monotonic() + wait_s
    found = None
    # A line that somebody had begun is ended, and is none of the door's.
    line.write(b"\r\n")
    while found is None:
        line.write(b"service?\r\n")
        found = _wait(line, _CHALLENGE, min(end, time.monotonic() + _AGAIN_S))
        if found is not None and (later := _wait(line, _CHALLENGE, time.monotonic() + _QUIET_S)) is not None:
            # It was asked twice, and believes the answer to the last question only.
            found = later
        if found is None and time.monotonic() >= end:
            raise ServiceError(
                "nothing on this line asks for a proof: see that it is the node's line (115200 baud) and that the node "
                "runs; after three refusals it is silent for 15 minutes; a node without keys has no door"
            )
    name, challenge = found[1].decode(), found[2].decode()
    if node is not None and name != node:
        raise ServiceError(f"this is {name}, and not {node}: nothing was opened")
    proof = hmac.new(key_of(name), f"reverbere service {name} {challenge}".encode(), hashlib.sha256).hexdigest()
    line.write(f"open {proof}\r\n".encode())
    said = _wait(line, re.compile(rb"(service|refused)\r?\n"), time.monotonic() + wait_s)
    if said is None:
        raise ServiceError(f"{name} has not answered the proof within {wait_s:g} s: try again")
    if said[1] != b"service":
        raise ServiceError(f"{name} refuses the proof: its key is another than that of this folder")
    return name


def _wait(line: Line, pattern: re.Pattern[bytes], until: float) -> re.Match[bytes] | None:
    heard = b""
    while time.monotonic() < until:
        heard = (heard + line.read(256))[-LINE_MAX:]
        # Whole lines only.
        if found := pattern.search(heard[: heard.rfind(b"\n") + 1]):
            return found
    return None
