"""The demo's page: figures of the night in one file without network, in the look of `reverbere sim run`'s page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from .results import BASELINES, deviation, percent, wh

_STYLE = Path(__file__).resolve().parents[2] / "report" / "template" / "night.css"
_MORE = """td, th { text-align: right; white-space: nowrap } td:first-child, th:first-child { text-align: left }
table tfoot td { color: var(--lamp); font-weight: 600 }
ul { padding-left: 1.15em; max-width: 68ch } li::marker { color: var(--lamp) }
.strip { display: block; width: 100%; min-width: 720px; height: auto; margin-top: 8px }"""
_WIDTH, _ROW, _GAP, _LEFT = 1200, 22, 4, 44


def _real(results: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what of this very night was no double: without a cut nothing was torn, without mosquitto no rules."""
    rules = "a certificate for each node, the broker and its rules"
    if not results["has_rules"]:
        rules = (
            "the broker's certificate; this broker (amqtt) demands none of a node, and has no rules of who may write"
        )
    torn = " that was cut in the middle of writes" if results["cut"] is not None else ""
    return (
        "firmware/main.py and all it starts, byte for byte what a node gets, each in a MicroPython process of its own "
        "with a bounded heap",
        f"MQTT 3.1.1 over TLS 1.2 with {rules}",
        f"littlefs on a flash image{torn}; journals, counters, plans and keys on it",
        "the wave's messages with their authentication and rate limits; energy as the nodes counted and reported it",
    )


DOUBLES = (
    "the chip: pins, PWM, Wi-Fi, ESP-NOW (frames go by UDP on the loopback), RTC and clock chip are models",
    "time: it goes in strides, so that a board may wake a fraction of a second late (its own clock shows it)",
    "presence: the edges that the simulator gives its lamps are put on the nodes' pins",
    "power: the luminaire's declared curve; nobody measured anything. No ESP32 was used",
)


def render(results: Mapping[str, Any], levels: list[list[tuple[int, int, int, int, int]]], ends: Sequence[int]) -> str:
    """Return the page. ``levels``: each node's decisions from its journal, as `journals.decided` gives them; ``ends``:
    the moment of each node's last record (`journals.known_until`)."""
    total = results["total"]
    cut = results["cut"]
    saved = percent(-total["full_night_saving_permille"]) if total["full_night_saving_permille"] is not None else "–"
    off = percent(deviation(total["estimated_wh"], total["simulator_wh"]))
    messages = sum(results["messages"].values())
    bigs = (
        ("Energy of the night, as the nodes report it", f"{wh(total['estimated_wh'])} Wh",
         f"simulator, same inputs: <b>{wh(total['simulator_wh'])} Wh</b> ({off})"),
        ("Against lamps that burn all night", saved,
         "; ".join(f"{title} {wh(total[name])} Wh" for name, title in BASELINES.items())),
        ("Decisions taken again from the journals", f"{results['replay']['decisions']}",
         f"<b class='{'ok' if not results['replay']['differences'] else 'ko'}'>"
         f"{escape(results['replay']['verdict'])}</b>"),
    )  # fmt: skip
    kinds = "; ".join(sorted({row["interpreter"] for row in results["lamps"]}))
    facts = [
        ("nodes", f"{len(results['lamps'])}, on {escape(kinds)}"),
        ("broker", escape(results["broker"])),
        ("passers", str(results["passers"])),
        ("messages", f"{messages}: " + ", ".join(f"{count} {name}" for name, count in results["messages"].items())),
        ("links made", str(sum(row["onlines"] for row in results["lamps"]))),
        ("wall clock", f"{results['wall_s']:.0f} s, on average ×{results['rate']}"),
    ]
    if cut is not None:
        text = (
            f"{(cut['back_ms'] - cut['at_ms']) / 60000:.0f} min; {cut['torn']} of {len(results['lamps'])} nodes were "
            f"in the middle of a write; back, every lamp was lit within {cut['lit_after_ms']} ms of its board's start, "
            + ("at full light" if cut["lit_permille"] >= 1000 else f"at {cut['lit_permille'] / 10:.0f} % at least")
        )
        facts.append(("feeder cut", text))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="dark">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        'img-src data:"><link rel="icon" href="data:,">'
        f"<title>{escape(results['site'])} – Réverbère</title>"
        f"<style>{_STYLE.read_text(encoding='utf-8')}{_MORE}</style></head><body>"
        '<header class="wrap"><div class="brand"><span><b>Réverbère</b> <span class="kind">virtual nodes</span></span>'
        f"</div><h1>{escape(results['site'])}</h1><p class='soft'>Night of {results['date']}, "
        f"{len(results['lamps'])} nodes</p><div class='bigs'>"
        + "".join(
            f'<section class="big"><h2>{title}</h2><p class="figure">{value}</p>'
            f'<div class="notes">{note}</div></section>'
            for title, value, note in bigs
        )
        + '</div></header><main><section class="wrap"><h2>The light, as the nodes decided it</h2>'
        '<p class="soft small">One row a node, from its journal, up to the last record on its flash; bright is full '
        f'light.</p><div class="scroll">{_strip(results, levels, ends)}</div>'
        '</section><section class="wrap"><h2>Lamp by lamp</h2><div class="scroll">'
        f"{_table(results)}</div><p class='soft small'>What a node decided in its last minutes was in RAM, and is not "
        "in its journal: where it has fewer decisions than the simulator, that is why. Links: one, and one after each "
        "loss.</p></section>"
        f'<div class="wrap cols"><section><h2>The night</h2><dl class="proof">'
        + "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)
        + '</dl></section><div class="stack">'
        + "".join(
            f"<section><h2>{title}</h2><ul>{''.join(f'<li>{escape(one)}</li>' for one in lines)}</ul></section>"
            for title, lines in (("What is real", _real(results)), ("What is a double", DOUBLES))
        )
        + "</div></div></main></body></html>\n"
    )


