"""CI, towns and newspapers will quote a run: its exit code, its files and its figures must say one and the same."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from host_tools.cli import app
from sim.lamp_replay import replay_digest

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "sim" / "scenarios" / "toulouse.yaml"
FILES = ["lamps.jsonl", "night.html", "night.png", "results.json"]
TIMEOUT_S = 120

# A street short enough to be run often, otherwise as shipped.
SHORT = (
    SHIPPED.read_text("utf-8")
    .replace("../data/passers_hourly.csv", (ROOT / "sim" / "data" / "passers_hourly.csv").as_posix())
    .replace("luminaires: 40", "luminaires: 3")
)
WALKERS = re.sub(r"    (bicycle|car): .*\n", "", SHORT)
NO_EXPECT = re.compile(r"^expect:\n(  .*\n)*", re.MULTILINE)


def expecting(text: str, *bounds: str) -> str:
    """The scenario with other expectations."""
    return NO_EXPECT.sub("", text) + ("expect:\n" + "".join(f"  {bound}\n" for bound in bounds) if bounds else "")


def run(folder: Path, text: str, *words: str, out: str = "out") -> tuple[int, str, dict[str, Any]]:
    """Run a scenario; return exit code, what was printed, and `results.json`."""
    (folder / "s.yaml").write_text(text, "utf-8")
    command = ["sim", "run", str(folder / "s.yaml"), "--out", str(folder / out), *words]
    result = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output, json.loads((folder / out / "results.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The main job, by the installed command, once: its folder and what it printed."""
    folder = tmp_path_factory.mktemp("shipped")
    command = [str(Path(sys.executable).with_name("reverbere")), "sim", "run", str(SHIPPED), "--out", "out"]
    done = subprocess.run(
        [*command, "--junit", "j/junit.xml"], cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder, done.stdout


def test_the_main_job_succeeds_and_writes_its_files(shipped: tuple[Path, str]) -> None:
    """The first command anybody tries must work, and leave what it says it leaves."""
    folder, printed = shipped
    assert sorted(path.name for path in (folder / "out").iterdir()) == FILES
    for name in FILES:
        assert name in printed
        assert (folder / "out" / name).stat().st_size > 1000
    assert (folder / "out" / "night.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert (folder / "out" / "night.html").read_text("utf-8").lstrip().lower().startswith("<!doctype html>")
    assert "FAILS" not in printed


def _table(printed: str) -> dict[str, list[str]]:
    """The rows of the printed table: label to cells."""
    rows = {}
    for line in printed.splitlines():
        if line.startswith("│"):
            cells = [cell.strip() for cell in line.strip("│").split("│")]
            rows[cells[0]] = [cell for cell in cells[1:] if cell]
    return rows


def test_every_printed_figure_stands_in_the_results(shipped: tuple[Path, str]) -> None:
    """A figure on a slide that stands in no file can never be traced back."""
    folder, printed = shipped
    results = json.loads((folder / "out" / "results.json").read_text("utf-8"))
    found = results["figures"]
    bases, passers, switchings = found["baselines"], found["passers"], found["switchings_per_lamp"]
    rows = _table(printed)

    def kwh(wh: int) -> str:
        return f"{wh / 1000:.2f}"

    def percent(permille: int) -> str:
        return f"{permille / 10:.1f}"

    expected = {
        "energy, kWh": [kwh(wh) for wh in (found["energy_wh"], *(base["energy_wh"] for base in bases),
                                           found["bound"]["energy_wh"])],
        "Réverbère uses, %": [*(f"{-base['saving_permille'] / 10:+.1f}" for base in bases),
                              f"{found['bound']['above_permille'] / 10:+.1f}"],
        "passers served, %": [percent(p) for p in (passers["served_permille"],
                                                   *(base["served_permille"] for base in bases), 1000)],
        "passers served": [f"{passers['served']}/{passers['total']}"],
        **{mode["mode"]: [f"{mode['served']}/{mode['total']}"] for mode in passers["by_mode"]},
        "needed time served, %": [percent(passers["served_time_permille"])],
        "night, h": [f"{found['night_h']:.2f}"],
        "lit hours, % of night": [percent(found["lit_share_permille"])],
        "at required level, %": [percent(found["required_level_share_permille"])],
        "mean level, %": [percent(found["mean_level_permille"])],
        "switchings, least": [str(switchings["min"])],
        "a lamp, mean": [str(switchings["mean"])],
        "and night, most": [str(switchings["max"])],
    }  # fmt: skip
    assert rows == expected
    for entry in results["expectations"]:
        assert f"{entry['path'].removeprefix('expect.')} {entry['bound']}: {entry['value']}" in printed
    assert f"seed {results['seed']}, commit {results['commit'][:12]}" in printed
    assert f"{results['events']} events, {results['decisions']} decisions" in printed
    assert f"digest {results['digest']}" in printed
    assert results["scenario"]["title"] in " ".join(printed.split())


def test_results_name_seed_inputs_and_commit(shipped: tuple[Path, str]) -> None:
    """A result without its seed, its inputs and its commit is hearsay."""
    folder, _ = shipped
    results = json.loads((folder / "out" / "results.json").read_text("utf-8"))
    assert results["seed"] == 1 and results["nights"] == 1 and results["lamps"] == 40
    assert re.fullmatch(r"[0-9a-f]{40}|unknown", results["commit"])
    counts = ROOT / "sim" / "data" / "passers_hourly.csv"
    assert results["inputs"] == [
        {"path": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in (SHIPPED, counts)
    ]
    assert any("No physical ESP32" in entry["en"] for entry in results["assumptions"])


def test_the_records_replay_to_the_digests_of_the_results(shipped: tuple[Path, str]) -> None:
    """What was written must suffice to find every decision again."""
    folder, _ = shipped
    results = json.loads((folder / "out" / "results.json").read_text("utf-8"))
    records = [json.loads(line) for line in (folder / "out" / "lamps.jsonl").read_text("utf-8").splitlines()]
    assert [record["lamp"] for record in records] == list(range(40))
    assert [record["digest"] for record in records] == results["lamp_digests"]
    for record in (records[0], records[17], records[39]):
        assert replay_digest(record) == record["digest"]


def test_junit_of_a_run_as_expected(shipped: tuple[Path, str]) -> None:
    """A forge shows what it can parse, and nothing else."""
    folder, _ = shipped
    suite = ElementTree.parse(folder / "j" / "junit.xml").getroot()
    assert suite.tag == "testsuite" and suite.get("failures") == "0"
    assert suite.get("tests") == str(len(suite.findall("testcase"))) == "5"
    assert not suite.findall("testcase/failure")
    assert {entry.get("name") for entry in suite.findall("properties/property")} >= {"seed", "commit", "digest"}


def test_a_failed_expectation_exits_1_and_fails_in_junit(tmp_path: Path) -> None:
    """A saving that shrinks unseen is the very regression a town pays for."""
    text = expecting(SHORT, 'saving_vs_full_night: ">= 99 %"', 'lit_share: ">= 99 %"', 'energy: "<= 1 Wh"')
    text = text.replace("title: ", "title: \"Rue <A&B> 'x'\"\n#")
    code, printed, results = run(tmp_path, text, "--junit", str(tmp_path / "junit.xml"))
    assert code == 1
    assert printed.count("FAILS") == 2 and printed.count("holds") == 1
    assert [entry["ok"] for entry in results["expectations"]] == [False, True, False]
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert suite.get("name") == "Rue <A&B> 'x'"
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "2", "0")
    failed = [case.get("name") for case in suite.findall("testcase") if case.find("failure") is not None]
    assert failed == ["expect.saving_vs_full_night >= 99 %", "expect.energy <= 1 Wh"]
    failure = suite.find("testcase/failure")
    assert failure is not None and "expected >= 99 %" in (failure.get("message") or "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES


def test_every_figure_can_be_expected(tmp_path: Path) -> None:
    """A bound on a figure that is never compared would hold for ever."""
    bounds = {
        "energy": "<= 9 kWh", "saving_vs_full_night": ">= -500 %", "saving_vs_fixed_dimming": ">= -500 %",
        "saving_vs_extinction": ">= -500 %", "above_bound": ">= 0 %", "lit_share": "<= 100 %",
        "mean_level": "<= 100 %", "passers_served": ">= 0 %", "required_time_served": ">= 0 %",
        "switchings_per_lamp": ">= 1 per night",
    }  # fmt: skip
    code, _, results = run(tmp_path, expecting(SHORT, *(f'{name}: "{bound}"' for name, bound in bounds.items())))
    assert code == 0
    assert [entry["path"] for entry in results["expectations"]] == [f"expect.{name}" for name in bounds]
    code, printed, _ = run(tmp_path, expecting(SHORT, *(f'{name}: "<= -999 %"' for name in bounds if "saving" in name)))
    assert code == 1 and printed.count("FAILS") == 3


def test_no_expectation_is_no_failure(tmp_path: Path) -> None:
    """Trying a street out must not need a promise."""
    code, _, results = run(tmp_path, expecting(SHORT))
    assert code == 0 and results["expectations"] == []


def test_the_same_seed_gives_the_same_files_and_another_seed_others(tmp_path: Path) -> None:
    """If a run cannot be repeated to the byte, no two people ever speak of the same night."""
    text = expecting(SHORT)
    _, _, first = run(tmp_path, text, "--seed", "7", out="a")
    _, _, _ = run(tmp_path, text, "--seed", "7", out="b")
    _, _, other = run(tmp_path, text, "--seed", "8", out="c")
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
        assert (tmp_path / "a" / name).read_bytes() != (tmp_path / "c" / name).read_bytes(), name
    assert first["seed"] == 7 and other["seed"] == 8
    assert first["digest"] != other["digest"]
    energies = [results["figures"]["baselines"][0]["energy_wh"] for results in (first, other)]
    assert energies[0] == energies[1]


@pytest.mark.parametrize(
    ("date", "hours"),
    [("2026-03-27", 23), ("2026-10-23", 25), ("2026-03-20", 24)],
    ids=["to summer time", "to winter time", "no change"],
)
def test_three_nights_over_a_change_of_the_clocks(tmp_path: Path, date: str, hours: int) -> None:
    """Twice a year the night has another length, and no lamp may notice it before the people do."""
    code, _, results = run(tmp_path, expecting(WALKERS.replace("2026-03-20", date)), "--nights", "3")
    assert code == 0 and results["nights"] == 3
    records = [json.loads(line) for line in (tmp_path / "out" / "lamps.jsonl").read_text("utf-8").splitlines()]
    assert records[0]["end_ms"] == (2 * 24 + hours) * 3_600_000
    assert [entry["mode"] for entry in results["figures"]["passers"]["by_mode"]] == ["walker"]
    assert results["figures"]["lit_share_permille"] >= 999
    _, _, one = run(tmp_path, expecting(WALKERS.replace("2026-03-20", date)), out="one")
    assert 2.9 < results["figures"]["night_h"] / one["figures"]["night_h"] < 3.1
    assert 2.9 < results["figures"]["baselines"][0]["energy_wh"] / one["figures"]["baselines"][0]["energy_wh"] < 3.1


def test_more_nights_leave_the_first_as_it_was(tmp_path: Path) -> None:
    """A longer forecast must not change the night already discussed."""
    decided = []
    for nights in (1, 2):
        run(tmp_path, expecting(WALKERS), "--nights", str(nights), out=f"n{nights}")
        records = [json.loads(line) for line in (tmp_path / f"n{nights}" / "lamps.jsonl").read_text().splitlines()]
        decided.append([[i for i in record["inputs"] if i[0] < 86_400_000 * 0.9] for record in records])
    assert decided[0] == decided[1] and any(len(inputs) > 5 for inputs in decided[0])


@pytest.mark.parametrize("latitude", ["80 deg", "-80 deg"])
def test_polar_day_and_polar_night(tmp_path: Path, latitude: str) -> None:
    """North of the circle there are nights that do not come, and others that do not end: both must be answered."""
    counts = "hour,walker\n" + "".join(f"{hour},5\n" for hour in range(24))
    (tmp_path / "c.csv").write_text(counts, "utf-8")
    text = re.sub(r"counts: .*", "counts: c.csv", expecting(WALKERS))
    text = text.replace("43.6225 deg", latitude).replace("2026-03-20", "2026-06-20")
    code, _, results = run(tmp_path, text)
    assert code == 0
    assert results["figures"]["night_h"] == (0 if latitude == "80 deg" else 24)
    assert (results["figures"]["passers"]["total"] == 0) == (latitude == "80 deg")


def test_a_title_with_signs_of_markup_and_mathematics(tmp_path: Path) -> None:
    """A town may call its street what it likes: «[/b] $x_$» must come out as it went in."""
    title = "Rue [/b] [red] $x_$ <b> {0} %s"
    text = expecting(SHORT).replace("title: ", f'title: "{title}"\n#')
    code, printed, results = run(tmp_path, text, out="[red] out")
    assert code == 0 and results["scenario"]["title"] == title
    assert title in printed and "[red] out" in printed


def test_an_output_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """A file in the way is the user's to move, and never a traceback."""
    (tmp_path / "file").write_text("x", "utf-8")
    words = ["sim", "run", str(SHIPPED), "--out", str(tmp_path / "file" / "out")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2 and isinstance(result.exception, SystemExit)
    said = " ".join(result.output.split())
    assert "cannot be written" in said and "choose another --out" in said
