"""Site files: what a town's operator writes is read whole, and every mistake is named at once."""

from __future__ import annotations

import copy
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.control import plan_format as layout
from firmware.control.calendar_rules import Calendar as NodeCalendar
from firmware.control.civil import day_number
from firmware.control.controller import Config, Controller
from firmware.control.plan import Plan
from host_tools.plan.law import load_law
from host_tools.plan.problems import SiteError
from host_tools.plan.site import CATEGORIES, Site, load_site
from host_tools.plan.site_calendar import condition_date, date_text, rule_date
from host_tools.plan.site_text import yaml_text
from sim.lamp_replay import build_controller

EXAMPLE = Path(__file__).parents[2] / "examples" / "ville" / "site.yaml"

SMALL: dict[str, Any] = {
    "site": "Ville-Exemple",
    "zone": "Europe/Paris",
    "place": {"latitude": "43.6225 deg", "longitude": "1.463056 deg"},
    "dayOffset": "12 h",
    "luminaires": {
        "led64": {
            "power_curve": [{"level": "10 %", "power": "8.5 W"}, {"level": "100 %", "power": "64 W"}],
            "standby": "0.5 W",
        }
    },
    "programs": {
        name: {"activePeriods": [], "fixedTimeControls": [{"startTime": "00:00:00", "state": level}]}
        for name, level in (("all", "100 %"), ("half", "50 %"), ("low", "20 %"))
    },
    "calendars": {
        "year": {
            "defaultProgram": "all",
            "rules": [
                {"program": "low", "startDate": "2026-07-13", "endDate": "2026-07-14"},
                {"program": "half", "startDate": "--11-15", "endDate": "--02-15"},
            ],
        }
    },
    "limits": {"road": {"class": "P4", "guard": "40 %"}},
    "lamps": {
        "L001": {
            "calendar": "year",
            "luminaire": "led64",
            "category": "road",
            "limits": "road",
            "neighbours": {"L002": "1"},
        },
        "L002": {"calendar": "year", "luminaire": "led64", "category": "road", "neighbours": {"L001": "-1"}},
    },
    "groups": {"centre": ["L001", "L002"]},
}
DELETE = object()


def changed(*changes: tuple[str, Any]) -> dict[str, Any]:
    """A copy of the small site with values put in (or taken out) at dotted paths."""
    tree = copy.deepcopy(SMALL)
    for path, value in changes:
        at: Any = tree
        *keys, last = [int(key) if key.isdigit() else key for key in path.split("/")]
        for key in keys:
            at = at[key]
        if value is DELETE:
            del at[last]
        else:
            at[last] = value
    return tree


def load(tmp_path: Path, tree: dict[str, Any]) -> Site:
    file = tmp_path / "site.yaml"
    file.write_text(yaml_text(tree), "utf-8")
    return load_site(file)


def problems(tmp_path: Path, *changes: tuple[str, Any]) -> dict[str, str]:
    with pytest.raises(SiteError) as caught:
        load(tmp_path, changed(*changes))
    found = {problem.path: problem.reason for problem in caught.value.problems}
    assert len(found) == len(caught.value.problems), "two problems at one path"
    return found


def programs_of(site: Site, lamp: str, *days: date) -> list[str]:
    """What the node's own code makes of the calendar on some days."""
    plan = site.lamp_plan(lamp)
    node = NodeCalendar(Plan(site.plan_bytes(lamp)))
    found = [node.program_of(day_number(day.year, day.month, day.day)) for day in days]
    return ["" if program == layout.NO_PROGRAM else plan.names[program] for program in found]


