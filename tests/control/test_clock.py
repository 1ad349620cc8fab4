"""The clock that may be doubted: who may set it, by how much, and when it says that it does not know."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.control.civil import DAY_MAX, day_number
from firmware.control.clock import (
    CLOCK_GOOD,
    CLOCK_HELD,
    CLOCK_UNKNOWN,
    DOUBTED,
    FEEDER,
    GNSS,
    KEPT,
    NETWORK,
    REFUSED,
    RTC,
    SET,
    SIGNED,
    STATE_SIZE,
    STEPPED,
    ClockTrust,
)
from firmware.control.ticks import TICKS_MAX, ticks_add

BUILD = day_number(2026, 6, 1)
TODAY = day_number(2026, 9, 10)
NOON = 43200
ROOT = Path(__file__).resolve().parents[2]


def clock_set_by(source: int, tick: int = 0, **keys) -> ClockTrust:
    clock = ClockTrust(BUILD, **keys)
    assert clock.report(tick, source, TODAY, NOON, 0) == SET
    return clock


def age(clock: ClockTrust, days: int) -> int:
    for _ in range(days):
        assert clock.is_due
        clock.pass_due(clock.due_ms)
    return ticks_add(clock.due_ms, 0)


def test_no_report_is_no_clock():
    """A node must not show a date that nobody told it. So before a report it is unknown, and asks for nothing."""
    clock = ClockTrust(BUILD)
    assert clock.quality == CLOCK_UNKNOWN and not clock.is_set and not clock.is_due and clock.is_doubted


@pytest.mark.parametrize(
    ("source", "quality", "doubted"),
    [
        (FEEDER, CLOCK_HELD, True),
        (RTC, CLOCK_HELD, False),
        (NETWORK, CLOCK_GOOD, False),
        (GNSS, CLOCK_GOOD, False),
        (SIGNED, CLOCK_GOOD, False),
    ],
)
def test_the_first_report_sets_it(source, quality, doubted):
    """A cold boot at dusk takes what there is. So any source sets an unset clock, each with the quality it is worth."""
    clock = clock_set_by(source)
    assert (clock.quality, clock.is_doubted, clock.source) == (quality, doubted, source)


def test_it_runs_on_over_midnight_and_the_ring():
    """A lamp's night crosses midnight, and its ticks wrap every 12 days. So the time runs on over both, to the ms."""
    clock = ClockTrust(BUILD)
    start = TICKS_MAX - 500
    clock.report(start, NETWORK, TODAY, 86399, 900)
    clock.at(ticks_add(start, 99))
    assert (clock.day, clock.second, clock.ms) == (TODAY, 86399, 999)
    clock.at(ticks_add(start, 100))
    assert (clock.day, clock.second, clock.ms) == (TODAY + 1, 0, 0)
    for _ in range(40):
        clock.pass_due(clock.due_ms)
    clock.at(clock.due_ms)
    assert (clock.day, clock.second, clock.ms) == (TODAY + 41, 86399, 900)


@pytest.mark.parametrize(
    ("day", "second", "ms"),
    [(0, 0, 0), (BUILD - 1, 86399, 999), (DAY_MAX + 1, 0, 0), (TODAY, -1, 0), (TODAY, 86400, 0), (TODAY, 0, 1000)],
)
@pytest.mark.parametrize("source", [FEEDER, RTC, NETWORK, GNSS, SIGNED])
def test_impossible_moments_are_refused(day, second, ms, source):
    """A dead battery says 2000, a GNSS week rollover 2007. Before the build date nobody is believed, not even a
    signature: it may be an old one, replayed."""
    clock = clock_set_by(NETWORK)
    assert clock.report(1000, source, day, second, ms) == REFUSED
    clock.at(1000)
    assert (clock.day, clock.second, clock.quality) == (TODAY, NOON + 1, CLOCK_GOOD)


@pytest.mark.parametrize(
    ("off_s", "verdict"),
    [(0, KEPT), (2, KEPT), (-2, KEPT), (3, STEPPED), (-3, STEPPED), (900, STEPPED), (-900, STEPPED), (901, DOUBTED)],
)
def test_small_steps_are_taken(off_s, verdict):
    """A leap second must not move a switching and a drift of minutes must. So 2 s are kept and 15 min are taken."""
    clock = clock_set_by(NETWORK)
    assert clock.report(1000, NETWORK, TODAY, NOON + 1 + off_s, 0) == verdict
    clock.at(1000)
    assert clock.second == NOON + 1 + (off_s if verdict == STEPPED else 0)


