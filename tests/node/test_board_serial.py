"""The virtual board on a serial line: the real mpremote takes it for a board."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from typer.testing import CliRunner, Result

from firmware.system.boot_files import lamp_file
from host_tools.cli import app
from sim.board.virtual_board import VirtualBoard
from tests.node.whole_node import DIMMER_PIN, Town
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


def test_an_installer_opens_a_delivered_node_by_its_own_key(tmp_path: Path, micropython_runtime: Runtime) -> None:
    """On a delivered node nothing typed opens the prompt. `reverbere node service` proves the node's own key over the
    line, the lamp goes to its safe level, the real mpremote gets in, and the node's log has it; another node's key is
    refused and logged too."""
    town = Town(tmp_path / "town")
    try:
        board = town.board(micropython_runtime, serial=True)
        board.start()
        town.wait_for("status", timeout_s=60)
        (town.keys.folder / "nodes" / "L003.service.key").rename(tmp_path / "right")
        (town.keys.folder / "nodes" / "L003.service.key").write_bytes(bytes(range(32)))
        (town.keys.folder / "nodes" / "L003.service.key").chmod(0o600)
        refused = service(town, board)
        assert refused.exit_code == 1 and "L003 refuses the proof" in refused.stdout, refused.output
        (tmp_path / "right").rename(town.keys.folder / "nodes" / "L003.service.key")
        other = service(town, board, "L001")
        assert other.exit_code == 1 and "this is L003, and not L001" in other.stdout
        mark = len(board.events)
        opened = service(town, board, "L003")
        assert opened.exit_code == 0 and "L003 has opened its prompt" in opened.stdout, opened.output
        board.wait_for("repl", since=mark)
        assert [event["duty"] for event in board.events if event["e"] == "pwm"][-1] == 65535
        log = mpremote(board, tmp_path, "resume", "exec", SHOW_LOG)
        assert "service mode refused" in log and "service mode opened by proof" in log
    finally:
        town.close()


def test_a_held_service_pin_opens_the_prompt_and_is_logged(tmp_path: Path, micropython_runtime: Runtime) -> None:
    """Who has the pole open and bridges a pin gets in without a key: that is a physical act, and it must leave a trace,
    though the installer only pulls the plug when he is done."""
    town = Town(tmp_path / "town")
    try:
        board = town.board(micropython_runtime, serial=True)
        board.install({"boot.lamp": lamp_file([(1, DIMMER_PIN, 0, 0, 4000, 1000)], service_pin=13)})
        board.prepare({"pin": {"13": {"model": "sim.board.chips.presence_pin:PresencePinModel", "name": "bridge"}}}, [])
        board.start()
        board.wait_for("repl")
        assert mpremote(board, tmp_path, "resume", "exec", "print(6 * 7)").strip() == "42"
        assert [event["duty"] for event in board.events if event["e"] == "pwm"][-1] == 65535
        board.power_cut()
        board.prepare({}, [])
        board.start()
        town.wait_for("event", lambda twin: twin["message"] == "boot", timeout_s=60)
        time.sleep(6)
        board.power_cut()
        files = board.files()
        assert b"service pin" in b"".join(data for path, data in files.items() if "/errors." in path), sorted(files)
        assert "/boot.err" not in files
    finally:
        town.close()


SHOW_LOG = """
import os
for name in os.listdir('/data/store'):
    if name[:6] == 'errors':
        print(open('/data/store/' + name, 'rb').read())
"""


def service(town: Town, board: VirtualBoard, *node: str) -> Result:
    """Run `reverbere node service` at the board's serial line."""
    options = ["node", "service", board.serial_path, *node, "--keys", str(town.keys.folder)]
    return CliRunner().invoke(app, options, env={"COLUMNS": "200"})
