"""A night has to travel by mail and outlive its server, so it is one HTML file that needs nothing else.

The sources are in ``template/``: one HTML frame, one style sheet, and five scripts joined in a fixed order
into one function scope. The figures are embedded as JSON that no string of the data can close.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SCRIPTS = ("night.words.js", "night.model.js", "night.street.js", "night.charts.js", "night.js")

_TEMPLATE = Path(__file__).parent / "template"
_HOLE = re.compile(r"\{\{(title|style|data|script)\}\}")
# Outside strings JSON has none of these, so that replacing them everywhere changes no value.
_ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&"}


def embed_json(value: object) -> str:
    """Returns `value` as JSON that is safe as the text of a ``<script>`` element.

    Everything outside ASCII is escaped (so U+2028, U+2029 and lone surrogates too), and so are ``<``, ``>``
    and ``&``: neither ``</script>`` nor ``<!--`` can appear. NaN and infinities, which JSON has not, raise
    ValueError.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.translate(_ESCAPES)


def _source(name: str) -> str:
    """Returns the text of one template source, without the blanks at its end."""
    return (_TEMPLATE / name).read_text(encoding="utf-8").rstrip()


def _script() -> str:
    """Returns the scripts joined inside one strict function scope, so that nothing leaks to the page."""
    joined = "\n\n".join(_source(name) for name in SCRIPTS)
    if "</script" in joined.lower():
        raise ValueError("a template script would close its own element")
    return f'(() => {{\n"use strict";\n\n{joined}\n}})();'


def check_contract(results: Mapping[str, Any], timeline: Mapping[str, Any]) -> None:
    """Raises ValueError if the two halves do not describe the same street, which the page would draw wrongly.

    `results["lamps"]`, `timeline["street"]["poles_m"]` (m) and `timeline["levels"]` must count the same
    lamps; each trip's mode must index `timeline["modes"]`.
    """
    lamps = int(results["lamps"])
    poles = len(timeline["street"]["poles_m"])
    lists = len(timeline["levels"])
    if not lamps == poles == lists:
        raise ValueError(f"{lamps} lamps in results, {poles} poles and {lists} level lists in timeline")
    if lamps == 0:
        raise ValueError("a street without lamps cannot be shown")
    modes = len(timeline["modes"])
    for trip in timeline["trips"]:
        if not 0 <= trip[1] < modes:
            raise ValueError(f"trip at {trip[0]} ms has mode {trip[1]} of {modes}")


def render_page(results: dict[str, Any], timeline: dict[str, Any]) -> str:
    """Returns the whole page of a night as one self-contained HTML document.

    `results` follows schema ``reverbere/results/1`` (energies in Wh, shares in permille), `timeline` gives
    times in ms from ``start_utc``, levels in permille, positions in m (poles) or mm (trips), powers in W. The
    same inputs always give the same text. The page opens on an interesting moment, or on the one named by its
    address: ``#t=<ms>``, ``#lang=en``.
    """
    check_contract(results, timeline)
    parts = {
        "title": html.escape(f"{results['place']['name']} – Réverbère"),
        "style": _source("night.css"),
        "data": embed_json({"results": results, "timeline": timeline}),
        "script": _script(),
    }
    # One pass: a hole written inside the data stays what it is, text.
    return _HOLE.sub(lambda hole: parts[hole.group(1)], _source("night.html")) + "\n"
