"""People write scenarios by hand, at night, in a hurry: every mistake must come back with place, reason and remedy."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from host_tools.cli import app
from sim.scenario import Loaded, ScenarioError, load_scenario

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "sim" / "scenarios" / "toulouse.yaml"
COUNTS = ROOT / "sim" / "data" / "passers_hourly.csv"
TEXT = SHIPPED.read_text("utf-8").replace("../data/passers_hourly.csv", "counts.csv")
TIMEOUT_S = 60


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that holds the shipped counts; the scenario's name in it is `s.yaml`."""
    (tmp_path / "counts.csv").write_bytes(COUNTS.read_bytes())
    return tmp_path


def refused(folder: Path, scenario: Path | None = None) -> str:
    """Run the scenario; it must be refused with exit code 2, no file written, no traceback. Returns the message."""
    out, junit = folder / "out", folder / "j" / "junit.xml"
    words = ["sim", "run", str(scenario or folder / "s.yaml"), "--out", str(out), "--junit", str(junit)]
    result = CliRunner().invoke(app, words, env={"COLUMNS": "400"})
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    assert not out.exists() and not junit.parent.exists()
    return re.sub(r"\s+", " ", result.output)


def changed(old: str, new: str, text: str = TEXT) -> str:
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the shipped scenario"
    return text.replace(old, new)


LAMP = "luminaires: 40"
FIXED = "    - {startTime: 22:00, state: 20 %, rampToLevelTime: 30 s}\n"
MANY = "".join(f"    - {{startTime: 22:{n:02}, state: 20 %}}\n" for n in range(48))
ABSOLUTE = "    - {name: AbsoluteActivePeriod, startTime: 01:00, endTime: 02:00}\n"
ASTRO = "    - {name: AstroClockActivePeriod, sunsetOffset: 0 min, sunriseOffset: 0 min}\n"

