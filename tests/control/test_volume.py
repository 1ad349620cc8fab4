"""The class of the street follows its traffic: more light at once, less only on good grounds (UNI 11248, TAI)."""

from hypothesis import given
from hypothesis import strategies as st

from firmware.control.volume import VolumeClass
from tests.control.presence_main import Moved, history

WINDOW = 600_000


def started(**options) -> Moved:
    """Return a street with 120 and 60 passers an hour as its thresholds, counting since 0: 20 and 10 in a window."""
    moved = Moved(VolumeClass(120, 60, **options))
    moved.part.start(moved.tick)
    return moved


def sample(moved: Moved, count: int) -> int:
    """Let ``count`` passers come in the next whole window; return the classes down after it."""
    end = (moved.now // WINDOW + 1) * WINDOW
    first = moved.now
    for i in range(count):
        moved.part.passer(moved.to(first + 1 + i * (WINDOW - 2) // max(count, 1)))
    moved.settle(end)
    return moved.part.classes_down


def test_two_low_samples_allow_one_class_down():
    """A gap in the traffic is not a quiet street: TAI goes down after the second low sample, one class at a time, and
    never beyond two classes, which is where EN 13201 ends."""
    moved = started()
    assert [sample(moved, 0) for _ in range(8)] == [0, 1, 1, 2, 2, 2, 2, 2]


def test_traffic_brings_the_light_back_at_once():
    """The first car of the morning rush must not wait ten minutes for its light. The passer that makes the window too
    busy raises the class in that moment."""
    moved = started()
    for _ in range(4):
        sample(moved, 0)
    for i in range(9):
        moved.part.passer(moved.to(4 * WINDOW + 1 + i))
    assert moved.part.classes_down == 2
    moved.part.passer(moved.to(4 * WINDOW + 10))
    assert moved.part.classes_down == 1
    for i in range(10):
        moved.part.passer(moved.to(4 * WINDOW + 20 + i))
    assert moved.part.classes_down == 0
    moved.settle(5 * WINDOW)
    assert moved.part.classes_down == 0 and moved.part.flow_per_h == 120


def test_a_flow_at_the_threshold_keeps_the_class():
    """A threshold is the flow for which the class is needed: at it there is no step down, one passer less allows it."""
    moved = started()
    assert [sample(moved, 20) for _ in range(4)] == [0, 0, 0, 0]
    assert [sample(moved, 19) for _ in range(4)] == [0, 1, 1, 1]
    assert [sample(moved, 10) for _ in range(4)] == [1, 1, 1, 1]
    assert [sample(moved, 9) for _ in range(3)] == [1, 2, 2]


def test_a_busy_sample_between_starts_the_count_again():
    """A street that breathes between busy and quiet must not flicker between classes: low samples count in a row."""
    moved = started()
    assert [sample(moved, count) for count in (0, 20, 0, 20, 0, 20, 0, 0)] == [0, 0, 0, 0, 0, 0, 0, 1]


def test_a_rise_makes_the_lows_before_it_void():
    """After a busy moment the street has to show twice again that it is quiet."""
    moved = started()
    assert [sample(moved, count) for count in (0, 0, 0, 15, 0, 0)] == [0, 1, 1, 1, 1, 2]


def test_without_a_sensor_the_street_has_its_full_class():
    """Zero counted by a sensor without a vote is no quiet street. Stopped or not started, passers change nothing and
    the class is full; a new start needs two samples again."""
    moved = Moved(VolumeClass(120, 60))
    moved.part.passer(moved.tick)
    assert (moved.part.classes_down, moved.part._count, moved.part.is_due) == (0, 0, False)
    moved = started()
    for _ in range(4):
        sample(moved, 0)
    moved.part.stop()
    assert (moved.part.classes_down, moved.part.flow_per_h, moved.part.is_due) == (0, 0, False)
    moved.now = 30 * WINDOW
    moved.part.start(moved.tick)
    assert [sample(moved, 0) for _ in range(3)] == [0, 1, 1]


def test_the_count_is_bounded():
    """A storm of edges must not make an integer that the chip has to allocate."""
    moved = started(samples_per_h=60)
    for _ in range(66_000):
        moved.part.passer(moved.tick)
    moved.settle(60_000)
    assert moved.part.flow_per_h == 65_535 * 60 < 2**30


def tai(counts: list[int], per_h: int, one: int, two: int) -> list[int]:
    """Restate the rule over whole windows: the classes down after each."""
    down, lows, result = 0, 0, []
    for count in counts:
        needed = 2 if count * per_h < two else 1 if count * per_h < one else 0
        if needed > down:
            lows += 1
            if lows == 2:
                down, lows = down + 1, 0
        else:
            down, lows = needed, 0
        result.append(down)
    return result


@given(st.lists(st.integers(0, 30), max_size=30), st.integers(1, 180), st.integers(0, 180))
def test_the_rule_holds_for_every_traffic(counts, one, two):
    """The operator compares the classes with the counts afterwards: each must be what the published rule says."""
    two = min(one, two)
    moved = Moved(VolumeClass(one, two))
    moved.part.start(moved.tick)
    assert [sample(moved, count) for count in counts] == tai(counts, 6, one, two)


def test_the_chip_counts_traffic_as_the_host_does(micropython_runtime):
    """A forecast of savings is worth nothing if the chip switches otherwise. The same random traffic gives the same
    classes on CPython and on MicroPython, and no running call allocates."""
    done = micropython_runtime.run(["tests/control/presence_main.py", "volume", "7", "4000"])
    assert done.returncode == 0, done.stderr
    expected = list(history("volume", 7, 4000))
    assert done.stdout.split("\n")[:-1] == expected
    assert {line.split()[1] for line in expected} == {"0", "1", "2"}
