"""Random plans and configurations for the fuzzer and the state machine: every part of the format, from one seed.

Host only. What comes out is plain data: `fuzz_core` builds the same lamp from it on every runtime.
"""

import random
from typing import Any

from firmware.control import plan_format as layout
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
from host_tools.plan.zones import parse_posix_rule

LEVELS = (0, 1, 100, 200, 333, 500, 700, 999, 1000)
RAMPS_DS = (0, 0, 1, 8, 20, 300, 6000, layout.RAMP_MAX_DS)
HOLDS_DS = (0, 1, 50, 200, 600, 6000, 65535)
# POSIX rule, latitude and longitude: both hemispheres, a half-hour change, the date line, beyond the polar circle.
PLACES = (
    ("CET-1CEST,M3.5.0,M10.5.0/3", 48_856_600, 2_352_200),
    ("CET-1CEST,M3.5.0,M10.5.0/3", 43_622_500, 1_463_056),
    ("IST-1GMT0,M10.5.0,M3.5.0/1", 53_349_800, -6_260_300),
    ("<-04>4<-03>,M9.1.6/24,M4.1.6/24", -33_448_900, -70_669_300),
    ("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", -31_553_000, 159_082_000),
    ("<+04>-4", -20_882_300, 55_450_400),
    ("<+14>-14", 1_872_100, -157_427_800),
    ("CET-1CEST,M3.5.0,M10.5.0/3", 69_649_200, 18_955_300),
)
UTC_RULE = [0] * 10
NEIGHBOURS = ((21, -1), (22, 1), (23, -2), (24, 2))
METER_LIMITS = (100, 1000, 4000, 50000, 14000, 80000, 300, 850, 1500, 2070, 2530, 1000, 5, 600)


def random_plan(rng: random.Random, is_simple: bool = False) -> LampPlan:
    """Return any plan the format can carry. ``is_simple``: no sun, short ramps, for an oracle that fits a page."""
    programs = [random_program(rng, is_simple) for _ in range(rng.choice((1, 1, 2, 3, 5)))]
    rules = [
        Rule(rng.randrange(len(programs)), layout.CONDITION_DAY, weekdays=rng.randrange(128))
        if is_simple or rng.random() < 0.5
        else _rule(rng, len(programs))
        for _ in range(rng.choice((0, 1, 3)))
    ]
    return LampPlan(
        programs,
        rules,
        rng.choice((0, 0, len(programs) - 1, layout.NO_PROGRAM)),
        rng.choice((0, 12)),
        rng.choice(LEVELS),
        rng.choice(RAMPS_DS),
        rng.choice((1, 300, 1000)),
    )


def random_program(rng: random.Random, is_simple: bool = False) -> Program:
    """Return any program."""
    count = rng.choice((1, 1, 2, 3, 5, 8, layout.FIXED_MAX))
    starts = sorted(rng.sample(range(0, 86400, rng.choice((1, 60, 900))), count))
    if rng.random() < 0.2:
        starts[0] = 0
    ramps = (0, 1, 20) if is_simple else RAMPS_DS
    return Program(
        [FixedTimeControl(start, rng.choice(LEVELS), rng.choice(ramps), rng.choice(ramps)) for start in starts],
        [_period(rng, is_simple) for _ in range(rng.choice((0, 0, 1, 1, 2, layout.PERIODS_MAX)))],
        [] if is_simple else [_astro(rng) for _ in range(rng.choice((0, 0, 1, 2, layout.ASTRO_MAX)))],
        [_dynamic(rng, ramps) for _ in range(rng.choice((0, 1, 1, 2, layout.DYNAMIC_MAX)))],
    )


def _period(rng: random.Random, is_simple: bool) -> ActivePeriod:
    kinds = (layout.PERIOD_ABSOLUTE, layout.PERIOD_SENSOR, layout.PERIOD_VALUE)
    kind = rng.choice(kinds) if is_simple else rng.randrange(layout.PERIOD_VALUE + 1)
    start, end = rng.randrange(86400), rng.randrange(86400)
    if kind in (layout.PERIOD_ASTRO_CLOCK, layout.PERIOD_ASTRO_AND_SENSOR):
        offsets = (0, 0, -600, 600, -3600, 7200, -layout.ASTRO_OFFSET_MAX_S, layout.ASTRO_OFFSET_MAX_S)
        start, end = rng.choice(offsets), rng.choice(offsets)
    on_level = rng.choice((0, 1, 20, 500))
    return ActivePeriod(
        kind, start, end, rng.randrange(layout.CHANNELS), on_level, on_level + rng.choice((0, 20)),
        rng.choice((0, 30, layout.PHOTOCELL_MAX_MIN)), rng.choice((0, 30, layout.PHOTOCELL_MAX_MIN)), rng.randrange(6),
    )  # fmt: skip


