"""One lamp under any sequence of inputs: whatever happens, it is lit where it must be and says why."""

import random
from typing import ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from firmware.control.config import Config
from firmware.control.controller import Controller
from firmware.control.inputs import CLOCK_DOUBTED, CLOCK_GOOD, CLOCK_UNKNOWN, Now, Seen
from firmware.control.plan import Plan
from firmware.control.ticks import ticks_diff
from host_tools.plan.encode import encode
from host_tools.plan.zones import parse_posix_rule
from tests.control import core_oracle as oracle
from tests.control.fuzz_plans import LEVELS, PLACES, UTC_RULE, random_options, random_plan

RING = 2**30
DAY_MS = 86_400_000
QUIET_MS = 10_000
# Presence, commands, protection, fail-safe: what may change the light at once, when it comes and when it goes.
URGENT = {oracle.OVERRIDE, oracle.SENSOR, oracle.FAILSAFE, oracle.PROTECTION, 255}

waits = st.one_of(
    st.integers(1, 1_500),
    st.integers(1, 60_000),
    st.sampled_from([9_999, 10_000, 10_001, 60_000, 600_000]),
    st.integers(1, 4 * 3_600_000),
    st.integers(DAY_MS // 3, 3 * DAY_MS),
)
levels = st.sampled_from(LEVELS)
ramps = st.sampled_from([0, 1, 800, 60_000, 1_000_000])
some_level = st.one_of(st.just(-1), levels)
soon = st.one_of(st.none(), st.integers(-5, 120), st.integers(0, 200_000))


class Lamp(RuleBasedStateMachine):
    """A controller, what it sees, and all that must hold after every step."""

    reached: ClassVar[set[int]] = set()

    @initialize(
        seed=st.integers(0, 10**6),
        is_simple=st.booleans(),
        start=st.sampled_from([0, 537, 1000]),
        tick0=st.sampled_from([0, RING - 5_000, RING // 2 - 5_000]),
        day=st.sampled_from([9_821, 10_000, 12_461, 13_897, 36_583]),
        second=st.integers(0, 86_399),
        is_known=st.booleans(),
    )
    def build(self, seed, is_simple, start, tick0, day, second, is_known):
        rng = random.Random(seed)
        self.is_simple = is_simple
        self.plan = random_plan(rng, is_simple)
        self.options = random_options(rng, is_simple)
        zone, latitude, longitude = rng.choice(PLACES)
        self.place = (UTC_RULE if is_simple else list(parse_posix_rule(zone)), latitude, longitude)
        self.data = encode(self.plan)
        self.tick0 = tick0
        self.t_ms = 0
        self.now = Now()
        self.seen = Seen()
        self.is_doubted = False
        # UTC in ms since 2000 at t = 0, were it running on; None without a clock.
        self.utc0_ms = (day * 86_400 + second) * 1000 if is_known else None
        self._start(start)

    def _start(self, level):
        config = Config(*self.place, (100, 750, 1000), (8_500, 44_930, 64_000), 500, level)
        for name, value in self.options.items():
            setattr(config, name, value)
        self.lamp = Controller(config, Plan(self.data))
        self.oracle = oracle.Oracle(self.plan, self.options)
        self.changed_ms = None
        self.counted = []
        self._tell()

    # What may happen.

    @rule(span=waits, polls=st.integers(0, 3))
    def time_passes(self, span, polls):
        end = self.t_ms + span
        stops = [self.t_ms + span * (i + 1) // (polls + 1) for i in range(polls)]
        while True:
            wake = self.t_ms + ticks_diff(self.lamp.wake_ms, self.now.ticks_ms)
            following = min([wake, end, *(stop for stop in stops if stop > self.t_ms)])
            self.t_ms = following
            self._step()
            if following == end:
                return

    @rule(edges=st.lists(st.integers(1, 5_000), min_size=1, max_size=3))
    def somebody_comes_or_goes(self, edges):
        for span in edges:
            self.seen.presence = 1 - self.seen.presence
            self._see()
            self.time_passes(span, 0)

    @rule()
    def the_sensor_chatters(self):
        for _ in range(70):
            self.seen.presence = 1 - self.seen.presence
            self._see()
            self.time_passes(100, 0)

    @rule(sender=st.integers(20, 25), origin=st.integers(20, 25), sequence=st.integers(0, 255), hops=st.integers(0, 5))
    def a_neighbour_speaks(self, sender, origin, sequence, hops):
        message = self.seen.message
        message.sender, message.origin, message.sequence, message.hops = sender, origin, sequence, hops
        self.seen.messages += 1
        self._see()

    @rule(asked=st.integers(0, 1))
    def a_neighbour_asks(self, asked):
        self.seen.neighbours = asked
        self._see()

    @rule(lux=st.sampled_from([-1, 0, 10, 20, 21, 41, 500, 65535]))
    def light_changes(self, lux):
        self.seen.lux = lux
        self._see()

    @rule(external=some_level)
    def somebody_else_asks(self, external):
        self.seen.external = external
        self._see()

    @rule(local=some_level)
    def somebody_at_the_pole(self, local):
        self.seen.local_permille = local
        self._see()

    @rule(is_late=st.integers(0, 1))
    def the_feeder_says_late(self, is_late):
        self.seen.may_dim = is_late
        self._see()

    @rule(dc=st.sampled_from([-32768, 200, 595, 650, 750, 840, 851, 900, 949, 960]))
    def temperature(self, dc):
        self.seen.temperature_dc = dc
        self._see()

    @rule(power=st.integers(-1, 70_000), voltage=st.sampled_from([-1, 0, 2_300]), fault=st.integers(0, 3))
    def the_meter_speaks(self, power, voltage, fault):
        self.seen.samples += 1
        self.seen.power_mw, self.seen.voltage_dv = power, voltage
        self.seen.gear_fault, self.seen.relay_fault = fault & 1, fault >> 1
        self._see()

    @rule(kind=st.sampled_from([0, 0, 1, 2, 3]), level=levels, ramp_to=ramps, ramp_from=ramps, start=soon, end=soon)
    def command(self, kind, level, ramp_to, ramp_from, start, end):
        base_s = (self._utc_ms() or 0) // 1000
        start_s = None if start is None else max(0, base_s + start)
        end_s = None if end is None else max(0, base_s + end)
        command = self.seen.command
        command.kind, command.level_permille = kind, level
        command.ramp_to_ms, command.ramp_from_ms = ramp_to, ramp_from
        command.start_day, command.start_s = (-1, 0) if start_s is None else divmod(start_s, 86_400)
        command.end_day, command.end_s = (-1, 0) if end_s is None else divmod(end_s, 86_400)
        self.seen.commands += 1
        self.oracle.command(kind, level, start_s, end_s)
        self._see()

    @precondition(lambda self: self.utc0_ms is not None)
    @rule(ms=st.one_of(st.integers(-5_000, 5_000), st.integers(-DAY_MS, 2 * DAY_MS)))
    def the_clock_steps(self, ms):
        self.utc0_ms += ms
        self._tell()

    @precondition(lambda self: self.utc0_ms is not None)
    @rule()
    def only_the_feeder_knows_the_time(self):
        self.is_doubted = not self.is_doubted
        self._tell()

    @precondition(lambda self: self.utc0_ms is not None)
    @rule()
    def the_clock_is_lost(self):
        self.utc0_ms = None
        self._tell()

    @precondition(lambda self: self.utc0_ms is None)
    @rule(day=st.integers(7_400, 73_000), ms=st.integers(0, DAY_MS - 1))
    def the_clock_is_set(self, day, ms):
        self.utc0_ms = day * DAY_MS + ms - self.t_ms
        self._tell()

    @rule(level=st.sampled_from([0, 537, 1000]))
    def power_is_cut(self, level):
        self.seen.commands = self.seen.messages = self.seen.samples = 0
        self.seen.local_permille = self.seen.external = -1
        self._start(level)

    # What must hold.

    def _utc_ms(self):
        return None if self.utc0_ms is None else self.utc0_ms + self.t_ms

    def _tell(self):
        self.now.changes += 1
        self._step()

    def _see(self):
        self.seen.changes += 1
        self._step()

    def _step(self):
        now, lamp = self.now, self.lamp
        now.ticks_ms = (self.tick0 + self.t_ms) % RING
        utc_ms = self._utc_ms()
        now.quality = CLOCK_UNKNOWN if utc_ms is None else CLOCK_DOUBTED if self.is_doubted else CLOCK_GOOD
        now.day, now.second, now.ms = (0, 0, 0)
        if utc_ms is not None:
            now.day, now.second, now.ms = utc_ms // DAY_MS, utc_ms % DAY_MS // 1000, utc_ms % 1000
        before = (lamp.reason, lamp.level_permille, lamp.level_at(now.ticks_ms))
        while lamp.step(now, self.seen):
            assert lamp.decided_ms == now.ticks_ms
            self._no_flicker(before)
            before = (lamp.reason, lamp.level_permille, lamp.level_at(now.ticks_ms))
        assert not lamp.step(now, self.seen)
        assert 0 < ticks_diff(lamp.wake_ms, now.ticks_ms) <= DAY_MS
        assert 0 <= lamp.level_permille <= 1000
        assert 0 <= lamp.level_at(now.ticks_ms) <= 1000
        self._counters_go_up()
        self._is_explained()
        self.reached.add(lamp.reason)

    def _no_flicker(self, before):
        lamp = self.lamp
        reason, target, _ = before
        if target == lamp.level_permille or {reason, lamp.reason} & URGENT:
            return
        low, high = sorted((lamp.from_permille, lamp.level_permille))
        if (high - low) * 100 <= high * 3:
            return
        assert self.changed_ms is None or self.t_ms - self.changed_ms >= QUIET_MS
        self.changed_ms = self.t_ms

    def _counters_go_up(self):
        lamp = self.lamp
        energy, street, monitor = lamp.energy, lamp.street, lamp.monitor
        lamp.count_to(self.now.ticks_ms)
        counted = [
            energy.energy_wh * 3_600_000 + energy.energy_mj,
            energy.burning_s * 1000 + energy.burning_ms,
            lamp.starts,
            street.bubble.accepted if street.bubble else 0,
            *monitor.faults.counts,
        ]
        if monitor.counters:
            counted += [monitor.counters.closed, *monitor.counters.live[:10], *monitor.counters.totals]
        assert all(old <= new for old, new in zip(self.counted, counted, strict=False))
        self.counted = counted

    def _is_explained(self):
        lamp = self.lamp
        derating = lamp.output.derating
        utc_ms = self._utc_ms()
        world = oracle.World(
            lamp.street.presence, lamp.street.neighbours, self.seen.external, self.seen.lux, self.seen.local_permille,
            self.seen.may_dim, lamp.street.classes_down, derating.cap_permille if derating else 1000,
            bool(derating and derating.is_protection), None if utc_ms is None else utc_ms // 1000,
            self.is_doubted,
        )  # fmt: skip
        wanted = self.oracle.judge(self.t_ms, world)
        if world.cap > 0 and wanted.reason == oracle.FAILSAFE and world.lux < 0:
            assert lamp.level_permille >= 1, "the lamp fails lit"
        if lamp.output.flicker.is_waiting and not {wanted.reason, lamp.reason} & URGENT:
            # For ten seconds at most, the former cause still explains the light that there is.
            assert ticks_diff(lamp.output.flicker.due_ms, self.now.ticks_ms) <= QUIET_MS
            return
        is_in_doubt = self.is_doubted and utc_ms is not None and not world.may_dim
        if is_in_doubt and world.lux < 0 and world.cap > 0 and lamp.reason != oracle.OVERRIDE:
            assert lamp.level_permille >= 1, "nothing is switched off by a clock in doubt"
        is_upper = wanted.reason == oracle.OVERRIDE or (wanted.reason == oracle.FAILSAFE and utc_ms is None)
        if not self.is_simple and not is_upper:
            assert lamp.reason in ((0, 2, 3, 16, 17, 18) if is_in_doubt else (0, 2, 3, 16, 18))
            if lamp.reason == oracle.INACTIVE:
                assert lamp.level_permille == 0
            return
        if lamp.reason == oracle.SENSOR and wanted.reason in (oracle.PROGRAM, oracle.DEFAULT):
            # Only a used up budget of rises keeps a lamp up that nobody asks for.
            assert self.options["rises_per_day"] < 300
            assert lamp.level_permille >= min(wanted.level, world.cap)
            return
        if wanted.level == -1:
            assert lamp.reason in (wanted.reason, oracle.PROTECTION)
            return
        assert oracle.Verdict(lamp.reason, lamp.by, lamp.level_permille) == wanted


TestLamp = Lamp.TestCase
TestLamp.settings = settings(
    max_examples=60, stateful_step_count=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
