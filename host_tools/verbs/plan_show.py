"""`reverbere plan show` and `plan explain`: one lamp's night, and why it is lit at one instant.

Both play the lamp's plan through the control core; neither decides anything itself. ``cli.py`` registers the functions.

The JSON of ``plan show`` is stable: {"node", "night", "zone", "points": [{"utc", "local", "level_permille", "ramp_ms",
"reason", "by", "until"}], "derogation": null or {"by", "guard_permille"}}. A point is a decision: at ``utc`` the lamp
starts for ``level_permille``, there after ``ramp_ms``. The first point is the state found at local noon. ``reason`` is
TALQ's word (default, override, sensor, program) or ours (inactive, failsafe, protection); ``by`` says which program and
control, and which limit shows in the level (class guard, driver's minimum, heat, a derogation). ``until``: UTC of the
next decision if nothing else happens, null where none comes within 24 h. ``derogation``: by which decision the lamp may
go below its class guard.
"""

import difflib
import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NoReturn
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from host_tools.plan.events import Event, EventsError, read_events
from host_tools.plan.night_plot import COLOURS, draw_night
from host_tools.plan.play import (
    FIRST_DATE,
    LAST_DATE,
    LampPlay,
    Point,
    night_span,
    play_points,
    run_to,
    start_of,
)
from host_tools.plan.play import REASONS as REASON_WORDS
from host_tools.plan.problems import Problem, SiteError
from host_tools.plan.site import Site, load_site
from host_tools.plan.site_compile import derogation_of
from host_tools.plan.year_play import SunNights
from host_tools.plan.zones import zone_info

# Events further from the night than this are a mistake in a date.
EVENTS_SPAN = timedelta(days=400)

SiteArgument = Annotated[Path, typer.Argument(help="The site, a YAML file.")]
NodeArgument = Annotated[str, typer.Argument(help="The lamp, by its id in the site.")]
EventsOption = Annotated[Path | None, typer.Option("--events", help="A CSV file of events: utc,kind,value.")]


class InputError(ValueError):
    """What a person gave does not do: ``where`` and the problems found."""

    def __init__(self, where: str, problems: Sequence[Problem]):
        super().__init__(where)
        self.where = where
        self.problems = problems


def show(
    site: SiteArgument,
    node: NodeArgument,
    night: Annotated[str, typer.Option("--night", help="The date on whose noon the night begins, like 2026-06-21.")],
    events: EventsOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
    png: Annotated[Path | None, typer.Option("--png", help="Also draw the night to this file.")] = None,
) -> None:
    """Show what a lamp does in one night, when and why.

    Exits 0 when the night was played, 2 when the site, the lamp, the night or the events are wrong.
    """
    try:
        loaded = _load(site, node)
        zone = zone_info(loaded.zone_name)
        day = _night(night)
        first, last = night_span(day, zone)
        seen = _events(events, first)
        play = LampPlay(loaded.lamp_plan(node), loaded.lamp_config(node), start_of(first, seen))
        points = play_points(play, seen, first, last)
        if png is not None:
            dark = SunNights(loaded.lamp_config(node)["place"], loaded.zone).of(day)
            try:
                draw_night(points, (first, last), zone, dark, f"{node}, night of {day}", png)
            except OSError as error:
                raise InputError(
                    str(png), [Problem("", f"cannot be written: {error.strerror}: choose another --png")]
                ) from error
    except InputError as error:
        fail(error)
    if as_json:
        tree = night_json(node, day, zone, points, derogation_of(loaded, node))
        print(json.dumps(tree, indent=1, ensure_ascii=False))
        return
    Console().print(night_table(node, day, zone, points))
    for line in derogation_lines(loaded, node):
        Console().print(line, markup=False, highlight=False, soft_wrap=True)
    if png is not None:
        Console().print(f"Drew {escape(str(png))}", soft_wrap=True)


