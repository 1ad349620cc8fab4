"""The node's own presence sensor loses its vote when it chatters or sticks, and gets it back when it behaves."""

from hypothesis import given
from hypothesis import strategies as st

from firmware.control.sensor import CHATTERING, STUCK_HIGH, STUCK_LOW, TRUSTED, PresenceSensor
from firmware.control.ticks import TICKS_MAX
from tests.control.presence_main import Moved, history

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def pulse(moved: Moved, at: int, length: int = 100) -> None:
    """Let the sensor be on from ``at`` for ``length`` ms."""
    for moment, is_on in ((at, True), (at + length, False)):
        moved.part.edge(moved.to(moment), is_on)


def chattering(start: int = 0) -> Moved:
    """Return a sensor that has just lost its vote with its 31st rise within the minute from ``start``."""
    moved = Moved(PresenceSensor())
    for i in range(30):
        pulse(moved, start + i * 1000)
        assert moved.part.trust == TRUSTED
    pulse(moved, start + 30_000)
    return moved


def test_a_passer_is_present_while_the_sensor_sees_him():
    """A trusted sensor is all a lone lamp has. Its vote must follow its output in both directions, without delay."""
    moved = Moved(PresenceSensor())
    moved.part.edge(moved.to(1000), True)
    assert (moved.part.is_on, moved.part.is_present, moved.part.trust) == (True, True, TRUSTED)
    moved.part.edge(moved.to(9000), False)
    assert (moved.part.is_on, moved.part.is_present, moved.part.trust) == (False, False, TRUSTED)
    moved.settle(DAY)
    assert not moved.part.is_due


def test_the_edge_too_many_takes_the_vote_away():
    """A branch in the wind lit a bedroom window all night (placeronde, lightingjournal). Thirty rises in a minute may
    be a very busy lane; the thirty-first is a fault."""
    moved = chattering()
    moved.part.edge(moved.to(31_000), True)
    assert moved.part.trust == CHATTERING
    assert moved.part.is_on and not moved.part.is_present


def test_the_same_edges_over_a_longer_time_are_traffic():
    """A busy street is not a broken sensor: as many edges that do not fall into one window take nothing away."""
    moved = Moved(PresenceSensor())
    for i in range(300):
        pulse(moved, i * 2001)
        assert moved.part.trust == TRUSTED


def test_the_edge_that_comes_through_is_counted_with_those_swallowed():
    """The one edge that a masking driver lets through stands for a rise of its own: thirty with it are busy, one more
    is a fault."""
    for swallowed, trust in ((29, TRUSTED), (30, CHATTERING)):
        moved = Moved(PresenceSensor())
        moved.part.edge(moved.to(0), True, swallowed)
        assert moved.part.trust == trust


def test_edges_a_driver_swallowed_count_too():
    """A driver that masks a storm of kHz edges lets through one a second, which looks healthy. What it swallowed must
    count, or the storm is never reported."""
    moved = Moved(PresenceSensor())
    moved.part.edge(moved.to(0), True)
    moved.part.edge(moved.to(1000), True, 29)
    assert moved.part.trust == TRUSTED
    moved.part.edge(moved.to(2000), False, 1)
    assert moved.part.trust == CHATTERING
    moved.part.edge(moved.to(3000), False, 2**20)
    moved.part.edge(moved.to(4000), False, 2**20)
    assert moved.part._rises == 31


def test_the_vote_returns_after_ten_good_minutes():
    """Nobody climbs a pole because of last night's storm: a sensor that behaves again must count again, by itself. Ten
    whole windows with fewer than a quarter of the edges, after the one in which it chattered."""
    moved = chattering()
    for minute in range(1, 11):
        for i in range(7 if minute < 10 else 6):
            pulse(moved, minute * MINUTE + 100 + i * 1000)
    moved.part.edge(moved.to(11 * MINUTE - 1), True)
    assert moved.part.trust == CHATTERING and not moved.part.is_present
    moved.settle(11 * MINUTE)
    assert moved.part.trust == TRUSTED
    assert moved.part.is_present, "it is on, so the vote counts from this moment"


def test_good_is_less_than_a_quarter():
    """The limit of good behaviour must be the stated one: with a limit of four, one edge in each window is a quarter
    and not fewer."""
    moved = Moved(PresenceSensor(4, 1000, 2))
    for i in range(50):
        pulse(moved, i * 200 if i < 5 else i * 1000 - 4000, 10)
    assert moved.part.trust == CHATTERING
    moved.settle(moved.now + 4000)
    assert moved.part.trust == TRUSTED


