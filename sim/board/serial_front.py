"""A terminal that makes a virtual board look like one on a serial cable: real mpremote connects to it.

A pseudo terminal stays open while the board is made and remade by resets; each start of the process gets a socket of
its own for what is typed. Line ends go out as the chip sends them, CR LF.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import tty

_IDLE_S = 0.1


class SerialFront:
    """The terminal (`path`) and the thread that carries what is typed to the board."""

    def __init__(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        self._line: socket.socket | None = None
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._carry, name="serial", daemon=True)
        self._thread.start()

    def plug(self) -> socket.socket:
        """Return the board's end for a new process; what was typed to the old one is gone with it."""
        here, there = socket.socketpair()
        old, self._line = self._line, here
        if old is not None:
            old.close()
        return there

    def show(self, data: bytes) -> None:
        """Send what the board has printed; what nobody reads is lost, as on a cable."""
        data = data.replace(b"\n", b"\r\n")
        while data:
            try:
                data = data[os.write(self._master, data) :]
            except BlockingIOError:
                _, ready, _ = select.select([], [self._master], [], _IDLE_S)
                if not ready:
                    return
            except OSError:
                return

    def _carry(self) -> None:
        while not self._is_over.is_set():
            ready, _, _ = select.select([self._master], [], [], _IDLE_S)
            if not ready:
                continue
            try:
                data = os.read(self._master, 4096)
            except OSError:
                continue
            line = self._line
            if line is not None:
                with contextlib.suppress(OSError):
                    line.sendall(data)

    def close(self) -> None:
        """End the thread, close the terminal."""
        if self._is_over.is_set():
            return
        self._is_over.set()
        self._thread.join(timeout=5)
        if self._line is not None:
            self._line.close()
        os.close(self._master)
        os.close(self._slave)
