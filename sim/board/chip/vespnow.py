"""`espnow` between the nodes of a street: frames go by UDP on loopback to the ports in the street's shared slots.

A frame is destination (6), sender (6), payload (at most 250). A unicast to a node that listens is acknowledged (send
returns True), to nobody it is not; a broadcast always is. Reach and loss are set by the host: {"op": "radio",
"loss_permille": 100, "deaf_to": ["020000000003"]}. The receive buffer is bounded as on the chip: what does not fit is
dropped and counted in stats().
"""

import io
import struct

from . import idle, irq, layout, libc, wire
from .clock import add30, diff30

MAX_DATA_LEN = 250
KEY_LEN = 16
ADDR_LEN = 6
MAX_TOTAL_PEER_NUM = 20
MAX_ENCRYPT_PEER_NUM = 6

_BROADCAST = b"\xff\xff\xff\xff\xff\xff"
_HEADER_BYTES = 8
_MAIL_AT = 4 * layout.SLOT_FIELDS.index("mail")
_MAC_AT = 4 * layout.SLOT_FIELDS.index("mac_high")
_DEFAULT_BUFFER_BYTES = 526
_MSG_DONTWAIT = 0x40
_ERR_NOT_INIT = (-0x3066 - 3, "ESP_ERR_ESPNOW_NOT_INIT")
_ERR_NOT_FOUND = (-0x3066 - 3 - 2, "ESP_ERR_ESPNOW_NOT_FOUND")
_ERR_EXIST = (-0x306B, "ESP_ERR_ESPNOW_EXIST")

_fd = -1
_street = b""
_clock = None
_address = b""
_frame = bytearray(12 + MAX_DATA_LEN + 1)
_sockaddr = bytearray(b"\x02\x00\x00\x00\x7f\x00\x00\x01" + bytes(8))
_loss_permille = 0
_noise = 1
_deaf_to = ()
_radio = None


def attach(fd, clock, street):
    """Take the inherited UDP socket and the street's mapped file."""
    global _fd, _street, _clock, _address, _noise
    _fd = fd
    _clock = clock
    _street = street
    high, low = clock.slot.mac_high, clock.slot.mac_low
    _address = high.to_bytes(3, "big") + low.to_bytes(3, "big")
    _noise = low & 0xFFFF | 1
    if fd >= 0:
        wire.add_line(fd, _receive)


def _set_radio(message):
    global _loss_permille, _deaf_to
    _loss_permille = message.get("loss_permille", _loss_permille)
    _deaf_to = message.get("deaf_to", _deaf_to)


def _is_lost():
    global _noise
    _noise = (_noise * 1103 + 12345) & 0xFFFFF
    return (_noise >> 4) % 1000 < _loss_permille


def _receive():
    """Take every frame that has come; called by the board when the socket has something."""
    is_empty = False
    while True:
        got = libc.recv(_fd, _frame, len(_frame), _MSG_DONTWAIT)
        if got < 0:
            if is_empty:
                return
            # Said first and looked at once more: what comes in between is not forgotten.
            is_empty = True
            _clock.slot.mail = 0
            continue
        is_empty = False
        if got < 12:
            continue  # the conductor's bell, which only wakes
        sender = bytes(_frame[6:12])
        if _radio is None or _is_lost():
            continue
        if _deaf_to and "".join("%02x" % one for one in sender) in _deaf_to:
            continue
        _radio.take(sender, bytes(_frame[12:got]))


class _State:
    """What the one radio keeps."""

    def __init__(self):
        self.is_active = False
        self.peers = []
        self.inbox = []
        self.used = 0
        self.buffer_bytes = _DEFAULT_BUFFER_BYTES
        self.timeout_ms = 300000
        self.handler = None
        self.argument = None
        self.stats = [0, 0, 0, 0, 0]
        self.peers_table = {}


