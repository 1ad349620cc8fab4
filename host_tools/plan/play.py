"""Play a lamp's plan through the control core itself: what it does, why, and until when. Nothing is decided here."""

import copy
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from firmware.control import limits, reasons
from firmware.control import plan_format as layout
from firmware.control.calendar_rules import Calendar
from firmware.control.civil import SECONDS_PER_DAY, day_number
from firmware.control.config import Config
from firmware.control.controller import Controller
from firmware.control.derating import UNKNOWN_DC
from firmware.control.inputs import CLOCK_GOOD, CLOCK_HELD, CLOCK_UNKNOWN, UNKNOWN, Now, Seen
from firmware.control.plan import Plan
from firmware.control.schedule import Schedule
from firmware.control.sun import POLAR_DAY, POLAR_NIGHT, Sun
from firmware.control.sun_days import SunDays
from firmware.control.ticks import TICKS_MAX, ticks_diff
from firmware.control.zone import ZoneRule

from .encode import LampPlan, encode
from .events import Event, Override
from .program import CHANNELS, EVENTS, clock_text

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
DAY_MS = 86_400_000
# The core accepts 2020 … 2199; a play begins some days before what it shows.
FIRST_DATE, LAST_DATE = date(2020, 1, 8), date(2199, 12, 24)
# Played before what is asked for, so that what holds then has begun by itself.
WARM_UP = timedelta(days=2)

# What a photocell reports by day (`firmware.control.inputs`).
PHOTOCELL_BRIGHT = 65535
_BY_SENSOR = (layout.PERIOD_SENSOR, layout.PERIOD_ASTRO_AND_SENSOR, layout.PERIOD_VALUE)

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
    reasons.BY_CLOCK: "no clock",
    reasons.BY_TEMPERATURE: "temperature",
}
_LIMITED = {
    limits.GUARD: "lifted by the class guard",
    limits.DRIVER_MINIMUM: "lifted to the driver's minimum",
    limits.THERMAL: "lowered by heat",
}
_CHANNEL_NAMES = {number: name for name, number in CHANNELS.items()}
_EVENT_NAMES = {number: name for name, number in EVENTS.items()}


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
        # What of the limits shows in the level that holds: in words, "" for nothing.
        self.limited = ""
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
            self._note_limits()
            made.append(self.point())
        if not self.controller.output.flicker.is_waiting:
            self._note_limits()
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
        """Return in words who has decided what holds now, and which limit shows in it."""
        return f"{self._decider()}, {self.limited}" if self.limited else self._decider()

    def _note_limits(self) -> None:
        """Take over what the last level that was not refused by the quiet owes to the limits."""
        found = self.controller.output.limits
        self.limited = _LIMITED.get(found.which, "")
        if not self.limited and found.is_below_guard and found.is_derogated:
            self.limited = f"below the class guard {found.guard_permille / 10:g} % by derogation"

    def _decider(self) -> str:
        controller = self.controller
        if controller.by in _BY:
            return _BY[controller.by]
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
            now.quality = CLOCK_GOOD if value == "good" else CLOCK_HELD


class PlanWords:
    """Names the controls of a plan: which program, and which of its controls, as an operator wrote them."""

    def __init__(self, plan: Plan, names: Sequence[str], zone: ZoneRule):
        self.plan = plan
        self.calendar = Calendar(plan)
        self._names = names
        self._zone = zone

    def program(self, index: int) -> str:
        """Return the id of a program."""
        return self._names[index] if index < len(self._names) else f"program {index + 1}"

    def control(self, program: int, by: int, index: int, day: int, second: int) -> str:
        """Return a control in words; ``day`` and ``second``: the node's UTC."""
        plan = self.plan
        if by == reasons.BY_FIXED:
            source, found = self.fixed_source(program, index, day, second)
            words = self.fixed(source, found)
            return words if source == program else f"{self.program(program)}: still {words} of the day before"
        plan.select(program)
        if by == reasons.BY_ASTRO:
            return self.astro(program, index)
        if by == reasons.BY_DYNAMIC:
            return self.dynamic(program, index)
        return f"{self.program(program)}: outside its active periods"

    def fixed(self, program: int, index: int) -> str:
        """Return a fixed time control in words."""
        self.plan.select(program)
        start = clock_text(self.plan.fixed_start_s(index))
        return f"{self.program(program)}: fixed {start.removesuffix(':00')}"

    def astro(self, program: int, index: int) -> str:
        """Return an astro clock time control in words."""
        self.plan.select(program)
        minutes = self.plan.astro_offset_s(index) // 60
        event = _EVENT_NAMES[self.plan.astro_event(index)]
        return f"{self.program(program)}: astro {index + 1} ({event}{f' {minutes:+} min' if minutes else ''})"

    def dynamic(self, program: int, index: int) -> str:
        """Return a dynamic control in words."""
        self.plan.select(program)
        return f"{self.program(program)}: dynamic {index + 1} ({_CHANNEL_NAMES[self.plan.dynamic_channel(index)]})"

    def fixed_source(self, program: int, index: int, day: int, second: int) -> tuple[int, int]:
        """Return the program and control that a fixed level really comes from: before the day's first, yesterday's."""
        plan = self.plan
        self._zone.at(day, second)
        in_day = second + self._zone.offset_s + self._zone.held_s - plan.day_offset_s
        calendar_day = day + in_day // SECONDS_PER_DAY
        plan.select(program)
        starts = self._starts()
        if min(starts) <= in_day % SECONDS_PER_DAY:
            return program, index
        yesterday = self.calendar.program_of(calendar_day - 1)
        if yesterday in (layout.NO_PROGRAM, program):
            return program, index
        plan.select(yesterday)
        starts = self._starts()
        return yesterday, starts.index(max(starts))

    def _starts(self) -> list[int]:
        plan = self.plan
        return [(plan.fixed_start_s(i) - plan.day_offset_s) % SECONDS_PER_DAY for i in range(plan.fixed)]


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


