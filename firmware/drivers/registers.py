"""Registers of an I2C device; what the bus raises becomes `NoAnswer`. A part of several drivers.

A transfer of n bytes at 100 kHz takes about (n + 3) x 90 us; a device that holds the clock low costs the bus's own
timeout (MicroPython on ESP32: 50 ms unless `machine.I2C` is told otherwise).
"""

from .contract import NoAnswer


class Registers:
    """The registers of the device at ``address`` on ``i2c``. ``address_bits``: 8 or 16, of a register's number."""

    def __init__(self, i2c, address, device, address_bits=8):
        self._i2c = i2c
        self._address = address
        self._device = device
        self._bits = address_bits

    def read(self, register, buffer):
        """Fill ``buffer`` from ``register`` on."""
        try:
            self._i2c.readfrom_mem_into(self._address, register, buffer, addrsize=self._bits)
        except OSError:
            raise NoAnswer(self._device, "no I2C answer at 0x%02x" % self._address)

    def write(self, register, buffer):
        """Write ``buffer`` from ``register`` on."""
        try:
            self._i2c.writeto_mem(self._address, register, buffer, addrsize=self._bits)
        except OSError:
            raise NoAnswer(self._device, "no I2C answer at 0x%02x" % self._address)
