"""Play a lamp's plan through the control core itself: what it does, why, and until when. Nothing is decided here."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from firmware.control import failsafe, limits, reasons
from firmware.control.civil import SECONDS_PER_DAY
from firmware.control.config import Config
from firmware.control.controller import Controller
from firmware.control.derating import UNKNOWN_DC
from firmware.control.inputs import CLOCK_DOUBTED, CLOCK_GOOD, CLOCK_HELD, CLOCK_UNKNOWN, UNKNOWN, Now, Seen
from firmware.control.plan import Plan
from firmware.control.ticks import TICKS_MAX, ticks_diff
from firmware.control.zone import ZoneRule

from .encode import LampPlan, encode
from .events import Event, Override
from .plan_words import PlanWords

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
DAY_MS = 86_400_000
# The core accepts 2020 … 2199; a play begins some days before what it shows.
FIRST_DATE, LAST_DATE = date(2020, 1, 8), date(2199, 12, 24)
# Played before what is asked for, so that what holds then has begun by itself.
WARM_UP = timedelta(days=2)

REASONS = {
    reasons.DEFAULT: "default",
    reasons.OVERRIDE: "override",
    reasons.SENSOR: "sensor",
    reasons.PROGRAM: "program",
    reasons.INACTIVE: "inactive",
    reasons.FAILSAFE: "failsafe",
    reasons.PROTECTION: "protection",
}
_BY = {
    reasons.BY_DEFAULT: "default light state",
    reasons.BY_OVERRIDE: "override",
    reasons.BY_LOCAL: "local",
    reasons.BY_EMERGENCY: "emergency",
    reasons.BY_SERVICE: "service",
    reasons.BY_TEMPERATURE: "temperature",
}
_LIMITED = {
    limits.GUARD: "lifted by the class guard",
    limits.DRIVER_MINIMUM: "lifted to the driver's minimum",
    limits.THERMAL: "lowered by heat",
    reasons.ONE_CLASS_DOWN: "one lighting class down for little traffic",
    reasons.TWO_CLASSES_DOWN: "two lighting classes down for little traffic",
    reasons.RISES_USED_UP: "kept: the day's rises are used up",
}
# What decides in place of a clock (`failsafe`).
_NO_CLOCK = {
    failsafe.LIT_BY_DEFAULT: "lit, for nothing tells the time",
    failsafe.LIT_BY_POWER: "lit while the feeder gives power",
    failsafe.LIT_BY_CELL: "the photocell says dark",
    failsafe.LIT_BY_CLOCK: "the stale clock says night",
    failsafe.OFF_BY_CELL: "the photocell says bright",
    failsafe.OFF_BY_CLOCK: "the stale clock says day",
    failsafe.DIMMED_LATE: "dimmed, for it is late as far as the feeder has taught",
}


@dataclass(frozen=True)
class Point:
    """A decision: from ``utc`` on to ``level_permille`` within ``ramp_ms``; ``by`` says in words who decided.

    ``until``: the next decision if nothing else happens, None where none comes within 24 h.
    """

    utc: datetime
    from_permille: int
    level_permille: int
    ramp_ms: int
    reason: str
    by: str
    until: datetime | None = None

    def level_at(self, utc: datetime) -> int:
        """Return the level in permille at a moment not before the decision, on the core's straight line."""
        elapsed = (utc - self.utc) // timedelta(milliseconds=1)
        if elapsed >= self.ramp_ms:
            return self.level_permille
        return self.from_permille + (self.level_permille - self.from_permille) * elapsed // self.ramp_ms


