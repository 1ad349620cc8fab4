"""Most people will see a night only as a picture in a README, so the whole story has to stand in one PNG.

Three panels share one time axis: light (lamps × time), passers per quarter hour, street power in W.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

WIDTH_PX, HEIGHT_PX, _DPI = 1600, 1000, 100
_COLUMNS = 1400
_HOUR_MS, _QUARTER_MS = 3_600_000, 900_000

_GROUND, _TEXT, _SOFT, _EDGE = "#0b0e14", "#ece8dd", "#a7b0c4", "#2a3348"
_WARMTH = LinearSegmentedColormap.from_list(
    "lamp",
    [
        *((0.0, "#0b0e16"), (0.1, "#2a1e20"), (0.3, "#6b3f22")),
        *((0.6, "#c97c2c"), (0.85, "#ffbd59"), (1.0, "#fff1d0")),
    ],
)
_SERIES_STYLE: dict[str, dict[str, Any]] = {
    "reverbere": {"color": "#ffb84d", "linewidth": 1.8, "zorder": 5},
    "full_night": {"color": "#aeb6c8", "linewidth": 1.4},
    "fixed_dimming": {"color": "#6f9dff", "linewidth": 1.4, "linestyle": (0, (7, 3))},
    "extinction": {"color": "#c08cff", "linewidth": 1.4},
    "bound": {"color": "#66d3a4", "linewidth": 1.4, "linestyle": (0, (2, 2)), "zorder": 6},
}
_MODE_COLOURS = {"walker": "#ff9db8", "bicycle": "#6fe0ee", "car": "#b9c3e0"}
_SPARE_COLOURS = ("#a6e08a", "#e6d27a", "#d4a6ff")
_LEGEND: dict[str, Any] = {
    "ncols": 5,
    "frameon": False,
    "labelcolor": _TEXT,
    "fontsize": 10.5,
    "handlelength": 1.5,
    "handletextpad": 0.6,
    "columnspacing": 1.1,
    "borderaxespad": 0.2,
}
_TITLES = {
    "reverbere": "Réverbère",
    "full_night": "Plein feu toute la nuit",
    "fixed_dimming": "Abaissement à heures fixes",
    "extinction": "Extinction en cœur de nuit",
    "bound": "Borne du clairvoyant",
    "walker": "piétons",
    "bicycle": "vélos",
    "car": "voitures",
}
_AGAINST = {
    "full_night": "face au plein feu",
    "fixed_dimming": "face à l’abaissement",
    "extinction": "face à l’extinction",
}
_MONTHS = (
    *("janvier", "février", "mars", "avril", "mai", "juin"),
    *("juillet", "août", "septembre", "octobre", "novembre", "décembre"),
)


def _plain(text: object) -> str:
    """Returns a text of the data with ``$`` made literal, for matplotlib would read it as mathematics."""
    return str(text).replace("$", r"\$")


def _comma(value: float, digits: int) -> str:
    """Returns a number as French writes it."""
    return f"{value:.{digits}f}".replace(".", ",")


def _energy(wh: float) -> str:
    """Returns an energy given in Wh with the unit that reads best."""
    return f"{_comma(wh, 0)} Wh" if abs(wh) < 1000 else f"{_comma(wh / 1000, 2 if abs(wh) < 1e5 else 1)} kWh"


def shown_span(timeline: Mapping[str, Any]) -> tuple[int, int]:
    """Returns the first and last ms shown: the night and an hour either side, else the whole timeline."""
    duration = int(timeline["duration_ms"])
    sunset, sunrise = timeline["sun"]["sunset_ms"], timeline["sun"]["sunrise_ms"]
    if sunset is None or sunrise is None or sunrise <= sunset or duration > 36 * _HOUR_MS:
        return 0, duration
    return max(0, int(sunset) - _HOUR_MS), min(duration, int(sunrise) + _HOUR_MS)


def level_slices(decisions: Sequence[Sequence[float]], first: float, last: float, columns: int) -> list[float]:
    """Returns the mean level, permille, of one lamp in each of `columns` equal slices of [first, last) ms.

    `decisions` are chronological ``[t_ms, from_permille, to_permille, ramp_ms, reason]``; four moments per
    slice.
    """
    parts = 4
    step = (last - first) / (columns * parts)
    index, total = -1, 0.0
    means: list[float] = []
    for k in range(columns * parts):
        t = first + (k + 0.5) * step
        while index + 1 < len(decisions) and decisions[index + 1][0] <= t:
            index += 1
        if index >= 0:
            start, low, high, ramp = decisions[index][:4]
            total += high if ramp <= 0 or t >= start + ramp else low + (high - low) * (t - start) / ramp
        elif decisions:
            total += decisions[0][1]
        if k % parts == parts - 1:
            means.append(total / parts)
            total = 0.0
    return means


def _local(timeline: Mapping[str, Any], t_ms: float) -> datetime:
    """Returns the wall clock, as a naive-looking UTC datetime, `t_ms` after the start."""
    east = 0
    for since, seconds in timeline["utc_offsets"]:
        if since <= t_ms or since == 0:
            east = seconds
    start = datetime.fromisoformat(str(timeline["start_utc"]).replace("Z", "+00:00")).astimezone(UTC)
    return start + timedelta(milliseconds=t_ms, seconds=east)


def _hour_ticks(timeline: Mapping[str, Any], first: int, last: int) -> tuple[list[float], list[str]]:
    """Returns the positions (ms) and labels of the full local hours in [first, last], some 14 at most."""
    moment = _local(timeline, first)
    into = (moment.minute * 60 + moment.second) * 1000 + moment.microsecond // 1000
    every = max(1, -(-(last - first) // (14 * _HOUR_MS)))
    places: list[float] = []
    labels: list[str] = []
    for t in range(first + (_HOUR_MS - into) % _HOUR_MS, last + 1, _HOUR_MS):
        hour = _local(timeline, t).hour
        if hour % every == 0:
            places.append(float(t))
            labels.append(f"{hour} h")
    return places, labels


def _night_title(timeline: Mapping[str, Any], first: int, last: int) -> str:
    """Returns the night in words: « nuit du 20 au 21 mars 2026 »."""
    sun = timeline["sun"]
    start = _local(timeline, first if sun["sunset_ms"] is None else sun["sunset_ms"])
    end = _local(timeline, last if sun["sunrise_ms"] is None else sun["sunrise_ms"])
    month = "" if start.month == end.month else f" {_MONTHS[start.month - 1]}"
    return f"nuit du {start.day}{month} au {end.day} {_MONTHS[end.month - 1]} {end.year}"


def _percent(permille: float, digits: int = 0) -> str:
    """Returns a share given in permille, without its sign."""
    return f"{_comma(abs(permille) / 10, digits)} %"


def _header(figure: Figure, results: Mapping[str, Any], timeline: Mapping[str, Any], first: int, last: int) -> None:
    """Writes place, night and the figures people remember."""
    figures, left = results["figures"], 0.052
    passers, baselines = figures["passers"], figures["baselines"]
    place = figure.text(left, 0.953, _plain(results["place"]["name"]), color=_TEXT, fontweight="bold", va="center")
    for size in (23, 20, 17, 14):
        place.set_fontsize(size)
        if place.get_window_extent().width <= 0.37 * WIDTH_PX:
            break
    else:
        place.set_text(_plain(textwrap.shorten(results["place"]["name"], 96, placeholder="…")))
        place.set_text(textwrap.fill(place.get_text(), 50))
    lamps = f"{results['lamps']} lampe{'s' if results['lamps'] > 1 else ''}"
    about = f"{_night_title(timeline, first, last)}  ·  {lamps}  ·  simulation"
    figure.text(left, 0.914, _plain(about), color=_SOFT, fontsize=13.5, va="center")
    pillars = [
        (_energy(figures["energy_wh"]), "énergie de la nuit"),
        (_percent(passers["served_permille"], 1), f"des {passers['total']} passants éclairés"),
    ]
    for one in baselines[:3]:
        sign = "−" if one["saving_permille"] >= 0 else "+"
        against = _AGAINST.get(one["name"], f"face à {one['title']}")
        pillars.append((f"{sign}{_percent(one['saving_permille'])}", against))
    for x, (value, what) in zip((0.487, 0.606, 0.718, 0.826, 0.935), pillars, strict=False):
        figure.text(x, 0.953, value, color="#ffb84d", fontsize=22, fontweight="bold", va="center", ha="center")
        figure.text(x, 0.914, _plain(what), color=_SOFT, fontsize=11, va="center", ha="center")


def _dress(axes: Axes, title: str) -> None:
    """Gives one panel the look of the night: no box, soft ticks, title at the left."""
    axes.set_facecolor(_GROUND)
    axes.set_title(title, loc="left", color=_TEXT, fontsize=13, pad=7)
    axes.tick_params(colors=_SOFT, labelsize=11, length=0, pad=5)
    for side in axes.spines.values():
        side.set_visible(False)


def _heat(axes: Axes, timeline: Mapping[str, Any], first: int, last: int) -> None:
    """Draws lamps × time, the level as warm light."""
    lamps = len(timeline["levels"])
    rows = [level_slices(one, first, last, _COLUMNS) for one in timeline["levels"]]
    axes.imshow(
        rows,
        cmap=_WARMTH,
        vmin=0,
        vmax=1000,
        aspect="auto",
        interpolation="nearest",
        extent=(first, last, lamps + 0.5, 0.5),
    )
    _dress(axes, "Lumière de chaque lampe (une ligne par lampe ; noir : éteinte, blanc chaud : plein feu)")
    axes.set_yticks([1, *range(10, lamps + 1, 10)] if lamps >= 10 else range(1, lamps + 1))
    axes.set_ylabel("lampe", color=_SOFT, fontsize=11.5)


def _passers(axes: Axes, timeline: Mapping[str, Any], first: int, last: int) -> None:
    """Draws how many passers enter per quarter hour, stacked by mode."""
    quarters = -(-(last - first) // _QUARTER_MS)
    base = [0] * quarters
    places = [first + (k + 0.5) * _QUARTER_MS for k in range(quarters)]
    for mode, name in enumerate(timeline["modes"]):
        counts = [0] * quarters
        for trip in timeline["trips"]:
            if trip[1] == mode and first <= trip[0] < last:
                counts[int(trip[0] - first) // _QUARTER_MS] += 1
        colour = _MODE_COLOURS.get(name, _SPARE_COLOURS[mode % len(_SPARE_COLOURS)])
        label = _plain(_TITLES.get(name, name))
        axes.bar(places, counts, width=_QUARTER_MS * 0.86, bottom=base, color=colour, label=label)
        base = [below + count for below, count in zip(base, counts, strict=True)]
    _dress(axes, "Passants par quart d’heure")
    axes.set_ylim(0, max(1, *base) * 1.06)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.985), **_LEGEND)


def _power(axes: Axes, results: Mapping[str, Any], timeline: Mapping[str, Any]) -> None:
    """Draws the street power, W, of Réverbère, the baselines and the bound, each energy in the legend."""
    figures = results["figures"]
    totals = {one["name"]: one["energy_wh"] for one in figures["baselines"]}
    totals |= {"reverbere": figures["energy_wh"], "bound": figures["bound"]["energy_wh"]}
    step = timeline["power"]["step_ms"]
    for series in timeline["power"]["series"]:
        name, watts = series["name"], series["w"]
        label = _TITLES.get(name, series["title"])
        if name in totals:
            label += f"  {_energy(totals[name])}"
        edges = [k * step for k in range(len(watts) + 1)]
        style = _SERIES_STYLE.get(name, {"color": _SOFT, "linewidth": 1.2})
        axes.stairs(watts, edges, baseline=None, label=_plain(label), **style)
        if name == "reverbere":
            axes.stairs(watts, edges, fill=True, color=style["color"], alpha=0.16)
    _dress(axes, "Puissance de la rue (W)")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left", bbox_to_anchor=(0.0, -0.13), **_LEGEND)


def render_picture(results: dict[str, Any], timeline: dict[str, Any], path: Path) -> None:
    """Writes the night as a PNG of 1600 × 1000 px at `path`; the same inputs give the same picture.

    `results` and `timeline` are those of the page (Wh, permille, ms, W). The matplotlib version alone may
    change the bytes: no date and no software name is written in the file.
    """
    first, last = shown_span(timeline)
    figure = Figure(figsize=(WIDTH_PX / _DPI, HEIGHT_PX / _DPI), dpi=_DPI, facecolor=_GROUND)
    FigureCanvasAgg(figure)
    _header(figure, results, timeline, first, last)
    grid = figure.add_gridspec(
        3, 1, left=0.052, right=0.985, top=0.855, bottom=0.078, height_ratios=(5.2, 1.5, 2.9), hspace=0.3
    )
    panels = [figure.add_subplot(grid[k]) for k in range(3)]
    _heat(panels[0], timeline, first, last)
    _passers(panels[1], timeline, first, last)
    _power(panels[2], results, timeline)
    places, labels = _hour_ticks(timeline, first, last)
    for panel in panels:
        panel.set_xlim(first, last)
        panel.set_xticks(places, labels)
    for panel in panels[1:]:
        panel.set_axisbelow(True)
        panel.grid(axis="both", color=_EDGE, linewidth=0.7)
        panel.locator_params(axis="y", nbins=5, integer=True)
    figure.savefig(path, format="png", dpi=_DPI, facecolor=_GROUND, metadata={"Software": None})
