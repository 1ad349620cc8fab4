"""`reverbere plan check`: play every night of a year before a plan is pushed, and judge it by the law.

The JSON is stable: {"site", "year", "law", "plays", "findings": [{"severity", "kind", "lamps", "night", "what",
"remedy"}]}; severity is error, warning or note; ``night`` is the date on whose noon the first such night begins, null
where a finding is about the whole year. ``cli.py`` registers the function.
"""

import json
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from host_tools.plan.check import SEVERITIES, check_site
from host_tools.plan.law import Finding, LawError, load_law
from host_tools.plan.play import FIRST_DATE, LAST_DATE
from host_tools.plan.problems import Problem
from host_tools.plan.site import Site

from .plan_show import InputError, fail, load

_STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}
# So many lamps are named in the table; the JSON names all.
_LAMPS_NAMED = 3


def check(
    site: Annotated[Path, typer.Argument(help="The site, a YAML file.")],
    year: Annotated[int | None, typer.Option("--year", help="The year to play; this year if left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
) -> None:
    """Play every night of a year and report contradictions, gaps, light by day, and breaches of the law.

    Exits 0 without errors, 1 with one or more, 2 when the site or the year is wrong.
    """
    year = date.today().year if year is None else year
    try:
        if not FIRST_DATE.year < year < LAST_DATE.year:
            raise InputError(
                "--year", [Problem("", f"{year} is out of range: from {FIRST_DATE.year + 1} to {LAST_DATE.year - 1}")]
            )
        loaded = load(site)
        law = load_law()
    except InputError as error:
        fail(error)
    except LawError as error:
        fail(InputError(str(error.file), error.problems))
    findings, plays = check_site(loaded, year, law)
    if as_json:
        print(json.dumps(check_json(loaded, year, law.number, plays, findings), indent=1, ensure_ascii=False))
    else:
        _print(Console(), loaded, year, plays, findings)
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(1)


def check_json(site: Site, year: int, law: str, plays: int, findings: list[Finding]) -> dict[str, Any]:
    """Return the documented JSON of a check."""
    return {
        "site": site.name,
        "year": year,
        "law": law,
        "plays": plays,
        "findings": [
            {
                "severity": finding.severity,
                "kind": finding.kind,
                "lamps": list(finding.lamps),
                "night": finding.night.isoformat() if finding.night else None,
                "what": finding.what,
                "remedy": finding.remedy,
            }
            for finding in findings
        ],
    }


def _print(console: Console, site: Site, year: int, plays: int, findings: list[Finding]) -> None:
    if findings:
        table = Table(title=f"{escape(site.name)}, {year}", title_justify="left")
        for name in ("", "lamps", "first night"):
            table.add_column(name, no_wrap=name != "lamps")
        table.add_column("what, and what to do", overflow="fold")
        for finding in findings:
            table.add_row(
                f"[{_STYLES[finding.severity]}]{finding.severity}[/]",
                escape(_lamps(finding.lamps)),
                finding.night.isoformat() if finding.night else "",
                f"{escape(finding.what)}\n[dim]{escape(finding.remedy)}[/]",
            )
        console.print(table)
    counts = {severity: sum(finding.severity == severity for finding in findings) for severity in SEVERITIES}
    console.print(
        f"{len(site.lamps)} lamp(s), {plays} different plan(s) and place(s) played through {year}: "
        + ", ".join(f"{count} {severity}(s)" for severity, count in counts.items()),
        soft_wrap=True,
    )


def _lamps(lamps: tuple[str, ...]) -> str:
    if not lamps:
        return "the site"
    rest = len(lamps) - _LAMPS_NAMED
    return ", ".join(lamps[:_LAMPS_NAMED]) + (f" and {rest} more" if rest > 0 else "")
