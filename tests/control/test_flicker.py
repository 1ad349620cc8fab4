"""No visible flicker: what is let through, what waits, for how long, and that nothing is lost."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from firmware.control.flicker import FlickerGuard, is_visible
from firmware.control.ticks import TICKS_MAX, ticks_add, ticks_diff
from tests.runtimes import ROOT

QUIET_MS = 10_000

HISTORY = """
from firmware.control.flicker import FlickerGuard
from firmware.control.ticks import ticks_add, ticks_diff
try:
    from micropython import heap_lock, heap_unlock
except ImportError:
    def heap_lock(): pass
    heap_unlock = heap_lock
def main():
    guard = FlickerGuard()
    tick = 0x3FFFFFFF - 200000
    level = wanted = 0
    draw = 1
    for i in range(3000):
        draw = (draw * 1103 + 12345) % 65521
        heap_lock()
        tick = ticks_add(tick, draw % 7000)
        while guard.is_due and ticks_diff(tick, guard.due_ms) >= 0:
            due = guard.due_ms
            if guard.pass_due(due) and wanted != level and guard.may_change(due, False):
                guard.changed(due, level, wanted)
                level = wanted
        wanted = draw % 1001
        if guard.may_change(tick, draw % 5 == 0):
            guard.changed(tick, level, wanted)
            level = wanted
        heap_unlock()
        print(i, tick, level, wanted, guard.is_due, guard.due_ms, guard.is_waiting)
