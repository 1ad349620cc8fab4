"""Doubles of ``machine.UART`` and of the ``onewire`` module. No hardware."""

from .model import ENODEV, Model

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    Buffer = bytes | bytearray | memoryview

_UART_BUFFER = 256


class UartModel(Model):
    """A device on a serial line."""

    def received(self, data: bytes) -> None:
        """Take what was sent to it."""

    def take(self) -> bytes:
        """Return what it has sent since the last call."""
        return b""


class UartLine:
    """``machine.UART`` over one ``model`` with ``received(data)`` and ``take() -> bytes``.

    The receive buffer holds ``rxbuf`` bytes; what does not fit is lost and counted in ``lost``, as on the chip.
    """

    def __init__(self, model: "UartModel", rxbuf: int = _UART_BUFFER) -> None:
        self.model = model
        self.rxbuf = rxbuf
        self.lost = 0
        self.settings: dict[str, int] = {}
        self._buffer = b""

    def init(self, baudrate: int = 9600, **settings: int) -> None:
        """Remember the settings; they change nothing here."""
        settings["baudrate"] = baudrate
        self.settings = settings

    def any(self) -> int:
        """Return how many bytes wait."""
        model = self.model
        if model.fault == "late":
            return len(self._buffer)
        model.pass_brown_out()
        data = model.take()
        if model.fault == "no_answer":
            data = b""
        elif model.fault == "noise":
            data = model.noisy(data)
        room = self.rxbuf - len(self._buffer)
        if len(data) > room:
            self.lost += len(data) - room
            data = data[:room]
        self._buffer += data
        return len(self._buffer)

    def read(self, nbytes: int = -1) -> bytes | None:
        """Return at most ``nbytes`` bytes (-1: all that wait), or None when there is none."""
        count = self.any()
        if nbytes is not None and 0 <= nbytes < count:
            count = nbytes
        if count == 0:
            return None
        data = self._buffer[:count]
        self._buffer = self._buffer[count:]
        return data

    def readinto(self, buf: "bytearray | memoryview", nbytes: int = -1) -> int | None:
        """Fill ``buf`` with at most ``nbytes`` bytes; return how many, or None."""
        room = len(buf)
        data = self.read(nbytes if 0 <= nbytes < room else room)
        if data is None:
            return None
        buf[: len(data)] = data
        return len(data)

    def readline(self) -> bytes | None:
        """Return the bytes up to the next newline, or all that wait, or None."""
        if self.any() == 0:
            return None
        end = self._buffer.find(b"\n")
        return self.read(end + 1 if end >= 0 else -1)

    def write(self, buf: "Buffer") -> int:
        """Hand the bytes to the model, which may not hear them; return how many."""
        data = bytes(buf)
        if self.model.fault != "no_answer":
            self.model.pass_brown_out()
            self.model.received(data)
        return len(data)

    def flush(self) -> None:
        """Return at once: nothing waits to be sent."""


class OneWireModel(Model):
    """A device on a 1-Wire bus, bit by bit. ``rom``: its 8 bytes, low bit and low byte first on the wire."""

    rom = bytes(8)

    def reset(self) -> bool:
        """Take a reset pulse; return True for a presence pulse."""
        return True

    def write_bit(self, bit: int) -> None:
        """Take a write slot."""

    def read_bit(self) -> int:
        """Return what the device drives in a read slot; 1 is released."""
        return 1


class OneWireBus:
    """``onewire.OneWire`` of micropython-lib, over models; the wire is low when any device pulls it low."""

    SEARCH_ROM = 0xF0
    MATCH_ROM = 0x55
    SKIP_ROM = 0xCC

    def __init__(self, models: "Sequence[OneWireModel]") -> None:
        self.models = models

    def reset(self, required: bool = False) -> bool:
        """Send a reset pulse; return whether anybody is present. OSError when ``required`` and nobody is."""
        is_present = False
        for model in self.models:
            if model.fault == "no_answer":
                continue
            model.pass_brown_out()
            is_present = model.reset() or is_present
        if required and not is_present:
            raise OSError(ENODEV, "no acknowledge")
        return is_present

    def readbit(self) -> int:
        """Return the bit of one read slot."""
        bit = 1
        for model in self.models:
            if model.fault == "no_answer":
                continue
            one = model.read_bit()
            if model.fault == "noise" and model.chance(8) == 0:
                one ^= 1
            bit &= one
        return bit

    def readbyte(self) -> int:
        """Return eight bits, the lowest first."""
        value = 0
        for i in range(8):
            value |= self.readbit() << i
        return value

    def readinto(self, buf: "bytearray | memoryview") -> None:
        """Fill ``buf``."""
        for i in range(len(buf)):
            buf[i] = self.readbyte()

    def writebit(self, value: int, powerpin: object = None) -> None:
        """Send the bit of one write slot."""
        for model in self.models:
            if model.fault != "no_answer":
                model.write_bit(value & 1)

    def writebyte(self, value: int, powerpin: object = None) -> None:
        """Send eight bits, the lowest first."""
        for i in range(8):
            self.writebit(value >> i & 1)

    def write(self, buf: "Buffer") -> None:
        """Send the bytes."""
        for one in bytes(buf):
            self.writebyte(one)

    def select_rom(self, rom: "Buffer") -> None:
        """Reset, and speak to one device only."""
        self.reset()
        self.writebyte(self.MATCH_ROM)
        self.write(rom)

    def crc8(self, data: "Buffer") -> int:
        """Return the check sum of ``data`` (x^8 + x^5 + x^4 + 1, low bit first)."""
        crc = 0
        for one in bytes(data):
            crc ^= one
            for _ in range(8):
                crc = crc >> 1 ^ 0x8C if crc & 1 else crc >> 1
        return crc
