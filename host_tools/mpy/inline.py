"""Values that never change, put in where their bundle uses them: texts, bytes, numbers and tuples of such.

What `const()` cannot have is a name of the module otherwise, with its place in the module's table and a look-up at each
use. The compiler keeps equal values once in a bundle, so that a text used ten times is there once all the same. Another
bundle that imports the name still does: there it would be a second copy.
"""

from __future__ import annotations

import ast
import copy

from .parts import FIRMWARE
from .program import File, Program, is_dunder


def inline(program: Program) -> None:
    """Put values in for their names, in the trees; the names are then unused, as far as nobody imports them."""
    for file in program.files.values():
        if file.path.startswith(FIRMWARE + "/"):
            _Values(program, file).visit(file.tree)


class _Values(ast.NodeTransformer):
    def __init__(self, program: Program, file: File):
        self._file = file
        self._values: dict[str, ast.expr] = {}
        bound = file.scopes.module.bound
        for stmt in file.tree.body:
            if not isinstance(stmt, ast.Assign) or len(stmt.targets) != 1 or not _is_constant(stmt.value):
                continue
            target = stmt.targets[0]
            is_once = isinstance(target, ast.Name) and len(bound[target.id]) == 1
            # A module may be asked for it as an object.
            if (
                isinstance(target, ast.Name)
                and is_once
                and not is_dunder(target.id)
                and target.id not in program.attributes
            ):
                self._values[target.id] = stmt.value

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if isinstance(node.ctx, ast.Load) and node.id in self._values and self._file.is_global(node):
            return ast.copy_location(copy.deepcopy(self._values[node.id]), node)
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        # Quotes within an f-string are not every Python's.
        return node


def _is_constant(node: ast.expr) -> bool:
    """Tell whether the compiler makes one unchangeable object of an expression."""
    if isinstance(node, ast.Constant):
        return node.value is not None and node.value is not ...
    if isinstance(node, ast.Tuple):
        return bool(node.elts) and all(_is_constant(each) for each in node.elts)
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant)
    if isinstance(node, ast.BinOp):
        return _is_number(node.left) and _is_number(node.right)
    return False


def _is_number(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp):
        return _is_number(node.left) and _is_number(node.right)
    return isinstance(node, ast.Constant) and isinstance(node.value, int)
