"""TALQ 2.7.1: what leaves for another system is valid there, and what comes from one means here what it meant there."""

from __future__ import annotations

import copy
import json
import os
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from firmware.control import plan_format as layout
from firmware.control.calendar_rules import Calendar as NodeCalendar
from firmware.control.civil import day_number
from firmware.control.plan import Plan
from host_tools.cli import app
from host_tools.plan.encode import LampPlan, encode
from host_tools.plan.json_reader import TalqError
from host_tools.plan.program import ControlProgram
from host_tools.plan.site import load_site
from host_tools.plan.site_calendar import Calendar
from host_tools.plan.site_text import calendar_words, program_words, yaml_text
from host_tools.plan.talq import export_talq, import_talq, read_talq
from host_tools.plan.talq_reader import Imported
from host_tools.plan.yaml_text import read_yaml
from tests.host.site_words import sites
from tests.host.talq_model import Validator

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "ville" / "site.yaml"
MODEL = "standards/talq/talq-data-model-2-7-1-online.json"

runner = CliRunner()


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    """The published data model; it stands beside the repository, or where REVERBERE_SHARED says."""
    file = Path(os.environ.get("REVERBERE_SHARED") or ROOT.parent / "shared") / MODEL
    if not file.is_file():
        pytest.skip(
            f"TALQ's data model is MISSING, nothing was validated: set REVERBERE_SHARED to a folder with {MODEL}"
        )
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))["components"]["schemas"]
    return found


def validate(document: dict[str, Any], schemas: dict[str, Any]) -> None:
    validator = Validator(schemas)
    faults = [fault for one in document["programs"] for fault in validator.faults(one, "ControlProgramOne")]
    faults += [fault for one in document["calendars"] for fault in validator.faults(one, "Calendar")]
    assert faults == []


def test_validator_finds_faults(schemas: dict[str, Any]) -> None:
    """A validator that accepts all would prove nothing: known faults of each kind are found."""
    validator = Validator(schemas)
    good = copy.deepcopy(OTHER_CMS)
    assert validator.faults(good["programs"][0], "ControlProgramOne") == []
    assert validator.faults(good["calendars"][0], "Calendar") == []
    for at, value in (
        (("fixedTimeControls", 0, "startTime"), "24:00"),
        (("fixedTimeControls", 0, "command", "state", "value"), 101),
        (("fixedTimeControls", 0, "command", "state", "value"), 12.5),
        (("fixedTimeControls", 0, "command", "state", "level"), 12),
        (("fixedTimeControls", 0, "command", "rampToLevelTime"), "1"),
        (("activePeriods", 0, "sunsetOffset"), 1.5),
        (("activePeriods", 0, "name"), "Moon"),
        (("dynamicControls", 0, "effect", "operation"), "Div"),
        (("dynamicControls", 0, "effect", "command"), {}),
        (("colour",), "red"),
    ):
        bad: Any = copy.deepcopy(good["programs"][0])
        target = bad
        for key in at[:-1]:
            target = target[key]
        target[at[-1]] = value
        assert validator.faults(bad, "ControlProgramOne"), at


