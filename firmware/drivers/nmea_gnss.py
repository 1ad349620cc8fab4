"""Any GNSS receiver that speaks NMEA 0183 on a UART: time and position from RMC and GGA.

Sources: NMEA 0183 as published by receivers' makers (u-blox "Receiver Description including Protocol Specification",
chapter NMEA protocol): sentence and check sum, RMC, GGA; IS-GPS-200 20.3.3.3.1.1: the week number has 10 bits, so a
receiver may be 1,024 weeks (7,168 days) early or several times that: such a date is moved on until it is not before
the firmware's build date. reliability.md, fault row 9: 0, 0 is no position; that it moved 200 m is the caller's to see.
"""

from ..control.compat import const
from .civil_date import day_of_date
from .contract import UNKNOWN, OutOfRange

BAUDRATE = const(9600)
UNKNOWN_UDEG = const(0x3FFFFFFF)

# The standard says 82 characters with $ and line end; receivers with more digits send a few more.
_LINE_MAX = const(100)
_FIELDS_MAX = const(20)
_ALIVE_MS = const(5000)
_CHUNK = const(64)
_CHUNKS_A_POLL = const(16)
_ROLLOVER_DAYS = const(7168)
_RING = const(0x3FFFFFFF)

# Modes of RMC that are no fix: dead reckoning by estimate, typed in by hand, not valid, simulated.
_NO_FIX_MODES = b"EMNS"


