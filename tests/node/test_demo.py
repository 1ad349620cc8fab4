"""The demo is what most people see first of Réverbère, and the only place where all of the node's parts meet."""

from __future__ import annotations

import io
import re
from datetime import date
from pathlib import Path

import pytest
from rich.console import Console

from firmware.system.journal_format import DECISION, HEADER_SIZE, crc16
from sim.board.demo import play
from sim.board.demo.journals import replay_all
from sim.board.demo.night import Settings, Shown
from sim.board.demo.script import Hours, Script, ScriptError, make_script
from sim.board.demo.view import PlainView, table
from sim.board.demo.words import LANGUAGES
from tests.conftest import require_runtime
from tests.node.broker import require_mosquitto
from tests.runtimes import NAMES


def _play(script: Script, hours: Hours, out: Path) -> tuple[play.Played, str]:
    said = io.StringIO()
    view = PlainView(Console(file=said, width=200))
    return play.run(script, hours, Settings(), view, out), said.getvalue()


@pytest.fixture(scope="module")
def script() -> Script:
    return play.read_script(count=2)


def test_two_nodes_live_through_dusk_and_their_journals_agree(script: Script, tmp_path: Path) -> None:
    """Parts that each pass their tests and do not light a lamp together light nothing."""
    for name in NAMES:
        require_runtime(name)
    require_mosquitto()
    played, said = _play(script, play.evening_of(script, 15), tmp_path)
    results = played.results
    assert results["messages"]["status"] >= 2 and results["messages"]["boot"] == 2, results["messages"]
    for lamp in results["lamps"]:
        assert lamp["onlines"] >= 1 and lamp["starts"] == 1
        assert lamp["reports"] >= 1 and lamp["decisions"] >= 2
        # A street that only said so would be dark: what the nodes counted is what the simulator expects of them, to a
        # watt-hour of rounding a report.
        off_wh = abs(lamp["node_energy"]["estimated_wh"] - lamp["simulator_wh"])
        assert off_wh <= lamp["reports"] + 0.05 * lamp["simulator_wh"], lamp
    assert results["total"]["estimated_wh"] > 5
    assert results["replay"]["decisions"] > 0
    assert played.is_good, results["replay"]["verdict"]
    assert "no difference" in results["replay"]["verdict"]
    assert "2 nodes have started" in said
    page = (tmp_path / "demo.html").read_text()
    assert "R01" in page and "http" not in page.replace("http-equiv", "")
    for told in ("a certificate for each node, the broker and its rules", "un certificat par nœud, le courtier et ses"):
        assert told in page
    # A replay that always agrees would prove nothing: with a lamp whose program differs it must say so.
    own = tmp_path / "journals" / "R01"
    _forge_decision(own)
    forged = replay_all({"R01": own})
    assert len(forged.differences) == 1 and "differ" in forged.verdict()


def test_without_mosquitto_the_demo_runs_and_says_what_is_missing(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has no mosquitto sees the demo all the same, with amqtt in its place; but the page must not claim the rules
    and certificates that this broker does not ask for, nor a torn write in an evening without a cut."""
    for name in NAMES:
        require_runtime(name)
    monkeypatch.setattr(play, "mosquitto", lambda: None)
    played, _ = _play(script, play.evening_of(script, 10), tmp_path)
    assert played.is_good, played.results["replay"]["verdict"]
    assert played.results["messages"]["status"] >= 2
    page = (tmp_path / "demo.html").read_text()
    assert "amqtt (in the demo" in page and "demands none of a node" in page
    assert "in the middle of writes" not in page and "the broker and its rules" not in page


def _forge_decision(folder: Path) -> None:
    """Let the journal say of one decision that somebody else took it, with a good checksum."""
    path = min(folder.glob("*.jnl"))
    data = bytearray(path.read_bytes())
    at = HEADER_SIZE
    while data[at + 1] & 31 != DECISION:
        at += data[at] + 3
    end = at + 1 + data[at]
    # The frame's last value is who decided, zig-zag in one byte.
    data[end - 1] ^= 2
    crc = crc16(data, at, end)
    data[end : end + 2] = bytes((crc & 255, crc >> 8))
    path.write_bytes(data)


def test_the_page_says_the_same_in_both_languages() -> None:
    """A town's technician reads French, a developer may not. So each text is there in both, with the same figures in
    it, and a night has its two days."""
    french, english = LANGUAGES
    assert french.texts.keys() == english.texts.keys()
    for key, text in french.texts.items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", english.texts[key])), key
    assert french.evening(date(2026, 3, 20)) == "20 au 21 mars 2026"
    assert english.evening(date(2026, 7, 31)) == "31 July to 1 August 2026"
    assert french.evening(date(2026, 12, 31)) == "31 décembre 2026 au 1 janvier 2027"
    assert french.figure("-1.7 %") == "-1,7\N{NO-BREAK SPACE}%"


def test_site_and_scenario_must_be_one_street() -> None:
    """Figures of one street beside those of another would look like a fault of the node."""
    site = play.load_site(play.STREET / "site.yaml")
    other = play.load_scenario(play.ROOT / "sim" / "scenarios" / "toulouse-wave.yaml")
    with pytest.raises(ScriptError, match="make equal"):
        make_script(site, other)


def test_scenario_has_the_sites_program(script: Script) -> None:
    """The street stands in two files: whoever changes one must change the other."""
    plan = script.site.lamp_plan("R01")
    assert script.nights.loaded.scenario.program.lamp_plan().programs == plan.programs


def test_cut_and_hours_lie_in_the_night(script: Script) -> None:
    """A feeder cut by day, or reports that come after the end, would go unseen."""
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
    for name in NAMES:
        require_runtime(name)
    require_mosquitto()
    played, _ = _play(script, play.hours_of(script), tmp_path)
    results = played.results
    with capsys.disabled():
        print(
            f"\ndemo: {results['wall_s']} s, x{results['rate']}, {sum(results['messages'].values())} messages, "
            f"{results['cut']}, {results['total']}, {results['replay']['verdict']}"
        )
    assert played.is_good, results["replay"]["verdict"]
    assert results["cut"]["torn"] >= 1


def test_the_table_fits_a_terminal_of_80_columns() -> None:
    """Most terminals have 80 columns: a table whose heads are cut there is what most people see first."""
    said = io.StringIO()
    shown = [Shown("R01", True, 1000, 1, True, "protection", "temperature"), Shown("R12", False, 0, 0, False, "", "")]
    Console(file=said, width=80).print(table(shown, "title", "caption"))
    lines = said.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    for word in ("node", "level (PWM pin)", "someone", "why (last report)", "link", "100 %", "protection, by", "down"):
        assert any(word in line for line in lines), word
