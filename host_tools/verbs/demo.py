"""`reverbere demo`: a night of a street of virtual boards with the firmware of the pole."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from host_tools.plan.problems import SiteError
from sim.board.demo import play
from sim.board.demo.broker import BrokerError
from sim.board.demo.night import NightError, Settings
from sim.board.demo.results import result_table, strangers
from sim.board.demo.script import ScriptError
from sim.board.demo.view import make_view
from sim.board.virtual_board import BoardError
from sim.journal_replay import ReplayError
from sim.scenario import ScenarioError

DEFAULT_OUT = Path("build/demo")


def demo(
    nodes: Annotated[int, typer.Option(min=1, max=12, help="Nodes, from the street's beginning.")] = 12,
    minutes: Annotated[
        int | None, typer.Option(min=5, max=1440, help="Only so many virtual minutes from dusk on, without a cut.")
    ] = None,
    rate: Annotated[int, typer.Option(min=1, max=100_000, help="Virtual seconds a second, at most.")] = 100_000,
    slack: Annotated[int, typer.Option(min=10, max=1000, help="How late a board may wake, in virtual ms.")] = 500,
    seed: Annotated[int, typer.Option(min=0, help="The seed of the passers.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = DEFAULT_OUT,
) -> None:
    """Light a street of nodes for a night: real firmware on virtual boards, a real broker, passers, a feeder cut.

    Exits 0 when every node's journal, decided again, agrees, and its energy is the simulator's within a tenth; 1 where
    not; 2 when the demo cannot be played.
    """
    console = Console()
    try:
        script = play.read_script(count=nodes, seed=seed)
        hours = play.hours_of(script)
        if minutes is not None:
            hours = play.evening_of(script, minutes)
        view = make_view(console)
        played = play.run(script, hours, Settings(rate=rate, slack_ms=slack), view, out)
    except (SiteError, ScenarioError) as error:
        problems = "".join(f"\n  {problem}" for problem in error.problems)
        _fail(f"{error.file}: {len(error.problems)} problem(s){problems}")
    except (ScriptError, NightError, BoardError, BrokerError, ReplayError, play.DemoError, OSError) as error:
        _fail(str(error))
    results = played.results
    console.print(result_table(results))
    total = results["total"]
    console.print(
        f"{len(results['lamps'])} nodes, {results['passers']} passers, {sum(results['messages'].values())} messages; "
        f"{results['wall_s']:.0f} s of this computer's time, ×{results['rate']} on average",
        highlight=False,
    )
    if results["cut"] is not None:
        cut = results["cut"]
        console.print(
            f"feeder cut: {cut['torn']} nodes in the middle of a write; back, all lit within {cut['lit_after_ms']} ms",
            highlight=False,
        )
    if total["full_night_saving_permille"] is not None:
        console.print(f"saved against a full night: {total['full_night_saving_permille'] / 10:.1f} %", highlight=False)
    if far := strangers(results):
        console.print(f"energy far from the simulator's: {', '.join(far)}", markup=False, highlight=False)
    console.print(f"journals decided again: {results['replay']['verdict']}", markup=False, highlight=False)
    console.print(f"Wrote to {out}: demo.html, demo.json, reports.jsonl, journals/", markup=False, soft_wrap=True)
    if not played.is_good:
        raise typer.Exit(1)


def _fail(text: str) -> None:
    Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(2)
