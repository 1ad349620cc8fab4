"""Where TALQ is silent: each reading of docs/talq-readings.md, with its example, played through the control core.

The numbers are those of the document; nothing here is worked out by the core's own schedule.
"""

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from firmware.control.inputs import COMMAND_OVERRIDE, COMMAND_RESUME
from firmware.control.plan_format import (
    CHANNEL_EXTERNAL,
    CHANNEL_LUX,
    CONDITION_DAY,
    EFFECT_ADD,
    EFFECT_MAX,
    EFFECT_MIN,
    EFFECT_MUL,
    EFFECT_SET,
    EVENT_SUNRISE,
    EVENT_SUNSET,
    NO_PROGRAM,
    PERIOD_ABSOLUTE,
    PERIOD_ASTRO_AND_SENSOR,
    PERIOD_ASTRO_CLOCK,
    PERIOD_SENSOR,
    PERIOD_VALUE,
    VALUE_GT,
)
from host_tools.plan.encode import (
    ActivePeriod,
    AstroTimeControl,
    DynamicControl,
    FixedTimeControl,
    LampPlan,
    Program,
    Rule,
)
from host_tools.plan.events import Event, Override
from host_tools.plan.play import LampPlay, play_points, start_of
from host_tools.plan.zones import compile_zone, zone_info

DOCUMENT = Path(__file__).parents[2] / "docs" / "talq-readings.md"
EQUATOR, TROMSO = (0, 0), (69_650_000, 18_960_000)
HOUR = 3600
ALWAYS = [FixedTimeControl(0, 400)]


class Made(NamedTuple):
    """A decision: local clock, level in percent, TALQ's reason or ours, ramp in s."""

    clock: str
    level: int
    reason: str
    ramp_s: float


def fixed(*controls, ramp_to_ds=0, ramp_from_ds=0):
    """Return fixed time controls from ("23:00", percent)."""
    return [
        FixedTimeControl(int(clock[:2]) * HOUR + int(clock[3:]) * 60, level * 10, ramp_to_ds, ramp_from_ds)
        for clock, level in controls
    ]


def seconds(clock: str) -> int:
    """Return hh:mm in s."""
    return int(clock[:2]) * HOUR + int(clock[3:]) * 60


def night(plan, day="2026-01-10", events=(), zone="Etc/UTC", place=EQUATOR, days=1):
    """Play from noon (UTC) of ``day`` on; ``events``: ("22:00", kind, value) in local time, or with a datetime.

    Returns the decisions; the first is the state found at noon.
    """
    if isinstance(plan, Program):
        plan = LampPlan([plan], default_ramp_ds=20)
    zone_rules = zone_info(zone)
    first = datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=zone_rules).astimezone(UTC)
    config = {
        "zone": list(compile_zone(zone, date(2026, 1, 1))), "place": list(place), "levels": [1000], "powers": [64000],
        "standby": 500, "start": 1000,
    }  # fmt: skip
    seen = [Event(moment(first, clock), kind, value) for clock, kind, value in events]
    points = play_points(LampPlay(plan, config, start_of(first, seen)), seen, first, first + timedelta(days=days))
    return [
        Made(
            point.utc.astimezone(zone_rules).strftime("%H:%M:%S").removesuffix(":00"),
            point.level_permille // 10,
            point.reason,
            point.ramp_ms / 1000,
        )
        for point in points
    ]


def moment(first: datetime, clock: str) -> datetime:
    """Return the next ``hh:mm[:ss]`` after the noon ``first``, in UTC."""
    parts = [int(part) for part in clock.split(":")]
    at = parts[0] * HOUR + parts[1] * 60 + (parts[2] if len(parts) > 2 else 0)
    return first + timedelta(seconds=(at - 12 * HOUR) % 86400)


def levels(made: list[Made]) -> list[tuple[str, int]]:
    """Return clock and level of each decision."""
    return [(one.clock, one.level) for one in made]


def test_astro_controls_lie_over_fixed_ones_to_the_next_and_over_midnight():
    """R1. Dimmed by the sun and by the clock: the last astro control begun lasts to the next, over midnight."""
    program = Program(
        fixed(("20:00", 50), ("23:00", 30)),
        astro=[
            AstroTimeControl(2 * HOUR, EVENT_SUNSET, EFFECT_MAX, 400),
            AstroTimeControl(0, EVENT_SUNRISE, EFFECT_SET, 100),
        ],
    )
    made = night(program)
    # At the equator the sun sets about 18:10 and rises about 6:04 on 10 January (almanac).
    assert [one.level for one in made] == [10, 50, 40, 10]
    assert "20:08" < made[1].clock < "20:13" and made[2].clock == "23:00" and "06:02" < made[3].clock < "06:06"


