"""What the interpreter is started with: `micropython -X heapsize=... boot.py boot.json`.

It maps the board's own code (a ROMFS image of .mpy files, so that none of it counts against the heap), puts it on the
path and hands over to start.py. Nothing of this file stays in memory.
"""

import json
import sys


def _map_board():
    import ffi
    import uctypes
    import vfs

    with open(sys.argv[1]) as file:
        settings = json.load(file)
    path, length = settings["board_rom"]
    libc = ffi.open(None)
    fd = libc.func("i", "open", "sii")(path, 0, 0)
    address = libc.func("P", "mmap", "PLiiil")(None, length, 1, 2, fd, 0)
    libc.func("i", "close", "i")(fd)
    vfs.mount(vfs.VfsRom(uctypes.bytearray_at(address, length)), "/board-rom")
    # Of the interpreter's path only the frozen asyncio stays: nothing of the computer is importable.
    sys.path[:] = ["/board-rom", ".frozen"]
    return settings


_settings = [_map_board()]
try:
    import sim.board.chip.start as _start
except MemoryError:
    sys.exit(45)  # layout.EXIT_MORE_HEAP
_start.run(_settings)
