"""What a board did to its flash, operation by operation, and the image that a cut at any of them leaves.

A life is lived once, with `VirtualBoard.tape` set, and then cut at each operation without being lived again. The images
are those of the knife (chip/flash.py), byte for byte: tests/node/test_flash_tape.py compares them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .conductor import RING

PROGRAM, ERASE, SYNC = 1, 2, 3
MODES = ("before", "half", "random", "after")
_HEAD = struct.Struct("<III")
_ERASED = 0xFF


@dataclass(frozen=True)
class Operation:
    """One call of the block device: at which address it puts which bytes (none for a sync)."""

    kind: int
    at: int
    data: bytes


def read(path: Path) -> list[Operation]:
    """Return what a tape holds. The last operation may be missing some of its bytes: the board was killed in it."""
    data = path.read_bytes()
    found: list[Operation] = []
    at = 0
    while at + _HEAD.size <= len(data):
        kind, where, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        if kind not in (PROGRAM, ERASE, SYNC):
            raise ValueError(f"{path}: operation {len(found) + 1} is of kind {kind}: no tape of a board")
        if kind == PROGRAM:
            if at + length > len(data):
                break
            found.append(Operation(kind, where, data[at : at + length]))
            at += length
        else:
            found.append(Operation(kind, where, bytes([_ERASED]) * length))
    return found


def put(image: bytearray, operation: Operation) -> None:
    """Do the operation."""
    image[operation.at : operation.at + len(operation.data)] = operation.data


def put_torn(image: bytearray, operation: Operation, number: int, mode: str) -> None:
    """Do what of operation ``number`` (from 1 on) is done when the mains fail there: see `VirtualBoard.cut_at`."""
    data = operation.data
    if mode == "before" or not data:
        return
    if mode == "after":
        put(image, operation)
    elif mode == "half":
        image[operation.at : operation.at + len(data) // 2] = data[: len(data) // 2]
    elif mode == "random":
        noise = number * 7919 % RING
        for offset, byte in enumerate(data):
            noise = (noise * 1103 + 12345) & 0xFFFFF
            if noise & 0x400:
                image[operation.at + offset] = byte
    else:
        raise ValueError(f"{mode!r}: one of {', '.join(MODES)}")


def images(base: bytes, operations: list[Operation]) -> Iterator[tuple[int, str, bytes]]:
    """Give (number, mode, image) of every cut, in order; "before" the first is the base itself, and "before" any other
    is "after" the one before it, so it is not given again."""
    image = bytearray(base)
    for number, operation in enumerate(operations, 1):
        for mode in MODES[0 if number == 1 else 1 :]:
            cut = bytearray(image)
            put_torn(cut, operation, number, mode)
            yield number, mode, bytes(cut)
        put(image, operation)
