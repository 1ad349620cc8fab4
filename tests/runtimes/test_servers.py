"""The broker for tests: found, proved, fetched with what it loads and nothing else, and never missing in silence."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.node import broker
from tests.runtimes import fetch, servers
from tests.runtimes.fetch import CannotFetch, libraries_of, parse_depends
from tests.runtimes.servers import MissingServer, Server, find_mosquitto

DEPENDS = """mosquitto
  Depends: libc6
  Depends: libssl3t64
 |Depends: debconf
  Depends: <debconf-2.0>
    cdebconf
    debconf
  PreDepends: init-system-helpers
libc6
  Depends: libgcc-s1
libgcc-s1
  Depends: gcc-14-base
libssl3t64
  Depends: libc6
debconf
  Depends: libperl-needed-by-debconf
libperl-needed-by-debconf
gcc-14-base
init-system-helpers
"""


def test_only_what_a_program_loads_is_fetched() -> None:
    """A broker's package pulls in what configures a system: with that, `make test` would fetch half a distribution."""
    needs = parse_depends(DEPENDS)
    assert needs["mosquitto"] == ["libc6", "libssl3t64", "debconf", "init-system-helpers"]
    assert libraries_of("mosquitto", needs) == ["libc6", "libgcc-s1", "libssl3t64"]
    with pytest.raises(CannotFetch, match="no package mosquitto2"):
        libraries_of("mosquitto2", needs)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("mosquitto", "not an absolute path"),
        ("/nonexistent/mosquitto", "does not start"),
        (sys.executable, "is no mosquitto"),
    ],
)
def test_a_choice_is_never_replaced(path: str, reason: str, tmp_path: Path) -> None:
    """A developer's wrong $MOSQUITTO must be told, not hidden behind some other broker."""
    found = find_mosquitto({servers.VARIABLE: path, "PATH": os.environ["PATH"]}, tmp_path)
    assert isinstance(found, MissingServer) and len(found.tried) == 1
    assert reason in found.description and "make runtimes" in found.description


def test_too_old_is_refused(tmp_path: Path) -> None:
    """mosquitto 1 has other defaults (anybody may connect): a test against it proves nothing."""
    program = tmp_path / "mosquitto"
    program.write_text("#!/bin/sh\necho 'mosquitto version 1.6.15'\n")
    program.chmod(0o755)
    found = find_mosquitto({servers.VARIABLE: str(program)}, tmp_path)
    assert isinstance(found, MissingServer) and "older than 2.0" in found.description


@pytest.mark.parametrize("ci", ["true", ""])
def test_missing_broker_fails_in_ci(ci: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At home it is a loud skip; in CI a link that was never tried must not look like one that works."""
    monkeypatch.setattr(broker, "known_mosquitto", lambda: MissingServer(("the network is down",)))
    monkeypatch.setattr(broker, "in_ci", lambda: ci == "true")
    expected = pytest.fail.Exception if ci else pytest.skip.Exception
    with pytest.raises(expected, match="server mosquitto: MISSING"):
        broker.require_mosquitto()


@pytest.mark.parametrize(("ci", "code"), [("true", 1), ("", 0)])
def test_fetch_says_that_the_broker_is_missing(
    ci: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make runtimes` in CI must stop where the broker cannot be had."""
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(fetch, "obtain_mosquitto", lambda: MissingServer(("the network is down",)))
    assert fetch.main() == code
    assert "mosquitto IS MISSING" in capsys.readouterr().err


def test_it_is_what_it_says() -> None:
    """The figures of the link are worth as much as the broker they were taken against."""
    found = broker.require_mosquitto()
    assert isinstance(found, Server) and found.version.startswith("2.")
