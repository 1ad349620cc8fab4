"""Direction and pace of a passer: right, or none."""

from hypothesis import given
from hypothesis import strategies as st

from firmware.control.passage import Passage
from firmware.control.ticks import TICKS_MAX, ticks_diff
from tests.control.presence_main import TICK0, Moved, history

MINUTE = 60_000
DAY = 86_400_000


def walk(*triggers: tuple[int, int], tick0: int = TICK0) -> Moved:
    """Return a passage after (moment, position) triggers."""
    moved = Moved(Passage(), tick0)
    for moment, position in triggers:
        moved.part.trigger(moved.to(moment), position)
    return moved


def estimate(moved: Moved) -> tuple[int, int, int, int | None]:
    """Return direction, pace, ahead, and how long until the arrival."""
    part = moved.part
    arrival = ticks_diff(part.arrival_ms, moved.tick) if part.ahead else None
    return part.direction, part.pace_ms, part.ahead, arrival


NOTHING = (0, 0, 0, None)


def test_one_trigger_says_nothing():
    """Somebody is there: whether he comes or goes no one can know. Guessing lights the wrong half of the street."""
    moved = walk((0, -1))
    assert estimate(moved) == NOTHING and not moved.part.is_mixed
    moved.settle(MINUTE - 1)
    assert moved.part.is_due
    moved.settle(MINUTE)
    assert not moved.part.is_due


def test_two_poles_in_order_tell_direction_and_arrival():
    """A walker at 1.4 m/s, poles 30 m apart: seen two poles before and one pole before this lamp, he is here 21 s
    later. From the other side it is the same."""
    for side in (-1, 1):
        moved = walk((0, 2 * side), (21_000, side))
        assert estimate(moved) == (-side, 21_000, side, 21_000)
        moved.to(30_000)
        assert estimate(moved) == (-side, 21_000, side, 12_000)
        moved.part.trigger(moved.to(43_000), 0)
        assert estimate(moved) == (-side, 21_500, 0, None), "here he is: nobody is ahead"
        moved.part.trigger(moved.to(64_000), -side)
        assert estimate(moved) == (-side, 21_333, 0, None)


def test_a_car_is_fast():
    """At 50 km/h a car needs 2.2 s from pole to pole: the estimate must be there at its second pole."""
    assert estimate(walk((0, -3), (2200, -2))) == (1, 2200, -1, 4400)


def test_paces_beyond_belief_are_no_passer():
    """Two poles within half a second are two people or a gust of wind; more than a minute is somebody who stands
    still."""
    assert estimate(walk((0, -2), (500, -1))) == (1, 500, -1, 500)
    assert estimate(walk((0, -2), (499, -1))) == NOTHING
    assert estimate(walk((0, -2), (0, -1))) == NOTHING
    assert estimate(walk((0, -2), (MINUTE, -1))) == (1, MINUTE, -1, MINUTE)
    late = walk((0, -2), (MINUTE + 1, -1))
    assert estimate(late) == NOTHING and not late.part.is_mixed, "a new passer, perhaps"
    # A window longer than the slowest pace does not make anything slower believable.
    moved = Moved(Passage(90_000))
    moved.part.trigger(moved.tick, -2)
    moved.part.trigger(moved.to(MINUTE + 1), -1)
    assert moved.part.is_mixed


def test_whoever_turns_or_jumps_is_not_one_passer():
    """People turn round, meet, come out of doors. Whatever is not pole after pole in one direction gives no estimate
    until a minute has been quiet."""
    for triggers in (
        ((0, -2), (10_000, -1), (20_000, -2)),
        ((0, -2), (10_000, -1), (19_999, 1)),
        ((0, -2), (10_000, -1), (50_001, 1)),
        ((0, -2), (10_000, -1), (20_000, 2)),
        ((0, -2), (10_000, 2)),
        ((0, -2), (10_000, 0)),
        ((0, -2), (10_000, -1), (14_999, 0)),
        ((0, -2), (10_000, -1), (30_001, 0)),
    ):
        moved = walk(*triggers)
        assert estimate(moved) == NOTHING and moved.part.is_mixed, triggers
        end = moved.now + MINUTE
        moved.to(end)
        assert moved.part.is_mixed
        moved.settle(end)
        assert not moved.part.is_mixed and not moved.part.is_due
    for triggers in (((0, -2), (10_000, -1), (15_000, 0)), ((0, -2), (10_000, -1), (30_000, 0))):
        assert walk(*triggers).part.direction == 1, "within a factor of two"


