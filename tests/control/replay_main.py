"""Replay lamp-nights and print what came of them. Runs on MicroPython (and CPython) as a program:

    micropython tests/control/replay_main.py RECORDS [--poll MS] [--lock] [--dump LAMP] [--heap]

RECORDS: one `sim/lamp_replay.py` record a line, in JSON. A line is printed for each lamp: its number, the digest of its
decisions, energy in Wh and mJ, burning time in s and ms, starts, decisions. ``--poll``: call every MS ms and never look
at the wake tick. ``--lock``: every step under the heap lock; a lamp whose step allocates says ALLOCATED. ``--dump``:
each decision of one lamp instead (tick, level, fade, reason). ``--heap``: the bytes of the first record's controller.
"""

import gc
import hashlib
import json
import sys

from sim.lamp_replay import build_controller, hex_digest, pack_decision, replay

try:
    from micropython import heap_lock, heap_unlock
except ImportError:  # CPython
    heap_lock = heap_unlock = None


def summary(record, poll_ms=0, guard=None):
    """Return the line of one lamp."""
    digest = hashlib.sha256()
    lamp = record["lamp"]
    count = [0]

    def on_decision(tick, level, fade_ms, reason):
        digest.update(pack_decision(lamp, tick, level, fade_ms, reason))
        count[0] += 1

    try:
        controller = replay(record, on_decision, poll_ms, guard=guard)
    except MemoryError:
        return f"{lamp} ALLOCATED after {count[0]} decisions"
    energy = controller.energy
    counters = (energy.energy_wh, energy.energy_mj, energy.burning_s, energy.burning_ms, controller.starts, count[0])
    return " ".join([str(lamp), hex_digest(digest)] + [str(counter) for counter in counters])


def print_heap(line):
    """Print the bytes that a controller keeps: itself, its plan and its configuration."""
    build_controller(json.loads(line))
    gc.collect()
    before = gc.mem_alloc()
    controller = build_controller(json.loads(line))
    gc.collect()
    after = gc.mem_alloc()
    print("heap", after - before, "starts", controller.starts)


def main(arguments):
    """Run as the module says."""
    poll_ms = int(arguments[arguments.index("--poll") + 1]) if "--poll" in arguments else 0
    wanted = int(arguments[arguments.index("--dump") + 1]) if "--dump" in arguments else None
    guard = (heap_lock, heap_unlock) if "--lock" in arguments else None
    with open(arguments[0]) as file:
        for line in file:
            if "--heap" in arguments:
                print_heap(line)
                return
            if wanted is None:
                print(summary(json.loads(line), poll_ms, guard))
                continue
            record = json.loads(line)
            if record["lamp"] == wanted:
                replay(record, print, poll_ms)
                return


if __name__ == "__main__":
    main(sys.argv[1:])