# What is wrong: (what stands there, what is written instead, what the message must say: place, reason, remedy).
WRONG = {
    "no unit": ("spacing: 27 m", "spacing: 27", ["street.spacing", "27 has no unit", "write it like 27 m"]),
    "wrong unit": ("spacing: 27 m", "spacing: 27 ft", ["street.spacing", "'ft'", "units: m"]),
    "speed unit": ("speed: 1.3 m/s", "speed: 5 km/h", ["traffic.modes.walker.speed", "'km/h'", "1.3 m/s"]),
    "too fine": ("spacing: 27 m", "spacing: 27.0001 m", ["street.spacing", "finer", "round it"]),
    "no number": ("spacing: 27 m", "spacing: far", ["street.spacing", "'far' is not a length", "27 m"]),
    "infinite": ("spacing: 27 m", "spacing: .inf m", ["street.spacing", "is not a length", "27 m"]),
    "latitude": ("43.6225 deg", "95 deg", ["place.latitude", "out of range", "-90 deg to 90 deg"]),
    "longitude": ("1.463056 deg", "-181 deg", ["place.longitude", "out of range", "-180 deg to 180 deg"]),
    "level": ("level: 100 %\n\ntraffic", "level: 101 %\n\ntraffic", ["street.service.level", "0 % to 100 %"]),
    "past": ("date: 2026-03-20", "date: 1999-03-20", ["date", "outside", "2020-01-02 to 2099-12-31", "choose"]),
    "future": ("date: 2026-03-20", "date: 2150-03-20", ["date", "outside", "2020-01-02 to 2099-12-31", "choose"]),
    "no date": ("date: 2026-03-20", "date: Friday", ["date", "'Friday' is not a date", "2026-03-20"]),
    "no such day": ("date: 2026-03-20", "date: 2026-02-29", ["date", "is not a date", "2026-03-20"]),
    "zone": ("Europe/Paris", "Europe/Pariss", ["place.zone", "unknown zone", "did you mean Europe/Paris"]),
    "odd zone": ("Europe/Paris", "qqqq", ["place.zone", "unknown zone", "like Europe/Paris"]),
    "zone outside": ("Europe/Paris", "../../../etc/passwd", ["place.zone", "unknown zone", "like Europe/Paris"]),
    "zone by decree": ("Europe/Paris", "Africa/Casablanca", ["place.zone", "no yearly rule", "choose a date after"]),
    "negative lamps": (LAMP, "luminaires: -1", ["street.luminaires", "'-1' is not a whole number", "like 40"]),
    "half a lamp": (LAMP, "luminaires: 2.5", ["street.luminaires", "not a whole number", "like 40"]),
    "no lamp": (LAMP, "luminaires: 0", ["street.luminaires", "greater than or equal to 1"]),
    "a city": (LAMP, "luminaires: 1001", ["street.luminaires", "less than or equal to 1000"]),
    "unknown key": (LAMP, LAMP + "\n  colour: blue", ["street.colour", "not known here", "check the spelling"]),
    "missing key": ("  mounting: 7 m\n", "", ["street.mounting", "is missing", "add it"]),
    "missing part": ("luminaire:\n", "luminair:\n", ["luminaire: is missing", "luminair: is not known here"]),
    "duplicate key": (LAMP, LAMP + "\n  " + LAMP, ["line", "'luminaires' stands twice", "keep one"]),
    "a list as key": (LAMP, "[a, b]: c", ["line", "a key must be a word"]),
    "wrong shape": ("expect:\n", "expect:\n  - [1]\nexpec:\n", ["expect", "one figure and bound per line", "expec:"]),
    "shape of place": ("date: 2026-03-20", "date: [1]", ["date", "is not a date", "2026-03-20"]),
    "25 hours": ("startTime: 22:00", "startTime: 25:00", ["fixedTimeControls[1].startTime", "'25:00'", "23:00"]),
    "60 minutes": ("startTime: 22:00", "startTime: 22:60", ["fixedTimeControls[1].startTime", "'22:60'", "23:00"]),
    "out of order": ("startTime: 22:00", "startTime: 04:00", ["program", "ascend", "04:00:00 comes after 05:30:00"]),
    "double": ("startTime: 22:00", "startTime: 05:30", ["program", "without doubles", "put them in order"]),
    "no controls": ("- {startTime: 05:30, state: 40 %, rampToLevelTime: 30 s, rampFromLevelTime: 2 s}\n" + FIXED,
                    "[]\n",
                    ["program.fixedTimeControls", "at least 1"]),
    "49 controls": (FIXED, MANY, ["program.fixedTimeControls", "at most 48"]),
    "5 periods": (ASTRO, ABSOLUTE * 5, ["program.activePeriods", "at most 4"]),
    "kind of period": ("AstroClockActivePeriod", "MoonPeriod", ["program.activePeriods[0]", "AstroClockActivePeriod"]),
    "operation": ("operation: Max", "operation: Div", ["dynamicControls[0].operation", "'Set', 'Max'"]),
    "hold": ("holdTime: 20 s", "holdTime: 2 h", ["dynamicControls[0].holdTime", "'h'", "45 s"]),
    "long hold": ("holdTime: 20 s", "holdTime: 200 min", ["dynamicControls[0].holdTime", "0 s to 6553 s"]),
    "falling curve": ("power: 64 W", "power: 30 W", ["luminaire", "must not fall", "check the measured powers"]),
    "curve order": ("level: 75 %", "level: 5 %", ["luminaire", "ascend by level"]),
    "curve's end": ("level: 100 %, power", "level: 99 %, power", ["luminaire", "100 %"]),
    "standby": ("standby: 0.5 W", "standby: 9 W", ["luminaire", "standby must not exceed"]),
    "no window": ("extinction: {from: 23:00", "extinction: {from: 05:00", ["baselines.extinction", "same time"]),
    "figure": ("passers_served", "passers_happy", ["expect", "passers_happy", "no such figure", "passers_served"]),
    "bare bound": ('lit_share: ">= 99.9 %"', 'lit_share: ">= 99.9"', ["expect", "lit_share", "no unit", ">= 10 %"]),
    "bound's unit": ('">= 95 %"', '">= 95 kWh"', ["expect", "passers_served", "'kWh'", "units: %"]),
    "equal": ('">= 95 %"', '"== 95 %"', ["expect", "passers_served", "'== 95 %' is not a bound", ">= 95 %"]),
    "bound of nothing": ('">= 95 %"', '""', ["expect", "passers_served", "is not a bound"]),
    "unknown mode": ("bicycle: {speed", "lorry: {speed", ["traffic.modes.lorry", "no column lorry", "bicycle"]),
    "no mode": ("    walker: {speed: 1.3 m/s, spread: 0.2 m/s}\n    bicycle: {speed: 4.5 m/s, spread: 0.8 m/s}\n"
                "    car: {speed: 9.5 m/s, spread: 1.2 m/s}\n", "    {}\n", ["traffic.modes", "at least 1"]),
    "counts' place": ("counts.csv", "nowhere.csv", ["traffic.counts", "nowhere.csv cannot be read", "relative"]),
    "counts a folder": ("counts: counts.csv", "counts: .", ["traffic.counts", "cannot be read", "relative"]),
    "counts no name": ("counts: counts.csv", 'counts: "a\\0b"', ["traffic.counts", "control characters", "remove"]),
    "title": ("title: ", 'title: "\\u0007"\n#', ["title", "control characters", "remove"]),
    "surrogate": ("title: ", 'title: "\\ud800"\n#', ["title", "half a character", "write it anew"]),
    "an hour of night uncounted": ("2026-03-20", "2026-01-20", ["traffic.counts", "no car", "07", "night", "fill it"]),
    "yaml": ("place:\n", "place: [\n", ["line", "column", "check indentation"]),
    "tabulator": ("  zone:", "\tzone:", ["line", "column", "check indentation"]),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_each_mistake_is_refused_with_place_reason_and_remedy(folder: Path, case: str) -> None:
    """A message without its place sends somebody through a hundred lines of YAML."""
    old, new, expected = WRONG[case]
    (folder / "s.yaml").write_text(changed(old, new), "utf-8")
    said = refused(folder)
    for words in expected:
        assert words in said
    assert "nothing was run or written" in said


def test_an_alias_is_refused(folder: Path) -> None:
    """Aliases can blow nine lines up to gigabytes, and nobody needs one here."""
    text = changed("title:", "spare: &far 27 m\ntitle:", changed("spacing: 27 m", "spacing: *far"))
    (folder / "s.yaml").write_text(text, "utf-8")
    said = refused(folder)
    assert "aliases" in said and "line" in said and "write the value out" in said


# Rows of the counts: (what stands there, what is written instead, what the message must say).
COUNT_ROWS = {
    "negative": ("0,0.39,0.76,3.3", "0,-0.39,0.76,3.3", ["line 10", "walker '-0.39'", "correct it"]),
    "no number": ("0,0.39,0.76,3.3", "0,many,0.76,3.3", ["line 10", "walker 'many'", "0 to 3600 per hour"]),
    "nan": ("0,0.39,0.76,3.3", "0,nan,0.76,3.3", ["line 10", "walker 'nan'", "correct it"]),
    "infinite": ("0,0.39,0.76,3.3", "0,inf,0.76,3.3", ["line 10", "walker 'inf'", "correct it"]),
    "too many": ("0,0.39,0.76,3.3", "0,9999,0.76,3.3", ["line 10", "walker '9999'", "0 to 3600 per hour"]),
    "twice": ("1,0.14,0.41,2.7", "0,0.14,0.41,2.7", ["line 11", "hour 0 stands twice", "keep one"]),
    "hour 24": ("1,0.14,0.41,2.7", "24,0.14,0.41,2.7", ["line 11", "hour '24' is not 0 to 23"]),
    "hour ²": ("2,0.09,0.37,2.2", "²,0.09,0.37,2.2", ["line 12", "hour '²' is not 0 to 23"]),
    "an hour left out": ("2,0.09,0.37,2.2\n", "", ["no walker for the local hour 02", "night", "fill it"]),
    "an empty field": ("2,0.09,0.37,2.2", "2,,0.37,2.2", ["no walker for the local hour 02", "night", "fill it"]),
    "fields": ("1,0.14,0.41,2.7", "1,0.14,0.41", ["line 11", "3 fields, the first row has 4"]),
    "header": ("hour,walker,bicycle,car", "time,walker,bicycle,car", ["first row must be 'hour,'"]),
    "mode twice": ("hour,walker,bicycle,car", "hour,walker,bicycle,walker", ["names a mode twice", "keep one"]),
    "open quote": ("hour,walker,bicycle,car", 'hour,walker,bicycle,"car', ["not a table of comma separated values"]),
    "quoted line break": ("1,0.14,0.41,2.7", '1,0.14,0.41,"2.7\n"', ["not a table of comma separated values"]),
}


@pytest.mark.parametrize("case", COUNT_ROWS)
def test_wrong_counts_are_refused_with_their_line(folder: Path, case: str) -> None:
    """A count that is misread makes a wrong forecast that looks right."""
    old, new, expected = COUNT_ROWS[case]
    text = COUNTS.read_text("utf-8")
    assert text.count("\n" + old) == 1
    (folder / "counts.csv").write_text(text.replace("\n" + old, "\n" + new), "utf-8")
    (folder / "s.yaml").write_text(TEXT, "utf-8")
    said = refused(folder)
    for words in ["traffic.counts", *expected]:
        assert words in said


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", ["shape"]),
        (b"\n# nothing\n", ["shape"]),
        (b"just words", ["shape", "see the shipped scenario"]),
        (b"- a\n- b\n", ["shape", "see the shipped scenario"]),
        (bytes(range(256)), ["byte 128", "not UTF-8", "save the file as UTF-8"]),
        (b"\x89PNG\r\n\x1a\n", ["not UTF-8"]),
        (b"a: \x00b\n", ["not YAML"]),
        (b"[" * 5000, ["not YAML"]),
        (b"a" * 1_000_001, ["1000001 bytes, at most 1000000", "right file"]),
        (TEXT.encode("utf-16"), ["not UTF-8", "save the file as UTF-8"]),
        (b"!!python/object/apply:os.system [echo]", ["shape"]),
    ],
    ids=["empty", "comment", "scalar", "list", "binary", "picture", "nul", "deep", "huge", "utf-16", "tag"],
)  # fmt: skip
def test_a_file_that_is_no_scenario(folder: Path, data: bytes, expected: list[str]) -> None:
    """The wrong file, dropped on the command line, is the commonest mistake of all."""
    (folder / "s.yaml").write_bytes(data)
    said = refused(folder)
    for words in expected:
        assert words in said


