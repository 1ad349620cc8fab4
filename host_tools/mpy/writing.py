"""A syntax tree as text again, one statement a line, and each line with the place of its statement in the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator

Place = tuple[str, int]
_SIMPLE = (
    ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.Return, ast.Raise, ast.Pass, ast.Break, ast.Continue,
    ast.Global, ast.Nonlocal, ast.Import, ast.ImportFrom, ast.Delete, ast.Assert,
)  # fmt: skip


def written(tree: ast.Module, places: list[Place]) -> tuple[str, list[Place]]:
    """Return text and places of its lines. ``places``: of the lines that the tree's nodes name."""
    text = ast.unparse(tree)
    lines = text.split("\n")
    known: dict[int, Place] = {}
    for old, new in _pairs(tree, ast.parse(text)):
        known[new.lineno] = places[old.lineno - 1]
    made: list[str] = []
    origin: list[Place] = []
    last = places[0] if places else ("", 1)
    for number, line in enumerate(lines, 1):
        last = known.get(number, last)
        if line.strip():
            made.append(line)
            origin.append(last)
    return "".join(line + "\n" for line in made), origin


def _pairs(old: ast.Module, new: ast.Module) -> Iterator[tuple[ast.stmt, ast.stmt]]:
    """Yield each statement, handler and decorator of a tree with its twin in the text that was made of it."""
    for one, other in zip(ast.walk(old), ast.walk(new), strict=True):
        assert type(one) is type(other), (one, other)
        if isinstance(one, (ast.stmt, ast.ExceptHandler)):
            yield one, other  # type: ignore[misc]
        if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield from zip(one.decorator_list, other.decorator_list, strict=True)  # type: ignore


def joined(text: str, places: list[Place]) -> tuple[str, list[Place]]:
    """Return the text with statements joined on a line where at most one of them can fail.

    Each line of code costs a byte or two of line numbers. What cannot fail needs none of its own: a line has the place
    of the statement in it that can.
    """
    tree = ast.parse(text)
    lines = text.split("\n")[:-1]
    made: list[str] = []
    origin: list[Place] = []
    # (indentation, may it be added to, can something in it fail)
    open_line: tuple[int, bool] | None = None
    simple: dict[int, ast.stmt] = {n.lineno: n for n in ast.walk(tree) if isinstance(n, _SIMPLE)}
    heads = {n.lineno: n for n in ast.walk(tree) if isinstance(n, ast.stmt) and not isinstance(n, _SIMPLE)}
    whole = _wholes(tree)
    for number, line in enumerate(lines, 1):
        indent = len(line) - len(line.lstrip())
        node = simple.get(number)
        place = places[number - 1]
        if node is not None and open_line is not None:
            of, can_fail = open_line
            fails = not _is_quiet(node)
            is_next = indent == of or number in whole
            if is_next and not (fails and can_fail):
                separator = " " if made[-1].endswith(":") else "; "
                made[-1] += separator + line.strip()
                if fails:
                    origin[-1] = place
                open_line = (indent, can_fail or fails)
                continue
        made.append(line)
        origin.append(place)
        if node is not None:
            open_line = (indent, not _is_quiet(node))
        else:
            # A statement with a body: what follows may stand on its line, where the whole body does.
            head = heads.get(number)
            open_line = (-1, head is not None and not _is_quiet_head(head))
    return "".join(line + "\n" for line in made), origin


def _wholes(tree: ast.Module) -> set[int]:
    """Return the lines of first statements of bodies that can be written on the line of their head."""
    found: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module):
            continue
        for name in ("body", "orelse", "finalbody"):
            body = getattr(node, name, None)
            if isinstance(body, list) and body and all(isinstance(each, _SIMPLE) for each in body):
                quiet = sum(not _is_quiet(each) for each in body)
                head = 0 if name != "body" or _is_quiet_head(node) else 1
                if quiet + head <= 1:
                    found.add(body[0].lineno)
    return found


def _is_quiet_head(node: ast.AST) -> bool:
    if isinstance(node, (ast.If, ast.While)):
        return _is_quiet_value(node.test)
    return isinstance(node, (ast.Try, ast.FunctionDef, ast.AsyncFunctionDef, ast.ExceptHandler))


def _is_quiet(node: ast.AST) -> bool:
    """Tell whether a statement cannot fail in a program that is right in its types."""
    if isinstance(node, (ast.Pass, ast.Break, ast.Continue, ast.Global, ast.Nonlocal)):
        return True
    if isinstance(node, ast.Return):
        return node.value is None or _is_quiet_value(node.value)
    if isinstance(node, ast.Assign):
        return _is_quiet_value(node.value) and all(
            isinstance(t, ast.Name) or (isinstance(t, ast.Attribute) and isinstance(t.value, ast.Name))
            for t in node.targets
        )
    return False


def _is_quiet_value(node: ast.AST) -> bool:
    if isinstance(node, (ast.Constant, ast.Name)):
        return True
    if isinstance(node, ast.Attribute):
        return isinstance(node.value, ast.Name)
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.Not) and _is_quiet_value(node.operand)
    if isinstance(node, ast.BoolOp):
        return all(_is_quiet_value(each) for each in node.values)
    if isinstance(node, ast.Compare):
        ops = all(isinstance(op, (ast.Is, ast.IsNot)) for op in node.ops)
        return ops and all(_is_quiet_value(each) for each in [node.left, *node.comparators])
    return isinstance(node, (ast.List, ast.Tuple, ast.Dict)) and not list(ast.iter_child_nodes(node))[1:]
