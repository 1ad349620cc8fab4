"""Why am I lit: one answer at every instant, true, and asking changes nothing."""

import random

from hypothesis import given
from hypothesis import strategies as st

from firmware.control.config import Config
from firmware.control.controller import Controller
from firmware.control.inputs import (
    CLOCK_GOOD,
    CLOCK_UNKNOWN,
    COMMAND_EMERGENCY,
    COMMAND_OVERRIDE,
    COMMAND_SERVICE,
    UNKNOWN,
    Now,
    Seen,
)
from firmware.control.plan import Plan
from firmware.control.plan_format import EFFECT_MAX
from firmware.control.reasons import (
    BY_CLOCK,
    BY_DYNAMIC,
    BY_EMERGENCY,
    BY_FIXED,
    BY_LOCAL,
    BY_OVERRIDE,
    BY_SERVICE,
    FAILSAFE,
    INACTIVE,
    OVERRIDE,
    PROGRAM,
    SENSOR,
)
from firmware.control.ticks import ticks_add, ticks_diff
from firmware.control.why import Answer
from host_tools.plan.encode import ActivePeriod, DynamicControl, FixedTimeControl, LampPlan, Program, encode

PARIS = [3600, 7200, 3, 5, 0, 7200, 10, 5, 0, 10800]
# 2026-06-20, a Saturday.
DAY = 9667
PROGRAM_ = Program(
    fixed=[FixedTimeControl(5 * 3600, 600), FixedTimeControl(23 * 3600, 200)],
    periods=[ActivePeriod(0, 18 * 3600, 7 * 3600)],
    dynamic=[DynamicControl(EFFECT_MAX, 1000, hold_ds=300)],
)


class Lamp:
    """A lamp with a clock of its own, started at a local time (CEST) of 2026-06-20."""

    def __init__(self, hour: int, minute: int = 0, quality: int = CLOCK_GOOD):
        config = Config(PARIS, 48_850_000, 2_350_000, [100, 1000], [8000, 60000], 500)
        self.controller = Controller(config, Plan(encode(LampPlan([PROGRAM_]))))
        self.now = Now()
        self.seen = Seen()
        self.now.ticks_ms = 2**30 - 5000
        self.now.changes = 1
        self.now.quality = quality
        self.now.day = DAY
        self.now.second = (hour - 2) * 3600 + minute * 60
        self.step()

    def step(self) -> list[tuple[int, int, int]]:
        found = []
        while self.controller.step(self.now, self.seen):
            found.append((self.controller.decided_ms, self.controller.level_permille, self.controller.reason))
        return found

    def wait(self, seconds: int) -> list[tuple[int, int, int]]:
        """Let time pass, stopping at each wake; return the decisions."""
        found = []
        end = ticks_add(self.now.ticks_ms, seconds * 1000)
        while ticks_diff(end, self.controller.wake_ms) >= 0:
            self.now.ticks_ms = self.controller.wake_ms
            found += self.step()
        self.now.ticks_ms = end
        return found + self.step()

    def see(self, **fields: int) -> None:
        for name, value in fields.items():
            setattr(self.seen, name, value)
        self.seen.changes += 1
        self.step()

    def why(self) -> Answer:
        answer = Answer()
        self.controller.why(answer, self.now.ticks_ms)
        return answer


def test_a_program_says_until_when_and_what_comes():
    """A resident at 21:30 wants to know when it gets darker: at 23:00, 20 %."""
    lamp = Lamp(21)
    lamp.wait(1800)
    answer = lamp.why()
    assert (answer.level, answer.reason, answer.by, answer.since_s) == (600, PROGRAM, BY_FIXED, 1800)
    assert (answer.until_s, answer.next_level, answer.next_reason) == (5400, 200, PROGRAM)


def test_off_by_day_says_when_the_light_comes():
    """An operator who tests at noon must see that the lamp is off on purpose, and until when."""
    answer = Lamp(12).why()
    assert (answer.level, answer.reason, answer.until_s) == (0, INACTIVE, 6 * 3600)
    assert (answer.next_level, answer.next_reason) == (600, PROGRAM)


def test_presence_has_no_end_while_it_lasts_and_one_while_it_is_held():
    """Nobody knows how long somebody stays; after that the hold time is known to the second."""
    lamp = Lamp(23, 30)
    lamp.see(presence=1)
    lamp.wait(10)
    answer = lamp.why()
    assert (answer.reason, answer.by, answer.until_s) == (SENSOR, BY_DYNAMIC, UNKNOWN)
    assert (answer.next_level, answer.next_reason) == (200, PROGRAM)
    lamp.see(presence=0)
    lamp.wait(10)
    assert (lamp.why().until_s, lamp.why().next_level) == (20, 200)


