"""Playing a plan: known answers from the clock on the wall, and the same decisions as the simulator's replay."""

import time
from datetime import UTC, date, datetime, timedelta

import pytest
from astral import Observer
from astral.sun import sunrise, sunset

from firmware.control.inputs import COMMAND_OVERRIDE, COMMAND_RESUME
from firmware.control.plan_format import EFFECT_MAX, PERIOD_ASTRO_CLOCK
from host_tools.plan.encode import ActivePeriod, DynamicControl, FixedTimeControl, LampPlan, Program, Rule, encode
from host_tools.plan.events import Event, Override
from host_tools.plan.play import LampPlay, night_span, play_points, start_of
from host_tools.plan.year_play import SunNights, play_year
from host_tools.plan.zones import compile_zone, zone_info
from sim.lamp_replay import replay

ZONE = zone_info("Europe/Paris")
TOULOUSE = [43_622_500, 1_463_056]
CONFIG = {
    "zone": list(compile_zone("Europe/Paris", date(2026, 1, 1))),
    "place": TOULOUSE,
    "levels": [100, 750, 1000],
    "powers": [8500, 44930, 64000],
    "standby": 500,
    "start": 1000,
}
HOUR = 3600
ROAD = Program(
    fixed=[FixedTimeControl(5 * HOUR, 1000, ramp_to_ds=300), FixedTimeControl(23 * HOUR, 200, ramp_to_ds=600)],
    periods=[ActivePeriod(PERIOD_ASTRO_CLOCK, 600, -600)],
    dynamic=[DynamicControl(EFFECT_MAX, 1000, hold_ds=450, ramp_to_ds=10, ramp_from_ds=50)],
)


