"""What must hold for every lamp-night, whoever generated it: the same light however often one asks."""

import random

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from firmware.control.inputs import Seen
from firmware.control.ticks import ticks_diff
from sim.lamp_replay import LampClock, apply_input, build_controller, replay
from tests.control.lamp_nights import KINDS, lamp_night

RING = 2**30
HOUR_MS = 3_600_000

nights = st.builds(
    lambda number, seed, kind: lamp_night(number, random.Random(seed), kind),
    st.integers(0, 65535),
    st.integers(0, 2**32),
    st.sampled_from(KINDS),
)
few = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
some = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def cut(record, start_share: float, length_ms: int):
    """Return the record, ended ``length_ms`` after a moment near its inputs: polling every 100 ms takes long."""
    end_ms = min(record["end_ms"], int(record["end_ms"] * start_share) + length_ms)
    return {**record, "end_ms": end_ms, "inputs": [entry for entry in record["inputs"] if entry[0] < end_ms]}


def outcome(record, poll_ms=0, phase_ms=0):
    """Return every decision of a record, and every counter at its end."""
    decisions = []
    controller = replay(record, lambda *decision: decisions.append(decision), poll_ms, phase_ms)
    return decisions, {**vars(controller.energy), "starts": controller.starts}


@few
@given(nights, st.sampled_from([1_000, 7_919, 60_000, 3_600_000]), st.data())
def test_polled_is_event_driven(night, poll_ms, data):
    """The simulator calls a lamp ten times a night, the node's loop may call it every second. What was simulated is
    what will shine only if decisions and counters are the same, bit for bit, at any period and phase."""
    assert outcome(night, poll_ms, data.draw(st.integers(0, poll_ms - 1))) == outcome(night)


@few
@given(nights, st.integers(0, 99), st.floats(0, 0.3))
def test_polled_every_tenth_of_a_second_is_event_driven(night, phase_ms, share):
    """A node without a sleep mode calls ten times a second. So that too gives the same decisions and counters, bit for
    bit, at any phase."""
    night = cut(night, share, 2 * HOUR_MS)
    assert outcome(night, 100, phase_ms) == outcome(night)


@some
@given(nights, st.integers(0, RING - 1))
@example(lamp_night(9, random.Random(1), "storm"), 0)
@example(lamp_night(11, random.Random(2), "long fades"), RING - 1)
def test_the_ring_has_no_first_tick(night, tick0):
    """No lamp may behave otherwise because it was fed twelve days ago. So from any tick on a night has the same
    decisions and counters, but for the tick."""
    decisions, counters = outcome(night)
    moved, moved_counters = outcome({**night, "tick0": tick0})
    assert [((tick - night["tick0"]) % RING, *rest) for tick, *rest in decisions] == [
        ((tick - tick0) % RING, *rest) for tick, *rest in moved
    ]
    assert moved_counters == counters


@some
@given(nights, st.integers(0, 2**32))
def test_light_is_continuous_and_a_lamp_always_wants_to_be_called(night, seed):
    """A jump of the light is a blink, and a wake tick in the past is a lamp that sleeps for days. So at every step of
    any night the level stays within 0 to 1000, each decision starts from the level before it, and after the last one
    the wake tick lies ahead by at most a day."""
    rng = random.Random(seed)
    controller = build_controller(night)
    clock = LampClock(night["tick0"])
    seen = Seen()
    inputs = list(night["inputs"])
    t_ms = 0
    level = night["start"]
    is_first = True
    while t_ms <= night["end_ms"]:
        while True:
            if inputs and inputs[0][0] == t_ms:
                entry = inputs.pop(0)
                apply_input(clock, seen, t_ms, entry[1:])
            clock.move_to(t_ms)
            tick = clock.now.ticks_ms
            while True:
                # The path of the decision in force, kept before it is replaced.
                before = (
                    controller.decided_ms,
                    controller.from_permille,
                    controller.level_permille,
                    controller.fade_ms,
                )
                if not controller.step(clock.now, seen):
                    break
                if not is_first:
                    level = straight(*before, controller.decided_ms)
                assert controller.from_permille == level
                assert ticks_diff(tick, controller.decided_ms) >= 0
                assert 0 <= controller.level_permille <= 1000
                assert (controller.fade_ms > 0) <= (controller.level_permille != level)
                is_first = False
            assert 0 < ticks_diff(controller.wake_ms, tick) <= 86_400_000
            now = controller.level_at(tick)
            assert 0 <= now <= 1000
            assert now == straight(
                controller.decided_ms, controller.from_permille, controller.level_permille, controller.fade_ms, tick
            )
            if not inputs or inputs[0][0] != t_ms:
                break
        following = t_ms + ticks_diff(controller.wake_ms, tick)
        if inputs:
            following = min(following, inputs[0][0])
        # Now and then somebody calls for no reason.
        t_ms = rng.randrange(t_ms + 1, following + 1) if rng.random() < 0.3 else following
    assert not is_first


def straight(decided: int, start: int, target: int, fade_ms: int, tick: int) -> int:
    """Return the level along a decision's ramp, from its description: a straight line, rounded down."""
    gone = ticks_diff(tick, decided)
    return target if gone >= fade_ms else start + (target - start) * gone // fade_ms
