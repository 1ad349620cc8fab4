"""Local time against the tz database, read by the standard library from the pinned `tzdata`."""

import random
from datetime import UTC, date, datetime, timedelta

import pytest

from firmware.control.civil import day_number
from firmware.control.zone import HORIZON_S, ZoneRule
from host_tools.plan.zones import ZoneError, compile_zone, parse_posix_rule, zone_info, zone_names
from tests.control.lamp_nights import zone_changes

FIRST_YEAR, LAST_YEAR = 2024, 2060
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
CHANGING = (
    "Europe/Paris",
    "Europe/Lisbon",
    "Australia/Lord_Howe",
    "Europe/Dublin",
    "Africa/Cairo",
    "America/Santiago",
)
STEADY = ("Indian/Reunion", "America/Cayenne", "Pacific/Apia")


def split(moment: datetime) -> tuple[int, int]:
    since = moment - EPOCH
    return since.days, since.seconds


def offset_s(name: str, moment: datetime) -> int:
    offset = moment.astimezone(zone_info(name)).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())


def rule_of(name: str, year: int = FIRST_YEAR) -> ZoneRule:
    return ZoneRule(compile_zone(name, date(year, 1, 1)))


@pytest.mark.parametrize("name", CHANGING)
def test_every_change_of_the_clocks_comes_to_the_second(name):
    """A street that dims an hour early twice a year gets two mornings of complaints. So at every change from 2024 to
    2060 the rule is the tz database's one second before, at it, one second after, and an hour away."""
    rule = rule_of(name)
    zone = zone_info(name)
    changes = zone_changes(name, FIRST_YEAR, LAST_YEAR)
    assert len(changes) == 2 * (LAST_YEAR - FIRST_YEAR + 1)
    for change in changes:
        for away_s in (-3600, -1, 0, 1, 3600):
            moment = change + timedelta(seconds=away_s)
            rule.at(*split(moment))
            expected = moment.astimezone(zone).utcoffset()
            assert timedelta(seconds=rule.offset_s) == expected, f"{name} {moment.isoformat()}"
            if away_s < 0:
                assert rule.change_in_s == -away_s, f"{name} {moment.isoformat()}"


@pytest.mark.parametrize("name", CHANGING + STEADY)
def test_local_time_is_the_databases_at_any_moment(name):
    """Between two changes a rule can be wrong for a season (a year that turns, a southern summer). So random moments of
    37 years are asked too, in no order."""
    rule = rule_of(name)
    zone = zone_info(name)
    rng = random.Random(name)
    span_s = int((datetime(LAST_YEAR + 1, 1, 1) - datetime(FIRST_YEAR, 1, 1)).total_seconds())
    moments = [datetime(FIRST_YEAR, 1, 1, tzinfo=UTC) + timedelta(seconds=rng.randrange(span_s)) for _ in range(5000)]
    for year in range(FIRST_YEAR, LAST_YEAR + 1):
        new_year = datetime(year, 1, 1, tzinfo=UTC)
        moments += [new_year + timedelta(hours=hours) for hours in range(-15, 16)]
    for moment in moments:
        rule.at(*split(moment))
        assert timedelta(seconds=rule.offset_s) == moment.astimezone(zone).utcoffset(), f"{name} {moment.isoformat()}"


@pytest.mark.parametrize("name", STEADY)
def test_a_zone_without_summer_time_never_changes(name):
    """Réunion and Guyane have no summer time, Samoa gave it up. So their rule announces no change at all."""
    assert zone_changes(name, FIRST_YEAR, LAST_YEAR) == ()
    rule = rule_of(name)
    for month in range(1, 13):
        rule.at(day_number(2026, month, 1), 0)
        assert (rule.change_in_s, rule.held_s, rule.held_for_s) == (HORIZON_S, 0, 0)


def test_every_zone_on_earth_is_right_or_refused():
    """A syndicate overseas must not find out by its street lamps that its zone was compiled wrongly. So each zone of
    the database either is refused with a reason, or agrees with it twice a day for three years."""
    refused = []
    checked = 0
    for name in zone_names():
        try:
            rule = rule_of(name, 2026)
        except ZoneError as error:
            refused.append(name)
            assert "choose a date after" in str(error)
            continue
        zone = zone_info(name)
        checked += 1
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        for _ in range(3 * 365 * 2):
            rule.at(*split(moment))
            assert timedelta(seconds=rule.offset_s) == moment.astimezone(zone).utcoffset(), f"{name} {moment}"
            moment += timedelta(hours=11, minutes=59)
    print(f"figure: zones compiled {checked}, refused {len(refused)} ({', '.join(refused)})")
    assert checked > 550
    assert 1 <= len(refused) <= 30


