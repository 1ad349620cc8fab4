"""`reverbere sim`: run scenarios with the control code of the node."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from sim import figures, junit
from sim.journal_replay import Outcome, ReplayError, replay_folder
from sim.nights import NIGHTS_MAX, SEED_MAX, run_nights
from sim.report.page import render_page
from sim.report.picture import render_picture
from sim.scenario import ScenarioError, load_scenario

app = typer.Typer(no_args_is_help=True, help="Run scenarios with the control code of the node.")

DEFAULT_OUT = Path("build/sim")


@app.callback()
def _group() -> None:
    """Run scenarios with the control code of the node."""


@app.command()
def run(
    scenario: Annotated[Path, typer.Argument(help="The scenario, a YAML file.")],
    seed: Annotated[int, typer.Option(min=0, max=SEED_MAX, help="The one seed of all that is drawn.")] = 1,
    nights: Annotated[int, typer.Option(min=1, max=NIGHTS_MAX, help="Nights, from the scenario's date on.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = DEFAULT_OUT,
    junit_file: Annotated[
        Path | None, typer.Option("--junit", help="Also write the expectations as JUnit XML.")
    ] = None,
) -> None:
    """Simulate a street's night(s), print one table and write the results.

    Exits 0 when every expectation holds, 1 when one fails, 2 when the scenario is wrong (then nothing is written).
    """
    console = Console()
    errors = Console(stderr=True)
    try:
        loaded = load_scenario(scenario)
        with Progress(
            TextColumn("{task.description:<28}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            console=console,
        ) as progress:
            report = _Steps(progress)
            result = run_nights(loaded, seed, nights, report)
            report("figures", 0, 1)
            results = figures.results_of(result)
            timeline = figures.timeline_of(result)
            report("figures", 1, 1)
            report("pictures", 0, 2)
            out.mkdir(parents=True, exist_ok=True)
            _write(out / "results.json", json.dumps(results, indent=1, ensure_ascii=False) + "\n")
            _write(out / "lamps.jsonl", "".join(json.dumps(record) + "\n" for record in result.records))
            _write(out / "night.html", render_page(results, timeline))
            report("pictures", 1, 2)
            render_picture(results, timeline, out / "night.png")
            report("pictures", 2, 2)
            if junit_file:
                junit_file.parent.mkdir(parents=True, exist_ok=True)
                _write(junit_file, junit.render(results))
    except ScenarioError as error:
        errors.print(
            f"[bold red]{escape(str(error.file))}[/]: {len(error.problems)} problem(s), nothing was run or written"
        )
        for problem in error.problems:
            errors.print(
                f"  {problem.path + ': ' if problem.path else ''}{problem.reason}",
                markup=False,
                highlight=False,
            )
        raise typer.Exit(2) from error
    except OSError as error:
        errors.print(f"{error.filename}: cannot be written: {error.strerror}: choose another --out", markup=False)
        raise typer.Exit(2) from error
    print_results(console, results)
    console.print(
        f"Wrote to {escape(str(out))}: results.json, lamps.jsonl, night.png, and night.html for a browser",
        soft_wrap=True,
    )
    if not all(entry["ok"] for entry in results["expectations"]):
        raise typer.Exit(1)


@app.command()
def replay(
    journal: Annotated[Path, typer.Argument(help="Folder with a node's segments, configuration and plan.")],
) -> None:
    """Decide a node's journal again and say where, if anywhere, it decided otherwise.

    Exits 0 when every run that could be decided again agrees, 1 at a difference, 2 when nothing could be.
    """
    console = Console()
    errors = Console(stderr=True)
    try:
        outcomes = replay_folder(journal)
    except ReplayError as error:
        errors.print(f"{error.place}: {error.reason}\n  {error.remedy}", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(2) from error
    for outcome in outcomes:
        console.print(_told(outcome), markup=False, highlight=False, soft_wrap=True)
    if not any(not outcome.skipped for outcome in outcomes):
        errors.print(f"{journal}: no run could be decided again, see above", markup=False, soft_wrap=True)
        raise typer.Exit(2)
    differing = sum(outcome.difference is not None for outcome in outcomes)
    console.print(f"first difference: {'none' if not differing else f'in {differing} run(s), see above'}")
    if differing:
        raise typer.Exit(1)


def _told(outcome: Outcome) -> str:
    """Return the lines that tell what came of one run."""
    run = outcome.run
    version = f", firmware {run.header.firmware}" if run.header else ""
    text = f"boot {run.boot}, lamp {run.lamp}{version} ({run.place}): "
    if outcome.skipped:
        return f"{text}not decided again, {outcome.skipped}"
    text += f"{outcome.inputs} inputs, {outcome.decisions} decisions"
    if run.cut:
        text += f", up to where {run.cut}"
    found = outcome.difference
    if found is None:
        return f"{text}: no difference"
    names = "tick, level, fade ms, reason, by"
    return (
        f"{text}: FIRST DIFFERENCE at tick {found.tick}, {found.utc}\n"
        f"  expected ({names}): {found.expected or 'no decision'}\n"
        f"  got                                     : {found.got or 'no decision'}"
    )


class _Steps:
    """Shows each step of a run as a bar of its own."""

    TITLES = {  # noqa: RUF012
        "street": "Lamps through the night", "bound": "Clairvoyant bound", "figures": "Figures",
        "pictures": "Page and picture",
    }  # fmt: skip

    def __init__(self, progress: Progress):
        self._progress = progress
        self._tasks: dict[str, Any] = {}

    def __call__(self, step: str, done: int, total: int) -> None:
        if step not in self._tasks:
            self._tasks[step] = self._progress.add_task(self.TITLES[step], total=total)
        self._progress.update(self._tasks[step], completed=done)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def print_results(console: Console, results: dict[str, Any]) -> None:
    """Print the table of a run: every figure of `results.json`."""
    found = results["figures"]
    passers = found["passers"]
    switchings = found["switchings_per_lamp"]
    table = Table(
        title=f"{escape(results['scenario']['title'])}\n{results['date']}, {results['nights']} night(s), "
        f"{results['lamps']} lamps",
        title_justify="left",
    )
    table.add_column("", no_wrap=True, min_width=22)
    for title in ("Réverbère", *(entry["title"] for entry in found["baselines"]), "Bound"):
        table.add_column(title.replace(" ", "\n"), justify="right")
    table.add_row(
        "energy, kWh",
        _kwh(found["energy_wh"]),
        *(_kwh(entry["energy_wh"]) for entry in found["baselines"]),
        _kwh(found["bound"]["energy_wh"]),
    )
    table.add_row(
        "Réverbère uses, %",
        "",
        *(f"{-entry['saving_permille'] / 10:+.1f}" for entry in found["baselines"]),
        f"{found['bound']['above_permille'] / 10:+.1f}",
    )
    table.add_row(
        "passers served, %",
        _percent(passers["served_permille"]),
        *(_percent(entry["served_permille"]) for entry in found["baselines"]),
        _percent(1000),
        end_section=True,
    )
    for name, value in (
        ("passers served", f"{passers['served']}/{passers['total']}"),
        *((f"  {escape(entry['mode'])}", f"{entry['served']}/{entry['total']}") for entry in passers["by_mode"]),
        ("needed time served, %", _percent(passers["served_time_permille"])),
        ("night, h", f"{found['night_h']:.2f}"),
        ("lit hours, % of night", _percent(found["lit_share_permille"])),
        ("at required level, %", _percent(found["required_level_share_permille"])),
        ("mean level, %", _percent(found["mean_level_permille"])),
        ("switchings, least", str(switchings["min"])),
        ("  a lamp, mean", str(switchings["mean"])),
        ("  and night, most", str(switchings["max"])),
    ):
        table.add_row(name, value)
    console.print(table)
    for entry in results["expectations"]:
        mark = "[green]holds[/]" if entry["ok"] else "[bold red]FAILS[/]"
        console.print(f"  {mark}  {entry['path'].removeprefix('expect.')} {entry['bound']}: {entry['value']}")
    console.print(
        f"seed {results['seed']}, commit {results['commit'][:12]}{' (changed)' if results['commit_dirty'] else ''}, "
        f"{results['events']} events, {results['decisions']} decisions\ndigest {results['digest']}",
        highlight=False,
        soft_wrap=True,
    )


def _kwh(energy_wh: int) -> str:
    return f"{energy_wh / 1000:.2f}"


def _percent(permille: int) -> str:
    return f"{permille / 10:.1f}"
