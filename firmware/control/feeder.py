"""The time of night from the supply alone: what a feeder that is switched at dusk and at dawn teaches.

The idea is that of drivers without a clock (Osram AstroDIM, Philips Dynadimmer: lighting-facts.json,
`virtual_midnight`), made exact by the place: power comes at dusk and goes at dawn, so the middle of the lit period is
solar midnight, and solar midnight in UTC follows from longitude and date (lighting.md F6).

What is learned is not the length of the night but its *excess* over the sun's night of its date: the season drops out
of it, so old nights stay true. The median of the last nine is used, and no single bad night moves it.

What cannot be learned: a feeder that is late by the same minutes at both ends looks like one that is right, and the
minute by which tonight's switch-on is early or late shifts tonight's clock by as much: no mean of any nights can do
better than that. ``error_s`` allows for both. Measured over three years at three places: within 14 min for a feeder
right to 8 min, within 16 for one right to 10; one that errs by 20 min makes no clock on most nights, for its
``error_s`` says so.

Loaded where it is used, and forgotten: a node whose feeder is not switched has no use for it.
"""

from .civil import DAY_MAX, DAY_MIN, SECONDS_PER_DAY
from .clock import get, put
from .compat import const
from .sun import SUN_NORMAL, Sun

# Nine nights: the median stands four bad ones, and the season moves the sun's times by half an hour at most meanwhile.
_NIGHTS = const(9)
_NIGHTS_MIN = const(3)
# Shorter is an outage or a part of a night; longer is no night of an inhabited place under this rule.
LENGTH_MIN_S = const(14400)
LENGTH_MAX_S = const(57600)
# No switch-off in the first four lit hours while the clock is in doubt (lighting.md F6).
DOUBT_LIT_S = const(14400)
# A length further than this from the sun's night is no night of a feeder that follows the sun.
_WHOLE_S = const(5400)
# The same, from what was learned: twice 20 min of feeder, and what the median misses.
_JOIN_S = const(2700)
# So short a first part is chatter of the contactor at dusk (reliability.md, row 18): it is the same dusk.
_CHATTER_S = const(600)
# Half of what an ordinary photocell's delay at dusk may differ from its lead at dawn.
_ASYMMETRY_S = const(600)
# Nights left lit for longer than this (some 11 years) are not counted: the caller's counter was damaged.
_LENGTH_SANE_S = const(350000000)
# An excess is kept in minutes above this, in one byte.
_ZERO = const(128)

STATE_SIZE = const(17)


