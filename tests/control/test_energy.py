"""Energy and burning time against an integral worked out in fractions, and whatever must not change them."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from firmware.control.power import POWER_MAX_MW, EnergyCounter, PowerCurve
from sim.lamp_replay import replay
from tests.control.driver import CURVE, Driver, every_day, fixed
from tests.control.lamp_nights import lamp_nights

MJ_PER_WH = 3_600_000

curves = st.integers(1, 16).flatmap(
    lambda knots: st.tuples(
        st.lists(st.integers(1, 999), min_size=knots - 1, max_size=knots - 1, unique=True).map(
            lambda levels: [*sorted(levels), 1000]
        ),
        st.lists(st.integers(0, POWER_MAX_MW), min_size=knots, max_size=knots).map(sorted),
        st.integers(0, 5000),
    )
)
pieces = st.lists(
    st.tuples(st.integers(0, POWER_MAX_MW), st.integers(0, 2**29 - 1) | st.integers(0, 3000), st.booleans()),
    max_size=12,
)


def power(curve, level: Fraction) -> Fraction:
    """Return the power in mW at any level above 0, as the curve's description has it."""
    levels, powers, _ = curve
    if level <= levels[0]:
        return Fraction(powers[0])
    for i in range(1, len(levels)):
        if level <= levels[i]:
            part = (level - levels[i - 1]) / (levels[i] - levels[i - 1])
            return powers[i - 1] + part * (powers[i] - powers[i - 1])
    raise AssertionError(level)


def area(curve, low: Fraction, high: Fraction) -> Fraction:
    """Return the integral of the power from one level to a higher one, piece by piece between the knots."""
    corners = [low, *(Fraction(level) for level in curve[0] if low < level < high), high]
    return sum(
        ((power(curve, a) + power(curve, b)) / 2 * (b - a) for a, b in pairwise(corners)),
        Fraction(0),
    )


def integral(curve, decisions, end_ms: int) -> tuple[Fraction, int, Fraction]:
    """Return energy in mJ, burning time in ms, and how far integers may be off: from (t, from, to, fade) in order.

    An interrupted ramp is known to a permille, a mean power to one mW and a few of rounded knots. While a ramp from or
    to off still shows level 0, an input that divides it has that part counted as standby and not as the curve's start.
    """
    energy = slack = Fraction(0)
    burning_ms = 0
    levels, powers, standby = curve
    steepest = max(
        (Fraction(powers[i] - powers[i - 1], levels[i] - levels[i - 1]) for i in range(1, len(levels))),
        default=Fraction(0),
    )
    for number, (t_ms, before, after, fade_ms) in enumerate(decisions):
        until_ms = decisions[number + 1][0] if number + 1 < len(decisions) else end_ms
        ramp_ms = min(fade_ms, until_ms - t_ms)
        if ramp_ms > 0:
            reached = before + Fraction(after - before) * ramp_ms / fade_ms
            low, high = min(before, reached), max(before, reached)
            energy += area(curve, Fraction(low), Fraction(high)) / (high - low) * ramp_ms / 1000
            slack += (3 + steepest) * ramp_ms / 1000
            if low < 1:
                slack += powers[0] * min(Fraction(ramp_ms), Fraction(fade_ms, abs(after - before))) / 1000
        rest_ms = until_ms - t_ms - ramp_ms
        energy += (power(curve, Fraction(after)) if after else standby) * Fraction(rest_ms, 1000)
        slack += Fraction(rest_ms, 1000)
        burning_ms += ramp_ms + (rest_ms if after else 0)
    return energy, burning_ms, slack


def total_mj(counter: EnergyCounter) -> Fraction:
    return Fraction(counter.energy_wh * MJ_PER_WH + counter.energy_mj) + Fraction(counter._energy_uj, 1000)


def test_a_bill_worked_out_by_hand():
    """The counter becomes a town's electricity bill. So one hour at each of three levels of the shipped luminaire gives
    what its data sheet gives: 64 W, 44.93 W and 8.5 W make 117.43 Wh, and an hour of standby 0.5 Wh."""
    driver = Driver(every_day(fixed(("12:00", 1000, 0), ("13:00", 750, 0), ("14:00", 100, 0), ("15:00", 0, 0))))
    driver.run("16:00")
    driver.controller.count_to(driver.tick(driver.t_ms))
    energy = driver.controller.energy
    assert total_mj(energy) == 117_930 * 3600
    assert (energy.energy_wh, energy.energy_mj) == (117, 930 * 3600)
    assert (energy.burning_s, energy.burning_ms) == (3 * 3600, 0)


def test_a_ramp_worked_out_by_hand():
    """Power is not proportional to level, so a ramp does not cost the mean of its ends. From 0 to 1000 in 1,000 s the
    shipped luminaire draws 8.5 W up to 100, on average 26.715 W up to 750 and 54.465 W from there: 31.83 W."""
    driver = Driver(every_day(fixed(("00:00", 0, 0), ("13:00", 1000, 1_000_000))))
    driver.run("13:00")
    before = total_mj(driver.controller.energy)
    driver.t_ms += 1_000_000
    driver.controller.count_to(driver.tick(driver.t_ms))
    used_mj = total_mj(driver.controller.energy) - before
    assert abs(used_mj - (850 + 650 * Fraction("26.715") + 250 * Fraction("54.465")) * 1000) <= 1000
    assert driver.controller.energy.burning_s == 1000