def test_an_astro_control_counts_whoever_was_in_force_when_it_began():
    """R1. The schedule is a state: this morning's sunrise counts for the program that comes into force at noon."""
    plain = Program(fixed(("12:00", 40)))
    astro = Program(fixed(("12:00", 40)), astro=[AstroTimeControl(0, EVENT_SUNRISE, EFFECT_SET, 600)])
    plan = LampPlan([plain, astro], [Rule(1, start=(2026, 1, 11), end=(2026, 1, 11))])
    assert levels(night(plan, "2026-01-11")) == [("12:00", 60)]


def test_a_polar_event_of_the_sun_is_passed_over():
    """R2. Tromsø in June has no sunset: an astro control on it does not begin, the fixed level holds."""
    program = Program(fixed(("00:00", 50)), astro=[AstroTimeControl(0, EVENT_SUNSET, EFFECT_SET, 900)])
    assert levels(night(program, "2026-06-21", place=TROMSO)) == [("12:00", 50)]
    assert levels(night(program, "2026-03-20", place=TROMSO)) == [("12:00", 90)]


def test_dynamic_controls_are_applied_from_the_last_to_the_first():
    """R3. Two wishes at once: the list's first has the last word."""
    set_70 = DynamicControl(EFFECT_SET, 700)
    add_20 = DynamicControl(EFFECT_ADD, 200)
    seen = [("22:00", "presence", 1)]
    assert levels(night(Program(ALWAYS, dynamic=[add_20, set_70]), events=seen))[1] == ("22:00", 90)
    assert levels(night(Program(ALWAYS, dynamic=[set_70, add_20]), events=seen))[1] == ("22:00", 70)


def test_a_dynamic_control_that_changes_nothing_has_no_say_in_the_reason():
    """R4. Presence under a lamp at 100 % changes nothing: the reason stays program, and no decision is logged."""
    program = Program(fixed(("00:00", 100), ("23:00", 40)), dynamic=[DynamicControl(EFFECT_MAX, 800)])
    assert night(program, events=[("22:00", "presence", 1)]) == [
        Made("12:00", 100, "program", 0), Made("23:00", 80, "sensor", 0), Made("00:00", 100, "program", 0),
    ]  # fmt: skip


def test_before_the_first_fixed_control_yesterdays_last_one_holds():
    """R5. Sunday's program begins at 18:00: from noon to then the level is what Saturday ended with."""
    weekday, sunday = Program(fixed(("06:00", 70), ("22:00", 30))), Program(fixed(("18:00", 90)))
    plan = LampPlan([weekday, sunday], [Rule(1, CONDITION_DAY, weekdays=1 << 6)])
    # 11 January 2026 is a Sunday; Saturday's last control, noon to noon, is that of 06:00.
    assert levels(night(plan, "2026-01-11")) == [("12:00", 70), ("18:00", 90)]
    # No program the day before: the program's own last.
    alone = LampPlan([sunday], [Rule(0, CONDITION_DAY, weekdays=1 << 6)], default_program=NO_PROGRAM)
    assert levels(night(alone, "2026-01-11"))[0] == ("12:00", 90)


def test_a_calendar_day_goes_from_noon_to_noon():
    """R6. With dayOffset 12 the feast of 14 July lasts the whole night of the 14th; with 0 it ends at midnight."""
    programs = [Program(fixed(("00:00", 40), ("12:00", 40))), Program(fixed(("00:00", 90), ("12:00", 90)))]
    feast = [Rule(1, start=(2026, 7, 14), end=(2026, 7, 14))]
    noon = LampPlan(programs, feast, day_offset_h=12)
    assert levels(night(noon, "2026-07-14", days=2)) == [("12:00", 90), ("12:00", 40)]
    midnight = LampPlan(programs, feast, day_offset_h=0)
    assert levels(night(midnight, "2026-07-14")) == [("12:00", 90), ("00:00", 40)]


