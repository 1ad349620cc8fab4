"""Every figure of the simulator is only as true as the order in which its engine lets things happen."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from firmware.control import plan_format as layout
from firmware.control.config import Config
from firmware.control.controller import Controller
from firmware.control.inputs import CLOCK_GOOD, CLOCK_HELD, CLOCK_UNKNOWN, Now, Seen
from firmware.control.plan import Plan
from firmware.control.reasons import FAILSAFE, PROGRAM, SENSOR
from firmware.control.ticks import ticks_add
from host_tools.plan.encode import DynamicControl, FixedTimeControl, LampPlan, Program, encode
from sim.engine import Decision, Engine, Input, Lamp
from sim.lamp_replay import INPUT_CLOCK, INPUT_PRESENCE, TICKS_MASK, replay
from sim.nights import Nights, run_nights
from sim.scenario import load_scenario

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "sim" / "scenarios" / "toulouse.yaml"
UTC = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
HOLD_DS = 200
DAY_2026 = 9496  # 2026-01-01, days after 2000-01-01
DAY_MS = 86_400_000
CLOCK_AT_START: Input = (0, 0, INPUT_CLOCK, CLOCK_GOOD, DAY_2026, 43_200, 0)


def plan_of(hold_ds: int = HOLD_DS) -> LampPlan:
    """A lamp at 20 % that goes to full light for whoever comes, at once, all day long."""
    program = Program(
        fixed=[FixedTimeControl(0, 200, 0)],
        dynamic=[DynamicControl(layout.EFFECT_MAX, 1000, hold_ds, 0, 0)],
    )
    return LampPlan([program], default_ramp_ds=0)


def controller(hold_ds: int = HOLD_DS) -> Controller:
    config = Config(UTC, 43_000_000, 1_000_000, [100, 1000], [8_000, 64_000], 500, start_level_permille=0)
    # The closed form knows no budget of rises.
    config.rises_per_day = 65_535
    return Controller(config, Plan(encode(plan_of(hold_ds))))


@cache
def shipped() -> Nights:
    return run_nights(load_scenario(SHIPPED), 1, 1)


def told(decisions: list[Decision]) -> list[tuple[int, int, int]]:
    return [(d.t_ms, d.level_permille, d.reason) for d in decisions]


class Alarm:
    """Stands for a controller: notes when it is called, and asks to be called as its list says."""

    def __init__(self, wishes: list[int]):
        self.wishes = wishes
        self.calls: list[tuple[int, int]] = []
        self.wake_ms = 0
        self.counted_ms = -1
        # It has nothing to tell its neighbours.
        self.street = SimpleNamespace(has_to_send=False)

    def step(self, now: Now, seen: Seen) -> bool:
        self.calls.append((now.ticks_ms, seen.presence))
        self.wake_ms = next((wish for wish in self.wishes if wish > now.ticks_ms), now.ticks_ms + DAY_MS)
        return False

    def count_to(self, tick: int) -> None:
        self.counted_ms = tick


def alarm_lamp(wishes: list[int]) -> tuple[Lamp, Alarm]:
    alarm = Alarm(wishes)
    return Lamp(alarm, 0), alarm  # type: ignore[arg-type]


def test_an_input_comes_before_a_wake_of_the_same_moment() -> None:
    """Somebody who arrives in the very millisecond the hold ends must not see the lamp dip."""
    lamp = Lamp(controller(), 0)
    inputs: list[Input] = [
        CLOCK_AT_START, (1000, 0, INPUT_PRESENCE, 1), (3000, 0, INPUT_PRESENCE, 0),
        (23_000, 0, INPUT_PRESENCE, 1), (24_000, 0, INPUT_PRESENCE, 0),
    ]  # fmt: skip
    Engine([lamp]).run(inputs, 100_000)
    assert told(lamp.decisions) == [(0, 200, PROGRAM), (1000, 1000, SENSOR), (44_000, 200, PROGRAM)]


def test_the_clock_of_the_first_moment_comes_before_the_first_wake() -> None:
    """A node whose clock is good at power-on must not flash its fail-safe level first."""
    lamp = Lamp(controller(), 0)
    Engine([lamp]).run([CLOCK_AT_START], 1000)
    assert [d.reason for d in lamp.decisions] == [PROGRAM]
    dark = Lamp(controller(), 0)
    Engine([dark]).run([], 1000)
    assert [d.reason for d in dark.decisions] == [FAILSAFE]


def test_a_wake_that_is_no_longer_wanted_is_skipped() -> None:
    """Stale wakes cost time, and a controller called at a moment it did not ask for could count it."""
    lamp, alarm = alarm_lamp([1000, 5000])
    engine = Engine([lamp])
    engine.run([(500, 0, INPUT_PRESENCE, 1), (700, 0, INPUT_PRESENCE, 0), (900, 0, INPUT_PRESENCE, 1)], 8000)
    # The wish for 1000 was pushed four times (at 0, 500, 700, 900); it is carried out once.
    assert alarm.calls == [(0, 0), (500, 1), (700, 0), (900, 1), (1000, 1), (5000, 1)]
    assert engine.events == 6
    assert alarm.counted_ms == 8000


def test_a_wake_moved_later_is_not_carried_out_early() -> None:
    """A hold that was prolonged must end at its new end and not at its old one."""
    lamp, alarm = alarm_lamp([1000])
    alarm.wishes = [1000]
    inputs: list[Input] = [(400, 0, INPUT_PRESENCE, 1)]
    original = alarm.step

    def step(now: Now, seen: Seen) -> bool:
        if seen.presence:
            alarm.wishes = [3000]
        return original(now, seen)

    alarm.step = step  # type: ignore[method-assign]
    Engine([lamp]).run(inputs, 5000)
    assert [call[0] for call in alarm.calls] == [0, 400, 3000]


def test_inputs_at_the_end_count_and_later_ones_do_not() -> None:
    """The last moment belongs to the night; what comes after it belongs to nobody."""
    lamp, alarm = alarm_lamp([2000, 2001])
    Engine([lamp]).run([(2000, 0, INPUT_PRESENCE, 1), (2001, 0, INPUT_PRESENCE, 0)], 2000)
    assert [call[0] for call in alarm.calls] == [0, 2000]


def test_at_one_moment_lamps_come_in_order_of_their_number() -> None:
    """Ties decided by chance would make two runs of one seed differ."""
    order: list[int] = []
    lamps = []
    for number in range(5):
        lamp, alarm = alarm_lamp([1000, 2000])
        original = alarm.step
        alarm.step = lambda now, seen, n=number, step=original: (order.append(n), step(now, seen))[1]  # type: ignore
        lamps.append(lamp)
    Engine(lamps).run([], 2500)
    assert order == [*range(5), *range(5), *range(5)]


def test_progress_is_told_about_every_ten_minutes() -> None:
    """A night of a thousand lamps takes a while; somebody waits for it."""
    lamp, _ = alarm_lamp(list(range(60_000, 3_600_001, 60_000)))
    told_ms: list[int] = []
    Engine([lamp]).run([], 3_600_000, told_ms.append)
    assert told_ms == [600_000, 1_200_000, 1_800_000, 2_400_000, 3_000_000, 3_600_000]


def random_inputs(rng: random.Random, end_ms: int, number: int = 0) -> list[Input]:
    """Presence at random, and clocks that are lost, held and set right."""
    inputs: list[Input] = [(0, number, *CLOCK_AT_START[2:])]
    t_ms, presence = 0, 0
    while (t_ms := t_ms + rng.choice([0, 1, 17, 999, 20_000, rng.randrange(200_000)])) < end_ms:
        if rng.random() < 0.9:
            presence = 1 - presence
            inputs.append((t_ms, number, INPUT_PRESENCE, presence))
        else:
            quality = rng.choice([CLOCK_UNKNOWN, CLOCK_HELD, CLOCK_GOOD])
            day, second = DAY_2026 + rng.randrange(300), rng.randrange(86400)
            inputs.append((t_ms, number, INPUT_CLOCK, quality, day, second, rng.randrange(1000)))
    return inputs


def record_of(inputs: list[Input], tick0: int, end_ms: int) -> dict[str, Any]:
    return {
        "lamp": 0, "tick0": tick0, "zone": UTC, "place": [43_000_000, 1_000_000], "levels": [100, 1000],
        "powers": [8_000, 64_000], "standby": 500, "start": 0, "plan": encode(plan_of()).hex(),
        "inputs": [[entry[0], *entry[2:]] for entry in inputs], "end_ms": end_ms,
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_the_engine_decides_as_the_replay_does_polled_or_not(seed: int) -> None:
    """Node, simulator and journal must tell one story, or the simulator forecasts some other product."""
    rng = random.Random(seed)
    end_ms = 2_000_000
    inputs = random_inputs(rng, end_ms)
    tick0 = rng.choice([0, TICKS_MASK - 1_000_000, rng.randrange(TICKS_MASK)])
    lamp = Lamp(controller(), tick0)
    Engine([lamp]).run(inputs, end_ms)
    expected = [(d.tick, d.level_permille, d.fade_ms, d.reason) for d in lamp.decisions]
    assert len(expected) > 3
    for poll_ms, phase in ((0, 0), (100, 0), (977, rng.randrange(977))):
        found: list[tuple[int, ...]] = []
        replayed = replay(
            record_of(inputs, tick0, end_ms), lambda *decision, found=found: found.append(decision), poll_ms, phase
        )
        assert found == expected, f"polled every {poll_ms} ms"
        assert replayed.energy.energy_mj == lamp.controller.energy.energy_mj
        assert replayed.energy.energy_wh == lamp.controller.energy.energy_wh


@pytest.mark.parametrize(("lamp", "poll_ms"), [(0, 100), (4, 1000), (23, 997), (39, 60_000)])
def test_the_shipped_night_polled(lamp: int, poll_ms: int) -> None:
    """The node's main loop calls every 100 ms: the night people look at must be the night it would give."""
    record = shipped().records[lamp]
    found: list[tuple[int, ...]] = []
    replay(record, lambda *decision: found.append(decision), poll_ms)
    assert found == [(d.tick, d.level_permille, d.fade_ms, d.reason) for d in shipped().lamps[lamp].decisions]


