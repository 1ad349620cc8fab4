"""The light of a lamp that does not know the time: by photocell, by power, by a stale clock, or always."""

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from astral import Observer
from astral.sun import sunrise, sunset

from firmware.control.civil import day_number
from firmware.control.failsafe import (
    CELL_MARGIN_S,
    DIMMED_LATE,
    LIT_BY_CELL,
    LIT_BY_CLOCK,
    LIT_BY_DEFAULT,
    LIT_BY_POWER,
    OFF_BY_CELL,
    OFF_BY_CLOCK,
    SUN_DOWN,
    SUN_EITHER,
    SUN_UP,
    FailSafe,
)
from firmware.control.sun import Sun
from firmware.control.ticks import TICKS_MAX, ticks_add

ROOT = Path(__file__).resolve().parents[2]
PLACE = (48_573_000, 7_752_000)
DAY = day_number(2026, 9, 10)
NOON, MIDNIGHT = 12 * 3600, 23 * 3600 + 1800
T0 = TICKS_MAX - 5000


def state(safe: FailSafe) -> tuple[int, int]:
    return safe.level_permille, safe.reason


def test_with_nothing_it_is_lit():
    """The lamp fails lit. So with no cell, no switched feeder and no clock it is lit at all hours, and asks nothing."""
    safe = FailSafe(*PLACE, False, False)
    assert state(safe) == (1000, LIT_BY_DEFAULT) and not safe.is_due
    safe.take_clock(T0, DAY, NOON, 0)
    assert state(safe) == (0, OFF_BY_CLOCK)
    safe.forget_clock()
    assert state(safe) == (1000, LIT_BY_DEFAULT) and not safe.is_due


def test_where_there_is_power_it_is_night():
    """A feeder that is switched at dusk is itself the photocell. So power is light, whatever a stale clock says."""
    safe = FailSafe(*PLACE, True, False)
    assert state(safe) == (1000, LIT_BY_POWER)
    safe.take_clock(T0, DAY, NOON, 0)
    assert state(safe) == (1000, LIT_BY_POWER)


def test_a_photocell_switches_after_ten_seconds():
    """A headlight must not switch a lamp off, nor a bird one on. So light must last 10 s, between two thresholds."""
    safe = FailSafe(*PLACE, False, True, on_lux=20, off_lux=40)
    safe.see_lux(T0, 5)
    assert state(safe) == (1000, LIT_BY_CELL) and not safe.is_due
    safe.see_lux(T0, 40)
    assert not safe.is_due
    safe.see_lux(T0, 41)
    assert safe.is_due and safe.due_ms == ticks_add(T0, 10_000)
    safe.see_lux(ticks_add(T0, 5000), 500)
    assert safe.due_ms == ticks_add(T0, 10_000)
    safe.see_lux(ticks_add(T0, 9000), 40)
    assert not safe.is_due and safe.level_permille == 1000
    safe.see_lux(ticks_add(T0, 20_000), 500)
    safe.pass_due(safe.due_ms)
    assert state(safe) == (0, OFF_BY_CELL)
    safe.see_lux(ticks_add(T0, 60_000), 20)
    assert not safe.is_due
    safe.see_lux(ticks_add(T0, 61_000), 19)
    safe.pass_due(safe.due_ms)
    assert state(safe) == (1000, LIT_BY_CELL)


def test_a_dead_photocell_is_none():
    """A broken wire is not darkness and not light. So the next in the list decides, and a new cell starts lit."""
    safe = FailSafe(*PLACE, False, True)
    safe.see_lux(T0, 500)
    safe.pass_due(safe.due_ms)
    safe.see_lux(T0, -1)
    assert state(safe) == (1000, LIT_BY_DEFAULT)
    safe.see_lux(T0, 500)
    assert state(safe) == (1000, LIT_BY_CELL)


