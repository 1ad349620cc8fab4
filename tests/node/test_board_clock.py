"""Virtual time on the board: the chip's ticks and epoch, and days that pass in seconds."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sim.board.conductor import Conductor, diff30
from sim.board.virtual_board import Street, VirtualBoard
from tests.runtimes import Runtime

DAY_S = 86_400


def test_ticks_wrap_as_on_the_chip(tmp_path: Path, micropython_runtime: Runtime) -> None:
    """The unix port's ticks never wrap, the chip's do every 12.4 days: such faults show after a fortnight."""
    main = """
import time, asyncio
async def main():
    last = time.ticks_ms()
    wraps = 0
    for _ in range(13):
        for _ in range(24):
            await asyncio.sleep(3600)
            now = time.ticks_ms()
            if now < last:
                wraps += 1
                print("wrap", last > 2**30 - 3601000, now < 3601000, time.ticks_diff(now, last) // 1000)
            last = now
    print("wraps", wraps)
    print(time.ticks_add(2**30 - 1, 5), time.ticks_diff(3, 2**30 - 2), time.ticks_us() < 2**30)
    try:
        time.ticks_add(0, 2**29)
    except OverflowError:
        print("too far")
    start = time.ticks_ms()
    await asyncio.sleep_ms(700)
    print("slept", time.ticks_diff(time.ticks_ms(), start) >= 700)
asyncio.run(main())
"""
    with VirtualBoard(tmp_path / "b", micropython_runtime, jump=True) as board:
        board.install({"main.py": main})
        board.start()
        board.wait_for("repl", timeout_s=20)
        board.query()
        assert board.printed == ["wrap True True 3600", "wraps 1", "4 5 True", "too far", "slept True"]


def test_asyncio_orders_across_the_wrap(tmp_path: Path, micropython_runtime: Runtime) -> None:
    """A queue that compares ticks without the ring stops every task for 12 days at the wrap."""
    main = """
import time, asyncio
async def every(ms, name, count):
    for _ in range(count):
        await asyncio.sleep_ms(ms)
        order.append(name)
order = []
async def main():
    while time.ticks_ms() < 2**30 - 100000000:
        await asyncio.sleep_ms(100000000 - 1000)
    await asyncio.sleep_ms(2**30 - 1000 - time.ticks_ms())
    before = time.ticks_ms()
    await asyncio.gather(every(300, "a", 10), every(500, "b", 6))
    print(before > 2**30 - 1100, time.ticks_diff(time.ticks_ms(), before) // 10, "".join(order))
    try:
        await asyncio.wait_for(asyncio.sleep_ms(5000), 1) if 0 else await asyncio.wait_for(every(5000, "x", 1), 1)
    except asyncio.TimeoutError:
        print("timeout", time.ticks_diff(time.ticks_ms(), before) // 100)
asyncio.run(main())
"""
    with VirtualBoard(tmp_path / "b", micropython_runtime, jump=True) as board:
        board.install({"main.py": main})
        board.start()
        board.wait_for("repl", timeout_s=20)
        board.query()
        assert board.printed[0].startswith("True 30")
        order = board.printed[0].split()[-1]
        assert sorted(order) == sorted("a" * 10 + "b" * 6)
        assert order.startswith("abaab")
        assert board.printed[1] == "timeout 40"


def test_thirty_days_pass_in_seconds_and_the_calendar_is_right(tmp_path: Path, micropython_runtime: Runtime) -> None:
    """Leaks, wraps and drift show after weeks; a test that cannot run weeks cannot show them."""
    main = """
import time, asyncio, machine
machine.RTC().datetime((2028, 2, 1, 0, 12, 0, 0, 0))
async def main():
    for _ in range(30 * 24):
        await asyncio.sleep(1800)
        time.sleep(1800)
    print(time.gmtime(), time.time())
asyncio.run(main())
"""
    with VirtualBoard(tmp_path / "b", micropython_runtime, jump=True) as board:
        board.install({"main.py": main})
        started = time.monotonic()
        board.start()
        board.wait_for("repl", timeout_s=20)
        board.query()
        assert time.monotonic() - started < 15
        # 2028 is a leap year: 1 February + 30 days is 2 March, a Thursday. Day counts from Python's own datetime.
        assert board.printed[0].startswith("(2028, 3, 2, 12, 0, ")
        assert ", 3, 62)" in board.printed[0]
        assert board.wait_for("repl")["t"] == pytest.approx(30 * DAY_S, abs=60)


def test_a_thousandfold_rate_is_kept_and_no_deadline_is_passed(tmp_path: Path, micropython_runtime: Runtime) -> None:
    """Accelerated nodes must see the same order of things as real ones: nobody may wake late in virtual time."""
    main = """
import time, asyncio
worst = 0
async def main():
    global worst
    for _ in range(60):
        start = time.ticks_ms()
        await asyncio.sleep(10)
        worst = max(worst, time.ticks_diff(time.ticks_ms(), start) - 10000)
    print(worst)
asyncio.run(main())
"""
    with VirtualBoard(tmp_path / "b", micropython_runtime, rate=1000) as board:
        board.install({"main.py": main})
        started = time.monotonic()
        board.start()
        end = board.wait_for("repl", timeout_s=20)
        board.query()
        took = time.monotonic() - started
        assert end["t"] >= 600
        assert took < 6  # 0.6 s at x1000, and the computer's own work
        assert int(board.printed[0]) <= 50


def test_scripted_events_come_at_their_virtual_second(tmp_path: Path, micropython_runtime: Runtime) -> None:
    """A month of passers is told ahead; each must arrive at its own moment, also where the board jumps there."""
    script = [(DAY_S * day + 7.25, {"op": "pin", "n": 5, "v": day % 2}) for day in range(1, 21)]
    main = """
import time, machine, asyncio
seen = []
flag = asyncio.ThreadSafeFlag()
pin = machine.Pin(5, machine.Pin.IN)
def edge(pin):
    seen.append(time.time())
    flag.set()
pin.irq(edge)
async def main():
    while len(seen) < 20:
        await flag.wait()
    print([s // 86400 for s in seen] == list(range(1, 21)), [s % 86400 for s in seen] == [7] * 20)
asyncio.run(main())
"""
    with VirtualBoard(tmp_path / "b", micropython_runtime, jump=True, script=script) as board:
        board.install({"main.py": main})
        board.start()
        board.wait_for("repl", timeout_s=20)
        board.query()
        assert board.printed == ["True True"]


def test_timers_and_sleep_us_follow_virtual_time(tmp_path: Path, micropython_runtime: Runtime) -> None:
    """Drivers time pulses and timers count: both must be virtual, or they disagree with everything else."""
    main = """
import time, machine
ticks = 0
def tick(timer):
    global ticks
    ticks += 1
timer = machine.Timer(0)
timer.init(period=250, callback=tick)
time.sleep(3600)
timer.deinit()
print(14390 < ticks <= 14400)
start = time.ticks_us()
time.sleep_us(1500)
print(1500 <= time.ticks_diff(time.ticks_us(), start) < 60000)
once = machine.Timer(1, mode=machine.Timer.ONE_SHOT, period=100, callback=lambda t: print("once"))
time.sleep(2)
"""
    with VirtualBoard(tmp_path / "b", micropython_runtime, jump=True) as board:
        board.install({"main.py": main})
        board.start()
        board.wait_for("repl", timeout_s=20)
        board.query()
        assert board.printed == ["True", "True", "once"]


@pytest.mark.parametrize("mode", ["rate", "jump"])
def test_watchdog_counts_virtual_seconds(tmp_path: Path, micropython_runtime: Runtime, mode: str) -> None:
    """A watchdog on real time would bite every accelerated night, or none."""
    main = """
import machine, asyncio
async def main():
    if machine.reset_cause() == machine.WDT_RESET:
        print("bitten")
        return
    dog = machine.WDT(timeout=30000)
    for _ in range(30):
        await asyncio.sleep(20)
        dog.feed()
    print("fed for ten minutes")
    await asyncio.sleep(60)
    print("not reached")
asyncio.run(main())
"""
    settings = {"rate": 1000} if mode == "rate" else {"jump": True}
    with VirtualBoard(tmp_path / "b", micropython_runtime, **settings) as board:
        board.install({"main.py": main})
        board.start()
        board.wait_print("bitten", timeout_s=20)
        assert board.printed == ["fed for ten minutes", "bitten"]
        reset = board.wait_for("reset")
        assert reset["cause"] == 3
        assert 630 <= reset["t"] < 670


def test_boards_of_a_street_share_one_clock(tmp_path: Path, micropython_runtime: Runtime) -> None:
    """A wave of light runs through lamps that must agree on when; one that is cut and comes back must agree too."""
    main = """
import time, asyncio
async def main():
    while True:
        await asyncio.sleep(30)
        print("beat")
asyncio.run(main())
"""
    with Street(tmp_path / "street", rate=200) as street:
        boards = [street.board(name, micropython_runtime) for name in ("a", "b")]
        for board in boards:
            board.install({"main.py": main})
            board.start()
        for board in boards:
            board.wait_for(lambda event: event["e"] == "print" and event["t"] > 100, timeout_s=20)
        boards[0].power_cut()
        mark = len(boards[0].events)
        again = boards[0].start()
        beat = boards[0].wait_for("print", since=mark)
        assert beat["t"] - again["t"] == pytest.approx(30, abs=15)
        assert abs(boards[1].events[-1]["t"] - beat["t"]) < 60


def test_conductors_clock_never_goes_back(tmp_path: Path) -> None:
    """Time that goes back by a millisecond makes a wait of twelve days out of a difference of ticks."""
    conductor = Conductor(tmp_path / "street.bin", rate=500)
    try:
        last = conductor.now_us()
        until = time.monotonic() + 0.2
        while time.monotonic() < until:
            now = conductor.now_us()
            assert now >= last
            last = now
        with pytest.raises(ValueError, match="1 to 1000"):
            conductor.rate = 5000
    finally:
        conductor.stop()
    assert diff30(5, 2**30 - 5) == 10
