"""Doubles of ESP32's bus classes, over register-level models of the devices: no hardware, and none of its timing.

The method names and signatures are those of MicroPython's ``machine.I2C``, ``machine.UART``, ``machine.ADC``,
``machine.Pin``, `XX
library/machine.*; ports/esp32). They run on CPython and on MicroPython.

Every model has ``fault``, set from outside, and misbehaves on purpose:

============= ==========================================================================================
none          as the datasheet says
no_answer     the wire is cut: no acknowledge, no byte, no pulse
noise         what is read is changed at random (a fixed sequence: the same run gives the same bytes)
stuck         the device answers, and its reading does not change any more
wrong_id      another part is fitted (models without an identity behave as with ``none``)
brown_out     the supply dips: registers are as after power-on from the next access on; clears itself
late          the device is slower than its datasheet: I2C times out, a UART holds its bytes back
============= ==========================================================================================

Time reaches a model by ``tick(now_ms)`` and by nothing else: a test is as long as its arithmetic.
"""

FAULTS = ("none", "no_answer", "noise", "stuck", "wrong_id", "brown_out", "late")

ENODEV = 19
ETIMEDOUT = 116

IRQ_RISING = 1
IRQ_FALLING = 2

_UART_BUFFER = 256


class Model:
    """What all models share: the fault, the time, a supply that dips, and noise that can be repeated."""

    def __init__(self) -> None:
        self.fault = "none"
        self.now_ms = 0
        self._noise = 1

    def power_on(self) -> None:
        """Put the registers to what the datasheet gives after power-on; a model overrides it."""

    def tick(self, now_ms: int) -> None:
        """Let the time be ``now_ms``, which may not go back; a model that measures or counts overrides it."""
        self.now_ms = now_ms

    def chance(self, below: int) -> int:
        """Return the next number of a fixed sequence, 0 … ``below`` - 1 (at most 65,536 values)."""
        # The generator of the ZX81's manual, x <- 75 (x + 1) - 1 mod 65537: no integer beyond 30 bits.
        self._noise = (self._noise * 75 + 74) % 65537
        return self._noise % below

    def noisy(self, data: bytes) -> bytes:
        """Return the bytes with at least one of them changed; nothing stays nothing."""
        changed = bytearray(data)
        if changed:
            changed[self.chance(len(changed))] ^= 1 + self.chance(255)
            for i in range(len(changed)):
                if self.chance(4) == 0:
                    changed[i] ^= self.chance(256)
            if bytes(changed) == bytes(data):
                changed[0] ^= 0xFF
        return bytes(changed)

    def pass_brown_out(self) -> None:
        """Let a dip of the supply happen now, if one is set."""
        if self.fault == "brown_out":
            self.fault = "none"
            self.power_on()


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

    def __init__(self, models):  # type: ignore[no-untyped-def]
        self.models = models
        self.on_traffic = None

    def scan(self):  # type: ignore[no-untyped-def]
        """Return the addresses that acknowledge, in order."""
        return sorted([one.address for one in self.models if one.fault not in ("no_answer", "late")])

    def readfrom(self, addr, nbytes, stop=True):  # type: ignore[no-untyped-def]
        """Return ``nbytes`` bytes from the device; OSError when it does not answer."""
        model = self._model(addr)
        data = model.read(nbytes)
        if model.fault == "noise":
            data = model.noisy(data)
        self._tell("read", addr, data)
        return data

    def readfrom_into(self, addr, buf, stop=True):  # type: ignore[no-untyped-def]
        """Fill ``buf`` from the device."""
        buf[:] = self.readfrom(addr, len(buf), stop)

    def writeto(self, addr, buf, stop=True):  # type: ignore[no-untyped-def]
        """Write ``buf``; return how many bytes were acknowledged."""
        data = bytes(buf)
        self._tell("write", addr, data)
        self._model(addr).written(data)
        return len(data)

    def readfrom_mem(self, addr, memaddr, nbytes, *, addrsize=8):  # type: ignore[no-untyped-def]
        """Return ``nbytes`` bytes from register ``memaddr``, whose number is sent high byte first."""
        self.writeto(addr, _register_bytes(memaddr, addrsize), False)
        return self.readfrom(addr, nbytes)

    def readfrom_mem_into(self, addr, memaddr, buf, *, addrsize=8):  # type: ignore[no-untyped-def]
        """Fill ``buf`` from register ``memaddr``."""
        buf[:] = self.readfrom_mem(addr, memaddr, len(buf), addrsize=addrsize)

    def writeto_mem(self, addr, memaddr, buf, *, addrsize=8):  # type: ignore[no-untyped-def]
        """Write ``buf`` from register ``memaddr`` on."""
        self.writeto(addr, _register_bytes(memaddr, addrsize) + bytes(buf))

    def _model(self, addr):  # type: ignore[no-untyped-def]
        for model in self.models:
            if model.address == addr:
                if model.fault == "no_answer":
                    break
                if model.fault == "late":
                    raise OSError(ETIMEDOUT, "timeout")
                model.pass_brown_out()
                return model
        raise OSError(ENODEV, "no acknowledge")

    def _tell(self, kind, addr, data):  # type: ignore[no-untyped-def]
        if self.on_traffic:
            self.on_traffic(kind, addr, data)


