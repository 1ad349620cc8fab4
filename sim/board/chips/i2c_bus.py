"""A double of ``machine.I2C``, and what models of I2C devices are made of. No hardware."""

from .model import ENODEV, ETIMEDOUT, Model

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Buffer = bytes | bytearray | memoryview


class I2CModel(Model):
    """A device with an address. ``written(data)`` takes the bytes of one write, ``read(n)`` gives those of one read."""

    address = 0

    def written(self, data: bytes) -> None:
        """Take the bytes written between a start and the next start or stop."""

    def read(self, count: int) -> bytes:
        """Return ``count`` bytes, as the device sends them while the master acknowledges."""
        return bytes(count)


class RegisterModel(I2CModel):
    """An I2C device whose first written byte is a register pointer that goes up by itself.

    ``registers``: 256 bytes. A model overrides `get` and `put` where a register is more than memory.
    """

    def __init__(self) -> None:
        super().__init__()
        self.registers = bytearray(256)
        self.pointer = 0
        self.power_on()

    def next_pointer(self, pointer: int) -> int:
        """Return the register after ``pointer``."""
        return (pointer + 1) & 255

    def get(self, register: int) -> int:
        """Return what a read of the register gives."""
        return self.registers[register]

    def put(self, register: int, value: int) -> None:
        """Take what is written to the register."""
        self.registers[register] = value

    def written(self, data: bytes) -> None:
        """Set the pointer, then the registers from there on."""
        if len(data) == 0:
            return
        self.pointer = data[0]
        for i in range(1, len(data)):
            self.put(self.pointer, data[i])
            self.pointer = self.next_pointer(self.pointer)

    def read(self, count: int) -> bytes:
        """Return the registers from the pointer on."""
        data = bytearray(count)
        for i in range(count):
            data[i] = self.get(self.pointer)
            self.pointer = self.next_pointer(self.pointer)
        return bytes(data)


class I2CBus:
    """``machine.I2C`` over ``models``; ``on_traffic(kind, address, data)``, when set, hears each write and read."""

    def __init__(self, models: "Sequence[I2CModel]") -> None:
        self.models = models
        self.on_traffic: Callable[[str, int, bytes], object] | None = None

    def scan(self) -> list[int]:
        """Return the addresses that acknowledge, in order."""
        return sorted([one.address for one in self.models if one.fault not in ("no_answer", "late")])

    def readfrom(self, addr: int, nbytes: int, stop: bool = True) -> bytes:
        """Return ``nbytes`` bytes from the device; OSError when it does not answer."""
        model = self._model(addr)
        data = model.read(nbytes)
        if model.fault == "noise":
            data = model.noisy(data)
        self._tell("read", addr, data)
        return data

    def readfrom_into(self, addr: int, buf: "bytearray | memoryview", stop: bool = True) -> None:
        """Fill ``buf`` from the device."""
        buf[:] = self.readfrom(addr, len(buf), stop)

    def writeto(self, addr: int, buf: "Buffer", stop: bool = True) -> int:
        """Write ``buf``; return how many bytes were acknowledged."""
        data = bytes(buf)
        self._tell("write", addr, data)
        self._model(addr).written(data)
        return len(data)

    def readfrom_mem(self, addr: int, memaddr: int, nbytes: int, *, addrsize: int = 8) -> bytes:
        """Return ``nbytes`` bytes from register ``memaddr``, whose number is sent high byte first."""
        self.writeto(addr, _register_bytes(memaddr, addrsize), False)
        return self.readfrom(addr, nbytes)

    def readfrom_mem_into(self, addr: int, memaddr: int, buf: "bytearray | memoryview", *, addrsize: int = 8) -> None:
        """Fill ``buf`` from register ``memaddr``."""
        buf[:] = self.readfrom_mem(addr, memaddr, len(buf), addrsize=addrsize)

    def writeto_mem(self, addr: int, memaddr: int, buf: "Buffer", *, addrsize: int = 8) -> None:
        """Write ``buf`` from register ``memaddr`` on."""
        self.writeto(addr, _register_bytes(memaddr, addrsize) + bytes(buf))

    def _model(self, addr: int) -> I2CModel:
        for model in self.models:
            if model.address == addr:
                if model.fault == "no_answer":
                    break
                if model.fault == "late":
                    raise OSError(ETIMEDOUT, "timeout")
                model.pass_brown_out()
                return model
        raise OSError(ENODEV, "no acknowledge")

    def _tell(self, kind: str, addr: int, data: bytes) -> None:
        if self.on_traffic:
            self.on_traffic(kind, addr, data)


def _register_bytes(memaddr: int, addrsize: int) -> bytes:
    if addrsize == 16:
        return bytes((memaddr >> 8 & 255, memaddr & 255))
    return bytes((memaddr & 255,))
