"""Before a plan is pushed people must see what it changes in the street, lamp by lamp and in words."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from host_tools.cli import app
from host_tools.plan.diff import Difference, diff_sites
from host_tools.plan.site import Site, load_site
from host_tools.plan.site_text import yaml_text
from host_tools.plan.yaml_text import read_yaml

EXAMPLE = Path(__file__).parents[2] / "examples" / "ville" / "site.yaml"
TREE: dict[str, Any] = read_yaml(EXAMPLE)
DELETE = object()

runner = CliRunner()


def load(folder: Path, *changes: tuple[str, Any], tree: dict[str, Any] = TREE) -> Site:
    tree = copy.deepcopy(tree)
    for path, value in changes:
        at: Any = tree
        *keys, last = [int(key) if key.isdigit() else key for key in path.split("/")]
        for key in keys:
            at = at[key]
        if value is DELETE:
            del at[last]
        else:
            at[last] = value
    file = folder / f"site{len(list(folder.iterdir()))}.yaml"
    file.write_text(yaml_text(tree), "utf-8")
    return load_site(file)


def diff(folder: Path, *changes: tuple[str, Any]) -> Difference:
    return diff_sites(load(folder), load(folder, *changes))


def test_same(tmp_path: Path) -> None:
    """No change must say so: a comment or other quotes in the file alarm nobody."""
    assert not diff_sites(load_site(EXAMPLE), load(tmp_path))


def test_level_in_words(tmp_path: Path) -> None:
    """The commonest change: one level of one program, for the lamps that have it and no others."""
    found = diff(tmp_path, ("programs/residential/fixedTimeControls/3/state", "30 %"))
    assert found.site == []
    assert found.grouped() == [
        (["L003", "L004", "P001"], ["program residential: fixed time control 23:30: 40 % → 30 %"])
    ]


CHANGES: list[tuple[list[tuple[str, Any]], str, list[str]]] = [
    (
        [("programs/residential/fixedTimeControls/3/rampToLevelTime", DELETE)],
        "L003",
        ["program residential: fixed time control 23:30: rampToLevelTime 60 s → none"],
    ),
    (
        [("programs/residential/fixedTimeControls/3/startTime", "23:45:30")],
        "L003",
        [
            "program residential: fixed time control 23:30 removed: state 40 %, rampToLevelTime 60 s",
            "program residential: fixed time control 23:45:30 added: state 40 %, rampToLevelTime 60 s",
        ],
    ),
    (
        [("programs/residential/activePeriods/0/sunsetOffset", "-5 min")],
        "L003",
        ["program residential: active period 1: sunsetOffset 10 min → -5 min"],
    ),
    (
        [("programs/residential/dynamicControls/1", DELETE)],
        "L003",
        [
            "program residential: dynamic control 2 removed: type FixedControlEffect, source neighbours, "
            "operation Max, state 60 %, holdTime 30 s, rampToLevelTime 2 s, rampFromLevelTime 10 s"
        ],
    ),
    (
        [("programs/heritage/astroClockTimeControls/1/operation", "Max")],
        "H001",
        ["program heritage: astro clock time control 2: operation Min → Max"],
    ),
    (
        [("calendars/year/rules/0", DELETE)],
        "P001",
        ["calendar year: rule 1 removed: program feast, startDate 2026-07-13, endDate 2026-07-14"],
    ),
    (
        [("calendars/year/rules/2/condition/occurrences", ["2"])],
        "P001",
        [
            "calendar year: rule 3: condition (type ccDay, days [(start 7)], occurrences [1, L]) → "
            "(type ccDay, days [(start 7)], occurrences [2])"
        ],
    ),
    (
        [("calendars/main/defaultProgram", "feast")],
        "L001",
        [
            "calendar main: defaultProgram main-road → feast",
            "program main-road is used no more",
            "program feast is used from now on",
        ],
    ),
    (
        [("lamps/W001/calendar", "main")],
        "W001",
        [
            "calendar: none → main",
            "calendar main: defaultProgram none → main-road",
            "program main-road is used from now on",
        ],
    ),
    ([("lamps/L001/failSafe", "70 %")], "L001", ["failSafe: 100 % → 70 %"]),
    ([("lamps/S001/activity/end", DELETE)], "S001", ["activity: 09:00 to 19:30 → 09:00 to ?"]),
    ([("lamps/L001/category", "path")], "L001", ["category: road → path"]),
    ([("lamps/L002/neighbours/L003", "2")], "L002", ["neighbours: L001 -1, L003 +1 → L001 -1, L003 +2"]),
    ([("lamps/L002/latitude", "43.7 deg")], "L002", ["place: 43.622744 1.463305 deg → 43.700000 1.463305 deg"]),
    (
        [("luminaires/led64/standby", "0.4 W")],
        "L001",
        [
            "luminaire led64: (standby 0.5 W, 10 % 8.5 W, 75 % 44.93 W, 100 % 64 W) → "
            "(standby 0.4 W, 10 % 8.5 W, 75 % 44.93 W, 100 % 64 W)"
        ],
    ),
    ([("limits/road/guard", "25 %")], "L001", ["limits road: guard 20 % → 25 %"]),
    (
        [("limits/road/thermal", DELETE)],
        "L001",
        ["limits road: thermal (start 70 °C, full 85 °C, floor 30 %, shutdown 95 °C, hysteresis 5 °C) → none"],
    ),
    ([("limits/road/quiet", "20 s")], "L001", ["limits road: quiet 10 s → 20 s"]),
    ([("presence/street/hold", "40 s")], "L003", ["presence street: hold 30 s → 40 s"]),
    ([("presence/street/light_ahead", "yes")], "L003", ["presence street: light_ahead no → yes"]),
    (
        [("presence/street/volume", DELETE)],
        "L003",
        [
            "presence street: volume (one_class_down (below 60 per h, share 70 %), two_classes_down (below 30 per h, "
            "share 50 %)) → none"
        ],
    ),
    (
        [("lamps/L003/night_without_clock", DELETE)],
        "L003",
        [
            "night_without_clock: cell → none",
            "night_without_clock none: photocell yes → no",
            "night_without_clock none: dim 50 % → 0 %",
        ],
    ),
    (
        [("meter/fleet64/current/low", "30 mA")],
        "L003",
        ["meter fleet64: current (low 20 mA, high 600 mA) → (low 30 mA, high 600 mA)"],
    ),
    ([("lamps/L003/meter", DELETE)], "L003", ["meter: fleet64 → none"]),
    (
        [("baselines/town/extinction/from", "00:00")],
        "L003",
        ["baselines town: extinction (from 23:00, to 05:00) → (from 00:00, to 05:00)"],
    ),
    ([("zone", "Europe/Madrid")], "W001", ["zone: Europe/Paris → Europe/Madrid"]),
    ([("dayOffset", "0 h")], "W001", ["dayOffset: 12 h → 0 h"]),
    ([("lamps/N001", TREE["lamps"]["W001"])], "N001", ["added"]),
    ([("lamps/W001", DELETE)], "W001", ["removed"]),
]


@pytest.mark.parametrize(("changes", "lamp", "words"), CHANGES)
def test_each_change_in_words(tmp_path: Path, changes: list[tuple[str, Any]], lamp: str, words: list[str]) -> None:
    """Every part of a site that can change has its words, and they name old and new."""
    assert diff(tmp_path, *changes).lamps[lamp] == words


def test_groups(tmp_path: Path) -> None:
    """Groups are what commands are sent to: who joins and who leaves is said, though no lamp's plan changes."""
    found = diff(tmp_path, ("groups/facades", ["H001", "K001"]), ("groups/all", ["L001"]))
    assert found.site == ["group facades: with K001, without S001", "group all added"]
    assert found.lamps == {}


