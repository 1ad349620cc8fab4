"""A broker in wrong hands, or one that has lost its mind: a double that says anything. The node goes on."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

from firmware.links.backoff import Backoff
from firmware.links.mqtt_client import MqttClient
from firmware.links.mqtt_link import MqttLink
from firmware.links.mqtt_packets import MqttError
from firmware.links.topics import Topics
from tests.node.fuzz_packets import Xorshift, make

CONNACK = b"\x20\x02\x00\x00"


class Hostile:
    """A server that notes each CONNECT and answers it with bytes of the test's choice, then hangs up."""

    def __init__(self, answer: Callable[[int], bytes]) -> None:
        self.connects: list[bytes] = []
        self._answer = answer

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.connects.append(await reader.read(512))
            writer.write(self._answer(len(self.connects)))
            await writer.drain()
            await asyncio.sleep(0.002)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def is_clean(self, number: int) -> bool:
        """Whether the CONNECT of that number asked for a clean session: bit 1 of the connect flags [3.1.2.4]."""
        return bool(self.connects[number][9] & 2)


class Empty:
    """An outbox with nothing in it."""

    def peek(self) -> None:
        return None

    def done(self) -> None:
        raise AssertionError("nothing was given")


def test_whatever_the_broker_says_is_a_named_error() -> None:
    """A stream of any bytes in place of a broker costs the link, and nothing else: no other error, no hang.
    30 connections, before and after CONNACK."""
    chance = Xorshift(4)

    async def run() -> set[str]:
        answers = [make(chance) if number % 3 else CONNACK + make(chance) for number in range(31)]
        hostile = Hostile(lambda number: answers[number - 1])
        client = MqttClient("127.0.0.1", await hostile.start(), "L001", connack_ms=200)
        seen = set()
        for _ in range(30):
            try:
                await client.connect()
                while True:
                    await client.step()
            except MqttError as error:
                seen.add(error.what)
            assert not client.is_connected
        return seen

    # The client collects garbage before each connection: not pytest's each time.
    gc.freeze()
    try:
        seen = asyncio.run(asyncio.wait_for(run(), 60))
    finally:
        gc.unfreeze()
    assert seen >= {"malformed", "closed"}


def test_what_broke_a_session_does_not_come_with_the_next() -> None:
    """A kept session may hold what the node cannot read: the next one is clean, the one after that is kept again."""

    async def run() -> Hostile:
        # First nonsense after CONNACK, then a broker that only hangs up.
        hostile = Hostile(lambda number: CONNACK + (b"\xf0\x00" if number == 1 else b""))
        port = await hostile.start()
        backoff = Backoff("L001", lambda _bound: 0, 0)
        link = MqttLink("127.0.0.1", port, Topics("town", "L001"), backoff, Empty(), print)
        task = asyncio.create_task(link.run())
        while len(hostile.connects) < 3:
            await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert not link.is_online and link.losses >= 2
        return hostile

    hostile = asyncio.run(asyncio.wait_for(run(), 20))
    assert [hostile.is_clean(number) for number in range(3)] == [False, True, False]


def test_refusals_have_their_reason() -> None:
    """The five refusals of section 3.2.2.3, each by name: the operator's first question is which."""

    async def run() -> list[tuple[int, str]]:
        hostile = Hostile(lambda number: bytes([0x20, 2, 0, number]))
        client = MqttClient("127.0.0.1", await hostile.start(), "L001")
        found = []
        for _ in range(5):
            try:
                await client.connect()
            except MqttError as error:
                found.append((getattr(error, "code", 0), str(error)))
        return found

    found = asyncio.run(asyncio.wait_for(run(), 20))
    assert [code for code, _ in found] == [1, 2, 3, 4, 5]
    assert found[1][1] == "refused: client id refused" and found[4][1] == "refused: not authorised"