def test_example_is_whole() -> None:
    """The shipped site is what operators copy: it loads without a warning and shows every feature once."""
    site = load_site(EXAMPLE)
    assert site.warnings == []
    periods = {type(period).__name__ for program in site.programs.values() for period in program.activePeriods}
    assert periods == {
        "AbsoluteActivePeriod", "AstroClockActivePeriod", "SensorActivePeriod", "AstroAndSensorActivePeriod",
        "ValueActivePeriod",
    }  # fmt: skip
    astro = {c.operation for p in site.programs.values() for c in p.astroClockTimeControls}
    dynamic = {(c.type, c.source) for p in site.programs.values() for c in p.dynamicControls}
    assert astro == {"Set", "Max", "Min", "Add", "Sub", "Mul"}
    assert dynamic == {
        ("FixedControlEffect", "presence"),
        ("FixedControlEffect", "neighbours"),
        ("FixedControlEffect", "external"),
        ("ExternalControlEffect", "external"),
    }
    assert {lamp.category for lamp in site.lamps.values()} >= {"road", "park", "heritage", "shop-window"}
    assert len(site.luminaires) >= 2 and site.groups


def test_example_calendar_meaning() -> None:
    """A wrong day is a dark feast: known days of 2026 have the program that the file's words say."""
    site = load_site(EXAMPLE)
    days = {
        date(2026, 7, 13): "feast",
        date(2026, 7, 15): "residential",
        date(2026, 11, 20): "main-road",  # a Friday after 15 November
        date(2026, 11, 19): "residential",
        date(2027, 1, 2): "main-road",  # a Saturday, over New Year
        date(2026, 5, 3): "main-road",  # the first Sunday
        date(2026, 5, 10): "residential",
        date(2026, 5, 31): "main-road",  # the last Sunday
        date(2026, 6, 1): "feast",
        date(2026, 12, 24): "feast",
        date(2029, 6, 11): "residential",
        date(2030, 6, 11): "main-road",
    }
    assert dict(zip(days, programs_of(site, "L003", *days), strict=True)) == days
    assert programs_of(site, "W001", date(2026, 7, 13)) == [""]


def test_small_site(tmp_path: Path) -> None:
    """What the node gets are integers in its own units, as the replay's record has them."""
    site = load(tmp_path, SMALL)
    assert (site.zone_name, site.day_offset_h, site.name) == ("Europe/Paris", 12, "Ville-Exemple")
    # POSIX rule of Europe/Paris, CET-1CEST,M3.5.0,M10.5.0/3, by hand.
    assert site.zone == (3600, 7200, 3, 5, 0, 7200, 10, 5, 0, 10800)
    config = site.lamp_config("L001")
    assert config["place"] == [43622500, 1463056]
    assert (config["levels"], config["powers"], config["standby"]) == ([100, 1000], [8500, 64000], 500)
    assert config["start"] == 1000 and set(config) == {
        "zone", "place", "levels", "powers", "standby", "start", "config",
    }  # fmt: skip
    own = config["config"]
    # On the air a pole is counted from 1: 0 is nobody.
    assert (own["own_id"], own["neighbours"]) == (1, [[2, 1]])
    assert (own["guard_permille"], own["is_derogated"], own["quiet_ms"]) == (400, False, 10000)
    plan = site.lamp_plan("L001")
    assert list(plan.names) == ["all", "half", "low"] and plan.default_program == 0
    assert (plan.default_level_permille, plan.default_ramp_ds, plan.failsafe_level_permille) == (1000, 20, 1000)
    record = {**config, "plan": site.plan_bytes("L001").hex()}
    assert isinstance(build_controller(record), Controller)


def test_every_config_is_integers() -> None:
    """The control core computes with integers only: nothing else may reach a node."""

    def check(value: Any) -> None:
        if isinstance(value, dict):
            assert all(isinstance(key, str) for key in value)
            value = list(value.values())
        if isinstance(value, list):
            for entry in value:
                check(entry)
        elif value is not None and type(value) is not bool:
            assert type(value) is int and -(2**30) <= value < 2**30

    site = load_site(EXAMPLE)
    for lamp in site.lamps:
        config = site.lamp_config(lamp)
        check(config)
        core = Config(config["zone"], *config["place"], *(config[n] for n in ("levels", "powers", "standby", "start")))
        given = {"zone", "latitude_udeg", "longitude_udeg", "levels_permille", "powers_mw", "standby_mw"}
        assert set(config["config"]) == set(vars(core)) - given - {"start_level_permille"}
        for name, value in config["config"].items():
            setattr(core, name, value)
        Controller(core, Plan(site.plan_bytes(lamp)))


