"""Lighting class by traffic: UNI 11248:2016 Appendix D, the TAI rule (traffic adaptive installation).

Passers are counted over 10 min and taken as a flow per hour. Up to more light at once; down only after two samples in
a row with less traffic, one class at a time, two classes at most. Shorter windows save next to nothing more (Krakow:
26.75 % with 15 min, 27 % with 6 min), and each change of class is visible.
"""

from .compat import const
from .ticks import ticks_add

_CLASSES_DOWN_MAX = const(2)

_HOUR_MS = const(3600000)
# TAI: this many low samples in a row before a step down.
_LOW_SAMPLES = const(2)
# Passers in one window: 60 windows an hour times this stays within 30 bits.
_COUNT_MAX = const(65535)


class VolumeClass:
    """How many lighting classes (EN 13201-2) the traffic allows the lamp to go down.

    ``one_down_per_h``: below this flow, in passers per hour, one class down is allowed; ``two_down_per_h``, not larger:
    below it two (UNI 11248 has a half and a quarter of the road's service flow). ``samples_per_h`` (1 … 60) windows
    make an hour.

    ``classes_down``: 0 … 2; ``flow_per_h``: the last complete sample. Before ``start()``, and until two samples after
    it, the lamp keeps its full class. While ``is_due``, ``pass_due(due_ms)`` is to be called at the tick ``due_ms``.
    """

    def __init__(self, one_down_per_h: int, two_down_per_h: int, samples_per_h: int = 6):
        self._one_down_per_h = one_down_per_h
        self._two_down_per_h = two_down_per_h
        self._samples_per_h = samples_per_h
        self.classes_down = 0
        self.flow_per_h = 0
        self.is_due = False
        self.due_ms = 0
        self._count = 0
        self._low = 0

    def start(self, tick: int) -> None:
        """Begin to count, at full class: at dusk, or when the sensor has its vote again."""
        self.stop()
        self.is_due = True
        self.due_ms = ticks_add(tick, _HOUR_MS // self._samples_per_h)

    def stop(self) -> None:
        """Stop counting and go to full class: at dawn, or when the sensor lost its vote and zero means nothing."""
        self.classes_down = 0
        self.flow_per_h = 0
        self.is_due = False
        self._count = 0
        self._low = 0

    def passer(self, tick: int) -> None:
        """Count a passer seen at ``tick``. A class that this window already forbids is left at once, not at its end."""
        if self.is_due and self._count < _COUNT_MAX:
            self._count += 1
            self._raise_to(self._allowed())

    def pass_due(self, tick: int) -> None:
        """Take the sample of the window that ends at ``tick``."""
        self.flow_per_h = self._count * self._samples_per_h
        allowed = self._allowed()
        self._raise_to(allowed)
        if allowed > self.classes_down:
            self._low += 1
            if self._low == _LOW_SAMPLES:
                self.classes_down += 1
                self._low = 0
        else:
            self._low = 0
        self._count = 0
        self.due_ms = ticks_add(self.due_ms, _HOUR_MS // self._samples_per_h)

    def _allowed(self) -> int:
        flow = self._count * self._samples_per_h
        if flow < self._two_down_per_h:
            return _CLASSES_DOWN_MAX
        return 1 if flow < self._one_down_per_h else 0

    def _raise_to(self, allowed: int) -> None:
        if allowed < self.classes_down:
            self.classes_down = allowed
            self._low = 0
