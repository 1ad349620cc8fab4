"""Tests of how runtimes are found, judged and fetched. Nothing here uses the network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runtimes import (
    KINDS,
    ROOT,
    Missing,
    Runtime,
    Unsuitable,
    fetched_command,
    find,
    in_ci,
    judge,
    probe,
)
from tests.runtimes import fetch as fetching
from tests.runtimes.fetch import (
    MIRROR_VARIABLE,
    Archive,
    CannotFetch,
    Source,
    choose_archive,
    debootstrap_mirror,
    own_mirror,
    parse_deb822,
    parse_one_line,
)

KIND_64, KIND_32 = KINDS["micropython64"], KINDS["micropython32"]
GOOD_64 = {
    "name": "micropython",
    "version": "1.23.0",
    "maxsize": str(2**63 - 1),
    "sha256": "yes",
    "heap_lock": "yes",
    "small_int": "63",
    "float": "double",
}
DEBIAN = 'ID=debian\nVERSION_CODENAME=bookworm\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'
UBUNTU = "ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\n"
DEB822 = """\
Types: deb
# a note in the middle of a stanza
URIs: http://security.mirror.example/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://disabled.example/debian
Suites: bookworm
Components: main

Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm
 bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""


def etc(folder: Path, release: str, **sources: str) -> Path:
    """An /etc with this os-release and these files of apt sources (dots in names written as __)."""
    (folder / "apt/sources.list.d").mkdir(parents=True)
    (folder / "os-release").write_text(release)
    for name, text in sources.items():
        name = name.replace("__", ".")
        place = folder / "apt" if name == "sources.list" else folder / "apt/sources.list.d"
        (place / name).write_text(text)
    return folder


@pytest.fixture
def keyrings(tmp_path: Path) -> Path:
    (tmp_path / "keyrings").mkdir()
    (tmp_path / "keyrings/debian-archive-keyring.gpg").touch()
    return tmp_path / "keyrings"


# --- the runtimes of this machine ------------------------------------------------------------------------


def test_imports_the_checkout(micropython_runtime: Runtime, tmp_path: Path) -> None:
    """Control code must be imported by the chip's own kind of interpreter, under the name it has everywhere.
    It must work from any folder."""
    code = "import firmware.control, sys; print(firmware.control.__path__); print(sys.path)"
    done = micropython_runtime.run(["-c", code], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"{ROOT}/firmware/control"
    assert ".frozen" in done.stdout


def test_imports_what_a_test_brings(micropython_runtime: Runtime, tmp_path: Path) -> None:
    """A test of a fault needs to put its own module in the place of the firmware's.
    MICROPYPATH of the caller wins over ours."""
    (tmp_path / "firmware/control").mkdir(parents=True)
    (tmp_path / "firmware/control/proof.py").write_text("LEVEL = 1000\n")
    code = "from firmware.control.proof import LEVEL; print(LEVEL)"
    done = micropython_runtime.run(["-c", code], env={"MICROPYPATH": f"{tmp_path}:.frozen"}, cwd="/")
    assert (done.returncode, done.stdout) == (0, "1000\n"), done.stderr


def test_word_size_is_the_one_promised(micropython_runtime: Runtime) -> None:
    """An overflow at 31 bits shows only where small ints have 31 bits, as on the ESP32.
    If both runtimes were 64-bit, the tests would pass and the lamp would not."""
    expected = {"micropython64": 63, "micropython32": 31}
    assert micropython_runtime.small_int_bits == expected[micropython_runtime.name]


def test_run_gives_stdin_and_exit_code(micropython_runtime: Runtime) -> None:
    """A test that reads a crash as success would let a broken lamp through."""
    done = micropython_runtime.run(["-c", "import sys; print(input()); sys.exit(3)"], stdin="lamp\n")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (3, "lamp")


def test_run_is_bounded(micropython_runtime: Runtime) -> None:
    """A control loop that never ends must fail its test instead of blocking the night's CI."""
    with pytest.raises(subprocess.TimeoutExpired):
        micropython_runtime.run(["-c", "while True: pass"], timeout_s=0.5)


# --- judging candidates ----------------------------------------------------------------------------------


def test_accepts_the_oldest_supported() -> None:
    """Whoever has the oldest MicroPython we support must be able to work with it."""
    assert judge(KIND_64, GOOD_64, ["micropython"], "here").version == "1.23.0"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"version": "1.22.2"}, "older than 1.23"),
        ({"version": "1.9.4"}, "older than 1.23"),
        ({"name": "cpython", "version": "3.11.7"}, "not MicroPython"),
        ({"maxsize": str(2**31 - 1)}, "sys.maxsize"),
        ({"sha256": "no"}, "hashlib.sha256"),
        ({"heap_lock": "no"}, "heap_lock"),
        ({"version": "newest"}, "did not answer"),
    ],
)
def test_refuses_what_would_prove_nothing(change: dict[str, str], reason: str) -> None:
    """Tests on the wrong interpreter prove nothing about the lamp, while looking as if they did."""
    with pytest.raises(Unsuitable, match=reason):
        judge(KIND_64, {**GOOD_64, **change}, ["micropython"], "here")


