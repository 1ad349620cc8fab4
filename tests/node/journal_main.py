"""Live lamp-nights as a node does, journal and all. Runs on MicroPython (and CPython) as a program:

    micropython tests/node/journal_main.py RECORDS FOLDER [LATE_MS [LAST_FLUSH]]

Each line of RECORDS (`sim/lamp_replay.py`) becomes one boot. FOLDER, which is there, gets journal, configurations and
plans. Deadlines are carried out ``LATE_MS`` late, as on a busy node. ``LAST_FLUSH`` 0: the power is cut before it.
"""
# ruff: noqa: UP031  (what runs on the chip formats as the chip's own code does)

import hashlib
import json
import sys

from firmware.control.inputs import Now, Seen
from firmware.system.intake import Intake
from firmware.system.journal import Journal
from sim.lamp_replay import TICKS_MASK, build_controller

KEYS = ("zone", "place", "levels", "powers", "standby", "start", "config")


class Clock:
    """Ticks that a test sets."""

    def __init__(self, tick):
        self.tick = tick

    def __call__(self):
        return self.tick


def live(record, folder, boot, late_ms, has_last_flush):
    """Live one record; return how many decisions there were."""
    config = json.dumps({key: record[key] for key in KEYS if key in record}).encode()
    plan = bytes.fromhex(record["plan"])
    for name, data in (("config-%d.json" % boot, config), ("plan-%d.bin" % boot, plan)):
        with open(folder + "/" + name, "wb") as file:
            file.write(data)
    tick0 = record["tick0"]
    clock = Clock(tick0)
    journal = Journal(folder, None, boot, segments=400)
    controller = build_controller(record)
    decisions = []
    intake = Intake(controller, Seen(), Now(), journal, clock, 0, lambda one: decisions.append(one.decided_ms))
    config_hash = hashlib.sha256(config).digest()
    intake.start_run(config_hash, hashlib.sha256(plan).digest(), "0.4.0", record["start"])
    t_ms = 0
    inputs = record["inputs"]
    at = 0
    while t_ms <= record["end_ms"]:
        clock.tick = (tick0 + t_ms) & TICKS_MASK
        if at < len(inputs) and inputs[at][0] <= t_ms:
            if not intake.take(tuple(inputs[at][1:])):
                raise ValueError(f"refused: {inputs[at]!r}")
            at += 1
        else:
            intake.wake()
        if journal.is_due(clock.tick) and not journal.flush(clock.tick):
            raise OSError("flush")
        following = t_ms + ((controller.wake_ms - clock.tick) & TICKS_MASK) + late_ms
        if at < len(inputs) and inputs[at][0] < following:
            following = max(inputs[at][0], t_ms)
        t_ms = following
    if has_last_flush:
        journal.flush(clock.tick)
    return len(decisions)


def main(arguments):
    """Run as the module says; print the decisions of each boot."""
    late_ms = int(arguments[2]) if len(arguments) > 2 else 0
    has_last_flush = len(arguments) < 4 or arguments[3] != "0"
    with open(arguments[0]) as file:
        for boot, line in enumerate(file, 1):
            print(boot, live(json.loads(line), arguments[1], boot, late_ms, has_last_flush))


if __name__ == "__main__":
    main(sys.argv[1:])
