"""The application's sockets as the kernel sees them: does somebody outside owe an answer just now?

The interpreter's sockets cannot be overheard, and a program may poll them by sleeping. The kernel knows: TCP_INFO
counts the segments with data that a socket has sent and received. The rule: real time is wanted

* for `answer_us` (100 ms unless the street says otherwise) after a board has sent something. That is twice the 40 ms
  by which Nagle's algorithm and a delayed acknowledgement hold back the second half of a server's answer;
* for half of that after something has come, since more may follow;
* for `answer_us` after a socket was made: it is connecting; and of UDP the kernel counts nothing.
"""

import struct

from . import libc

QUIET_US = 10000  # after a frame of the radio, and after anything a poll has found
SOCKETS_MAX = 32
_SHUT_BOTH = 2
_IPPROTO_TCP = 6
_TCP_INFO = 11
_SYN_SENT = 2
_INFO_BYTES = 160  # struct tcp_info of linux/tcp.h as far as tcpi_data_segs_out (Linux 4.6)
_COUNTS_AT = 152

_descriptors = []
_received = [0] * SOCKETS_MAX
_sent = [0] * SOCKETS_MAX
_info = bytearray(_INFO_BYTES)
_length = bytearray(4)


def add(descriptor, clock):
    """Watch a socket that was just made."""
    if descriptor not in _descriptors:
        if len(_descriptors) >= SOCKETS_MAX:
            _descriptors.pop(0)
        _descriptors.append(descriptor)
    clock.want_real_time(clock.shared.answer_us)


def shut_all():
    """Shut every socket, as lwIP aborts connections when the network goes."""
    while _descriptors:
        libc.shutdown(_descriptors.pop(), _SHUT_BOTH)


def look(clock):
    """Ask the kernel about each socket, and for real time where one wants it. Called before each wait."""
    for at in range(len(_descriptors)):
        _length[0] = _INFO_BYTES
        if libc.getsockopt(_descriptors[at], _IPPROTO_TCP, _TCP_INFO, _info, _length) != 0:
            continue
        received, sent = struct.unpack_from("<II", _info, _COUNTS_AT)
        if sent != _sent[at] or _info[0] == _SYN_SENT:
            clock.want_real_time(clock.shared.answer_us)
        elif received != _received[at]:
            clock.want_real_time(clock.shared.answer_us // 2)
        _sent[at] = sent
        _received[at] = received
