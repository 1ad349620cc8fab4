"""What the meter says about the lamp, against what the lamp was told. A command echo is no proof of light.

Every rule judges a settled sample against the level it was taken at; where nothing can be judged, nothing is raised and
nothing cleared. A meter that shows nothing at a lit command is a missing meter, and not a lamp that fails.
"""

import struct

from .compat import const
from .power import POWER_MAX_MW
from .ticks import ticks_add, ticks_diff

_LEVEL_FULL = const(1000)

# Codes of `faults`, once more: as private constants they cost no bytes. A test compares them.
_LAMP_FAILURE = const(0)
_DIMMING_FAILURE = const(1)
_LAMP_UNEXPECTED_ON = const(2)
_CYCLING_FAILURE = const(3)
_LAMP_POWER_TOO_HIGH = const(4)
_LAMP_POWER_TOO_LOW = const(5)
_POWER_FACTOR_TOO_LOW = const(6)
_SUPPLY_VOLTAGE_TOO_HIGH = const(7)
_SUPPLY_VOLTAGE_TOO_LOW = const(8)
_CURRENT_TOO_HIGH = const(9)
_CURRENT_TOO_LOW = const(10)
_SUPPLY_LOSS = const(11)
_METER_MISSING = const(15)

# Buckets of the learned curve, one every 100 permille: 0, 100 … 1000.
_BUCKETS = const(11)
_STEP = const(100)
# A bucket speaks after 16 samples; a sample never weighs less than 1/255, so that the curve follows ageing.
_LEARNED_AT = const(16)
_WEIGHT_MAX = const(255)
# Parts of a mW in a bucket: 30 % of 500 W in them stays below 2^30.
_PARTS = const(256)

LEARNED_STATE_SIZE = const(55)

# Places in the tuple of limits, see `LampHealth`.
_LOW_LEVEL = const(0)
_HIGH_LEVEL = const(1)
_POWER_LOW = const(2)
_POWER_HIGH = const(4)
_FACTOR_LOW = const(6)
_STANDBY = const(8)
_VOLTAGE_LOW = const(9)
_VOLTAGE_HIGH = const(10)
_VOLTAGE_LOSS = const(11)
_CURRENT_LOW = const(12)
_CURRENT_HIGH = const(13)

# A sample is worth nothing 30 s later: shorter than the debounce of all that is judged from samples (`faults`).
SILENCE_MS = const(30000)

# Cycling failure: so many times out and lit again, on its own, within a day. The ring holds just these.
_CYCLES = const(5)
_DAY_MS = const(86400000)

_UNKNOWN = const(0)
_LIT = const(1)
_DARK = const(2)

# All that is judged from the meter: faults 0 … 2, 4 … 10 and the missing meter; cycling has a window of its own.
_JUDGED = const(0x87F7)
_JUDGED_BY_VALUES = const(0x07F7)
_JUDGED_BY_POWER = const(0x0477)


