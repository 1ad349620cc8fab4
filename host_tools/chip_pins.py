"""What the pins of an ESP32 can do, and who has which: a pin that cannot do its work is found at a desk, not on a pole.

Source: ESP32 series datasheet, version 4.x, table of pins and "Strapping pins" (GPIO 0, 2, 5, 12, 15), ESP32-WROOM-32E
datasheet, pin definitions (GPIO 6 to 11 are the flash; 34 to 39 are inputs without pulls), ESP32 technical reference
manual (ADC1: GPIO 32 to 39; ADC2, which the Wi-Fi driver owns while it runs, reliability.md C2; DAC: 25 and 26).
The ESP32-S3 and C3 have other pins and are not described here.
"""

from __future__ import annotations

from .plan.problems import Problem

# What a pin is asked to do.
INPUT = "an input"
PULLED = "an input with a pull-up"
OUTPUT = "an output"
ADC = "an analogue input"
DAC = "an analogue output"

EXISTING = frozenset((*range(20), *range(21, 24), *range(25, 28), *range(32, 40)))
FLASH = frozenset(range(6, 12))
CONSOLE = frozenset((1, 3))
INPUT_ONLY = frozenset(range(34, 40))
ADC1 = frozenset(range(32, 40))
ADC2 = frozenset((0, 2, 4, 12, 13, 14, 15, 25, 26, 27))
DACS = frozenset((25, 26))
# GPIO 0 low at power-on starts the loader, GPIO 12 high sets the flash to 1.8 V: the node is dead until it is rewired.
REFUSED_STRAPS = {
    0: "low at power-on it starts the boot loader, and the node never runs",
    12: "high at power-on it sets the flash to 1.8 V, and the node never runs",
}
WARNED_STRAPS = {
    2: "it must be low or open when the boot loader is to be reached by cable",
    5: "it has a pull-up, and is sampled, at power-on",
    15: "it has a pull-up at power-on, and low it silences the boot messages",
}


class PinBook:
    """The pins of one kind of node. ``problems`` and ``warnings``: what was found while they were given out."""

    def __init__(self, has_wifi: bool) -> None:
        self._has_wifi = has_wifi
        self._owners: dict[int, str] = {}
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def take(self, pin: int, use: str, path: str) -> None:
        """Give ``pin`` to the part of the file at ``path``, for one of the uses above."""
        if pin in self._owners:
            self._refuse(path, f"pin {pin} is already {self._owners[pin]}: choose another")
            return
        self._owners[pin] = path
        if pin not in EXISTING:
            self._refuse(path, f"an ESP32 has no pin {pin}: choose one of 4, 13 to 27 or 32 to 39")
        elif pin in FLASH:
            self._refuse(path, f"pin {pin} is the flash memory's (6 to 11): choose another")
        elif pin in CONSOLE:
            self._refuse(path, f"pin {pin} is the serial line of service and commissioning (1, 3): choose another")
        elif use in (OUTPUT, DAC, PULLED) and pin in INPUT_ONLY:
            why = "have no pull-up" if use == PULLED else "are inputs only"
            self._refuse(path, f"pin {pin} cannot be {use}, 34 to 39 {why}: choose one of 4, 13 to 27, 32 or 33")
        elif use == ADC and pin in ADC2 and self._has_wifi:
            self._refuse(path, f"pin {pin} is on ADC2, which cannot be read while Wi-Fi runs: choose one of 32 to 39")
        elif use == ADC and pin not in ADC1 | ADC2:
            self._refuse(path, f"pin {pin} is no analogue input: choose one of 32 to 39")
        elif use == DAC and pin not in DACS:
            self._refuse(path, f"pin {pin} is no analogue output: choose 25 or 26, or leave is_dac out for PWM")
        elif pin in REFUSED_STRAPS:
            self._refuse(path, f"pin {pin} is a strapping pin, {REFUSED_STRAPS[pin]}: choose another")
        elif pin in WARNED_STRAPS:
            reason = (
                f"pin {pin} is a strapping pin, {WARNED_STRAPS[pin]}: choose another, or see that the wiring allows it"
            )
            self.warnings.append(Problem(path, reason))

    def _refuse(self, path: str, reason: str) -> None:
        self.problems.append(Problem(path, reason))