def test_a_lamp_reaches_the_core_whole() -> None:
    """A limit lost between the file and the node is a dark road: by hand, every integer of the lamp that has all."""
    assert load_site(EXAMPLE).lamp_config("L003")["config"] == {
        "guard_permille": 200, "is_derogated": True, "driver_minimum_permille": 100,
        "derating": [700, 850, 300, 950, 50], "quiet_ms": 10_000, "flux_hours": [0, 50_000, 100_000],
        "flux_needs_permille": [850, 930, 1000], "maximum_permille": 950, "relay": [60_000, 30_000, 10_000],
        "own_id": 3, "neighbours": [[2, -1], [4, 1], [5, 3]], "hop_limit": 2, "reach": 2, "bubble_hold_ms": 30_000,
        "bubble_period_ms": 2000, "bubble_repeat_ms": 15_000, "is_light_ahead": False, "volume_one_per_h": 60,
        "volume_two_per_h": 30, "volume_one_permille": 700, "volume_two_permille": 500, "rises_per_day": 300,
        "has_photocell": True, "is_feeder_switched": False, "dim_permille": 500,
        "baselines": [82_800, 18_000, 500, 82_800, 18_000],
        "meter_limits": [100, 1000, 4480, 48_000, 12_600, 83_000, 500, 500, 1500, 2070, 2530, 500, 20, 600],
    }  # fmt: skip


def test_what_is_not_given_changes_nothing() -> None:
    """A lamp of which the file says little must behave as the core's own defaults have it."""
    site = load_site(EXAMPLE)
    core = vars(Config((0,) * 10, 0, 0, [1000], [1], 0))
    found = {name: tuple(value) if isinstance(value, list) else value
             for name, value in site.lamp_config("W001")["config"].items()}  # fmt: skip
    # A share of the volume that is not used stands for nothing.
    assert {name: value for name, value in found.items() if core[name] != value} == {
        "own_id": 10, "volume_one_permille": 1000, "volume_two_permille": 1000,
    }  # fmt: skip


def test_only_the_programs_of_the_calendar(tmp_path: Path) -> None:
    """A node has little room: its plan holds what its calendar names, in the site's order."""
    calendar = {"defaultProgram": "low", "rules": [{"program": "all", "endDate": "--06-30"}]}
    site = load(tmp_path, changed(("calendars/few", calendar), ("lamps/L002/calendar", "few")))
    plan = site.lamp_plan("L002")
    assert list(plan.names) == ["all", "low"] and plan.default_program == 1
    assert programs_of(site, "L002", date(2026, 6, 30), date(2026, 7, 1)) == ["all", "low"]


def test_without_calendar_or_default(tmp_path: Path) -> None:
    """TALQ lets both be absent: then the default light state holds, and the lamp stays lit."""
    site = load(tmp_path, changed(("lamps/L001/calendar", DELETE), ("calendars/year/defaultProgram", DELETE)))
    assert site.lamp_plan("L001").default_program == layout.NO_PROGRAM
    assert programs_of(site, "L002", date(2026, 7, 13), date(2026, 6, 1)) == ["low", ""]


def test_warnings(tmp_path: Path) -> None:
    """What nobody uses is often a misspelt name elsewhere: it is pointed out, and the site still works."""
    site = load(
        tmp_path,
        changed(
            ("programs/spare", SMALL["programs"]["all"]),
            ("calendars/spare", {"defaultProgram": "all"}),
            ("luminaires/spare", SMALL["luminaires"]["led64"]),
            ("limits/spare", {}),
            ("lamps/L002/neighbours", {}),
        ),
    )
    assert [problem.path for problem in site.warnings] == [
        "calendars.spare", "luminaires.spare", "limits.spare", "programs.spare", "lamps.L001.neighbours.L002",
    ]  # fmt: skip