@pytest.mark.parametrize(
    ("lux", "second", "level", "reason"), [(0, NOON, 0, OFF_BY_CLOCK), (900, MIDNIGHT, 1000, LIT_BY_CLOCK)]
)
def test_a_stuck_photocell_loses(lux, second, level, reason):
    """On all day, off all night (reliability.md, row 13). The sun wins where it is sure, and the fault is told."""
    safe = FailSafe(*PLACE, False, True)
    safe.see_lux(T0, lux)
    if safe.is_due:
        safe.pass_due(safe.due_ms)
    before = state(safe)
    safe.take_clock(T0, DAY, second, 600)
    assert state(safe) == (level, reason) and safe.is_cell_stuck
    safe.forget_clock()
    assert state(safe) == before and not safe.is_cell_stuck


@pytest.mark.parametrize(
    ("is_dark", "second", "expected"),
    [(True, NOON, False), (False, NOON, True), (True, MIDNIGHT, True), (False, MIDNIGHT, False)],
)
def test_plausibility_of_a_photocell(is_dark, second, expected):
    """The supervisor asks the same question to raise an alarm."""
    safe = FailSafe(*PLACE, False, True)
    assert safe.photocell_is_plausible(is_dark, DAY, second, 60) is expected
    assert safe.photocell_is_plausible(is_dark, DAY, second, 10**6)


def test_a_photocell_is_right_within_45_minutes():
    """Fog and clouds make dusk early. Within 45 min and the clock's error of it the cell is believed, to the second."""
    sun = Sun(*PLACE)
    sun.of(DAY)
    safe = FailSafe(*PLACE, False, True)
    for edge, inside in ((sun.set_s, 1), (sun.rise_s, -1)):
        for margin in (0, CELL_MARGIN_S + 100):
            up, down = (edge - margin, edge + margin) if inside == 1 else (edge + margin, edge - margin)
            assert safe.sky(DAY, up - inside, margin) == SUN_UP
            assert safe.sky(DAY, down + inside, margin) == SUN_DOWN
            if margin:
                assert safe.sky(DAY, up + inside, margin) == SUN_EITHER
                assert safe.sky(DAY, down - inside, margin) == SUN_EITHER


def test_a_stale_clock_lights_whenever_it_may_be_night():
    """An orphan's clock drifts for years. The lamp goes on when it may be dark and off when it must be light: it burns
    early by the bound, and no night is dark."""
    sun = Sun(*PLACE)
    safe = FailSafe(*PLACE, False, False)
    safe.take_clock(T0, DAY, NOON, 3600)
    assert state(safe) == (0, OFF_BY_CLOCK)
    changes = []
    now = NOON
    tick = T0
    for _ in range(20):
        due = safe.due_ms
        now += ((due - tick) & TICKS_MAX) // 1000
        tick = due
        before = safe.level_permille
        safe.pass_due(due)
        if safe.level_permille != before:
            changes.append(now)
    sun.of(DAY)
    dusk = sun.set_s
    sun.of(DAY + 1)
    assert changes[:3] == [dusk - 3600, 86400 + sun.rise_s + 3600, 86400 + sun.set_s - 3600]


def test_late_is_dim_and_never_dark():
    """Half light late at night is what the town wants; none is not, while the time is in doubt."""
    safe = FailSafe(*PLACE, True, False, 800, 300)
    safe.allow_dim(True)
    assert state(safe) == (300, DIMMED_LATE)
    safe.allow_dim(False)
    assert state(safe) == (800, LIT_BY_POWER)
    for dim in (0, -5, 900):
        safe = FailSafe(*PLACE, True, False, 800, dim)
        safe.allow_dim(True)
        assert state(safe) == (800, LIT_BY_POWER)
    for level in (0, -1, 1001):
        assert FailSafe(*PLACE, True, False, level).level_permille == 1000
    off = FailSafe(*PLACE, False, False)
    off.take_clock(T0, DAY, NOON, 0)
    off.allow_dim(True)
    assert state(off) == (0, OFF_BY_CLOCK)


