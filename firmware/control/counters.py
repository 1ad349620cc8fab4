"""What a lamp has used, burnt and seen: counters that survive restarts, and what of them may leave the node.

Counters only go up. What leaves is as old as the last closed quarter of an hour and no finer: ``totals`` and
``records``. Presence leaves only when at least five detections are together (lighting.md F15); fewer wait in a pool.
"""

import struct

from .compat import const
from .power import EnergyCounter
from .ticks import ticks_diff

# Places in ``live`` and ``totals``: Wh, s and counts. They fit 30 bits for 34 years, and for more than 200 at 500 W.
MEASURED_WH = const(0)
ESTIMATED_WH = const(1)
FULL_NIGHT_WH = const(2)
FIXED_DIMMING_WH = const(3)
EXTINCTION_WH = const(4)
LAMP_S = const(5)
DRIVER_S = const(6)
STARTS = const(7)
OCCUPIED_S = const(8)
DETECTIONS = const(9)
_ENERGIES = const(5)
_TOTALS = const(10)
# Only in ``live``: what is occupied and detected, and not yet enough to be told.
_POOL_S = const(10)
_POOL_DETECTIONS = const(11)
_LIVE = const(12)
# The three that count time, in the order of the flags: lit, powered, occupied.
_TIMES = b"\x05\x06\x0a"

# Fewer detections than this are not reported: they could be one person's way home.
DETECTIONS_MIN = const(5)

# A record closes at a UTC quarter. The clock may have been corrected since the last, by no more than this.
_QUARTER_MS = const(900000)
_CORRECTION_MS = const(5000)

# Records kept for a link that was away: four hours of them.
RECORDS = const(16)
RECORD_SIZE = const(18)
SUPPRESSED = const(65535)
_VALUE_MAX = const(65534)

# The mJ below the Wh, then ``live``, in four bytes each.
STATE_SIZE = const(68)
_MJ_PER_WH = const(3600000)
_INT_MAX = const(0x3FFFFFFF)


