"""Savings are paid in kWh and judged against a bound: both are summed here a second time, another way."""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from firmware.control import plan_format as layout
from firmware.control.config import Config
from firmware.control.controller import Controller
from firmware.control.inputs import CLOCK_GOOD
from firmware.control.plan import Plan
from firmware.control.power import PowerCurve
from host_tools.plan.encode import DynamicControl, FixedTimeControl, LampPlan, Program, encode
from sim.bound import clairvoyant
from sim.engine import Decision, Engine, Input, Lamp
from sim.figures import results_of
from sim.lamp_replay import INPUT_CLOCK, INPUT_PRESENCE
from sim.light import Light, Piece, energy_mj, pieces_of, power_series_mw
from sim.nights import Nights, run_nights
from sim.scenario import load_scenario
from sim.street import merged_needs

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "sim" / "scenarios" / "toulouse.yaml"
KNOTS = [(100, 8_500), (750, 44_930), (1000, 64_000)]
STANDBY_MW = 500
CURVE = PowerCurve([level for level, _ in KNOTS], [power for _, power in KNOTS], STANDBY_MW)
UP_MS, DOWN_MS = 800, 8_000


@cache
def shipped() -> Nights:
    return run_nights(load_scenario(SHIPPED), 1, 1)


def power_w(level: float) -> float:
    """The luminaire's curve, written down a second time: straight between the knots, flat below the first."""
    if level <= 0:
        return STANDBY_MW / 1000
    if level <= KNOTS[0][0]:
        return KNOTS[0][1] / 1000
    for (low, low_mw), (high, high_mw) in pairwise(KNOTS):
        if level <= high:
            return (low_mw + (high_mw - low_mw) * (level - low) / (high - low)) / 1000
    raise ValueError(level)


def ramp_j(start: float, end: float, duration_s: float) -> float:
    """The energy of a straight ramp: trapezoids between the knots it crosses (exact, for power is linear there)."""
    if start == end or duration_s == 0:
        return power_w(end) * duration_s
    low, high = min(start, end), max(start, end)
    stops = [low, *(level for level, _ in KNOTS if low < level < high), high]
    total = 0.0
    for a, b in pairwise(stops):
        total += (power_w(max(a, 1e-9)) + power_w(b)) / 2 * (b - a) / (high - low) * duration_s
    return total


def night_j(decisions: list[Decision], end_ms: int) -> float:
    """The energy that decisions mean, from their own fields alone."""
    total = 0.0
    ends = [decision.t_ms for decision in decisions[1:]] + [end_ms]
    for d, until in zip(decisions, ends, strict=True):
        faded = min(d.t_ms + d.fade_ms, until)
        if d.fade_ms:
            share = (faded - d.t_ms) / d.fade_ms
            reached = d.from_permille + (d.level_permille - d.from_permille) * share
            total += ramp_j(d.from_permille, reached, (faded - d.t_ms) / 1000)
        # A steady level draws whole milliwatts, rounded down.
        total += math.floor(power_w(d.level_permille) * 1000 + 1e-9) / 1000 * (until - faded) / 1000
    return total


def test_the_controllers_counters_agree_with_the_decisions() -> None:
    """The node's own meter is the proof of savings: it must count what its decisions mean, lamp by lamp."""
    run = shipped()
    worst = 0.0
    for lamp, counted_mj, light in zip(run.lamps, run.energies_mj, run.lights, strict=True):
        meant_mj = 1000 * night_j(lamp.decisions, run.end_ms)
        # Half a permille (32 mW) while a ramp lasts that was cut short, for levels are whole; less than 1 mW otherwise.
        worst = max(worst, abs(counted_mj - meant_mj) / len(lamp.decisions))
        assert counted_mj == pytest.approx(meant_mj, rel=2e-5)
        assert energy_mj(run.curve, light.pieces) == pytest.approx(meant_mj, rel=2e-5)
    print(f"figure: controller's energy counter against its decisions: within {worst:.2f} mJ a decision")
    assert worst < 15


