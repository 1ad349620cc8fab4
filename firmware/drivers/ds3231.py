"""Maxim DS3231, clock chip with its own crystal over I2C: +-2 ppm from 0 to 40 °C, +-3.5 ppm from -40 to 85 °C.

Source: DS3231 datasheet 19-5170 Rev. 10: time-keeping registers (figure 1; century in bit 7 of the month, 12 h mode in
bit 6 of the hour), control 0x0E (EOSC, bit 7: 0 runs on the battery), status 0x0F (OSF, bit 7: the oscillator has
stopped, the time is not to be trusted), ageing 0x10, temperature 0x11-0x12 in quarters of a degree. It keeps UTC here.
"""

from ..control.compat import const
from ..control.derating import UNKNOWN_DC
from .civil_date import date_of_day, day_of_date
from .contract import UNKNOWN, BadAnswer, OutOfRange
from .registers import Registers

_ADDRESS = const(0x68)
_TIME = const(0x00)
_CONTROL = const(0x0E)
_STATUS = const(0x0F)
_AGEING = const(0x10)
_TEMPERATURE = const(0x11)
_STOPPED = const(0x80)
_NOT_ON_BATTERY = const(0x80)
# 2000-01-01 … 2199-12-31; the century bit has no more.
_DAY_MAX = const(73048)
_HALF_S_MS = const(500)


class Ds3231:
    """A DS3231 (its address is 0x68).

    After `read`: ``is_trusted`` (False: it has stopped since it was last set, and only the caller knows better),
    ``day`` (0 = 2000-01-01), ``second`` of day, ``ms`` (always 500, the middle of the second it says), as
    `control.clock.ClockTrust.report` takes them; `UNKNOWN` before the first. ``temperature_dc``: of the chip.
    """

    wait_ms = 0

    def __init__(self, i2c, name="ds3231"):
        self.is_trusted = False
        self.day = UNKNOWN
        self.second = UNKNOWN
        self.ms = _HALF_S_MS
        self.temperature_dc = UNKNOWN_DC
        self._registers = Registers(i2c, _ADDRESS, name)
        self._name = name
        self._one = bytearray(1)
        self._two = bytearray(2)
        self._seven = bytearray(7)
        self._wanted = bytearray(7)
        self._date = [0, 0, 0]

    def read(self):
        """Fill the attributes, return 1 when the time is to be trusted, else 0. Blocks 3 ms.

        Raises `NoAnswer`, `BadAnswer` for a date that does not exist (noise, or a chip that was never set).
        """
        status = self._get(_STATUS)
        # The chip copies all seven to a second set of registers at the start: they belong together.
        self._registers.read(_TIME, self._seven)
        day, second = decode(self._seven)
        if day is None:
            raise BadAnswer(self._name, "no such date or time")
        if self._get(_STATUS) & _STOPPED != status & _STOPPED:
            raise BadAnswer(self._name, "status changed while read")
        self.day = day
        self.second = second
        self.is_trusted = status & _STOPPED == 0
        return 1 if self.is_trusted else 0

    def read_temperature(self):
        """Return the chip's temperature in tenths of °C (converted every 64 s; +-3 °C). Blocks 1 ms."""
        self._registers.read(_TEMPERATURE, self._two)
        quarters = self._two[0] << 2 | self._two[1] >> 6
        if self._two[0] & 0x80:
            quarters -= 1024
        if not -180 <= quarters <= 400:
            raise BadAnswer(self._name, "temperature beyond -45 to 100 C")
        dc = (quarters * 10 + 2) // 4
        self.temperature_dc = dc
        return dc

    def set(self, day, second, ms=0):
        """Set the time to UTC, read it back, and clear the stop flag only then. Blocks 6 ms.

        ``day`` 0 … 73048. Writing the seconds starts a new second in the chip, so call it at a full second: it takes
        the nearest. Raises `OutOfRange`, `NoAnswer`; `BadAnswer` when it reads back otherwise (the flag stays then).
        """
        if not (0 <= day <= _DAY_MAX and 0 <= second < 86400 and 0 <= ms < 1000):
            raise OutOfRange(self._name, "day or second")
        if ms >= _HALF_S_MS and second < 86399:
            second += 1
        control = self._get(_CONTROL)
        if control & _NOT_ON_BATTERY:
            self._put(_CONTROL, control & 0x7F)
        encode(day, second, self._wanted, self._date)
        self._registers.write(_TIME, self._wanted)
        self._registers.read(_TIME, self._seven)
        got_day, got_second = decode(self._seven)
        late = -1 if got_day is None else (got_day - day) * 86400 + got_second - second
        if not 0 <= late <= 1 or self._get(_CONTROL) & _NOT_ON_BATTERY:
            raise BadAnswer(self._name, "time read back wrong")
        self._put(_STATUS, self._get(_STATUS) & 0x7F)
        if self._get(_STATUS) & _STOPPED:
            raise BadAnswer(self._name, "oscillator does not run")
        self.day = got_day
        self.second = got_second
        self.is_trusted = True

    def read_ageing(self):
        """Return the ageing offset, -128 … 127, about 0.1 ppm each at 25 °C; positive slows the clock."""
        value = self._get(_AGEING)
        return value - 256 if value > 127 else value

    def set_ageing(self, value):
        """Set the ageing offset and read it back."""
        if not -128 <= value <= 127:
            raise OutOfRange(self._name, "ageing is -128 to 127")
        self._put(_AGEING, value & 255)
        if self.read_ageing() != value:
            raise BadAnswer(self._name, "ageing read back wrong")

    def _get(self, register):
        self._registers.read(register, self._one)
        return self._one[0]

    def _put(self, register, value):
        self._one[0] = value
        self._registers.write(register, self._one)


def decode(registers):
    """Return day number and second of day of the seven time registers; (None, None) when they are no time."""
    second = _bcd(registers[0], 59)
    minute = _bcd(registers[1], 59)
    hour = registers[2]
    if hour & 0x80:
        return None, None
    if hour & 0x40:
        is_afternoon = hour & 0x20
        hour = _bcd(hour & 0x1F, 12)
        if hour == 0:
            return None, None
        if hour is not None:
            hour = hour % 12 + (12 if is_afternoon else 0)
    else:
        hour = _bcd(hour, 23)
    date = _bcd(registers[4], 31)
    month = _bcd(registers[5] & 0x7F, 12)
    year = _bcd(registers[6], 99)
    if second is None or minute is None or hour is None or date is None or month is None or year is None:
        return None, None
    day = day_of_date((2100 if registers[5] & 0x80 else 2000) + year, month, date)
    if day is None:
        return None, None
    return day, hour * 3600 + minute * 60 + second


def encode(day, second, registers, date):
    """Write a time into the seven registers, 24 h mode; ``date`` is a list of three to work with."""
    date_of_day(day, date)
    registers[0] = _to_bcd(second % 60)
    registers[1] = _to_bcd(second // 60 % 60)
    registers[2] = _to_bcd(second // 3600)
    # The chip only counts it on: 1 is Saturday here, the day number 0.
    registers[3] = day % 7 + 1
    registers[4] = _to_bcd(date[2])
    registers[5] = _to_bcd(date[1]) | (0x80 if date[0] >= 2100 else 0)
    registers[6] = _to_bcd(date[0] % 100)


def _bcd(value, most):
    if value & 15 > 9 or value >> 4 > 9:
        return None
    number = (value >> 4) * 10 + (value & 15)
    return number if number <= most else None


def _to_bcd(number):
    return number // 10 << 4 | number % 10
