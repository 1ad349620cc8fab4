"""A virtual ESP32 board: `firmware/main.py`, unmodified, as a process of MicroPython's unix port.

The host's side: it builds the flash image, starts the interpreter on sim/board/chip/boot.py, is the mains, the sensors
and the oscilloscope, and starts the process again when the chip resets. See sim/board/README.md.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from . import flash_image, rom
from .chip import layout
from .conductor import ANSWER_US, RING, Conductor, map_file, monotonic_us, rtc_words
from .serial_front import SerialFront

HEAP_BYTES = 110 * 1024
"""What an application finds free on a classic ESP32 with stock MicroPython, as this project budgets it."""

BOARD_HEAP_BYTES = 80 * 1024
BOARD_HEAP_STEP_BYTES = 24 * 1024
BOARD_HEAP_MAX_BYTES = 1024 * 1024
"""What the interpreter is given beside it at first, and at most; the board takes what it needs and blocks the rest
(chip/start.py). More where it does not suffice: each collection of garbage looks through all that is blocked."""

NVS_BYTES = 16384
EVENTS_MAX = 200_000
RESETS_MAX_PER_S = 50
WAIT_S = 10.0
_BOOT_PY = Path(__file__).parent / "chip" / "boot.py"
_CUT_MODES = {"before": 1, "after": 2, "half": 3, "random": 4}
_RESETS = {
    layout.EXIT_HARD_RESET: layout.HARD_RESET,
    layout.EXIT_SOFT_RESET: layout.SOFT_RESET,
    layout.EXIT_WDT_RESET: layout.WDT_RESET,
    layout.EXIT_DEEPSLEEP: layout.DEEPSLEEP_RESET,
}

Event = dict[str, Any]


class BoardError(Exception):
    """The board did not do what was waited for; the message has its last events."""


class Runtime(Protocol):
    """What of tests.runtimes.Runtime is needed here."""

    @property
    def command(self) -> list[str]:
        """The interpreter and how to start it."""

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment to start it with."""


