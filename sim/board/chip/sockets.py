"""The application's sockets as the kernel sees them: does somebody outside owe an answer just now?

The interpreter's sockets cannot be overheard, and a program may poll them by sleeping. The kernel knows: TCP_INFO
counts the segments with data that a socket has sent and received, and sock_diag tells of the other end, if it is on
this computer, how many bytes its owner has not read yet and how many it has written that have not come here. The rule:
after traffic on a socket real time is wanted

* while the peer has something to read, or on its way: a broker that was not let run yet is waited for;
* then for SETTLE_US, in which whoever has read also answers (a mosquitto takes 0.1 to 1 ms);
* in all for at most _ANSWERS_MAX times `answer_us`: a broker that hangs is the program's affair, in virtual time;
* for `answer_us` (100 ms unless the street says otherwise) after the last segment, where the kernel does not tell of
  the peer, after a socket of UDP was made, of which the kernel counts nothing, and while a socket is connecting.

Neither end may hold segments back meanwhile (Nagle's algorithm, delayed acknowledgements: up to 40 ms): what comes is
acknowledged at once.
"""

import struct

from . import libc
from .clock import MASK, diff30, real_us

QUIET_US = 10000  # after a frame of the radio, and after anything a poll has found
SETTLE_US = 5000
SOCKETS_MAX = 32
_STEP_US = 20000  # while a peer is waited for: until the next look, which comes within a millisecond
_ANSWERS_MAX = 10
_SHUT_BOTH = 2
_IPPROTO_TCP = 6
_TCP_NODELAY = 1
_TCP_INFO = 11
_TCP_QUICKACK = 12
_SYN_SENT = 2
_INFO_BYTES = 160  # struct tcp_info of linux/tcp.h as far as tcpi_data_segs_out (Linux 4.6)
_COUNTS_AT = 152
_AF_INET = 2
_AF_NETLINK = 16
_SOCK_RAW = 3
_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST = 1
# nlmsghdr and inet_diag_req_v2 (ports at 24, addresses at 28 and 44), or inet_diag_msg with both queues' bytes at 72.
_ASK_BYTES = 72
_QUEUES_AT = 72
_TOLD_BYTES = 256

_descriptors = []
_received = [0] * SOCKETS_MAX
_sent = [0] * SOCKETS_MAX
_since_us30 = [0] * SOCKETS_MAX
_is_waiting = [False] * SOCKETS_MAX
_info = bytearray(_INFO_BYTES)
_length = bytearray(4)
_one = b"\x01\x00\x00\x00"
_address = bytearray(16)
_ask = bytearray(_ASK_BYTES)
_told = bytearray(_TOLD_BYTES)
_diag = -1
is_waiting = False


def add(descriptor, clock, is_stream):
    """Watch a socket that was just made."""
    _open_diag()
    if descriptor in _descriptors:
        _forget(_descriptors.index(descriptor))
    elif len(_descriptors) >= SOCKETS_MAX:
        _forget(0)
    at = len(_descriptors)
    _descriptors.append(descriptor)
    _received[at] = _sent[at] = 0
    _is_waiting[at] = False
    if is_stream:
        libc.setsockopt(descriptor, _IPPROTO_TCP, _TCP_NODELAY, _one, 4)
    else:
        clock.want_real_time(clock.shared.answer_us)


def _forget(at):
    """Watch a socket no more: those behind it move up."""
    _descriptors.pop(at)
    for place in range(at, len(_descriptors)):
        for values in (_received, _sent, _since_us30, _is_waiting):
            values[place] = values[place + 1]


def _open_diag():
    global _diag
    if _diag == -1:
        _diag = libc.socket(_AF_NETLINK, _SOCK_RAW, _SOCK_DIAG)
        if _diag < 0:
            _diag = -2


def shut_all():
    """Shut every socket, as lwIP aborts connections when the network goes."""
    while _descriptors:
        libc.shutdown(_descriptors.pop(), _SHUT_BOTH)