def test_order_of_programs(tmp_path: Path) -> None:
    """Other bytes go to the node though the light is the same: that is said, not hidden."""
    programs = dict(reversed(TREE["programs"].items()))
    found = diff(tmp_path, ("programs", programs))
    assert found.lamps["L003"] == ["the same programs in another order: other bytes, the same light"]
    assert "L001" not in found.lamps


def places(tree: Any, path: str = "") -> list[str]:
    """The path of every value in a tree."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    found = [path] if path else []
    for key, value in pairs:
        found += places(value, f"{path}/{key}" if path else str(key))
    return found


@given(st.sampled_from(sorted(places(TREE))), st.sampled_from(["5 %", "15 min", "3 s", "01:02:03", "feast", "2"]))
def test_bytes_never_change_in_silence(tmp_path_factory: pytest.TempPathFactory, place: str, value: str) -> None:
    """If a node gets other bytes or settings, its lamp is in the list; if none does and no group, nothing is."""
    folder = tmp_path_factory.mktemp("diff")
    old = load(folder)
    for change in (value, DELETE):
        try:
            new = load(folder, (place, change))
        except ValueError:
            continue
        found = diff_sites(old, new)
        for lamp in new.lamps:
            same = lamp in old.lamps and (
                old.plan_bytes(lamp) == new.plan_bytes(lamp) and old.lamp_config(lamp) == new.lamp_config(lamp)
            )
            assert same or found.lamps[lamp]
        assert all(lamp in found.lamps for lamp in old.lamps if lamp not in new.lamps)
        back = diff_sites(new, old)
        assert set(back.lamps) == set(found.lamps) and bool(back.site) == bool(found.site)


def test_verb(tmp_path: Path) -> None:
    """Scripts look at the exit code: 0 the same, 1 different, 2 a wrong file, and both files' faults are shown."""
    changed = tmp_path / "new.yaml"
    changed.write_text(EXAMPLE.read_text("utf-8").replace("40 %, rampTo", "30 %, rampTo"), "utf-8")
    same = runner.invoke(app, ["plan", "diff", str(EXAMPLE), str(EXAMPLE)])
    assert (same.exit_code, same.stdout) == (0, "no change\n")
    different = runner.invoke(app, ["plan", "diff", str(EXAMPLE), str(changed)])
    assert different.exit_code == 1
    assert different.stdout == (
        "L003, L004, P001 (3 lamps):\n  program residential: fixed time control 23:30: 40 % → 30 %\n"
    )
    wrong = runner.invoke(app, ["plan", "diff", str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml")])
    assert wrong.exit_code == 2 and "a.yaml" in wrong.output and "b.yaml" in wrong.output
