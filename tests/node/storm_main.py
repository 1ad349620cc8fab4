"""One node of a storm: the firmware's own link with its own back-off, TLS and certificate. Runs on MicroPython:

    micropython tests/node/storm_main.py '{"do": "link", "port": 8883, …}'

``do``: "link" keeps a session for ``life_s``, "measure" connects and closes for ``for_s`` and counts. It says "ready"
and waits for a line on standard input: its power is on from then on. Each line printed is ``name value``. What differs
from a node: no outbox, no Wi-Fi, chance from a seed; the process dies with its parent.
"""

import asyncio
import gc
import json
import random
import sys

from firmware.control.ticks import ticks_diff
from firmware.links.backoff import Backoff, spread
from firmware.links.mqtt_client import MqttClient
from firmware.links.mqtt_link import MqttLink
from firmware.links.mqtt_packets import MqttError
from firmware.links.timing import sleep_ms, ticks_ms
from firmware.links.tls_context import make_tls_context
from firmware.links.topics import Topics

LIFE_MAX_S = 900


def die_with_parent():
    """Have the kernel end this process with the test that started it."""
    import ffi

    ffi.open(None).func("i", "prctl", "iLLLL")(1, 9, 0, 0, 0)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def context_of(order):
    """Return the TLS context of the node: its own certificate, the site's authority."""
    base = order["certs"] + "/" + order["id"]
    return make_tls_context(read(order["certs"] + "/ca.crt.der"), read(base + ".crt.der"), read(base + ".key.der"))


class TellingBackoff(Backoff):
    """The firmware's own back-off; it says each of its answers after a failed attempt, and why it was asked."""

    link = None
    is_loss = False

    def failed_ms(self):
        delay = Backoff.failed_ms(self)
        if not self.is_loss:
            print("wait", delay, self.link.last_error.replace(" ", "_"))
        return delay

    def lost_ms(self, lasted_ms, is_local):
        self.is_loss = True
        delay = Backoff.lost_ms(self, lasted_ms, is_local)
        self.is_loss = False
        return delay


class Box:
    """An outbox without messages."""

    def peek(self):
        return None

    def done(self):
        pass


async def link(order):
    """Keep the link; say each change and, at the end or when asked by nobody, nothing more."""
    seed = order.get("seed", 1) * 100003 + spread(order["id"].encode(), 100003)
    random.seed(seed)
    backoff = TellingBackoff(order["id"], random.randrange, order["window_s"])
    one = MqttLink(
        "127.0.0.1", order["port"], Topics("town", order["id"]), backoff, Box(), print, context_of(order),
        order["server_name"],
    )  # fmt: skip
    backoff.link = one
    task = asyncio.create_task(one.run())
    start = ticks_ms()
    was_online = False
    while ticks_diff(ticks_ms(), start) < 1000 * min(order["life_s"], LIFE_MAX_S):
        await sleep_ms(50)
        if one.is_online != was_online:
            was_online = one.is_online
            # Totals with every change: the process is killed at the end, and says nothing then.
            print("online", int(was_online), one.handshakes, one.connects, one.attempts)
    task.cancel()


async def measure(order):
    """Connect and close, one handshake after the other; say how many there were, and in how many ms."""
    client = MqttClient("127.0.0.1", order["port"], order["id"], context_of(order), server_name=order["server_name"])
    start = ticks_ms()
    failed = 0
    while ticks_diff(ticks_ms(), start) < 1000 * order["for_s"]:
        try:
            await client.connect(True)
            client.close()
        except MqttError:
            failed += 1
    print("measured", client.handshakes, ticks_diff(ticks_ms(), start), failed)


if __name__ == "__main__":
    if sys.implementation.name != "cpython":
        die_with_parent()
    told = json.loads(sys.argv[1])
    gc.collect()
    print("ready")
    sys.stdin.readline()
    asyncio.run(link(told) if told["do"] == "link" else measure(told))