main()
"""


class Lamp:
    """A caller as the controller is one: it wants levels, changes when it may, and decides again when told."""

    def __init__(self, tick=TICKS_MAX - 25_000):
        self.guard = FlickerGuard()
        self.tick = tick
        self.now = 0
        self.level = self.wanted = 0
        # (ms since the start, from, to, urgent) of each change.
        self.changes = []

    def want(self, wait_ms, level, is_urgent=False):
        self.wait(wait_ms)
        self.wanted = level
        self._try(self.tick, self.now, is_urgent)

    def wait(self, wait_ms):
        end = ticks_add(self.tick, wait_ms)
        self.now += wait_ms
        while self.guard.is_due and ticks_diff(end, self.guard.due_ms) >= 0:
            due = self.guard.due_ms
            if self.guard.pass_due(due):
                self._try(due, self.now - ticks_diff(end, due), False)
        self.tick = end

    def _try(self, tick, now, is_urgent):
        if self.wanted != self.level and self.guard.may_change(tick, is_urgent):
            self.guard.changed(tick, self.level, self.wanted)
            self.changes.append((now, self.level, self.wanted, is_urgent))
            self.level = self.wanted


def test_the_second_change_waits_ten_seconds():
    """Two programmes that disagree, or a cap that comes and goes, would make a lamp blink. So the first change comes at
    once, the next exactly 10 s later, and quiet is over 10 s after that."""
    lamp = Lamp()
    lamp.want(0, 500)
    lamp.want(1000, 1000)
    assert (lamp.level, lamp.guard.is_waiting) == (500, True)
    lamp.wait(8999)
    assert lamp.level == 500
    lamp.wait(1)
    assert lamp.changes == [(0, 0, 500, False), (10_000, 500, 1000, False)]
    lamp.wait(10_000)
    assert not lamp.guard.is_due
    lamp.want(0, 400)
    assert lamp.level == 400


def test_the_latest_wanted_wins():
    """A change that waits may be out of date when its time comes. So what is wanted then is what happens, and
    where that is the level already there, nothing does."""
    lamp = Lamp()
    lamp.want(0, 500)
    for level in (100, 900, 300):
        lamp.want(1000, level)
    lamp.wait(10_000)
    assert lamp.changes[1:] == [(10_000, 500, 300, False)]
    lamp.want(0, 800)
    lamp.wanted = 300
    lamp.wait(20_000)
    assert lamp.level == 300
    assert len(lamp.changes) == 2
    assert not lamp.guard.is_waiting


def test_urgent_waits_for_nothing():
    """A walker in the dark, a command of the operator, a driver too hot: those are asked for. So they pass at any time,
    and after them the lamp is left quiet as well."""
    lamp = Lamp()
    lamp.want(0, 300)
    lamp.want(1000, 1000, is_urgent=True)
    lamp.want(1000, 400)
    lamp.wait(8999)
    assert lamp.level == 1000
    lamp.wait(1)
    assert lamp.changes[1:] == [(1000, 300, 1000, True), (11_000, 1000, 400, False)]


def test_urgent_changes_do_not_starve_a_waiting_one():
    """With people passing all night, the end of the night must still come. So a change that waits keeps its time,
    whatever presence does in between."""
    lamp = Lamp()
    lamp.want(0, 300)
    lamp.want(100, 0)
    for level in (1000, 310, 1000, 320):
        lamp.want(2000, level, is_urgent=True)
    lamp.wanted = 0
    lamp.wait(10_000)
    assert lamp.changes[-1] == (10_000, 320, 0, False)


def test_visible_is_a_ratio():
    """A tenth of the light less is seen at 10 % as at 100 %: the eye judges ratios. So one arc of DALI's curve (2.8 %)
    is not visible anywhere, two are everywhere, and on and off always are."""
    for low, high, is_seen in (
        (1000, 970, False), (1000, 972, False), (1000, 945, True), (100, 103, False), (100, 104, True),
        (100, 130, True), (10, 11, True), (0, 1, True), (0, 1000, True), (500, 500, False), (0, 0, False),
    ):  # fmt: skip
        assert is_visible(low, high) is is_visible(high, low) is is_seen, (low, high)


def test_small_changes_are_free_until_they_add_up():
    """A cap that moves by a permille a minute nobody sees; three percent in a second anybody sees. So a step of 3 % of
    the light starts no quiet, and what is more in sum does, up or down."""
    guard = FlickerGuard(QUIET_MS, 1000)
    guard.changed(0, 1000, 990)
    guard.changed(0, 990, 980)
    guard.changed(0, 980, 1000)
    guard.changed(0, 1000, 971)
    assert not guard.is_due
    assert guard.may_change(0, False)
    guard.changed(5, 971, 969)
    assert (guard.is_due, guard.due_ms) == (True, QUIET_MS + 5)
    assert not guard.may_change(6, False)
    guard = FlickerGuard(500, 100)
    guard.changed(0, 100, 104)
    assert (guard.is_due, guard.due_ms) == (True, 500)
    # The sum starts anew at each visible change.
    guard.pass_due(500)
    guard.changed(600, 104, 106)
    assert not guard.is_due
    guard.changed(600, 106, 108)
    assert guard.is_due
    guard.pass_due(1100)
    guard.changed(1200, 108, 105)
    assert not guard.is_due
    # A fade that is turned round is seen, wherever it ends.
    guard.changed(1300, 500, 108)
    assert guard.is_due


def test_at_the_deadline_itself_it_is_quiet_no_more():
    """An input may come in the very millisecond of the deadline, before it is passed. So it may change the light then,
    and the one that waited is served by it."""
    guard = FlickerGuard()
    guard.changed(0, 0, 500)
    assert not guard.may_change(QUIET_MS - 1, False)
    assert guard.may_change(QUIET_MS, False)
    guard.changed(QUIET_MS, 500, 1000)
    assert (guard.due_ms, guard.is_waiting) == (2 * QUIET_MS, False)
    assert not guard.pass_due(2 * QUIET_MS)


WISHES = st.lists(st.tuples(st.integers(0, 15_000), st.integers(0, 1000), st.booleans()), max_size=60)


@given(WISHES)
def test_never_two_visible_changes_within_ten_seconds(wishes):
    """This is the promise to those who sleep behind the window. So for any wishes, what is not urgent is 10 s away from
    the last visible change that was not urgent either, small ones in sum included."""
    lamp = Lamp()
    for wait_ms, level, is_urgent in wishes:
        lamp.want(wait_ms, level, is_urgent)
    last = None
    seen = 0
    for now, before, after, is_urgent in lamp.changes:
        assert is_urgent or last is None or now - last >= QUIET_MS
        if is_visible(seen, after) or is_visible(before, after):
            seen = after
            if not is_urgent:
                last = now


@given(WISHES)
def test_no_wish_is_lost_or_late(wishes):
    """A lamp that forgets its programme burns by day. So each level that is still wanted is there after 10 s at most,
    whatever came between."""
    lamp = Lamp()
    unserved_since = None
    for wait_ms, level, is_urgent in wishes:
        lamp.wait(wait_ms)
        if lamp.wanted == lamp.level:
            unserved_since = None
        assert unserved_since is None or lamp.now - unserved_since < QUIET_MS
        lamp.want(0, level, is_urgent)
        if lamp.wanted == lamp.level:
            unserved_since = None
        elif unserved_since is None:
            unserved_since = lamp.now
    lamp.wait(QUIET_MS)
    assert lamp.level == lamp.wanted


@given(WISHES, st.lists(st.integers(0, 9000), min_size=1, max_size=30))
def test_polling_changes_nothing(wishes, polls):
    """A replay calls at other moments than the lamp did. So waiting in other portions gives the same changes."""
    lamp, polled = Lamp(), Lamp()
    for i, (wait_ms, level, is_urgent) in enumerate(wishes):
        lamp.want(wait_ms, level, is_urgent)
        portion = min(wait_ms, polls[i % len(polls)])
        polled.wait(portion)
        polled.want(wait_ms - portion, level, is_urgent)
    assert polled.changes == lamp.changes


def test_same_on_every_runtime(micropython_runtime):
    """When a change is let through is part of the decision that a replay must repeat. So a history of 3,000 wishes over
    the wrap of the ring is the same everywhere, under a locked heap."""
    host = subprocess.run([sys.executable, "-c", HISTORY], cwd=ROOT, capture_output=True, text=True, check=True)
    done = micropython_runtime.run(["-c", HISTORY])
    assert done.returncode == 0, done.stderr
    assert done.stdout == host.stdout
