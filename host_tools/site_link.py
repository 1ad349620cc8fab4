"""The host's side of a site's MQTT: a command and its answers, and every report as its JSON twin.

`send` is for one command, to a node or a group; a `Talk` is for many to one node: what does not fit a message goes in
pieces, each acknowledged before the next leaves, so that a node is never asked faster than its gate looks.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiomqtt

from firmware.links.codec import CodecError

from .certificates import NODE_ID
from .command_sender import CommandSender
from .mosquitto_config import PREFIX, PUBLISHED
from .payload import command_to_json, to_json
from .site_keys import SiteKeys

CONNECT_S = 10
# A node that is connected answers within seconds; one on its way back has lost its chance by the command's expiry.
ANSWER_S = 15.0
_STATES = {b"0": False, b"1": True}
# Where commands go that are no plain ones, by what their name begins with.
_TOPICS = {"plan": "plan", "configuration": "cfg"}
# After so long the same command is sent again.
_AGAIN_S = 3.0


class LinkError(Exception):
    """The broker cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Broker:
    """Where the broker is. ``context``: None without TLS."""

    host: str
    port: int
    context: ssl.SSLContext | None = field(default=None, repr=False)


def tls_context(keys: SiteKeys) -> ssl.SSLContext:
    """Return a context that believes the site's authority only, and shows this workplace's certificate."""
    base = keys.folder / "operator"
    context = ssl.create_default_context(cafile=str(keys.folder / "ca.crt"))
    # The broker is asked for TLS 1.2 only (host_tools/mosquitto_config.py), which is what nodes speak.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(f"{base}.crt", f"{base}.key")
    except OSError as error:
        raise LinkError(f"{base}.crt, .key: cannot be used ({error}): restore them from your copy") from error
    return context


@dataclass
class Answers:
    """What came of a command: the ack of each node (its twin) that answered, and its ``why`` where one was asked."""

    acks: dict[str, dict[str, Any]] = field(default_factory=dict)
    whys: dict[str, dict[str, Any]] = field(default_factory=dict)
    silent: list[str] = field(default_factory=list)


async def send(
    broker: Broker,
    site: str,
    sender: CommandSender,
    verb: str,
    fields: Mapping[str, Any],
    nodes: list[str],
    group: str | None = None,
    wait_s: float = ANSWER_S,
) -> Answers:
    """Send a command to a node, or to a group with these nodes in it, and wait for the answers.

    A node that has seen higher numbers says so, once: the command is then made again above them. Raises `LinkError`,
    `SenderError` and `PayloadError`; without an answer of some node nothing is raised, it is ``silent``.
    """
    topic = f"{PREFIX}/{site}/group/{group}/cmd" if group is not None else topic_of(site, nodes[0], verb)
    async with _connected(broker) as client:
        # Before the command: an answer may come at once.
        for node in nodes:
            await client.subscribe([(f"{PREFIX}/{site}/{node}/{name}", 1) for name in ("ack", "why")])
        for _ in range(2):
            command = sender.make(verb, fields)
            await client.publish(topic, command, 1)
            answers = await _answers(client, sender, command, nodes, wait_s, verb == "why")
            if not any(ack["verdict"] == "replayed" for ack in answers.acks.values()):
                break
    return answers


def topic_of(site: str, node: str, verb: str) -> str:
    """Return where a command to a node is published (docs/mqtt.md)."""
    return f"{PREFIX}/{site}/{node}/{_TOPICS.get(verb.partition('_')[0], 'cmd')}"


class Talk:
    """Many commands to one node over one connection; made by `talk`."""

    def __init__(self, client: aiomqtt.Client, site: str, node: str, sender: CommandSender, wait_s: float) -> None:
        self._client = client
        self._site = site
        self._node = node
        self._sender = sender
        self._wait_s = wait_s

    async def ask(self, verb: str, fields: Mapping[str, Any], report: str = "") -> Told:
        """Send a command until it is answered; with ``report``, until that message has come too.

        The same bytes go again to a node that says nothing (it looks at two commands a second, and drops the others):
        what it has done already it does not do twice, and answers alike. Raises `LinkError` for a silent node.
        """
        for _ in range(2):
            command = self._sender.make(verb, fields)
            told = await self._told(command, verb, report)
            if told.ack["verdict"] not in ("replayed", "store_failed"):
                break
            if told.ack["verdict"] == "store_failed":
                # In its first seconds a node writes nothing.
                await asyncio.sleep(_AGAIN_S)
        return told

    async def _told(self, command: bytes, verb: str, report: str) -> Told:
        envelope = command_to_json(command)["envelope"]
        ack: dict[str, Any] | None = None
        found: dict[str, Any] | None = None
        for _ in range(max(1, round(self._wait_s / _AGAIN_S))):
            await self._client.publish(topic_of(self._site, self._node, verb), command, 1)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_AGAIN_S):
                    async for message in self._client.messages:
                        try:
                            twin = to_json(_bytes(message))
                        except CodecError:
                            continue
                        if twin["message"] == report:
                            found = twin
                        elif twin["message"] == "ack" and all(twin[key] == envelope[key] for key in _SAME):
                            ack = self._sender.take_ack(_bytes(message))
                        if ack and (found or not report or ack["verdict"] not in GOOD):
                            return Told(ack, found)
        if ack is not None:
            return Told(ack, found)
        raise LinkError(f"{self._node} has not answered within {self._wait_s:g} s: it may be cut off")


