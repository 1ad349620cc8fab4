"""Constant light output and virtual power output: known answers, what always holds, and the same on every runtime."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from firmware.control.flux import HOURS_MAX, KNOTS_MAX, FluxKeeper
from tests.runtimes import ROOT

HISTORY = """
from firmware.control.flux import FluxKeeper
try:
    from micropython import heap_lock, heap_unlock
except ImportError:
    def heap_lock(): pass
    heap_unlock = heap_lock
def main():
    keepers = (
        FluxKeeper([0], [1000]),
        FluxKeeper([0, 50000, 100000], [800, 880, 1000], 700, 100),
        FluxKeeper([0, 1000000], [1, 1000]),
    )
    for keeper in keepers:
        for level in range(0, 1001, 37):
            for hours in (0, 1, 49999, 50000, 70001, 100000, 999999, 1000000, 1073741823):
                heap_lock()
                output = keeper.output(level, hours)
                full = keeper.output(1000, hours)
                heap_unlock()
                print(level, hours, output, full)
main()
"""


@st.composite
def keepers(draw):
    hours = draw(st.lists(st.integers(1, HOURS_MAX), max_size=KNOTS_MAX - 1, unique=True).map(sorted))
    needs = draw(st.lists(st.integers(1, 1000), min_size=len(hours) + 1, max_size=len(hours) + 1))
    return FluxKeeper([0, *hours], needs, draw(st.integers(100, 1000)), draw(st.integers(1, 200)))


def test_constant_light_output_between_its_knots():
    """A town pays for 800 of 1000 while the LED is new, and gets the same light 20 years on. So the driver follows the
    maker's points, straight between them, and stays at the last."""
    keeper = FluxKeeper([0, 50_000, 100_000], [800, 880, 1000])
    found = [keeper.output(1000, hours) for hours in (0, 25_000, 50_000, 75_000, 100_000, 200_000)]
    assert found == [800, 840, 880, 940, 1000, 1000]
    assert keeper.output(500, 0) == 400
    # 499.5 goes to the nearest.
    assert FluxKeeper([0], [999]).output(500, 0) == 500


def test_virtual_power_output_scales_the_maximum():
    """One 64 W luminaire in stock serves as one of 45 W. So at 700 permille every level is 0.7 of itself, and with
    constant light output both count."""
    assert [FluxKeeper([0], [1000], 700).output(level, 0) for level in (0, 100, 500, 1000)] == [0, 70, 350, 700]
    assert FluxKeeper([0, 100_000], [800, 1000], 700).output(1000, 0) == 560


def test_neither_changes_nothing():
    """Most lamps have neither. So then the driver gets the level itself."""
    keeper = FluxKeeper([0], [1000])
    assert [keeper.output(level, 12_345) for level in range(1001)] == list(range(1001))


def test_lit_never_rounds_to_dark_or_below_the_driver():
    """Scaling a dimmed level could turn a lamp off, or below what its driver holds steady. So lit is at least the
    driver's minimum."""
    assert FluxKeeper([0], [100], 100).output(1, 0) == 1
    keeper = FluxKeeper([0], [800], 500, 100)
    assert [keeper.output(level, 0) for level in (0, 1, 249, 250, 260)] == [0, 100, 100, 100, 104]


@given(keepers(), st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 2 * HOURS_MAX))
def test_within_bounds_and_monotone(keeper, a, b, hours):
    """Whatever a maker's sheet holds, more light is never less driver, full is never passed and off is off. So this
    is asked for any knots."""
    low, high = sorted((a, b))
    assert 0 <= keeper.output(low, hours) <= keeper.output(high, hours) <= 1000
    assert (keeper.output(a, hours) == 0) == (a == 0)


@given(keepers(), st.integers(0, 1000), st.integers(0, HOURS_MAX))
def test_the_output_is_the_product(keeper, level, hours):
    """Rounding at each factor would add up to a visible loss. So the output is the product of the three, within one
    permille of the interpolated need and half of its own."""
    times, needs = keeper._hours, keeper._needs
    need = needs[-1]
    for i in range(1, len(times)):
        if hours < times[i]:
            need = needs[i - 1] + (needs[i] - needs[i - 1]) * (hours - times[i - 1]) / (times[i] - times[i - 1])
            break
    exact = level * need * keeper._maximum / 1e6
    if level > 0:
        exact = max(exact, keeper._driver_minimum)
    assert abs(keeper.output(level, hours) - exact) <= 1.5


def test_same_on_every_runtime(micropython_runtime):
    """A 31-bit integer that overflows is allocated, or wrong. So the largest products are made on each runtime, under a
    locked heap."""
    host = subprocess.run([sys.executable, "-c", HISTORY], cwd=ROOT, capture_output=True, text=True, check=True)
    done = micropython_runtime.run(["-c", HISTORY])
    assert done.returncode == 0, done.stderr
    assert done.stdout == host.stdout
