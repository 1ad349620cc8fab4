"""Counts the pulses of a pin in its interrupt, for boards without a free counter unit. A part of pulse meters.

Only for slow signals (CF of a BL0937 at lamp powers: below 100 Hz). The ESP32 port's interrupts are soft, its queue is
8 deep and overflows (ports/esp32/machine_pin.c): pulses are then lost, never invented. Beyond ``storm_per_s`` the
interrupt is masked for a second (reliability.md, fault row 12); `value` must be called for it to come back.
"""

from ..control.compat import const
from .contract import OutOfRange

_RING = const(0x3FFFFFFF)


class PulsePin:
    """A counter over ``pin``, with ``value()`` as `machine.Counter` has it. ``storms``: how often it was masked."""

    def __init__(self, pin, ticks_ms, storm_per_s=500, name="pulse_pin"):
        if not 10 <= storm_per_s <= 2000:
            raise OutOfRange(name, "storm_per_s is 10 to 2000")
        self.storms = 0
        self.is_masked = False
        self._pin = pin
        self._ticks_ms = ticks_ms
        self._storm_per_s = storm_per_s
        self._count = 0
        self._window_count = 0
        self._window_ms = ticks_ms()
        # Made once: the interrupt allocates nothing.
        self._edge_ref = self._on_edge
        self._rising = pin.IRQ_RISING
        pin.irq(handler=self._edge_ref, trigger=self._rising)

    def value(self):
        """Return the count since the start, on a ring of 2^30."""
        if self.is_masked and ((self._ticks_ms() - self._window_ms) & _RING) >= 1000:
            self.is_masked = False
            self._window_ms = self._ticks_ms()
            self._window_count = 0
            self._pin.irq(handler=self._edge_ref, trigger=self._rising)
        return self._count

    def _on_edge(self, pin):
        self._count = (self._count + 1) & _RING
        now_ms = self._ticks_ms()
        if ((now_ms - self._window_ms) & _RING) >= 1000:
            self._window_ms = now_ms
            self._window_count = 0
        self._window_count += 1
        if self._window_count > self._storm_per_s and not self.is_masked:
            self.is_masked = True
            self.storms += 1
            self._window_ms = now_ms
            pin.irq(handler=None)
