"""The rules of this house, checked on the syntax tree. Every finding says what, why, and what to do instead.

A rule that only lives in a document is forgotten in its first busy week. Run ``python -m tests.house``.

========== =====================================================================
rules      all rules together, over one file or the whole tree
imports    who may import whom; no real clock and no unseeded chance in ``sim``
control_rules firmware/control: integers only, and no allocation in ``step()``
firmware   firmware/**: only what MicroPython has, and no surprise on a lamp post
everywhere length of files, open ends, paths of one machine
========== =====================================================================
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Rule:
    """A rule's reason and its remedy, as they stand in every message."""

    why: str
    instead: str
    is_warning: bool = False


@dataclass(frozen=True, order=True)
class Finding:
    """One place that breaks one rule."""

    path: str
    line: int
    rule: str
    what: str
    why: str
    instead: str
    is_warning: bool = False

    def __str__(self) -> str:
        note = "warning: " if self.is_warning else ""
        return f"{self.path}:{self.line}: {note}{self.what} — {self.why} — {self.instead}"


@dataclass(frozen=True)
class TextFile:
    """A text file of the repository; ``path`` is relative to its root, with forward slashes."""

    path: str
    text: str

    def find(self, rules: dict[str, Rule], name: str, line: int, what: str, instead: str | None = None) -> Finding:
        """Return the finding of a rule in this file; ``instead`` replaces the rule's own remedy."""
        rule = rules[name]
        return Finding(self.path, line, name, what, rule.why, instead or rule.instead, rule.is_warning)


@dataclass(frozen=True)
class PythonFile(TextFile):
    """A Python file that parses."""

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node of the tree, once."""
        return list(ast.walk(self.tree))

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """The parent of every node but the root."""
        return {child: parent for parent in self.nodes for child in ast.iter_child_nodes(parent)}

    def functions(self) -> Iterator[tuple[ast.ClassDef | None, ast.FunctionDef | ast.AsyncFunctionDef]]:
        """Yield every function that is not inside another one, with its class."""

        def inside(
            body: list[ast.stmt], owner: ast.ClassDef | None
        ) -> Iterator[tuple[ast.ClassDef | None, ast.FunctionDef | ast.AsyncFunctionDef]]:
            for node in body:
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield owner, node
                elif isinstance(node, ast.ClassDef):
                    yield from inside(node.body, node)
                else:
                    # A function may be defined in either branch of an `if` or a `try`.
                    for _, value in ast.iter_fields(node):
                        if isinstance(value, list):
                            yield from inside([one for one in value if isinstance(one, ast.stmt)], owner)
                            for handler in value:
                                if isinstance(handler, ast.ExceptHandler):
                                    yield from inside(handler.body, owner)

        yield from inside(self.tree.body, None)


def dotted(node: ast.AST) -> str:
    """Return ``a.b.c`` of a chain of attributes on a name, else the empty string."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return f"{base}.{node.attr}" if base else ""
    return ""


def called(node: ast.AST) -> str:
    """Return the dotted name of what a call calls, else the empty string."""
    return dotted(node.func) if isinstance(node, ast.Call) else ""


def is_under(name: str, prefixes: tuple[str, ...], separator: str) -> bool:
    """Tell whether a dotted name or a path is one of ``prefixes`` or lies below one."""
    return any(name == prefix or name.startswith(prefix + separator) for prefix in prefixes)
