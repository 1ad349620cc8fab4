"""Passers as trips along the street, drawn from hourly counts: one passer triggers the lamps in order.

Arrivals are a Poisson process with the rate of the local hour (free flow: Adams 1936, Gerlough 1955). Each mode and
night has its own random stream, so that a change in one leaves the others as they were.
"""

import csv
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

HOUR_MS = 3_600_000
# More than one arrival a second past one point is no street.
COUNT_MAX_PER_H = 3600.0
# The slowest and fastest that a drawn speed may be, as shares of the mode's mean.
SPEED_LEAST = 0.5
SPEED_MOST = 1.5


class CountsError(ValueError):
    """A table of counts that cannot be used: each of ``problems`` says where, why, and what to do."""

    def __init__(self, problems: list[str]):
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Mode:
    """A kind of passer. Speeds in mm/s; ``spread_mm_s`` is a standard deviation."""

    name: str
    speed_mm_s: int
    spread_mm_s: int


@dataclass(frozen=True)
class Trip:
    """One passer: at ``from_mm`` at ``start_ms``, at ``to_mm`` when it leaves; positions from the street's start."""

    start_ms: int
    mode: int
    speed_mm_s: int
    from_mm: int
    to_mm: int

    @property
    def direction(self) -> int:
        return 1 if self.to_mm > self.from_mm else -1

    def time_at(self, position_mm: int) -> int:
        """Return when the passer is at a position, in ms (rounded down)."""
        return self.start_ms + abs(position_mm - self.from_mm) * 1000 // self.speed_mm_s


Counts = dict[str, list[float | None]]


def read_counts(path: Path) -> Counts:
    """Return rates per hour for each mode and local hour; None where nothing was counted. Raises `CountsError`."""
    problems: list[str] = []
    with path.open(encoding="utf-8", newline="") as file:
        numbered = [(n, line) for n, line in enumerate(file, 1) if line.strip() and not line.startswith("#")]
    try:
        # One row a line: a quoted field that runs over several lines is refused by its missing quote.
        rows = [next(csv.reader([line], strict=True)) for _, line in numbered]
    except csv.Error as error:
        raise CountsError(
            [f"{path.name}: not a table of comma separated values ({error}): see the shipped one"]
        ) from error
    numbers = [n for n, _ in numbered]
    if not rows or rows[0][:1] != ["hour"] or len(rows[0]) < 2:
        raise CountsError([f"{path.name}: the first row must be 'hour,' and the names of the modes"])
    modes = rows[0][1:]
    if len(set(modes)) < len(modes):
        raise CountsError([f"{path.name}: the first row names a mode twice: keep one"])
    counts: Counts = {mode: [None] * 24 for mode in modes}
    seen: set[int] = set()
    for number, row in zip(numbers[1:], rows[1:], strict=True):
        where = f"{path.name}, line {number}"
        if len(row) != len(modes) + 1:
            problems.append(f"{where}: {len(row)} fields, the first row has {len(modes) + 1}")
            continue
        if not re.fullmatch(r" *[0-9]{1,2} *", row[0]) or int(row[0]) > 23:
            problems.append(f"{where}: hour {row[0]!r} is not 0 to 23")
            continue
        hour = int(row[0])
        if hour in seen:
            problems.append(f"{where}: hour {hour} stands twice: keep one")
        seen.add(hour)
        for mode, text in zip(modes, row[1:], strict=True):
            if text.strip():
                value = _rate(text)
                if value is None:
                    problems.append(
                        f"{where}: {mode} {text.strip()!r} is not a count from 0 to {COUNT_MAX_PER_H:.0f} per hour: "
                        "correct it, or leave it empty where nothing was counted"
                    )
                counts[mode][hour] = value
    if problems:
        raise CountsError(problems)
    return counts


def _rate(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value <= COUNT_MAX_PER_H else None


def draw_trips(
    counts: Counts,
    modes: list[Mode],
    hour_of: Callable[[int], tuple[int, int]],
    span_ms: tuple[int, int],
    street_mm: tuple[int, int],
    seed: str,
) -> list[Trip]:
    """Return the trips that begin in ``span_ms``, in order of time.

    ``hour_of(t_ms)`` gives the local hour and how many ms it still lasts; an hour without a count gives no trips (the
    scenario has been refused before if the night needs it). Trips run from one end of ``street_mm`` to the other.
    """
    trips: list[Trip] = []
    for index, mode in enumerate(modes):
        rng = random.Random(f"{seed}/{mode.name}")
        for start_ms in _arrivals(counts[mode.name], hour_of, span_ms, rng):
            factor = 1 + rng.gauss(0, 1) * mode.spread_mm_s / mode.speed_mm_s
            speed = round(mode.speed_mm_s * min(max(factor, SPEED_LEAST), SPEED_MOST))
            first, last = street_mm if rng.random() < 0.5 else (street_mm[1], street_mm[0])
            trips.append(Trip(start_ms, index, speed, first, last))
    return sorted(trips, key=lambda trip: (trip.start_ms, trip.mode, trip.speed_mm_s, trip.from_mm))


def _arrivals(
    rates: list[float | None],
    hour_of: Callable[[int], tuple[int, int]],
    span_ms: tuple[int, int],
    rng: random.Random,
) -> Iterator[int]:
    """Yield arrival times: exponential gaps at the rate of each piece (memoryless, so a piece may start afresh)."""
    piece_ms, end_ms = span_ms
    while piece_ms < end_ms:
        hour, left_ms = hour_of(piece_ms)
        piece_end_ms = min(piece_ms + left_ms, end_ms)
        rate = rates[hour] or 0.0
        if rate:
            t = piece_ms + rng.expovariate(rate / HOUR_MS)
            while t < piece_end_ms:
                yield int(t)
                t += rng.expovariate(rate / HOUR_MS)
        piece_ms = piece_end_ms
