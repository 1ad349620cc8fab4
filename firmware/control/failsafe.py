"""What light a lamp gives while its clock is not to be trusted: known in advance, for years, without anybody.

The first of these that there is decides (reliability.md, rows 1 and 13; lighting.md E 1 and 19):

1. A photocell: dark is lit. It loses against a clock that is sure the sun is up or down, 45 min and the clock's own
   error away from sunrise and sunset: a stuck one neither burns by day nor leaves a night dark.
2. A feeder that is switched at dusk and dawn: where there is power, it is night.
3. A clock that is stale but whose error has a bound (`ClockTrust.error_ms`): lit whenever the sun may be down. It burns
   into the day by no more than that bound and its own error, and no night is dark.
4. Nothing: lit, day and night.

Late at night a lit lamp may be dimmed where the caller says that it is late (`FeederTeacher.may_switch_off`: never in
the first four lit hours), and never to 0.
Without a server nothing here ends: an orphan goes through these in the order in which its knowledge fades.
"""

from .civil import SECONDS_PER_DAY
from .compat import const
from .sun import SUN_NORMAL, Sun
from .ticks import ticks_add, ticks_diff

# Why the lamp has its level. By the power: no cell, no clock, a switched feeder. By default: nothing is known at all.
LIT_BY_DEFAULT = const(0)
LIT_BY_POWER = const(1)
LIT_BY_CELL = const(2)
LIT_BY_CLOCK = const(3)
OFF_BY_CELL = const(4)
OFF_BY_CLOCK = const(5)
DIMMED_LATE = const(6)

# What a clock can say of the sun.
SUN_EITHER = const(0)
SUN_UP = const(1)
SUN_DOWN = const(2)

# A photocell is wrong only further than this from sunrise and sunset (reliability.md, row 13).
CELL_MARGIN_S = const(2700)
# The light must have changed for so long: no headlight and no lightning switches a lamp.
_DEBOUNCE_MS = const(10000)
# A margin beyond this says nothing of the sun, and keeps the sums small.
_MARGIN_MAX_S = const(43200)
# The next look at the sky is made after so long even when nothing is near.
_LOOK_S = const(43200)


