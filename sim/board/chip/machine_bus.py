"""machine.I2C, SoftI2C, UART, SPI: the chip's ends of the buses, whose other ends are models that the wiring hangs.

A bus that the wiring does not have behaves as one with nothing on it: no acknowledge (ENODEV), nothing to read.
"""

import binascii
import io

from . import wire

i2c_buses = {}  # id, or (scl, sda) of a software bus -> I2CBus
uart_lines = {}  # id -> UartLine
spi_buses = {}
_ENODEV = 19


def _nothing_to_tell():
    pass


watched = []  # kinds of buses whose traffic is told: {"op": "watch", "bus": "i2c"}


def _tell(kind, number, way, data, address=-1):
    """Tell the host what went over a bus: `out` to the device, `in` from it."""
    if kind in watched:
        where = ',"n":%s' % (number if isinstance(number, int) else '"%s"' % number)
        if address >= 0:
            where += ',"addr":%d' % address
        wire.post(kind, '%s,"%s":"%s"' % (where, way, binascii.hexlify(bytes(data)).decode()))


def _watch(message):
    if message["bus"] not in watched:
        watched.append(message["bus"])


wire.operations["watch"] = _watch

before_access = [_nothing_to_tell]  # the wiring puts here what tells the models the time


class _Nothing:
    """An I2C bus with nobody on it."""

    def scan(self):
        return []

    def _refuse(self, *args, **kwargs):
        raise OSError(_ENODEV)

    readfrom = readfrom_into = writeto = readfrom_mem = readfrom_mem_into = writeto_mem = _refuse


class I2C:
    """A bus of the chip; calls go to the models."""

    def __init__(self, id=0, scl=None, sda=None, freq=400000, timeout=50000):
        self._bus = i2c_buses.get(id) or _Nothing()
        self._number = id

    def scan(self):
        """Return the addresses that acknowledge."""
        before_access[0]()
        return self._bus.scan()

    def readfrom(self, addr, nbytes, stop=True):
        """Return bytes from a device."""
        before_access[0]()
        data = self._bus.readfrom(addr, nbytes, stop)
        _tell("i2c", self._number, "in", data, addr)
        return data

    def readfrom_into(self, addr, buf, stop=True):
        """Fill a buffer from a device."""
        before_access[0]()
        self._bus.readfrom_into(addr, buf, stop)
        _tell("i2c", self._number, "in", buf, addr)

    def writeto(self, addr, buf, stop=True):
        """Write to a device; return how many bytes were acknowledged."""
        before_access[0]()
        _tell("i2c", self._number, "out", buf, addr)
        return self._bus.writeto(addr, buf, stop)

    def readfrom_mem(self, addr, memaddr, nbytes, addrsize=8):
        """Return bytes from a register."""
        before_access[0]()
        data = self._bus.readfrom_mem(addr, memaddr, nbytes, addrsize=addrsize)
        self._tell_register(addr, memaddr, addrsize, data, True)
        return data

    def readfrom_mem_into(self, addr, memaddr, buf, addrsize=8):
        """Fill a buffer from a register."""
        before_access[0]()
        self._bus.readfrom_mem_into(addr, memaddr, buf, addrsize=addrsize)
        self._tell_register(addr, memaddr, addrsize, buf, True)

    def writeto_mem(self, addr, memaddr, buf, addrsize=8):
        """Write to a register."""
        before_access[0]()
        self._tell_register(addr, memaddr, addrsize, buf, False)
        return self._bus.writeto_mem(addr, memaddr, buf, addrsize=addrsize)

    def _tell_register(self, addr, memaddr, addrsize, data, is_read):
        register = memaddr.to_bytes(addrsize // 8, "big")
        _tell("i2c", self._number, "out", register if is_read else register + bytes(data), addr)
        if is_read:
            _tell("i2c", self._number, "in", data, addr)

    def deinit(self):
        """Do nothing."""


class SoftI2C(I2C):
    """A software bus is looked up by its pins, `"scl,sda"`, and else by id 0."""

    def __init__(self, scl, sda, freq=400000, timeout=50000):
        from .machine_pin import Pin

        key = "%d,%d" % (Pin(scl).number, Pin(sda).number)
        super().__init__(key if key in i2c_buses else 0)


class SPI:
    """SPI over a model with `write_readinto(out, into)`."""

    MSB = 0
    LSB = 1

    def __init__(self, id=1, baudrate=1000000, **kwargs):
        self._bus = spi_buses.get(id)

    def init(self, **kwargs):
        """Do nothing."""

    def deinit(self):
        """Do nothing."""

    def write_readinto(self, out, into):
        """Exchange bytes; with nobody there, all ones come back."""
        if self._bus:
            self._bus.write_readinto(out, into)
        else:
            for at in range(len(into)):
                into[at] = 0xFF

    def write(self, out):
        """Send."""
        self.write_readinto(out, bytearray(len(out)))

    def read(self, count, fill=0):
        """Receive."""
        into = bytearray(count)
        self.readinto(into, fill)
        return bytes(into)

    def readinto(self, into, fill=0):
        """Receive into a buffer."""
        self.write_readinto(bytes([fill]) * len(into), into)


class UART(io.IOBase):
    """A serial port; it can be polled and used by asyncio streams."""

    INV_TX = 1
    INV_RX = 2
    IRQ_RX = 1
    IRQ_RXIDLE = 0x1000

    def __init__(self, id, baudrate=115200, *args, **kwargs):
        self._line = uart_lines.get(id)
        self._number = id
        self.baudrate = baudrate

    def init(self, baudrate=115200, *args, **kwargs):
        """Set the rate, which the model does not see."""
        self.baudrate = baudrate

    def deinit(self):
        """Do nothing."""

    def any(self):
        """Return how many bytes wait."""
        before_access[0]()
        return self._line.any() if self._line else 0

    def read(self, count=None):
        """Return bytes, or None where there are none."""
        if not self.any():
            return None
        data = self._line.read() if count is None else self._line.read(count)
        _tell("uart", self._number, "in", data or b"")
        return data

    def readinto(self, into, count=None):
        """Read into a buffer; return how many, or None where there are none."""
        if not self.any():
            return None
        got = self._line.readinto(into) if count is None else self._line.readinto(memoryview(into)[:count])
        _tell("uart", self._number, "in", memoryview(into)[: got or 0])
        return got

    def readline(self):
        """Return a line, or None."""
        return self._line.readline() if self.any() else None

    def write(self, data):
        """Send bytes; return how many."""
        if self._line:
            before_access[0]()
            _tell("uart", self._number, "out", data)
            self._line.write(data)
        return len(data)

    def flush(self):
        """Do nothing: everything is sent at once."""

    def txdone(self):
        """Return True."""
        return True

    def irq(self, handler=None, trigger=0, hard=False):
        """Refuse: the boards at hand poll."""
        raise OSError(22)

    def ioctl(self, request, argument):
        """Answer a poll."""
        if request == 3:
            return (argument & 1 if self.any() else 0) | (argument & 4)
        return 0
