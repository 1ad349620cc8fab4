"""The virtual board starts, stops, resets and is bounded as the chip is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sim.board.chip import layout
from sim.board.conductor import RING, diff30
from sim.board.virtual_board import BoardError, VirtualBoard, pid_lives
from tests.runtimes import ROOT, Runtime


@pytest.fixture
def board(tmp_path: Path, micropython_runtime: Runtime) -> Iterator[VirtualBoard]:
    with VirtualBoard(tmp_path / "board", micropython_runtime) as one:
        yield one


def run_main(board: VirtualBoard, main: str, until: str = "repl") -> list[str]:
    """Start a board with this main.py and return what it printed until then."""
    board.install({"main.py": main})
    board.start()
    board.wait_for(until)
    board.query()  # what was printed before has come
    board.power_cut()
    return board.printed


def test_unmodified_main_boots_with_the_chips_modules(board: VirtualBoard) -> None:
    """A firmware that needed changes to be simulated would not be the firmware that was tested."""
    printed = run_main(
        board,
        """
import sys, os, time, machine, network, esp32, espnow, asyncio, select, ssl, tls, socket
print("cause", machine.reset_cause() == machine.PWRON_RESET)
print("epoch", time.gmtime(0)[:3], time.time() < 5)
print("id", machine.unique_id())
print("root", os.listdir("/"), sys.path[-1], __name__)
print("modules", "host" if "ffi" in dir() else "chip")
""",
    )
    assert printed == [
        "cause True",
        "epoch (2000, 1, 1) True",
        "id b'\\x02\\x00\\x00\\x00\\x00\\x01'",
        "root ['main.py'] /lib __main__",
        "modules chip",
    ]


def test_program_that_ends_leaves_the_board_at_its_prompt(board: VirtualBoard) -> None:
    """An open prompt is how an uncaught exception looks on the chip: nobody controls the lamp then."""
    board.install({"main.py": "x = 1 // 0"})
    board.start()
    assert board.wait_for("repl")["why"] == "ZeroDivisionError"
    board.wait_print("ZeroDivisionError")


def test_heap_bound_binds(board: VirtualBoard) -> None:
    """A node that fits only because the computer has gigabytes would die on the pole."""
    printed = run_main(
        board,
        """
import gc
gc.collect()
print("free", gc.mem_free() > 100 * 1024)
big = bytearray(80 * 1024)
print("80 KiB fit")
big = None
gc.collect()
try:
    bytearray(120 * 1024)
    print("120 KiB fit")
except MemoryError:
    print("120 KiB do not")
""",
    )
    assert printed == ["free True", "80 KiB fit", "120 KiB do not"]
    boot = board.wait_for("boot")
    assert 105_000 < boot["max_free_block"] <= boot["heap_free"] < 114_000
    # A sanity bound only: what the board itself takes is outside of the program's heap.
    assert 0 < boot["heap_board_bytes"] < 110_000


def test_full_heap_can_still_be_asked_about(board: VirtualBoard) -> None:
    """The report that the heap is full must not be what the full heap kills."""
    board.install(
        {
            "main.py": """
import machine
hoard = []
pin = machine.Pin(2, machine.Pin.OUT)
try:
    while True:
        hoard.append(bytearray(64))
except MemoryError:
    hoard.append
while True:
    try:
        hoard = (hoard,)
    except MemoryError:
        break
pin.on()
while True:
    machine.idle()
"""
        }
    )
    board.start()
    board.wait_for("pin", n=2, v=1)
    assert board.query()["heap_free"] < 8000


def test_code_in_rom_costs_the_heap_nothing_to_speak_of(tmp_path: Path, micropython_runtime: Runtime) -> None:
    """The application runs from flash on the chip; were it counted here, the bound would bind too early."""
    from sim.board import rom

    source = tmp_path / "bulky.py"
    source.write_text("def f(x):\n" + "".join(f"    x = x * {n} + {n}\n" for n in range(900)) + "    return x\n")
    code = rom.compiled(source, "bulky.py")
    main = "import gc\ngc.collect(); a = gc.mem_alloc()\nimport bulky\ngc.collect(); print(gc.mem_alloc() - a)"
    costs = []
    for name, files, in_rom in (("rom", {}, {"bulky.mpy": code}), ("lib", {"lib/bulky.mpy": code}, None)):
        with VirtualBoard(tmp_path / name, micropython_runtime, rom_files=in_rom) as board:
            costs.append(int(run_main(board, main, "repl")[0]) if not files else _cost(board, main, files))
    assert len(code) > 5000
    assert costs[0] < 1500 < len(code) < costs[1]


def _cost(board: VirtualBoard, main: str, files: dict[str, bytes]) -> int:
    board.install(files)
    return int(run_main(board, main)[0])


def test_the_index_of_names_may_stand_outside_the_bound(tmp_path: Path, micropython_runtime: Runtime) -> None:
    """The board's own names make the interpreter's next index a block twice the chip's: a test may take that out."""
    main = "import gc\ngc.collect()\na = gc.mem_alloc()\nfor n in range(1500):\n    getattr(gc, 'name%d' % n, 0)\n"
    main += "gc.collect()\nprint(gc.mem_alloc() - a)"
    costs = []
    for outside in (False, True):
        with VirtualBoard(tmp_path / str(outside), micropython_runtime, names_outside=outside) as board:
            costs.append(int(run_main(board, main)[0]))
    assert costs[1] + 8_000 < costs[0]