def test_what_lies_in_the_skipped_hour_is_carried_out_after_it():
    """R7. 29 March 2026, 02:00 to 03:00 does not exist: at 03:00 the state of 03:00 holds, 02:30 included."""
    program = Program(fixed(("01:00", 60), ("02:30", 20)))
    assert levels(night(program, "2026-03-28", zone="Europe/Paris")) == [
        ("12:00", 20), ("01:00", 60), ("03:00", 20),
    ]  # fmt: skip


def test_what_lies_in_the_repeated_hour_is_carried_out_once():
    """R8. 25 October 2026, 02:00 to 03:00 comes twice: the first time counts, then the schedule's clock waits."""
    program = Program(
        fixed(("01:00", 60), ("02:30", 20), ("03:00", 50)),
        dynamic=[DynamicControl(EFFECT_MAX, 900, period=(2 * HOUR + 1800, 3 * HOUR))],
    )
    zone = zone_info("Europe/Paris")
    first = datetime(2026, 10, 24, 12, tzinfo=zone).astimezone(UTC)
    plan = LampPlan([program])
    config = {
        "zone": list(compile_zone("Europe/Paris", date(2026, 1, 1))), "place": [0, 0], "levels": [1000],
        "powers": [64000], "standby": 500, "start": 1000,
    }  # fmt: skip
    points = play_points(LampPlay(plan, config, start_of(first, ())), (), first, first + timedelta(hours=25))
    assert [(point.utc.strftime("%H:%M"), point.level_permille) for point in points[1:]] == [
        ("23:00", 600), ("00:30", 200), ("02:00", 500),
    ]  # fmt: skip
    # In the repeated hour it is 02:59:59 for the schedule: the dynamic period is open the whole hour.
    seen = [Event(datetime(2026, 10, 25, 1, 0, 1, tzinfo=UTC), "presence", 1)]
    points = play_points(LampPlay(plan, config, start_of(first, seen)), seen, first, first + timedelta(hours=25))
    assert [(point.utc.strftime("%H:%M:%S"), point.level_permille) for point in points[3:]] == [
        ("01:00:01", 900), ("02:00:00", 500),
    ]  # fmt: skip


def test_a_multiplication_takes_percent_as_a_factor():
    """R9. Mul 50 % halves: 80 % becomes 40 %, and nothing is brighter than 100 % or darker than 0 %."""
    seen = [("22:00", "presence", 1)]
    half = Program(fixed(("00:00", 80)), dynamic=[DynamicControl(EFFECT_MUL, 500)])
    assert levels(night(half, events=seen))[1] == ("22:00", 40)
    more = Program(fixed(("00:00", 80)), dynamic=[DynamicControl(EFFECT_ADD, 500)])
    assert levels(night(more, events=seen))[1] == ("22:00", 100)


def test_presence_that_is_there_already_counts_when_a_period_begins():
    """R10. Somebody stands under the lamp at 23:00: the dynamic control's period begins, and so does its light."""
    program = Program(ALWAYS, dynamic=[DynamicControl(EFFECT_MAX, 1000, period=(seconds("23:00"), seconds("05:00")))])
    made = night(program, events=[("22:30", "presence", 1), ("23:10", "presence", 0)])
    assert made[1:] == [Made("23:00", 100, "sensor", 0), Made("23:10", 40, "program", 0)]


def test_a_hold_time_ends_with_its_period():
    """R11. The hold time does not keep a control on beyond its period, nor beyond its program."""
    held = DynamicControl(EFFECT_MAX, 1000, hold_ds=6000, period=(seconds("23:00"), seconds("05:00")))
    seen = [("04:50", "presence", 1), ("04:55", "presence", 0)]
    assert levels(night(Program(ALWAYS, dynamic=[held]), events=seen))[1:] == [("04:50", 100), ("05:00", 40)]
    seen = [("22:50", "presence", 1), ("22:55", "presence", 0)]
    assert levels(night(Program(ALWAYS, dynamic=[held]), events=seen))[1:] == [("23:00", 100), ("23:05", 40)]
    # At noon another program with the same control begins: the first one's hold is over.
    free = DynamicControl(EFFECT_MAX, 1000, hold_ds=6000)
    programs = [Program(ALWAYS, dynamic=[free]), Program(ALWAYS, dynamic=[free])]
    plan = LampPlan(programs, [Rule(1, start=(2026, 1, 11), end=(2026, 1, 11))])
    seen = [("11:55", "presence", 1), ("11:56", "presence", 0)]
    assert levels(night(plan, events=seen, days=2))[1:] == [("11:55", 100), ("12:00", 40)]


