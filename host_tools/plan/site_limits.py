"""Limits of a lamp as people write them: guard, driver, power output, constant light, heat, relay, quiet."""

from itertools import pairwise
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from firmware.control.flux import KNOTS_MAX

from .program import Strict
from .units import DurationMs, LevelPermille, quantity

QUIET_MIN_MS, QUIET_MAX_MS = 10_000, 600_000
RELAY_MAX_MS = 3_600_000
HOURS_MAX = 200_000
# What `Output` of the control core holds: virtual power output from 10 % on; the level of thermal shutdown.
OUTPUT_MIN_PERMILLE = 100
PROTECTION_PERMILLE = 100
TEMPERATURE_MIN_DC, TEMPERATURE_MAX_DC = -400, 1500
HYSTERESIS_MIN_DC, HYSTERESIS_MAX_DC = 10, 300

_CELSIUS = {"°C": 10, "degC": 10}


def _printable(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError(f"{text!r} has control characters, line breaks or blanks at its ends: remove them")
    return text


Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_printable)]


def _temperature(text: Any) -> int:
    value = quantity(text, _CELSIUS, "a temperature", "70 °C")
    if not TEMPERATURE_MIN_DC <= value <= TEMPERATURE_MAX_DC:
        raise ValueError(f"{text} is out of range: a temperature is -40 °C to 150 °C")
    return value


def _hysteresis(text: Any) -> int:
    value = quantity(text, _CELSIUS, "a hysteresis", "5 °C")
    if not HYSTERESIS_MIN_DC <= value <= HYSTERESIS_MAX_DC:
        raise ValueError(f"{text} is out of range: a hysteresis is 1 °C to 30 °C")
    return value


def _hours(text: Any) -> int:
    value = quantity(text, {"h": 1, "kh": 1000}, "burning hours", "20000 h")
    if not 0 <= value <= HOURS_MAX:
        raise ValueError(f"{text} is out of range: burning hours are 0 h to {HOURS_MAX} h")
    return value


def _bounded(least: int, most: int, bounds: str) -> AfterValidator:
    def check(value: int) -> int:
        if not least <= value <= most:
            raise ValueError(f"is out of range: it is {bounds}")
        return value

    return AfterValidator(check)


def _lit(value: int) -> int:
    if value == 0:
        raise ValueError("0 % would leave the lamp dark: give more than 0 %")
    return value


# A level above 0, in permille.
LitPermille = Annotated[LevelPermille, AfterValidator(_lit)]
# Temperatures and hystereses in tenths of a degree Celsius.
TemperatureDc = Annotated[int, BeforeValidator(_temperature)]
HysteresisDc = Annotated[int, BeforeValidator(_hysteresis)]
BurningHours = Annotated[int, BeforeValidator(_hours)]
QuietMs = Annotated[DurationMs, _bounded(QUIET_MIN_MS, QUIET_MAX_MS, "10 s to 10 min: no visible flicker")]
RelayMs = Annotated[DurationMs, _bounded(0, RELAY_MAX_MS, "0 s to 1 h")]


class Output(Strict):
    """At ``hours`` of burning full light takes ``output`` of what the driver can give; linear from one to the next."""

    hours: BurningHours
    output: LitPermille


class Thermal(Strict):
    """From ``start`` the light is reduced, at ``full`` it is down to ``floor``, at ``shutdown`` the lamp is protected.

    The way back begins ``hysteresis`` lower.
    """

    start: TemperatureDc
    full: TemperatureDc
    floor: LitPermille
    shutdown: TemperatureDc
    hysteresis: HysteresisDc

    @model_validator(mode="after")
    def _order(self) -> "Thermal":
        if not self.start < self.full < self.shutdown:
            raise ValueError("start, full and shutdown must ascend: put them in order")
        if self.hysteresis > self.shutdown - self.start:
            raise ValueError("hysteresis is larger than from start to shutdown: make it smaller")
        if self.floor < PROTECTION_PERMILLE:
            raise ValueError("floor lies below 10 %, the level after shutdown: raise it")
        return self


class Relay(Strict):
    """How long the mains relay stays on and off at least, and how long after 0 % it opens."""

    min_on: RelayMs = 0
    min_off: RelayMs = 0
    off_delay: RelayMs = 0


class Limits(Strict):
    """A named set of limits. ``class`` is for people, the rest is for the node.

    ``guard``: the least level in a lit road, permille of the class's full light (0: none). ``derogation``: by which
    decision a program may go lower; each report shows it. ``virtual_power_output``: what 100 % means.
    """

    class_: Name | None = Field(default=None, alias="class")
    guard: LevelPermille = 0
    derogation: Name | None = None
    driver_minimum: LevelPermille = 0
    virtual_power_output: LitPermille = 1000
    constant_light_output: list[Output] = Field(default=[], max_length=KNOTS_MAX)
    thermal: Thermal | None = None
    relay: Relay | None = None
    quiet: QuietMs = QUIET_MIN_MS

    @model_validator(mode="after")
    def _order(self) -> "Limits":
        reasons = []
        if self.virtual_power_output < OUTPUT_MIN_PERMILLE:
            reasons.append("virtual_power_output lies below 10 %: choose a smaller luminaire")
        if self.driver_minimum > self.virtual_power_output:
            reasons.append(
                "driver_minimum lies above virtual_power_output, which no level exceeds: lower driver_minimum"
            )
        outputs = self.constant_light_output
        if outputs and outputs[0].hours:
            reasons.append("constant_light_output must begin at 0 h: add the output of the new luminaire")
        for before, after in pairwise(outputs):
            if after.hours <= before.hours or after.output < before.output:
                reasons.append(
                    f"constant_light_output must ascend by hours and not fall: look at {after.hours} h after "
                    f"{before.hours} h"
                )
        if reasons:
            raise ValueError("; ".join(reasons))
        return self

    def config(self) -> dict[str, Any]:
        """Return what it is in the words of `firmware.control.config.Config`; None: there is none."""
        thermal, relay = self.thermal, self.relay
        knots = [(entry.hours, entry.output) for entry in self.constant_light_output] or [(0, 1000)]
        return {
            "guard_permille": self.guard,
            "is_derogated": self.derogation is not None,
            "driver_minimum_permille": max(self.driver_minimum, 1),
            "derating": (
                [thermal.start, thermal.full, thermal.floor, thermal.shutdown, thermal.hysteresis] if thermal else None
            ),
            "quiet_ms": self.quiet,
            "flux_hours": [hours for hours, _ in knots],
            "flux_needs_permille": [need for _, need in knots],
            "maximum_permille": self.virtual_power_output,
            "relay": [relay.min_on, relay.min_off, relay.off_delay] if relay else None,
        }