def test_full_night_by_hand() -> None:
    """The baseline that savings are measured against must be one that anybody can work out on paper."""
    run = shipped()
    ((sunset_ms, sunrise_ms),) = run.lit_ms
    hours = (sunrise_ms - sunset_ms) / 3.6e6
    results = results_of(run)["figures"]
    bases = {entry["name"]: entry for entry in results["baselines"]}
    full = 40 * (hours * 64 + (24 - hours) * 0.5)
    half = 8.5 + (44.93 - 8.5) * (500 - 100) / (750 - 100)
    dimmed = 40 * ((hours - 6) * 64 + 6 * half + (24 - hours) * 0.5)
    off = 40 * ((hours - 6) * 64 + (24 - hours + 6) * 0.5)
    assert bases["full_night"]["energy_wh"] == pytest.approx(full, rel=1e-3)
    assert bases["fixed_dimming"]["energy_wh"] == pytest.approx(dimmed, rel=1e-3)
    assert bases["extinction"]["energy_wh"] == pytest.approx(off, rel=1e-3)
    for entry in bases.values():
        assert entry["saving_permille"] / 1000 == pytest.approx(1 - results["energy_wh"] / entry["energy_wh"], abs=1e-3)
    # Sunset and sunrise of Toulouse on 20 and 21 March 2026: 18:59 and 06:53 UTC+1, to a few minutes.
    assert hours == pytest.approx(11.87, abs=0.1)
    assert bases["full_night"]["served_permille"] == 1000


def test_the_power_series_adds_up_to_the_energy() -> None:
    """The curve on the page and the number beside it must be the same night."""
    run = shipped()
    light = run.lights[7]
    series = power_series_mw(run.curve, light.pieces, run.end_ms, 60_000)
    assert len(series) == 24 * 60
    assert sum(series) * 60 == pytest.approx(run.energies_mj[7], rel=1e-3)


def decision(t_ms: int, start: int, end: int, fade_ms: int) -> Decision:
    return Decision(t_ms, t_ms, start, end, fade_ms, 0)


def test_pieces_of_a_fade_that_is_cut_short() -> None:
    """Where a passer comes back into a fading street, the light that really was must be what is judged."""
    pieces = pieces_of([decision(0, 0, 1000, 1000), decision(500, 500, 0, 2000)], 5000)
    assert pieces == [Piece(0, 500, 0, 500), Piece(500, 2500, 500, 0), Piece(2500, 5000, 0, 0)]
    light = Light(pieces)
    assert light.below_ms(0, 5000, 250) == 250 + 1000 + 2500
    assert light.below_ms(0, 500, 500) == 500
    assert light.below_ms(400, 600, 400) == 0
    assert light.lit_ms(0, 5000) == 2500
    assert light.mean_permille(0, 2500) == pytest.approx(250)
    assert pieces_of([decision(0, 0, 1000, 8000)], 2000) == [Piece(0, 2000, 0, 250)]
    assert pieces_of([], 2000) == []


def flat(level: int, end_ms: int = 200_000) -> Light:
    return Light([Piece(0, end_ms, level, level)])


def test_the_bound_of_one_need() -> None:
    """The bound must be what a perfect lamp would do, to the millisecond, or «above the bound» means nothing."""
    found = clairvoyant(flat(200), [(100_000, 110_000)], 1000, UP_MS, DOWN_MS, 200_000)
    assert found == [
        Piece(0, 99_200, 200, 200), Piece(99_200, 100_000, 200, 1000), Piece(100_000, 110_000, 1000, 1000),
        Piece(110_000, 118_000, 1000, 200), Piece(118_000, 200_000, 200, 200),
    ]  # fmt: skip
    # 181.2 s and the two ramps' halves: by hand.
    by_hand = power_w(200) * (99.2 + 82) + 64 * 10 + ramp_j(200, 1000, 0.8) + ramp_j(200, 1000, 8)
    assert energy_mj(CURVE, found) / 1000 == pytest.approx(by_hand, rel=5e-5)  # whole milliwatts


def test_the_bound_of_two_needs_whose_ramps_meet() -> None:
    """Between two people close together even a perfect lamp has no time to go down."""
    # 4.4 s: it falls for 4.0 s by 800 ‰ · 4/8 = 400 ‰, and rises for 0.4 s by as much.
    found = clairvoyant(flat(200), [(100_000, 110_000), (114_400, 120_000)], 1000, UP_MS, DOWN_MS, 200_000)
    assert found[2:6] == [
        Piece(100_000, 110_000, 1000, 1000), Piece(110_000, 114_000, 1000, 600), Piece(114_000, 114_400, 600, 1000),
        Piece(114_400, 120_000, 1000, 1000),
    ]  # fmt: skip
    # 8.8 s: it just touches the floor.
    found = clairvoyant(flat(200), [(100_000, 110_000), (118_800, 120_000)], 1000, UP_MS, DOWN_MS, 200_000)
    assert found[3:5] == [Piece(110_000, 118_000, 1000, 200), Piece(118_000, 118_800, 200, 1000)]
    # Without ramps there is nothing to meet.
    found = clairvoyant(flat(200), [(1000, 2000), (2001, 3000)], 1000, 0, 0, 200_000)
    assert Piece(2000, 2001, 200, 200) in found