CONDITION, CONDITION_AT = "calendars/year/rules/1/condition", "calendars.year.rules[1].condition"
PERIODS = "programs/all/activePeriods"
THERMAL = {"start": "70 °C", "full": "80 °C", "floor": "30 %", "shutdown": "90 °C", "hysteresis": "5 °C"}
DOWN = {"two_classes_down": {"below": "30 per h", "share": "50 %"}}
POINT = {"level": "10 %", "power_low": "4.48 W", "power_high": "12.6 W", "power_factor": "50 %"}
METER: dict[str, Any] = {
    "least": POINT,
    "most": POINT | {"level": "100 %", "power_low": "48 W", "power_high": "83 W"},
    "unlit_power": "1.5 W",
    "supply": {"lost": "50 V", "low": "207 V", "high": "253 V"},
    "current": {"low": "20 mA", "high": "600 mA"},
}
WRONG: list[tuple[str, Any, str, str]] = [
    # value put at a path, then: where the problem is reported, and what it says
    ("colour", "red", "colour", "not known"),
    ("lamps/L001/colour", "red", "lamps.L001.colour", "not known"),
    ("dayOffset", "6 h", "dayOffset", "0 h"),
    ("dayOffset", "12", "dayOffset", "no unit"),
    ("dayOffset", DELETE, "dayOffset", "missing"),
    ("zone", "Europe/Pari", "zone", "Europe/Paris"),
    ("place", {"latitude": "91 deg", "longitude": "0 deg"}, "place.latitude", "out of range"),
    ("lamps/L001/calendar", "yaer", "lamps.L001.calendar", "did you mean year?"),
    ("lamps/L001/luminaire", "led46", "lamps.L001.luminaire", "did you mean led64?"),
    ("lamps/L001/limits", "raod", "lamps.L001.limits", "did you mean road?"),
    ("lamps/L001/neighbours", {"L003": "1"}, "lamps.L001.neighbours.L003", "did you mean"),
    ("lamps/L001/neighbours", {"L001": "1"}, "lamps.L001.neighbours.L001", "own neighbour"),
    ("lamps/L001/neighbours", {"L002": "0"}, "lamps.L001.neighbours.L002", "poles"),
    ("lamps/L001/category", "raod", "lamps.L001.category", "did you mean road?"),
    ("lamps/L001/failSafe", "0 %", "lamps.L001.failSafe", "dark"),
    ("lamps/L001/latitude", "43 deg", "lamps.L001", "belong together"),
    ("lamps", {}, "lamps", "at least 1"),
    ("lamps/L1:2", SMALL["lamps"]["L002"], "lamps.L1:2", "names its files"),
    ("lamps/manifest", SMALL["lamps"]["L002"], "lamps.manifest", "names its files"),
    ("lamps/l001", SMALL["lamps"]["L002"], "lamps.l001", "in case only"),
    ("groups/centre", ["L001", "L009"], "groups.centre[1]", "no lamp"),
    ("groups/centre", ["L001", "L001"], "groups.centre[1]", "twice"),
    ("calendars/year/defaultProgram", "al", "calendars.year.defaultProgram", "did you mean all"),
    ("calendars/year/rules/1/program", "haf", "calendars.year.rules[1].program", "did you mean half?"),
    ("calendars/year/rules/0/endDate", "2026-07-12", "calendars.year.rules[0]", "lies before"),
    ("calendars/year/rules/0/endDate", "--07-14", "calendars.year.rules[0]", "give both a year"),
    ("calendars/year/rules/0/endDate", "2027-02-29", "calendars.year.rules[0].endDate", "does not exist"),
    ("calendars/year/rules/1/startDate", "--02-30", "calendars.year.rules[1].startDate", "does not exist"),
    ("calendars/year/rules/1/startDate", "15/11", "calendars.year.rules[1].startDate", "write it like"),
    ("calendars/year/rules/1/startDate", "---11", "calendars.year.rules[1].startDate", "write it like"),
    (CONDITION, {"type": "ccWeek"}, CONDITION_AT + ".type", "'ccWeek' is not known: write one of 'ccDate'"),
    (CONDITION, {"dates": []}, CONDITION_AT, "needs a type: one of 'ccDate'"),
    (CONDITION, {"type": "ccDay", "days": []}, CONDITION_AT + ".days", "1"),
    *(
        (CONDITION, {"type": "ccDay", **part}, CONDITION_AT + at, reason)
        for part, at, reason in (
            ({"days": [{"start": "5", "end": "5"}]}, ".days[0]", "after start"),
            ({"days": [{"start": "6", "end": "1"}]}, ".days[0]", "after start"),
            ({"days": [{"start": "8"}]}, ".days[0].start", "weekday"),
            ({"days": [{"start": "1"}], "occurrences": ["0"]}, ".occurrences[0]", "1 to 5"),
            ({"days": [{"start": "1"}], "occurrences": ["1", "1"]}, "", "twice"),
            ({"days": [{"start": "1"}], "occurrences": list("12345L")}, ".occurrences", "at most 5"),
        )
    ),
    *(
        (CONDITION, {"type": "ccDate", "dates": [part]}, CONDITION_AT + ".dates[0]" + at, reason)
        for part, at, reason in (
            ({"start": "---32"}, ".start", "does not exist"),
            ({"start": "---00"}, ".start", "does not exist"),
            ({"start": "--04-31"}, ".start", "does not exist"),
            ({"start": "--00-10"}, ".start", "does not exist"),
            ({"start": "--13-10"}, ".start", "does not exist"),
            ({"start": "2026-01-01"}, ".start", "write it like"),
            ({"start": "---01", "end": "--01-02"}, "", "in form"),
            ({"start": "---20", "end": "---10"}, "", "after start"),
            ({"start": "--12-24", "end": "--01-02"}, "", "--12-31"),
        )
    ),
    ("calendars/year/rules", [{"program": "all"}] * 33, "calendars.year.rules", "at most 32"),
    ("limits/road/guard", "40", "limits.road.guard", "no unit"),
    ("limits/road/gard", "40 %", "limits.road.gard", "not known"),
    ("limits/road", {"driver_minimum": "40 %", "virtual_power_output": "30 %"}, "limits.road", "minimum lies above"),
    ("limits/road/virtual_power_output", "9 %", "limits.road", "below 10 %"),
    (
        "limits/road/constant_light_output",
        [{"hours": f"{i} kh", "output": "80 %"} for i in range(9)],
        "limits.road.constant_light_output",
        "at most 8",
    ),
    ("lamps/L001/neighbours", {f"L{i:03}": "1" for i in range(2, 11)}, "lamps.L001.neighbours", "at most 8"),
    ("lamps/L001/presence", "walk", "lamps.L001.presence", "there is no set of presence 'walk'"),
    ("lamps/L001/meter", "big", "lamps.L001.meter", "there is no meter 'big'"),
    *(
        ("presence", {"walk": part}, f"presence.walk{at}", reason)
        for part, at, reason in (
            ({"reach": "9"}, ".reach", "1 to 8"),
            ({"hops": "0"}, ".hops", "1 to 5"),
            ({"hold": "20"}, ".hold", "no unit"),
            ({"hold": "0 s"}, "", "1 s to 10 min"),
            ({"hold": "10 s", "repeat": "10 s"}, "", "shorter than hold"),
            ({"period": "2 min"}, "", "0 s to 60 s"),
            ({"light_ahead": "maybe"}, ".light_ahead", "yes nor no"),
            ({"rises_per_day": "0"}, ".rises_per_day", "1 to 65535"),
            (
                {"volume": DOWN | {"one_class_down": {"below": "20", "share": "70 %"}}},
                ".volume.one_class_down.below",
                "no unit",
            ),
            ({"volume": DOWN | {"one_class_down": {"below": "20 per h", "share": "70 %"}}}, ".volume", "not lie above"),
        )
    ),
    ("night_without_clock", {"n": {"dim": "101 %"}}, "night_without_clock.n.dim", "out of range"),
    *(
        ("meter", {"m": METER | part}, f"meter.m{at}", reason)
        for part, at, reason in (
            ({"least": METER["most"]}, "", "does not lie below"),
            ({"supply": {"lost": "230 V", "low": "207 V", "high": "253 V"}}, ".supply", "ascend"),
            ({"current": {"low": "20", "high": "600 mA"}}, ".current.low", "no unit"),
            ({"most": METER["most"] | {"power_high": "40 W"}}, ".most", "exchange"),
            ({"unlit_power": "1 kW"}, ".unlit_power", "unit"),
        )
    ),
    (
        "baselines",
        {"b": {"fixed_dimming": {"from": "23:00", "to": "23:00", "level": "50 %"}, "extinction": {"from": "23:00"}}},
        "baselines.b.extinction.to",
        "missing",
    ),
    ("limits/road/quiet", "1 s", "limits.road.quiet", "10 s to 10 min"),
    ("limits/road/relay", {"min_on": "2 h"}, "limits.road.relay.min_on", "0 s to 1 h"),
    ("limits/road/constant_light_output", [{"hours": "10 h", "output": "80 %"}], "limits.road", "begin at 0 h"),
    (
        "limits/road/constant_light_output",
        [{"hours": "0 h", "output": "80 %"}, {"hours": "0 h", "output": "90 %"}],
        "limits.road",
        "ascend",
    ),
    *(
        ("limits/road/thermal", THERMAL | part, f"limits.road.thermal{at}", reason)
        for part, at, reason in (
            ({"full": "70 °C"}, "", "ascend"),
            ({"shutdown": "200 °C"}, ".shutdown", "out of range"),
            ({"hysteresis": "25 °C"}, "", "hysteresis"),
            ({"hysteresis": "0 °C"}, ".hysteresis", "1 °C to 30 °C"),
            ({"floor": "0 %"}, ".floor", "dark"),
            ({"floor": "9 %"}, "", "below 10 %"),
            ({"start": "70 K"}, ".start", "unit"),
        )
    ),
    ("luminaires/led64/power_curve", [{"level": "50 %", "power": "20 W"}], "luminaires.led64", "100 %"),
    ("luminaires/led64/standby", "9 W", "luminaires.led64", "not fall"),
    ("programs/all/fixedTimeControls", [], "programs.all.fixedTimeControls", "at least 1"),
    (
        PERIODS,
        [{"name": "Moon"}],
        PERIODS.replace("/", ".") + "[0].name",
        "'Moon' is not known: write one of 'Absolute",
    ),
    (
        PERIODS,
        [{"name": "AbsoluteActivePeriod", "startTime": "25:00", "endTime": "06:00"}],
        "programs.all.activePeriods[0].startTime",
        "time of day",
    ),
    (
        PERIODS,
        [{"name": "ValueActivePeriod", "reference": "lux", "operator": "LT", "value": "40 %"}],
        "programs.all.activePeriods[0].value",
        "35 lx",
    ),
    (
        "programs/all/fixedTimeControls",
        [{"startTime": f"{i // 60:02}:{i % 60:02}", "state": "1 %"} for i in range(49)],
        "programs.all.fixedTimeControls",
        "at most 48",
    ),
]