def explain(
    site: SiteArgument,
    node: NodeArgument,
    at: Annotated[str, typer.Option("--at", help="ISO with offset, or the site's local time: 2026-06-21T23:30.")],
    events: EventsOption = None,
) -> None:
    """Say why a lamp is lit, or not, at one instant: who, since when, until when, what next.

    Exits 0 with the answer, 2 when the site, the lamp, the time or the events are wrong.
    """
    try:
        loaded = _load(site, node)
        zone = zone_info(loaded.zone_name)
        try:
            moment = instant(at, zone)
        except ValueError as error:
            raise InputError("--at", [Problem("", str(error))]) from error
        seen = _events(events, moment)
        play = LampPlay(loaded.lamp_plan(node), loaded.lamp_config(node), start_of(moment, seen))
    except InputError as error:
        fail(error)
    print("\n".join([explanation(play, seen, node, moment, zone), *derogation_lines(loaded, node)]))


def explanation(play: LampPlay, events: Sequence[Event], node: str, moment: datetime, zone: ZoneInfo) -> str:
    """Return in words what holds at ``moment``, the events of that very moment included."""
    run_to(play, events, play.ms_of(moment))
    controller = play.controller
    level = controller.level_at(play.tick)
    going = f", on the way to {percent(controller.level_permille)}" if level != controller.level_permille else ""
    # What has not changed since the play began, days before, began some time before that.
    before = "before " if play.since_ms == 0 else ""
    following = play.next_decision()
    lines = [
        f"{node} at {_moment(moment, zone)} ({moment.isoformat().replace('+00:00', 'Z')}):",
        f"  level  {percent(level)}{going}",
        f"  why    {REASON_WORDS[controller.reason]}: {play.who()}",
        f"  since  {before}{_moment(play.utc_of(play.since_ms), zone)}",
    ]
    if following is None:
        lines += ["  until  nothing changes within 24 h", "  next   unknown: something else must happen"]
    else:
        ramp = f" in {following.ramp_ms / 1000:g} s" if following.ramp_ms else ""
        lines += [
            f"  until  {_moment(following.utc, zone)}, if nothing else happens",
            f"  next   {percent(following.level_permille)}{ramp}, {following.reason}: {following.by}",
        ]
    return "\n".join(lines)


def derogation_lines(site: Site, node: str) -> list[str]:
    """Return in words, where there is one, by which decision a lamp may go below its class guard."""
    found = derogation_of(site, node)
    return [f"  derogation from the class guard {percent(found['guard_permille'])}: {found['by']}"] if found else []


def instant(text: str, zone: ZoneInfo) -> datetime:
    """Return the moment that ``text`` means, in UTC: ISO with an offset, or local time of ``zone``.

    Raises ValueError for a local time that came twice (with both readings) or never.
    """
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?)(Z|[+-]\d\d:\d\d)?", text.strip())
    try:
        moment = datetime.fromisoformat(text.strip()) if found else None
    except ValueError:
        moment = None
    if moment is None:
        raise ValueError(f"{text!r} is not a time: write it like 2026-06-21T23:30, or 2026-06-21T21:30:00Z")
    if not FIRST_DATE <= moment.date() <= LAST_DATE:
        raise ValueError(f"{text} is out of range: from {FIRST_DATE} to {LAST_DATE}")
    if moment.tzinfo is not None:
        return moment.astimezone(UTC)
    readings = []
    for fold in (0, 1):
        utc = moment.replace(tzinfo=zone, fold=fold).astimezone(UTC)
        if utc.astimezone(zone).replace(tzinfo=None) == moment and utc not in readings:
            readings.append(utc)
    if len(readings) == 2:
        both = " or ".join(utc.astimezone(zone).isoformat() for utc in readings)
        raise ValueError(f"{text} comes twice that night, the clocks go back: write {both}")
    if not readings:
        before, after = (moment + timedelta(hours=hours) for hours in (-1, 1))
        raise ValueError(
            f"{text} does not exist, the clocks go forward over it: write a time before or after the change, "
            f"like {before.isoformat()} or {after.isoformat()}"
        )
    return readings[0]


