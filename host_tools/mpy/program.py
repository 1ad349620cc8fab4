"""The bundles of one node as one program: what each name in them is, which classes belong together, what is dynamic.

Everything that runs on a node is in its bundles, but for MicroPython itself and the launcher, which calls
`firmware.app.run`. So what a name may be given to is known here, or it is refused with file, line and remedy.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from .constants import Source
from .outside import OUTSIDE
from .parts import BundleError
from .scopes import Scope, Scopes

Place = tuple[str, int]
Function = ast.FunctionDef | ast.AsyncFunctionDef
# Said in the source, on the first line of a statement that makes names at run time: whose names these are.
MARK = re.compile(r"#\s*names: *([\w, ]+)")
_BY_NAME = ("getattr", "hasattr", "setattr", "delattr")
_FIELD = re.compile(r"\{\w*\.\w+[^}\s]*\}")
_HOOKS = ("__getattr__", "__setattr__", "__delattr__", "__getattribute__", "__slots__")


@dataclass(eq=False)
class Class:
    """One class. ``family``: it and all that inherit from each other with it, directly or not."""

    file: File
    node: ast.ClassDef
    bases: list[Class] = field(default_factory=list)
    # A base of MicroPython's: exceptions.
    is_outside: bool = False
    # What its body defines, and what its methods use on `self`.
    defined: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    family: set[Class] = field(default_factory=set)

    @property
    def name(self) -> str:
        return self.node.name


class File:
    """One bundle: its text, tree and scopes. ``places``: where each line comes from."""

    def __init__(self, path: str, text: str, places: list[Place]):
        self.path = path
        self.module = Source(path, text).module
        self.scopes = Scopes(path, text)
        self.tree = self.scopes.tree
        self.places = places
        self.classes: dict[str, Class] = {}
        # What each imported name is imported from.
        self.imports: dict[int, str] = {}
        for node, _, _ in self.scopes.imports:
            for alias in node.names:
                self.imports[id(alias)] = (node.module or "") if isinstance(node, ast.ImportFrom) else alias.name
        # The scope of each node that makes one, by the node's id; the scope that each use means.
        self.meant: dict[int, Scope] = {}
        self._globals: dict[Scope, set[str]] = {}
        for use in self.scopes.uses:
            scope = use.at.resolve(use.name)
            if scope is not None:
                self.meant[id(use.node)] = scope
                if scope.kind == "module":
                    self._globals.setdefault(use.at, set()).add(use.name)

    def globals_of(self, scope: Scope) -> set[str]:
        """Return the names of the module that are used right in a scope."""
        return self._globals.get(scope, set())

    def refusal(self, node: ast.AST, text: str) -> BundleError:
        path, line = self.place(node)
        return BundleError(f"{path}:{line}: {text}")

    def place(self, node: ast.AST) -> Place:
        return self.places[getattr(node, "lineno", 1) - 1]

    def is_global(self, node: ast.AST) -> bool:
        """Tell whether a Name, or what is defined by a statement, is a name of the module."""
        scope = self.meant.get(id(node))
        return scope is not None and scope.kind == "module"


class Program:
    """All bundles. ``sources``: the texts that they were made of, for their marks."""

    def __init__(self, texts: Mapping[str, str], places: Mapping[str, list[Place]], sources: Mapping[str, Source]):
        self._sources = {path: source.text.split("\n") for path, source in sources.items()}
        self.files = {path: File(path, text, places[path]) for path, text in texts.items()}
        self.by_module = {file.module: file for file in self.files.values()}
        self.classes: list[Class] = []
        for file in self.files.values():
            for node in ast.walk(file.tree):
                if isinstance(node, ast.ClassDef):
                    made = Class(file, node)
                    self.classes.append(made)
                    if node in file.tree.body:
                        file.classes[node.name] = made
        # Attributes that something gives to a name in a string, so that they keep their own.
        self.kept: set[str] = set()
        # Attributes that are set on something else than `self`.
        self.set_elsewhere: set[str] = set()
        # Every attribute, with how often it stands there; and those that a class of the firmware defines.
        self.attributes: dict[str, int] = {}
        self.defined: set[str] = set()
        self._of_self: set[int] = set()
        for each in self.classes:
            self._bases(each)
            self._own_names(each)
        for file in self.files.values():
            self._refuse_doubt(file)
            self._find_self(file)
        self._join_families()
        for file in self.files.values():
            for node in ast.walk(file.tree):
                self._look(file, node)

    # -- classes --------------------------------------------------------------------------------------------------

    def _bases(self, made: Class) -> None:
        for base in made.node.bases:
            found = self._class_of(made.file, base)
            if found is not None:
                made.bases.append(found)
            elif isinstance(base, (ast.Name, ast.Attribute)):
                made.is_outside = made.is_outside or not (isinstance(base, ast.Name) and base.id == "object")
            else:
                raise made.file.refusal(base, f"the base of {made.name} is made at run time: name a class")
        if made.node.keywords:
            raise made.file.refusal(made.node, f"{made.name} has a metaclass: MicroPython knows none")

    def _class_of(self, file: File, base: ast.expr) -> Class | None:
        if not isinstance(base, ast.Name):
            return None
        if base.id in file.classes and file.is_global(base):
            return file.classes[base.id]
        origin = self.imported(file, base.id) if file.is_global(base) else None
        if origin is not None:
            return origin[0].classes.get(origin[1])
        scope = file.meant.get(id(base))
        if scope is not None and not all(isinstance(node, ast.alias) for node in scope.bound.get(base.id, ())):
            raise file.refusal(base, f"{base.id} is no class at the level of a module: define it there")
        return None

    def imported(self, file: File, name: str) -> tuple[File, str] | None:
        """Return (bundle, name there) of what a bundle imports from another at its top."""
        for node in file.tree.body:
            if isinstance(node, ast.ImportFrom) and node.module in self.by_module:
                for alias in node.names:
                    if (alias.asname or alias.name) == name:
                        return self.by_module[node.module], alias.name
        return None

    def _own_names(self, made: Class) -> None:
        scope = next(s for s in made.file.scopes.scopes if s.kind == "class" and s.node is made.node)
        made.defined |= set(scope.bound)
        for hook in _HOOKS:
            if hook in scope.bound:
                raise made.file.refusal(
                    made.node, f"{made.name} has {hook}, so that its attributes are made at run time"
                )

    def _refuse_doubt(self, file: File) -> None:
        """A class body reads the module's name until it has set its own: which one is meant, only its run tells."""
        for use in file.scopes.uses:
            scope = file.meant.get(id(use.node))
            is_read = isinstance(use.node, ast.Name) and isinstance(use.node.ctx, ast.Load)
            if scope is not None and scope.kind == "class" and is_read and use.name in file.scopes.module.bound:
                raise file.refusal(use.node, f"{use.name} is the module's and of class {scope.name}: rename one")

    def _find_self(self, file: File) -> None:
        """Note each place where a method, or what is defined in one, takes an attribute of its first argument."""
        classes = {each.node: each for each in self.classes if each.file is file}
        methods: dict[Scope, tuple[str, Class]] = {}
        for scope in file.scopes.scopes:
            node, owner = scope.node, scope.parent.node if scope.parent is not None else None
            if isinstance(node, Function) and owner in classes:
                is_static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in node.decorator_list)
                arguments = [*node.args.posonlyargs, *node.args.args]
                # An argument that is set anew may be any object.
                if arguments and not is_static and len(scope.bound[arguments[0].arg]) == 1:
                    methods[scope] = (arguments[0].arg, classes[owner])
        for use in file.scopes.uses:
            meant = file.meant.get(id(use.node))
            if use.attribute is not None and meant in methods and methods[meant][0] == use.name:
                made = methods[meant][1]
                self._of_self.add(id(use.attribute))
                made.used.add(use.attribute.attr)
                if not isinstance(use.attribute.ctx, ast.Load):
                    made.defined.add(use.attribute.attr)

    def _join_families(self) -> None:
        for each in self.classes:
            each.family = {each}
        for each in self.classes:
            for base in each.bases:
                if base.family is not each.family:
                    joined = base.family | each.family
                    for member in joined:
                        member.family = joined
        for each in self.classes:
            each.is_outside = any(member.is_outside for member in each.family)
            self.defined |= each.defined

    # -- what is made at run time ---------------------------------------------------------------------------------

    def _look(self, file: File, node: ast.AST) -> None:
        if isinstance(node, ast.Attribute):
            if self._is_standard_module(file, node.value):
                self.kept.add(node.attr)
            self.attributes[node.attr] = self.attributes.get(node.attr, 0) + 1
            if node.attr in ("__dict__", "__slots__"):
                raise file.refusal(node, f"{node.attr} gives attributes by their names: name the one that is meant")
            if not isinstance(node.ctx, ast.Load) and id(node) not in self._of_self:
                self.set_elsewhere.add(node.attr)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _BY_NAME:
            self._look_by_name(file, node, node.func.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _FIELD.search(node.value):
            raise file.refusal(node, "a field of a text names an attribute: give the value itself to format")
        elif isinstance(node, ast.ExceptHandler) and node.type is not None:
            names = [n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)]
            if "AttributeError" in names and self._mark(file, node) is None:
                raise file.refusal(
                    node,
                    "AttributeError is caught, and short names are shared: ask with hasattr and a name, or write "
                    "`# names: outside` where only attributes of MicroPython's objects can be missing",
                )

    def _is_standard_module(self, file: File, node: ast.expr) -> bool:
        """Tell whether a value is what an import from MicroPython gave: its attributes are never the firmware's."""
        scope = file.meant.get(id(node))
        if not isinstance(node, ast.Name) or scope is None:
            return False
        aliases = [each for each in scope.bound.get(node.id, ()) if isinstance(each, ast.alias)]
        return any(file.imports[id(alias)] not in self.by_module for alias in aliases)

    def _look_by_name(self, file: File, node: ast.Call, called: str) -> None:
        if file.meant.get(id(node.func)) is not None:
            return
        name = node.args[1] if len(node.args) > 1 else None
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            self.kept.add(name.value)
            return
        owners = self._mark(file, node)
        if owners is None:
            raise file.refusal(
                node,
                f"{called} takes a name that is made at run time: name the attribute, or write `# names: CLASS` on "
                "this line, and that class keeps all its names",
            )
        for owner in owners:
            classes = [each for each in self.classes if each.name == owner]
            if not classes and owner != "outside":
                raise file.refusal(node, f"there is no class {owner} in the bundles: correct the mark")
            for each in classes:
                for member in each.family:
                    self.kept |= member.defined | member.used
        # The names themselves stand as text in the same module.
        of = file.place(node)[0]
        for text in ast.walk(file.tree):
            if isinstance(text, ast.Constant) and isinstance(text.value, str) and file.place(text)[0] == of:
                self.kept.add(text.value)

    def _mark(self, file: File, node: ast.AST) -> list[str] | None:
        """Return the classes of a mark on the line of the source, None without one."""
        path, line = file.place(node)
        lines = self._sources.get(path, [])
        found = MARK.search(lines[line - 1]) if line <= len(lines) else None
        return [name.strip() for name in found[1].split(",")] if found else None

    # -- attributes -----------------------------------------------------------------------------------------------

    def is_own(self, name: str) -> bool:
        """Tell whether an attribute is the firmware's alone, so that the build may call it as it likes."""
        return name in self.defined and name not in OUTSIDE and name not in self.kept and not is_dunder(name)


def is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")