@pytest.mark.parametrize(("path", "value", "at", "reason"), WRONG)
def test_wrong_files(tmp_path: Path, path: str, value: Any, at: str, reason: str) -> None:
    """Bad input is refused with its place, its reason and the remedy, and with nothing else."""
    found = problems(tmp_path, (path, value))
    assert at in found, found
    assert reason in found[at]


def test_one_mistake_one_problem(tmp_path: Path) -> None:
    """A mistake reported five times hides the second one: simple ones are reported once."""
    for path, value in (("dayOffset", "6 h"), ("lamps/L001/calendar", "yaer"), ("colour", "red")):
        assert len(problems(tmp_path, (path, value))) == 1


def test_all_problems_at_once(tmp_path: Path) -> None:
    """An installer without signal cannot try ten times: one wrong value hides no wrong name elsewhere."""
    found = problems(
        tmp_path,
        ("zone", "Mars/Olympus"),
        ("dayOffset", "6 h"),
        ("lamps/L001/luminaire", "nothing"),
        ("calendars/year/rules/1/program", "nothing"),
        ("calendars/year/rules/0/startDate", "2026-02-30"),
        ("groups/centre", ["nobody"]),
    )
    assert set(found) == {
        "zone", "dayOffset", "lamps.L001.luminaire", "calendars.year.rules[1].program",
        "calendars.year.rules[0].startDate", "groups.centre[0]",
    }  # fmt: skip


