"""Verify a binary plan before it is used. A plan that cannot be verified changes nothing.

Loaded where it is used, and forgotten: at the start and at a change of plan.
"""

from .plan import PlanError
from .plan_format import (
    ASTRO_MAX,
    ASTRO_OFFSET_MAX_S,
    ASTRO_SIZE,
    CHANNELS,
    CONDITION_DATE,
    CONDITION_DAY,
    CRC_SIZE,
    DATE_SIZE,
    DATES_MAX,
    DYNAMIC_EXTERNAL,
    DYNAMIC_MAX,
    DYNAMIC_SIZE,
    EFFECT_MUL,
    FIXED_MAX,
    FIXED_SIZE,
    HEADER_SIZE,
    LEVEL_MAX,
    NO_PROGRAM,
    PERIOD_ABSOLUTE,
    PERIOD_ASTRO_AND_SENSOR,
    PERIOD_ASTRO_CLOCK,
    PERIOD_SIZE,
    PERIOD_VALUE,
    PERIODS_MAX,
    PHOTOCELL_MAX_MIN,
    PLAN_MAX_BYTES,
    PLAN_VERSION,
    PROGRAM_SIZE,
    PROGRAMS_MAX,
    RAMP_MAX_DS,
    RULE_SIZE,
    RULES_MAX,
    SENSOR_LEVEL_MAX,
    VALUE_LT,
)

_DAY_S = 86400
# CRC-32 of each half byte, in halves: where 31 bits are an integer, 32 would be an object for each of its bits.
_CRC_HIGH = (
    0x0000, 0x1DB7, 0x3B6E, 0x26D9, 0x76DC, 0x6B6B, 0x4DB2, 0x5005, 0xEDB8, 0xF00F, 0xD6D6, 0xCB61,
    0x9B64, 0x86D3, 0xA00A, 0xBDBD,
)  # fmt: skip
_CRC_LOW = (
    0x0000, 0x1064, 0x20C8, 0x30AC, 0x4190, 0x51F4, 0x6158, 0x713C, 0x8320, 0x9344, 0xA3E8, 0xB38C,
    0xC2B0, 0xD2D4, 0xE278, 0xF21C,
)  # fmt: skip


def crc32(data, length: int) -> int:
    """Return the CRC-32 (IEEE 802.3) of the first ``length`` bytes; only the result is beyond a small integer."""
    low = high = 0xFFFF
    for i in range(length):
        low ^= data[i]
        pick = low & 15
        low = (low >> 4 | high << 12) & 0xFFFF ^ _CRC_LOW[pick]
        high = high >> 4 ^ _CRC_HIGH[pick]
        pick = low & 15
        low = (low >> 4 | high << 12) & 0xFFFF ^ _CRC_LOW[pick]
        high = high >> 4 ^ _CRC_HIGH[pick]
    return (high ^ 0xFFFF) << 16 | (low ^ 0xFFFF)


def verify(data) -> None:
    """Raise ``PlanError`` unless ``data`` is a plan that this firmware can carry out in every part."""
    size = len(data)
    if size < HEADER_SIZE + CRC_SIZE:
        raise PlanError(size, "cut off: %d bytes, a plan has at least %d" % (size, HEADER_SIZE + CRC_SIZE))
    if size > PLAN_MAX_BYTES:
        raise PlanError(size, "%d bytes, at most %d: leave programs out" % (size, PLAN_MAX_BYTES))
    if data[0] != 0x52 or data[1] != 0x56 or data[2] != 0x50:
        raise PlanError(0, "not a plan: it does not begin with RVP")
    if data[3] != PLAN_VERSION:
        raise PlanError(3, "format %d, this firmware reads %d: update the firmware first" % (data[3], PLAN_VERSION))
    if _u16(data, 4) != size:
        raise PlanError(4, "length says %d bytes, there are %d: send it again" % (_u16(data, 4), size))
    body = size - CRC_SIZE
    if crc32(data, body) != (_u16(data, body) | _u16(data, body + 2) << 16):
        raise PlanError(body, "the check sum does not match: send it again")
    _verify_header(data)
    at = HEADER_SIZE
    programs = data[12]
    rules = data[13]
    if _u16(data, 14) != at or _u16(data, 16) != at + 2 * programs:
        raise PlanError(14, "the tables are not where they belong")
    at += 2 * (programs + rules)
    for index in range(programs):
        _at(data, HEADER_SIZE + 2 * index, at)
        at = _verify_program(data, at, body)
    for index in range(rules):
        _at(data, HEADER_SIZE + 2 * (programs + index), at)
        at = _verify_rule(data, at, body, programs)
    if at != body:
        raise PlanError(at, "%d bytes too many" % (body - at))


