"""The mosquitto broker that the MQTT link is tested against: found, or fetched from Debian like the runtimes.

`find_mosquitto()` looks at $MOSQUITTO, then at PATH (and the folders for administrators' programs), then at what
`python -m tests.runtimes.fetch` has put in build/servers/. Each candidate proves by running what it is.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.runtimes import ROOT, Unsuitable, fetched_command

FETCHED = ROOT / "build" / "servers"
VARIABLE = "MOSQUITTO"
OLDEST = (2, 0)
PROBE_TIMEOUT_S = 20
# Where Debian puts a broker, and where a user's PATH seldom looks.
ADMINISTRATORS = "/usr/sbin:/usr/local/sbin"


@dataclass(frozen=True)
class Server:
    """A mosquitto that has proved itself by running."""

    version: str
    command: list[str]
    source: str

    @property
    def description(self) -> str:
        return f"mosquitto: {self.version}, {self.source}"


@dataclass(frozen=True)
class MissingServer:
    """No suitable broker; `tried` says what was looked at and why it was refused."""

    tried: tuple[str, ...]

    @property
    def description(self) -> str:
        remedy = f"Run `make runtimes`, or set ${VARIABLE} to the absolute path of a mosquitto 2."
        return f"mosquitto: MISSING. Tried: {'; '.join(self.tried)}. {remedy}"


def probe(command: Sequence[str], source: str) -> Server:
    """Run the candidate and return it as a Server, or raise Unsuitable with the reason."""
    environment = {key: value for key, value in os.environ.items() if key not in ("LD_PRELOAD", "LD_LIBRARY_PATH")}
    try:
        done = subprocess.run(
            [*command, "-h"],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=PROBE_TIMEOUT_S,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        raise Unsuitable(f"gave no answer in {PROBE_TIMEOUT_S} s") from None
    except OSError as error:
        raise Unsuitable(f"does not start ({error.strerror})") from None
    match = re.match(r"mosquitto version (\d+)\.(\d+)\.(\d+)", done.stdout)
    if not match:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise Unsuitable(f"is no mosquitto ({said[-1] if said else 'silent'})")
    if (int(match[1]), int(match[2])) < OLDEST:
        raise Unsuitable(f"is mosquitto {match[1]}.{match[2]}, older than {OLDEST[0]}.{OLDEST[1]}")
    return Server(".".join(match.groups()), list(command), source)


def find_mosquitto(environ: Mapping[str, str] = os.environ, fetched: Path | None = None) -> Server | MissingServer:
    """The first suitable candidate: the variable, then PATH, then what was fetched."""
    if chosen := environ.get(VARIABLE):
        # Someone chose this one: if it is wrong they must hear of it, not get another.
        try:
            if not os.path.isabs(chosen):
                raise Unsuitable("is not an absolute path")
            return probe([chosen], f"${VARIABLE}={chosen}")
        except Unsuitable as reason:
            return MissingServer((f"${VARIABLE}={chosen} {reason}",))
    tried = []
    on_path = shutil.which("mosquitto", path=f"{environ.get('PATH', os.defpath)}:{ADMINISTRATORS}")
    record = (fetched or FETCHED) / "mosquitto.json"
    if on_path is None:
        tried.append("no mosquitto on PATH")
    else:
        try:
            return probe([on_path], "on PATH")
        except Unsuitable as reason:
            tried.append(f"mosquitto on PATH {reason}")
    if not record.exists():
        tried.append("none fetched into build/servers")
    else:
        try:
            return probe(fetched_command(record), "fetched from Debian")
        except Unsuitable as reason:
            tried.append(f"the fetched one {reason}")
    return MissingServer(tuple(tried))


@cache
def known_mosquitto() -> Server | MissingServer:
    """`find_mosquitto()` once per process."""
    return find_mosquitto()
