"""How far the node's idea of UTC is to be trusted: a clock that may be doubted, and says so.

Rules: reliability.md, fault rows 1–6 (a step is accepted when it is small, or confirmed, or signed; seconds are
ignored; nothing before a floor), and lighting.md A.4: a node whose clock lies in the *future* must be correctable, or
one bad report is for ever. So only the build date is a floor that nothing passes; the day that was last sure is one
that a single report does not pass, and two agreeing ones do.

"""

from .civil import DAY_MAX, DAY_MIN, SECONDS_PER_DAY
from .compat import const
from .inputs import CLOCK_GOOD, CLOCK_HELD, CLOCK_UNKNOWN
from .ticks import ticks_add, ticks_diff

# Who reports the time, weakest first. FEEDER: worked out by `FeederTeacher`. RTC: a clock chip with a battery.
# NETWORK: SNTP, LoRaWAN DeviceTimeReq, a neighbour. SIGNED: a command with the operator's signature.
FEEDER = const(0)
RTC = const(1)
NETWORK = const(2)
GNSS = const(3)
SIGNED = const(4)

# Verdicts. KEPT and STEPPED from a source that is good enough also renew the trust; the others change nothing.
SET = const(0)
KEPT = const(1)
STEPPED = const(2)
DOUBTED = const(3)
REFUSED = const(4)

STATE_SIZE = const(8)

_DAY_MS = const(86400000)
# Below this a report confirms and moves nothing: leap seconds and network delay (reliability.md, row 5).
_KEEP_MS = const(2000)
_STEP_MS = const(900000)
# Two reports agree within this, and are two when so far apart; an unanswered doubt is dropped after 6 h.
_AGREE_MS = const(5000)
_APART_MS = const(10000)
_DOUBT_LIFE_MS = const(21600000)
# How wrong a source may be when it speaks. For a feeder it is the usual limit and no bound, and ``is_doubted`` says so:
# a report brings its own ``error_s``, and where that is more, as for a feeder that errs by 20 min each night, it makes
# no clock (test_orphan_years).
_INITIAL_MS = const(2000)
_FEEDER_INITIAL_MS = const(1800000)
# Differences and bounds stay at a million seconds' worth of ms (11.5 days): more means the same, and fits 30 bits.
_FAR_MS = const(1000000000)