def test_too_many_programs(tmp_path: Path) -> None:
    """What does not fit into a node must be known in the office: 17 programs are one too many."""
    rules = [{"program": f"p{i}"} for i in range(layout.PROGRAMS_MAX)]
    changes = [(f"programs/p{i}", SMALL["programs"]["all"]) for i in range(layout.PROGRAMS_MAX)]
    found = problems(tmp_path, *changes, ("calendars/year/rules", rules))
    assert "uses 17 programs" in found["calendars.year"] and "L001" in found["calendars.year"]


def test_plan_too_large(tmp_path: Path) -> None:
    """A plan over the node's 8192 bytes is refused by name: which lamp, which program is the largest."""
    controls = [{"startTime": f"{i // 2:02}:{i % 2 * 30:02}", "state": "1 %"} for i in range(48)]
    astro = [{"solarEventType": "sunset", "offset": f"{i} min", "operation": "Set", "state": "1 %"} for i in range(8)]
    large = {"activePeriods": [], "fixedTimeControls": controls, "astroClockTimeControls": astro}
    changes = [(f"programs/p{i}", large) for i in range(15)]
    dates = {"type": "ccDate", "dates": [{"start": f"---{i + 1:02}"} for i in range(16)]}
    rules = [{"program": f"p{i % 15}", "condition": dates} for i in range(32)]
    found = problems(tmp_path, *changes, ("calendars/year/rules", rules))
    assert "8192" in found["calendars.year"] and "'p" in found["calendars.year"] and "L001" in found["calendars.year"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("lamps:\n  L1: {}\n  L1: {}\n", "stands twice"),
        ("a: &x {}\nb: *x\n", "aliases"),
        ("lamps: [\n", "line"),
        ("", "is empty: a site file is made of keys: site, zone"),
        ("- 1\n", "is a list: a site file is made of keys"),
        ("hello\n", "is a single value: a site file is made of keys"),
    ],
)
def test_no_site_at_all(tmp_path: Path, text: str, reason: str) -> None:
    """A double lamp would silently replace the first: the file itself is refused, with the line."""
    file = tmp_path / "site.yaml"
    file.write_text(text)
    with pytest.raises(SiteError) as caught:
        load_site(file)
    assert reason in str(caught.value.problems[0])