def utc(text: str) -> datetime:
    """Return ``yyyy-mm-ddThh:mm[:ss]`` as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def points_of(program=ROAD, night="2026-06-21", events=(), **plan):
    """Return the points of one night."""
    first, last = night_span(date.fromisoformat(night), ZONE)
    lamp_plan = LampPlan([program], names=["road"], **plan)
    play = LampPlay(lamp_plan, CONFIG, start_of(first, events))
    return play_points(play, events, first, last)


def test_a_summer_night_follows_the_sun_and_the_clock():
    """An operator compares the table with the street: on with the sun as astral has it, the rest to the second."""
    points = points_of()
    observer = Observer(43.6225, 1.463056)
    on = sunset(observer, date(2026, 6, 21)) + timedelta(minutes=10)
    off = sunrise(observer, date(2026, 6, 22)) - timedelta(minutes=10)
    assert [(point.level_permille, point.reason) for point in points] == [
        (0, "inactive"), (1000, "program"), (200, "program"), (1000, "program"), (0, "inactive"),
    ]  # fmt: skip
    assert points[0].utc == utc("2026-06-21T10:00")
    assert abs(points[1].utc - on) < timedelta(seconds=60)
    assert points[2].utc == utc("2026-06-21T21:00")
    assert points[3].utc == utc("2026-06-22T03:00")
    assert abs(points[4].utc - off) < timedelta(seconds=60)
    assert [point.ramp_ms for point in points] == [0, 30_000, 60_000, 30_000, 0]
    assert [point.by for point in points[1:4]] == ["road: fixed 05:00", "road: fixed 23:00", "road: fixed 05:00"]


def test_until_is_the_next_decision_if_nothing_else_happens():
    """Who stands under the lamp asks how long it stays so: events that nobody knows yet are not in the answer."""
    seen = [Event(utc("2026-06-21T22:00"), "presence", 1), Event(utc("2026-06-21T22:00:20"), "presence", 0)]
    points = points_of(events=seen)
    dim, lit, back = points[2:5]
    assert dim.until == utc("2026-06-22T03:00")
    # Presence that never ended would be a stuck sensor after two hours; its light is held for 45 s more.
    assert (lit.utc, lit.until) == (seen[0].utc, utc("2026-06-22T00:00:45"))
    # 20 s of presence and 45 s held.
    assert (back.utc, back.until) == (utc("2026-06-21T22:01:05"), utc("2026-06-22T03:00"))
    assert (back.level_permille, back.ramp_ms, lit.by) == (200, 5000, "road: dynamic 1 (presence)")


def test_until_is_none_where_nothing_comes():
    """A lamp without any program burns for ever; no invented end may stand in the table."""
    points = points_of(Program([FixedTimeControl(0, 500)]), default_program=255)
    assert [(point.level_permille, point.reason, point.by, point.until) for point in points] == [
        (1000, "default", "default light state", None)
    ]


def test_the_night_of_25_hours_and_of_23():
    """A step at 02:30 comes twice on the clock in October and never in March; the lamp switches once, and says when."""
    step = Program([FixedTimeControl(0, 1000), FixedTimeControl(2 * HOUR + 1800, 300)])
    autumn = points_of(step, "2026-10-24")
    assert [point.utc for point in autumn if point.level_permille == 300][1:] == [utc("2026-10-25T00:30")]
    spring = points_of(step, "2026-03-28")
    assert [point.utc for point in spring if point.level_permille == 300][1:] == [utc("2026-03-29T01:00")]


def test_the_same_decisions_as_the_replay():
    """Plots and checks are worth nothing if they show another lamp than the one that replays a node's journal."""
    first, _ = night_span(date(2026, 6, 21), ZONE)
    start = start_of(first, ())
    edges = [(utc("2026-06-21T21:30"), 1), (utc("2026-06-21T21:31:07"), 0), (utc("2026-06-22T03:00"), 1)]
    play = LampPlay(LampPlan([ROAD]), CONFIG, start)
    made = list(play.step())
    for moment, value in edges:
        made += play.run(play.ms_of(moment) - 1)
        play.t_ms = play.ms_of(moment)
        play.take(Event(moment, "presence", value))
        made += play.step()
    end_ms = 4 * 86_400_000
    made += play.run(end_ms)
    days = (start - datetime(2000, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    record = CONFIG | {
        "lamp": 0,
        "tick0": 0,
        "plan": encode(LampPlan([ROAD])).hex(),
        "inputs": [
            [0, 1, 2, days // 86400, days % 86400, 0],
            *([play.ms_of(moment), 0, value] for moment, value in edges),
        ],
        "end_ms": end_ms,
    }
    replayed = []
    replay(record, lambda tick, level, fade, reason: replayed.append((tick, level, fade)))
    assert [(play.ms_of(point.utc), point.level_permille, point.ramp_ms) for point in made] == replayed


def test_who_names_the_program_of_the_day_before():
    """Before a program's first step the level is yesterday's: the answer must not blame today's program."""
    weekday = Program([FixedTimeControl(0, 700), FixedTimeControl(22 * HOUR, 300)])
    sunday = Program([FixedTimeControl(18 * HOUR, 900)])
    # Noon to noon: Sunday's program runs from Sunday noon; until 18:00 the level is what Saturday's ended with, 700.
    plan = LampPlan([weekday, sunday], [Rule(1, 2, weekdays=1 << 6)], names=["weekday", "sunday"])
    first, last = night_span(date(2026, 6, 21), ZONE)
    points = play_points(LampPlay(plan, CONFIG, start_of(first, ())), (), first, last)
    assert [(point.level_permille, point.by) for point in points] == [
        (700, "sunday: still weekday: fixed 00:00 of the day before"),
        (900, "sunday: fixed 18:00"),
    ]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (["unknown"], ["failsafe", "failsafe"]),
        (["unknown", "good"], ["failsafe", "program"]),
        ([utc("2026-06-22T12:00"), "held"], ["inactive", "inactive"]),
        ([utc("2026-06-22T12:00"), "good"], ["inactive", "program"]),
    ],
)
def test_clock_events(events, expected):
    """A lost or wrong clock must be playable: without one the lamp fails lit, a wrong one runs on until corrected."""
    seen = [Event(utc(f"2026-06-21T22:{10 * i:02}"), "clock", value) for i, value in enumerate(events)]
    first, _ = night_span(date(2026, 6, 21), ZONE)
    play = LampPlay(LampPlan([ROAD], names=["road"]), CONFIG, start_of(first, seen))
    found = []
    play.step()
    for event in seen:
        play.run(play.ms_of(event.utc) - 1)
        play.t_ms = play.ms_of(event.utc)
        play.take(event)
        play.step()
        found.append(play.point().reason)
    assert [*found, *found[-1:]][:2] == expected


def test_an_override_and_what_ends_it():
    """A crew orders light for an hour; it must end by itself, or when the order is taken back."""
    order = Override(COMMAND_OVERRIDE, 800, 3000, 4000, None, utc("2026-06-21T23:00"))
    points = points_of(events=[Event(utc("2026-06-21T22:00"), "override", order)])
    assert [(p.utc, p.level_permille, p.ramp_ms, p.by) for p in points[3:5]] == [
        (utc("2026-06-21T22:00"), 800, 3000, "override"),
        (utc("2026-06-21T23:00"), 200, 4000, "road: fixed 23:00"),
    ]
    taken_back = Event(utc("2026-06-21T22:10"), "override", Override(COMMAND_RESUME))
    points = points_of(events=[Event(utc("2026-06-21T22:00"), "override", order), taken_back])
    assert (points[4].utc, points[4].level_permille) == (utc("2026-06-21T22:10"), 200)


def test_all_kinds_of_events_are_taken():
    """A file from the field has all kinds in it; one that is not used yet must not stop the play."""
    values = {"presence": 1, "lux": 12, "temperature": "71.5", "neighbour": 1, "external": 400, "local": 500}
    seen = [Event(utc("2026-06-21T22:00"), kind, value) for kind, value in values.items()]
    seen += [Event(utc("2026-06-21T22:30"), kind, None) for kind in ("lux", "external", "local")]
    points = points_of(events=seen)
    assert {point.by for point in points} >= {"local", "road: dynamic 1 (presence)"}


def test_a_year_of_one_plan_is_fast_enough():
    """A town's check must not cost a coffee: 365 nights of one plan in less than five seconds."""
    began = time.perf_counter()
    made = play_year(LampPlan([ROAD], names=["road"]), CONFIG, ZONE, 2026)
    assert time.perf_counter() - began < 5
    assert len(made.points) in range(4 * 365 - 2, 4 * 365 + 4)


def test_polar_nights():
    """Tromsø has lamps too: no sunset in June, and in December one night after the other without a gap."""
    nights = SunNights([69_650_000, 18_960_000], CONFIG["zone"])
    assert nights.of(date(2026, 6, 21)) is None
    first, second = nights.of(date(2026, 12, 20)), nights.of(date(2026, 12, 21))
    assert first is not None and second is not None and first[1] == second[0]
