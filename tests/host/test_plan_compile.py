"""Compiling a site: the same file gives the same bytes everywhere, and a wrong one leaves no trace."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from firmware.control.plan import Plan
from host_tools.cli import app
from host_tools.plan import site_compile
from host_tools.plan.site import load_site
from host_tools.plan.site_compile import OutError, compiled_files, write_files
from sim.lamp_replay import INPUT_CLOCK, replay

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "ville" / "site.yaml"

runner = CliRunner()


def compile_to(out: Path, site: Path = EXAMPLE) -> int:
    return runner.invoke(app, ["plan", "compile", str(site), "--out", str(out)]).exit_code


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_what_is_written(tmp_path: Path) -> None:
    """A node is commissioned from these files: plan, settings, and a manifest whose hashes anybody can check."""
    assert compile_to(tmp_path / "out") == 0
    found = contents(tmp_path / "out")
    site = load_site(EXAMPLE)
    assert set(found) == {"manifest.json", *(f"{lamp}{end}" for lamp in site.lamps for end in (".plan", ".json"))}
    manifest = json.loads(found["manifest.json"])
    assert manifest["site"] == "Ville-Exemple" and manifest["signature"] is None
    assert manifest["source"] == {"file": "site.yaml", "sha256": hashlib.sha256(EXAMPLE.read_bytes()).hexdigest()}
    assert manifest["plan_format"] == found["L001.plan"][3]
    for lamp, entry in manifest["lamps"].items():
        for kind, end in (("plan", ".plan"), ("config", ".json")):
            data = found[lamp + end]
            assert entry[kind] == {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        # A town that goes below the class of its road says so wherever its plans go.
        limits = site.lamp_limits(lamp)
        assert entry["derogation"] == (
            {"by": "arrêté municipal 2026-014", "guard_permille": 200} if limits.derogation else None
        )
        assert Plan(found[f"{lamp}.plan"]).programs == len(entry["programs"])
        assert json.loads(found[f"{lamp}.json"]) == site.lamp_config(lamp)
    plans = {data for name, data in found.items() if name.endswith(".plan")}
    assert manifest["distinct_plans"] == len(plans) == 6
    assert found["L003.plan"] == found["L004.plan"]


def test_files_drive_a_lamp(tmp_path: Path) -> None:
    """The files alone make a lamp: with them the control core lights the main road at night and not at noon."""
    compile_to(tmp_path / "out")
    config = json.loads((tmp_path / "out" / "L001.json").read_text())
    plan = (tmp_path / "out" / "L001.plan").read_bytes().hex()
    # 2026-06-20, day 9667 since 2000-01-01, from 12:00 UTC; a photometer is not fitted.
    clock = [0, INPUT_CLOCK, 2, 9667, 12 * 3600, 0]
    record = {**config, "lamp": 0, "tick0": 0, "plan": plan, "inputs": [clock], "end_ms": 14 * 3600_000}
    decisions: list[tuple[int, int]] = []
    replay(record, lambda tick, level, fade, reason: decisions.append((tick, level)))

    def at(hour: int) -> int:
        return [level for tick, level in decisions if tick <= (hour - 12) * 3600_000][-1]

    # Sunset is at 19:40 UTC: dark at 15:00; at 20:30 UTC 90 % of 90 %; at 24:00 UTC (02:00) 90 % of 60 %.
    assert (at(15), at(21), at(24)) == (0, 810, 540)


def test_same_bytes_everywhere(tmp_path: Path) -> None:
    """Two people who compile one file must be able to compare hashes: no clock, path or hash seed gets in."""
    other = tmp_path / "elsewhere" / "site.yaml"
    other.parent.mkdir()
    other.write_bytes(EXAMPLE.read_bytes())
    command = [sys.executable, "-c", "from host_tools.cli import main; main()", "plan", "compile"]
    for seed, site, out in (("1", EXAMPLE, "a"), ("2", other, "b")):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        subprocess.run([*command, str(site), "--out", str(tmp_path / out)], check=True, env=environment, cwd=ROOT)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert str(tmp_path).encode() not in b"".join(contents(tmp_path / "a").values())


def test_wrong_site_writes_nothing(tmp_path: Path) -> None:
    """A plan that cannot be verified changes nothing: the earlier compilation stays, byte for byte."""
    out = tmp_path / "out"
    compile_to(out)
    before = contents(out)
    wrong = tmp_path / "site.yaml"
    wrong.write_text(EXAMPLE.read_text("utf-8").replace("calendar: main", "calendar: mian"), "utf-8")
    result = runner.invoke(app, ["plan", "compile", str(wrong), "--out", str(out)])
    assert result.exit_code == 2
    assert "lamps.L001.calendar" in result.output and "lamps.L002.calendar" in result.output
    assert contents(out) == before
    assert compile_to(tmp_path / "new", wrong) == 2 and not (tmp_path / "new").exists()


def test_again_and_with_fewer_lamps(tmp_path: Path) -> None:
    """A lamp that was taken down leaves no plan behind for somebody to push."""
    out = tmp_path / "out"
    assert compile_to(out) == 0
    text = EXAMPLE.read_text("utf-8")
    fewer = tmp_path / "site.yaml"
    fewer.write_text(text.replace("  W001: {luminaire: lantern27, category: worksite}\n", ""), "utf-8")
    assert compile_to(out, fewer) == 0
    assert not (out / "W001.plan").exists() and (out / "L001.plan").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_other_peoples_files(tmp_path: Path) -> None:
    """A mistyped --out must not cost a home folder: anything that is not ours stays, and is named."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "letter.txt").write_text("dear")
    assert compile_to(home) == 2
    assert contents(home) == {"letter.txt": b"dear"}
    out = tmp_path / "out"
    compile_to(out)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(OutError, match=r"notes\.txt"):
        write_files({}, out)
    assert (out / "notes.txt").read_text() == "mine"
    assert compile_to(out / "L001.plan") == 2
    (tmp_path / "empty").mkdir()
    assert compile_to(tmp_path / "empty") == 0


def test_disk_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk in the middle leaves the earlier compilation whole and nothing beside it."""
    out = tmp_path / "out"
    compile_to(out)
    before = contents(out)
    calls = []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 5:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(site_compile.os, "fsync", full)
    result = runner.invoke(app, ["plan", "compile", str(EXAMPLE), "--out", str(out)])
    assert result.exit_code == 2 and "No space left" in result.output
    assert contents(out) == before and [path.name for path in tmp_path.iterdir()] == ["out"]


def test_failed_swap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the two renames lies the only dangerous moment: when the second fails, the first is undone."""
    out = tmp_path / "out"
    compile_to(out)
    before = contents(out)
    rename = Path.rename

    def fails(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise OSError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(OSError, match="Permission"):
        write_files(compiled_files(load_site(EXAMPLE)), out)
    assert contents(out) == before


def test_report(tmp_path: Path) -> None:
    """One line says how many lamps share how many plans: the radio's cost of pushing them."""
    result = runner.invoke(app, ["plan", "compile", str(EXAMPLE), "--out", str(tmp_path / "out")])
    assert "10 lamps, 6 distinct plans, largest 460 bytes; not signed" in result.stdout
