"""Shanghai Belling BL0937 and HLW8012 (CSE7759), meters that speak in pulses: CF is power, CF1 voltage or current.

Sources: BL0937 datasheet V1.02, section "frequency output": with the rms voltages at the pins and Vref = 1.218 V,
F_CF = 1721506 V(V) V(I) / Vref^2, F_CFU = 15397 V(V) / Vref, F_CFI = 94638 V(I) / Vref. HLW8012 user manual Rev. 1.3,
section 3: Vref = 2.43 V, oscillator 3.579 MHz, F_CF = V1 V2 48 / Vref^2 x fosc / 128, F_CFU = V2 2 / Vref x fosc / 512,
F_CFI = V1 24 / Vref x fosc / 512. SEL low: CF1 is current; high: voltage.

The part sits on the mains side of its board: only an isolated or a fully enclosed assembly may be touched or flashed.

The result is as good as the shunt, the divider and Vref (several per cent together) until it is calibrated.
"""

from ..control.compat import const
from .contract import UNKNOWN, BadAnswer, NoAnswer, OutOfRange

BL0937 = const(0)
HLW8012 = const(1)

# Per part: Vref in uV, and what one hertz is worth on each output, in units of Vref (Vref^2 for power): divisors.
_VREF_UV = (1218000, 2430000)
# 48 x 3579000 / 128 = 1342125; 2 x 3579000 / 512 = 13980; 24 x 3579000 / 512 = 167766.
_POWER_DIVISOR = (1721506, 1342125)
_VOLTAGE_DIVISOR = (15397, 13980)
_CURRENT_DIVISOR = (94638, 167766)
# Above these no working part can pulse (twice the full scale of the larger of both): noise on the wire.
_CF_MAX_HZ = const(20000)
_CF1_MAX_HZ = const(8000)

_RING = const(0x3FFFFFFF)
_WINDOW_MIN_MS = const(500)
_VOLTAGE_MAX_DV = const(4000)
_ONE_PPM = const(1000000)


