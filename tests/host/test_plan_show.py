"""`plan show` and `plan explain`: one lamp's night as a table, as stable JSON, as a picture, and in words."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from firmware.control.ticks import TICKS_MAX
from host_tools.plan.night_plot import hour_ticks
from host_tools.plan.play import LampPlay, night_span, play_points, run_to, start_of
from host_tools.plan.site import load_site
from host_tools.plan.zones import zone_info
from host_tools.verbs.plan_show import explain, instant, show

PARIS = zone_info("Europe/Paris")
SITE = """
site: Ville-Exemple
zone: Europe/Paris
place: {latitude: 43.6225 deg, longitude: 1.463056 deg}
dayOffset: 12 h
luminaires:
  led: {power_curve: [{level: 100 %, power: 64 W}], standby: 0.5 W}
programs:
  residential:
    activePeriods: [{name: AstroClockActivePeriod, sunsetOffset: 10 min, sunriseOffset: -10 min}]
    fixedTimeControls:
      - {startTime: 05:00, state: 100 %, rampToLevelTime: 30 s}
      - {startTime: 23:00, state: 20 %, rampToLevelTime: 60 s}
    dynamicControls: [{operation: Max, state: 100 %, holdTime: 45 s, rampToLevelTime: 1 s, rampFromLevelTime: 5 s}]
calendars:
  year: {defaultProgram: residential}
lamps:
  L001: {calendar: year, luminaire: led, category: road}
  L002: {luminaire: led, category: road}
"""
EVENTS = """utc,kind,value
2026-06-21T21:30:00Z,presence,1
2026-06-21T21:30:20Z,presence,0
2026-06-21T23:00:00Z,override,{"state": 80, "expiration": "2026-06-21T23:20:00Z", "rampToLevelTime": 3}
2026-06-22T00:00:00Z,temperature,70
"""


@pytest.fixture
def site(tmp_path):
    """A site's file."""
    file = tmp_path / "site.yaml"
    file.write_text(SITE, encoding="utf-8")
    (tmp_path / "events.csv").write_text(EVENTS, encoding="utf-8")
    return file


def run(*args: object):
    """Run the verbs."""
    app = typer.Typer()
    app.command()(show)
    app.command()(explain)
    return CliRunner().invoke(app, [str(arg) for arg in args], env={"COLUMNS": "160"})


def test_the_json_is_stable_and_complete(site):
    """Other tools read this: its keys and their order are a promise, and every decision of the night is in it."""
    result = run("show", site, "L001", "--night", "2026-06-21", "--events", site.parent / "events.csv", "--json")
    assert result.exit_code == 0
    tree = json.loads(result.output)
    assert (tree["node"], tree["night"], tree["zone"]) == ("L001", "2026-06-21", "Europe/Paris")
    assert list(tree) == ["node", "night", "zone", "points", "derogation"] and tree["derogation"] is None
    assert {tuple(point) for point in tree["points"]} == {
        ("utc", "local", "level_permille", "ramp_ms", "reason", "by", "until")
    }
    assert tree["points"][3] == {
        "utc": "2026-06-21T21:30:00Z",
        "local": "2026-06-21T23:30:00+02:00",
        "level_permille": 1000,
        "ramp_ms": 1000,
        "reason": "sensor",
        "by": "residential: dynamic 1 (presence)",
        # If nothing else happens she stands there for two hours: then the sensor is held to be stuck.
        "until": "2026-06-21T23:30:45Z",
    }
    assert [(point["utc"][11:19], point["reason"]) for point in tree["points"][4:7]] == [
        ("21:31:05", "program"), ("23:00:00", "override"), ("23:20:00", "program"),
    ]  # fmt: skip


def test_the_table_of_a_night(site):
    """On the ladder the installer reads local time, level and who decided."""
    result = run("show", site, "L001", "--night", "2026-06-21")
    assert result.exit_code == 0
    for part in ("23:00:00", "20 %", "60 s", "residential: fixed 23:00", "outside its active periods", "Europe/Paris"):
        assert part in result.output


def limited(site, limits: str, lamp: str = "L001", *args: object):
    """Show the lamp with limits, as points, and the table's text."""
    text = SITE.replace("{calendar: year, luminaire: led,", "{calendar: year, luminaire: led, limits: own,")
    site.write_text(text.replace("lamps:", f"limits:\n  own: {limits}\nlamps:"), encoding="utf-8")
    shown = run("show", site, lamp, "--night", "2026-06-21", "--json", *args)
    assert shown.exit_code == 0, shown.output
    return json.loads(shown.output), run("show", site, lamp, "--night", "2026-06-21", *args).output