@dataclass
class Told:
    """What a node says to a command: its ack, and the report that was asked for (None: it has not come)."""

    ack: dict[str, Any]
    report: dict[str, Any] | None


@contextlib.asynccontextmanager
async def talk(
    broker: Broker, site: str, node: str, sender: CommandSender, wait_s: float = ANSWER_S
) -> AsyncIterator[Talk]:
    """Connect, and talk to a node. Raises `LinkError`."""
    async with _connected(broker) as client:
        await client.subscribe([(f"{PREFIX}/{site}/{node}/{name}", 1) for name in ("ack", "why")])
        yield Talk(client, site, node, sender, wait_s)


async def _answers(
    client: aiomqtt.Client, sender: CommandSender, command: bytes, nodes: list[str], wait_s: float, is_why: bool
) -> Answers:
    envelope = command_to_json(command)["envelope"]
    answers = Answers()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(wait_s):
            async for message in client.messages:
                node, name = _place(message)
                try:
                    if name == "why":
                        answers.whys[node] = to_json(_bytes(message))
                    elif all(to_json(_bytes(message))[key] == envelope[key] for key in envelope if key in _SAME):
                        answers.acks[node] = sender.take_ack(_bytes(message))
                except (CodecError, KeyError):
                    # Not an answer, or not to this command.
                    continue
                is_answered = all(node in answers.acks for node in nodes)
                refused = {node for node, ack in answers.acks.items() if ack["verdict"] not in GOOD}
                if is_answered and (not is_why or all(node in answers.whys or node in refused for node in nodes)):
                    break
    answers.silent = [node for node in nodes if node not in answers.acks]
    return answers


# What an ack repeats of the command that it answers.
_SAME = ("scope", "sender", "address", "counter")
GOOD = ("accepted", "duplicate", "staged", "done")


async def reports(broker: Broker, site: str) -> AsyncIterator[dict[str, Any]]:
    """Yield every report of a site as {"time", "node", "message", …}, for ever. Raises `LinkError`."""
    async with _connected(broker) as client:
        await client.subscribe([(f"{PREFIX}/{site}/+/{name}", 1) for name in PUBLISHED])
        async for message in client.messages:
            node, name = _place(message)
            now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            yield {"time": now, "node": node, **_twin(name, _bytes(message))}


def _twin(name: str, data: bytes) -> dict[str, Any]:
    if name == "state":
        return {"message": "state", "is_online": _STATES.get(data)}
    try:
        return to_json(data)
    except CodecError as error:
        return {"message": "unreadable", "topic": name, "reason": str(error), "hex": data[:1100].hex()}


def _place(message: aiomqtt.Message) -> tuple[str, str]:
    parts = str(message.topic).split("/")
    return parts[-2], parts[-1]


def _bytes(message: aiomqtt.Message) -> bytes:
    return bytes(message.payload) if isinstance(message.payload, (bytes, bytearray)) else b""


@contextlib.asynccontextmanager
async def _connected(broker: Broker) -> AsyncIterator[aiomqtt.Client]:
    where = f"broker {broker.host}:{broker.port}"
    try:
        async with aiomqtt.Client(broker.host, broker.port, tls_context=broker.context, timeout=CONNECT_S) as client:
            yield client
    except (aiomqtt.MqttError, OSError) as error:
        raise LinkError(f"{where}: {error}: see that it runs, its name, and who may connect") from error


def checked_site(name: str) -> str:
    """Return a site's name that can stand in topics. Raises `LinkError`."""
    if not NODE_ID.fullmatch(name):
        raise LinkError(f"the site's name {name!r} cannot stand in topics: call it by 1 to 32 of A-Z a-z 0-9 _ -")
    return name