def test_a_zone_that_follows_no_rule_is_refused():
    """Morocco changes its clocks around Ramadan, by decree: any yearly rule is wrong for weeks. So it is refused, and
    the message says until when."""
    with pytest.raises(ZoneError, match=r"Africa/Casablanca .* by decree .* choose a date after 20\d\d"):
        compile_zone("Africa/Casablanca", date(2026, 1, 1))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("Europe/Pari", "Europe/Paris"), ("Indian/Réunion", "Indian/Reunion"), ("Pacific/apia", "Pacific/Apia")],
)
def test_a_misspelt_zone_comes_with_a_suggestion(typed, meant):
    """An operator types a zone once in his life, and with an accent. So what is refused names what was meant."""
    with pytest.raises(ZoneError, match=f"did you mean .*{meant}"):
        compile_zone(typed, date(2026, 1, 1))


@pytest.mark.parametrize("typed", ["Zzzzzzz", "", "../../etc/passwd", "Europe/Paris/../Paris"])
def test_what_resembles_no_zone_is_refused_with_an_example(typed):
    """A zone's name becomes a path of a file. So what the database does not list is refused, and never opened."""
    with pytest.raises(ZoneError, match="unknown zone"):
        compile_zone(typed, date(2026, 1, 1))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("CET-1CEST,M3.5.0,M10.5.0/3", (3600, 7200, 3, 5, 0, 7200, 10, 5, 0, 10800)),
        ("EST5EDT,M3.2.0,M11.1.0", (-18000, -14400, 3, 2, 0, 7200, 11, 1, 0, 7200)),
        ("<+04>-4", (14400, 14400, 0, 0, 0, 0, 0, 0, 0, 0)),
        ("IST-1GMT0,M10.5.0,M3.5.0/1", (3600, 0, 10, 5, 0, 7200, 3, 5, 0, 3600)),
        ("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", (37800, 39600, 10, 1, 0, 7200, 4, 1, 0, 7200)),
        ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", (-7200, -3600, 3, 5, 0, -3600, 10, 5, 0, 0)),
        ("IST-2IDT,M3.4.4/26,M10.5.0", (7200, 10800, 3, 4, 4, 93600, 10, 5, 0, 7200)),
        ("<+1245>-12:45<+1345>,M9.5.0/2:45,M4.1.0/3:45", (45900, 49500, 9, 5, 0, 9900, 4, 1, 0, 13500)),
    ],
)
def test_posix_rules_read_as_posix_writes_them(text, rule):
    """POSIX counts offsets west of Greenwich and times beyond a day, both easy to get backwards. So the strings of
    real zones are read by hand here, sign by sign."""
    assert parse_posix_rule(text) == rule


@pytest.mark.parametrize(
    "text", ["", "CET", "CET-1CEST,J60,J300", "CET-1CEST,M3.5.0", "CET-1CEST,M13.6.7,M10.5.0", "\n"]
)
def test_a_rule_of_another_form_is_refused(text):
    """A rule misread is a wrong time for ever. So what is not of the one known form is refused by name."""
    with pytest.raises(ZoneError, match="Somewhere"):
        parse_posix_rule(text, "Somewhere")


@pytest.mark.parametrize("name", (*CHANGING, "Pacific/Chatham", "America/Nuuk", "Asia/Jerusalem", "Antarctica/Troll"))
def test_the_schedules_clock_never_goes_back(name):
    """In the repeated hour 02:30 comes twice, and a street must not dim twice. So the schedule's clock (wall clock plus
    `held_s`) stands still at the last second before the change, until the wall clock has caught up."""
    rule = rule_of(name, 2028)
    for change in zone_changes(name, 2028, 2029):
        jump = offset_s(name, change) - offset_s(name, change - timedelta(seconds=1))
        day, second = split(change)
        before = None
        for away in range(-4000, 8000):
            total = day * 86400 + second + away
            rule.at(total // 86400, total % 86400)
            clock = total + rule.offset_s + rule.held_s
            if before is not None:
                assert clock >= before, f"{name} {change} {away}"
                if jump < 0 and 0 <= away < -jump:
                    assert clock == before
                    assert rule.held_for_s == -jump - away
                elif jump > 0 and away == 0:
                    # The skipped hour: 02:00 is 03:00, nothing is held.
                    assert clock == before + 1 + jump
                else:
                    assert clock == before + 1
                    assert (rule.held_s, rule.held_for_s) == (0, 0)
            before = clock


def test_the_last_sunday_of_october_in_paris_hand_by_hand():
    """One night is worked out by hand, as the Journal officiel has it: on 2026-10-25 at 3 h it is 2 h. So 01:00 UTC is
    02:00 again, while the schedule's clock still shows 02:59:59; at 02:00 UTC both show 03:00."""
    rule = ZoneRule(parse_posix_rule("CET-1CEST,M3.5.0,M10.5.0/3"))
    day = day_number(2026, 10, 25)
    expected = {3599: (7200, 0, 0), 3600: (3600, 3599, 3600), 5400: (3600, 1799, 1800), 7199: (3600, 0, 1)}
    expected[7200] = (3600, 0, 0)
    for second, answer in expected.items():
        rule.at(day, second)
        assert (rule.offset_s, rule.held_s, rule.held_for_s) == answer, second
