"""How a node opens its session with a broker: TCP, TLS, CONNECT, subscriptions.

Loaded where it is used, and forgotten (`firmware.system.once`): a session lasts for weeks. It is the part of
`MqttClient` that is needed before, and touches what is private there. Sources: as `mqtt_packets`.
"""

import gc
import socket

from firmware.control.compat import const
from firmware.control.ticks import ticks_diff

from .mqtt_packets import (
    CONNACK,
    TOPICS_MAX,
    MqttError,
    PacketError,
    add_id,
    add_string,
    check_qos,
    header,
    mark_duplicate,
    topic_bytes,
)
from .names import is_address
from .timing import sleep_ms, ticks_ms
from .transport import LinkLost

DISCONNECT_PACKET = b"\xe0\x00"

_CONNECT_MS = const(10000)
_PAUSE_MAX_MS = const(50)

_CONNECT_REASONS = (
    "accepted",
    "protocol version refused",
    "client id refused",
    "server unavailable",
    "bad user or password",
    "not authorised",
)


class Refused(MqttError):
    """The broker's CONNACK says no; ``code`` is its return code, 1 … 5 [3.2.2.3]."""

    def __init__(self, code):
        super().__init__("refused", _CONNECT_REASONS[code])
        self.code = code


async def open_session(client, is_clean):
    """Connect ``client``, which is closed: see `MqttClient.connect`."""
    # TLS wants two large blocks: have the heap in order before (reliability.md, C2).
    gc.collect()
    address = await _find(client)
    start = ticks_ms()
    client._transport.begin(address)
    pause = 1
    while not client._transport.is_connected():
        if ticks_diff(ticks_ms(), start) > _CONNECT_MS:
            raise LinkLost("timeout connect")
        await sleep_ms(pause)
        pause = min(2 * pause, _PAUSE_MAX_MS)
    hello = encode_connect(client._client_id, client._keepalive_s, is_clean, client._will, *client._login)
    client._check_fits(hello)
    client._put(hello)
    start = ticks_ms()
    while client._queue:
        if client._write():
            continue
        if ticks_diff(ticks_ms(), start) > client._handshake_ms:
            raise LinkLost("timeout handshake")
        await sleep_ms(2)
    if client._transport.has_tls:
        client.handshakes += 1
    start = ticks_ms()
    client._sent_tick = start
    reader = client._reader
    # One byte at a time: what follows CONNACK stays in the socket until we are ready for it.
    one = memoryview(client._read_buffer)[:1]
    while not reader.is_complete:
        if client._transport.read_into(one):
            reader.feed(one, 0, 1)
            if reader.kind != CONNACK:
                raise PacketError("malformed", "type %d before CONNACK" % reader.kind)  # [MQTT-3.2.0-1]
            continue
        if ticks_diff(ticks_ms(), start) > client._connack_ms:
            raise LinkLost("timeout connack")
        await client.wakeup.wait_ms(_PAUSE_MAX_MS)
    if reader.code:
        raise Refused(reader.code)
    client.session_present = reader.session_present
    client._heard_tick = ticks_ms()
    client.is_connected = True
    for message in client._inflight:
        if message.is_sent or not client.session_present:
            mark_duplicate(message.packet, client.session_present)
        message.is_sent = False


async def _find(client):
    if client._address is None:
        host = client._host
        if client._resolve is not None and not is_address(host):
            host = await client._resolve(host)
        try:
            found = socket.getaddrinfo(host, client._port, socket.AF_INET, socket.SOCK_STREAM)
        except OSError as error:
            raise LinkLost("dns", str(error.errno))
        if not found:
            raise LinkLost("dns")
        client._address = found[0][-1]
    return client._address


def encode_connect(client_id, keepalive_s, is_clean, will=None, user=None, password=None):
    """Return a CONNECT packet [3.1].

    ``client_id``: text; ``keepalive_s``: 0 (off) … 65535; ``will``: None or (topic, payload, qos 0 or 1, retain);
    ``user`` text or None; ``password`` bytes or None. Raises ValueError for what cannot be said.
    """
    if not 0 <= keepalive_s <= 65535:
        raise ValueError("keepalive_s: 0 ... 65535")
    if not client_id and not is_clean:
        raise ValueError("client_id: a kept session needs one")  # [MQTT-3.1.3-7]
    if password is not None and user is None:
        raise ValueError("password without user")  # [MQTT-3.1.2-22]
    flags = 2 if is_clean else 0
    body = bytearray(b"\x00\x04MQTT\x04\x00")
    body.append(keepalive_s >> 8)
    body.append(keepalive_s & 255)
    add_string(body, client_id.encode())
    if will is not None:
        topic, payload, qos, retain = will
        check_qos(qos)
        flags |= 4 | (qos << 3) | (32 if retain else 0)
        add_string(body, topic_bytes(topic))
        add_string(body, payload)
    if user is not None:
        flags |= 128
        add_string(body, user.encode())
    if password is not None:
        flags |= 64
        add_string(body, password)
    body[7] = flags
    return _packet(0x10, body)


def encode_subscribe(packet_id, topics, qos=1):
    """Return a SUBSCRIBE packet for 1 … ``TOPICS_MAX`` topic filters with one QoS [3.8]. Raises ValueError."""
    check_qos(qos)
    body = _id_and_filters(packet_id, topics, qos)
    return _packet(0x82, body)


def encode_unsubscribe(packet_id, topics):
    """Return an UNSUBSCRIBE packet for 1 … ``TOPICS_MAX`` topic filters [3.10]. Raises ValueError."""
    return _packet(0xA2, _id_and_filters(packet_id, topics, None))


def _packet(first, body):
    packet = header(first, len(body))
    packet.extend(body)
    return packet


def _id_and_filters(packet_id, topics, qos):
    if not 1 <= len(topics) <= TOPICS_MAX:
        raise ValueError("%d topics: 1 ... %d" % (len(topics), TOPICS_MAX))
    body = bytearray()
    add_id(body, packet_id)
    for topic in topics:
        add_string(body, topic.encode())
        if qos is not None:
            body.append(qos)
    return body
