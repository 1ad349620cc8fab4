"""What a lamp of a site may have beside its limits: the wave, a night without a clock, a meter, declared baselines."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from firmware.control.budget import RISES_PER_DAY

from .program import Strict
from .site_limits import LitPermille
from .units import DurationMs, LevelPermille, PowerMw, TimeOfDayS, quantity, whole

REACH_MAX = 8
# `Bubble` remembers the origins of so many hops.
HOPS_MAX = 5
HOLD_MIN_MS, HOLD_MAX_MS = 1000, 600_000
PERIOD_MAX_MS = 60_000
FLOW_MAX_PER_H = 10_000
RISES_MAX = 65_535
VOLTAGE_MAX_DV = 10_000
CURRENT_MAX_MA = 10_000


def _within(least: int, most: int, what: str) -> BeforeValidator:
    def check(text: Any) -> int:
        value = whole(text)
        if not least <= value <= most:
            raise ValueError(f"{text} is out of range: {what} is {least} to {most}")
        return value

    return BeforeValidator(check)


def _measured(units: dict[str, int], most: int, what: str, example: str, bounds: str) -> BeforeValidator:
    def check(text: Any) -> int:
        value = quantity(text, units, what, example)
        if not 0 <= value <= most:
            raise ValueError(f"{text} is out of range: {what} is {bounds}")
        return value

    return BeforeValidator(check)


def _yes_no(text: Any) -> bool:
    if text not in ("yes", "no"):
        raise ValueError(f"{text!r} is neither yes nor no: write one of them")
    return bool(text == "yes")


YesNo = Annotated[bool, BeforeValidator(_yes_no)]
FlowPerH = Annotated[int, _measured({"per h": 1}, FLOW_MAX_PER_H, "a flow of passers", "60 per h", "0 to 10000 per h")]
VoltageDv = Annotated[int, _measured({"V": 10}, VOLTAGE_MAX_DV, "a voltage", "230 V", "0 V to 1000 V")]
CurrentMa = Annotated[int, _measured({"mA": 1, "A": 1000}, CURRENT_MAX_MA, "a current", "600 mA", "0 mA to 10 A")]
FactorPermille = Annotated[int, _measured({"%": 10}, 1000, "a power factor", "50 %", "0 % to 100 %")]


class ClassDown(Strict):
    """``below`` this flow of passers one lighting class less is enough: ``share`` of the program's level is kept."""

    below: FlowPerH
    share: LitPermille


class Volume(Strict):
    """Fewer passers, less light: one class down, and two."""

    one_class_down: ClassDown
    two_classes_down: ClassDown

    @model_validator(mode="after")
    def _order(self) -> "Volume":
        one, two = self.one_class_down, self.two_classes_down
        if one.below == 0:
            raise ValueError("one_class_down below 0 per h is never: give a flow, or leave volume out")
        if two.below > one.below or two.share > one.share:
            raise ValueError("two_classes_down must not lie above one_class_down: lower its flow or its share")
        return self


class Presence(Strict):
    """A named set: how a lamp takes its neighbours' presence and its own. Durations in ms.

    ``reach``: presence at so many poles to either side lights the lamp. ``hops``: how many poles a message passes.
    ``hold``: how long the light lasts after a neighbour's last message; it is repeated every ``repeat`` (default: half
    of ``hold``) while somebody is there. ``period``: between two messages of one pole at least. ``light_ahead``: also
    for who is still further off and comes nearer. ``rises_per_day``: from then on the lamp stays up until noon.
    """

    reach: Annotated[int, _within(1, REACH_MAX, "reach, in poles,")] = 1
    hops: Annotated[int, _within(1, HOPS_MAX, "hops")] = 2
    hold: DurationMs = 20_000
    repeat: DurationMs | None = None
    period: DurationMs = 2000
    light_ahead: YesNo = False
    volume: Volume | None = None
    rises_per_day: Annotated[int, _within(1, RISES_MAX, "rises_per_day")] = int(RISES_PER_DAY)

    @model_validator(mode="after")
    def _order(self) -> "Presence":
        reasons = []
        if not HOLD_MIN_MS <= self.hold <= HOLD_MAX_MS:
            reasons.append("hold is out of range: it is 1 s to 10 min")
        if self.repeat is not None and not 0 < self.repeat < self.hold:
            reasons.append("repeat must be above 0 s and shorter than hold, or the light goes out in between: shorten")
        if self.period > PERIOD_MAX_MS:
            reasons.append("period is out of range: it is 0 s to 60 s")
        if reasons:
            raise ValueError("; ".join(reasons))
        return self

    def config(self) -> dict[str, Any]:
        """Return what it is in the words of `Config`."""
        found = {
            "reach": self.reach,
            "hop_limit": self.hops,
            "bubble_hold_ms": self.hold,
            "bubble_period_ms": self.period,
            "bubble_repeat_ms": self.hold // 2 if self.repeat is None else self.repeat,
            "is_light_ahead": self.light_ahead,
            "rises_per_day": self.rises_per_day,
            "volume_one_per_h": 0,
            "volume_two_per_h": 0,
            "volume_one_permille": 1000,
            "volume_two_permille": 1000,
        }
        if self.volume is not None:
            one, two = self.volume.one_class_down, self.volume.two_classes_down
            found["volume_one_per_h"], found["volume_one_permille"] = one.below, one.share
            found["volume_two_per_h"], found["volume_two_permille"] = two.below, two.share
        return found


