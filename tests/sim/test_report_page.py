"""A page that lies, leaks or breaks on an accent is worse than no page, so the report is held to its word."""

from __future__ import annotations

import copy
import json
import math
import random
import re
import struct
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from sim.report.page import SCRIPTS, embed_json, render_page
from sim.report.picture import level_slices, render_picture, shown_span

LAMPS, SPACING_M, RANGE_M, BASE, FULL = 40, 27.0, 30.0, 200, 1000
SUNSET, SUNRISE = 24_980_000, 68_160_000
Night = tuple[dict[str, Any], dict[str, Any]]


def _trips(draw: random.Random, wanted: int) -> list[list[int]]:
    """The street needs believable people: many at dusk. [t_ms, mode, way, mm/s, from_mm, to_mm]."""
    length_mm = int(LAMPS * SPACING_M * 1000)
    trips: list[list[int]] = []
    while len(trips) < wanted:
        t = draw.randrange(SUNSET - 3_600_000, SUNRISE + 3_600_000)
        busy = 0.04 + math.exp(-max(0, t - SUNSET) / 9e6) + math.exp(-max(0, SUNRISE - t) / 5e6)
        if draw.random() > busy:
            continue
        mode = draw.choices((0, 1, 2), (5, 3, 4))[0]
        speed = int((1300, 4600, 11500)[mode] * draw.uniform(0.8, 1.2))
        way = draw.choice((1, -1))
        trips.append([t, mode, way, speed, 0 if way > 0 else length_mm, length_mm if way > 0 else 0])
    return sorted(trips)


def _decisions(pole_m: float, trips: list[list[int]]) -> list[list[int]]:
    """A lamp must answer the people who come by: base level at night, full while someone is near."""
    spans: list[list[int]] = []
    for t, _, way, speed, start, _ in trips:
        at = t + (pole_m * 1000 - start) * way / speed * 1000
        reach = (RANGE_M + 5) * 1e6 / speed
        low, high = int(at - reach), int(at + reach) + 20_000
        if low < SUNSET or high > SUNRISE:
            continue
        spans.append([low, high])
    merged: list[list[int]] = []
    for low, high in sorted(spans):
        if merged and low <= merged[-1][1] + 4000:
            merged[-1][1] = max(merged[-1][1], high)
        else:
            merged.append([low, high])
    out = [[0, 0, 0, 0, 16], [SUNSET, 0, BASE, 4000, 3]]
    for low, high in merged:
        out += [[low, BASE, FULL, 800, 2], [high, FULL, BASE, 4000, 3]]
    return [*sorted(out), [SUNRISE, BASE, 0, 4000, 16]]


def _level(decisions: list[list[int]], columns: int) -> list[float]:
    """Power follows light, so the sample takes the levels of the whole day, permille, per column."""
    return level_slices(decisions, 0, 86_400_000, columns)


