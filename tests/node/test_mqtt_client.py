"""The MQTT client against a real mosquitto, on CPython and both MicroPythons: every loss of the link is survived."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import amqtt.broker
import pytest

from tests.node.broker import Broker, Site, free_port
from tests.node.peer import Node, Operator, Proxy, interpreter_command, tls_order, wait_until
from tests.runtimes import NAMES, ROOT

Start = Callable[..., Node]
StartBroker = Callable[..., Broker]


def test_talks_to_a_real_broker(any_node: Start, mosquitto: StartBroker) -> None:
    """A client that only ever met its own test double would meet its first broker on the lamp post."""
    one = any_node(do="basic", port=mosquitto().port)
    said = one.finish()
    assert one.lines[0] == "granted [1]"
    assert one.all("got") == ["t/1 zero 0", "t/1 one 0"]
    assert said["closed"] == "1 handshakes 0"


def test_talks_to_another_broker() -> None:
    """One broker's kindness must not hide our mistakes: amqtt, which `make demo` uses where there is no mosquitto."""
    port = free_port()

    async def run() -> list[bytes]:
        plugin = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
        listener = {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}}
        broker = amqtt.broker.Broker({"listeners": listener, "plugins": plugin})
        await broker.start()
        outputs = []
        for name in NAMES:
            command, environment = interpreter_command(name)
            order = json.dumps({"do": "basic", "port": port, "id": name})
            process = await asyncio.create_subprocess_exec(
                *command, order, env=environment, cwd=ROOT, stdout=asyncio.subprocess.PIPE
            )
            outputs.append((await asyncio.wait_for(process.communicate(), 20))[0])
        await broker.shutdown()
        return outputs

    for output in asyncio.run(run()):
        assert output.decode().splitlines()[:3] == ["granted [1]", "got t/1 zero 0", "got t/1 one 0"]


@pytest.mark.parametrize("has_tls", [False, True], ids=["tcp", "tls"])
def test_a_session_that_rests_wakes_for_whatever_comes(
    any_node: Start, mosquitto: StartBroker, site: Site, has_tls: bool
) -> None:
    """A client that asks its socket twenty times a second keeps each node awake for years; one that waits and misses
    what came leaves the street without its command until the next turn. Several messages may lie in one TLS record."""
    broker = mosquitto(site.tls_lines()) if has_tls else mosquitto()
    count = 30
    one = any_node(do="rests", port=broker.port, topic="t/9", count=count, **(tls_order(site) if has_tls else {}))
    one.wait_for("ready")
    operator = Operator(broker.port, site, site.operator()) if has_tls else Operator(broker.port)
    with operator:
        for number in range(count):
            operator.client.publish("t/9", b"%03d" % number + bytes(500), 1)
        said = one.finish()
    assert int(said["looks"]) <= 2
    for name, sum_of_messages in (("posted", 1), ("published", 2), ("operator", 2 + count), ("closed", 1)):
        number, ms = said[name].split()
        assert int(number) == sum_of_messages and int(ms) < 1500, said


def test_nothing_is_left_open_by_reconnections(node: Start, mosquitto: StartBroker) -> None:
    """A node reconnects for twenty years: one socket or one kilobyte lost a time, and it stops after weeks."""
    one = node(do="reconnects", port=mosquitto().port, times=50)
    said = one.finish()
    before, after = ([int(word) for word in said[name].split()] for name in ("before", "after"))
    assert after[0] == before[0], "open files"
    assert after[1] <= before[1] + 128, "resident KiB"
    assert after[2] <= before[2] + 512, "bytes of the Python heap"


def test_messages_survive_the_brokers_death(node: Start, mosquitto: StartBroker) -> None:
    """An operator restarts a server: no event of a lamp may be lost by it, and no command.
    The broker is killed without warning while a node publishes, and comes back on the same port."""
    broker = mosquitto()
    with Operator(broker.port, client_id="operator") as operator:
        operator.client.reconnect_delay_set(1, 1)
        operator.subscribe("t/2")
        one = node(do="streams", port=broker.port, topic="t/2", count=25, pause_ms=10)
        one.wait_for("done 5")
        broker.kill()
        wait_until(lambda: bool(one.all("lost")), "the node notices")
    broker.start()
    # A new operator, with what the broker has kept: the node's messages go on.
    with Operator(broker.port) as operator:
        operator.subscribe("t/2")
        operator.publish("t/2", b"again")
        one.finish()
        assert [int(number) for number in one.all("done")] == list(range(25))
        # The broker acknowledges to the node before it passes on to the operator.
        wait_until(lambda: b"24" in operator.payloads("t/2"), "the last message at the operator")
        seen = [int(payload) for payload in operator.payloads("t/2") if payload.isdigit()]
        assert seen == sorted(seen) and seen[-1] == 24
        assert len(seen) - len(set(seen)) <= 1, "at most the message under way came twice"


def test_kept_session_brings_what_came_meanwhile(node: Start, mosquitto: StartBroker) -> None:
    """A command sent while the node's link is down must reach it, once: in a kept session, over the broker's death."""
    broker = mosquitto()
    proxy = Proxy(broker.port)
    one = node(do="listens", port=proxy.port, topic="t/3")
    one.wait_for("ready")
    with Operator(broker.port) as operator:
        operator.publish("t/3", b"before")
        one.wait_for("got t/3 before 0")
        # What the broker is not told that it came, it rightly sends again (QoS 1).
        wait_until(lambda: "Received PUBACK" in broker.log(), "the broker is told")
        proxy.close()
        wait_until(lambda: bool(one.all("lost")), "the node notices")
        for number in range(5):
            operator.publish("t/3", b"%d" % number)
        broker.settle()
    broker.kill()
    broker.start()
    # The node's way comes back at the same address.
    again = Proxy(broker.port, port=proxy.port)
    one.wait_for("got t/3 4 0")
    with Operator(broker.port) as operator:
        operator.publish("t/3", b"end")
    one.finish()
    again.close()
    assert one.all("connected") == ["0", "1"]
    assert one.all("got") == ["t/3 before 0", *[f"t/3 {number} 0" for number in range(5)], "t/3 end 0"]