def night_json(
    node: str, night: date, zone: ZoneInfo, points: Sequence[Point], derogation: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return the documented JSON of a night."""
    return {
        "node": node,
        "night": night.isoformat(),
        "zone": zone.key,
        "points": [
            {
                "utc": utc_text(point.utc),
                "local": local_text(point.utc, zone),
                "level_permille": point.level_permille,
                "ramp_ms": point.ramp_ms,
                "reason": point.reason,
                "by": point.by,
                "until": utc_text(point.until) if point.until else None,
            }
            for point in points
        ],
        "derogation": derogation,
    }


def night_table(node: str, night: date, zone: ZoneInfo, points: Sequence[Point]) -> Table:
    """Return the table of a night."""
    table = Table(
        title=f"{escape(node)}: night of {night}, {zone.key}\nthe first line is the state found at noon",
        title_justify="left",
    )
    for name in ("local", "UTC", "level", "ramp", "until"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("reason", no_wrap=True)
    table.add_column("by")
    for point in points:
        local = point.utc.astimezone(zone)
        until = point.until.astimezone(zone) if point.until else None
        table.add_row(
            _clock(local),
            _clock(point.utc),
            percent(point.level_permille),
            f"{point.ramp_ms / 1000:g} s" if point.ramp_ms else "",
            _clock(until) if until else "-",
            f"[{COLOURS.get(point.reason, 'default')}]{point.reason}[/]",
            escape(point.by),
        )
    return table


def utc_text(moment: datetime) -> str:
    """Return a moment as ISO UTC with Z, with milliseconds where there are any."""
    return _iso(moment.astimezone(UTC)).replace("+00:00", "Z")


def local_text(moment: datetime, zone: ZoneInfo) -> str:
    """Return a moment as ISO local time with its offset."""
    return _iso(moment.astimezone(zone))


def percent(permille: int) -> str:
    """Return a level as people read it."""
    return f"{permille / 10:g} %"


def fail(error: InputError) -> NoReturn:
    """Print what is wrong and exit with 2."""
    errors = Console(stderr=True)
    errors.print(f"[bold red]{escape(error.where)}[/]: {len(error.problems)} problem(s), nothing was played or written")
    for problem in error.problems:
        errors.print(
            f"  {problem.path + ': ' if problem.path else ''}{problem.reason}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    raise typer.Exit(2)


def load(file: Path) -> Site:
    """Return the site. Raises `InputError`."""
    try:
        return load_site(file)
    except SiteError as error:
        raise InputError(str(error.file), error.problems) from error


def _load(file: Path, node: str) -> Site:
    loaded = load(file)
    if node not in loaded.lamps:
        near = difflib.get_close_matches(node, list(loaded.lamps), 3, 0.5) or list(loaded.lamps)[:5]
        raise InputError(str(file), [Problem("", f"has no lamp {node!r}: try {', '.join(near)}")])
    return loaded


def _night(text: str) -> date:
    try:
        night = date.fromisoformat(text)
    except ValueError as error:
        raise InputError("--night", [Problem("", f"{text!r} is not a date: write it like 2026-06-21")]) from error
    if not FIRST_DATE <= night <= LAST_DATE:
        raise InputError("--night", [Problem("", f"{night} is out of range: from {FIRST_DATE} to {LAST_DATE}")])
    return night


def _events(file: Path | None, moment: datetime) -> list[Event]:
    if file is None:
        return []
    try:
        events = read_events(file)
    except EventsError as error:
        raise InputError(str(error.file), error.problems) from error
    if events and moment - events[0].utc > EVENTS_SPAN:
        raise InputError(
            str(file),
            [Problem("", f"the first event lies more than {EVENTS_SPAN.days} days before: correct the date")],
        )
    if events and events[0].utc.date() < FIRST_DATE:
        raise InputError(str(file), [Problem("", f"the first event lies before {FIRST_DATE}: correct the date")])
    return events


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")


def _clock(moment: datetime) -> str:
    text = moment.strftime("%H:%M:%S")
    return f"{text}.{moment.microsecond // 1000:03}" if moment.microsecond else text


def _moment(moment: datetime, zone: ZoneInfo) -> str:
    local = moment.astimezone(zone)
    return f"{local:%Y-%m-%d} {_clock(local)} {local:%Z}"
