"""A presence sensor with a digital output: PIR, or a radar's OUT pin.

Sources: reliability.md, fault row 12 (a storm of edges starves the processor: the interrupt only counts, and is masked
for a second beyond a rate); isr_rules of MicroPython (interrupts are soft on ESP32; nothing is allocated in them).
"""

from ..control.compat import const
from .contract import OutOfRange

try:
    from time import ticks_ms as _chip_ticks_ms
except ImportError:  # CPython: whoever tests there brings his own
    _chip_ticks_ms = None

_RING = const(0x3FFFFFFF)
_MASK_MS = const(1000)
_WINDOW_MS = const(1000)


class PresenceInput:
    """A presence pin. ``notify(1)`` comes from the interrupt, at once; ``notify(0)`` from there or from `poll`.

    ``is_active_high``: level that means somebody. ``debounce_ms`` (0 … 1000): a pulse shorter than that is nothing
    (then `poll` or the end of the pulse tells; 0 tells at once). ``stretch_ms`` (0 … 10000): somebody stays at least
    that long, so that a short pulse outlives its reader's period. ``storm_per_s`` (4 … 1000): with more edges in a
    second the interrupt is masked for one second, ``storms`` goes up, and the value stays as it is; then the pin is
    read again. While ``is_masked`` or ``is_waiting`` (a debounce, a stretch) `poll` must be called, every 100 ms or so;
    ``attention``, where it was set to a callable that allocates nothing, is called when that begins. Else every few
    seconds will do: a lost wake-up of the interrupt's queue (8 deep on ESP32) is mended there.

    A stuck pin is not seen here: control takes away the vote of a sensor that never changes.
    """

    def __init__(
        self,
        pin,
        notify,
        is_active_high=True,
        debounce_ms=0,
        stretch_ms=0,
        storm_per_s=50,
        ticks_ms=None,
        name="presence_input",
    ):
        if not (0 <= debounce_ms <= 1000 and 0 <= stretch_ms <= 10000 and 4 <= storm_per_s <= 1000):
            raise OutOfRange(name, "debounce_ms, stretch_ms or storm_per_s")
        self.edges = 0
        self.storms = 0
        self.is_masked = False
        self.is_waiting = False
        self.attention = None
        self._pin = pin
        self._notify = notify
        self._active = 1 if is_active_high else 0
        self._debounce_ms = debounce_ms
        self._stretch_ms = stretch_ms
        self._storm_per_s = storm_per_s
        self._ticks_ms = ticks_ms or _chip_ticks_ms
        self._told = 0
        self._told_ms = 0
        self._raw = 0
        now_ms = self._ticks_ms()
        self._raw_ms = now_ms
        self._window_ms = now_ms
        self._window_edges = 0
        # Made once: the interrupt allocates nothing.
        self._edge_ref = self._on_edge
        self._trigger = pin.IRQ_RISING | pin.IRQ_FALLING
        pin.irq(handler=self._edge_ref, trigger=self._trigger)
        self.poll()

    def value(self):
        """Return 1 while the pin says somebody, else 0, neither debounced nor stretched."""
        return 1 if self._pin.value() == self._active else 0

    def poll(self):
        """Bring debounce, stretch and storm up to now. It never blocks and never raises."""
        now_ms = self._ticks_ms()
        if self.is_masked:
            if ((now_ms - self._window_ms) & _RING) < _MASK_MS:
                return
            self.is_masked = False
            self._window_ms = now_ms
            self._window_edges = 0
            self._pin.irq(handler=self._edge_ref, trigger=self._trigger)
        self._look(now_ms)

    def _on_edge(self, pin):
        self.edges = (self.edges + 1) & _RING
        now_ms = self._ticks_ms()
        if ((now_ms - self._window_ms) & _RING) >= _WINDOW_MS:
            self._window_ms = now_ms
            self._window_edges = 0
        self._window_edges += 1
        if self._window_edges > self._storm_per_s:
            if not self.is_masked:
                self.is_masked = True
                self.storms += 1
                self._window_ms = now_ms
                pin.irq(handler=None)
                if self.attention is not None:
                    self.attention()
            return
        self._look(now_ms)
        if self.is_waiting and self.attention is not None:
            self.attention()

    def _look(self, now_ms):
        raw = 1 if self._pin.value() == self._active else 0
        if raw != self._raw:
            # A pulse that has ended counts if it was long enough, even when nobody polled meanwhile.
            if raw == 0 and self._told == 0 and ((now_ms - self._raw_ms) & _RING) >= self._debounce_ms > 0:
                self._tell(1, now_ms)
            self._raw = raw
            self._raw_ms = now_ms
        self.is_waiting = raw != self._told and (
            ((now_ms - self._raw_ms) & _RING) < self._debounce_ms
            or (raw == 0 and ((now_ms - self._told_ms) & _RING) < self._stretch_ms)
        )
        if raw != self._told and not self.is_waiting:
            self._tell(raw, now_ms)

    def _tell(self, value, now_ms):
        self._told = value
        self._told_ms = now_ms
        self._notify(value)
