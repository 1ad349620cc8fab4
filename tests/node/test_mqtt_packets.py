"""MQTT packets: the standard's own bytes, another implementation's bytes, and any bytes at all."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import pytest
from amqtt.adapters import BufferReader
from amqtt.mqtt.connack import ConnackPacket
from amqtt.mqtt.connect import ConnectPacket
from amqtt.mqtt.puback import PubackPacket
from amqtt.mqtt.publish import PublishPacket
from amqtt.mqtt.suback import SubackPacket
from amqtt.mqtt.subscribe import SubscribePacket
from hypothesis import example, given
from hypothesis import strategies as st

from firmware.links import mqtt_open as opening
from firmware.links import mqtt_packets as packets
from firmware.links.mqtt_packets import PacketError, PacketReader
from tests.node.fuzz_packets import SIZE_MAX, SKIP_MAX, fuzz_packets, read_all
from tests.runtimes import ROOT, Runtime

TOPICS = st.text(st.characters(exclude_characters="#+\0", exclude_categories=("Cs",)), min_size=1, max_size=40)


# --- what a node sends ----------------------------------------------------------------------------------


def test_connect_as_the_standard_shows() -> None:
    """A broker of another maker reads the standard, not our code: section 3.1.2.5, its example of flags 0xCE, and
    keep-alive 10; then the payload's order of section 3.1.3."""
    packet = opening.encode_connect("id", 10, True, ("w", b"m", 1, False), "u", b"p")
    assert packet[2:12] == bytes([0, 4]) + b"MQTT" + bytes([4, 0xCE, 0, 10])
    assert packet[12:] == b"\0\2id" + b"\0\1w" + b"\0\1m" + b"\0\1u" + b"\0\1p"
    assert packet[:2] == bytes([0x10, len(packet) - 2])


def test_publish_as_the_standard_shows() -> None:
    """Section 3.3.2.3 (figure 3.11): topic a/b, packet id 10."""
    assert packets.encode_publish("a/b", b"", 1, False, 10) == bytes([0x32, 7, 0, 3]) + b"a/b" + bytes([0, 10])
    packet = packets.encode_publish("a/b", b"", 1, True, 10)
    packets.mark_duplicate(packet)
    assert packet[0] == 0x3B, "figure 3.10: 0011, DUP, QoS 01, RETAIN"


def test_subscribe_as_the_standard_shows() -> None:
    """Section 3.8.2 and figure 3.23: packet id 10, a/b and c/d, each with its QoS."""
    expected = bytes([0x82, 14, 0, 10, 0, 3]) + b"a/b" + bytes([1, 0, 3]) + b"c/d" + bytes([1])
    assert opening.encode_subscribe(10, ["a/b", "c/d"], 1) == expected
    assert opening.encode_unsubscribe(10, ["a/b"]) == bytes([0xA2, 7, 0, 10, 0, 3]) + b"a/b"
    assert packets.encode_puback(0x1234) == bytes([0x40, 2, 0x12, 0x34])
    assert (packets.PINGREQ_PACKET.hex(), opening.DISCONNECT_PACKET.hex()) == ("c000", "e000")


@pytest.mark.parametrize(
    ("size", "digits"),
    [(0, "00"), (127, "7f"), (128, "8001"), (16383, "ff7f"), (16384, "808001"), (2097151, "ffff7f")],
)
def test_remaining_length_as_the_standard_shows(size: int, digits: str) -> None:
    """Table 2.4, the ends of each number of digits."""
    assert packets.header(0x30, size) == bytes.fromhex("30" + digits)


def test_strings_as_the_standard_shows() -> None:
    """Section 1.5.3 (figure 1.2): A and U+2A6D4 are five bytes."""
    packet = packets.encode_publish("A\U0002a6d4", b"")
    assert packet[2:] == bytes.fromhex("000541f0aa9b94")


@given(TOPICS, st.binary(max_size=300), st.booleans(), st.integers(1, 65535), st.booleans())
def test_another_implementation_reads_our_publish(
    topic: str, payload: bytes, qos: bool, pid: int, retain: bool
) -> None:
    """amqtt's codec is not ours: what it reads of our bytes is what any broker would."""
    data = bytes(packets.encode_publish(topic, payload, int(qos), retain, pid))
    read = asyncio.run(PublishPacket.from_stream(BufferReader(data)))
    assert (read.topic_name, bytes(read.data), read.qos, read.retain_flag, read.dup_flag) == (
        topic,
        payload,
        int(qos),
        retain,
        False,
    )
    assert read.packet_id == (pid if qos else None)


