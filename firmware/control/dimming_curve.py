"""DALI's two dimming curves: arc power levels 0 … 254 for levels in permille, and back.

Logarithmic (IEC 62386-102): percent = 10^((n - 1) / (253/3) - 1), so one arc is a factor of 10^(3/253) = 1.0277, and
arc 1 is 0.1 %. Linear (IEC 62386-207, dimmingCurve 1): percent = 100 · n / 254.

A permille is the smallest level here, so neither way is one to one. Low on the logarithmic curve several arcs share a
permille (arcs 1 … 15 are 1 permille, 85 is 10): of them the nearest to the whole permille is sent, and each permille
comes back as itself up to 44 permille. High up an arc is worth up to 27 permille: the nearest arc is sent, wrong by at
most 1.4 % of the level. Where a class of EN 13201 is to be kept (20 % is arc 195, which gives 19.97 %), the least arc
that is no darker is sent instead: at most 2.8 % more than the level.

Instead of a table, powers of the factor are multiplied; they agree with the standard's formula for every arc and every
permille.
"""

from .compat import const
from .fixed import multiply

# The values of dimmingCurve in IEC 62386-207.
CURVE_LOGARITHMIC = const(0)
CURVE_LINEAR = const(1)

ARC_MAX = const(254)

# Full light, in 4096ths of a permille: below 2^23, as multiply() asks.
_FULL = const(4096000)
_SHIFT = const(12)
_HALF = const(2048)
# multiply() rounds down, so a level in the very middle between two arcs (197 permille) would fall on the wrong side.
_ROUNDING = const(6)

# How much 2^i half arcs down leave of the light, in 2^22 parts: 2^22 · 10^(-1.5 / 253 · 2^i).
_LEFT = (4137434, 4081335, 3971408, 3760357, 3371307, 2709796, 1750706, 730746, 127313)


def arc_power_level(level_permille: int, curve: int, is_at_least: bool = False) -> int:
    """Return the arc power level (0 … 254) nearest to a level (0 … 1000 permille); 0 for 0 only.

    "Nearest" is on the curve's own scale, as drivers' makers tabulate it: 100 permille is arc 170, 500 is 229.
    ``is_at_least``: the least arc that gives no less light than the level.
    """
    if level_permille == 0:
        return 0
    if curve == CURVE_LINEAR:
        if is_at_least:
            return (level_permille * ARC_MAX + 999) // 1000
        # 1 permille is a quarter of an arc, and still light.
        return (level_permille * ARC_MAX + 500) // 1000 or 1
    target = (level_permille << _SHIFT) - _ROUNDING
    light = _FULL
    half_arcs = 0
    # Down from full light by the largest powers that stay at or above the level.
    for i in range(8, -1, -1):
        less = multiply(light, _LEFT[i])
        if less >= target:
            light = less
            half_arcs += 1 << i
    return ARC_MAX - ((half_arcs if is_at_least else half_arcs + 1) >> 1)


def permille_of(arc: int, curve: int) -> int:
    """Return the level (0 … 1000) of an arc power level (0 … 254) to the nearest permille; 0 for 0 only."""
    if arc == 0:
        return 0
    if curve == CURVE_LINEAR:
        return (arc * 1000 + 127) // ARC_MAX
    half_arcs = (ARC_MAX - arc) << 1
    light = _FULL
    for i in range(1, 9):
        if half_arcs >> i & 1:
            light = multiply(light, _LEFT[i])
    return (light + _HALF) >> _SHIFT
