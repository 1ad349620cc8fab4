"""Moves one controller by hand: a program, a start, inputs at their times; keeps every decision it makes.

Times are ms since the start. ``at("22:30")`` is the next time the start's own clock shows that, in UTC as in the
programs of these tests, unless a zone is given: then local times are what the test works out itself.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from firmware.control.config import Config
from firmware.control.controller import Controller
from firmware.control.inputs import CLOCK_GOOD, CLOCK_UNKNOWN, UNKNOWN, Now, Seen
from firmware.control.plan import Plan
from firmware.control.ticks import TICKS_MAX, ticks_diff
from host_tools.plan.encode import (
    ActivePeriod,
    AstroTimeControl,
    DynamicControl,
    FixedTimeControl,
    LampPlan,
    Program,
    encode,
)

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
DAY_MS = 86_400_000

UTC_RULE = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
# CET-1CEST,M3.5.0,M10.5.0/3, as POSIX writes central European time.
PARIS_RULE = (3600, 7200, 3, 5, 0, 7200, 10, 5, 0, 10800)
EQUATOR = (0, 0)
TROMSO = (69_650_000, 18_960_000)

NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
CURVE = ((100, 750, 1000), (8_500, 44_930, 64_000), 500)


class Made(NamedTuple):
    """A decision as a person reads it: the moment in UTC, the level it goes to, the fade, and the reason."""

    clock: str
    level: int
    fade_ms: int
    reason: int


def seconds(text: str) -> int:
    """Return ``hh:mm[:ss]`` in seconds of day."""
    parts = [int(part) for part in text.split(":")]
    return sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))


def fixed(*controls: tuple) -> list[FixedTimeControl]:
    """Return fixed time controls from ("22:00", level, ramp in ms)."""
    return [FixedTimeControl(seconds(start), level, ramp_ms // 100) for start, level, ramp_ms in controls]


def every_day(
    controls: Sequence[FixedTimeControl],
    periods: Sequence[ActivePeriod] = (),
    dynamic: Sequence[DynamicControl] = (),
    astro: Sequence[AstroTimeControl] = (),
    **more: Any,
) -> LampPlan:
    """Return the plan of a lamp that has one program every day; ``more`` belongs to `LampPlan`."""
    return LampPlan([Program(controls, periods, astro, dynamic)], **more)


def moment_of(utc: datetime) -> tuple[int, int]:
    """Return day number and second of day of a moment."""
    gone_s = (utc - EPOCH) // timedelta(seconds=1)
    return gone_s // 86400, gone_s % 86400


class Driver:
    """A lamp under ``plan``; event-driven, unless a test steps it itself with ``step()``. ``config``: more of the
    `Config`, by name."""

    def __init__(
        self,
        plan: LampPlan,
        start: datetime = NOON,
        *,
        zone=UTC_RULE,
        place=EQUATOR,
        tick0: int = 0,
        is_clock_known: bool = True,
        start_level: int = 0,
        curve=CURVE,
        **config: Any,
    ):
        levels, powers, standby = curve
        lamp = Config(zone, place[0], place[1], levels, powers, standby, start_level)
        for name, value in config.items():
            assert hasattr(lamp, name), name
            setattr(lamp, name, value)
        self.controller = Controller(lamp, Plan(encode(plan)))
        self.start = start
        self.t_ms = 0
        self.decisions: list[Made] = []
        self.raw: list[tuple[int, int, int, int, int]] = []
        self.calls = 0
        self._tick0 = tick0
        self._now = Now()
        self._seen = Seen()
        self._anchor = (0, start)
        self._quality = CLOCK_GOOD if is_clock_known else CLOCK_UNKNOWN
        self.step()

    def at(self, text: str) -> int:
        """Return ms from the start to the next moment at which a right clock shows ``text`` in UTC."""
        ms = int((seconds(text) - self.start.hour * 3600 - self.start.minute * 60 - self.start.second) * 1000)
        return ms % DAY_MS

    def step(self) -> bool:
        """Call ``step()`` as its contract says, at the current moment; tell whether it decided anything."""
        now = self._now
        now.ticks_ms = self.tick(self.t_ms)
        now.quality = self._quality
        since, utc = self._anchor
        ms = (utc - EPOCH) // timedelta(milliseconds=1) + self.t_ms - since
        now.day, now.second, now.ms = ms // DAY_MS, ms % DAY_MS // 1000, ms % 1000
        before = len(self.decisions)
        self.calls += 1
        controller = self.controller
        while controller.step(now, self._seen):
            made_ms = self.t_ms - ticks_diff(now.ticks_ms, controller.decided_ms)
            clock = (utc + timedelta(milliseconds=made_ms - since)).strftime("%H:%M:%S.%f")[:-3]
            self.decisions.append(
                Made(clock.removesuffix(".000"), controller.level_permille, controller.fade_ms, controller.reason)
            )
            self.raw.append(
                (made_ms, controller.from_permille, controller.level_permille, controller.fade_ms, controller.reason)
            )
        return len(self.decisions) > before

    def tick(self, t_ms: int) -> int:
        """Return the tick of a moment."""
        return (self._tick0 + t_ms) & TICKS_MAX

    @property
    def wake_at(self) -> int:
        """Return the moment at which the controller wants to be called."""
        return self.t_ms + ticks_diff(self.controller.wake_ms, self.tick(self.t_ms))

    def run(self, until) -> list[Made]:
        """Go on to ``until`` ("22:30" or ms) at the wake ticks; return the decisions made on the way, there
        included."""
        until = self.at(until) if isinstance(until, str) else until
        before = len(self.decisions)
        while self.wake_at <= until:
            self.t_ms = self.wake_at
            self.step()
        self.t_ms = until
        return self.decisions[before:]

    def change(self, moment, **fields: int) -> list[Made]:
        """Go to ``moment``; there fields of `Seen` change. Input comes before the wake tick of that moment."""
        moment = self.at(moment) if isinstance(moment, str) else moment
        before = len(self.decisions)
        self.run(moment - 1)
        self.t_ms = moment
        self.put(**fields)
        self.step()
        return self.decisions[before:]

    def put(self, **fields: int) -> None:
        """Change fields of `Seen` without a call."""
        for name, value in fields.items():
            assert hasattr(self._seen, name), name
            setattr(self._seen, name, value)
        self._seen.changes += 1

    def see(self, moment, presence: int) -> list[Made]:
        """Go to ``moment``; there the sensor reports ``presence``."""
        return self.change(moment, presence=presence)

    def order(
        self,
        moment,
        kind: int,
        level: int = 0,
        ramp_to_ms: int = 0,
        ramp_from_ms: int = 0,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> list[Made]:
        """Go to ``moment``; there a command arrives, in force from ``start`` (None: now) to ``end`` (None: ever)."""
        command = self._seen.command
        command.kind, command.level_permille = kind, level
        command.ramp_to_ms, command.ramp_from_ms = ramp_to_ms, ramp_from_ms
        command.start_day, command.start_s = moment_of(start) if start else (UNKNOWN, 0)
        command.end_day, command.end_s = moment_of(end) if end else (UNKNOWN, 0)
        return self.change(moment, commands=self._seen.commands + 1)

    def set_clock(self, moment, utc: datetime | None) -> list[Made]:
        """Go to ``moment``; there the clock is set to ``utc``, or lost (None)."""
        moment = self.at(moment) if isinstance(moment, str) else moment
        before = len(self.decisions)
        self.run(moment - 1)
        self.t_ms = moment
        self._now.changes += 1
        if utc is None:
            self._quality = CLOCK_UNKNOWN
        else:
            self._quality = CLOCK_GOOD
            self._anchor = (moment, utc)
        self.step()
        return self.decisions[before:]

    def level(self, t_ms: int) -> int:
        """Return the level at a moment."""
        return self.controller.level_at(self.tick(t_ms))