def _astro(rng: random.Random) -> AstroTimeControl:
    return AstroTimeControl(
        rng.choice((0, 600, -600, 3600, -layout.ASTRO_OFFSET_MAX_S, layout.ASTRO_OFFSET_MAX_S)),
        rng.randrange(2), rng.randrange(6), rng.choice(LEVELS), rng.choice(RAMPS_DS), rng.choice(RAMPS_DS),
    )  # fmt: skip


def _dynamic(rng: random.Random, ramps) -> DynamicControl:
    channel = rng.choice((layout.CHANNEL_PRESENCE, layout.CHANNEL_PRESENCE, *range(layout.CHANNELS)))
    kind = layout.DYNAMIC_EXTERNAL if channel == layout.CHANNEL_EXTERNAL else layout.DYNAMIC_FIXED
    period = None if rng.random() < 0.6 else (rng.randrange(86400), rng.randrange(86400))
    return DynamicControl(
        rng.randrange(6), rng.choice(LEVELS), rng.choice(HOLDS_DS), rng.choice(ramps), rng.choice(ramps),
        channel, kind, period,
    )  # fmt: skip


def _rule(rng: random.Random, programs: int) -> Rule:
    start = (0, rng.randrange(1, 13), rng.randrange(1, 29)) if rng.random() < 0.3 else None
    end = (rng.choice((0, 2040)), rng.randrange(1, 13), rng.randrange(1, 29)) if rng.random() < 0.3 else None
    dates = [
        (rng.randrange(13), rng.randrange(1, 32), rng.randrange(1, 13), rng.randrange(1, 32))
        for _ in range(rng.randrange(1, 4))
    ]
    condition = rng.randrange(3)
    return Rule(
        rng.randrange(programs), condition, dates if condition == layout.CONDITION_DATE else (), rng.randrange(128),
        rng.randrange(64), start, end,
    )  # fmt: skip


def random_options(rng: random.Random, is_simple: bool = False) -> dict[str, Any]:
    """Return what differs from `Config`'s defaults."""
    options: dict[str, Any] = {
        "guard_permille": rng.choice((0, 0, 100, 450)),
        "is_derogated": rng.random() < 0.3,
        "driver_minimum_permille": rng.choice((1, 1, 100)),
        "is_feeder_switched": rng.random() < 0.2,
        "has_photocell": not is_simple and rng.random() < 0.4,
        "dim_permille": rng.choice((0, 0, 200)),
        "rises_per_day": rng.choice((300, 300, 300, 1, 5)),
    }
    if rng.random() < 0.5:
        options["own_id"] = 20
        options["neighbours"] = NEIGHBOURS[: rng.choice((1, 2, 4))]
        options["reach"] = rng.choice((1, 2))
        options["hop_limit"] = rng.choice((1, 2, 5))
        options["is_light_ahead"] = rng.random() < 0.5
    if rng.random() < 0.3:
        options["volume_one_per_h"] = 60
        options["volume_two_per_h"] = rng.choice((0, 20))
    if rng.random() < 0.4:
        options["derating"] = (600, 800, 300, 850, 50, 100, rng.choice((950, 32767)))
    if rng.random() < 0.3:
        options["relay"] = (rng.choice((0, 5000)), rng.choice((0, 30000)), rng.choice((0, 60000)))
    if rng.random() < 0.3:
        options["meter_limits"] = METER_LIMITS
    if rng.random() < 0.4:
        options["baselines"] = (82800, 18000, 500, 82800, 18000)
    if rng.random() < 0.3:
        options["flux_hours"] = (0, 10, 50000)
        options["flux_needs_permille"] = (800, 850, 1000)
    return options


def lamp(number: int, seed: str = "core") -> dict[str, Any]:
    """Return lamp ``number`` as `fuzz_core` takes it: JSON, complete, the same for the same seed."""
    rng = random.Random(f"{seed}/{number}")
    rule, latitude, longitude = rng.choice(PLACES)
    return {
        "number": number,
        "seed": rng.randrange(1, 30000),
        "plan": encode(random_plan(rng)).hex(),
        "zone": list(parse_posix_rule(rule)),
        "place": [latitude, longitude],
        "day": rng.randrange(8000, 72000),
        "second": rng.randrange(86400),
        "tick0": rng.randrange(2**30),
        "start": rng.choice((0, 537, 1000, 1000)),
        # How calm the place is: the pause between two inputs is this many times longer.
        "calm": rng.choice((1, 2, 4, 8)),
        "options": random_options(rng),
    }
