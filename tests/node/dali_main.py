"""DALI scenarios that print what came of them, the same lines on CPython and both MicroPythons:

micropython tests/node/dali_main.py frames|commission GEARS|memory|faults SEED COUNT|real|lock
"""

import hashlib
import sys

from firmware.drivers import dali_frames as frames
from firmware.drivers import dali_memory as memory
from firmware.drivers.contract import DriverError
from firmware.drivers.dali_commissioning import commission
from firmware.drivers.dali_dimmer import DaliDimmer, linear_arc
from firmware.drivers.dali_master import DaliMaster
from sim.board.chips import dali_bus
from sim.board.chips.dali_gear import Gear
from tests.node.dali_fuzz import fuzz_decode
from tests.node.dali_world import World

BUS_FAULTS = dali_bus.FAULTS
GEAR_FAULTS = ("none", "none", "none", "no_answer", "deaf", "stuck", "noise", "late", "brown_out")


class Dice:
    """Small numbers in a fixed order, without an integer beyond 30 bits."""

    def __init__(self, seed):
        self._at = seed % 65537 or 1

    def roll(self, below):
        self._at = (self._at * 75 + 74) % 65537
        return self._at % below


def bench(gears, seed=1, jitter_us=20):
    """Return a world and a master on its bus."""
    world = World(gears, seed, jitter_us)
    return world, DaliMaster(world.bus.rmt, world.bus.rx, clock=world)


def digest_frames(count):
    """Return a digest over decoded times: right ones, shifted ones, any ones."""
    dice = Dice(7)
    digest = hashlib.sha256()
    for i in range(count):
        lows = dali_bus.lows_of(dali_bus.half_bits(dice.roll(256), 8), 320 + dice.roll(200), 0)
        edges = []
        for low in lows:
            edges += [low[0], low[1]]
        data = bytearray()
        for k in range(1, len(edges)):
            time_us = max(edges[k] - edges[k - 1] + dice.roll(200) - 100, 0) if i % 3 else dice.roll(2000)
            data += bytes([time_us & 255, time_us >> 8])
        digest.update(str(fuzz_decode(data)).encode())
    return digest.digest().hex()


