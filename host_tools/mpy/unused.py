"""Leave out what nothing on the node asks for: methods, functions, classes, tables, and attributes nobody reads.

Which these are depends on the node: a driver that was not chosen asks for nothing. Counted is what can be reached from
the launcher's call, by name: a method stays where anything reachable takes an attribute of that name, of whatever
object. What MicroPython may call by itself, or a string may name, stays too.

An attribute is left out where nothing reads it and all that is ever put there is a number, a text or nothing: an object
may live only by being held.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import cast

from .constants import Source
from .inline import inline
from .outside import OUTSIDE
from .parts import APP, FIRMWARE
from .program import File, Function, Place, Program, is_dunder
from .writing import written

_ENTRY = "run"
# What every MicroPython has that a node runs on, 1.23 and later: the other branch is for CPython.
FACTS = frozenset([("time", "ticks_ms"), ("asyncio", "ThreadSafeFlag")])
_PLAIN_CALLS = ("bytes", "bytearray", "tuple", "range", "object")
_ROUNDS_MAX = 20
_NUMBERS = (ast.Add, ast.Sub, ast.Mult, ast.BitAnd, ast.BitOr, ast.BitXor)


def without_unused(
    texts: Mapping[str, str], places: Mapping[str, list[Place]], sources: Mapping[str, Source]
) -> tuple[Program, list[str]]:
    """Return the program of what is reached, and what was left out."""
    texts, places = dict(texts), dict(places)
    gone: list[str] = []
    for _ in range(_ROUNDS_MAX):
        program = Program(texts, places, sources)
        inline(program)
        found = _Reach(program).remove()
        if not found:
            return program, sorted(gone)
        gone += found
        for path, file in program.files.items():
            texts[path], places[path] = written(file.tree, file.places)
    raise AssertionError("each round takes something away, and there is an end to that")


class _Reach:
    """One round over one program."""

    def __init__(self, program: Program):
        self._program = program
        self._units: dict[tuple[str, str], list[ast.AST]] = {}
        self._live: set[int] = set()
        self._loaded = set(program.kept)
        self._waiting: dict[str, list[tuple[File, ast.AST]]] = {}
        self._to_visit: list[tuple[File, ast.AST]] = []
        every = (node for file in program.files.values() for node in ast.walk(file.tree))
        self._properties = {node.name for node in every if isinstance(node, Function) and node.decorator_list}
        self._gone: list[str] = []

    def remove(self) -> list[str]:
        """Take out of the trees what is not reached; return what that was."""
        for file in self._program.files.values():
            file.tree.body = [each for stmt in file.tree.body for each in self._decided(file, stmt)]
            for stmt in file.tree.body:
                self._note(file, stmt)
        app = self._program.files.get(APP)
        if app is not None:
            self._need(app, _ENTRY)
        while self._to_visit:
            self._visit(*self._to_visit.pop())
        for file in self._program.files.values():
            self._prune(file)
        unread = self._unread()
        for file in self._program.files.values():
            self._drop_stores(file, unread)
        return self._gone

    def _decided(self, file: File, stmt: ast.stmt) -> list[ast.stmt]:
        """Return what is left of an `if` that asks for what every MicroPython has."""
        test = stmt.test if isinstance(stmt, ast.If) else None
        if isinstance(test, ast.Call) and isinstance(test.func, ast.Name) and test.func.id == "hasattr":
            of, name = test.args
            if isinstance(of, ast.Name) and isinstance(name, ast.Constant) and self._is_fact(file, of.id, name.value):
                self._gone.append(f"{file.place(stmt)[0]}: what is for CPython")
                return cast(ast.If, stmt).body
        return [stmt]

    def _is_fact(self, file: File, local: str, name: object) -> bool:
        nodes = file.scopes.module.bound.get(local, [])
        return len(nodes) == 1 and isinstance(nodes[0], ast.alias) and (nodes[0].name, name) in FACTS

    # -- reach ----------------------------------------------------------------------------------------------------

    def _note(self, file: File, stmt: ast.stmt) -> None:
        """Note what a statement at the top defines; what it does besides is done in any case."""
        is_outside = not file.path.startswith(FIRMWARE + "/")
        if isinstance(stmt, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names = [stmt.name]
        elif isinstance(stmt, (ast.Import, ast.ImportFrom)):
            for alias in stmt.names:
                self._units.setdefault((file.path, alias.asname or alias.name.partition(".")[0]), []).append(alias)
            return
        elif (
            isinstance(stmt, ast.Assign) and all(isinstance(t, ast.Name) for t in stmt.targets) and _is_pure(stmt.value)
        ):
            names = [t.id for t in stmt.targets if isinstance(t, ast.Name)]
        else:
            self._reach(file, stmt)
            return
        for name in names:
            self._units.setdefault((file.path, name), []).append(stmt)
            # What a test has beside the firmware is called by the test.
            if is_outside or is_dunder(name) or self._is_of_module(name):
                self._need(file, name)

    def _is_of_module(self, name: str) -> bool:
        """Tell whether a name may be asked of a module as an object."""
        return name in self._program.attributes and not self._program.is_own(name)

    def _need(self, file: File, name: str) -> None:
        for unit in self._units.get((file.path, name), ()):
            self._reach(file, unit)

    def _reach(self, file: File, node: ast.AST) -> None:
        if id(node) not in self._live:
            self._live.add(id(node))
            self._to_visit.append((file, node))

    def _visit(self, file: File, unit: ast.AST) -> None:
        if isinstance(unit, ast.alias):
            self._imported(file, unit)
            return
        inside: list[ast.AST] = [unit]
        while inside:
            node = inside.pop()
            if isinstance(node, ast.Name):
                scope = file.meant.get(id(node))
                if scope is not None and scope.kind == "module":
                    self._need(file, node.id)
                elif scope is not None and scope.kind == "class":
                    self._load(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                self._load(node.attr)
            elif isinstance(node, ast.ImportFrom):
                other = self._program.by_module.get(node.module or "")
                for alias in node.names if other is not None else ():
                    self._need(cast(File, other), alias.name)
            if isinstance(node, ast.ClassDef):
                inside += [*node.decorator_list, *node.bases]
                for each in node.body:
                    if isinstance(each, Function) and not self._is_called_from_outside(each.name):
                        self._waiting.setdefault(each.name, []).append((file, each))
                        if each.name in self._loaded:
                            self._load(each.name)
                    else:
                        self._live.add(id(each))
                        inside.append(each)
            else:
                inside += ast.iter_child_nodes(node)

    def _imported(self, file: File, alias: ast.alias) -> None:
        origin = self._program.imported(file, alias.asname or alias.name)
        if origin is not None:
            self._need(*origin)

    def _load(self, name: str) -> None:
        self._loaded.add(name)
        for file, method in self._waiting.pop(name, ()):
            self._reach(file, method)

    @staticmethod
    def _is_called_from_outside(name: str) -> bool:
        return is_dunder(name) or name in OUTSIDE

    # -- removal --------------------------------------------------------------------------------------------------

    def _prune(self, file: File) -> None:
        body: list[ast.stmt] = []
        for stmt in file.tree.body:
            if isinstance(stmt, (ast.Import, ast.ImportFrom)):
                stmt.names = [alias for alias in stmt.names if id(alias) in self._live] or []
                if not stmt.names:
                    self._gone.append(f"{file.place(stmt)[0]}: an import")
                    continue
            elif id(stmt) not in self._live:
                self._say(file, stmt, getattr(stmt, "name", "") or ast.unparse(cast(ast.Assign, stmt).targets[0]))
                continue
            elif isinstance(stmt, ast.ClassDef):
                for each in stmt.body:
                    if id(each) not in self._live:
                        self._say(file, each, f"{stmt.name}.{cast(ast.FunctionDef, each).name}")
                stmt.body = [each for each in stmt.body if id(each) in self._live] or [_pass(stmt)]
            body.append(stmt)
        file.tree.body = body

    def _say(self, file: File, node: ast.AST, name: str) -> None:
        path, line = file.place(node)
        self._gone.append(f"{path}:{line} {name}")

    def _unread(self) -> set[str]:
        """Return the firmware's own attributes that are only ever set, and to what nobody misses."""
        program = self._program
        found = {name for name in program.defined if program.is_own(name) and name not in self._loaded}
        for file in program.files.values():
            fine: set[int] = set()
            for node in ast.walk(file.tree):
                if isinstance(node, ast.Assign) and len(node.targets) == 1 and self._is_number(node.value):
                    fine.add(id(node.targets[0]))
                elif isinstance(node, ast.AugAssign) and self._is_number(node.value, True):
                    fine.add(id(node.target))
            for node in ast.walk(file.tree):
                if isinstance(node, ast.Attribute) and not (id(node) in fine and isinstance(node.value, ast.Name)):
                    found.discard(node.attr)
        # A class may define one in its body; then it stays.
        bodies = {name for each in program.classes for name in _names_of_body(each.node)}
        return found - bodies

    def _is_number(self, node: ast.AST, is_part: bool = False) -> bool:
        """Tell whether a value is a number, a text or None, worked out without any effect."""
        if isinstance(node, ast.Constant):
            return True
        if isinstance(node, ast.Name):
            return is_part
        if isinstance(node, ast.Attribute):
            return is_part and node.attr not in self._properties and self._is_number(node.value, True)
        if isinstance(node, ast.UnaryOp):
            return self._is_number(node.operand, True)
        if isinstance(node, ast.BinOp):
            parts = self._is_number(node.left, True) and self._is_number(node.right, True)
            return isinstance(node.op, _NUMBERS) and parts
        if isinstance(node, ast.Compare):
            return all(self._is_number(each, True) for each in [node.left, *node.comparators])
        return False

    def _drop_stores(self, file: File, unread: set[str]) -> None:
        def is_dropped(stmt: ast.stmt) -> bool:
            target = stmt.targets[0] if isinstance(stmt, ast.Assign) else getattr(stmt, "target", None)
            is_store = isinstance(stmt, (ast.Assign, ast.AugAssign))
            if is_store and isinstance(target, ast.Attribute) and target.attr in unread:
                self._say(file, stmt, f"attribute {target.attr}")
                return True
            return False

        _filter_bodies(file.tree, is_dropped)


