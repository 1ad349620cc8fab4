"""Generated lamp-nights, as `sim/lamp_replay.py` takes them: odd zones and places, bad clocks, storms of presence.

Everything comes from one seed. ``KINDS`` are dealt in turn, so that a hundred nights have a few of each.
"""

import random
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

from firmware.control import plan_format as layout
from firmware.control.inputs import CLOCK_DOUBTED, CLOCK_GOOD, CLOCK_HELD, CLOCK_UNKNOWN
from host_tools.plan.encode import (
    ActivePeriod,
    AstroTimeControl,
    DynamicControl,
    FixedTimeControl,
    LampPlan,
    Program,
    Rule,
    encode,
)
from host_tools.plan.zones import compile_zone, zone_info

DAY_MS = 86_400_000
TICKS = 2**30
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)

# Zones with every form of rule, each at a place that keeps it: north and south, half and three-quarter hours, +14 h,
# changes of half an hour and of two, winter time as "daylight", changes at midnight, at 24:00 and before it, the far
# edge of a wide zone.
PLACES = (
    ("Europe/Paris", 48_856_600, 2_352_200),
    ("Europe/Paris", 43_622_500, 1_463_056),
    ("Europe/Dublin", 53_349_800, -6_260_300),
    ("Europe/Lisbon", 38_722_300, -9_139_300),
    ("Indian/Reunion", -20_882_300, 55_450_400),
    ("America/Cayenne", 4_922_700, -52_326_900),
    ("Australia/Lord_Howe", -31_553_000, 159_082_000),
    ("Pacific/Kiritimati", 1_872_100, -157_427_800),
    ("Pacific/Chatham", -43_951_000, -176_561_000),
    ("Pacific/Apia", -13_833_300, -171_766_600),
    ("Pacific/Pago_Pago", -14_275_600, -170_702_000),
    ("Africa/Cairo", 30_044_400, 31_235_700),
    ("Asia/Jerusalem", 31_778_000, 35_235_000),
    ("Asia/Kathmandu", 27_717_200, 85_324_000),
    ("Asia/Shanghai", 39_470_400, 75_989_800),
    ("America/Santiago", -33_448_900, -70_669_300),
    ("America/St_Johns", 47_561_500, -52_712_600),
    ("America/Havana", 23_113_600, -82_366_600),
    ("America/Nuuk", 64_183_500, -51_721_600),
    ("Atlantic/Azores", 37_741_200, -25_675_600),
)
POLAR_PLACES = (
    ("Europe/Oslo", 69_649_200, 18_955_300),
    ("Arctic/Longyearbyen", 78_223_200, 15_626_700),
    ("America/Nuuk", 72_786_800, -56_149_200),
    ("Antarctica/Troll", -72_011_100, 2_535_000),
    ("Europe/Helsinki", 67_000_000, 26_000_000),
)
KINDS = (
    "plain",
    "clocks go forward",
    "clocks go back",
    "polar",
    "polar season turns",
    "ring wraps",
    "clock set late",
    "clock steps",
    "clock lost",
    "storm",
    "zero pulses",
    "long fades",
    "commands",
    "neighbours and light",
    "calendars",
)
_RAMPS_DS = (0, 0, 1, 8, 20, 300, 6000, layout.RAMP_MAX_DS)
_HOLDS_DS = (0, 1, 50, 200, 600, 6000, 65535)
_LEVELS = (0, 1, 100, 200, 333, 400, 700, 999, 1000)


@cache
def zone_changes(name: str, first_year: int, last_year: int) -> tuple[datetime, ...]:
    """Return every moment (UTC, to the second) at which a zone's offset changes, as the standard library has it."""
    zone = zone_info(name)

    def offset(moment: datetime) -> timedelta | None:
        return moment.astimezone(zone).utcoffset()

    found = []
    low = datetime(first_year, 1, 1, tzinfo=UTC)
    end = datetime(last_year + 1, 1, 1, tzinfo=UTC)
    while low < end:
        high = low + timedelta(days=1)
        if offset(low) != offset(high):
            before, after = low, high
            while after - before > timedelta(seconds=1):
                middle = before + (after - before) // 2
                middle = middle.replace(microsecond=0)
                if offset(middle) == offset(before):
                    before = middle
                else:
                    after = middle
            found.append(after)
        low = high
    return tuple(found)