def test_a_missing_file_and_a_folder(folder: Path) -> None:
    """A path that is mistyped must not look like a fault of the program."""
    assert "cannot be read: No such file" in refused(folder)
    (folder / "sub").mkdir()
    said = refused(folder, folder / "sub")
    assert "Is a directory" in said and "give the path of a file" in said


def test_all_problems_of_a_file_at_once(folder: Path) -> None:
    """Five runs for five mistakes is five times a walk back to the desk."""
    text = changed("spacing: 27 m", "spacing: 27")
    text = changed("latitude: 43.6225 deg", "latitude: 95 deg", text)
    text = changed("Europe/Paris", "Europe/Pariss", text)
    text = changed("power: 64 W", "power: 30 W", text)
    text = changed('lit_share: ">= 99.9 %"', 'lit_share: ">= 99.9"', text)
    (folder / "s.yaml").write_text(text, "utf-8")
    rows = COUNTS.read_text("utf-8").replace("\n1,0.14,", "\n1,-1,")
    (folder / "counts.csv").write_text(rows, "utf-8")
    said = refused(folder)
    assert "6 problem(s)" in said
    for place in ("street.spacing", "place.latitude", "place.zone", "luminaire", "expect", "traffic.counts"):
        assert f" {place}: " in said


def test_names_that_look_like_markup_are_printed_as_they_are(folder: Path) -> None:
    """A street called [bold] or [/] must not crash the very message that should help."""
    path = folder / "[bold] a[red].yaml"
    path.write_text(changed("spacing: 27 m", "[/x]: 27"), "utf-8")
    said = refused(folder, path)
    assert "[bold] a[red].yaml" in said and "a key must be a word" in said


