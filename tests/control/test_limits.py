"""The limits of a level: the class guard, the driver's minimum, the thermal cap; who wins, and what is shown."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from firmware.control.limits import DRIVER_MINIMUM, GUARD, NONE, PROTECTION, THERMAL, Limits
from tests.runtimes import ROOT

HISTORY = """
from firmware.control.limits import Limits
try:
    from micropython import heap_lock, heap_unlock
except ImportError:
    def heap_lock(): pass
    heap_unlock = heap_lock
def main():
    for limits in (Limits(400, False, 100), Limits(400, True, 100), Limits(0, False, 1), Limits(50, False, 100)):
        for level in (0, 1, 50, 99, 100, 399, 400, 700, 1000):
            for cap in (0, 50, 100, 300, 400, 600, 1000):
                for flags in range(4):
                    heap_lock()
                    allowed = limits.allowed(level, flags & 1 != 0, cap, flags & 2 != 0)
                    heap_unlock()
                    print(level, cap, flags, allowed, limits.which, limits.is_below_guard)
main()
"""

PERMILLE = st.integers(0, 1000)
LIMITS = st.builds(Limits, PERMILLE, st.booleans(), st.integers(1, 1000))


def shown(limits, *arguments):
    """Return what came out: the level, which limit, below the guard or not."""
    return limits.allowed(*arguments), limits.which, limits.is_below_guard


def test_from_p4_to_p6_is_the_guard():
    """A street of class P4 may go to P6 at night: 5 lx to 2 lx, 400 permille (EN 13201). So 100 becomes 400 and says
    why, 400 and more pass, and off stays off."""
    limits = Limits(400, False, 50)
    assert shown(limits, 100, False, 1000, False) == (400, GUARD, False)
    assert shown(limits, 399, False, 1000, False) == (400, GUARD, False)
    assert shown(limits, 400, False, 1000, False) == (400, NONE, False)
    assert shown(limits, 1000, False, 1000, False) == (1000, NONE, False)
    assert shown(limits, 0, False, 1000, False) == (0, NONE, False)


def test_a_derogation_lets_through_and_is_shown():
    """Towns that detect presence idle at 10 to 20 %, which is no class: legal in France, but to be declared. So a
    derogated road gets its level, and each report can say that it is below its class."""
    limits = Limits(400, True, 50)
    assert shown(limits, 100, False, 1000, False) == (100, NONE, True)
    assert shown(limits, 400, False, 1000, False) == (400, NONE, False)
    assert shown(limits, 20, False, 1000, False) == (50, DRIVER_MINIMUM, True)
    assert shown(limits, 0, False, 1000, False) == (0, NONE, False)


def test_what_must_be_lit_is_lit():
    """A crossing that must be lit may be asked for 0 by a wrong program. So it gets its class guard, derogated or not,
    and without a class the driver's minimum."""
    assert shown(Limits(400, False, 50), 0, True, 1000, False) == (400, GUARD, False)
    assert shown(Limits(400, True, 50), 0, True, 1000, False) == (400, GUARD, False)
    assert shown(Limits(400, True, 50), 100, True, 1000, False) == (100, NONE, True)
    assert shown(Limits(0, False, 50), 0, True, 1000, False) == (50, DRIVER_MINIMUM, False)
    limits = Limits(400, False, 50)
    assert (limits.guard(0, False), limits.guard(0, True), limits.guard(1, False)) == (0, 400, 400)


def test_the_driver_minimum_comes_after_the_guard():
    """Below its minimum a driver flickers or goes out. So the level is at least that, and where it is above the guard
    it is the reason."""
    assert shown(Limits(100, False, 150), 50, False, 1000, False) == (150, DRIVER_MINIMUM, False)
    assert shown(Limits(0, False, 150), 149, False, 1000, False) == (150, DRIVER_MINIMUM, False)
    assert shown(Limits(0, False, 150), 150, False, 1000, False) == (150, NONE, False)


