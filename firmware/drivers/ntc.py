"""An NTC thermistor in a divider on an ADC input, in tenths of °C, by its beta or by its own table.

Source: the beta equation R = R25 x exp(beta x (1/T - 1/298.15 K)) as thermistor makers give it (Vishay NTCLE100E3,
document 29049; Murata R44E). Logarithms would need floats, which are single on the chip: the constructor works the
voltages out at 37 temperatures in integers, a reading interpolates between them (error of that below 0.1 °C, tested).
A broken or shorted thermistor is an error, never a temperature: see reliability.md, fault row 17.
"""

from ..control.compat import const
from ..control.derating import UNKNOWN_DC
from .adc_reading import interpolate, median_uv
from .contract import BadAnswer, OutOfRange

_COLDEST_DC = const(-400)
_HOTTEST_DC = const(1400)
_STEP_DC = const(50)
_HOT_DC = const(1000)
_SAMPLES = const(5)
# Fixed point with 40 binary digits; numbers beyond 30 bits, so it allocates: in the constructor only.
_BITS = const(40)
_LN2_Q40 = 762123384786


class Ntc:
    """A thermistor. ``r25_ohm``, ``beta_k``: of the part. ``series_ohm``, ``supply_uv``: of the divider.

    ``is_to_ground``: the thermistor lies between input and ground, else between supply and input. ``curve``: instead of
    beta (empty), microvolts (rising) and tenths of °C in turns. ``adc_max_uv``: above this the input tells nothing (an
    ESP32's ends near 3.1 V, below its supply), so that an open wire is not taken for a cold night; 100 °C must lie
    below it.
    ``temperature_dc``: the last good reading, `UNKNOWN_DC` before the first. Readings beyond -40 … 140 °C, the ends of
    the curve or ``adc_max_uv`` are a broken or shorted thermistor.
    """

    wait_ms = 0

    def __init__(
        self,
        adc,
        r25_ohm=10000,
        beta_k=3950,
        series_ohm=10000,
        supply_uv=3300000,
        is_to_ground=True,
        adc_max_uv=2900000,
        curve=(),
        name="ntc",
    ):
        if not (100 <= r25_ohm <= 1000000 and 1000 <= beta_k <= 6000 and 100 <= series_ohm <= 1000000):
            raise OutOfRange(name, "r25_ohm, beta_k or series_ohm")
        if not 1000000 <= supply_uv <= 5000000:
            raise OutOfRange(name, "supply_uv is 1 to 5 V")
        if not curve:
            curve = curve_of_beta(r25_ohm, beta_k, series_ohm, supply_uv, is_to_ground)
        elif len(curve) < 4 or len(curve) % 2 or len(curve) > 128:
            raise OutOfRange(name, "curve is 2 to 64 pairs")
        for i in range(2, len(curve), 2):
            if curve[i] <= curve[i - 2]:
                raise OutOfRange(name, "curve: uV must rise")
        if not is_to_ground and _voltage_at(curve, _HOT_DC) > adc_max_uv:
            raise OutOfRange(name, "100 C is beyond the ADC: smaller series_ohm")
        self.temperature_dc = UNKNOWN_DC
        self._adc = adc
        self._curve = curve
        self._is_to_ground = is_to_ground
        self._max_uv = min(curve[len(curve) - 2], adc_max_uv)
        self._name = name
        self._samples = [0] * _SAMPLES

    def read(self):
        """Return tenths of °C. Blocks 1 ms; raises `NoAnswer`, `BadAnswer` for an open or shorted thermistor."""
        uv = median_uv(self._adc, self._samples, self._name)
        if uv < self._curve[0]:
            raise BadAnswer(self._name, "shorted" if self._is_to_ground else "open")
        if uv > self._max_uv:
            raise BadAnswer(self._name, "open" if self._is_to_ground else "shorted")
        dc = interpolate(self._curve, uv)
        self.temperature_dc = dc
        return dc


def curve_of_beta(r25_ohm, beta_k, series_ohm, supply_uv, is_to_ground):
    """Return microvolts (rising) and tenths of °C in turns, every 5 °C from -40 to 140 °C. Takes some 5 ms."""
    curve = []
    for i in range((_HOTTEST_DC - _COLDEST_DC) // _STEP_DC + 1):
        # To ground, hot is a low voltage: begin hot.
        dc = _HOTTEST_DC - i * _STEP_DC if is_to_ground else _COLDEST_DC + i * _STEP_DC
        milliohm = resistance_milliohm(r25_ohm, beta_k, dc)
        whole = milliohm + series_ohm * 1000
        part = milliohm if is_to_ground else series_ohm * 1000
        curve.append((supply_uv * part + whole // 2) // whole)
        curve.append(dc)
    return curve


def _voltage_at(curve, dc):
    for i in range(0, len(curve), 2):
        if curve[i + 1] >= dc:
            return curve[i]
    return curve[len(curve) - 2]


def resistance_milliohm(r25_ohm, beta_k, dc):
    """Return R25 x exp(beta x (1/T - 1/298.15)) in milliohm for ``dc`` tenths of °C, in integers."""
    # T in hundredths of a kelvin: 27315 + 10 dc. 1/T - 1/T25 = (T25 - T) / (T x T25).
    kelvin_e2 = 27315 + 10 * dc
    exponent = (beta_k * 100 * (29815 - kelvin_e2) << _BITS) // (kelvin_e2 * 29815)
    # exp(x) = 2^n exp(r) with 0 <= r < ln 2, and exp(r) by its series: 16 terms are below 2^-40.
    power = exponent // _LN2_Q40
    rest = exponent - power * _LN2_Q40
    term = 1 << _BITS
    total = term
    for n in range(1, 17):
        term = (term * rest >> _BITS) // n
        total += term
    value = r25_ohm * 1000 * total
    value = value << power if power >= 0 else value >> -power
    return value >> _BITS
