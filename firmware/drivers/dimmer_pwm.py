"""Dimmer by PWM: a driver's PWM input, or a MOSFET before LEDs. One pin, one frequency for ever.

**Frequency**: at least 1250 Hz. IEEE 1789-2015 calls modulation of any depth free of observable effect above 3 kHz and
of low risk above 1.25 kHz; below that the depth allowed falls with the frequency. It never changes after construction,
because on ESP32 a change of frequency re-times the shared timer and its resolution, and both show as a flash
(MicroPython PRs 8210 and 8345). Resolution is about 16 bits at 1 kHz and 14 at 4 kHz.

**Start**: before 1.26 ESP32's PWM begins with a pulse of 50 % until its duty is set (MicroPython PR 12650). So the pin
is first driven to a steady level (lit unless the safe level is 0), and the duty is given in PWM's constructor, which
leaves microseconds. A soft reset stops PWM: then the board's pull resistor decides, and it must be wired for light.

**Curve**: none. The level is the driver's command as control computed it; ``points`` only correct what was measured.
Inversion is done on the duty here, not by PWM's ``invert``, which ESP32 has from 1.26 only.
"""

from ..control.compat import const
from .contract import FULL_PERMILLE, OutOfRange, clip_permille
from .points import check_points, interpolate

FREQUENCY_MIN_HZ = const(1250)
# Above it an 8-bit resolution is left, and gate drivers heat up.
FREQUENCY_MAX_HZ = const(40000)
_DUTY_FULL = const(65535)
_LINEAR = (0, 0, 1000, 65535)


class PwmDimmer:
    """See `contract`, Dimmer. A lamp behind it cannot answer: ``fault`` is 0 always.

    ``pin``: a machine.Pin. ``frequency_hz``: 1250 … 40000. ``is_inverted``: the lamp is full at duty 0.
    ``minimum_permille`` (1 … 1000): lit is never less. ``points``: permille, duty (0 … 65535), permille, duty … from 0
    to 1000. ``pwm``: machine.PWM, or a double of it. Raises `OutOfRange`.
    """

    has_fades = False
    can_go_dark = True
    fault = 0

    def __init__(
        self, pin, safe_permille, frequency_hz=4000, is_inverted=False, minimum_permille=1, points=_LINEAR, pwm=None
    ):
        if not FREQUENCY_MIN_HZ <= frequency_hz <= FREQUENCY_MAX_HZ:
            raise OutOfRange("pwm", "frequency 1250 to 40000 Hz")
        if not 1 <= minimum_permille <= FULL_PERMILLE:
            raise OutOfRange("pwm", "minimum 1 to 1000")
        check_points("pwm", points, 0, _DUTY_FULL)
        if pwm is None:
            import machine

            pwm = machine.PWM
        self._is_inverted = is_inverted
        self._minimum = minimum_permille
        self._points = points
        self.level_permille = clip_permille(safe_permille)
        duty = self._duty(self.level_permille)
        is_high = (self.level_permille > 0) != bool(is_inverted)
        pin.init(pin.OUT, value=1 if is_high else 0)
        self._pwm = pwm(pin, freq=frequency_hz, duty_u16=duty)
        self._sent = duty

    def write(self, permille):
        """Set the level (0 … 1000, clipped) at once."""
        permille = clip_permille(permille)
        duty = self._duty(permille)
        # The same duty is not written again: on some versions even that restarts the period.
        if duty != self._sent:
            self._pwm.duty_u16(duty)
            self._sent = duty
        self.level_permille = permille

    def _duty(self, permille):
        if 0 < permille < self._minimum:
            permille = self._minimum
        duty = interpolate(self._points, permille)
        return _DUTY_FULL - duty if self._is_inverted else duty
