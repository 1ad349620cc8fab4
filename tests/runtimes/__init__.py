"""The two MicroPython runtimes (64-bit and 32-bit unix ports) that the tests run control code on.

`find_runtimes()` looks, for each name, at an environment variable, then at PATH, then at what
`python -m tests.runtimes.fetch` has put in build/runtimes/. Each candidate must prove by running that it is
what it claims; a variable that names something unsuitable is refused, never silently replaced.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FETCHED = ROOT / "build" / "runtimes"
OLDEST = (1, 23)
PROBE_TIMEOUT_S = 20
RUN_TIMEOUT_S = 60


@dataclass(frozen=True)
class Kind:
    """One of the runtimes a test can ask for."""

    name: str
    variable: str  # environment variable with the absolute path of an interpreter
    executable: str  # its name on PATH
    maxsize: int  # what sys.maxsize must be


KINDS = {
    kind.name: kind
    for kind in (
        Kind("micropython64", "MICROPYTHON", "micropython", 2**63 - 1),
        Kind("micropython32", "MICROPYTHON32", "micropython32", 2**31 - 1),
    )
}
NAMES = tuple(KINDS)

# Written for any Python: whatever is offered must be able to answer who it is. One line, 'key=value' fields.
PROBE = """
import sys
print("name=" + sys.implementation.name)
print("version=" + ".".join([str(n) for n in sys.implementation.version[:3]]))
print("maxsize=" + str(sys.maxsize))
try:
    import hashlib
    hashlib.sha256(b"x").digest()
    print("sha256=yes")
except (ImportError, AttributeError):
    print("sha256=no")
print("float=" + ("double" if 16777217.0 - 16777216.0 == 1.0 else "single"))
try:
    import micropython
    lock, unlock = micropython.heap_lock, micropython.heap_unlock
except (ImportError, AttributeError):
    lock = None
print("heap_lock=" + ("yes" if lock else "no"))
def width():
    # A small int lives in a word; the first power of two that needs the heap gives the width away.
    bits, x = 1, 1
    lock()
    try:
        while bits < 80:
            x = x * 2
            bits = bits + 1
    except MemoryError:
        pass
    unlock()
    return bits + 1
