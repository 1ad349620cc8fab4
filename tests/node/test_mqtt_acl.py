"""Who may say and hear what at the broker: the rules that host_tools writes, tried on a real mosquitto."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from firmware.links import topics
from host_tools import mosquitto_config
from tests.node.broker import Broker, Site
from tests.node.peer import Operator, wait_until

StartBroker = Callable[..., Broker]

TOWN = "reverbere/1/town"
MAY_SAY = {f"{TOWN}/L001/{name}" for name in ("status", "energy", "event", "ack", "state", "why")}
MAY_HEAR = {f"{TOWN}/L001/{name}" for name in ("cmd", "plan", "cfg")} | {
    f"{TOWN}/group/north/cmd",
    f"{TOWN}/group/south/cmd",
}
FORBIDDEN = {
    f"{TOWN}/L002/status",
    f"{TOWN}/L002/cmd",
    f"{TOWN}/L002/state",
    f"{TOWN}/L001/other",
    f"{TOWN}/L001/status/deeper",
    f"{TOWN}/L001",
    f"{TOWN}/group/north/plan",
    "reverbere/1/village/L001/status",
    "reverbere/1/village/L001/cmd",
    "reverbere/2/town/L001/status",
    "anything",
}


@pytest.fixture
def broker(mosquitto: StartBroker, site: Site) -> Broker:
    """A broker with the configuration that is delivered, of the site "town"."""
    operator = site.operator()
    (site.folder / "acl").write_text(mosquitto_config.acl("town", [operator]))
    for name in ("L002", "L003"):
        if not (site.folder / f"{name}.crt").exists():
            site.node(name)
    lines = mosquitto_config.config(site.folder).splitlines()
    # The test's own listener and folder of sessions take the place of the delivered ones.
    return mosquitto([line for line in lines if not line.startswith(("listener", "persistence", "autosave"))])


def test_matrix(broker: Broker, site: Site) -> None:
    """A lamp that was opened must not be able to switch, blind or imitate another one.
    Every kind of topic, both ways: what the node says, and what it is told."""
    everything = MAY_SAY | MAY_HEAR | FORBIDDEN
    inside = {topic for topic in everything if topic.startswith(f"{TOWN}/")}
    with (
        Operator(broker.port, site, site.operator()) as desk,
        Operator(broker.port, site, "L001") as lamp,
    ):
        desk.subscribe(f"{TOWN}/#")
        lamp.subscribe("#")
        for topic in sorted(everything):
            lamp.publish(topic, b"lamp")
        for topic in sorted(everything):
            desk.publish(topic, b"desk")
        # The broker handles each client's messages in order: when the last came, all came.
        last = max(MAY_HEAR)
        wait_until(lambda: b"desk" in lamp.payloads(last), "the last command")
        wait_until(lambda: b"desk" in desk.payloads(max(inside)), "the last one at the desk")
        assert {one.topic for one in desk.got if one.payload == b"lamp"} == MAY_SAY
        assert {one.topic for one in lamp.got if one.payload == b"desk"} == MAY_HEAR
        assert {one.topic for one in lamp.got if one.payload == b"lamp"} == set(), "its own reports do not come back"


def test_nobody_takes_over_anothers_session(broker: Broker, site: Site) -> None:
    """The broker drops a session when somebody connects with the same client id: a stolen lamp could silence a town.
    Here the client id is the certificate's name, whatever a client calls itself."""
    with Operator(broker.port, site, "L002", client_id="L002") as victim:
        with Operator(broker.port, site, "L003", client_id="L002") as thief:
            victim.subscribe(f"{TOWN}/L002/cmd")
            thief.subscribe(f"{TOWN}/L002/cmd")
            with Operator(broker.port, site, site.operator()) as desk:
                desk.publish(f"{TOWN}/L002/cmd", b"yours")
            wait_until(lambda: bool(victim.got), "the command reaches its lamp")
            assert not thief.got
        assert "as L003" in broker.log() and "already connected" not in broker.log()


def test_host_and_node_name_the_same_topics() -> None:
    """A topic that the node publishes and the broker's rules forget is lost in silence."""
    assert mosquitto_config.PREFIX == topics.PREFIX
    assert mosquitto_config.PUBLISHED == topics.PUBLISHED
    assert mosquitto_config.LISTENED == topics.LISTENED


@pytest.mark.parametrize("name", ["desk", "operator.a\nuser x", "operator.#"])
def test_operators_cannot_be_mistaken_for_nodes(name: str) -> None:
    """A node certified as "desk" would be the operator, if operators could be called so."""
    with pytest.raises(ValueError):
        mosquitto_config.acl("town", [name])
    with pytest.raises(ValueError):
        mosquitto_config.acl("to/wn")
