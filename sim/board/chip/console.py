"""The serial line: the prompt and the raw REPL, as far as mpremote needs them (Ctrl-A, B, C, D; no raw-paste).

What is printed leaves by the process's standard output, which the host copies to the serial line; only what is typed
comes here. While a program runs, Ctrl-C interrupts it at its next call into the board; the rest waits for the prompt,
or for the program that reads `sys.stdin`.
Raw REPL, ports' shared/runtime/pyexec.c: "raw REPL; CTRL-B to exit", code, Ctrl-D, "OK", output, Ctrl-D, error, Ctrl-D.
"""

import io
import sys

from . import idle, layout, libc, wire

_CTRL_A = 1
_CTRL_B = 2
_CTRL_C = 3
_CTRL_D = 4
_CTRL_E = 5
_RAW_BANNER = "raw REPL; CTRL-B to exit\n>"
_BANNER = "\nMicroPython on a virtual ESP32 board; Ctrl-A raw REPL, Ctrl-C interrupt, Ctrl-D soft reboot\n>>> "
_INPUT_MAX = 65536

_fd = -1
_input = []
_chunk = bytearray(512)
_is_running = False
may_interrupt = [True]  # micropython.kbd_intr(-1) takes it away
_names = {"__name__": "__main__"}


def attach(fd):
    """Take the inherited descriptor; negative where the board has no serial line."""
    global _fd
    _fd = fd
    if fd >= 0:
        wire.add_line(fd, _read)


def is_there():
    """Tell whether the board has a serial line."""
    return _fd >= 0


def names():
    """Return the names of `__main__`, which a program leaves behind for the prompt."""
    return _names


def run(action):
    """Call `action` as the running program: Ctrl-C interrupts it."""
    global _is_running
    _is_running = True
    try:
        action()
    finally:
        _is_running = False


def _read():
    got = libc.read(_fd, _chunk, len(_chunk))
    if got <= 0:
        libc.leave(layout.EXIT_HOST_GONE)
    data = bytes(memoryview(_chunk)[:got])
    if _is_running and may_interrupt[0] and b"\x03" in data:
        _input.clear()
        rest = data[data.rfind(b"\x03") + 1 :]
        if rest:
            _input.append(rest)
        raise KeyboardInterrupt
    if sum(len(one) for one in _input) < _INPUT_MAX:
        _input.append(data)


def _next():
    """Return the next byte typed, after waiting for it."""
    while not _input:
        idle.nap(None)
    data = _input[0]
    if len(data) == 1:
        _input.pop(0)
    else:
        _input[0] = data[1:]
    return data[0]


def _say(text):
    print(text, end="")


class _Stdin(io.IOBase):
    """What the program reads as `sys.stdin`: what is typed on the serial line."""

    def read(self, count=1):
        """Return characters; waits for them."""
        return "".join([chr(_next()) for _ in range(count)])

    def ioctl(self, request, argument):
        """Answer a poll."""
        return argument & 1 if request == 3 and _input else 0


class Sys:
    """The interpreter's `sys`, with the board's serial line for its standard input."""

    def __init__(self):
        self.stdin = _Stdin()

    def __getattr__(self, name):
        return getattr(sys, name)


def prompt(is_raw):
    """Serve the line for ever; `is_raw`: a soft reboot was asked for in raw REPL."""
    while True:
        try:
            if is_raw:
                _raw()
            else:
                _friendly()
            is_raw = not is_raw
        except KeyboardInterrupt:
            _say("\n")


def _soft_reset(is_raw):
    _say("MPY: soft reboot\n")
    idle.clock.slot.stay_raw = 1 if is_raw else 0
    idle.end(layout.EXIT_SOFT_RESET)


def _friendly():
    _say(_BANNER)
    line = ""
    while True:
        byte = _next()
        if byte == _CTRL_A:
            return
        if byte == _CTRL_D and not line:
            _say("\n")
            _soft_reset(False)
        elif byte in (_CTRL_C, _CTRL_B):
            line = ""
            _say("\n>>> ")
        elif byte == 13 or byte == 10:
            _say("\n")
            _run_line(line)
            line = ""
            _say(">>> ")
        elif byte >= 32:
            line += chr(byte)
            _say(chr(byte))


def _run_line(line):
    if not line.strip():
        return

    def action():
        try:
            code = compile(line, "<stdin>", "eval")
        except SyntaxError:
            exec(line, _names)
            return
        value = eval(code, _names)
        if value is not None:
            print(repr(value))

    _guarded(action)


def _guarded(action):
    """Run; return None, or what it raised, which is printed."""
    try:
        run(action)
    except SystemExit:
        _soft_reset(False)
    except BaseException as error:  # the prompt prints what a line raises, whatever it is
        return error
    return None


def _raw():
    _say(_RAW_BANNER)
    code = bytearray()
    while True:
        byte = _next()
        if byte == _CTRL_A:
            code = bytearray()
            _say(_RAW_BANNER)
        elif byte == _CTRL_B:
            return
        elif byte == _CTRL_C:
            code = bytearray()
        elif byte == _CTRL_E and not code:
            _next()
            _next()
            _say("R\x00")  # raw-paste is understood, and not offered
        elif byte == _CTRL_D:
            if not code:
                _say("OK\n")
                _soft_reset(True)
            _run_raw(code)
            code = bytearray()
        else:
            code.append(byte)
            # What has come with it, without a call a byte.
            while _input and not any(one < 6 for one in _input[0]):
                code += _input.pop(0)


def _run_raw(code):
    _say("OK")
    try:
        text = code.decode()
        error = _guarded(lambda: exec(text, _names))
    except UnicodeError as wrong:
        error = wrong
    _say("\x04")
    if error is not None:
        sys.print_exception(error)
    _say("\x04>")
