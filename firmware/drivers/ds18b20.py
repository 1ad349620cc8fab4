"""Maxim DS18B20, thermometer on 1-Wire: sixteenths of a degree, -55 … 125 °C, CRC on every reading.

Source: DS18B20 datasheet 19-7487 Rev. 6: temperature register and table 1 (25.0625 °C = 0191h, -10.125 °C = FF5Eh),
scratchpad (figure 8; power-on value 0550h = 85 °C), conversion 750 ms at 12 bits (externally supplied; not for parasite
supply); CRC x^8 + x^5 + x^4 + 1 (Maxim application note 27: 02 1C B8 01 00 00 00 has A2).
"""

from ..control.compat import const
from ..control.derating import UNKNOWN_DC
from .contract import BadAnswer, NoAnswer, OutOfRange, WrongDevice

_FAMILY = const(0x28)
_READ_ROM = const(0x33)
_MATCH_ROM = const(0x55)
_SKIP_ROM = const(0xCC)
_CONVERT = const(0x44)
_READ_SCRATCHPAD = const(0xBE)
_POWER_ON_RAW = const(0x0550)
# A true 85 °C is believed only when the last reading came near it: from 80 °C on.
_NEARLY_85_DC = const(800)
_BUSY_MAX = const(3)


class Ds18b20:
    """A DS18B20. ``onewire``: `onewire.OneWire` or its like. ``rom``: its 8 bytes, empty when it is alone on the wire.

    ``temperature_dc``: the last good reading in tenths of °C, `UNKNOWN_DC` before the first; ``sixteenths`` the same as
    the chip has it. ``wait_ms``: `read` takes the result of the conversion that the call before started, so call it no
    sooner than this. The wire is bit-banged with interrupts off for 70 us a bit: some 15 ms a reading in all.
    """

    wait_ms = 750

    def __init__(self, onewire, rom=(), name="ds18b20"):
        if rom and (len(rom) != 8 or rom[0] != _FAMILY or crc8(rom, 8) != 0):
            raise OutOfRange(name, "rom is 8 bytes, 0x28 first, with CRC")
        self.temperature_dc = UNKNOWN_DC
        self.sixteenths = 0
        self._wire = onewire
        self._rom = bytes(rom) if rom else None
        self._name = name
        self._is_started = False
        self._busy = 0
        self._scratchpad = bytearray(9)

    def read(self):
        """Return tenths of °C; `UNKNOWN_DC` when a conversion was only started now, or still runs. Blocks 25 ms.

        Raises `NoAnswer`, `WrongDevice`, and `BadAnswer` for a bad CRC, a reading outside -55 … 125 °C, and the
        power-on value of 85 °C, which is no measurement; each time a new conversion is started by the next call.
        """
        if not self._is_started:
            if self._rom is None:
                self._check_family()
            self._convert()
            return UNKNOWN_DC
        # Between conversion and reset, a read slot answers 0 while it measures.
        if self._rom is None and not self._wire.readbit():
            self._busy += 1
            if self._busy < _BUSY_MAX:
                return UNKNOWN_DC
            self._is_started = False
            raise NoAnswer(self._name, "conversion does not end")
        self._is_started = False
        self._select(_READ_SCRATCHPAD)
        self._wire.readinto(self._scratchpad)
        data = self._scratchpad
        is_zero = True
        for one in data:
            if one:
                is_zero = False
        # Nine zeros have a good CRC: they are a wire shorted to ground.
        if is_zero or crc8(data, 9) != 0:
            raise BadAnswer(self._name, "shorted" if is_zero else "bad CRC")
        # The lowest bits mean nothing at coarser resolutions: R1 R0 in bits 6:5 of the configuration.
        raw = (data[0] | data[1] << 8) & ~((1 << 3 - (data[4] >> 5 & 3)) - 1)
        if raw & 0x8000:
            raw -= 65536
        if not -880 <= raw <= 2000:
            raise BadAnswer(self._name, "beyond -55 to 125 C")
        if raw == _POWER_ON_RAW and self.temperature_dc < _NEARLY_85_DC:
            raise BadAnswer(self._name, "85 C is its power-on value")
        dc = (raw * 10 + 8) // 16
        self._convert()
        self.sixteenths = raw
        self.temperature_dc = dc
        return dc

    def _check_family(self):
        if not self._wire.reset():
            raise NoAnswer(self._name, "no presence pulse")
        self._wire.writebyte(_READ_ROM)
        for i in range(8):
            self._scratchpad[i] = self._wire.readbyte()
        if crc8(self._scratchpad, 8) != 0:
            raise BadAnswer(self._name, "bad CRC of ROM: noise, or two devices")
        if self._scratchpad[0] == 0:
            # Eight zeros have a good CRC, and a wire that is always low looks like a presence pulse.
            raise BadAnswer(self._name, "shorted")
        if self._scratchpad[0] != _FAMILY:
            raise WrongDevice(self._name, "family 0x%02x, not 0x28" % self._scratchpad[0])

    def _convert(self):
        self._select(_CONVERT)
        self._busy = 0
        self._is_started = True

    def _select(self, command):
        if not self._wire.reset():
            raise NoAnswer(self._name, "no presence pulse")
        if self._rom is None:
            self._wire.writebyte(_SKIP_ROM)
        else:
            self._wire.writebyte(_MATCH_ROM)
            self._wire.write(self._rom)
        self._wire.writebyte(command)


def crc8(data, count):
    """Return Maxim's CRC over the first ``count`` bytes; 0 over data that end with their own CRC."""
    crc = 0
    for i in range(count):
        crc ^= data[i]
        for _ in range(8):
            crc = crc >> 1 ^ 0x8C if crc & 1 else crc >> 1
    return crc
