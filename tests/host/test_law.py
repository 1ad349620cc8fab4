"""The order of 27 December 2018 as data: parks dark by 01:00, roads free, and nothing judged outside its dates.

Expected values are those of lighting-facts.json, `arrete_2018`, and of the official summaries named in the data file.
"""

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest

from host_tools.plan.law import (
    Activity,
    Law,
    LawError,
    Lit,
    activity_of,
    forbidden_spans,
    judge,
    load_law,
    unknown_of,
)
from host_tools.plan.site import CATEGORIES
from host_tools.plan.zones import zone_info

ZONE = zone_info("Europe/Paris")
NIGHT = date(2026, 1, 10)
SUNSET = datetime(2026, 1, 10, 16, 40, tzinfo=UTC)
HOUR = 3600


@pytest.fixture(scope="module")
def law() -> Law:
    """The shipped file."""
    return load_law()


def local(text: str) -> datetime:
    """Return ``hh:mm:ss`` of the night of 10 January 2026, in winter time, as UTC."""
    clock = datetime.strptime(text, "%H:%M:%S")
    day = NIGHT if clock.hour >= 12 else NIGHT + timedelta(days=1)
    return datetime(day.year, day.month, day.day, clock.hour, clock.minute, clock.second, tzinfo=ZONE).astimezone(UTC)


def breaches(law: Law, category: str, begin: str, end: str, activity=Activity(), night=NIGHT):  # noqa: B008
    """Return the rules that a lamp breaks that is lit between two times."""
    lit = Lit(local(begin), local(end), 1000, "it")
    return [
        (breach.rule, breach.at)
        for breach in judge(law, law.categories[category], activity, [(night, SUNSET, [lit])], ZONE)
    ]


def test_a_park_lit_at_01_01_is_refused(law):
    """The rule that towns break most: a park dark by 01:00 is lawful, one lit at 01:01 is not."""
    assert breaches(law, "park", "18:00:00", "01:00:00") == []
    assert breaches(law, "park", "18:00:00", "01:00:30") == []
    assert breaches(law, "park", "18:00:00", "01:01:00") == []
    assert breaches(law, "park", "18:00:00", "01:01:01") == [("off by 01:00", local("01:01:00"))]
    assert breaches(law, "heritage", "18:00:00", "03:00:00") == [("off by 01:00", local("01:01:00"))]


def test_a_road_may_burn_all_night(law):
    """No compulsory switch-off for roads: the commune decides, and our check must not invent one."""
    for category in ("road", "path"):
        assert law.categories[category].is_free
        assert breaches(law, category, "12:00:01", "11:59:00") == []


def test_parks_and_monuments_wait_for_the_sunset(law):
    """On at sunset at the earliest; and a morning is before the next sunset too."""
    for category in ("park", "heritage", "building", "parking"):
        assert breaches(law, category, "17:38:00", "18:00:00") == [("not before sunset", local("17:38:00"))]
        assert breaches(law, category, "17:40:00", "18:00:00") == []
    assert breaches(law, "park", "06:00:00", "07:00:00") == [("off by 01:00", local("06:00:00"))]


def test_a_park_that_closes_early(law):
    """Parks: off one hour after closing at the latest."""
    closes = Activity(20 * HOUR, 8 * HOUR)
    assert breaches(law, "park", "18:00:00", "21:00:00", closes) == []
    assert breaches(law, "park", "18:00:00", "22:00:00", closes) == [
        ("off by 1 h after the end at 20:00", local("21:01:00"))
    ]
    # A park that closes at 02:00 is still off by 01:00: of the two, the earlier.
    assert breaches(law, "park", "18:00:00", "02:30:00", Activity(2 * HOUR)) == [("off by 01:00", local("01:01:00"))]


@pytest.mark.parametrize(
    ("category", "activity", "end", "allowed"),
    [
        ("outdoor-activity", Activity(20 * HOUR, 9 * HOUR), "21:00:30", True),
        ("outdoor-activity", Activity(20 * HOUR, 9 * HOUR), "21:02:00", False),
        ("parking", Activity(20 * HOUR), "22:00:30", True),
        ("parking", Activity(20 * HOUR), "22:02:00", False),
        ("shop-window", Activity(20 * HOUR), "01:00:30", True),
        ("shop-window", Activity(20 * HOUR), "01:02:00", False),
        # Later than 01:00 where the activity ends later.
        ("shop-window", Activity(1 * HOUR), "02:00:30", True),
        ("shop-window", Activity(1 * HOUR), "02:02:00", False),
        ("interior", Activity(19 * HOUR), "20:02:00", False),
        ("building", Activity(), "01:02:00", False),
    ],
)
def test_off_after_the_activity(law, category, activity, end, allowed):
    """Each category has its own delay; the facts list them."""
    assert (breaches(law, category, "18:30:00", end, activity) == []) == allowed


