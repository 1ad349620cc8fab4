"""CPython's sockets in the manner of MicroPython's: None when nothing can be done now. Never copied to a node."""

import asyncio
import ssl


class HostStream:
    """A non-blocking socket with ``readinto`` and ``write``, errors as MicroPython's ``tls`` gives them."""

    def __init__(self, stream):
        self._stream = stream
        self._is_shaking = isinstance(stream, ssl.SSLSocket)
        self._future: asyncio.Future | None = None

    def readinto(self, buffer):
        """Read into ``buffer``; return the number of bytes, 0 at the end, None when there are none now."""
        return self._call(self._stream.recv_into, buffer)

    def write(self, data):
        """Write; return the number of bytes taken, None when none can be taken now."""
        return self._call(self._stream.send, data)

    async def listen(self, ring):
        """Wait until there is something to read, and call ``ring``."""
        loop = asyncio.get_running_loop()
        self._future = loop.create_future()
        loop.add_reader(self._stream.fileno(), self._forget)
        try:
            await self._future
        finally:
            self._forget()
        ring()

    def _forget(self):
        future, self._future = self._future, None
        if future is not None:
            future.get_loop().remove_reader(self._stream.fileno())
            if not future.done():
                future.set_result(None)

    def close(self):
        """Close."""
        self._forget()
        self._stream.close()

    def _call(self, function, data):
        try:
            if self._is_shaking:
                self._stream.do_handshake()
                self._is_shaking = False
            return function(data)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            return None
        except ssl.SSLCertVerificationError as error:
            raise ValueError(error.verify_message)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return 0
        except ssl.SSLError as error:
            # -0x7780: what mbedTLS says of an alert.
            raise OSError(-0x7780 if "ALERT" in (error.reason or "") else -1, str(error.reason))
