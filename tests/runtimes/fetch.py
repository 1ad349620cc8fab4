"""Fetch both MicroPython runtimes and the mosquitto broker from Debian, without root, installing nothing.

apt checks the signatures and the hashes; we only give it private folders under build/apt/ and unpack what it
brings under build/runtimes/ and build/servers/. The 32-bit runtime comes from sid: trixie's i386 index lags behind.
A second run finds everything in place and fetches nothing.

    python -m tests.runtimes.fetch
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tests.runtimes import FETCHED, KINDS, ROOT, Kind, Missing, Runtime, find, in_ci, servers

T = TypeVar("T")

APT = ROOT / "build" / "apt"
ATTEMPTS = 3
PAUSE_S = 2
COMMAND_TIMEOUT_S = 240
MIRROR_VARIABLE = "REVERBERE_DEBIAN_MIRROR"
DEBIAN_SUITES = {"stable", "testing", "unstable", "sid", "oldstable"}


@dataclass(frozen=True)
class Origin:
    """Where Debian keeps the runtime of one name."""

    suite: str
    architecture: str


ORIGINS = {
    "micropython64": Origin("trixie", "amd64"),
    "micropython32": Origin("sid", "i386"),
}
MOSQUITTO_ORIGIN = Origin("trixie", "amd64")


class CannotFetch(Exception):
    """A step failed; the message says which, why, and what would help."""


@dataclass(frozen=True)
class Archive:
    """A Debian mirror, and the keyring that says whom to believe."""

    mirror: str
    keyring: Path


# --- which mirror: parsing this machine's own apt configuration ------------------------------------------


@dataclass(frozen=True)
class Source:
    """One place apt fetches binary packages from."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]


def parse_os_release(text: str) -> dict[str, str]:
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {key.strip(): value.strip().strip("\"'") for key, value in pairs}


