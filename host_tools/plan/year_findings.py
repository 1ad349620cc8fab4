"""What is odd in a year that was played, law apart: unreachable parts, gaps, light by day, hidden levels."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from firmware.control import plan_format as layout
from firmware.control.calendar_rules import Calendar
from firmware.control.civil import day_number
from firmware.control.dynamics import Dynamics
from firmware.control.inputs import Seen
from firmware.control.plan import Plan

from .encode import LampPlan, encode
from .law import Finding
from .program import clock_text
from .year_play import Lit, Span, YearPlay, has_period

# Lit by day, dark by night: what is shorter is a fade, an offset, a cloud.
DAY_LIT_MIN = timedelta(minutes=15)
GAP_MIN = timedelta(hours=1)
_BY_ASTRO = (layout.PERIOD_ASTRO_CLOCK, layout.PERIOD_ASTRO_AND_SENSOR)


def plan_findings(made: YearPlay) -> Iterator[Finding]:
    """Yield what is odd in a year that was played, law apart; lamps are left out."""
    yield from _unused(made)
    yield from _steps(made)
    yield from _carried(made)
    yield from _dynamic(made)
    yield from _gaps(made)
    yield from _by_day(made)
    yield from _eaten(made)
    yield from _changed_hours(made)
    if has_period(made.plan, (layout.PERIOD_VALUE,)):
        yield Finding(
            "note", "unplayed", (), None, "a ValueActivePeriod was played with no outside source and a photocell alone",
            "play a night of your own: plan show --events",
        )  # fmt: skip


def guard_findings(made: YearPlay, config: dict[str, Any]) -> Iterator[Finding]:
    """Yield the levels that the class guard hides, lamps left out. A derogation lets them be seen."""
    guard = config["guard_permille"]
    if config["is_derogated"]:
        return
    words, plan = made.play.words, made.plan
    hidden: dict[str, int] = {}
    for span in made.spans:
        if span.program == layout.NO_PROGRAM:
            hidden.setdefault("the default light state", plan.default_level_permille)
        elif span.is_active:
            is_astro = span.astro >= 0 and span.level_permille != span.fixed_permille
            who = words.astro(span.program, span.astro) if is_astro else words.fixed(*span.fixed)
            hidden[who] = min(span.level_permille, hidden.get(who, layout.LEVEL_MAX))
    for program, index in _controls(made, "dynamic", {span.program for span in made.spans}):
        control = plan.programs[program].dynamic[index]
        if control.kind == layout.DYNAMIC_FIXED and control.operation in (layout.EFFECT_SET, layout.EFFECT_MIN):
            hidden[words.dynamic(program, index)] = control.level_permille
    hidden["the fail-safe level"] = plan.failsafe_level_permille
    for who, level in hidden.items():
        if 0 < level < guard:
            yield Finding(
                "warning", "guard", (), None,
                f"level {level / 10:g} % of {who} lies under the guard {guard / 10:g} %: it will never be seen",
                "declare a derogation or raise it",
            )  # fmt: skip


def _unused(made: YearPlay) -> Iterator[Finding]:
    for index in sorted(_rules_without_day(made)):
        rule = made.plan.rules[index]
        yield Finding(
            "note", "rule", (), None,
            f"calendar rule {index + 1} ({made.play.words.program(rule.program)}) decides no day of {made.year}",
            "move it up if a rule above hides it, correct its dates, or remove it",
        )  # fmt: skip
    played = {span.program for span in made.spans}
    for index in range(len(made.plan.programs)):
        if index not in played:
            yield Finding(
                "note", "program", (), None,
                f"program {made.play.words.program(index)} is never in force in {made.year}",
                "correct the calendar, or remove the program",
            )  # fmt: skip


def _rules_without_day(made: YearPlay) -> set[int]:
    """Ask the core's calendar which rule decides each day: each rule is given a program of its own, some at a time."""
    plan = made.plan
    idle = set(range(len(plan.rules)))
    per_plan = layout.PROGRAMS_MAX - 1
    days = [day_number(day.year, day.month, day.day) for day in made.dates()]
    for base in range(0, len(plan.rules), per_plan):
        mine = range(base, min(base + per_plan, len(plan.rules)))
        rules = [
            replace(rule, program=index - base if index in mine else per_plan) for index, rule in enumerate(plan.rules)
        ]
        some = [replace(plan.programs[0], periods=(), astro=(), dynamic=(), fixed=plan.programs[0].fixed[:1])]
        shadow = replace(plan, programs=some * (per_plan + 1), rules=rules, default_program=layout.NO_PROGRAM)
        calendar = Calendar(Plan(encode(shadow)))
        idle -= {base + program for program in map(calendar.program_of, days) if program < per_plan}
    return idle


