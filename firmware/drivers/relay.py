"""Mains relays before the driver: one that falls back by itself, and one that latches. They obey; control decides.

A monostable relay is wired through its normally closed contact where it can be: without a node it is closed, and the
lamp burns (``is_active_high`` and ``is_on_active`` say how). A latching relay keeps its state through a power cut, so
one that was open stays open until the node has booted and its constructor has closed it: seconds, never a night.
"""

from ..control.compat import const
from .contract import OutOfRange

# The contact of a mains relay comes to rest in 20 ms; a slow opto-coupler behind it, in 100.
_SETTLE_MS = const(200)
_PULSE_MIN_MS = const(10)
# A latching coil bears its pulse for a second or so; longer it burns.
_PULSE_MAX_MS = const(500)


class ReadBack:
    """A contact or opto-coupler that shows whether the relay is closed (steady level, not mains half-waves).

    ``switched()``: the relay has just moved. ``disagrees(is_on)``: 1 when a relay at rest is not as it should be.
    """

    def __init__(self, pin, is_active_high, ticks_ms=None, ticks_diff=None):
        if ticks_ms is None:
            import time

            ticks_ms = time.ticks_ms
            ticks_diff = time.ticks_diff
        self._ticks_ms = ticks_ms
        self._ticks_diff = ticks_diff
        self._pin = pin
        self._closed = 1 if is_active_high else 0
        self.switched()

    def switched(self):
        """Note that the relay moves now."""
        self._since_ms = self._ticks_ms()
        self._is_at_rest = False

    def disagrees(self, is_on):
        """Return 1 or 0. Within 200 ms of switching it says nothing (0)."""
        if not self._is_at_rest:
            if self._ticks_diff(self._ticks_ms(), self._since_ms) < _SETTLE_MS:
                return 0
            # Remembered, since the ring of ticks comes round.
            self._is_at_rest = True
        return 1 if (self._pin.value() == self._closed) != is_on else 0


class Relay:
    """See `contract`, Relay. ``is_on_active``: True when the coil closes the lamp's circuit, False for a contact that
    is closed without it. ``read_back``: a `ReadBack` or None. The constructor switches at once, before anything else.
    """

    def __init__(self, pin, is_on=True, is_active_high=True, is_on_active=True, read_back=None):
        self._pin = pin
        self._on_level = 1 if bool(is_active_high) == bool(is_on_active) else 0
        self._read_back = read_back
        self.is_on = bool(is_on)
        # A value given with the direction reaches the pin before the direction does (ESP32 port): no pulse.
        pin.init(pin.OUT, value=self._on_level if self.is_on else 1 - self._on_level)
        if read_back:
            read_back.switched()

    def write(self, on):
        """Close (True) or open (False) the lamp's circuit at once. Allocates nothing."""
        on = bool(on)
        self._pin.value(self._on_level if on else 1 - self._on_level)
        if on != self.is_on and self._read_back:
            self._read_back.switched()
        self.is_on = on

    @property
    def fault(self):
        """Return 1 while the read-back contradicts, 0 else and without one."""
        return self._read_back.disagrees(self.is_on) if self._read_back else 0


class LatchingRelay:
    """A relay with a coil to set and one to reset, each moved by a pulse of ``pulse_ms`` (10 … 500).

    The constructor gives the first pulse itself and blocks for it: the state before is not known. Later ``write()``
    only asks, and ``async run()`` gives one whole pulse after the other, so both coils are never driven together; of
    several writes within a pulse the last counts. A node that dies within
    a pulse is reset by its watchdog, and reset pins are inputs: the coil is free again.
    """

    def __init__(self, set_pin, reset_pin, is_on=True, is_active_high=True, pulse_ms=50, read_back=None, sleep_ms=None):
        if not _PULSE_MIN_MS <= pulse_ms <= _PULSE_MAX_MS:
            raise OutOfRange("relay", "pulse 10 to 500 ms")
        self._set = set_pin
        self._reset = reset_pin
        self._active = 1 if is_active_high else 0
        self._pulse_ms = pulse_ms
        self._read_back = read_back
        self.is_on = bool(is_on)
        self._is_done = True
        self._coil = None
        for pin in (set_pin, reset_pin):
            pin.init(pin.OUT, value=1 - self._active)
        if sleep_ms is None:
            import time

            sleep_ms = time.sleep_ms
        self._begin()
        sleep_ms(pulse_ms)
        self._end()
        if read_back:
            read_back.switched()

    def write(self, on):
        """Ask for closed (True) or open (False). The pulse begins within 10 ms, when `run` looks."""
        on = bool(on)
        if on != self.is_on:
            self.is_on = on
            self._is_done = False
            if self._read_back:
                self._read_back.switched()

    @property
    def fault(self):
        """Return 1 while the read-back contradicts, 0 else and without one."""
        return self._read_back.disagrees(self.is_on) if self._read_back else 0

    async def run(self, sleep_ms=None):
        """Give the pulses that were asked for, one at a time. Never returns."""
        if sleep_ms is None:
            import asyncio

            sleep_ms = asyncio.sleep_ms
        try:
            while True:
                if not self._is_done:
                    self._begin()
                    await sleep_ms(self._pulse_ms)
                    self._end()
                await sleep_ms(10)
        finally:
            self._end()

    def _begin(self):
        self._end()
        self._is_done = True
        self._coil = self._set if self.is_on else self._reset
        self._coil.value(self._active)

    def _end(self):
        if self._coil is not None:
            self._coil.value(1 - self._active)
            self._coil = None