def test_half_open_connection_is_noticed(node: Start, mosquitto: StartBroker) -> None:
    """A router that forgets a connection says nothing: without a ping the node would believe in its link for ever."""
    proxy = Proxy(mosquitto().port)
    one = node(do="waits", port=proxy.port, keepalive_s=1, ping_ms=400)
    one.wait_for("connected")
    proxy.is_swallowing = True
    said = one.finish()
    proxy.close()
    assert said["what"] == "timeout ping"
    # 3/4 of the keep-alive, the ping's own bound, and some for a busy machine.
    assert 400 <= int(said["ms"]) <= 3000


def test_live_link_stays_up_by_pings(node: Start, mosquitto: StartBroker) -> None:
    """With nothing to say all night, the link must stand: mosquitto cuts after 1.5 × keep-alive [3.1.2.10]."""
    broker = mosquitto()
    one = node(do="waits", port=broker.port, keepalive_s=1, ping_ms=500, for_ms=1900)
    said = one.finish()
    assert said["what"] == "still up"
    assert "L001" in broker.log() and "PINGREQ" in broker.log()


@pytest.mark.parametrize("what", ["broker", "half-open"])
def test_connecting_is_bounded(what: str, node: Start, mosquitto: StartBroker) -> None:
    """A broker that is down, or that accepts and then says nothing, must end in an error and not in a wait."""
    if what == "broker":
        broker = mosquitto()
        broker.kill()
        said = node(do="refused", port=broker.port).finish()
        assert said["what"] == "tcp"
    else:
        proxy = Proxy(mosquitto().port, is_swallowing=True)
        said = node(do="refused", port=proxy.port, connack_ms=700).finish()
        proxy.close()
        assert said["what"] == "timeout connack"
    assert int(said["gap_us"]) < 200_000


def cut_session(start: Start, broker: Broker, up: int | None, down: int | None, **order: object) -> Proxy:
    """Publish 3 messages through a proxy that cuts the first connection at a byte; all must come."""
    proxy = Proxy(broker.port, up, down)
    one = start(do="streams", port=proxy.port, topic="t/4", count=3, pause_ms=1, **order)
    one.finish()
    proxy.close()
    assert one.all("done") == ["0", "1", "2"], (up, down, one.lines)
    return proxy


def test_cut_at_any_byte(node: Start, mosquitto: StartBroker) -> None:
    """A link can be lost at any byte; nothing may hang, and nothing that waits for its answer may be lost.
    Some bytes here, all of them in the soak."""
    broker = mosquitto()
    for up, down in ((1, None), (17, None), (30, None), (None, 2), (None, 7)):
        cut_session(node, broker, up, down)


def test_cut_within_tls(node: Start, mosquitto: StartBroker, site: Site) -> None:
    """The same in a handshake and in its records, where a library holds half of what was sent."""
    broker = mosquitto(site.tls_lines())
    for up, down in ((3, None), (700, None), (None, 5), (None, 1200), (None, 1400)):
        cut_session(node, broker, up, down, **tls_order(site))


@pytest.mark.soak
@pytest.mark.parametrize("has_tls", [False, True])
def test_cut_at_every_byte(
    has_tls: bool, node: Start, mosquitto: StartBroker, site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same at every byte that a session has, both ways; with TLS at every fifth."""
    broker = mosquitto(site.tls_lines() if has_tls else ("allow_anonymous true",))
    order = tls_order(site) if has_tls else {}
    whole = cut_session(node, broker, None, None, **order)
    step = 5 if has_tls else 1
    for up in range(1, whole.passed[0] + 1, step):
        cut_session(node, broker, up, None, **order)
    for down in range(1, whole.passed[1] + 1, step):
        cut_session(node, broker, None, down, **order)
    with capsys.disabled():
        print(f"\n  cut at {whole.passed[0]} bytes up and {whole.passed[1]} down, step {step}: nothing lost")


def test_message_that_kills_its_reader_does_not_come_again(node: Start, mosquitto: StartBroker) -> None:
    """A mistake in the handling of one command must cost one restart, not one after another for as long as the broker
    keeps the command: a lamp that restarts for ever is a lamp that blinks."""
    broker = mosquitto()
    one = node(do="poison", port=broker.port, topic="t/6")
    one.wait_for("ready")
    with Operator(broker.port) as operator:
        operator.publish("t/6", b"bad")
        one.wait_for("ready", 2)
        operator.publish("t/6", b"good")
        one.wait_for("got good")
    one.finish()
    assert one.all("connected") == ["0", "1"]
    assert one.all("got") == ["bad", "good"] and one.all("died") == ["0"]


def test_oversize_message_does_not_come_for_ever(node: Start, mosquitto: StartBroker) -> None:
    """A message too large for a node, sent with QoS 1 or retained, must not cost it its link at every connection.
    It is read past, acknowledged and counted; what comes behind it arrives."""
    broker = mosquitto()
    one = node(do="listens", port=broker.port, topic="t/5", receive_max=256)
    one.wait_for("ready")
    with Operator(broker.port) as operator:
        operator.publish("t/5", bytes(5000))
        operator.publish("t/5", b"end")
    said = one.finish()
    assert one.all("got") == ["t/5 end 0"] and not one.all("lost")
    assert said["oversize"] == "1"