def test_both_deadlines_keep_their_order():
    """A photocell turns while the sky is about to change. Each is carried out at its own tick."""
    sun = Sun(*PLACE)
    sun.of(DAY)
    safe = FailSafe(*PLACE, False, True)
    # The sky's next look in 5 s, the cell's turn in 10 s.
    safe.take_clock(T0, DAY, sun.set_s - CELL_MARGIN_S - 5, 0)
    safe.see_lux(T0, 900)
    assert safe.due_ms == ticks_add(T0, 5000)
    safe.pass_due(safe.due_ms)
    assert safe.due_ms == ticks_add(T0, 10_000)
    safe.pass_due(safe.due_ms)
    assert state(safe) == (0, OFF_BY_CELL)


def test_a_polar_day_is_not_for_us_to_judge():
    """In Tromsø's June the sun has no times. There the cell is believed, and without one the lamp is lit."""
    safe = FailSafe(69_649_200, 18_955_300, False, False)
    assert safe.sky(day_number(2026, 6, 21), NOON, 0) == SUN_EITHER
    safe.take_clock(T0, day_number(2026, 6, 21), NOON, 0)
    assert state(safe) == (1000, LIT_BY_CLOCK)


@pytest.mark.parametrize(
    ("latitude", "longitude"), [(48.573, 7.752), (4.922, -52.313), (-17.53, -149.57), (-41.286, 174.776)]
)
def test_the_sky_is_astrals(latitude, longitude):
    """On the other side of the world a day's sunset lies on another UTC day. The sky must be right there too: every
    ninety minutes of the four seasons, against astral, but for two minutes at the edges."""
    safe = FailSafe(round(latitude * 1e6), round(longitude * 1e6), False, False)
    observer = Observer(latitude, longitude)
    epoch = datetime(2000, 1, 1, tzinfo=UTC)
    for month in (3, 6, 10, 12):
        first = date(2026, month, 10)
        events = []
        for d in range(-3, 4):
            for event, up in ((sunrise, True), (sunset, False)):
                events.append(((event(observer, first + timedelta(days=d)) - epoch).total_seconds(), up))
        events.sort()
        for half_hour in range(0, 48, 3):
            moment = day_number(2026, month, 10) * 86400 + half_hour * 1800
            if min(abs(moment - t) for t, _ in events) > 120:
                is_up = [up for t, up in events if t < moment][-1]
                assert safe.sky(moment // 86400, moment % 86400, 0) == (SUN_UP if is_up else SUN_DOWN)


SCRIPT = """
try:
    from micropython import heap_lock, heap_unlock
except ImportError:
    heap_lock = heap_unlock = lambda: None
from firmware.control.failsafe import FailSafe
safe = FailSafe(48573000, 7752000, False, True, 900, 400)
seed = 5
tick = 1073741000
ok = True
for n in range(400):
    seed = (seed * 1103 + 12345) % 65536
    heap_lock()
    if safe.is_due:
        tick = safe.due_ms
        safe.pass_due(tick)
    if seed % 5 == 0:
        safe.see_lux(tick, seed // 5 % 70 - 1)
    if seed % 17 == 0:
        safe.take_clock(tick, 9700 + seed % 800, seed, seed // 3)
    if seed % 41 == 0:
        safe.forget_clock()
    safe.allow_dim(seed % 7 < 2)
    ok = safe.photocell_is_plausible(seed % 2 == 0, 9800, seed, seed)
    heap_unlock()
    print(safe.level_permille, safe.reason, safe.is_cell_stuck, safe.is_due, safe.due_ms, ok)
"""


def test_every_runtime_gives_the_same_light(micropython_runtime, tmp_path):
    """The chip must fail as the simulator does. One history on all runtimes, nothing allocated while running."""
    script = tmp_path / "history.py"
    script.write_text(SCRIPT)
    done = micropython_runtime.run([script])
    assert done.returncode == 0, done.stderr
    host = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}
    )
    assert done.stdout == host.stdout
    assert {line.split()[1] for line in host.stdout.splitlines()} >= {"0", "2", "3", "4", "5", "6"}
