"""Moves one part of presence control along the ring of ticks, in tests and as a program on any runtime:

    micropython tests/control/presence_main.py PART SEED STEPS

PART: sensor, bubble, passage, volume or budget. Each step moves by a random time, does everything that falls due on the
way and gives the part one random input; then its public state is printed. Where there is a heap lock every running call
is made under it: a call that allocates ends the program.
"""

import sys

from firmware.control.bubble import Bubble
from firmware.control.budget import RiseBudget
from firmware.control.passage import Passage
from firmware.control.sensor import PresenceSensor
from firmware.control.ticks import TICKS_MAX, ticks_diff
from firmware.control.volume import VolumeClass

try:
    from micropython import heap_lock, heap_unlock
except ImportError:  # CPython

    def heap_lock():
        """Lock nothing: CPython has no such thing."""

    def heap_unlock():
        """Unlock nothing."""


# The ring wraps 5 s after the start of every history.
TICK0 = TICKS_MAX - 5000
PUBLIC = {
    "sensor": ("is_on", "is_present", "trust", "is_due", "due_ms"),
    "bubble": (
        "has_to_send",
        "send_origin",
        "send_sequence",
        "send_hops",
        "send_travelled",
        "is_lit",
        "nearest",
        "accepted",
        "duplicate",
        "unknown",
        "limited",
        "is_due",
        "due_ms",
    ),
    "passage": ("direction", "pace_ms", "ahead", "arrival_ms", "is_mixed", "is_due", "due_ms"),
    "volume": ("classes_down", "flow_per_h", "is_due", "due_ms"),
    "budget": ("used", "is_exhausted"),
}


class Moved:
    """A part on its way through time; ``now`` in ms since the start."""

    def __init__(self, part, tick0=TICK0, on_due=None):
        self.part = part
        self.now = 0
        self._tick0 = tick0
        self._on_due = on_due

    @property
    def tick(self):
        """Return the tick of now."""
        return (self._tick0 + self.now) & TICKS_MAX

    def to(self, now, is_with_last=False):
        """Go to ``now`` through all that falls due before it; what is due at that very moment comes after an input."""
        part = self.part
        while part.is_due:
            wait = ticks_diff(part.due_ms, self.tick)
            assert wait >= 0, "due in the past"
            if self.now + wait > now or (self.now + wait == now and not is_with_last):
                break
            self.now += wait
            tick = self.tick
            heap_lock()
            part.pass_due(tick)
            heap_unlock()
            assert not part.is_due or part.due_ms != tick, "due again at once"
            if self._on_due:
                self._on_due(self)
        self.now = now
        return self.tick

    def settle(self, now):
        """Go to ``now`` with everything that is due until then, there included."""
        self.to(now, True)


class Dice:
    """Numbers that are the same everywhere: MicroPython's `random` gives others than CPython's for one seed."""

    def __init__(self, seed):
        self._state = seed

    def roll(self, sides):
        """Return 0 … sides - 1."""
        self._state = (self._state * 1103 + 12345) % 1048573
        return self._state % 8191 % sides


def feed(name, part, tick, dice):
    """Give ``part`` one random input; return what its method returned."""
    a, b, c, d = dice.roll(6), dice.roll(6), dice.roll(256), dice.roll(8)
    said = 0
    heap_lock()
    if name == "sensor":
        if a == 0:
            part.neighbours_saw(tick)
        else:
            part.edge(tick, a > 2, 5 if c == 0 else 0)
    elif name == "bubble":
        if part.has_to_send and b < 4:
            part.sent()
        if a < 2:
            part.own(tick, a == 0)
        else:
            said = part.receive(tick, 10 + b, 8 + d, c, b, 0 if a < 5 else d)
    elif name == "passage":
        # Mostly a walk from -2 to 2, so that there is something to estimate.
        said = part.trigger(tick, (part._last + 3) % 5 - 2 if d < 7 else b % 5 - 2)
    elif name == "volume":
        if c == 0:
            part.stop()
        elif c == 1 or not part.is_due:
            part.start(tick)
        else:
            part.passer(tick)
    elif c == 0:
        part.new_day()
    else:
        part.rise()
        said = part.may_rise()
    heap_unlock()
    return said


def make(name):
    """Return a part with short times, so that few steps reach every corner."""
    if name == "sensor":
        return PresenceSensor(4, 6000, 3, 9000, 4000, 2)
    if name == "bubble":
        return Bubble(12, 5, 2000, 9000, [(10, -2), (11, -1), (13, 1), (14, 2)], 2, 4000)
    if name == "passage":
        return Passage()
    if name == "volume":
        return VolumeClass(300, 120, 60)
    return RiseBudget(50)


def history(name, seed, steps):
    """Yield a line of state after each step."""
    part = make(name)
    moved = Moved(part)
    dice = Dice(seed)
    # Bursts, walks, and now and then a stretch of silence that outlasts the ring's sign.
    for _ in range(steps):
        scale = dice.roll(16)
        wait = dice.roll(3000) if scale < 11 else dice.roll(30000) if scale < 15 else dice.roll(200) * 1000
        if name == "budget":
            tick = 0
        else:
            tick = moved.to(moved.now + wait)
        said = feed(name, part, tick, dice)
        yield " ".join([str(int(said))] + [str(int(getattr(part, one))) for one in PUBLIC[name]])


def main(arguments):
    """Run as the module says."""
    for line in history(arguments[0], int(arguments[1]), int(arguments[2])):
        print(line)


if __name__ == "__main__":
    main(sys.argv[1:])
