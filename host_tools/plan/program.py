"""A control program as people write it, in TALQ 2.7.1's words, and its way into the binary plan."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from firmware.control import plan_format as layout

from . import encode as plan
from .units import HoldDs, LevelPermille, Lux, PhotocellMin, RampDs, SunOffsetS, TimeOfDayS

OPERATIONS = {
    "Set": layout.EFFECT_SET,
    "Max": layout.EFFECT_MAX,
    "Min": layout.EFFECT_MIN,
    "Add": layout.EFFECT_ADD,
    "Sub": layout.EFFECT_SUB,
    "Mul": layout.EFFECT_MUL,
}
Operation = Literal["Set", "Max", "Min", "Add", "Sub", "Mul"]

OPERATORS = {
    "EQ": layout.VALUE_EQ,
    "NE": layout.VALUE_NE,
    "GE": layout.VALUE_GE,
    "GT": layout.VALUE_GT,
    "LE": layout.VALUE_LE,
    "LT": layout.VALUE_LT,
}

CHANNELS = {
    "presence": layout.CHANNEL_PRESENCE,
    "neighbours": layout.CHANNEL_NEIGHBOURS,
    "external": layout.CHANNEL_EXTERNAL,
    "lux": layout.CHANNEL_LUX,
}

EVENTS = {"sunset": layout.EVENT_SUNSET, "sunrise": layout.EVENT_SUNRISE}


class Strict(BaseModel):
    """A part of a file: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AbsoluteActivePeriod(Strict):
    name: Literal["AbsoluteActivePeriod"]
    startTime: TimeOfDayS
    endTime: TimeOfDayS

    def compiled(self) -> plan.ActivePeriod:
        return plan.ActivePeriod(layout.PERIOD_ABSOLUTE, self.startTime, self.endTime)


class AstroClockActivePeriod(Strict):
    name: Literal["AstroClockActivePeriod"]
    sunsetOffset: SunOffsetS
    sunriseOffset: SunOffsetS

    def compiled(self) -> plan.ActivePeriod:
        return plan.ActivePeriod(layout.PERIOD_ASTRO_CLOCK, self.sunsetOffset, self.sunriseOffset)


class _BySensor(Strict):
    onLevel: Lux
    offLevel: Lux

    @model_validator(mode="after")
    def _hysteresis(self) -> "_BySensor":
        if self.offLevel < self.onLevel:
            raise ValueError("offLevel lies below onLevel: the lamp would blink in between; raise offLevel")
        return self


class SensorActivePeriod(_BySensor):
    """Active from the moment it is darker than ``onLevel`` to the moment it is brighter than ``offLevel``."""

    name: Literal["SensorActivePeriod"]

    def compiled(self) -> plan.ActivePeriod:
        return plan.ActivePeriod(layout.PERIOD_SENSOR, on_level=self.onLevel, off_level=self.offLevel)


class AstroAndSensorActivePeriod(_BySensor):
    """As the astro clock has it, but sooner on and sooner off where the photocell says so within the given minutes."""

    name: Literal["AstroAndSensorActivePeriod"]
    sunsetOffset: SunOffsetS
    sunriseOffset: SunOffsetS
    pcActiveBeforeSunset: PhotocellMin
    pcActiveBeforeSunrise: PhotocellMin

    def compiled(self) -> plan.ActivePeriod:
        return plan.ActivePeriod(
            layout.PERIOD_ASTRO_AND_SENSOR,
            self.sunsetOffset,
            self.sunriseOffset,
            on_level=self.onLevel,
            off_level=self.offLevel,
            before_sunset_min=self.pcActiveBeforeSunset,
            before_sunrise_min=self.pcActiveBeforeSunrise,
        )


class ValueActivePeriod(Strict):
    """Active while ``reference operator value`` is true; ``reference`` is a channel of the node."""

    name: Literal["ValueActivePeriod"]
    reference: Literal["lux", "external"]
    operator: Literal["EQ", "NE", "GE", "GT", "LE", "LT"]
    value: Lux | LevelPermille

    def compiled(self) -> plan.ActivePeriod:
        return plan.ActivePeriod(
            layout.PERIOD_VALUE,
            channel=CHANNELS[self.reference],
            on_level=self.value,
            off_level=self.value,
            operator=OPERATORS[self.operator],
        )