def parse_one_line(text: str) -> Iterator[Source]:
    """The old style: `deb [options] uri suite component...`."""
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[[^\]]*\]\s*)?(\S+)\s+(\S+)\s*([^#]*)", line)
        if match:
            yield Source(match[1], (match[2],), tuple(match[3].split()))


def parse_deb822(text: str) -> Iterator[Source]:
    """The new style: stanzas of fields, values may go on over indented lines."""
    text = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        key = ""
        for line in stanza.splitlines():
            if line[:1].isspace():
                fields[key] = fields.get(key, "") + " " + line.strip()
            elif ":" in line:
                key, _, value = line.partition(":")
                key = key.strip().lower()
                fields[key] = value.strip()
        enabled = fields.get("enabled", "yes").lower() not in ("no", "false", "0", "off")
        if enabled and "deb" in fields.get("types", "").split():
            for uri in fields.get("uris", "").split():
                yield Source(uri, tuple(fields.get("suites", "").split()), tuple(fields.get("components", "").split()))


def read_sources(etc_apt: Path) -> Iterator[Source]:
    """What apt itself reads, in its order."""
    parts = etc_apt / "sources.list.d"
    for path in [etc_apt / "sources.list", *sorted(parts.iterdir() if parts.is_dir() else [])]:
        if path.suffix in (".list", ".sources") and path.is_file():
            parse = parse_deb822 if path.suffix == ".sources" else parse_one_line
            yield from parse(path.read_text(encoding="utf-8", errors="replace"))


def own_mirror(etc_apt: Path, codename: str) -> str | None:
    """The first source that carries Debian itself, not its security updates nor some vendor's packages."""
    for source in read_sources(etc_apt):
        is_debian = "main" in source.components and DEBIAN_SUITES.union([codename]).intersection(source.suites)
        if is_debian and "security" not in source.uri:
            return source.uri
    return None


def choose_archive(
    environ: Mapping[str, str] = os.environ,
    etc: Path = Path("/etc"),
    keyrings: Path = Path("/usr/share/keyrings"),
    foreign: Callable[[], tuple[str, Path]] | None = None,
) -> Archive:
    """$REVERBERE_DEBIAN_MIRROR, else this Debian's own mirror, else the one that debootstrap names."""
    try:
        release = parse_os_release((etc / "os-release").read_text(encoding="utf-8"))
    except OSError:
        release = {}
    chosen = environ.get(MIRROR_VARIABLE)
    keyring = find_keyring(keyrings)
    if release.get("ID") == "debian":
        mirror = chosen or own_mirror(etc / "apt", release.get("VERSION_CODENAME", ""))
        if not mirror:
            raise CannotFetch(
                f"no Debian mirror in {etc / 'apt'}: looked for a `deb` source with component main in "
                f"sources.list, *.list and *.sources. Set ${MIRROR_VARIABLE} to a Debian mirror"
            )
        if not keyring:
            raise CannotFetch(f"no Debian archive keyring in {keyrings}: apt install debian-archive-keyring")
        return Archive(mirror, keyring)
    if chosen and keyring:
        return Archive(chosen, keyring)
    default_mirror, keyring = (foreign or from_debootstrap)()
    return Archive(chosen or default_mirror, keyring)


def find_keyring(folder: Path) -> Path | None:
    for name in ("debian-archive-keyring.gpg", "debian-archive-keyring.pgp"):
        if (folder / name).exists():
            return folder / name
    return None


def debootstrap_mirror(tree: Path) -> str | None:
    """The mirror an unpacked debootstrap uses for sid: its script says, or else the program's default."""
    for path, pattern in (
        (tree / "usr/share/debootstrap/scripts/sid", r"^\s*default_mirror\s+[\"']?([^\s\"']+)"),
        # Another distribution's default would be its own archive: take only one that is Debian's.
        (tree / "usr/sbin/debootstrap", r"^\s*DEF_MIRROR=[\"']?([^\s\"']+/debian/?)[\"']?\s*$"),
    ):
        if path.exists() and (match := re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)):
            return match[1]
    return None


def from_debootstrap() -> tuple[str, Path]:
    """On another apt system: its own archive carries a package that knows Debian's mirror, and the keys."""
    apt = Apt(APT / "host")
    tree = apt.home / "unpacked"
    with_retries(lambda: apt.run("apt-get", "update"))
    debs = with_retries(lambda: apt.download(["debootstrap", "debian-archive-keyring"]))
    unpack(debs, tree)
    mirror, keyring = debootstrap_mirror(tree), find_keyring(tree / "usr/share/keyrings")
    if not mirror or not keyring:
        raise CannotFetch(
            "this system's debootstrap names no Debian mirror or its keyring package has no keyring. "
            f"Set ${MIRROR_VARIABLE} to the base address of a Debian mirror"
        )
    return mirror, keyring


# --- a private apt ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Apt:
    """apt with its own state, cache and (if given) sources; the system's proxies and settings are kept."""

    home: Path
    origin: Origin | None = None
    archive: Archive | None = None
    config: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "config", self.home / "apt.conf")
        # ':' separates paths, blanks separate words, quotes end values in the files of apt and of ld.so.
        if re.search(r"[\s:\"\[\]]", str(self.home)):
            raise CannotFetch(f"the checkout's path {ROOT} has a blank, colon, quote or bracket: move it elsewhere")
        for folder in (
            "sources.d",
            "preferences.d",
            "lists/partial",
            "cache/archives/partial",
            "debs",
            "log",
        ):
            (self.home / folder).mkdir(parents=True, exist_ok=True)
        (self.home / "status").touch()
        lines = [
            f'Dir::State "{self.home}";',
            f'Dir::State::lists "{self.home}/lists";',
            f'Dir::State::status "{self.home}/status";',
            f'Dir::Cache "{self.home}/cache";',
            f'Dir::Log "{self.home}/log";',
            'Acquire::Languages "none";',
            'Acquire::PDiffs "false";',
            'Acquire::Retries "1";',
            'Acquire::http::Timeout "20";',
            'Acquire::https::Timeout "20";',
            'APT::Update::Error-Mode "any";',  # otherwise a mirror that does not answer is only a warning
            # Hooks of the system would clean or refresh /var on our behalf.
            *(f"#clear APT::Update::{hook};" for hook in ("Pre-Invoke", "Post-Invoke", "Post-Invoke-Success")),
        ]
        if os.geteuid() == 0:
            lines.append('APT::Sandbox::User "root";')  # the user _apt may not write in this checkout
        if self.origin and self.archive:
            lines += [
                f'APT::Architecture "{self.origin.architecture}";',
                "#clear APT::Architectures;",
                f'APT::Architectures {{ "{self.origin.architecture}"; }};',
                f'Dir::Etc::sourcelist "{self.home}/sources.list";',
                f'Dir::Etc::sourceparts "{self.home}/sources.d";',
                f'Dir::Etc::preferences "{self.home}/preferences";',
                f'Dir::Etc::preferencesparts "{self.home}/preferences.d";',
            ]
            options = f"arch={self.origin.architecture} signed-by={self.archive.keyring} target=Packages"
            (self.home / "sources.list").write_text(
                f"deb [{options}] {self.archive.mirror} {self.origin.suite} main\n", encoding="utf-8"
            )
        self.config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def run(self, program: str, *args: str) -> str:
        return run([program, "-q", "-c", str(self.config), *args], cwd=self.home / "debs")

    def download(self, packages: Sequence[str]) -> list[Path]:
        """The .deb files of these packages and of nothing else."""
        shutil.rmtree(self.home / "debs")
        (self.home / "debs").mkdir()
        self.run("apt-get", "download", *packages)
        debs = sorted((self.home / "debs").glob("*.deb"))
        if len(debs) != len(packages):
            raise CannotFetch(f"apt-get download brought {len(debs)} packages instead of {len(packages)}")
        return debs

    def with_libraries(self, package: str) -> list[str]:
        """The package and the shared libraries it needs, as the index of the day says, not as we remember."""
        # --important: only Depends and PreDepends. Unindented lines are packages, <...> are virtual ones.
        text = self.run("apt-cache", "depends", "--recurse", "--important", package)
        libraries = libraries_of(package, parse_depends(text))
        return [package, *libraries]


