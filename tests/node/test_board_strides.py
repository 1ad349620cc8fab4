"""A street of many boards runs side by side: each a little late, and never later than was allowed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from firmware.drivers.ds3231 import decode
from sim.board.chips.ds3231 import Ds3231Model
from sim.board.virtual_board import BoardError, Street
from tests.runtimes import Runtime

SLACK_MS = 200
# What a loaded computer adds while a board is busy, when virtual time is real time.
BUSY_MS = 150

MAIN = """
import time
late = 0
start = due = time.ticks_ms()
for i in range(60):
    due = time.ticks_add(due, PERIOD)
    time.sleep_ms(max(0, time.ticks_diff(due, time.ticks_ms())))
    late = max(late, time.ticks_diff(time.ticks_ms(), due))
print("late", late)
"""


def test_no_board_is_later_than_the_slack(tmp_path: Path, micropython_runtime: Runtime) -> None:
    """Figures of the demo would mean nothing if a lamp could oversleep a passer by an unknown time."""
    with Street(tmp_path, 1000, slack_us=SLACK_MS * 1000) as street:
        boards = [street.board(f"b{period}", micropython_runtime) for period in (333, 410, 505)]
        begun = time.monotonic()
        for board, period in zip(boards, (333, 410, 505), strict=True):
            board.install({"main.py": MAIN.replace("PERIOD", str(period))})
            board.start()
        for board in boards:
            late = int(board.wait_print("late", 30)["text"].split()[1])
            assert 0 <= late <= SLACK_MS + BUSY_MS
        # 20 to 30 virtual seconds each, all at once.
        assert time.monotonic() - begun < 20


def test_script_and_wiring_change_only_while_the_board_is_off(tmp_path: Path, micropython_runtime: Runtime) -> None:
    """A script that changed under a running board would be read half from the old one."""
    main = (
        "import machine, time\npin = machine.Pin(5, machine.Pin.IN)\n"
        "while not pin.value():\n time.sleep_ms(20)\nprint('seen')\n"
    )
    with Street(tmp_path, 1000, slack_us=SLACK_MS * 1000) as street:
        board = street.board("one", micropython_runtime)
        board.install({"main.py": main})
        board.start()
        with pytest.raises(BoardError, match="power_cut"):
            board.prepare({}, [])
        with pytest.raises(ValueError, match="late"):
            street.conductor.skip(1)
        board.power_cut()
        before = street.now_s
        street.conductor.skip(1_200_000_000)
        assert 1200 <= street.now_s - before < 1210
        board.prepare({}, [(street.now_s + 30, {"op": "pin", "n": 5, "v": 1})])
        mark = len(board.events)
        board.start()
        board.wait_print("seen", 20, since=mark)


def test_clock_chip_has_the_time_that_its_battery_kept() -> None:
    """After a power cut a node has nothing but this chip to tell it the hour."""
    chip = Ds3231Model((2026, 3, 20, 18, 51, 9))
    chip.written(bytes([0]))
    assert decode(chip.read(7)) == (9575, 18 * 3600 + 51 * 60 + 9)
    chip.written(bytes([0x0F]))
    assert not chip.read(1)[0] & 0x80
    chip.tick(61_000)
    chip.written(bytes([0]))
    assert decode(chip.read(7)) == (9575, 18 * 3600 + 52 * 60 + 10)