@pytest.mark.parametrize("words", [["--seed", "-1"], ["--seed", "x"], ["--nights", "0"], ["--nights", "367"]])
def test_options_out_of_range(folder: Path, words: list[str]) -> None:
    """A seed or a count of nights that is quietly changed makes a result nobody can repeat."""
    out = folder / "out"
    result = CliRunner().invoke(app, ["sim", "run", str(SHIPPED), "--out", str(out), *words])
    assert result.exit_code == 2 and words[0] in result.output and not out.exists()


@pytest.mark.parametrize("case", ["no unit", "latitude", "duplicate key"])
def test_the_installed_command_itself_says_so(folder: Path, case: str) -> None:
    """What people run is the command, with its real streams and its real exit code."""
    old, new, expected = WRONG[case]
    (folder / "s.yaml").write_text(changed(old, new), "utf-8")
    command = Path(sys.executable).with_name("reverbere")
    words = [str(command), "sim", "run", "s.yaml", "--out", "out"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert "Traceback" not in done.stderr
    said = re.sub(r"\s+", " ", done.stderr)
    for word in expected:
        assert word in said
    assert not (folder / "out").exists()


JUNK = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["", "[", "{", "*a", "&a x", "!!int 3", "? [a]", "-", "null", "1e9 m", "-0 m", "0x10", '"\\ud800"',
                     '"\\0"', "9" * 5000 + " m", "<<", "---", "...", "|", "\t", "25:00", "2026-02-30", "٣ m"]),
)  # fmt: skip
LINES = TEXT.splitlines()


