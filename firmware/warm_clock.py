"""The ESP32's own clock, as `ClockKeeper` asks it: right after a reset, and never after a power cut."""

import machine

from firmware.control.civil import day_number, year_of
from firmware.drivers.contract import BadAnswer


class WarmClock:
    """The chip's own clock. Before 2020 it was never set."""

    def read(self):
        """Return (day, second), UTC. Raises BadAnswer where it was not set since power came."""
        now = machine.RTC().datetime()
        if now[0] < 2020:
            raise BadAnswer("rtc", "was not set")
        return day_number(now[0], now[1], now[2]), now[4] * 3600 + now[5] * 60 + now[6]

    def write(self, day, second):
        """Set it. The day of the week is the chip's own affair."""
        year = year_of(day)
        month = 12
        while day_number(year, month, 1) > day:
            month -= 1
        day -= day_number(year, month, 1) - 1
        machine.RTC().datetime((year, month, day, 0, second // 3600, second // 60 % 60, second % 60, 0))