def _verify_header(data) -> None:
    if data[6] not in (0, 12):
        raise PlanError(6, "day offset %d h, 0 or 12" % data[6])
    _below(12, data[12], PROGRAMS_MAX, "programs")
    _below(13, data[13], RULES_MAX, "calendar rules")
    if data[7] != NO_PROGRAM and data[7] >= data[12]:
        raise PlanError(7, "default program %d, there are %d" % (data[7], data[12]))
    _below(8, _u16(data, 8), LEVEL_MAX, "default light state")
    _below(10, _u16(data, 10), RAMP_MAX_DS, "ramp")
    if not 1 <= _u16(data, 18) <= LEVEL_MAX:
        raise PlanError(18, "fail-safe level %d, 1 to %d: the lamp fails lit" % (_u16(data, 18), LEVEL_MAX))


def _verify_program(data, at: int, body: int) -> int:
    _inside(at, PROGRAM_SIZE, body)
    periods, fixed, astro, dynamic = data[at], data[at + 1], data[at + 2], data[at + 3]
    _below(at, periods, PERIODS_MAX, "active periods")
    if not 1 <= fixed <= FIXED_MAX:
        raise PlanError(at + 1, "%d fixed time controls, 1 to %d" % (fixed, FIXED_MAX))
    _below(at + 2, astro, ASTRO_MAX, "astro clock time controls")
    _below(at + 3, dynamic, DYNAMIC_MAX, "dynamic controls")
    at += PROGRAM_SIZE
    _inside(at, periods * PERIOD_SIZE + fixed * FIXED_SIZE + astro * ASTRO_SIZE + dynamic * DYNAMIC_SIZE, body)
    for _ in range(periods):
        _verify_period(data, at)
        at += PERIOD_SIZE
    before = -1
    for _ in range(fixed):
        start = _i24(data, at)
        if not before < start < _DAY_S:
            raise PlanError(at, "start times must lie in one day and ascend")
        before = start
        _verify_command(data, at + 3)
        at += FIXED_SIZE
    for _ in range(astro):
        _offset(at, _i24(data, at))
        _below(at + 3, data[at + 3], 1, "event of the sun")
        _below(at + 4, data[at + 4], EFFECT_MUL, "operation")
        _verify_command(data, at + 5)
        at += ASTRO_SIZE
    for _ in range(dynamic):
        _below(at, data[at], DYNAMIC_EXTERNAL, "kind of dynamic control")
        _below(at + 1, data[at + 1], CHANNELS - 1, "channel")
        _below(at + 2, data[at + 2], EFFECT_MUL, "operation")
        _below(at + 3, data[at + 3], 1, "has a period")
        _below(at + 4, _i24(data, at + 4), _DAY_S - 1, "time of day")
        _below(at + 7, _i24(data, at + 7), _DAY_S - 1, "time of day")
        _below(at + 10, _u16(data, at + 10), LEVEL_MAX, "level")
        _below(at + 14, _u16(data, at + 14), RAMP_MAX_DS, "ramp")
        _below(at + 16, _u16(data, at + 16), RAMP_MAX_DS, "ramp")
        at += DYNAMIC_SIZE
    return at


