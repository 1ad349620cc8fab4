"""The flash: a block device over a mapped image, and the knife that cuts the mains at the n-th operation.

Geometry of a 4 MiB ESP32: 4096-byte blocks; 512 of them by default. Program, erase and sync are counted in the slot; at
operation `cut_at` the process dies before it, after it, or in its middle, with half of the bytes written or with
half of them in random places (`cut_mode`, see layout). What is in the mapped file survives the process.

With a tape every operation is written down before it is done: kind (1 program, 2 erase, 3 sync), address, length (three
words), and the bytes of a program. The host makes the image of any cut from it (sim/board/flash_tape.py).
"""

import struct

from . import libc
from .clock import MASK

BLOCK_BYTES = 4096
_BEFORE = 1
_AFTER = 2
_HALF = 3
_RANDOM = 4


class Flash:
    """Block device with the extended interface, as esp32.Partition has it. The host erases the image to 0xFF."""

    def __init__(self, image, slot, tape=-1):
        self._tape = tape
        self._image = memoryview(image)
        self._blocks = len(image) // BLOCK_BYTES
        self._slot = slot
        self._erased = b"\xff" * 512

    def _cut_is_now(self):
        slot = self._slot
        count = slot.flash_ops + 1
        slot.flash_ops = count
        if count != slot.cut_at:
            return 0
        slot.was_cut = 1
        if slot.cut_mode == _BEFORE:
            libc.power_off()
        return slot.cut_mode

    def _write_down(self, kind, at, length):
        head = struct.pack("<III", kind, at, length)
        libc.write(self._tape, head, len(head))

    def _tear(self, at, data, mode):
        """Write half of the data, then die."""
        image = self._image
        length = len(data)
        if mode == _HALF:
            image[at : at + length // 2] = data[: length // 2]
        elif mode == _RANDOM:
            noise = self._slot.seed
            for offset in range(length):
                noise = (noise * 1103 + 12345) & 0xFFFFF
                if noise & 0x400:
                    image[at + offset] = data[offset]
        else:
            image[at : at + length] = data
        libc.power_off()

    def readblocks(self, block, buffer, offset=0):
        """Fill the buffer."""
        at = block * BLOCK_BYTES + offset
        buffer[:] = self._image[at : at + len(buffer)]

    def writeblocks(self, block, buffer, offset=None):
        """Program bytes; without an offset the blocks are erased first."""
        at = block * BLOCK_BYTES
        if offset is None:
            for one in range(len(buffer) // BLOCK_BYTES):
                self.ioctl(6, block + one)
        else:
            at += offset
        if self._tape >= 0:
            self._write_down(1, at, len(buffer))
            libc.write(self._tape, buffer, len(buffer))
        mode = self._cut_is_now()
        if mode:
            self._tear(at, buffer, mode)
        self._image[at : at + len(buffer)] = buffer

    def ioctl(self, op, argument):
        """Answer init (1), deinit (2), sync (3), block count (4), block size (5), erase (6)."""
        if self._tape >= 0 and (op == 3 or op == 6):
            self._write_down(*((2, argument * BLOCK_BYTES, BLOCK_BYTES) if op == 6 else (3, 0, 0)))
        if op == 4:
            return self._blocks
        if op == 5:
            return BLOCK_BYTES
        if op == 3:
            # NOR flash is written directly, so there is nothing to do; but the mains may fail here too.
            if self._cut_is_now():
                libc.power_off()
        elif op == 6:
            at = argument * BLOCK_BYTES
            mode = self._cut_is_now()
            if mode:
                self._tear(at, b"\xff" * BLOCK_BYTES, mode)
            for part in range(at, at + BLOCK_BYTES, 512):
                self._image[part : part + 512] = self._erased
        return 0

    def operations(self):
        """Return how many operations there were, modulo 2^30."""
        return self._slot.flash_ops & MASK