def test_one_bad_minute_starts_the_ten_again():
    """A branch moves in gusts. A sensor that chatters every five minutes must not get its vote back in between."""
    moved = chattering()
    for i in range(8):
        pulse(moved, 5 * MINUTE + 100 + i * 1000)
    moved.settle(16 * MINUTE - 1)
    assert moved.part.trust == CHATTERING
    moved.settle(16 * MINUTE)
    assert moved.part.trust == TRUSTED and not moved.part.is_due


def test_on_for_two_hours_is_stuck():
    """A sensor stuck at "somebody" burns full light until someone notices the bill (fault 10). After two hours without
    a break it loses its vote; one break, and the two hours start again."""
    moved = Moved(PresenceSensor())
    moved.part.edge(moved.to(0), True)
    pulse(moved, HOUR, 1)  # on already: only the fall is an edge
    moved.part.edge(moved.to(HOUR + 2), True)
    moved.settle(3 * HOUR + 1)
    assert moved.part.trust == TRUSTED and moved.part.is_present
    moved.settle(3 * HOUR + 2)
    assert moved.part.trust == STUCK_HIGH and moved.part.is_on and not moved.part.is_present


def test_a_swallowed_break_is_a_break():
    """A driver may report only that the sensor dropped and rose again. Such a sensor is not stuck."""
    moved = Moved(PresenceSensor())
    moved.part.edge(moved.to(0), True)
    moved.part.edge(moved.to(HOUR), True, 1)
    moved.settle(3 * HOUR - 1)
    assert moved.part.trust == TRUSTED
    moved.settle(3 * HOUR)
    assert moved.part.trust == STUCK_HIGH


def test_a_full_minute_off_frees_a_stuck_sensor():
    """A sensor with a bad contact drops for a second now and then. Only an unbroken minute of off is a sign of health;
    then it counts again."""
    moved = Moved(PresenceSensor())
    moved.part.edge(moved.to(0), True)
    moved.part.edge(moved.to(3 * HOUR), False)
    moved.part.edge(moved.to(3 * HOUR + MINUTE - 1), True)
    assert moved.part.trust == STUCK_HIGH and not moved.part.is_present
    moved.part.edge(moved.to(3 * HOUR + 2 * MINUTE), False)
    moved.settle(3 * HOUR + 3 * MINUTE - 1)
    assert moved.part.trust == STUCK_HIGH
    moved.settle(3 * HOUR + 3 * MINUTE)
    assert moved.part.trust == TRUSTED
    moved.part.edge(moved.to(4 * HOUR), True)
    assert moved.part.is_present


def test_a_stuck_sensor_that_chatters_must_earn_its_vote_twice_over():
    """A dying sensor shows several faults in turn. None may hide another: chatter after sticking needs ten good
    minutes, and sticking again while in quarantine is seen as such."""
    moved = Moved(PresenceSensor())
    moved.part.edge(moved.to(0), True)
    moved.part.edge(moved.to(3 * HOUR), False)
    for i in range(31):
        pulse(moved, 3 * HOUR + 1000 * (i + 1))
    assert moved.part.trust == CHATTERING
    moved.settle(3 * HOUR + 2 * MINUTE)
    assert moved.part.trust == CHATTERING, "a minute of off is not enough for this one"
    moved.settle(3 * HOUR + 12 * MINUTE)
    assert moved.part.trust == TRUSTED
    moved = Moved(PresenceSensor(good_windows=10_000))
    for i in range(31):
        pulse(moved, 1000 * i)
    moved.part.edge(moved.to(MINUTE), True)
    moved.settle(2 * HOUR + MINUTE)
    assert moved.part.trust == STUCK_HIGH
    moved.part.edge(moved.to(3 * HOUR), False)
    moved.settle(3 * HOUR + MINUTE)
    assert moved.part.trust == TRUSTED


def test_twenty_unseen_passers_make_a_blind_sensor():
    """A blind sensor (fault 11) leaves a hole in the street that no log shows. The neighbours know: twenty passers in a
    row went by and it saw none. Its next own rise proves that it sees."""
    moved = Moved(PresenceSensor())
    for i in range(19):
        moved.part.neighbours_saw(moved.to(i * MINUTE))
    pulse(moved, 20 * MINUTE)
    for i in range(20):
        assert moved.part.trust == TRUSTED
        moved.part.neighbours_saw(moved.to((30 + i) * MINUTE))
    assert moved.part.trust == STUCK_LOW and not moved.part.is_present
    moved.part.neighbours_saw(moved.to(60 * MINUTE))
    moved.part.edge(moved.to(61 * MINUTE), True)
    assert moved.part.trust == TRUSTED and moved.part.is_present