def test_each_lamp_of_the_shipped_night_decides_as_it_would_alone() -> None:
    """Lamps that disturb each other in the engine would make every street a different product."""
    run = shipped()
    for record, lamp in zip(run.records, run.lamps, strict=True):
        found: list[tuple[int, ...]] = []
        alone = replay(record, lambda *decision, found=found: found.append(decision))
        assert found == [(d.tick, d.level_permille, d.fade_ms, d.reason) for d in lamp.decisions]
        assert alone.energy.energy_mj == lamp.controller.energy.energy_mj
        assert alone.energy.burning_s == lamp.controller.energy.burning_s
        for d in lamp.decisions:
            assert d.tick == ticks_add(record["tick0"], d.t_ms)


def test_the_order_of_lamps_changes_nothing() -> None:
    """Numbering a street from its other end must not change its night."""
    end_ms = 1_500_000
    count = 8
    own = [random_inputs(random.Random(100 + number), end_ms, number) for number in range(count)]
    results = []
    for order in (list(range(count)), list(range(count))[::-1], [3, 1, 7, 0, 5, 2, 6, 4]):
        lamps = [Lamp(controller(), 1000 * number) for number in order]
        inputs: list[Input] = [
            (entry[0], place, *entry[2:]) for place, number in enumerate(order) for entry in own[number]
        ]
        inputs.sort(key=lambda entry: entry[:2])
        engine = Engine(lamps)
        engine.run(inputs, end_ms)
        results.append(([lamps[order.index(number)].decisions for number in range(count)], engine.events))
    assert results[0] == results[1] == results[2]
    assert all(len(decisions) > 3 for decisions in results[0][0])
