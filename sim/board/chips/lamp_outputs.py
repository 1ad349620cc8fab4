"""Doubles of what stands behind a lamp's pins: PWM, DAC, a 1-10 V gear, relays. They misbehave on purpose.

They have the parts of `machine.Pin`, `machine.PWM` and `machine.DAC` that the drivers use, and note everything that a
lamp would have shown, each with the microsecond of `Wires.now_us`. Runs on CPython and MicroPython. Not hardware.
"""

FULL_DUTY = 65535


class Wires:
    """The time that all doubles share, and what happened: (us, what, value)."""

    def __init__(self) -> None:
        self.now_us = 0
        self.seen: list = []

    def note(self, what: str, value: int) -> None:
        """Note a value; the same one again is not seen by anybody."""
        for one in reversed(self.seen):
            if one[1] == what:
                if one[2] == value:
                    return
                break
        self.seen.append((self.now_us, what, value))

    def history(self, what: str) -> list:
        """Return the values that were seen of one thing."""
        return [one[2] for one in self.seen if one[1] == what]


class Pin:
    """An output or input. Until it is an output its level is the pull resistor's."""

    OUT = 3
    IN = 1

    def __init__(self, wires: Wires, name: str = "pin", pull: int = 0) -> None:
        self._wires = wires
        self.name = name
        self.level = pull
        self.is_output = False

    def init(self, mode: int, value: int = -1) -> None:
        """Give a direction; the value is there first."""
        if value >= 0:
            self.level = value
        self.is_output = mode == self.OUT
        self._wires.note(self.name, self.level)

    def value(self, level: int = -1) -> int:
        """Read (no argument) or set."""
        if level < 0:
            return self.level
        if level != self.level:
            self.level = level
            self._wires.note(self.name, level)
        return level


class Pwm:
    """machine.PWM. ``has_old_start``: half duty for some microseconds before the first one, as ESP32 before 1.26."""

    has_old_start = False

    def __init__(self, pin: Pin, freq: int = 0, duty_u16: int = -1) -> None:
        self._wires = pin._wires
        self.frequency = freq
        self.duty = duty_u16
        if self.has_old_start:
            self._wires.note("duty", FULL_DUTY // 2)
            self._wires.now_us += 60
        self._wires.note("duty", duty_u16)

    def duty_u16(self, duty: int) -> None:
        """Set the duty, 0 ... 65535."""
        if duty != self.duty:
            self.duty = duty
            self._wires.note("duty", duty)


class OldPwm(Pwm):
    """machine.PWM of ESP32 before 1.26."""

    has_old_start = True


class Dac:
    """machine.DAC: 8 bits."""

    def __init__(self, pin: Pin) -> None:
        self.code = 0

    def write(self, code: int) -> None:
        """Set 0 ... 255."""
        self.code = code


class VoltageGear:
    """A 1-10 V gear (IEC 60929 Annex E): it feeds the pair itself, so an open pair is full light, a short its minimum.

    ``fault``: "none", "wire_cut", "short". ``light_permille(mv)``: what it makes of the voltage the controller holds.
    """

    def __init__(self, minimum_permille: int = 100) -> None:
        self.minimum_permille = minimum_permille
        self.fault = "none"

    def light_permille(self, mv: int) -> int:
        """Return the light: minimum up to 1 V, linear to full at 10 V."""
        if self.fault == "wire_cut":
            mv = 10000
        elif self.fault == "short":
            mv = 0
        if mv <= 1000:
            return self.minimum_permille
        if mv >= 10000:
            return 1000
        return self.minimum_permille + (1000 - self.minimum_permille) * (mv - 1000) // 9000


class Contact:
    """A mains relay's contact, moved by one coil or two. ``fault``: "none", "welded" (stays closed) or "open".

    ``coil(level)`` for one coil; ``pulse(is_set, us)`` for a latching one, which needs 10 ms to move. It also is the
    read-back pin: ``value()`` is 1 while closed.
    """

    def __init__(self, is_closed: bool = True) -> None:
        self.is_closed = is_closed
        self.fault = "none"
        self.operations = 0

    def coil(self, level: int, is_closed_by: int = 1) -> None:
        """Let the coil's level decide."""
        self._move(level == is_closed_by)

    def pulse(self, is_set: bool, length_us: int) -> None:
        """Let a pulse move a latching relay."""
        if length_us >= 10000:
            self._move(is_set)

    def _move(self, is_closed: bool) -> None:
        if is_closed != self.is_closed:
            self.is_closed = is_closed
            self.operations += 1

    def value(self) -> int:
        """Return 1 while the circuit is closed."""
        if self.fault == "welded":
            return 1
        if self.fault == "open":
            return 0
        return 1 if self.is_closed else 0