def test_missing_file(tmp_path: Path) -> None:
    """A wrong path is the commonest mistake of all."""
    with pytest.raises(SiteError) as caught:
        load_site(tmp_path / "none.yaml")
    assert "cannot be read" in caught.value.problems[0].reason


def test_whole_year_with_one_year_given(tmp_path: Path) -> None:
    """Other systems write TALQ's defaults out: 2026-03-01 to --12-31 is simply from that day on."""
    rules = [
        {"program": "low", "startDate": "2026-03-01", "endDate": "--12-31"},
        {"program": "half", "startDate": "--01-01", "endDate": "2026-01-31"},
    ]
    site = load(tmp_path, changed(("calendars/year/rules", rules)))
    days = (date(2025, 6, 1), date(2026, 1, 31), date(2026, 2, 1), date(2026, 3, 1), date(2031, 1, 1))
    assert programs_of(site, "L001", *days) == ["half", "half", "all", "low", "low"]


def test_leap_day(tmp_path: Path) -> None:
    """29 February exists every fourth year only; a file may still name it."""
    condition = {"type": "ccDate", "dates": [{"start": "--02-29"}]}
    site = load(tmp_path, changed(("calendars/year/rules", [{"program": "low", "condition": condition}])))
    days = (date(2027, 2, 28), date(2027, 3, 1), date(2028, 2, 29))
    assert programs_of(site, "L001", *days) == ["all", "all", "low"]


