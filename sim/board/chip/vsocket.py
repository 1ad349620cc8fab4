"""`socket` over the computer's own, tied to the virtual Wi-Fi: without an access point no name resolves, no socket is
made, and those that exist are shut down (the peer's data stops; on the chip lwIP aborts them).
"""

import socket as _socket

from socket import *  # all of the interpreter's names, then ours over them

from . import idle, sockets

_ENETUNREACH = 101
_EAI_FAIL = -202  # what lwIP answers for a name without a network

_is_up = [True]


def set_up(is_up):
    """Follow the Wi-Fi; going down shuts every socket that was made."""
    _is_up[0] = is_up
    if not is_up:
        sockets.shut_all()


def getaddrinfo(*arguments):
    """Resolve, where there is a network."""
    if not _is_up[0]:
        raise OSError(_EAI_FAIL)
    return _socket.getaddrinfo(*arguments)


def socket(*arguments):
    """Make a socket, where there is a network."""
    if not _is_up[0]:
        raise OSError(_ENETUNREACH)
    made = _socket.socket(*arguments)
    sockets.add(made.fileno(), idle.clock, len(arguments) < 2 or arguments[1] == SOCK_STREAM)
    return made
