"""Lamps from `fuzz_plans`, for many nights under random inputs, to one digest. Runs unchanged on MicroPython, too:

    micropython tests/control/fuzz_core.py LAMPS NIGHTS [--poll MS] [--dump NUMBER]

LAMPS: one lamp a line, in JSON. A line is printed for each: number, digest of decisions and counters, decisions. The
inputs are not shipped: a generator of small integers makes the same ones everywhere from the lamp's seed.
"""

import hashlib
import json
import struct
import sys

from firmware.control.config import Config
from firmware.control.controller import Controller
from firmware.control.inputs import CLOCK_DOUBTED, CLOCK_GOOD, CLOCK_HELD, CLOCK_UNKNOWN, UNKNOWN, Seen
from firmware.control.plan import Plan
from sim.lamp_replay import TICKS_MASK, LampClock, hex_digest

DAY_MS = 86400000
CURVE = ((100, 750, 1000), (8500, 44930, 64000), 500)
# The clock is given right at first, so that most nights have a program.
_LUX = (-1, 0, 0, 10, 20, 21, 30, 41, 500, 65535)
_LEVELS = (0, 1, 100, 333, 500, 999, 1000)
_TEMPERATURES = (-32768, 200, 595, 650, 700, 790, 840, 851, 900, 960)


class Dice:
    """Wichmann and Hill's generator (1982): three small products, so that no runtime needs a large integer."""

    def __init__(self, seed):
        self._a = seed % 30268 + 1
        self._b = seed * 7 % 30306 + 1
        self._c = seed * 13 % 30322 + 1
        for _ in range(5):
            self.below(2)

    def below(self, end):
        """Return 0 … ``end`` - 1."""
        self._a = self._a * 171 % 30269
        self._b = self._b * 172 % 30307
        self._c = self._c * 170 % 30323
        return ((self._a << 15) ^ (self._b << 8) ^ self._c) % end

    def one_of(self, values):
        """Return one of ``values``."""
        return values[self.below(len(values))]


def build(lamp):
    """Return the lamp's controller."""
    levels, powers, standby = CURVE
    config = Config(lamp["zone"], lamp["place"][0], lamp["place"][1], levels, powers, standby, lamp["start"])
    for name in lamp["options"]:
        setattr(config, name, lamp["options"][name])
    return Controller(config, Plan(bytes.fromhex(lamp["plan"])))


