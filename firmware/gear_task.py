"""Gear with a task of its own (DALI, relays that are moved by pulses). Loaded where it is used, and forgotten."""

import asyncio

from firmware.control.compat import const
from firmware.links.timing import sleep_ms

_LOOK_MS = const(5000)


def without_beat(run):
    """A task that knows no supervisor: it is watched for its death only, which is seen within `_LOOK_MS`."""

    async def task(beat):
        inner = asyncio.create_task(run())
        try:
            while not inner.done():
                beat()
                await sleep_ms(_LOOK_MS)
            await inner
        finally:
            inner.cancel()

    return task