@given(
    st.lists(
        st.tuples(st.integers(1, 7), st.integers(0, 6)).map(lambda pair: (pair[0], min(7, pair[0] + pair[1]))),
        min_size=1,
        max_size=7,
    ),
    st.lists(st.sampled_from("12345L"), unique=True, max_size=5),
    st.dates(date(2024, 1, 1), date(2034, 1, 1)),
)
def test_weekdays_against_the_library(
    tmp_path_factory: pytest.TempPathFactory, ranges: list[tuple[int, int]], occurrences: list[str], day: date
) -> None:
    """Whether a market day is lit must not hang on our own arithmetic: the standard library's dates decide."""
    days = [{"start": str(a)} | ({"end": str(b)} if b > a else {}) for a, b in ranges]
    condition = {"type": "ccDay", "days": days, "occurrences": occurrences}
    tree = changed(("calendars/year/rules", [{"program": "low", "condition": condition}]))
    site = load(tmp_path_factory.mktemp("site"), tree)
    wanted = any(a <= day.isoweekday() <= b for a, b in ranges)
    is_last = (day + timedelta(days=7)).month != day.month
    if occurrences:
        wanted = wanted and (str((day.day + 6) // 7) in occurrences or ("L" in occurrences and is_last))
    assert programs_of(site, "L001", day) == ["low" if wanted else "all"]


@given(st.dates(date(1900, 1, 1), date(9999, 12, 31)))
def test_dates_keep_their_text(day: date) -> None:
    """What is written out again must be what was read."""
    assert date_text(rule_date(day.isoformat())) == day.isoformat()
    assert date_text(rule_date(f"--{day:%m-%d}")) == f"--{day:%m-%d}"
    assert date_text(condition_date(f"---{day:%d}")) == f"---{day:%d}"


@given(st.text(max_size=12))
def test_any_text_as_a_date(text: str) -> None:
    """A file is written by hand: whatever stands there, it is a date or a ValueError, never a crash."""
    for read in (rule_date, condition_date):
        try:
            assert date_text(read(text)) == text
        except ValueError:
            continue


def test_categories_of_the_law() -> None:
    """A category that the law's data does not know would escape it: every one offered is one it answers for."""
    law = load_law()
    assert set(CATEGORIES) == {*law.categories, *law.notCovered}


@pytest.mark.parametrize("zone", ["Africa/Casablanca", "Atlantic/Reykjavik", "America/Martinique"])
def test_zones(tmp_path: Path, zone: str) -> None:
    """Zones without summer time compile; one that changes by decree every year is refused with its reason."""
    try:
        site = load(tmp_path, changed(("zone", zone)))
    except SiteError as error:
        assert zone == "Africa/Casablanca"
        assert [problem.path for problem in error.problems] == ["zone"]
    else:
        assert site.zone[2] == 0
