"""The modules of the firmware as parts of bundles: what each defines, what it takes from where, what is reachable.

A name at the level of a module is one of three things, here called its meaning: `Own` (defined there), `Standard`
(imported from MicroPython), `Whole` (a module of the firmware as an object). Imports of imports are followed to where
the name is defined. What cannot be known without running the code is refused with file, line and remedy.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from .constants import Source
from .scopes import DYNAMIC, Scope, Scopes, Use

# A module whose docstring says so is for CPython alone.
HOST_ONLY = "Never copied to a node"
# A module whose docstring says so is a bundle of its own, or goes into that of another one ("… and forgotten with
# `other`"): imported in the functions that use it, by name, and dropped by firmware/system/once.py when it has served.
# It lies in a folder of its own, so that what is to be dropped is known.
FLEETING = "Loaded where it is used, and forgotten"
_WITH = re.compile(re.escape(FLEETING) + r"\s+with\s+`(\w+)`")
ONCE = "firmware/once"
FIRMWARE = "firmware"
DRIVERS = "firmware/drivers/"
# They are started by their own paths, and stay as they are.
UNTOUCHED = ("firmware/__init__.py", "firmware/main.py")
APP = "firmware/app.py"
_IMPORTS_MAX = 10


class BundleError(Exception):
    """Modules that cannot be joined; the message has file, line and remedy."""


@dataclass(frozen=True)
class Own:
    """A name that a module of the firmware defines."""

    module: str
    name: str


@dataclass(frozen=True)
class Standard:
    """What an import from MicroPython's own modules gives; ``name`` is empty for the module itself."""

    module: str
    name: str = ""


@dataclass(frozen=True)
class Whole:
    """A module of the firmware as an object; only its attributes may be used."""

    module: str


Meaning = Own | Standard | Whole


def bundle_of(path: str) -> str:
    """Return the path of the bundle that a file goes into; a file outside the firmware is a bundle of its own."""
    parts = PurePosixPath(path).parts
    if parts[0] != FIRMWARE or path in UNTOUCHED:
        return path
    return f"{FIRMWARE}/{parts[1]}/__init__.py" if len(parts) > 2 else APP


@dataclass(eq=False)
class Taken:
    """One name of one import statement."""

    node: ast.Import | ast.ImportFrom
    alias: ast.alias
    scope: Scope
    is_top: bool
    meaning: Meaning

    @property
    def local(self) -> str:
        return self.alias.asname or self.alias.name.partition(".")[0]


class Part:
    """One module. ``source`` has its constants put in already."""

    def __init__(self, source: Source, modules: Collection[str]):
        self.source = source
        self.path = source.path
        self.module = source.module
        self.stem = PurePosixPath(source.path).stem if not source.path.endswith("__init__.py") else "package"
        self.scopes = Scopes(source.path, source.text)
        docstring = ast.get_docstring(self.scopes.tree) or ""
        self.is_host_only = HOST_ONLY in docstring
        self.is_fleeting = FLEETING in docstring
        other = _WITH.search(docstring)
        stem = other[1] if other else self.stem
        self.bundle = f"{ONCE}/{stem}.py" if self.is_fleeting else bundle_of(source.path)
        self.taken: dict[int, Taken] = {}
        for node, scope, is_top in self.scopes.imports:
            for alias in node.names:
                self.taken[id(alias)] = Taken(node, alias, scope, is_top, self._imported(node, alias, modules))
        self._refuse_dynamic()

    def refusal(self, line: int, text: str) -> BundleError:
        return BundleError(f"{self.path}:{line}: {text}")

    @property
    def has_code(self) -> bool:
        """Tell whether there is more than a docstring and imports: constants are gone already."""
        return any(
            not is_docstring(node) and not isinstance(node, (ast.Import, ast.ImportFrom))
            for node in self.scopes.tree.body
        )

    def _refuse_dynamic(self) -> None:
        for use in self.scopes.uses:
            if use.name in DYNAMIC and use.at.resolve(use.name) is None:
                raise self.refusal(use.line, f"{use.name} makes names at run time: say in code which name is meant")

    def _imported(self, node: ast.Import | ast.ImportFrom, alias: ast.alias, modules: Collection[str]) -> Meaning:
        if isinstance(node, ast.Import):
            if alias.name.partition(".")[0] == FIRMWARE:
                raise self.refusal(node.lineno, f"import {alias.name}: write from … import the names that are used")
            if "." in alias.name and not alias.asname:
                raise self.refusal(node.lineno, f"import {alias.name}: write from … import the names that are used")
            return Standard(alias.name)
        package = self.source.package.split(".")
        base = package[: len(package) - node.level + 1] if node.level else []
        origin = ".".join([*base, *((node.module or "").split(".") if node.module else [])])
        if alias.name == "*":
            raise self.refusal(node.lineno, "import *: write the names that are used")
        if f"{origin}.{alias.name}" in modules:
            return Whole(f"{origin}.{alias.name}")
        if origin in modules:
            return Own(origin, alias.name)
        if origin.partition(".")[0] == FIRMWARE:
            raise self.refusal(node.lineno, f"there is no {origin}.{alias.name}: correct the import")
        return Standard(origin, alias.name)

    def of_binding(self, scope: Scope, name: str) -> Taken | None:
        """Return the import that gives ``name`` in ``scope``, None where it is defined there. Refuses a mixture."""
        nodes = scope.bound.get(name, [])
        found = [self.taken[id(node)] for node in nodes if id(node) in self.taken]
        of_firmware = [each for each in found if not isinstance(each.meaning, Standard)]
        if not of_firmware:
            is_plain = len(found) == len(nodes) == 1 and found[0].is_top and scope.kind == "module"
            return found[0] if is_plain else None
        if len(found) != len(nodes) or len({each.meaning for each in found}) > 1:
            raise self.refusal(
                of_firmware[0].node.lineno, f"{name} is imported here and set elsewhere too: give one another name"
            )
        if scope.kind == "class" or (scope.kind == "module" and not all(each.is_top for each in found)):
            raise self.refusal(
                of_firmware[0].node.lineno, f"{name}: import it at the top of the file or in a function, not here"
            )
        return found[0]