def test_the_class_guard_at_work(site):
    """A resident measures 40 % where the program says 20 %: the answer names the guard, not the program alone."""
    tree, text = limited(site, "{guard: 40 %}")
    found = [(point["level_permille"], point["by"]) for point in tree["points"]]
    assert found[2] == (400, "residential: fixed 23:00, lifted by the class guard") and "40 %" in text
    assert "lifted" not in found[1][1]
    result = run("explain", site, "L001", "--at", "2026-06-22T00:30")
    assert "level  40 %" in result.output and "fixed 23:00, lifted by the class guard" in result.output


def test_the_driver_minimum_at_work(site):
    """Below its minimum a driver flickers: the level that is really told stands in the night, and why."""
    tree, _ = limited(site, "{driver_minimum: 25 %}")
    point = tree["points"][2]
    assert (point["level_permille"], point["by"]) == (250, "residential: fixed 23:00, lifted to the driver's minimum")


def test_a_derogation_is_shown(site):
    """Who goes below the class has a decision to name: it stands under each night and each answer."""
    tree, text = limited(site, "{guard: 40 %, derogation: arrêté 2026-014}")
    assert tree["derogation"] == {"by": "arrêté 2026-014", "guard_permille": 400}
    point = tree["points"][2]
    assert (point["level_permille"], point["by"]) == (
        200, "residential: fixed 23:00, below the class guard 40 % by derogation",
    )  # fmt: skip
    line = "derogation from the class guard 40 %: arrêté 2026-014"
    assert line in text and line in run("explain", site, "L001", "--at", "2026-06-22T00:30").output


def test_the_quiet_at_work(site):
    """Two switches of a program within the quiet are one visible change: the second waits, and the table says when."""
    text = SITE.replace(
        "      - {startTime: 23:00, state: 20 %, rampToLevelTime: 60 s}\n",
        "      - {startTime: 23:00, state: 60 %}\n      - {startTime: 23:00:05, state: 20 %}\n",
    )
    text = text.replace("{calendar: year, luminaire: led,", "{calendar: year, luminaire: led, limits: own,")
    site.write_text(text.replace("lamps:", "limits:\n  own: {quiet: 30 s}\nlamps:"), encoding="utf-8")
    tree = json.loads(run("show", site, "L001", "--night", "2026-06-21", "--json").output)
    assert [(p["local"][11:19], p["level_permille"]) for p in tree["points"][2:4]] == [
        ("23:00:00", 600), ("23:00:30", 200),
    ]  # fmt: skip


def test_heat_at_work(site):
    """A temperature in the events is what the driver reports: the light comes down, and the words say why."""
    hot = site.parent / "hot.csv"
    hot.write_text("utc,kind,value\n2026-06-21T20:30:00Z,temperature,77.5\n", encoding="utf-8")
    thermal = "{thermal: {start: 70 °C, full: 85 °C, floor: 30 %, shutdown: 95 °C, hysteresis: 5 °C}}"
    tree, _ = limited(site, thermal, "L001", "--events", hot)
    # Half the way from 70 °C to 85 °C: half the way from 100 % to 30 %.
    assert [(p["level_permille"], p["by"]) for p in tree["points"]][2] == (
        650, "residential: fixed 05:00, lowered by heat",
    )  # fmt: skip


def test_the_picture(site):
    """A picture is written where asked, and a folder that is not there is said, not raised."""
    file = site.parent / "night.png"
    result = run("show", site, "L001", "--night", "2026-10-24", "--png", file)
    assert result.exit_code == 0 and file.read_bytes().startswith(b"\x89PNG")
    result = run("show", site, "L001", "--night", "2026-10-24", "--png", site.parent / "none" / "night.png")
    assert result.exit_code == 2 and "choose another --png" in result.output


def test_the_axis_of_the_night_of_25_hours():
    """The axis shows what clocks show: in October an hour more, 02:00 in winter time after 01:00 … in summer time."""
    first, last = night_span(datetime(2026, 10, 24).date(), PARIS)
    assert last - first == timedelta(hours=25)
    labels = [label for _, label in hour_ticks(first, last, PARIS)]
    assert labels == ["12:00", "14:00", "16:00", "18:00", "20:00", "22:00", "00:00", "02:00", "03:00", "05:00", "07:00",
                      "09:00", "11:00"]  # fmt: skip