class NmeaGnss:
    """A receiver. ``build_day``: the firmware's build date as a day number (0 = 2000-01-01), 7305 or more.

    From RMC with status A: ``day``, ``second``, ``ms`` (as `control.clock.ClockTrust.report` takes them; true when the
    sentence began, so 50 to 900 ms old), ``rollovers`` (how many times 1,024 weeks were added), ``latitude_udeg``,
    ``longitude_udeg`` in millionths of a degree, north and east positive (`UNKNOWN_UDEG` without one). From GGA:
    ``quality`` (0 none, 1 GPS, 2 differential, 4, 5 RTK), ``satellites``, ``hdop_e2``. ``fixes`` counts sentences that
    set time and position; ``errors`` those refused for check sum or content. A refused one changes nothing else.

    Some receivers are a few seconds off UTC until they have heard the leap seconds (12.5 min of sky at most): the
    caller's clock rules, which want two reports or a small step, have the last word.
    """

    def __init__(self, uart, build_day, name="nmea_gnss"):
        if not 7305 <= build_day <= 73048:
            raise OutOfRange(name, "build_day is 7305 to 73048")
        self.day = UNKNOWN
        self.second = UNKNOWN
        self.ms = 0
        self.rollovers = 0
        self.latitude_udeg = UNKNOWN_UDEG
        self.longitude_udeg = UNKNOWN_UDEG
        self.quality = 0
        self.satellites = UNKNOWN
        self.hdop_e2 = UNKNOWN
        self.fixes = 0
        self.errors = 0
        self._uart = uart
        self._build_day = build_day
        self._build_year = 2000 + build_day * 4 // 1461
        self._chunk = bytearray(_CHUNK)
        self._line = bytearray(_LINE_MAX)
        self._count = 0
        self._is_inside = False
        self._begins = bytearray(_FIELDS_MAX + 1)
        self._fields = 0
        self._sentences = 0
        self._sentences_seen = 0
        self._is_heard = False
        self._heard_ms = 0

    def poll(self, now_ms):
        """Take what the UART has (1,024 bytes at most); return 1 when a new fix came, else 0. Blocks 20 ms at most."""
        fixes = self.fixes
        for _ in range(_CHUNKS_A_POLL):
            count = self._uart.readinto(self._chunk) if self._uart.any() else 0
            if not count:
                break
            for i in range(count):
                self.feed(self._chunk[i])
        if self._sentences != self._sentences_seen:
            self._sentences_seen = self._sentences
            self._is_heard = True
            self._heard_ms = now_ms
        elif self._is_heard and ((now_ms - self._heard_ms) & _RING) > _ALIVE_MS:
            self._is_heard = False
        return 1 if self.fixes != fixes else 0

    def is_alive(self, now_ms):
        """Return True when a sentence with a good check sum came within five seconds, with a fix or without."""
        return self._is_heard and ((now_ms - self._heard_ms) & _RING) <= _ALIVE_MS

    def feed(self, byte):
        """Take one byte. A line goes from ``$`` to a line end; what lies outside or is too long is dropped."""
        if byte == 0x24:
            self._is_inside = True
            self._count = 0
        elif not self._is_inside:
            return
        elif byte in (10, 13):
            self._is_inside = False
            if self._count:
                self._take_line()
        elif self._count == _LINE_MAX or not 0x20 <= byte <= 0x7E:
            self._is_inside = False
            self.errors = (self.errors + 1) & _RING
        else:
            self._line[self._count] = byte
            self._count += 1

    def _take_line(self):
        line = self._line
        star = self._count - 3
        if star < 6 or line[star] != 0x2A:
            self.errors = (self.errors + 1) & _RING
            return
        check = 0
        for i in range(star):
            check ^= line[i]
        if _hex(line[star + 1]) << 4 | _hex(line[star + 2]) != check:
            self.errors = (self.errors + 1) & _RING
            return
        self._sentences = (self._sentences + 1) & _RING
        self._split(star)
        if line[0] == 0x50 or self._begins[1] != 6:
            # Proprietary ($P...), or not a talker of two and a formatter of three letters.
            return
        is_good = True
        if line[2] == 0x52 and line[3] == 0x4D and line[4] == 0x43:
            is_good = self._take_rmc()
        elif line[2] == 0x47 and line[3] == 0x47 and line[4] == 0x41:
            is_good = self._take_gga()
        if not is_good:
            self.errors = (self.errors + 1) & _RING

    def _split(self, end):
        # Field n lies from _begins[n] to _begins[n + 1] - 1; what comes after the twentieth is left out.
        self._begins[0] = 0
        fields = 0
        for i in range(end):
            if self._line[i] == 0x2C:
                fields += 1
                self._begins[fields] = i + 1
                if fields == _FIELDS_MAX:
                    break
        else:
            fields += 1
            self._begins[fields] = end + 1
        self._fields = fields

    def _letter(self, field):
        """Return the only character of a field, 0 for an empty one, -1 for more."""
        if field >= self._fields:
            return 0
        length = self._begins[field + 1] - 1 - self._begins[field]
        if length == 0:
            return 0
        return self._line[self._begins[field]] if length == 1 else -1

    def _digits(self, at, count):
        """Return ``count`` digits from ``at`` as a number, -1 when one is no digit."""
        value = 0
        for i in range(at, at + count):
            digit = self._line[i] - 0x30
            if not 0 <= digit <= 9:
                return -1
            value = value * 10 + digit
        return value

    def _fixed(self, field, whole, places):
        """Return a decimal number times 10^``places``, -1 for none; ``whole`` digits before the point (0: 1 … 4)."""
        if field >= self._fields:
            return -1
        at = self._begins[field]
        end = self._begins[field + 1] - 1
        point = at
        while point < end and self._line[point] != 0x2E:
            point += 1
        if point - at != whole if whole else not 1 <= point - at <= 4:
            return -1
        value = self._digits(at, point - at)
        if value < 0:
            return -1
        for i in range(point + 1, end):
            digit = self._line[i] - 0x30
            if not 0 <= digit <= 9:
                return -1
            if places:
                value = value * 10 + digit
                places -= 1
        for _ in range(places):
            value *= 10
        return value

    def _angle_udeg(self, field, degree_digits, positive, negative, limit):
        """Return millionths of a degree of ``ddmm.mmmm`` and its letter; `UNKNOWN_UDEG` when it is none."""
        at = self._begins[field]
        if field + 1 >= self._fields or self._begins[field + 1] - 1 - at < degree_digits + 2:
            return UNKNOWN_UDEG
        degrees = self._digits(at, degree_digits)
        # The minutes are a field of their own for a moment.
        self._begins[field] = at + degree_digits
        minutes_e6 = self._fixed(field, 2, 6)
        self._begins[field] = at
        letter = self._letter(field + 1)
        if degrees < 0 or not 0 <= minutes_e6 < 60000000 or (letter != positive and letter != negative):
            return UNKNOWN_UDEG
        udeg = degrees * 1000000 + (minutes_e6 + 30) // 60
        if udeg > limit:
            return UNKNOWN_UDEG
        return -udeg if letter == negative else udeg

    def _take_rmc(self):
        if self._fields < 10:
            return False
        mode = self._letter(12)
        if self._letter(2) != 0x41 or (mode > 0 and mode in _NO_FIX_MODES):
            # No fix: well said, nothing learnt.
            return True
        time = self._fixed(1, 6, 3)
        if time < 0 or self._begins[10] - 1 - self._begins[9] != 6:
            return False
        second = time // 1000
        hour = second // 10000
        minute = second // 100 % 100
        second %= 100
        date = self._digits(self._begins[9], 6)
        if date < 0 or hour > 23 or minute > 59 or second > 59:
            # A leap second (60) is refused with the rest: the next sentence is as good.
            return False
        # The century in which the date is within 50 years of the build date.
        year = self._build_year - 50
        year += (date % 100 - year) % 100
        day = day_of_date(year, date // 100 % 100, date // 10000)
        if day is None:
            return False
        rollovers = 0
        while day < self._build_day:
            day += _ROLLOVER_DAYS
            rollovers += 1
        latitude = self._angle_udeg(3, 2, 0x4E, 0x53, 90000000)
        longitude = self._angle_udeg(5, 3, 0x45, 0x57, 180000000)
        if latitude == UNKNOWN_UDEG or longitude == UNKNOWN_UDEG or (latitude == 0 and longitude == 0):
            return False
        self.day = day
        self.second = hour * 3600 + minute * 60 + second
        self.ms = time % 1000
        self.rollovers = rollovers
        self.latitude_udeg = latitude
        self.longitude_udeg = longitude
        self.fixes = (self.fixes + 1) & _RING
        return True

    def _take_gga(self):
        if self._fields < 9:
            return False
        quality = self._letter(6) - 0x30
        if not 0 <= quality <= 8:
            return False
        satellites = UNKNOWN
        hdop_e2 = UNKNOWN
        if self._begins[8] - 1 > self._begins[7]:
            satellites = self._fixed(7, 0, 0)
            if not 0 <= satellites <= 99:
                return False
        if self._begins[9] - 1 > self._begins[8]:
            hdop_e2 = self._fixed(8, 0, 2)
            if hdop_e2 < 0:
                return False
        # 6 estimated, 7 by hand, 8 simulated, 3 military: no fix of ours (4 and 5 are RTK).
        self.quality = quality if quality in (1, 2, 4, 5) else 0
        self.satellites = satellites
        self.hdop_e2 = hdop_e2
        return True


def _hex(character):
    if 0x30 <= character <= 0x39:
        return character - 0x30
    if 0x41 <= character <= 0x46:
        return character - 0x37
    if 0x61 <= character <= 0x66:
        return character - 0x57
    return 256


def fuzz_nmea(data):
    """Feed any bytes to a fresh parser; return (fixes, errors, day, second, latitude, longitude, quality)."""
    gnss = NmeaGnss(None, 9497)
    for one in data:
        gnss.feed(one)
    return gnss.fixes, gnss.errors, gnss.day, gnss.second, gnss.latitude_udeg, gnss.longitude_udeg, gnss.quality
