"""The launcher: watchdog, lamp, slot, application. It is small, imports stock modules only, and is never replaced.

The lamp is put to its level before anything can fail: the level that it had where the chip was only reset, else the
safe level of `/boot.lamp`; without that file no pin is touched, and the hardware's default is lit. What the RTC's
memory and the boot files hold: system/boot_files.py. After three bad boots in a row the slot on trial is given up;
without one the lamp has its safe level for five minutes before the next try. `main` returns for service only.
"""

import binascii
import gc
import io
import os
import struct
import sys
import time

import machine
import micropython

_WATCHDOG_MS, _SERVICE_MS, _BAD_MAX = 30000, 7200000, 3
_RTC, _SAFE = "<3s5B4HI", (65535, 65535, 65535, 65535)
# How the last run ended; bad are those from _CRASH on. _INTENDED to _SUPERVISOR are also the marks that a run leaves.
_INTENDED, _POWER, _BROWN_OUT, _SOFT, _OTHER, _CRASH, _SUPERVISOR, _WATCHDOG, _PANIC = 1, 2, 3, 4, 5, 16, 17, 18, 19


def _sealed(data):
    return struct.pack("<I", binascii.crc32(data)) + data


def _unsealed(data, magic):
    return data[4:] if data[4 : 4 + len(magic)] == magic and data == _sealed(data[4:]) else None


class State:
    """What the RTC's memory keeps over a reset, and how the last run ended."""

    def __init__(self):
        kept = _unsealed(machine.RTC().memory(), b"RV1")
        data = kept or b"RV1" + bytes(5) + b"\xff" * 8 + bytes(4)
        fields = struct.unpack(_RTC, data[:20])
        self.reason, self.levels, self.lit_s, self.text = fields[4], fields[6:10], fields[10], data[20:]
        # The chip calls a brown-out a power-on too; but then its memory has lived. A reset without a mark is a panic.
        ends = {machine.WDT_RESET: _WATCHDOG, machine.SOFT_RESET: _SOFT, machine.HARD_RESET: _PANIC if kept else _OTHER}
        self.end = fields[1] or ends.get(machine.reset_cause(), _OTHER)
        if machine.reset_cause() == machine.PWRON_RESET:
            self.end = _BROWN_OUT if kept else _POWER
        self.bad = 0 if self.end in (_INTENDED, _POWER) else min(fields[2] + (self.end >= _CRASH), 255)

    def save(self, mark):
        """Keep it all; ``mark``: what the next boot is to think of this one (0: it runs)."""
        kept = _unsealed(machine.RTC().memory(), b"RV1") if mark else None
        if kept:  # The application has written there since.
            self.bad, self.lit_s = kept[4], struct.unpack("<I", kept[16:20])[0]
        head = (b"RV1", mark, self.bad, self.end, self.reason, 0) + tuple(self.levels)
        machine.RTC().memory(_sealed(struct.pack(_RTC, *(head + (self.lit_s,))) + self.text[-400:]))


def _read(path, magic):
    """Return what a boot file holds; b"" where there is none, None where it is damaged."""
    try:
        with open(path, "rb") as file:
            return _unsealed(file.read(128), magic)
    except OSError as error:
        return b"" if error.args[0] == 2 else None


def _write(path, data):
    try:
        with open("/boot.new", "wb") as file:
            file.write(data)
        os.rename("/boot.new", path)
    except OSError:
        pass  # A choice holds for this boot all the same, and is made again at the next.


def drive(lamps, levels):
    """Put each output to its kept level, or to its safe one (permille)."""
    for at in range(6, len(lamps or b"") - 9, 10):
        kind, pin, invert, output, frequency, level = struct.unpack("<BBBBIH", lamps[at : at + 10])
        level = levels[output] if output < 4 and levels[output] <= 1000 else level
        try:
            if kind == 1:
                duty = (1000 - level if invert else level) * 65535 // 1000
                machine.PWM(machine.Pin(pin), freq=frequency, duty_u16=duty)
            elif kind == 2:
                machine.Pin(pin, machine.Pin.OUT, value=(level > 0) != (invert > 0))
        except (OSError, ValueError):
            continue  # No such pin: it is left alone, and the others are not.


def _choose(state):
    """Return the folders to look for the application in, before the package that is frozen, in ROM or in /lib."""
    data = _read("/boot.sel", b"RSEL") or b"RSELaOb"
    if data[5:6] == b"T" and state.bad >= _BAD_MAX:
        data, state.bad = b"RSEL" + data[6:7] + b"O" + data[4:5], 0
        _write("/boot.sel", _sealed(data))
    return {b"a": ["/a", "/b"], b"b": ["/b", "/a"]}.get(data[4:5], [])


def _start(lamps, state, watchdog):
    """Start the application; True when it, or the service pin, asks for service mode."""
    sys.path[:0] = _choose(state)
    state.save(0)
    waits = 600 if state.bad >= _BAD_MAX else 0
    for passed in range(waits + 1):
        watchdog.feed()
        if lamps and lamps[5] != 255 and not machine.Pin(lamps[5], machine.Pin.IN, machine.Pin.PULL_UP).value():
            return _write("/boot.err", b"service pin") or True
        if waits and passed == 12:
            _write("/boot.err", state.text)
        time.sleep_ms(500 if waits else 0)
    state.bad = min(state.bad, _BAD_MAX - 1)  # After the wait one more bad boot is enough to wait again.
    state.save(0)
    from firmware import app

    return app.run() == "service"


def main():
    """Start the node. Returns in service mode only; an undelivered node (no `/boot.lamp`) can be stopped by Ctrl-C."""
    watchdog, is_back = machine.WDT(timeout=_WATCHDOG_MS), False
    gc.threshold(8192)  # Collected early, the heap stays in one piece: TLS and plans need large blocks.
    try:
        lamps = _read("/boot.lamp", b"RLMP")
        is_open = lamps == b"" or (lamps is not None and not lamps[4])
        state = State()
        drive(lamps, _SAFE if state.bad >= _BAD_MAX else state.levels)
        micropython.kbd_intr(3 if is_open else -1)
        try:
            is_back = _start(lamps, state, watchdog)
            state.text = b"service" if is_back else b"the application has ended"
        except BaseException as error:
            is_back = is_open and isinstance(error, KeyboardInterrupt)
            text = io.StringIO()
            sys.print_exception(error, text)
            state.text = text.getvalue().encode()
        state.levels = _SAFE
        drive(lamps, _SAFE)
        state.save(_INTENDED if is_back else _CRASH)
        if is_back:
            machine.WDT(timeout=_SERVICE_MS)
            micropython.kbd_intr(3)
    finally:
        if not is_back:
            machine.reset()


if __name__ == "__main__":
    main()
