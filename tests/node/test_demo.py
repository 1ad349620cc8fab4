"""The demo is what most people see first of Réverbère, and the only place where all of the node's parts meet."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from sim.board.demo import play
from sim.board.demo.night import Settings
from sim.board.demo.script import Hours, Script, ScriptError, make_script
from sim.board.demo.view import PlainView
from tests.conftest import require_runtime
from tests.node.broker import require_mosquitto
from tests.runtimes import NAMES


def _play(script: Script, hours: Hours, out: Path) -> tuple[play.Played, str]:
    for name in NAMES:
        require_runtime(name)
    require_mosquitto()
    said = io.StringIO()
    view = PlainView(Console(file=said, width=200))
    return play.run(script, hours, Settings(slack_ms=100), view, out), said.getvalue()


def test_two_nodes_live_through_dusk_and_their_journals_agree(tmp_path: Path) -> None:
    """Parts that each pass their tests and do not light a lamp together light nothing."""
    script = play.read_script(count=2)
    hours = play.evening_of(script, 20)
    played, said = _play(script, hours, tmp_path)
    results = played.results
    assert results["messages"]["status"] >= 2 and results["messages"]["boot"] == 2, results["messages"]
    for lamp in results["lamps"]:
        assert lamp["onlines"] >= 1 and lamp["starts"] == 1
        assert lamp["reports"] >= 1 and lamp["decisions"] >= 2
        # A street that only said so would be dark: what the nodes counted is what the simulator expects of them, to a
        # watt-hour of rounding a report.
        assert abs(lamp["node_energy"]["estimated_wh"] - lamp["simulator_wh"]) <= 1 + 0.05 * lamp["simulator_wh"]
    assert results["replay"]["decisions"] > 0
    assert played.is_good, results["replay"]["verdict"]
    assert "no difference" in results["replay"]["verdict"]
    assert "2 nodes have started" in said
    page = (tmp_path / "demo.html").read_text()
    assert "R01" in page and "http" not in page.replace("http-equiv", "")


def test_a_changed_journal_is_a_difference(tmp_path: Path) -> None:
    """A replay that always agrees would prove nothing: one input less, and it must say so."""
    script = play.read_script(count=1)
    played, _ = _play(script, play.evening_of(script, 5), tmp_path)
    assert played.is_good
    plan = tmp_path / "journals" / "R01" / "plan.bin"
    plan.write_bytes(bytes(len(plan.read_bytes())))
    outcomes = play.replay_all({"R01": tmp_path / "journals" / "R01"}).outcomes["R01"]
    assert all(one.skipped for one in outcomes)


def test_site_and_scenario_must_be_one_street() -> None:
    """Figures of one street beside those of another would look like a fault of the node."""
    site = play.load_site(play.STREET / "site.yaml")
    other = play.load_scenario(play.ROOT / "sim" / "scenarios" / "toulouse-wave.yaml")
    with pytest.raises(ScriptError, match="make equal"):
        make_script(site, other)


def test_scenario_has_the_sites_program() -> None:
    """The street stands in two files: whoever changes one must change the other."""
    script = play.read_script()
    plan = script.site.lamp_plan("R01")
    assert script.nights.loaded.scenario.program.lamp_plan().programs == plan.programs


def test_cut_and_hours_lie_in_the_night() -> None:
    """A feeder cut by day, or reports that come after the end, would go unseen."""
    script = play.read_script(count=1)
    hours = play.hours_of(script)
    dusk, dawn = script.night_ms
    assert hours.cut_ms is not None
    assert hours.start_ms < dusk < hours.cut_ms[0] < hours.cut_ms[1] < dawn < play.counted(hours).end_ms
    assert (script.noon_s * 1000 + play.counted(hours).end_ms) % 900_000 == 0
    assert sum(end - start for start, end in hours.powered) == hours.end_ms - hours.start_ms - play.CUT_MS


@pytest.mark.bench
@pytest.mark.timeout(3600)
def test_a_whole_night_of_twelve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """How long `make demo` takes, and whether it ends without a difference, is what its reader sees."""
    script = play.read_script()
    played, _ = _play(script, play.hours_of(script), tmp_path)
    results = played.results
    with capsys.disabled():
        print(
            f"\ndemo: {results['wall_s']} s, x{results['rate']}, {sum(results['messages'].values())} messages, "
            f"{results['cut']}, {results['total']}, {results['replay']['verdict']}"
        )
    assert played.is_good, results["replay"]["verdict"]
    assert results["cut"]["torn"] >= 1
