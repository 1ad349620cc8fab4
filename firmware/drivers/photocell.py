"""A photocell on an ADC input: a photoresistor or photodiode in a divider, read in microvolts, looked up in a table.

Sources: the part's own curve (lux against resistance), which the installer turns into pairs of microvolts and lux;
ESP32 ADC: `machine.ADC.read_uv` is calibrated and not linear near 0 and above 2.45 V at 11 dB (ESP-IDF, ADC
calibration), so keep the curve between 0.15 and 2.45 V. A broken wire or a short gives a voltage outside ``low_uv``
… ``high_uv`` and is an error, never a light level: control then falls back to its sun times.
"""

from ..control.compat import const
from .adc_reading import interpolate, median_uv
from .contract import UNKNOWN, BadAnswer, OutOfRange

DARK_LUX = const(0)
BRIGHT_LUX = const(65535)

_SAMPLES = const(5)


class Photocell:
    """A photocell. ``curve``: microvolts and lux in turns, microvolts rising, 2 to 16 pairs; lux may rise or fall.

    With ``is_switch`` the result is only `DARK_LUX` or `BRIGHT_LUX`, as `control.inputs.Seen` has it of photocells:
    bright from ``bright_lux`` on, dark below ``dark_lux``, in between as before (at first dark, which is light).
    Without it lux moves only when it changed by more than ``hysteresis_permille`` of itself and more than 1 lx.
    ``low_uv``, ``high_uv``: outside is a broken or shorted wire. ``lux``: the last good reading.
    """

    wait_ms = 0

    def __init__(
        self,
        adc,
        curve,
        low_uv=50000,
        high_uv=3000000,
        is_switch=False,
        dark_lux=20,
        bright_lux=35,
        hysteresis_permille=50,
        name="photocell",
    ):
        points = len(curve) // 2
        if len(curve) % 2 or not 2 <= points <= 16:
            raise OutOfRange(name, "curve is 2 to 16 pairs")
        for i in range(points):
            if not 0 <= curve[2 * i + 1] <= BRIGHT_LUX or (i and curve[2 * i] <= curve[2 * i - 2]):
                raise OutOfRange(name, "curve: uV must rise, lux 0 to 65535")
        if not 0 <= low_uv < high_uv or dark_lux > bright_lux or not 0 <= hysteresis_permille <= 500:
            raise OutOfRange(name, "limits out of order")
        self.lux = UNKNOWN
        self._adc = adc
        self._curve = curve
        self._low_uv = low_uv
        self._high_uv = high_uv
        self._is_switch = is_switch
        self._dark_lux = dark_lux
        self._bright_lux = bright_lux
        self._hysteresis_permille = hysteresis_permille
        self._name = name
        self._samples = [0] * _SAMPLES

    def read(self):
        """Return lux (or dark, bright). Blocks 1 ms; raises `NoAnswer`, `BadAnswer` for a broken or shorted wire."""
        uv = median_uv(self._adc, self._samples, self._name)
        if uv < self._low_uv:
            raise BadAnswer(self._name, "shorted to ground")
        if uv > self._high_uv:
            raise BadAnswer(self._name, "broken or shorted to supply")
        lux = interpolate(self._curve, uv)
        if self._is_switch:
            if lux >= self._bright_lux:
                lux = BRIGHT_LUX
            elif lux < self._dark_lux or self.lux == UNKNOWN:
                lux = DARK_LUX
            else:
                lux = self.lux
        elif self.lux != UNKNOWN:
            off = lux - self.lux if lux > self.lux else self.lux - lux
            if off <= 1 or off * 1000 <= self.lux * self._hysteresis_permille:
                lux = self.lux
        self.lux = lux
        return lux