class NightCounters:
    """The counters of one lamp output, fed with states that hold from a tick on until the next is told.

    ``live``: integers at the places above, for use inside the node. ``MEASURED_WH`` by the meter, ``ESTIMATED_WH`` from
    the curve where nothing was measured; what the same time would have used under the three declared baselines;
    ``LAMP_S`` lit and ``DRIVER_S`` under supply (the two differ by 30 % in lighting.md A.3). ``OCCUPIED_S`` and
    ``DETECTIONS`` are released in batches of at least ``DETECTIONS_MIN``, so no sum of them tells of one person;
    occupied over burning time is EN 13201-5's detection probability.

    For reports: ``totals``, the first ten of ``live`` as of the last closed quarter, and ``records``, a ring of
    ``RECORDS`` of 18 bytes, little-endian: stamp (4: UTC quarters since 2000-01-01 at its end, all ones if unknown), Wh
    measured, estimated, full night, fixed dimming, extinction (5 · 2, up to 65,534), occupied s and detections released
    in it (2 · 2, or ``SUPPRESSED``). ``closed`` counts them: the last lies at place ``(closed - 1) % RECORDS``.
    """

    def __init__(self):
        self.live = [0] * _LIVE
        self.totals = [0] * _TOTALS
        self.records = bytearray(RECORDS * RECORD_SIZE)
        self.closed = 0
        self._energies = [EnergyCounter() for _ in range(_ENERGIES)]
        self._powers = [0] * _ENERGIES
        self._flags = bytearray(3)
        self._ms = [0] * 3
        self._is_started = False
        self._is_loaded = False
        self._tick = 0
        # How long the open record is; it stops at a quarter, so that no ring can wrap.
        self._open_ms = 0

    def state(
        self, tick: int, power_mw: int, is_measured: bool, is_lit: bool, is_powered: bool, is_occupied: bool
    ) -> None:
        """Tell what holds from ``tick`` on. ``power_mw``: 0 … ``POWER_MAX_MW``, over a ramp its mean."""
        self.count_to(tick)
        live = self.live
        flags = self._flags
        if is_lit and not flags[0]:
            live[STARTS] += 1
        if is_occupied and not flags[2]:
            live[_POOL_DETECTIONS] += 1
        self._powers[MEASURED_WH] = power_mw if is_measured else 0
        self._powers[ESTIMATED_WH] = 0 if is_measured else power_mw
        flags[0] = is_lit
        flags[1] = is_powered
        flags[2] = is_occupied

    def baselines(self, tick: int, full_mw: int, fixed_mw: int, extinction_mw: int) -> None:
        """Tell what each declared baseline would draw from ``tick`` on, in mW (0 … ``POWER_MAX_MW``)."""
        self.count_to(tick)
        self._powers[FULL_NIGHT_WH] = full_mw
        self._powers[FIXED_DIMMING_WH] = fixed_mw
        self._powers[EXTINCTION_WH] = extinction_mw

    def count_to(self, tick: int) -> None:
        """Bring the counters up to ``tick``; the first call starts them. A tick before the last one counts nothing."""
        span = ticks_diff(tick, self._tick)
        if not self._is_started:
            self._is_started = True
            self._tick = tick
            return
        if span <= 0:
            return
        self._tick = tick
        self._open_ms += span
        if self._open_ms > _QUARTER_MS:
            self._open_ms = _QUARTER_MS
        live = self.live
        for i in range(_ENERGIES):
            energy = self._energies[i]
            energy.add(self._powers[i], span, False)
            live[i] = energy.energy_wh
        for i in range(3):
            if self._flags[i]:
                ms = self._ms[i] + span
                live[_TIMES[i]] += ms // 1000
                self._ms[i] = ms % 1000

    def quarter(self, tick: int, stamp: int) -> bool:
        """Close a record at a UTC quarter; False when the last was closed less than a quarter ago: then it goes on.

        ``stamp``: day number · 96 + quarter of day that ends here, or -1 while the clock is unknown (then every 900 s
        by the tick). Save, then report: what is reported must not be lost by a cut.
        """
        self.count_to(tick)
        if self._open_ms < _QUARTER_MS - _CORRECTION_MS:
            return False
        self._open_ms = 0
        live = self.live
        at = self.closed % RECORDS * RECORD_SIZE
        self.closed += 1
        struct.pack_into("<i", self.records, at, stamp)
        is_told = live[_POOL_DETECTIONS] >= DETECTIONS_MIN
        for i in range(2):
            if is_told:
                live[OCCUPIED_S + i] += live[_POOL_S + i]
                live[_POOL_S + i] = 0
        for i in range(_TOTALS):
            value = live[i] - self.totals[i]
            self.totals[i] = live[i]
            if value > _VALUE_MAX:
                value = _VALUE_MAX
            if i >= OCCUPIED_S:
                struct.pack_into("<H", self.records, at + 2 * i - 2, value if is_told else SUPPRESSED)
            elif i < _ENERGIES:
                struct.pack_into("<H", self.records, at + 2 * i + 4, value)
        return True

    def save(self, buffer: bytearray, at: int) -> int:
        """Write all counters, ``STATE_SIZE`` bytes; return where they end. The records are not kept."""
        for i in range(_ENERGIES + _LIVE):
            value = self._energies[i].energy_mj if i < _ENERGIES else self.live[i - _ENERGIES]
            struct.pack_into("<i", buffer, at, value)
            at += 4
        return at

    def load(self, buffer: bytearray, at: int) -> bool:
        """Take back what ``save()`` wrote, once, after a start and before the first state.

        False, and nothing changed, if the counters already run, or if it is not what ``save()`` writes: a counter never
        goes back.
        """
        if self._is_started or self._is_loaded or at < 0 or len(buffer) < at + STATE_SIZE:
            return False
        saved = struct.unpack_from("<17i", buffer, at)
        for i in range(_ENERGIES + _LIVE):
            if not 0 <= saved[i] <= (_MJ_PER_WH - 1 if i < _ENERGIES else _INT_MAX):
                return False
        self._is_loaded = True
        for i in range(_LIVE):
            self.live[i] = saved[_ENERGIES + i]
            if i < _ENERGIES:
                self._energies[i].energy_wh = self.live[i]
                self._energies[i].energy_mj = saved[i]
            if i < _TOTALS:
                self.totals[i] = self.live[i]
        return True
