"""The session that is kept for ever, whole, against a real mosquitto on three interpreters."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from firmware.links.topics import Topics
from tests.node.broker import Broker, Site
from tests.node.peer import Node, Operator, tls_order, wait_until
from tests.runtimes import Runtime

Start = Callable[..., Node]
StartBroker = Callable[..., Broker]
OWN = "reverbere/1/town/L001"


def test_what_comes_into_the_outbox_leaves_at_once(any_node: Start, mosquitto: StartBroker) -> None:
    """An alarm, or the answer to a command, is put there while the link waits for its socket. Nobody should wait for
    the node's next turn because of that."""
    number, ms = any_node(do="outbox", port=mosquitto().port).finish()["left"].split()
    assert number == "1" and int(ms) < 1500


def test_a_night_of_a_link(node: Start, mosquitto: StartBroker) -> None:
    """What an operator relies on: the lamp says it is there, delivers what waited, hears its own commands and its
    groups', loses its Wi-Fi and its broker, and comes back each time; nobody has to do anything."""
    broker = mosquitto()
    with Operator(broker.port) as desk:
        desk.subscribe("reverbere/#")
        one = node(do="link", port=broker.port, groups=["north"], count=3)
        one.wait_for("done 2")
        # The broker acknowledges to the lamp before it passes on to the desk: "done" is not yet "seen".
        wait_until(lambda: desk.payloads(f"{OWN}/event")[2:] != [], "what waited")
        assert desk.payloads(f"{OWN}/event") == [b"0", b"1", b"2"]
        wait_until(lambda: desk.payloads(f"{OWN}/state") == [b"1"], "online")
        desk.publish(f"{OWN}/cmd", b"hello")
        one.wait_for("got cmd hello 0")
        # The groups change: the new one is heard, the old one is not.
        desk.publish("reverbere/1/town/group/north/cmd", b"regroup")
        one.wait_for("got cmd regroup 0")
        wait_until(lambda: "group/south/cmd (QoS 1)" in broker.log(), "the new subscription")
        desk.publish("reverbere/1/town/group/north/cmd", b"not mine")
        desk.publish("reverbere/1/town/group/south/cmd", b"mine")
        one.wait_for("got cmd mine 0")
        # Wi-Fi is lost: the broker publishes the will, the node comes back by itself.
        desk.publish(f"{OWN}/cfg", b"wifi off")
        one.wait_for("online 0")
        wait_until(lambda: desk.payloads(f"{OWN}/state")[:2] == [b"1", b"0"], "the will")
        one.wait_for("online 1", 2)
        wait_until(lambda: desk.payloads(f"{OWN}/state")[:3] == [b"1", b"0", b"1"], "online again")
        broker.settle()
    broker.kill()
    one.wait_for("online 0", 2)
    broker.start()
    one.wait_for("online 1", 3)
    with Operator(broker.port) as desk:
        desk.subscribe(f"{OWN}/state")
        wait_until(lambda: desk.got[0:1] != [] and desk.got[-1].payload == b"1", "state is retained")
        desk.publish(f"{OWN}/cmd", b"end")
        one.finish()
    assert [line.split(" ", 1)[1] for line in one.all("got")] == [
        "hello 0",
        "regroup 0",
        "mine 0",
        "wifi off 0",
        "end 0",
    ]
    assert one.all("done") == ["0", "1", "2"], "each message of the outbox is done once"
    attempts, connects, failures, losses, received, sent, strangers = (
        int(word) for word in one.all("counters")[0].split()
    )
    assert (connects, losses, received, sent) == (3, 2, 5, 3)
    assert attempts == connects + failures and strangers == 0


def test_link_with_certificates(node: Start, mosquitto: StartBroker, site: Site) -> None:
    """As it is delivered: with TLS, the node's certificate and a kept session."""
    broker = mosquitto(site.tls_lines())
    one = node(do="link", port=broker.port, count=2, **tls_order(site))
    one.wait_for("done 1")
    with Operator(broker.port, site, site.operator()) as desk:
        desk.publish(f"{OWN}/plan", bytes(1500))
        desk.publish(f"{OWN}/cmd", b"end")
    one.finish()
    assert one.all("got")[-1] == "cmd end 0"


PORTABLE = """
import asyncio
from firmware.links.backoff import Backoff
from firmware.links.mqtt_link import MqttLink
from firmware.links.topics import Topics

class Box:
    def __init__(self): self.left = [("status", bytes(3000), 1), ("a/#", b"", 0), ("status", b"x", 2)]
    def peek(self): return self.left[0] if self.left else None
    def done(self): self.left.pop(0)

delays = []
async def main():
    box = Box()
    backoff = Backoff("L1", lambda n: delays.append(n) or 0, 0)
    link = MqttLink("127.0.0.1", PORT, Topics("town", "L1"), backoff, box, print)
    link._pause = lambda ms: asyncio.sleep(0)
    task = asyncio.create_task(link.run())
    while link.attempts < 12: await asyncio.sleep(0)
    print(link.failures >= 11, link.connects, link.last_error)
    task.cancel()
    try: await task
    except asyncio.CancelledError: print("cancelled", link.is_online)
    for _ in range(3): link._client.is_connected = True; link._publish_next(); link._client.is_connected = False
    print(len(box.left), link.dropped)
asyncio.run(main())
print(delays[:10])
"""


def test_no_broker_and_messages_that_can_never_leave(micropython_runtime: Runtime) -> None:
    """With the broker gone for days the attempts grow rare, 15 minutes at most; and a message that no broker would
    take must not block those behind it for ever."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        done = micropython_runtime.run(["-c", PORTABLE.replace("PORT", str(closed.getsockname()[1]))])
    assert done.stdout.splitlines() == [
        "True 0 tcp",
        "cancelled False",
        "0 3",
        str([5001, 10001, 20001, 40001, 80001, 160001, 320001, 640001, 900001, 900001]),
    ], done.stderr


def test_topics_hold_only_what_is_a_level() -> None:
    """A node called ``+`` would hear every lamp's commands."""
    assert Topics("town", "L1", ["north"]).listened() == [
        "reverbere/1/town/L1/cmd",
        "reverbere/1/town/L1/plan",
        "reverbere/1/town/L1/cfg",
        "reverbere/1/town/group/north/cmd",
    ]
    for site, node_id, groups in (
        ("", "L1", ()),
        ("a/b", "L1", ()),
        ("town", "+", ()),
        ("town", "group", ()),
        ("town", "x" * 33, ()),
        ("town", "é", ()),
        ("town", "L1", ("#",)),
        ("town", "L1", ("g",) * 9),
    ):
        with pytest.raises(ValueError):
            Topics(site, node_id, groups)
