"""Thermal derating and thermal shutdown: the line, the hysteresis, the noise, the pace, and what clears what."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from firmware.control.derating import UNKNOWN_DC, ThermalDerating
from firmware.control.ticks import TICKS_MAX, ticks_add, ticks_diff
from tests.runtimes import ROOT

# 60 °C to 75 °C down to 400, shutdown at 85 °C, hysteresis 3 °C, protection 100, off from 95 °C.
LAMP = (600, 750, 400, 850, 30, 100, 950)
QUIET_MS = 10_000
PROTECTION_MS = 60_000

HISTORY = """
from firmware.control.derating import UNKNOWN_DC, ThermalDerating
from firmware.control.ticks import ticks_add, ticks_diff
try:
    from micropython import heap_lock, heap_unlock
except ImportError:
    def heap_lock(): pass
    heap_unlock = heap_lock
def main():
    for lamp in (ThermalDerating(600, 750, 400, 850, 30, 100, 950), ThermalDerating(600, 601, 0, 700, 10)):
        tick = 0x3FFFFFFF - 200000
        value = 20
        for i in range(3000):
            value = (value * 131 + i * 17 + 7) % 1021
            heap_lock()
            tick = ticks_add(tick, 1 + value * 13)
            while lamp.is_due and ticks_diff(tick, lamp.due_ms) >= 0:
                lamp.pass_due(lamp.due_ms)
            lamp.temperature(tick, UNKNOWN_DC if value % 23 == 0 else value)
            heap_unlock()
            print(i, tick, lamp.cap_permille, lamp.is_protection, lamp.is_unknown, lamp.is_due, lamp.due_ms)
