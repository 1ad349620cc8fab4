"""The knife of the virtual board: mains that fail at every flash operation, and the proof that it cuts."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

import pytest

from sim.board.virtual_board import BoardError, VirtualBoard
from tests.runtimes import Runtime

OLD, NEW = b"old " * 500, b"new " * 700
MODES = ("before", "after", "half", "random")

CAREFUL = """
import os
new = b"new " * 700
with open("/plan.tmp", "wb") as file:
    file.write(new)
with open("/plan.tmp", "rb") as file:
    whole = file.read() == new
if whole:
    os.rename("/plan.tmp", "/plan")
print("done")
"""
# What a log or a hasty store does: open the good file, write, flush, write on.
NAIVE = """
new = b"new " * 700
with open("/plan", "wb") as file:
    file.write(new[:1400])
    file.flush()
    file.write(new[1400:])
print("done")
"""


def sweep(
    folder: Path, runtime: Runtime, main: str, modes: tuple[str, ...], enough: int = 1000
) -> tuple[int, list[str]]:
    """Cut one writer at every flash operation; return how many there are, and where the file was neither old nor new.

    With several modes each operation is cut in each; the image starts the same every time. `enough` losses end it.
    """
    with VirtualBoard(folder / "b", runtime, flash_blocks=32) as board:
        board.install({"main.py": main, "plan": OLD})
        flash = board.folder / "flash.bin"
        fresh = folder / "fresh.bin"
        shutil.copyfile(flash, fresh)
        board.start()
        board.wait_for("repl")
        total = board.flash_operations
        board.power_cut()
        assert board.files()["/plan"] == NEW
        lost = []
        for operation in range(1, total + 1):
            for mode in modes:
                shutil.copyfile(fresh, flash)
                mark = len(board.events)
                board.cut_at(operation, mode)
                board.mains_on()
                assert board.wait_for("mains_off", since=mark)["was_cut"], (operation, mode)
                board.power_cut()
                if board.files().get("/plan") not in (OLD, NEW):
                    lost.append(f"{mode} operation {operation}")
            if len(lost) >= enough:
                break
        board.cut_at(0)
        # After all the cuts, the last image still boots and the writer completes.
        mark = len(board.events)
        board.mains_on()
        board.wait_for("repl", since=mark)
        board.power_cut()
        assert board.files()["/plan"] == NEW
        return total, lost


def test_write_aside_and_rename_loses_nothing(tmp_path: Path, micropython_runtime: Runtime) -> None:
    """Feeders are cut at dawn, during anything: the plan is the old one or the new one, never a part of either."""
    modes = ("half",) if micropython_runtime.name == "micropython32" else ("random",)
    total, lost = sweep(tmp_path, micropython_runtime, CAREFUL, modes)
    assert total >= 8
    assert lost == []


def test_write_in_place_does_lose(tmp_path: Path, micropython_runtime: Runtime) -> None:
    """A knife that never cuts proves nothing: a writer known to be wrong must be caught."""
    _, lost = sweep(tmp_path, micropython_runtime, NAIVE, ("before",), enough=2)
    assert len(lost) >= 2


@pytest.mark.soak
def test_every_mode_on_every_interpreter(tmp_path: Path, micropython_runtime: Runtime) -> None:
    """The long form of the sweep: all four ways to die at each operation."""
    assert sweep(tmp_path, micropython_runtime, CAREFUL, MODES)[1] == []


def test_flash_survives_cuts_at_any_moment(tmp_path: Path, micropython_runtime: Runtime) -> None:
    """Real cuts do not wait for an operation's edge: SIGKILL at moments nobody chose, while a counter is kept."""
    main = """
import os
try:
    with open("/count") as file:
        n = int(file.read())
except OSError:
    n = 0
while True:
    n += 1
    with open("/count.tmp", "w") as file:
        file.write(str(n))
    os.rename("/count.tmp", "/count")
    print(n)
"""
    rng = random.Random("cuts at any moment")
    with VirtualBoard(tmp_path / "b", micropython_runtime, flash_blocks=16) as board:
        board.install({"main.py": main})
        kept = 0
        for _ in range(8):
            mark = len(board.events)
            board.start()
            board.wait_for("print", since=mark)
            time.sleep(rng.random() * 0.03)
            board.power_cut()
            said = int(board.printed[-1])
            now = int(board.files()["/count"])
            # What was said to be done is done; at most one more was under way.
            assert kept < said <= now <= said + 1
            kept = now


def test_cut_before_the_first_operation_can_be_repeated(tmp_path: Path, micropython_runtime: Runtime) -> None:
    """A test that runs forty cuts needs each to be the cut it asked for."""
    with VirtualBoard(tmp_path / "b", micropython_runtime, flash_blocks=16) as board:
        board.install({"main.py": "open('/a', 'w').close()"})
        for _ in range(3):
            mark = len(board.events)
            board.cut_at(1)
            board.mains_on()
            assert board.wait_for("mains_off", since=mark)["was_cut"]
            board.power_cut()
            assert "/a" not in board.files()
        with pytest.raises(BoardError, match="off"):
            board.query()
