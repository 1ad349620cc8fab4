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


CLOCKED = """
import time
print("first", time.ticks_ms())
time.sleep_ms(5000)
print("turn", time.ticks_ms())
"""


def test_boards_started_while_time_is_held_have_the_same_first_moment(tmp_path: Path, micropython_runtime: Runtime):
    """Twelve lamps on one feeder start at one moment, and twelve processes of one computer do not. Time that is held
    until all of them wait gives them one, and turns that fall together run side by side ever after."""
    with Street(tmp_path, 1000, slack_us=SLACK_MS * 1000) as street:
        conductor = street.conductor
        boards = [street.board(f"b{number}", micropython_runtime) for number in range(3)]
        conductor.hold()
        before_us = conductor.now_us()
        for board in boards:
            board.install({"main.py": CLOCKED})
            board.start()
        firsts = [int(board.wait_print("first", 20)["text"].split()[1]) for board in boards]
        assert len(set(firsts)) == 1 and conductor.now_us() == before_us
        end = time.monotonic() + 20
        while not conductor.are_waiting():
            assert time.monotonic() < end
            time.sleep(0.01)
        assert conductor.now_us() == before_us
        conductor.release()
        for board in boards:
            turn = int(board.wait_print("turn", 20)["text"].split()[1])
            assert 0 <= turn - firsts[0] - 5000 <= SLACK_MS + BUSY_MS
        with pytest.raises(ValueError, match="jump"), Street(tmp_path / "jump", 1, jump=True) as alone:
            alone.conductor.hold()


def test_strides_end_where_they_are_told_to(tmp_path: Path, micropython_runtime: Runtime):
    """Whoever looks at a night at midnight must not find it at two. So no stride goes beyond the moment that was asked
    for, however long everybody sleeps."""
    with Street(tmp_path, 1000, slack_us=SLACK_MS * 1000) as street:
        board = street.board("one", micropython_runtime)
        board.install({"main.py": "import time\nwhile True:\n time.sleep_ms(3600000)\n"})
        board.start()
        end_us = street.conductor.now_us() + 90_000_000
        street.conductor.until_us = end_us
        street.conductor.rate = 100_000
        end = time.monotonic() + 10
        while street.conductor.now_us() < end_us:
            assert time.monotonic() < end
            time.sleep(0.01)
        time.sleep(0.2)
        # From there on it is real time.
        assert street.conductor.now_us() - end_us < 2_000_000