@given(st.text("abcXYZ019_-", min_size=1, max_size=30), st.integers(0, 65535), st.booleans(), st.booleans())
def test_another_implementation_reads_our_connect(client: str, keepalive: int, clean: bool, has_will: bool) -> None:
    """The will and the session flag decide what a town sees when a lamp goes silent."""
    will = ("s/t", b"0", 1, True) if has_will else None
    read = asyncio.run(
        ConnectPacket.from_stream(BufferReader(bytes(opening.encode_connect(client, keepalive, clean, will))))
    )
    assert (read.client_id, read.keep_alive, read.clean_session_flag, read.will_flag) == (
        client,
        keepalive,
        clean,
        has_will,
    )
    if has_will:
        assert (read.will_topic, bytes(read.will_message), read.will_qos, read.will_retain_flag) == (
            "s/t",
            b"0",
            1,
            True,
        )
    topics = ["a/b", client]
    asked = asyncio.run(SubscribePacket.from_stream(BufferReader(bytes(opening.encode_subscribe(7, topics)))))
    assert asked.payload.topics == [(topic, 1) for topic in topics]


@pytest.mark.parametrize(
    "call",
    [
        lambda: packets.encode_publish("", b""),
        lambda: packets.encode_publish("a/#", b""),
        lambda: packets.encode_publish("a/+/b", b""),
        lambda: packets.encode_publish("x" * 257, b""),
        lambda: packets.encode_publish("a", b"", 2, False, 1),
        lambda: packets.encode_publish("a", b"", 1, False, 0),
        lambda: packets.encode_publish("a", b"", 1, False, 65536),
        lambda: opening.encode_subscribe(1, []),
        lambda: opening.encode_subscribe(1, ["a"] * 17),
        lambda: opening.encode_connect("", 10, False),
        lambda: opening.encode_connect("a", 65536, True),
        lambda: opening.encode_connect("a", 10, True, None, None, b"p"),
        lambda: PacketReader(63),
    ],
)
def test_what_cannot_be_said_is_refused(call) -> None:  # type: ignore[no-untyped-def]
    """A packet that the broker must refuse would cost the link each time it is tried."""
    with pytest.raises(ValueError):
        call()


# --- what a broker sends --------------------------------------------------------------------------------


@given(TOPICS, st.binary(max_size=40), st.booleans(), st.booleans(), st.integers(1, 65535), st.integers(1, 50))
def test_reads_another_implementations_packets(
    topic: str, payload: bytes, qos: bool, retain: bool, pid: int, portion: int
) -> None:
    """Packets made by amqtt, in portions of any size, one after another: TCP has no packets."""
    data = (
        ConnackPacket.build(0, 0).to_bytes()
        + PublishPacket.build(topic, payload, pid if qos else None, False, int(qos), retain).to_bytes()
        + SubackPacket.build(pid, [1, 0x80]).to_bytes()
        + PubackPacket.build(pid).to_bytes()
        + bytes([0xD0, 0])
    )
    is_oversize = 2 + len(topic.encode()) + (2 if qos else 0) + len(payload) > SIZE_MAX
    if is_oversize and 2 + len(topic.encode()) + 2 > SIZE_MAX:
        assert read_all(data, portion)[-1] == "malformed"
        return
    assert read_all(data, portion) == [
        (packets.CONNACK, 0, 0),
        (
            packets.PUBLISH,
            topic,
            b"" if is_oversize else payload,
            int(qos),
            retain,
            pid if qos else 0,
            is_oversize,
        ),
        (packets.SUBACK, pid, b"\x01\x80"),
        (packets.PUBACK, pid, 0),
        (packets.PINGRESP, pid, 0),
    ]