def parse_depends(text: str) -> dict[str, list[str]]:
    """What `apt-cache depends --recurse` printed: each package with the packages it names."""
    needs: dict[str, list[str]] = {}
    package = ""
    for line in text.splitlines():
        if re.match(r"[a-z0-9]", line):
            package = line.split(":")[0]
            needs[package] = []
        elif match := re.match(r"[\s|]+(?:Pre)?Depends: ([a-z0-9][^:\s]*)", line):
            needs.setdefault(package, []).append(match[1])
    return needs


def libraries_of(package: str, needs: Mapping[str, Sequence[str]]) -> list[str]:
    """The libraries a program loads: reached through libraries only, not through what installs or configures it."""
    if package not in needs:
        raise CannotFetch(f"the index has no package {package}")
    found: set[str] = set()
    waiting = [package]
    while waiting:
        for name in needs.get(waiting.pop(), ()):
            if name.startswith("lib") and "gconv" not in name and name in needs and name not in found:
                found.add(name)
                waiting.append(name)
    return sorted(found)


def run(command: Sequence[str], cwd: Path | None = None) -> str:
    """Run to the end in bounded time; what it complained about becomes the error."""
    shown = " ".join(arg for arg in command if not arg.startswith("/") and arg not in ("-q", "-c"))
    try:
        done = subprocess.run(
            command,
            check=False,
            cwd=cwd,
            timeout=COMMAND_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
    except FileNotFoundError:
        raise CannotFetch(f"{command[0]} is not on this machine (Debian and its relatives have it)") from None
    except subprocess.TimeoutExpired:
        raise CannotFetch(f"`{shown}` took more than {COMMAND_TIMEOUT_S} s") from None
    if done.returncode != 0:
        complaints = [line for line in done.stderr.splitlines() if line.startswith(("E:", "W:", "dpkg"))]
        raise CannotFetch(f"`{shown}` failed: {' / '.join(complaints) or done.stderr.strip() or 'silently'}")
    return done.stdout


def with_retries(step: Callable[[], T]) -> T:
    """A mirror may be busy: try again, a bounded number of times, then say what the last failure was."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return step()
        except CannotFetch as error:
            if attempt == ATTEMPTS:
                raise CannotFetch(f"{error} ({ATTEMPTS} attempts)") from None
            time.sleep(PAUSE_S)
    raise AssertionError("unreachable")


def unpack(debs: Sequence[Path], tree: Path) -> None:
    """Unpack packages into a fresh folder; nothing of them is run or configured."""
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    for deb in debs:
        run(["dpkg-deb", "-x", str(deb), str(tree)])


# --- the runtimes ----------------------------------------------------------------------------------------


def fetch(kind: Kind) -> None:
    """Fetch, unpack and record one runtime."""
    fetch_program("micropython", ORIGINS[kind.name], FETCHED, kind.name, "usr/bin/micropython")


def fetch_program(package: str, origin: Origin, folder: Path, name: str, program: str) -> None:
    """Fetch one program with its libraries into ``folder``; it becomes visible only when it is whole."""
    if platform.machine() not in ("x86_64", "amd64", "AMD64"):
        raise CannotFetch(f"the programs are for x86-64 and this machine is {platform.machine()}")
    apt = Apt(APT / f"{origin.suite}-{origin.architecture}", origin, choose_archive())
    with_retries(lambda: apt.run("apt-get", "update"))
    debs = with_retries(lambda: apt.download(apt.with_libraries(package)))

    tree, fresh = folder / origin.architecture, folder / f"{origin.architecture}.new"
    unpack(debs, fresh)
    record = describe(fresh, origin, debs, program)
    (folder / f"{name}.json").unlink(missing_ok=True)
    shutil.rmtree(tree, ignore_errors=True)
    fresh.rename(tree)
    aside = folder / f"{name}.json.new"
    aside.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    aside.rename(folder / f"{name}.json")


def describe(fresh: Path, origin: Origin, debs: Sequence[Path], program: str) -> dict[str, object]:
    """The record of a fetch: what it was made of, and how to start it (paths relative to the record)."""

    def only(pattern: str) -> Path:
        found = sorted(path for path in fresh.glob(pattern) if path.is_file())
        if not found:
            raise CannotFetch(f"no {pattern} in the unpacked packages of {origin.suite} {origin.architecture}")
        return found[0].relative_to(fresh)

    here = Path(origin.architecture)
    # The folder with the C library is the architecture's own (usr/lib/<triplet>), and has its loader.
    libraries = only("**/libc.so.6").parent
    packages = {}
    for deb in debs:
        version = run(["dpkg-deb", "--field", str(deb), "Version"]).strip()
        package = run(["dpkg-deb", "--field", str(deb), "Package"]).strip()
        packages[package] = {"version": version, "sha256": hashlib.sha256(deb.read_bytes()).hexdigest()}
    return {
        "suite": f"Debian {origin.suite}",
        "architecture": origin.architecture,
        "loader": str(here / only(f"{libraries}/ld-linux*.so.2")),
        "libraries": [str(here / libraries)],
        "program": str(here / only(program)),
        "packages": packages,
    }


def obtain(kind: Kind) -> Runtime | Missing:
    """The runtime of this kind, fetched if it is not there yet."""
    found = find(kind)
    # A variable is somebody's choice: when it is wrong, fetching another would hide that.
    if isinstance(found, Runtime) or os.environ.get(kind.variable):
        return found
    print(f"{kind.name}: not here yet, fetching it from Debian {ORIGINS[kind.name].suite} ...", flush=True)
    try:
        fetch(kind)
    except (CannotFetch, OSError) as error:
        return Missing(kind.name, (*found.tried, f"fetching: {error}"))
    return find(kind)


def obtain_mosquitto() -> servers.Server | servers.MissingServer:
    """The broker, fetched if it is not there yet."""
    found = servers.find_mosquitto()
    if isinstance(found, servers.Server) or os.environ.get(servers.VARIABLE):
        return found
    print(f"mosquitto: not here yet, fetching it from Debian {MOSQUITTO_ORIGIN.suite} ...", flush=True)
    try:
        fetch_program("mosquitto", MOSQUITTO_ORIGIN, servers.FETCHED, "mosquitto", "usr/sbin/mosquitto")
    except (CannotFetch, OSError) as error:
        return servers.MissingServer((*found.tried, f"fetching: {error}"))
    return servers.find_mosquitto()


def banner(missing: Sequence[Missing]) -> str:
    """Nobody must be able to overlook this."""
    lines = ["#" * 100]
    for runtime in missing:
        variable = KINDS[runtime.name].variable
        lines += [f"# {runtime.name} IS MISSING: what runs on it is NOT TESTED."]
        lines += [f"#   tried: {reason}" for reason in runtime.tried]
        lines += [f"#   to do: set ${variable} to the absolute path of a MicroPython 1.23 or later,"]
        lines += [f"#          or ${MIRROR_VARIABLE} to a Debian mirror, then `make runtimes`."]
    return "\n".join([*lines, "#" * 100])


def main() -> int:
    FETCHED.mkdir(parents=True, exist_ok=True)
    servers.FETCHED.mkdir(parents=True, exist_ok=True)
    # Two `make test` at once fetch once; the lock is where the downloads go, in the order runtimes, servers.
    with (FETCHED / ".lock").open("w") as lock, (servers.FETCHED / ".lock").open("w") as second_lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fcntl.flock(second_lock, fcntl.LOCK_EX)
        runtimes = [obtain(kind) for kind in KINDS.values()]
        broker = obtain_mosquitto()
    missing = [runtime for runtime in runtimes if isinstance(runtime, Missing)]
    for runtime in runtimes:
        if isinstance(runtime, Runtime):
            print(runtime.description)
    if missing:
        print(banner(missing), file=sys.stderr)
    if isinstance(broker, servers.Server):
        print(broker.description)
    else:
        lines = ["#" * 100, "# mosquitto IS MISSING: the MQTT link is NOT TESTED against a broker."]
        print("\n".join([*lines, f"#   {broker.description}", "#" * 100]), file=sys.stderr)
    is_complete = not missing and isinstance(broker, servers.Server)
    return 1 if not is_complete and in_ci() else 0


if __name__ == "__main__":
    sys.exit(main())