def is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


class Parts:
    """All modules by dotted name, and what their names mean."""

    def __init__(self, sources: Mapping[str, Source]):
        modules = {source.module for source in sources.values()}
        self.by_module = {source.module: Part(source, modules) for source in sources.values()}

    def meaning(self, part: Part, name: str) -> Meaning:
        """Return what a name at the level of a module is, through imports of imports."""
        for _ in range(_IMPORTS_MAX):
            taken = part.of_binding(part.scopes.module, name)
            if taken is None:
                return Own(part.module, name)
            if not isinstance(taken.meaning, Own):
                return taken.meaning
            part, name = self._exporter(part, taken.meaning, taken.node.lineno), taken.meaning.name
        raise part.refusal(1, f"{name} is imported in a circle: import it from where it is defined")

    def taken_meaning(self, part: Part, taken: Taken) -> Meaning:
        """Return what an import gives, in the end."""
        if isinstance(taken.meaning, Own):
            return self.meaning(self._exporter(part, taken.meaning, taken.node.lineno), taken.meaning.name)
        return taken.meaning

    def attribute(self, part: Part, whole: Whole, use: Use) -> Meaning:
        """Return what ``module.name`` is, where a module is used by its attribute; refuses any other use of it."""
        attribute = use.attribute
        if attribute is None or not isinstance(attribute.ctx, ast.Load) or use.is_store:
            raise part.refusal(
                use.line, f"{use.name} is a module, used as an object or set: import what is used of it by name"
            )
        owner = self.by_module[whole.module]
        if attribute.attr in owner.scopes.rebound and owner.bundle != part.bundle:
            raise self._is_rebound(part, use.line, owner, attribute.attr)
        if attribute.attr not in owner.scopes.module.bound:
            raise part.refusal(use.line, f"{whole.module} has no {attribute.attr}: correct the name")
        return self.meaning(owner, attribute.attr)

    def of_use(self, part: Part, use: Use) -> tuple[Meaning, Scope] | None:
        """Return what a use means, and in which scope it found it; None for a local name or a builtin."""
        scope = use.at.resolve(use.name)
        if scope is None:
            return None
        if scope.kind == "module":
            return self.meaning(part, use.name), scope
        taken = part.of_binding(scope, use.name)
        if taken is None or isinstance(taken.meaning, Standard):
            return None
        return self.taken_meaning(part, taken), scope

    def _exporter(self, part: Part, own: Own, line: int) -> Part:
        owner = self.by_module[own.module]
        if own.name in owner.scopes.rebound:
            raise self._is_rebound(part, line, owner, own.name)
        if own.name not in owner.scopes.module.bound:
            raise part.refusal(line, f"{own.module} has no {own.name}: correct the import")
        return owner

    @staticmethod
    def _is_rebound(part: Part, line: int, owner: Part, name: str) -> BundleError:
        return part.refusal(
            line,
            f"{name} is set anew by `global` at {owner.path}:{owner.scopes.rebound[name]}, and whoever imports it "
            "holds the old value: give it a function that returns it, or keep it in an object",
        )

    # -- reach ----------------------------------------------------------------------------------------------------

    def needs(self, part: Part, with_late_drivers: bool) -> dict[str, bool]:
        """Return the modules that a part uses, and whether already at its import. A late one is imported in functions.

        Without ``with_late_drivers`` a driver that is imported where it is built is not followed from outside the
        drivers' package: which of them go in is chosen.
        """
        found: dict[str, bool] = {}
        for use in part.scopes.uses:
            known = self.of_use(part, use)
            if known is None:
                continue
            meaning, scope = known
            if isinstance(meaning, Whole):
                meaning = self.attribute(part, meaning, use)
            if not isinstance(meaning, Own) or meaning.module == part.module:
                continue
            other = self.by_module[meaning.module]
            is_at_import = scope.kind == "module"
            if other.is_host_only:
                if is_at_import:
                    raise part.refusal(use.line, f"{other.path} is for CPython only: import it where it is used")
                continue
            if other.is_fleeting and not part.is_fleeting and (is_at_import or isinstance(known[0], Whole)):
                raise part.refusal(
                    use.line, f"{other.path} is loaded where it is used: import it in a function, from it by name"
                )
            is_chosen = other.path.startswith(DRIVERS) and not part.path.startswith(DRIVERS)
            if is_at_import or with_late_drivers or not is_chosen:
                found[meaning.module] = found.get(meaning.module, False) or is_at_import
        return found

    def reach(self, roots: Collection[str], with_late_drivers: bool) -> tuple[list[Part], list[str]]:
        """Return the parts that the roots (paths) need, and the paths of the rest."""
        by_path = {part.path: part for part in self.by_module.values()}
        waiting = [by_path[path] for path in roots]
        found: dict[str, Part] = {}
        while waiting:
            part = waiting.pop()
            if part.module in found:
                continue
            found[part.module] = part
            waiting += [self.by_module[module] for module in self.needs(part, with_late_drivers)]
            package = self.by_module.get(part.source.package)
            if package is not None and package.path not in UNTOUCHED and package.has_code:
                waiting.append(package)
        parts = sorted(found.values(), key=lambda part: part.path)
        left = [p.path for p in self.by_module.values() if p.module not in found and p.path not in UNTOUCHED]
        return parts, sorted(path for path in left if by_path[path].has_code)