main()
"""


class Bench:
    """A derating with its clock: ``feed`` waits, lets deadlines pass at their own tick, and gives a reading."""

    def __init__(self, *lamp, tick=TICKS_MAX - 30_000):
        self.lamp = ThermalDerating(*(lamp or LAMP))
        self.tick = tick
        self.now = 0
        # (ms since the start, cap, protection) at each change.
        self.changes = []

    def feed(self, wait_ms, *values_dc):
        for value_dc in values_dc:
            self._advance(wait_ms)
            self.lamp.temperature(self.tick, value_dc)
            self._note(self.now)
        return self.lamp.cap_permille

    def rest(self, wait_ms):
        self._advance(wait_ms)
        return self.lamp.cap_permille

    def _advance(self, wait_ms):
        end = ticks_add(self.tick, wait_ms)
        self.now += wait_ms
        while self.lamp.is_due and ticks_diff(end, self.lamp.due_ms) >= 0:
            due = self.lamp.due_ms
            self.lamp.pass_due(due)
            self._note(self.now - ticks_diff(end, due))
        self.tick = end

    def _note(self, now):
        state = (self.lamp.cap_permille, self.lamp.is_protection)
        if state != (self.changes[-1][1:] if self.changes else (1000, False)):
            self.changes.append((now, *state))


def line(value_dc):
    """The cap of LAMP for a temperature, from the definition, below the shutdown."""
    return max(400, min(1000, 1000 - 4 * (value_dc - 600)))


def test_a_straight_line_from_start_to_full():
    """A driver's sheet gives two temperatures and a level, and the town is told what they mean. So 60 °C is full light,
    75 °C is 400, the middle is 700, and above stays 400 up to the shutdown."""
    for value_dc, cap in (
        (-400, 1000),
        (200, 1000),
        (600, 1000),
        (601, 996),
        (675, 700),
        (750, 400),
        (751, 400),
        (849, 400),
    ):
        assert Bench().feed(0, value_dc) == cap, value_dc
    # What does not divide is rounded to the cool side.
    assert Bench(600, 607, 400, 850, 30).feed(0, 601) == 914


def test_down_at_once_and_up_only_after_the_hysteresis():
    """Light that follows every tenth of a degree breathes. So the cap comes down with the temperature, waits until it
    is 3 °C below (and 1 °C for noise), and comes up by that little."""
    bench = Bench()
    assert bench.feed(20_000, 675) == 700
    assert bench.feed(20_000, 690) == 640
    assert bench.feed(20_000, 675, 660, 651, 650) == 640
    assert bench.feed(20_000, 649) == line(649 + 30) == 684
    assert bench.feed(20_000, 540) == 1000


def test_noise_makes_no_visible_change():
    """Every sensor moves by half a degree with nobody near. So after the first reading, whatever comes within 1 °C
    changes nothing at all, on the way up or after a way down."""
    for approach in ((675,), (690, 645)):
        bench = Bench()
        bench.feed(20_000, *approach)
        before = list(bench.changes)
        middle = approach[-1]
        bench.feed(15_000, *(middle + step for step in (10, -10, 5, -5, 0, 10, -10) * 30))
        assert bench.changes == before


def test_changes_keep_ten_seconds():
    """A luminaire in the evening sun cools in gusts, and a change each second is flicker. So the first comes at once,
    the next after 10 s with the latest temperature, and nothing is lost in between."""
    bench = Bench()
    bench.feed(0, 650)
    bench.feed(1000, 670, 690, 710)
    assert bench.lamp.is_due
    assert bench.changes == [(0, 800, False)]
    assert bench.rest(7000) == line(710)
    assert bench.changes == [(0, 800, False), (10_000, 560, False)]
    bench.rest(10_000)
    assert not bench.lamp.is_due


def test_shutdown_is_at_once_and_clears_by_itself():
    """A driver at 85 °C has minutes. So thermal shutdown waits for nothing, leaves 100 permille, lasts a minute at
    least and until it is 3 °C cooler, and nobody has to come and reset it."""
    bench = Bench()
    bench.feed(0, 700)
    bench.feed(1000, 850)
    assert bench.changes == [(0, 600, False), (1000, 100, True)]
    bench.feed(1000, 700)
    assert bench.rest(PROTECTION_MS - 1001) == 100
    assert bench.rest(1) == line(730)
    assert not bench.lamp.is_protection
    # And where it stays hot it stays, however long.
    bench = Bench()
    bench.feed(100_000, 850, 840, 821)
    assert (bench.lamp.cap_permille, bench.lamp.is_protection) == (100, True)
    bench.feed(100_000, 820)
    assert (bench.lamp.cap_permille, bench.lamp.is_protection) == (400, False)


def test_only_the_absolute_limit_darkens():
    """A lamp that must be lit is dark only to be lit another day. So off starts at 95 °C, at once even in a shutdown,
    and steps back through 100 permille; without an absolute limit no heat darkens."""
    bench = Bench()
    bench.feed(0, 850)
    bench.feed(1000, 950)
    assert bench.changes == [(0, 100, True), (1000, 0, True)]
    bench.feed(100_000, 921)
    assert bench.lamp.cap_permille == 0
    bench.feed(100_000, 920)
    assert (bench.lamp.cap_permille, bench.lamp.is_protection) == (100, True)
    # From there down into the shutdown's hysteresis it is the shutdown, not nothing.
    assert Bench().feed(100_000, 950, 840) == 100
    assert Bench(600, 750, 400, 850, 30).feed(0, 3000) == 100


def test_a_shutdown_shows_where_the_light_stays_the_same():
    """Maintenance looks for luminaires that were in shutdown. So it is shown also where protection is the floor itself,
    and no light changes."""
    bench = Bench(600, 750, 400, 850, 30, 400)
    bench.feed(20_000, 760, 860)
    assert (bench.lamp.cap_permille, bench.lamp.is_protection) == (400, True)


def test_no_sensor_is_no_derating():
    """Most luminaires have no sensor, and those of some fail. So without a reading the lamp gives full light and says
    that it does not know, at the same pace as ever; a shutdown lasts its minute."""
    bench = Bench()
    assert bench.lamp.is_unknown
    assert bench.feed(0, UNKNOWN_DC) == 1000
    assert bench.feed(1000, 700) == 600
    assert not bench.lamp.is_unknown
    assert bench.feed(1000, UNKNOWN_DC) == 600
    assert bench.lamp.is_unknown
    assert bench.rest(QUIET_MS) == 1000
    bench.feed(0, 900)
    bench.feed(0, UNKNOWN_DC)
    assert bench.rest(PROTECTION_MS - 1) == 100
    assert bench.rest(1) == 1000
    assert bench.feed(20_000, 605) == 980


def test_a_quiet_year_does_not_confuse_the_ring():
    """Ticks come around every 12 days and a lamp may stay cool for a year. So a deadline that has passed is forgotten,
    and the next heat is acted on at once wherever the ring stands."""
    for days_ms in (2**29 - 1, 2**29, 2**29 + 1, 2**30 - 20_000):
        bench = Bench()
        bench.feed(0, 700)
        bench.rest(QUIET_MS)
        assert not bench.lamp.is_due
        bench.tick = ticks_add(ticks_add(bench.tick, days_ms // 2), days_ms - days_ms // 2)
        bench.lamp.temperature(bench.tick, 740)
        assert bench.lamp.cap_permille == line(740)


def test_a_reading_at_the_deadline_counts():
    """A reading may come in the very millisecond of the deadline, before it is passed. So it is acted on then, and the
    quiet starts anew."""
    lamp = ThermalDerating(*LAMP)
    lamp.temperature(0, 650)
    lamp.temperature(9999, 700)
    assert lamp.cap_permille == 800
    lamp.temperature(10_000, 720)
    assert (lamp.cap_permille, lamp.is_due, lamp.due_ms) == (520, True, 20_000)


READINGS = st.lists(
    st.tuples(st.integers(0, 40_000), st.one_of(st.integers(-400, 1200), st.just(UNKNOWN_DC))), max_size=60
)


@given(READINGS)
def test_pace_and_range_of_any_history(readings):
    """Weather is not a test vector. So for any readings the cap stays in range, changes are 10 s apart but for those
    into protection, each protection lasts a minute, and dark is only above the absolute limit."""
    bench = Bench()
    hottest = -400
    for wait_ms, value_dc in readings:
        hottest = max(hottest, value_dc)
        bench.feed(wait_ms, value_dc)
    bench.rest(200_000)
    for (t0, cap0, hot0), (t1, cap1, hot1) in zip(bench.changes, bench.changes[1:], strict=False):
        is_deeper = hot1 and (not hot0 or cap1 < cap0)
        assert is_deeper or t1 - t0 >= (PROTECTION_MS if hot0 else QUIET_MS)
    for _, cap, is_hot in bench.changes:
        assert (400 <= cap <= 1000 and not is_hot) or (cap in (0, 100) and is_hot)
        assert cap > 0 or hottest >= 950


@given(st.lists(st.integers(-400, 849), min_size=1, max_size=60))
def test_the_cap_is_the_lines_within_noise_and_hysteresis(values_dc):
    """Hysteresis may delay the light but never lose it. So with time between, the cap is between that of the line 1 °C
    cooler and that of the line at the hysteresis (and 1 °C) hotter."""
    bench = Bench()
    for value_dc in values_dc:
        cap = bench.feed(100_000, value_dc)
        assert line(value_dc + 30 + 10) <= cap <= line(value_dc - 10)


@given(READINGS, st.lists(st.integers(0, 30_000), max_size=30))
def test_polling_changes_nothing(readings, polls):
    """A node that sleeps and one that polls must agree, or a replay is worth nothing. So waiting in other portions
    gives the same changes."""
    bench, polled = Bench(), Bench()
    for i, (wait_ms, value_dc) in enumerate(readings):
        bench.feed(wait_ms, value_dc)
        portion = min(wait_ms, polls[i % len(polls)] if polls else 0)
        polled.rest(portion)
        polled.feed(wait_ms - portion, value_dc)
    assert polled.changes == bench.changes


@given(st.integers(600, 840), st.lists(st.integers(-5, 5), max_size=80))
def test_half_a_degree_of_noise_is_never_visible(middle_dc, noise):
    """A cap that follows the noise is a lamp that breathes. So half a degree of noise around any temperature moves the
    cap not at all once a reading was taken."""
    bench = Bench()
    first = bench.feed(15_000, middle_dc + (noise[0] if noise else 0))
    for step in noise:
        assert bench.feed(15_000, middle_dc + step) == first


def test_same_on_every_runtime(micropython_runtime):
    """The replay of a hot night must give the lamp's own levels. So a history of 3,000 readings over the wrap of the
    ring is the same everywhere, under a locked heap."""
    host = subprocess.run([sys.executable, "-c", HISTORY], cwd=ROOT, capture_output=True, text=True, check=True)
    done = micropython_runtime.run(["-c", HISTORY])
    assert done.returncode == 0, done.stderr
    assert done.stdout == host.stdout
