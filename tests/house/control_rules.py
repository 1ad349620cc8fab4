"""firmware/control: integers only, no input or output, and nothing allocated in ``step()``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from . import Finding, PythonFile, Rule, called, is_under

COMPAT = "firmware/control/compat.py"

# Every function of control counts as reachable from step(), so that a new file is judged from its first day. Excepted:
COLD_FILES: dict[str, str] = {
    COMPAT: "runs at import only",
    "firmware/control/plan_verify.py": "a plan is verified once, before it is used",
}
COLD_NAMES: dict[str, str] = {
    r"__init__": "objects are made before the first step",
    r"save|load": "state is kept at quiet moments, and taken back before the first step",
    r"_list_of": "called by __init__ only",
    r"\w+_at_load": "says by its name that only loading calls it",
}
# Where an integer beyond 30 bits may stand: name of function -> reason.
LARGE_INTEGERS: dict[str, str] = {
    r"crc32": "a 32-bit check sum; it allocates, so it runs at load only",
    r"_?u32\w*": "reads a 32-bit field; it allocates, so it is called at load only",
}
# MicroPython's small integers on a 32-bit board: 31 bits with sign.
SMALL_MIN = -(2**30)
SMALL_MAX = 2**30 - 1

_FORBIDDEN_CALLS = {"float": "control-float", "round": "control-float", "print": "control-io", "open": "control-io"}
_MAKERS = frozenset(
    [
        "list",
        "dict",
        "set",
        "frozenset",
        "tuple",
        "bytes",
        "bytearray",
        "memoryview",
        "str",
        "repr",
        "bin",
        "hex",
        "oct",
        "sorted",
        "reversed",
        "enumerate",
        "zip",
        "map",
        "filter",
        "iter",
        "slice",
        "sum",
        "complex",
        "array",
    ]
)
_DISPLAYS: dict[type[ast.AST], str] = {
    ast.List: "a list",
    ast.Tuple: "a tuple",
    ast.Set: "a set",
    ast.Dict: "a dict",
    ast.ListComp: "a comprehension",
    ast.SetComp: "a comprehension",
    ast.DictComp: "a comprehension",
    ast.GeneratorExp: "a generator",
    ast.JoinedStr: "an f-string",
    ast.Lambda: "a lambda",
    ast.Slice: "a slice",
    ast.FunctionDef: "a function inside a function",
    ast.AsyncFunctionDef: "a function inside a function",
    ast.ClassDef: "a class inside a function",
    ast.Yield: "a generator",
    ast.YieldFrom: "a generator",
    ast.Await: "an await",
    ast.Starred: "a starred argument",
}
# What is a finding as a whole: its inside is not judged again.
_NOT_ENTERED = (ast.Raise, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)

RULES = {
    "control-float": Rule(
        "the ESP32's floats are single: the same sum gives another minute of sunset there than on the host",
        "use integers in a small unit (ms, permille, mW, udeg), `//` and firmware/control/fixed.py",
    ),
    "control-power": Rule(
        "with a negative exponent `**` gives a float",
        "write the shift, the product or the literal; an exponent may be a literal of 0 or more",
    ),
    "control-io": Rule(
        "control has no input or output, so that a simulation of it is the truth",
        "set an attribute (level, reason, fault) and let the caller report it",
    ),
    "control-global": Rule(
        "four lamps on one pole, or a town in one process, would share the value",
        "keep it in the object: `self._name`",
    ),
    "control-try": Rule(
        "control knows every value it is given; a caught exception hides one it did not foresee, and allocates",
        "check before you act and let verification refuse bad input; interpreter differences belong in compat.py",
    ),
    "control-large-integer": Rule(
        "on a 32-bit board an integer outside -2^30 … 2^30 - 1 is allocated, and step() may not allocate",
        "order the sum so that it stays within 30 bits (see ticks.py), or do it at load in a function named for it",
    ),
    "step-allocates": Rule(
        "step() runs for years: what it allocates fragments a 100 kB heap until something fails, at night",
        "make it once in `__init__` and reuse it, set attributes instead of returning several values; "
        "a function that only loading calls is named `…_at_load`",
    ),
    "step-raises": Rule(
        "an exception out of step() is a lamp without a decision",
        "verify at load, where bad input is refused with its place; in step() take the safe value and set a fault",
    ),
    "step-bound-method": Rule(
        "MicroPython makes a new object each time a method is taken without being called",
        "call it where it is: `self.method(…)`; a callback is stored once, in `__init__`",
    ),
}


def check(source: PythonFile) -> Iterator[Finding]:
    """Yield what breaks the rules of control; other files have none of these."""
    if not is_under(source.path, ("firmware/control",), "/"):
        return
    for node in source.nodes:
        yield from _check_node(source, node)
    yield from _check_integers(source, source.tree)
    if source.path in COLD_FILES:
        return
    methods = {
        function.name
        for owner, function in source.functions()
        if owner and not any(called(one) or getattr(one, "id", "") == "property" for one in function.decorator_list)
    }
    for _, function in source.functions():
        if not _matches(COLD_NAMES, function.name):
            yield from _check_hot(source, function)
            yield from _check_bound_methods(source, function, methods)


def _matches(patterns: dict[str, str], name: str) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in patterns)


def _check_node(source: PythonFile, node: ast.AST) -> Iterator[Finding]:
    if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
        yield source.find(RULES, "control-float", node.lineno, f"the float `{node.value}`")
    elif isinstance(node, ast.BinOp | ast.AugAssign):
        if isinstance(node.op, ast.Div):
            yield source.find(RULES, "control-float", node.lineno, "a division `/`")
        exponent = node.right if isinstance(node, ast.BinOp) else node.value
        if isinstance(node.op, ast.Pow) and not _is_natural(exponent):
            yield source.find(RULES, "control-power", node.lineno, "a power `**` whose exponent may be negative")
    elif isinstance(node, ast.Call):
        name = called(node)
        if name in _FORBIDDEN_CALLS:
            yield source.find(RULES, _FORBIDDEN_CALLS[name], node.lineno, f"a call of `{name}()`")
        elif name == "pow" and not (len(node.args) >= 2 and _is_natural(node.args[1])):
            yield source.find(RULES, "control-power", node.lineno, "a `pow()` whose exponent may be negative")
    elif isinstance(node, ast.Global):
        yield source.find(RULES, "control-global", node.lineno, f"`global {', '.join(node.names)}`")
    elif isinstance(node, ast.Try | ast.TryStar) and source.path != COMPAT:
        yield source.find(RULES, "control-try", node.lineno, "a `try`")


def _is_natural(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int and node.value >= 0


def _check_integers(source: PythonFile, node: ast.AST) -> Iterator[Finding]:
    """Judge whole constant expressions, as MicroPython folds them: ``(1 << 30) - 1`` is small, ``1 << 30`` is not."""
    if isinstance(node, ast.FunctionDef) and _matches(LARGE_INTEGERS, node.name):
        return
    value = _folded(node)
    if value is None:
        for child in ast.iter_child_nodes(node):
            yield from _check_integers(source, child)
    elif isinstance(node, ast.expr) and not SMALL_MIN <= value <= SMALL_MAX:
        yield source.find(RULES, "control-large-integer", node.lineno, f"the integer {value:#x}")


def _folded(node: ast.AST) -> int | None:
    """Return the value of an expression of integer literals, None for any other."""
    if isinstance(node, ast.Constant):
        return node.value if type(node.value) is int else None
    if isinstance(node, ast.UnaryOp):
        value = _folded(node.operand)
        if value is None:
            return None
        return {ast.USub: -value, ast.UAdd: value, ast.Invert: ~value}.get(type(node.op))
    if not isinstance(node, ast.BinOp):
        return None
    left, right = _folded(node.left), _folded(node.right)
    if left is None or right is None:
        return None
    match node.op:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.BitOr():
            return left | right
        case ast.BitAnd():
            return left & right
        case ast.BitXor():
            return left ^ right
        case ast.LShift() if 0 <= right <= 64:
            return left << right
        case ast.Pow() if 0 <= right <= 64:
            return int(left**right)
    return None


def _hot_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what a function runs: neither its annotations nor the inside of what is already a finding."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "args") and not isinstance(node, ast.Call):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield child
                if not isinstance(child, _NOT_ENTERED):
                    yield from _hot_nodes(child)


def _check_hot(source: PythonFile, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Finding]:
    if isinstance(function, ast.AsyncFunctionDef):
        yield source.find(RULES, "step-allocates", function.lineno, f"`{function.name}()` is async")
    loops = {id(node.iter) for node in ast.walk(function) if isinstance(node, ast.For)}
    for node in _hot_nodes(function):
        line = getattr(node, "lineno", function.lineno)
        where = f"in `{function.name}()`"
        if isinstance(node, ast.Raise):
            yield source.find(RULES, "step-raises", line, f"a `raise` {where}")
        elif type(node) in _DISPLAYS:
            # `a, b = …` names two targets; what stands on its right is judged for itself.
            if isinstance(getattr(node, "ctx", None), ast.Store):
                continue
            yield source.find(RULES, "step-allocates", line, f"{_DISPLAYS[type(node)]} {where}")
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and _is_text(node.left):
            yield source.find(RULES, "step-allocates", line, f"a formatted string {where}")
        elif isinstance(node, ast.Call):
            name = called(node)
            if isinstance(node.func, ast.Attribute) and node.func.attr in ("format", "join", "append", "extend"):
                yield source.find(RULES, "step-allocates", line, f"a call of `.{node.func.attr}()` {where}")
            elif name in _MAKERS or (name == "range" and id(node) not in loops):
                yield source.find(RULES, "step-allocates", line, f"a call of `{name}()` {where}")


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)


def _check_bound_methods(
    source: PythonFile, function: ast.FunctionDef | ast.AsyncFunctionDef, methods: set[str]
) -> Iterator[Finding]:
    """Find a method of this file taken from ``self`` and not called, and any attribute stored and then called."""
    nodes = list(_hot_nodes(function))
    callees = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    names_called = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    found = set()
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and id(node) not in callees:
            is_own = isinstance(node.value, ast.Name) and node.value.id == "self" and node.attr in methods
            parent = source.parents[node]
            targets: list[ast.expr] = []
            if isinstance(parent, ast.Assign):
                targets = parent.targets
            elif isinstance(parent, ast.AnnAssign | ast.NamedExpr):
                targets = [parent.target]
            is_stored = any(isinstance(target, ast.Name) and target.id in names_called for target in targets)
            if (is_own or is_stored) and node.lineno not in found:
                found.add(node.lineno)
                what = f"the method `{ast.unparse(node)}` taken without a call in `{function.name}()`"
                yield source.find(RULES, "step-bound-method", node.lineno, what)