def test_refuses_cpython_offered_as_micropython(tmp_path: Path) -> None:
    """A developer's `export MICROPYTHON=python3` would turn every runtime test into a second CPython test.
    The choice is refused with its reason, and nothing else is taken in its place."""
    found = find(KIND_64, {"MICROPYTHON": sys.executable, "PATH": os.environ["PATH"]}, tmp_path)
    assert isinstance(found, Missing)
    assert "$MICROPYTHON" in found.description and "is cpython" in found.description
    assert len(found.tried) == 1


@pytest.mark.parametrize(
    ("path", "reason"),
    [("micropython", "not an absolute path"), ("/nonexistent/micropython", "not an executable")],
)
def test_refuses_a_path_that_cannot_be_run(path: str, reason: str, tmp_path: Path) -> None:
    """A typing error in a variable must be told, not hidden behind some other interpreter."""
    found = find(KIND_32, {"MICROPYTHON32": path, "PATH": ""}, tmp_path)
    assert isinstance(found, Missing) and reason in found.description


def test_refuses_a_program_that_is_no_python(tmp_path: Path) -> None:
    """Whatever is called micropython on somebody's PATH must not take the session down."""
    for name, script, reason in (
        ("fails", "exit 7", "ends with 7"),
        ("talks", "echo hello", "did not answer"),
    ):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        with pytest.raises(Unsuitable, match=reason):
            probe(KIND_64, [str(program)], "here")


def test_nothing_found_says_what_was_tried_and_what_to_do(tmp_path: Path) -> None:
    """A newcomer without a runtime must learn from the message alone how to get one."""
    found = find(KIND_32, {"PATH": str(tmp_path)}, tmp_path)
    assert isinstance(found, Missing)
    for words in ("no micropython32 on PATH", "none fetched", "make runtimes", "$MICROPYTHON32"):
        assert words in found.description


def test_damaged_record_is_refused(tmp_path: Path) -> None:
    """A fetch cut by a power failure must be repeated, not believed."""
    record = tmp_path / "micropython64.json"
    for text in ("", "[]", json.dumps({"loader": "x"})):
        record.write_text(text)
        with pytest.raises(Unsuitable, match="damaged record"):
            fetched_command(record)
        assert isinstance(find(KIND_64, {"PATH": ""}, tmp_path), Missing)


# --- which mirror ----------------------------------------------------------------------------------------


def test_parses_deb822() -> None:
    """Debian 12 and later, and its containers, write their mirror in this style."""
    sources = list(parse_deb822(DEB822))
    assert [source.uri for source in sources] == [
        "http://security.mirror.example/debian-security",
        "http://mirror.example/debian",
    ]
    assert sources[1].suites == ("bookworm", "bookworm-updates")
    assert sources[1].components == ("main", "contrib")


def test_parses_one_line_style() -> None:
    """Machines upgraded over the years still keep their mirror in sources.list."""
    text = """
# deb http://commented.example/debian bookworm main
deb-src http://sources.example/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main contrib # near us
"""
    assert list(parse_one_line(text)) == [Source("http://mirror.example/debian", ("bookworm",), ("main", "contrib"))]


def test_takes_debian_and_not_a_vendor(tmp_path: Path) -> None:
    """A vendor's repository comes first by name on many machines, and has no MicroPython."""
    folder = etc(
        tmp_path / "etc",
        DEBIAN,
        a_vendor__list="deb http://vendor.example/linux/debian bookworm stable\n",
        b_vendor__sources="Types: deb\nURIs: http://vendor.example/x\nSuites: nodistro\nComponents: main\n",
        debian__sources=DEB822,
        z__list__disabled="deb http://ignored.example/debian bookworm main\n",
    )
    assert own_mirror(folder / "apt", "bookworm") == "http://mirror.example/debian"


