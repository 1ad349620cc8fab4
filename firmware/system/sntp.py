"""The time from a server: an SNTP client (RFC 4330, RFC 5905) that never blocks the loop and believes nothing unseen.

A reply counts when it comes from the asked address (the socket is connected to it), is a server's (mode 4) with a
version of 3 or 4, echoes the random originate timestamp of the one open request (RFC 4330, section 5, check 2: without
it anybody may set the clock), has a stratum of 1 … 15, a leap indicator other than 3 (the server is not synchronised),
a transmit time that is not 0, a root distance of at most 1.5 s (RFC 5905, MAXDIST), and came back within a second. A
kiss-of-death (stratum 0; RFC 5905, section 7.4) is obeyed: RATE doubles the wait, DENY and RSTR end the questions for a
day. Leap seconds are ignored: `ClockTrust` keeps below 2 s.

Resolving a name blocks (micropython.md, 20): the caller passes an address, as `socket.getaddrinfo` gave it once.

Loaded where it is used, and forgotten (`once`): a question an hour needs no client in between.
"""

import asyncio
import socket

from firmware.control.compat import const
from firmware.control.ticks import ticks_diff

PACKET_SIZE = const(48)
PORT = const(123)

# NTP counts seconds from 1900-01-01; day 0 of ours is 2000-01-01, 36524 days later. With the highest bit clear it is
# era 1, from 2036-02-07 06:28:16 to 2104 (RFC 4330, section 3).
_DAY_2000 = const(36524)
_ERA_DAYS = const(49710)
_ERA_SECONDS = const(23296)

_WAIT_MS = const(2000)
_ROUND_MAX_MS = const(1000)
_LOOK_S = 0.01
# The server's own error: 1.5 s in units of 2^-16 s.
_DISTANCE_MAX = const(98304)
# Between questions: an hour while all is well; after failures from 64 s on, doubled up to 9 h; a day when told off.
_PERIOD_S = const(3600)
_WAIT_FIRST_S = const(64)
_WAIT_MAX_S = const(32768)
_TOLD_OFF_S = const(86400)


class SntpError(Exception):
    """A reply that is not believed; ``what`` says why."""

    def __init__(self, what):
        super().__init__("sntp: " + what)
        self.what = what


class KissOfDeath(SntpError):
    """The server asks to be left alone; ``code``: RATE, DENY, RSTR or another of RFC 5905, section 7.4."""

    def __init__(self, code):
        super().__init__("kiss of death " + code)
        self.code = code


class Reply:
    """What a reply says: UTC ``day``, ``second``, ``ms`` when it was sent; ``held_ms``: how long the server had it;
    ``distance_ms``: how wrong the server itself may be; ``stratum``."""

    def __init__(self, packet, origin):
        if len(packet) < PACKET_SIZE:
            raise SntpError("reply of %d bytes" % len(packet))
        first = packet[0]
        if first & 7 != 4:
            raise SntpError("mode %d, not a server" % (first & 7))
        if first >> 3 & 7 not in (3, 4):
            raise SntpError("version %d" % (first >> 3 & 7))
        # Before anything that the reply asks for: only who saw the question may say so.
        if bytes(packet[24:32]) != bytes(origin):
            raise SntpError("not an answer to the question")
        self.stratum = packet[1]
        if self.stratum == 0:
            raise KissOfDeath(_code_of(packet))
        if self.stratum > 15:
            raise SntpError("stratum %d" % self.stratum)
        if first >> 6 == 3:
            raise SntpError("server is not synchronised")
        if not any(packet[40:48]):
            raise SntpError("no time in it")
        distance = _u32(packet, 4) // 2 + _u32(packet, 8)
        if distance > _DISTANCE_MAX:
            raise SntpError("server too far from the time")
        self.distance_ms = distance * 1000 // 65536
        self.day, self.second, self.ms = time_of(packet, 40)
        day, second, ms = time_of(packet, 32)
        if not -1 <= self.day - day <= 1:
            raise SntpError("held for days")
        self.held_ms = (self.day - day) * 86400000 + (self.second - second) * 1000 + self.ms - ms


