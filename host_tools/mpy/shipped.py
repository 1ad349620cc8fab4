"""The firmware as it goes to a node: bundles without what nothing asks for, with short names, and the map back."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping

from .bundle import Bundle, bundle
from .constants import Source
from .line_map import LineMap
from .order import first_names
from .parts import APP, UNTOUCHED
from .program import Place
from .short_names import ShortNames
from .unused import without_unused
from .writing import joined, written


def shipped(
    sources: Mapping[str, Source], chosen_drivers: Collection[str] | None = None, roots: Collection[str] = (APP,)
) -> Bundle:
    """Return the bundles as they are compiled for a node; arguments and errors are those of `bundle`."""
    made = bundle(sources, chosen_drivers, roots)
    texts = {path: source.text for path, source in made.files.items() if path not in UNTOUCHED}
    program, made.unused = without_unused(texts, made.line_map.lines, sources)
    names = ShortNames(program)
    classes = {path: names.classes(path) for path in program.files}
    names.apply()
    line_map = LineMap(functions=functions_of(sources, made.line_map.lines))
    for path, file in program.files.items():
        text, places = _text(file.tree, file.places)
        made.files[path] = Source(path, text)
        line_map.lines[path] = places
        before = made.line_map.names[path]
        line_map.names[path] = {new: before.get(old, old) for new, old in names.of(path).items()}
        line_map.names[path].update({new: old for new, old in before.items() if new not in line_map.names[path]})
        line_map.classes[path] = {new: (before.get(old, old), each) for new, (old, each) in classes[path].items()}
    made.line_map = line_map
    return made


def _text(tree: ast.Module, places: list[Place]) -> tuple[str, list[Place]]:
    text, places = joined(*written(tree, places))
    first = first_names(text)
    return first + text, places[:1] + places if first else places


def functions_of(
    sources: Mapping[str, Source], lines: Mapping[str, list[Place]]
) -> dict[str, list[tuple[int, int, str]]]:
    """Return for each source that lines come from its functions and classes: (first line, last line, name)."""
    found = {}
    for path in sorted({path for each in lines.values() for path, _ in each}):
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        nodes = [node for node in ast.walk(ast.parse(sources[path].text)) if isinstance(node, kinds)]
        found[path] = sorted((node.lineno, node.end_lineno or node.lineno, node.name) for node in nodes)
    return found
