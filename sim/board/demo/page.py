"""The demo's page, in French and English: figures of the night in one file without network and without a script, in the
look of `reverbere sim run`'s page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from html import escape
from pathlib import Path
from typing import Any

from .results import BASELINES, deviation, percent, wh
from .words import FRENCH, LANGUAGES, Words

_STYLE = Path(__file__).resolve().parents[2] / "report" / "template" / "night.css"
# The language is chosen without a script: a page that may run none is one that can be mailed.
_MORE = """td, th { text-align: right; white-space: nowrap } td:first-child, th:first-child { text-align: left }
table tfoot td { color: var(--lamp); font-weight: 600 }
ul { padding-left: 1.15em; max-width: 68ch } li::marker { color: var(--lamp) }
.strip { display: block; width: 100%; min-width: 720px; height: auto; margin-top: 8px }
.choice { position: absolute; opacity: 0 } .brand label { cursor: pointer; color: var(--text) }
.brand label { border: 1px solid #384259; border-radius: 8px; padding: 6px 13px }
.brand label:hover { background: #232c40 }
#fr:checked ~ .en, #en:checked ~ .fr { display: none }
.choice:focus-visible ~ div .brand label { outline: 2px solid #fff6e2; outline-offset: 2px }
@media print { .brand label { display: none } }"""
_WIDTH, _ROW, _GAP, _LEFT = 1200, 22, 4, 44

Pieces = list[tuple[int, int, int, int, int]]


def render(results: Mapping[str, Any], levels: list[Pieces], ends: Sequence[int]) -> str:
    """Return the page. ``levels``: each node's decisions from its journal, as `journals.decided` gives them; ``ends``:
    the moment of each node's last record (`journals.known_until`)."""
    radios = "".join(
        f'<input class="choice" type="radio" name="lang" id="{words.lang}" aria-label="{words.name}"'
        f"{' checked' if words.lang == FRENCH else ''}>"
        for words in LANGUAGES
    )
    return (
        '<!doctype html><html lang="fr"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="dark">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        'img-src data:"><link rel="icon" href="data:,">'
        f"<title>{escape(results['site'])} – Réverbère</title>"
        f"<style>{_STYLE.read_text(encoding='utf-8')}{_MORE}</style></head><body>{radios}"
        + "".join(_spoken(words, results, levels, ends) for words in LANGUAGES)
        + "</body></html>\n"
    )


def _spoken(words: Words, results: Mapping[str, Any], levels: list[Pieces], ends: Sequence[int]) -> str:
    """Return the whole page in one language."""
    say = words.say
    other = next(one for one in LANGUAGES if one is not words)
    evening = words.evening(date.fromisoformat(results["date"]))
    return (
        f'<div class="{words.lang}" lang="{words.lang}"><header class="wrap"><div class="brand"><span><b>Réverbère</b> '
        f'<span class="kind">{say("kind")}</span></span><label for="{other.lang}" lang="{other.lang}">{other.name}'
        f"</label></div><h1>{escape(results['site'])}</h1><p class='soft'>"
        f"{say('night', date=evening, nodes=len(results['lamps']))}</p><div class='bigs'>"
        + "".join(
            f'<section class="big"><h2>{title}</h2><p class="figure">{value}</p>'
            f'<div class="notes">{note}</div></section>'
            for title, value, note in _bigs(words, results)
        )
        + f'</div></header><main><section class="wrap"><h2>{say("strip")}</h2><p class="soft small">{say("strip.note")}'
        f'</p><div class="scroll">{_strip(words, results, levels, ends)}</div></section><section class="wrap">'
        f'<h2>{say("table")}</h2><div class="scroll">{_table(words, results)}</div><p class="soft small">'
        f'{say("table.note")}</p></section><div class="wrap cols"><section><h2>{say("facts")}</h2><dl class="proof">'
        + "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in _facts(words, results))
        + '</dl></section><div class="stack">'
        + "".join(
            f"<section><h2>{say(title)}</h2><ul>"
            + "".join(f"<li>{escape(say(one))}</li>" for one in lines)
            + "</ul></section>"
            for title, lines in (("real", _real(results)), ("double", _DOUBLES))
        )
        + "</div></div></main></div>"
    )


_DOUBLES = ("double.chip", "double.time", "double.presence", "double.power")


def _real(results: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what of this very night was no double: without a cut nothing was torn, without mosquitto no rules."""
    return (
        "real.firmware",
        "real.rules" if results["has_rules"] else "real.no_rules",
        "real.torn" if results["cut"] is not None else "real.flash",
        "real.wave",
    )


def _bigs(words: Words, results: Mapping[str, Any]) -> tuple[tuple[str, str, str], ...]:
    """Return title, figure and note of what is to be seen first."""
    total, replay = results["total"], results["replay"]
    saving = total["full_night_saving_permille"]
    off = words.figure(percent(deviation(total["estimated_wh"], total["simulator_wh"])))
    # A difference is told as the replay tells it, and that is in English.
    verdict = replay["verdict"] if replay["differences"] else words.say("replay.same", decisions=replay["decisions"])
    return (
        (words.say("big.energy"), f"{wh(total['estimated_wh'])} Wh",
         words.say("big.energy.note", simulator=wh(total["simulator_wh"]), off=off)),
        (words.say("big.saving"), words.figure(percent(None if saving is None else -saving)),
         "; ".join(f"{words.say(name)} {wh(total[name])} Wh" for name in BASELINES)),
        (words.say("big.replay"), str(replay["decisions"]),
         f"<b class='{'ok' if not replay['differences'] else 'ko'}'>{escape(verdict)}</b>"),
    )  # fmt: skip


def _facts(words: Words, results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what is to be known of the night, as pairs."""
    say, cut, nodes = words.say, results["cut"], len(results["lamps"])
    kinds = "; ".join(sorted({row["interpreter"] for row in results["lamps"]}))
    counts = results["messages"]
    messages = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    facts = [
        (say("fact.nodes"), say("fact.nodes.value", nodes=nodes, kinds=escape(kinds))),
        (say("fact.broker"), escape(results["broker"])),
        (say("fact.passers"), str(results["passers"])),
        (say("fact.messages"), f"{sum(counts.values())}: {messages}"),
        (say("fact.links"), str(sum(row["onlines"] for row in results["lamps"]))),
        (say("fact.wall"), say("fact.wall.value", wall=f"{results['wall_s']:.0f}", rate=results["rate"])),
    ]  # fmt: skip
    if cut is not None:
        level = words.figure(f"{cut['lit_permille'] / 10:.0f} %")
        light = say("light.full") if cut["lit_permille"] >= 1000 else say("light.least", level=level)
        minutes = f"{(cut['back_ms'] - cut['at_ms']) / 60000:.0f}"
        values = {"minutes": minutes, "torn": cut["torn"], "nodes": nodes, "lit": cut["lit_after_ms"], "light": light}
        facts.append((say("fact.cut"), say("fact.cut.value", **values)))
    return facts


def _table(words: Words, results: Mapping[str, Any]) -> str:
    say = words.say
    heads = [say("head.node"), say("head.told"), say("head.simulator"), say("head.off"),
             *(f"{say(one)}, Wh" for one in BASELINES), say("head.decisions"), say("head.of_simulator"),
             say("head.links"), say("head.starts")]  # fmt: skip
    rows = "".join(_row(_cells(words, row)) for row in results["lamps"])
    total = results["total"]
    off = words.figure(percent(deviation(total["estimated_wh"], total["simulator_wh"])))
    energies = [wh(total[name]) for name in BASELINES]
    simulated = words.figure(f"{total['simulator_wh']:.1f}")
    foot = _row([say("all"), wh(total["estimated_wh"]), simulated, off, *energies, *([""] * 4)])
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody><tfoot>{foot}</tfoot></table>"


def _cells(words: Words, row: Mapping[str, Any]) -> list[Any]:
    energy = row["node_energy"]
    off = percent(deviation(energy["estimated_wh"], row["simulator_wh"]))
    return [
        row["node"], wh(energy["estimated_wh"]), words.figure(f"{row['simulator_wh']:.1f}"), words.figure(off),
        *(wh(energy[name]) for name in BASELINES), row["decisions"], row["simulator_decisions"], row["onlines"],
        row["starts"],
    ]  # fmt: skip


def _row(cells: list[Any]) -> str:
    return "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>"


def _strip(words: Words, results: Mapping[str, Any], levels: list[Pieces], ends: Sequence[int]) -> str:
    """Draw each node's level over the night: a row of steps, brighter for more light."""
    start, end = results["hours_ms"]
    cut = results["cut"]
    height = len(levels) * (_ROW + _GAP) + 22
    label = words.say("strip.label")
    parts = [f'<svg class="strip" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{label}">']

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