def _steps(made: YearPlay) -> Iterator[Finding]:
    """Find fixed and astro controls that decide nothing in the year."""
    fixed_used, fixed_seen, astro_used, astro_seen = set(), set(), set(), set()
    for span in made.spans:
        if span.program == layout.NO_PROGRAM:
            continue
        fixed_seen.add(span.fixed)
        if not span.is_active:
            continue
        is_hidden = False
        if span.astro >= 0:
            astro_seen.add((span.program, span.astro))
            if span.level_permille != span.fixed_permille:
                astro_used.add((span.program, span.astro))
            control = made.plan.programs[span.program].astro[span.astro]
            is_hidden = control.operation == layout.EFFECT_SET
        if not is_hidden:
            fixed_used.add(span.fixed)
    played = {span.program for span in made.spans}
    words = made.play.words
    for program, index in _controls(made, "fixed", played):
        if (program, index) not in fixed_used:
            why = "an astro control hides it, or it" if (program, index) in fixed_seen else "it"
            yield Finding(
                "warning", "step", (), None,
                f"{words.fixed(program, index)} never decides anything in {made.year}: "
                f"{why} lies outside every active period",
                "correct its time or the active periods, or remove it",
            )  # fmt: skip
    for program, index in _controls(made, "astro", played):
        if (program, index) not in astro_seen:
            yield Finding(
                "warning", "step", (), None,
                f"{words.astro(program, index)} never decides anything in {made.year}: "
                "it lies outside every active period",
                "correct its offset or the active periods, or remove it",
            )  # fmt: skip
        elif (program, index) not in astro_used:
            yield Finding(
                "note", "step", (), None,
                f"{words.astro(program, index)} never changes the level of the fixed control under it in {made.year}",
                "correct its level or operation, or remove it",
            )  # fmt: skip


def _controls(made: YearPlay, kind: str, played: set[int]) -> Iterator[tuple[int, int]]:
    for program, parts in enumerate(made.plan.programs):
        if program in played:
            for index in range(len(getattr(parts, kind))):
                yield program, index


def _carried(made: YearPlay) -> Iterator[Finding]:
    """Find programs whose day begins with the level of the day before's program, for want of an earlier control."""
    nights: dict[tuple[int, tuple[int, int]], list[Span]] = {}
    for span in made.spans:
        if span.is_active and span.program != layout.NO_PROGRAM and span.fixed[0] != span.program:
            nights.setdefault((span.program, span.fixed), []).append(span)
    for (program, fixed), spans in nights.items():
        begin = made.play.utc_of(spans[0].begin_ms)
        found = {made.night_of(made.play.utc_of(span.begin_ms)) for span in spans}
        yield Finding(
            "note", "carried", (), made.night_of(begin),
            f"{made.play.words.program(program)} begins its day with the level of {made.play.words.fixed(*fixed)}: its "
            f"own first control comes later{_more(found, made)}",
            f"give it a control at {'12:00' if made.plan.day_offset_h else '00:00'}, where the calendar's day begins",
        )  # fmt: skip


def _dynamic(made: YearPlay) -> Iterator[Finding]:
    """Find dynamic controls that can never act, or that change nothing whatever else is on."""
    own = Plan(encode(made.plan))
    wheres: dict[int, set[tuple[int, int]]] = {}
    for span in made.spans:
        if span.program != layout.NO_PROGRAM and span.is_active:
            wheres.setdefault(span.program, set()).add((span.level_permille, span.dynamic))
    for program, index in _controls(made, "dynamic", {span.program for span in made.spans}):
        words = made.play.words.dynamic(program, index)
        bases = [(level, mask) for level, mask in wheres.get(program, ()) if mask >> index & 1]
        if not bases:
            yield Finding(
                "warning", "dynamic", (), None, f"{words} can never act in {made.year}: outside every active period",
                "correct its period or the active periods, or remove it",
            )  # fmt: skip
        elif not any(_has_effect(own, made.plan, program, index, level, mask) for level, mask in bases):
            yield Finding(
                "warning", "dynamic", (), None,
                f"{words} has no effect in {made.year}: the level is what it asks for already, or a control above it "
                "has the last word",
                "correct its level, operation or place in the list, or remove it",
            )  # fmt: skip