class FixedTimeControl(Strict):
    startTime: TimeOfDayS
    state: LevelPermille
    rampToLevelTime: RampDs = 0
    rampFromLevelTime: RampDs = 0

    def compiled(self) -> plan.FixedTimeControl:
        return plan.FixedTimeControl(self.startTime, self.state, self.rampToLevelTime, self.rampFromLevelTime)


class AstroClockTimeControl(Strict):
    solarEventType: Literal["sunset", "sunrise"]
    offset: SunOffsetS
    operation: Operation
    state: LevelPermille
    rampToLevelTime: RampDs = 0
    rampFromLevelTime: RampDs = 0

    def compiled(self) -> plan.AstroTimeControl:
        return plan.AstroTimeControl(
            self.offset,
            EVENTS[self.solarEventType],
            OPERATIONS[self.operation],
            self.state,
            self.rampToLevelTime,
            self.rampFromLevelTime,
        )


class Period(Strict):
    startTime: TimeOfDayS
    endTime: TimeOfDayS


class DynamicControl(Strict):
    """What a source makes of the level. Without ``state`` the source says the level.

    ``rampToLevelTime`` is the ramp when the sensor rises, ``rampFromLevelTime`` that after the hold time.
    """

    type: Literal["FixedControlEffect", "ExternalControlEffect"] = "FixedControlEffect"
    source: Literal["presence", "neighbours", "external"] = "presence"
    operation: Operation
    state: LevelPermille | None = None
    holdTime: HoldDs = 0
    rampToLevelTime: RampDs = 0
    rampFromLevelTime: RampDs = 0
    period: Period | None = None

    @model_validator(mode="after")
    def _source_of_level(self) -> "DynamicControl":
        if self.type == "FixedControlEffect" and self.state is None:
            raise ValueError("a FixedControlEffect needs a state: write it like state: 100 %")
        if self.type == "ExternalControlEffect" and (self.state is not None or self.source != "external"):
            raise ValueError("an ExternalControlEffect takes its level from outside: source: external, and no state")
        return self

    def compiled(self) -> plan.DynamicControl:
        period = self.period
        return plan.DynamicControl(
            OPERATIONS[self.operation],
            self.state or 0,
            self.holdTime,
            self.rampToLevelTime,
            self.rampFromLevelTime,
            CHANNELS[self.source],
            layout.DYNAMIC_EXTERNAL if self.type == "ExternalControlEffect" else layout.DYNAMIC_FIXED,
            (period.startTime, period.endTime) if period else None,
        )


AnyActivePeriod = Annotated[
    AbsoluteActivePeriod | AstroClockActivePeriod | SensorActivePeriod | AstroAndSensorActivePeriod | ValueActivePeriod,
    Field(discriminator="name"),
]


class ControlProgram(Strict):
    """TALQ's `ControlProgramOne`."""

    activePeriods: list[AnyActivePeriod] = Field(max_length=layout.PERIODS_MAX)
    fixedTimeControls: list[FixedTimeControl] = Field(min_length=1, max_length=layout.FIXED_MAX)
    astroClockTimeControls: list[AstroClockTimeControl] = Field(default=[], max_length=layout.ASTRO_MAX)
    dynamicControls: list[DynamicControl] = Field(default=[], max_length=layout.DYNAMIC_MAX)

    @model_validator(mode="after")
    def _ascending(self) -> "ControlProgram":
        for before, after in pairwise(self.fixedTimeControls):
            if after.startTime <= before.startTime:
                raise ValueError(
                    "fixedTimeControls must ascend by startTime without doubles: "
                    f"{clock_text(after.startTime)} comes after {clock_text(before.startTime)}; put them in order"
                )
        return self

    def compiled(self) -> plan.Program:
        """Return the program in the plan's units."""
        return plan.Program(
            fixed=[control.compiled() for control in self.fixedTimeControls],
            periods=[period.compiled() for period in self.activePeriods],
            astro=[control.compiled() for control in self.astroClockTimeControls],
            dynamic=[control.compiled() for control in self.dynamicControls],
        )


def clock_text(second: int) -> str:
    """Return a time of day in s as hh:mm:ss."""
    return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
