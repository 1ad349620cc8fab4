"""The sun's times of the days around now, worked out once each."""

from .civil import SECONDS_PER_DAY
from .compat import const

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
