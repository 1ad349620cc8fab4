"""Live ten nights with a switched feeder and a clock that goes away. Runs on MicroPython and on CPython:

    micropython tests/node/keeper_main.py FOLDER

Each night is one boot: power at sunset, off at sunrise. For five nights a server tells the time, then nothing does. A
line of JSON for each thing that the controller is told: night, seconds since power came, quality, day, second, ms, and
how many seconds that is off the truth.
"""

import json
import sys

from firmware.control.civil import day_number
from firmware.control.clock import NETWORK, ClockTrust
from firmware.control.feeder import FeederTeacher
from firmware.control.sun import Sun
from firmware.system.boot_files import POWER, Kept
from firmware.system.bootlog import BootLog
from firmware.system.clock_keeper import SAVE_PERIOD_S, ClockKeeper
from firmware.system.store import BootGuard, Store

PLACE = (43604000, 1444000)
FIRST = day_number(2026, 10, 20)
BUILD = day_number(2026, 6, 1)
NIGHTS = 10
KNOWN = 5
STEP_S = 100


class Clock:
    """Ticks that the program sets."""

    def __init__(self, tick):
        self.tick = tick

    def __call__(self):
        return self.tick


def memory_of(end):
    """Return a double of ``machine.RTC().memory`` as the launcher leaves it."""
    kept = Kept()
    kept.end = end
    held = [kept.put()]

    def memory(data=None):
        if data is None:
            return held[0]
        held[0] = data

    return memory


def night(number, folder, is_known, told):
    """Live one night; tell ``told`` what the controller is told."""
    sun = Sun(PLACE[0], PLACE[1])
    sun.of(FIRST + number)
    dusk = sun.set_s
    sun.of(FIRST + number + 1)
    # The feeder is two minutes late at both ends, and not the same every night.
    on_s = dusk + 120 + number % 3 * 20
    length = 86400 + sun.rise_s + 120 - on_s
    tick0 = (0x3FFFFFFF - 3600000 * number) & 0x3FFFFFFF
    clock = Clock(tick0)
    store = Store(folder, BootGuard(clock))
    log = BootLog(memory_of(POWER), store)

    def tell(quality, day, second, ms):
        true_s = (FIRST + number) * 86400 + on_s + elapsed
        told([number, elapsed, quality, day, second, ms, day * 86400 + second - true_s, keeper.trust.error_ms // 1000])

    teacher = FeederTeacher(PLACE[0], PLACE[1], SAVE_PERIOD_S)
    keeper = ClockKeeper(
        ClockTrust(BUILD), tell, clock, store, log, teacher, lambda value: told(["dim", number, elapsed])
    )
    elapsed = 0
    keeper.start()
    while elapsed < length:
        elapsed += STEP_S
        clock.tick = (tick0 + elapsed * 1000) & 0x3FFFFFFF
        if is_known and elapsed == 300:
            true_s = on_s + elapsed
            keeper.report(NETWORK, FIRST + number + true_s // 86400, true_s % 86400, 0)
        keeper.poll()


def main(arguments):
    """Run as the module says."""
    for number in range(NIGHTS):
        night(number, arguments[0], number < KNOWN, lambda what: print(json.dumps(what)))


if __name__ == "__main__":
    main(sys.argv[1:])
