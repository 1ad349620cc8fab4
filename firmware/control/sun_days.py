"""The sun's times of the days around now, worked out once each."""

from .civil import SECONDS_PER_DAY
from .compat import const
from .sun import POLAR_DAY, POLAR_NIGHT

# Yesterday, today, tomorrow, and room for the next. A power of two.
_DAYS = const(4)


class SunDays:
    """Sunrise, transit and sunset of local days. ``of(day)`` returns the slot that holds them.

    ``kind``, ``rise_s``, ``transit_s`` and ``set_s`` are lists over slots, as `Sun` has them: relative to UTC midnight
    of the local day's number.
    """

    def __init__(self, sun, standard_offset_s: int):
        self._sun = sun
        # Where the zone lies across the date line from its meridian (Kiribati), the sun's day is not the civil one.
        self._shift = -((sun.mean_noon_s + standard_offset_s) // SECONDS_PER_DAY)
        self._day = [-1] * _DAYS
        self.kind = [0] * _DAYS
        self.rise_s = [0] * _DAYS
        self.transit_s = [0] * _DAYS
        self.set_s = [0] * _DAYS
        self.sunset = 0
        self.sunrise = 0
        self.has_sunset = False
        self.has_sunrise = False

    def night(self, night: int, day: int, second: int) -> bool:
        """Set ``sunset`` and ``sunrise`` of the night that begins on local day ``night``, in s from UTC ``day`` and
        ``second``; False if it has none. ``has_sunset`` and ``has_sunrise`` tell whether they are the sun's own.

        The polar night lasts from transit to transit. On a polar day no night begins; where the next day has no
        sunrise, the night before it ends at the sun's lowest point.
        """
        base = (night - day) * SECONDS_PER_DAY - second
        evening = self.of(night)
        kind = self.kind[evening]
        if kind == POLAR_DAY:
            return False
        self.has_sunset = kind != POLAR_NIGHT
        self.sunset = base + (self.set_s[evening] if self.has_sunset else self.transit_s[evening])
        base += SECONDS_PER_DAY
        morning = self.of(night + 1)
        kind = self.kind[morning]
        self.has_sunrise = kind != POLAR_NIGHT and kind != POLAR_DAY
        if self.has_sunrise:
            self.sunrise = base + self.rise_s[morning]
        elif kind == POLAR_NIGHT:
            self.sunrise = base + self.transit_s[morning]
        else:
            self.sunrise = base + self.transit_s[morning] - SECONDS_PER_DAY // 2
        return True

    def of(self, local_day: int) -> int:
        """Return the slot of a local day."""
        slot = local_day & (_DAYS - 1)
        if self._day[slot] != local_day:
            sun = self._sun
            sun.of(local_day + self._shift)
            shift_s = self._shift * SECONDS_PER_DAY
            self._day[slot] = local_day
            self.kind[slot] = sun.kind
            self.rise_s[slot] = sun.rise_s + shift_s
            self.transit_s[slot] = sun.transit_s + shift_s
            self.set_s[slot] = sun.set_s + shift_s
        return slot