def test_the_ms_edges_of_the_steps():
    """Bounds are exact or they are not bounds."""
    for ms, verdict in ((0, KEPT), (1, STEPPED)):
        assert clock_set_by(NETWORK).report(0, NETWORK, TODAY, NOON + 2, ms) == verdict
    for ms, verdict in ((0, STEPPED), (1, DOUBTED)):
        assert clock_set_by(NETWORK).report(0, NETWORK, TODAY, NOON + 900, ms) == verdict


def test_a_clock_a_year_ahead_comes_back():
    """A node with a future clock refused every correction, because a clock "cannot go backwards" (lighting.md A.4,
    MeshCore). So two reports that agree, 10 s apart, bring it back, below the floor it had saved."""
    clock = ClockTrust(BUILD)
    clock.report(0, NETWORK, TODAY + 365, NOON, 0)
    assert clock.floor_day == TODAY + 365
    assert clock.report(1000, NETWORK, TODAY, NOON, 0) == DOUBTED
    assert clock.report(10_999, NETWORK, TODAY, NOON + 10, 0) == DOUBTED
    assert clock.report(11_000, NETWORK, TODAY, NOON + 15, 1) == DOUBTED
    clock.at(11_000)
    assert clock.day == TODAY + 365
    assert clock.report(21_000, NETWORK, TODAY, NOON + 30, 1) == STEPPED
    clock.at(21_000)
    assert (clock.day, clock.second, clock.ms, clock.floor_day) == (TODAY, NOON + 30, 1, TODAY)


def test_two_reports_that_do_not_agree_are_no_proof():
    """A liar and a truth must not make a step together; nor a doubt of yesterday and a report of today."""
    clock = clock_set_by(NETWORK)
    assert clock.report(0, NETWORK, TODAY + 9, 0, 0) == DOUBTED
    assert clock.report(20_000, NETWORK, TODAY + 9, 25, 1) == DOUBTED
    assert clock.report(20_000 + 21_600_001, NETWORK, TODAY + 9, 25 + 21_600, 0) == DOUBTED
    assert clock.report(20_000 + 43_200_001, NETWORK, TODAY + 9, 25 + 43_200, 0) == STEPPED
    assert clock.report(70_000_000, NETWORK, TODAY, 0, 0) == DOUBTED
    clock.pass_due(clock.due_ms)
    assert not clock._is_doubting