class LampPlay:
    """One lamp under ``plan`` from ``start`` (UTC) on, with a good clock. ``config`` is `Site.lamp_config`'s.

    ``t_ms`` counts from the start. At one moment inputs come before deadlines, as in `sim.lamp_replay`.
    """

    def __init__(self, plan: LampPlan, config: dict[str, Any], start: datetime, seen: Seen | None = None):
        data = encode(plan)
        latitude, longitude = config["place"]
        self.start = start
        self.t_ms = 0
        self.since_ms = 0
        self.plan = Plan(data)
        self.seen = seen or Seen()
        core = Config(
            config["zone"],
            latitude,
            longitude,
            config["levels"],
            config["powers"],
            config["standby"],
            config["start"],
        )
        for name, value in config.get("config", {}).items():
            setattr(core, name, value)
        self.controller = Controller(core, self.plan)
        self.words = PlanWords(Plan(data), plan.names, ZoneRule(config["zone"]))
        self._start_ms = (start - EPOCH) // timedelta(milliseconds=1)
        self._ahead_ms = 0
        self._since_tick = 0
        self.now = Now()
        self.now.changes = 1
        self.now.quality = CLOCK_GOOD

    def step(self) -> list[Point]:
        """Call the controller at ``t_ms``, as its contract says; return the decisions it made."""
        now = self.now
        now.ticks_ms = self.tick
        ms = self._start_ms + self.t_ms + self._ahead_ms
        now.day, now.second, now.ms = ms // DAY_MS, ms % DAY_MS // 1000, ms % 1000
        made = []
        while self.controller.step(now, self.seen):
            made.append(self.point())
        if self.controller.since_ms != self._since_tick:
            self._since_tick = self.controller.since_ms
            self.since_ms = self.t_ms - ticks_diff(now.ticks_ms, self._since_tick)
        return made

    @property
    def tick(self) -> int:
        """Return the tick of ``t_ms``."""
        return self.t_ms & int(TICKS_MAX)

    @property
    def wake_at(self) -> int:
        """Return when, in ms since the start, the controller wants to be called."""
        return self.t_ms + int(ticks_diff(self.controller.wake_ms, self.tick))

    def run(self, until_ms: int) -> list[Point]:
        """Go on to ``until_ms`` by the deadlines up to there; return the decisions on the way."""
        made = []
        while self.wake_at <= until_ms:
            self.t_ms = max(self.t_ms, self.wake_at)
            made += self.step()
        self.t_ms = max(self.t_ms, until_ms)
        return made

    def next_decision(self) -> Point | None:
        """Return the decision that comes if nothing else happens, None where none comes within 24 h; nothing moves."""
        other = copy.deepcopy(self)
        while other.wake_at <= self.t_ms + DAY_MS:
            other.t_ms = max(other.t_ms, other.wake_at)
            made = other.step()
            if made:
                return made[0]
        return None

    def ms_of(self, utc: datetime) -> int:
        """Return a moment in ms since the start."""
        return (utc - self.start) // timedelta(milliseconds=1)

    def utc_of(self, t_ms: int) -> datetime:
        """Return what a right clock shows ``t_ms`` after the start."""
        return self.start + timedelta(milliseconds=t_ms)

    def point(self) -> Point:
        """Return the controller's last decision."""
        controller = self.controller
        decided_ms = self.t_ms - ticks_diff(self.tick, controller.decided_ms)
        return Point(
            self.utc_of(decided_ms),
            controller.from_permille,
            controller.level_permille,
            controller.fade_ms,
            REASONS.get(controller.reason, "none"),
            self.who(),
        )

    def who(self) -> str:
        """Return in words who has decided what holds now, and what made the level another one than he asks for."""
        words = [self._decider(), _LIMITED.get(self.controller.limit, "")]
        found = self.controller.output.limits
        if found.is_derogated and 0 < self.controller.level_permille < found.guard_permille:
            words.append(f"below the class guard {found.guard_permille / 10:g} % by derogation")
        return ", ".join(filter(None, words))

    def _decider(self) -> str:
        controller = self.controller
        if controller.by in _BY:
            return _BY[controller.by]
        if controller.by == reasons.BY_CLOCK:
            return f"no clock, {_NO_CLOCK[controller.by_index]}"
        ms = self._start_ms + self.t_ms + self._ahead_ms
        return self.words.control(
            self.plan.selected, controller.by, controller.by_index, ms // DAY_MS, ms % DAY_MS // 1000
        )

    def take(self, event: Event) -> None:
        """Let an event reach what the controller sees; the next ``step()`` tells it."""
        seen, value = self.seen, event.value
        if event.kind == "clock":
            self._take_clock(value)
            return
        seen.changes += 1
        if event.kind == "temperature":
            seen.temperature_dc = UNKNOWN_DC if value is None else round(float(str(value)) * 10)
            return
        if event.kind == "override":
            assert isinstance(value, Override)
            command = seen.command
            command.kind = value.kind
            command.level_permille = value.level_permille
            command.ramp_to_ms, command.ramp_from_ms = value.ramp_to_ms, value.ramp_from_ms
            command.start_day, command.start_s = _day_second(value.start)
            command.end_day, command.end_s = _day_second(value.expiration)
            seen.commands += 1
            return
        number = UNKNOWN if value is None else value
        field = {"neighbour": "neighbours", "local": "local_permille"}.get(event.kind, event.kind)
        setattr(seen, field, number)

    def _take_clock(self, value: object) -> None:
        now = self.now
        now.changes += 1
        if isinstance(value, datetime):
            self._ahead_ms = self.ms_of(value) - self.t_ms
            now.quality = CLOCK_GOOD
        elif value == "unknown":
            now.quality = CLOCK_UNKNOWN
        else:
            # A clock that is held runs on from what it shows; one that showed nothing has come back right.
            if value == "good" or now.quality == CLOCK_UNKNOWN:
                self._ahead_ms = 0
            now.quality = {"good": CLOCK_GOOD, "doubted": CLOCK_DOUBTED}.get(str(value), CLOCK_HELD)