def _filter_bodies(tree: ast.Module, is_dropped: Callable[[ast.stmt], bool]) -> None:
    """Take statements out of all bodies; an empty one gets a `pass`."""
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            body = getattr(node, name, None)
            if not isinstance(body, list):
                continue
            left = [each for each in body if not is_dropped(each)]
            if len(left) < len(body):
                needs_one = name == "body" and not isinstance(node, ast.Module)
                setattr(node, name, left or ([_pass(body[0])] if needs_one or name == "finalbody" else []))


def _names_of_body(node: ast.ClassDef) -> set[str]:
    found = set()
    for stmt in node.body:
        for each in ast.walk(stmt) if not isinstance(stmt, Function) else ():
            if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
                found.add(each.id)
    return found


def _pass(at: ast.stmt) -> ast.Pass:
    return ast.Pass(lineno=at.lineno, col_offset=at.col_offset, end_lineno=at.lineno, end_col_offset=at.col_offset)


def _is_pure(node: ast.AST) -> bool:
    """Tell whether working out a value at a module's level has no effect but the value."""
    if isinstance(node, (ast.Constant, ast.Name)):
        return True
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return all(_is_pure(each) for each in node.elts)
    if isinstance(node, ast.Dict):
        return all(each is not None and _is_pure(each) for each in [*node.keys, *node.values])
    if isinstance(node, ast.UnaryOp):
        return _is_pure(node.operand)
    if isinstance(node, ast.BinOp):
        return _is_pure(node.left) and _is_pure(node.right)
    if isinstance(node, ast.Lambda):
        return True
    if isinstance(node, ast.Attribute):
        return isinstance(node.value, ast.Name)
    if isinstance(node, ast.Call):
        is_plain = isinstance(node.func, ast.Name) and node.func.id in _PLAIN_CALLS
        return is_plain and not node.keywords and all(_is_pure(each) for each in node.args)
    return False