def _register_bytes(memaddr: int, addrsize: int) -> bytes:
    if addrsize == 16:
        return bytes((memaddr >> 8 & 255, memaddr & 255))
    return bytes((memaddr & 255,))


class UartLine:
    """``machine.UART`` over one ``model`` with ``received(data)`` and ``take() -> bytes``.

    The receive buffer holds ``rxbuf`` bytes; what does not fit is lost and counted in ``lost``, as on the chip.
    """

    def __init__(self, model, rxbuf=_UART_BUFFER):  # type: ignore[no-untyped-def]
        self.model = model
        self.rxbuf = rxbuf
        self.lost = 0
        self.settings: dict[str, int] = {}
        self._buffer = b""

    def init(self, baudrate=9600, **settings):  # type: ignore[no-untyped-def]
        """Remember the settings; they change nothing here."""
        settings["baudrate"] = baudrate
        self.settings = settings

    def any(self):  # type: ignore[no-untyped-def]
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

    def read(self, nbytes=-1):  # type: ignore[no-untyped-def]
        """Return at most ``nbytes`` bytes (-1: all that wait), or None when there is none."""
        count = self.any()
        if nbytes is not None and 0 <= nbytes < count:
            count = nbytes
        if count == 0:
            return None
        data = self._buffer[:count]
        self._buffer = self._buffer[count:]
        return data

    def readinto(self, buf, nbytes=-1):  # type: ignore[no-untyped-def]
        """Fill ``buf`` with at most ``nbytes`` bytes; return how many, or None."""
        room = len(buf)
        data = self.read(nbytes if 0 <= nbytes < room else room)
        if data is None:
            return None
        buf[: len(data)] = data
        return len(data)

    def readline(self):  # type: ignore[no-untyped-def]
        """Return the bytes up to the next newline, or all that wait, or None."""
        if self.any() == 0:
            return None
        end = self._buffer.find(b"\n")
        return self.read(end + 1 if end >= 0 else -1)

    def write(self, buf):  # type: ignore[no-untyped-def]
        """Hand the bytes to the model, which may not hear them; return how many."""
        data = bytes(buf)
        if self.model.fault != "no_answer":
            self.model.pass_brown_out()
            self.model.received(data)
        return len(data)

    def flush(self):  # type: ignore[no-untyped-def]
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

    def __init__(self, models):  # type: ignore[no-untyped-def]
        self.models = models

    def reset(self, required=False):  # type: ignore[no-untyped-def]
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

    def readbit(self):  # type: ignore[no-untyped-def]
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

    def readbyte(self):  # type: ignore[no-untyped-def]
        """Return eight bits, the lowest first."""
        value = 0
        for i in range(8):
            value |= self.readbit() << i
        return value

    def readinto(self, buf):  # type: ignore[no-untyped-def]
        """Fill ``buf``."""
        for i in range(len(buf)):
            buf[i] = self.readbyte()

    def writebit(self, value, powerpin=None):  # type: ignore[no-untyped-def]
        """Send the bit of one write slot."""
        for model in self.models:
            if model.fault != "no_answer":
                model.write_bit(value & 1)

    def writebyte(self, value, powerpin=None):  # type: ignore[no-untyped-def]
        """Send eight bits, the lowest first."""
        for i in range(8):
            self.writebit(value >> i & 1)

    def write(self, buf):  # type: ignore[no-untyped-def]
        """Send the bytes."""
        for one in bytes(buf):
            self.writebyte(one)

    def select_rom(self, rom):  # type: ignore[no-untyped-def]
        """Reset, and speak to one device only."""
        self.reset()
        self.writebyte(self.MATCH_ROM)
        self.write(rom)

    def crc8(self, data):  # type: ignore[no-untyped-def]
        """Return the check sum of ``data`` (x^8 + x^5 + x^4 + 1, low bit first)."""
        crc = 0
        for one in bytes(data):
            crc ^= one
            for _ in range(8):
                crc = crc >> 1 ^ 0x8C if crc & 1 else crc >> 1
        return crc


