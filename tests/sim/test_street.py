"""Light must be where people are: the street that says so is held here to sums done by hand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sim.street import Need, Street, merged_needs, needs, presence_edges, trips_between
from sim.traffic import Trip

# Poles at 15 m, 45 m and 75 m; sensors see 30 m; trips run from -50 m to 140 m.
STREET = Street(3, 30_000, 7_000, 30_000, 2_000, 5_000)
ALWAYS = [(0, 10**9)]


def there(start_ms: int = 0, speed_mm_s: int = 1000) -> Trip:
    return Trip(start_ms, 0, speed_mm_s, *STREET.path_mm)


def back(start_ms: int = 0, speed_mm_s: int = 1000) -> Trip:
    return Trip(start_ms, 0, speed_mm_s, *STREET.path_mm[::-1])


def test_poles_stand_in_the_middle_of_their_stretch() -> None:
    """Half a spacing of error would leave one end of the street dark."""
    assert STREET.poles_mm == [15_000, 45_000, 75_000]
    assert STREET.length_mm == 90_000
    assert STREET.path_mm == (-50_000, 140_000)


def test_one_walker_triggers_the_lamps_in_order() -> None:
    """Lamps that see one person are not strangers to each other: one walk makes one wave of light."""
    # At 1 m/s from -50 m: in range of the first pole from -15 m (35 s) to 45 m (95 s), and so on, 30 s apart.
    seen = [presence_edges(STREET, [there()], lamp) for lamp in range(3)]
    assert seen == [[(35_000, 1), (95_000, 0)], [(65_000, 1), (125_000, 0)], [(95_000, 1), (155_000, 0)]]


def test_a_walker_the_other_way_triggers_them_in_the_other_order() -> None:
    """Half of all people come home."""
    seen = [presence_edges(STREET, [back()], lamp) for lamp in range(3)]
    assert seen == [[(95_000, 1), (155_000, 0)], [(65_000, 1), (125_000, 0)], [(35_000, 1), (95_000, 0)]]


def test_speed_and_start_shift_and_stretch_the_times() -> None:
    """A car is there before a walker has taken three steps."""
    # At 10 m/s from 7 s on: 35 m to the first pole's range, 60 m through it.
    assert presence_edges(STREET, [there(7_000, 10_000)], 0) == [(10_500, 1), (16_500, 0)]


def test_two_people_together_are_one_presence() -> None:
    """A sensor does not count heads."""
    assert presence_edges(STREET, [there(0), there(10_000), back(20_000)], 1) == [(65_000, 1), (145_000, 0)]
    # The second comes into range in the very millisecond in which the first leaves it.
    assert presence_edges(STREET, [there(0), there(60_000)], 0) == [(35_000, 1), (155_000, 0)]


def test_dead_time_delays_whoever_comes_while_the_sensor_is_blind() -> None:
    """The sensor's blindness costs somebody light, and a forecast without it would be too good."""
    # The first leaves the first pole's range at 95.0 s, the second enters at 96.0 s: seen from 97.0 s on.
    assert presence_edges(STREET, [there(0), there(61_000)], 0) == [
        (35_000, 1), (95_000, 0), (97_000, 1), (156_000, 0),
    ]  # fmt: skip
    # Enters just as the dead time ends: no delay.
    assert presence_edges(STREET, [there(0), there(62_000)], 0)[2] == (97_000, 1)
    assert presence_edges(STREET, [there(0), there(62_001)], 0)[2] == (97_001, 1)


def test_dead_time_swallows_a_passage_that_it_covers() -> None:
    """Somebody quick enough is never seen at all."""
    # 60 m at 40 m/s take 1.5 s. In range from 95.2 s to 96.7 s: all of it inside 95.0 s to 97.0 s.
    quick = there(95_200 - 875, 40_000)
    assert presence_edges(STREET, [quick], 0) == [(95_200, 1), (96_700, 0)]
    assert presence_edges(STREET, [there(0), quick], 0) == [(35_000, 1), (95_000, 0)]
    # One that leaves exactly as the sensor can see again has not been seen.
    last = there(95_500 - 875, 40_000)
    assert presence_edges(STREET, [there(0), last], 0) == [(35_000, 1), (95_000, 0)]
    # A swallowed passage does not make the sensor blind any longer.
    assert presence_edges(STREET, [there(0), quick, there(62_000)], 0)[2] == (97_000, 1)


