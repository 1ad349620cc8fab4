"""DALI's curves against the maker's table, the standard's formula and the two MicroPythons."""

import math
import subprocess
import sys
from bisect import bisect_left

import pytest

from firmware.control.dimming_curve import ARC_MAX, CURVE_LINEAR, CURVE_LOGARITHMIC, arc_power_level, permille_of
from tests.runtimes import ROOT

# Percent of eight arcs as Beckhoff prints them (infosys.beckhoff.com, DALI_TO_PERCENT).
PRINTED = {1: 0.1, 10: 0.128, 85: 0.991, 100: 1.492, 128: 3.206, 150: 5.845, 200: 22.892, 254: 100.0}
# Arcs 1 … 254 in millionths of full light: the table of the project's lighting facts (dali_log_curve).
TABLE = """
1000 1028 1056 1085 1115 1146 1178 1211 1244 1279 1314 1350 1388 1426 1466 1506 1548 1591 1635 1680 1726 1774 1823
1874 1926 1979 2034 2090 2148 2207 2268 2331 2396 2462 2530 2600 2672 2746 2822 2900 2981 3063 3148 3235 3325 3417
3511 3608 3708 3811 3916 4025 4136 4251 4368 4489 4614 4741 4872 5007 5146 5288 5435 5585 5740 5899 6062 6230 6402
6579 6761 6949 7141 7339 7542 7750 7965 8185 8412 8645 8884 9130 9383 9643 9909 10184 10466 10755 11053 11359 11673
11996 12328 12670 13020 13381 13751 14132 14523 14925 15338 15763 16199 16647 17108 17582 18068 18568 19082 19611
20153 20711 21284 21874 22479 23101 23741 24398 25073 25767 26480 27213 27967 28741 29536 30354 31194 32057 32945
33857 34794 35757 36747 37764 38809 39883 40987 42122 43288 44486 45717 46983 48283 49619 50993 52404 53855 55346
56878 58452 60070 61732 63441 65197 67002 68856 70762 72721 74734 76803 78928 81113 83358 85666 88037 90474 92978
95551 98196 100914 103708 106578 109528 112560 115675 118877 122168 125549 129024 132596 136266 140038 143914 147897
151991 156198 160522 164965 169531 174223 179046 184002 189095 194329 199708 205236 210917 216755 222754 228920 235256
241768 248460 255338 262405 269668 277133 284804 292687 300788 309114 317670 326463 335499 344786 354329 364137 374216
384574 395219 406159 417401 428954 440828 453029 465569 478456 491699 505309 519296 533670 548442 563622 579223 595256
611732 628665 646066 663948 682326 701213 720622 740568 761067 782133 803782 826030 848895 872392 896539 921355 946857
973066 1000000
"""
# Levels in percent and the arc that makers' software sends for them.
SENT = {0.1: 1, 1: 85, 3: 126, 5: 144, 10: 170, 15: 185, 20: 195, 25: 203, 30: 210, 40: 220, 50: 229, 60: 235}
SENT |= {70: 241, 75: 243, 80: 246, 90: 250, 100: 254}

CURVES = (CURVE_LOGARITHMIC, CURVE_LINEAR)

HISTORY = """
from firmware.control.dimming_curve import arc_power_level, permille_of
try:
    from micropython import heap_lock, heap_unlock
except ImportError:
    def heap_lock(): pass
    heap_unlock = heap_lock
def main():
    for curve in (0, 1):
        for level in range(1001):
            heap_lock()
            arc = arc_power_level(level, curve)
            least = arc_power_level(level, curve, True)
            back = permille_of(arc, curve)
            heap_unlock()
            print(curve, level, arc, least, back)
        for arc in range(255):
            heap_lock()
            level = permille_of(arc, curve)
            heap_unlock()
            print(curve, arc, level)
main()
"""


def percent(arc: float) -> float:
    """The formula of IEC 62386-102."""
    return 10 ** ((arc - 1) / (253 / 3) - 1)


def test_the_formula_is_the_makers_table():
    """All that follows is judged by this formula, and it came from memory. So it is held against what a maker prints,
    to the last digit printed, and against a table of all arcs."""
    for arc, printed in PRINTED.items():
        assert abs(percent(arc) - printed) < 0.001, arc
    table = [int(word) for word in TABLE.split()]
    assert len(table) == ARC_MAX
    for arc, millionths in enumerate(table, 1):
        assert abs(percent(arc) * 10_000 - millionths) <= 1, arc
        assert permille_of(arc, CURVE_LOGARITHMIC) == (millionths + 500) // 1000, arc


