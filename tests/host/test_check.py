"""`plan check`: what an operator would not have wanted is found on its first night, and what is fine stays quiet."""

import json
import time
from datetime import date

import pytest
import typer
from typer.testing import CliRunner

from host_tools.plan.check import check_site
from host_tools.plan.law import Finding, load_law
from host_tools.plan.site import load_site
from host_tools.plan.year_findings import clock_change
from host_tools.plan.year_play import play_year
from host_tools.plan.zones import zone_info
from host_tools.verbs import plan_check

ASTRO = "[{name: AstroClockActivePeriod, sunsetOffset: 0 min, sunriseOffset: 0 min}]"
ALL_NIGHT = f"{{activePeriods: {ASTRO}, fixedTimeControls: [{{startTime: 12:00, state: 100 %}}]}}"
EXTINCTION = "fixedTimeControls: [{startTime: 01:00, state: 0 %}, {startTime: 12:00, state: 100 %}]"
TOULOUSE = "{latitude: 43.6225 deg, longitude: 1.463056 deg}"


def site_text(programs: str, calendar="{defaultProgram: p}", lamps="L001: {category: road}", place=TOULOUSE) -> str:
    """Return a site with these programs, one calendar, and lamps that lack only what all share."""
    lines = "".join(f"  {line.replace('{', '{calendar: year, luminaire: led, ', 1)}\n" for line in lamps.split("; "))
    return (
        f"site: Ville-Exemple\nzone: Europe/Paris\nplace: {place}\ndayOffset: 12 h\n"
        "luminaires:\n  led: {power_curve: [{level: 100 %, power: 64 W}], standby: 0.5 W}\n"
        f"programs:\n{programs}\ncalendars:\n  year: {calendar}\nlamps:\n{lines}"
    )


@pytest.fixture
def found(tmp_path):
    """Return a function that checks a site and gives its findings."""

    def check(*args, year=2026, **kwargs) -> list[Finding]:
        file = tmp_path / "site.yaml"
        file.write_text(site_text(*args, **kwargs), encoding="utf-8")
        return check_site(load_site(file), year, load_law())[0]

    return check


def kinds(findings: list[Finding]) -> list[tuple[str, str]]:
    """Return severity and kind of each finding."""
    return [(finding.severity, finding.kind) for finding in findings]


def test_a_road_by_the_sun_is_quiet(found):
    """The most ordinary plan in France must give no line at all, or nobody reads the others."""
    assert found(f"  p: {ALL_NIGHT}") == []


def test_a_park_lit_at_01_01_is_refused_and_a_road_is_not(found):
    """Same program, two lamps: the law looks at what they light; the first guilty night is named."""
    findings = found(f"  p: {ALL_NIGHT}", lamps="L001: {category: road}; P001: {category: park}")
    errors = [finding for finding in findings if finding.severity == "error"]
    assert [(finding.lamps, finding.night) for finding in errors] == [(("P001",), date(2026, 1, 1))]
    for part in ("park lit at 01:01:00", "article 2, II", "off by 01:00", "365 nights", "p: fixed 12:00"):
        assert part in errors[0].what
    assert {finding.lamps for finding in findings} == {("P001",)}
    # A decision that somebody has already taken is a remedy, too; for a car park there is none.
    assert "prefect or mayor may derogate" in errors[0].remedy
    car_park = found(f"  p: {ALL_NIGHT}", lamps="C001: {category: parking, activity: {end: 20:00}}")
    assert ["derogate" in one.remedy for one in car_park if one.severity == "error"] == [False]


def test_the_first_guilty_night_is_the_one_of_the_feast(found):
    """One feast in the calendar is enough to break the law: the night is that of the feast, not of the year."""
    dark = f"{{activePeriods: {ASTRO}, {EXTINCTION}}}"
    calendar = "{defaultProgram: p, rules: [{program: feast, startDate: --07-14, endDate: --07-14}]}"
    findings = found(f"  p: {dark}\n  feast: {ALL_NIGHT}", calendar, "P001: {category: park}")
    assert [finding.night for finding in findings if finding.severity == "error"] == [date(2026, 7, 14)]


