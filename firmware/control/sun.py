"""Sunrise and sunset of a place and a day, in fixed point.

Series: J. Meeus, "Astronomical Algorithms" (2nd ed.), chapters 22, 25 and 28, in the form NOAA's solar calculator
publishes. The T² terms are left out: together they stay below 0.5 s before 2100.
"""

from .civil import SECONDS_PER_DAY
from .compat import const
from .fixed import QUARTER, TURN, arcsine, cosine, divide, multiply, sine

# The three kinds of a day.
SUN_NORMAL = const(0)
POLAR_DAY = const(1)
POLAR_NIGHT = const(2)

# The centre of the sun is this far above the horizon, in millionths of a degree, when its upper edge appears: half its
# diameter (0.2667°) and the refraction there (0.5224°), as the `astral` library has it. Almanacs round to -0.8333°.
ALTITUDE_UDEG = const(-789100)

_PASSES = const(4)


def turn_from_udeg(angle_udeg: int) -> int:
    """Return an angle of millionths of a degree in 2^22 of a turn. For start-up only: it may allocate on 32 bits."""
    return (angle_udeg * TURN + 180000000) // 360000000


class Sun:
    """Sunrise, transit and sunset at one place.

    ``latitude_udeg`` (-90e6 … 90e6, north positive) and ``longitude_udeg`` (-180e6 … 180e6, east positive) are in
    millionths of a degree. ``of(day)`` sets ``kind``, ``rise_s``, ``transit_s`` and ``set_s``: seconds from UTC
    midnight of ``day`` (they may lie outside 0 … 86400). On a polar day and in a polar night rise and set are the
    transit, and ``kind`` says which it is.
    """

    def __init__(self, latitude_udeg: int, longitude_udeg: int, altitude_udeg: int = ALTITUDE_UDEG):
        latitude = turn_from_udeg(latitude_udeg)
        self._sin_latitude = sine(latitude)
        self._cos_latitude = cosine(latitude)
        self._sin_altitude = sine(turn_from_udeg(altitude_udeg))
        # Solar mean noon in UTC: 240 s for each degree.
        self.mean_noon_s = 43200 - (longitude_udeg * 240 + 500000) // 1000000
        self.kind = SUN_NORMAL
        self.rise_s = 0
        self.transit_s = 0
        self.set_s = 0
        self._sin_declination = 0
        self._cos_declination = 0
        self._equation_s16 = 0

    def of(self, day: int) -> None:
        """Work out ``day`` (0 = 2000-01-01, up to 2199). See the class for what it sets."""
        transit = self.mean_noon_s
        self._position(day, transit)
        transit -= self._equation_s16 >> 4
        self._position(day, transit)
        self.transit_s = self.mean_noon_s - (self._equation_s16 >> 4)
        self.kind = SUN_NORMAL
        self.rise_s = self._crossing(day, -1)
        self.set_s = self._crossing(day, 1)
        if self.kind != SUN_NORMAL:
            # At the edge of the polar season one crossing may still exist; half a day is not a day.
            self.rise_s = self.transit_s
            self.set_s = self.transit_s

    def _crossing(self, day: int, sign: int) -> int:
        """Return when the sun crosses the altitude before (sign -1) or after (+1) the transit; may set ``kind``."""
        moment = self.transit_s
        for _ in range(_PASSES):
            self._position(day, moment)
            arc = self._half_arc_s()
            if arc < 0:
                return self.transit_s
            moment = self.mean_noon_s - (self._equation_s16 >> 4) + sign * arc
        return moment

    def _half_arc_s(self) -> int:
        """Return the time between transit and crossing in s, or -1 when there is none (then ``kind`` is set)."""
        scale = multiply(self._cos_latitude, self._cos_declination)
        height = self._sin_altitude - multiply(self._sin_latitude, self._sin_declination)
        if scale < 1:
            scale = 1
        if height >= scale:
            self.kind = POLAR_NIGHT
            return -1
        if height <= -scale:
            self.kind = POLAR_DAY
            return -1
        angle = QUARTER - arcsine(divide(height, scale))
        # 86400 s for 2^22 parts, in two steps that stay within 30 bits.
        return (angle * 225 // 128 * 3 + 128) // 256

    def _position(self, day: int, second: int) -> None:
        """Set declination and equation of time for ``second`` seconds (-86400 … 172800) after UTC midnight of day."""
        # The angles advance with whole days and then with the seconds since noon: J2000.0 is noon of day 0. Rates are
        # in parts of 2^22 of a turn per day, with 13 more bits in the second term, so that day · rate fits 30 bits.
        second -= SECONDS_PER_DAY // 2
        anomaly = 4165516 + 11483 * day + (619 * day >> 13) + 11483 * (second >> 4) // 5400
        longitude = 3267671 + 11483 * day + (5112 * day >> 13) + 11483 * (second >> 4) // 5400
        node = 1456822 - 617 * day + (360 * day >> 13)
        sin_anomaly = sine(anomaly)
        centre = (
            multiply(sin_anomaly, 22307 - day // 651)
            + multiply(sine(2 * (anomaly & (TURN - 1))), 233)
            + multiply(sine(3 * (anomaly & (TURN - 1))), 3)
        )
        apparent = longitude + centre - 66 - multiply(sine(node), 56)
        obliquity = 273088 - day // 241
        self._sin_declination = multiply(sine(obliquity + multiply(cosine(node), 30)), sine(apparent))
        self._cos_declination = cosine(arcsine(self._sin_declination))
        twice = 2 * (longitude & (TURN - 1))
        # The equation of time (Meeus 28.3), in sixteenths of a second.
        self._equation_s16 = (
            multiply(sine(twice), 9468 - day // 3382)
            - multiply(sin_anomaly, 7352 - day // 1975)
            + multiply(multiply(sin_anomaly, cosine(twice)), 633)
            - multiply(sine(2 * twice), 204)
            - multiply(sine(2 * (anomaly & (TURN - 1))), 77)
        )
