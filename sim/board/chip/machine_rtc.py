"""The RTC: a clock that survives resets but not power cuts, and 2 KiB of memory that does the same."""

import uctypes

from . import idle, layout
from .clock import fields

_shared = None
_memory = None


def attach(address):
    """Lay the RTC over its mapped file."""
    global _shared, _memory
    _shared = fields(layout.RTC_FIELDS, address)
    _memory = uctypes.bytearray_at(address + layout.RTC_MEMORY_AT, layout.RTC_MEMORY_BYTES)
    return _shared


def cause():
    """Return why the chip has started."""
    return _shared.cause


def seconds():
    """Return seconds since 2000: from what it was set to, or from power on."""
    return _shared.set_s + idle.clock.world_s() - _shared.set_at_s


class RTC:
    """machine.RTC: `datetime` and `memory`; the alarm is not there, as on the ESP32."""

    def __init__(self, id=0):
        pass

    def datetime(self, value=None):
        """Return or set (year, month, day, weekday, hours, minutes, seconds, subseconds)."""
        from . import vtime

        if value is None:
            year, month, day, hour, minute, second, weekday, _ = vtime.gmtime(seconds())
            return (year, month, day, weekday, hour, minute, second, 0)
        year, month, day, _, hour, minute, second = value[:7]
        at = vtime.mktime((year, month, day, hour, minute, second, 0, 0))
        if at < 0:
            raise ValueError("before 2000")
        _shared.set_at_s = idle.clock.world_s()
        _shared.set_s = at
        _shared.is_set = 1
        return None

    def init(self, value):
        """Set the clock, as datetime(value) does."""
        return self.datetime(value)

    def memory(self, data=None):
        """Return or replace the memory that resets leave alone; at most 2048 bytes (ValueError)."""
        if data is None:
            return bytes(memoryview(_memory)[: _shared.memory_length])
        data = bytes(data)
        if len(data) > layout.RTC_MEMORY_BYTES:
            raise ValueError("buffer too long")
        _memory[: len(data)] = data
        _shared.memory_length = len(data)
        return None