def test_reset_starts_again_at_once_and_says_why(board: VirtualBoard) -> None:
    """The launcher decides by the reset cause and by the RTC memory, which resets leave alone."""
    printed = run_main(
        board,
        """
import machine, time
rtc = machine.RTC()
count = rtc.memory()
print(machine.reset_cause(), count, time.ticks_ms() < 500)
if count == b"":
    rtc.memory(b"1")
    rtc.datetime((2026, 11, 24, 0, 6, 0, 0, 0))
    time.sleep_ms(50)
    machine.reset()
print(time.gmtime()[:5])
if count == b"1":
    rtc.memory(b"2")
    time.sleep_ms(600)
    machine.soft_reset()
""",
    )
    assert printed == [
        "1 b'' True",
        "2 b'1' True",
        "(2026, 11, 24, 6, 0)",
        "5 b'2' False",
        "(2026, 11, 24, 6, 0)",
    ]


def test_power_cut_empties_the_rtc_and_keeps_the_flash(board: VirtualBoard) -> None:
    """Feeders are cut at dawn: what only the RTC knew is gone, what was closed on the flash is not."""
    board.install(
        {
            "main.py": """
import machine, os, time
rtc = machine.RTC()
print(machine.reset_cause(), rtc.memory(), "kept" in os.listdir("/"), time.time() < 5)
rtc.memory(b"here")
rtc.datetime((2026, 11, 24, 0, 6, 0, 0, 0))
with open("/kept", "w") as file:
    file.write("yes")
print("written")
while True:
    pass
"""
        }
    )
    board.start()
    board.wait_print("written")
    board.power_cut()  # SIGKILL, in a loop that never calls the board
    assert board.files()["/kept"] == b"yes"
    mark = len(board.events)
    board.mains_on()
    board.wait_print("written", since=mark)
    assert board.printed == ["1 b'' False True", "written", "1 b'' True True", "written"]


def test_brown_out_and_panic_look_as_on_the_chip(board: VirtualBoard) -> None:
    """The chip names neither; only the RTC memory, which lives through both, lets the launcher tell them apart."""
    board.install(
        {
            "main.py": """
import machine, time
rtc = machine.RTC()
before = rtc.memory()
rtc.memory(b"lived")
print(machine.reset_cause(), before)
while True:
    time.sleep(1)
"""
        }
    )
    board.start()
    board.wait_print("1 b''")
    board.brown_out()
    board.wait_print("1 b'lived'")
    board.panic()
    board.wait_print("2 b'lived'")


def test_watchdog_resets_a_program_that_waits_too_long(board: VirtualBoard) -> None:
    """A hung task must end in a reset, and the reset must be told from a power cut."""
    printed = run_main(
        board,
        """
import machine, time
if machine.reset_cause() == machine.WDT_RESET:
    print("bitten")
else:
    dog = machine.WDT(timeout=300)
    for _ in range(5):
        time.sleep_ms(100)
        dog.feed()
    print("fed")
    time.sleep(5)
    print("not reached")
""",
    )
    assert printed == ["fed", "bitten"]


def test_watchdog_resets_a_program_that_never_calls_anything(board: VirtualBoard) -> None:
    """The worst hang is one in which the board's own code never runs again: the host bites in its place."""
    board.install(
        {
            "main.py": """
import machine
if machine.reset_cause() == machine.WDT_RESET:
    print("bitten")
else:
    machine.WDT(timeout=200)
    while True:
        pass
"""
        }
    )
    board.start()
    board.wait_print("bitten")


def test_interrupts_are_soft_and_bounded(board: VirtualBoard) -> None:
    """The chip's queue is 8 deep: a storm of edges loses some, and code that counts on each edge fails on the pole."""
    board.install(
        {
            "main.py": """
import machine, time
count = 0
def edge(pin):
    global count
    count += 1
pin = machine.Pin(5, machine.Pin.IN)
pin.irq(edge, machine.Pin.IRQ_RISING)
print("ready")
while not count:
    time.sleep_ms(5)
time.sleep_ms(50)
print("first", count)
count = 0
start = machine.Pin(6, machine.Pin.IN)
while not start.value():
    pass
    start.value()
"""
            + "    time.ticks_ms()\nprint('storm', count)\n"
        }
    )
    board.start()
    board.wait_print("ready")
    board.press(5)
    board.wait_print("first 1")
    # One write of many edges: they reach the queue together, as edges within one long bytecode do.
    line = board._line
    assert line is not None
    line.sendall(b'{"op":"pin","n":5,"v":1}\n{"op":"pin","n":5,"v":0}\n' * 20)
    time.sleep(0.1)
    board.set_pin(6, 1)
    count = int(board.wait_print("storm")["text"].split()[1])
    lost = board.query()["irq_lost"]
    assert count + lost == 20
    assert 8 <= count < 20