class Bl0937:
    """A pulse meter. ``cf``, ``cf1``: with ``value()``, as `machine.Counter` or `PulsePin`; ``sel``: an output pin.

    ``cf1`` and ``sel`` may be None: then there is power and energy only. ``counter_ring``: 2^n - 1 of a counter that
    wraps (15 bits hold 8 s of CF1 at most), 0x3FFFFFFF else. ``shunt_uohm``: the shunt in micro-ohm; ``upper_kohm``,
    ``lower_ohm``: the divider.
    ``is_sel_inverted``: a transistor drives SEL (as on Sonoff's POW), so that the pin's high is its low.
    ``power_ppm``, ``voltage_ppm``, ``current_ppm``: corrections from `calibrated_ppm`, 1,000,000 for none.
    ``power_max_w`` (1 … 10000): more than that is noise; so is more than 400 V.

    After `read`: ``power_mw``, ``voltage_dv``, ``current_ma``, ``power_factor_permille`` (each `UNKNOWN` until it was
    measured: voltage and current alternate, and the window after each change of SEL is thrown away), ``energy_wh`` and
    ``energy_mj`` (its rest) since the start. Power below one pulse a window reads 0.
    """

    def __init__(
        self,
        cf,
        cf1,
        sel,
        ticks_ms,
        part=BL0937,
        is_sel_inverted=False,
        counter_ring=_RING,
        shunt_uohm=1000,
        upper_kohm=1980,
        lower_ohm=1000,
        power_ppm=_ONE_PPM,
        voltage_ppm=_ONE_PPM,
        current_ppm=_ONE_PPM,
        power_max_w=1000,
        name="bl0937",
    ):
        if part not in (BL0937, HLW8012):
            raise OutOfRange(name, "part is 0 or 1")
        if not (100 <= shunt_uohm <= 100000 and 100 <= upper_kohm <= 10000 and 100 <= lower_ohm <= 10000):
            raise OutOfRange(name, "shunt or divider")
        for ppm in (power_ppm, voltage_ppm, current_ppm):
            if not 500000 <= ppm <= 2000000:
                raise OutOfRange(name, "correction is 500000 to 2000000 ppm")
        if not 1 <= power_max_w <= 10000:
            raise OutOfRange(name, "power_max_w is 1 to 10000")
        self.power_mw = UNKNOWN
        self.voltage_dv = UNKNOWN
        self.current_ma = UNKNOWN
        self.power_factor_permille = UNKNOWN
        self.energy_wh = 0
        self.energy_mj = 0
        self._cf = cf
        self._cf1 = cf1
        self._sel = sel
        self._is_sel_inverted = is_sel_inverted
        self._ticks_ms = ticks_ms
        self._ring = counter_ring
        self._name = name
        self._power_max_mw = power_max_w * 1000
        # What one pulse is worth, worked out once; these numbers and the products below may pass 30 bits.
        vref_uv = _VREF_UV[part]
        ratio_e3 = (upper_kohm * 1000 + lower_ohm) * 1000 // lower_ohm
        # uJ = Vref^2 / divisor x ratio / shunt: uV^2 x 1e-3 / uohm = 1e-9 J.
        self._uj = vref_uv * vref_uv * ratio_e3 // (_POWER_DIVISOR[part] * shunt_uohm * 1000) * power_ppm // _ONE_PPM
        self._uvs = vref_uv * ratio_e3 // (_VOLTAGE_DIVISOR[part] * 1000) * voltage_ppm // _ONE_PPM
        self._uas = vref_uv * 1000000 // (_CURRENT_DIVISOR[part] * shunt_uohm) * current_ppm // _ONE_PPM
        self._rest_uj = 0
        self._cf_count = cf.value()
        self._cf1_count = 0
        self._since_ms = ticks_ms()
        self._is_voltage = True
        self._is_settling = True
        if cf1 is not None:
            sel.value(0 if is_sel_inverted else 1)
            self._cf1_count = cf1.value()

    def read(self):
        """Measure the window since the last call (0.5 s at least, 10 s are good); fill the attributes, return power_mw.

        Called too early it returns the last power and changes nothing. Blocks not at all. Raises `BadAnswer` for
        more pulses than the part can give, `NoAnswer` for a voltage output without any pulse. (A part that falls
        silent while CF1 is current gives 0 mW first, for three readings at most.)
        """
        now_ms = self._ticks_ms()
        window_ms = (now_ms - self._since_ms) & _RING
        if window_ms < _WINDOW_MIN_MS:
            return self.power_mw
        count = self._cf.value()
        pulses = (count - self._cf_count) & self._ring
        self._cf_count = count
        self._since_ms = now_ms
        cf1_pulses = 0
        if self._cf1 is not None:
            count = self._cf1.value()
            cf1_pulses = (count - self._cf1_count) & self._ring
            self._cf1_count = count
        if pulses > _CF_MAX_HZ * window_ms // 1000 or cf1_pulses > _CF1_MAX_HZ * window_ms // 1000:
            self._is_settling = True
            raise BadAnswer(self._name, "more pulses than possible")
        uj = pulses * self._uj
        if uj // window_ms > self._power_max_mw:
            self._is_settling = True
            raise BadAnswer(self._name, "more than power_max_w")
        if self._cf1 is not None and self._is_voltage and not self._is_settling:
            self._check_voltage(cf1_pulses, cf1_pulses * self._uvs // window_ms // 100)
        self._add_energy(uj)
        self.power_mw = uj // window_ms
        if self._cf1 is not None:
            self._read_cf1(cf1_pulses, window_ms)
        return self.power_mw

    def _check_voltage(self, pulses, voltage_dv):
        if pulses == 0:
            # SEL stays: the next window with a pulse says that it lives.
            self.voltage_dv = UNKNOWN
            self.power_factor_permille = UNKNOWN
            raise NoAnswer(self._name, "no voltage pulses")
        if voltage_dv > _VOLTAGE_MAX_DV:
            raise BadAnswer(self._name, "more than 400 V")

    def _read_cf1(self, pulses, window_ms):
        if self._is_settling:
            self._is_settling = False
            return
        if self._is_voltage:
            self.voltage_dv = pulses * self._uvs // window_ms // 100
        else:
            self.current_ma = pulses * self._uas // window_ms
        self._select(not self._is_voltage)
        if self.voltage_dv != UNKNOWN and self.current_ma != UNKNOWN:
            apparent_mva = self.voltage_dv * self.current_ma // 10
            if apparent_mva > 0:
                permille = self.power_mw * 1000 // apparent_mva
                self.power_factor_permille = permille if permille < 1000 else 1000
            else:
                self.power_factor_permille = UNKNOWN

    def _select(self, is_voltage):
        self._is_voltage = is_voltage
        self._is_settling = True
        self._sel.value(1 if is_voltage != self._is_sel_inverted else 0)

    def _add_energy(self, uj):
        uj += self._rest_uj
        self._rest_uj = uj % 1000
        mj = self.energy_mj + uj // 1000
        self.energy_wh += mj // 3600000
        self.energy_mj = mj % 3600000


def calibrated_ppm(shown, true, ppm=_ONE_PPM):
    """Return the new correction when a reading of ``shown`` (with correction ``ppm``) should have been ``true``."""
    if shown <= 0 or true <= 0:
        raise OutOfRange("bl0937", "calibrate under load")
    corrected = ppm * true // shown
    if not 500000 <= corrected <= 2000000:
        raise OutOfRange("bl0937", "more than a factor of 2: wrong shunt or divider")
    return corrected