def play_points(play: LampPlay, events: Sequence[Event], first: datetime, last: datetime) -> list[Point]:
    """Return the decisions from ``first`` up to before ``last``, each with its ``until``.

    The first point is the state found at ``first``, inputs and deadlines of that moment included. ``events`` are in
    order and not before the play's start.
    """
    first_ms, last_ms = play.ms_of(first), play.ms_of(last)
    at = run_to(play, events, first_ms)
    level = play.controller.level_at(play.tick)
    found = play.point()
    left_ms = max(0, found.ramp_ms - (first - found.utc) // timedelta(milliseconds=1))
    points = [replace(found, utc=first, from_permille=level, ramp_ms=left_ms, by=play.who())]
    # Whether the last point already has its `until`: it is what would have come without the inputs after it.
    is_answered = False
    for event in [*events[at:], None]:
        ms = last_ms if event is None else play.ms_of(event.utc)
        if ms > last_ms:
            continue
        for made in play.run(ms - 1):
            _answer(points, is_answered, made)
            points.append(made)
            is_answered = False
        if not is_answered:
            _answer(points, False, play.next_decision())
            is_answered = True
        if event is not None and ms < last_ms:
            play.t_ms = ms
            play.take(event)
            for made in play.step():
                _answer(points, is_answered, made)
                points.append(made)
                is_answered = False
    return points


def run_to(play: LampPlay, events: Sequence[Event], until_ms: int) -> int:
    """Play on to ``until_ms`` with the events up to there, and return how many those are."""
    play.step()
    for at, event in enumerate(events):
        ms = play.ms_of(event.utc)
        if ms > until_ms:
            play.run(until_ms)
            return at
        play.run(ms - 1)
        play.t_ms = ms
        play.take(event)
        play.step()
    play.run(until_ms)
    return len(events)


def start_of(first: datetime, events: Sequence[Event]) -> datetime:
    """Return when to begin a play that shows ``first`` and knows all events."""
    return min([first, *(event.utc for event in events[:1])]) - WARM_UP


def night_span(night: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the UTC span of the night that begins on ``night``: from local noon to local noon."""
    noon = time(12)
    return (
        datetime.combine(night, noon, zone).astimezone(UTC),
        datetime.combine(night + timedelta(days=1), noon, zone).astimezone(UTC),
    )


def _answer(points: list[Point], is_answered: bool, following: Point | None) -> None:
    if is_answered or following is None or following.utc - points[-1].utc > timedelta(days=1):
        return
    points[-1] = replace(points[-1], until=following.utc)


def _day_second(moment: datetime | None) -> tuple[int, int]:
    if moment is None:
        return UNKNOWN, 0
    seconds = (moment - EPOCH) // timedelta(seconds=1)
    return seconds // SECONDS_PER_DAY, seconds % SECONDS_PER_DAY
