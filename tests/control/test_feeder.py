"""What a feeder teaches: the time of night, from nothing but when the power came and how long it stayed."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.control.civil import DAY_MAX, day_number
from firmware.control.feeder import STATE_SIZE, FeederTeacher
from firmware.control.sun import Sun

ROOT = Path(__file__).resolve().parents[2]
PLACE = (48_573_000, 7_752_000)
START = day_number(2026, 9, 10)
EVENING = 20 * 3600


def sun_night(day: int, place=PLACE) -> tuple[int, int]:
    """Return sunset and next sunrise in s from UTC midnight of ``day``."""
    sun = Sun(*place)
    sun.of(day)
    dusk = sun.set_s
    sun.of(day + 1)
    return dusk, 86400 + sun.rise_s


def taught(nights: int, place=PLACE, start=START, wrong=lambda n: 0) -> FeederTeacher:
    """A teacher after whole nights, each longer by ``wrong(n)`` s, at the next dusk."""
    teacher = FeederTeacher(*place, 0)
    teacher.known(start, EVENING)
    for n in range(nights):
        dusk, dawn = sun_night(start + n, place)
        teacher.night(dawn - dusk + wrong(n))
        teacher.boot()
    return teacher


def error_s(teacher: FeederTeacher, day: int, place=PLACE, elapsed=0) -> int:
    """Return how far the estimate is from sunset of ``day`` and ``elapsed``."""
    teacher.estimate(elapsed)
    return abs((teacher.day - day) * 86400 + teacher.second - sun_night(day, place)[0] - elapsed)


def test_it_says_nothing_before_three_nights():
    """One night may be anything. So the time is not told before three, and the bound shrinks with more."""
    assert [taught(n).is_ready for n in range(5)] == [False, False, False, True, True]
    assert taught(3).error_s > taught(5).error_s > taught(9).error_s == 600 + 200
    assert taught(2).error_s == 86400
    # A feeder that errs shows it: half of the spread of nine nights.
    assert taught(9, wrong=lambda n: 600 * (n % 3)).error_s == 800 + 1200 // 2


@pytest.mark.parametrize("month", range(1, 13))
@pytest.mark.parametrize(
    "place", [PLACE, (48_390_000, -4_486_000), (4_922_000, -52_313_000), (-41_286_000, 174_776_000)]
)
def test_a_true_feeder_gives_the_time(place, month):
    """The oldest promise of drivers without a clock errs by 83 min in Paris; with the place it need not (lighting.md,
    F6). From a feeder that follows the sun, the time comes to a minute in every month, on either hemisphere."""
    start = day_number(2027, month, 15)
    teacher = FeederTeacher(*place, 0)
    dusk, _ = sun_night(start, place)
    teacher.known(start + dusk // 86400, dusk % 86400 + 60)
    for n in range(7):
        dusk, dawn = sun_night(start + n, place)
        teacher.night(dawn - dusk)
        teacher.boot()
    assert teacher.evening_day == start + 7
    for elapsed in (0, 3600, 36_000):
        assert error_s(teacher, start + 7, place, elapsed) < 90


def test_a_bad_night_does_not_move_the_median():
    """A contactor sticks, somebody tests by hand. Two nights in nine, an hour wrong, must not move the time."""
    assert error_s(taught(9, wrong=lambda n: 3600 if n in (3, 6) else 0), START + 9) < 90
    assert error_s(taught(9, wrong=lambda n: -2400 if n in (3, 6) else 0), START + 9) < 90


def test_an_excess_is_learned():
    """Many towns light 15 min after sunset and switch off 15 min before sunrise. The middle stays: so that is learned,
    and switch-on is told as it is."""
    teacher = taught(9, wrong=lambda n: -1800)
    teacher.estimate(0)
    assert abs(teacher.second - (sun_night(START + 9)[0] + 900)) < 90


def test_a_night_in_two_parts_is_one_night():
    """A cut of a minute splits a night. It must be counted once, teach nothing, and until it is over the teacher must
    not take the return of power for a dusk."""
    teacher = taught(9)
    dusk, dawn = sun_night(START + 9)
    teacher.night(5 * 3600)
    teacher.boot()
    assert not teacher.is_ready and not teacher.may_switch_off(50_000) and teacher.evening_day == START + 9
    teacher.night(dawn - dusk - 5 * 3600 - 60)
    teacher.boot()
    assert teacher.is_ready and teacher.evening_day == START + 10
    assert error_s(teacher, START + 10) < 90
    assert teacher._count == 8


def test_an_outage_until_dawn_is_a_night_too():
    """A storm takes the power until the day. The next whole night shows that the part was one, and both are counted."""
    teacher = taught(9)
    teacher.night(3 * 3600)
    teacher.boot()
    dusk, dawn = sun_night(START + 10)
    teacher.night(dawn - dusk)
    teacher.boot()
    assert teacher.is_ready and teacher.evening_day == START + 11
    assert error_s(teacher, START + 11) < 90


def test_chatter_at_dusk_is_one_dusk():
    """Contactors bounce when they close. A few seconds, saved or not, are the same dusk, and the time is still told."""
    teacher = taught(9)
    teacher.night(500)
    teacher.boot()
    teacher.boot()
    assert teacher.is_ready and teacher.evening_day == START + 9
    # This dusk was 500 s before this power-on.
    assert abs(error_s(teacher, START + 9) - 500) < 120
    dusk, dawn = sun_night(START + 9)
    teacher.night(dawn - dusk - 500)
    teacher.boot()
    assert teacher.evening_day == START + 10 and teacher._count == 9


def test_a_boot_without_a_saved_length_is_a_short_one():
    """Nothing is saved in the first minutes. So a power-on without a length was preceded by less than a save period."""
    teacher = FeederTeacher(*PLACE, 1800)
    teacher.known(START, EVENING)
    teacher.boot()
    assert teacher._part_s == 900 and teacher.evening_day == START


def test_a_feeder_left_on_by_day_counts_its_nights():
    """A line is left on for maintenance. The nights in it are counted, and none is learned."""
    teacher = taught(9)
    dusk, dawn = sun_night(START + 9)
    teacher.night(3 * 86400 + dawn - dusk)
    teacher.boot()
    assert teacher.evening_day == START + 13 and teacher.nights == 13 and teacher._count == 8
    teacher.night(40_000_000 * 10)
    assert teacher.evening_day == START + 13


def test_a_feeder_that_does_not_follow_the_sun_teaches_nothing():
    """In half of France the feeder is cut from 23 h to 5 h. Such halves are no nights, and their middle is no midnight:
    the teacher stays silent, and after them forgets what it knew."""
    teacher = taught(9)
    for n in range(30):
        dusk, dawn = sun_night(START + 9 + n)
        for part in ((dawn - dusk) // 2 - 3 * 3600, (dawn - dusk) // 2 - 3 * 3600 - 600):
            teacher.night(part)
            teacher.boot()
            if n > 12:
                assert not teacher.is_ready
    # Too long for the equinox; and for the rule of 16 h, where winter nights are long.
    for length, latitude, month in ((12 * 3600 + 6000, PLACE[0], 3), (57_601, 56_000_000, 12)):
        fixed = FeederTeacher(latitude, PLACE[1], 0)
        fixed.known(day_number(2026, month, 20), EVENING)
        for _ in range(9):
            fixed.night(length)
            fixed.boot()
        assert not fixed.is_ready


def test_the_first_four_hours_stay_lit():
    """In doubt there is light when people are out (lighting.md F6): no switch-off in the first four lit hours."""
    teacher = taught(9)
    assert not teacher.may_switch_off(14_399) and teacher.may_switch_off(14_400)
    assert not taught(2).may_switch_off(14_400)


def test_the_evening_of_a_morning_is_yesterdays():
    """A clock that is good at three in the morning names the next day. The night began the evening before."""
    teacher = FeederTeacher(*PLACE, 0)
    teacher.known(START + 1, 3 * 3600)
    assert teacher.evening_day == START
    teacher.known(START + 1, 3 * 3600 + 43200)
    assert teacher.evening_day == START + 1
    teacher.known(100, EVENING)
    teacher.known(DAY_MAX, EVENING)
    assert teacher.evening_day == START + 1


def test_without_a_date_it_counts_nothing():
    """A node that never knew a date cannot know a midnight. It must say so, and not count from 2000."""
    teacher = FeederTeacher(*PLACE, 0)
    for _ in range(9):
        teacher.night(40_000)
        teacher.boot()
    assert teacher.evening_day == 0 and not teacher.is_ready


def test_the_calendar_ends():
    """Past 2199 nothing was tested. A count that leads there is dropped."""
    teacher = taught(3, start=DAY_MAX - 3)
    assert teacher.evening_day == 0 and not teacher.is_ready


def test_no_night_no_lesson():
    """Tromsø has no night in June and no day in December. There the lit period has no middle to learn from."""
    teacher = FeederTeacher(69_649_200, 18_955_300, 0)
    teacher.known(day_number(2026, 12, 15), EVENING)
    for _ in range(9):
        teacher.night(50_000)
        teacher.boot()
    assert not teacher.is_ready and teacher.nights == 9


def test_it_survives_the_power_cut():
    """It is restarted every day of its life. What it says after a restart is what it said before."""
    teacher = taught(9, wrong=lambda n: 60 * n)
    teacher.night(3 * 3600)
    state = bytearray(STATE_SIZE + 2)
    assert teacher.save(state, 1) == STATE_SIZE + 1
    other = FeederTeacher(*PLACE, 0)
    assert other.load(state, 1)
    for name in ("evening_day", "nights", "_count", "_part_s", "_excess"):
        assert getattr(other, name) == getattr(teacher, name)
    teacher.boot()
    other.boot()
    other.night(8 * 3600)
    teacher.night(8 * 3600)
    assert other.evening_day == teacher.evening_day and other.error_s == teacher.error_s


@pytest.mark.parametrize(("place", "value"), [(3, 64), (7, 64), (4, 10), (3, 63), (2, 0)])
def test_nonsense_is_not_loaded(place, value):
    """Flash wears. A damaged count or date is refused and changes nothing."""
    state = bytearray(STATE_SIZE)
    taught(9).save(state, 0)
    state[place] = value
    if place == 2:
        state[3] = 0
    teacher = FeederTeacher(*PLACE, 0)
    assert not teacher.load(state, 0)
    assert teacher.evening_day == 0


@settings(max_examples=20)
@given(st.lists(st.integers(-5, 200_000), max_size=12), st.integers(0, 3600))
def test_any_history_is_bounded(lengths, period):
    """Whatever the grid does, the estimate is a time, the state fits, and four hours stay lit."""
    teacher = FeederTeacher(*PLACE, period)
    teacher.known(START, EVENING)
    state = bytearray(STATE_SIZE)
    for length in lengths:
        teacher.night(length)
        teacher.boot()
        teacher.save(state, 0)
        assert FeederTeacher(*PLACE, period).load(state, 0)
        teacher.estimate(0)
        assert 0 <= teacher.second < 86400 and abs(teacher.day - teacher.evening_day) <= 2
        assert not teacher.may_switch_off(14_399)
        assert START <= teacher.evening_day <= START + 4 * len(lengths)
        assert not teacher.is_ready or 600 < teacher.error_s < 20_000


SCRIPT = """
try:
    from micropython import heap_lock, heap_unlock
