"""Gear with a task of its own (DALI, relays that are moved by pulses). Loaded where it is used, and forgotten."""

import asyncio

from firmware.links.timing import sleep_ms, ticks_ms, turn_ms


def without_beat(run):
    """A task that knows no supervisor: it is watched for its death only, which is seen within a turn."""

    async def task(beat):
        inner = asyncio.create_task(run())
        try:
            while not inner.done():
                beat()
                await sleep_ms(turn_ms(ticks_ms()))
            await inner
        finally:
            inner.cancel()

    return task