def test_light_is_needed_from_5_m_before_to_5_m_behind() -> None:
    """That a person is served means the light around them, not the light above the pole."""
    # A lamp lights 15 m on each side of its pole; at 1 m/s from -50 m. No need beyond the street's ends.
    assert needs(STREET, [there()], ALWAYS) == [
        Need(0, 50_000, 85_000, 0),  # from 0 m (the street begins) to 35 m
        Need(1, 75_000, 115_000, 0),  # 25 m to 65 m
        Need(2, 105_000, 140_000, 0),  # 55 m to 90 m (it ends)
    ]
    assert needs(STREET, [back()], ALWAYS) == [
        Need(0, 105_000, 140_000, 0),
        Need(1, 75_000, 115_000, 0),
        Need(2, 50_000, 85_000, 0),
    ]


def test_needs_are_clipped_to_the_hours_in_which_the_street_is_lit() -> None:
    """Nobody needs a lamp at noon, and a walk over sunset needs one for its second half."""
    assert needs(STREET, [there()], []) == []
    assert needs(STREET, [there()], [(0, 50_000), (140_000, 10**9)]) == []
    found = needs(STREET, [there()], [(0, 80_000), (110_000, 10**9)])
    assert found == [
        Need(0, 50_000, 80_000, 0), Need(1, 75_000, 80_000, 0), Need(1, 110_000, 115_000, 0),
        Need(2, 110_000, 140_000, 0),
    ]  # fmt: skip


def test_needs_of_several_people_are_merged_by_lamp() -> None:
    """Two people under one lamp need one light."""
    found = needs(STREET, [there(0), there(20_000), there(100_000)], ALWAYS)
    assert merged_needs(found, 3)[1] == [(75_000, 135_000), (175_000, 215_000)]
    assert merged_needs([], 2) == [[], []]
    assert merged_needs([Need(0, 5, 9, 0), Need(0, 1, 5, 1)], 1) == [[(1, 9)]]


def test_trips_between_takes_the_start_and_leaves_the_end() -> None:
    """Somebody counted on both sides of midnight would be two people."""
    trips = [there(0), there(10), there(20)]
    assert trips_between(trips, 0, 20) == trips[:2]
    assert trips_between(trips, 10, 21) == trips[1:]


TRIPS = st.lists(st.builds(lambda start, speed, way: (there if way else back)(start, speed),
                           st.integers(0, 600_000), st.integers(300, 20_000), st.booleans()), max_size=12)  # fmt: skip


@given(trips=TRIPS, lamp=st.integers(0, 2))
def test_the_sensor_tells_the_truth_but_for_its_dead_time(trips: list[Trip], lamp: int) -> None:
    """Whatever the crowd: edges alternate, nobody is invented, and only a blind moment hides somebody."""
    trips = sorted(trips, key=lambda trip: trip.start_ms)
    edges = presence_edges(STREET, trips, lamp)
    assert [value for _, value in edges] == [1, 0] * (len(edges) // 2)
    times = [t for t, _ in edges]
    assert times == sorted(set(times))
    pole = STREET.poles_mm[lamp]
    spans = [
        (trip.time_at(pole - trip.direction * 30_000), trip.time_at(pole + trip.direction * 30_000)) for trip in trips
    ]
    seen = list(zip(times[::2], times[1::2], strict=True))
    for t in sorted({t + d for span in spans for t in span for d in (-1, 0, 1)} | {t + 2000 for t in times}):
        is_there = any(start <= t < end for start, end in spans)
        is_seen = any(start <= t < end for start, end in seen)
        is_blind = any(end <= t < end + STREET.sensor_dead_ms for _, end in seen)
        assert is_seen == (is_there and not is_blind)
