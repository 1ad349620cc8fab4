"""From a line of a bundle to the line of the source: so that a traceback from a pole is read beside the source.

python -m host_tools.mpy.line_map MAP.json < TRACEBACK
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# As MicroPython's sys.print_exception writes it; the function is missing where the text was cut.
_PLACE = re.compile(r'File "(?P<path>[^"\n]+)", line (?P<line>\d+)(?:, in (?P<function>[^\s,]+))?')
FORMAT = 1


@dataclass
class LineMap:
    """``lines``: for each bundle the (path, line) of each of its lines, from line 1 on. ``names``: for each bundle
    what renamed names are called in the source."""

    lines: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    names: dict[str, dict[str, str]] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the map as text: paths once, each line as [path's number, line]."""
        files: dict[str, Any] = {}
        for bundle, lines in self.lines.items():
            sources = sorted({path for path, _ in lines})
            numbers = {path: number for number, path in enumerate(sources)}
            files[bundle] = {
                "sources": sources,
                "lines": [[numbers[path], line] for path, line in lines],
                "names": self.names.get(bundle, {}),
            }
        return json.dumps({"format": FORMAT, "files": files}, separators=(",", ":"), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> LineMap:
        """Return the map of a text. Raises ValueError for what is no map of this format."""
        data = json.loads(text)
        if not isinstance(data, Mapping) or data.get("format") != FORMAT:
            raise ValueError(f"this is no line map of format {FORMAT}: take the one that was built with the firmware")
        made = cls()
        for bundle, each in data["files"].items():
            made.lines[bundle] = [(each["sources"][number], line) for number, line in each["lines"]]
            made.names[bundle] = dict(each["names"])
        return made

    def place(self, bundle: str, line: int) -> tuple[str, int] | None:
        """Return (path, line) in the source; None for what the map does not know."""
        lines = self.lines.get(bundle, [])
        return lines[line - 1] if 1 <= line <= len(lines) else None


def translate(traceback_text: str, line_map: LineMap) -> str:
    """Return a traceback in terms of the source; what the map does not know stays as it is."""

    def source(found: re.Match[str]) -> str:
        bundle, line, function = found["path"], int(found["line"]), found["function"]
        place = line_map.place(bundle, line)
        if place is None:
            return found[0]
        name = line_map.names.get(bundle, {}).get(function, function) if function else None
        return f'File "{place[0]}", line {place[1]}' + (f", in {name}" if name else "")

    return _PLACE.sub(source, traceback_text)


def main(arguments: list[str]) -> int:
    """Translate what comes in."""
    if len(arguments) != 1:
        print("usage: python -m host_tools.mpy.line_map MAP.json < TRACEBACK", file=sys.stderr)
        return 2
    try:
        line_map = LineMap.from_json(Path(arguments[0]).read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError) as error:
        print(f"{arguments[0]}: {error}", file=sys.stderr)
        return 1
    print(translate(sys.stdin.read(), line_map), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
