"""MQTT 3.1.1 on the wire: messages as a node sends them, and a bounded reader for what a broker sends.

How a session is opened: `mqtt_open`.

Source: MQTT Version 3.1.1, OASIS Standard, 29 October 2014; numbers in brackets are its sections and its normative
statements. QoS 2 is not used: a node never asks for it, so a broker that sends it breaks [3.8.4].

The reader takes bytes in any portions and holds one packet at a time: a small one in a buffer of its own, a large one
in one that is let go with the next packet. Whatever bytes come, it raises `MqttError`, for a large one MemoryError, or
nothing.
"""

from firmware.control.compat import const

# Control packet types [2.2.1].
CONNACK = const(2)
PUBLISH = const(3)
PUBACK = const(4)
SUBACK = const(9)
UNSUBACK = const(11)
PINGRESP = const(13)

PINGREQ_PACKET = b"\xc0\x00"
# What a SUBACK says of a topic that the broker refuses [3.9.3].
SUBACK_FAILURE = const(0x80)

# Subscriptions in one packet: a SUBACK is then at most 2 + 16 bytes.
TOPICS_MAX = const(16)
# Bytes of a topic; ours are about 60. A string may have 65,535 [1.5.3].
TOPIC_MAX = const(256)
PACKET_MAX = const(268435455)
# A command, an acknowledgement: what a broker sends all day.
_SMALL = const(128)


class MqttError(Exception):
    """The link cannot go on. ``what`` is short and stays the same for the same cause, for counting."""

    def __init__(self, what, detail=""):
        super().__init__(what + ": " + detail if detail else what)
        self.what = what


class PacketError(MqttError):
    """The broker sent what MQTT 3.1.1 forbids, or more than this node takes: the connection must be closed [4.8]."""


def encode_publish(topic, payload, qos=0, retain=False, packet_id=0):
    """Return a PUBLISH packet [3.3] as a bytearray; `mark_duplicate` turns it into its own repetition.

    ``qos`` 0 or 1; ``packet_id`` 1 … 65535 with QoS 1. Raises ValueError.
    """
    check_qos(qos)
    name = topic_bytes(topic)
    size = 2 + len(name) + len(payload) + (2 if qos else 0)
    packet = header(0x30 | (qos << 1) | (1 if retain else 0), size)
    add_string(packet, name)
    if qos:
        add_id(packet, packet_id)
    packet.extend(payload)
    return packet


def mark_duplicate(packet, is_duplicate=True):
    """Set or clear the DUP flag of a PUBLISH packet with QoS 1 [3.3.1.1]."""
    packet[0] = packet[0] | 8 if is_duplicate else packet[0] & 0xF7


def encode_puback(packet_id):
    """Return a PUBACK packet [3.4]."""
    packet = bytearray(b"\x40\x02")
    add_id(packet, packet_id)
    return packet


