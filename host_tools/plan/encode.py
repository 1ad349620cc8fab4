"""Write the binary plan that `firmware.control.plan` reads in place. The format is described there, once."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from firmware.control import plan as layout


@dataclass(frozen=True)
class ActivePeriod:
    """``kind``: `layout.PERIOD_ABSOLUTE` (start and end in s of local day) or ``PERIOD_ASTRO_CLOCK`` (offsets in s)."""

    kind: int
    start_s: int
    end_s: int


@dataclass(frozen=True)
class FixedTimeControl:
    """From ``start_s`` (local time of day) on, ``level_permille``, reached after ``ramp_ds`` tenths of a second."""

    start_s: int
    level_permille: int
    ramp_ds: int


@dataclass(frozen=True)
class DynamicControl:
    """While presence lasts and ``hold_ds`` after it, between two local times (equal: always), apply an effect."""

    effect: int
    value_permille: int
    hold_ds: int
    ramp_up_ds: int
    ramp_down_ds: int
    start_s: int = 0
    end_s: int = 0


@dataclass(frozen=True)
class Program:
    """A control program as TALQ 2.7.1 has it (`ControlProgramOne`), in the units of the plan."""

    fixed: Sequence[FixedTimeControl]
    periods: Sequence[ActivePeriod] = field(default=())
    dynamic: Sequence[DynamicControl] = field(default=())
    default_level_permille: int = 1000
    default_ramp_ds: int = 20


def encode(program: Program) -> bytes:
    """Return the plan's bytes. The node's own reader has the last word: raises `layout.PlanError` where it refuses."""
    body = struct.pack(
        "<HHBBBxxx",
        program.default_level_permille,
        program.default_ramp_ds,
        len(program.periods),
        len(program.fixed),
        len(program.dynamic),
    )
    for period in program.periods:
        body += struct.pack("<B3s3sx", period.kind, _int24(period.start_s), _int24(period.end_s))
    for control in program.fixed:
        body += struct.pack("<3sHHx", _int24(control.start_s), control.level_permille, control.ramp_ds)
    for dynamic in program.dynamic:
        body += struct.pack(
            "<B3s3sHHHHx",
            dynamic.effect,
            _int24(dynamic.start_s),
            _int24(dynamic.end_s),
            dynamic.value_permille,
            dynamic.hold_ds,
            dynamic.ramp_up_ds,
            dynamic.ramp_down_ds,
        )
    length = 6 + len(body) + layout.CRC_SIZE
    data = struct.pack("<3sBH", b"RVP", layout.PLAN_VERSION, length) + body
    data += struct.pack("<I", zlib.crc32(data))
    layout.Plan(data)
    return data


def _int24(value: int) -> bytes:
    return value.to_bytes(3, "little", signed=True)