def test_a_range_without_a_year_goes_over_new_year():
    """R12. --11-15 to --02-15 is winter: December and January lie in it, June does not."""
    plan = LampPlan(
        [Program(fixed(("12:00", 40))), Program(fixed(("12:00", 90)))], [Rule(1, start=(0, 11, 15), end=(0, 2, 15))]
    )
    expected = {"2026-11-14": 40, "2026-11-15": 90, "2026-12-31": 90, "2027-02-15": 90, "2027-02-16": 40}
    assert {day: night(plan, day)[0].level for day in expected} == expected


ORDER = Override(COMMAND_OVERRIDE, 800)


def order(**changes) -> Override:
    """Return an override of 80 % with other fields; times in UTC of 10 January 2026 and after."""
    return Override(COMMAND_OVERRIDE, **({"level_permille": 800} | changes))


def at(text: str) -> datetime:
    """Return ``dd hh:mm`` of January 2026."""
    return datetime(2026, 1, int(text[:2]), int(text[3:5]), int(text[6:8]), tzinfo=UTC)


def test_an_override_that_starts_later_removes_the_former_at_once():
    """R13. The last command wins, even while it waits: until it starts, the program rules."""
    seen = [("20:00", "override", order()), ("21:00", "override", order(level_permille=600, start=at("10 22:00")))]
    assert night(Program(ALWAYS), events=seen)[1:] == [
        Made("20:00", 80, "override", 0), Made("21:00", 40, "program", 0), Made("22:00", 60, "override", 0),
    ]  # fmt: skip


def test_without_expiration_an_override_lasts_until_it_is_resumed():
    """R14. No end means no end: days later it is still there; an override without target command ends it."""
    made = night(Program(ALWAYS), events=[("20:00", "override", order())], days=6)
    assert levels(made)[1:] == [("20:00", 80)]
    seen = [("20:00", "override", order()), ("21:00", "override", Override(COMMAND_RESUME))]
    assert levels(night(Program(ALWAYS), events=seen))[1:] == [("20:00", 80), ("21:00", 40)]


def test_an_override_with_an_end_but_without_a_clock_lasts_twelve_hours():
    """R15. A lamp that lost its clock cannot know when 21:00 is: it trusts the command for twelve hours of ticks."""
    seen = [("12:30", "clock", "unknown"), ("20:00", "override", order(expiration=at("10 21:00")))]
    assert night(Program(ALWAYS), events=seen)[1:] == [
        Made("12:30", 100, "failsafe", 2), Made("20:00", 80, "override", 0), Made("08:00", 100, "failsafe", 0),
    ]  # fmt: skip
    # Where the clock is lost while it lasts, the twelve hours count from the loss.
    assert levels(night(Program(ALWAYS), events=[*seen[1:], ("20:30", "clock", "unknown")]))[1:] == [
        ("20:00", 80), ("08:30", 100),
    ]  # fmt: skip
    # One that starts later waits for the clock.
    seen[1] = ("20:00", "override", order(start=at("10 21:00")))
    assert len(night(Program(ALWAYS), events=seen)) == 2


def test_no_night_is_off_and_the_polar_night_is_always_active():
    """R16. Tromsø: in June the sun does not set, the lamp is off; in December it does not rise, the lamp burns."""
    program = Program(ALWAYS, [ActivePeriod(PERIOD_ASTRO_CLOCK, 0, 0)])
    assert night(program, "2026-06-21", place=TROMSO) == [Made("12:00", 0, "inactive", 0)]
    assert night(program, "2026-12-21", place=TROMSO, days=2) == [Made("12:00", 40, "program", 0)]


@pytest.mark.parametrize(
    "period",
    [
        ActivePeriod(PERIOD_SENSOR, on_level=20, off_level=35),
        ActivePeriod(PERIOD_VALUE, channel=CHANNEL_LUX, on_level=10, off_level=10, operator=VALUE_GT),
    ],
)
def test_a_sensor_that_has_not_spoken_means_light(period):
    """R17. The lamp fails lit: a photocell that never said anything says dark, a missing value makes active."""
    assert night(Program(ALWAYS, [period])) == [Made("12:00", 40, "program", 0)]


