"""The demo from its files to its verdict: `reverbere demo` calls `run`, the tests do too."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from host_tools.node_config import load_fleet
from host_tools.plan.site import load_site
from sim.scenario import load_scenario

from . import page
from .journals import Replayed, copy_journals, decided, known_until, replay_all
from .night import Night, Settings
from .nodes import Interpreter
from .results import results_of, strangers
from .script import Hours, Script, make_script
from .view import LiveView, PlainView

ROOT = Path(__file__).resolve().parents[3]
STREET = ROOT / "examples" / "rue"
BEFORE_MS = 15 * 60_000
AFTER_MS = 20 * 60_000
CUT_MS = 20 * 60_000
# Reports are made within seconds of a quarter's end, and go when the link next looks.
TELL_MS = 60_000
_QUARTER_MS = 900_000


class DemoError(Exception):
    """The demo cannot be played here; says why and what to do."""


@dataclass
class Played:
    """What came of a night."""

    results: dict[str, Any]
    replayed: Replayed
    script: Script

    @property
    def is_good(self) -> bool:
        """Whether every journal could be decided again without a difference, and the energies are the simulator's."""
        return not self.replayed.differences and not self.replayed.skipped and not strangers(self.results)


def interpreters() -> list[Interpreter]:
    """Return the MicroPythons of this checkout. Raises `DemoError` where there is none."""
    found, missing = _known_runtimes()
    if not found:
        raise DemoError(f"no MicroPython: {'; '.join(missing)}")
    return found


def _known_runtimes() -> tuple[list[Interpreter], list[str]]:
    # The finder of runtimes lies beside the tests; an installed command does not have the checkout on its path.
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    from tests.runtimes import Runtime, known_runtimes

    known = known_runtimes().values()
    found = [Interpreter(one.description, one, one.small_int_bits > 32) for one in known if isinstance(one, Runtime)]
    return found, [one.description for one in known if not isinstance(one, Runtime)]


def mosquitto() -> tuple[list[str], str] | None:
    """Return mosquitto's command and what it is; None where there is none."""
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    from tests.runtimes.servers import Server, known_mosquitto

    found = known_mosquitto()
    return (found.command, found.description) if isinstance(found, Server) else None


def hours_of(script: Script, has_cut: bool = True) -> Hours:
    """Return the hours of a whole night: from before dusk to after dawn, with the feeder cut in its middle.

    The cut comes seconds before a quarter of an hour, when every node writes its counters.
    """
    dusk_ms, dawn_ms = script.night_ms
    start_ms = (dusk_ms - BEFORE_MS) // 1000 * 1000
    middle = (dusk_ms + dawn_ms) // 2
    quarter_ms = middle - (script.noon_s * 1000 + middle) % _QUARTER_MS
    cut_ms = (quarter_ms - 5000, quarter_ms - 5000 + CUT_MS) if has_cut else None
    return Hours(start_ms, _told_ms(script, dawn_ms + AFTER_MS), cut_ms)


def evening_of(script: Script, minutes: int) -> Hours:
    """Return the hours from before dusk on for so many minutes or a little more, without a cut."""
    start_ms = hours_of(script).start_ms
    return Hours(start_ms, _told_ms(script, start_ms + minutes * 60_000))


def _told_ms(script: Script, t_ms: int) -> int:
    """Return the next moment at which the nodes have told all that they have counted."""
    return t_ms + -(script.noon_s * 1000 + t_ms) % _QUARTER_MS + TELL_MS


def counted(hours: Hours) -> Hours:
    """Return the hours that the nodes' energy reports cover: to the last quarter."""
    return replace(hours, end_ms=hours.end_ms - TELL_MS)


def read_script(folder: Path = STREET, count: int | None = None, seed: int = 1) -> Script:
    """Read a street's site and scenario. Raises `SiteError`, `ScenarioError`, `ScriptError`."""
    return make_script(load_site(folder / "site.yaml"), load_scenario(folder / "scenario.yaml"), count, seed)


def run(
    script: Script, hours: Hours, settings: Settings, view: LiveView | PlainView, out: Path, folder: Path = STREET
) -> Played:
    """Play a night, write its results into ``out``, and return them.

    Raises `NightError`, `DemoError`, `BrokerError`, `ReplayError`, and what the files' readers raise.
    """
    fleet = load_fleet(script.site, folder / "hardware.yaml")
    out.mkdir(parents=True, exist_ok=True)
    with Night(script, fleet, interpreters(), mosquitto(), hours, settings) as night:
        with view:
            night.play(view)
        folders = copy_journals(night.nodes, out / "journals")
        replayed = replay_all(folders)
        results = results_of(night, script.expected(counted(hours)), replayed)
        with (out / "reports.jsonl").open("w", encoding="utf-8") as file:
            for report in night.listener.reports:
                file.write(json.dumps(report) + "\n")
    (out / "demo.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    levels = [decided(folders[name], script) for name in script.lamps]
    ends = [known_until(folders[name], script) for name in script.lamps]
    (out / "demo.html").write_text(page.render(results, levels, ends), encoding="utf-8")
    return Played(results, replayed, script)
