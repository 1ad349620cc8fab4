"""Dimmer by a direct voltage: 1-10 V (IEC 60929 Annex E) and 0-10 V, from PWM behind a filter or from the ESP32's DAC.

The gear feeds a small current into the pair and the controller holds the voltage down: 10 V and more is full light, 1 V
and less is the gear's minimum (IEC 60929, E.2). So **a cut wire, a dead controller and a missing supply give full
light**, by the standard; nobody at this end can see it, only a power meter can (``fault`` is 0 always).

The standard has no "off": a level of 0 is sent as the minimum, and the mains relay does the rest (``can_go_dark`` is
False). Gear that does switch off below some voltage is told so by ``off_mv``.

Wire the output so that the pin's rest level (reset, soft reset, before the application runs) is 10 V.
"""

from ..control.compat import const
from .contract import FULL_PERMILLE, OutOfRange, clip_permille
from .points import check_points, interpolate

# IEC 60929 Annex E: 1 V is the minimum, above 10 V nothing more happens; terminals stand 20 V, amplifiers give 12.
MINIMUM_MV = const(1000)
FULL_MV = const(10000)
SCALE_MAX_MV = const(12000)
# Fast enough that one RC (10 kOhm, 1 uF: 10 ms) leaves a ripple below 20 mV of 10 V, slow enough for 13 bits.
FREQUENCY_HZ = const(5000)
_DUTY_FULL = const(65535)
_DAC_FULL = const(255)
# Level to volts as the standard draws it: 1 V at the gear's minimum (10 % by habit), 10 V at full.
_ANNEX_E = (0, 1000, 100, 1000, 1000, 10000)


class VoltageDimmer:
    """See `contract`, Dimmer.

    ``pin``: a machine.Pin. ``points``: permille, mV, permille, mV … from 0 to 1000, measured at the gear or the maker's
    curve; ``full_scale_mv`` (10000 … 12000): volts at full duty, measured at the pair. ``off_mv``: -1, or the volts (0
    … 999 mV) at which this gear is dark. ``is_inverted``: full duty is 0 V (an opto-coupler that pulls down).
    ``is_dac``: ESP32's DAC (8 bits, 47 mV a step) instead of PWM. ``output``: machine.PWM or machine.DAC, or a double
    of it.
    """

    has_fades = False
    fault = 0

    def __init__(
        self,
        pin,
        safe_permille,
        points=_ANNEX_E,
        full_scale_mv=FULL_MV,
        off_mv=-1,
        is_inverted=False,
        is_dac=False,
        output=None,
    ):
        if not FULL_MV <= full_scale_mv <= SCALE_MAX_MV:
            raise OutOfRange("0-10v", "full scale 10000 to 12000 mV")
        if not -1 <= off_mv < MINIMUM_MV:
            raise OutOfRange("0-10v", "off below 1000 mV, or -1")
        check_points("0-10v", points, MINIMUM_MV, full_scale_mv)
        self._points = points
        self._scale = full_scale_mv
        self._off = off_mv
        self._is_inverted = is_inverted
        self._is_dac = is_dac
        self.can_go_dark = off_mv >= 0
        self.level_permille = clip_permille(safe_permille)
        first = self._code(self.level_permille)
        # Full light while the output is being built, unless it is to be dark.
        is_high = (self.level_permille > 0 or off_mv < 0) != bool(is_inverted)
        if output is None:
            import machine

            output = machine.DAC if is_dac else machine.PWM
        if is_dac:
            self._output = output(pin)
            self._output.write(first)
        else:
            pin.init(pin.OUT, value=1 if is_high else 0)
            self._output = output(pin, freq=FREQUENCY_HZ, duty_u16=first)
        self._sent = first

    def write(self, permille):
        """Set the level (0 … 1000, clipped) at once; 0 is the gear's minimum unless ``off_mv`` says more."""
        permille = clip_permille(permille)
        code = self._code(permille)
        if code != self._sent:
            if self._is_dac:
                self._output.write(code)
            else:
                self._output.duty_u16(code)
            self._sent = code
        self.level_permille = permille

    def millivolts(self, permille):
        """Return the voltage in mV for a level (0 … 1000)."""
        if permille == 0 and self._off >= 0:
            return self._off
        mv = interpolate(self._points, permille)
        # Lit is never below the gear's minimum, and points that overshoot 10 V add nothing.
        return mv if mv < FULL_MV or permille < FULL_PERMILLE else FULL_MV

    def _code(self, permille):
        full = _DAC_FULL if self._is_dac else _DUTY_FULL
        # At most 12000 * 65535 < 2^30.
        code = (self.millivolts(permille) * full + self._scale // 2) // self._scale
        return full - code if self._is_inverted else code
