"""Every file: bare except, length, open ends, paths of one machine."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from . import Finding, PythonFile, Rule, TextFile, is_under

LINES_MAX = 600
LINES_WARN = 400
PRODUCT = ("firmware", "host_tools", "sim")
NO_MACHINE_PATHS = (*PRODUCT, "docs", "tests", "Makefile")
# Machine paths that may stay: (path of the file, the text that may stand in it) -> reason.
MAY_NAME_PATHS: dict[tuple[str, str], str] = {}

_OPEN_ENDS = re.compile(r"\b(?:TODO|FIXME|XXX|NotImplementedError)\b")
# A slash that begins a path: not after a word, a variable or another slash, as in `https://host/home` or `$HOME/tmp`.
_MACHINE_PATH = re.compile(r"(?<![\w.~$})\]*/-])/(?:work|home|root|tmp)(?![\w-])[\w./-]*")

RULES = {
    "bare-except": Rule(
        "it also catches KeyboardInterrupt, SystemExit and a task's cancellation",
        "name what can happen: `except OSError:`",
    ),
    "too-long": Rule(
        f"beyond {LINES_MAX} lines nobody holds a file in the head",
        "split it where it changes for different reasons",
    ),
    "long": Rule(
        f"a file beyond {LINES_WARN} lines is on its way to the limit of {LINES_MAX}",
        "think of a seam before it is needed",
        is_warning=True,
    ),
    "open-end": Rule(
        "a promise in the code is read by nobody, and the product would be delivered with it",
        "do it now, refuse the case with its reason, or write an issue and leave it out",
    ),
    "machine-path": Rule(
        "the path exists on one machine only",
        "take it from an argument or the environment, use a path relative to the root, or pytest's `tmp_path`",
    ),
}


def check(source: PythonFile) -> Iterator[Finding]:
    """Yield a Python file's bare excepts and its length."""
    for node in source.nodes:
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield source.find(RULES, "bare-except", node.lineno, "a bare `except:`")
    lines = len(source.text.splitlines())
    if lines > LINES_WARN:
        yield source.find(RULES, "too-long" if lines > LINES_MAX else "long", lines, f"{lines} lines")


def check_text(source: TextFile) -> Iterator[Finding]:
    """Yield open ends and machine paths of a text file of any kind."""
    for number, line in enumerate(source.text.splitlines(), 1):
        if is_under(source.path, PRODUCT, "/"):
            for found in _OPEN_ENDS.finditer(line):
                yield source.find(RULES, "open-end", number, f"`{found[0]}`")
        if is_under(source.path, NO_MACHINE_PATHS, "/"):
            for found in _MACHINE_PATH.finditer(line):
                if not any(path == source.path and text in line for path, text in MAY_NAME_PATHS):
                    yield source.find(RULES, "machine-path", number, f"the path `{found[0]}`")