# A document as another maker's system would write it, by the words of the published model.
OTHER_CMS: dict[str, Any] = {
    "programs": [
        {
            "type": "ControlProgramOne",
            "id": "3f1c",
            "ownerCMS": "https://cms.invalid/talq",
            "activePeriods": [
                {"name": "AstroClockActivePeriod", "sunsetOffset": 10, "sunriseOffset": -5},
                {
                    "name": "AstroAndSensorActivePeriod",
                    "sensor": {"sensorAddresses": ["cabinet-2/fPhotocell"]},
                    "sunsetOffset": 0,
                    "sunriseOffset": 0,
                    "pcActiveBeforeSunset": 30,
                    "pcActiveBeforeSunrise": 20,
                    "onLevel": 1.0,
                    "offLevel": 0.0,
                },
                {
                    "name": "ValueActivePeriod",
                    "reference": {"resource": "devices", "address": "cabinet-2/fLight/level"},
                    "operator": "LT",
                    "state": {"name": "IntegerState", "value": 12},
                },
            ],
            "fixedTimeControls": [
                {"startTime": "00:00:00", "command": {"state": {"name": "LevelState", "value": 30}}},
                {
                    "startTime": "18:30:15",
                    "command": {"state": {"name": "LevelState", "value": 100}, "rampToLevelTime": 0.30000001192092896},
                },
            ],
            "dynamicControls": [
                {
                    "effect": {
                        "type": "FixedControlEffect",
                        "source": {"sensor": {"sensorAddresses": ["pole-7/fMovement", "pole-8/fMovement"]}},
                        "operation": "Max",
                        "holdTime": 45,
                        "command": {"state": {"name": "LevelState", "value": 80}, "rampFromLevelTime": 10},
                    },
                    "period": {"startTime": "23:00:00", "endTime": "05:00:00"},
                },
                {"effect": {"type": "ExternalControlEffect", "source": {}, "operation": "Set"}},
            ],
        },
        {
            "type": "ControlProgramOne",
            "id": "feast",
            "ownerCMS": "https://cms.invalid/talq",
            "activePeriods": [],
            "fixedTimeControls": [
                {"startTime": "00:00:00", "command": {"state": {"name": "LevelState", "value": 100}}}
            ],
        },
    ],
    "calendars": [
        {
            "id": "year",
            "ownerCMS": "https://cms.invalid/talq",
            "defaultProgram": "3f1c",
            "rules": [
                # TALQ's own example: the second Monday of the month.
                {"program": "feast", "condition": {"type": "ccDay", "days": [{"start": 1}], "occurrences": ["2"]}},
                {"program": "feast", "startDate": "2026-07-13", "endDate": "2026-07-14"},
            ],
        },
        {"id": "empty", "ownerCMS": "https://cms.invalid/talq"},
    ],
}
SENSORS = {
    "cabinet-2/fPhotocell": "lux",
    "cabinet-2/fLight/level": "lux",
    "pole-7/fMovement": "presence",
    "pole-8/fMovement": "presence",
}


def test_document_of_another_system(tmp_path: Path) -> None:
    """A town changes its supplier: the programs that its old system exports mean the same in ours."""
    file = tmp_path / "talq.json"
    file.write_text(json.dumps(OTHER_CMS), "utf-8")
    found = import_talq(read_talq(file), SENSORS)
    program = found.programs["3f1c"].compiled()
    clock, both, value = program.periods
    assert (clock.kind, clock.start_s, clock.end_s) == (layout.PERIOD_ASTRO_CLOCK, 600, -300)
    # A photocell says 0 lx for dark and 65535 lx for bright here: 1 lx tells them apart.
    assert (both.on_level, both.off_level, both.before_sunset_min, both.before_sunrise_min) == (1, 1, 30, 20)
    assert (value.channel, value.operator, value.on_level) == (layout.CHANNEL_LUX, layout.VALUE_LT, 12)
    first, second = program.fixed
    assert (first.start_s, first.level_permille, first.ramp_to_ds, first.ramp_from_ds) == (0, 300, 0, 0)
    assert (second.start_s, second.level_permille, second.ramp_to_ds) == (66615, 1000, 3)
    presence, outside = program.dynamic
    assert (presence.channel, presence.operation, presence.level_permille) == (
        layout.CHANNEL_PRESENCE, layout.EFFECT_MAX, 800,
    )  # fmt: skip
    assert (presence.hold_ds, presence.ramp_from_ds, presence.period) == (450, 100, (82800, 18000))
    assert (outside.kind, outside.channel, outside.period) == (layout.DYNAMIC_EXTERNAL, layout.CHANNEL_EXTERNAL, None)
    assert found.calendars["empty"] == Calendar()
    assert found.owners == ("https://cms.invalid/talq",)
    index = {"3f1c": 0, "feast": 1}
    rules = [rule.compiled(index) for rule in found.calendars["year"].rules]
    node = NodeCalendar(Plan(encode(LampPlan([program, found.programs["feast"].compiled()], rules, 0))))
    days = {
        date(2026, 6, 8): 1,  # the second Monday
        date(2026, 6, 1): 0,
        date(2026, 6, 9): 0,
        date(2026, 7, 12): 0,
        date(2026, 7, 14): 1,
        date(2027, 7, 14): 0,
    }
    assert {day: node.program_of(day_number(day.year, day.month, day.day)) for day in days} == days