def _has_effect(own: Plan, plan: LampPlan, program: int, index: int, level: int, mask: int) -> bool:
    """Tell whether a control changes the level for any set of others that may be on with it; the core applies them."""
    controls = plan.programs[program].dynamic
    mine = controls[index]
    forced = 0
    for i, other in enumerate(controls):
        # On the same channel, and held at least as long: always on when mine is.
        if i != index and mask >> i & 1 and other.channel == mine.channel and other.hold_ds >= mine.hold_ds:
            forced |= 1 << i
    for external in (0, 500, layout.LEVEL_MAX):
        dynamics = Dynamics(own)
        dynamics.choose(program)
        seen = Seen()
        seen.presence = seen.neighbours = 1
        seen.external = external
        dynamics.take(seen, 0)
        own.select(program)
        for others in range(1 << len(controls)):
            if others & ~mask or others >> index & 1 or others & forced != forced:
                continue
            if dynamics.apply(level, others | 1 << index) != dynamics.apply(level, others):
                return True
    return False


def _gaps(made: YearPlay) -> Iterator[Finding]:
    """Find nights dark for an hour and more between sunset and sunrise outside every active period.

    A declared extinction, a control with level 0 %, is no gap: there the reason is the program.
    """
    nights: dict[date, tuple[datetime, datetime]] = {}
    at = 0
    for night in made.dates():
        sun = made.nights.of(night)
        if not sun:
            continue
        while at < len(made.darks) and made.darks[at][1] <= sun[0]:
            at += 1
        for begin, end in made.darks[at : at + 8]:
            begin, end = max(begin, sun[0]), min(end, sun[1])
            if end - begin >= GAP_MIN and night not in nights:
                nights[night] = (begin, end)
    if nights:
        night, (begin, end) = next(iter(nights.items()))
        yield Finding(
            "note", "gap", (), night,
            f"dark from {_clock(begin, made)} to {_clock(end, made)} between sunset and sunrise, outside every active "
            f"period{_more(nights, made)}",
            "if that is wanted, say so with a fixed control of 0 %; else widen the active periods",
        )  # fmt: skip


def _by_day(made: YearPlay) -> Iterator[Finding]:
    """Find days with more than 15 minutes of light while the sun is up, beyond the offsets of the program in force."""
    suns = [made.nights.of(date(made.year, 1, 1) - timedelta(days=1)), *map(made.nights.of, made.dates())]
    year_begin, year_end = made.play.utc_of(made.spans[0].begin_ms), made.play.utc_of(made.spans[-1].end_ms)
    found: dict[date, tuple[timedelta, Lit]] = {}
    up = year_begin
    for sun in [*suns, (year_end, year_end)]:
        if sun is None:
            continue
        begin, end = max(up, year_begin), min(sun[0], year_end)
        up = max(up, sun[1])
        if begin >= end:
            continue
        begin += _offset(made, begin - timedelta(seconds=1), is_morning=True)
        end -= _offset(made, end, is_morning=False)
        by_night: dict[date, list[Lit]] = {}
        for lit in made.lits_in(begin, end):
            by_night.setdefault(made.night_of(lit.begin), []).append(lit)
        for night, lits in by_night.items():
            total = sum((lit.end - lit.begin for lit in lits), timedelta())
            if total > DAY_LIT_MIN and night not in found:
                found[night] = (total, lits[0])
    if found:
        night, (total, lit) = next(iter(found.items()))
        yield Finding(
            "warning", "by-day", (), night,
            f"lit by day for {total // timedelta(minutes=1)} min from {_clock(lit.begin, made)} ({lit.by})"
            f"{_more(found, made)}",
            "end the active periods with the sun, or give the program one: AstroClockActivePeriod; where no program "
            "is in force, give the lamp a calendar",
        )  # fmt: skip


