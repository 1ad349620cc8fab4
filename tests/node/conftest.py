"""What the tests of the node share: a broker, certificates, and nodes as processes on three interpreters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.conftest import RUNTIME_PROPERTY
from tests.node.broker import Broker, Site, require_mosquitto
from tests.node.peer import INTERPRETERS, Node, interpreter_command
from tests.runtimes import NAMES


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Callable[..., Broker]]:
    """Call it with lines of mosquitto.conf: a broker is started, and killed at the end of the test."""
    brokers: list[Broker] = []

    def start(lines: Sequence[str] = ("allow_anonymous true",), has_tls13: bool = False) -> Broker:
        brokers.append(Broker(require_mosquitto(), tmp_path / f"broker{len(brokers)}", lines, has_tls13))
        return brokers[-1].start()

    yield start
    for broker in brokers:
        broker.kill()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The certificates of a test site, with one node L001."""
    made = Site.create(tmp_path_factory.mktemp("site"))
    made.node("L001")
    return made


@pytest.fixture(params=NAMES)
def node(request: pytest.FixtureRequest) -> Iterator[Callable[..., Node]]:
    """Call it with an order of mqtt_main.py: a node is started on each MicroPython, and killed at the end."""
    yield from _nodes(request)


@pytest.fixture(params=INTERPRETERS)
def any_node(request: pytest.FixtureRequest) -> Iterator[Callable[..., Node]]:
    """As `node`, on CPython too: the host's tools may use the same client."""
    yield from _nodes(request)


def _nodes(request: pytest.FixtureRequest) -> Iterator[Callable[..., Node]]:
    if request.param in NAMES:
        request.node.user_properties.append((RUNTIME_PROPERTY, request.param))
    command, environment = interpreter_command(request.param)
    nodes: list[Node] = []

    def start(**order: object) -> Node:
        nodes.append(Node(command, environment, order))
        return nodes[-1]

    yield start
    for one in nodes:
        one.kill()
