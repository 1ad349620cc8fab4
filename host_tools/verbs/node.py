"""`reverbere node`: a node's configuration, and everything that goes onto it."""

import json
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from host_tools.journal_bundle import JournalBundleError, journal_files
from host_tools.mpy.line_map import read_map, translate
from host_tools.node_bundle import BundleError, make_bundle, write_bundle
from host_tools.node_config import BUILD_DAY_MAX, BUILD_DAY_MIN, Fleet, build_day_of, load_fleet
from host_tools.plan.problems import Problem, SiteError
from host_tools.site_keys import KeysError, SiteKeys

from .plan import fail, load

app = typer.Typer(no_args_is_help=True, help="Configure a node, and make what goes onto it.")

SiteArgument = Annotated[Path, typer.Argument(help="The site, a YAML file.")]
HardwareArgument = Annotated[Path, typer.Argument(help="The hardware of its nodes, a YAML file: docs/node.md.")]
NodeArgument = Annotated[str, typer.Argument(help="The node, by its name in the hardware file.")]
BuildDayOption = Annotated[
    str | None, typer.Option(help="The node believes no time before this date, like 2026-11-24; today by default.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
KeysOption = Annotated[
    Path, typer.Option(envvar="REVERBERE_KEYS", help="The folder of the site's keys; made by `reverbere keys new`.")
]


@app.callback()
def _group() -> None:
    """Configure a node, and make what goes onto it."""


@app.command()
def config(
    site: SiteArgument,
    hardware: HardwareArgument,
    node: NodeArgument,
    build_day: BuildDayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check the site and its hardware, and show one node's configuration.

    Exits 0 when all is right, 2 when the site, the hardware or the node is wrong.
    """
    fleet = load_nodes(site, hardware)
    try:
        data = fleet.data(node, day_number(build_day))
    except SiteError as error:
        fail(error.file, error.problems)
    if as_json:
        typer.echo(data.decode())
        return
    say("\n".join(_words(json.loads(data), len(data))))


@app.command()
def bundle(
    site: SiteArgument,
    hardware: HardwareArgument,
    node: NodeArgument,
    out: Annotated[
        Path, typer.Option(help="Folder for it: new, empty, or that of an earlier bundle. It holds secrets.")
    ],
    keys: KeysOption,
    build_day: BuildDayOption = None,
    is_open: Annotated[
        bool, typer.Option("--open", help="Leave the prompt open: for a bench, never for a pole.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write all files of one node: firmware, launcher, configuration, plans, secrets. Its keys are made if need be.

    Exits 0 when written, 2 when something is wrong (then nothing is written).
    """
    fleet = load_nodes(site, hardware)
    day = day_number(build_day)
    try:
        made = make_bundle(fleet, node, SiteKeys(keys), day, is_delivered=not is_open)
        write_bundle(made, out)
    except SiteError as error:
        fail(error.file, error.problems)
    except (BundleError, KeysError) as error:
        fail(out, [Problem("", str(error))])
    except OSError as error:
        fail(out, [Problem("", f"cannot be written: {error.strerror}: choose another --out")])
    if as_json:
        typer.echo(json.dumps(made.manifest(), indent=1))
        return
    firmware, own = (sum(map(len, part.values())) for part in (made.firmware, made.own))
    say(
        f"{node}: {len(made.firmware)} bundles of {firmware} bytes, {len(made.own)} files of its own of {own} bytes\n"
        f"Wrote to {out}: rom/ for the application, files/ for the node's file system, bundle.json with their hashes.\n"
        "With map.json `reverbere node traceback` reads what the node says of a failure: keep it.\n"
        "It holds the node's secrets: remove it after use"
    )


@app.command()
def journal(
    copy: Annotated[Path, typer.Argument(help="A copy of the node's /data, with journal and store in it.")],
    out: Annotated[Path, typer.Option(help="A new or empty folder.")],
) -> None:
    """Lay out a node's journal, configurations and plans for `reverbere sim replay`; no secret is taken.

    Exits 2 where the copy or the folder cannot be used.
    """
    try:
        files = journal_files(copy)
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            fail(out, [Problem("", "is not empty: give a new folder")])
        for name, data in files.items():
            (out / name).write_bytes(data)
    except JournalBundleError as error:
        fail(copy, [Problem("", str(error))])
    except OSError as error:
        fail(out, [Problem("", f"cannot be written, or the copy not read: {error.strerror}")])
    say(f"Wrote {len(files)} files to {out}. Decide them again: reverbere sim replay {out}")


@app.command()
def traceback(
    line_map: Annotated[
        Path, typer.Argument(metavar="MAP", help="The map.json of the node's bundle, or the bundle's folder.")
    ],
) -> None:
    """Read a traceback from a node (its boot.err, its log) in terms of the firmware's source: `… MAP < TEXT`.

    Exits 2 where the map cannot be used.
    """
    try:
        known = read_map(line_map)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        fail(line_map, [Problem("", f"{reason}: give the map.json that was written with the node's bundle")])
    typer.echo(translate(sys.stdin.read(), known), nl=False)


def load_nodes(site: Path, hardware: Path) -> Fleet:
    """Return the nodes of a site, with warnings on the standard error. Ends the command with 2 where it is wrong."""
    loaded = load(site)
    try:
        fleet = load_fleet(loaded, hardware)
    except SiteError as error:
        fail(error.file, error.problems)
    for warning in fleet.warnings:
        Console(stderr=True).print(f"warning: {warning}", markup=False, highlight=False, soft_wrap=True)
    return fleet


def say(text: str) -> None:
    """Print for people."""
    Console().print(text, markup=False, highlight=False, soft_wrap=True)


def day_number(text: str | None) -> int:
    """Return the day of a date (None: today) since 2000-01-01. Ends the command with 2 for none."""
    try:
        day = date.fromisoformat(text) if text is not None else datetime.now(UTC).date()
        number = build_day_of(day.year, day.month, day.day)
        if not BUILD_DAY_MIN <= number <= BUILD_DAY_MAX:
            raise ValueError
    except ValueError:
        fail(Path("--build-day"), [Problem("", f"{text!r} is no date from 2020 to 2199: write like 2026-11-24")])
    return number


def _words(tree: dict[str, Any], size: int) -> list[str]:
    lines = [f"{tree['node']} of {tree['site']}, number {tree['id']}: configuration of {size} bytes"]
    for number, lamp in enumerate(tree["lamps"]):
        relay = f", relay {_device(lamp['relay'])}" if lamp.get("relay") else ""
        lines.append(f"  output {number}  {_device(lamp['dimmer'])}{relay}; safe level {lamp['start'] / 10:g} %")
    for sensor in tree["sensors"]:
        lines.append(f"  sensor    {_device(sensor)}, for output {', '.join(map(str, sensor['lamps']))}")
    for name, bus in tree["buses"].items():
        lines.append(f"  {name:<9} {', '.join(f'{key} {value}' for key, value in bus.items())}")
    if chip := tree["clock"].get("chip"):
        lines.append(f"  clock     {_device(chip)}")
    if mqtt := tree.get("mqtt"):
        lines.append(
            f"  broker    {mqtt['host']}:{mqtt['port']}, {'TLS' if mqtt['tls'] else 'NO TLS: for a bench only'}"
        )
    if wave := tree.get("wave"):
        lines.append(f"  wave      channel {wave['channel']}")
    if tree["groups"]:
        lines.append(f"  groups    {', '.join(name for name, _ in tree['groups'])}")
    return lines


def _device(device: dict[str, Any]) -> str:
    where = device.get("bus") or f"pin {device['pin']}" if "pins" not in device else f"pins {device['pins']}"
    return f"{device['name']} on {where}"
