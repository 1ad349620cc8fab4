"""All rules together, over one file or over the whole tree."""

from __future__ import annotations

import ast
import os
import subprocess
from pathlib import Path

from . import Finding, PythonFile, Rule, TextFile, control_rules, everywhere, firmware_rules, imports

ROOT = Path(__file__).resolve().parents[2]

_MODULES = (imports, control_rules, firmware_rules, everywhere)
RULES: dict[str, Rule] = {name: rule for module in _MODULES for name, rule in module.RULES.items()}


def check_file(path: str, text: str) -> list[Finding]:
    """Return the findings of one file, in order of lines; ``path`` is relative to the root."""
    found = set(everywhere.check_text(TextFile(path, text)))
    if path.endswith(".py"):
        source = PythonFile(path, text)
        try:
            ast.parse(text)
        except SyntaxError as error:
            found.add(source.find(RULES, "syntax", error.lineno or 1, error.msg))
        else:
            for module in _MODULES:
                found.update(module.check(source))
    return sorted(found)


def files_of(root: Path) -> list[str]:
    """Return the repository's files: what git tracks and what it would track, so that new files are judged at once."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=root, capture_output=True, check=True, timeout=60).stdout.decode()
        names = {name for name in listed.split("\0") if name}
    except (OSError, subprocess.SubprocessError):
        # A source archive has no git: take everything but what is built or hidden.
        names = set()
        for folder, folders, files in os.walk(root):
            folders[:] = [one for one in folders if not one.startswith(".") and one not in ("build", "__pycache__")]
            names.update((Path(folder) / one).relative_to(root).as_posix() for one in files)
    return sorted(name for name in names if (root / name).is_file())


def check_tree(root: Path = ROOT) -> tuple[list[Finding], int]:
    """Return the findings of the whole tree, and how many text files were read."""
    found: list[Finding] = []
    count = 0
    for name in files_of(root):
        try:
            text = (root / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            # A picture, or a file that somebody moved away meanwhile.
            continue
        count += 1
        found += check_file(name, text)
    return found, count