def commission_all(twins, seed=1, noise_one_in=0, is_alike=False, count=64):
    """Address gears of which some drew the same numbers; return a line of figures.

    ``is_alike``: all gear answers at the same speed and at the same moment, so that equal answers look like one.
    """
    gears = [Gear(-1, seed * 1000 + i) for i in range(count)]
    for i in range(twins):
        gears[2 * i].draws = [500 + i, 700 + i] if not is_alike else [500 + i]
        gears[2 * i + 1].draws = [500 + i, 700 + i] if not is_alike else [500 + i]
    world, master = bench(gears, seed)
    if noise_one_in:
        world.bus.fault = "noise"
        world.bus.noise_one_in = noise_one_in
    if is_alike:
        world.bus.delay_us = 7000
        world.bus.half_us = 417
    given = world.result(master.run(commission()))
    addresses = sorted(gear.short for gear in gears)
    is_right = given == list(range(count)) and addresses == given
    return " ".join(["commission", str(is_right), str(master.frames), "frames", str(world.now_ms // 1000), "s"])


def read_memory():
    """Return what the meter reads from a gear whose energy counter runs while it is read."""
    gear = Gear(9, 3)

    def run_on(data):
        # One more Wh with every byte that is read: 65535 turns over within the six bytes.
        value = (data[8] << 16 | data[9] << 8 | data[10]) + 1
        data[8], data[9], data[10] = value >> 16 & 255, value >> 8 & 255, value & 255

    gear.banks[202].data[5:11] = bytes([0, 0, 0, 0, 0xFF, 0xF0])
    gear.banks[202].mover = run_on
    world, master = bench([gear])
    meter = memory.D4iMeter(master, 9)
    world.result(meter.fetch())
    lines = []
    for values in (memory.ENERGY, memory.GEAR):
        lines += [value[0] + " " + str(getattr(meter, value[0])) for value in values]
    lines.append(str(world.result(master.run(memory.read_values(9, 1, memory.LUMINAIRE)))))
    lines.append(str(world.result(master.run(memory.read_values(9, 206, memory.LIGHT_SOURCE)))))
    return lines


async def _read_for_ever(meter, world, outcomes):
    while True:
        try:
            await meter.fetch()
            outcomes[0] += 1
        except DriverError:
            outcomes[1] += 1
        await world.sleep_ms(3000)


def live_through(seed, count):
    """Put a lamp through ``count`` faults of bus, gear and transmitter; return figures. Raises at the first lie.

    Every 40 faults all is well again: within 40 s the lamp must have its level and the fault be gone. Every other 40
    the gear dies: within 8 s the fault must be there. The lamp may never show a level that nobody asked for.
    """
    dice = Dice(seed)
    gear = Gear(5, seed)
    world, master = bench([gear], seed)
    dimmer = DaliDimmer(master, 1000, 5, verify_s=5)
    task = world.start(dimmer.run())
    outcomes = [0, 0]
    world.start(_read_for_ever(memory.D4iMeter(master, 5), world, outcomes))
    allowed = {254}
    wished = 1000
    for i in range(count):
        world.bus.fault = BUS_FAULTS[dice.roll(len(BUS_FAULTS))] if dice.roll(2) else "none"
        gear.fault = GEAR_FAULTS[dice.roll(len(GEAR_FAULTS))]
        world.bus.rmt.is_broken = dice.roll(20) == 0
        if dice.roll(3) == 0:
            wished = dice.roll(1001)
            allowed.add(linear_arc(wished))
            if dice.roll(8) == 0:
                dimmer.fade(wished, dice.roll(2000))
            else:
                dimmer.write(wished)
        world.run(20 + dice.roll(150))
        if dimmer.level_permille != wished or dimmer.fault not in (0, 1):
            raise ValueError("state: " + str(i))
        if i % 40 == 39:
            world.bus.rmt.is_broken = False
            if i % 80 == 79:
                world.bus.fault = "none"
                gear.fault = "deaf"
                world.run(8000)
                if dimmer.fault != 1:
                    raise ValueError("a dead gear is no fault: " + str(i))
            world.bus.fault = gear.fault = "none"
            # The longest pause between two rounds is 30 s.
            for _ in range(40):
                world.run(1000)
                if not dimmer.fault and gear.level_at(world.now_ms) == linear_arc(wished):
                    break
            world.run(1000)
            if dimmer.fault or gear.level_at(world.now_ms) != linear_arc(wished):
                raise ValueError("still at fault, or dark: " + str(i))
    for _, arc in gear.history:
        if arc not in allowed:
            raise ValueError("the lamp had a level nobody asked for: " + str(arc))
    world.stop(task)
    figures = (
        ("faults", count),
        ("seconds", world.now_ms // 1000),
        ("frames", master.frames),
        ("damaged", master.damaged),
        ("read", outcomes[0]),
        ("not", outcomes[1]),
        ("stored", gear.stored),
        ("levels", len(gear.history)),
    )
    return " ".join([name + " " + str(figure) for name, figure in figures])


def write_locked():
    """Call under the heap lock what a lamp's task or an interrupt calls; a MemoryError is a failure."""
    from micropython import heap_lock, heap_unlock

    world, master = bench([Gear(5, 1)])
    dimmer = DaliDimmer(master, 1000, 5)
    levels = [False] * frames.FRAME_HALVES
    times = [417] * 18
    edge = master._edge_ref
    rx = world.bus.rx
    heap_lock()
    try:
        for i in range(100):
            dimmer.write(i * 10)
            dimmer.fade(i * 10, i * 100)
            frames.fill_levels(0xFE80 + i, levels, False)
            frames.decode(times, 17, 8)
            edge(rx)
    finally:
        heap_unlock()
    return "lock " + str(dimmer.level_permille) + " " + str(frames.decode(times, 17, 8))


class RealClock:
    """The node's own clock and event loop; the bus double follows it whenever a task has slept. MicroPython only."""

    def __init__(self, bus):
        import asyncio

        from firmware.drivers.dali_master import ChipClock

        self._chip = ChipClock()
        self._bus = bus
        self._begin = self._chip.ticks_us()
        self._sleep_ms = asyncio.sleep_ms
        self.ticks_ms = self._chip.ticks_ms
        self.ticks_diff = self._chip.ticks_diff

    def ticks_us(self):
        # Within an interrupt the double's time is the edge's.
        return self._bus.now_us & 0x3FFFFFFF

    async def sleep_ms(self, ms):
        await self._sleep_ms(ms)
        self._bus.advance(self._chip.ticks_diff(self._chip.ticks_us(), self._begin))


def live_in_real_time():
    """Run a lamp's task, a reading that is cancelled and one that is not on the real event loop, for two seconds."""
    import asyncio

    gear = Gear(5, 3)
    bus = dali_bus.DaliBus([gear])
    master = DaliMaster(bus.rmt, bus.rx, clock=RealClock(bus))
    dimmer = DaliDimmer(master, 1000, 5)
    meter = memory.D4iMeter(master, 5, False)

    async def go():
        task = asyncio.create_task(dimmer.run())
        reading = asyncio.create_task(meter.fetch())
        await asyncio.sleep_ms(150)
        reading.cancel()
        dimmer.write(300)
        # On a machine that is busy elsewhere, frames that belong together may come too late.
        for _ in range(20):
            try:
                await meter.fetch()
            except DriverError:
                continue
            if gear.history[-1][1] == linear_arc(300) and not dimmer.fault:
                break
        task.cancel()

    asyncio.run(go())
    return "real " + str([gear.history[-1][1], dimmer.fault, meter.energy_wh, meter.power_mw])


def lines_of(arguments):
    """Return the lines of a scenario."""
    what = arguments[0]
    if what == "frames":
        return [digest_frames(2000)]
    if what == "commission":
        count = int(arguments[1])
        return [
            commission_all(0, count=count),
            commission_all(5, 2, count=count),
            commission_all(5, 3, is_alike=True, count=count),
        ]
    if what == "memory":
        return read_memory()
    if what == "faults":
        return [live_through(int(arguments[1]), int(arguments[2]))]
    if what == "real":
        return [live_in_real_time()]
    return [write_locked()]


if __name__ == "__main__":
    for line in lines_of(sys.argv[1:]):
        print(line)
