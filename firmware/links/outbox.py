"""What waits for a link: bounded, the important first, and safe from power cuts where that matters.

Order out: alarms, acks, events, energy, routine; within a class the oldest first. Where there is no room the oldest of
the least important goes: routine, then acks, energy, events, alarms; what is dropped is counted. A routine message
replaces the waiting one of the same key: the latest wins.

Alarms, events and energy survive a cut from the moment `poll` has stored them. What was sent and not yet stored as sent
comes again after a cut: at least once, never lost; events carry a sequence, energy its quarter, so that it shows.

Flash: all that is to be kept is one file of at most 5 kB. It is written when an alarm or event is new, 5 s after the
boot or the last write at the earliest, else every 15 minutes where anything changed; never more than 8 times at once
and 96 times a day beyond that. At 104 writes a day a littlefs of 2 MB with 10^5 erasures a block lasts longer than the
lamp post. Nothing is written in the first 5 s. Nothing here waits for anything.
"""

from firmware.control.compat import const
from firmware.control.ticks import ticks_diff

from .rate import Bucket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Classes, in the order in which they leave.
ALARM = const(0)
ACK = const(1)
EVENT = const(2)
ENERGY = const(3)
ROUTINE = const(4)
CLASSES = const(5)

STORE_NAME = "outbox"
PAYLOAD_MAX_BYTES = const(1100)
TOPIC_MAX_BYTES = const(24)

# The order in which they are dropped, by class: a larger number goes first.
_WORTH = b"\0\3\1\2\4"
_KEPT = (ALARM, EVENT, ENERGY)
_URGENT = (ALARM, EVENT)
_FORMAT = const(1)
_HEAD_BYTES = const(7)
_QUIET_MS = const(5000)
_LAZY_MS = const(900000)
_BURST = const(8)
_COUNT_MAX = const(65535)
_AGE_MAX_S = const(3932100)


class _Entry:
    def __init__(self, priority: int, topic: str, payload, qos: int, key: str):
        self.priority = priority
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.key = key
        self.age_s = 0
        self.is_replaced = False