class PacketReader:
    """Packets from a broker, out of bytes in any portions.

    ``size_max``: bytes of the largest PUBLISH kept (its topic and payload). A larger
    PUBLISH of up to ``skip_max`` bytes is read past and reported with ``is_oversize`` and no payload: were it refused
    by closing, a kept session or a retained topic would bring it again at every connection, for ever. Beyond that:
    `PacketError`, as for everything malformed. All other packets have at most 2 + ``TOPICS_MAX`` bytes.

    Feed with `feed`; when ``is_complete``, look at ``kind`` and its fields, then feed on (which forgets the packet).

    ======== =====================================================================================
    CONNACK  ``session_present``, ``code`` 0 … 5
    PUBLISH  ``topic`` (text), ``payload`` (view of the buffer: valid until the next feed), ``qos`` 0 or 1,
             ``retain``, ``duplicate``, ``packet_id`` (0 with QoS 0), ``is_oversize``
    PUBACK   ``packet_id``; the same for UNSUBACK
    SUBACK   ``packet_id``, ``codes`` (view: one byte a topic: 0, 1, 2, or 0x80)
    PINGRESP nothing
    ======== =====================================================================================
    """

    def __init__(self, size_max=2048, skip_max=65536):
        if size_max < 64:
            raise ValueError("size_max: 64 or more")
        self._size_max = size_max
        self._skip_max = skip_max
        self._small = bytearray(_SMALL)
        self.reset()

    def reset(self):
        """Forget everything: a new connection begins."""
        self.is_complete = False
        self.kind = 0
        self.session_present = False
        self.code = 0
        self.topic = ""
        self._buffer = self._small
        self._view = memoryview(self._small)
        self.payload = self._view[:0]
        self.codes = self._view[:0]
        self.qos = 0
        self.retain = False
        self.duplicate = False
        self.packet_id = 0
        self.is_oversize = False
        self._flags = 0
        # 0: the first byte; 1: the remaining length; 2: the body.
        self._stage = 0
        self._shift = 0
        self._remaining = 0
        self._kept = 0
        self._most = 0
        self._left = 0

    def feed(self, data, at, end):
        """Take ``data[at:end]`` up to the end of one packet; return the place of the first byte not taken.

        Raises `PacketError`; the reader is then of no use until `reset`.
        """
        self.is_complete = False
        while at < end:
            if self._stage == 2:
                at = self._take_body(data, at, end)
                if self._left:
                    return at
                self._finish()
                return at
            byte = data[at]
            at += 1
            if self._stage == 0:
                self._begin(byte)
            else:
                self._remaining |= (byte & 127) << self._shift
                self._shift += 7
                if byte & 128:
                    if self._shift == 28:
                        raise PacketError("malformed", "remaining length of 5 bytes")  # [2.2.3]
                    continue
                self._check_size()
                self._stage = 2
                self._kept = 0
                self._left = self._remaining
                self._hold(min(self._left, self._size_max))
                if not self._left:
                    self._finish()
                    return at
        return at

    def _begin(self, byte):
        self.kind = byte >> 4
        self._flags = byte & 15
        if self.kind == PUBLISH:
            self.qos = (byte >> 1) & 3
            self.retain = bool(byte & 1)
            self.duplicate = bool(byte & 8)
            if self.qos > 1:
                raise PacketError("malformed", "PUBLISH with QoS %d" % self.qos)  # [MQTT-3.3.1-4]; 2 was not asked for
            if self.duplicate and not self.qos:
                raise PacketError("malformed", "DUP with QoS 0")  # [MQTT-3.3.1-2]
        elif self.kind not in (CONNACK, PUBACK, SUBACK, UNSUBACK, PINGRESP):
            raise PacketError("malformed", "packet type %d" % self.kind)
        elif self._flags:
            raise PacketError("malformed", "flags of type %d" % self.kind)  # [MQTT-2.2.2-2]
        self._stage = 1
        self._shift = 0
        self._remaining = 0

    def _check_size(self):
        size = self._remaining
        self.is_oversize = False
        if self.kind == PUBLISH:
            if size > self._size_max:
                if size > self._skip_max:
                    raise PacketError("oversize", "PUBLISH of %d bytes" % size)
                self.is_oversize = True
        elif self.kind == SUBACK:
            if not 3 <= size <= 2 + TOPICS_MAX:
                raise PacketError("malformed", "SUBACK of %d bytes" % size)
        elif size != (0 if self.kind == PINGRESP else 2):
            raise PacketError("malformed", "type %d of %d bytes" % (self.kind, size))

    def _hold(self, size):
        """Have a buffer for ``size`` bytes; the last large one is let go before the next is taken."""
        self._most = size
        if self._buffer is not self._small or size > _SMALL:
            # What was handed out of it goes too.
            self._buffer = self._small
            self._view = memoryview(self._small)
            self.payload = self.codes = self._view[:0]
            if size > _SMALL:
                self._buffer = bytearray(size)
                self._view = memoryview(self._buffer)

    def _take_body(self, data, at, end):
        count = end - at
        if count > self._left:
            count = self._left
        room = self._most - self._kept
        if room:
            kept = room if count > room else count
            self._buffer[self._kept : self._kept + kept] = data[at : at + kept]
            self._kept += kept
        self._left -= count
        return at + count

    def _finish(self):
        self._stage = 0
        buffer = self._buffer
        kind = self.kind
        if kind == PUBLISH:
            self._finish_publish()
        elif kind == CONNACK:
            self.code = buffer[1]
            self.session_present = bool(buffer[0])
            # [3.2.2.1, 3.2.2.3, MQTT-3.2.2-4]
            if buffer[0] > 1 or self.code > 5 or (self.session_present and self.code):
                raise PacketError("malformed", "CONNACK %d %d" % (buffer[0], buffer[1]))
        elif kind != PINGRESP:
            self._read_id(0)
            if kind == SUBACK:
                self.codes = self._view[2 : self._remaining]
                for code in self.codes:
                    if code > 2 and code != SUBACK_FAILURE:
                        raise PacketError("malformed", "SUBACK code %d" % code)  # [MQTT-3.9.3-2]
        self.is_complete = True

    def _finish_publish(self):
        kept = self._kept
        if kept < 2:
            raise PacketError("malformed", "PUBLISH of %d bytes" % kept)
        length = (self._buffer[0] << 8) | self._buffer[1]
        at = 2 + length
        if not 0 < length <= TOPIC_MAX:
            raise PacketError("malformed", "topic of %d bytes" % length)  # [MQTT-4.7.3-1], and our bound
        if at + (2 if self.qos else 0) > kept:
            raise PacketError("malformed", "PUBLISH ends in its head")
        name = self._view[2:at]
        for byte in name:
            # NUL [MQTT-1.5.3-2]; # and + are for filters only [MQTT-3.3.2-2].
            if byte in (0, 35, 43):
                raise PacketError("malformed", "byte %d in a topic" % byte)
        try:
            self.topic = str(name, "utf-8")
        except ValueError:
            raise PacketError("malformed", "topic is no UTF-8")  # [MQTT-1.5.3-1]
        self.packet_id = 0
        if self.qos:
            self._read_id(at)
            at += 2
        self.payload = self._view[at:at] if self.is_oversize else self._view[at:kept]

    def _read_id(self, at):
        self.packet_id = (self._buffer[at] << 8) | self._buffer[at + 1]
        if not self.packet_id:
            raise PacketError("malformed", "packet id 0")  # [MQTT-2.3.1-1]