except ImportError:
    heap_lock = heap_unlock = lambda: None
from firmware.control.feeder import FeederTeacher
teacher = FeederTeacher(48573000, 7752000, 900)
state = bytearray(17)
seed = 3
# A new global makes the module's dictionary grow.
length = 0
ok = may = True
heap_lock()
teacher.known(9750, 72000)
heap_unlock()
for n in range(300):
    seed = (seed * 1103 + 12345) % 65536
    heap_lock()
    length = teacher._night_s + seed % 3000 - 1500
    if seed % 10 == 0:
        length //= 2
    elif seed % 37 == 0:
        length += 86400
    teacher.night(length)
    if seed % 11:
        teacher.boot()
    teacher.estimate(seed)
    ok = teacher.load(state, 0) if seed % 13 == 0 and n else True
    teacher.save(state, 0)
    may = teacher.may_switch_off(seed)
    heap_unlock()
    print(teacher.day, teacher.second, teacher.error_s, teacher.is_ready, teacher.middle_s, teacher.nights, ok, may)
print(list(state))
"""


def test_every_runtime_learns_the_same(micropython_runtime, tmp_path):
    """The chip must learn what the simulator learns. One history on all runtimes, nothing allocated while running."""
    script = tmp_path / "history.py"
    script.write_text(SCRIPT)
    done = micropython_runtime.run([script])
    assert done.returncode == 0, done.stderr
    host = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}
    )
    assert done.stdout == host.stdout
    assert "True" in host.stdout and "False" in host.stdout
