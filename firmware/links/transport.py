"""One TCP or TLS connection that never blocks: every call returns at once, whoever calls it keeps the deadlines.

The TLS handshake runs inside reads and writes of a non-blocking socket (``do_handshake_on_connect=False``), because
MicroPython's blocking one can stop the loop until the watchdog bites (reliability.md, C2). One piece of it cannot be
divided: the signatures and the key agreement that mbedTLS computes in one call, about 3 ms on a desktop processor.

Whatever fails becomes an `MqttError` with a short ``what``, and the socket is closed by whoever catches it.
"""

import asyncio
import select
import socket

from firmware.control.compat import const

from .mqtt_packets import MqttError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# A connection in progress, or nothing to read yet: Linux EAGAIN, EINPROGRESS; lwIP on the ESP32 says 118 … 120 too.
_BUSY = (11, 115, 118, 119, 120)
_CLOSED_NOTIFY = const(-0x7880)


class LinkLost(MqttError):
    """The connection is gone, or did not come up: "tcp", "closed", "timeout connect", "timeout ping", …

    Or TLS refused: "tls name", "tls expired", "tls not yet valid", "tls untrusted", "tls revoked" (the broker's
    certificate), "tls certificate" (an interpreter that does not say why), "tls alert" (the broker refuses ours),
    "tls closed", "tls memory", "tls" (anything else; the detail has mbedTLS's number).
    """


class Transport:
    """A connection. ``tls_context``: None for plain TCP; ``server_name``: what the broker's certificate must bear."""

    def __init__(self, tls_context=None, server_name=""):
        self._tls_context = tls_context
        self._server_name = server_name
        self._socket: Any = None
        self._stream: Any = None
        self._poll: Any = None
        self.is_open = False
        # Between the start of TLS and the first byte it has carried.
        self.is_shaking = False

    @property
    def has_tls(self):
        """Tell whether it is TLS."""
        return self._tls_context is not None

    def begin(self, address):
        """Start to connect to what ``socket.getaddrinfo`` has given. Raises `LinkLost`."""
        self.close()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            self._socket.setblocking(False)
            self._poll = select.poll()
            self._poll.register(self._socket, select.POLLOUT)
            self._socket.connect(address)
        except OSError as error:
            if error.errno not in _BUSY:
                raise LinkLost("tcp", str(error.errno))

    def is_connected(self):
        """Tell whether TCP stands; then it is wrapped into TLS, and ``is_open``. Raises `LinkLost`."""
        if self.is_open:
            return True
        events = self._poll.poll(0)
        if not events:
            return False
        if events[0][1] & (select.POLLERR | select.POLLHUP):
            raise LinkLost("tcp", "refused")
        self._poll.unregister(self._socket)
        self._poll = None
        self._stream = self._socket
        if self._tls_context is not None:
            self.is_shaking = True
            try:
                self._stream = self._tls_context.wrap_socket(
                    self._socket, server_hostname=self._server_name, do_handshake_on_connect=False
                )
            except (OSError, ValueError, TypeError) as error:
                raise self._tls_error(error)
            except MemoryError:
                raise LinkLost("tls memory")
        if not hasattr(self._stream, "readinto"):  # CPython's sockets
            from .host_stream import HostStream

            self._stream = HostStream(self._stream)
            self.listen = self._stream.listen  # type: ignore[method-assign]
        self.is_open = True
        return True

    def listen(self, ring):
        """Wait, as `asyncio.Stream` does, until there is something to read, or nothing more to come, and call ``ring``.

        Only after `read_into` has returned 0: TLS has then decrypted all it had, and what it lacks comes by the socket.
        """
        yield asyncio.core._io_queue.queue_read(self._socket)  # type: ignore[attr-defined]
        ring()

    def read_into(self, buffer):
        """Read what there is; return the number of bytes, 0 for none now. Raises `LinkLost`."""
        try:
            count = self._stream.readinto(buffer)
        except (OSError, ValueError) as error:
            if self._is_busy(error):
                return 0
            raise self._error(error)
        if count is None:
            return 0
        if count == 0:
            raise LinkLost("tls closed") if self.is_shaking else LinkLost("closed")
        return count

    def write(self, data):
        """Write what can be written now; return the number of bytes taken. Raises `LinkLost`.

        After 0 the next call must bring the same bytes: TLS may hold them half-sent.
        """
        try:
            count = self._stream.write(data)
        except (OSError, ValueError) as error:
            if self._is_busy(error):
                return 0
            raise self._error(error)
        if not count:
            return 0
        self.is_shaking = False
        return count

    def close(self):
        """Close whatever is open; it may be called at any time, twice too."""
        self.is_open = False
        self.is_shaking = False
        if self._poll is not None and self._socket is not None:
            try:
                self._poll.unregister(self._socket)
            except (OSError, KeyError, ValueError):
                pass
        self._poll = None
        # TLS first: it says goodbye; then the socket, which closing TLS may or may not have closed.
        for one in (self._stream, self._socket):
            if one is not None:
                try:
                    one.close()
                except (OSError, ValueError):
                    pass
        self._stream = None
        self._socket = None

    def _is_busy(self, error):
        return isinstance(error, OSError) and error.errno in _BUSY

    def _error(self, error):
        code = error.errno if isinstance(error, OSError) and error.errno is not None else 0
        if self._tls_context is None:
            return LinkLost("closed", str(code))
        if code == _CLOSED_NOTIFY and not self.is_shaking:
            return LinkLost("closed", "by the broker")
        # mbedTLS's own errors are negative; a positive one is the network's.
        if code > 0:
            return LinkLost("tls closed", str(code)) if self.is_shaking else LinkLost("closed", str(code))
        return self._tls_error(error)

    def _tls_error(self, error):
        from .tls_errors import tls_error

        return tls_error(error)