def test_a_weak_voice_does_not_move_a_better_clock():
    """A chip with a flat battery, or a feeder 20 min off, must not spoil the network's time, however often they
    say so."""
    clock = clock_set_by(NETWORK)
    for tick in (0, 20_000, 40_000):
        assert clock.report(tick, RTC, TODAY, NOON + 3600, 0) == REFUSED
        assert clock.report(tick, FEEDER, TODAY, NOON + 3600, 0) == REFUSED
        assert clock.report(tick, FEEDER, TODAY, NOON + 1500, 0) == KEPT
        assert clock.report(tick, RTC, TODAY, NOON + tick // 1000 + 3, 0) == KEPT
    clock.at(40_000)
    assert (clock.second, clock.source) == (NOON + 40, NETWORK)
    chip = clock_set_by(RTC)
    assert chip.report(20_000, RTC, TODAY, 0, 0) == REFUSED
    assert chip.report(40_000, RTC, TODAY, 20, 0) == REFUSED


def test_a_guess_gives_way_to_any_clock():
    """What the feeder taught is a guess. So the first chip or network report replaces it, without a second one."""
    clock = clock_set_by(FEEDER)
    assert clock.report(0, RTC, TODAY, NOON + 3000, 0) == SET
    assert clock.source == RTC and not clock.is_doubted


def test_authority_lasts_a_day():
    """The operator's signature must not lock the network out for years. So GNSS and SIGNED outrank it for a day."""
    for source in (GNSS, SIGNED):
        clock = clock_set_by(source)
        assert clock.report(0, NETWORK, TODAY, NOON + 60, 0) == REFUSED
        tick = age(clock, 1)
        clock.at(tick)
        assert clock.report(tick, NETWORK, clock.day, clock.second + 60, 0) == STEPPED
        assert clock.quality == CLOCK_GOOD


def test_a_signed_command_may_always_step():
    """When all else lies, the operator can still say what time it is: back and forth, but not before the build."""
    clock = clock_set_by(GNSS)
    age(clock, 3)
    assert clock.report(0, SIGNED, BUILD, 0, 0) == STEPPED
    assert (clock.day, clock.floor_day, clock.quality) == (BUILD, BUILD, CLOCK_GOOD)


def test_it_ages():
    """A clock that nobody confirms is a claim. So it is held after a day and unknown after 208 days at 100 ppm, when
    its bound passes half an hour."""
    clock = clock_set_by(NETWORK)
    age(clock, 1)
    assert (clock.quality, clock.error_ms) == (CLOCK_HELD, 2000 + 8640)
    age(clock, 207)
    assert (clock.quality, clock.error_ms) == (CLOCK_HELD, 2000 + 208 * 8640)
    age(clock, 1)
    assert clock.quality == CLOCK_UNKNOWN
    tick = clock.due_ms
    assert clock.report(tick, NETWORK, TODAY + 400, 0, 0) == SET


def test_ageing_ends_somewhere():
    """Years pass. So the bound stays in 30 bits, and a clock past 2199 is none."""
    clock = clock_set_by(NETWORK, drift_ppm=1000, limit_s=86400)
    for _ in range(20_000):
        clock.pass_due(clock.due_ms)
    assert clock.error_ms < 2**30
    last = ClockTrust(BUILD)
    last.report(0, SIGNED, DAY_MAX, 86399, 0)
    last.pass_due(last.due_ms)
    assert last.quality == CLOCK_UNKNOWN and last.floor_day == DAY_MAX
    # A chip that says 2199 after one that was sure in 2026: its bound is as large as bounds get.
    state = bytearray(STATE_SIZE)
    clock_set_by(NETWORK).save(state, 0)
    worst = ClockTrust(BUILD, drift_ppm=1000)
    worst.load(state, 0)
    assert worst.report(0, RTC, DAY_MAX, 0, 0) == SET
    assert worst.quality == CLOCK_UNKNOWN and worst.error_ms < 2**30


def test_a_chip_ages_through_every_power_cut():
    """A feeder restarts the node each night. If that made the chip's time fresh, it would be trusted for ever. So its
    drift counts from the day that was last sure, which is saved."""
    state = bytearray(STATE_SIZE)
    clock = clock_set_by(NETWORK)
    assert clock.save(state, 0) == STATE_SIZE
    for days, quality in ((0, CLOCK_HELD), (208, CLOCK_HELD), (209, CLOCK_UNKNOWN), (30_000, CLOCK_UNKNOWN)):
        clock = ClockTrust(BUILD)
        assert clock.load(state, 0)
        assert clock.report(0, RTC, TODAY + days, 0, 0) == SET
        assert clock.quality == quality
    clock = ClockTrust(BUILD)
    clock.load(state, 0)
    assert clock.report(0, RTC, TODAY - 1, 0, 0) == SET
    assert clock.report(0, RTC, TODAY - 2, 0, 0) == REFUSED
    assert clock.report(0, FEEDER, TODAY - 2, 0, 0) == REFUSED
    clock = ClockTrust(BUILD)
    clock.load(state, 0)
    assert clock.report(0, NETWORK, TODAY - 2, 0, 0) == DOUBTED
    assert clock.quality == CLOCK_UNKNOWN
    assert clock.report(10_000, NETWORK, TODAY - 2, 10, 0) == STEPPED


def test_a_stale_chip_does_not_replace_a_guess():
    """After years the feeder knows better than a chip that has drifted. So the chip's word is then the weaker one."""
    state = bytearray(STATE_SIZE)
    clock_set_by(NETWORK).save(state, 0)
    clock = ClockTrust(BUILD)
    clock.load(state, 0)
    clock.report(0, RTC, TODAY + 500, NOON + 4000, 0)
    assert clock.quality == CLOCK_UNKNOWN
    assert clock.report(0, FEEDER, TODAY + 500, NOON, 0) == SET
    assert clock.report(0, RTC, TODAY + 500, NOON + 4000, 0) == KEPT
    assert (clock.quality, clock.source, clock.is_doubted) == (CLOCK_HELD, FEEDER, True)


@pytest.mark.parametrize("place", [2, 3, 6, 7])
def test_nonsense_is_not_loaded(place):
    """Flash wears. A damaged floor must not refuse the true time for ever."""
    state = bytearray(STATE_SIZE)
    clock_set_by(NETWORK).save(state, 0)
    state[place] = 0xFF
    clock = ClockTrust(BUILD)
    assert not clock.load(state, 0)
    assert clock.floor_day == BUILD
    assert not clock.load(bytearray(STATE_SIZE), 0)
    for at in (0, 4):
        state = bytearray(STATE_SIZE)
        clock_set_by(NETWORK).save(state, 0)
        state[at], state[at + 1], state[at + 2] = (1, 0, 0) if at else (0xFF, 0xFF, 2)
        assert not clock.load(state, 0)
    state[4], state[5], state[6] = 0xFF, 0xFF, 2
    assert not clock.load(state, 0)
    older = ClockTrust(TODAY + 50)
    state = bytearray(STATE_SIZE)
    clock_set_by(NETWORK).save(state, 0)
    assert older.load(state, 0) and older.floor_day == TODAY + 50


reports = st.tuples(
    st.integers(0, 100_000_000), st.integers(FEEDER, SIGNED), st.integers(BUILD - 3, BUILD + 900), st.integers(0, 86399)
)


@given(st.lists(reports, max_size=30))
def test_it_is_always_a_time_after_the_build(history):
    """Whatever is reported, and in whatever order, the clock stays a possible one and no single unsigned report moves a
    known one by more than 15 min."""
    clock = ClockTrust(BUILD)
    tick = 0
    for wait, source, day, second in history:
        for _ in range(wait // 86_400_000):
            if clock.is_due:
                clock.pass_due(clock.due_ms)
        tick = ticks_add(tick, wait % 86_400_000)
        known = clock.quality != CLOCK_UNKNOWN and clock.source != FEEDER
        clock.at(tick)
        before = clock.day * 86400 + clock.second
        doubting = clock._is_doubting
        verdict = clock.report(tick, source, day, second, 0)
        clock.at(tick)
        after = clock.day * 86400 + clock.second
        if known and source != SIGNED and not doubting:
            assert abs(after - before) <= 900
        if verdict in (KEPT, DOUBTED, REFUSED):
            assert after == before
        if clock.is_set:
            assert clock.day >= BUILD and 0 <= clock.second < 86400 and 0 <= clock.ms < 1000
        assert clock.error_ms < 2**30


SCRIPT = """
import sys
try:
    from micropython import heap_lock, heap_unlock
except ImportError:
    heap_lock = heap_unlock = lambda: None
from firmware.control.clock import ClockTrust
clock = ClockTrust(9648)
state = bytearray(8)
seed = 7
tick = 1073741000
wrong = second = day = verdict = 0
doubted = ok = True
for i in range(600):
    seed = (seed * 1103 + 12345) % 65536
    source = seed % 5
    # Mostly the truth, a step of minutes, or nonsense.
    wrong = (0, 0, 1, 300, 5000, 700000)[seed // 5 % 6]
    tick = (tick + seed * 5) & 1073741823
    heap_lock()
    clock.at(tick)
    second = clock.second + wrong if clock.is_set else 50000
    day = (clock.day if clock.is_set else 9700) + second // 86400
    verdict = clock.report(tick, source, day - 30 * (seed // 7 % 9 == 0), second % 86400, seed % 1000)
    if seed % 3 == 0:
        clock.pass_due(clock.due_ms)
        tick = (clock.due_ms - 86400000) & 1073741823
    clock.at(tick)
    doubted = clock.is_doubted
    clock.save(state, 0)
    heap_unlock()
    print(verdict, clock.day, clock.second, clock.ms, clock.quality, clock.error_ms, clock.floor_day, doubted)
other = ClockTrust(9648)
heap_lock()
ok = other.load(state, 0)
heap_unlock()
print(ok, other.floor_day, list(state))
"""


def test_every_runtime_tells_the_same_time(micropython_runtime, tmp_path):
    """The chip must doubt what the simulator doubts. One history on all runtimes, nothing allocated while running."""
    script = tmp_path / "history.py"
    script.write_text(SCRIPT)
    done = micropython_runtime.run([script])
    assert done.returncode == 0, done.stderr
    host = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}
    )
    assert done.stdout == host.stdout
    assert {line.split()[0] for line in host.stdout.splitlines()} >= {"0", "1", "2", "3", "4"}


@pytest.mark.parametrize(
    ("source", "error_s", "error_ms", "quality"),
    [
        (FEEDER, 0, 1_800_000, CLOCK_HELD),
        (FEEDER, 900, 1_800_000, CLOCK_HELD),
        (FEEDER, 1801, 1_801_000, CLOCK_UNKNOWN),
        (FEEDER, 2040, 2_040_000, CLOCK_UNKNOWN),
        (FEEDER, 2**30 - 1, 1_000_000_000, CLOCK_UNKNOWN),
        (RTC, 60, 60_000, CLOCK_HELD),
        (NETWORK, 2040, 2_000, CLOCK_GOOD),
    ],
)
def test_a_report_may_say_how_wrong_it_is(source, error_s, error_ms, quality):
    """A feeder that errs by 20 min each night gave up to 34 min, and the usual 30 were no bound. So what a feeder or a
    chip says of its own error counts where it is more, and a bound beyond the limit is no clock."""
    clock = ClockTrust(BUILD)
    assert clock.report(0, source, TODAY, NOON, 0, error_s) == SET
    assert (clock.error_ms, clock.quality) == (error_ms, quality)
