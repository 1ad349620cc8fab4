"""A lamp's plan through every night of a year: what its schedule wants, when it is lit, when it is dark."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from firmware.control import plan_format as layout
from firmware.control.civil import SECONDS_PER_DAY, day_number
from firmware.control.plan import Plan
from firmware.control.schedule import Schedule
from firmware.control.sun import POLAR_DAY, POLAR_NIGHT, Sun
from firmware.control.sun_days import SunDays
from firmware.control.zone import ZoneRule

from .encode import LampPlan, encode
from .events import Event
from .play import EPOCH, WARM_UP, LampPlay, Point, night_span

# What a photocell reports by day (`firmware.control.inputs`).
PHOTOCELL_BRIGHT = 65535
_BY_SENSOR = (layout.PERIOD_SENSOR, layout.PERIOD_ASTRO_AND_SENSOR, layout.PERIOD_VALUE)


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
