"""The names that a bundle uses most, first in its table: so that each use of them is a byte shorter.

The compiler numbers names as it meets them, and a .mpy has a number below 128 in one byte, others in two. It meets what
the module defines first, and what functions use again and again after that. So the bundle begins with an expression
that names the most used once and does nothing: ``[] and a.b.c``, two bytes each. An empty list is false to the running
chip, and no constant to the compiler, which would leave the rest out.
"""

from __future__ import annotations

import ast
import keyword
from collections import Counter

from .scopes import Scopes

# Beside them stand the bundle's path and what the line itself needs.
_FIRST_MAX = 120
_USES_MIN = 4


def first_names(text: str) -> str:
    """Return the line that names them, "" for a bundle that has not so many names."""
    uses = _uses(text)
    if len(uses) <= _FIRST_MAX:
        return ""
    chosen = [
        name
        for name, count in sorted(uses.items(), key=lambda entry: (-entry[1], entry[0]))
        if count >= _USES_MIN and name.isidentifier() and not keyword.iskeyword(name)
    ]
    return f"[] and {'.'.join(chosen[:_FIRST_MAX])}\n" if chosen else ""


def _uses(text: str) -> Counter[str]:
    """Return how often the compiler will write each name and short text."""
    scopes = Scopes("", text)
    found: Counter[str] = Counter()
    for use in scopes.uses:
        scope = use.at.resolve(use.name)
        if scope is None or scope.kind in ("module", "class"):
            found[use.name] += 1
    for node in ast.walk(scopes.tree):
        if isinstance(node, ast.Attribute):
            found[node.attr] += 1
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found[node.name] += 1
        elif isinstance(node, (ast.arg, ast.keyword)) and node.arg:
            found[node.arg] += 1
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found[node.value] += 1
        elif isinstance(node, ast.ImportFrom):
            found.update(alias.name for alias in node.names)
    return found