class Night:
    """The world around one lamp: its clocks, what it sees, and what happens next."""

    def __init__(self, lamp):
        self.dice = Dice(lamp["seed"])
        self.clock = LampClock(lamp["tick0"])
        self.seen = Seen()
        self._calm = lamp["calm"]
        self._day = lamp["day"]
        self._second = lamp["second"]
        self.clock.correct(0, CLOCK_GOOD, self._day, self._second, 0)

    def pause_ms(self):
        """Return how long nothing happens."""
        dice = self.dice
        if self.seen.presence and dice.below(16):
            # Most passers pass; one in sixteen stays, until the sensor is taken for stuck.
            return dice.below(60000)
        kind = dice.below(8)
        if kind == 0:
            return 0
        if kind == 1:
            return dice.below(1000)
        if kind < 4:
            return dice.below(20000) * self._calm
        if kind == 4:
            return dice.below(600000) * self._calm
        return dice.below(3600000 if kind < 7 else 14400000) * self._calm

    def happen(self, t_ms):
        """Let something happen at ``t_ms``."""
        dice = self.dice
        seen = self.seen
        kind = dice.below(24)
        if kind == 0:
            self._clock(t_ms)
            return
        seen.changes += 1
        if kind < 10 or (seen.presence and kind < 21):
            seen.presence = 1 - seen.presence
        elif kind < 13:
            message = seen.message
            message.sender = 20 + dice.below(6)
            message.origin = 20 + dice.below(6)
            message.sequence = dice.below(256)
            message.hops = dice.below(5)
            message.travelled = dice.below(3)
            seen.messages += 1
        elif kind < 15:
            seen.lux = dice.one_of(_LUX)
        elif kind == 15:
            seen.external = UNKNOWN if dice.below(2) else dice.one_of(_LEVELS)
        elif kind == 16:
            seen.local_permille = dice.one_of(_LEVELS) if dice.below(4) == 0 else UNKNOWN
        elif kind == 17:
            self._command()
        elif kind == 18:
            seen.temperature_dc = dice.one_of(_TEMPERATURES)
        elif kind == 19:
            seen.may_dim = dice.below(2)
        elif kind == 20:
            seen.gear_fault = dice.below(2)
            seen.relay_fault = dice.below(2)
        elif kind == 21:
            seen.neighbours = dice.below(2)
        else:
            seen.samples += 1
            seen.power_mw = UNKNOWN if dice.below(4) == 0 else dice.below(70000)
            seen.voltage_dv = dice.one_of((UNKNOWN, 0, 2000, 2300, 2600))
            seen.current_ma = dice.one_of((UNKNOWN, 0, 100, 700))
            seen.power_factor_permille = dice.one_of((UNKNOWN, 200, 950))

    def _clock(self, t_ms):
        """Lose the clock, get it back, or step it; at times by days, and never to where none is."""
        dice = self.dice
        kind = dice.below(6)
        if kind == 0:
            self.clock.correct(t_ms, CLOCK_UNKNOWN, 0, 0, 0)
            return
        day = self._day + t_ms // DAY_MS
        if kind == 1:
            day += dice.below(7) - 3
        step = dice.below(7200) - 3600 if kind == 2 else dice.below(5) - 2
        second = (self._second + t_ms // 1000 % 86400) % 86400 + step
        self.clock.correct(
            t_ms, dice.one_of((CLOCK_HELD, CLOCK_GOOD, CLOCK_DOUBTED)), day + second // 86400, second % 86400, 0
        )

    def _command(self):
        dice = self.dice
        now = self.clock.now
        command = self.seen.command
        # Half of all are resumes: else some lamps would obey a command for sixty nights.
        command.kind = dice.one_of((0, 0, 1, 1, 1, 2, 3))
        command.level_permille = dice.one_of(_LEVELS)
        command.ramp_to_ms = dice.one_of((0, 800, 60000, 1000000))
        command.ramp_from_ms = dice.one_of((0, 800, 60000, 1000000))
        command.start_day = UNKNOWN
        command.end_day = UNKNOWN
        if dice.below(3) == 0:
            start = now.second + dice.below(7200)
            command.start_day = now.day + start // 86400
            command.start_s = start % 86400
        if dice.below(4):
            end = now.second + dice.one_of((1, 60, 7200, 86400, 200000))
            command.end_day = now.day + end // 86400
            command.end_s = end % 86400
        self.seen.commands += 1


def run(lamp, nights, on_decision, poll_ms=0):
    """Let ``lamp`` live for ``nights``; call ``on_decision(t_ms, controller)`` for each decision. Return it."""
    controller = build(lamp)
    night = Night(lamp)
    now = night.clock.now
    end_ms = nights * DAY_MS
    next_ms = night.pause_ms()
    t_ms = 0
    while t_ms <= end_ms:
        night.clock.move_to(t_ms)
        while True:
            while controller.step(now, night.seen):
                on_decision(t_ms, controller)
            if next_ms > t_ms:
                break
            night.happen(t_ms)
            night.clock.move_to(t_ms)
            next_ms = t_ms + night.pause_ms()
        if poll_ms:
            following = t_ms + poll_ms - t_ms % poll_ms
        else:
            following = t_ms + ((controller.wake_ms - now.ticks_ms) & TICKS_MASK)
        t_ms = next_ms if next_ms < following else following
        if t_ms > end_ms and end_ms > 0:
            break
    night.clock.move_to(end_ms)
    controller.count_to(now.ticks_ms)
    return controller


def counters(controller):
    """Return every counter of a controller: what must agree besides the decisions."""
    energy = controller.energy
    bubble = controller.street.bubble
    monitor = controller.monitor
    found = [energy.energy_wh, energy.energy_mj, energy.burning_s, energy.burning_ms, controller.starts]
    found += [controller.street.detections, monitor.faults.active, monitor.faults.present]
    if bubble is not None:
        found += [bubble.accepted, bubble.duplicate, bubble.unknown, bubble.limited]
    if monitor.counters is not None:
        found.append(monitor.counters.closed)
        found += list(monitor.counters.totals)
    return found + list(monitor.faults.counts)


def summary(lamp, nights, poll_ms=0):
    """Return the line of one lamp."""
    digest = hashlib.sha256()
    count = [0]

    def note(t_ms, controller):
        count[0] += 1
        digest.update(
            struct.pack(
                "<IHHIBBB",
                controller.decided_ms,
                controller.from_permille,
                controller.level_permille,
                controller.fade_ms,
                controller.reason,
                controller.by,
                controller.by_index,
            )
        )

    for value in counters(run(lamp, nights, note, poll_ms)):
        digest.update(struct.pack("<i", value))
    return " ".join([str(lamp["number"]), hex_digest(digest), str(count[0])])


def dump(lamp, nights, poll_ms=0):
    """Print each decision of a lamp, then its counters."""
    controller = run(
        lamp,
        nights,
        lambda t, c: print(c.decided_ms, c.from_permille, c.level_permille, c.fade_ms, c.reason, c.by, c.by_index),
        poll_ms,
    )
    print(" ".join([str(value) for value in counters(controller)]))


def main(arguments):
    """Run as the module says."""
    poll_ms = int(arguments[arguments.index("--poll") + 1]) if "--poll" in arguments else 0
    wanted = int(arguments[arguments.index("--dump") + 1]) if "--dump" in arguments else None
    nights = int(arguments[1])
    with open(arguments[0]) as file:
        for line in file:
            lamp = json.loads(line)
            if wanted is None:
                print(summary(lamp, nights, poll_ms))
            elif lamp["number"] == wanted:
                dump(lamp, nights, poll_ms)


if __name__ == "__main__":
    main(sys.argv[1:])
