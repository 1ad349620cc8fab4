"""One module per package: what the chip loads in place of ninety small ones.

On the node each module costs 150 to 300 bytes of heap (the module, its globals, every name it imports), and each .mpy
holds its names again. So the modules of a package are joined: ``firmware/control/__init__.py``, likewise drivers, links
and system; what lies in firmware/ itself becomes ``firmware/app.py``. Packages that need each other at their import
become one bundle (``Bundle.joined`` says so). The launcher stays as it is and imports ``firmware.app``. Constants are
put in by value first, names that clash get the name of their module, imports within a package vanish. What cannot be
joined without a doubt is refused: `BundleError` has file, line and remedy.

Only what `firmware/app.py` reaches goes in, and of the drivers those that are chosen.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import PurePosixPath

from host_tools import catalogue

from .constants import Constants, Source
from .line_map import LineMap
from .merge import Merge
from .naming import Names
from .parts import APP, FIRMWARE, UNTOUCHED, BundleError, Own, Part, Parts
from .scopes import Scopes

# What the launcher calls; it keeps its name.
ENTRY = Own("firmware.app", "run")


@dataclass
class Bundle:
    """``files``: the sources to compile; ``line_map``: for tracebacks; ``left_out``: files that nothing reaches;
    ``joined``: packages that had to become one bundle, and why; ``unused``: what `shipped` left out of them."""

    files: dict[str, Source] = field(default_factory=dict)
    line_map: LineMap = field(default_factory=LineMap)
    left_out: list[str] = field(default_factory=list)
    joined: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)


def bundled(sources: Mapping[str, Source], chosen_drivers: Collection[str] | None = None) -> dict[str, Source]:
    """Return the bundles by path. ``chosen_drivers``: names of the catalogue; None for all that can be built.

    Raises `BundleError` and `ConstantError`.
    """
    return bundle(sources, chosen_drivers).files


def bundle(
    sources: Mapping[str, Source], chosen_drivers: Collection[str] | None = None, roots: Collection[str] = (APP,)
) -> Bundle:
    """Return bundles, line map and what was left out. ``roots``: the files from which all is reached; one outside the
    firmware is a bundle of its own, with its imports corrected (a test's main, for one)."""
    constants = Constants(sources)
    ready = {}
    for path, source in sources.items():
        if path not in UNTOUCHED:
            ready[path] = Source(path, _with_values(constants, source))
    every = Parts(ready)
    wanted = [*roots, *_driver_files(ready, chosen_drivers)]
    for path in wanted:
        if path not in ready:
            raise BundleError(f"{path}: there is no such file to begin with")
    parts, left_out = every.reach(wanted, chosen_drivers is None)
    joined: list[str] = []
    bundles = _ordered(every, parts, joined)
    names = {path: Names(path, members, every) for path, members in bundles.items()}
    for path in names:
        if path == APP and names[path].of.get(ENTRY, ENTRY.name) != ENTRY.name:
            raise BundleError(f"{APP}: {ENTRY.name} is what the launcher calls, and another name hides it: rename that")
    made = Bundle(left_out=left_out, joined=joined)
    included = {part.module for part in parts}
    for path in UNTOUCHED:
        if path in sources:
            made.files[path] = sources[path]
    for path, members in bundles.items():
        lines = Merge(path, members, every, names, included).lines()
        made.files[path] = Source(path, "".join(text + "\n" for text, _ in lines))
        made.line_map.lines[path] = [place for _, place in lines]
        made.line_map.names[path] = {
            called: name
            for meaning, called in names[path].of.items()
            if (name := getattr(meaning, "name", "")) and name != called
        }
    return made


def _with_values(constants: Constants, source: Source) -> str:
    """Return the text with constants put in; refuses a local name that the values would be written over."""
    values = constants.values_in(source, with_private=True)
    for scope in Scopes(source.path, source.text).scopes[1:]:
        for name, nodes in scope.bound.items():
            # Imported in a function it is the constant itself.
            others = [node for node in nodes if not isinstance(node, ast.alias)]
            if name in values and others:
                line = getattr(others[0], "lineno", scope.line)
                raise BundleError(
                    f"{source.path}:{line}: {name} is a constant of {values[name]}, and {scope.kind} {scope.name} has "
                    f"a {name} of its own: rename that one"
                )
    return constants.put_in(source, with_private=True)


def _driver_files(sources: Mapping[str, Source], chosen: Collection[str] | None) -> list[str]:
    if chosen is None:
        return []
    known = catalogue.load()
    found: dict[str, None] = {}
    for name in chosen:
        if name not in known:
            raise BundleError(f"{name}: no driver of the catalogue; known are {', '.join(sorted(known))}")
        found.update(dict.fromkeys(known[name].files))
    # A file of constants alone has nothing left to be loaded.
    return [path for path in found if path in sources]


# -- order --------------------------------------------------------------------------------------------------------


def _ordered(every: Parts, parts: list[Part], joined: list[str]) -> dict[str, list[Part]]:
    """Return the parts of each bundle, what others need at their import first. Refuses circles of modules."""
    by_module = {part.module: part for part in parts}
    needs: dict[str, dict[str, str]] = {}
    for part in parts:
        modules = [module for module, is_at_import in every.needs(part, True).items() if is_at_import]
        package = part.source.package
        if package in by_module and package != part.module:
            modules.append(package)
        needs[part.module] = {module: f"{part.path} imports {by_module[module].path}" for module in modules}
    _sorted(needs)
    _join_circles(parts, _between(by_module, needs), joined)
    made: dict[str, list[Part]] = {}
    for path in _sorted(_between(by_module, needs)):
        members = {part.module for part in parts if part.bundle == path}
        inside = {
            module: {need: words for need, words in needs[module].items() if need in members} for module in members
        }
        made[path] = [by_module[module] for module in _sorted(inside)]
    return made


def _between(by_module: Mapping[str, Part], needs: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Return which bundle needs which at its import, with one example each."""
    between: dict[str, dict[str, str]] = {part.bundle: {} for part in by_module.values()}
    for module, others in needs.items():
        for other, words in others.items():
            here, there = by_module[module].bundle, by_module[other].bundle
            if here != there:
                between[here].setdefault(there, words)
    return between


def _join_circles(parts: list[Part], between: Mapping[str, Mapping[str, str]], joined: list[str]) -> None:
    """Make one bundle of packages that need each other at their import: their modules may, a bundle of each cannot."""

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        waiting = [start]
        while waiting:
            for other in between[waiting.pop()]:
                if other not in found:
                    found.add(other)
                    waiting.append(other)
        return found

    reach = {path: reached(path) for path in between}
    for path in sorted(between):
        circle = sorted(other for other in between if other in reach[path] and path in reach[other])
        if len(circle) < 2 or path != circle[0]:
            continue
        stems = [PurePosixPath(other.removesuffix("/__init__.py")).stem for other in circle]
        name = APP if APP in circle else f"{FIRMWARE}/{'_'.join(stems)}.py"
        steps = [between[one][other] for one in circle for other in circle if other in between[one]]
        joined.append(f"{', '.join(circle)} are joined as {name}, since they need each other: {'; '.join(steps)}")
        for part in parts:
            if part.bundle in circle:
                part.bundle = name


def _sorted(needs: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return the keys, each after what it needs; a circle is refused with the words of each of its steps."""
    done: dict[str, None] = {}
    path: list[str] = []

    def visit(key: str) -> None:
        if key in done:
            return
        if key in path:
            circle = [*path[path.index(key) :], key]
            steps = "; ".join(needs[one][other] for one, other in pairwise(circle))
            raise BundleError(f"a circle of imports: {steps}. Import one of them in the function that uses it")
        path.append(key)
        for need in sorted(needs[key]):
            visit(need)
        path.pop()
        done[key] = None

    for key in sorted(needs):
        visit(key)
    return list(done)
