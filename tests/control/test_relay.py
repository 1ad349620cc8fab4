"""The mains relay: it fails closed, rests between operations, and never keeps a lamp dark for longer than its rest."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from firmware.control.relay import Relay
from firmware.control.ticks import TICKS_MAX, ticks_add, ticks_diff
from tests.runtimes import ROOT

MIN_ON_MS = 60_000
MIN_OFF_MS = 30_000
OFF_DELAY_MS = 5_000

HISTORY = """
from firmware.control.relay import Relay
from firmware.control.ticks import ticks_add, ticks_diff
try:
    from micropython import heap_lock, heap_unlock
except ImportError:
    def heap_lock(): pass
    heap_unlock = heap_lock
def main():
    for relay in (Relay(60000, 30000, 5000), Relay(0, 0, 0), Relay(536870911, 1000, 1000)):
        tick = 0x3FFFFFFF - 200000
        draw = 1
        for i in range(2000):
            draw = (draw * 1103 + 12345) % 65521
            heap_lock()
            tick = ticks_add(tick, draw)
            while relay.is_due and ticks_diff(tick, relay.due_ms) >= 0:
                relay.pass_due(relay.due_ms)
            relay.want(tick, draw % 3 == 0)
            heap_unlock()
            print(i, tick, relay.is_closed, relay.operations, relay.is_due, relay.due_ms)
    relay = Relay(0, 0, 0)
    relay.operations = 1073741822
    for i in range(8):
        heap_lock()
        relay.want(i, i % 2 == 1)
        if relay.is_due:
            relay.pass_due(i)
        heap_unlock()
        print(relay.operations, relay.is_closed)