def test_a_source_that_asks_for_nothing_makes_nothing_active():
    """R17. An on-call lamp whose source is silent must not burn by day: asking for nothing is asking for 0 %."""
    period = ActivePeriod(PERIOD_VALUE, channel=CHANNEL_EXTERNAL, on_level=400, off_level=400, operator=VALUE_GT)
    assert night(Program(ALWAYS, [period])) == [Made("12:00", 0, "inactive", 0)]


def test_a_silent_photocell_beside_the_astro_clock():
    """R17. With both, the photocell's minutes are used: lit from 60 min before sunset, as if it were dark."""
    period = ActivePeriod(PERIOD_ASTRO_AND_SENSOR, on_level=20, off_level=35, before_sunset_min=60)
    early, plain = night(Program(ALWAYS, [period]))[1], night(Program(ALWAYS, [ActivePeriod(PERIOD_ASTRO_CLOCK)]))[1]
    assert seconds(plain.clock[:5]) - seconds(early.clock[:5]) == 3600


def test_an_extinction_is_the_program_and_outside_is_inactive():
    """R18. 0 % by a fixed control is the program's decision; outside every active period the reason is inactive."""
    extinction = Program(fixed(("12:00", 40), ("23:00", 0)))
    assert night(extinction)[1] == Made("23:00", 0, "program", 0)
    outside = Program(ALWAYS, [ActivePeriod(PERIOD_ABSOLUTE, seconds("12:00"), seconds("23:00"))])
    assert night(outside)[1] == Made("23:00", 0, "inactive", 0)
    # Presence acts in an extinction, and not outside the active periods.
    seen = [("23:30", "presence", 1), ("00:30", "presence", 0)]
    control = [DynamicControl(EFFECT_MAX, 600)]
    assert night(Program(fixed(("12:00", 60), ("23:00", 0)), dynamic=control), events=seen)[-2].reason == "sensor"
    periods = [ActivePeriod(PERIOD_ABSOLUTE, seconds("12:00"), seconds("23:00"))]
    assert len(night(Program(fixed(("12:00", 60)), periods, dynamic=control), events=seen)) == 2


def test_ramp_from_is_the_way_down_to_a_lower_cause():
    """R19. rampFromLevelTime fades what ends: sensor to program, override to program, program to off."""
    control = DynamicControl(EFFECT_MAX, 1000, ramp_to_ds=10, ramp_from_ds=50)
    seen = [("22:00", "presence", 1), ("22:10", "presence", 0)]
    assert [one.ramp_s for one in night(Program(ALWAYS, dynamic=[control]), events=seen)[1:]] == [1, 5]
    seen = [("22:00", "override", order(ramp_to_ms=2000, ramp_from_ms=7000, expiration=at("10 22:30")))]
    assert [one.ramp_s for one in night(Program(ALWAYS), events=seen)[1:]] == [2, 7]
    periods = [ActivePeriod(PERIOD_ABSOLUTE, seconds("18:00"), seconds("23:00"))]
    program = Program(fixed(("00:00", 40), ramp_to_ds=30, ramp_from_ds=90), periods)
    assert [one.ramp_s for one in night(program)[1:]] == [3, 9]
    # From one fixed control to the next it is the new one's rampToLevelTime: neither is the lower cause.
    program = Program(fixed(("12:00", 40), ("23:00", 20), ramp_to_ds=30, ramp_from_ds=90))
    assert night(program)[1].ramp_s == 3


def test_external_levels_are_held_and_min_lowers():
    """R20. An outside source's last level is what the hold time holds."""
    control = DynamicControl(EFFECT_MIN, 0, hold_ds=600, channel=CHANNEL_EXTERNAL, kind=1)
    seen = [("22:00", "external", 100), ("22:10", "external", None)]
    assert levels(night(Program(ALWAYS, dynamic=[control]), events=seen))[1:] == [("22:00", 10), ("22:11", 40)]


def test_every_reading_of_the_document_has_a_test_and_the_other_way_round():
    """A reading that nothing plays is an opinion; the document and this file name the same ones."""
    written = set(re.findall(r"^## (R\d+)\.", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE))
    tested = set(re.findall(r'"""(R\d+)\.', Path(__file__).read_text(encoding="utf-8")))
    assert written == tested and len(written) == 20
