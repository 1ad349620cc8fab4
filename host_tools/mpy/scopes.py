"""Which name means what: every use of a name in a file, with the scope that it resolves to.

The bundler renames what stands at the level of a module. Whether a name in a function is that name or a local one is
Python's rule of scopes, not a matter of text: so it is worked out on the syntax tree, as the compiler does it
(Python's reference, 4.2.2 "Resolution of names"; a test compares it with CPython's own `symtable`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

# What makes names at run time, so that no build can know them.
DYNAMIC = frozenset(["globals", "locals", "vars", "eval", "exec", "__import__", "__file__"])
_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


@dataclass(eq=False)
class Scope:
    """A module, class, function or comprehension. ``bound``: the nodes that bind each of its own names."""

    kind: str
    name: str
    line: int
    parent: Scope | None = None
    bound: dict[str, list[ast.AST]] = field(default_factory=dict)
    globals: set[str] = field(default_factory=set)
    nonlocals: set[str] = field(default_factory=set)
    # The node that makes it.
    node: ast.AST | None = None

    def bind(self, name: str, node: ast.AST) -> None:
        self.bound.setdefault(name, []).append(node)

    def chain(self) -> Iterator[Scope]:
        """Yield the scopes that a name used here is looked for in, the module last."""
        yield self
        scope = self.parent
        while scope is not None:
            if scope.kind != "class":
                yield scope
            scope = scope.parent

    def resolve(self, name: str) -> Scope | None:
        """Return the scope whose name this is; None for a name that no file defines: a builtin."""
        for scope in self.chain():
            if scope.kind == "module" or name in scope.globals:
                break
            if name in scope.bound and name not in scope.nonlocals:
                return scope
        module = list(self.chain())[-1]
        return module if name in module.bound else None


@dataclass(eq=False)
class Use:
    """One place in the text that names something: columns are of characters, lines count from 1."""

    name: str
    at: Scope
    line: int
    start: int
    end: int
    node: ast.AST
    is_store: bool = False
    # The attribute that is taken of it: ``codec`` in ``codec.encode``.
    attribute: ast.Attribute | None = None
    is_in_text: bool = False


class Scopes(ast.NodeVisitor):
    """All scopes and uses of one file. ``module``: the file's own scope; ``uses``: every place, in order."""

    def __init__(self, path: str, text: str):
        self.path = path
        self.tree = ast.parse(text, path)
        self.lines = text.split("\n")
        self.module = Scope("module", "", 1)
        self.scopes = [self.module]
        self.uses: list[Use] = []
        # Names that functions set anew by ``global``: an import elsewhere holds the old value.
        self.rebound: dict[str, int] = {}
        self._scope = self.module
        self._attribute: ast.Attribute | None = None
        self._texts = 0
        self.imports: list[tuple[ast.Import | ast.ImportFrom, Scope, bool]] = []
        self._tops = set(map(id, self.tree.body))
        self.visit(self.tree)

    def column(self, line: int, offset: int) -> int:
        """Return the column in characters of an offset in bytes, which is what the syntax tree has."""
        return len(self.lines[line - 1].encode()[:offset].decode())

    # -- scopes ---------------------------------------------------------------------------------------------------

    def _inner(self, kind: str, name: str, node: ast.expr | ast.stmt) -> Scope:
        scope = Scope(kind, name, node.lineno, self._scope, node=node)
        self.scopes.append(scope)
        return scope

    def _within(self, scope: Scope, nodes: Iterable[ast.AST]) -> None:
        outer, self._scope = self._scope, scope
        for node in nodes:
            self.visit(node)
        self._scope = outer

    def _bind(self, name: str, node: ast.AST) -> None:
        if name in self._scope.globals:
            self.module.bind(name, node)
            self.rebound.setdefault(name, getattr(node, "lineno", 1))
        elif name not in self._scope.nonlocals:
            self._scope.bind(name, node)

    def _named(self, name: str, node: ast.AST, pattern: str, line: int) -> None:
        """Note a name that stands in a statement as text: of a function, a class, an error."""
        found = re.compile(pattern % re.escape(name)).search(self.lines[line - 1])
        if found:
            self.uses.append(Use(name, self._scope, line, found.start(1), found.end(1), node, True))

    def _function(self, node: _Function, name: str) -> None:
        arguments = node.args
        for default in [*arguments.defaults, *(each for each in arguments.kw_defaults if each)]:
            self.visit(default)
        scope = self._inner("function", name, node)
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        for each in every:
            if each is not None:
                scope.bind(each.arg, each)
                if each.annotation is not None:
                    self.visit(each.annotation)
        if not isinstance(node, ast.Lambda) and node.returns is not None:
            self.visit(node.returns)
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        self._declare(scope, body)
        self._within(scope, body)

    def _declare(self, scope: Scope, body: Iterable[ast.AST]) -> None:
        """Find ``global`` and ``nonlocal`` first: they hold for the whole of a function."""
        waiting = list(body)
        while waiting:
            node = waiting.pop()
            if isinstance(node, ast.Global):
                scope.globals.update(node.names)
            elif isinstance(node, ast.Nonlocal):
                scope.nonlocals.update(node.names)
            elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
                waiting += ast.iter_child_nodes(node)

    def _defined(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        self._bind(node.name, node)
        self._named(node.name, node, r"\bdef\s+(%s)\b", node.lineno)
        self._function(node, node.name)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._defined(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._defined(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._function(node, "lambda")

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for outside in [*node.decorator_list, *node.bases, *node.keywords]:
            self.visit(outside)
        self._bind(node.name, node)
        self._named(node.name, node, r"\bclass\s+(%s)\b", node.lineno)
        scope = self._inner("class", node.name, node)
        self._declare(scope, node.body)
        self._within(scope, node.body)

    def _comprehension(self, node: _Comprehension) -> None:
        # The first iterable is evaluated outside.
        self.visit(node.generators[0].iter)
        scope = self._inner("comprehension", "", node)
        inside: list[ast.AST] = []
        for number, each in enumerate(node.generators):
            inside += [each.target, *([each.iter] if number else []), *each.ifs]
        inside += [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self._within(scope, inside)

    def visit_ListComp(self, node: ast.ListComp) -> None:
        self._comprehension(node)

    def visit_SetComp(self, node: ast.SetComp) -> None:
        self._comprehension(node)

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self._comprehension(node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        self._comprehension(node)

    # -- names ----------------------------------------------------------------------------------------------------

    def visit_Name(self, node: ast.Name) -> None:
        is_store = not isinstance(node.ctx, ast.Load)
        if is_store:
            self._bind(node.id, node)
        start = self.column(node.lineno, node.col_offset)
        attribute, self._attribute = self._attribute, None
        self.uses.append(
            Use(
                node.id, self._scope, node.lineno, start, start + len(node.id), node, is_store, attribute,
                self._texts > 0,
            )
        )  # fmt: skip

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        # It binds in the function around a comprehension.
        scope = self._scope
        while self._scope.kind == "comprehension" and self._scope.parent is not None:
            self._scope = self._scope.parent
        self.visit(node.target)
        self._scope = scope
        self.visit(node.value)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._attribute = node if isinstance(node.value, ast.Name) else None
        self.visit(node.value)
        self._attribute = None

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        # Where a name stands within an f-string is known from Python 3.12 on only.
        self._texts += 1
        self.generic_visit(node)
        self._texts -= 1

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.type is not None:
            self.visit(node.type)
        if node.name:
            self._bind(node.name, node)
            self._named(node.name, node, r"\bas\s+(%s)\s*:", node.lineno)
        for each in node.body:
            self.visit(each)

    def visit_Global(self, node: ast.Global) -> None:
        for name in node.names:
            self._named(name, node, r"\bglobal\b.*?\b(%s)\b", node.lineno)

    def visit_Import(self, node: ast.Import) -> None:
        self._import(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self._import(node)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        self.imports.append((node, self._scope, id(node) in self._tops))
        for alias in node.names:
            self._bind(alias.asname or alias.name.partition(".")[0], alias)
