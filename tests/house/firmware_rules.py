"""firmware/**: only what MicroPython has, and nothing that surprises on a lamp post."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

from . import Finding, PythonFile, Rule, called, dotted, is_under
from .imports import CHIP_ONLY, imports_of

# Files outside firmware/ that run under MicroPython too.
ALSO_ON_MICROPYTHON = ("sim/lamp_replay.py", "sim/board/chip")
# Where `except Exception` is right: path -> reason. Nobody stands above these two, and the lamp must stay lit.
MAY_CATCH_ALL: dict[str, str] = {
    "firmware/main.py": "whatever fails, the lamp goes to its safe level and the node is reset",
    "firmware/system/supervisor.py": "restarts a task, whatever it died of",
    "sim/board/chip/irq.py": "the virtual chip prints what a handler raises, as the chip does",
    "sim/board/chip/console.py": "the virtual chip's prompt prints what a line raises, whatever it is",
    "sim/board/chip/start.py": "the virtual chip prints what main.py raises, whatever it is, as the chip does",
}
LACKING_MODULES: dict[str, str] = {
    "__future__": "leave it out: MicroPython never evaluates annotations",
    "typing": "leave it out, or import it under `if TYPE_CHECKING:` with `TYPE_CHECKING = False` above",
    "dataclasses": "write the class with its `__init__`",
    "enum": "write `NAME = const(…)`",
    "abc": "say in the docstring what a caller may expect",
    "functools": "write the loop or the function",
    "itertools": "write the loop",
    "contextlib": "write `try … finally`",
    "datetime": "use firmware/control/civil.py: day numbers and seconds of day",
    "logging": "write to the journal",
    "pathlib": "use strings and `os`",
}

RULES = {
    "syntax": Rule("the interpreter cannot read this file", "run it once before you hand it on"),
    "micropython-syntax": Rule(
        "MicroPython cannot compile it: the file is refused on the chip, and tests on CPython do not show it",
        "write it as MicroPython 1.23 has it",
    ),
    "micropython-module": Rule("MicroPython has no such module", "write it with what the chip has"),
    "catch-all": Rule(
        "it hides the mistake (and a task's cancellation, and a broken wire) behind a lamp that seems to work",
        "name what can happen: `except OSError` and look at `errno`; name a timeout beside it",
    ),
    "module-name": Rule(
        "on the host or on the chip the other module of that name wins, depending on sys.path",
        "name it after what it does for the lamp: `civil`, not `calendar`",
    ),
    "docstring": Rule(
        "whoever stands on the ladder reads this first",
        "say in one line what it returns or does, with units and bounds; a one-line reader may lean on its class",
    ),
    "slice-step": Rule(
        "MicroPython has steps in slices for lists only: bytes and tuples raise NotImplementedError",
        "walk by index: `for i in range(start, stop, step)`",
    ),
    "assert": Rule(
        "with -O1 the check is gone, and where it stays it kills the task that holds the lamp",
        "refuse bad input where it enters, with place, reason and remedy; assert in tests",
    ),
    "mutable-default": Rule(
        "it is made once and shared by every call",
        "default to None and make it inside, or use a tuple",
    ),
}


def check(source: PythonFile) -> Iterator[Finding]:
    """Yield what breaks the rules of firmware; other files have none of these."""
    if not is_under(source.path, ("firmware", *ALSO_ON_MICROPYTHON), "/"):
        return
    yield from _check_syntax(source)
    yield from _check_modules(source)
    yield from _check_docstrings(source)
    for node in source.nodes:
        yield from _check_node(source, node)


def _check_syntax(source: PythonFile) -> Iterator[Finding]:
    lines = set()
    for node in source.nodes:
        found = _lacking_syntax(node)
        if found:
            line = getattr(node, "lineno", 0) or getattr(getattr(node, "target", None), "lineno", 1)
            lines.add(line)
            yield source.find(RULES, "micropython-syntax", line, found[0], found[1])
    # The rest of what came after Python 3.8, such as `with (a, b):`. The parser stops at its first finding, so it is
    # only asked where there is none yet.
    try:
        ast.parse(source.text, feature_version=(3, 8))
    except SyntaxError as error:
        if not lines:
            yield source.find(RULES, "micropython-syntax", error.lineno or 1, error.msg)


def _lacking_syntax(node: ast.AST) -> tuple[str, str] | None:
    if isinstance(node, ast.Match):
        return "a `match`", "write `if … elif … else`: it compiles to the same"
    if isinstance(node, ast.TryStar):
        return "an `except*`", "write one `except` for each kind"
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.args.posonlyargs:
        return (
            f"a positional-only `/` in `{node.name}()`",
            "leave the `/` out, and call with positions where it matters",
        )
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        for one in node.decorator_list:
            if not dotted(one.func if isinstance(one, ast.Call) else one):
                return f"a free expression as decorator of `{node.name}`", "decorate with a name: `@module.name(…)`"
    if isinstance(node, ast.List | ast.Tuple | ast.Set) and any(
        isinstance(one, ast.Starred) and isinstance(one.ctx, ast.Load) for one in node.elts
    ):
        return "an unpacking `[*a]`", "write `list(a) + […]` or append"
    if isinstance(node, ast.Dict) and None in node.keys:
        return "an unpacking `{**a}`", "write `b = dict(a)` and `b.update(…)`"
    if isinstance(node, ast.comprehension) and node.is_async:
        return "an async comprehension", "write `async for` with append"
    return None


def _check_modules(source: PythonFile) -> Iterator[Finding]:
    for one in imports_of(source):
        root = one.target.split(".")[0]
        if root in LACKING_MODULES and not one.is_for_types and not one.is_relative:
            yield source.find(RULES, "micropython-module", one.line, f"imports `{root}`", LACKING_MODULES[root])
    for part in source.path.removesuffix(".py").split("/"):
        if part != "__init__" and (part in sys.stdlib_module_names or part in CHIP_ONLY):
            yield source.find(RULES, "module-name", 1, f"named `{part}`, like a module of the standard library")


def _check_docstrings(source: PythonFile) -> Iterator[Finding]:
    if not ast.get_docstring(source.tree):
        yield source.find(RULES, "docstring", 1, "a module without a docstring")
    for node in source.nodes:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not ast.get_docstring(node):
            yield source.find(RULES, "docstring", node.lineno, f"class `{node.name}` without a docstring")
    for owner, function in source.functions():
        if function.name.startswith("_") or (owner and owner.name.startswith("_")) or ast.get_docstring(function):
            continue
        # A field reader that returns one expression: its name has the unit, its class says the rest.
        is_reader = len(function.body) == 1 and isinstance(function.body[0], ast.Return)
        if not (owner and ast.get_docstring(owner) and is_reader):
            yield source.find(RULES, "docstring", function.lineno, f"`{function.name}()` without a docstring")


def _check_node(source: PythonFile, node: ast.AST) -> Iterator[Finding]:
    if isinstance(node, ast.ExceptHandler) and node.type is not None:
        kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        for kind in kinds:
            if dotted(kind) in ("Exception", "BaseException") and source.path not in MAY_CATCH_ALL:
                yield source.find(RULES, "catch-all", node.lineno, f"`except {dotted(kind)}`")
    elif isinstance(node, ast.Slice) and node.step is not None:
        yield source.find(RULES, "slice-step", node.lineno, "a step in a slice")
    elif isinstance(node, ast.Assert):
        yield source.find(RULES, "assert", node.lineno, "an `assert`")
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        for default in [*node.args.defaults, *node.args.kw_defaults]:
            if isinstance(default, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp) or called(
                default or node
            ) in ("list", "dict", "set", "bytearray"):
                name = getattr(node, "name", "lambda")
                yield source.find(RULES, "mutable-default", node.lineno, f"a mutable default in `{name}()`")
