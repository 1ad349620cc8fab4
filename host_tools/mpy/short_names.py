"""Short names: one for many attributes that never meet on one object, others for what stands at a module's level.

On the node each different name costs its text in every .mpy that has it, 7 bytes and more of heap, and a byte more at
each use once a bundle has more than 128. So names are shared:

- Attributes of the firmware's own classes. Two of them may have one name if no family of classes (all that inherit from
  each other) has both. An attribute that is also set on something else than `self` has a name that no other has: which
  object that is, is not proven here. So has none that is MicroPython's too, that stands in a string, or that no class
  of the firmware defines.
- What a bundle defines. Exceptions keep their names, which stand in logs.
- Parameters, which are names in a .mpy, unless any call anywhere gives one of that name by keyword, or a ``**`` may.

The k-th name of the list is that of the k-th definition of a bundle and of the k-th most used group of attributes:
the first come first in a bundle's table, and the same text serves all three.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import string
from collections.abc import Iterator

from .outside import OUTSIDE
from .parts import APP, FIRMWARE
from .program import Class, File, Function, Program, is_dunder
from .scopes import Scope

_FIRST = string.ascii_letters
_NEXT = string.ascii_letters + string.digits
_ENTRY = "run"


class ShortNames:
    """Chooses, then `apply` renames in the trees. Afterwards: ``attributes`` from old to new; ``of``: for each bundle
    from new to old; ``classes``: for each bundle from a class's new name to the old one, and its attributes."""

    def __init__(self, program: Program):
        self._program = program
        self._words = _words(program)
        self._list: list[str] = []
        self._source = self._endless()
        self.attributes = self._attributes()
        self._globals: dict[str, dict[str, str]] = {file.path: {} for file in program.files.values()}
        for file in program.files.values():
            self._name_globals(file)
        self._by_keyword, self._open = _keywords(program)
        self._locals: dict[int, dict[str, str]] = {}
        for file in program.files.values():
            for scope in file.scopes.scopes:
                if isinstance(scope.node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                    self._name_locals(file, scope)

    def _endless(self) -> Iterator[str]:
        for first in _FIRST:
            yield first
        for first in _FIRST:
            for second in _NEXT:
                yield first + second

    def _at(self, number: int) -> str:
        """Return the list's name of a number: none that anything has already."""
        while len(self._list) <= number:
            name = next(self._source)
            if name not in self._words:
                self._list.append(name)
        return self._list[number]

    # -- attributes -----------------------------------------------------------------------------------------------

    def _attributes(self) -> dict[str, str]:
        program = self._program
        names = {name for name in program.defined | set(program.attributes) if program.is_own(name)}
        weights = {name: program.attributes.get(name, 0) for name in names}
        families = {id(each.family): each.family for each in program.classes}
        meets: dict[str, set[str]] = {name: set() for name in names}
        for family in families.values():
            members = names & {name for each in family for name in each.defined | each.used}
            for name in members:
                meets[name] |= members
        alone = names & program.set_elsewhere
        groups: list[set[str]] = []
        for name in sorted(names, key=lambda name: (-weights[name], name)):
            for group in groups:
                if name not in alone and not (group & meets[name]) and not (group & alone):
                    group.add(name)
                    break
            else:
                groups.append({name})
        groups.sort(key=lambda group: -sum(weights[name] for name in group))
        return {name: self._at(number) for number, group in enumerate(groups) for name in group}

    # -- names of a module ----------------------------------------------------------------------------------------

    def _name_globals(self, file: File) -> None:
        if not file.path.startswith(FIRMWARE + "/"):
            return
        kept = {each.name for each in file.classes.values() if each.is_outside}
        hidden = self._hidden(file)
        number = 0
        for name in _in_order(file):
            is_module_attribute = name in self._program.attributes and not self._program.is_own(name)
            is_entry = file.path == APP and name == _ENTRY
            if name in kept or is_dunder(name) or is_entry or is_module_attribute:
                continue
            if _is_standard(file, name, self._program):
                continue
            while self._at(number) in hidden.get(name, ()):
                number += 1
            self._globals[file.path][name] = self._at(number)
            number += 1

    def _hidden(self, file: File) -> dict[str, set[str]]:
        """Return for each name that a class body reads (a default, say) what it must not be called: as an attribute
        that the class sets itself."""
        found: dict[str, set[str]] = {}
        for use in file.scopes.uses:
            if use.at.kind == "class" and use.at.resolve(use.name) is file.scopes.module:
                found.setdefault(use.name, set()).update(self.attributes.get(name, name) for name in use.at.bound)
        return found

    # -- parameters -----------------------------------------------------------------------------------------------

    def _name_locals(self, file: File, scope: Scope) -> None:
        """Name the parameters of a function, and functions within it."""
        node = scope.node
        wanted = []
        for name, nodes in scope.bound.items():
            is_argument = any(isinstance(each, ast.arg) for each in nodes)
            is_function = any(isinstance(each, Function) for each in nodes)
            is_plain = all(
                isinstance(each, (ast.arg, ast.Name, ast.FunctionDef, ast.AsyncFunctionDef)) for each in nodes
            )
            if not (is_argument or is_function) or not is_plain or name in self._by_keyword or node in self._open:
                continue
            if name in scope.nonlocals or any(name in inner.nonlocals for inner in _within(file, scope)):
                continue
            wanted.append(name)
        own = self._globals[file.path]
        taken = {own.get(name, name) for inner in _within(file, scope) for name in file.globals_of(inner)}
        outer = scope.parent
        while outer is not None:
            taken |= set(self._locals.get(id(outer), {}).values())
            outer = outer.parent
        made = {}
        number = 0
        for name in wanted:
            while self._at(number) in taken:
                number += 1
            made[name] = self._at(number)
            number += 1
        self._locals[id(scope)] = made

    # -- writing --------------------------------------------------------------------------------------------------

    def apply(self) -> None:
        """Write all names into the trees."""
        for file in self._program.files.values():
            self._apply(file)

    def _apply(self, file: File) -> None:
        own = self._globals[file.path]
        for use in file.scopes.uses:
            scope = file.meant.get(id(use.node)) or use.at.resolve(use.name)
            if scope is None:
                continue
            if scope.kind == "module":
                new = own.get(use.name, use.name)
            elif scope.kind == "class":
                new = self.attributes.get(use.name, use.name)
            else:
                new = self._locals.get(id(scope), {}).get(use.name, use.name)
            _rename(use.node, use.name, new)
        for scope in file.scopes.scopes:
            for old, new in self._locals.get(id(scope), {}).items():
                for node in scope.bound[old]:
                    if isinstance(node, ast.arg):
                        node.arg = new
        for node in ast.walk(file.tree):
            if isinstance(node, ast.Attribute):
                node.attr = self.attributes.get(node.attr, node.attr)
            elif isinstance(node, ast.ImportFrom):
                self._import(file, node)

    def _import(self, file: File, node: ast.ImportFrom) -> None:
        other = self._program.by_module.get(node.module or "")
        at_top = node in file.tree.body
        for alias in node.names:
            local = alias.asname or alias.name
            if at_top:
                local = self._globals[file.path].get(local, local)
            if other is not None:
                alias.name = self._globals[other.path].get(alias.name, alias.name)
            alias.asname = local if local != alias.name else None

    # -- for the map ----------------------------------------------------------------------------------------------

    def of(self, path: str) -> dict[str, str]:
        """Return what a bundle's names are called in the texts before."""
        return {new: old for old, new in self._globals[path].items()}

    def classes(self, path: str) -> dict[str, tuple[str, dict[str, str]]]:
        """Return each class of a bundle by its new name: its old one, and its attributes from new to old."""
        made = {}
        for each in self._program.files[path].classes.values():
            names = {name for member in each.family for name in member.defined | member.used}
            attributes = {self.attributes[name]: name for name in sorted(names) if name in self.attributes}
            made[each.name] = (each.name, attributes)
        old = self.of(path)
        return {new: (old.get(new, new), attributes) for new, (_, attributes) in made.items()}


def _words(program: Program) -> set[str]:
    """Return every name that is there already, of whatever kind: a short one is new."""
    found = set(keyword.kwlist) | set(dir(builtins)) | OUTSIDE | {"const", "self"}
    for file in program.files.values():
        for node in ast.walk(file.tree):
            for part in ("id", "attr", "arg", "name", "asname"):
                value = getattr(node, part, None)
                if isinstance(value, str):
                    found.add(value)
            if isinstance(node, (ast.Global, ast.Nonlocal)):
                found |= set(node.names)
    return found | program.kept


def _in_order(file: File) -> list[str]:
    """Return what a bundle binds at its level, in the order in which the compiler meets it."""
    places = {}
    for name, nodes in file.scopes.module.bound.items():
        places[name] = min((getattr(node, "lineno", 1), getattr(node, "col_offset", 0)) for node in nodes)
    return sorted(places, key=lambda name: (places[name], name))


def _is_standard(file: File, name: str, program: Program) -> bool:
    """Tell whether a name comes from MicroPython's modules: its text is there in any case."""
    for node in file.scopes.module.bound[name]:
        if isinstance(node, ast.alias) and program.imported(file, name) is None:
            return True
    return False


def _keywords(program: Program) -> tuple[set[str], set[ast.AST]]:
    """Return names that calls give by keyword, and functions that a ``**`` may call."""
    names: set[str] = set()
    open_: set[ast.AST] = set()
    for file in program.files.values():
        for node in ast.walk(file.tree):
            if not isinstance(node, ast.Call):
                continue
            for each in node.keywords:
                if each.arg is not None:
                    names.add(each.arg)
                    continue
                called = _called(program, file, node.func)
                if called is None:
                    raise file.refusal(
                        node, "** gives names that are made at run time: call a class or function of the firmware"
                    )
                open_ |= called
    return names, open_


def _called(program: Program, file: File, func: ast.expr) -> set[ast.AST] | None:
    """Return the functions that a call by name reaches: a class stands for the `__init__` of its family."""
    if not isinstance(func, ast.Name):
        return None
    scope = file.meant.get(id(func))
    owner, name = file, func.id
    if scope is not None and scope.kind != "module":
        alias = scope.bound[func.id][0]
        imports = [n for n in ast.walk(file.tree) if isinstance(n, ast.ImportFrom) and alias in n.names]
        if not imports or len(scope.bound[func.id]) > 1 or not isinstance(alias, ast.alias):
            return None
        other = program.by_module.get(imports[0].module or "")
        if other is None:
            return set()  # A driver that is not chosen: the import fails before.
        owner, name = other, alias.name
    elif (origin := program.imported(file, func.id)) is not None:
        owner, name = origin
    found: set[ast.AST] = set()
    for node in owner.tree.body:
        if isinstance(node, Function) and node.name == name:
            found.add(node)
    if name in owner.classes:
        members: set[Class] = owner.classes[name].family
        found |= {n for m in members for n in m.node.body if isinstance(n, Function) and n.name == "__init__"}
    return found or None


def _within(file: File, scope: Scope) -> set[Scope]:
    found = {scope}
    for each in file.scopes.scopes:
        if each.parent in found:
            found.add(each)
    return found


def _rename(node: ast.AST, old: str, new: str) -> None:
    if isinstance(node, ast.Name):
        node.id = new
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler)):
        node.name = new
    elif isinstance(node, ast.Global):
        node.names = [new if name == old else name for name in node.names]
