"""When a control program is active (TALQ 2.7.1, ActivePeriod and its five kinds). Outside, the actuator is off."""

from .inputs import UNKNOWN
from .plan_format import (
    CHANNEL_EXTERNAL,
    CHANNEL_LUX,
    CHANNEL_NEIGHBOURS,
    CHANNEL_PRESENCE,
    NO_PROGRAM,
    PERIOD_ABSOLUTE,
    PERIOD_ASTRO_AND_SENSOR,
    PERIOD_ASTRO_CLOCK,
    PERIOD_SENSOR,
    PERIODS_MAX,
    VALUE_EQ,
    VALUE_GE,
    VALUE_GT,
    VALUE_LE,
    VALUE_NE,
)


class ActivePeriods:
    """Answers for the program that `Plan.select` has chosen.

    The caller sets ``next_s`` and ``is_held`` (the schedule's clock stands still) before ``at()``; after it ``next_s``
    is the least time in s to a moment at which an answer may change, and ``is_sensing`` tells whether it may change
    with presence, own or of neighbours, too.
    """

    def __init__(self, plan, sun_days):
        self._plan = plan
        self._days = sun_days
        self._program = NO_PROGRAM
        # What each period's sensor said last: dark until it has said bright. A sensor that has not spoken is dark.
        self._is_dark = [1] * PERIODS_MAX
        self.next_s = 0
        self.is_held = False
        self.is_sensing = False
        self._start = 0
        self._end = 0
        self._sunset = 0
        self._sunrise = 0

    def at(self, program: int, day: int, second: int, local_day: int, local_s: int, seen) -> bool:
        """Tell whether any period is active. None at all means the whole day."""
        plan = self._plan
        self.is_sensing = False
        if program != self._program:
            self._program = program
            for i in range(PERIODS_MAX):
                self._is_dark[i] = 1
        if plan.periods == 0:
            return True
        active = False
        for i in range(plan.periods):
            if plan.period_kind(i) >= PERIOD_ASTRO_AND_SENSOR and plan.period_channel(i) <= CHANNEL_NEIGHBOURS:
                self.is_sensing = True
            # All are asked, even when one is already active: each knows the next moment of its own.
            if self._is_active(i, day, second, local_day, local_s, seen):
                active = True
        return active

    def memory(self) -> int:
        """Return what the sensors said last, and in which program, for `recall()`."""
        bits = self._program << PERIODS_MAX
        for i in range(PERIODS_MAX):
            bits |= self._is_dark[i] << i
        return bits

    def recall(self, memory: int) -> None:
        """Take back what `memory()` returned: whoever looked ahead has seen nothing."""
        self._program = memory >> PERIODS_MAX
        for i in range(PERIODS_MAX):
            self._is_dark[i] = memory >> i & 1

    def inside(self, start: int, end: int, local_s: int) -> bool:
        """Tell whether a time of day lies in [start, end); over midnight where end < start, all day where equal."""
        if start == end:
            return True
        if not self.is_held:
            if start > local_s:
                self._sooner(start - local_s)
            if end > local_s:
                self._sooner(end - local_s)
        if start < end:
            return start <= local_s < end
        return local_s >= start or local_s < end

    def _sooner(self, seconds: int) -> None:
        if seconds < self.next_s:
            self.next_s = seconds

    def _is_active(self, i: int, day: int, second: int, local_day: int, local_s: int, seen) -> bool:
        plan = self._plan
        kind = plan.period_kind(i)
        if kind == PERIOD_ABSOLUTE:
            return self.inside(plan.period_start_s(i), plan.period_end_s(i), local_s)
        if kind == PERIOD_SENSOR:
            return self._sense(i, seen)
        if PERIOD_ASTRO_CLOCK <= kind <= PERIOD_ASTRO_AND_SENSOR:
            dark = kind == PERIOD_ASTRO_AND_SENSOR and self._sense(i, seen)
            active = False
            for night in range(local_day - 1, local_day + 1):
                if self._find_night(i, night, day, second) and self._inside_night(i, kind, dark):
                    active = True
            return active
        value = _value(seen, plan.period_channel(i))
        if value == UNKNOWN and plan.period_channel(i) == CHANNEL_EXTERNAL:
            # A source that asks for nothing asks for no light; only a light sensor that is silent means lit.
            value = 0
        return _compare(plan.period_operator(i), value, plan.period_on_level(i))

    def _sense(self, i: int, seen) -> bool:
        """Return whether a period's sensor says dark, with its hysteresis between on level and off level."""
        level = _value(seen, self._plan.period_channel(i))
        if level == UNKNOWN or level < self._plan.period_on_level(i):
            self._is_dark[i] = 1
        elif level > self._plan.period_off_level(i):
            self._is_dark[i] = 0
        return self._is_dark[i] == 1

    def _find_night(self, i: int, night: int, day: int, second: int) -> bool:
        """Set when a period of the night that begins on local day ``night`` starts and ends; False if it has none."""
        days = self._days
        if not days.night(night, day, second):
            return False
        self._sunset = days.sunset
        self._sunrise = days.sunrise
        self._start = days.sunset + (self._plan.period_start_s(i) if days.has_sunset else 0)
        self._end = days.sunrise + (self._plan.period_end_s(i) if days.has_sunrise else 0)
        return self._start < self._end

    def _inside_night(self, i: int, kind: int, dark: bool) -> bool:
        """Tell whether now lies in the night that was found.

        With a photocell: in the minutes before sunset dark may start it sooner, in those before sunrise bright may end
        it sooner; the calculated times hold in any case.
        """
        start = self._start
        end = self._end
        self._note(start)
        self._note(end)
        if kind != PERIOD_ASTRO_AND_SENSOR:
            return start <= 0 < end
        early = self._sunset - self._plan.period_before_sunset_s(i)
        late = self._sunrise - self._plan.period_before_sunrise_s(i)
        self._note(early)
        self._note(late)
        if end <= 0 or (early > 0 and start > 0):
            return False
        if start > 0 or late <= 0:
            return dark
        return True

    def _note(self, moment: int) -> None:
        if moment > 0:
            self._sooner(moment)


def _value(seen, channel: int) -> int:
    """Return what is on a channel, `UNKNOWN` where nothing is."""
    if channel == CHANNEL_LUX:
        return seen.lux
    if channel == CHANNEL_EXTERNAL:
        return seen.external
    if channel == CHANNEL_PRESENCE:
        return seen.presence
    return seen.neighbours


def _compare(operator: int, value: int, state: int) -> bool:
    """Return TALQ's ``{reference} {operator} {state}``. A value that is not there makes the period active: lit."""
    if value == UNKNOWN:
        return True
    if operator == VALUE_EQ:
        return value == state
    if operator == VALUE_NE:
        return value != state
    if operator == VALUE_GE:
        return value >= state
    if operator == VALUE_GT:
        return value > state
    if operator == VALUE_LE:
        return value <= state
    return value < state
