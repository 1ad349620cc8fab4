"""What the same night would be under the three declared baselines: full night, fixed dimming, extinction."""

from .civil import SECONDS_PER_DAY
from .compat import const

_FULL = const(1000)


class Baselines:
    """The levels of the baselines. ``times``: (dim from s, dim to s, dim level, off from s, off to s), local times.

    All three are lit from sunset to sunrise. After ``at()``: ``full``, ``fixed`` and ``extinction`` in permille, and
    ``next_s``: how long that holds at least.
    """

    def __init__(self, times):
        self._dim_from_s = times[0]
        self._dim_to_s = times[1]
        self._dim_level = times[2]
        self._off_from_s = times[3]
        self._off_to_s = times[4]
        self.full = 0
        self.fixed = 0
        self.extinction = 0
        self.next_s = SECONDS_PER_DAY

    def at(self, day: int, second: int, schedule) -> None:
        """Answer for UTC ``day`` and ``second``, which ``schedule`` was last asked for too."""
        self.next_s = SECONDS_PER_DAY
        is_night = False
        days = schedule.sun_days
        for night in range(schedule.local_day - 1, schedule.local_day + 1):
            if days.night(night, day, second):
                self._sooner(days.sunset)
                self._sooner(days.sunrise)
                if days.sunset <= 0 < days.sunrise:
                    is_night = True
        self.full = _FULL if is_night else 0
        is_dim = self._inside(self._dim_from_s, self._dim_to_s, schedule.local_s)
        self.fixed = self._dim_level if is_night and is_dim else self.full
        is_off = self._inside(self._off_from_s, self._off_to_s, schedule.local_s)
        self.extinction = 0 if is_off else self.full

    def _inside(self, start: int, end: int, local_s: int) -> bool:
        self._sooner(start - local_s)
        self._sooner(end - local_s)
        if start < end:
            return start <= local_s < end
        return local_s >= start or local_s < end

    def _sooner(self, seconds: int) -> None:
        if 0 < seconds < self.next_s:
            self.next_s = seconds
