"""`reverbere plan`: the site file, checked, compiled, compared, and exchanged as TALQ JSON."""

import json
import os
import tempfile
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from host_tools.plan.diff import diff_sites
from host_tools.plan.json_reader import TalqError
from host_tools.plan.problems import Problem, SiteError
from host_tools.plan.program import CHANNELS
from host_tools.plan.sign import SignError, load_key
from host_tools.plan.site import Site, load_site
from host_tools.plan.site_compile import OutError, compiled_files, write_files
from host_tools.plan.site_text import calendar_words, program_words, yaml_text
from host_tools.plan.talq import OWNER, export_talq, import_talq, read_talq

from . import plan_check, plan_show

app = typer.Typer(no_args_is_help=True, help="Check, compile, compare and exchange the plans of a site.")

SiteArgument = Annotated[Path, typer.Argument(help="The site, a YAML file.")]


@app.callback()
def _group() -> None:
    """Check, compile, compare and exchange the plans of a site."""


@app.command("compile")
def compile_(
    site: SiteArgument,
    out: Annotated[Path, typer.Option(help="Folder for the plans: new, empty, or of an earlier compilation.")],
    key: Annotated[Path | None, typer.Option(help="File of the site's private key: signs every plan.")] = None,
) -> None:
    """Write <lamp>.plan, <lamp>.json and manifest.json. The same site gives the same bytes.

    Exits 0 when written, 2 when the site, the key or the folder is wrong (then nothing is written). Without --key the
    plans are not signed: "signature" in the manifest is null.
    """
    loaded = load(site)
    try:
        files = compiled_files(loaded, None if key is None else load_key(key))
    except SignError as error:
        fail(key or site, [Problem("", str(error))])
    try:
        write_files(files, out)
    except OutError as error:
        fail(out, [Problem("", str(error))])
    except OSError as error:
        fail(out, [Problem("", f"cannot be written: {error.strerror}: choose another --out")])
    plans = [data for name, data in files.items() if name.endswith(".plan")]
    _say(
        f"{len(plans)} lamps, {len(set(plans))} distinct plans, largest {max(map(len, plans))} bytes; "
        f"{'not signed' if key is None else 'signed'}\n"
        f"Wrote to {out}: <lamp>.plan, <lamp>.json, manifest.json"
    )


@app.command("export")
def export_(
    site: SiteArgument,
    out: Annotated[Path | None, typer.Option(help="File for the JSON; the standard output otherwise.")] = None,
    owner: Annotated[str, typer.Option(help="Address of the owner CMS.")] = OWNER,
) -> None:
    """Write programs and calendars as TALQ 2.7.1 JSON.

    Exits 2 where TALQ cannot carry something (then nothing is written).
    """
    loaded = load(site)
    try:
        document = export_talq(loaded.programs, loaded.calendars, owner)
    except TalqError as error:
        fail(site, error.problems)
    _put(json.dumps(document, indent=2, ensure_ascii=False) + "\n", out)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="TALQ 2.7.1 JSON: an object with programs and calendars.")],
    out: Annotated[Path | None, typer.Option(help="File for the YAML; the standard output otherwise.")] = None,
    sensor: Annotated[
        list[str] | None,
        typer.Option(help="What a sensor's address means here, like --sensor 'device-7/movement=presence'."),
    ] = None,
) -> None:
    """Write the programs and calendars of a TALQ document as part of a site file.

    Exits 2 where something cannot be carried (then nothing is written).
    """
    sensors = _sensors(sensor or [])
    try:
        found = import_talq(read_talq(file), sensors)
    except TalqError as error:
        fail(file, error.problems)
    except OSError as error:
        fail(file, [Problem("", f"cannot be read: {error.strerror}: give the path of a file")])
    tree = {
        "programs": {name: program_words(program) for name, program in found.programs.items()},
        "calendars": {name: calendar_words(calendar) for name, calendar in found.calendars.items()},
    }
    _put(yaml_text(tree), out)


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="The site as it was, a YAML file.")],
    new: Annotated[Path, typer.Argument(help="The site as it will be, a YAML file.")],
) -> None:
    """Say in words what changes for each lamp. Exits 0 when nothing does, 1 when something does, 2 on a wrong site."""
    refused: list[SiteError] = []
    sites = []
    for path in (old, new):
        try:
            sites.append(load_site(path))
        except SiteError as error:
            refused.append(error)
    for one in refused:
        _report(one.file, one.problems)
    if refused:
        raise typer.Exit(2)
    found = diff_sites(*sites)
    if not found:
        _say("no change")
        return
    lines = list(found.site)
    for lamps, changes in found.grouped():
        lines.append(f"{', '.join(lamps)} ({len(lamps)} lamp{'s' if len(lamps) > 1 else ''}):")
        lines += [f"  {change}" for change in changes]
    _say("\n".join(lines))
    raise typer.Exit(1)


def load(path: Path) -> Site:
    """Return the site, with its warnings on the standard error. Ends the command with 2 where it is wrong."""
    try:
        site = load_site(path)
    except SiteError as error:
        fail(error.file, error.problems)
    for warning in site.warnings:
        Console(stderr=True).print(f"warning: {warning}", markup=False, highlight=False, soft_wrap=True)
    return site


def fail(file: Path, problems: list[Problem]) -> NoReturn:
    """Say what is wrong with a file, each with its place, and end the command with 2."""
    _report(file, problems)
    raise typer.Exit(2)


def _report(file: Path, problems: list[Problem]) -> None:
    errors = Console(stderr=True)
    errors.print(f"{file}: {len(problems)} problem(s), nothing was written", markup=False, soft_wrap=True)
    for problem in problems:
        errors.print(f"  {problem}", markup=False, highlight=False, soft_wrap=True)


def _say(text: str) -> None:
    Console().print(text, markup=False, highlight=False, soft_wrap=True)


def _sensors(given: list[str]) -> dict[str, str]:
    found = {}
    for text in given:
        address, _, channel = text.rpartition("=")
        if not address or channel not in CHANNELS:
            fail(
                Path("--sensor"),
                [Problem("", f"{text!r} is not ADDRESS=CHANNEL: channels are {', '.join(CHANNELS)}")],
            )
        found[address] = channel
    return found


def _put(text: str, out: Path | None) -> None:
    """Write to ``out``, aside and renamed, or to the standard output."""
    if out is None:
        typer.echo(text, nl=False)
        return
    aside = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("wb", dir=out.parent, prefix=f".{out.name}.", delete=False) as file:
            aside = Path(file.name)
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        aside.chmod(0o644)
        aside.replace(out)
    except OSError as error:
        if aside is not None:
            aside.unlink(missing_ok=True)
        fail(out, [Problem("", f"cannot be written: {error.strerror}: choose another --out")])
    _say(f"Wrote {out}")


# Verbs of other modules.
app.command()(plan_check.check)
app.command()(plan_show.show)
app.command()(plan_show.explain)
