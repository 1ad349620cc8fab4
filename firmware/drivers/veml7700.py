"""Vishay VEML7700, ambient light over I2C: 16 bit, ten sensitivities, chosen by itself.

Sources: datasheet 84286 Rev. 1.8 (2024): registers p. 6-9, resolution 0.0042 lx per count at gain 2 and 800 ms (p. 4;
earlier revisions say 0.0036, hence the option); application note 84323 "Designing the VEML7700 into an
Application": the table of resolutions, the ladder of sensitivities, the polynomial for the parts' bend above 1,000 lx.
"""

from ..control.compat import const
from .contract import UNKNOWN, OutOfRange, WrongDevice
from .registers import Registers

LUX_MAX = const(65535)

_CONFIG = const(0)
_POWER_SAVING = const(3)
_ALS = const(4)
_ID = const(7)
_ID_LOW = const(0x81)
_ADDRESS = const(0x10)

# The ladder of the application note, darkest first: ALS_CONF_0 (gain in bits 12:11, time in 9:6), resolution in units
# of the finest one (gain 2, 800 ms).
_LADDER = (
    (0x0800 | 3 << 6, 1),  # gain 2, 800 ms
    (0x0800 | 2 << 6, 2),  # gain 2, 400 ms
    (0x0800 | 1 << 6, 4),  # gain 2, 200 ms
    (0x0800, 8),  # gain 2, 100 ms
    (0x0000, 16),  # gain 1, 100 ms
    (0x1800, 64),  # gain 1/4, 100 ms
    (0x1000, 128),  # gain 1/8, 100 ms
    (0x1000 | 8 << 6, 256),  # gain 1/8, 50 ms
    (0x1000 | 12 << 6, 512),  # gain 1/8, 25 ms
)
_FIRST_STEP = const(6)
_FEW_COUNTS = const(100)
_MANY_COUNTS = const(10000)
_BENDS_ABOVE_LUX = const(1000)
# Beyond this the polynomial gives more than 65535 lx.
_BENT_MAX_LUX = const(20000)


class Veml7700:
    """A VEML7700 (its address is 0x10). ``resolution_e4``: ten-thousandths of a lux per count at the finest step.

    ``lux``: the last good reading, 0 … 65535 (more reads 65535), `UNKNOWN` before the first. ``is_saturated``: the
    counter was full, so that ``lux`` is a lower bound; the next reading uses the least sensitive step. ``resets``:
    how often it lost its supply. ``wait_ms``: the least time between two readings, twice the longest measurement.
    """

    wait_ms = 1700

    def __init__(self, i2c, resolution_e4=42, name="veml7700"):
        if not 20 <= resolution_e4 <= 100:
            raise OutOfRange(name, "resolution_e4 is 20 to 100")
        self.lux = UNKNOWN
        self.is_saturated = False
        self.resets = 0
        self._registers = Registers(i2c, _ADDRESS, name)
        self._name = name
        self._resolution_e4 = resolution_e4
        self._step = -1
        self._two = bytearray(2)

    def read(self):
        """Return lux; `UNKNOWN` while a new sensitivity settles. Blocks 2 ms; raises `NoAnswer`, `WrongDevice`."""
        if self._step < 0:
            if self._word(_ID) & 255 != _ID_LOW:
                raise WrongDevice(self._name, "no VEML7700 at 0x10")
            self._write(_POWER_SAVING, 0)
            self._take_step(_FIRST_STEP)
            return UNKNOWN
        if self._word(_CONFIG) != _LADDER[self._step][0]:
            # The supply dipped (it starts shut down, gain 1), or somebody else wrote: begin anew.
            self.resets += 1
            self._step = -1
            return UNKNOWN
        raw = self._word(_ALS)
        self.is_saturated = raw == 65535
        lux = lux_of(raw, _LADDER[self._step][1] * self._resolution_e4)
        step = self._step
        if self.is_saturated:
            step = len(_LADDER) - 1
        elif raw > _MANY_COUNTS and step < len(_LADDER) - 1:
            step += 1
        elif raw < _FEW_COUNTS and step > 0:
            step -= 1
        if step != self._step:
            self._take_step(step)
        self.lux = lux
        return lux

    def _take_step(self, step):
        self._step = -1
        self._write(_CONFIG, _LADDER[step][0])
        self._step = step

    def _word(self, register):
        self._registers.read(register, self._two)
        return self._two[0] | self._two[1] << 8

    def _write(self, register, value):
        self._two[0] = value & 255
        self._two[1] = value >> 8
        self._registers.write(register, self._two)


def lux_of(raw, resolution_e4):
    """Return lux, to the nearest and straightened: ``raw`` counts of ``resolution_e4`` ten-thousandths of a lux."""
    lux = (raw * resolution_e4 + 5000) // 10000
    if lux <= _BENDS_ABOVE_LUX:
        return lux
    if lux > _BENT_MAX_LUX:
        return LUX_MAX
    # 6.0135e-13 x^4 - 9.3924e-9 x^3 + 8.1488e-5 x^2 + 1.0023 x, in units of 1e-17: beyond 30 bits, so it allocates.
    sum_e17 = ((60135 * lux - 939240000) * lux + 8148800000000) * lux + 100230000000000000
    lux = (sum_e17 * lux + 50000000000000000) // 100000000000000000
    return lux if lux < LUX_MAX else LUX_MAX