class FailSafe:
    """The light of one lamp while the clock is unknown.

    ``on_lux`` < ``off_lux``: the photocell's thresholds. ``level_permille`` (1 … 1000) is lit, ``dim_permille`` (1 …
    1000; 0 or more than lit: no dimming) is late at night. ``has_photocell``: the
    margin of its rule is added to every clock. Inputs: `see_lux`, `take_clock`, `forget_clock`, `allow_dim`.

    After each: ``level_permille``, ``reason``, ``is_cell_stuck`` (the sky says otherwise; until they agree again),
    ``is_due`` and ``due_ms``.
    """

    def __init__(
        self,
        latitude_udeg: int,
        longitude_udeg: int,
        is_feeder_switched: bool,
        has_photocell: bool,
        level_permille: int = 1000,
        dim_permille: int = 500,
        on_lux: int = 20,
        off_lux: int = 40,
    ):
        self._sun = Sun(latitude_udeg, longitude_udeg)
        self._is_feeder_switched = is_feeder_switched
        self._lit_permille = level_permille if 0 < level_permille <= 1000 else 1000
        self._dim_permille = dim_permille if 0 < dim_permille < self._lit_permille else self._lit_permille
        self._on_lux = on_lux
        self._off_lux = off_lux
        self.level_permille = self._lit_permille
        self.reason = LIT_BY_POWER if is_feeder_switched else LIT_BY_DEFAULT
        self.is_cell_stuck = False
        self.is_due = False
        self.due_ms = 0
        # Whoever has a photocell believes the clock against it only further from sunrise and sunset.
        self._base_margin_s = CELL_MARGIN_S if has_photocell else 0
        self._has_cell = False
        self._is_dark = True
        self._is_turning = False
        self._turn_ms = 0
        self._has_clock = False
        self._day = 0
        self._second = 0
        self._margin_s = 0
        self._sky = SUN_EITHER
        self._next_s = 0
        self._look_ms = 0
        self._may_dim = False

    def see_lux(self, tick: int, lux: int) -> None:
        """Take a photocell's reading in lx (a negative one: the cell has failed, and there is none)."""
        self._has_cell = lux >= 0
        wants_turn = self._has_cell and (lux > self._off_lux if self._is_dark else lux < self._on_lux)
        if wants_turn and not self._is_turning:
            self._turn_ms = ticks_add(tick, _DEBOUNCE_MS)
        self._is_turning = wants_turn
        if not self._has_cell:
            self._is_dark = True
        self._resolve()

    def take_clock(self, tick: int, day: int, second: int, error_s: int) -> None:
        """Take UTC ``day`` and ``second`` that are wrong by at most ``error_s``, for the sun; again after corrections
        and once a day, when the bound has grown."""
        self._has_clock = True
        self._margin_s = self._base_margin_s + (error_s if error_s < _MARGIN_MAX_S else _MARGIN_MAX_S)
        self._day = day
        self._second = second
        self._look(tick)
        self._resolve()

    def forget_clock(self) -> None:
        """There is no clock, not even a stale one."""
        self._has_clock = False
        self._resolve()

    def allow_dim(self, may_dim: bool) -> None:
        """It is late at night as far as the caller knows, or (False) no longer so."""
        self._may_dim = may_dim
        self._resolve()

    def pass_due(self, tick: int) -> None:
        """Carry out what is due at ``tick`` = ``due_ms``."""
        if self._is_turning and self._turn_ms == tick:
            self._is_turning = False
            self._is_dark = not self._is_dark
        if self._has_clock and self._look_ms == tick:
            second = self._second + self._next_s
            self._day += second // SECONDS_PER_DAY
            self._second = second % SECONDS_PER_DAY
            self._look(tick)
        self._resolve()

    def sky(self, day: int, second: int, margin_s: int) -> int:
        """Return what is sure of the sun at UTC ``day`` and ``second``, ``margin_s`` (0 … 43200) from sunrise and
        sunset; `photocell_is_plausible` is this with ``CELL_MARGIN_S`` and the clock's error."""
        self._next_s = _LOOK_S
        is_night = False
        is_day = False
        sun = self._sun
        # Two solar days around the moment: a place's day may begin on the UTC day before.
        for i in range(-1, 2):
            sun.of(day + i)
            if sun.kind != SUN_NORMAL:
                return SUN_EITHER
            base = i * SECONDS_PER_DAY - second
            rise = base + sun.rise_s
            dusk = base + sun.set_s
            self._sooner(rise - margin_s)
            self._sooner(rise + margin_s)
            self._sooner(dusk - margin_s)
            self._sooner(dusk + margin_s)
            if rise + margin_s <= 0 < dusk - margin_s:
                is_day = True
            if rise - margin_s <= 0 < dusk + margin_s:
                is_night = True
        if is_day:
            return SUN_UP
        return SUN_EITHER if is_night else SUN_DOWN

    def photocell_is_plausible(self, is_dark: bool, day: int, second: int, error_s: int) -> bool:
        """Tell whether a photocell may be right at a moment known to ``error_s`` (reliability.md, row 13)."""
        margin = CELL_MARGIN_S + (error_s if error_s < _MARGIN_MAX_S else _MARGIN_MAX_S)
        return self.sky(day, second, margin) != (SUN_UP if is_dark else SUN_DOWN)

    def _sooner(self, seconds: int) -> None:
        if 0 < seconds < self._next_s:
            self._next_s = seconds

    def _look(self, tick: int) -> None:
        self._sky = self.sky(self._day, self._second, self._margin_s)
        self._look_ms = ticks_add(tick, self._next_s * 1000)

    def _resolve(self) -> None:
        is_lit = True
        reason = LIT_BY_DEFAULT
        self.is_cell_stuck = False
        if self._has_cell:
            is_lit = self._is_dark
            if self._has_clock and self._sky == (SUN_UP if is_lit else SUN_DOWN):
                self.is_cell_stuck = True
                is_lit = not is_lit
                reason = LIT_BY_CLOCK if is_lit else OFF_BY_CLOCK
            else:
                reason = LIT_BY_CELL if is_lit else OFF_BY_CELL
        elif self._is_feeder_switched:
            reason = LIT_BY_POWER
        elif self._has_clock:
            is_lit = self._sky != SUN_UP
            reason = LIT_BY_CLOCK if is_lit else OFF_BY_CLOCK
        self.level_permille = self._lit_permille if is_lit else 0
        if is_lit and self._may_dim and self._dim_permille < self._lit_permille:
            self.level_permille = self._dim_permille
            reason = DIMMED_LATE
        self.reason = reason
        self.is_due = self._has_clock or self._is_turning
        self.due_ms = self._look_ms
        if self._is_turning and (not self._has_clock or ticks_diff(self._turn_ms, self._look_ms) < 0):
            self.due_ms = self._turn_ms