def test_a_fade_that_ends_after_01_01_is_still_light(found):
    """A program that only begins to fade at 01:00 is lit at 01:01: what counts is the light, not the intention."""
    program = (
        f"  p: {{activePeriods: {ASTRO}, fixedTimeControls: [{{startTime: 01:00, state: 0 %%, rampToLevelTime: %s}}, "
        "{startTime: 12:00, state: 100 %%}]}"
    )
    assert not [one for one in found(program % "30 s", lamps="P: {category: park}") if one.severity == "error"]
    errors = [one for one in found(program % "5 min", lamps="P: {category: park}") if one.severity == "error"]
    assert len(errors) == 1 and "fading out" in errors[0].what


def test_presence_in_the_dark_hours_is_a_note(found):
    """The law allows presence detection as an adaptation, with natural light: people must look, nothing is refused."""
    program = (
        f"  p: {{activePeriods: {ASTRO}, fixedTimeControls: [{{startTime: 00:30, state: 0 %}}, "
        "{startTime: 12:00, state: 100 %}], dynamicControls: [{operation: Max, state: 60 %}]}"
    )
    findings = found(program, lamps="P: {category: heritage}")
    assert kinds(findings) == [("note", "law")]
    assert "dynamic 1 (presence) may light" in findings[0].what and "presence detection" in findings[0].what


def test_nights_before_the_law_are_not_judged(tmp_path):
    """Law is dated: a year before it gives a note, never an error, and within a year it counts from its first night."""
    file = tmp_path / "site.yaml"
    file.write_text(site_text(f"  p: {ALL_NIGHT}", lamps="P: {category: heritage}"), encoding="utf-8")
    site = load_site(file)
    later = load_law().model_copy(update={"validFrom": date(2027, 1, 1)})
    findings, _ = check_site(site, 2026, later)
    assert kinds(findings) == [("note", "law")] and "2026 was not judged" in findings[0].what
    within = load_law().model_copy(update={"validFrom": date(2026, 7, 1)})
    findings, _ = check_site(site, 2026, within)
    assert [finding.night for finding in findings] == [date(2026, 7, 1)] and "184 nights" in findings[0].what


def test_categories_without_known_times_are_said(found):
    """Sports grounds may have rules that the data does not hold: silence would look like approval."""
    findings = found(f"  p: {ALL_NIGHT}", lamps="S: {category: sports}; W: {category: shop-window}")
    assert kinds(findings) == [("note", "law"), ("note", "law")]
    assert "no times for it" in findings[0].what and "cannot check" in findings[1].what


def test_a_dynamic_control_that_can_never_act(found):
    """A presence control from noon to 16:00 on a lamp that is off by day looks fine in the file and never acts."""
    program = (
        f"  p: {{activePeriods: {ASTRO}, fixedTimeControls: [{{startTime: 12:00, state: 40 %}}], dynamicControls: "
        "[{operation: Max, state: 100 %, period: {startTime: 12:00, endTime: 16:00}}, {operation: Max, state: 40 %}"
    )
    findings = found(program + "]}")
    assert kinds(findings) == [("warning", "dynamic"), ("warning", "dynamic")]
    assert "dynamic 1 (presence) can never act" in findings[0].what
    assert "dynamic 2 (presence) has no effect" in findings[1].what
    # Where a control below it lowers the level, it has something to raise again.
    lowered = found(program + ", {operation: Min, state: 30 %, source: external}]}")
    assert ["dynamic 1" in finding.what for finding in lowered] == [True]


def test_a_control_hidden_by_one_above_it(found):
    """The first control has the last word: one below it on the same sensor only acts if it is held for longer."""
    program = (
        f"  p: {{activePeriods: {ASTRO}, fixedTimeControls: [{{startTime: 12:00, state: 40 %%}}], dynamicControls: "
        "[{operation: Set, state: 100 %%, holdTime: 60 s}, {operation: Set, state: 70 %%, holdTime: %s}]}"
    )
    assert ["dynamic 2" in finding.what for finding in found(program % "60 s")] == [True]
    assert found(program % "120 s") == []


def test_steps_that_decide_nothing(found):
    """A step at 13:00 on a lamp that is off by day, and an astro control that changes nothing, are mistakes."""
    program = (
        f"  p: {{activePeriods: {ASTRO}, fixedTimeControls: [{{startTime: 12:30, state: 60 %}}, "
        "{startTime: 13:00, state: 100 %}, {startTime: 23:00, state: 50 %}], "
        "astroClockTimeControls: [{solarEventType: sunset, offset: 30 min, operation: Max, state: 40 %}, "
        "{solarEventType: sunrise, offset: 60 min, operation: Set, state: 10 %}]}"
    )
    findings = found(program)
    assert [(finding.severity, finding.what.split(" never")[0]) for finding in findings] == [
        ("warning", "p: fixed 12:30"),
        ("note", "p: astro 1 (sunset +30 min)"),
    ]


