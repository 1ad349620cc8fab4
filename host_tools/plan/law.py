"""Judge played nights by dated rules of law, which are data: `law/*.yaml` says what, for whom and since when."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from firmware.control import plan_format as layout
from firmware.control.plan import Plan

from . import units
from .encode import encode
from .play import night_span
from .problems import Problem, problems_of
from .program import Strict, clock_text
from .site import Lamp
from .yaml_text import TextError, read_yaml
from .year_play import Lit, YearPlay

LAW_FOLDER = Path(__file__).parent / "law"
ARRETE_2018 = LAW_FOLDER / "arrete-2018-12-27.yaml"


# A remedy must be one: only where a site's file takes the hours of an activity is a person told to write them.
_DECLARE = (
    "declare it for the lamp: activity: {end: 20:00, start: 07:00}"
    if "activity" in Lamp.model_fields
    else "judge it yourself: a site's file does not take the hours of an activity yet"
)


class LawError(ValueError):
    """A file of law that cannot be read."""

    def __init__(self, file: Path, problems: list[Problem]):
        super().__init__(f"{file}: " + "; ".join(map(str, problems)))
        self.file = file
        self.problems = problems


def _day(text: Any) -> Any:
    if text == "none":
        return None
    try:
        return date.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{text!r} is not a date: write it like 2021-01-01, or none") from error


Day = Annotated[date, BeforeValidator(_day)]


class OnAgain(Strict):
    """In the morning not before ``time``, or ``beforeActivity`` before the activity starts if that is sooner."""

    time: units.TimeOfDayS
    beforeActivity: units.DurationMs


class Category(Strict):
    """The times of one category. Without ``offBy``, ``offAfterActivity`` and ``onNotBefore`` nothing is prescribed."""

    article: str
    says: str
    onNotBefore: Literal["sunset"] | None = None
    offBy: units.TimeOfDayS | None = None
    offAfterActivity: units.DurationMs | None = None
    whichever: Literal["earlier", "later"] | None = None
    onAgain: OnAgain | None = None
    mayBeDerogated: Literal["yes", "no"] = "no"

    @model_validator(mode="after")
    def _both(self) -> "Category":
        both = self.offBy is not None and self.offAfterActivity is not None
        if both != (self.whichever is not None):
            raise ValueError("whichever (earlier or later) belongs to offBy together with offAfterActivity")
        return self

    @property
    def is_free(self) -> bool:
        """Return whether nothing is prescribed."""
        return self.onNotBefore is None and self.offBy is None and self.offAfterActivity is None


class Law(Strict):
    """A file of law. ``validTo`` None: until it is changed."""

    title: str
    number: str
    amendedBy: str
    sources: list[str] = Field(min_length=1)
    validFrom: Day
    validTo: Annotated[date | None, BeforeValidator(_day)]
    zones: list[str] = Field(min_length=1)
    tolerance: units.DurationMs
    presence: str
    derogation: str
    categories: dict[str, Category]
    notCovered: list[str]

    def is_valid(self, night: date) -> bool:
        """Return whether a night that begins on this date is judged."""
        return self.validFrom <= night and (self.validTo is None or night <= self.validTo)


@dataclass(frozen=True)
class Activity:
    """When an activity ends and starts, or a park closes and opens, in s of the local day; None: not declared."""

    end_s: int | None = None
    start_s: int | None = None


@dataclass(frozen=True)
class Finding:
    """Something to look at, or to correct before a plan is pushed.

    ``lamps``: whom it concerns (none: the site's file); ``night``: the first, None where it is about the year.
    """

    severity: str
    kind: str
    lamps: tuple[str, ...]
    night: date | None
    what: str
    remedy: str


@dataclass(frozen=True)
class Forbidden:
    """A time span in which a lamp may not be lit, with the rule in words."""

    begin: datetime
    end: datetime
    rule: str


@dataclass(frozen=True)
class Breach:
    """The first night that breaks a rule; ``nights`` counts them; ``at``: the first moment that is judged guilty."""

    night: date
    nights: int
    at: datetime
    lit: Lit
    rule: str


def load_law(file: Path = ARRETE_2018) -> Law:
    """Return a file of law. Raises `LawError`."""
    try:
        return Law.model_validate(read_yaml(file))
    except (OSError, TextError) as error:
        raise LawError(file, [Problem("", str(error))]) from error
    except ValidationError as error:
        raise LawError(file, problems_of(error)) from error


def unknown_of(category: Category, activity: Activity) -> list[str]:
    """Return in words what cannot be judged, because the activity's hours are not declared."""
    missing = []
    if category.offAfterActivity is not None and activity.end_s is None:
        hours = f"{category.offAfterActivity / 3_600_000:g} h"
        missing.append(f"whether it is off {hours} after the activity or closing (its end is not declared)")
    if category.onAgain is not None and activity.start_s is None and activity.end_s is not None:
        missing.append("whether it may be on again before 07:00 (the start of the activity is not declared)")
    return missing


def forbidden_spans(
    law: Law,
    category: Category,
    activity: Activity,
    night: date,
    zone: ZoneInfo,
    sunset: datetime | None,
) -> list[Forbidden]:
    """Return when a lamp may not be lit in the night from local noon of ``night``; ``sunset`` None: the sun stays up.

    The law's tolerance is already in it.
    """
    noon = _local(night, 12 * 3600, zone)
    end = _local(night + timedelta(days=1), 12 * 3600, zone)
    slack = timedelta(milliseconds=law.tolerance)
    spans = []
    if category.onNotBefore is not None:
        spans.append(Forbidden(noon, (sunset or end) - slack, "not before sunset"))
    limit = _limit(category, activity, night, zone)
    if limit is not None:
        until = end
        if category.onAgain is not None:
            again = category.onAgain.time
            if activity.start_s is not None:
                again = min(again, activity.start_s - category.onAgain.beforeActivity // 1000)
            until = _local(night + timedelta(days=1), again, zone)
        moment, rule = limit
        spans.append(Forbidden(moment + slack, until, rule))
    return [span for span in spans if span.begin < span.end]


def judge(
    law: Law,
    category: Category,
    activity: Activity,
    nights: Iterable[tuple[date, datetime | None, Sequence[Lit]]],
    zone: ZoneInfo,
) -> list[Breach]:
    """Return one breach for each rule that is broken. ``nights``: date, sunset, and when the lamp is lit.

    A night outside the law's dates is not judged.
    """
    found: dict[str, Breach] = {}
    for night, sunset, lits in nights:
        if not law.is_valid(night):
            continue
        for span in forbidden_spans(law, category, activity, night, zone, sunset):
            for lit in lits:
                # From the first forbidden moment on: a lamp that is lit at 01:01:00 is guilty, one dark by then is not.
                if lit.begin < span.end and lit.end > span.begin:
                    first = found.get(span.rule)
                    found[span.rule] = (
                        Breach(first.night, first.nights + 1, first.at, first.lit, first.rule)
                        if first
                        else Breach(night, 1, max(lit.begin, span.begin), lit, span.rule)
                    )
                    break
    return list(found.values())


def activity_of(lamp: Any) -> Activity:
    """Return the hours of the activity that a lamp belongs to, as far as the site declares them."""
    declared = getattr(lamp, "activity", None)
    return Activity(getattr(declared, "end", None), getattr(declared, "start", None))


def law_findings(law: Law, name: str, activity: Activity, made: YearPlay) -> Iterator[Finding]:
    """Yield what the law says about a category of lamps in a year that was played; lamps are left out."""
    if name in law.notCovered:
        yield Finding(
            "note", "law", (), None,
            f"category {name}: {law.number} as kept here has no times for it, none were judged",
            "look up its rules yourself",
        )  # fmt: skip
        return
    category = law.categories.get(name)
    if category is None:
        yield Finding(
            "error", "law", (), None, f"category {name} is not known to {law.number}",
            f"write one of {', '.join([*law.categories, *law.notCovered])}",
        )  # fmt: skip
        return
    if category.is_free:
        return
    if not any(law.is_valid(night) for night in made.dates()):
        yield Finding(
            "note", "law", (), None,
            f"{law.number} as kept here is valid from {law.validFrom} to {law.validTo or 'now'}: "
            f"{made.year} was not judged",
            "check another year",
        )  # fmt: skip
        return
    for text in unknown_of(category, activity):
        yield Finding(
            "note", "law", (), None, f"category {name} ({category.article}): cannot check {text}",
            _DECLARE,
        )  # fmt: skip
    for breach in judge(law, category, activity, _judged_nights(made), made.zone):
        yield _breach_finding(law, name, category, breach, made)
    yield from _presence_notes(law, name, category, made)


def _judged_nights(made: YearPlay) -> Iterator[tuple[date, datetime | None, list[Lit]]]:
    for night in made.dates():
        sun = made.nights.of(night)
        yield night, sun[0] if sun else None, made.lits_in(*night_span(night, made.zone))


def _breach_finding(law: Law, name: str, category: Category, breach: Breach, made: YearPlay) -> Finding:
    local = breach.at.astimezone(made.zone)
    level = f"{breach.lit.level_permille / 10:g} % by " if breach.lit.level_permille else ""
    nights = f"; so in {breach.nights} nights of {made.year}" if breach.nights > 1 else ""
    derogation = f"; {law.derogation}" if category.mayBeDerogated == "yes" else ""
    return Finding(
        "error",
        "law",
        (),
        breach.night,
        f"{name} lit at {local:%H:%M:%S} ({level}{breach.lit.by}); "
        f"{law.number}, {category.article}: {breach.rule}{nights}",
        f"the law: {category.says}{derogation}. Change the program, or correct the lamp's category",
    )


def _presence_notes(law: Law, name: str, category: Category, made: YearPlay) -> Iterator[Finding]:
    """Say where presence may light a lamp in an active period: whether the law's adaptation holds is for people."""
    own = Plan(encode(made.plan))
    told = set()
    for span in made.spans:
        if span.program == layout.NO_PROGRAM or not span.is_active or span.level_permille or span.program in told:
            continue
        own.select(span.program)
        for i in range(own.dynamic):
            if span.dynamic >> i & 1 and span.program not in told:
                told.add(span.program)
                yield Finding(
                    "note", "law", (), made.night_of(made.play.utc_of(span.begin_ms)),
                    f"{made.play.words.dynamic(span.program, i)} may light this {name} where the program keeps it "
                    f"dark; {category.article}: {law.presence}",
                    "make sure that presence detection and natural light control it together",
                )  # fmt: skip


def _limit(category: Category, activity: Activity, night: date, zone: ZoneInfo) -> tuple[datetime, str] | None:
    """Return by when a lamp must be off, and the rule in words; None where nothing says so, or it cannot be known."""
    fixed = None
    if category.offBy is not None:
        text = clock_text(category.offBy).removesuffix(":00")
        fixed = (_evening(night, category.offBy, zone), f"off by {text}")
    if category.offAfterActivity is None:
        return fixed
    if activity.end_s is None:
        # Whichever is later may be later still: then nothing can be said.
        return fixed if category.whichever == "earlier" else None
    delay = timedelta(milliseconds=category.offAfterActivity)
    hours = f"{category.offAfterActivity / 3_600_000:g} h"
    end = clock_text(activity.end_s).removesuffix(":00")
    after = (_evening(night, activity.end_s, zone) + delay, f"off by {hours} after the end at {end}")
    if fixed is None:
        return after
    return min(fixed, after) if category.whichever == "earlier" else max(fixed, after)


def _evening(night: date, second: int, zone: ZoneInfo) -> datetime:
    """Return a local time of day within the night, which goes from noon to noon."""
    return _local(night if second >= 12 * 3600 else night + timedelta(days=1), second, zone)


def _local(day: date, second: int, zone: ZoneInfo) -> datetime:
    """Return a local time of a day in UTC; of a time that comes twice the first. Below 0 it lies in the day before."""
    day += timedelta(days=second // 86400)
    second %= 86400
    clock = time(second // 3600, second // 60 % 60, second % 60)
    return datetime.combine(day, clock, zone).astimezone(UTC)
