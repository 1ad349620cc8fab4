"""Waiting with a time limit, on which the lamp's task stands: woken at once, never lost, cancelled when it is meant."""

from __future__ import annotations

import subprocess
import sys

import pytest

from firmware.control.ticks import TICKS_MAX
from firmware.links.timing import TURN_MS, begin_turns, turn_ms
from tests.conftest import require_runtime
from tests.node.peer import INTERPRETERS
from tests.runtimes import NAMES, ROOT

CODE = """
import asyncio
from firmware.links.timing import sleep_ms, ticks_ms
from firmware.system.wakeup import Wakeup


def took(start):
    return (ticks_ms() - start) & 0x3FFFFFFF


async def main():
    wakeup = Wakeup()
    start = ticks_ms()
    await wakeup.wait_ms(60)
    print("limit", 55 <= took(start) < 1000)
    wakeup.set()
    start = ticks_ms()
    await wakeup.wait_ms(5000)
    print("set before", took(start) < 1000)

    async def later():
        await sleep_ms(30)
        wakeup.set()
        wakeup.set()

    asyncio.create_task(later())
    start = ticks_ms()
    await wakeup.wait_ms(5000)
    print("set while waiting", 25 <= took(start) < 1000)
    start = ticks_ms()
    await wakeup.wait_ms(60)
    print("twice is once", took(start) >= 55)
    wakeup.set()
    await sleep_ms(20)
    start = ticks_ms()
    await wakeup.wait_ms(5000)
    print("set while busy", took(start) < 1000)
    events = []

    async def waiter():
        try:
            while True:
                await wakeup.wait_ms(5000)
                events.append("woken")
        finally:
            events.append("gone")

    task = asyncio.create_task(waiter())
    await sleep_ms(20)
    wakeup.set()
    await sleep_ms(20)
    task.cancel()
    await sleep_ms(20)
    print("cancelled", events)
    start = ticks_ms()
    wakeup.set()
    await wakeup.wait_ms(5000)
    print("used again", took(start) < 1000)

    class Silent:
        async def listen(self, ring):
            await sleep_ms(60000)

    bell = Wakeup(Silent())
    woken = []

    async def other():
        while True:
            await bell.wait_ms(5000)
            woken.append(took(start) < 1000)

    task = asyncio.create_task(other())
    start = ticks_ms()
    await sleep_ms(20)
    bell.set()
    await bell.wait_ms(5000)
    await sleep_ms(20)
    bell.set()
    await sleep_ms(20)
    print("beside another", woken, not task.done(), took(start) < 1000)

    class Loud:
        rung = 0

        async def listen(self, ring):
            Loud.rung += 1
            ring()

    bell = Wakeup(Loud())
    await bell.wait_ms(5000)
    await sleep_ms(50)
    print("asked once a wait", Loud.rung)


asyncio.run(main())
"""


@pytest.mark.parametrize("name", INTERPRETERS)
def test_a_wait_ends_when_it_is_told_to_and_not_else(name: str):
    """The lamp's task waits here for a passer. A wake-up that was lost is a walker in the dark until the next turn; one
    that swallowed a cancellation is a task that nobody can stop."""
    if name in NAMES:
        done = require_runtime(name).run(["-c", CODE], cwd=ROOT)
    else:
        command = [sys.executable, "-c", CODE]
        done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "limit True", "set before True", "set while waiting True", "twice is once True", "set while busy True",
        "cancelled ['woken', 'gone']", "used again True", "beside another [True, True] True True",
        "asked once a wait 1",
    ]  # fmt: skip


@pytest.mark.parametrize("origin", [0, 123, TICKS_MAX - 7, TICKS_MAX])
def test_turns_are_common_and_come_over_the_end_of_the_ring(origin: int):
    """Whoever computes the next turn by himself must come to the same tick as all others, after twelve days too: a turn
    that nobody meets is one wake more for each task."""
    begin_turns(origin)
    try:
        turns = set()
        for passed in range(0, 4 * TURN_MS, 7):
            tick = (origin + passed) & TICKS_MAX
            left = turn_ms(tick)
            assert 1 <= left <= TURN_MS
            turns.add((tick + left - origin) & TICKS_MAX)
        assert turns == {TURN_MS * number for number in range(1, 5)}
        # Where the distance from the origin begins anew, one turn is short, and none is longer.
        assert 1 <= turn_ms((origin + TICKS_MAX) & TICKS_MAX) <= TURN_MS
    finally:
        begin_turns(0)
