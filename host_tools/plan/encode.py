"""Write the binary plan that `firmware.control.plan` reads in place; `firmware.control.plan_format` describes it."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from firmware.control import plan_format as layout
from firmware.control.plan import Plan

# A date without a year has year 0.
YearMonthDay = tuple[int, int, int]


@dataclass(frozen=True)
class ActivePeriod:
    """``kind``: a ``PERIOD_`` code. Start and end in s of the local day, or offsets in s to sunset and sunrise."""

    kind: int
    start_s: int = 0
    end_s: int = 0
    channel: int = layout.CHANNEL_LUX
    on_level: int = 0
    off_level: int = 0
    before_sunset_min: int = 0
    before_sunrise_min: int = 0
    operator: int = layout.VALUE_EQ


@dataclass(frozen=True)
class FixedTimeControl:
    """From ``start_s`` (local time of day) on, ``level_permille``; ramps in tenths of a second."""

    start_s: int
    level_permille: int
    ramp_to_ds: int = 0
    ramp_from_ds: int = 0


@dataclass(frozen=True)
class AstroTimeControl:
    """From ``offset_s`` after an event of the sun on, an operation with a level over the fixed time control."""

    offset_s: int
    event: int
    operation: int
    level_permille: int
    ramp_to_ds: int = 0
    ramp_from_ds: int = 0


@dataclass(frozen=True)
class DynamicControl:
    """While a channel is on and ``hold_ds`` after it, an operation; ``period``: two local times in s, None: always."""

    operation: int
    level_permille: int
    hold_ds: int = 0
    ramp_to_ds: int = 0
    ramp_from_ds: int = 0
    channel: int = layout.CHANNEL_PRESENCE
    kind: int = layout.DYNAMIC_FIXED
    period: tuple[int, int] | None = None


@dataclass(frozen=True)
class Program:
    """A control program as TALQ 2.7.1 has it (`ControlProgramOne`), in the units of the plan."""

    fixed: Sequence[FixedTimeControl]
    periods: Sequence[ActivePeriod] = ()
    astro: Sequence[AstroTimeControl] = ()
    dynamic: Sequence[DynamicControl] = ()


@dataclass(frozen=True)
class Rule:
    """A calendar rule: ``program`` by its index, a condition, and between which dates (year 0: every year).

    ``dates``: (start month or 0, start day, end month or 0, end day). ``weekdays``: bit 0 is Monday. ``occurrences``:
    bit 0 is the first, bit 5 the last; 0 every.
    """

    program: int
    condition: int = layout.CONDITION_NONE
    dates: Sequence[tuple[int, int, int, int]] = ()
    weekdays: int = 0
    occurrences: int = 0
    start: YearMonthDay | None = None
    end: YearMonthDay | None = None


@dataclass(frozen=True)
class LampPlan:
    """All that the node evaluates: programs, the calendar over them, and what holds without either."""

    programs: Sequence[Program]
    rules: Sequence[Rule] = ()
    default_program: int = 0
    day_offset_h: int = 12
    default_level_permille: int = 1000
    default_ramp_ds: int = 20
    failsafe_level_permille: int = 1000
    names: Sequence[str] = field(default=(), compare=False)


def encode(plan: LampPlan) -> bytes:
    """Return the plan's bytes. The node's own reader has the last word: raises `PlanError` where it refuses."""
    blocks = [_program(program) for program in plan.programs] + [_rule(rule) for rule in plan.rules]
    programs_at = layout.HEADER_SIZE
    rules_at = programs_at + 2 * len(plan.programs)
    at = rules_at + 2 * len(plan.rules)
    table = b""
    for block in blocks:
        table += struct.pack("<H", at)
        at += len(block)
    data = struct.pack(
        "<3sBHBBHHBBHHHxxxx",
        b"RVP",
        layout.PLAN_VERSION,
        at + layout.CRC_SIZE,
        plan.day_offset_h,
        plan.default_program,
        plan.default_level_permille,
        plan.default_ramp_ds,
        len(plan.programs),
        len(plan.rules),
        programs_at,
        rules_at,
        plan.failsafe_level_permille,
    )
    data += table + b"".join(blocks)
    data += struct.pack("<I", zlib.crc32(data))
    Plan(data)
    return data


def _program(program: Program) -> bytes:
    data = bytes((len(program.periods), len(program.fixed), len(program.astro), len(program.dynamic)))
    for period in program.periods:
        data += struct.pack(
            "<BB3s3s3s3sHHBx",
            period.kind,
            period.channel,
            _int24(period.start_s),
            _int24(period.end_s),
            _int24(period.on_level),
            _int24(period.off_level),
            period.before_sunset_min,
            period.before_sunrise_min,
            period.operator,
        )
    for control in program.fixed:
        data += struct.pack(
            "<3sHHHx", _int24(control.start_s), control.level_permille, control.ramp_to_ds, control.ramp_from_ds
        )
    for astro in program.astro:
        data += struct.pack(
            "<3sBBHHHx",
            _int24(astro.offset_s),
            astro.event,
            astro.operation,
            astro.level_permille,
            astro.ramp_to_ds,
            astro.ramp_from_ds,
        )
    for dynamic in program.dynamic:
        start, end = dynamic.period or (0, 0)
        data += struct.pack(
            "<BBBB3s3sHHHHxx",
            dynamic.kind,
            dynamic.channel,
            dynamic.operation,
            dynamic.period is not None,
            _int24(start),
            _int24(end),
            dynamic.level_permille,
            dynamic.hold_ds,
            dynamic.ramp_to_ds,
            dynamic.ramp_from_ds,
        )
    return data


def _rule(rule: Rule) -> bytes:
    data = struct.pack(
        "<BBBBBxHBBHBBxx",
        rule.program,
        rule.condition,
        len(rule.dates),
        rule.weekdays,
        rule.occurrences,
        *(rule.start or (0, 0, 0)),
        *(rule.end or (0, 0, 0)),
    )
    return data + b"".join(bytes(date) for date in rule.dates)


def _int24(value: int) -> bytes:
    return value.to_bytes(3, "little", signed=True)