def test_every_arc_of_the_logarithmic_curve():
    """A driver dims by the standard's curve, so a report of ours must say what light it gives. Each of the 254 arcs is
    the standard's percentage, to the nearest permille."""
    for arc in range(1, ARC_MAX + 1):
        assert permille_of(arc, CURVE_LOGARITHMIC) == round(10 * percent(arc)), arc


def test_every_permille_of_the_logarithmic_curve():
    """An operator who writes 50 % must get the arc that every other controller sends. So each of the 1000 levels goes
    to the arc of the inverse formula, among them those that makers print."""
    for level in range(1, 1001):
        assert arc_power_level(level, CURVE_LOGARITHMIC) == round(253 / 3 * (math.log10(level / 10) + 1) + 1), level
    for level_percent, arc in SENT.items():
        assert arc_power_level(round(level_percent * 10), CURVE_LOGARITHMIC) == arc


def test_the_light_sent_is_within_half_an_arc():
    """Energy and class are reckoned from the level, and the driver only knows 254 of them. So the light that an arc
    gives is within 1.4 % of the level asked for."""
    worst = max(abs(percent(arc_power_level(level, CURVE_LOGARITHMIC)) * 10 / level - 1) for level in range(1, 1001))
    print(f"figure: worst light error of an arc {100 * worst:.2f} % of the level")
    assert worst < 0.014


def test_a_guarded_level_is_never_undercut():
    """The class guard says 20 %, and the nearest arc gives 19.97 %: a road rounded below its class. So for a
    guarded lamp each level gets the least arc that is no darker, by the standard's formula and by the linear one."""
    for level in range(1, 1001):
        arc = arc_power_level(level, CURVE_LOGARITHMIC, True)
        # A millionth of the level is the formula's own rounding.
        assert percent(arc) * 10 >= level * (1 - 1e-6), level
        assert level == 1 or percent(arc - 1) * 10 < level, level
        arc = arc_power_level(level, CURVE_LINEAR, True)
        assert arc * 1000 >= level * ARC_MAX > (arc - 1) * 1000, level
    worst = max(percent(arc_power_level(level, CURVE_LOGARITHMIC, True)) * 10 / level for level in range(1, 1001))
    print(f"figure: most light beyond a guarded level {100 * worst - 100:.2f} % of it")
    assert worst < 1.028
    assert [arc_power_level(level, CURVE_LOGARITHMIC, True) for level in (0, 200, 1000)] == [0, 196, 254]


def test_low_levels_keep_their_permille():
    """Deep dimming is where a lost permille is a lost half of the light. So up to 44 permille each level comes back as
    it was, and only arcs 1 to 15 share the first permille."""
    for level in range(45):
        assert permille_of(arc_power_level(level, CURVE_LOGARITHMIC), CURVE_LOGARITHMIC) == level
    assert [arc for arc in range(255) if permille_of(arc, CURVE_LOGARITHMIC) == 1] == list(range(1, 16))
    assert permille_of(85, CURVE_LOGARITHMIC) == 10


def test_every_arc_of_the_linear_curve():
    """LED drivers are often set to the linear curve, where the same arc is another light. So both ways are the formula
    of part 207, and the faintest level is still lit."""
    for arc in range(1, ARC_MAX + 1):
        assert permille_of(arc, CURVE_LINEAR) == round(1000 * arc / 254), arc
        assert arc_power_level(permille_of(arc, CURVE_LINEAR), CURVE_LINEAR) == arc
    for level in range(1, 1001):
        arc = arc_power_level(level, CURVE_LINEAR)
        assert abs(arc * 1000 - level * 254) <= 500 or (level, arc) == (1, 1)


@pytest.mark.parametrize("curve", CURVES)
def test_both_ways_are_monotone_and_settle(curve):
    """A fade that steps back is seen, and a level that changes each time it is read back never comes to rest. So more
    light is never a smaller arc, off is off alone, and read back and sent again an arc stays itself."""
    arcs = [arc_power_level(level, curve) for level in range(1001)]
    levels = [permille_of(arc, curve) for arc in range(255)]
    assert arcs == sorted(arcs)
    assert levels == sorted(levels)
    assert (arcs[0], arcs[-1], levels[0], levels[-1]) == (0, 254, 0, 1000)
    assert bisect_left(arcs, 1) == 1
    assert levels[1] >= 1
    for arc in arcs:
        assert arc_power_level(levels[arc], curve) == arc


def test_same_on_every_runtime(micropython_runtime):
    """A town is simulated on a server and lit by chips with 31-bit integers. So every level and every arc is the same
    on all of them, and nothing is allocated."""
    host = subprocess.run([sys.executable, "-c", HISTORY], cwd=ROOT, capture_output=True, text=True, check=True)
    done = micropython_runtime.run(["-c", HISTORY])
    assert done.returncode == 0, done.stderr
    assert done.stdout == host.stdout