class Street:
    """Boards with one clock and one radio. `rate` is 1 to 1000; `jump=True` is for one board alone."""

    def __init__(
        self,
        folder: Path,
        rate: int = 1,
        jump: bool = False,
        world_s: int = 0,
        start_s: int = 0,
        answer_us: int = ANSWER_US,
        slack_us: int = 0,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.conductor = Conductor(folder / "street.bin", rate, jump, world_s, start_s, answer_us, slack_us)
        self.boards: list[VirtualBoard] = []

    def board(self, name: str, runtime: Runtime, **settings: Any) -> VirtualBoard:
        """Add a board, in a folder of that name."""
        return VirtualBoard(self.folder / name, runtime, street=self, **settings)

    def add(self, board: VirtualBoard) -> int:
        """Give a board its place (called by the board)."""
        if self.conductor.is_jump and self.boards:
            raise ValueError("in jump mode a street has one board; give a rate for several")
        self.boards.append(board)
        return len(self.boards) - 1

    @property
    def now_s(self) -> float:
        """Virtual seconds since the street began."""
        return self.conductor.now_us() / 1e6

    def close(self) -> None:
        """Stop every board and the clock."""
        for board in self.boards:
            board.stop()
        self.conductor.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class VirtualBoard:
    """One board in a folder: its flash, NVS and RTC live there. Everything it says is in `events`.

    States: "off" (no mains), "on", "crashed" (the interpreter died by itself: a fault of this board or of MicroPython).
    """

    def __init__(
        self,
        folder: Path,
        runtime: Runtime,
        heap_bytes: int = HEAP_BYTES,
        *,
        street: Street | None = None,
        rate: int = 1,
        jump: bool = False,
        world_s: int = 0,
        start_s: int = 0,
        wiring: Mapping[str, Any] | None = None,
        wifi: Mapping[str, Any] | None = None,
        mac: str | None = None,
        flash_blocks: int = flash_image.BLOCKS,
        rom_files: Mapping[str, bytes] | None = None,
        script: Sequence[tuple[float, Mapping[str, Any]]] = (),
        serial: bool = False,
        names_outside: bool = False,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.runtime = runtime
        self.heap_bytes = heap_bytes
        self._given_bytes = 0
        self._names_outside = names_outside
        self._owns_street = street is None
        self.street = street or Street(folder, rate, jump, world_s, start_s)
        self.number = self.street.add(self)
        self.mac = mac or f"0200000000{self.number + 1:02x}"
        self._slot = self.street.conductor.slot(self.number)
        self._wiring = dict(wiring or {})
        self._wifi = dict(wifi or {})
        self._flash_path = folder / "flash.bin"
        if not self._flash_path.exists():
            flash_image.create(self._flash_path, flash_blocks)
        self._nvs = map_file(folder / "nvs.bin", NVS_BYTES)
        self._rtc_memory = map_file(folder / "rtc.bin", layout.RTC_BYTES)
        self._rtc = rtc_words(self._rtc_memory)
        self._board_rom = self._write("board.rom", _board_rom())
        self._app_rom = self._write("app.rom", rom.image(rom_files)) if rom_files else None
        self._script = self._write_script(script)
        self.events: list[Event] = []
        self._changed = threading.Condition()
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._keeper: threading.Thread | None = None
        self._has_mains = False
        self._killed_as = 0
        self.state = "off"
        self._query = 0
        self.tape: Path | None = None
        """Where each start from now on writes down its flash operations (flash_tape.py); None: nowhere."""
        self._serial = SerialFront() if serial else None

    # -- what is on the flash ------------------------------------------------------------------------------------

    def install(self, files: Mapping[str, bytes | str]) -> None:
        """Write files to the flash; only while the board is off."""
        if self._has_mains:
            raise BoardError("the flash is in use: call power_cut() first")
        flash_image.install(self._flash_path, files)

    def prepare(self, wiring: Mapping[str, Any], script: Sequence[tuple[float, Mapping[str, Any]]]) -> None:
        """Give the next start another wiring and script; only while the board is off."""
        if self._has_mains:
            raise BoardError("the script is being read: call power_cut() first")
        self._wiring = dict(wiring)
        self._script = self._write_script(script)

    def files(self) -> dict[str, bytes]:
        """Return the files on the flash, as they are now."""
        return flash_image.files(self._flash_path)

    def _write(self, name: str, data: bytes) -> tuple[str, int]:
        path = self.folder / name
        path.write_bytes(data)
        return str(path), len(data)

    def _write_script(self, script: Sequence[tuple[float, Mapping[str, Any]]]) -> tuple[str, int] | None:
        if not script:
            return None
        lines = []
        for at_s, operation in sorted(script, key=lambda entry: entry[0]):
            ms = round(at_s * 1000)
            line = f"{ms // 1000} {ms % 1000} {json.dumps(dict(operation), separators=(',', ':'))}\n"
            if len(line) > 500:
                raise ValueError(f"a script line beyond 500 bytes: {line[:80]}...")
            lines.append(line)
        return self._write("script.txt", "".join(lines).encode() + bytes(4096))

    # -- mains ---------------------------------------------------------------------------------------------------

    def start(self, timeout_s: float = WAIT_S) -> Event:
        """Switch the mains on; return the boot event."""
        return self.mains_on(timeout_s)

    def mains_on(self, timeout_s: float = WAIT_S) -> Event:
        """Switch the mains on: power-on reset, RTC empty, flash and NVS as they were. Return the boot event."""
        if self._has_mains:
            raise BoardError("the mains are on already")
        if self._keeper is not None:
            self._keeper.join(timeout=WAIT_S)
        mark = len(self.events)
        self._rtc_memory[:] = bytes(layout.RTC_BYTES)
        self._rtc["cause"] = layout.PWRON_RESET
        self._rtc["set_at_s"] = self.street.conductor.now_us() // 1_000_000
        self._slot["flash_ops"] = 0
        self._slot["was_cut"] = 0
        self._slot["wdt_armed"] = 0
        self._slot["stay_raw"] = 0
        self._has_mains = True
        self.state = "on"
        # The kernel kills the board with the thread that started it, so it is started by one that lives as long.
        self._keeper = threading.Thread(target=self._keep, name=f"board {self.folder.name}", daemon=True)
        self._keeper.start()
        return self.wait_for(
            lambda event: event["e"] in ("boot", "fs_corrupted", "crash", "mains_off"), timeout_s, since=mark
        )

    def power_cut(self) -> None:
        """Cut the mains now, whatever the board does: the process is killed, the flash is as it is."""
        self._has_mains = False
        if self._process is not None:
            self._process.kill()
        if self._keeper is not None:
            self._keeper.join(timeout=WAIT_S)
            self._keeper = None

    def brown_out(self, timeout_s: float = WAIT_S) -> Event:
        """Let the supply dip: the chip says power-on, but its RTC memory has lived. Return the boot event."""
        return self._reset_as(layout.PWRON_RESET, timeout_s)

    def panic(self, timeout_s: float = WAIT_S) -> Event:
        """Let the chip panic, as a fault in its C code does: a hard reset nobody asked for. Return the boot event."""
        return self._reset_as(layout.HARD_RESET, timeout_s)

    def _reset_as(self, cause: int, timeout_s: float) -> Event:
        process = self._process
        if process is None or not self._has_mains:
            raise BoardError("the board is off")
        mark = len(self.events)
        self._killed_as = cause
        process.kill()
        return self.wait_for("boot", timeout_s, since=mark)

    def cut_at(self, operation: int, mode: str = "before") -> None:
        """Cut the mains at the n-th flash operation (program, erase, sync) from power on; 0 takes it back.

        `mode`: "before" it, "after" it, "half" of its bytes, "random" bytes of it. Set it before `mains_on()`.
        """
        self._slot["cut_mode"] = _CUT_MODES[mode]
        self._slot["seed"] = operation * 7919 % RING
        self._slot["cut_at"] = operation

    @property
    def flash_operations(self) -> int:
        """Flash operations since power on."""
        return self._slot["flash_ops"]

    @property
    def wakes(self) -> int:
        """How often it has waited for time to pass since it started last: what an idle program costs."""
        return self._slot["wakes"]

    @property
    def serial_path(self) -> str:
        """The terminal that is this board's serial line, for mpremote; the board was made with `serial=True`."""
        if self._serial is None:
            raise BoardError("this board has no serial line: make it with serial=True")
        return self._serial.path

    @property
    def is_on(self) -> bool:
        """Tell whether the board has current."""
        return self._has_mains

    def stop(self) -> None:
        """Cut the mains and give back what was taken; a board of its own street stops that too."""
        self.power_cut()
        if self._serial is not None:
            self._serial.close()
        if self._owns_street:
            self.street.conductor.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- the world -----------------------------------------------------------------------------------------------

    def send(self, operation: str, **more: Any) -> int:
        """Send an operation over the control line; return CLOCK_MONOTONIC in us of the sending."""
        line = self._line
        if line is None:
            raise BoardError(f"the board is {self.state}: it cannot be told {operation!r}")
        data = json.dumps({"op": operation, **more}, separators=(",", ":")).encode() + b"\n"
        stamp = monotonic_us()
        try:
            line.sendall(data)
        except OSError:
            raise BoardError(f"the board went off while it was told {operation!r}") from None
        return stamp

    def set_pin(self, number: int, level: int | None) -> int:
        """Put a level on a pin from outside; None lets go of it."""
        return self.send("pin", n=number, v=level)

    def press(self, number: int, hold_s: float = 0.05) -> int:
        """Put 1 on a pin, and 0 after `hold_s` of real time; return us of the rising edge."""
        stamp = self.set_pin(number, 1)
        time.sleep(hold_s)
        self.set_pin(number, 0)
        return stamp

    def set_adc(self, number: int, microvolts: int) -> int:
        """Put a voltage on an ADC pin."""
        return self.send("adc", n=number, uv=microvolts)

    def set_wifi(self, has_access_point: bool) -> int:
        """Take the access point away, or bring it back."""
        return self.send("wifi", ap=int(has_access_point))

    def set_fault(self, name: str, fault: str) -> int:
        """Make a model misbehave; see chips/buses.py for the kinds."""
        return self.send("fault", name=name, fault=fault)

    def watch(self, bus: str) -> int:
        """Have the traffic of all buses of a kind ("i2c", "uart") told as events: n, addr, and out or in in hex."""
        return self.send("watch", bus=bus)

    def model(self, name: str, what: str, timeout_s: float = WAIT_S) -> Any:
        """Return an attribute of a model, as it is now."""
        mark = len(self.events)
        self.send("get", name=name, what=what)
        asked = ("got", name, what)
        got = self.wait_for(
            lambda event: (event["e"], event.get("name"), event.get("what")) == asked, timeout_s, since=mark
        )
        return got["value"]

    def query(self, timeout_s: float = WAIT_S) -> Event:
        """Ask for heap and counters: heap_board_bytes, heap_free, heap_used, max_free_block, irq_lost, flash_ops.

        When it returns, what was printed before is in `events` too (not so with a serial line).
        """
        self._query += 1
        number = self._query
        self.send("query", id=number)
        if self._serial is None:
            self.wait_for("printed", timeout_s, id=number)
        return self.wait_for(lambda event: event["e"] == "answer" and event["id"] == number, timeout_s)

    # -- what it says --------------------------------------------------------------------------------------------

    def wait_for(
        self, what: str | Callable[[Event], bool], timeout_s: float = WAIT_S, since: int = 0, **members: Any
    ) -> Event:
        """Return the first event from index `since` on of this kind (or for which `what` is true) with these members.

        BoardError after `timeout_s` of real time, or at once where the board has crashed.
        """
        until = time.monotonic() + timeout_s
        at = since
        with self._changed:
            while True:
                while at < len(self.events):
                    event = self.events[at]
                    at += 1
                    is_it = what(event) if callable(what) else event["e"] == what
                    if is_it and all(event.get(name) == value for name, value in members.items()):
                        return event
                left = until - time.monotonic()
                if self.state == "crashed" or left <= 0:
                    what_name = what if isinstance(what, str) else getattr(what, "__name__", "it")
                    why = "the board crashed" if self.state == "crashed" else f"nothing within {timeout_s:g} s"
                    raise BoardError(f"waiting for {what_name} {members or ''}: {why}. {self._tail()}")
                self._changed.wait(left)

    def wait_print(self, text: str, timeout_s: float = WAIT_S, since: int = 0) -> Event:
        """Return the first printed line that contains the text."""
        return self.wait_for(lambda event: event["e"] == "print" and text in event["text"], timeout_s, since)

    @property
    def printed(self) -> list[str]:
        """The lines the program has printed."""
        with self._changed:
            return [event["text"] for event in self.events if event["e"] == "print"]

    def _tail(self) -> str:
        return "Last events:\n" + "\n".join(str(event) for event in self.events[-15:])

    def _note(self, event: Event) -> None:
        with self._changed:
            if len(self.events) < EVENTS_MAX:
                self.events.append(event)
            self._changed.notify_all()

    def _note_here(self, kind: str, **members: Any) -> None:
        now = monotonic_us()
        self._note({"e": kind, "t": self.street.now_s, "r": now % RING, **members})

    # -- the process ---------------------------------------------------------------------------------------------

    def _keep(self) -> None:
        starts: list[float] = []
        try:
            while self._has_mains:
                starts = [one for one in starts if one > time.monotonic() - 1] + [time.monotonic()]
                if len(starts) > RESETS_MAX_PER_S:
                    self._crash(f"more than {RESETS_MAX_PER_S} resets in a second")
                    return
                code = self._run_once()
                more = code == layout.EXIT_MORE_HEAP and self._has_mains
                if more and _give_more_heap(self.runtime, self._given_bytes):
                    self._slot["epoch"] -= 1
                    continue
                self._slot["state"] = 0
                if code != layout.EXIT_SOFT_RESET:
                    self._slot["wdt_armed"] = 0
                if self._slot["was_cut"]:
                    self._has_mains = False
                if not self._has_mains:
                    self.state = "off"
                    self._note_here("mains_off", was_cut=bool(self._slot["was_cut"]))
                elif self._killed_as or code in _RESETS:
                    cause = self._killed_as or _RESETS[code]
                    self._killed_as = 0
                    self._rtc["cause"] = cause
                    self._note_here("reset", cause=cause)
                else:
                    self._crash(f"the interpreter ended with {code}")
                    return
        finally:
            self.street.conductor.on_bite.pop(self.number, None)

    def _crash(self, why: str) -> None:
        self._has_mains = False
        self.state = "crashed"
        self._note_here("crash", why=why)

    def _bite(self) -> None:
        process = self._process
        if process is not None and not self._killed_as:
            self._killed_as = layout.WDT_RESET
            process.kill()

    def _run_once(self) -> int:
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        radio = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        radio.bind(("127.0.0.1", 0))
        console = self._serial.plug() if self._serial is not None else None
        slot = self._slot
        mac = int(self.mac, 16)
        slot["mac_high"], slot["mac_low"] = mac >> 24, mac & 0xFFFFFF
        slot["radio_port"] = radio.getsockname()[1]
        slot["epoch"] = slot["epoch"] + 1
        slot["state"] = 1
        slot["irq_lost"] = 0
        slot["slow_until_us30"] = 0
        slot["wakes"] = 0
        slot["mail"] = 0
        slot["has_deadline"] = 0
        settings = {
            "board_rom": self._board_rom,
            "app_rom": self._app_rom,
            "street": str(self.street.conductor.path),
            "slot": self.number,
            "rtc": str(self.folder / "rtc.bin"),
            "nvs": str(self.folder / "nvs.bin"),
            "flash": (str(self._flash_path), self._flash_path.stat().st_size),
            "fd": there.fileno(),
            "radio_fd": radio.fileno(),
            "mac": self.mac,
            "heap_bytes": self.heap_bytes,
            "names_outside": self._names_outside,
            "wiring": self._wiring,
            "wifi": self._wifi,
            "script": self._script,
            "tape": str(self.tape) if self.tape else None,
            "console_fd": console.fileno() if console is not None else -1,
        }
        boot = self.folder / "boot.json"
        boot.write_text(json.dumps(settings), encoding="utf-8")
        self.street.conductor.on_bite[self.number] = self._bite
        self._given_bytes = _board_heap_bytes(self.runtime)
        heap = f"heapsize={self.heap_bytes + self._given_bytes}"
        process = subprocess.Popen(
            [*self.runtime.command, "-X", heap, str(_BOOT_PY), str(boot)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[one.fileno() for one in (there, radio, console) if one is not None],
            env=self.runtime.environment(),
            cwd=self.folder,
        )
        self._process = process
        self._line = here
        there.close()
        radio.close()
        if console is not None:
            console.close()
        if not self._has_mains:
            process.kill()
        assert process.stdout is not None
        reader = threading.Thread(target=self._read_events, args=(here,), daemon=True)
        reader.start()
        self._read_output(process.stdout.fileno())
        code = process.wait()
        reader.join(timeout=WAIT_S)
        self._line = None
        here.close()
        process.stdout.close()
        return code

    def _read_output(self, descriptor: int) -> None:
        pending = b""
        while data := os.read(descriptor, 65536):
            if self._serial is not None:
                self._serial.show(data)
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                head, mark, number = line.partition(b"\0")
                if mark and number.isdigit():
                    pending = head + pending
                    self._note_here("printed", id=int(number))
                else:
                    self._note_here("print", text=line.decode(errors="replace").rstrip("\r"))
        if pending:
            self._note_here("print", text=pending.decode(errors="replace"))

    def _read_events(self, line: socket.socket) -> None:
        pending = b""
        while True:
            try:
                got = line.recv(65536)
            except OSError:
                return
            if not got:
                return
            *lines, pending = (pending + got).split(b"\n")
            for one in lines:
                try:
                    self._note(json.loads(one))
                except ValueError:
                    self._note_here("garbled", text=one.decode(errors="replace"))


# What boards of an interpreter, by its command, were found to need; known for as long as this process lives.
_board_heaps: dict[str, int] = {}


def _board_heap_bytes(runtime: Runtime) -> int:
    return _board_heaps.get(runtime.command[-1], BOARD_HEAP_BYTES)


def _give_more_heap(runtime: Runtime, given_bytes: int) -> bool:
    """Have the next start get more than one that was given so much; False where that is the most."""
    if given_bytes >= BOARD_HEAP_MAX_BYTES:
        return False
    _board_heaps[runtime.command[-1]] = max(_board_heap_bytes(runtime), given_bytes + BOARD_HEAP_STEP_BYTES)
    return True


_BOARD_ROM: list[bytes] = []


def _board_rom() -> bytes:
    if not _BOARD_ROM:
        _BOARD_ROM.append(rom.board_image())
    return _BOARD_ROM[0]


def pid_lives(pid: int) -> bool:
    """Tell whether a process exists (for the test that none is left behind)."""
    return os.path.exists(f"/proc/{pid}")
