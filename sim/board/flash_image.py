"""The flash image of a virtual board, seen from the host: littlefs with the geometry that MicroPython uses.

Parameters as extmod/vfs_lfsx.c sets them: read and program size 32, cache 4 x 32, lookahead 32, block_cycles 100.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from littlefs import LittleFS, UserContext

BLOCK_BYTES = 4096
BLOCKS = 512  # the 2 MiB `vfs` partition of a 4 MiB ESP32


class _Image(UserContext):  # type: ignore[misc]
    """littlefs-python's block device over the bytes of an image."""

    def __init__(self, data: bytearray) -> None:
        self.buffer: bytearray = data

    def read(self, cfg: Any, block: int, off: int, size: int) -> bytearray:
        """Return bytes; without the log line for each read, which costs more than the read."""
        at = block * BLOCK_BYTES + off
        return self.buffer[at : at + size]


def create(path: Path, blocks: int = BLOCKS) -> None:
    """Make an erased image: the board formats it at its first start, as the chip does."""
    path.write_bytes(b"\xff" * (BLOCK_BYTES * blocks))


def _open(data: bytearray) -> LittleFS:
    fs = LittleFS(
        context=_Image(data),
        mount=False,
        block_size=BLOCK_BYTES,
        block_count=len(data) // BLOCK_BYTES,
        read_size=32,
        prog_size=32,
        cache_size=128,
        lookahead_size=32,
        block_cycles=100,
    )
    # One of the first two blocks may well be erased: a cut in the middle of a commit leaves it so, and is no loss.
    if data[: 2 * BLOCK_BYTES] == b"\xff" * (2 * BLOCK_BYTES):
        fs.format()
    fs.mount()
    return fs


def install(path: Path, files: Mapping[str, bytes | str]) -> None:
    """Write files into the image, folders made as needed; a blank image is formatted."""
    data = bytearray(path.read_bytes())
    fs = _open(data)
    for name, content in files.items():
        name = name.strip("/")
        if "/" in name:
            fs.makedirs(name.rsplit("/", 1)[0], exist_ok=True)
        with fs.open(name, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
    fs.unmount()
    path.write_bytes(data)


def files(path: Path) -> dict[str, bytes]:
    """Return every file of the image by its path, which begins with a slash."""
    return files_of(path.read_bytes())


def files_of(image: bytes) -> dict[str, bytes]:
    """Return every file of an image that is not on a disk."""
    fs = _open(bytearray(image))
    found: dict[str, bytes] = {}
    for folder, _, names in fs.walk("/"):
        for name in names:
            full = f"{folder.rstrip('/')}/{name}"
            with fs.open(full, "rb") as file:
                found[full] = file.read()
    return found