def _offset(made: YearPlay, moment: datetime, *, is_morning: bool) -> timedelta:
    """Return how far into the day the program in force means to be lit, at its sunrise or before its sunset."""
    program = made.span_at(moment).program
    if program == layout.NO_PROGRAM:
        return timedelta()
    seconds = [0]
    for period in made.plan.programs[program].periods:
        if period.kind in _BY_ASTRO:
            seconds.append(period.end_s if is_morning else max(-period.start_s, period.before_sunset_min * 60))
    return timedelta(seconds=max(seconds))


def _eaten(made: YearPlay) -> Iterator[Finding]:
    """Find nights so short that the offsets of an astro clock period leave nothing of it."""
    own = Plan(encode(made.plan))
    calendar = Calendar(own)
    nights: dict[tuple[int, int], list[date]] = {}
    for night in made.dates():
        sun = made.nights.of(night)
        program = calendar.program_of(day_number(night.year, night.month, night.day))
        if not sun or program == layout.NO_PROGRAM:
            continue
        for index, period in enumerate(made.plan.programs[program].periods):
            offsets = timedelta(seconds=period.end_s - period.start_s)
            if period.kind in _BY_ASTRO and sun[1] - sun[0] + offsets <= timedelta():
                nights.setdefault((program, index), []).append(night)
    for (program, index), found in nights.items():
        yield Finding(
            "warning", "eaten", (), found[0],
            f"{made.play.words.program(program)}: the offsets leave nothing of active period {index + 1}"
            f"{_more(found, made)}",
            "make the offsets smaller, or add a second active period for short nights",
        )  # fmt: skip


def _changed_hours(made: YearPlay) -> Iterator[Finding]:
    """Find switching times of the program in force that lie in the hour that clocks skip or repeat."""
    own = Plan(encode(made.plan))
    calendar = Calendar(own)
    for night in [date(made.year, 1, 1) - timedelta(days=1), *made.dates()]:
        change = clock_change(night + timedelta(days=1), made.zone)
        if change is None or change[2].year != made.year:
            continue
        begin_s, end_s, day, is_skipped = change
        number = day_number(day.year, day.month, day.day)
        program = calendar.program_of(number if begin_s >= own.day_offset_s else number - 1)
        if program == layout.NO_PROGRAM:
            continue
        parts = made.plan.programs[program]
        times = [("fixed", control.start_s) for control in parts.fixed]
        for period in parts.periods:
            if period.kind == layout.PERIOD_ABSOLUTE:
                times += [("active period start", period.start_s), ("active period end", period.end_s)]
        for i, control in enumerate(parts.dynamic):
            if control.period:
                times += [
                    (f"dynamic {i + 1} {what}", at) for what, at in zip(("from", "to"), control.period, strict=True)
                ]
        for what, at in times:
            if begin_s <= at < end_s:
                happens = (
                    f"does not exist that night: it is carried out at {clock_text(end_s)[:5]}"
                    if is_skipped
                    else "comes twice that night: it is carried out the first time"
                )
                yield Finding(
                    "note", "clock-change", (), day - timedelta(days=1),
                    f"{made.play.words.program(program)}: {what} {clock_text(at).removesuffix(':00')} {happens}",
                    "none needed; choose a time outside that hour to have it as on other nights",
                )  # fmt: skip


def clock_change(day: date, zone: ZoneInfo) -> tuple[int, int, date, bool] | None:
    """Return the local span (s of day) that clocks skip or repeat on ``day``, the day, and whether it is skipped."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    following = midnight + timedelta(days=1)
    before, after = midnight.utcoffset(), following.utcoffset()
    if before is None or after is None or before == after:
        return None
    low, high = midnight.astimezone(UTC), following.astimezone(UTC)
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2 // timedelta(seconds=1) * timedelta(seconds=1)
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    local = (high + before).replace(tzinfo=None) - datetime(day.year, day.month, day.day)
    change = round((after - before).total_seconds())
    at = round(local.total_seconds())
    return (at, at + change, day, True) if change > 0 else (at + change, at, day, False)


def _more(nights: Collection[Any], made: YearPlay) -> str:
    return f"; so in {len(nights)} nights of {made.year}" if len(nights) > 1 else ""


def _clock(moment: datetime, made: YearPlay) -> str:
    return f"{moment.astimezone(made.zone):%H:%M}"