main()
"""


class Bench:
    """A relay with its clock; keeps each operation as (ms since the start, closed)."""

    def __init__(self, min_on_ms=MIN_ON_MS, min_off_ms=MIN_OFF_MS, off_delay_ms=OFF_DELAY_MS, tick=TICKS_MAX - 70_000):
        self.relay = Relay(min_on_ms, min_off_ms, off_delay_ms)
        self.tick = tick
        self.now = 0
        self.operations = []

    def want(self, wait_ms, is_lit):
        self.wait(wait_ms)
        self.relay.want(self.tick, is_lit)
        self._note(self.now)
        return self.relay.is_closed

    def wait(self, wait_ms):
        end = ticks_add(self.tick, wait_ms)
        self.now += wait_ms
        while self.relay.is_due and ticks_diff(end, self.relay.due_ms) >= 0:
            due = self.relay.due_ms
            self.relay.pass_due(due)
            self._note(self.now - ticks_diff(end, due))
        self.tick = end
        return self.relay.is_closed

    def _note(self, now):
        if self.relay.is_closed != (self.operations[-1][1] if self.operations else True):
            self.operations.append((now, self.relay.is_closed))
        assert self.relay.operations == len(self.operations)


def test_it_fails_closed():
    """A node that restarts at night must not darken its lamp, not for a moment. So the relay is made closed and stays
    so while light is wanted, without an operation."""
    bench = Bench()
    assert bench.relay.is_closed
    assert not bench.relay.is_due
    assert bench.want(0, True)
    assert bench.operations == []


def test_it_opens_after_delay_and_rest():
    """Opening under load burns contacts, and opening just after an inrush welds them. So after dawn it waits until
    light has been out for the delay and it has been closed long enough; how long before the start, nobody knows."""
    bench = Bench()
    bench.want(0, False)
    bench.wait(100_000)
    assert bench.operations == [(MIN_ON_MS, False)]
    # From now on it is known when it closed: 60 s of rest, then the delay alone.
    bench.want(0, True)
    bench.want(1000, False)
    bench.wait(MIN_ON_MS)
    assert bench.operations[1:] == [(100_000, True), (160_000, False)]
    bench.want(100_000, True)
    bench.want(100_000, False)
    start = bench.now
    bench.wait(OFF_DELAY_MS)
    assert bench.operations[3:] == [(start - 100_000, True), (start + OFF_DELAY_MS, False)]


def test_the_delay_starts_anew_when_light_was_wanted_again():
    """Dusk is not one moment: clouds make light wanted, unwanted, wanted. So each time that light is wanted the delay
    is forgotten, and dark must last for all of it."""
    bench = Bench(min_on_ms=0)
    bench.want(0, False)
    bench.want(4000, True)
    bench.wait(10_000)
    assert bench.operations == []
    bench.want(0, False)
    bench.want(4000, True)
    bench.want(500, False)
    assert bench.wait(OFF_DELAY_MS - 1)
    assert not bench.wait(1)
    assert bench.relay.operations == 1
    bench = Bench(min_on_ms=0)
    for wait_ms, is_lit in ((0, False), (0, True), (1, False)):
        bench.want(wait_ms, is_lit)
    bench.wait(10_000)
    assert bench.operations == [(OFF_DELAY_MS + 1, False)]


def test_a_wish_repeated_is_no_new_wish():
    """A controller may say what it wants at each of its steps. So the delay counts from the first time it said so."""
    bench = Bench(min_on_ms=0)
    for _ in range(8):
        bench.want(1000, False)
    assert bench.operations == [(1000 + OFF_DELAY_MS, False)]


def test_it_closes_at_once_unless_it_rests():
    """A driver's inrush limiter that is still hot limits nothing, and a hot discharge lamp does not strike. So within
    the rest it waits for its end, no longer, and afterwards for nothing."""
    bench = Bench(min_on_ms=0)
    bench.want(0, False)
    bench.wait(OFF_DELAY_MS)
    assert not bench.want(10_000, True)
    assert not bench.wait(19_999)
    assert bench.wait(1)
    bench.want(0, False)
    bench.wait(OFF_DELAY_MS + MIN_OFF_MS)
    assert bench.want(0, True)


def test_a_wish_taken_back_during_the_rest_is_no_operation():
    """Every operation is wear. So light that is wanted and no longer wanted while the relay rests costs none."""
    bench = Bench(min_on_ms=0)
    bench.want(0, False)
    bench.wait(OFF_DELAY_MS)
    bench.want(1000, True)
    bench.want(1000, False)
    bench.wait(MIN_OFF_MS)
    assert bench.relay.operations == 1
    assert not bench.relay.is_closed


def test_at_the_end_of_the_rest_itself_it_closes():
    """An input may come in the very millisecond of the deadline, before it is passed. So it closes then, and not a rest
    later."""
    relay = Relay(0, MIN_OFF_MS, 0)
    relay.want(0, False)
    relay.pass_due(0)
    assert not relay.is_closed
    relay.want(MIN_OFF_MS - 1, True)
    assert not relay.is_closed
    relay.want(MIN_OFF_MS - 1, False)
    relay.want(MIN_OFF_MS, True)
    assert relay.is_closed


def test_the_counter_stops_at_its_top():
    """A worn relay whose counter wraps looks new. So it stops at 2^30 - 1 and the relay works on."""
    relay = Relay(0, 0, 0)
    relay.operations = 2**30 - 2
    for _ in range(3):
        for is_lit in (False, True):
            relay.want(0, is_lit)
            relay.pass_due(0)
            assert relay.is_closed == is_lit
    assert relay.operations == 2**30 - 1


def test_a_long_season_does_not_confuse_the_ring():
    """Ticks come around every 12 days and a stadium is lit twice a year. So a rest that is over is forgotten, and it
    closes at once wherever the ring stands."""
    for gap_ms in (2**29 - 1, 2**29, 2**29 + 1, 2**30 - 20_000):
        bench = Bench(min_on_ms=0)
        bench.want(0, False)
        bench.wait(OFF_DELAY_MS)
        bench.wait(MIN_OFF_MS)
        assert not bench.relay.is_due
        bench.relay.want(ticks_add(ticks_add(bench.tick, gap_ms // 2), gap_ms - gap_ms // 2), True)
        assert bench.relay.is_closed


TIMES = st.integers(0, 90_000)
WISHES = st.lists(st.tuples(st.integers(0, 50_000), st.booleans()), max_size=60)


@given(TIMES, TIMES, TIMES, WISHES)
def test_rests_delay_and_light_hold_for_any_wishes(min_on_ms, min_off_ms, off_delay_ms, wishes):
    """Contacts are rated for so many operations so far apart, and a street for light. So for any wishes and settings
    the rests are kept, it opens only in the dark of the delay, and light waits for its rest at most."""
    bench = Bench(min_on_ms, min_off_ms, off_delay_ms)
    timeline = [(0, True)]
    dark_since = None
    for wait_ms, is_lit in wishes:
        bench.want(wait_ms, is_lit)
        if is_lit != timeline[-1][1]:
            timeline.append((bench.now, is_lit))
    bench.wait(200_000)
    assert bench.relay.is_closed == timeline[-1][1]
    previous = None
    for now, is_closed in bench.operations:
        if previous is not None:
            assert now - previous >= (min_off_ms if is_closed else min_on_ms)
        previous = now
        at, is_lit = [entry for entry in timeline if entry[0] <= now][-1]
        if not is_closed:
            assert not is_lit or at == now
            dark_since = [entry for entry in timeline if entry[0] <= now and not entry[1]][-1][0]
            assert now - dark_since >= off_delay_ms
    # Light is there min_off_ms after it was wanted, if it still is.
    for i, (at, is_lit) in enumerate(timeline):
        end = timeline[i + 1][0] if i + 1 < len(timeline) else at + 200_000
        if is_lit and end > at + min_off_ms:
            state = [True, *(closed for now, closed in bench.operations if now <= at + min_off_ms)][-1]
            assert state


@given(WISHES, st.lists(st.integers(0, 30_000), min_size=1, max_size=30))
def test_polling_changes_nothing(wishes, polls):
    """A replay calls at other moments than the lamp did. So waiting in other portions gives the same operations."""
    bench, polled = Bench(), Bench()
    for i, (wait_ms, is_lit) in enumerate(wishes):
        bench.want(wait_ms, is_lit)
        portion = min(wait_ms, polls[i % len(polls)])
        polled.wait(portion)
        polled.want(wait_ms - portion, is_lit)
    assert polled.operations == bench.operations


def test_same_on_every_runtime(micropython_runtime):
    """Operations are counted for maintenance, on the lamp and in the simulator. So histories over the wrap of the ring
    and at the top of the counter are the same everywhere, under a locked heap."""
    host = subprocess.run([sys.executable, "-c", HISTORY], cwd=ROOT, capture_output=True, text=True, check=True)
    done = micropython_runtime.run(["-c", HISTORY])
    assert done.returncode == 0, done.stderr
    assert done.stdout == host.stdout
