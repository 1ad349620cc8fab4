"""Fixed-point sines against `math`."""

import math

from hypothesis import example, given
from hypothesis import strategies as st

from firmware.control.fixed import ONE, QUARTER, TURN, arcsine, cosine, divide, multiply, sine

PART = 2**22
wide = st.integers(-(2**23) + 1, 2**23 - 1)


@given(wide, wide)
@example(2**23 - 1, 2**23 - 1)
@example(-(2**23) + 1, 2**23 - 1)
def test_a_product_is_within_two_parts(a, b):
    """A 32-bit board has no 64-bit product without its heap, so this one is made of halves. It may lose two parts and
    no more, or the sun drifts."""
    assert -2 <= multiply(a, b) - a * b / PART <= 0


def test_sines_are_within_eight_parts():
    """Eight parts are 2e-6, a tenth of a second of sun. So the error all around the circle stays below that, and the
    sine stays within one."""
    worst = max(abs(sine(angle) - math.sin(angle / TURN * math.tau) * ONE) for angle in range(0, TURN, 61))
    print(f"figure: worst sine error {worst:.1f} parts of 2^22")
    assert worst <= 8
    for angle in range(QUARTER - 2000, QUARTER + 2000):
        assert sine(angle) <= ONE


@given(st.integers(-(2**29), 2**29))
@example(0)
@example(-1)
def test_any_integer_is_an_angle(angle):
    """The sun's angles grow with the day number for two centuries. So any integer is an angle, also a negative one."""
    radians = angle % TURN / TURN * math.tau
    assert abs(sine(angle) - math.sin(radians) * ONE) <= 8
    assert abs(cosine(angle) - math.cos(radians) * ONE) <= 8


def test_the_four_corners_are_those_of_the_circle():
    """At the equator and at noon a wrong corner would show at once. So zero is exact there, and one is to one part."""
    for n, corner in enumerate((0, ONE, 0, -ONE, 0)):
        assert abs(sine(QUARTER * n) - corner) <= (1 if corner else 0)
        assert abs(cosine(QUARTER * (n - 1)) - corner) <= (1 if corner else 0)


@given(st.integers(-ONE - 5, ONE + 5))
@example(ONE)
@example(-ONE)
def test_an_arcsine_leads_back_to_its_sine(value):
    """Near the poles the sun's arc is flat and an angle is hard to find. So what is checked is the sine of the angle
    found, to eight parts beyond its own error, and the angle against `math` where that is well conditioned."""
    angle = arcsine(value)
    clipped = max(-ONE, min(ONE, value))
    assert -QUARTER <= angle <= QUARTER
    assert abs(math.sin(angle / TURN * math.tau) * ONE - clipped) <= 16
    if abs(clipped) < 0.9 * ONE:
        assert abs(angle - math.asin(clipped / ONE) * TURN / math.tau) <= 4


@given(st.integers(-(2**24), 2**24), st.integers(1, 2**24))
def test_a_quotient_is_rounded_towards_zero_and_clipped(numerator, denominator):
    """The cosine of the sun's arc may leave ±1 by a part where it grazes the horizon. So a quotient is clipped there,
    and exact to its last part elsewhere."""
    expected = min(abs(numerator) * ONE // denominator, ONE)
    assert divide(numerator, denominator) == (-expected if numerator < 0 else expected)
