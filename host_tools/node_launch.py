"""What the launcher must know of a node's outputs before anything else runs: the content of ``/boot.lamp``.

The launcher drives pins, not drivers, so what the drivers would make of the safe level is worked out here; a test holds
both against each other. Outputs whose gear has a mind of its own (DALI, the chip's DAC, a latching relay) are
left alone: they are wired so that they are lit, and a latch keeps its state until the application closes it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from firmware.system.boot_files import KIND_PIN, KIND_PWM, NO_PIN, lamp_file

# Kind, pin, inverted, output number, frequency in Hz, permille of the pin's duty: see `lamp_file`.
Output = tuple[int, int, bool, int, int, int]

_DUTY_FULL = 65_535
_FULL = 1000
# As firmware/drivers/dimmer_0_10v.py has them.
_VOLTAGE_HZ = 5000
_FULL_MV = 10_000
_ANNEX_E = [0, 1000, 100, 1000, 1000, 10_000]
_LINEAR = [0, 0, 1000, _DUTY_FULL]


def launch_file(tree: dict[str, Any], service_pin: int | None, is_delivered: bool) -> bytes:
    """Return the bytes of ``/boot.lamp`` for a node's configuration. ``is_delivered``: its prompt is closed."""
    data: bytes = lamp_file(launch_outputs(tree), NO_PIN if service_pin is None else service_pin, is_delivered)
    return data


def launch_outputs(tree: dict[str, Any]) -> list[Output]:
    """Return the pins that the launcher drives, and how. The safe level is the lamp's ``start``, rounded up."""
    found: list[Output] = []
    for number, lamp in enumerate(tree["lamps"]):
        relay = lamp.get("relay") or {"name": None}
        if relay["name"] == "relay":
            is_high = relay.get("is_active_high", True) == relay.get("is_on_active", True)
            found.append((KIND_PIN, relay["pin"], not is_high, number, 1, _FULL))
        dimmer = lamp["dimmer"]
        inverted = bool(dimmer.get("is_inverted"))
        if dimmer["name"] == "dimmer_pwm":
            level = max(lamp["start"], dimmer.get("minimum_permille", 1))
            duty = _on_lines(dimmer.get("points", _LINEAR), level)
            found.append((KIND_PWM, dimmer["pin"], inverted, number, dimmer.get("frequency_hz", 4000), _up(duty)))
        elif dimmer["name"] == "dimmer_0_10v" and not dimmer.get("is_dac"):
            mv = _on_lines(dimmer.get("points", _ANNEX_E), lamp["start"])
            if lamp["start"] == _FULL:
                mv = min(mv, _FULL_MV)
            scale = dimmer.get("full_scale_mv", _FULL_MV)
            duty = (mv * _DUTY_FULL + scale // 2) // scale
            found.append((KIND_PWM, dimmer["pin"], inverted, number, _VOLTAGE_HZ, _up(duty)))
    return found


def _up(duty: int) -> int:
    """Return a duty of 65535 in permille, rounded up: never darker than what is safe."""
    return min(-(-duty * _FULL // _DUTY_FULL), _FULL)


def _on_lines(points: list[int], x: int) -> int:
    pairs = list(zip(points[::2], points[1::2], strict=True))
    for (x0, y0), (x1, y1) in pairwise(pairs):
        if x <= x1:
            width = x1 - x0
            return y0 + ((y1 - y0) * (x - x0) + width // 2) // width
    return pairs[-1][1]
