"""Boot the launcher on a double of a chip. Runs on MicroPython, and on CPython with a folder for a root:

    micropython tests/node/launcher_main.py CASE

CASE is JSON: ``files`` (path -> hexadecimal), ``memory`` (hexadecimal, of the RTC), ``boots``: a list of
``{"cause": name, "service": 0/1, "app": what the application does}``. A line of JSON is printed for each boot: how it
ended (``reset``, ``returned``, ``raised NAME``), what happened in order, and at last the memory and the files.

The machine is a double: pins and PWMs note what they are told, time passes when it is slept, ``reset`` ends the boot,
and a watchdog that was not fed in time bites. It stands where `firmware/main.py` imports ``machine``; the application
is a double too. The launcher is the delivered file, run as ``__main__``.
"""

import json
import sys

ROOT = "/"
PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5
CAUSES = {"power": 1, "hard": 2, "watchdog": 3, "soft": 5}


class Reset(BaseException):
    """The chip resets; nothing of the program runs on."""


class Chip:
    """What there is of a chip between boots, and what happened in one."""

    def __init__(self, memory):
        self.memory = memory
        self.cause = PWRON_RESET
        self.service = 0
        self.events = []
        self.now_ms = 0
        self.bites_ms = 0
        self.is_reset = False

    def sleep_ms(self, ms):
        self.now_ms += ms
        if self.bites_ms and self.now_ms >= self.bites_ms:
            self.events.append("watchdog")
            self.is_reset = True
            raise Reset()

    def note(self, *what):
        # A chip that was reset does nothing more: what comes on the way out is the double's.
        if not self.is_reset:
            self.events.append(" ".join([str(one) for one in what]))


def machine_of(chip):
    """Return a double of the module ``machine``."""

    class Machine:
        pass

    class RTC:
        def memory(self, data=None):
            if data is None:
                return chip.memory
            if not chip.is_reset:
                chip.memory = bytes(data)

    class WDT:
        def __init__(self, timeout):
            self.timeout = timeout
            chip.note("wdt", timeout)
            self.feed()

        def feed(self):
            chip.bites_ms = chip.now_ms + self.timeout

    class Pin:
        IN, OUT, PULL_UP = 1, 3, 2

        def __init__(self, number, mode=0, pull=0, value=None):
            if number > 48:
                raise ValueError("invalid pin")
            self.number = number
            if value is not None:
                chip.note("pin", number, 1 if value else 0)

        def value(self):
            return 0 if chip.service else 1

    def PWM(pin, freq, duty_u16):
        chip.note("pwm", pin.number, freq, duty_u16)
        return [pin]

    def reset():
        chip.note("reset")
        chip.is_reset = True
        raise Reset()

    Machine.RTC, Machine.WDT, Machine.Pin, Machine.PWM, Machine.reset = RTC, WDT, Pin, staticmethod(PWM), None
    Machine.reset = staticmethod(reset)
    Machine.PWRON_RESET, Machine.HARD_RESET = PWRON_RESET, HARD_RESET
    Machine.WDT_RESET, Machine.SOFT_RESET = WDT_RESET, SOFT_RESET
    Machine.reset_cause = staticmethod(lambda: chip.cause)
    return Machine


class Application:
    """A double of `firmware.app`, found where a slot is: it does what the case says."""

    def __init__(self, chip, what, read):
        self.chip = chip
        self.what = what
        self.read = read

    def run(self):
        self.chip.note("app", self.read())
        what = self.what
        if what == "raise":
            raise ValueError("the application is broken")
        if what == "memory":
            raise MemoryError()
        if what == "exit":
            raise SystemExit()
        if what == "interrupt":
            raise KeyboardInterrupt()
        if what == "hang":
            while True:
                self.chip.sleep_ms(1000)
        if what in ("good", "good, then raise"):
            # As `BootLog.good` does it, and then the power goes, or the application.
            from firmware.system.boot_files import Kept

            kept = Kept()
            kept.take(self.chip.memory)
            kept.bad = 0
            kept.levels[0] = 300
            if what != "good":
                kept.lit_s = 777
                self.chip.memory = kept.put()
                raise ValueError("late")
            self.chip.memory = kept.put()
            self.chip.is_reset = True
            raise Reset()
        return what


def boot(source, chip, step, root, written):
    """Boot once; return what happened."""
    chip.cause = CAUSES[step["cause"]]
    if step.get("forget", chip.cause == PWRON_RESET):
        chip.memory = b""
    chip.service = step.get("service", 0)
    chip.events = []
    chip.now_ms = 0
    chip.bites_ms = 0
    chip.is_reset = False

    def opened(path, mode="r"):
        if "w" in mode:
            chip.note("write", path)
        return open(root + path, mode)

    class Os:
        @staticmethod
        def rename(old, new):
            written.rename(root + old, root + new)

    class Time:
        sleep_ms = staticmethod(chip.sleep_ms)

    class Micropython:
        const = staticmethod(lambda value: value)
        kbd_intr = staticmethod(lambda value: chip.note("kbd_intr", value))

    class Sys:
        path = ["/lib"]  # noqa: RUF012
        print_exception = staticmethod(_print_exception)

    class Package:
        app = Application(chip, step["app"], lambda: Sys.path[0])

    doubles = {"machine": machine_of(chip), "micropython": Micropython, "os": Os, "time": Time, "sys": Sys}

    class Gc:
        """The collector: what the launcher sets of it has no effect here."""

        @staticmethod
        def threshold(count):
            pass

    doubles["gc"] = Gc

    def imported(name, *rest):
        if name == "firmware":
            if step["app"] == "missing":
                raise ImportError("no module named 'firmware'")
            return Package
        return doubles[name] if name in doubles else __import__(name)

    # The source's imports go to the doubles: MicroPython has no hook for them.
    text = []
    for line in source.split("\n"):
        words = line.split()
        if words[:1] == ["import"]:
            line = line.replace("import " + words[1], words[1] + " = imported('" + words[1] + "')")
        elif words[:2] == ["from", "firmware"]:
            line = line.replace("from firmware import app", "app = imported('firmware').app")
        text.append(line)
    names = {"__name__": "__main__", "open": opened, "imported": imported}
    try:
        exec("\n".join(text), names)
        end = "returned"
    except Reset:
        end = "reset"
    except BaseException as error:
        end = "raised " + type(error).__name__
    return {"end": end, "events": chip.events, "memory": _hex(chip.memory), "seconds": chip.now_ms // 1000}


def _print_exception(error, file):
    if hasattr(sys, "print_exception"):
        sys.print_exception(error, file)
    else:
        file.write(repr(error))


def _hex(data):
    return "".join([f"{byte:02x}" for byte in data])


def main(arguments):
    """Run as the module says."""
    import os

    with open(arguments[0]) as file:
        case = json.load(file)
    root = arguments[1]
    for path, content in case["files"].items():
        with open(root + path, "wb") as file:
            file.write(bytes.fromhex(content))
    with open("firmware/main.py") as file:
        source = file.read()
    chip = Chip(bytes.fromhex(case["memory"]))
    for step in case["boots"]:
        print(json.dumps(boot(source, chip, step, root, os)))
        if "levels" in step:
            # The application moves the lamp between two boots.
            from firmware.system.boot_files import Kept

            kept = Kept()
            kept.take(chip.memory)
            kept.levels[0] = step["levels"]
            chip.memory = kept.put()


if __name__ == "__main__":
    main(sys.argv[1:])
