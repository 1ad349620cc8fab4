"""Fixed-point angles and their sines, for boards with single floats or none.

An angle is a turn in 2^22 parts (``TURN``), a sine or any other fraction is in 2^22 parts of one (``ONE``). No value
and no product inside leaves 31 bits, so nothing is allocated on a 32-bit MicroPython, and every runtime agrees.
"""

from .compat import const

TURN = const(4194304)
ONE = const(4194304)
QUARTER = const(1048576)
_MASK = const(4194303)


def multiply(a: int, b: int) -> int:
    """Return a·b / 2^22, rounded down to within 2 parts; |a| and |b| up to 2^23 - 1."""
    a_high = a >> 11
    b_high = b >> 11
    a_low = a & 2047
    b_low = b & 2047
    return a_high * b_high + ((a_high * b_low + a_low * b_high + ((a_low * b_low) >> 11)) >> 11)


def sine(angle: int) -> int:
    """Return the sine of an angle (any integer, in 2^22 of a turn) in 2^22 parts; wrong by at most 8 parts (2e-6)."""
    angle &= _MASK
    quadrant = angle >> 20
    x = angle & 1048575
    if quadrant & 1:
        x = QUARTER - x
    x <<= 2
    # The Taylor series of sin(x·π/2) up to x^11: the next term is below 6e-8 at x = 1.
    xx = multiply(x, x)
    y = 673 - multiply(15, xx)
    y = 19637 - multiply(y, xx)
    y = 334255 - multiply(y, xx)
    y = 2709370 - multiply(y, xx)
    y = multiply(x, 6588397 - multiply(y, xx))
    if y > ONE:
        y = ONE
    return -y if quadrant >= 2 else y


def cosine(angle: int) -> int:
    """Return the cosine of an angle, as ``sine``."""
    return sine(angle + QUARTER)


def arcsine(value: int) -> int:
    """Return the angle in -QUARTER … QUARTER whose sine is ``value`` (clipped to ±ONE), by bisection."""
    if value >= ONE:
        return QUARTER
    if value <= -ONE:
        return -QUARTER
    low = -QUARTER
    high = QUARTER
    while high - low > 1:
        middle = (low + high) >> 1
        if sine(middle) <= value:
            low = middle
        else:
            high = middle
    return low


def divide(numerator: int, denominator: int) -> int:
    """Return numerator/denominator in 2^22 parts, for 0 < denominator <= 2^24; clipped to ±ONE."""
    negative = numerator < 0
    if negative:
        numerator = -numerator
    if numerator >= denominator:
        return -ONE if negative else ONE
    quotient = 0
    for _ in range(22):
        numerator <<= 1
        quotient <<= 1
        if numerator >= denominator:
            numerator -= denominator
            quotient += 1
    return -quotient if negative else quotient
