"""DALI on the wire: bits to half bits, edges back to bits, and the codes of fade times. Pure; IEC 62386-101 and -102.

A bit takes 833.3 us: low then high is 1, high then low is 0; an idle bus is high (16 V). A frame is a start bit (1), 16
bits forward or 8 bits back, most significant first, and a stop condition of 2.4 ms idle. A receiver takes a half bit of
333 to 500 us and two halves of 667 to 1000 us (IEC 62386-101:2022, as quoted by Zephyr's DALI header).
"""

from ..control.compat import const

# One RMT tick is a microsecond (clock_div 80 of 80 MHz): 417 lies within the 400 to 433 that a sender may take.
HALF_BIT_US = const(417)
FORWARD_BITS = const(16)
BACKWARD_BITS = const(8)
# Start bit and 16 bits in half bits, and two of idle, so that the line is left high by the frame itself.
FRAME_HALVES = const(36)
# From the first edge to the end of the last bit: 34 half bits.
FRAME_US = const(14178)

# What a decoder and a query say instead of a byte.
NOTHING = const(-1)
CORRUPT = const(-2)

_HALF_MIN_US = const(333)
_HALF_MAX_US = const(500)
_FULL_MIN_US = const(667)
_FULL_MAX_US = const(1000)

# 0.5 s * sqrt(2^n) in ms for n = 1 ... 15 (IEC 62386-102, SET FADE TIME). n = 0: the extended fade time.
_FADES_MS = (707, 1000, 1414, 2000, 2828, 4000, 5657, 8000, 11314, 16000, 22627, 32000, 45255, 64000, 90510)
# SET EXTENDED FADE TIME: a base of 1 ... 16 times one of these, by the multiplier 1 ... 4.
_EXTENDED_MS = (100, 1000, 10000, 60000)
FADE_NONE = const(0)
EXTENDED_MAX_MS = const(960000)


def fill_levels(frame, levels, idle):
    """Fill ``levels`` (a list of 36) with the output's level (True or False) of each half bit of a 16-bit frame.

    ``idle``: the output's level while the bus is idle. Allocates nothing.
    """
    low = not idle
    levels[0] = low
    levels[1] = idle
    at = 2
    for i in range(15, -1, -1):
        is_one = frame >> i & 1
        levels[at] = low if is_one else idle
        levels[at + 1] = idle if is_one else low
        at += 2
    levels[34] = idle
    levels[35] = idle


def decode(times_us, count, bits):
    """Return the value of a frame of ``bits`` (1 ... 24), or `NOTHING`, or `CORRUPT`. Allocates nothing; any input.

    ``times_us``: the ``count`` times between neighbouring edges; the first edge falls, into the start bit. The last
    rises to idle, so there is no time after it. `NOTHING`: not even two edges.
    """
    if count < 1:
        return NOTHING
    halves = 2 * bits + 2
    at = 0
    is_high = 0
    first = 0
    value = 0
    for i in range(count):
        time_us = times_us[i]
        if _HALF_MIN_US <= time_us <= _HALF_MAX_US:
            width = 1
        elif _FULL_MIN_US <= time_us <= _FULL_MAX_US:
            width = 2
        else:
            return CORRUPT
        for _ in range(width):
            if at >= halves:
                return CORRUPT
            if at & 1 == 0:
                first = is_high
            elif first == is_high:
                # No edge in the middle of a bit.
                return CORRUPT
            else:
                value = value << 1 | is_high
            at += 1
        is_high = 1 - is_high
    # A last bit of 1 ends high, and the idle bus hides its second half.
    if at == halves - 1 and is_high and not first:
        value = value << 1 | 1
        at += 1
    # It must have ended with the bus high. The start bit is 1 by itself: the first edge falls.
    if at != halves or not is_high:
        return CORRUPT
    return value & ((1 << bits) - 1)


def fade_ms(code):
    """Return the fade time in ms of SET FADE TIME's code: 1 ... 15, and 0 for 0."""
    return _FADES_MS[code - 1] if code else 0


def fade_code(ms):
    """Return the code (0 ... 15) whose fade time is nearest to ms; 0, no fade, below 350 ms."""
    if ms < _FADES_MS[0] >> 1:
        return FADE_NONE
    best = 1
    for code in range(2, 16):
        if abs(_FADES_MS[code - 1] - ms) < abs(_FADES_MS[best - 1] - ms):
            best = code
    return best


def extended_ms(code):
    """Return the fade time in ms of SET EXTENDED FADE TIME's code (0 ... 0x4F; 0x0x: none)."""
    multiplier = code >> 4
    return ((code & 15) + 1) * _EXTENDED_MS[multiplier - 1] if 1 <= multiplier <= 4 else 0


def extended_code(ms):
    """Return the code whose extended fade time (100 ms ... 16 min) is nearest to ms; 0, no fade, below 50 ms."""
    if ms < _EXTENDED_MS[0] >> 1:
        return FADE_NONE
    for i in range(3):
        step = _EXTENDED_MS[i]
        # The finest multiplier that reaches it, or half way to the next one's first step beyond.
        if 2 * ms <= 16 * step + (20 if i < 2 else 18) * step:
            return (i + 1) << 4 | (min((ms + (step >> 1)) // step, 16) - 1)
    return 0x40 | (min((ms + (_EXTENDED_MS[3] >> 1)) // _EXTENDED_MS[3], 16) - 1)