class ESPNow(io.IOBase):
    """The one ESP-NOW interface."""

    def __init__(self):
        global _radio
        if _radio is None:
            self._state = _State()
        else:
            self._state = _radio._state  # there is one radio: a second object is the same one
        self.peers_table = self._state.peers_table
        _radio = self

    def active(self, is_active=None):
        """Return or set whether it listens."""
        if is_active is not None:
            self._state.is_active = bool(is_active)
        return self._state.is_active

    def config(self, name=None, **settings):
        """Return or set rxbuf and timeout_ms; rate is accepted."""
        if name == "rxbuf":
            return self._state.buffer_bytes
        if name == "timeout_ms":
            return self._state.timeout_ms
        self._state.buffer_bytes = settings.get("rxbuf", self._state.buffer_bytes)
        self._state.timeout_ms = settings.get("timeout_ms", self._state.timeout_ms)
        return None

    def set_pmk(self, key):
        """Accept the key: nothing is encrypted here."""

    def _check(self):
        if not self._state.is_active:
            raise OSError(*_ERR_NOT_INIT)

    def add_peer(self, mac, *arguments, **settings):
        """Register an address; OSError where it is there already, or there are 20."""
        self._check()
        mac = bytes(mac)
        if len(mac) != ADDR_LEN:
            raise ValueError("ESPNow: bytes or bytearray wrong length")
        if mac in self._state.peers:
            raise OSError(*_ERR_EXIST)
        if len(self._state.peers) >= MAX_TOTAL_PEER_NUM:
            raise OSError(-0x306C, "ESP_ERR_ESPNOW_FULL")
        self._state.peers.append(mac)

    def del_peer(self, mac):
        """Forget an address."""
        self._check()
        if bytes(mac) not in self._state.peers:
            raise OSError(*_ERR_NOT_FOUND)
        self._state.peers.remove(bytes(mac))

    def get_peers(self):
        """Return a tuple of (mac, lmk, channel, ifidx, encrypt)."""
        return tuple((mac, b"", 0, 0, False) for mac in self._state.peers)

    def peer_count(self):
        """Return (peers, encrypted peers)."""
        return len(self._state.peers), 0

    def send(self, mac, message=None, sync=True):
        """Send to a peer, or to all peers where `mac` is None; return whether it was acknowledged."""
        self._check()
        if message is None:
            mac, message = None, mac
        if isinstance(message, str):
            message = message.encode()
        if not 0 < len(message) <= MAX_DATA_LEN:
            raise ValueError("buffer length out of range")
        if mac is None:
            heard = True
            for peer in self._state.peers:
                heard = self._send(peer, message) and heard
            return heard
        if bytes(mac) not in self._state.peers:
            raise OSError(*_ERR_NOT_FOUND)
        return self._send(bytes(mac), message)

    def _send(self, mac, message):
        frame = mac + _address + bytes(message)
        heard = mac == _BROADCAST
        self._state.stats[0] += 1
        for number in range(_clock.shared.boards):
            at = layout.SLOTS_AT + layout.SLOT_BYTES * number
            high, low, port = struct.unpack_from("<III", _street, at + _MAC_AT)
            if not port or not _street[at]:
                continue
            address = high.to_bytes(3, "big") + low.to_bytes(3, "big")
            if address == _address or (mac != _BROADCAST and address != mac):
                continue
            _sockaddr[2] = port >> 8
            _sockaddr[3] = port & 0xFF
            # Its owner has to run before time goes on: the conductor waits for it.
            _street[at + _MAIL_AT] = 1
            libc.sendto(_fd, frame, len(frame), _MSG_DONTWAIT, _sockaddr, len(_sockaddr))
            heard = True
        self._state.stats[1 if heard else 2] += 1
        return heard

    def take(self, sender, message):
        """Receive a frame (called by the board)."""
        if not self._state.is_active:
            return
        size = len(message) + _HEADER_BYTES
        if self._state.used + size > self._state.buffer_bytes:
            self._state.stats[4] += 1
            return
        self._state.inbox.append((sender, message))
        self._state.used += size
        self._state.stats[3] += 1
        self.peers_table[sender] = [-60, idle.clock.ticks_ms()]
        if self._state.handler is not None:
            irq.put(self._state.handler, self if self._state.argument is None else self._state.argument)

    def any(self):
        """Tell whether a frame waits."""
        idle.glance()
        return bool(self._state.inbox)

    def recv(self, timeout_ms=None):
        """Return (mac, message), or (None, None) after the timeout."""
        self._check()
        timeout_ms = self._state.timeout_ms if timeout_ms is None else timeout_ms
        until30 = add30(idle.clock.world_ms30(), timeout_ms)
        idle.service()
        while not self._state.inbox:
            left = diff30(until30, idle.clock.world_ms30())
            if left <= 0:
                return None, None
            idle.nap(left)
        sender, message = self._state.inbox.pop(0)
        self._state.used -= len(message) + _HEADER_BYTES
        return sender, message

    def irecv(self, timeout_ms=None):
        """Return what recv() returns; the buffer is not reused here."""
        return self.recv(timeout_ms)

    def recvinto(self, data, timeout_ms=None):
        """Receive into [mac, bytearray]; return the length, 0 after the timeout."""
        sender, message = self.recv(timeout_ms)
        if sender is None:
            return 0
        if not isinstance(data[0], bytearray):
            data[0] = bytearray(ADDR_LEN)
        data[0][:] = sender
        if len(data[1]) > len(message) or len(data[1]) == len(message):
            data[1][: len(message)] = message
        else:
            data[1] = bytearray(message)
        if len(data) > 2:
            data[2] = -60
        return len(message)

    def irq(self, handler, argument=None):
        """Call `handler(argument or self)` when a frame comes, scheduled."""
        self._state.handler = handler
        self._state.argument = argument

    def stats(self):
        """Return (sent, acknowledged, not acknowledged, received, dropped)."""
        return tuple(self._state.stats)

    def ioctl(self, request, argument):
        """Answer a poll."""
        if request == 3:
            return (argument & 1 if self._state.inbox else 0) | (argument & 4)
        return 0

    def __iter__(self):
        return self

    def __next__(self):
        return self.recv()


class AIOESPNow(ESPNow):
    """What the stock image's `aioespnow` adds: waiting without blocking the loop."""

    async def arecv(self):
        """Return (mac, message) when there is one."""
        while not self._state.inbox:
            await _Readable(self)
        return self.recv(0)

    airecv = arecv

    async def asend(self, mac, message=None, sync=True):
        """Send, and let others run."""
        import asyncio

        heard = self.send(mac, message, sync)
        await asyncio.sleep_ms(0)
        return heard

    def __aiter__(self):
        return self

    async def __anext__(self):
        return await self.arecv()


class _Readable:
    """Waits in asyncio's poll until the radio has something."""

    def __init__(self, radio):
        self._radio = radio
        self._is_queued = False

    def __iter__(self):
        return self

    __await__ = __iter__

    def __next__(self):
        import asyncio

        if self._is_queued:
            raise StopIteration
        self._is_queued = True
        asyncio.core._io_queue.queue_read(self._radio)


wire.operations["radio"] = _set_radio