def test_missing_levels_and_sensor() -> None:
    """TALQ lets a photocell's period go without levels and address: the node's own sensor then has usable ones."""
    document = copy.deepcopy(OTHER_CMS)
    period = document["programs"][0]["activePeriods"][1]
    period["sensor"] = {}
    del period["onLevel"], period["offLevel"]
    both = import_talq(document, SENSORS).programs["3f1c"].compiled().periods[1]
    assert 0 < both.on_level <= both.off_level < 65535


P = "programs[0]"
REFUSED: list[tuple[str, Any, str, str]] = [
    ("programs/0/type", "ControlProgramTwo", f"{P}.type", "only ControlProgramOne"),
    ("programs/0/colour", "red", f"{P}.colour", "not carried"),
    ("programs/0/ownerCMS", 7, f"{P}.ownerCMS", "not a text"),
    ("programs/0/activePeriods", None, f"{P}.activePeriods", "null"),
    ("programs/0/activePeriods/0/name", "MoonActivePeriod", f"{P}.activePeriods[0].name", "no such active period"),
    ("programs/0/activePeriods/0/sunsetOffset", 400, f"{P}.activePeriods[0].sunsetOffset", "out of range"),
    ("programs/0/activePeriods/0/sunsetOffset", 1.5, f"{P}.activePeriods[0].sunsetOffset", "finer"),
    ("programs/0/activePeriods/0/sunsetOffset", "10", f"{P}.activePeriods[0].sunsetOffset", "not a number"),
    ("programs/0/activePeriods/0/sunsetOffset", True, f"{P}.activePeriods[0].sunsetOffset", "not a number"),
    ("programs/0/activePeriods/0/sunsetOffset", Decimal("1e999999"), f"{P}.activePeriods[0].sunsetOffset", "range"),
    ("programs/0/activePeriods/0/sunsetOffset", Decimal("1e-999999"), "", ""),
    ("programs/0/activePeriods/0/sunsetOffset", Decimal("0e999999"), "", ""),
    ("programs/0/activePeriods/1/onLevel", 20, f"{P}.activePeriods[1]", "blink"),
    (
        "programs/0/activePeriods/1/sensor",
        {"sensorAddresses": ["x"]},
        f"{P}.activePeriods[1].sensor.sensorAddresses[0]",
        "--sensor 'x=lux'",
    ),
    ("programs/0/activePeriods/2/state/name", "RGBState", f"{P}.activePeriods[2].state.name", "level only"),
    ("programs/0/activePeriods/2/state/value", 2000000, f"{P}.activePeriods[2].state.value", "out of range"),
    ("programs/0/activePeriods/2/operator", "XX", f"{P}.activePeriods[2].operator", "EQ"),
    ("programs/0/fixedTimeControls/0/startTime", "18:00", f"{P}.fixedTimeControls[0].startTime", "hh:mm:ss"),
    ("programs/0/fixedTimeControls/0/startTime", "18:00:00Z", f"{P}.fixedTimeControls[0].startTime", "no zone"),
    ("programs/0/fixedTimeControls/0/startTime", "24:00:00", f"{P}.fixedTimeControls[0].startTime", "time of day"),
    ("programs/0/fixedTimeControls/0/startTime", "19:00:00", P, "ascend"),
    ("programs/0/fixedTimeControls", [], f"{P}.fixedTimeControls", "at least 1"),
    (
        "programs/0/fixedTimeControls/0/command/state",
        {"name": "RGBState", "value": "#ff0000"},
        f"{P}.fixedTimeControls[0].command.state.name",
        "level only",
    ),
    (
        "programs/0/fixedTimeControls/0/command/state",
        {"name": "LevelState"},
        f"{P}.fixedTimeControls[0].command.state.value",
        "missing",
    ),
    (
        "programs/0/fixedTimeControls/0/command/state/value",
        101,
        f"{P}.fixedTimeControls[0].command.state.value",
        "out of range",
    ),
    (
        "programs/0/fixedTimeControls/1/command/rampToLevelTime",
        1001,
        f"{P}.fixedTimeControls[1].command.rampToLevelTime",
        "out of range",
    ),
    (
        "programs/0/fixedTimeControls/1/command/rampToLevelTime",
        0.25,
        f"{P}.fixedTimeControls[1].command.rampToLevelTime",
        "finer",
    ),
    ("programs/0/dynamicControls/0/effect/type", "WindEffect", f"{P}.dynamicControls[0].effect.type", "no such effect"),
    ("programs/0/dynamicControls/0/effect/operation", "Div", f"{P}.dynamicControls[0].effect.operation", "Set"),
    ("programs/0/dynamicControls/0/effect/holdTime", -1, f"{P}.dynamicControls[0].effect.holdTime", "out of range"),
    (
        "programs/0/dynamicControls/0/effect/command/state/value",
        -1,
        f"{P}.dynamicControls[0].effect.command.state.value",
        "out of range",
    ),
    ("programs/0/dynamicControls/1/effect/command", {}, f"{P}.dynamicControls[1].effect.command", "not carried"),
    (
        "programs/0/dynamicControls/0/effect/source",
        {"sensor": {"sensorAddresses": ["self/presence", "self/external"]}},
        f"{P}.dynamicControls[0].effect.source.sensor.sensorAddresses",
        "only one",
    ),
    (
        "programs/0/dynamicControls/0/effect/source",
        {"sensor": {"sensorAddresses": ["self/lux"]}},
        f"{P}.dynamicControls[0].effect.source.sensor.sensorAddresses[0]",
        "here it can be",
    ),
    ("programs/1/id", "3f1c", "programs[1].id", "twice"),
    ("programs/1/id", "a\nb", "programs[1].id", "line breaks"),
    ("calendars/0/defaultProgram", "3f1d", "calendars[0].defaultProgram", "did you mean 3f1c"),
    ("calendars/0/rules/1/program", "fest", "calendars[0].rules[1].program", "did you mean feast"),
    ("calendars/0/rules/1/endDate", "2026-07-12", "calendars[0].rules[1]", "lies before"),
    ("calendars/0/rules/1/endDate", "2026-02-30", "calendars[0].rules[1].endDate", "does not exist"),
    ("calendars/0/rules/0/condition/type", "ccMoon", "calendars[0].rules[0].condition.type", "ccDate and ccDay"),
    ("calendars/0/rules/0/condition/days/0/start", 8, "calendars[0].rules[0].condition.days[0].start", "weekday"),
    ("calendars/0/rules/0/condition/occurrences", ["6"], "calendars[0].rules[0].condition.occurrences[0]", "1 to 5"),
    ("groups", [], "groups", "not carried"),
]


