"""The wave on the air: presence messages between neighbours, 20 bytes each, authenticated.

What a message means, and that it is taken once, is decided in firmware/control/bubble.py. Here it is only carried, over
any radio that broadcasts (`firmware.drivers.espnow_radio`), which nobody encrypts and anybody can hear and send on:

====== ===== =======================================================================
offset bytes (little-endian)
====== ===== =======================================================================
0      1     0x1D: version 1, wave
1      2     sender: pole that transmits
3      2     origin: pole at which somebody is
5      1     sequence of the origin
6      1     low nibble: hops left to the receiver; high nibble: hops travelled
7      2     epoch of the sender: counts its starts
9      3     number of the sender's message in this epoch
12     8     MAC: HMAC-SHA-256 over the 12 bytes before, cut short (`firmware.system.keys`)
====== ===== =======================================================================

The key is the site's: every pole must understand its neighbours. Who opens a pole can read it, and make lamps of that
site brighter, each for as long as it is told to: a wave only adds light, and never darkens.

Replays: (epoch, number) must rise for each sender. The own epoch is stored one further before it is used, once a boot;
the newest epochs of the neighbours are stored when they were heard, once in 10 minutes at most (a feeder's poles start
together: one write more a night), so that an old night's messages are nothing new after a cut. Within the last epoch
stored a pole that starts anew may be shown old messages until its neighbour speaks: light, for one hold.

Rate: of one sender 3 messages at once, then 1 a second; 20 tags at once, then 10 a second in all. What is said of who
is there is a pole's number and nothing of a person, and is nowhere kept.
"""

from firmware.control.compat import const
from firmware.system import keys

from .codec import PURPOSE_WAVE
from .rate import Bucket

FRAME_BYTES = const(20)
STORE_NAME = "wave"
NEIGHBOURS_MAX = const(8)
HOPS_MAX = const(15)

_HEADER = const(0x1D)
_BODY_BYTES = const(12)
_MAC_BYTES = const(8)
_EPOCH_MAX = const(65535)
_NUMBER_MAX = const(0xFFFFFF)
_COUNT_MAX = const(65535)
_FORMAT = const(1)
_SENDER_MS = const(1000)
_SENDER_BURST = const(3)
_ALL_MS = const(100)
_ALL_BURST = const(20)
_STORE_MS = const(600000)


