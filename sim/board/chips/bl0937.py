"""A model of Belling's BL0937 (datasheet V1.02) and of HLW8012 (user manual Rev. 1.3). A double: no hardware.

It gives pulses for what the mains does; the formulas are restated here in rational numbers of their own.
"""

from .buses import Model, PinLine, PulseCounter


class Bl0937Model(Model):
    """Pulses for ``voltage_mv``, ``current_ma`` and ``power_mw`` through a divider 1:``ratio`` and a shunt."""

    def __init__(self, ratio: int = 1981, shunt_uohm: int = 1000, is_hlw8012: bool = False, bits: int = 0) -> None:
        super().__init__()
        self.voltage_mv = 230_000
        self.current_ma = 0
        self.power_mw = 0
        self.ratio = ratio
        self.shunt_uohm = shunt_uohm
        self.is_hlw8012 = is_hlw8012
        self.cf = PulseCounter(bits)
        self.cf1 = PulseCounter(bits)
        self.sel = PinLine()
        self._rest = [0, 0]

    def tick(self, now_ms: int) -> None:
        """Send the pulses of the time since the last tick."""
        elapsed_ms = now_ms - self.now_ms
        super().tick(now_ms)
        if self.fault == "no_answer":
            return
        if self.fault == "noise":
            self.cf.pulse(elapsed_ms * 25)
            self.cf1.pulse(elapsed_ms * 25)
            return
        if self.fault == "brown_out":
            # Without supply for this time: no pulse.
            self.fault = "none"
            return
        self._send(0, self.cf, self._cf_nhz(), elapsed_ms)
        self._send(1, self.cf1, self._cf1_nhz(), elapsed_ms)

    def _send(self, which: int, counter: PulseCounter, nhz: int, elapsed_ms: int) -> None:
        total = nhz * elapsed_ms + self._rest[which]
        self._rest[which] = total % 10**12
        if total >= 10**12:
            counter.pulse(total // 10**12)

    def _cf_nhz(self) -> int:
        """F_CF: V(V) V(I) = P / ratio x shunt; P in mW, shunt in uohm: 1e-9 V^2."""
        if self.is_hlw8012:
            return self.power_mw * self.shunt_uohm * 48 * 3_579_000 * 10**6 // (128 * self.ratio * 2_430 * 2_430)
        return self.power_mw * self.shunt_uohm * 1_721_506 * 10**6 // (self.ratio * 1_218 * 1_218)

    def _cf1_nhz(self) -> int:
        if self.sel.value():
            if self.is_hlw8012:
                return self.voltage_mv * 2 * 3_579_000 * 10**9 // (512 * self.ratio * 2_430)
            return self.voltage_mv * 15_397 * 10**9 // (self.ratio * 1_218)
        if self.is_hlw8012:
            return self.current_ma * self.shunt_uohm * 24 * 3_579_000 * 10**3 // (512 * 2_430)
        return self.current_ma * self.shunt_uohm * 94_638 * 10**3 // 1_218