def test_dark_hours_that_nobody_declared(found):
    """An active period that ends at 01:00 leaves the street dark until sunrise: fine if wanted, so it is said."""
    gap = (
        "  p: {activePeriods: [{name: AbsoluteActivePeriod, startTime: 16:00, endTime: 01:00}], "
        "fixedTimeControls: [{startTime: 12:00, state: 100 %}]}"
    )
    findings = found(gap)
    assert kinds(findings) == [("warning", "by-day"), ("note", "gap")]
    assert findings[1].night == date(2026, 1, 1) and "from 01:00 to 08:2" in findings[1].what
    declared = f"  p: {{activePeriods: {ASTRO}, {EXTINCTION}}}"
    assert found(declared) == []


def test_lit_by_day(found):
    """Half of a town's lamps once burned by day for months: the first such day is named, offsets are no fault."""
    program = "  p: {activePeriods: [%s], fixedTimeControls: [{startTime: 12:00, state: 100 %%}]}"
    early = program % "{name: AbsoluteActivePeriod, startTime: 20:00, endTime: 08:00}"
    findings = found(early)
    assert kinds(findings) == [("warning", "by-day"), ("note", "gap")]
    # Toulouse: sunrise on 1 January at 08:23; 15 min before 08:00 it rises first on 14 February (almanac: 07:52,
    # 13 February 07:53 …), so the first morning lit for more than 15 min is in the last days of February.
    assert date(2026, 2, 14) <= findings[0].night <= date(2026, 2, 25)
    offsets = program % "{name: AstroClockActivePeriod, sunsetOffset: -60 min, sunriseOffset: 60 min}"
    assert found(offsets) == []
    assert kinds(found(program % "")) == [("warning", "by-day")]


def test_an_offset_that_eats_the_night(found):
    """In Lille at midsummer the night is short: offsets made for winter leave a street without light."""
    program = (
        "  p: {activePeriods: [{name: AstroClockActivePeriod, sunsetOffset: 4 h, sunriseOffset: -4 h}], "
        "fixedTimeControls: [{startTime: 12:00, state: 100 %}]}"
    )
    findings = found(program, place="{latitude: 50.63 deg, longitude: 3.06 deg}")
    eaten = [finding for finding in findings if finding.kind == "eaten"]
    # Less than eight hours between sunset and sunrise: in Lille from 12 May or so (astral: 13 May 2026, 7 h 59 min 51 s
    # lies within a day) to the end of July.
    assert len(eaten) == 1 and abs(eaten[0].night - date(2026, 5, 20)).days < 12


def test_a_level_carried_over_from_the_day_before(found):
    """A feast whose first step is midnight shows the everyday level all evening: TALQ has it so, nobody expects it."""
    feast = f"{{activePeriods: {ASTRO}, fixedTimeControls: [{{startTime: 00:00, state: 80 %}}]}}"
    calendar = "{defaultProgram: p, rules: [{program: feast, startDate: --07-14, endDate: --07-14}]}"
    findings = found(f"  p: {ALL_NIGHT}\n  feast: {feast}", calendar)
    assert [(finding.kind, finding.night) for finding in findings] == [("carried", date(2026, 7, 14))]
    assert "p: fixed 12:00" in findings[0].what and "12:00" in findings[0].remedy


def test_rules_and_programs_of_no_day(found):
    """A rule hidden by the one above it, or of last year, is found before somebody relies on it."""
    calendar = (
        "{defaultProgram: p, rules: [{program: q, startDate: --12-24, endDate: --12-26}, "
        "{program: r, startDate: --12-25, endDate: --12-25}, {program: q, startDate: 2025-01-01, endDate: 2025-01-31}]}"
    )
    findings = found("".join(f"  {name}: {ALL_NIGHT}\n" for name in "pqr"), calendar)
    assert kinds(findings) == [("note", "rule"), ("note", "rule"), ("note", "program")]
    assert [finding.what.split(" decides")[0] for finding in findings[:2]] == [
        "calendar rule 2 (r)",
        "calendar rule 3 (q)",
    ]
    assert "program r is never in force" in findings[2].what