def random_program(rng: random.Random, fade_long: bool = False) -> Program:
    """Return any program the format can carry, with the values where something turns over well represented."""
    ramps = (6000, layout.RAMP_MAX_DS) if fade_long else _RAMPS_DS
    count = rng.choice((1, 1, 2, 2, 3, 5, 8, layout.FIXED_MAX))
    starts = sorted(rng.sample(range(0, 86400, rng.choice((1, 60, 900))), count))
    if rng.random() < 0.2:
        starts[0] = 0
    return Program(
        [FixedTimeControl(start, rng.choice(_LEVELS), rng.choice(ramps), rng.choice(ramps)) for start in starts],
        [_random_period(rng) for _ in range(rng.choice((0, 1, 1, 1, 2, layout.PERIODS_MAX)))],
        [_random_astro(rng, ramps) for _ in range(rng.choice((0, 0, 1, 2, 4)))],
        [_random_dynamic(rng, ramps) for _ in range(rng.choice((0, 1, 1, 1, 2, layout.DYNAMIC_MAX)))],
    )


def _random_period(rng: random.Random) -> ActivePeriod:
    offsets = (0, 0, -600, 600, -3600, 7200, -layout.ASTRO_OFFSET_MAX_S, layout.ASTRO_OFFSET_MAX_S)
    kind = rng.choice((0, 0, 1, 1, 1, 2, 3, 4))
    if kind == layout.PERIOD_ABSOLUTE:
        start = rng.randrange(86400)
        return ActivePeriod(kind, start, start if rng.random() < 0.1 else rng.randrange(86400))
    on_level = rng.choice((0, 1, 10, 35))
    if kind == layout.PERIOD_VALUE:
        channel = rng.choice((layout.CHANNEL_LUX, layout.CHANNEL_EXTERNAL))
        return ActivePeriod(kind, channel=channel, on_level=on_level, off_level=on_level, operator=rng.randrange(6))
    return ActivePeriod(
        kind,
        rng.choice(offsets) if kind != layout.PERIOD_SENSOR else 0,
        rng.choice(offsets) if kind != layout.PERIOD_SENSOR else 0,
        on_level=on_level,
        off_level=on_level + rng.choice((0, 20)),
        before_sunset_min=rng.choice((0, 30, layout.PHOTOCELL_MAX_MIN)),
        before_sunrise_min=rng.choice((0, 30, layout.PHOTOCELL_MAX_MIN)),
    )


def _random_astro(rng: random.Random, ramps: tuple[int, ...]) -> AstroTimeControl:
    return AstroTimeControl(
        rng.choice((0, -1800, 3600, 14_400)),
        rng.randrange(2),
        rng.randrange(6),
        rng.choice(_LEVELS),
        rng.choice(ramps),
        rng.choice(ramps),
    )


def _random_dynamic(rng: random.Random, ramps: tuple[int, ...]) -> DynamicControl:
    channel = rng.choice((layout.CHANNEL_PRESENCE,) * 3 + (layout.CHANNEL_NEIGHBOURS, layout.CHANNEL_EXTERNAL))
    is_external = channel == layout.CHANNEL_EXTERNAL and rng.random() < 0.5
    return DynamicControl(
        rng.randrange(6),
        rng.choice(_LEVELS),
        rng.choice(_HOLDS_DS),
        rng.choice(ramps),
        rng.choice(ramps),
        channel,
        layout.DYNAMIC_EXTERNAL if is_external else layout.DYNAMIC_FIXED,
        None if rng.random() < 0.6 else (rng.randrange(86400), rng.randrange(86400)),
    )


def _random_rule(rng: random.Random, programs: int) -> Rule:
    start, end = sorted((rng.randrange(1, 13), rng.randrange(1, 29)) for _ in range(2))
    if rng.random() < 0.3:
        start, end = end, start
    between = {"start": (0, *start), "end": (0, *end)} if rng.random() < 0.5 else {}
    program = rng.randrange(programs)
    kind = rng.randrange(3)
    if kind == layout.CONDITION_DATE:
        return Rule(program, kind, dates=[(0, 1, 0, 15), (12, 24, 12, 26)], **between)
    if kind == layout.CONDITION_DAY:
        return Rule(program, kind, weekdays=rng.randrange(128), occurrences=rng.choice((0, 1, 32, 63)), **between)
    return Rule(program, **between)


def random_plan(rng: random.Random, kind: str) -> LampPlan:
    """Return a plan with one program every day, or with several and a calendar over them."""
    programs = [random_program(rng, kind == "long fades") for _ in range(3 if kind == "calendars" else 1)]
    rules = [_random_rule(rng, len(programs)) for _ in range(rng.randrange(1, 6))] if kind == "calendars" else []
    return LampPlan(
        programs,
        rules,
        default_program=rng.choice((0, layout.NO_PROGRAM)) if rules else 0,
        day_offset_h=rng.choice((0, 12, 12)),
        default_level_permille=rng.choice(_LEVELS),
        default_ramp_ds=rng.choice(_RAMPS_DS),
        failsafe_level_permille=rng.choice((1, 400, 1000, 1000)),
    )