def look(clock):
    """Ask the kernel about each socket, and for real time where one wants it. Called before each wait.

    `is_waiting` afterwards: a peer is waited for, so the next look is to come soon.
    """
    global is_waiting
    is_waiting = False
    at = 0
    while at < len(_descriptors):
        _length[0] = _INFO_BYTES
        if libc.getsockopt(_descriptors[at], _IPPROTO_TCP, _TCP_INFO, _info, _length) != 0:
            if _has_gone(_descriptors[at]):
                _forget(at)
            else:
                at += 1
            continue
        received, sent = struct.unpack_from("<II", _info, _COUNTS_AT)
        is_connecting = _info[0] == _SYN_SENT
        if received != _received[at] or sent != _sent[at] or (is_connecting and not _is_waiting[at]):
            if received != _received[at]:
                libc.setsockopt(_descriptors[at], _IPPROTO_TCP, _TCP_QUICKACK, _one, 4)
            _received[at] = received
            _sent[at] = sent
            _is_waiting[at] = True
            _since_us30[at] = real_us() & MASK
        if _is_waiting[at]:
            _wait_for_peer(clock, at, is_connecting)
        at += 1


def _has_gone(descriptor):
    """Tell whether a descriptor is closed; a socket of UDP has no TCP_INFO and goes on."""
    _length[0] = 16
    return libc.getsockname(descriptor, _address, _length) != 0


def _wait_for_peer(clock, at, is_connecting):
    global is_waiting
    answer_us = clock.shared.answer_us
    passed = diff30(real_us() & MASK, _since_us30[at])
    busy = -1 if is_connecting else _is_peer_busy(_descriptors[at])
    if busy < 0:
        # Nothing is known of the peer.
        left = answer_us - passed
        if left > 0:
            clock.want_answer(left)
            is_waiting = is_waiting or is_connecting
        else:
            _is_waiting[at] = is_connecting
    elif busy and passed < _ANSWERS_MAX * answer_us:
        clock.want_answer(_STEP_US)
        is_waiting = True
    else:
        _is_waiting[at] = False
        clock.want_answer(SETTLE_US)


def _is_peer_busy(descriptor):
    """Tell whether the other end of a connection on this computer has bytes to read or to bring here: 1, 0, -1 unknown.

    The answer to a question for one socket comes with the question (no other process is asked), some 7 us later.
    """
    if _diag < 0:
        return -1
    _length[0] = 16
    if libc.getpeername(descriptor, _address, _length) != 0:
        return 0  # the peer has gone
    if struct.unpack_from("<H", _address)[0] != _AF_INET:
        return -1
    is_here = _address[4] == 127
    struct.pack_into(
        "<IHHIIBBBBI", _ask, 0, _ASK_BYTES, _SOCK_DIAG_BY_FAMILY, _REQUEST, 1, 0, _AF_INET, _IPPROTO_TCP, 0, 0, 0xFFF
    )
    # The peer's own end is its source: port (big-endian, as in the address) and address, then ours.
    _ask[24:26] = _address[2:4]
    _ask[28:32] = _address[4:8]
    libc.getsockname(descriptor, _address, _length)
    _ask[26:28] = _address[2:4]
    _ask[44:48] = _address[4:8]
    for place in range(64, _ASK_BYTES):
        _ask[place] = 255  # no cookie
    if libc.send(_diag, _ask, _ASK_BYTES, 0) != _ASK_BYTES:
        return -1
    got = libc.recv(_diag, _told, _TOLD_BYTES, 0)
    if got < _QUEUES_AT + 8 or struct.unpack_from("<H", _told, 4)[0] != _SOCK_DIAG_BY_FAMILY:
        return 0 if is_here else -1  # a peer on the loopback that is not found has closed
    to_read, to_bring = struct.unpack_from("<II", _told, _QUEUES_AT)
    return 1 if to_read or to_bring else 0
