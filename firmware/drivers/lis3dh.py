"""ST LIS3DH, accelerometer over I2C: how far the pole leans from how it stood, and whether something hit it.

Source: LIS3DH datasheet DocID17530 Rev. 2: WHO_AM_I 33h (8.6), CTRL_REG1 … 5 (8.8-8.12), INT1_CFG … DURATION
(8.21-8.24), high-resolution mode 1 mg per digit of 12 bits at +-2 g (table 4), threshold 16 mg per digit at +-2 g.

Lean is the angle between gravity now and a stored reference, so it does not matter how the board sits in the luminaire.
"""

from ..control.compat import const
from .contract import UNKNOWN, BadAnswer, OutOfRange, WrongDevice
from .registers import Registers

_WHO_AM_I = const(0x0F)
_ME = const(0x33)
_CTRL1 = const(0x20)
_INT1_CFG = const(0x30)
_INT1_SRC = const(0x31)
_OUT_X = const(0x28)
# The pointer goes up by itself when this bit is set.
_MANY = const(0x80)

# 10 Hz, all axes; high pass on interrupt 1 only; interrupt 1 to its pin; block update, +-2 g, high resolution; latched.
_CTRL = b"\x27\x01\x40\x88\x08"
# Any of the three axes high.
_INT_ANY_HIGH = const(0x2A)
_SOURCE_ACTIVE = const(0x40)

_STILL_MIN_MG = const(800)
_STILL_MAX_MG = const(1200)

# atan(2^-i) in thousandths of a degree, for `angle_dd`.
_ATAN_MD = (45000, 26565, 14036, 7125, 3576, 1790, 895, 448, 224, 112, 56, 28, 14, 7, 3, 2)


class Lis3dh:
    """A LIS3DH. ``address``: 0x18 or 0x19. ``reference_mg``: gravity when the pole stood straight (`take_reference`).

    ``shock_mg``: 16 … 2032, an acceleration beyond that besides gravity counts as a shock; ``shocks`` counts readings
    in which one was latched (the chip's pin INT1 may also wake somebody). ``x_mg``, ``y_mg``, ``z_mg``: the last good
    reading. ``tilt_dd``: tenths of a degree from the reference, 0 … 1800, `UNKNOWN` without one. ``resets``: how often
    the chip lost its supply.
    """

    wait_ms = 100

    def __init__(self, i2c, address=0x18, reference_mg=(), shock_mg=500, name="lis3dh"):
        if address not in (0x18, 0x19):
            raise OutOfRange(name, "address is 0x18 or 0x19")
        if not 16 <= shock_mg <= 2032:
            raise OutOfRange(name, "shock_mg is 16 to 2032")
        if reference_mg and (
            len(reference_mg) != 3 or not _is_still(reference_mg[0], reference_mg[1], reference_mg[2])
        ):
            raise OutOfRange(name, "reference_mg is x, y, z of about 1 g")
        self.x_mg = 0
        self.y_mg = 0
        self.z_mg = 0
        self.tilt_dd = UNKNOWN
        self.shocks = 0
        self.resets = 0
        self._registers = Registers(i2c, address, name)
        self._address = address
        self._name = name
        self._reference_mg = reference_mg
        self._shock_mg = shock_mg
        self._is_started = False
        self._one = bytearray(1)
        self._five = bytearray(5)
        self._six = bytearray(6)

    def read(self):
        """Fill the attributes, return tilt_dd; `UNKNOWN` without a reference, or when only started. Blocks 2 ms.

        Raises `NoAnswer`, `WrongDevice`; `BadAnswer` when what it feels is far from 1 g (the pole swings, or noise).
        """
        if not self._is_started:
            self._start()
            return UNKNOWN
        self._registers.read(_CTRL1 | _MANY, self._five)
        if self._five != _CTRL:
            self.resets += 1
            self._is_started = False
            self._start()
            return UNKNOWN
        # Reading the source releases the latch.
        self._registers.read(_INT1_SRC, self._one)
        is_shock = self._one[0] & _SOURCE_ACTIVE
        self._registers.read(_OUT_X | _MANY, self._six)
        if is_shock:
            self.shocks += 1
        x = _milli_g(self._six, 0)
        y = _milli_g(self._six, 2)
        z = _milli_g(self._six, 4)
        if not _is_still(x, y, z):
            raise BadAnswer(self._name, "not at rest")
        self.x_mg = x
        self.y_mg = y
        self.z_mg = z
        if not self._reference_mg:
            return UNKNOWN
        reference = self._reference_mg
        self.tilt_dd = angle_dd(x, y, z, reference[0], reference[1], reference[2])
        return self.tilt_dd

    def take_reference(self):
        """Let the last good reading be how the pole stands; return it as x, y, z in mg, for the configuration."""
        if not _is_still(self.x_mg, self.y_mg, self.z_mg):
            raise OutOfRange(self._name, "read it first")
        self._reference_mg = (self.x_mg, self.y_mg, self.z_mg)
        return self._reference_mg

    def _start(self):
        self._registers.read(_WHO_AM_I, self._one)
        if self._one[0] != _ME:
            raise WrongDevice(self._name, "no LIS3DH at 0x%02x" % self._address)
        self._registers.write(_CTRL1 | _MANY, _CTRL)
        self._write(_INT1_CFG, _INT_ANY_HIGH)
        self._write(_INT1_SRC + 1, self._shock_mg // 16)
        self._write(_INT1_SRC + 2, 0)
        self._registers.read(_INT1_SRC, self._one)
        self._is_started = True

    def _write(self, register, value):
        self._one[0] = value
        self._registers.write(register, self._one)


def _milli_g(data, at):
    # 12 bits, left-justified, two's complement: 1 mg per digit.
    value = data[at] >> 4 | data[at + 1] << 4
    return value - 4096 if value & 0x800 else value


def _is_still(x, y, z):
    square = x * x + y * y + z * z
    return _STILL_MIN_MG * _STILL_MIN_MG <= square <= _STILL_MAX_MG * _STILL_MAX_MG


def root(value):
    """Return the integer square root of ``value`` >= 0, rounded down."""
    guess = value
    better = (value + 1) // 2
    while better < guess:
        guess = better
        better = (guess + value // guess) // 2
    return guess


def angle_dd(x, y, z, u, v, w):
    """Return the angle between two vectors (each at most 2,048 a side), in tenths of a degree, 0 … 1800.

    atan2(length of the cross product, dot product) by CORDIC: exact to 0.1 degree where the arc cosine of a quotient
    loses small angles.
    """
    a = y * w - z * v
    b = z * u - x * w
    c = x * v - y * u
    # The squares pass 30 bits: it allocates.
    across = root(a * a + b * b + c * c)
    along = x * u + y * v + z * w
    is_behind = along < 0
    if is_behind:
        along = -along
    angle_md = 0
    for i in range(16):
        step_along = along >> i
        step_across = across >> i
        if across > 0:
            along += step_across
            across -= step_along
            angle_md += _ATAN_MD[i]
        elif across < 0:
            along -= step_across
            across += step_along
            angle_md -= _ATAN_MD[i]
    if is_behind:
        angle_md = 180000 - angle_md
    angle = (angle_md + 50) // 100
    return angle if angle > 0 else 0
