"""The few calls of the C library a virtual chip needs: map a file, read and write the control line, die at once.

Everything shared with the host is a mapped file, so it costs the board's heap nothing but the object that points at it.
"""

import ffi
import uctypes

_PROT_READ_WRITE = 3
_MAP_SHARED = 1
_O_RDWR = 2
_O_WRITE_APPEND = 1 | 64 | 1024
_PR_SET_PDEATHSIG = 1
_SIGKILL = 9

_libc = ffi.open(None)
_open = _libc.func("i", "open", "sii")
_close = _libc.func("i", "close", "i")
_mmap = _libc.func("P", "mmap", "PLiiil")
_prctl = _libc.func("i", "prctl", "iLLLL")
_getpid = _libc.func("i", "getpid", "")
_kill = _libc.func("i", "kill", "ii")

read = _libc.func("i", "read", "iPi")
write = _libc.func("i", "write", "iPi")
sendto = _libc.func("i", "sendto", "iPiiPi")
recv = _libc.func("i", "recv", "iPii")
shutdown = _libc.func("i", "shutdown", "ii")
getsockopt = _libc.func("i", "getsockopt", "iiiPP")
setsockopt = _libc.func("i", "setsockopt", "iiiPi")
getsockname = _libc.func("i", "getsockname", "iPP")
getpeername = _libc.func("i", "getpeername", "iPP")
socket = _libc.func("i", "socket", "iii")
send = _libc.func("i", "send", "iPii")
# At most seven numbers, as the format says; it allocates nothing.
snprintf = _libc.func("i", "snprintf", "Pisiiiiiii")
leave = _libc.func("v", "_exit", "i")
getpid = _getpid


def map_file(path, length):
    """Map `length` bytes of a file, shared with every process that maps it; return the address."""
    fd = _open(path, _O_RDWR, 0)
    if fd < 0:
        raise OSError(2, path)
    address = _mmap(None, length, _PROT_READ_WRITE, _MAP_SHARED, fd, 0)
    _close(fd)
    if address == -1:
        raise OSError(12, path)
    return address


def bytes_of(path, length):
    """Map a file and return it as a writable buffer."""
    return uctypes.bytearray_at(map_file(path, length), length)


def append_to(path):
    """Open a file to be written at its end, made where it is not there; return the descriptor."""
    fd = _open(path, _O_WRITE_APPEND, 0o644)
    if fd < 0:
        raise OSError(2, path)
    return fd


def die_with_parent():
    """Ask the kernel to kill this process when the thread that started it is gone: no orphan keeps a port."""
    _prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)


def power_off():
    """Die as a chip without current does: nothing is flushed, nothing is closed."""
    _kill(_getpid(), _SIGKILL)