def test_variable_comes_first(tmp_path: Path, keyrings: Path) -> None:
    """A town hall behind a firewall has its own mirror, and must be able to say so."""
    folder = etc(tmp_path / "etc", DEBIAN, debian__sources=DEB822)
    archive = choose_archive({MIRROR_VARIABLE: "http://ours.example/debian"}, folder, keyrings)
    assert archive == Archive("http://ours.example/debian", keyrings / "debian-archive-keyring.gpg")
    assert choose_archive({}, folder, keyrings).mirror == "http://mirror.example/debian"


def test_foreign_system_asks_debootstrap(tmp_path: Path, keyrings: Path) -> None:
    """On Ubuntu the machine's own mirror carries no Debian: taking it would fetch something else."""
    folder = etc(tmp_path / "etc", UBUNTU, sources__list="deb http://ubuntu.example/ubuntu noble main\n")
    keyring = tmp_path / "unpacked.gpg"
    archive = choose_archive({}, folder, keyrings, lambda: ("http://named.example/debian", keyring))
    assert archive == Archive("http://named.example/debian", keyring)


def test_reads_the_mirror_debootstrap_names(tmp_path: Path) -> None:
    """No address of a mirror is written in this project: it has to come from a package that is maintained.
    A default that is another distribution's archive is not taken."""
    script, program = tmp_path / "usr/share/debootstrap/scripts/sid", tmp_path / "usr/sbin/debootstrap"
    for path in (script, program):
        path.parent.mkdir(parents=True)
    script.write_text("mirror_style release\n")
    program.write_text('DEF_MIRROR="http://other.example/ubuntu"\n')
    assert debootstrap_mirror(tmp_path) is None
    program.write_text('DEF_MIRROR="http://mirror.example/debian"\n')
    assert debootstrap_mirror(tmp_path) == "http://mirror.example/debian"
    script.write_text("  default_mirror http://script.example/debian\n")
    assert debootstrap_mirror(tmp_path) == "http://script.example/debian"


def test_no_mirror_says_how_to_name_one(tmp_path: Path, keyrings: Path) -> None:
    """An installation without sources (many slim images) must end in an instruction, not in a traceback."""
    folder = etc(tmp_path / "etc", DEBIAN, sources__list="deb http://vendor.example/x stable nonfree\n")
    with pytest.raises(CannotFetch, match=r"no Debian mirror.*REVERBERE_DEBIAN_MIRROR"):
        choose_archive({}, folder, keyrings)


def test_no_keyring_is_never_ignored(tmp_path: Path) -> None:
    """Without keys anyone on the way could hand us an interpreter of their own."""
    folder = etc(tmp_path / "etc", DEBIAN, debian__sources=DEB822)
    with pytest.raises(CannotFetch, match="debian-archive-keyring"):
        choose_archive({}, folder, tmp_path)


# --- what a failed fetch does ----------------------------------------------------------------------------


def test_retries_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mirror that is down must cost seconds, not the night."""
    monkeypatch.setattr(fetching, "PAUSE_S", 0)
    calls: list[int] = []

    def step() -> None:
        calls.append(1)
        raise CannotFetch("mirror does not answer")

    with pytest.raises(CannotFetch, match=r"does not answer \(3 attempts\)"):
        fetching.with_retries(step)
    assert len(calls) == fetching.ATTEMPTS


@pytest.mark.parametrize(("ci", "code"), [("true", 1), ("", 0)])
def test_missing_runtime_fails_only_in_ci(
    ci: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A contributor on a train can still run the other tests; CI never passes without the runtimes."""
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(fetching, "FETCHED", tmp_path)
    monkeypatch.setattr(fetching, "obtain", lambda kind: Missing(kind.name, ("the network is down",)))
    assert fetching.main() == code
    said = capsys.readouterr().err
    assert "micropython32 IS MISSING" in said and "the network is down" in said and "$MICROPYTHON32" in said


def test_ci_is_recognised() -> None:
    """A misread CI variable would turn failures into skips."""
    assert in_ci({"CI": "true"}) and in_ci({"CI": "1"})
    assert not in_ci({"CI": "false"}) and not in_ci({})
