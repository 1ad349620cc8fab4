"""The address of a broker that has a name, asked of a DNS server without blocking the loop.

MicroPython's ``getaddrinfo`` waits inside C, for seconds when the server is silent; nothing else runs meanwhile. This
asks for one IPv4 address (RFC 1035, 4.1) and no more: no cache (the client keeps the address), no search list. Nothing
here is authenticated: that the right broker answers is shown by its certificate.

Loaded where it is used, and forgotten with `mqtt_open` (`firmware.system.once`).
"""

import socket

from firmware.control.compat import const
from firmware.control.ticks import ticks_diff

from .timing import sleep_ms, ticks_ms
from .transport import LinkLost

_PORT = const(53)
_TRIES = const(3)
_TRY_MS = const(2000)
_POLL_MS = const(20)
_ANSWER_MAX = const(512)
_RECORDS_MAX = const(16)
_NAME_MAX = const(253)
_LABEL_MAX = const(63)


def is_address(host):
    """Tell whether a host is an IPv4 address already: four numbers of 0 … 255."""
    parts = host.split(".")
    if len(parts) != 4:
        return False
    for part in parts:
        if not (1 <= len(part) <= 3 and _is_digits(part) and int(part) <= 255):
            return False
    return True


def encode_query(name, query_id):
    """Return the question for the A record of ``name``; ``query_id``: 0 … 65535. Raises ValueError."""
    query = bytearray((query_id >> 8, query_id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0))
    labels = name.encode()
    if not 0 < len(labels) <= _NAME_MAX:
        raise ValueError("host name of %d bytes" % len(labels))
    for label in labels.split(b"."):
        if not 0 < len(label) <= _LABEL_MAX:
            raise ValueError("host name %s" % name)
        query.append(len(label))
        query.extend(label)
    query.extend(b"\0\0\1\0\1")
    return query


def parse_answer(data, query):
    """Return the first address of an answer as text; "" where it says that there is none; None where ``data`` is no
    answer to ``query``. Any bytes may come."""
    end = len(query)
    # The id, a response, and our question word for word, which an answer repeats (4.1.2).
    if len(data) < end or data[0] != query[0] or data[1] != query[1] or not data[2] & 0x80:
        return None
    if bytes(data[4:6]) != b"\0\1" or bytes(data[12:end]).lower() != bytes(query[12:]).lower():
        return None
    if data[3] & 15:
        return ""
    at = end
    for _ in range(min((data[6] << 8) | data[7], _RECORDS_MAX)):
        at = _skip_name(data, at)
        if at + 10 > len(data):
            return ""
        length = (data[at + 8] << 8) | data[at + 9]
        start = at + 10
        at = start + length
        if bytes(data[start - 10 : start - 6]) == b"\0\1\0\1" and length == 4 and at <= len(data):
            return "%d.%d.%d.%d" % (data[start], data[start + 1], data[start + 2], data[start + 3])
    return ""


async def resolve(name, server, chance, port=_PORT, try_ms=_TRY_MS):
    """Return the IPv4 address of ``name``, as text. ``server``: the DNS server's address (``WLAN.ifconfig()[3]``);
    ``chance(n)``: returns 0 … n - 1, unpredictable. Asks three times, ``try_ms`` each. Raises `LinkLost` ("dns")."""
    query = encode_query(name, chance(65536))
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        one.setblocking(False)
        # Connected: what others send does not get in.
        one.connect(socket.getaddrinfo(server, port, socket.AF_INET, socket.SOCK_DGRAM)[0][-1])
        for _ in range(_TRIES):
            one.send(query)
            start = ticks_ms()
            while ticks_diff(ticks_ms(), start) < try_ms:
                await sleep_ms(_POLL_MS)
                found = _receive(one, query)
                if found:
                    return found
                if found == "":
                    raise LinkLost("dns", "no address for " + name)
        raise LinkLost("dns", "no answer from " + server)
    except OSError as error:
        raise LinkLost("dns", str(error.errno))
    finally:
        one.close()


def _receive(one, query):
    try:
        data = one.recv(_ANSWER_MAX)
    except OSError as error:
        # EAGAIN (CPython and Linux 11, lwIP too): nothing yet.
        if error.errno == 11:
            return None
        raise
    return parse_answer(data, query) if data else None


def _skip_name(data, at):
    """Return where a name ends: labels, or a pointer of two bytes (4.1.4), which is not followed."""
    while at < len(data):
        length = data[at]
        if length >= 0xC0:
            return at + 2
        at += 1 + length
        if not length:
            return at
    return at


def _is_digits(text):
    for letter in text:
        if not "0" <= letter <= "9":
            return False
    return True