class NightWithoutClock(Strict):
    """A named set: what tells night from day without a clock, and ``dim``, the level late at night (0 %: none)."""

    photocell: YesNo = False
    feeder_switched: YesNo = False
    dim: LevelPermille = 0

    def config(self) -> dict[str, Any]:
        """Return what it is in the words of `Config`."""
        return {
            "has_photocell": self.photocell,
            "is_feeder_switched": self.feeder_switched,
            "dim_permille": self.dim,
        }


class MeterPoint(Strict):
    """What a healthy lamp draws at ``level``; between two points the limits are on a straight line."""

    level: LitPermille
    power_low: PowerMw
    power_high: PowerMw
    power_factor: FactorPermille

    @model_validator(mode="after")
    def _order(self) -> "MeterPoint":
        if self.power_low >= self.power_high:
            raise ValueError("power_low does not lie below power_high: exchange them")
        return self


class Supply(Strict):
    """The supply's limits; below ``lost`` it is held to be off."""

    lost: VoltageDv
    low: VoltageDv
    high: VoltageDv

    @model_validator(mode="after")
    def _order(self) -> "Supply":
        if not 0 < self.lost < self.low < self.high:
            raise ValueError("lost, low and high must ascend from above 0 V: put them in order")
        return self


class Current(Strict):
    """The lit lamp's limits of current."""

    low: CurrentMa
    high: CurrentMa

    @model_validator(mode="after")
    def _order(self) -> "Current":
        if self.low >= self.high:
            raise ValueError("low does not lie below high: exchange them")
        return self


class Meter(Strict):
    """A named set: the limits by which a meter's values are judged (`firmware.control.health.LampHealth`).

    ``least``: at the lowest level that is judged; ``most``: at another above it. ``unlit_power``: most at 0 %.
    """

    least: MeterPoint
    most: MeterPoint
    unlit_power: PowerMw
    supply: Supply
    current: Current

    @model_validator(mode="after")
    def _order(self) -> "Meter":
        if self.least.level >= self.most.level:
            raise ValueError("the level of least does not lie below that of most: exchange them")
        return self

    def config(self) -> list[int]:
        """Return the 14 integers of `LampHealth`."""
        least, most = self.least, self.most
        return [
            least.level, most.level, least.power_low, most.power_low, least.power_high, most.power_high,
            least.power_factor, most.power_factor, self.unlit_power, self.supply.low, self.supply.high,
            self.supply.lost, self.current.low, self.current.high,
        ]  # fmt: skip


class Extinction(Strict):
    """Off between two local times."""

    from_: TimeOfDayS = Field(alias="from")
    to: TimeOfDayS

    @model_validator(mode="after")
    def _apart(self) -> "Extinction":
        if self.from_ == self.to:
            raise ValueError("from and to are the same time: give two different ones")
        return self


class FixedDimming(Extinction):
    """Dimmed to ``level`` between two local times."""

    level: LevelPermille


class Baselines(Strict):
    """A named set: what the same night is compared with, beside the full night."""

    fixed_dimming: FixedDimming
    extinction: Extinction

    def config(self) -> list[int]:
        """Return the five integers of the declared baselines of `NightCounters`."""
        dim, off = self.fixed_dimming, self.extinction
        return [dim.from_, dim.to, dim.level, off.from_, off.to]