@pytest.mark.parametrize(("path", "value", "at", "reason"), REFUSED)
def test_refused(path: str, value: Any, at: str, reason: str) -> None:
    """What is dropped or rounded in silence shows in the street: it is refused with its place in the JSON."""
    document = copy.deepcopy(OTHER_CMS)
    target: Any = document
    *keys, last = [int(key) if key.isdigit() else key for key in path.split("/")]
    for key in keys:
        target = target[key]
    target[last] = value
    if not at:
        import_talq(document, SENSORS)
        return
    with pytest.raises(TalqError) as caught:
        import_talq(document, SENSORS)
    found = {problem.path: problem.reason for problem in caught.value.problems}
    assert at in found and reason in found[at], found


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "line 1"),
        ('{"programs": NaN}', "NaN"),
        ('{"programs": [], "programs": []}', "twice"),
        ('{"programs": ' + "1" * 5000 + "}", "not usable"),
        ("[" * 100_000, "not usable"),
        ("[]", "not an object"),
    ],
)
def test_not_json(tmp_path: Path, text: str, reason: str) -> None:
    """Whatever file is given, the answer is words and not a stack of calls."""
    file = tmp_path / "talq.json"
    file.write_text(text)
    with pytest.raises(TalqError) as caught:
        import_talq(read_talq(file))
    assert reason in caught.value.problems[0].reason


def test_levels_that_talq_has_not() -> None:
    """TALQ's levels are whole percents: 12.5 % is refused on export, not rounded behind people's back."""
    control = {"startTime": "00:00:00", "state": "12.5 %"}
    program = ControlProgram.model_validate({"activePeriods": [], "fixedTimeControls": [control]})
    with pytest.raises(TalqError) as caught:
        export_talq({"night": program}, {})
    assert [str(problem) for problem in caught.value.problems] == [
        "programs.night.fixedTimeControls[0].state: 12.5 % is finer than TALQ's DimLevel, a whole percent: "
        "write 12 % or 13 %"
    ]


def test_example_there_and_back(schemas: dict[str, Any]) -> None:
    """The shipped site leaves as valid TALQ and comes back as it was."""
    site = load_site(EXAMPLE)
    document = export_talq(site.programs, site.calendars)
    validate(document, schemas)
    found = import_talq(json.loads(json.dumps(document)))
    assert found.programs == site.programs and found.calendars == site.calendars


