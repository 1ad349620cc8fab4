"""Ask time servers on this machine, all at once. Runs on MicroPython and on CPython:

    micropython tests/node/sntp_main.py NAME:PORT …

A line of JSON for each: name, whether the time is known, day, second, ms, error, wait, refused, what.
"""

import asyncio
import json
import os
import socket
import sys
import time

from firmware.system.sntp import SntpClient

if hasattr(time, "ticks_ms"):
    ticks_ms = time.ticks_ms
else:

    def ticks_ms():
        return int(time.monotonic() * 1000) & 0x3FFFFFFF


def ring_ms():
    """The ring of 2^30 ms, as the chip's; the unix port of 64 bits has a longer one."""
    return ticks_ms() & 0x3FFFFFFF


async def ask(name, port):
    address = socket.getaddrinfo("127.0.0.1", port, 0, socket.SOCK_DGRAM)[0][-1]
    client = SntpClient(address, os.urandom, ring_ms)
    is_known = await client.query()
    found = [name, is_known, client.day, client.second, client.ms, client.error_ms, client.wait_s]
    found += [client.refused, client.what]
    print(json.dumps(found))


async def look(counted):
    """Count how often another task has its turn: the questions must not block."""
    while True:
        counted[0] += 1
        await asyncio.sleep(0.05)


async def main(arguments):
    counted = [0]
    other = asyncio.create_task(look(counted))
    questions = []
    for argument in arguments:
        name, port = argument.split(":")
        questions.append(ask(name, int(port)))
    await asyncio.gather(*questions)
    other.cancel()
    print(json.dumps(["turns", counted[0]]))


asyncio.run(main(sys.argv[1:]))
