"""The virtual board on a serial line: the real mpremote takes it for a board."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from sim.board.virtual_board import VirtualBoard
from tests.runtimes import Runtime

MAIN = """
import asyncio
async def main():
    while True:
        await asyncio.sleep(1)
        print("tick")
asyncio.run(main())
"""


def mpremote(board: VirtualBoard, folder: Path, *arguments: str) -> str:
    """Run mpremote against a board; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "mpremote", "connect", board.serial_path, *arguments],
        cwd=folder,
        # No user's own configuration: mpremote would execute it.
        env={**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_real_mpremote_finds_a_board(tmp_path: Path, micropython_runtime: Runtime) -> None:
    """Installers use mpremote: what the project's verbs do with it must be tried without a drawer of boards."""
    content = bytes(range(256)) * 5
    (tmp_path / "table.bin").write_bytes(content)
    with VirtualBoard(tmp_path / "b", micropython_runtime, serial=True) as board:
        board.install({"main.py": MAIN})
        board.start()
        assert mpremote(board, tmp_path, "exec", "print(6 * 7)").strip() == "42"
        assert "main.py" in mpremote(board, tmp_path, "fs", "ls")
        mpremote(board, tmp_path, "fs", "cp", "table.bin", ":table.bin")
        mark = len(board.events)
        mpremote(board, tmp_path, "reset")
        board.wait_for("boot", since=mark, cause=2)
        board.wait_print("tick", since=mark)
        board.power_cut()
        assert board.files()["/table.bin"] == content