def parsed(tree: dict[str, Any]) -> tuple[dict[str, ControlProgram], dict[str, Calendar]]:
    return (
        {name: ControlProgram.model_validate(value) for name, value in tree["programs"].items()},
        {name: Calendar.model_validate(value) for name, value in tree["calendars"].items()},
    )


@given(sites())
def test_there_and_back(tmp_path_factory: pytest.TempPathFactory, tree: dict[str, Any]) -> None:
    """YAML to TALQ to YAML changes nothing: a town can leave and come back without losing a second of ramp."""
    folder = tmp_path_factory.mktemp("talq")
    given_programs, given_calendars = parsed(tree)
    file = folder / "talq.json"
    file.write_text(json.dumps(export_talq(given_programs, given_calendars), ensure_ascii=False), "utf-8")
    found: Imported = import_talq(read_talq(file))
    assert (found.programs, found.calendars) == (given_programs, given_calendars)
    assert list(found.programs) == list(given_programs)
    words = {
        "programs": {name: program_words(program) for name, program in found.programs.items()},
        "calendars": {name: calendar_words(calendar) for name, calendar in found.calendars.items()},
    }
    site = folder / "site.yaml"
    site.write_text(yaml_text(words), "utf-8")
    assert read_yaml(site) == words
    assert parsed(read_yaml(site)) == (given_programs, given_calendars)


@given(sites())
def test_valid_there(schemas: dict[str, Any], tree: dict[str, Any]) -> None:
    """Every program that we can write is valid by the published model, so that no other system refuses it."""
    validate(export_talq(*parsed(tree)), schemas)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.data())
def test_any_value_anywhere(data: st.DataObject) -> None:
    """Documents come from systems that we do not know: any value at any place is carried or refused, never a crash."""
    document = copy.deepcopy(OTHER_CMS)
    target: Any = document
    while True:
        keys = list(target) if isinstance(target, dict) else list(range(len(target)))
        if not keys:
            break
        key = data.draw(st.sampled_from(keys))
        if not isinstance(target[key], dict | list) or not target[key] or data.draw(st.integers(0, 3)) == 0:
            target[key] = data.draw(json_values)
            break
        target = target[key]
    try:
        found = import_talq(document, SENSORS)
    except TalqError as error:
        assert error.problems and all(problem.reason for problem in error.problems)
    else:
        assert import_talq(export_talq(found.programs, found.calendars)).programs == found.programs


def test_verbs(tmp_path: Path) -> None:
    """The commands an operator types: export, import with the meaning of foreign sensors, and a refusal."""
    out = tmp_path / "talq.json"
    result = runner.invoke(app, ["plan", "export", str(EXAMPLE), "--out", str(out), "--owner", "ville"])
    assert result.exit_code == 0, result.output
    document = json.loads(out.read_text("utf-8"))
    assert {one["ownerCMS"] for one in document["programs"] + document["calendars"]} == {"ville"}
    result = runner.invoke(app, ["plan", "export", str(EXAMPLE)])
    assert result.exit_code == 0 and json.loads(result.stdout)["programs"]
    part = tmp_path / "part.yaml"
    assert runner.invoke(app, ["plan", "import", str(out), "--out", str(part)]).exit_code == 0
    site = load_site(EXAMPLE)
    assert parsed(read_yaml(part)) == (site.programs, site.calendars)

    foreign = tmp_path / "foreign.json"
    foreign.write_text(json.dumps(OTHER_CMS), "utf-8")
    refused = runner.invoke(app, ["plan", "import", str(foreign), "--out", str(tmp_path / "none.yaml")])
    assert refused.exit_code == 2 and "--sensor" in refused.output
    assert not (tmp_path / "none.yaml").exists()
    options = [text for address, channel in SENSORS.items() for text in ("--sensor", f"{address}={channel}")]
    assert runner.invoke(app, ["plan", "import", str(foreign), *options]).exit_code == 0
    assert runner.invoke(app, ["plan", "import", str(foreign), "--sensor", "x=moon"]).exit_code == 2
    assert runner.invoke(app, ["plan", "import", str(tmp_path / "absent.json")]).exit_code == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["foreign.json", "part.yaml", "talq.json"]