@pytest.mark.parametrize(
    ("at", "parts"),
    [
        ("2026-06-21T23:30:21", ["level  100 %", "sensor: residential: dynamic 1", "since  2026-06-21 23:30:00",
                                 "until  2026-06-21 23:31:05", "20 % in 5 s, program: residential: fixed 23:00"]),
        ("2026-06-21T23:00:30", ["level  60 %, on the way to 20 %", "since  2026-06-21 23:00:00"]),
        ("2026-06-21T23:10:00Z", ["override: override", "until  2026-06-22 01:20:00 CEST"]),
        ("2026-06-21T15:00", ["level  0 %", "inactive: residential: outside", "next   100 %"]),
    ],
)  # fmt: skip
def test_why_am_i_lit(site, at, parts):
    """A resident asks why the lamp burns: one answer, who, since, until, and what comes next."""
    result = run("explain", site, "L001", "--at", at, "--events", site.parent / "events.csv")
    assert result.exit_code == 0
    for part in parts:
        assert part in result.output


def test_a_lamp_without_calendar_says_so(site):
    """The default light state has no end: the answer says that nothing changes, and since before it was asked."""
    result = run("explain", site, "L002", "--at", "2026-06-21T15:00")
    assert "default: default light state" in result.output and "nothing changes within 24 h" in result.output
    assert "since  before 2026-06-19" in result.output


def test_a_time_that_comes_twice_is_refused_with_both_readings(site):
    """02:30 on the night of October is two moments: guessing one would explain another lamp."""
    result = run("explain", site, "L001", "--at", "2026-10-25T02:30")
    assert result.exit_code == 2
    assert "2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00" in result.output.replace("\n", " ")
    assert instant("2026-10-25T02:30:00+01:00", PARIS) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    with pytest.raises(ValueError, match="does not exist"):
        instant("2026-03-29T02:30", PARIS)
    assert instant("2026-03-29T03:00", PARIS) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["show", "SITE", "L003", "--night", "2026-06-21"], "has no lamp 'L003': try L00"),
        (["show", "SITE", "L001", "--night", "21/06/2026"], "is not a date"),
        (["show", "SITE", "L001", "--night", "1999-06-21"], "out of range"),
        (["show", "none.yaml", "L001", "--night", "2026-06-21"], "cannot be read"),
        (["show", "SITE", "L001", "--night", "2026-06-21", "--events", "none.csv"], "cannot be read"),
        (["show", "SITE", "L001", "--night", "2028-06-21", "--events", "EVENTS"], "correct the date"),
        (["explain", "SITE", "L001", "--at", "noon"], "is not a time"),
        (["explain", "SITE", "L001", "--at", "2026-02-30T12:00"], "is not a time"),
        (["explain", "SITE", "L001", "--at", "2300-01-01T12:00"], "out of range"),
    ],
)
def test_wrong_input_is_refused_with_a_remedy(site, args, said):
    """Wrong input costs one sentence and exit code 2, never a traceback, never a played night of something else."""
    names = {"SITE": site, "EVENTS": site.parent / "events.csv"}
    result = run(*(names.get(arg, arg) for arg in args))
    assert result.exit_code == 2 and said in result.output


def test_every_instant_has_one_answer_that_matches_the_level(site):
    """*Why am I lit* has exactly one answer at every instant, and it is the light that is there."""
    loaded = load_site(site)
    first, last = night_span(datetime(2026, 6, 21).date(), PARIS)
    plan, config = loaded.lamp_plan("L001"), loaded.lamp_config("L001")
    points = play_points(LampPlay(plan, config, start_of(first, ())), (), first, last)
    moment = first
    while moment < last:
        play = LampPlay(plan, config, start_of(first, ()))
        run_to(play, (), play.ms_of(moment))
        point = [point for point in points if point.utc <= moment][-1]
        assert point.level_at(moment) == play.controller.level_at(play.t_ms & TICKS_MAX)
        assert (point.reason, point.by) == (play.point().reason, play.who())
        moment += timedelta(minutes=7, seconds=13)


def test_without_a_clock_the_answer_says_what_stands_in_for_it(site):
    """ "No clock" does not tell an installer whether a lamp follows its photocell or burns for want of one."""
    lost = site.parent / "lost.csv"
    lost.write_text(
        "utc,kind,value\n2026-06-21T23:00:00Z,clock,unknown\n2026-06-22T00:00:00Z,lux,3\n", encoding="utf-8"
    )
    why = [run("explain", site, "L001", "--at", f"2026-06-22T0{hour}:30", "--events", lost).output for hour in (1, 2)]
    assert "why    failsafe: no clock, lit, for nothing tells the time" in why[0]
    assert "why    failsafe: no clock, the photocell says dark" in why[1]


def test_little_traffic_at_work():
    """The shipped street goes a lighting class down where few come: a level that no control asks for says why."""
    ville = Path(__file__).parents[2] / "examples" / "ville" / "site.yaml"
    result = run("explain", ville, "L003", "--at", "2026-06-20T22:10")
    assert "level  70 %" in result.output and "one lighting class down for little traffic" in result.output