class FeederTeacher:
    """Learns when the feeder is switched, and tells the time by it.

    Place in millionths of a degree. ``save_period_s`` (0 … 3600): the caller saves the lit time that often, so what it
    reports is short by half of that on average.

    At each power-on, and not after a warm reset: ``night(length)`` with the saved length of what was lit before (if any
    was saved), then ``boot()``; then `save`. While a better clock is good: ``known(day, second)``, at least once a
    night. ``estimate(elapsed_s)`` sets ``day`` and ``second`` (UTC) and ``error_s``, which mean something when
    ``is_ready``. ``middle_s``: how long after this power-on the night has its middle. ``evening_day``: the solar day on
    whose evening tonight began, 0 while no date was ever known. ``nights``: counted since it was known.

    A night cut in two: a part that is too short to be a night waits for the next. When both together make no more than
    a night, they were one: it is counted once and teaches nothing, because the gap has no length without a clock. When
    they make more, the first was a night that the outage ended: it is counted, and the second is judged by itself.
    After such a part the teacher is not ready: whether this is dusk or a return of power at midnight is not known.
    A cut in the last 45 min of a night is not seen as one: the rest of that night passes for a dusk, until the feeder
    is switched off; the date stays right.

    A night that teaches nothing also takes the oldest away, so that what is no longer confirmed fades.
    """

    def __init__(self, latitude_udeg: int, longitude_udeg: int, save_period_s: int = 900):
        self._sun = Sun(latitude_udeg, longitude_udeg)
        self._half_period_s = save_period_s // 2
        # The newest excess comes last; sorted is for the median.
        self._excess = bytearray(_NIGHTS)
        self._sorted = bytearray(_NIGHTS)
        self._count = 0
        self._part_s = 0
        self._was_told = False
        self._night_s = 0
        self._midnight_s = 0
        self.evening_day = 0
        self.nights = 0
        self.is_ready = False
        self.middle_s = 0
        self.day = 0
        self.second = 0
        self.error_s = SECONDS_PER_DAY

    def known(self, day: int, second: int) -> None:
        """Take note of UTC ``day`` and ``second`` from a clock that is at least held; only the date is kept."""
        sun = self._sun
        sun.of(day)
        if second < sun.transit_s:
            day -= 1
        if DAY_MIN <= day < DAY_MAX:
            self.evening_day = day
            self.nights = 0
            self._prepare()

    def night(self, length_s: int) -> None:
        """Record how long the lamp had power (0 … s), as last saved, before this power-on. Call `boot` next."""
        self._was_told = True
        if self.evening_day == 0 or not 0 <= length_s <= _LENGTH_SANE_S:
            return
        length_s += self._half_period_s
        if self._part_s and self._part_s + length_s > self._expected_s() + _JOIN_S:
            # The part was the rest of a night that an outage ended.
            self._part_s = 0
            self._forget()
            self._advance(1)
        total = self._part_s + length_s
        expected = self._expected_s()
        short = _JOIN_S if self._count >= _NIGHTS_MIN else _WHOLE_S
        if total < expected - short or total < LENGTH_MIN_S:
            self._part_s = total
            return
        over = total - expected
        excess = total - self._night_s
        is_clean = over <= _WHOLE_S and total <= LENGTH_MAX_S and self._part_s <= _CHATTER_S
        if not is_clean or self._count == _NIGHTS:
            self._forget()
        if is_clean and self._night_s and -_WHOLE_S <= excess <= _WHOLE_S:
            self._excess[self._count] = (excess + 30) // 60 + _ZERO
            self._count += 1
        self._part_s = 0
        # A feeder left on by day: the nights it passed over are counted too.
        if self._night_s:
            over += SECONDS_PER_DAY // 2
        self._advance(1 + over // SECONDS_PER_DAY)

    def boot(self) -> None:
        """Power has come, and `night` was told what was lit before; if it was not, the lamp was lit for less than a
        save period."""
        if not self._was_told:
            self.night(0)
        self._was_told = False
        self._prepare()

    def estimate(self, elapsed_s: int) -> None:
        """Set ``day``, ``second`` and ``error_s`` for ``elapsed_s`` (0 … a week) after this power-on."""
        second = self._midnight_s + elapsed_s - self.middle_s
        self.day = self.evening_day + second // SECONDS_PER_DAY
        self.second = second % SECONDS_PER_DAY

    def may_switch_off(self, elapsed_s: int) -> bool:
        """Tell whether a switch-off may be thought of while the clock is in doubt: not in the first four hours since
        this power-on, and not on a night of which nothing is known."""
        return self.is_ready and elapsed_s >= DOUBT_LIT_S

    def save(self, buffer, at: int) -> int:
        """Write date, count, part and lengths into ``STATE_SIZE`` bytes; return the next place."""
        at = put(buffer, at, self.evening_day << 10 | self._part_s // 60)
        at = put(buffer, at, self.nights << 4 | self._count)
        for i in range(_NIGHTS):
            buffer[at + i] = self._excess[i]
        return at + _NIGHTS

    def load(self, buffer, at: int) -> bool:
        """Restore what `save` wrote; False, and nothing changed, for nonsense."""
        # The highest bytes are looked at first: a larger number would not fit 30 bits.
        if buffer[at + 3] > 63 or buffer[at + 7] > 63:
            return False
        day = get(buffer, at) >> 10
        count = buffer[at + 4] & 15
        if day > DAY_MAX or 0 < day < DAY_MIN or count > _NIGHTS:
            return False
        self.evening_day = day
        self._part_s = (get(buffer, at) & 1023) * 60
        self.nights = get(buffer, at + 4) >> 4
        self._count = count
        for i in range(_NIGHTS):
            self._excess[i] = buffer[at + 8 + i]
        self._prepare()
        return True

    def _advance(self, nights: int) -> None:
        if self.evening_day + nights >= DAY_MAX:
            # No date is better than one past the last that was tested.
            self.evening_day = 0
            return
        self.evening_day += nights
        self.nights += nights
        self._look()

    def _forget(self) -> None:
        """Drop the oldest night."""
        if self._count:
            self._count -= 1
            for i in range(self._count):
                self._excess[i] = self._excess[i + 1]

    def _expected_s(self) -> int:
        """Return how long tonight should be lit."""
        return self._night_s + self._median()

    def _median(self) -> int:
        """Return the median excess of the nights that count, 0 while they are too few; sorts them by insertion."""
        count = self._count
        if count < _NIGHTS_MIN:
            return 0
        ordered = self._sorted
        for i in range(count):
            value = self._excess[i]
            j = i
            while j and ordered[j - 1] > value:
                ordered[j] = ordered[j - 1]
                j -= 1
            ordered[j] = value
        return (ordered[(count - 1) // 2] + ordered[count // 2]) * 30 - _ZERO * 60

    def _look(self) -> None:
        """Find the sun's night of ``evening_day``: its length, and its middle in s from UTC midnight of that day."""
        sun = self._sun
        sun.of(self.evening_day)
        dusk = sun.set_s
        noon = sun.transit_s
        is_normal = sun.kind == SUN_NORMAL
        sun.of(self.evening_day + 1)
        self._midnight_s = (noon + sun.transit_s + SECONDS_PER_DAY) // 2
        self._night_s = 0
        if is_normal and sun.kind == SUN_NORMAL:
            self._night_s = SECONDS_PER_DAY + sun.rise_s - dusk

    def _prepare(self) -> None:
        """Work out what is to be said of tonight."""
        self.is_ready = False
        self.error_s = SECONDS_PER_DAY
        if self.evening_day == 0:
            return
        self._look()
        expected = self._expected_s()
        # Chatter belongs to this dusk.
        self.middle_s = expected // 2 - self._part_s
        count = self._count
        if count < _NIGHTS_MIN or not self._night_s or self._part_s > _CHATTER_S:
            return
        self.is_ready = True
        # Both edges of a night are in the spread, tonight's clock hangs on one: of nine nights half is taken, of three,
        # which show less of it, the whole. No night of the orphan years was outside (test_orphan_years). With more, a
        # feeder right to 8 min would be believed in two nights of three only.
        spread = (self._sorted[count - 1] - self._sorted[0]) * 60
        self.error_s = _ASYMMETRY_S + self._half_period_s + spread * (count + 9) // (4 * count) + 1800 // count
