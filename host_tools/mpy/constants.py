"""Put shared constants in where they are used, so that neither their names nor their cells go to the chip.

MicroPython's ``const()`` reaches no further than its own file: a public constant is a global there, and an import with
a look-up wherever else it is used (docs: reference/speed_python). Over the whole firmware that is a tenth of its bytes,
and RAM for every name. So before a file is compiled, each constant of the firmware is replaced by its value, in this
file and in those that import it. Lines stay where they are: a traceback from a pole still names the line of the source.

A constant reached through its module (``faults.LAMP_FAILURE``) is replaced whole. What cannot be replaced is refused,
not guessed: a constant that is set again, or one whose value is no integer.
"""

from __future__ import annotations

import ast
import io
import operator
import tokenize
from collections.abc import Callable, Mapping
from dataclasses import dataclass

# What `const()` may compute with, as MicroPython's own compiler folds it.
OPERATORS: dict[type, Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
    ast.BitXor: operator.xor,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
}
# A chain of imports longer than this is a circle.
_IMPORTS_MAX = 10


class ConstantError(Exception):
    """A constant that cannot be put in; the message has file, line and remedy."""


@dataclass(frozen=True)
class Source:
    """One file of the firmware: its path in the repository (``firmware/…/name.py``) and its text."""

    path: str
    text: str

    @property
    def module(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def package(self) -> str:
        return self.module if self.path.endswith("/__init__.py") else self.module.rpartition(".")[0]


class Constants:
    """All constants of some files, by module and name; `put_in` gives a file without their names."""

    def __init__(self, sources: Mapping[str, Source]):
        self._sources = {source.module: source for source in sources.values()}
        self._trees = {module: ast.parse(source.text, source.path) for module, source in self._sources.items()}
        self._expressions = {module: _constants_of(tree) for module, tree in self._trees.items()}
        self._imports = {module: self._imports_of(module) for module in self._sources}

    def values_in(self, source: Source, with_private: bool = False) -> dict[str, int]:
        """Return the value of each constant that a file knows, by its name there."""
        module = source.module
        values = {
            name: self._value(*origin) for name in self._imports[module] if (origin := self._origin(module, name))
        }
        # A private constant vanishes by MicroPython's own rule, but only where its file stays a file of its own.
        own = [name for name in self._expressions[module] if with_private or not name.startswith("_")]
        return values | {name: self._value(module, name) for name in own}

    def put_in(self, source: Source, with_private: bool = False) -> str:
        """Return the text of ``source`` with values for constants. Raises `ConstantError`."""
        module = source.module
        tree = self._trees[module]
        values = self.values_in(source, with_private)
        if not values and not self._modules_in(module):
            return source.text
        lines = source.text.split("\n")
        # Imports in functions too: what is built by configuration is imported where it is built.
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and any((a.asname or a.name) in values for a in node.names):
                _blank(lines, node)
                left = [a for a in node.names if (a.asname or a.name) not in values]
                indent = " " * node.col_offset
                if left:
                    names = ", ".join(f"{a.name} as {a.asname}" if a.asname else a.name for a in left)
                    lines[node.lineno - 1] = f"{indent}from {'.' * node.level}{node.module or ''} import {names}"
                elif indent:
                    lines[node.lineno - 1] = f"{indent}pass"
        for node in tree.body:
            if _constant_name(node) in values:
                _blank(lines, node)
        return _replace(source, "\n".join(lines), values, self._modules_in(module))

    def _imports_of(self, module: str) -> dict[str, tuple[str, str]]:
        """Return what each imported name is: (module, name there), for modules of the firmware."""
        found: dict[str, tuple[str, str]] = {}
        package = self._sources[module].package.split(".")
        for node in ast.walk(self._trees[module]):
            if not isinstance(node, ast.ImportFrom):
                continue
            # One dot is the own package, each further one its parent.
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *((node.module or "").split(".") if node.module else [])])
            for alias in node.names:
                if origin in self._sources or f"{origin}.{alias.name}" in self._sources:
                    found[alias.asname or alias.name] = (origin, alias.name)
        return found

    def _origin(self, module: str, name: str) -> tuple[str, str] | None:
        """Return where a name that a module knows is defined as a constant, through imports of imports; else None."""
        for _ in range(_IMPORTS_MAX):
            if name in self._expressions.get(module, {}):
                return module, name
            found = self._imports.get(module, {}).get(name)
            if found is None:
                return None
            module, name = found
        return None

    def _value(self, module: str, name: str) -> int:
        return self._evaluate(module, self._expressions[module][name])

    def _evaluate(self, module: str, node: ast.expr) -> int:
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return int(node.value)
        if isinstance(node, ast.Name) and (origin := self._origin(module, node.id)):
            return self._value(*origin)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -self._evaluate(module, node.operand)
        if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
            return OPERATORS[type(node.op)](self._evaluate(module, node.left), self._evaluate(module, node.right))
        raise ConstantError(
            f"{self._sources[module].path}:{node.lineno}: const({ast.unparse(node)}) is no integer that the build can "
            "work out: use whole numbers, other constants, and + - * // % | & ^ << >>"
        )

    def _modules_in(self, module: str) -> dict[str, dict[str, int]]:
        """Return the public constants of each module that a file imports as a whole, by its name there."""
        found = {}
        for name, (origin, part) in self._imports[module].items():
            whole = f"{origin}.{part}"
            if whole in self._sources:
                found[name] = {
                    each: self._value(whole, each) for each in self._expressions[whole] if not each.startswith("_")
                }
        return found


def _constant_name(node: ast.stmt) -> str:
    """Return the name that a statement ``NAME = const(…)`` defines, else nothing."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        call = node.value
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "const":
            return node.targets[0].id
    return ""


def _constants_of(tree: ast.Module) -> dict[str, ast.expr]:
    return {
        _constant_name(node): node.value.args[0]
        for node in tree.body
        if _constant_name(node) and isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
    }


def _blank(lines: list[str], node: ast.stmt) -> None:
    """Empty the lines of a statement, and keep their number."""
    for number in range(node.lineno - 1, (node.end_lineno or node.lineno)):
        lines[number] = ""


def _replace(source: Source, text: str, values: Mapping[str, int], modules: Mapping[str, Mapping[str, int]]) -> str:
    """Return the text with names replaced by values, from the end so that places stay right."""
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    lines = text.split("\n")
    for at in range(len(tokens) - 3, 0, -1):
        before, token, after = tokens[at - 1 : at + 2]
        if token.type != tokenize.NAME or before.string == ".":
            continue
        last = token
        if token.string in values:
            value = values[token.string]
        elif after.string == "." and tokens[at + 2].string in modules.get(token.string, {}):
            last = tokens[at + 2]
            value = modules[token.string][last.string]
        else:
            continue
        following = tokens[tokens.index(last, at) + 1]
        if following.string == "=":
            if before.string in ("(", ",") and last is token:
                continue  # the name of an argument
            raise ConstantError(f"{source.path}:{token.start[0]}: {last.string} is a constant and is set again")
        row = token.start[0] - 1
        # A negative value is an operand of its own.
        literal = str(value) if value >= 0 else f"({value})"
        lines[row] = lines[row][: token.start[1]] + literal + lines[row][last.end[1] :]
    return "\n".join(lines)
