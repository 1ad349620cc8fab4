"""The tape of a board's flash: one life can be cut everywhere, if the images are those that the knife leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.board import flash_tape
from sim.board.virtual_board import VirtualBoard
from tests.conftest import require_runtime
from tests.runtimes import Runtime

BLOCKS = 16
WRITER = """
import os
for turn in range(2):
    with open("/plan.tmp", "wb") as file:
        file.write(b"new " * 700)
    os.rename("/plan.tmp", "/plan")
    file = open("/other", "ab")
    file.write(b"y")
    file.close()
os.remove("/other")
print("done")
while True:
    pass
"""


def lived(folder: Path, runtime: Runtime) -> tuple[VirtualBoard, bytes]:
    board = VirtualBoard(folder / "b", runtime, flash_blocks=BLOCKS)
    board.install({"main.py": WRITER, "plan": b"old " * 500, "other": b"x" * 5000})
    base = (board.folder / "flash.bin").read_bytes()
    board.tape = folder / "tape"
    board.start()
    board.wait_print("done")
    board.power_cut()
    return board, base


def test_what_was_written_down_is_what_was_done(tmp_path: Path, micropython_runtime: Runtime) -> None:
    """A cut that is made from the tape is one of the firmware's only if the tape is whole. So all of it, put onto the
    flash as it was, gives the flash as it is."""
    board, base = lived(tmp_path, micropython_runtime)
    operations = flash_tape.read(tmp_path / "tape")
    assert len(operations) == board.flash_operations > 20
    assert {one.kind for one in operations} == {flash_tape.PROGRAM, flash_tape.ERASE, flash_tape.SYNC}
    image = bytearray(base)
    for operation in operations:
        flash_tape.put(image, operation)
    assert bytes(image) == (board.folder / "flash.bin").read_bytes()
    board.stop()


def test_a_cut_from_the_tape_is_the_knifes(tmp_path: Path) -> None:
    """The knife kills a real process in a real write. So in each way to die, what a tape ends with, cut by the host, is
    the flash that the knife has left, byte for byte: nothing is proven of images that no cut leaves."""
    board, base = lived(tmp_path, require_runtime("micropython32"))
    total = len(flash_tape.read(tmp_path / "tape"))
    flash = board.folder / "flash.bin"
    kinds = set()
    for number in range(1, total + 1):
        # Files carry the time of day, so each life writes other bytes: tape and flash are of the same one.
        mode = flash_tape.MODES[number % 4]
        flash.write_bytes(base)
        board.tape = tmp_path / f"tape{number}"
        mark = len(board.events)
        board.cut_at(number, mode)
        board.mains_on()
        assert board.wait_for("mains_off", since=mark)["was_cut"], (number, mode)
        board.power_cut()
        *done, last = flash_tape.read(board.tape)
        assert len(done) == number - 1
        image = bytearray(base)
        for operation in done:
            flash_tape.put(image, operation)
        flash_tape.put_torn(image, last, number, mode)
        assert flash.read_bytes() == bytes(image), (number, mode)
        kinds.add((mode, last.kind))
    board.stop()
    assert len(kinds) >= 8


def test_a_tape_that_is_none_is_refused(tmp_path: Path) -> None:
    """Somebody gives the wrong file, or one that was cut off with its board. So the first is refused with its place,
    and of the second all whole operations are read."""
    path = tmp_path / "tape"
    path.write_bytes(b"\x01\0\0\0\x10\0\0\0\x02\0\0\0ab" + b"\x01\0\0\0\x20\0\0\0\x04\0\0\0abc")
    assert flash_tape.read(path) == [flash_tape.Operation(flash_tape.PROGRAM, 16, b"ab")]
    path.write_bytes(b"\x09\0\0\0" + bytes(8))
    with pytest.raises(ValueError, match="operation 1 is of kind 9"):
        flash_tape.read(path)
    with pytest.raises(ValueError, match="one of before"):
        flash_tape.put_torn(bytearray(8), flash_tape.Operation(1, 0, b"x"), 1, "sideways")
