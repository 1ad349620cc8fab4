"""What may not allocate: interrupts of the pins, and the parsers that run at 256,000 baud. A program for MicroPython.

Prints a line for each part: its name, and ``clean`` or ``ALLOCATED``.
"""

from firmware.drivers.ld2410 import Ld2410
from firmware.drivers.nmea_gnss import NmeaGnss
from firmware.drivers.presence_input import PresenceInput
from firmware.drivers.pulse_pin import PulsePin
from sim.board.chips.buses import PinLine
from sim.board.chips.ld2410 import Ld2410Model
from sim.board.chips.nmea_gnss import NmeaGnssModel

try:
    from micropython import heap_lock, heap_unlock
except ImportError:  # CPython: nothing to prove

    def heap_lock():
        """Do nothing."""

    def heap_unlock():
        """Do nothing."""


class Clock:
    """Ticks that begin just before the ring ends."""

    def __init__(self):
        self.ms = 0x3FFFFF00

    def ticks_ms(self):
        """Return the ticks."""
        return self.ms


class Wire:
    """A UART that gives fixed bytes and allocates nothing."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def any(self):
        """Return how many bytes wait."""
        return len(self.data) - self.at

    def readinto(self, buf):
        """Fill ``buf``."""
        count = 0
        while count < len(buf) and self.at < len(self.data):
            buf[count] = self.data[self.at]
            count += 1
            self.at += 1
        return count

    def write(self, buf):
        """Take the bytes."""
        return len(buf)


def ignore(value):
    """Do nothing."""


def edges(pin, clock):
    """Drive the pin through a storm."""
    for _ in range(300):
        pin.drive(1)
        pin.drive(0)
        clock.ms = clock.ms + 3 if clock.ms < 0x3FFFFFF0 else 0


def guarded(name, what):
    """Run ``what`` under the heap lock and say how it went."""
    what_went = "clean"
    heap_lock()
    try:
        what()
    except MemoryError:
        what_went = "ALLOCATED"
    heap_unlock()
    print(name, what_went)


def main():
    """Run as the module says."""
    clock = Clock()
    pin = PinLine()
    sensor = PresenceInput(pin, ignore, debounce_ms=5, stretch_ms=10, ticks_ms=clock.ticks_ms)
    guarded("presence_input", lambda: edges(pin, clock))
    guarded("presence_input.poll", sensor.poll)
    other = PinLine()
    PulsePin(other, clock.ticks_ms)
    guarded("pulse_pin", lambda: edges(other, clock))
    model = Ld2410Model()
    data = b""
    for state in range(4):
        model.state = state
        model.is_engineering = state == 2
        data += model.report() + b"\xf4\xf3\x00noise"
    radar = Ld2410(Wire(data), ignore)
    guarded("ld2410", lambda: radar.poll(5))
    print(radar.reports, radar.presence)
    receiver = NmeaGnss(Wire(NmeaGnssModel().sentences() * 3), 9497)
    guarded("nmea_gnss", lambda: receiver.poll(5))
    print(receiver.fixes, receiver.day)


if __name__ == "__main__":
    main()