def test_the_bound_of_a_need_at_the_very_start_and_the_very_end() -> None:
    """A period does not end politely between two people."""
    assert clairvoyant(flat(0), [(0, 200_000)], 1000, UP_MS, DOWN_MS, 200_000) == [Piece(0, 200_000, 1000, 1000)]
    found = clairvoyant(flat(0), [(400, 1000), (199_000, 200_000)], 1000, UP_MS, DOWN_MS, 200_000)
    assert found[0] == Piece(0, 400, 0, 1000)
    assert found[-1] == Piece(199_000, 200_000, 1000, 1000)
    assert clairvoyant(flat(200), [], 1000, UP_MS, DOWN_MS, 200_000) == [Piece(0, 200_000, 200, 200)]


def test_the_bound_where_the_floor_is_above_the_level() -> None:
    """A street that is bright anyway needs nothing more, and must not be counted darker."""
    found = clairvoyant(flat(800), [(100_000, 110_000)], 700, UP_MS, DOWN_MS, 200_000)
    assert Light(found).mean_permille(0, 200_000) == 800
    floor = Light([Piece(0, 100_000, 800, 800), Piece(100_000, 108_000, 800, 0), Piece(108_000, 200_000, 0, 0)])
    held = Light(clairvoyant(floor, [(90_000, 120_000)], 600, UP_MS, DOWN_MS, 200_000))
    # The floor falls through 600 ‰ after 2 s: from there on the need holds it.
    assert list(held.between(100_000, 120_000))[:2] == [
        Piece(100_000, 102_000, 800, 600),
        Piece(102_000, 108_000, 600, 600),
    ]
    assert held.below_ms(90_000, 120_000, 600) == 0


def lamp_under(program: Program, inputs: list[Input], end_ms: int) -> Lamp:
    """A lamp at the equator (UTC, always active) that starts dark."""
    place = Config((0,) * 10, 0, 0, [k for k, _ in KNOTS], [p for _, p in KNOTS], STANDBY_MW, start_level_permille=0)
    # The bound knows no quiet between changes.
    place.quiet_ms = 0
    lamp = Lamp(Controller(place, Plan(encode(LampPlan([program], default_ramp_ds=0)))), 0)
    Engine([lamp]).run(sorted([(0, 0, INPUT_CLOCK, CLOCK_GOOD, 9496, 0, 0), *inputs]), end_ms)
    return lamp


END_MS = 1_200_000
PERMILLE = st.integers(0, 1000)
LEVELS = st.sampled_from([0, 100, 200, 400, 750, 1000])
FIXED = st.lists(st.tuples(st.integers(0, 1100), LEVELS, st.integers(0, 80)), max_size=4, unique_by=lambda f: f[0])
NEEDS = st.lists(st.tuples(st.integers(30_000, END_MS - 30_000), st.integers(400, 40_000)), max_size=8)


def merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


