"""Where everything stands in the binary plan, and how much of it there may be. Host and node share these numbers.

All numbers are little-endian; times of day are seconds of local time; ramps and hold times are in tenths of a second.

header, 24 bytes
    0  "RVP"            3  format version (2)      4  length of the whole plan, u16
    6  day offset, 0 or 12 h, u8                   7  default program, u8 (255: none)
    8  default light state, permille, u16         10  ramp to the default light state and to off, u16
    12 programs, u8     13 calendar rules, u8     14  where the table of programs stands, u16
    16 where the table of rules stands, u16       18  level of the fail-safe, permille, u16   20 … 23  0
table of programs, table of rules: the offset of each, u16
program, 4 bytes, then its records in this order
    0  active periods   1  fixed time controls   2  astro clock time controls   3  dynamic controls
active period, 20 bytes
    0  kind             1  sensor channel          2  start, i24    5  end, i24
    8  on level or value, u24                     11  off level, u24
    14 photocell before sunset, u16 min           16  photocell before sunrise, u16 min   18  operator   19  0
    (start and end: seconds of local day, or offsets in s to sunset and sunrise)
fixed time control, 10 bytes
    0  start, u24       3  level, u16   5  ramp to level, u16   7  ramp from level, u16   9  0
astro clock time control, 12 bytes
    0  offset, i24      3  event (0 sunset, 1 sunrise)   4  operation   5  level, u16   7  ramp to, u16   9  ramp from
dynamic control, 20 bytes
    0  kind (0 fixed, 1 external effect)   1  channel   2  operation   3  has a period
    4  start, u24       7  end, u24   10  level, u16   12  hold time, u16   14  ramp to, u16   16  ramp from, u16
calendar rule, 16 bytes, then its dates
    0  program          1  condition (0 none, 1 ccDate, 2 ccDay)   2  dates, u8
    3  weekdays, bit 0 = Monday            4  occurrences, bit 0 = first … bit 4 = fifth, bit 5 = last; 0: every
    5  0                6  start year, u16 (0: every year)   8  start month (0: no start)   9  start day
    10 end year         12 end month (0: no end)            13 end day                      14 0 0
date of a rule, 4 bytes: start month (0: every month), start day, end month, end day
CRC-32 (IEEE 802.3) of all that, u32
"""

from .compat import const

PLAN_VERSION = const(2)
HEADER_SIZE = const(24)
PROGRAM_SIZE = const(4)
PERIOD_SIZE = const(20)
FIXED_SIZE = const(10)
ASTRO_SIZE = const(12)
DYNAMIC_SIZE = const(20)
RULE_SIZE = const(16)
DATE_SIZE = const(4)
CRC_SIZE = const(4)
NO_PROGRAM = const(255)

# What TALQ calls the limits of a control service (maxProgramsPerCalendar, maxSwitchPointsPerProgram, …).
PLAN_MAX_BYTES = const(8192)
PROGRAMS_MAX = const(16)
RULES_MAX = const(32)
DATES_MAX = const(16)
PERIODS_MAX = const(4)
FIXED_MAX = const(48)
ASTRO_MAX = const(8)
DYNAMIC_MAX = const(4)
LEVEL_MAX = const(1000)
# 1,000 s: a fade of 1000 permille over 1,000,000 ms is the largest product that fits 30 bits.
RAMP_MAX_DS = const(10000)
# Six hours to either side of the sun: further, one night's period would reach into the next.
ASTRO_OFFSET_MAX_S = const(21600)
PHOTOCELL_MAX_MIN = const(180)
# A million lux is ten times full sun.
SENSOR_LEVEL_MAX = const(1000000)

PERIOD_ABSOLUTE = const(0)
PERIOD_ASTRO_CLOCK = const(1)
PERIOD_ASTRO_AND_SENSOR = const(2)
PERIOD_SENSOR = const(3)
PERIOD_VALUE = const(4)

# TALQ 2.7.1, ValueActivePeriod.operator.
VALUE_EQ = const(0)
VALUE_NE = const(1)
VALUE_GE = const(2)
VALUE_GT = const(3)
VALUE_LE = const(4)
VALUE_LT = const(5)

# TALQ 2.7.1, EffectOperation.
EFFECT_SET = const(0)
EFFECT_MAX = const(1)
EFFECT_MIN = const(2)
EFFECT_ADD = const(3)
EFFECT_SUB = const(4)
EFFECT_MUL = const(5)

EVENT_SUNSET = const(0)
EVENT_SUNRISE = const(1)

DYNAMIC_FIXED = const(0)
DYNAMIC_EXTERNAL = const(1)

CONDITION_NONE = const(0)
CONDITION_DATE = const(1)
CONDITION_DAY = const(2)
OCCURRENCE_LAST = const(32)

# The channels that a program may refer to. What is on them is in `inputs.Seen`.
CHANNEL_PRESENCE = const(0)
CHANNEL_NEIGHBOURS = const(1)
CHANNEL_EXTERNAL = const(2)
CHANNEL_LUX = const(3)
CHANNELS = const(4)