def test_a_mixed_street_must_fall_silent_first():
    """In a crowd any two triggers look like somebody. Each further trigger starts the quiet minute again."""
    moved = walk((0, -2), (10_000, 2), (69_999, -2), (80_000, -1), (90_000, 0))
    assert estimate(moved) == NOTHING and moved.part.is_mixed
    moved.settle(150_000)
    moved.part.trigger(moved.to(160_000), -2)
    moved.part.trigger(moved.to(170_000), -1)
    assert estimate(moved) == (1, 10_000, -1, 10_000)


def test_one_blind_pole_does_not_stop_an_estimate():
    """A dead sensor on the way costs one trigger, not the passer: once the pace is known, a step of two poles is
    believed."""
    assert estimate(walk((0, -4), (10_000, -3), (30_000, -1))) == (1, 10_000, -1, 10_000)
    assert estimate(walk((0, -4), (10_000, -3), (40_000, 0))) == NOTHING, "three poles are too many"


def test_a_passer_who_does_not_come_is_forgotten():
    """He went into a house. The lamps ahead must not stay lit for him: four paces after his last trigger (one blind
    pole at half his pace) he is given up, and never later than a minute."""
    moved = walk((0, -2), (5000, -1))
    moved.settle(5000 + 20_000 - 1)
    assert moved.part.ahead == -1
    moved.settle(5000 + 20_000)
    assert estimate(moved) == NOTHING and moved.part.is_mixed
    moved.settle(5000 + MINUTE)
    assert not moved.part.is_due
    moved = walk((0, -2), (20_000, -1))
    moved.settle(20_000 + MINUTE - 1)
    assert moved.part.direction == 1
    moved.settle(20_000 + MINUTE)
    assert estimate(moved) == NOTHING and not moved.part.is_due


def test_the_same_pole_again_is_the_same_passer():
    """Motion sensors fall and rise while somebody passes, and a pole repeats its message. That moves nobody. But when
    the two readings of "since when" differ by more than twice, the pace could be anyone's."""
    assert estimate(walk((0, -2), (4000, -2), (8000, -2), (21_000, -1))) == (1, 21_000, -1, 21_000)
    assert estimate(walk((0, -2), (5000, -2), (10_000, -1))) == (1, 10_000, -1, 10_000)
    assert estimate(walk((0, -2), (5001, -2), (10_000, -1))) == NOTHING


def test_somebody_who_stays_is_going_nowhere():
    """Two people talk under a lamp for a week, or a sensor there never rests. No time is kept longer than a minute for
    them, so that none ever comes to lie in the future of the ring."""
    moved = walk((0, -1))
    for i in range(1, 8):
        moved.part.trigger(moved.to(i * 10_000), -1)
        assert moved.part.is_mixed == (i == 7)
    for i in range(8, 60_000):
        moved.part.trigger(moved.to(i * 10_000), -1)
    assert moved.part.is_mixed
    moved.settle(moved.now + MINUTE)
    moved.part.trigger(moved.to(moved.now + 7 * DAY), -1)
    moved.part.trigger(moved.to(moved.now + 10_000), 0)
    assert estimate(moved) == (1, 10_000, 0, None)


def test_a_pass_seen_on_both_sides_only():
    """The hole in the street that no log shows: a passer at the pole before, then at the pole after, and nothing here.
    That, and only that, is told to the sensor's judge."""

    def unseen(*triggers):
        moved = Moved(Passage())
        return [moved.part.trigger(moved.to(moment), position) for moment, position in triggers]

    for side in (-1, 1):
        assert unseen((0, -side), (40_000, side)) == [False, True]
        assert unseen((0, -2 * side), (20_000, -side), (60_000, side)) == [False, False, True]
        assert unseen((0, -side), (20_000, 0), (40_000, side)) == [False, False, False]
        assert unseen((0, -side), (999, side)) == [False, False], "faster than 180 km/h"
        assert unseen((0, -side), (1000, side)) == [False, True]
        assert unseen((0, -2 * side), (20_000, 0)) == [False, False]
        assert unseen((0, -2 * side), (5000, 2 * side), (6000, -side), (20_000, side)) == [False] * 4
    # The pace is not known from it: the two may have been two. So there is no estimate.
    moved = walk((0, -1), (40_000, 1))
    assert estimate(moved) == NOTHING and moved.part.is_mixed


