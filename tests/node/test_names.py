"""The broker's name: asked without blocking, and any answer survived."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.links.names import encode_query, is_address, parse_answer, resolve
from firmware.links.transport import LinkLost
from tests.node.broker import Broker
from tests.node.peer import Node
from tests.runtimes import Runtime

# RFC 1035, 4.1: header, one question; the answer with a pointer to the name at 12 (4.1.4).
QUESTION = bytes.fromhex("04d2 0100 0001 0000 0000 0000 05") + b"radio" + b"\x07example" + bytes.fromhex("00 0001 0001")
RECORD = bytes.fromhex("c00c 0001 0001 00000e10 0004 c0000235")


def answer(query: bytes, records: bytes, count: int = 1, code: int = 0) -> bytes:
    """What a server says to a query."""
    return query[:2] + bytes([0x81, 0x80 | code]) + struct.pack(">HHHH", 1, count, 0, 0) + query[12:] + records


def test_question_and_answer_as_the_standard_shows() -> None:
    """Any server in any town hall answers by RFC 1035, not by our double."""
    query = bytes(encode_query("radio.example", 1234))
    assert query == QUESTION
    assert parse_answer(answer(query, RECORD), query) == "192.0.2.53"
    # An alias first (type 5), then the address of what it stands for.
    alias = bytes.fromhex("c00c 0005 0001 00000e10 0004 01610000")
    assert parse_answer(answer(query, alias + RECORD, 2), query) == "192.0.2.53"
    # Names are compared without case (2.3.3).
    assert parse_answer(answer(query, RECORD).replace(b"radio", b"RADIO"), query) == "192.0.2.53"


def test_what_is_no_answer_is_not_taken() -> None:
    """Somebody on the Wi-Fi may send answers nobody asked for."""
    query = bytes(encode_query("radio.example", 1234))
    good = answer(query, RECORD)
    assert parse_answer(b"\0\0" + good[2:], query) is None, "another id"
    assert parse_answer(good.replace(b"radio", b"video"), query) is None, "another question"
    assert parse_answer(query + RECORD, query) is None, "a question"
    assert parse_answer(answer(query, b"", 0, code=3), query) == "", "no such name"
    assert parse_answer(answer(query, b"", 0), query) == "", "no address"
    assert parse_answer(answer(query, RECORD[:-1]), query) == "", "cut"


@given(st.binary(max_size=80), st.integers(0, 40))
def test_any_bytes(data: bytes, cut: int) -> None:
    """What comes over UDP is anybody's: any bytes give an address, nothing, or "not this one"."""
    query = bytes(encode_query("radio.example", 1234))
    for one in (data, answer(query, data, 3), answer(query, RECORD)[:cut]):
        found = parse_answer(one, query)
        assert found is None or found == "" or is_address(found)


@pytest.mark.parametrize("name", ["", "a..b", "x" * 64, ".".join(["x" * 60] * 5)])
def test_names_that_cannot_be_asked_for(name: str) -> None:
    """A configuration's mistake is told before anything is sent."""
    with pytest.raises(ValueError):
        encode_query(name, 1)


def test_addresses_need_no_server() -> None:
    """With an address in the configuration a town needs no DNS at all."""
    for host in ("127.0.0.1", "255.255.255.255", "10.0.0.1"):
        assert is_address(host)
    for host in ("", "1.2.3", "1.2.3.4.5", "256.1.1.1", "a.b.c.d", "1.2.3.-4", "1..2.3", "broker.example"):
        assert not is_address(host)


@pytest.fixture
def server() -> Iterator[Callable[[list[bytes | None]], int]]:
    """A double of a DNS server on the loopback: gives these replies in turn (None: silence; else records)."""
    sockets: list[socket.socket] = []

    def start(replies: list[bytes | None]) -> int:
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind(("127.0.0.1", 0))
        one.settimeout(20)
        sockets.append(one)

        def serve() -> None:
            for reply in replies:
                try:
                    query, sender = one.recvfrom(512)
                except OSError:
                    return
                if reply is not None:
                    # Noise first, then the answer: the noise must not be taken for it.
                    one.sendto(b"\xff" * 40, sender)
                    one.sendto(answer(query, reply, 1 if reply else 0, 0 if reply else 3), sender)

        threading.Thread(target=serve, daemon=True).start()
        port: int = one.getsockname()[1]
        return port

    yield start
    for one in sockets:
        one.close()


LOOPBACK = RECORD[:-4] + bytes([127, 0, 0, 1])


def test_a_node_reaches_its_broker_by_name(
    node: Callable[..., Node], mosquitto: Callable[..., Broker], server: Callable[[list[bytes | None]], int]
) -> None:
    """A silent DNS server costs the link some time and the lamp nothing: the other task runs on meanwhile."""
    one = node(do="basic", port=mosquitto().port, host="broker.example", dns=server([None, LOOPBACK]))
    said = one.finish()
    assert one.all("got") == ["t/1 zero 0", "t/1 one 0"]
    assert int(said["gap_us"]) < 300_000


def test_no_such_name(server: Callable[[list[bytes | None]], int]) -> None:
    """A wrong name in the configuration must be told as such, not as a broker that is down."""
    with pytest.raises(LinkLost, match=r"dns: no address for radio\.example"):
        asyncio.run(resolve("radio.example", "127.0.0.1", lambda _n: 7, server([b""])))


def test_same_on_the_chip(micropython_runtime: Runtime) -> None:
    """The parser slices bytes, where MicroPython is not CPython."""
    query = bytes(encode_query("radio.example", 1234))
    samples = [answer(query, RECORD), answer(query, b"", 0, 3), b"", query, answer(query, RECORD)[:40], b"\xff" * 50]
    code = (
        "import json, sys\nfrom firmware.links.names import parse_answer, encode_query\n"
        "query = encode_query('radio.example', 1234)\n"
        "print([parse_answer(bytes.fromhex(one), query) for one in json.loads(sys.stdin.readline())])\n"
    )
    done = micropython_runtime.run(["-c", code], stdin=json.dumps([one.hex() for one in samples]) + "\n")
    assert done.stdout == f"{[parse_answer(one, query) for one in samples]}\n", done.stderr