class ClockTrust:
    """UTC between corrections, and how good it is.

    ``build_day``: the firmware's build date as a day number; nothing sets the clock before it. ``drift_ppm`` (1 …
    1000): what the node's ticks or clock chip may err by. ``limit_s`` (60 … 86400): an error bound beyond this is no
    clock; 1,800 s are 208 days at 100 ppm.

    ``at(tick)`` sets ``day``, ``second``, ``ms``; they mean something when ``is_set``, and are to be acted on unless
    ``quality`` is ``CLOCK_UNKNOWN``. ``error_ms`` bounds the error as of the last report or `pass_due` (the most it
    says is 11.5 days). ``source`` set the clock. ``is_doubted``: unknown, or only the feeder's word: no lamp is
    switched off on it in the first hours. ``is_due``, ``due_ms``: once a day, for the ageing.
    """

    def __init__(self, build_day: int, drift_ppm: int = 100, limit_s: int = 1800):
        self._build_day = build_day if build_day > DAY_MIN else DAY_MIN
        # A millionth of a day is 86.4 ms.
        self._drift_ms = (drift_ppm if drift_ppm > 0 else 1) * 432 // 5
        self._limit_ms = limit_s * 1000
        self.floor_day = self._build_day
        self.day = 0
        self.second = 0
        self.ms = 0
        self.quality = CLOCK_UNKNOWN
        self.source = FEEDER
        self.error_ms = _FAR_MS
        self.is_set = False
        self.is_due = False
        self.due_ms = 0
        # The day on which a source better than a chip last agreed: a chip drifts from then on, through every power cut.
        self._sure_day = 0
        # The anchor, and a report that waits for a second one; ms are those of the day.
        self._tick = 0
        self._day = 0
        self._day_ms = 0
        self._is_doubting = False
        self._doubt_tick = 0
        self._doubt_day = 0
        self._doubt_ms = 0

    @property
    def is_doubted(self) -> bool:
        """True while no more than the feeder vouches for the time."""
        return self.quality == CLOCK_UNKNOWN or self.source == FEEDER

    def at(self, tick: int) -> None:
        """Set ``day``, ``second`` and ``ms`` for ``tick``. It moves no anchor: asked twice, it says the same."""
        ms = self._day_ms + ticks_diff(tick, self._tick)
        self.day = self._day + ms // _DAY_MS
        ms %= _DAY_MS
        self.second = ms // 1000
        self.ms = ms % 1000

    def pass_due(self, tick: int) -> None:
        """A day has passed since the last report or the last call: count it, and age by it."""
        self.at(tick)
        self._day_ms = self.second * 1000 + self.ms
        self._anchor(tick, self.day)
        if self._is_doubting and ticks_diff(tick, self._doubt_tick) > _DOUBT_LIFE_MS:
            self._is_doubting = False
        if self.error_ms < _FAR_MS:
            self.error_ms += self._drift_ms
        self.quality = CLOCK_HELD if self.error_ms <= self._limit_ms else CLOCK_UNKNOWN
        if self.day > DAY_MAX:
            self.quality = CLOCK_UNKNOWN
        elif self.source >= NETWORK and self.quality != CLOCK_UNKNOWN:
            self._raise_floor()

    def report(self, tick: int, source: int, day: int, second: int, ms: int, error_s: int = 0) -> int:
        """Take note of what a source says the time is at ``tick``; return the verdict. Ticks may not go back.

        ``error_s`` (s): how wrong it may be, for a source that knows: `FeederTeacher.error_s` for ``FEEDER``, how old a
        held time is for ``RTC``. It never makes a source better than it is here.
        """
        if not (self._build_day <= day <= DAY_MAX and 0 <= second < SECONDS_PER_DAY and 0 <= ms < 1000):
            return REFUSED
        self.at(tick)
        ms += second * 1000
        is_known = self.quality != CLOCK_UNKNOWN
        error = self._error_of(source, day)
        if source < NETWORK and error_s > error // 1000:
            # Compared before it is multiplied: the product stays within 30 bits.
            error = error_s * 1000 if error_s < _FAR_MS // 1000 else _FAR_MS
        is_old = day < self.floor_day - 1
        verdict = SET
        if source == SIGNED:
            # The operator may take the floor back with the clock.
            self.floor_day = self._build_day
            if self.is_set:
                verdict = STEPPED
        elif is_old and source < NETWORK:
            return REFUSED
        elif is_old or (is_known and (self.source > FEEDER or source == FEEDER or error > self._limit_ms)):
            # There is something to compare it with. (Without a clock, or with a guess only, any report is taken.)
            off = self._off(tick, self._tick, self._day, self._day_ms, day, ms)
            # Who set the clock outranks others for a day; later, the network is enough to correct it.
            bar = self.source
            if self.quality < CLOCK_GOOD and bar > NETWORK:
                bar = NETWORK
            if source < bar or (is_known and error > self._limit_ms):
                # A weaker voice changes nothing; it is right or wrong within what both may err by.
                return KEPT if off - error <= self.error_ms else REFUSED
            if is_known and off <= _STEP_MS and not is_old:
                verdict = STEPPED
                if off <= _KEEP_MS:
                    verdict = KEPT
                    day = self.day
                    ms = self.second * 1000 + self.ms
            elif source < NETWORK:
                # A chip or a feeder that says the same wrong thing twice is not two witnesses.
                return REFUSED
            elif self._is_believed(tick, day, ms):
                self.floor_day = self._build_day
                verdict = STEPPED
            else:
                return DOUBTED
        self._day_ms = ms
        self._anchor(tick, day)
        self.at(tick)
        self.source = source
        self.is_set = True
        self._is_doubting = False
        self.error_ms = error
        if source >= NETWORK:
            self._sure_day = day
            self.quality = CLOCK_GOOD
            self._raise_floor()
            return verdict
        if source == RTC and self._sure_day == 0:
            # Nobody knows who set the chip: its drift counts from the day it was first seen.
            self._sure_day = day
        self.quality = CLOCK_HELD if error <= self._limit_ms else CLOCK_UNKNOWN
        return verdict

    def save(self, buffer, at: int) -> int:
        """Write the floor and the day of the last sure report (2 × 4 bytes, little-endian); return the next place."""
        return put(buffer, put(buffer, at, self.floor_day), self._sure_day)

    def load(self, buffer, at: int) -> bool:
        """Restore what `save` wrote, before the first report; False, and nothing changed, for nonsense."""
        # The highest byte is looked at first: a larger number would not fit 30 bits.
        if buffer[at + 2] > 2 or buffer[at + 3] or buffer[at + 6] > 2 or buffer[at + 7]:
            return False
        floor = get(buffer, at)
        sure = get(buffer, at + 4)
        if not DAY_MIN <= floor <= DAY_MAX or sure > DAY_MAX or 0 < sure < DAY_MIN:
            return False
        self.floor_day = floor if floor > self._build_day else self._build_day
        self._sure_day = sure
        return True

    def _is_believed(self, tick: int, day: int, ms: int) -> bool:
        """Tell whether an earlier report, run on to now, says the same; else remember this one."""
        if self._is_doubting:
            elapsed = ticks_diff(tick, self._doubt_tick)
            if self._off(tick, self._doubt_tick, self._doubt_day, self._doubt_ms, day, ms) <= _AGREE_MS:
                if _APART_MS <= elapsed <= _DOUBT_LIFE_MS:
                    return True
                if 0 <= elapsed < _APART_MS:
                    # The same witness again, too soon: the first stands.
                    return False
        self._is_doubting = True
        self._doubt_tick = tick
        self._doubt_day = day
        self._doubt_ms = ms
        return False

    def _error_of(self, source: int, day: int) -> int:
        """Return how wrong a report may be, in ms: a chip has drifted since the day it was last sure."""
        if source == FEEDER:
            return _FEEDER_INITIAL_MS
        if source != RTC or self._sure_day == 0:
            return _INITIAL_MS
        days = day - self._sure_day
        if days < 0:
            days = -days
        # Compared before it is multiplied: the product stays within 30 bits.
        if days > (_FAR_MS - _INITIAL_MS) // self._drift_ms:
            return _FAR_MS
        return _INITIAL_MS + days * self._drift_ms

    def _anchor(self, tick: int, day: int) -> None:
        self._tick = tick
        self._day = day
        self.is_due = True
        self.due_ms = ticks_add(tick, _DAY_MS)

    def _raise_floor(self) -> None:
        if self._day > self.floor_day:
            self.floor_day = self._day

    def _off(self, tick: int, then: int, then_day: int, then_ms: int, day: int, ms: int) -> int:
        """Return how many ms a moment at ``tick`` is from what an anchor makes of it, at most ``_FAR_MS``."""
        days = day - then_day
        if not -7 <= days <= 7:
            return _FAR_MS
        off = days * _DAY_MS + ms - then_ms - ticks_diff(tick, then)
        return -off if off < 0 else off


def put(buffer, at: int, value: int) -> int:
    """Write ``value`` (0 … 2^30 - 1) in 4 bytes, little-endian; return the next place."""
    for i in range(4):
        buffer[at + i] = (value >> (8 * i)) & 255
    return at + 4


def get(buffer, at: int) -> int:
    """Return 4 bytes, little-endian; the caller has seen that the highest is below 64."""
    return buffer[at] | buffer[at + 1] << 8 | buffer[at + 2] << 16 | buffer[at + 3] << 24
