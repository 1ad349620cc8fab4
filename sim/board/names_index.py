"""How much heap a bare MicroPython takes for the index of a program's names: what the chip has, and the board has not.

The interpreter keeps every name that is not in its firmware in pools: the first has room for 20, each further one for
twice as many as the one before, and all stay for ever (py/qstr.c of MicroPython, `qstr_add`: a head of six words, then
a pointer, two bytes of hash and one of length for each name; the ESP32 port has these settings too). The board's own
names have filled them to where the program would need one that is larger than on the chip. So the program's names are
counted where there is no board, the pools are computed by that rule, and the board is given so much less heap, with its
own index outside of it (``names_outside``).

It is on the careful side: an ESP32 has the names of `machine`, `network` and their like in its flash, and here they
count, since the unix port has not.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from . import rom
from .virtual_board import Runtime

# Names that the program makes while it runs, and what the port's own start-up may have made: measured 9, on the board.
ALLOWANCE = 24

_POOL_FIRST = 20
_HEAD_WORDS = 6
_COUNTED = re.compile(r"n_qstr=(\d+)")
_SCRIPT = """
import sys, vfs, micropython, asyncio, tls
class Stub:
    def __getattr__(self, name): return Stub
for name in ("machine", "network", "esp32", "espnow", "onewire", "ssl"):
    sys.modules[name] = Stub()
with open(sys.argv[1], "rb") as file:
    image = file.read()
with open(sys.argv[2]) as file:
    main = file.read()
modules = sys.argv[3:]
vfs.mount(vfs.VfsRom(image), "/rom")
sys.path[:] = ["/rom", ".frozen"]
scope = {"__name__": "main"}
name = asyncio.ThreadSafeFlag, asyncio.create_task, asyncio.run, asyncio.sleep_ms
micropython.qstr_info()
exec(main, scope)
for name in modules:
    __import__(name)
micropython.qstr_info()
"""


class CountError(Exception):
    """The names could not be counted; the message has what the interpreter said."""


def index_bytes(names: int, word: int = 4) -> int:
    """Return the bytes of heap that the index takes for so many names, in blocks of four words."""
    total, room, block = 0, _POOL_FIRST, 4 * word
    while names > 0:
        pool = _HEAD_WORDS * word + room * (word + 3)
        total += -(-pool // block) * block
        names -= room
        room *= 2
    return total


def count(runtime: Runtime, rom_files: Mapping[str, bytes], main: str, unused: tuple[str, ...] = ()) -> int:
    """Return how many names a bare interpreter knows more once ``main`` was compiled and every module of the ROM but
    those in ``unused`` was loaded. Raises `CountError`."""
    with tempfile.TemporaryDirectory() as folder:
        image, text, script = (Path(folder, name) for name in ("rom.img", "main.txt", "count.py"))
        image.write_bytes(rom.image(rom_files))
        text.write_text(main, encoding="utf-8")
        script.write_text(_SCRIPT, encoding="utf-8")
        modules = [path.removesuffix(".mpy").removesuffix("/__init__").replace("/", ".") for path in sorted(rom_files)]
        command = [*runtime.command, "-X", "heapsize=2m", str(script), str(image), str(text)]
        done = subprocess.run(
            [*command, *(name for name in modules if name not in unused)],
            check=False, capture_output=True, text=True, timeout=60, env=runtime.environment(), cwd=folder,
        )  # fmt: skip
    counts = [int(number) for number in _COUNTED.findall(done.stdout)]
    if done.returncode or len(counts) != 2:
        raise CountError(f"the names of the program were not counted:\n{done.stderr or done.stdout}")
    return counts[1] - counts[0]
