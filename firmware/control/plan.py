"""The binary plan: one control program in TALQ's terms, read in place.

The host compiles it (`host_tools/plan/encode.py`), the node reads it byte by byte and builds no objects. All numbers
are little-endian; times of day are seconds of local time, ramps and hold times are in tenths of a second.

header, 16 bytes
    0  "RVP"            3  format version (1)      4  length of the whole plan, u16
    6  default light state, permille, u16          8  ramp to the default light state and to off, u16
    10 active periods, u8   11 fixed time controls, u8   12 dynamic controls, u8   13 0   14 0   15 0
active period, 8 bytes
    0  kind: 0 absolute, 1 astro clock             1  start, i24   4  end, i24   7  0
    (absolute: seconds of local day; astro clock: offsets in seconds to sunset and to sunrise, + is after)
fixed time control, 8 bytes
    0  start, u24           3  level, permille, u16     5  ramp, u16     7  0
dynamic control, 16 bytes
    0  effect               1  start, u24          4  end, u24 (equal: the whole day)
    7  value, u16           9  hold time, u16     11  ramp up, u16      13  ramp down, u16    15  0
CRC-32 (IEEE 802.3) of all that, u32
"""

from .compat import const

PLAN_VERSION = const(1)
HEADER_SIZE = const(16)
PERIOD_SIZE = const(8)
FIXED_SIZE = const(8)
DYNAMIC_SIZE = const(16)
CRC_SIZE = const(4)

# Bounds of a program; the host refuses a larger one, the node too.
PERIODS_MAX = const(4)
FIXED_MAX = const(48)
DYNAMIC_MAX = const(1)
LEVEL_MAX = const(1000)
# 1,000 s: a fade of 1000 permille over 1,000,000 ms is the largest product that fits 30 bits.
RAMP_MAX_DS = const(10000)
# An astro clock period may begin and end up to six hours away from the sun.
ASTRO_OFFSET_MAX_S = const(21600)

PERIOD_ABSOLUTE = const(0)
PERIOD_ASTRO_CLOCK = const(1)

# TALQ 2.7.1, EffectOperation.
EFFECT_SET = const(0)
EFFECT_MAX = const(1)
EFFECT_MIN = const(2)
EFFECT_ADD = const(3)
EFFECT_SUB = const(4)
EFFECT_MUL = const(5)

_DAY_S = const(86400)


class PlanError(ValueError):
    """A plan that cannot be used. ``offset`` is the byte at fault; the plan in force stays in force."""

    def __init__(self, offset: int, reason: str):
        super().__init__("plan, byte %d: %s" % (offset, reason))
        self.offset = offset


