"""Service mode without a password: a secret of this very node, proven over the serial line, and never sent over it.

The delivered node answers nothing on its serial line but this (EN 303 645, 5.6-4; IEC 62443-4-2, EDR 2.13)::

    host:  service?
    node:  challenge NODE 32-hex-digits
    host:  open 64-hex-digits           HMAC-SHA-256(service key, "reverbere service " + NODE + " " + challenge)
    node:  service                      and the application ends; or: refused

A challenge holds for one answer and for 60 s, and is drawn anew each time. Three refusals close the door for 15 min
(a key of 128 bits is not guessed in that time, it is to keep the log readable). Every opening and refusal is logged.

Loaded where it is used, and forgotten (`once`): only whoever speaks on the serial line has it in the heap.
"""

import binascii

from firmware.control.compat import const
from firmware.control.ticks import ticks_diff

_PREFIX = b"reverbere service "
_LIFE_MS = const(60000)
_TRIES = const(3)
_CLOSED_MS = const(900000)
_CHALLENGE_SIZE = const(16)
# A longer line is none of ours and is dropped.
LINE_MAX = const(80)


class ServiceDoor:
    """The door to service mode. ``key``: the node's service key, bytes; ``hmac(key, data)``: HMAC-SHA-256;
    ``random(count)``: bytes from the chip's generator; ``log(text)``: where openings and refusals are noted.

    `line` takes a line as it came and returns the answer, bytes, b"" for silence; ``is_open`` is then looked at: the
    application ends with ``"service"`` as its result, and the launcher opens the prompt for two hours.
    """

    def __init__(self, node, key, hmac, random, ticks_ms, log):
        self._node = node.encode()
        self._key = key
        self._hmac = hmac
        self._random = random
        self._ticks_ms = ticks_ms
        self._log = log
        self._challenge = b""
        self._asked_ms = 0
        self._refusals = 0
        self._closed_ms = 0
        self.is_open = False

    def line(self, line):
        """Take one line, at most ``LINE_MAX`` bytes; return what to answer."""
        line = line.strip()
        if len(line) > LINE_MAX or self._is_closed():
            return b""
        if line == b"service?":
            self._challenge = binascii.hexlify(self._random(_CHALLENGE_SIZE))
            self._asked_ms = self._ticks_ms()
            return b"challenge " + self._node + b" " + self._challenge + b"\r\n"
        if line[:5] != b"open ":
            return b""
        challenge = self._challenge
        # One answer for each challenge, right or wrong.
        self._challenge = b""
        is_right = False
        if challenge and 0 <= ticks_diff(self._ticks_ms(), self._asked_ms) <= _LIFE_MS:
            wanted = self._hmac(self._key, _PREFIX + self._node + b" " + challenge)
            is_right = _is_same(binascii.hexlify(wanted), line[5:])
        if is_right:
            self._refusals = 0
            self.is_open = True
            self._log("service mode opened by proof")
            return b"service\r\n"
        self._refusals += 1
        self._closed_ms = self._ticks_ms()
        self._log("service mode refused")
        return b"refused\r\n"

    def _is_closed(self):
        if self._refusals < _TRIES:
            return False
        if 0 <= ticks_diff(self._ticks_ms(), self._closed_ms) < _CLOSED_MS:
            return True
        self._refusals = 0
        return False


def _is_same(one, other):
    """Compare in a time that tells nothing of where they differ."""
    if len(one) != len(other):
        return False
    difference = 0
    for i in range(len(one)):
        difference |= one[i] ^ other[i]
    return difference == 0