def _table(results: Mapping[str, Any]) -> str:
    heads = ["node", "node's reports, Wh", "simulator, Wh", "difference", *(f"{one}, Wh" for one in BASELINES.values()),
             "decisions", "of the simulator", "links", "starts"]  # fmt: skip
    rows = "".join(_row(_cells(row)) for row in results["lamps"])
    total = results["total"]
    off = percent(deviation(total["estimated_wh"], total["simulator_wh"]))
    energies = [wh(total[name]) for name in BASELINES]
    foot = _row(["all", wh(total["estimated_wh"]), f"{total['simulator_wh']:.1f}", off, *energies, *([""] * 4)])
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody><tfoot>{foot}</tfoot></table>"


def _cells(row: Mapping[str, Any]) -> list[Any]:
    energy = row["node_energy"]
    off = percent(deviation(energy["estimated_wh"], row["simulator_wh"]))
    return [
        row["node"], wh(energy["estimated_wh"]), f"{row['simulator_wh']:.1f}", off,
        *(wh(energy[name]) for name in BASELINES), row["decisions"], row["simulator_decisions"], row["onlines"],
        row["starts"],
    ]  # fmt: skip


def _row(cells: list[Any]) -> str:
    return "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>"


def _strip(results: Mapping[str, Any], levels: list[list[tuple[int, int, int, int, int]]], ends: Sequence[int]) -> str:
    """Draw each node's level over the night: a row of steps, brighter for more light."""
    start, end = results["hours_ms"]
    cut = results["cut"]
    height = len(levels) * (_ROW + _GAP) + 22
    parts = [f'<svg class="strip" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="levels over the night">']

    def x(t_ms: int) -> float:
        share = (min(max(t_ms, start), end) - start) / (end - start)
        return round(_LEFT + float(share) * (_WIDTH - _LEFT), 1)

    for number, (row, pieces, known) in enumerate(zip(results["lamps"], levels, ends, strict=True)):
        y = number * (_ROW + _GAP)
        parts.append(f'<text x="0" y="{y + 15}" fill="#a7b0c4" font-size="12">{escape(row["node"])}</text>')
        parts.append(f'<rect x="{_LEFT}" y="{y}" width="{_WIDTH - _LEFT}" height="{_ROW}" fill="#111622"/>')
        for at, piece in enumerate(pieces):
            until = pieces[at + 1][0] if at + 1 < len(pieces) else min(end, known)
            if cut is not None and piece[0] < cut["at_ms"]:
                until = min(until, cut["at_ms"])
            if piece[2] and until > piece[0]:
                opacity = round(0.08 + 0.92 * piece[2] / 1000, 2)
                left = x(piece[0])
                parts.append(
                    f'<rect x="{left}" y="{y}" width="{max(round(x(until) - left, 1), 0.3)}" height="{_ROW}" '
                    f'fill="#ffb84d" opacity="{opacity}"/>'
                )
    y = len(levels) * (_ROW + _GAP) + 14
    for hour in range(start // 3_600_000 + 1, end // 3_600_000 + 1):
        # The scenario's clock begins at local noon; the demo's night has no change of hour.
        parts.append(
            f'<text x="{x(hour * 3_600_000)}" y="{y}" fill="#a7b0c4" font-size="11">{(12 + hour) % 24}h</text>'
        )
    return "".join(parts) + "</svg>"