passers = st.tuples(st.sampled_from([-1, 1]), st.integers(500, 60_000))


def triggers_of(start: int, direction: int, pace: int, jitter: list[int]) -> list[tuple[int, int]]:
    """Return (moment, position) of a passer from one end of five poles to the other; jitter in percent of a pace."""
    return [(start + i * pace + pace * jitter[i] // 100, direction * (i - 2)) for i in range(5)]


@given(
    st.sampled_from([-1, 1]),
    st.integers(900, 42_000),
    st.sampled_from([10, 20]).flatmap(lambda most: st.lists(st.integers(-most, most), min_size=5, max_size=5)),
    st.integers(0, TICKS_MAX),
)
def test_a_lone_passer_is_estimated_right(direction, pace, jitter, tick0):
    """What it is for: in an empty street at night the lamp ahead of somebody lights in time. Sensors see him early or
    late by a fifth of the spacing: the direction is right from his second pole on and the pace within 40 %, or there is
    none. Within a tenth there always is one."""
    moved = Moved(Passage(), tick0)
    for i, (moment, position) in enumerate(triggers_of(20_000, direction, pace, jitter)):
        assert not moved.part.trigger(moved.to(moment), position)
        assert not moved.part.is_mixed or max(jitter) > 10 or min(jitter) < -10
        if i == 0 or moved.part.is_mixed:
            assert moved.part.direction == 0
        else:
            assert moved.part.direction == direction
            assert pace * 6 - 20 <= moved.part.pace_ms * 10 <= pace * 14 + 20
            assert moved.part.ahead == (-direction if i < 2 else 0)
    moved.settle(moved.now + MINUTE)
    assert not moved.part.is_due


@given(st.lists(st.tuples(st.integers(0, 90_000), passers), min_size=2, max_size=5))
def test_several_passers_never_give_a_wrong_estimate(crowd):
    """A wrong estimate lights the street for nobody and leaves somebody in the dark. Whoever meets, follows or
    overtakes: an estimate, when there is one, has the direction and (within a factor of two) the pace of somebody who
    is in the street in that minute."""
    start, triggers, people = 0, [], []
    for gap, (direction, pace) in crowd:
        start += gap
        walked = triggers_of(start, direction, pace, [0] * 5)
        people.append((start, walked[-1][0], direction, pace))
        triggers += walked
    moved = Moved(Passage())
    for moment, position in sorted(triggers):
        moved.part.trigger(moved.to(moment), position)
        part = moved.part
        if part.direction:
            assert any(
                first <= moment and last + MINUTE >= moment
                and part.direction == direction
                and pace <= 2 * part.pace_ms <= 4 * pace
                for first, last, direction, pace in people
            )  # fmt: skip


@given(
    st.lists(st.tuples(st.integers(0, 2000) | st.integers(0, 80_000), st.integers(-4, 4)), max_size=40),
    st.integers(0, TICKS_MAX),
)
def test_any_order_is_bounded_and_mirrored(steps, tick0):
    """Radio brings triggers in any order. The estimate stays within its bounds, knows no left from right and no place
    in the ring, and a quiet minute ends it."""

    def play(sign, start):
        moved = Moved(Passage(), start)
        states = []
        for wait, position in steps:
            is_unseen = moved.part.trigger(moved.to(moved.now + wait), position * sign)
            direction, pace, ahead, arrival = estimate(moved)
            assert direction == 0 or (500 <= pace <= 60_000 and not moved.part.is_mixed)
            assert arrival is None or (direction == -ahead and -MINUTE <= arrival <= 4 * MINUTE)
            states.append((is_unseen, direction * sign, pace, ahead * sign, arrival, moved.part.is_mixed))
        moved.settle(moved.now + MINUTE)
        assert not moved.part.is_due and estimate(moved) == NOTHING
        return states

    assert play(1, 0) == play(-1, tick0)


def test_the_chip_estimates_as_the_host_does(micropython_runtime):
    """Light ahead in the simulation must be light ahead in the street. The same random walks give the same estimates on
    CPython and on MicroPython, and no running call allocates."""
    done = micropython_runtime.run(["tests/control/presence_main.py", "passage", "7", "4000"])
    assert done.returncode == 0, done.stderr
    expected = list(history("passage", 7, 4000))
    assert done.stdout.split("\n")[:-1] == expected
    assert sum(line.split()[1] != "0" for line in expected) > 100