def test_latency_from_edge_to_duty_is_measured_by_both_ends(board: VirtualBoard) -> None:
    """'Presence to light within a second' is a promise: it is measured, in real us, with stamps of one clock."""
    board.install(
        {
            "main.py": """
import machine, asyncio
flag = asyncio.ThreadSafeFlag()
lamp = machine.PWM(machine.Pin(18), freq=1000, duty_u16=6554)
machine.Pin(5, machine.Pin.IN).irq(lambda pin: flag.set(), machine.Pin.IRQ_RISING)
async def main():
    while True:
        await flag.wait()
        lamp.duty_u16(65535)
print("ready")
asyncio.run(main())
"""
        }
    )
    board.start()
    board.wait_print("ready")
    sent_us = board.press(5)
    event = board.wait_for("pwm", duty=65535, n=18)
    assert 0 < diff30(event["r"], sent_us % RING) < 500_000


def test_pwm_starts_at_half_where_no_duty_is_given(board: VirtualBoard) -> None:
    """Before MicroPython 1.26 a PWM without a duty is a lamp at half light for a moment: a driver must not do that."""
    run_main(board, "import machine\nmachine.PWM(machine.Pin(18))\nmachine.PWM(machine.Pin(18), duty_u16=0)")
    assert [event["duty"] for event in board.events if event["e"] == "pwm"] == [32768, 0]


def test_blank_flash_is_formatted_and_a_corrupted_one_stops_the_board(board: VirtualBoard) -> None:
    """A node whose file system does not mount prints for ever and drives nothing: hardware must light the lamp then."""
    board.start()
    assert board.wait_for("repl")["why"] == "no main.py"
    board.power_cut()
    flash = board.folder / "flash.bin"
    flash.write_bytes(b"\x00" * flash.stat().st_size)
    assert board.mains_on()["e"] == "fs_corrupted"


def test_nvs_survives_the_power_cut(board: VirtualBoard) -> None:
    """Counters against replay live in NVS as a second copy."""
    board.install(
        {
            "main.py": """
import esp32
nvs = esp32.NVS("site")
try:
    count = nvs.get_i32("boots")
except OSError as error:
    count = -5
nvs.set_i32("boots", count + 1)
nvs.set_blob("key", b"0123")
nvs.commit()
into = bytearray(8)
print(count, nvs.get_blob("key", into), into[:4])
"""
        }
    )
    for _ in range(2):
        mark = len(board.events)
        board.start()
        board.wait_for("repl", since=mark)
        board.power_cut()
    assert board.printed == ["-5 4 bytearray(b'0123')", "-4 4 bytearray(b'0123')"]


def test_mac_and_slots_agree_between_host_and_board() -> None:
    """Host and node read the same words; a field that one of them shifted would be a ghost in every test."""
    assert len(layout.SLOT_FIELDS) * 4 <= layout.SLOT_BYTES
    assert len(layout.CLOCK_FIELDS) * 4 <= layout.SLOTS_AT
    assert len(layout.RTC_FIELDS) * 4 <= layout.RTC_MEMORY_AT
    assert layout.RTC_MEMORY_AT + layout.RTC_MEMORY_BYTES <= layout.RTC_BYTES


def test_no_board_outlives_its_host(tmp_path: Path, micropython_runtime: Runtime) -> None:
    """A crashed test run must not leave boards that hold ports and burn the processor."""
    script = tmp_path / "host.py"
    script.write_text(
        f"""
import os, sys, time
from pathlib import Path
from sim.board.virtual_board import VirtualBoard
from tests.runtimes import known_runtimes
board = VirtualBoard(Path({str(tmp_path / "b")!r}), known_runtimes()[{micropython_runtime.name!r}])
board.install({{"main.py": "print('up')\\nwhile True:\\n    pass"}})
board.start()
board.wait_print("up")
print(board._process.pid, flush=True)
os._exit(0)
"""
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    pid = int(done.stdout)
    until = time.monotonic() + 5
    while pid_lives(pid) and time.monotonic() < until:
        time.sleep(0.01)
    assert not pid_lives(pid)


def test_what_cannot_be_is_refused(tmp_path: Path, micropython_runtime: Runtime) -> None:
    """A test that waits for what cannot come must end with the board's last words, not with a hang."""
    with VirtualBoard(tmp_path / "b", micropython_runtime) as board:
        with pytest.raises(BoardError, match="is off"):
            board.set_pin(1, 1)
        board.start()
        with pytest.raises(BoardError, match="in use"):
            board.install({"x": b""})
        with pytest.raises(BoardError, match="nothing within"):
            board.wait_for("never", timeout_s=0.05)