def _verify_period(data, at: int) -> None:
    kind = data[at]
    _below(at, kind, PERIOD_VALUE, "kind of active period")
    _below(at + 1, data[at + 1], CHANNELS - 1, "channel")
    for where in (at + 2, at + 5):
        value = _i24(data, where)
        if kind == PERIOD_ABSOLUTE:
            _below(where, value, _DAY_S - 1, "time of day")
        elif kind in (PERIOD_ASTRO_CLOCK, PERIOD_ASTRO_AND_SENSOR):
            _offset(where, value)
    on_level = _i24(data, at + 8)
    off_level = _i24(data, at + 11)
    _below(at + 8, on_level, SENSOR_LEVEL_MAX, "sensor level")
    _below(at + 11, off_level, SENSOR_LEVEL_MAX, "sensor level")
    if off_level < on_level and kind != PERIOD_VALUE:
        raise PlanError(at + 11, "off level %d below on level %d: the lamp would blink" % (off_level, on_level))
    _below(at + 14, _u16(data, at + 14), PHOTOCELL_MAX_MIN, "photocell minutes")
    _below(at + 16, _u16(data, at + 16), PHOTOCELL_MAX_MIN, "photocell minutes")
    _below(at + 18, data[at + 18], VALUE_LT, "operator")


def _verify_command(data, at: int) -> None:
    _below(at, _u16(data, at), LEVEL_MAX, "level")
    _below(at + 2, _u16(data, at + 2), RAMP_MAX_DS, "ramp")
    _below(at + 4, _u16(data, at + 4), RAMP_MAX_DS, "ramp")


def _verify_rule(data, at: int, body: int, programs: int) -> int:
    _inside(at, RULE_SIZE, body)
    if data[at] >= programs:
        raise PlanError(at, "program %d, there are %d" % (data[at], programs))
    _below(at + 1, data[at + 1], CONDITION_DAY, "condition")
    dates = data[at + 2]
    _below(at + 2, dates, DATES_MAX, "dates")
    if (data[at + 1] == CONDITION_DATE) != (dates > 0):
        raise PlanError(at + 2, "dates belong to a ccDate condition, and it needs one")
    _below(at + 3, data[at + 3], 127, "weekdays")
    _below(at + 4, data[at + 4], 63, "occurrences")
    for where in (at + 6, at + 10):
        _below(where + 2, data[where + 2], 12, "month")
        _below(where + 3, data[where + 3], 31, "day")
    at += RULE_SIZE
    _inside(at, dates * DATE_SIZE, body)
    for _ in range(dates):
        for where in (at, at + 2):
            _below(where, data[where], 12, "month")
            if not 1 <= data[where + 1] <= 31:
                raise PlanError(where + 1, "day %d, 1 to 31" % data[where + 1])
        at += DATE_SIZE
    return at


def _u16(data, at: int) -> int:
    return data[at] | data[at + 1] << 8


def _i24(data, at: int) -> int:
    value = data[at] | data[at + 1] << 8 | data[at + 2] << 16
    return value - 16777216 if value >= 8388608 else value


def _at(data, entry: int, expected: int) -> None:
    if _u16(data, entry) != expected:
        raise PlanError(entry, "points to byte %d, not to %d" % (_u16(data, entry), expected))


def _inside(at: int, length: int, body: int) -> None:
    if at + length > body:
        raise PlanError(at, "the counts do not add up to the length")


def _offset(at: int, value: int) -> None:
    if not -ASTRO_OFFSET_MAX_S <= value <= ASTRO_OFFSET_MAX_S:
        raise PlanError(at, "offset to the sun beyond %d s" % ASTRO_OFFSET_MAX_S)


def _below(at: int, value: int, most: int, what: str) -> None:
    if not 0 <= value <= most:
        raise PlanError(at, "%s %d, 0 to %d" % (what, value, most))