def test_an_override_says_its_end_and_what_holds_after_it():
    """The operator who forgot a command reads when it lets go, and into what."""
    lamp = Lamp(22)
    command = lamp.seen.command
    command.kind = COMMAND_OVERRIDE
    command.level_permille = 900
    command.end_day, command.end_s = DAY, 21 * 3600 + 1800
    lamp.see(commands=1)
    answer = lamp.why()
    assert (answer.level, answer.reason, answer.by) == (900, OVERRIDE, BY_OVERRIDE)
    # It ends at 23:30 local time, in the 20 % of the late night.
    assert (answer.until_s, answer.next_level, answer.next_reason) == (5400, 200, PROGRAM)


def commanded(lamp: Lamp, kind: int, level: int, end_s: int, ramp_from_ms: int = 0) -> None:
    """Give a command that ends at so many seconds of the day, UTC."""
    command = lamp.seen.command
    command.kind, command.level_permille, command.ramp_from_ms = kind, level, ramp_from_ms
    command.end_day, command.end_s = DAY, end_s
    lamp.see(commands=lamp.seen.commands + 1)


def test_each_command_says_its_own_end():
    """An emergency at the head of a procession, a fitter on his ladder and an operator's test at once: each has another
    end, and who asks wants that of the one that holds. None of them is a numbered part of a program."""
    lamp = Lamp(19)
    commanded(lamp, COMMAND_OVERRIDE, 900, 20 * 3600)
    commanded(lamp, COMMAND_EMERGENCY, 1000, 19 * 3600)
    commanded(lamp, COMMAND_SERVICE, 300, 18 * 3600)
    for by in (BY_SERVICE, BY_EMERGENCY, BY_OVERRIDE):
        # An hour each, one after the other.
        for until_s in (3600, 1):
            answer = lamp.why()
            assert (answer.reason, answer.by, answer.index, answer.until_s) == (OVERRIDE, by, 0, until_s)
            lamp.wait(until_s - 1 or 1)
    assert lamp.controller.reason == PROGRAM


def test_the_switch_at_the_lamp_is_no_part_of_a_program():
    """Who turns the key at the pole is named, and has no number."""
    lamp = Lamp(12)
    lamp.see(local_permille=500)
    lamp.wait(10)
    answer = lamp.why()
    assert (answer.level, answer.reason, answer.by, answer.index) == (500, OVERRIDE, BY_LOCAL, 0)


def test_a_command_is_left_by_its_own_ramp_for_whoever_stands_there():
    """A dimmed square after a concert comes back as the operator said, not in the half second of a passer's light: the
    command is above presence, and leaving it is falling."""
    lamp = Lamp(22)
    commanded(lamp, COMMAND_OVERRIDE, 300, 21 * 3600, 7000)
    lamp.see(presence=1)
    assert lamp.controller.level_permille == 300
    lamp.wait(3600)
    assert (lamp.controller.level_permille, lamp.controller.reason) == (1000, SENSOR)
    assert lamp.controller.fade_ms == 7000


def test_without_a_clock_nothing_is_promised():
    """A lamp that does not know the time must not invent one."""
    answer = Lamp(22, quality=CLOCK_UNKNOWN).why()
    assert (answer.level, answer.reason, answer.by) == (1000, FAILSAFE, BY_CLOCK)
    assert (answer.until_s, answer.next_level) == (UNKNOWN, UNKNOWN)


@given(st.integers(0, 2**32 - 1))
def test_asking_changes_nothing_and_what_is_promised_comes(seed: int):
    """A question may never move the light; an answer that does not come true is worse than none."""
    rng = random.Random(seed)
    hour = rng.randrange(2, 24)
    asked, silent = Lamp(hour), Lamp(hour)
    for _ in range(12):
        seconds = rng.randrange(1, 20_000)
        if rng.random() < 0.5:
            presence = rng.randrange(2)
            asked.see(presence=presence)
            silent.see(presence=presence)
        answer = asked.why()
        assert asked.why().__dict__ == answer.__dict__
        assert answer.reason == asked.controller.reason
        start = asked.now.ticks_ms
        came = asked.wait(seconds)
        assert came == silent.wait(seconds)
        # Who stands there for two hours is held to be a stuck sensor: nobody can promise beyond that.
        is_stuck = asked.controller.street.sensor.trust != 0 or asked.seen.presence == 1
        if came and not is_stuck:
            tick, level, reason = came[0]
            if answer.until_s != UNKNOWN:
                assert abs(ticks_diff(tick, start) - answer.until_s * 1000) <= 11_000
                assert (level, reason) == (answer.next_level, answer.next_reason)