def test_heat_takes_light_but_not_the_class():
    """A hot summer night shortens a driver's life, a road below its class shortens others'. So derating stops at the
    guard unless there is a derogation (reliability.md, fault 17)."""
    limits = Limits(400, False, 50)
    assert shown(limits, 1000, False, 600, False) == (600, THERMAL, False)
    assert shown(limits, 600, False, 600, False) == (600, NONE, False)
    assert shown(limits, 1000, False, 300, False) == (400, THERMAL, False)
    assert shown(limits, 100, False, 300, False) == (400, GUARD, False)
    assert shown(Limits(400, True, 50), 1000, False, 300, False) == (300, THERMAL, True)
    assert shown(Limits(400, True, 50), 1000, False, 20, False) == (50, THERMAL, True)


def test_protection_goes_below_the_class_and_says_so():
    """Above the shutdown temperature a lamp that keeps its class is a lamp lost. So protection goes below the guard,
    even to dark where its cap is 0, and each report shows it."""
    limits = Limits(400, False, 50)
    assert shown(limits, 1000, True, 100, True) == (100, PROTECTION, True)
    assert shown(limits, 100, False, 100, True) == (100, PROTECTION, True)
    assert shown(limits, 1000, True, 20, True) == (50, PROTECTION, True)
    assert shown(limits, 1000, True, 0, True) == (0, PROTECTION, True)
    assert shown(limits, 0, False, 0, True) == (0, NONE, False)
    assert shown(limits, 1000, False, 500, True) == (500, PROTECTION, False)


def test_a_cap_of_nothing_without_protection_keeps_the_class():
    """Nobody may darken a road through the derating. So without protection a cap of 0 is the guard where there is
    one."""
    assert shown(Limits(400, False, 50), 1000, False, 0, False) == (400, THERMAL, False)


@given(LIMITS, PERMILLE, st.booleans(), PERMILLE, st.booleans())
def test_never_below_the_guard_without_saying_so(limits, wanted, must_be_lit, cap, is_protection):
    """The certificate of a night says whether the class was kept. So a lit lamp below its guard is always flagged, and
    it takes a derogation or protection."""
    level = limits.allowed(wanted, must_be_lit, cap, is_protection)
    is_wanted = wanted > 0 or (must_be_lit and limits.guard_permille + limits.driver_minimum_permille > 0)
    assert limits.is_below_guard == (is_wanted and level < limits.guard_permille)
    if limits.is_below_guard:
        assert limits.is_derogated or is_protection


@given(LIMITS, PERMILLE, st.booleans(), st.integers(1, 1000), st.booleans())
def test_a_limit_switches_nothing(limits, wanted, must_be_lit, cap, is_protection):
    """A limit that puts a lamp out is a fault, and one that lights it is a day-burner. So with any cap above 0 the lamp
    is lit exactly when it is wanted or must be, and then at the driver's minimum at least."""
    level = limits.allowed(wanted, must_be_lit, cap, is_protection)
    assert (level > 0) == (wanted > 0 or must_be_lit)
    assert level == 0 or limits.driver_minimum_permille <= level <= 1000
    floors = max(limits.guard_permille, limits.driver_minimum_permille)
    assert level <= max(cap, floors)
    if limits.which == NONE:
        assert level == wanted


@given(LIMITS, PERMILLE, PERMILLE, st.booleans(), PERMILLE, st.booleans())
def test_more_wanted_is_never_less_light(limits, a, b, must_be_lit, cap, is_protection):
    """An operator who asks for more and sees less stops trusting the system. So the mapping is monotone, and applied
    twice it changes nothing more."""
    low, high = sorted((a, b))
    if low == 0:
        low = high  # 0 is off, and what must be lit then gets the guard even under a derogation
    first = limits.allowed(low, must_be_lit, cap, is_protection)
    assert first <= limits.allowed(high, must_be_lit, cap, is_protection)
    if first > 0:
        assert limits.allowed(first, must_be_lit, cap, is_protection) == first


def test_same_on_every_runtime(micropython_runtime):
    """The simulator's certificate and the chip's must be one. So a grid of levels and caps is asked on each runtime,
    under a locked heap."""
    host = subprocess.run([sys.executable, "-c", HISTORY], cwd=ROOT, capture_output=True, text=True, check=True)
    done = micropython_runtime.run(["-c", HISTORY])
    assert done.returncode == 0, done.stderr
    assert done.stdout == host.stdout