def crc32(data, length: int) -> int:
    """Return the CRC-32 (IEEE 802.3) of the first ``length`` bytes. At load only: on 32 bits it allocates."""
    crc = 0xFFFFFFFF
    for i in range(length):
        crc ^= data[i]
        for _ in range(8):
            crc = (crc >> 1) ^ (0xEDB88320 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


class Plan:
    """A verified plan. ``data``: bytes as above. Raises ``PlanError`` and is then unusable.

    Every reader takes the index of the record and returns one integer, in ms, s or permille as its name says.
    """

    def __init__(self, data):
        self._data = data
        self.periods = 0
        self.fixed = 0
        self.dynamic = 0
        self._verify(data)
        self.default_level_permille = self._u16(6)
        self.default_ramp_ms = self._u16(8) * 100
        self._fixed_at = HEADER_SIZE + self.periods * PERIOD_SIZE
        self._dynamic_at = self._fixed_at + self.fixed * FIXED_SIZE

    def period_kind(self, index: int) -> int:
        return self._data[HEADER_SIZE + index * PERIOD_SIZE]

    def period_start_s(self, index: int) -> int:
        return self._i24(HEADER_SIZE + index * PERIOD_SIZE + 1)

    def period_end_s(self, index: int) -> int:
        return self._i24(HEADER_SIZE + index * PERIOD_SIZE + 4)

    def fixed_start_s(self, index: int) -> int:
        return self._i24(self._fixed_at + index * FIXED_SIZE)

    def fixed_level_permille(self, index: int) -> int:
        return self._u16(self._fixed_at + index * FIXED_SIZE + 3)

    def fixed_ramp_ms(self, index: int) -> int:
        return self._u16(self._fixed_at + index * FIXED_SIZE + 5) * 100

    def dynamic_effect(self, index: int) -> int:
        return self._data[self._dynamic_at + index * DYNAMIC_SIZE]

    def dynamic_start_s(self, index: int) -> int:
        return self._i24(self._dynamic_at + index * DYNAMIC_SIZE + 1)

    def dynamic_end_s(self, index: int) -> int:
        return self._i24(self._dynamic_at + index * DYNAMIC_SIZE + 4)

    def dynamic_value(self, index: int) -> int:
        return self._u16(self._dynamic_at + index * DYNAMIC_SIZE + 7)

    def dynamic_hold_ms(self, index: int) -> int:
        return self._u16(self._dynamic_at + index * DYNAMIC_SIZE + 9) * 100

    def dynamic_ramp_up_ms(self, index: int) -> int:
        return self._u16(self._dynamic_at + index * DYNAMIC_SIZE + 11) * 100

    def dynamic_ramp_down_ms(self, index: int) -> int:
        return self._u16(self._dynamic_at + index * DYNAMIC_SIZE + 13) * 100

    def _u16(self, at: int) -> int:
        return self._data[at] | self._data[at + 1] << 8

    def _i24(self, at: int) -> int:
        value = self._data[at] | self._data[at + 1] << 8 | self._data[at + 2] << 16
        return value - 16777216 if value >= 8388608 else value

    def _verify(self, data) -> None:
        size = len(data)
        if size < HEADER_SIZE + CRC_SIZE:
            raise PlanError(size, "cut off: %d bytes, the header alone has %d" % (size, HEADER_SIZE + CRC_SIZE))
        if data[0] != 0x52 or data[1] != 0x56 or data[2] != 0x50:
            raise PlanError(0, "not a plan: it does not begin with RVP")
        if data[3] != PLAN_VERSION:
            raise PlanError(3, "format %d, this firmware reads %d: update the firmware first" % (data[3], PLAN_VERSION))
        if self._u16(4) != size:
            raise PlanError(4, "length says %d bytes, there are %d: send it again" % (self._u16(4), size))
        body = size - CRC_SIZE
        if crc32(data, body) != (self._u16(body) | self._u16(body + 2) << 16):
            raise PlanError(body, "the check sum does not match: send it again")
        self.periods = data[10]
        self.fixed = data[11]
        self.dynamic = data[12]
        if self.periods > PERIODS_MAX:
            raise PlanError(10, "%d active periods, at most %d" % (self.periods, PERIODS_MAX))
        if not 1 <= self.fixed <= FIXED_MAX:
            raise PlanError(11, "%d fixed time controls, 1 to %d" % (self.fixed, FIXED_MAX))
        if self.dynamic > DYNAMIC_MAX:
            raise PlanError(12, "%d dynamic controls, at most %d" % (self.dynamic, DYNAMIC_MAX))
        fixed_at = HEADER_SIZE + self.periods * PERIOD_SIZE
        dynamic_at = fixed_at + self.fixed * FIXED_SIZE
        if body != dynamic_at + self.dynamic * DYNAMIC_SIZE:
            raise PlanError(10, "the counts do not add up to the length")
        self._below(6, self._u16(6), LEVEL_MAX, "default light state")
        self._below(8, self._u16(8), RAMP_MAX_DS, "ramp")
        for at in range(HEADER_SIZE, fixed_at, PERIOD_SIZE):
            self._verify_period(at)
        before = -1
        for at in range(fixed_at, dynamic_at, FIXED_SIZE):
            start = self._i24(at)
            if not before < start < _DAY_S:
                raise PlanError(at, "start times must lie in one day and ascend")
            before = start
            self._below(at + 3, self._u16(at + 3), LEVEL_MAX, "level")
            self._below(at + 5, self._u16(at + 5), RAMP_MAX_DS, "ramp")
        for at in range(dynamic_at, body, DYNAMIC_SIZE):
            self._verify_dynamic(at)

    def _verify_period(self, at: int) -> None:
        kind = self._data[at]
        if kind > PERIOD_ASTRO_CLOCK:
            raise PlanError(at, "unknown kind of active period %d" % kind)
        for where in (at + 1, at + 4):
            value = self._i24(where)
            if kind == PERIOD_ABSOLUTE:
                self._below(where, value, _DAY_S - 1, "time of day")
            elif not -ASTRO_OFFSET_MAX_S <= value <= ASTRO_OFFSET_MAX_S:
                raise PlanError(where, "offset to the sun beyond %d s" % ASTRO_OFFSET_MAX_S)

    def _verify_dynamic(self, at: int) -> None:
        if self._data[at] > EFFECT_MUL:
            raise PlanError(at, "unknown effect %d" % self._data[at])
        self._below(at + 1, self._i24(at + 1), _DAY_S - 1, "time of day")
        self._below(at + 4, self._i24(at + 4), _DAY_S - 1, "time of day")
        self._below(at + 7, self._u16(at + 7), LEVEL_MAX, "value")
        self._below(at + 11, self._u16(at + 11), RAMP_MAX_DS, "ramp")
        self._below(at + 13, self._u16(at + 13), RAMP_MAX_DS, "ramp")

    def _below(self, at: int, value: int, most: int, what: str) -> None:
        if not 0 <= value <= most:
            raise PlanError(at, "%s %d, 0 to %d" % (what, value, most))