def lamp_nights(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Return ``count`` records; the same seed gives the same records."""
    return [lamp_night(number, random.Random(f"{seed}/{number}")) for number in range(count)]


def lamp_night(number: int, rng: random.Random, kind: str = "") -> dict[str, Any]:
    """Return one record of a kind (by number, if none is named); ``kind`` and ``zone_name`` stand in it for people."""
    kind = kind or KINDS[number % len(KINDS)]
    zone, latitude, longitude = rng.choice(POLAR_PLACES if kind.startswith("polar") else PLACES)
    # From 2028 on: Cuba keeps summer time by decree until 2027.
    year = rng.randrange(2028, 2061)
    start = datetime(year, 1, 1, rng.randrange(24), rng.randrange(60), tzinfo=UTC) + timedelta(days=rng.randrange(365))
    if kind.startswith("clocks"):
        start, zone, latitude, longitude = _night_of_change(rng, year, kind == "clocks go back")
    elif kind == "polar":
        start = start.replace(month=rng.choice((6, 12)), day=rng.randrange(1, 29))
    elif kind == "polar season turns":
        start = start.replace(month=rng.choice((1, 5, 7, 11)), day=rng.randrange(1, 29))
    end_ms = rng.choice((14, 18, 24, 30)) * 3_600_000
    if kind == "ring wraps":
        tick0 = TICKS - rng.randrange(1, end_ms)
    else:
        tick0 = rng.randrange(TICKS)
    entries = _clock_inputs(rng, kind, start, end_ms) + _presence_inputs(rng, kind, end_ms)
    if kind == "commands":
        entries += _command_inputs(rng, start, end_ms)
    elif kind == "neighbours and light":
        entries += _other_inputs(rng, end_ms)
    inputs = sorted(entries, key=lambda entry: entry[0])
    knots = rng.randrange(1, 17)
    levels = [*sorted(rng.sample(range(1, 1000), knots - 1)), 1000]
    powers = sorted(rng.randrange(1_000, layout.LEVEL_MAX * 200) for _ in levels)
    return {
        "lamp": number,
        "kind": kind,
        "zone_name": zone,
        "tick0": tick0,
        "zone": list(compile_zone(zone, date(year, 1, 1))),
        "place": [latitude, longitude],
        "levels": levels,
        "powers": powers,
        "standby": rng.randrange(0, 1000),
        "start": rng.choice((0, 1000, 1000, 537)),
        "plan": encode(random_plan(rng, kind)).hex(),
        "config": _random_config(rng, kind),
        "inputs": inputs,
        "end_ms": end_ms,
    }


def clock_entry(t_ms: int, quality: int, utc: datetime) -> list[int]:
    """Return the input "the clock says ``utc``" at ``t_ms``."""
    ms = (utc - EPOCH) // timedelta(milliseconds=1)
    return [t_ms, 1, quality, ms // DAY_MS, ms % DAY_MS // 1000, ms % 1000]


def _night_of_change(rng: random.Random, year: int, is_back: bool) -> tuple[datetime, str, int, int]:
    """Return a start a few hours before a zone's clocks go back (or forward), with that zone and its place."""
    while True:
        name, latitude, longitude = rng.choice(PLACES)
        zone = zone_info(name)
        for moment in zone_changes(name, year, year):
            before = (moment - timedelta(seconds=1)).astimezone(zone).utcoffset()
            after = moment.astimezone(zone).utcoffset()
            if before is not None and after is not None and (after < before) == is_back:
                return moment - timedelta(minutes=rng.randrange(10, 660)), name, latitude, longitude


def _clock_inputs(rng: random.Random, kind: str, start: datetime, end_ms: int) -> list[list[int]]:
    start += timedelta(milliseconds=rng.choice((0, 0, rng.randrange(1000))))
    first_ms = 0
    if kind == "clock set late":
        first_ms = rng.choice((1, 40_000, rng.randrange(end_ms)))
    entries = [clock_entry(first_ms, rng.choice((CLOCK_GOOD, CLOCK_HELD)), start + timedelta(milliseconds=first_ms))]
    if kind == "clock set late" and rng.random() < 0.5:
        # A clock that was never set says so by its date.
        entries.insert(0, clock_entry(0, CLOCK_GOOD, datetime(2000, 1, 1, tzinfo=UTC)))
    moments = sorted(rng.randrange(first_ms + 1, end_ms) for _ in range(rng.randrange(1, 12)))
    error = timedelta(0)
    for t_ms in moments:
        right = start + timedelta(milliseconds=t_ms)
        if kind == "clock steps":
            error = timedelta(milliseconds=rng.choice((-1, 1, -2_500, 900, 3_600_000, -7_200_000, 200 * DAY_MS, 0)))
            entries.append(clock_entry(t_ms, CLOCK_GOOD, right + error))
        elif kind == "clock lost":
            entries.append(clock_entry(t_ms, rng.choice((CLOCK_UNKNOWN, CLOCK_HELD, CLOCK_GOOD, CLOCK_DOUBTED)), right))
        elif rng.random() < 0.3:
            # Quality changes alone, the time goes on: nothing may come of it.
            entries.append(clock_entry(t_ms, rng.choice((CLOCK_HELD, CLOCK_GOOD)), right))
    return entries


def _command_inputs(rng: random.Random, start: datetime, end_ms: int) -> list[list[int]]:
    """Return override commands of all kinds, with and without start and end."""
    entries = []
    for _ in range(rng.randrange(1, 12)):
        t_ms = rng.randrange(end_ms)
        times = []
        for is_there in (rng.random() < 0.4, rng.random() < 0.6):
            utc = start + timedelta(milliseconds=t_ms + rng.randrange(-600_000, 20_000_000))
            entry = clock_entry(0, 0, utc)
            times += [entry[3], entry[4]] if is_there else [-1, 0]
        kind = rng.choice((0, 0, 0, 1, 2, 3))
        entries.append([t_ms, 6, kind, rng.choice(_LEVELS), rng.choice((0, 800)), rng.choice((0, 30_000)), *times])
    return entries


def _other_inputs(rng: random.Random, end_ms: int) -> list[list[int]]:
    """Return what light sensors, outside sources, neighbours, switches, meters and thermometers say."""
    entries = []
    for _ in range(rng.randrange(10, 120)):
        t_ms = rng.randrange(end_ms)
        entries.append(
            rng.choice(
                (
                    [t_ms, 2, rng.choice((-1, 0, 9, 30, 36, 60, 20_000))],
                    [t_ms, 3, rng.choice((-1, 0, 300, 1000))],
                    [t_ms, 4, rng.randrange(2)],
                    [t_ms, 5, rng.choice((-1, -1, 0, 700))],
                    [t_ms, 7, rng.choice((2, 3, 9)), rng.choice((1, 2, 3, 4)), rng.randrange(256), rng.randrange(4), 1],
                    [t_ms, 8, rng.choice((-1, 0, 500, 30_000)), rng.choice((-1, 0, 2300)), 100, 900],
                    [t_ms, 9, rng.choice((-32768, 250, 720, 810, 960, 1010))],
                )
            )
        )
    return entries


def _random_config(rng: random.Random, kind: str) -> dict[str, Any]:
    """Return what some lamps have beside, under the names of `Config`."""
    if kind != "neighbours and light" and rng.random() < 0.7:
        return {}
    return {
        "own_id": 1,
        "neighbours": [[2, -1], [3, 1], [4, 2]],
        "reach": rng.randrange(1, 3),
        "is_light_ahead": rng.random() < 0.5,
        "volume_one_per_h": rng.choice((0, 60)),
        "volume_two_per_h": 0,
        "rises_per_day": rng.choice((3, 300)),
        "guard_permille": rng.choice((0, 300)),
        "is_derogated": rng.random() < 0.3,
        "driver_minimum_permille": rng.choice((1, 100)),
        "derating": rng.choice((None, [700, 850, 300, 950, 50])),
        "relay": rng.choice((None, [60_000, 30_000, 10_000])),
        "has_photocell": rng.random() < 0.5,
        "is_feeder_switched": rng.random() < 0.5,
        "meter_limits": rng.choice(
            (None, [100, 1000, 4480, 48_000, 12_600, 83_000, 300, 500, 1000, 2070, 2530, 1000, 5, 900])
        ),
        "baselines": rng.choice((None, [82_800, 18_000, 500, 82_800, 18_000])),
    }


def _presence_inputs(rng: random.Random, kind: str, end_ms: int) -> list[list[int]]:
    entries = []
    t_ms = rng.choice((0, rng.randrange(3_600_000)))
    for _ in range(rng.choice((0, 20, 60, 150))):
        length = rng.choice((0, 1, 200, 4_000, 30_000, 600_000))
        if kind == "zero pulses" and rng.random() < 0.7:
            length = 0
        entries += [[t_ms, 0, 1], [t_ms + length, 0, 0]]
        t_ms += length + rng.choice((0, 1, 1_000, 20_000, rng.randrange(1, 3_600_000)))
    if kind == "storm":
        for _ in range(3):
            t_ms = rng.randrange(end_ms)
            entries = [entry for entry in entries if entry[0] < t_ms]
            for number in range(rng.randrange(20, 160)):
                entries.append([t_ms, 0, (number + 1) & 1])
                t_ms += rng.choice((1, 3, 7, 40, 300, 2_000, 7_000))
            entries.append([t_ms, 0, 0])
    return [entry for entry in entries if entry[0] < end_ms]
