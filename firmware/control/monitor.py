"""What a lamp reports of itself: faults, the health of lamp and meter, and the counters."""

from .baselines import Baselines
from .counters import NightCounters
from .faults import (
    CLOCK_DOUBT,
    CONTROL_GEAR_COMM_FAILURE,
    HIGH_TEMPERATURE,
    PHOTOCELL_FAILURE,
    RELAY_FAILURE,
    SENSOR_CHATTER,
    SENSOR_SILENT,
    SENSOR_STUCK_ON,
    Faults,
)
from .health import LampHealth, LearnedCurve
from .inputs import UNKNOWN
from .sensor import CHATTERING, STUCK_HIGH, STUCK_LOW
from .ticks import ticks_add, ticks_diff

_QUARTER_S = 900
# A sample says something about the lamp when light and driver have come to rest after a fade.
_SETTLE_MS = 30000


class Monitor:
    """Watches one lamp output. ``faults`` (`Faults`); with a meter ``learned`` (`LearnedCurve`); with a meter or
    declared baselines ``counters`` (`NightCounters`).

    While ``is_due``, ``pass_due(due_ms)`` is to be called at the tick ``due_ms``.
    """

    def __init__(self, config, curve):
        self._curve = curve
        self.faults = Faults()
        # What a lamp does not have costs it no memory.
        self.learned = _learned_of(config, curve)
        self._health = _health_of(config, self.faults, self.learned)
        self.counters = _counters_of(config)
        self._baselines = _baselines_of(config)
        self._samples = 0
        self._gear_fault = 0
        self._relay_fault = 0
        self._trust = 0
        self._doubts = 0
        self._level = config.start_level_permille
        self._is_lit = self._level > 0
        self._power_mw = 0
        self._is_measured = False
        self._is_occupied = False
        # False behind an open relay.
        self._is_supplied = True
        # The end of the fade under way, and when the light has settled after it.
        self._is_fading = False
        self._fade_end_ms = 0
        self._settled_ms = 0
        self._is_settled = False
        self.next_s = 86400
        self.is_due = False
        self.due_ms = 0

    def take(self, seen, tick: int) -> None:
        """Take what concerns the lamp of what is ``seen`` (`Seen`)."""
        if seen.gear_fault != self._gear_fault or seen.relay_fault != self._relay_fault:
            self._gear_fault = seen.gear_fault
            self._relay_fault = seen.relay_fault
            self._take_outputs(seen, tick)
        if seen.samples != self._samples:
            self._samples = seen.samples
            self._take_sample(seen, tick)

    def _take_outputs(self, seen, tick: int) -> None:
        faults = self.faults
        faults.condition(tick, CONTROL_GEAR_COMM_FAILURE, seen.gear_fault != 0)
        faults.condition(tick, RELAY_FAILURE, seen.relay_fault != 0)
        self._settle()

    def _take_sample(self, seen, tick: int) -> None:
        if self._health is not None:
            self._health.sample(
                tick,
                self._level,
                self._is_settled,
                seen.power_mw,
                seen.voltage_dv,
                seen.current_ma,
                seen.power_factor_permille,
            )
        if seen.power_mw != UNKNOWN:
            self._power_mw = seen.power_mw
            self._is_measured = True
            self._state(tick)
        self._settle()

    def sensed(self, tick: int, trust: int, is_occupied: bool) -> None:
        """Take what the own sensor is worth, and whether somebody is here."""
        if trust != self._trust:
            self._trust = trust
            faults = self.faults
            faults.condition(tick, SENSOR_CHATTER, trust == CHATTERING)
            faults.condition(tick, SENSOR_STUCK_ON, trust == STUCK_HIGH)
            faults.condition(tick, SENSOR_SILENT, trust == STUCK_LOW)
            self._settle()
        if is_occupied != self._is_occupied:
            self._is_occupied = is_occupied
            if self.is_watching:
                self._state(tick)

    def supplied(self, tick: int, is_closed: bool) -> None:
        """Take whether the relay lets the driver have its supply."""
        if is_closed != self._is_supplied:
            self._is_supplied = is_closed
            if self._is_measured:
                # What was measured before says nothing of now.
                self._is_measured = False
                self._power_mw = self._curve.at(self._level)
            if self.is_watching:
                self._state(tick)

    def doubts(self, tick: int, is_clock: bool, is_hot: bool, is_cell_stuck: bool) -> None:
        """Take the doubts of others: no clock, derating or protection by heat, a photocell against the sky."""
        doubts = (1 if is_clock else 0) | (2 if is_hot else 0) | (4 if is_cell_stuck else 0)
        if doubts == self._doubts:
            return
        self._doubts = doubts
        self.faults.condition(tick, CLOCK_DOUBT, is_clock)
        self.faults.condition(tick, HIGH_TEMPERATURE, is_hot)
        self.faults.condition(tick, PHOTOCELL_FAILURE, is_cell_stuck)
        self._settle()

    @property
    def is_watching(self) -> bool:
        """Return whether there is a meter, or counters, that want to know each decision."""
        return self._health is not None or self._baselines is not None

    def decided(self, tick: int, before: int, after: int, fade_ms: int) -> None:
        """Take a decision: the light goes from ``before`` to ``after`` (permille) in ``fade_ms``."""
        self._level = after
        self._is_fading = fade_ms > 0
        self._fade_end_ms = ticks_add(tick, fade_ms)
        self._is_settled = False
        self._settled_ms = ticks_add(self._fade_end_ms, _SETTLE_MS)
        self._is_lit = before > 0 or after > 0 if self._is_fading else after > 0
        self._is_measured = False
        self._power_mw = self._estimate(before, after) if self._is_fading else self._curve.at(after)
        if self._health is not None:
            self._health.command(tick, after)
        self._state(tick)
        self._settle()

    def time(self, tick: int, is_known: bool, day: int, second: int, schedule) -> None:
        """Take the time of day: baselines, and the quarter of an hour that ends here. Sets ``next_s``."""
        self.next_s = _QUARTER_S
        if not is_known:
            self.counters.quarter(tick, UNKNOWN)
            return
        if self._baselines is None:
            return
        self.next_s = _QUARTER_S - second % _QUARTER_S
        if second % _QUARTER_S == 0:
            self.counters.quarter(tick, day * 96 + second // _QUARTER_S)
        baselines = self._baselines
        baselines.at(day, second, schedule)
        if baselines.next_s < self.next_s:
            self.next_s = baselines.next_s
        curve = self._curve
        self.counters.baselines(
            tick, curve.at(baselines.full), curve.at(baselines.fixed), curve.at(baselines.extinction)
        )

    @property
    def is_counting(self) -> bool:
        """Return whether the time of day matters here: baselines are declared."""
        return self._baselines is not None

    def pass_due(self, tick: int) -> None:
        """Do what is due at ``tick``."""
        if self._is_fading and self._fade_end_ms == tick:
            self._is_fading = False
            self._is_lit = self._level > 0
            if not self._is_measured:
                self._power_mw = self._curve.at(self._level)
            self._state(tick)
        if not self._is_settled and self._settled_ms == tick:
            self._is_settled = True
        health = self._health
        if health is not None and health.is_due and health.due_ms == tick:
            health.pass_due(tick)
        if self.faults.is_due and self.faults.due_ms == tick:
            self.faults.pass_due(tick)
        self._settle()

    def _estimate(self, before: int, after: int) -> int:
        """Return the mean power of a fade, in mW."""
        return self._curve.at(after) if before == after else self._curve.mean(before, after)

    def _state(self, tick: int) -> None:
        if self.counters is not None:
            is_supplied = self._is_supplied
            # What a meter before the relay shows stays measured.
            power_mw = self._power_mw if is_supplied or self._is_measured else 0
            is_lit = self._is_lit and is_supplied
            self.counters.state(tick, power_mw, self._is_measured, is_lit, is_supplied, self._is_occupied)

    def _settle(self) -> None:
        self.is_due = False
        if self._is_fading:
            self._soon(self._fade_end_ms)
        if not self._is_settled and self._health is not None:
            self._soon(self._settled_ms)
        if self.faults.is_due:
            self._soon(self.faults.due_ms)
        if self._health is not None and self._health.is_due:
            self._soon(self._health.due_ms)

    def _soon(self, due_ms: int) -> None:
        if not self.is_due or ticks_diff(due_ms, self.due_ms) < 0:
            self.is_due = True
            self.due_ms = due_ms


def _learned_of(config, curve):
    return LearnedCurve(curve) if config.meter_limits else None


def _health_of(config, faults, learned):
    return LampHealth(faults, learned, config.meter_limits) if config.meter_limits else None


def _counters_of(config):
    return NightCounters() if config.meter_limits or config.baselines else None


def _baselines_of(config):
    return Baselines(config.baselines) if config.baselines else None
