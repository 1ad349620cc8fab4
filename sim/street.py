"""A straight street: poles, what their sensors see of the passers, and which lamp must be lit for whom and when."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from .traffic import Trip

# Passers come from beyond the ends, so that the first pole sees them coming: the sensor's range and this much more.
APPROACH_MM = 20_000


@dataclass(frozen=True)
class Street:
    """Poles at equal distances, each lighting the stretch nearest to it. Lengths in mm, times in ms.

    ``sensor_end_range_mm``: what the sensors of the first and the last pole see; 0: as much as the others.
    """

    luminaires: int
    spacing_mm: int
    mounting_mm: int
    sensor_range_mm: int
    sensor_dead_ms: int
    lead_mm: int
    sensor_end_range_mm: int = 0

    @property
    def length_mm(self) -> int:
        return self.luminaires * self.spacing_mm

    @property
    def poles_mm(self) -> list[int]:
        """Return each pole's position: the middle of its stretch."""
        return [self.spacing_mm // 2 + i * self.spacing_mm for i in range(self.luminaires)]

    @property
    def path_mm(self) -> tuple[int, int]:
        """Return where trips begin and end."""
        beyond = max(self.sensor_range_mm, self.sensor_end_range_mm) + APPROACH_MM
        return -beyond, self.length_mm + beyond

    def range_mm(self, lamp: int) -> int:
        """Return how far the sensor of a pole sees to either side."""
        is_end = lamp in (0, self.luminaires - 1)
        return self.sensor_end_range_mm if is_end and self.sensor_end_range_mm else self.sensor_range_mm


@dataclass(frozen=True)
class Need:
    """A lamp must give the required light from ``start_ms`` to ``end_ms`` because of trip number ``trip``."""

    lamp: int
    start_ms: int
    end_ms: int
    trip: int


def presence_edges(street: Street, trips: list[Trip], lamp: int) -> list[tuple[int, int]]:
    """Return (time, 1 or 0): the sensor's output, 1 while anybody is in range; blind for a while after it drops."""
    pole = street.poles_mm[lamp]
    range_mm = street.range_mm(lamp)
    passages = []
    for trip in trips:
        near = pole - trip.direction * range_mm
        far = pole + trip.direction * range_mm
        passages.append((trip.time_at(near), trip.time_at(far)))
    passages.sort()
    edges: list[tuple[int, int]] = []
    blind_until = -1
    for start, end in _merged(passages):
        rise = max(start, blind_until)
        if rise < end:
            edges.append((rise, 1))
            edges.append((end, 0))
            blind_until = end + street.sensor_dead_ms
    return edges


def needs(street: Street, trips: list[Trip], lit_ms: list[tuple[int, int]]) -> list[Need]:
    """Return every need of light on the street, clipped to the periods ``lit_ms`` in which the street is to be lit.

    A passer at x needs light on [x - lead, x + lead], as far as the street reaches and while x is on it.
    """
    found = []
    starts = [start for start, _ in lit_ms]
    for number, trip in enumerate(trips):
        for lamp, pole in enumerate(street.poles_mm):
            low = max(pole - street.spacing_mm // 2 - street.lead_mm, 0)
            high = min(pole + street.spacing_mm // 2 + street.lead_mm, street.length_mm)
            first, last = (low, high) if trip.direction > 0 else (high, low)
            start, end = trip.time_at(first), trip.time_at(last)
            at = max(bisect_right(starts, start) - 1, 0)
            while at < len(lit_ms) and lit_ms[at][0] < end:
                clipped = (max(start, lit_ms[at][0]), min(end, lit_ms[at][1]))
                if clipped[0] < clipped[1]:
                    found.append(Need(lamp, clipped[0], clipped[1], number))
                at += 1
    return found


def _merged(intervals: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return sorted intervals with those that touch or overlap made one."""
    merged: list[tuple[int, int]] = []
    for start, end in intervals:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def merged_needs(found: list[Need], lamps: int) -> list[list[tuple[int, int]]]:
    """Return for each lamp the periods in which anybody needs it, in order and apart from each other."""
    by_lamp: list[list[tuple[int, int]]] = [[] for _ in range(lamps)]
    for need in found:
        by_lamp[need.lamp].append((need.start_ms, need.end_ms))
    return [_merged(sorted(periods)) for periods in by_lamp]


def trips_between(trips: list[Trip], start_ms: int, end_ms: int) -> list[Trip]:
    """Return the trips (in order of time) that begin in [start, end)."""
    times = [trip.start_ms for trip in trips]
    return trips[bisect_left(times, start_ms) : bisect_left(times, end_ms)]