def test_counters_are_the_integral_of_what_was_decided(record_property):
    """Savings are proven with these counters. So over many generated nights they are the integral of the decisions
    along the luminaire's curve, worked out here in fractions, to the rounding of integers. Without relays: behind an
    open one nothing draws, which has its own tests (test_street_behaviour)."""
    worst = Fraction(0)
    for record in lamp_nights(120, seed=5):
        record.get("config", {})["relay"] = None
        decisions = []
        last = [record["start"]]

        def keep(tick, level, fade_ms, reason, decisions=decisions, last=last, record=record):
            t_ms = (tick - record["tick0"]) % 2**30
            if decisions:
                t_before, start, target, fade = decisions[-1]
                gone = min(t_ms - t_before, fade)
                last[0] = target if gone == fade else start + (target - start) * gone // fade
            decisions.append((t_ms, last[0], level, fade_ms))

        controller = replay(record, keep)
        curve = (record["levels"], record["powers"], record["standby"])
        expected_mj, burning_ms, slack_mj = integral(curve, decisions, record["end_ms"])
        # An input in the middle of a ramp splits it at a whole permille.
        away = abs(total_mj(controller.energy) - expected_mj)
        assert away <= slack_mj + 1, f"lamp {record['lamp']}: {float(away)} mJ off, {float(slack_mj)} allowed"
        # A ramp of a permille or two is nearly all rounding: the slack above bounds it, the figure leaves it out.
        if all(fade_ms == 0 or abs(after - before) > 2 for _, before, after, fade_ms in decisions):
            worst = max(worst, away / expected_mj)
        assert controller.energy.burning_s * 1000 + controller.energy.burning_ms == burning_ms
    print(f"figure: worst energy error {float(worst) * 1e6:.1f} ppm of a night")
    record_property("worst_energy_error_ppm", round(float(worst) * 1e6, 1))
    assert worst < Fraction(1, 1000)


@given(pieces, st.data())
def test_the_counter_does_not_care_how_it_is_fed(fed, data):
    """One caller counts at every event, another once a night. So a time split in any way gives the same, down to the
    microjoule, and it is the exact sum."""
    whole, split = EnergyCounter(), EnergyCounter()
    for power_mw, duration_ms, is_lit in fed:
        whole.add(power_mw, duration_ms, is_lit)
        left_ms = duration_ms
        for _ in range(data.draw(st.integers(0, 3))):
            part_ms = data.draw(st.integers(0, left_ms))
            split.add(power_mw, part_ms, is_lit)
            left_ms -= part_ms
        split.add(power_mw, left_ms, is_lit)
    assert vars(whole) == vars(split)
    assert total_mj(whole) == sum(Fraction(power_mw * ms, 1000) for power_mw, ms, _ in fed)
    assert whole.burning_s * 1000 + whole.burning_ms == sum(ms for _, ms, is_lit in fed if is_lit)
    assert 0 <= whole.energy_mj < MJ_PER_WH
    assert 0 <= whole.burning_ms < 1000


@given(pieces)
def test_the_counter_never_goes_back(fed):
    """A meter that goes back is a meter nobody trusts. So energy and burning time only grow."""
    counter = EnergyCounter()
    before = (Fraction(0), 0)
    for power_mw, duration_ms, is_lit in fed:
        counter.add(power_mw, duration_ms, is_lit)
        now = (total_mj(counter), counter.burning_s * 1000 + counter.burning_ms)
        assert now[0] >= before[0]
        assert now[1] >= before[1]
        before = now


@given(curves, st.integers(1, 1000))
def test_the_curve_goes_through_its_knots_and_straight_between_them(curve, level):
    """A luminaire's knots were measured, and between them nobody measured. So the power is exact at a knot, and to 1 mW
    on the straight line between, and it is standby at 0 only."""
    levels, powers, standby = curve
    measured = PowerCurve(levels, powers, standby)
    assert measured.at(0) == standby
    assert [measured.at(knot) for knot in levels] == powers
    assert 0 <= power(curve, Fraction(level)) - measured.at(level) < 1


@given(curves, st.integers(0, 1000), st.integers(0, 1000))
# Found by chance: between two far knots each end of a short ramp is rounded down on its own.
@example(([1, 1000], [0, 8], 0), 339, 376)
def test_the_mean_power_of_a_ramp_is_its_area(curve, start, end):
    """A ramp of a quarter of an hour is a real part of a bill. So its mean power is the area under the curve, to 2 mW
    and half a mW permille for each permille from the knot below, and it is the same up and down to 1 mW."""
    if start == end:
        return
    measured = PowerCurve(*curve)
    low, high = sorted((start, end))
    exact = area(curve, Fraction(low), Fraction(high)) / (high - low)
    slack = 2 + Fraction(len(curve[0]) + 1000 // 2, high - low)
    assert abs(measured.mean(start, end) - exact) <= slack
    assert abs(measured.mean(start, end) - measured.mean(end, start)) <= 1


@pytest.mark.parametrize("poll_ms", [0, 50, 1_000])
def test_calls_in_between_do_not_change_the_counters(poll_ms):
    """A lamp whose node is nervous must not be billed otherwise than its neighbour. So calls of ``step()`` in the
    middle of a ramp leave the counters as they are."""
    program = every_day(fixed(("12:00", 100, 0), ("13:00", 900, 7_300), ("13:00:05", 200, 600_000)))
    driver, called = Driver(program, curve=CURVE), Driver(program, curve=CURVE)
    driver.run("13:30")
    end_ms = called.at("13:30")
    while poll_ms and called.t_ms < end_ms - poll_ms:
        called.t_ms += poll_ms
        called.step()
    called.run("13:30")
    for lamp in (driver, called):
        lamp.controller.count_to(lamp.tick(lamp.t_ms))
    assert vars(called.controller.energy) == vars(driver.controller.energy)
    assert called.raw == driver.raw