def time_of(packet, at):
    """Return (day, second, ms) of the 8-byte timestamp at ``at``; day 0 is 2000-01-01, from 1968 to 2104."""
    # Two halves, so that nothing goes beyond 30 bits; 65536 / 86400 is 512 / 675.
    high = packet[at] << 8 | packet[at + 1]
    low = packet[at + 2] << 8 | packet[at + 3]
    day = high * 512 // 675 - _DAY_2000
    second = high * 512 % 675 * 128 + low
    if not high & 0x8000:
        day += _ERA_DAYS
        second += _ERA_SECONDS
    day += second // 86400
    ms = (packet[at + 4] << 8 | packet[at + 5]) * 1000 >> 16
    return day, second % 86400, ms


def _code_of(packet):
    code = ""
    for byte in packet[12:16]:
        code += chr(byte) if 65 <= byte <= 90 else "?"
    return code


def _u32(data, at):
    return data[at] << 24 | data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3]


class SntpClient:
    """Asks one server. ``address``: a socket address of `getaddrinfo`; ``random(count)``: bytes nobody can guess.

    ``query()`` asks once and returns True when the time is known: UTC was ``day``, ``second``, ``ms`` at ``tick``, give
    or take ``error_ms``. ``wait_s``: how long to wait before the next question. ``refused`` counts replies that were
    not believed, ``what`` says what the last question came to. ``fared``: what the next client of the same server is
    to begin with, None for the first: the pace that it has asked for, and failures in a row.
    """

    def __init__(self, address, random, ticks_ms, fared=None):
        self._address = address
        self._random = random
        self._ticks_ms = ticks_ms
        self._period_s: int = fared[0] if fared else _PERIOD_S
        self._failures: int = fared[1] if fared else 0
        self.tick = 0
        self.day = 0
        self.second = 0
        self.ms = 0
        self.error_ms = 0
        self.wait_s = 0
        self.refused = 0
        self.what = ""

    @property
    def fared(self):
        """What the next client of this server begins with."""
        return self._period_s, self._failures

    async def query(self):
        """Ask, and wait for at most 2 s; True when the time is known. It raises nothing but a cancellation."""
        line = None
        try:
            line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            line.setblocking(False)
            # From here on the stack drops what others send.
            line.connect(self._address)
            origin = self._random(8)
            request = bytearray(PACKET_SIZE)
            request[0] = 0x23
            request[40:48] = origin
            sent = self._ticks_ms()
            line.send(request)
            is_known = await self._receive(line, origin, sent)
        except KissOfDeath as error:
            self.what = error.what
            if error.code == "RATE":
                self._period_s = min(self._period_s * 2, _TOLD_OFF_S)
                self.wait_s = self._period_s
            else:
                self.wait_s = _TOLD_OFF_S
            return False
        except OSError as error:
            self.what = "no network, errno %s" % (error.args[0] if error.args else "?")
            is_known = False
        finally:
            if line is not None:
                line.close()
        if is_known:
            self.what = "ok"
            self._failures = 0
            self.wait_s = self._period_s
            return True
        self.wait_s = min(_WAIT_FIRST_S << min(self._failures, 9), _WAIT_MAX_S)
        self._failures += 1
        return False

    async def _receive(self, line, origin, sent):
        self.what = "no answer"
        while True:
            tick = self._ticks_ms()
            if ticks_diff(tick, sent) > _WAIT_MS:
                return False
            try:
                packet = line.recv(PACKET_SIZE + 20)
            except OSError as error:
                # EAGAIN: nothing there yet. Anything else ends the question.
                if not error.args or error.args[0] not in (11, 35):
                    raise
                await asyncio.sleep(_LOOK_S)
                continue
            try:
                if self._take(Reply(packet, origin), tick, ticks_diff(tick, sent)):
                    return True
            except KissOfDeath:
                raise
            except SntpError as error:
                self.what = error.what
            # A forged answer must not keep the real one out: go on listening.
            self.refused += 1

    def _take(self, reply, tick, round_ms):
        """Take over a reply that came back after ``round_ms``; False when the way was too long or makes no sense."""
        way_ms = round_ms - reply.held_ms
        if round_ms > _ROUND_MAX_MS or way_ms < -50 or reply.held_ms < 0:
            self.what = "round trip of %d ms" % round_ms
            return False
        if way_ms < 0:
            way_ms = 0
        ms = reply.ms + way_ms // 2
        second = reply.second + ms // 1000
        self.ms = ms % 1000
        self.second = second % 86400
        self.day = reply.day + second // 86400
        self.tick = tick
        # Half the way if it was all in one direction, the loop's look, the server's own error.
        self.error_ms = way_ms // 2 + 10 + reply.distance_ms
        return True