class AdcInput:
    """``machine.ADC`` over a ``model`` with ``microvolts() -> int``; ``full_scale_uv`` is where `read_u16` ends."""

    def __init__(self, model, full_scale_uv=3_100_000):  # type: ignore[no-untyped-def]
        self.model = model
        self.full_scale_uv = full_scale_uv
        self._last_uv = 0

    def read_uv(self):  # type: ignore[no-untyped-def]
        """Return microvolts, as the calibrated reading of the chip; OSError where the chip cannot read."""
        model = self.model
        # MicroPython 1.29 raises on an invalid reading, earlier ones return 0: a driver must survive both.
        if model.fault in ("no_answer", "late"):
            raise OSError(ETIMEDOUT, "timeout")
        if model.fault == "brown_out":
            model.pass_brown_out()
            return 0
        if model.fault != "stuck":
            self._last_uv = min(max(model.microvolts(), 0), self.full_scale_uv)
        if model.fault == "noise":
            return model.chance(65536) * (self.full_scale_uv // 65536)
        return self._last_uv

    def read_u16(self):  # type: ignore[no-untyped-def]
        """Return the same on a scale of 0 … 65535."""
        return self.read_uv() * 65535 // self.full_scale_uv


class PinLine:
    """``machine.Pin``: ``drive(level)`` is the world's end of it, and calls the handler on the edges it asked for."""

    IN = 1
    OUT = 3
    PULL_DOWN = 1
    PULL_UP = 2
    IRQ_RISING = IRQ_RISING
    IRQ_FALLING = IRQ_FALLING

    def __init__(self, level=0):  # type: ignore[no-untyped-def]
        self.level = level
        self._handler = None
        self._trigger = 0

    def init(self, mode=-1, pull=-1, **settings):  # type: ignore[no-untyped-def]
        """Take the settings; they change nothing here."""

    def value(self, level=None):  # type: ignore[no-untyped-def]
        """Return the level, or set it when one is given."""
        if level is None:
            return self.level
        self.level = 1 if level else 0
        return None

    def on(self):  # type: ignore[no-untyped-def]
        """Set the pin high."""
        self.level = 1

    def off(self):  # type: ignore[no-untyped-def]
        """Set the pin low."""
        self.level = 0

    def irq(self, handler=None, trigger=IRQ_RISING | IRQ_FALLING, hard=False):  # type: ignore[no-untyped-def]
        """Call ``handler(pin)`` on the edges of ``trigger``; None ends it."""
        self._handler = handler
        self._trigger = trigger
        return self

    @property
    def is_listened_to(self) -> bool:
        """True while a handler is set."""
        return self._handler is not None

    def drive(self, level):  # type: ignore[no-untyped-def]
        """Let the world set the level."""
        level = 1 if level else 0
        if level == self.level:
            return
        self.level = level
        if self._handler and self._trigger & (IRQ_RISING if level else IRQ_FALLING):
            self._handler(self)


class PulseCounter:
    """``machine.Counter`` (and ``esp32.PCNT``'s ``value``): counts what ``pulse(n)`` gives it.

    ``bits``: 0 counts without end, as ``machine.Counter`` does; 15 wraps at 32,768, as a bare unit of the chip does.
    """

    def __init__(self, bits=0):  # type: ignore[no-untyped-def]
        self.bits = bits
        self.count = 0

    def pulse(self, count=1):  # type: ignore[no-untyped-def]
        """Let ``count`` pulses arrive."""
        self.count += count
        if self.bits:
            self.count &= (1 << self.bits) - 1

    def value(self, count=None):  # type: ignore[no-untyped-def]
        """Return the count; set it when a number is given, as the chip does."""
        before = self.count
        if count is not None:
            self.count = count
        return before

    def start(self):  # type: ignore[no-untyped-def]
        """Return at once: it always counts."""

    def stop(self):  # type: ignore[no-untyped-def]
        """Return at once: it always counts."""