def test_more_rules_than_a_plan_has_programs(found):
    """A calendar has up to 32 rules: each is still told apart."""
    rules = ", ".join(f"{{program: q, startDate: --01-{day:02}, endDate: --01-{day:02}}}" for day in range(1, 31))
    calendar = f"{{defaultProgram: p, rules: [{rules}, {{program: q, startDate: --01-30, endDate: --01-30}}]}}"
    findings = found(f"  p: {ALL_NIGHT}\n  q: {ALL_NIGHT}", calendar)
    assert [finding.what.split(" decides")[0] for finding in findings] == ["calendar rule 31 (q)"]


def guarded(tmp_path, limits: str, program: str) -> list[Finding]:
    """Check a site whose one road has limits; what is not about the guard is left out."""
    text = site_text(f"  p: {program}", lamps="L001: {category: road, limits: road}")
    file = tmp_path / "site.yaml"
    file.write_text(text.replace("lamps:\n", f"limits:\n  road: {limits}\nlamps:\n"), encoding="utf-8")
    findings = check_site(load_site(file), 2026, load_law())[0]
    return [finding for finding in findings if finding.kind in ("guard", "derogation")]


LOW = (
    f"{{activePeriods: {ASTRO}, fixedTimeControls: [{{startTime: 05:00, state: 0 %}}, {{startTime: 12:00, state: "
    "100 %}, {startTime: 23:00, state: 20 %}], dynamicControls: [{operation: Min, state: 30 %}]}"
)


def test_a_level_that_the_guard_hides(tmp_path):
    """A town that pays for a level under the class never gets it: said once a control; 0 % is a decision and stays."""
    findings = guarded(tmp_path, "{guard: 40 %}", LOW)
    assert [(finding.severity, finding.lamps, finding.what) for finding in findings] == [
        ("warning", ("L001",), f"level {what} lies under the guard 40 %: it will never be seen")
        for what in ("20 % of p: fixed 23:00", "30 % of p: dynamic 1 (presence)")
    ]
    assert findings[0].remedy == "declare a derogation or raise it"
    assert guarded(tmp_path, "{guard: 20 %}", LOW) == []


def test_a_derogation_is_in_each_report(tmp_path):
    """Going below the class is allowed where it is declared, and declared means: read by everybody, each time."""
    findings = guarded(tmp_path, "{guard: 40 %, derogation: arrêté 2026-014}", LOW)
    assert [(finding.severity, finding.kind, finding.lamps) for finding in findings] == [
        ("note", "derogation", ("L001",))
    ]
    assert "40 %" in findings[0].what and "arrêté 2026-014" in findings[0].what


def test_lamps_that_differ_in_the_guard_are_played_apart(tmp_path):
    """One lamp's guard must not be judged by another's."""
    text = site_text(f"  p: {LOW}", lamps="L001: {category: road, limits: a}; L002: {category: road}")
    file = tmp_path / "site.yaml"
    file.write_text(text.replace("lamps:\n", "limits:\n  a: {guard: 40 %}\nlamps:\n"), encoding="utf-8")
    findings, plays = check_site(load_site(file), 2026, load_law())
    assert plays == 2 and {one.lamps for one in findings if one.kind == "guard"} == {("L001",)}


def test_switching_times_in_the_changed_hour(found):
    """02:30 does not exist in the night of March and comes twice in October: the operator is told what happens."""
    program = f"  p: {{activePeriods: {ASTRO}, {EXTINCTION.replace('01:00', '02:30')}}}"
    findings = found(program)
    assert [(finding.kind, finding.night) for finding in findings] == [
        ("clock-change", date(2026, 3, 28)),
        ("clock-change", date(2026, 10, 24)),
    ]
    assert "carried out at 03:00" in findings[0].what and "the first time" in findings[1].what


def test_clock_changes_elsewhere():
    """Not every clock changes at 02:00, nor by an hour (Lord Howe: 30 min), nor at all."""
    assert clock_change(date(2026, 3, 29), zone_info("Europe/Paris")) == (7200, 10800, date(2026, 3, 29), True)
    assert clock_change(date(2026, 10, 25), zone_info("Europe/London")) == (3600, 7200, date(2026, 10, 25), False)
    assert clock_change(date(2026, 10, 4), zone_info("Australia/Lord_Howe")) == (7200, 9000, date(2026, 10, 4), True)
    assert clock_change(date(2026, 6, 1), zone_info("Europe/Paris")) is None