@pytest.mark.parametrize(
    ("data", "where"),
    [
        ("10 00", "CONNECT from a broker"),
        ("00 00", "type 0 [2.2.1]"),
        ("f0 00", "type 15 [2.2.1]"),
        ("21 02 00 00", "flags of CONNACK [MQTT-2.2.2-2]"),
        ("20 02 02 00", "reserved bit of CONNACK [3.2.2.1]"),
        ("20 02 00 06", "return code 6 [3.2.2.3]"),
        ("20 02 01 01", "session present with a refusal [MQTT-3.2.2-4]"),
        ("20 03 00 00 00", "CONNACK of three bytes [3.2.1]"),
        ("34 07 00 03 61 2f 62 00 01", "QoS 2, which nobody asked for [3.8.4]"),
        ("36 07 00 03 61 2f 62 00 01", "QoS 3 [MQTT-3.3.1-4]"),
        ("38 05 00 03 61 2f 62", "DUP with QoS 0 [MQTT-3.3.1-2]"),
        ("32 07 00 03 61 2f 62 00 00", "packet id 0 [MQTT-2.3.1-1]"),
        ("30 05 00 03 61 2f 2b", "wildcard in a topic [MQTT-3.3.2-2]"),
        ("30 05 00 03 61 00 62", "NUL in a topic [MQTT-1.5.3-2]"),
        ("30 04 00 02 c3 28", "no UTF-8 [MQTT-1.5.3-1]"),
        ("30 02 00 00", "empty topic [MQTT-4.7.3-1]"),
        ("30 05 00 09 61 2f 62", "topic longer than the packet"),
        ("30 01 00", "PUBLISH of one byte"),
        ("30 ff ff ff ff 01", "length of five digits [2.2.3]"),
        ("40 02 00 00", "PUBACK of id 0"),
        ("40 03 00 01 00", "PUBACK of three bytes [3.4.1]"),
        ("90 02 00 01", "SUBACK without a code [3.9.3]"),
        ("90 03 00 01 03", "SUBACK code 3 [MQTT-3.9.3-2]"),
        ("90 13 00 01" + " 01" * 17, "SUBACK for 17 topics"),
        ("92 03 00 01 01", "flags of SUBACK"),
        ("b0 03 00 01 00", "UNSUBACK of three bytes"),
        ("d0 01 00", "PINGRESP of one byte"),
    ],
)
def test_refuses_what_the_standard_forbids(data: str, where: str) -> None:
    """Whoever breaks the standard is not the broker we think: the link is closed [4.8], nothing of it is believed."""
    for portion in (1, 100):
        assert read_all(bytes.fromhex(data), portion)[-1:] == ["malformed"], where


def test_oversize_is_read_past_and_then_refused() -> None:
    """A message beyond the buffer leaves the reader whole and the memory as it was; far beyond, the link is closed."""
    fits = bytes(packets.encode_publish("a/b", bytes(SIZE_MAX - 7), 1, False, 5))
    above = bytes(packets.encode_publish("a/b", bytes(SIZE_MAX - 6), 1, False, 6))
    behind = bytes(packets.encode_publish("a/b", b"x"))
    found = read_all(fits + above + behind, 7)
    assert found == [
        (3, "a/b", bytes(SIZE_MAX - 7), 1, False, 5, False),
        (3, "a/b", b"", 1, False, 6, True),
        (3, "a/b", b"x", 0, False, 0, False),
    ]
    assert read_all(bytes(packets.encode_publish("a/b", bytes(SKIP_MAX))), 7) == ["oversize"]
    with pytest.raises(PacketError, match="oversize: PUBLISH of 268435455 bytes"):
        PacketReader().feed(bytes.fromhex("30ffffff7f"), 0, 5)


@given(st.binary(max_size=200))
@example(b"")
@example(b"\x30\xff\xff\xff\x7f")
def test_any_bytes(data: bytes) -> None:
    """The broker's end of the cable is in somebody else's hands: any bytes give packets or `MqttError`,
    and the same in any portions."""
    fuzz_packets(data)


def test_fuzz_on_every_interpreter(micropython_runtime: Runtime) -> None:
    """A decoder that holds on CPython can still leak a ValueError on the chip: the same bytes, the same verdicts."""
    program = "tests/node/fuzz_packets.py"
    done = micropython_runtime.run([program, "7", "1500"])
    host = subprocess.run(
        [sys.executable, "-m", "tests.node.fuzz_packets", "7", "1500"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == host.stdout
    packets_read, errors = (int(word) for word in host.stdout.split()[1::2])
    assert packets_read > 1000 and errors > 300


@pytest.mark.soak
def test_million_inputs(micropython_runtime: Runtime, capsys: pytest.CaptureFixture[str]) -> None:
    """A million inputs on each interpreter of the chip's kind."""
    start = time.monotonic()
    done = micropython_runtime.run(["tests/node/fuzz_packets.py", "1", "1000000"], timeout_s=3000)
    assert done.returncode == 0, done.stderr
    with capsys.disabled():
        print(f"\n  {micropython_runtime.name}: {done.stdout.strip()} in {time.monotonic() - start:.0f} s")
