"""One module per package: what the chip loads in place of ninety small ones.

On the node each module costs 150 to 300 bytes of heap (the module, its globals, every name it imports), and each .mpy
holds its names again. So the modules of a package are joined: ``firmware/control/__init__.py``, likewise drivers, links
and system; what lies in firmware/ itself becomes ``firmware/app.py``. The launcher stays as it is and imports
``firmware.app``. Constants are put in by value first, names that clash get the name of their module, imports within a
package vanish. What cannot be joined without a doubt is refused: `BundleError` has file, line and remedy.

Only what `firmware/app.py` reaches goes in, and of the drivers those that are chosen.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from host_tools import catalogue

from .constants import Constants, Source
from .line_map import LineMap
from .merge import Merge
from .naming import Names
from .parts import APP, UNTOUCHED, BundleError, Part, Parts
from .scopes import Scopes


@dataclass
class Bundle:
    """``files``: the sources to compile; ``line_map``: for tracebacks; ``left_out``: files that nothing reaches."""

    files: dict[str, Source] = field(default_factory=dict)
    line_map: LineMap = field(default_factory=LineMap)
    left_out: list[str] = field(default_factory=list)


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
    bundles = _ordered(every, parts)
    names = {path: Names(path, members, every) for path, members in bundles.items()}
    made = Bundle(left_out=left_out)
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
            if name in values:
                line = getattr(nodes[0], "lineno", scope.line)
                raise BundleError(
                    f"{source.path}:{line}: {name} is a constant of {values[name]}, and {scope.kind} {scope.name} has a "
                    f"{name} of its own: rename that one"
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


def _ordered(every: Parts, parts: list[Part]) -> dict[str, list[Part]]:
    """Return the parts of each bundle, what others need at their import first. Refuses circles."""
    needs = {part.module: [m for m, is_at_import in every.needs(part, True).items() if is_at_import] for part in parts}
    by_module = {part.module: part for part in parts}
    for part in parts:
        package = part.source.package
        if package in by_module and package != part.module:
            needs[part.module].append(package)
    between: dict[str, dict[str, str]] = {part.bundle: {} for part in parts}
    for part in parts:
        for module in needs[part.module]:
            other = by_module[module]
            if other.bundle != part.bundle:
                between[part.bundle].setdefault(other.bundle, f"{part.path} imports {other.path}")
    order = _sorted({bundle: list(others) for bundle, others in between.items()}, between)
    made: dict[str, list[Part]] = {}
    for path in order:
        members = {part.module for part in parts if part.bundle == path}
        inside = {module: [need for need in needs[module] if need in members] for module in sorted(members)}
        edges = {
            module: {need: f"{by_module[module].path} imports {by_module[need].path}" for need in others}
            for module, others in inside.items()
        }
        made[path] = [by_module[module] for module in _sorted(inside, edges)]
    return made


def _sorted(needs: Mapping[str, list[str]], words: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return the keys, each after what it needs; a circle is refused with ``words`` for each of its steps."""
    done: list[str] = []
    path: list[str] = []

    def visit(key: str) -> None:
        if key in done:
            return
        if key in path:
            circle = [*path[path.index(key) :], key]
            steps = "; ".join(words[one][other] for one, other in zip(circle, circle[1:], strict=False))
            raise BundleError(f"a circle of imports: {steps}. Import one of them in the function that uses it")
        path.append(key)
        for need in sorted(needs[key]):
            visit(need)
        path.pop()
        done.append(key)

    for key in sorted(needs):
        visit(key)
    return done
