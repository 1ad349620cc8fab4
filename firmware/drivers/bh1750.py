"""ROHM BH1750FVI, ambient light over I2C: 16 bit, 1 lx.

Source: BH1750FVI technical note 2010.04 Rev. D: instruction set (p. 5), measurement time 120 ms typical, 180 ms at most
(p. 2), lux = counts / 1.2 x 69 / MTreg (p. 11). The device has no identity, no check sum and no register to read
back. After a dip of its supply it is powered down and reads 0, which is dark, which is light: the safe side; so a
reading of 0 starts it again.
"""

from ..control.compat import const
from .contract import UNKNOWN, NoAnswer, OutOfRange

LUX_MAX = const(65535)

_POWER_ON = const(0x01)
_CONTINUOUS_1_LX = const(0x10)
_MEASURE_TIME_HIGH = const(0x40)
_MEASURE_TIME_LOW = const(0x60)
_MEASURE_TIME_USUAL = const(69)


class Bh1750:
    """A BH1750. ``address``: 0x23 or 0x5C. ``measure_time``: 31 … 254, the register MTreg (usual 69; more sees darker).

    ``lux``: the last good reading, 0 … 65535 (more reads 65535), `UNKNOWN` before the first. ``wait_ms``: how long a
    measurement takes at most; reading more often gives the same number again.
    """

    def __init__(self, i2c, address=0x23, measure_time=_MEASURE_TIME_USUAL, name="bh1750"):
        if address not in (0x23, 0x5C):
            raise OutOfRange(name, "address is 0x23 or 0x5c")
        if not 31 <= measure_time <= 254:
            raise OutOfRange(name, "measure_time is 31 to 254")
        self.lux = UNKNOWN
        self.wait_ms = 180 * measure_time // _MEASURE_TIME_USUAL + 1
        self._i2c = i2c
        self._address = address
        self._measure_time = measure_time
        self._name = name
        self._is_started = False
        self._command = bytearray(1)
        self._answer = bytearray(2)

    def read(self):
        """Return lux; `UNKNOWN` when the measurement was only started now. Blocks 1 ms; raises `NoAnswer`."""
        if not self._is_started:
            self._start()
            return UNKNOWN
        try:
            self._i2c.readfrom_into(self._address, self._answer)
        except OSError:
            self._is_started = False
            raise NoAnswer(self._name, "no I2C answer at 0x%02x" % self._address)
        raw = self._answer[0] << 8 | self._answer[1]
        if raw == 0:
            self._start()
        lux = lux_of(raw, self._measure_time)
        self.lux = lux
        return lux

    def _start(self):
        self._is_started = False
        for command in (
            _POWER_ON,
            _MEASURE_TIME_HIGH | self._measure_time >> 5,
            _MEASURE_TIME_LOW | self._measure_time & 31,
            _CONTINUOUS_1_LX,
        ):
            self._command[0] = command
            try:
                self._i2c.writeto(self._address, self._command)
            except OSError:
                raise NoAnswer(self._name, "no I2C answer at 0x%02x" % self._address)
        self._is_started = True


def lux_of(raw, measure_time=_MEASURE_TIME_USUAL):
    """Return the lux of 16-bit counts, to the nearest: counts / 1.2 x 69 / ``measure_time``, at most 65535."""
    # 1 / 1.2 = 10 / 12: 65,535 x 690 stays within 30 bits.
    lux = (raw * 10 * _MEASURE_TIME_USUAL + 6 * measure_time) // (12 * measure_time)
    return lux if lux < LUX_MAX else LUX_MAX