def test_a_sensor_that_is_on_is_not_blind():
    """Someone who stands under the lamp keeps its sensor on while others go by: no edge, and no fault either."""
    moved = Moved(PresenceSensor())
    moved.part.edge(moved.to(0), True)
    for i in range(40):
        moved.part.neighbours_saw(moved.to(1000 * i))
    moved.part.edge(moved.to(41_000), False)
    assert moved.part.trust == TRUSTED


def test_a_long_stay_leaves_no_window_behind():
    """A window is opened by somebody who comes. One opened by his going would judge a later passer's edges too
    early."""
    moved = Moved(PresenceSensor())
    pulse(moved, 0, 2 * MINUTE)
    assert not moved.part.is_due


def test_a_deadline_at_tick_zero_is_a_deadline():
    """Tick 0 comes every twelve days on every lamp. A deadline there is one like any other."""
    moved = Moved(PresenceSensor(), TICKS_MAX + 1 - 2 * HOUR)
    moved.part.edge(moved.tick, True)
    moved.settle(2 * HOUR)
    assert moved.tick == 0 and moved.part.trust == STUCK_HIGH
    moved = Moved(PresenceSensor(good_windows=1), TICKS_MAX + 1 - 2 * MINUTE)
    for i in range(31):
        pulse(moved, i * 1000)
    moved.settle(2 * MINUTE)
    assert moved.tick == 0 and moved.part.trust == TRUSTED and not moved.part.is_due


edges = st.lists(
    st.tuples(st.integers(0, 30) | st.integers(0, 200) | st.integers(500, 3000), st.booleans()), max_size=120
)


@given(edges)
def test_chatter_is_judged_within_its_stated_bounds(steps):
    """A window with one counter cannot be exact; what it promises must hold. At most the limit in every stretch: never
    accused. More than twice the limit in some stretch: always accused."""
    window, limit = 1000, 4
    moved = Moved(PresenceSensor(limit, window, 3, 700, 100, 5))
    rises, was_accused = [], False
    for wait, is_on in steps:
        tick = moved.to(moved.now + wait)
        if is_on and not moved.part.is_on:
            rises.append(moved.now)
        moved.part.edge(tick, is_on)
        was_accused |= moved.part.trust == CHATTERING
    most = max((sum(1 for other in rises if first <= other <= first + window) for first in rises), default=0)
    assert not (was_accused and most <= limit)
    assert was_accused or most <= 2 * limit


@given(edges, st.integers(0, TICKS_MAX))
def test_every_vote_comes_back_whatever_happened(steps, tick0):
    """Quarantine is for the fault, not for life: after an hour of silence every sensor has its vote, no timer runs on,
    and where the ring of ticks stood makes no difference. Six days later nothing has changed."""

    def states(start):
        moved = Moved(PresenceSensor(4, 1000, 3, 2000, 100, 2), start)
        for wait, is_on in steps:
            moved.part.edge(moved.to(moved.now + wait), is_on)
            yield moved.part.is_present, moved.part.trust
            assert moved.part.is_present == (moved.part.is_on and moved.part.trust == TRUSTED)
        moved.part.edge(moved.to(moved.now + 10), False)
        moved.settle(moved.now + HOUR)
        assert moved.part.trust == TRUSTED and not moved.part.is_due
        moved.part.edge(moved.to(moved.now + 7 * DAY), True)
        assert moved.part.is_present and moved.part.is_due

    assert list(states(0)) == list(states(tick0))


def test_the_chip_judges_the_sensor_as_the_host_does(micropython_runtime):
    """A simulated year is worth nothing if the chip judges otherwise. The same random history gives the same states on
    CPython and on MicroPython, and no running call allocates."""
    done = micropython_runtime.run(["tests/control/presence_main.py", "sensor", "7", "3000"])
    assert done.returncode == 0, done.stderr
    expected = list(history("sensor", 7, 3000))
    assert done.stdout.split("\n")[:-1] == expected
    assert {line.split()[3] for line in expected} == {"0", "1", "2", "3"}