print("small_int=" + str(width() if lock else 0))
"""


class Unsuitable(Exception):
    """A candidate is not the runtime it was offered as; the message says why."""


@dataclass(frozen=True)
class Runtime:
    """A MicroPython that has proved itself by running."""

    name: str
    version: str
    command: list[str]
    source: str
    small_int_bits: int
    float_width: str

    @property
    def description(self) -> str:
        return (
            f"{self.name}: MicroPython {self.version}, {self.small_int_bits}-bit small ints, "
            f"{self.float_width} floats, {self.source}"
        )

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment to start `command` with: the checkout is importable, nothing is preloaded."""
        return {**_clean_environment(), "MICROPYPATH": f"{ROOT}:.frozen", **(extra or {})}

    def run(
        self,
        args: Sequence[str | os.PathLike[str]],
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float = RUN_TIMEOUT_S,
        cwd: str | os.PathLike[str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end; the caller checks `returncode`. Past the timeout: subprocess.TimeoutExpired."""
        return subprocess.run(
            [*self.command, *(os.fspath(arg) for arg in args)],
            check=False,
            input=stdin if stdin is not None else "",
            env=self.environment(env),
            timeout=timeout_s,
            cwd=cwd or ROOT,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
        )


@dataclass(frozen=True)
class Missing:
    """No suitable runtime of this name; `tried` says what was looked at and why it was refused."""

    name: str
    tried: tuple[str, ...]

    @property
    def description(self) -> str:
        return f"{self.name}: MISSING. Tried: {'; '.join(self.tried)}. {self.remedy}"

    @property
    def remedy(self) -> str:
        return f"Run `make runtimes`, or set ${KINDS[self.name].variable} to the absolute path of one."


def in_ci(environ: Mapping[str, str] = os.environ) -> bool:
    """In CI a missing runtime is a failure; at home it is a loud skip."""
    return environ.get("CI", "").lower() in ("1", "true", "yes")


def probe(kind: Kind, command: Sequence[str], source: str) -> Runtime:
    """Run the candidate and return it as a Runtime, or raise Unsuitable with the reason."""
    try:
        done = subprocess.run(
            [*command, "-c", PROBE],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=PROBE_TIMEOUT_S,
            env=_clean_environment(),
        )
    except subprocess.TimeoutExpired:
        raise Unsuitable(f"gave no answer in {PROBE_TIMEOUT_S} s") from None
    except OSError as error:
        raise Unsuitable(f"does not start ({error.strerror})") from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise Unsuitable(f"ends with {done.returncode} ({said[-1] if said else 'silent'})")
    facts = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    return judge(kind, facts, list(command), source)


def judge(kind: Kind, facts: Mapping[str, str], command: list[str], source: str) -> Runtime:
    """Decide from a probe's answers; separate from `probe` so that a test can invent the answers."""
    try:
        name, version = facts["name"], facts["version"]
        numbers = tuple(int(part) for part in version.split("."))
        maxsize, bits = int(facts["maxsize"]), int(facts["small_int"])
    except (KeyError, ValueError):
        raise Unsuitable("did not answer the probe as a Python would") from None
    if name != "micropython":
        raise Unsuitable(f"is {name} {version}, not MicroPython")
    if numbers < OLDEST:
        raise Unsuitable(f"is MicroPython {version}, older than {OLDEST[0]}.{OLDEST[1]}")
    if maxsize != kind.maxsize:
        raise Unsuitable(f"has sys.maxsize {maxsize}, not the {kind.maxsize} of {kind.name}")
    for feature, what in (("sha256", "hashlib.sha256"), ("heap_lock", "micropython.heap_lock")):
        if facts.get(feature) != "yes":
            raise Unsuitable(f"lacks {what}")
    return Runtime(kind.name, version, command, source, bits, facts.get("float", "unknown"))


def find_runtimes(environ: Mapping[str, str] = os.environ, fetched: Path = FETCHED) -> dict[str, Runtime | Missing]:
    """Each name with its runtime, or with the reasons why there is none."""
    return {name: find(kind, environ, fetched) for name, kind in KINDS.items()}


@cache
def known_runtimes() -> dict[str, Runtime | Missing]:
    """`find_runtimes()` once per process: a thousand tests need not start a thousand probes."""
    return find_runtimes()


def find(kind: Kind, environ: Mapping[str, str] = os.environ, fetched: Path = FETCHED) -> Runtime | Missing:
    """The first suitable candidate: the variable, then PATH, then what was fetched."""
    tried: list[str] = []

    def attempt(what: str, command: Callable[[], list[str]]) -> Runtime | None:
        try:
            return probe(kind, command(), what)
        except Unsuitable as reason:
            tried.append(f"{what} {reason}")
            return None

    if chosen := environ.get(kind.variable):
        # Someone chose this one: if it is wrong they must hear of it, not get another.
        runtime = attempt(f"${kind.variable}={chosen}", lambda: _absolute(chosen))
        return runtime or Missing(kind.name, tuple(tried))

    on_path = shutil.which(kind.executable, path=environ.get("PATH", os.defpath))
    if on_path is None:
        tried.append(f"no {kind.executable} on PATH")
    elif runtime := attempt(f"{kind.executable} on PATH", lambda: [on_path]):
        return runtime

    record = fetched / f"{kind.name}.json"
    if not record.exists():
        tried.append("none fetched into build/runtimes")
    elif runtime := attempt(_fetched_source(record), lambda: fetched_command(record)):
        return runtime
    return Missing(kind.name, tuple(tried))


def fetched_command(record: Path) -> list[str]:
    """The command a fetch recorded: its own loader and libraries, since the host may have older or none."""
    try:
        entry = json.loads(record.read_text(encoding="utf-8"))
        loader, program = record.parent / entry["loader"], record.parent / entry["program"]
        libraries = ":".join(str(record.parent / folder) for folder in entry["libraries"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unsuitable(f"has a damaged record {record.name} ({error!r}); delete it") from None
    return [str(loader), "--library-path", libraries, str(program)]


def _fetched_source(record: Path) -> str:
    try:
        return f"fetched from {json.loads(record.read_text(encoding='utf-8'))['suite']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "fetched"


def _absolute(path: str) -> list[str]:
    if not os.path.isabs(path):
        raise Unsuitable("is not an absolute path")
    if not os.access(path, os.X_OK) or os.path.isdir(path):
        raise Unsuitable("is not an executable file")
    return [path]


def _clean_environment() -> dict[str, str]:
    """Ours, without what would load the host's libraries into another architecture's process."""
    return {key: value for key, value in os.environ.items() if key not in ("LD_PRELOAD", "LD_LIBRARY_PATH")}
