"""Let tasks die, hang and leak under the supervisor, in virtual time. Runs on MicroPython and on CPython:

    micropython tests/node/supervisor_main.py

A line of JSON is printed for each case. Time is a double: only the supervisor's own sleep moves it, so an hour passes
in a moment; the event loop is the interpreter's.
"""
# ruff: noqa: UP031, UP041  (runs under MicroPython, where a timeout is asyncio's own)

import asyncio
import json
import sys

from firmware.system import supervisor
from firmware.system.supervisor import Supervisor, SupervisorError


class World:
    """Virtual time, and what happened in it."""

    def __init__(self, tick=0):
        self.start = tick
        self.now_ms = 0
        self.feeds = []
        self.errors = []
        self.lamp = 0

    def ticks_ms(self):
        return (self.start + self.now_ms) & 0x3FFFFFFF

    def feed(self):
        self.feeds.append(self.now_ms)

    async def sleep(self, ms):
        """Wait for virtual time."""
        end = self.now_ms + ms
        while self.now_ms < end:
            await asyncio.sleep(0)


class FakeAsyncio:
    """What the supervisor takes from asyncio, with its sleep moving the world."""

    CancelledError = asyncio.CancelledError
    create_task = staticmethod(asyncio.create_task)
    get_event_loop = staticmethod(asyncio.get_event_loop)

    def __init__(self, world):
        self.world = world

    async def pause_ms(self, ms):
        self.world.now_ms += ms
        for _ in range(4):
            await asyncio.sleep(0)


def lamp_of(world):
    """A lamp's task that does its work every 100 ms of virtual time."""

    async def lamp(beat):
        while True:
            world.lamp += 1
            beat()
            await world.sleep(250)

    return lamp


def case(tasks, for_ms, tick=0, lamp=None, on_error=None):
    """Run tasks [(name, factory of the world, silence)] behind a lamp for so long; return what happened."""
    world = World(tick)
    supervisor.asyncio = fake = FakeAsyncio(world)
    supervisor.sleep_ms = fake.pause_ms
    noted = on_error or (lambda name, error: world.errors.append([name, type(error).__name__, world.now_ms]))
    watch = Supervisor(world.feed, world.ticks_ms, noted)
    watch.add("lamp", (lamp or lamp_of)(world), 5000)
    for name, factory, silence_ms in tasks:
        watch.add(name, factory(world), silence_ms)
    told = {"error": None}

    async def run():
        task = asyncio.create_task(watch.run())
        while world.now_ms < for_ms and not told["error"]:
            await asyncio.sleep(0)
            if ended:
                break
        if not ended:
            task.cancel()
        try:
            await task
        except SupervisorError as error:
            told["error"] = [error.task, error.reason, error.what]
        except asyncio.CancelledError:
            pass

    ended = []
    good_run = watch.run

    async def noting():
        try:
            await good_run()
        finally:
            ended.append(1)

    watch.run = noting
    asyncio.run(run())
    if hasattr(asyncio, "new_event_loop") and sys.implementation.name == "micropython":
        asyncio.new_event_loop()
    told.update(feeds=len(world.feeds), last_feed=world.feeds[-1] if world.feeds else -1, end=world.now_ms)
    told.update(errors=world.errors, lamp=world.lamp, restarts=watch.restarts, stray=watch.stray)
    return told


def good(world):
    async def run(beat):
        while True:
            beat()
            await world.sleep(1000)

    return run


def dies(error, after):
    """A task that dies of ``error`` after so many waits; None: it just ends."""

    def factory(world):
        async def run(beat):
            for _ in range(after):
                beat()
                await world.sleep(500)
            if error is not None:
                raise error

        return run

    return factory


def hangs(world):
    async def run(beat):
        beat()
        await world.sleep(10000000)

    return run


def dies_now_and_then(world):
    async def run(beat):
        for _ in range(70):
            beat()
            await world.sleep(9000)
        raise OSError(5)

    return run


def bad_lamp(times):
    def factory(world):
        left = [times]

        async def run(beat):
            world.lamp += 1
            beat()
            await world.sleep(250)
            if left[0]:
                left[0] -= 1
                raise ValueError("double")
            await lamp_of(world)(beat)

        return run

    return factory


def strays(world):
    async def stray():
        raise KeyError("nobody waits for this one")

    async def run(beat):
        await asyncio.sleep(0)
        asyncio.create_task(stray())  # noqa: RUF006
        while True:
            beat()
            await world.sleep(1000)

    return run


def refuse(name, error):
    raise OSError(28)


def spends(world):
    """A task that asks for more memory than there is."""

    async def run(beat):
        beat()
        await world.sleep(500)
        raise MemoryError()

    return run


def main():
    """Print what came of each case."""
    cases = [("quiet", lambda: case([("a", good, 5000), ("b", good, 30000)], 600000, 0x3FFFFFFF - 1000))]
    for after in range(4):
        for error in (ValueError("x"), OSError(5), MemoryError(), asyncio.TimeoutError(), SyntaxError(), None):
            name = "dies of %s after %d" % (type(error).__name__, after)
            cases.append((name, lambda error=error, after=after: case([("net", dies(error, after), 5000)], 20000)))
    cases += [
        ("dies for ever", lambda: case([("net", dies(OSError(5), 1), 5000)], 3600000)),
        ("hangs", lambda: case([("net", hangs, 7000)], 60000)),
        ("hangs beside", lambda: case([("a", good, 5000), ("net", hangs, 7000)], 60000, 0x3FFFFFFF - 3000)),
        ("dies now and then", lambda: case([("net", dies_now_and_then, 10000)], 3000000)),
        ("lamp dies twice", lambda: case([("net", good, 5000)], 60000, lamp=bad_lamp(2))),
        ("lamp dies for ever", lambda: case([("net", good, 5000)], 60000, lamp=bad_lamp(99))),
        ("stray", lambda: case([("net", strays, 5000)], 10000)),
        ("log is full", lambda: case([("net", dies(OSError(5), 1), 5000)], 20000, on_error=refuse)),
        ("memory", lambda: case([("net", spends, 5000)], 20000)),
    ]
    for name, run in cases:
        told = run()
        told["case"] = name
        print(json.dumps(told))


if __name__ == "__main__":
    main()
