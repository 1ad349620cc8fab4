"""One node's MQTT client, driven by a test: runs on MicroPython and CPython as a program.

    micropython tests/node/mqtt_main.py '{"do": "basic", "port": 1883, …}'

``do`` names a function below. Each line printed is ``name value``; beside everything runs a ticker, and its longest
pause ends the output: what another task of the node would have had to wait.
"""

import asyncio
import gc
import json
import sys
import time

from firmware.links.backoff import Backoff
from firmware.links.mqtt_client import MqttClient
from firmware.links.mqtt_link import MqttLink
from firmware.links.mqtt_packets import MqttError
from firmware.links.names import resolve
from firmware.links.outbox import EVENT, Outbox
from firmware.links.timing import begin_turns, sleep_ms, ticks_ms
from firmware.links.tls_context import make_tls_context
from firmware.links.topics import Topics

IS_HOST = sys.implementation.name == "cpython"


def now_us():
    return time.monotonic_ns() // 1000 if IS_HOST else time.ticks_us()


def say(*words):
    print(*words)


class Ticker:
    """Another task of the node: wants to run every 2 ms, and notes its longest wait.

    ``longest_us`` by the clock on the wall, which also counts what other processes of the machine took; ``computed_us``
    by the processor time that this process used between two of its turns, where Linux tells it.
    """

    def __init__(self):
        self.longest_us = 0
        self.computed_us = 0

    async def run(self):
        last, last_used = now_us(), used_us()
        while True:
            await sleep_ms(2)
            now, used = now_us(), used_us()
            gap = now - last if IS_HOST else time.ticks_diff(now, last)
            self.longest_us = max(self.longest_us, gap)
            self.computed_us = max(self.computed_us, used - last_used)
            last, last_used = now, used


def used_us():
    """Return the processor time of this process in µs, 0 where the system does not tell it."""
    try:
        with open("/proc/self/schedstat") as file:
            return int(file.read().split()[0]) // 1000
    except OSError:
        return 0


def read(path):
    with open(path, "rb") as file:
        return file.read()


def context_of(order):
    """Return the TLS context that an order describes, None for plain TCP."""
    if "certs" not in order:
        return None
    folder, node = order["certs"], order.get("node")
    certificate = key = None
    if node:
        certificate, key = folder + "/" + node + ".crt", folder + "/" + node + ".key"
        if not IS_HOST:
            certificate, key = read(certificate + ".der"), read(key + ".der")
    return make_tls_context(read(folder + "/ca.crt.der"), certificate, key)


def client_of(order, **more):
    """Return the client that an order describes."""
    context = context_of(order)
    for name in (
        "keepalive_s",
        "receive_max",
        "send_max",
        "inflight_max",
        "server_name",
        "connack_ms",
        "ping_ms",
        "handshake_ms",
    ):
        if name in order:
            more[name] = order[name]
    if "dns" in order:
        more["resolve"] = lambda name: resolve(name, "127.0.0.1", lambda n: 4660 % n, order["dns"], 400)
    return MqttClient(order.get("host", "127.0.0.1"), order["port"], order.get("id", "L001"), context, **more)


async def basic(order):
    """Subscribe, publish with both QoS, receive both; say goodbye."""
    got = []
    client = client_of(order, on_message=lambda topic, payload, retain: got.append((topic, bytes(payload), retain)))
    await client.connect(True)
    topic = order.get("topic", "t/1")
    say("granted", list(await client.subscribe([topic])))
    await client.publish(topic, b"zero")
    await client.publish(topic, b"one", 1)
    for _ in range(500):
        if len(got) == 2:
            break
        await client.step()
    for topic, payload, retain in got:
        say("got", topic, payload.decode(), int(retain))
    await client.disconnect()
    say("closed", int(not client.is_connected), "handshakes", client.handshakes)


async def refused(order):
    """Connect to what must refuse; say the name of the error."""
    client = client_of(order)
    try:
        await client.connect(True)
        # Some brokers accept first and hang up then.
        for _ in range(40):
            await client.step()
        say("what none")
    except MqttError as error:
        say("what", error.what)
        say("text", str(error))