class LearnedCurve:
    """Power over level as this lamp draws it: how far it lies from ``nominal`` (`PowerCurve`), learned from samples.

    Nameplate times level overstates by 7 % at 75 % (lighting.md A.3). Learned in 11 buckets of 100 permille, never
    further than 30 % from nominal; between buckets it is linear, and where nothing is learned it is nominal.
    """

    def __init__(self, nominal):
        self._nominal = nominal
        # Difference from nominal in 1/256 mW, and how many samples speak for it (stays at 255).
        self._offset = [0] * _BUCKETS
        self._count = bytearray(_BUCKETS)

    def is_learned(self, level: int) -> bool:
        """Tell whether the bucket of ``level`` (0 … 1000 permille) has heard enough samples."""
        return level > 0 and self._count[(level + _STEP // 2) // _STEP] >= _LEARNED_AT

    def power_mw(self, level: int) -> int:
        """Return the power in mW at ``level`` (0 … 1000 permille), learned where it can be."""
        power = self._nominal.at(level)
        if level == 0:
            return power
        low = level // _STEP
        high = low + 1 if level % _STEP else low
        # Beside a learned bucket lies one that is not: then the learned one speaks for both.
        a = high if self._count[low] < _LEARNED_AT else low
        b = low if self._count[high] < _LEARNED_AT else high
        if self._count[a] < _LEARNED_AT:
            return power
        offset_a = (self._offset[a] + _PARTS // 2) // _PARTS
        offset_b = (self._offset[b] + _PARTS // 2) // _PARTS
        power += offset_a + (offset_b - offset_a) * (level % _STEP) // _STEP
        return power if power > 0 else 0

    def learn(self, level: int, power_mw: int) -> bool:
        """Take a settled sample at ``level`` (1 … 1000 permille, 0 … ``POWER_MAX_MW``); False if it is not believed.

        Believed: within 30 % of nominal, and within 20 % of what is learned, so that a lamp that loses a string of
        LEDs at once does not teach that this is normal.
        """
        nominal = self._nominal.at(level)
        if _is_off(power_mw, nominal, 3):
            return False
        if self.is_learned(level) and _is_off(power_mw, self.power_mw(level), 2):
            return False
        i = (level + _STEP // 2) // _STEP
        count = self._count[i]
        if count < _WEIGHT_MAX:
            count += 1
            self._count[i] = count
        self._offset[i] += ((power_mw - nominal) * _PARTS - self._offset[i]) // count
        return True

    def save(self, buffer: bytearray, at: int) -> int:
        """Write the curve, ``LEARNED_STATE_SIZE`` bytes; return where it ends."""
        for i in range(_BUCKETS):
            struct.pack_into("<i", buffer, at, self._offset[i])
            buffer[at + 4] = self._count[i]
            at += 5
        return at

    def load(self, buffer: bytearray, at: int) -> bool:
        """Take back what ``save()`` wrote; False, and nothing changed, if a bucket lies where none can be learned."""
        if at < 0 or len(buffer) < at + LEARNED_STATE_SIZE:
            return False
        for i in range(_BUCKETS):
            offset = struct.unpack_from("<i", buffer, at + 5 * i)[0]
            edge = i * _STEP + _STEP // 2
            bound = self._nominal.at(edge if edge < _LEVEL_FULL else _LEVEL_FULL) * 3 // 10 * _PARTS
            if not -bound - _PARTS <= offset <= bound + _PARTS or (offset != 0 and buffer[at + 5 * i + 4] == 0):
                return False
        for i in range(_BUCKETS):
            self._offset[i] = struct.unpack_from("<i", buffer, at + 5 * i)[0]
            self._count[i] = buffer[at + 5 * i + 4]
        return True


class LampHealth:
    """Judges the samples of one lamp's meter and tells `Faults`. A lamp built without a meter has no LampHealth.

    ``limits`` are 14 integers: two levels in permille (the lower is the least the driver can do; below it no lamp is
    judged), then for these two levels the lowest and the highest power in mW and the lowest power factor in permille,
    linear between them as in the fleet of lighting.md A.3; then the highest power in mW of an unlit lamp; the supply's
    lowest and highest voltage and the one below which it is lost, in 0.1 V; the lowest and highest current in mA::

        low level, high level, low mW, low mW, high mW, high mW, factor, factor,
        standby mW, low dV, high dV, loss dV, low mA, high mA

    While ``is_due``, ``pass_due()`` is to be called at ``due_ms``, after the inputs of that tick and before that of
    `Faults`: a silence then ends a debounce that would be over at the same tick.
    """

    def __init__(self, faults, learned: LearnedCurve, limits):
        self._faults = faults
        self._learned = learned
        self._limits = limits
        self._level = 0
        self._is_supply_lost = False
        self._lamp = _UNKNOWN
        self._relit = [0] * _CYCLES
        self._relit_first = 0
        self._relit_count = 0
        self._is_listening = False
        self._silence_ms = 0
        self.is_due = False
        self.due_ms = 0

    def command(self, tick: int, level_permille: int) -> None:
        """Tell the level the lamp is told from ``tick`` on (0 … 1000 permille); ``sample()`` does it too."""
        if level_permille > _LEVEL_FULL:
            level_permille = _LEVEL_FULL
        elif level_permille < 0:
            level_permille = 0
        was_lit = self._level > 0
        self._level = level_permille
        if was_lit == (level_permille > 0):
            return
        self._cannot_judge(_JUDGED)
        if not was_lit:
            self._faults.condition(tick, _LAMP_UNEXPECTED_ON, False)
        self._listen(tick)

    def supply(self, tick: int, is_lost: bool) -> None:
        """Tell what a mains detector sees. While the supply is lost a dark lamp and a dead meter are no faults."""
        if is_lost == self._is_supply_lost:
            return
        self._is_supply_lost = is_lost
        self._faults.condition(tick, _SUPPLY_LOSS, is_lost)
        self._cannot_judge(_JUDGED)
        self._listen(tick)

    def sample(
        self,
        tick: int,
        level_permille: int,
        is_settled: bool,
        power_mw: int,
        voltage_dv: int,
        current_ma: int,
        power_factor_permille: int,
    ) -> None:
        """Judge a sample; -1 stands for a value the meter does not give.

        ``level_permille`` is what the lamp was told, ``is_settled``: for long enough that fade and warm-up are over.
        """
        self.command(tick, level_permille)
        if self._is_supply_lost:
            return
        self._listen(tick)
        faults = self._faults
        level = self._level
        if power_mw > POWER_MAX_MW:
            power_mw = POWER_MAX_MW
        if power_mw <= 0 and voltage_dv <= 0:
            # Nothing at all: no proof of light, and none of a failure either (lighting.md F13).
            self._miss(tick)
            return
        if power_mw >= 0:
            faults.condition(tick, _METER_MISSING, False)
        elif level > 0:
            self._cannot_judge(_JUDGED_BY_POWER)
            faults.condition(tick, _METER_MISSING, True)
        if voltage_dv >= 0:
            is_lost = voltage_dv < self._limits[_VOLTAGE_LOSS]
            faults.condition(tick, _SUPPLY_LOSS, is_lost)
            if is_lost:
                self._cannot_judge(_JUDGED)
                return
            faults.condition(tick, _SUPPLY_VOLTAGE_TOO_HIGH, voltage_dv > self._limits[_VOLTAGE_HIGH])
            faults.condition(tick, _SUPPLY_VOLTAGE_TOO_LOW, voltage_dv < self._limits[_VOLTAGE_LOW])
        if current_ma >= 0:
            faults.condition(tick, _CURRENT_TOO_HIGH, current_ma > self._limits[_CURRENT_HIGH])
        if not is_settled or power_mw < 0:
            return
        if level == 0:
            faults.condition(tick, _LAMP_UNEXPECTED_ON, power_mw > self._limits[_STANDBY])
        elif level >= self._limits[_LOW_LEVEL]:
            self._judge_lamp(tick, power_mw, current_ma, power_factor_permille)

    def pass_due(self, tick: int) -> None:
        """Note the silence of the meter, or the end of a re-lighting's day, at ``tick``."""
        self._expire(tick)
        if self._is_listening and ticks_diff(tick, self._silence_ms) >= 0:
            self._is_listening = False
            self._miss(tick)
        self._find_due()

    def _limit(self, place: int) -> int:
        """Return the limit that stands at ``place`` and the next of ``limits``, at the level told."""
        limits = self._limits
        low = limits[_LOW_LEVEL]
        high = limits[_HIGH_LEVEL]
        level = self._level
        if level <= low:
            return limits[place]
        if level >= high:
            return limits[place + 1]
        return limits[place] + (limits[place + 1] - limits[place]) * (level - low) // (high - low)

    def _judge_lamp(self, tick: int, power: int, current_ma: int, power_factor: int) -> None:
        """Judge a settled sample at a level the driver can do. One cause gives one fault."""
        faults = self._faults
        learned = self._learned
        level = self._level
        low = self._limit(_POWER_LOW)
        high = self._limit(_POWER_HIGH)
        expected = learned.power_mw(level)
        dark = low // 2
        if learned.is_learned(level):
            dark = expected // 3
            if low < expected // 10 * 7:
                low = expected // 10 * 7
            if high > expected // 10 * 13:
                high = expected // 10 * 13
        is_dark = power < dark
        faults.condition(tick, _LAMP_FAILURE, is_dark)
        self._note_cycle(tick, is_dark, power >= 2 * dark)
        # Near full power at a level that should draw much less: the lamp does not hear its dimmer.
        full = learned.power_mw(_LEVEL_FULL)
        is_undimmed = False
        if expected // 7 < full // 10:
            is_undimmed = power // 17 > full // 20
            faults.condition(tick, _DIMMING_FAILURE, is_undimmed)
        else:
            faults.unknown(1 << _DIMMING_FAILURE)
        is_low = power < low and not is_dark
        is_high = power > high and not is_undimmed
        faults.condition(tick, _LAMP_POWER_TOO_LOW, is_low)
        faults.condition(tick, _LAMP_POWER_TOO_HIGH, is_high)
        if is_dark:
            return
        if power_factor >= 0:
            faults.condition(tick, _POWER_FACTOR_TOO_LOW, power_factor < self._limit(_FACTOR_LOW))
        if current_ma >= 0:
            faults.condition(tick, _CURRENT_TOO_LOW, current_ma < self._limits[_CURRENT_LOW])
        if not (is_low or is_high or is_undimmed):
            learned.learn(level, power)

    def _note_cycle(self, tick: int, is_dark: bool, is_lit: bool) -> None:
        """Count a lamp that goes out and lights again while told to be lit; what lies between is neither."""
        if is_lit:
            if self._lamp == _DARK:
                self._relight(tick)
            self._lamp = _LIT
        elif is_dark and self._lamp == _LIT:
            self._lamp = _DARK

    def _relight(self, tick: int) -> None:
        self._expire(tick)
        if self._relit_count == _CYCLES:
            self._relit_first = (self._relit_first + 1) % _CYCLES
            self._relit_count -= 1
        self._relit[(self._relit_first + self._relit_count) % _CYCLES] = tick
        self._relit_count += 1
        self._faults.condition(tick, _CYCLING_FAILURE, self._relit_count == _CYCLES)
        self._find_due()

    def _expire(self, tick: int) -> None:
        """Drop the re-lightings that are a day old."""
        while self._relit_count > 0 and ticks_diff(tick, self._relit[self._relit_first]) >= _DAY_MS:
            self._relit_first = (self._relit_first + 1) % _CYCLES
            self._relit_count -= 1
            self._faults.condition(tick, _CYCLING_FAILURE, False)

    def _listen(self, tick: int) -> None:
        """Expect the next sample within `SILENCE_MS`; with a lost supply none is expected."""
        self._is_listening = not self._is_supply_lost
        self._silence_ms = ticks_add(tick, SILENCE_MS)
        self._find_due()

    def _miss(self, tick: int) -> None:
        """Take note that the meter gave nothing; by day nobody can tell a missing meter from an open relay."""
        self._cannot_judge(_JUDGED_BY_VALUES)
        if self._level > 0:
            self._faults.condition(tick, _METER_MISSING, True)

    def _cannot_judge(self, mask: int) -> None:
        self._faults.unknown(mask)
        self._lamp = _UNKNOWN

    def _find_due(self) -> None:
        self.is_due = self._is_listening
        self.due_ms = self._silence_ms
        if self._relit_count > 0:
            end = ticks_add(self._relit[self._relit_first], _DAY_MS)
            if not self.is_due or ticks_diff(end, self.due_ms) < 0:
                self.is_due = True
                self.due_ms = end


def _is_off(power: int, reference: int, tenths: int) -> bool:
    """Tell whether ``power`` lies further from ``reference`` than so many tenths of it."""
    away = power - reference
    return (away if away > 0 else -away) * 10 > reference * tenths
