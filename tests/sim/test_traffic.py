"""A forecast is as honest as its passers: how many, when, how fast, and from where the counts come."""

from __future__ import annotations

import csv
import math
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from sim.street import Street
from sim.traffic import HOUR_MS, SPEED_LEAST, SPEED_MOST, Counts, Mode, Trip, draw_trips, read_counts

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "sim" / "data" / "passers_hourly.csv"
COUNTED = ROOT.parent / "shared" / "data" / "seattle-burke-gilman-hourly.csv"
MODES = [Mode("walker", 1300, 200), Mode("bicycle", 4500, 800), Mode("car", 9500, 1200)]
WALKERS = MODES[:1]
PATH_MM = Street(40, 27_000, 7_000, 30_000, 2_000, 5_000).path_mm
NIGHT_HOURS = [18, 19, 20, 21, 22, 23, 0, 1, 2, 3, 4, 5]
NIGHT_MS = 12 * HOUR_MS


def hour_of(t_ms: int) -> tuple[int, int]:
    """A clock whose zero is 18:00 and that never changes."""
    return (18 + t_ms // HOUR_MS) % 24, HOUR_MS - t_ms % HOUR_MS


def night(seed: int, modes: list[Mode] = MODES, counts: Counts | None = None) -> list[Trip]:
    return draw_trips(counts or read_counts(TABLE), modes, hour_of, (0, NIGHT_MS), PATH_MM, f"{seed}/trips/0")


def test_the_table_is_what_the_counts_give_by_the_stated_method() -> None:
    """The table's head says how it was made; anybody who makes it again must find the same numbers."""
    if not COUNTED.exists():
        pytest.skip("../shared/data/seattle-burke-gilman-hourly.csv is absent: the counts cannot be made again")
    values: dict[str, list[list[int]]] = {mode: [[] for _ in range(24)] for mode in ("walker", "bicycle")}
    with COUNTED.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            hour = datetime.strptime(row["Date"], "%m/%d/%Y %I:%M:%S %p").hour
            for mode, name in (("walker", "Ped"), ("bicycle", "Bike")):
                both = [row[f"{name} South"], row[f"{name} North"]]
                if all(both):
                    values[mode][hour].append(sum(map(int, both)))
    table = read_counts(TABLE)
    for mode, hours in values.items():
        for hour, counted in enumerate(hours):
            assert len(counted) > 1400
            kept = sorted(counted)[: math.floor(0.98 * len(counted))]
            assert table[mode][hour] == pytest.approx(sum(kept) / len(kept), abs=0.0051), f"{mode}, hour {hour}"


def test_the_table_has_every_hour_it_claims() -> None:
    """An hour that got lost would give a quiet street."""
    table = read_counts(TABLE)
    assert list(table) == ["walker", "bicycle", "car"]
    assert None not in table["walker"] and None not in table["bicycle"]
    assert [hour for hour in range(24) if table["car"][hour] is None] == list(range(7, 17))


NIGHTS = 400


@pytest.fixture(scope="module")
def nights() -> list[list[Trip]]:
    return [night(seed) for seed in range(NIGHTS)]


def test_counts_over_many_nights_match_the_table(nights: list[list[Trip]]) -> None:
    """If arrivals do not follow the counts, every figure belongs to some other street."""
    table = read_counts(TABLE)
    chi_square = 0.0
    for index, mode in enumerate(MODES):
        for slot, hour in enumerate(NIGHT_HOURS):
            found = sum(1 for trips in nights for t in trips if t.mode == index and t.start_ms // HOUR_MS == slot)
            expected = (table[mode.name][hour] or 0) * NIGHTS
            deviation = (found - expected) / math.sqrt(expected)
            assert abs(deviation) < 4, f"{mode.name}, hour {hour}: {found} for {expected:.1f}"
            chi_square += deviation**2
    # 36 degrees of freedom: beyond these bounds in fewer than 2 of 10,000.
    print(f"figure: arrivals over {NIGHTS} nights against the table: chi-square {chi_square:.1f} of 36 cells")
    assert 12 < chi_square < 75


def test_arrivals_are_poisson_and_not_merely_right_on_average(nights: list[list[Trip]]) -> None:
    """Evenly spread passers would overstate how often lamps light up, clustered ones understate it."""
    for index in range(len(MODES)):
        totals = [sum(1 for trip in trips if trip.mode == index) for trips in nights]
        mean = sum(totals) / NIGHTS
        variance = sum((total - mean) ** 2 for total in totals) / (NIGHTS - 1)
        # The ratio's standard deviation is sqrt(2/400) = 0.07.
        assert 0.72 < variance / mean < 1.28
    # Gaps in one hour with a constant rate: the share longer than the mean is 1/e.
    rate = 60.0
    counts: Counts = {"walker": [rate] * 24}
    trips = [trip for seed in range(40) for trip in night(seed, WALKERS, counts)]
    gaps = [b.start_ms - a.start_ms for a, b in pairwise(trips) if b.start_ms > a.start_ms]
    share = sum(gap > HOUR_MS / rate for gap in gaps) / len(gaps)
    assert share == pytest.approx(math.exp(-1), abs=0.012)


def test_speeds_and_directions(nights: list[list[Trip]]) -> None:
    """The slowest and the fastest decide who walks in the dark."""
    trips = [trip for trips in nights for trip in trips]
    for index, mode in enumerate(MODES):
        speeds = [trip.speed_mm_s for trip in trips if trip.mode == index]
        assert min(speeds) >= SPEED_LEAST * mode.speed_mm_s - 1
        assert max(speeds) <= SPEED_MOST * mode.speed_mm_s + 1
        assert sum(speeds) / len(speeds) == pytest.approx(mode.speed_mm_s, rel=0.01)
        mean = sum(speeds) / len(speeds)
        spread = math.sqrt(sum((speed - mean) ** 2 for speed in speeds) / len(speeds))
        assert spread == pytest.approx(mode.spread_mm_s, rel=0.05)
    there = sum(trip.direction > 0 for trip in trips)
    assert there / len(trips) == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(len(trips)))
    assert {(trip.from_mm, trip.to_mm) for trip in trips} == {PATH_MM, PATH_MM[::-1]}


def test_trips_come_in_order_and_in_their_span(nights: list[list[Trip]]) -> None:
    """The engine trusts the order; a trip from outside the night would be counted and never lit."""
    for trips in nights:
        times = [trip.start_ms for trip in trips]
        assert times == sorted(times)
        assert not times or (times[0] >= 0 and times[-1] < NIGHT_MS)


def of_mode(trips: list[Trip], index: int) -> list[tuple[int, ...]]:
    return [(t.start_ms, t.speed_mm_s, t.from_mm, t.to_mm) for t in trips if t.mode == index]


def test_more_cars_leave_the_walkers_as_they_were() -> None:
    """To compare two streets, everything but the one thing changed must stay as it was, person by person."""
    table = read_counts(TABLE)
    busy = {**table, "car": [None if rate is None else 3 * rate for rate in table["car"]]}
    faster = [MODES[0], MODES[1], Mode("car", 14_000, 100)]
    for other in (night(5, counts=busy), night(5, faster), night(5, MODES[:2])):
        for index in (0, 1):
            assert of_mode(other, index) == of_mode(night(5), index)
    assert len(of_mode(night(5, counts=busy), 2)) > 1.5 * len(of_mode(night(5), 2))


def test_the_order_of_modes_changes_nobody() -> None:
    """A line moved in the scenario must not redraw the night."""
    turned = night(5, MODES[::-1])
    for index in range(3):
        assert of_mode(turned, 2 - index) == of_mode(night(5), index)


def test_the_same_seed_draws_the_same_people_and_another_others() -> None:
    """A seed that does not repeat is no seed."""
    assert night(3) == night(3)
    assert night(3) != night(4)


def test_an_hour_without_people_has_none() -> None:
    """A rate of nothing must give nothing, and not a division by it."""
    counts: Counts = {"walker": [0.0] * 24}
    assert night(1, WALKERS, counts) == []
    counts = {"walker": [None] * 24}
    assert night(1, WALKERS, counts) == []
    counts = {"walker": [3600.0 if hour == 20 else 0.0 for hour in range(24)]}
    slots = {trip.start_ms // HOUR_MS for trip in night(1, WALKERS, counts)}
    assert slots == {2}


def test_time_at_is_exact() -> None:
    """A rounding error of one step a lamp would be a block's length by the end of the street."""
    trip = Trip(1000, 0, 1300, -50_000, 1_130_000)
    assert trip.time_at(-50_000) == 1000
    assert trip.time_at(1_130_000) == 1000 + 1_180_000 * 1000 // 1300
    assert Trip(0, 0, 1000, 90, -10).time_at(40) == 50
    assert Trip(0, 0, 1000, 90, -10).direction == -1