async def waits(order):
    """Connect and step until the link is lost; say why and after how many ms."""
    client = client_of(order)
    await client.connect(True)
    say("connected")
    start = ticks_ms()
    try:
        while "for_ms" not in order or ticks_ms() - start < order["for_ms"]:
            await client.step()
        say("what still up")
    except MqttError as error:
        say("what", error.what)
        say("ms", ticks_ms() - start)


async def reconnects(order):
    """Connect and close many times; say what is left open and allocated."""
    client = client_of(order)
    for i in range(order["times"]):
        await client.connect(True)
        await client.publish("t/1", b"x", 1)
        if i % 2:
            await client.disconnect()
        else:
            client.close()
        if i == order["times"] // 5:
            first = standing()
    say("before", *first)
    say("after", *standing())


def standing():
    """Return open files, resident KiB, Python heap in use."""
    import os

    gc.collect()
    files = len(os.listdir("/proc/self/fd"))
    with open("/proc/self/statm") as file:
        resident = int(file.read().split()[1]) * 4
    return files, resident, 0 if IS_HOST else gc.mem_alloc()


async def streams(order):
    """Publish numbered QoS 1 messages for ever, one after another, over every loss of the link; say each one's end."""
    client = client_of(order)
    is_clean = bool(order.get("clean"))
    for number in range(order["count"]):
        packet_id = -1
        while packet_id == -1 or client.is_under_way(packet_id):
            try:
                if not client.is_connected:
                    await client.connect(is_clean)
                    say("connected", int(client.session_present))
                if packet_id == -1:
                    packet_id = client.post(order["topic"], b"%d" % number, 1)
                await client.step()
            except MqttError as error:
                say("lost", error.what)
                await sleep_ms(order.get("retry_ms", 20))
        say("done", number)
        await sleep_ms(order.get("pause_ms", 5))
    await client.disconnect()


async def listens(order):
    """Receive with a kept session over every loss of the link, until a message says "end"."""
    got = []

    def on_message(topic, payload, retain):
        got.append(1)
        say("got", topic, bytes(payload).decode(), int(retain))
        if bytes(payload) == b"end":
            got.clear()
            got.append(0)

    client = client_of(order, on_message=on_message)
    while not (got and got[0] == 0):
        try:
            if not client.is_connected:
                await client.connect(False)
                say("connected", int(client.session_present))
                if not client.session_present:
                    await client.subscribe([order["topic"]])
                say("ready")
            await client.step()
        except MqttError as error:
            say("lost", error.what)
            await sleep_ms(20)
    say("oversize", client.received_oversize)
    await client.disconnect()


async def rests(order):
    """Keep a session in one task, and say how often it looked; others come to it while it waits: the operator, a task
    that publishes, one that posts, one that closes. All is over before the first common turn."""
    got = []
    client = client_of(order, on_message=lambda topic, payload, retain: got.append(bytes(payload)))
    topic = order["topic"]
    begin_turns(ticks_ms())
    looks = [0]

    async def keep():
        try:
            while True:
                looks[0] += 1
                await client.step()
        except MqttError:
            say("lost", ticks_ms())

    async def came(what, count):
        start = ticks_ms()
        while len(got) < count and ticks_ms() - start < 8000:
            await sleep_ms(2)
        say(what, len(got), ticks_ms() - start)

    await client.connect(True)
    await client.subscribe([topic])
    task = asyncio.create_task(keep())
    await sleep_ms(200)
    before = looks[0]
    await sleep_ms(1000)
    say("looks", looks[0] - before)
    client.post(topic, b"posted", 1)
    await came("posted", 1)
    await client.publish(topic, b"published", 1)
    await came("published", 2)
    await sleep_ms(100)
    say("ready")
    await came("operator", 2 + order["count"])
    await sleep_ms(100)
    start = ticks_ms()
    client.close()
    while not task.done() and ticks_ms() - start < 8000:
        await sleep_ms(2)
    say("closed", 1, ticks_ms() - start)


