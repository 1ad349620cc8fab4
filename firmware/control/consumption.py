"""What one lamp output has drawn and how long it has burnt, from its decisions: the estimate that needs no meter."""

from .power import EnergyCounter
from .ticks import ticks_add, ticks_diff


class Consumption:
    """Counts along the ``ramp``, with ``curve`` (`PowerCurve`), while the relay of ``output`` is closed.

    ``energy`` (`EnergyCounter`) is complete up to the last `count_to`. Call it before level or relay change.
    """

    def __init__(self, curve, ramp, output):
        self._curve = curve
        self._ramp = ramp
        self._output = output
        self.energy = EnergyCounter()
        self._counted_ms = 0

    def start(self, tick: int) -> None:
        """Count from ``tick`` on."""
        self._counted_ms = tick

    def count_to(self, tick: int, level_permille: int) -> None:
        """Bring the counters up to ``tick``; after the ramp the lamp has ``level_permille``."""
        ramp = self._ramp
        curve = self._curve
        energy = self.energy
        span = ticks_diff(tick, self._counted_ms)
        if not self._output.is_closed:
            # Behind an open relay there is neither light nor standby.
            if span > 0:
                self._counted_ms = tick
                energy.add(0, span, False)
                if ramp.is_running and ramp.left_ms(tick) <= 0:
                    ramp.is_running = False
            return
        if ramp.is_running and span > 0:
            left = ramp.left_ms(self._counted_ms)
            part = left if span > left else span
            before = ramp.level_at(self._counted_ms)
            self._counted_ms = ticks_add(self._counted_ms, part)
            after = ramp.level_at(self._counted_ms)
            # Within a fade the lamp is lit, however little: level 0 would be standby.
            power = curve.at(before if before else 1) if before == after else curve.mean(before, after)
            energy.add(power, part, True)
            if part == left:
                ramp.is_running = False
            span -= part
        if span > 0:
            energy.add(curve.at(level_permille), span, level_permille > 0)
            self._counted_ms = tick