class SunNights:
    """The sun's nights at a place (latitude and longitude in millionths of a degree), as the control core has them."""

    def __init__(self, place: Sequence[int], zone: Sequence[int]):
        self._days = SunDays(Sun(place[0], place[1]), zone[0])
        # A year's nights at most are asked for, and each several times.
        self._nights: dict[date, tuple[datetime, datetime] | None] = {}

    def of(self, night: date) -> tuple[datetime, datetime] | None:
        """Return sunset and sunrise of the night that begins on a local day, None where the sun does not set.

        In the polar night it goes from transit to transit; where the next day has no sunrise, to the sun's lowest
        point.
        """
        if night not in self._nights:
            self._nights[night] = self._find(night)
        return self._nights[night]

    def _find(self, night: date) -> tuple[datetime, datetime] | None:
        days = self._days
        number = day_number(night.year, night.month, night.day)
        evening = days.of(number)
        if days.kind[evening] == POLAR_DAY:
            return None
        begin = days.transit_s[evening] if days.kind[evening] == POLAR_NIGHT else days.set_s[evening]
        morning = days.of(number + 1)
        end = days.rise_s[morning]
        if days.kind[morning] == POLAR_NIGHT:
            end = days.transit_s[morning]
        elif days.kind[morning] == POLAR_DAY:
            end = days.transit_s[morning] - SECONDS_PER_DAY // 2
        midnight = EPOCH + timedelta(days=number)
        return midnight + timedelta(seconds=begin), midnight + timedelta(days=1, seconds=end)


@dataclass(frozen=True)
class Lit:
    """A time span in which a lamp is lit: the level it goes to, and in words who decided it."""

    begin: datetime
    end: datetime
    level_permille: int
    by: str


@dataclass(frozen=True)
class Span:
    """What the schedule wanted from ``begin_ms`` to ``end_ms``; ``fixed``: (program, control), ``astro`` -1: none."""

    begin_ms: int
    end_ms: int
    program: int
    is_active: bool
    fixed: tuple[int, int]
    astro: int
    fixed_permille: int
    level_permille: int
    dynamic: int


@dataclass
class YearPlay:
    """One plan at one place through a year, from the noon of 1 January on."""

    plan: LampPlan
    play: LampPlay
    zone: ZoneInfo
    year: int
    nights: SunNights
    points: list[Point] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    lits: list[Lit] = field(default_factory=list)
    darks: list[tuple[datetime, datetime]] = field(default_factory=list)

    def dates(self) -> Iterator[date]:
        """Yield every night of the year by the date on which it begins."""
        day = date(self.year, 1, 1)
        while day.year == self.year:
            yield day
            day += timedelta(days=1)

    def night_of(self, moment: datetime) -> date:
        """Return the date on whose noon the night of a moment begins."""
        return (moment.astimezone(self.zone).replace(tzinfo=None) - timedelta(hours=12)).date()

    def span_at(self, moment: datetime) -> Span:
        """Return what the schedule wanted at a moment of the year."""
        at = bisect_right(self.spans, self.play.ms_of(moment), key=lambda span: span.begin_ms)
        return self.spans[max(0, at - 1)]

    def lits_in(self, begin: datetime, end: datetime) -> list[Lit]:
        """Return when the lamp is lit between two moments, cut to them."""
        at = max(0, bisect_right(self.lits, begin, key=lambda lit: lit.begin) - 1)
        found = []
        while at < len(self.lits) and self.lits[at].begin < end:
            lit = self.lits[at]
            if lit.end > begin:
                found.append(replace(lit, begin=max(lit.begin, begin), end=min(lit.end, end)))
            at += 1
        return found


