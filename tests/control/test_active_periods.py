"""When a program is active: what each kind of period answers by itself, and what it remembers."""

import pytest

from firmware.control import plan_format as layout
from firmware.control.active_periods import ActivePeriods
from firmware.control.inputs import UNKNOWN, Seen
from firmware.control.plan import Plan
from firmware.control.sun import Sun
from firmware.control.sun_days import SunDays
from host_tools.plan.encode import ActivePeriod, LampPlan, Program, encode
from tests.control.driver import fixed, seconds

DAY_S = 86_400
WINTER = 9_500  # 2026-01-04
DARK_AT_20 = ActivePeriod(layout.PERIOD_SENSOR, on_level=20, off_level=40)
DARK_AT_5 = ActivePeriod(layout.PERIOD_SENSOR, on_level=5, off_level=10)


class Asked:
    """The active periods of one lamp at the equator, asked in UTC."""

    def __init__(self, *programs, latitude_udeg: int = 0):
        controls = fixed(("00:00", 500, 0))
        self.plan = Plan(encode(LampPlan([Program(controls, periods) for periods in programs])))
        self.periods = ActivePeriods(self.plan, SunDays(Sun(latitude_udeg, 0), 0))
        self.seen = Seen()
        self.program = 0

    def at(self, text: str, day: int = WINTER, **values) -> bool:
        """Tell whether the program is active at a time of day with these values of `Seen`."""
        for name, value in values.items():
            assert hasattr(self.seen, name), name
            setattr(self.seen, name, value)
        self.plan.select(self.program)
        self.periods.next_s = 2 * DAY_S
        second = seconds(text)
        return self.periods.at(self.program, day, second, day, second, self.seen)


def test_a_photocell_keeps_its_word_between_its_two_levels():
    """Dusk is not a moment: clouds pass, a car's lamp shines. So between on and off level the last word holds, and
    before any word it is dark, because a lamp fails lit."""
    lamp = Asked([DARK_AT_20])
    assert lamp.at("18:00") is True
    assert lamp.at("18:01", lux=41) is False
    assert lamp.at("18:02", lux=40) is False
    assert lamp.at("18:03", lux=20) is False
    assert lamp.at("18:04", lux=19) is True
    assert lamp.at("18:05", lux=40) is True
    assert lamp.at("18:06", lux=41) is False
    assert lamp.at("18:07", lux=UNKNOWN) is True


def test_another_program_begins_without_the_words_of_the_former():
    """What a cell said under one program's levels is no answer to another's. So a change of program forgets."""
    lamp = Asked([DARK_AT_20], [DARK_AT_5])
    assert lamp.at("12:00", lux=50) is False
    assert lamp.at("12:01", lux=30) is False
    lamp.program = 1
    assert lamp.at("12:02", lux=7) is True
    lamp.program = 0
    assert lamp.at("12:03", lux=30) is True


def test_a_look_ahead_is_taken_back_whole():
    """To ask until when a lamp is lit asks what later moments would say; were those kept, asking would change light. So
    memory and recall restore each period's word and the program, whatever was asked between."""
    lamp = Asked([DARK_AT_20, DARK_AT_5], [DARK_AT_5])
    for first, words in ((50, (0, 0)), (15, (1, 0)), (1, (1, 1))):
        lamp.program = 0
        lamp.at("12:00", lux=50)
        lamp.at("12:01", lux=first)
        memory = lamp.periods.memory()
        assert tuple(lamp.periods._is_dark[:2]) == words
        for other in (0, 1, 50, 15):
            lamp.program = 1
            lamp.at("13:00", lux=other)
            lamp.program = 0
            lamp.at("13:01", lux=other)
            lamp.periods.recall(memory)
            assert lamp.periods.memory() == memory
            # 30 lux lies between the levels of the first, above those of the second.
            assert lamp.at("13:02", lux=30) is bool(words[0])
            lamp.periods.recall(memory)