def test_a_photocell_is_played_with_the_sun(found):
    """A lamp on a photocell follows the sky: the check lets it see the sun, or each would be called lit by day."""
    program = (
        "  p: {activePeriods: [{name: SensorActivePeriod, onLevel: 20 lx, offLevel: 35 lx}], "
        "fixedTimeControls: [{startTime: 12:00, state: 100 %}]}"
    )
    assert found(program) == []


def test_far_north_is_played(found):
    """Polar day and polar night are nights of the year too."""
    assert found(f"  p: {ALL_NIGHT}", place="{latitude: 69.65 deg, longitude: 18.96 deg}") == []


def test_other_countries_are_not_judged_by_french_law(tmp_path):
    """A town elsewhere is told that nothing was judged."""
    file = tmp_path / "site.yaml"
    text = site_text(f"  p: {ALL_NIGHT}", lamps="P: {category: park}")
    file.write_text(text.replace("Europe/Paris", "Europe/Berlin"), encoding="utf-8")
    findings, _ = check_site(load_site(file), 2026, load_law())
    assert kinds(findings) == [("note", "law")] and "no law was judged" in findings[0].what


def test_equal_plans_are_played_once_and_fast(tmp_path):
    """A town of two hundred lamps on one calendar costs one play of a year, in less than five seconds."""
    file = tmp_path / "site.yaml"
    lamps = "; ".join(f"L{number:03}: {{category: road}}" for number in range(200))
    file.write_text(site_text(f"  p: {ALL_NIGHT}", lamps=lamps), encoding="utf-8")
    site = load_site(file)
    began = time.perf_counter()
    play_year(site.lamp_plan("L000"), site.lamp_config("L000"), zone_info("Europe/Paris"), 2026)
    assert time.perf_counter() - began < 5
    findings, plays = check_site(site, 2026, load_law())
    assert (findings, plays) == ([], 1)


def run(*args: object):
    """Run the verb."""
    app = typer.Typer()
    app.command()(plan_check.check)
    return CliRunner().invoke(app, [str(arg) for arg in args])


def test_the_verb_and_its_exit_codes(tmp_path):
    """CI of a town refuses a push by the exit code: 1 for an error, 0 without, 2 for a wrong file."""
    file = tmp_path / "site.yaml"
    file.write_text(site_text(f"  p: {ALL_NIGHT}", lamps="P: {category: park}"), encoding="utf-8")
    result = run(file, "--year", 2026)
    assert result.exit_code == 1 and "2026-01-01" in result.output and "1 error(s)" in result.output
    result = run(file, "--year", 2026, "--json")
    tree = json.loads(result.output)
    assert result.exit_code == 1 and (tree["site"], tree["year"], tree["plays"]) == ("Ville-Exemple", 2026, 1)
    assert list(tree["findings"][0]) == ["severity", "kind", "lamps", "night", "what", "remedy"]
    assert tree["findings"][0]["night"] == "2026-01-01"
    file.write_text(site_text(f"  p: {ALL_NIGHT}"), encoding="utf-8")
    assert run(file, "--year", 2026).exit_code == 0
    assert run(file, "--year", 1999).exit_code == 2
    file.write_text("site: x\n", encoding="utf-8")
    assert run(file).exit_code == 2


def test_one_remark_on_many_lamps_is_made_once(tmp_path):
    """A street of forty lamps at forty places has one program to mend. So what is found of all in the same words stands
    once, with all its lamps, and what differs by a lamp stands by itself."""
    lamps = "L001: {category: road}; L002: {category: road, latitude: 43.7 deg, longitude: 1.5 deg}"
    program = f"  p: {{activePeriods: {ASTRO}, fixedTimeControls: [{{startTime: 02:30, state: 60 %}}]}}"
    file = tmp_path / "site.yaml"
    file.write_text(site_text(program, lamps=lamps), encoding="utf-8")
    findings, plays = check_site(load_site(file), 2026, load_law())
    changes = [finding for finding in findings if finding.kind == "clock-change"]
    assert plays == 2
    assert [finding.lamps for finding in changes] == [("L001", "L002")] * 2
    assert len({finding.what for finding in changes}) == 2