class Wave:
    """Carries the wave of one pole.

    ``site_secret``: 32 bytes; ``own_id``: 0 … 65535; ``neighbours``: ids of up to 8 poles, the only ones listened to.
    ``radio``: has ``send(frame)``, which returns whether it was taken, and ``receive()``, which returns a frame or
    None; neither waits or raises. ``store``: has ``read(name)`` and ``write(name, data)``; ``store_error``: what it
    raises, besides OSError.

    Nothing is sent before `start` has stored an epoch. Counts, up to 65535 each: ``sent``, ``received``, ``unknown``
    (sender or format), ``forged``, ``replayed``, ``limited``, ``lost`` (the radio did not take it).
    """

    def __init__(self, site_secret, own_id: int, neighbours, radio, store, store_error=OSError):
        if len(neighbours) > NEIGHBOURS_MAX:
            raise ValueError("%d neighbours: 8 at most" % len(neighbours))
        if len(site_secret) != 32:
            raise ValueError("a secret has 32 bytes")
        self._key = keys.derive(site_secret, PURPOSE_WAVE, b"")
        self._own_id = own_id
        self._radio = radio
        self._store = store
        self._store_error = store_error
        self._ids = list(neighbours)
        self._epochs = [0] * len(neighbours)
        self._numbers = [0] * len(neighbours)
        self._buckets = [Bucket(_SENDER_MS, _SENDER_BURST) for _ in neighbours]
        self._bucket = Bucket(_ALL_MS, _ALL_BURST)
        self._own_bucket = Bucket(_SENDER_MS, _SENDER_BURST)
        self._epoch = 0
        self._number = 0
        self._last_epoch = 0
        # Neighbours' epochs that are not stored yet.
        self._is_changed = False
        self._writes = Bucket(_STORE_MS, 1)
        self._frame = bytearray(FRAME_BYTES)
        self.is_started = False
        self.sent = 0
        self.received = 0
        self.unknown = 0
        self.forged = 0
        self.replayed = 0
        self.limited = 0
        self.lost = 0
        self._load()

    def start(self) -> bool:
        """Begin a new epoch: store it, then use it. False where the store fails: nothing is sent, try again later.

        Once a boot, after its first seconds (nothing is written then), and by itself when the numbers are used up.
        """
        if self._last_epoch >= _EPOCH_MAX:
            # 65,535 starts are 179 years of daily cuts; a chattering feeder must not shorten them: see the 5 s.
            return False
        epoch = self._last_epoch + 1
        try:
            self._store.write(STORE_NAME, self._state(epoch))
        except (OSError, self._store_error):
            return False
        self._last_epoch = epoch
        self._epoch = epoch
        self._number = 0
        self.is_started = True
        self._is_changed = False
        return True

    def poll(self, tick: int) -> bool:
        """Store the neighbours' epochs if some are new; True if it was done. Every minute or so, once started."""
        if not self._is_changed or not self.is_started or not self._writes.take(tick):
            return False
        try:
            self._store.write(STORE_NAME, self._state(self._last_epoch))
        except (OSError, self._store_error):
            return False
        self._is_changed = False
        return True

    def send(self, origin: int, sequence: int, hops: int, travelled: int, tick: int) -> bool:
        """Transmit what `Bubble` has to send; False where it was not: it is lost, and repeats itself.

        Hops beyond 15 are sent as 15.
        """
        if not self.is_started or not self._own_bucket.take(tick):
            self.lost = _one_more(self.lost)
            return False
        if self._number >= _NUMBER_MAX and not self.start():
            self.lost = _one_more(self.lost)
            return False
        self._number += 1
        frame = self._frame
        frame[0] = _HEADER
        _put(frame, 1, self._own_id, 2)
        _put(frame, 3, origin, 2)
        frame[5] = sequence & 255
        frame[6] = min(hops, HOPS_MAX) | min(travelled, HOPS_MAX) << 4
        _put(frame, 7, self._epoch, 2)
        _put(frame, 9, self._number, 3)
        frame[_BODY_BYTES:] = keys.tag(self._key, frame[:_BODY_BYTES], _MAC_BYTES)
        if not self._radio.send(bytes(frame)):
            self.lost = _one_more(self.lost)
            return False
        self.sent = _one_more(self.sent)
        return True

    def receive(self, message, tick: int) -> bool:
        """Take the next frame from the radio into ``message`` (`control.inputs.Message`); False where there is none.

        What is not genuine is passed over and counted: at most 20 frames are looked at in one call.
        """
        for _ in range(_ALL_BURST):
            frame = self._radio.receive()
            if frame is None:
                return False
            if self._take(frame, message, tick):
                self.received = _one_more(self.received)
                return True
        return False

    def _take(self, frame, message, tick: int) -> bool:
        if len(frame) != FRAME_BYTES or frame[0] != _HEADER:
            self.unknown = _one_more(self.unknown)
            return False
        at = self._find(_get(frame, 1, 2))
        if at < 0:
            self.unknown = _one_more(self.unknown)
            return False
        epoch = _get(frame, 7, 2)
        number = _get(frame, 9, 3)
        # Compared before it costs a tag.
        if epoch < self._epochs[at] or (epoch == self._epochs[at] and number <= self._numbers[at]):
            self.replayed = _one_more(self.replayed)
            return False
        if not self._bucket.take(tick):
            self.limited = _one_more(self.limited)
            return False
        tag = keys.tag(self._key, frame[:_BODY_BYTES], _MAC_BYTES)
        if not keys.is_same(tag, frame[_BODY_BYTES:]):
            self.forged = _one_more(self.forged)
            return False
        if epoch != self._epochs[at]:
            self._epochs[at] = epoch
            self._is_changed = True
        self._numbers[at] = number
        if not self._buckets[at].take(tick):
            self.limited = _one_more(self.limited)
            return False
        message.sender = self._ids[at]
        message.origin = _get(frame, 3, 2)
        message.sequence = frame[5]
        message.hops = frame[6] & 15
        message.travelled = frame[6] >> 4
        return True

    def _find(self, pole: int) -> int:
        for i in range(len(self._ids)):
            if self._ids[i] == pole:
                return i
        return -1

    def _state(self, epoch: int) -> bytes:
        """Return format, own epoch (2), then id and newest epoch (2, 2) of each neighbour."""
        state = bytearray(3 + 4 * len(self._ids))
        state[0] = _FORMAT
        _put(state, 1, epoch, 2)
        for i in range(len(self._ids)):
            _put(state, 3 + 4 * i, self._ids[i], 2)
            _put(state, 5 + 4 * i, self._epochs[i], 2)
        return bytes(state)

    def _load(self) -> None:
        state = self._store.read(STORE_NAME)
        if not state or state[0] != _FORMAT or len(state) < 3:
            return
        self._last_epoch = _get(state, 1, 2)
        for at in range(3, len(state) - 3, 4):
            i = self._find(_get(state, at, 2))
            if i >= 0:
                self._epochs[i] = _get(state, at + 2, 2)


def _put(buffer, at: int, value: int, length: int) -> None:
    for i in range(length):
        buffer[at + i] = (value >> (8 * i)) & 255


def _get(data, at: int, length: int) -> int:
    value = 0
    for i in range(length):
        value |= data[at + i] << (8 * i)
    return value


def _one_more(count: int) -> int:
    return count + 1 if count < _COUNT_MAX else count