class Outbox:
    """Messages on their way out.

    ``store``: has ``read(name)`` and ``write(name, data)``, or None: then nothing survives. ``store_error``: what it
    raises, besides OSError. ``tick``: now, at the boot. ``prefix`` stands before every topic that `peek` returns.
    At most ``count_max`` messages and ``bytes_max`` (2,400 … 5,000) bytes of topics and payloads wait.

    ``on_put``: None, or what is called when a message has come. ``dropped``: how many of each class were dropped, up to
    65535 each. ``failures`` counts writes that failed.
    """

    def __init__(
        self,
        store,
        tick: int,
        store_error=OSError,
        prefix: str = "",
        count_max: int = 48,
        bytes_max: int = 4096,
    ):
        if count_max < 2 or not 2400 <= bytes_max <= 5000:
            raise ValueError("an outbox of %d messages, %d bytes: 2 or more, 2400 to 5000" % (count_max, bytes_max))
        self._store = store
        self._store_error = store_error
        self._prefix = prefix
        self._count_max = count_max
        self._bytes_max = bytes_max
        self._entries: list = []
        self._bytes = 0
        self._sent: _Entry | None = None
        self._bucket = Bucket(_LAZY_MS, _BURST)
        self._is_changed = False
        self._is_urgent = False
        # When it was last written, or booted; and until when the ages were counted.
        self._written_ms = tick
        self._tick = tick
        self.dropped = [0] * CLASSES
        self.failures = 0
        self.on_put: Any = None
        if store is not None:
            self._load()

    def __len__(self):
        return len(self._entries)

    @property
    def bytes_waiting(self) -> int:
        return self._bytes

    @property
    def is_saved(self) -> bool:
        return not self._is_changed

    def put(self, priority: int, topic: str, payload, qos: int, key: str = "") -> bool:
        """Take a message; False, counted, where it is too long or there is no room for one of its class.

        ``topic``: up to 24 bytes; ``payload``: up to 1,100, and kept, not copied. ``key``: of a routine message, by
        default its topic.
        """
        size = len(topic) + len(payload)
        if len(topic) > TOPIC_MAX_BYTES or len(payload) > PAYLOAD_MAX_BYTES:
            self._drop(priority)
            return False
        entry = _Entry(priority, topic, payload, qos, key or topic)
        if priority == ROUTINE:
            self._replace(entry)
        while len(self._entries) >= self._count_max or self._bytes + size > self._bytes_max:
            worst = self._worst()
            if worst is None or _WORTH[worst.priority] < _WORTH[priority]:
                self._drop(priority)
                return False
            self._remove(worst)
            self._drop(worst.priority)
        self._entries.append(entry)
        self._bytes += size
        if priority in _KEPT:
            self._is_changed = True
            if priority in _URGENT:
                self._is_urgent = True
        if self.on_put is not None:
            self.on_put()
        return True

    def peek(self):
        """Return (topic, payload, qos) of what is to be sent next, or None. Asked again, it may be something newer."""
        if self._sent is not None and self._sent.is_replaced:
            self._remove(self._sent)
        self._sent = None
        for entry in self._entries:
            if self._sent is None or entry.priority < self._sent.priority:
                self._sent = entry
        if self._sent is None:
            return None
        return self._prefix + self._sent.topic, self._sent.payload, self._sent.qos

    def done(self) -> None:
        """Note that what `peek` last returned has arrived (with QoS 1: was acknowledged)."""
        if self._sent is not None:
            self._remove(self._sent)
            self._sent = None

    def age_s(self) -> int:
        """Return how long what `peek` last returned has waited, in s, as of the last `poll`; a cut's length is unknown.

        At most 45 days.
        """
        return self._sent.age_s if self._sent is not None else 0

    def poll(self, tick: int) -> bool:
        """Store what is due to be stored; True if it was. To be called every few seconds, from one task."""
        passed_s = ticks_diff(tick, self._tick) // 1000
        if passed_s > 0:
            self._tick = (self._tick + passed_s * 1000) & 0x3FFFFFFF
            for entry in self._entries:
                entry.age_s = min(entry.age_s + passed_s, _AGE_MAX_S)
        elif passed_s < 0:
            # More than six days without a call.
            self._tick = tick
        if not self._is_changed or self._store is None:
            return False
        since_ms = ticks_diff(tick, self._written_ms)
        wait_ms = _QUIET_MS if self._is_urgent else _LAZY_MS
        if 0 <= since_ms < wait_ms or not self._bucket.take(tick):
            return False
        self._written_ms = tick
        try:
            self._store.write(STORE_NAME, self._packed())
        except (OSError, self._store_error):
            self.failures = min(self.failures + 1, _COUNT_MAX)
            return False
        self._is_changed = False
        self._is_urgent = False
        return True

    def _replace(self, entry) -> None:
        """Take out the waiting routine message of the same key; the one that is being sent goes when it is not."""
        for other in self._entries:
            if other.priority == ROUTINE and other.key == entry.key and not other.is_replaced:
                is_sent = other is self._sent
                if is_sent:
                    other.is_replaced = True
                else:
                    self._remove(other)
                return

    def _worst(self):
        """Return what is to be dropped first, None where there is only the one that is being sent."""
        worst = None
        for entry in self._entries:
            if entry is not self._sent and (worst is None or _WORTH[entry.priority] > _WORTH[worst.priority]):
                worst = entry
        return worst

    def _remove(self, entry) -> None:
        for i in range(len(self._entries)):
            if self._entries[i] is entry:
                self._entries.pop(i)
                self._bytes -= len(entry.topic) + len(entry.payload)
                if entry.priority in _KEPT:
                    self._is_changed = True
                return

    def _drop(self, priority: int) -> None:
        self.dropped[priority] = min(self.dropped[priority] + 1, _COUNT_MAX)

    def _packed(self) -> bytes:
        """Return the file: format, then each message: class, QoS, age in min (2), lengths (1, 2), topic, payload."""
        data = bytearray((_FORMAT,))
        for entry in self._entries:
            if entry.priority in _KEPT:
                age_min = entry.age_s // 60
                topic = entry.topic.encode()
                data.extend(bytes((entry.priority, entry.qos, age_min & 255, age_min >> 8, len(topic))))
                data.extend(bytes((len(entry.payload) & 255, len(entry.payload) >> 8)))
                data.extend(topic)
                data.extend(entry.payload)
        return bytes(data)

    def _load(self) -> None:
        """Take back what was stored, as far as it is what `_packed` writes; the rest counts as a failure."""
        data = self._store.read(STORE_NAME)
        if not data:
            return
        at = 1
        if data[0] != _FORMAT:
            at = len(data) + 1
        while at + _HEAD_BYTES <= len(data):
            topic_at = at + _HEAD_BYTES
            payload_at = topic_at + data[at + 4]
            end = payload_at + (data[at + 5] | data[at + 6] << 8)
            if data[at] not in _KEPT or data[at + 1] > 1 or end > len(data):
                break
            try:
                topic = bytes(data[topic_at:payload_at]).decode()
            except UnicodeError:
                break
            if self.put(data[at], topic, bytes(data[payload_at:end]), data[at + 1]):
                self._entries[-1].age_s = (data[at + 2] | data[at + 3] << 8) * 60
            at = end
        if at != len(data):
            self.failures += 1
        # What is stored is stored.
        self._is_changed = False
        self._is_urgent = False