def header(first, size):
    """Return the fixed header [2.2]: first byte and remaining length, seven bits a byte, the lowest first."""
    if size > PACKET_MAX:
        raise ValueError("packet of %d bytes" % size)
    header = bytearray(1)
    header[0] = first
    while size > 127:
        header.append(size & 127 | 128)
        size >>= 7
    header.append(size)
    return header


def add_string(packet, data):
    """Add a string with its length in two bytes [1.5.3]. Raises ValueError beyond 65,535 bytes."""
    if len(data) > 65535:
        raise ValueError("string of %d bytes" % len(data))
    packet.append(len(data) >> 8)
    packet.append(len(data) & 255)
    packet.extend(data)


def add_id(packet, packet_id):
    """Add a packet id [2.3.1]. Raises ValueError beyond 1 … 65535."""
    if not 1 <= packet_id <= 65535:
        raise ValueError("packet id %d: 1 ... 65535" % packet_id)
    packet.append(packet_id >> 8)
    packet.append(packet_id & 255)


def topic_bytes(topic):
    """Return a topic to publish to as bytes: 1 … ``TOPIC_MAX`` bytes without wildcards and NUL [4.7]."""
    name = topic.encode()
    if not 0 < len(name) <= TOPIC_MAX:
        raise ValueError("topic of %d bytes: 1 ... %d" % (len(name), TOPIC_MAX))
    for byte in name:
        if byte in (0, 35, 43):
            raise ValueError("topic with #, + or NUL")
    return name


def check_qos(qos):
    """Raise ValueError for a QoS that is not used here."""
    if qos not in (0, 1):
        raise ValueError("qos %d: 0 or 1" % qos)