def sample_night(wanted_trips: int = 600) -> Night:
    """Drawings are judged on a night like a real one: March, 40 lamps, `wanted_trips` passers."""
    trips = _trips(random.Random(7), wanted_trips)
    poles = [SPACING_M * (k + 0.5) for k in range(LAMPS)]
    levels = [_decisions(pole, trips) for pole in poles]
    minutes = range(1440)
    columns = [_level(one, 1440) for one in levels]
    ours = [round(sum(0.3 + 0.036 * lamp[k] for lamp in columns), 1) for k in minutes]
    dark = [SUNSET <= k * 60_000 < SUNRISE for k in minutes]
    hour = [(12 + k / 60) % 24 for k in minutes]
    full = [LAMPS * (0.3 + 36 * lit) for lit in dark]
    dimmed = [w if 12 < h < 22 or 5 <= h < 12 else 12 + (w - 12) / 2 for w, h in zip(full, hour, strict=True)]
    cut = [w if h > 12 or h >= 5 else 12.0 for w, h in zip(full, hour, strict=True)]
    least = [round(12 + max(0.0, w - 12 - 230) * 0.8, 1) for w in ours]
    series = [
        {"name": name, "title": title, "w": watts}
        for name, title, watts in (
            ("reverbere", "Réverbère", ours),
            ("full_night", "Full night", full),
            ("fixed_dimming", "Fixed dimming", dimmed),
            ("extinction", "Extinction", cut),
            ("bound", "Clairvoyant bound", least),
        )
    ]
    total = {str(one["name"]): round(sum(one["w"]) / 60) for one in series}  # type: ignore[arg-type]
    count = [sum(trip[1] == mode for trip in trips) for mode in range(3)]
    results = {
        "schema": "reverbere/results/1",
        "scenario": {"title": "Une avenue en mars", "file": "sim/scenarios/avenue.yaml", "sha256": "5d" * 32},
        "seed": 1,
        "nights": 1,
        "commit": "abc1234def56",
        "commit_dirty": True,
        "place": {
            "name": "Avenue des Tilleuls, Toulouse",
            "latitude_deg": 43.6,
            "longitude_deg": 1.44,
            "zone": "Europe/Paris",
        },
        "date": "2026-03-20",
        "lamps": LAMPS,
        "figures": {
            "energy_wh": total["reverbere"],
            "lit_share_permille": 998,
            "mean_level_permille": 431,
            "night_h": 12.0,
            "baselines": [
                {
                    "name": name,
                    "title": title,
                    "energy_wh": total[name],
                    "saving_permille": round(1000 * (1 - total["reverbere"] / total[name])),
                }
                for name, title in (
                    ("full_night", "Full night"),
                    ("fixed_dimming", "Fixed dimming"),
                    ("extinction", "Extinction"),
                )
            ],
            "bound": {"energy_wh": total["bound"], "title": "Clairvoyant bound"},
            "passers": {
                "total": len(trips),
                "served": len(trips) - 2,
                "served_permille": 997,
                "served_time_permille": 991,
                "by_mode": [
                    {"mode": mode, "total": n, "served": n - (k != 1)}
                    for k, (mode, n) in enumerate(zip(("walker", "bicycle", "car"), count, strict=True))
                ],
            },
            "switchings_per_lamp": {"min": 180, "mean": 231.5, "max": 262},
            "full_level_share_permille": 288,
        },
        "expectations": [
            {"path": "expect.saving_vs_full_night", "bound": ">= 40 %", "value": "52.2 %", "ok": True},
            {"path": "expect.served", "bound": ">= 99.9 %", "value": "99.7 %", "ok": False},
        ],
        "assumptions": [
            "Les passants sont tirés au sort selon l’heure.",
            "La chute de neige n’est pas simulée.",
        ],
        "digest": "0f" * 32,
    }
    timeline = {
        "start_utc": "2026-03-20T11:00:00Z",
        "duration_ms": 86_400_000,
        "utc_offsets": [[0, 3600]],
        "sun": {"sunset_ms": SUNSET, "sunrise_ms": SUNRISE},
        "street": {
            "length_m": LAMPS * SPACING_M,
            "poles_m": poles,
            "sensor_range_m": RANGE_M,
            "mounting_m": 6.0,
            "lead_m": 5.0,
            "required_permille": 700,
        },
        "levels": levels,
        "reasons": {
            "2": {"name": "sensor", "text": "a sensor"},
            "3": {"name": "program", "text": "the program"},
            "16": {"name": "inactive", "text": "outside the program"},
        },
        "modes": ["walker", "bicycle", "car"],
        "trips": trips,
        "power": {"step_ms": 60_000, "series": series},
    }
    return results, timeline


@pytest.fixture(scope="module")
def night() -> Night:
    """One night is enough for all tests, as none of them changes it."""
    return sample_night()