def play_year(plan: LampPlan, config: dict[str, Any], zone: ZoneInfo, year: int) -> YearPlay:
    """Play a plan through every night that begins in ``year``."""
    first, _ = night_span(date(year, 1, 1), zone)
    last, _ = night_span(date(year + 1, 1, 1), zone)
    play = LampPlay(plan, config, first - WARM_UP)
    made = YearPlay(plan, play, zone, year, SunNights(config["place"], config["zone"]))
    events = _photocell(made, first, last) if has_period(plan, _BY_SENSOR) else []
    own = Plan(encode(plan))
    latitude, longitude = config["place"]
    schedule = Schedule(own, ZoneRule(config["zone"]), Sun(latitude, longitude))
    first_ms, last_ms = play.ms_of(first), play.ms_of(last)
    at = 0
    points = play.step()
    _note_span(made, schedule, own, play.t_ms)
    while True:
        coming = play.ms_of(events[at].utc) if at < len(events) else last_ms
        play.t_ms = min(play.wake_at, coming, last_ms)
        if play.t_ms >= last_ms:
            break
        if play.t_ms == coming:
            play.take(events[at])
            at += 1
        points += play.step()
        _note_span(made, schedule, own, play.t_ms)
    made.spans = _cut(made.spans, first_ms, last_ms)
    _note_light(made, points, first, last)
    return made


def _note_span(made: YearPlay, schedule: Schedule, own: Plan, t_ms: int) -> None:
    """Ask the schedule what it wants now; the span before ends where the new one begins."""
    seconds = (made.play.utc_of(t_ms) - EPOCH) // timedelta(seconds=1)
    schedule.at(seconds // 86400, seconds % 86400, made.play.seen)
    fixed = (layout.NO_PROGRAM, 0)
    level = 0
    if schedule.program != layout.NO_PROGRAM:
        fixed = made.play.words.fixed_source(schedule.program, schedule.fixed, seconds // 86400, seconds % 86400)
        own.select(fixed[0])
        level = own.fixed_level_permille(fixed[1])
    span = Span(
        t_ms, t_ms, schedule.program, schedule.is_active, fixed, schedule.astro, level, schedule.level_permille,
        schedule.dynamic,
    )  # fmt: skip
    if made.spans:
        former = made.spans[-1]
        if replace(span, begin_ms=former.begin_ms, end_ms=former.end_ms) == former:
            return
        made.spans[-1] = replace(former, end_ms=t_ms)
    made.spans.append(span)


def _cut(spans: list[Span], first_ms: int, last_ms: int) -> list[Span]:
    spans[-1] = replace(spans[-1], end_ms=last_ms)
    return [replace(span, begin_ms=max(span.begin_ms, first_ms)) for span in spans if span.end_ms > first_ms]


def _note_light(made: YearPlay, points: list[Point], first: datetime, last: datetime) -> None:
    """Work out from the decisions when the lamp is lit, and when it is dark outside every active period."""
    for point, following in zip(points, [*points[1:], None], strict=True):
        until = following.utc if following else last
        if until <= first:
            continue
        made.points.append(point)
        faded = point.utc if point.from_permille == 0 else point.utc + timedelta(milliseconds=point.ramp_ms)
        if point.level_permille > 0:
            made.lits.append(Lit(max(point.utc, first), until, point.level_permille, point.by))
        else:
            faded = min(until, faded)
            if faded > max(point.utc, first):
                made.lits.append(Lit(max(point.utc, first), faded, 0, f"{point.by}, fading out"))
            if point.reason == "inactive" and until > faded:
                made.darks.append((max(faded, first), until))


def _photocell(made: YearPlay, first: datetime, last: datetime) -> list[Event]:
    """Return what a photocell would say: bright at sunrise, dark at sunset."""
    events = []
    day = made.night_of(first) - timedelta(days=1)
    while day <= made.night_of(last):
        night = made.nights.of(day)
        if night:
            events += [Event(night[0], "lux", 0), Event(night[1], "lux", PHOTOCELL_BRIGHT)]
        day += timedelta(days=1)
    events = [event for event in events if made.play.start <= event.utc < last]
    # In the polar night one night's end is the next one's beginning: it stays dark.
    return [
        event
        for event, following in zip(events, [*events[1:], None], strict=True)
        if not (event.value and following and following.utc <= event.utc)
    ]


def has_period(plan: LampPlan, kinds: Sequence[int]) -> bool:
    """Tell whether any program of a plan has an active period of one of the kinds."""
    return any(period.kind in kinds for program in plan.programs for period in program.periods)


def _answer(points: list[Point], is_answered: bool, following: Point | None) -> None:
    if is_answered or following is None or following.utc - points[-1].utc > timedelta(days=1):
        return
    points[-1] = replace(points[-1], until=following.utc)


def _day_second(moment: datetime | None) -> tuple[int, int]:
    if moment is None:
        return UNKNOWN, 0
    seconds = (moment - EPOCH) // timedelta(seconds=1)
    return seconds // SECONDS_PER_DAY, seconds % SECONDS_PER_DAY