class Box:
    """An outbox of numbered messages; ``done`` says which one is done."""

    def __init__(self, count):
        self.number = 0
        self.count = count

    def peek(self):
        if self.number >= self.count:
            return None
        return ("event", b"%d" % self.number, 1)

    def done(self):
        say("done", self.number)
        self.number += 1


class Wifi:
    """A double of ``network.WLAN``: connected, except while an order's message said "wifi off" (for 600 ms)."""

    def __init__(self):
        self.off_tick = None

    def isconnected(self):
        if self.off_tick is not None and ticks_ms() - self.off_tick > 600:
            self.off_tick = None
        return self.off_tick is None


async def link(order):
    """Keep a whole link until a command says "end"; say what comes, and the counters at the end."""
    wifi = Wifi()
    commands = []

    def on_message(kind, payload, retain):
        text = bytes(payload).decode()
        commands.append(text)
        say("got", kind, text, int(retain))
        if text == "wifi off":
            wifi.off_tick = ticks_ms()

    topics = Topics("town", order.get("id", "L001"), order.get("groups", ()))
    box = Box(order.get("count", 0))
    one = MqttLink(
        "127.0.0.1",
        order["port"],
        topics,
        Backoff(topics.node_id, lambda n: min(n - 1, 50), 0),
        box,
        on_message,
        context_of(order),
        order.get("server_name"),
        wifi,
    )
    task = asyncio.create_task(one.run())
    was_online = False
    while "end" not in commands:
        await sleep_ms(5)
        if one.is_online != was_online:
            was_online = one.is_online
            say("online", int(was_online))
        if "regroup" in commands:
            commands.remove("regroup")
            topics.set_groups(["south"])
    await sleep_ms(100)
    say("counters", one.attempts, one.connects, one.failures, one.losses, one.received, one.sent, one.strangers)
    say("refused", one.refused_topics, "last", one.last_error or "-")
    task.cancel()
    await sleep_ms(20)


async def outbox(order):
    """Keep a link; once it rests, put a message into its outbox, and say after how many ms it had left."""
    topics = Topics("town", order.get("id", "L001"))
    box = Outbox(None, ticks_ms())
    backoff = Backoff(topics.node_id, lambda n: 0, 0)
    one = MqttLink("127.0.0.1", order["port"], topics, backoff, box, print)
    task = asyncio.create_task(one.run())
    while not one.is_online:
        await sleep_ms(5)
    begin_turns(ticks_ms())
    # What rests has looked at its outbox already; the next common turn is 4.4 s away.
    await sleep_ms(600)
    start = ticks_ms()
    box.put(EVENT, "event", b"new", 1)
    while not one.sent and ticks_ms() - start < 8000:
        await sleep_ms(2)
    say("left", one.sent, ticks_ms() - start)
    task.cancel()
    await sleep_ms(20)


async def poison(order):
    """Receive with a kept session; a message that says "bad" kills its reader, once a connection."""

    heard = []

    def on_message(topic, payload, retain):
        heard.append(bytes(payload).decode())
        say("got", heard[-1])
        if heard[-1] == "bad":
            raise KeyError("a mistake of ours")

    client = client_of(order, on_message=on_message)
    for _ in range(2):
        await client.connect(False)
        say("connected", int(client.session_present))
        await client.subscribe([order["topic"]])
        say("ready")
        try:
            while "good" not in heard:
                await client.step()
        except KeyError:
            say("died", int(client.is_connected))


async def main(order):
    ticker = Ticker()
    task = asyncio.create_task(ticker.run())
    # The first round of a loop pays for what the interpreter does once.
    await sleep_ms(20)
    ticker.longest_us = ticker.computed_us = 0
    await globals()[order["do"]](order)
    await sleep_ms(5)
    task.cancel()
    say("gap_us", ticker.longest_us)
    say("computed_us", ticker.computed_us)


if __name__ == "__main__":
    if IS_HOST:
        sys.stdout.reconfigure(line_buffering=True)
    asyncio.run(main(json.loads(sys.argv[1])))
