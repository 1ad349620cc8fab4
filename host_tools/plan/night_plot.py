"""Draw a played night: the level over time, coloured by reason, with the sun's night behind it and local time below."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .play import Point

# Told apart by people who see red and green as one (Okabe and Ito's palette).
COLOURS = {
    "program": "#0072b2",
    "sensor": "#d55e00",
    "override": "#cc79a7",
    "default": "#009e73",
    "inactive": "#7f7f7f",
    "failsafe": "#e69f00",
    "protection": "#000000",
}
_NIGHT = "#dfe3ee"
# A labelled tick at each of these many hours.
_TICK_HOURS = 2


def hour_ticks(first: datetime, last: datetime, zone: ZoneInfo) -> list[tuple[datetime, str]]:
    """Return the ticks of an axis: every other hour of the night as it passes, labelled with what local clocks show."""
    ticks = []
    moment = first
    while moment <= last:
        ticks.append((moment, moment.astimezone(zone).strftime("%H:%M")))
        moment += timedelta(hours=_TICK_HOURS)
    return ticks


def draw_night(
    points: Sequence[Point],
    span: tuple[datetime, datetime],
    zone: ZoneInfo,
    dark: tuple[datetime, datetime] | None,
    title: str,
    file: Path,
) -> None:
    """Write the picture of a night to ``file``. Raises OSError where it cannot be written."""
    first, last = span
    figure = Figure(figsize=(10, 4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    if dark is not None:
        axes.axvspan(_number(max(dark[0], first)), _number(min(dark[1], last)), color=_NIGHT, linewidth=0, zorder=0)
    for point, following in zip(points, [*points[1:], None], strict=True):
        _draw_point(axes, point, following.utc if following else last)
    ticks = hour_ticks(first, last, zone)
    axes.set_xticks([_number(moment) for moment, _ in ticks], [label for _, label in ticks])
    offsets = list(dict.fromkeys(moment.astimezone(zone).strftime("UTC%z") for moment in (first, last)))
    axes.set_xlabel(f"local time, {zone.key} ({', then '.join(offsets)})")
    axes.set_ylabel("level, %")
    axes.set_xlim(_number(first), _number(last))
    axes.set_ylim(-3, 105)
    axes.grid(axis="y", color="#cccccc", linewidth=0.5)
    axes.set_title(title, loc="left", fontsize=10)
    seen = list(dict.fromkeys(point.reason for point in points))
    handles = [Line2D([], [], color=COLOURS.get(reason, "black"), linewidth=2, label=reason) for reason in seen]
    axes.legend(
        handles=handles, loc="lower right", bbox_to_anchor=(1, 1), fontsize=8, ncols=len(handles), frameon=False
    )
    figure.savefig(file, format="png", metadata={"Software": "reverbere"})


def _draw_point(axes: Axes, point: Point, until: datetime) -> None:
    """Draw one decision: its straight ramp, as far as it got, then its level."""
    colour = COLOURS.get(point.reason, "black")
    reached = min(until, point.utc + timedelta(milliseconds=point.ramp_ms))
    moments = [point.utc, reached, until]
    levels = [point.from_permille, point.level_at(reached), point.level_at(until)]
    axes.plot(
        [_number(moment) for moment in moments],
        [level / 10 for level in levels],
        color=colour,
        linewidth=1.8,
        solid_joinstyle="miter",
    )


def _number(moment: datetime) -> float:
    return float(date2num(moment.astimezone(UTC)))