@st.composite
def mutated(draw: st.DrawFn) -> str:
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        kind = draw(st.integers(0, 4))
        if kind == 0 and len(lines) > 1:
            del lines[at]
        elif kind == 1:
            lines.insert(draw(st.integers(0, len(lines))), lines[at])
        elif kind == 2:
            lines[at] = draw(JUNK)
        elif kind == 3:
            head, colon, _ = lines[at].partition(":")
            lines[at] = f"{head}{colon} {draw(JUNK)}"
        else:
            cut = draw(st.integers(0, len(lines[at])))
            lines[at] = lines[at][:cut] + draw(JUNK) + lines[at][cut:]
    return "\n".join(lines)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=mutated())
def test_no_text_whatever_brings_anything_but_a_scenario_or_its_problems(folder: Path, text: str) -> None:
    """Nobody can think of every mistake: whatever stands in the file, the answer is a scenario or a ScenarioError."""
    (folder / "s.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        loaded = load_scenario(folder / "s.yaml")
    except ScenarioError as error:
        assert error.problems
        for problem in error.problems:
            assert problem.reason
    else:
        assert isinstance(loaded, Loaded)


CELL = st.one_of(
    st.text(max_size=6), st.sampled_from(["0", "1.5", "", '"', "1_0", "٣", "1e3", "-0", " 7 ", "9" * 5000])
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.lists(CELL, min_size=1, max_size=5), max_size=6), is_headed=st.booleans())
def test_no_table_of_counts_whatever_brings_anything_else(folder: Path, rows: list[list[str]], is_headed: bool) -> None:
    """Tables come out of spreadsheets, where everything happens."""
    lines = [",".join(row) for row in rows]
    text = "\n".join(["hour,walker,bicycle,car", *lines] if is_headed else lines)
    (folder / "counts.csv").write_bytes(text.encode("utf-8", "surrogatepass"))
    (folder / "s.yaml").write_text(TEXT, "utf-8")
    try:
        load_scenario(folder / "s.yaml")
    except ScenarioError as error:
        assert error.problems