@settings(max_examples=200)
@given(
    fixed=FIXED, first=LEVELS, wanted=NEEDS, hold_ds=st.integers(0, 300), early_ms=st.integers(0, 5000),
    late_ms=st.integers(0, 5000), up_ds=st.integers(0, 20), down_ds=st.integers(80, 120),
)  # fmt: skip
# The floor is switched off a second after somebody has gone, while the light still falls: sunrise is such a moment.
@example([(600, 0, 0)], 400, [(590_000, 9_000)], 0, 0, 0, 8, 80)
# The floor rises by itself just as somebody comes, whom the sensor sees only then.
@example([(600, 1000, 0)], 0, [(600_000, 9_000)], 0, -800, 0, 8, 80)
def test_no_controller_that_serves_everyone_beats_the_bound(
    fixed: list[tuple[int, int, int]], first: int, wanted: list[tuple[int, int]], hold_ds: int, early_ms: int,
    late_ms: int, up_ds: int, down_ds: int,
) -> None:  # fmt: skip
    """A bound that somebody gets under is no bound, and whoever quotes it is shown wrong."""
    controls = {0: FixedTimeControl(0, first, 0)}
    controls |= {start: FixedTimeControl(start, level, ramp) for start, level, ramp in fixed}
    program = Program(
        fixed=[controls[start] for start in sorted(controls)],
        dynamic=[DynamicControl(layout.EFFECT_MAX, 1000, hold_ds, up_ds, down_ds)],
    )
    periods = merged([(start, min(start + length, END_MS)) for start, length in wanted])
    # The sensor sees everybody at least a ramp before the need begins, and not less long than it lasts.
    seen = merged([(start - up_ds * 100 - early_ms, end + late_ms) for start, end in periods])
    inputs: list[Input] = []
    for start, end in seen:
        inputs += [(start, 0, INPUT_PRESENCE, 1), (end, 0, INPUT_PRESENCE, 0)]
    lamp = lamp_under(program, inputs, END_MS)
    light = Light(pieces_of(lamp.decisions, END_MS))
    assume(all(light.below_ms(start, end, 1000) == 0 for start, end in periods))
    plain = Program(fixed=program.fixed)
    floor = Light(pieces_of(lamp_under(plain, [], END_MS).decisions, END_MS))
    bound = Light(clairvoyant(floor, periods, 1000, up_ds * 100, down_ds * 100, END_MS))
    assert all(before.end_ms == after.start_ms for before, after in pairwise(bound.pieces))
    assert (bound.pieces[0].start_ms, bound.pieces[-1].end_ms) == (0, END_MS)
    moments = {t for pieces in (light.pieces, bound.pieces) for p in pieces for t in (p.start_ms, p.end_ms - 1)}
    for t in moments:
        ((low,), (used,), (least,)) = (list(x.between(t, t + 1)) for x in (bound, light, floor))
        # Levels of a ramp that is taken up again are whole permille.
        assert low.from_permille <= used.from_permille + 2, f"at {t} ms"
        assert low.from_permille >= least.from_permille - 1e-6, f"at {t} ms"
    slack_mj = 2 * 64 * 12 * len(lamp.decisions)
    assert energy_mj(CURVE, bound.pieces) <= energy_mj(CURVE, light.pieces) + slack_mj
    assert energy_mj(CURVE, bound.pieces) >= energy_mj(CURVE, floor.pieces) - slack_mj


@settings(max_examples=200)
@given(
    steps=st.lists(st.tuples(st.integers(1, 60_000), PERMILLE, PERMILLE), min_size=1, max_size=8),
    wanted=NEEDS, level=st.integers(1, 1000), up_ms=st.integers(0, 5000), down_ms=st.integers(0, 20_000),
)  # fmt: skip
def test_the_bound_serves_every_need_and_is_never_below_the_floor(
    steps: list[tuple[int, int, int]], wanted: list[tuple[int, int]], level: int, up_ms: int, down_ms: int
) -> None:
    """The bound stands for light that everybody has: with any floor, any ramps and any crowd."""
    pieces: list[Piece] = []
    at = 0
    for length, start, end in steps:
        pieces.append(Piece(at, at + length, start, end))
        at += length
    pieces.append(Piece(at, END_MS, steps[-1][2], steps[-1][2]))
    floor = Light(pieces)
    periods = merged([(start, min(start + length, END_MS)) for start, length in wanted])
    bound = Light(clairvoyant(floor, periods, level, up_ms, down_ms, END_MS))
    assert sum(piece.end_ms - piece.start_ms for piece in bound.pieces) == END_MS
    assert all(before.end_ms == after.start_ms for before, after in pairwise(bound.pieces))
    for start, end in periods:
        assert bound.below_ms(start, end, level - 1) == 0
    for t in {p.start_ms for p in bound.pieces + floor.pieces if p.start_ms < END_MS}:
        ((have,), (least,)) = (list(x.between(t, t + 1)) for x in (bound, floor))
        assert have.from_permille >= least.from_permille - 1


def test_the_shipped_bound_lies_between_floor_and_controller() -> None:
    """The headline «above the bound» must stand on the shipped night, lamp by lamp."""
    run = shipped()
    needed = merged_needs(run.needs, run.street.luminaires)
    below = 0
    for bound, used_mj, periods in zip(run.bound, run.energies_mj, needed, strict=True):
        below += energy_mj(run.curve, bound.pieces) < used_mj
        assert all(bound.below_ms(start, end, 1000) == 0 for start, end in periods)
        assert (bound.pieces[0].start_ms, bound.pieces[-1].end_ms) == (0, run.end_ms)
    assert below == run.street.luminaires