@pytest.mark.parametrize(
    ("channel", "is_sensing"),
    [
        (layout.CHANNEL_PRESENCE, True),
        (layout.CHANNEL_NEIGHBOURS, True),
        (layout.CHANNEL_LUX, False),
        (layout.CHANNEL_EXTERNAL, False),
    ],
)
def test_only_presence_makes_a_period_of_presence(channel, is_sensing):
    """A lamp that is lit by presence alone may go off when it ends; one with a photocell may not. So the answer says
    which it is, each time anew, and a program without periods has none."""
    lamp = Asked([ActivePeriod(layout.PERIOD_VALUE, operator=layout.VALUE_GE, on_level=1, channel=channel)], [])
    lamp.at("12:00", lux=1, external=1)
    assert lamp.periods.is_sensing is is_sensing
    lamp.program = 1
    assert lamp.at("12:01") is True
    assert lamp.periods.is_sensing is False


def test_a_night_is_asked_until_it_ends_and_from_when_it_starts():
    """Each period says when it is to be asked again: one second late is a second of dark. So the night of the equator
    begins and ends at the very seconds that were announced."""
    lamp = Asked([ActivePeriod(layout.PERIOD_ASTRO_CLOCK, 0, 0)])
    assert lamp.at("17:00") is False
    dusk = seconds("17:00") + lamp.periods.next_s
    assert seconds("18:00") < dusk < seconds("18:20")
    for second, is_active in ((dusk - 1, False), (dusk, True), (dusk + 1, True)):
        assert lamp.at(clock(second)) is is_active
    assert lamp.at("23:00") is True
    dawn = lamp.periods.next_s - 3_600
    assert seconds("05:50") < dawn < seconds("06:10")
    for second, is_active in ((dawn - 1, True), (dawn, False), (dawn + 1, False)):
        assert lamp.at(clock(second), WINTER + 1) is is_active


def test_a_period_that_offsets_make_empty_is_none():
    """An operator who starts six hours after sunset and ends six before sunrise has no night left: never lit, and
    never lit the wrong way round."""
    lamp = Asked([ActivePeriod(layout.PERIOD_ASTRO_CLOCK, 6 * 3600, -6 * 3600)])
    assert not any(lamp.at(f"{hour}:30") for hour in range(24))


def test_dark_by_the_cell_counts_in_its_minutes_only():
    """A cell may begin a night earlier and end it earlier, within the minutes allowed. Outside them a cloud or lamp in
    its view would decide, so the sun's times hold, whatever the cell says."""
    both = ActivePeriod(
        layout.PERIOD_ASTRO_AND_SENSOR, on_level=20, off_level=40, before_sunset_min=30, before_sunrise_min=30
    )
    lamp = Asked([both])
    lamp.at("17:00", lux=5)
    dusk = next(s for s in range(seconds("17:00"), seconds("19:00")) if lamp.at(clock(s), lux=500))
    dawn = next(s for s in range(seconds("05:00"), seconds("07:00")) if not lamp.at(clock(s), lux=5))
    for second, lux, is_active in (
        (dusk - 1_801, 5, False),
        (dusk - 1_800, 5, True),
        (dusk - 1_800, 500, False),
        (dusk - 1, 500, False),
        (dusk, 500, True),
        (dawn - 1_801, 500, True),
        (dawn - 1_800, 500, False),
        (dawn - 1_800, 5, True),
        (dawn - 1, 5, True),
        (dawn, 5, False),
    ):
        assert lamp.at(clock(second), lux=lux) is is_active, (second - dusk, second - dawn, lux)


def clock(second: int) -> str:
    return f"{second // 3600}:{second // 60 % 60}:{second % 60}"


def test_on_a_polar_day_no_night_is_found():
    """At 70° N there is no night in June: a lamp that took yesterday's times would burn for weeks. So the astro clock's
    period is never active then, and in December it is active at noon."""
    lamp = Asked([ActivePeriod(layout.PERIOD_ASTRO_CLOCK, 0, 0)], latitude_udeg=70_000_000)
    lamp.at("00:00", WINTER + 80)
    june = WINTER + 166
    assert not any(lamp.at(f"{hour}:30", day) for day in (june, june + 1) for hour in range(24))
    assert lamp.at("12:00", WINTER)
