"""`onewire`: the bus master of the stock image, over the bus that the wiring hangs on its pin; else nobody answers."""

from .machine_bus import before_access
from .machine_pin import Pin

buses = {}


class OneWireError(Exception):
    """Nobody is present."""


class OneWire:
    """1-Wire on a pin."""

    SEARCH_ROM = 0xF0
    MATCH_ROM = 0x55
    SKIP_ROM = 0xCC

    def __init__(self, pin):
        self.pin = Pin(pin)
        self._bus = buses.get(self.pin.number)

    def reset(self, required=False):
        """Send a reset pulse; return whether anybody is present."""
        before_access[0]()
        present = bool(self._bus and self._bus.reset())
        if required and not present:
            raise OneWireError
        return present

    def readbit(self):
        """Return a bit."""
        return self._bus.readbit() if self._bus else 1

    def readbyte(self):
        """Return a byte."""
        return self._bus.readbyte() if self._bus else 0xFF

    def readinto(self, buf):
        """Fill a buffer."""
        for at in range(len(buf)):
            buf[at] = self.readbyte()

    def writebit(self, value, power_pin=None):
        """Send a bit."""
        if self._bus:
            self._bus.writebit(value)

    def writebyte(self, value, power_pin=None):
        """Send a byte."""
        if self._bus:
            self._bus.writebyte(value)

    def write(self, buf):
        """Send bytes."""
        for one in buf:
            self.writebyte(one)

    def select_rom(self, rom):
        """Reset, and speak to one device only."""
        self.reset()
        self.writebyte(OneWire.MATCH_ROM)
        self.write(rom)

    def crc8(self, data):
        """Return the check sum of bytes, 0 where it was right and is part of them."""
        crc = 0
        for one in data:
            crc ^= one
            for _ in range(8):
                crc = crc >> 1 ^ 0x8C if crc & 1 else crc >> 1
        return crc
