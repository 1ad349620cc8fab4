"""A control program as people write it, in TALQ 2.7.1's words, and its way into the binary plan."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from firmware.control import plan as layout

from . import encode as plan
from .units import HoldDs, LevelPermille, RampDs, SunOffsetS, TimeOfDayS

_EFFECTS = {
    "Set": layout.EFFECT_SET,
    "Max": layout.EFFECT_MAX,
    "Min": layout.EFFECT_MIN,
    "Add": layout.EFFECT_ADD,
    "Sub": layout.EFFECT_SUB,
    "Mul": layout.EFFECT_MUL,
}


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


class FixedTimeControl(Strict):
    startTime: TimeOfDayS
    state: LevelPermille
    rampToLevelTime: RampDs = 0

    def compiled(self) -> plan.FixedTimeControl:
        return plan.FixedTimeControl(self.startTime, self.state, self.rampToLevelTime)


class Period(Strict):
    startTime: TimeOfDayS
    endTime: TimeOfDayS


class DynamicControl(Strict):
    """Presence. ``rampToLevelTime`` is the ramp up, ``rampFromLevelTime`` the ramp down after the hold time."""

    effect: Literal["Set", "Max", "Min", "Add", "Sub", "Mul"]
    state: LevelPermille
    holdTime: HoldDs
    rampToLevelTime: RampDs = 0
    rampFromLevelTime: RampDs = 0
    period: Period | None = None

    def compiled(self) -> plan.DynamicControl:
        period = self.period
        return plan.DynamicControl(
            _EFFECTS[self.effect],
            self.state,
            self.holdTime,
            self.rampToLevelTime,
            self.rampFromLevelTime,
            period.startTime if period else 0,
            period.endTime if period else 0,
        )


class ControlProgram(Strict):
    """TALQ's `ControlProgramOne`, with the default light state beside it."""

    defaultLightState: LevelPermille = 1000
    defaultRamp: RampDs = 20
    activePeriods: list[Annotated[AbsoluteActivePeriod | AstroClockActivePeriod, Field(discriminator="name")]] = Field(
        max_length=layout.PERIODS_MAX
    )
    fixedTimeControls: list[FixedTimeControl] = Field(min_length=1, max_length=layout.FIXED_MAX)
    dynamicControls: list[DynamicControl] = Field(default=[], max_length=layout.DYNAMIC_MAX)

    @model_validator(mode="after")
    def _ascending(self) -> "ControlProgram":
        for before, after in zip(self.fixedTimeControls, self.fixedTimeControls[1:], strict=False):
            if after.startTime <= before.startTime:
                raise ValueError(
                    "fixedTimeControls must ascend by startTime without doubles: "
                    f"{_clock(after.startTime)} comes after {_clock(before.startTime)}; put them in order"
                )
        return self

    def compiled(self) -> plan.Program:
        """Return the program in the plan's units."""
        return plan.Program(
            fixed=[control.compiled() for control in self.fixedTimeControls],
            periods=[period.compiled() for period in self.activePeriods],
            dynamic=[control.compiled() for control in self.dynamicControls],
            default_level_permille=self.defaultLightState,
            default_ramp_ds=self.defaultRamp,
        )


def _clock(second: int) -> str:
    return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
