"""A model of Maxim's DS3231 (datasheet 19-5170 Rev. 10, figure 1 and registers). A double: no hardware."""

from .buses import RegisterModel

_LENGTH = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def _bcd(value: int) -> int:
    return (value >> 4) * 10 + (value & 15)


def _to_bcd(number: int) -> int:
    return number // 10 << 4 | number % 10


class Ds3231Model(RegisterModel):
    """It counts real seconds of `tick` in BCD, as the chip does; it takes every fourth year for a leap year.

    ``time``: (year, month, date, hour, minute, second) that it was set to, of 2000 to 2099: its battery has kept it.
    """

    address = 0x68

    def __init__(self, time: "tuple[int, ...] | list[int]" = ()) -> None:
        super().__init__()
        if time:
            for at, value in enumerate((time[5], time[4], time[3], 1, time[2], time[1], time[0] - 2000)):
                self.registers[at] = _to_bcd(value)
            self.registers[0x0F] &= 0x7F

    def power_on(self) -> None:
        """Registers as after the first power-on: 1 January of year 0, a Sunday called 1; stopped flag set."""
        self.registers = bytearray(19)
        self.registers[3] = 1
        self.registers[4] = 1
        self.registers[5] = 1
        self.registers[0x0E] = 0x1C
        self.registers[0x0F] = 0x88
        self._rest_ms = 0

    def next_pointer(self, pointer: int) -> int:
        """Return the next register: after 0x12 comes 0."""
        return 0 if pointer >= 0x12 else pointer + 1

    def get(self, register: int) -> int:
        """Return a register."""
        return self.registers[register] if register < len(self.registers) else 0

    def put(self, register: int, value: int) -> None:
        """Take a register: OSF can only be cleared, the temperature cannot be written; seconds start a new second."""
        if register == 0x0F:
            value = value & 0x7F | self.registers[0x0F] & value & 0x80
        if register == 0x00:
            self._rest_ms = 0
        if register < 0x11 and self.fault != "stuck":
            self.registers[register] = value

    def set_temperature_quarters(self, quarters: int) -> None:
        """Let the chip measure so many quarters of a degree."""
        self.registers[0x11] = quarters >> 2 & 255
        self.registers[0x12] = (quarters & 3) << 6

    def stop(self) -> None:
        """Let the battery run out: the oscillator stops, the flag says so."""
        self.registers[0x0F] |= 0x80

    def tick(self, now_ms: int) -> None:
        """Count the seconds since the last tick."""
        self._rest_ms += now_ms - self.now_ms
        super().tick(now_ms)
        while self._rest_ms >= 1000:
            self._rest_ms -= 1000
            if self.fault != "stuck":
                self._count()

    def _count(self) -> None:
        time = self.registers
        for register in (0, 1):
            time[register] = _to_bcd((_bcd(time[register]) + 1) % 60)
            if time[register]:
                return
        if not self._count_hour():
            return
        time[3] = time[3] % 7 + 1
        year = _bcd(time[6])
        month = _bcd(time[5] & 0x1F)
        length = _LENGTH[month - 1] + (1 if month == 2 and year % 4 == 0 else 0)
        date = _bcd(time[4]) + 1
        time[4] = _to_bcd(date if date <= length else 1)
        if date <= length:
            return
        time[5] = time[5] & 0x80 | _to_bcd(month % 12 + 1)
        if month == 12:
            time[6] = _to_bcd((year + 1) % 100)
            if year == 99:
                time[5] ^= 0x80

    def _count_hour(self) -> bool:
        """Count an hour on; return True when a day ends."""
        hour = self.registers[2]
        if hour & 0x40:
            number = _bcd(hour & 0x1F) % 12 + 1
            afternoon = hour & 0x20
            if number == 12:
                afternoon ^= 0x20
            self.registers[2] = 0x40 | afternoon | _to_bcd(number)
            return number == 12 and afternoon == 0
        number = (_bcd(hour) + 1) % 24
        self.registers[2] = _to_bcd(number)
        return number == 0