def test_on_again_in_the_morning(law):
    """On again at 07:00, or one hour before an activity that starts sooner."""
    from_eight, from_six = Activity(20 * HOUR, 8 * HOUR), Activity(20 * HOUR, 6 * HOUR)
    assert breaches(law, "outdoor-activity", "07:00:00", "08:00:00", from_eight) == []
    assert len(breaches(law, "outdoor-activity", "06:00:00", "08:00:00", from_eight)) == 1
    assert breaches(law, "outdoor-activity", "05:00:00", "08:00:00", from_six) == []
    assert len(breaches(law, "outdoor-activity", "04:59:00", "08:00:00", from_six)) == 1


def test_what_is_not_declared_is_said_and_not_judged(law):
    """Without the hours of the activity nobody can say whether it is off in time: say so, and accuse nobody."""
    for category in ("outdoor-activity", "interior", "shop-window"):
        assert breaches(law, category, "18:00:00", "05:00:00") == []
        assert "its end is not declared" in unknown_of(law.categories[category], Activity())[0]
    assert unknown_of(law.categories["park"], Activity())
    assert "start of the activity" in unknown_of(law.categories["interior"], Activity(20 * HOUR))[0]
    assert unknown_of(law.categories["road"], Activity()) == []
    assert unknown_of(law.categories["park"], Activity(20 * HOUR)) == []


def test_the_hours_that_a_lamp_declares():
    """Hours are optional, each by itself: what is not there is unknown, not midnight."""
    assert activity_of(SimpleNamespace(activity=SimpleNamespace(end=72000, start=25200))) == Activity(72000, 25200)
    assert activity_of(SimpleNamespace(activity=None)) == activity_of(SimpleNamespace()) == Activity(None, None)


def test_a_night_before_the_law_is_not_judged(law):
    """Law is dated: an old journal is not judged by it, and it counts from its first day on."""
    assert not law.is_valid(date(2020, 12, 31)) and law.is_valid(date(2021, 1, 1)) and law.is_valid(date(2099, 1, 1))
    lit = [Lit(datetime(2019, 1, 1, tzinfo=UTC), datetime(2022, 1, 1, tzinfo=UTC), 1000, "it")]
    nights = [(date(2020, 12, 30) + timedelta(days=day), None, lit) for day in range(5)]
    found = judge(law, law.categories["heritage"], Activity(), nights, ZONE)
    assert {(breach.night, breach.nights) for breach in found} == {(date(2021, 1, 1), 3)}


def test_the_hour_of_the_change(law):
    """In the night the clocks change, 01:00 is still one moment: 23:00 UTC in October, 00:00 UTC in March."""
    park = law.categories["park"]
    for night, expected in (
        (date(2026, 10, 24), datetime(2026, 10, 24, 23, 1, tzinfo=UTC)),
        (date(2026, 3, 28), datetime(2026, 3, 29, 0, 1, tzinfo=UTC)),
    ):
        spans = forbidden_spans(law, park, Activity(), night, ZONE, None)
        assert [span.begin for span in spans if span.rule == "off by 01:00"] == [expected]


def test_every_category_of_a_site_is_known_and_sourced(law):
    """A category that the law file forgot would be judged by nobody, in silence."""
    assert set(CATEGORIES) <= set(law.categories) | set(law.notCovered)
    assert law.number == "TREP1831126A" and all(category.article for category in law.categories.values())
    assert any("aida.ineris.fr" in source for source in law.sources)


def test_a_wrong_law_file_is_refused(tmp_path):
    """Whoever adds a country's rules is told what does not fit."""
    file = tmp_path / "law.yaml"
    file.write_text("title: x\ncategories: {park: {article: a, says: b, offBy: 25:00}}\n", encoding="utf-8")
    with pytest.raises(LawError) as caught:
        load_law(file)
    said = "\n".join(map(str, caught.value.problems))
    assert "categories.park.offBy" in said and "validFrom: is missing" in said
    file.write_text("a: [", encoding="utf-8")
    with pytest.raises(LawError):
        load_law(file)
    with pytest.raises(LawError):
        load_law(tmp_path / "none.yaml")
