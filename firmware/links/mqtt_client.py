"""An MQTT 3.1.1 client that never blocks the loop: QoS 0 and 1, last will, kept session, keep-alive, TLS.

All work is done by `MqttClient.turn`, which never waits; the coroutines only repeat it. So nothing needs a lock, two
tasks may use one client, and a cancelled coroutine leaves nothing half done. While nothing moves they wait until the
socket has something to read, somebody has something to send (`MqttClient.wakeup`), or an answer is overdue; at the
node's common turn they look in any case. The socket below TLS is watched, so no interpreter's ``select`` has a say on
records half-read: before each wait TLS was read until it wanted more from there.

Every wait has a bound, and every failure closes the socket and raises an `MqttError`; light never waits for any of it.
"""

from firmware.control.compat import const
from firmware.control.ticks import ticks_diff
from firmware.system.wakeup import Wakeup

from . import mqtt_packets as packets
from .mqtt_packets import MqttError, PacketError, PacketReader
from .timing import sleep_ms, ticks_ms, turn_ms
from .transport import LinkLost, Transport

# `MqttClient.post`: there is no room now, try again after a turn.
BUSY = const(-1)

# The handshake of an ESP32 takes about a second, and a broker in a storm has a queue.
_HANDSHAKE_MS = const(15000)
_CONNACK_MS = const(10000)
_PING_MS = const(20000)
_ACK_MS = const(20000)
_GOODBYE_MS = const(1000)
# While bytes are half-sent.
_LOOK_MS = const(20)
_READ_SIZE = const(128)
_READS_A_TURN = const(16)
# Room to acknowledge what one read brings: 4 bytes for each PUBLISH, of 7 bytes or more.
_ACKS_SIZE = const(76)
# After so many failures in a row the address is asked for again.
_RESOLVE_AFTER = const(8)


class _InFlight:
    """A PUBLISH with QoS 1 that has no PUBACK yet."""

    def __init__(self, packet_id, packet):
        self.packet_id = packet_id
        self.packet = packet
        self.is_sent = False
        self.tick = 0


