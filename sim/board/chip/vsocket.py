"""`socket` over the computer's own, tied to the virtual Wi-Fi: without an access point no name resolves, no socket is
made, and those that exist are shut down (the peer's data stops; on the chip lwIP aborts them).
"""

import socket as _socket

from socket import *  # noqa: F403 - all of the interpreter's names, then ours over them

from . import idle, libc

_ENETUNREACH = 101
_EAI_FAIL = -202  # what lwIP answers for a name without a network
_SHUT_BOTH = 2
_SOCKETS_MAX = 32

_descriptors = []
_is_up = [True]


def set_up(is_up):
    """Follow the Wi-Fi; going down shuts every socket that was made."""
    _is_up[0] = is_up
    if not is_up:
        while _descriptors:
            libc.shutdown(_descriptors.pop(), _SHUT_BOTH)


def getaddrinfo(*arguments):
    """Resolve, where there is a network."""
    if not _is_up[0]:
        raise OSError(_EAI_FAIL)
    idle.clock.touch_socket()
    return _socket.getaddrinfo(*arguments)


def socket(*arguments):
    """Make a socket, where there is a network."""
    if not _is_up[0]:
        raise OSError(_ENETUNREACH)
    idle.clock.touch_socket()
    made = _socket.socket(*arguments)
    number = made.fileno()
    if number not in _descriptors:
        if len(_descriptors) >= _SOCKETS_MAX:
            _descriptors.pop(0)
        _descriptors.append(number)
    return made
