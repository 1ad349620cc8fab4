"""From a line of a bundle to the line of the source: so that a traceback from a pole is read beside the source.

reverbere node traceback MAP < TRACEBACK, or python -m host_tools.mpy.line_map MAP < TRACEBACK
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
# What MicroPython says of names: of an object, of a class, of a module.
_OBJECT = re.compile(r"(?P<kind>type object |)'(?P<class>\w+)' (?P<object>object |)has no attribute '(?P<name>\w+)'")
_NAME = re.compile(r"(?P<before>name (?='\w+' isn't defined)|can't import name )'?(?P<name>\w+)'?")
_NAMES_MAX = 8
FORMAT = 2


@dataclass
class LineMap:
    """``lines``: for each bundle the (path, line) of each of its lines, from line 1 on. ``names``: for each bundle
    what renamed names are called in the source. ``functions``: for each source its functions and classes, (first line,
    last line, name). ``classes``: for each bundle and class the name in the source, and that of each attribute."""

    lines: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    names: dict[str, dict[str, str]] = field(default_factory=dict)
    functions: dict[str, list[tuple[int, int, str]]] = field(default_factory=dict)
    classes: dict[str, dict[str, tuple[str, dict[str, str]]]] = field(default_factory=dict)

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
                "classes": self.classes.get(bundle, {}),
            }
        data = {"format": FORMAT, "files": files, "functions": self.functions}
        return json.dumps(data, separators=(",", ":"), sort_keys=True)

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
            made.classes[bundle] = {new: (old, dict(names)) for new, (old, names) in each["classes"].items()}
        for path, functions in data["functions"].items():
            made.functions[path] = [(first, last, name) for first, last, name in functions]
        return made

    def place(self, bundle: str, line: int) -> tuple[str, int] | None:
        """Return (path, line) in the source; None for what the map does not know."""
        lines = self.lines.get(bundle, [])
        return lines[line - 1] if 1 <= line <= len(lines) else None

    def function(self, path: str, line: int) -> str | None:
        """Return the function or class of a source that a line lies in, the innermost."""
        found = None
        for first, last, name in self.functions.get(path, ()):
            if first <= line <= last:
                found = name
        return found

    def class_names(self, short: str) -> list[str]:
        """Return what a class of this short name may be: one in each bundle."""
        found = {each[short][0] for each in self.classes.values() if short in each}
        return sorted(found)

    def attribute_names(self, short: str) -> list[str]:
        """Return which attributes share a short name."""
        every = (names for each in self.classes.values() for _, names in each.values())
        return sorted({names[short] for names in every if short in names})


def translate(traceback_text: str, line_map: LineMap) -> str:
    """Return a traceback in terms of the source; what the map does not know stays as it is."""
    bundle = ""

    def source(found: re.Match[str]) -> str:
        nonlocal bundle
        bundle, function = found["path"], found["function"]
        place = line_map.place(bundle, int(found["line"]))
        if place is None:
            return found[0]
        name = function
        if function and not function.startswith("<"):
            name = line_map.function(*place) or line_map.names.get(bundle, {}).get(function, function)
        return f'File "{place[0]}", line {place[1]}' + (f", in {name}" if name else "")

    def attribute(found: re.Match[str]) -> str:
        owners = line_map.class_names(found["class"]) or [found["class"]]
        names = line_map.attribute_names(found["name"]) or [found["name"]]
        shown = "/".join(names[:_NAMES_MAX]) + ("/…" if len(names) > _NAMES_MAX else "")
        return f"{found['kind']}'{'/'.join(owners)}' {found['object']}has no attribute '{shown}'"

    def name(found: re.Match[str]) -> str:
        known = line_map.names.get(bundle, {})
        every = {each[found["name"]] for each in line_map.names.values() if found["name"] in each}
        called = known.get(found["name"]) or (every.pop() if len(every) == 1 else None)
        return f"{found['before']}'{called}'" if called else found[0]

    made = []
    for line in traceback_text.splitlines(keepends=True):
        line = _PLACE.sub(source, line)
        if "Error" in line:
            line = _NAME.sub(name, _OBJECT.sub(attribute, line))
        made.append(line)
    return "".join(made)


def read_map(path: Path) -> LineMap:
    """Return the map in a file, or in the folder of a node's bundle. Raises OSError, ValueError."""
    file = path / "map.json" if path.is_dir() else path
    try:
        return LineMap.from_json(file.read_text(encoding="utf-8"))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"is damaged ({error!r}): build it again from the same commit") from None


def main(arguments: list[str]) -> int:
    """Translate what comes in."""
    if len(arguments) != 1:
        print("usage: python -m host_tools.mpy.line_map MAP < TRACEBACK", file=sys.stderr)
        return 2
    try:
        line_map = read_map(Path(arguments[0]))
    except (OSError, ValueError) as error:
        print(f"{arguments[0]}: {error}", file=sys.stderr)
        return 1
    print(translate(sys.stdin.read(), line_map), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