class MqttClient:
    """One client of one broker.

    ``host``: an IPv4 address, or a name. A name is asked for with ``resolve(name)`` (`names.resolve`, which does not
    block), without one by ``getaddrinfo``, which blocks the loop; then it is kept until 8 attempts in a row have
    failed. The certificate's name is ``server_name`` (default: ``host``). ``keepalive_s`` 0 … 65535; a dead broker is
    noticed within three quarters of it and ``ping_ms`` more. ``will``: None or (topic, payload, qos, retain).

    ``on_message(topic, payload, retain)``: called within a turn; it must return soon (a few ms), and copy ``payload``
    (a memoryview) if it keeps it. A QoS 1 message is acknowledged when ``on_message`` has returned or raised: a message
    that kills its reader must not come back for ever.

    ``receive_max``: bytes of the largest message taken; ``send_max``: bytes on their way out, at most, and of the
    largest packet sent. Neither is allocated in advance: a link that rests takes some 400 bytes. ``inflight_max``: QoS
    1 messages under way; ``handshake_ms``, ``connack_ms``, ``ping_ms``: how long an answer may take.

    ``session_present``: what the broker said at the last connection. ``received_oversize``: messages that were larger
    than ``receive_max``, read past and acknowledged. ``handshakes``: TLS handshakes completed.
    """

    def __init__(
        self,
        host,
        port,
        client_id,
        tls_context=None,
        keepalive_s=300,
        will=None,
        on_message=None,
        server_name=None,
        user=None,
        password=None,
        receive_max=2048,
        send_max=2048,
        inflight_max=4,
        handshake_ms=_HANDSHAKE_MS,
        connack_ms=_CONNACK_MS,
        ping_ms=_PING_MS,
        resolve=None,
    ):
        self._host = host
        self._port = port
        self._client_id = client_id
        self._keepalive_s = keepalive_s
        self._will = will
        self._login = (user, password)
        self.on_message = on_message
        self._transport = Transport(tls_context, server_name or host)
        self._reader = PacketReader(receive_max)
        self._read_buffer = bytearray(_READ_SIZE)
        # Packets on their way out, each written from where it lies: how many bytes they are, and how many of the first
        # are gone. Behind what we send ourselves there is always room to acknowledge what one read brings.
        self._send_max = send_max
        self._queue: list = []
        self._queued = 0
        self._gone = 0
        # The last of the queue, while it is acknowledgements of which none has been tried.
        self._acks: bytearray | None = None
        self._inflight: list[_InFlight] = []
        self._inflight_max = inflight_max
        self._last_id = 0
        self._handshake_ms = handshake_ms
        self._connack_ms = connack_ms
        self._ping_ms = ping_ms
        self._resolve = resolve
        # ``set()`` it, in a task: there is something to do that does not come from the socket.
        self.wakeup = Wakeup(self._transport)
        # How long nothing is due after a turn.
        self._rest_ms = 0
        self._address = None
        self._failures = 0
        self._ask_id = 0
        self._answer = b""
        self._has_answer = False
        self._sent_tick = 0
        self._heard_tick = 0
        self._ping_tick = 0
        self._is_pinging = False
        self.is_connected = False
        self.session_present = False
        self.received_oversize = 0
        self.handshakes = 0

    async def connect(self, is_clean=False):
        """Connect: TCP, TLS, CONNECT. ``is_clean``: the broker forgets what it kept for us [3.1.2.4].

        Bounded by 10 s for TCP, ``handshake_ms``, ``connack_ms`` and the DNS. Raises `MqttError`; then everything is
        closed. What was under way with QoS 1 goes out again: with DUP if the broker has kept the session, else as new.
        """
        from .mqtt_open import open_session

        self.close()
        is_done = False
        try:
            await open_session(self, is_clean)
            is_done = True
        finally:
            if is_done:
                self._failures = 0
            else:
                self.close()
                self._failures += 1
                if self._failures % _RESOLVE_AFTER == 0:
                    self._address = None

    def close(self):
        """Close at once, without goodbye: the broker will publish the will. It may be called at any time."""
        self.is_connected = False
        if self.wakeup.ringer is not None:
            self.wakeup.ringer.cancel()
            self.wakeup.ringer = None
        self.wakeup.set()
        self._transport.close()
        self._reader.reset()
        self._queue = []
        self._queued = 0
        self._gone = 0
        self._acks = None
        self._ask_id = 0
        self._is_pinging = False

    async def disconnect(self):
        """Say goodbye and close: the broker forgets the will [3.14]. Bounded by a second."""
        try:
            if self.is_connected:
                start = ticks_ms()
                from .mqtt_open import DISCONNECT_PACKET

                self._put(DISCONNECT_PACKET)
                while self._queue and ticks_diff(ticks_ms(), start) < _GOODBYE_MS:
                    if not self._write():
                        await sleep_ms(2)
        except MqttError:
            pass  # It was gone already.
        finally:
            self.close()

    def post(self, topic, payload, qos=0, retain=False):
        """Hand over a message without waiting. Return its packet id, 0 with QoS 0, or `BUSY`.

        A QoS 1 message is kept, over reconnections too, until `is_under_way` of its id is False. Raises ValueError for
        a message that can never be sent.
        """
        if qos:
            if len(self._inflight) >= self._inflight_max:
                return BUSY
            packet_id = self._next_id()
            packet = packets.encode_publish(topic, payload, qos, retain, packet_id)
            self._check_fits(packet)
            self._inflight.append(_InFlight(packet_id, packet))
            self.wakeup.set()
            return packet_id
        packet = packets.encode_publish(topic, payload, 0, retain)
        self._check_fits(packet)
        if not self.is_connected or not self._put(packet):
            return BUSY
        self.wakeup.set()
        return 0

    def is_under_way(self, packet_id):
        """Tell whether a QoS 1 message waits for its PUBACK."""
        for one in self._inflight:
            if one.packet_id == packet_id:
                return True
        return False

    async def publish(self, topic, payload, qos=0, retain=False):
        """Publish, and wait: until it is in the send buffer (QoS 0), or until the broker has it (QoS 1).

        Raises `MqttError` when the link is lost; a QoS 1 message that was accepted stays under way and goes out again
        after the next `connect`.
        """
        while True:
            packet_id = self.post(topic, payload, qos, retain)
            if packet_id != BUSY:
                break
            await self.step()
        while packet_id and self.is_under_way(packet_id):
            await self.step()

    async def subscribe(self, topics, qos=1):
        """Subscribe to 1 … 16 topic filters; return the broker's answer, a byte each: the QoS granted, or 0x80.

        Raises `MqttError`.
        """
        from .mqtt_open import encode_subscribe

        answer = await self._ask(encode_subscribe, topics, qos)
        if len(answer) != len(topics):
            self.close()
            raise PacketError("malformed", "SUBACK for %d topics" % len(answer))  # [MQTT-3.8.4-5]
        return answer

    async def unsubscribe(self, topics):
        """Unsubscribe from 1 … 16 topic filters. Raises `MqttError`."""
        from .mqtt_open import encode_unsubscribe

        await self._ask(encode_unsubscribe, topics)

    async def _ask(self, encode, topics, *rest):
        packet_id = self._next_id()
        packet = encode(packet_id, topics, *rest)
        self._check_fits(packet)
        # One question at a time.
        while self._ask_id or not self._put(packet):
            await self.step()
        self._ask_id = packet_id
        self._has_answer = False
        start = ticks_ms()
        while self._ask_id == packet_id:
            if ticks_diff(ticks_ms(), start) > _ACK_MS:
                self.close()
                raise LinkLost("timeout suback")
            await self.step()
        answer = self._answer
        if not self._has_answer:
            raise LinkLost("not connected")
        return answer

    async def step(self):
        """Do a turn; when nothing moved, wait until there is something to do, 5 s at most. Raises `MqttError`."""
        if self.turn():
            await sleep_ms(1)
        elif self._queue:
            await sleep_ms(_LOOK_MS)
        else:
            await self.wakeup.wait_ms(self._rest_ms)

    def turn(self):
        """Send and receive what can be done now, without waiting; tell whether anything moved.

        Raises `MqttError` when the link is lost; then it is closed.
        """
        if not self.is_connected:
            raise LinkLost("not connected")
        is_alive = False
        try:
            for one in self._inflight:
                if not one.is_sent:
                    if not self._put(one.packet):
                        break
                    one.is_sent = True
                    one.tick = ticks_ms()
            moved = self._write()
            if self._read():
                moved = True
                # What was acknowledged must not come again because the link was lost within the pause.
                self._write()
            self._watch()
            is_alive = True
            return moved
        finally:
            if not is_alive:
                # An error of `on_message` comes through here too: its acknowledgement still leaves, if it can.
                try:
                    self._write()
                except MqttError:
                    pass
                self.close()

    # --- sending ------------------------------------------------------------------------------------

    def _next_id(self):
        """Return a packet id that nothing under way has: 1 … 65535 [2.3.1]."""
        while True:
            self._last_id = self._last_id % 65535 + 1
            if not self.is_under_way(self._last_id) and self._last_id != self._ask_id:
                return self._last_id

    def _check_fits(self, packet):
        if len(packet) > self._send_max:
            raise ValueError("packet of %d bytes: send_max is %d" % (len(packet), self._send_max))

    def _put(self, packet, extra=0):
        """Queue a packet; False where that would be more than ``send_max`` bytes, and ``extra``."""
        if self._queued + len(packet) > self._send_max + extra:
            return False
        self._queue.append(packet)
        self._queued += len(packet)
        self._acks = None
        return True

    def _acknowledge(self, packet_id):
        """Queue a PUBACK; those that wait one behind the other leave in one piece."""
        ack = packets.encode_puback(packet_id)
        if self._acks is not None:
            self._acks.extend(ack)
            self._queued += len(ack)
        elif self._put(ack, _ACKS_SIZE):
            self._acks = ack

    def _write(self):
        """Write what can be written now; tell whether that was anything."""
        moved = False
        while self._queue:
            packet = self._queue[0]
            # TLS may hold a record half-sent, and wants the same bytes again: what is tried does not grow any more.
            if packet is self._acks:
                self._acks = None
            count = self._transport.write(memoryview(packet)[self._gone :] if self._gone else packet)
            if not count:
                break
            moved = True
            self._gone += count
            self._queued -= count
            if self._gone == len(packet):
                self._queue.pop(0)
                self._gone = 0
        if moved:
            self._sent_tick = ticks_ms()
        return moved

    # --- receiving ----------------------------------------------------------------------------------

    def _read(self):
        reader = self._reader
        buffer = self._read_buffer
        moved = False
        for _ in range(_READS_A_TURN):
            # Without room for the acknowledgements nothing more is read.
            if self._queued > self._send_max:
                break
            count = self._transport.read_into(buffer)
            if not count:
                break
            moved = True
            self._heard_tick = ticks_ms()
            at = 0
            while at < count:
                at = reader.feed(buffer, at, count)
                if reader.is_complete:
                    self._take(reader)
        return moved

    def _take(self, reader):
        kind = reader.kind
        if kind == packets.PUBLISH:
            if reader.is_oversize:
                self.received_oversize += 1
            try:
                if self.on_message is not None and not reader.is_oversize:
                    self.on_message(reader.topic, reader.payload, reader.retain)
            finally:
                if reader.qos:
                    self._acknowledge(reader.packet_id)
        elif kind == packets.PUBACK:
            for i in range(len(self._inflight)):
                if self._inflight[i].packet_id == reader.packet_id:
                    self._inflight.pop(i)
                    break
            # An id that nothing has is the answer to a repetition of ours: no harm.
        elif kind == packets.PINGRESP:
            self._is_pinging = False
        elif kind == packets.CONNACK:
            raise PacketError("malformed", "second CONNACK")
        elif reader.packet_id == self._ask_id:
            self._answer = bytes(reader.codes) if kind == packets.SUBACK else b""
            self._has_answer = True
            self._ask_id = 0

    def _watch(self):
        now = ticks_ms()
        # Who looks as rarely as all others look with them.
        rest = turn_ms(now)
        for one in self._inflight:
            if one.is_sent:
                left = _ACK_MS - ticks_diff(now, one.tick)
                if left < 0:
                    # TCP loses nothing: a broker that does not answer is gone [4.4].
                    raise LinkLost("timeout puback")
                rest = min(rest, left + 1)
        if self._is_pinging:
            left = self._ping_ms - ticks_diff(now, self._ping_tick)
            if left < 0:
                raise LinkLost("timeout ping")
            rest = min(rest, left + 1)
        elif self._keepalive_s:
            left = self._keepalive_s * 750 - max(ticks_diff(now, self._sent_tick), ticks_diff(now, self._heard_tick))
            if left > 0:
                rest = min(rest, left)
            elif self._put(packets.PINGREQ_PACKET):
                self._is_pinging = True
                self._ping_tick = now
        self._rest_ms = rest