class _Reader(HTMLParser):
    """A browser cuts elements where the parser says, not where we hope, so the tests read the page alike."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: dict[str, list[str]] = {}
        self.stack: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.stack.append(f"{tag}#{dict(attrs).get('id')}")
        self.texts.setdefault(self.stack[-1], []).append("")

    def handle_endtag(self, tag: str) -> None:
        if self.stack and self.stack[-1].startswith(f"{tag}#"):
            self.stack.pop()

    def handle_data(self, data: str) -> None:
        if self.stack:
            self.texts[self.stack[-1]][-1] += data


def _data(page: str) -> dict[str, Any]:
    """What matters is what the script will read back, so this parses the embedded data as it will."""
    value = json.loads(_Reader(page).texts["script#night-data"][0])
    assert isinstance(value, dict)
    return value


def test_page_needs_nothing_from_outside(night: Night) -> None:
    """A town must be able to open the page in ten years on a machine without a network."""
    page = render_page(*night)
    outside = [
        (tag, name, value)
        for tag, name, value in _Reader(page).attributes
        if name in {"src", "href", "srcset", "action", "poster", "data", "background"}
    ]
    assert outside == [("link", "href", "data:,")]
    reach = r"https?:|//[a-z0-9-]+\.[a-z]|@import|url\(|\bimport\b\s*[({\"']|fetch\(|XMLHttpRequest|WebSocket"
    assert not re.search(reach, page)
    assert "default-src 'none'" in page


def test_data_comes_back_as_it_was(night: Night) -> None:
    """The page shows measured figures, so not one of them may change on its way into it."""
    results, timeline = night
    assert _data(render_page(results, timeline)) == {"results": results, "timeline": timeline}


@pytest.mark.parametrize(
    "hostile",
    [
        "</script><script>alert(1)</script>",
        "<!--<script>",
        "]]>",
        "\"'`\\",
        "é œ – ’ 街灯",
        "a\u2028b\u2029c",
        "\ud800",
        "{{script}} {{data}}",
        "&lt;/script&gt;",
        "\x00\x1f",
        "$& $1 \\1",
        "<img src=x onerror=alert(1)>",
    ],
)
def test_no_string_of_the_data_can_break_the_page(night: Night, hostile: str) -> None:
    """Names of places and scenarios are typed by people, and some people type anything."""
    results, timeline = (
        copy.deepcopy(night[0]),
        {**night[1], "reasons": {"2": {"name": hostile, "text": hostile}}},
    )
    results["place"]["name"] = results["scenario"]["title"] = hostile
    results["assumptions"] = [hostile]
    page = render_page(results, timeline)
    assert _data(page) == {"results": results, "timeline": timeline}
    plain, odd = _Reader(render_page(*night)), _Reader(page)
    assert odd.attributes == plain.attributes
    assert odd.texts["script#None"] == plain.texts["script#None"]


def test_embedded_json_is_inert() -> None:
    """Only plain ASCII without any sign of markup is safe in a page whatever its encoding."""
    text = embed_json({"a": "<>&\u2028é"})
    assert text.isascii()
    assert not set("<>&") & set(text)
    with pytest.raises(ValueError, match="JSON"):
        embed_json({"a": math.nan})


def test_page_stays_light(night: Night) -> None:
    """A page that cannot be mailed is not shared: 40 lamps of 600 decisions and 600 trips stay under 3 MB."""
    results, timeline = night
    many = [[[k * 144_000, 200, 1000, 60_000, 16] for k in range(600)] for _ in range(LAMPS)]
    page = render_page(results, {**timeline, "levels": many})
    assert len(timeline["trips"]) == 600
    assert len(page.encode()) < 3_000_000


def test_page_and_words_do_not_depend_on_the_run(night: Night) -> None:
    """Anyone must be able to check a published page by making it again."""
    assert render_page(*night) == render_page(*sample_night())


def test_both_languages_say_the_same_things() -> None:
    """An operator reading English must not find a hole where French has a word."""
    source = (Path(__file__).parents[2] / "sim/report/template" / SCRIPTS[0]).read_text(encoding="utf-8")
    french, english = source.split("\n  en: {", 1)[0], source.split("\n  en: {", 1)[1]
    keys = [re.findall(r'"([a-z]+\.[A-Za-z_]+(?:\.[a-z_]+)?)":', part) for part in (french, english)]
    assert keys[0] == keys[1]
    assert len(keys[0]) == len(set(keys[0])) > 100


def test_a_street_that_does_not_add_up_is_refused(night: Night) -> None:
    """A page drawn from two different streets would look right and be false."""
    results, timeline = night
    with pytest.raises(ValueError, match="lamps"):
        render_page({**results, "lamps": 39}, timeline)
    with pytest.raises(ValueError, match="mode"):
        render_page(results, {**timeline, "modes": ["walker"]})


def test_slices_follow_the_ramps() -> None:
    """Light shown must be the light there was: a ramp counts for its mean, not for its ends."""
    decisions = [[0, 0, 0, 0, 3], [1000, 0, 1000, 1000, 2], [3000, 1000, 200, 0, 3]]
    assert level_slices(decisions, 0, 4000, 4) == pytest.approx([0, 500, 1000, 200])
    assert level_slices([], 0, 4000, 2) == [0, 0]


def _png_size(path: Path) -> tuple[int, int]:
    """The header of a PNG says its size in px, which saves an image library."""
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:24])
    return int(width), int(height)


def test_picture_has_its_size_and_is_repeatable(night: Night, tmp_path: Path) -> None:
    """The picture in the README is checked in, so making it again must not change a byte."""
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    render_picture(*night, first)
    render_picture(*night, second)
    assert _png_size(first) == (1600, 1000)
    assert first.read_bytes() == second.read_bytes()
    assert 30_000 < first.stat().st_size < 1_500_000


def test_polar_nights_and_odd_names_are_drawn(night: Night, tmp_path: Path) -> None:
    """The sun does not set everywhere, and `$` in a name is not mathematics."""
    results, timeline = copy.deepcopy(night[0]), {**night[1], "sun": {"sunset_ms": None, "sunrise_ms": None}}
    results["place"]["name"] = "Rue du $\\frac$ <&> œ"
    assert shown_span(timeline) == (0, 86_400_000)
    render_picture(results, timeline, tmp_path / "polar.png")
    assert _png_size(tmp_path / "polar.png") == (1600, 1000)
    assert "null" in render_page(results, timeline)
