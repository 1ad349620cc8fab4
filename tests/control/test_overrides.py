"""One place for one command: when it is in force, to the second, and what a place without one says."""

from firmware.control.inputs import COMMAND_OVERRIDE, Command
from firmware.control.overrides import BLIND_MAX_MS, Override
from firmware.control.reasons import BY_DEFAULT, DEFAULT
from firmware.control.ticks import ticks_add
from host_tools.plan.encode import LampPlan, Program
from tests.control.driver import Driver, fixed

DAY = 9_500


def command(start: tuple[int, int] | None = None, end: tuple[int, int] | None = None) -> Command:
    """Return an override from ``start`` to ``end``, each (day, second) or None."""
    made = Command()
    made.kind = COMMAND_OVERRIDE
    made.level_permille, made.ramp_to_ms, made.ramp_from_ms = 700, 1_000, 2_000
    if start:
        made.start_day, made.start_s = start
    if end:
        made.end_day, made.end_s = end
    return made


def held(*arguments) -> Override:
    place = Override()
    place.take(command(*arguments))
    return place


def active(place: Override, day: int, second: int, is_known: bool = True, tick: int = 0) -> bool:
    place.at(is_known, day, second, tick)
    return place.is_active


def test_an_empty_place_says_nothing():
    """A lamp that nobody commanded must not wait for a command's end. So an empty place is inactive, holds no level, is
    asked again at its leisure, and a resume that finds nothing changes nothing."""
    place = Override()
    assert (place.is_active, place.level_permille, place.is_blind) == (False, 0, False)
    for _ in range(2):
        assert active(place, DAY, 0) is False
        assert place.next_s == 172_800
        place.resume()
        assert place.is_active is False


def test_a_start_and_an_end_hold_to_the_second():
    """A march ends at 23:00:00 and not a second later, by its permit. So the command is in force from its first second
    to the one before its end, and each answer says when to ask next."""
    place = held((DAY, 1_000), (DAY, 1_010))
    for second, is_active, next_s in ((998, False, 2), (999, False, 1), (1_000, True, 10), (1_009, True, 1)):
        assert active(place, DAY, second) is is_active, second
        assert place.next_s == next_s
    assert active(place, DAY, 1_010) is False
    # It has ended for good: a clock that is set back does not bring it again.
    assert active(place, DAY, 1_005) is False


def test_over_midnight_and_over_days():
    """Most commands of a night end after midnight, some in another week. So days count, and far ahead is far."""
    place = held((DAY, 86_399), (DAY + 1, 1))
    assert active(place, DAY, 86_398) is False
    assert active(place, DAY, 86_399) is True
    assert place.next_s == 2
    assert active(place, DAY + 1, 0) is True
    assert active(place, DAY + 1, 1) is False
    place = held((DAY + 10, 0), (DAY + 20, 0))
    assert active(place, DAY, 0) is False
    assert place.next_s == 172_800
    assert active(place, DAY + 10, 0) is True
    assert active(place, DAY + 20, 0) is False


def test_without_a_clock_an_end_is_twelve_hours_at_most():
    """A node that has lost its clock cannot know 23:00. So a command with an end lasts twelve hours more at most, one
    that starts later waits, and the clock's return puts it right."""
    for tick in (5, (1 << 30) - 1_000):
        place = held(None, (DAY, 1_000))
        assert active(place, 0, 0, False, tick) is True
        assert place.is_blind
        assert place.blind_due_ms == ticks_add(tick, BLIND_MAX_MS)
        assert active(place, 0, 0, False, ticks_add(tick, BLIND_MAX_MS - 1)) is True
        assert active(place, DAY, 999, True, ticks_add(tick, BLIND_MAX_MS - 1)) is True
        assert not place.is_blind
        assert active(place, 0, 0, False, tick) is True
        assert active(place, 0, 0, False, ticks_add(tick, BLIND_MAX_MS)) is False
        assert active(place, DAY, 0, True, tick) is False
    assert active(held((DAY, 0)), 0, 0, False) is False
    assert active(held(), 0, 0, False) is True


def test_the_default_light_state_is_nobodys_number():
    """The report names the control by its number. The default light state has none: 0, and no program."""
    lamp = Driver(LampPlan([Program(fixed(("00:00", 500, 0)))], default_program=255, default_level_permille=300))
    controller = lamp.controller
    assert (controller.reason, controller.by, controller.by_index, controller.by_program) == (
        DEFAULT,
        BY_DEFAULT,
        0,
        255,
    )
