"""`time` as the ESP32 has it, on virtual time: ticks wrap at 2^30, the epoch is 2000-01-01, time() is an integer.

`sleep` lets virtual time pass and delivers interrupts; `ticks_*` deliver them too, at most once a millisecond.
`gmtime`, `localtime` and `mktime` count from 2000 (ports/esp32, shared/timeutils); the RTC starts at 0 at power on.
"""

from . import idle, machine_rtc
from .clock import MASK, diff30

_DAYS_BEFORE = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)
_HALF = 0x20000000


def sleep(seconds):
    """Let seconds pass, which may be a float."""
    idle.sleep_ms(int(seconds * 1000))


def sleep_ms(ms):
    """Let ms of virtual time pass."""
    idle.sleep_ms(ms)


def sleep_us(us):
    """Let us of virtual time pass, busily: the chip does not do anything else meanwhile either."""
    clock = idle.clock
    if clock.is_jump:
        clock.own(us // 1000, us % 1000)
        return
    start = clock.ticks_us()
    while (clock.ticks_us() - start) & MASK < us:
        pass


def ticks_ms():
    """Return ms since power on, on the ring of 2^30."""
    idle.glance()
    return idle.clock.ticks_ms()


def ticks_us():
    """Return us since power on, on the ring of 2^30."""
    idle.glance()
    return idle.clock.ticks_us()


def ticks_cpu():
    """Return the same as ticks_us(): there is no cycle counter to speak of."""
    return idle.clock.ticks_us()


def ticks_diff(a, b):
    """Return a - b on the ring of 2^30."""
    return diff30(a, b)


def ticks_add(ticks, delta):
    """Return ticks + delta on the ring; half the ring is too far, as on the chip (OverflowError)."""
    if delta >= _HALF or delta < -_HALF:
        raise OverflowError("ticks interval overflow")
    return (ticks + delta) & MASK


def time():
    """Return seconds since 2000-01-01 as this chip's RTC believes."""
    idle.glance()
    return machine_rtc.seconds()


def time_ns():
    """Return time() in ns."""
    return machine_rtc.seconds() * 1000000000


def _days(year, month, day):
    """Return days since 2000-01-01 (civil calendar, 2000 to 2099 and beyond)."""
    past = year - 2000
    leap = (past + 3) // 4 - (past + 99) // 100 + (past + 399) // 400
    days = past * 365 + leap + _DAYS_BEFORE[month - 1] + day - 1
    if month > 2 and _is_leap(year):
        days += 1
    return days


def _is_leap(year):
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def mktime(t):
    """Return seconds since 2000 of (year, month, mday, hour, minute, second, ...)."""
    year, month, day, hour, minute, second = t[:6]
    # Months beyond the year are carried, as the chip does.
    year += (month - 1) // 12
    month = (month - 1) % 12 + 1
    return ((_days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second


def gmtime(seconds=None):
    """Return (year, month, mday, hour, minute, second, weekday, yearday), weekday 0 is Monday."""
    if seconds is None:
        seconds = time()
    days = seconds // 86400
    rest = seconds - days * 86400
    weekday = (days + 5) % 7  # 2000-01-01 was a Saturday
    year = 2000 + days // 366
    while _days(year + 1, 1, 1) <= days:
        year += 1
    yearday = days - _days(year, 1, 1) + 1
    month = 12
    while _days(year, month, 1) > days:
        month -= 1
    day = days - _days(year, month, 1) + 1
    return (year, month, day, rest // 3600, rest // 60 % 60, rest % 60, weekday, yearday)


localtime = gmtime
