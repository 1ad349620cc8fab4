"""The energy account of one lamp output: what it has counted is stored before it is told, and told once.

A report covers what was used since the last one, as the difference of two states of ``NightCounters.totals``: so all
reports together are the totals, whatever was cut in between. The file ``counters0`` … ``counters3`` is written at
every closed quarter and before every report: at a cut at most a quarter of an hour is not counted, and no counter is
ever told higher than it was stored. With it is stored the last report itself; after a start it is sent again as it
was, byte by byte, since the outbox may not have stored it: whoever adds up takes a lamp's ``end_quarter`` once.

======= ===========================================================================================================
110     `lifetime`
1       flags: 1 derogation told as in force
40      totals at the last report, 4 bytes each
4       its end: UTC quarters since 2000-01-01, 0 unknown
1 + n   the report, with its length
======= ===========================================================================================================
"""

import struct

from firmware.control import counters as places
from firmware.control.clock import get, put
from firmware.control.compat import const
from firmware.control.inputs import UNKNOWN
from firmware.control.ticks import ticks_diff
from firmware.system import lifetime
from firmware.system.store import StoreError

from . import codec
from .codec_fields import ENERGY

QUARTER_S = const(900)

_QUARTER_MS = const(900000)
_TOTALS = const(10)
_QUARTERS_MAX = const(96)
_VALUE_MAX = const(65534)
_DAY_S = const(86400)
_TOTAL_MAX = const(0x3FFFFFFE)
_HOURS_MAX = const(0xFFFFE)
_DEROGATED = const(1)
# A flash that refused is asked again so much later.
_RETRY_MS = const(60000)


class Account:
    """The account of output ``lamp``. ``every``: quarters of an hour in a report, 1 … 96.

    Call `start` before the controller's first step (or `lifetime.restore` before it, and `start` later), then `poll`
    every few seconds. ``is_derogated``: that a derogation is in force was told. ``failures`` counts writes that failed:
    nothing is reported until one succeeds. Counters that began before they were given back are not reported, and what
    is stored stands, until the next start.
    """

    def __init__(self, store, lamp: int, every: int):
        if not 1 <= every <= _QUARTERS_MAX:
            raise ValueError("energy every %d quarters: 1 to 96" % every)
        self._store = store
        self._name = "counters%d" % lamp
        self._lamp = lamp
        self._every = every
        self._reported = [0] * _TOTALS
        self._reported_end = 0
        self._report = b""
        # Records closed as of the last poll, quarters since the last report, and the quarter that is running.
        self._closed = 0
        self._quarters = 0
        self._quarter = UNKNOWN
        self._quarter_ms = UNKNOWN
        self._saved_ms = UNKNOWN
        self._is_to_save = False
        self._has_failed = False
        # The counters had begun before they were given back: what is stored is more than they have, and stays.
        self._is_behind = False
        self.is_derogated = False
        self.failures = 0

    def start(self, controller) -> bytes:
        """Give ``controller`` back what it had counted; return the last report, to be sent again, or b""."""
        data = self._store.read(self._name)
        at = lifetime.SIZE
        if not data or len(data) < at + 6 + 4 * _TOTALS or not lifetime.restore(controller, data, 0):
            return b""
        self.is_derogated = data[at] & _DEROGATED != 0
        at += 1
        counters = controller.monitor.counters
        if counters is not None:
            for i in range(_TOTALS):
                if get(data, lifetime.LIVE_AT + 4 * i) > counters.live[i]:
                    self._is_behind = True
        for i in range(_TOTALS):
            value = get(data, at)
            # More than there is cannot have been reported: the counters were begun anew.
            self._reported[i] = value if counters is not None and value <= counters.totals[i] else 0
            at += 4
        self._reported_end = get(data, at)
        self._report = bytes(data[at + 5 : at + 5 + data[at + 4]])
        return self._report

    def carry(self, old, new, tick: int) -> None:
        """Give what ``old`` has counted by ``tick`` to ``new``, a controller that has not made a step."""
        _count(old, tick)
        counters = old.monitor.counters
        if counters is not None:
            self._quarters += counters.closed - self._closed
        buffer = bytearray(lifetime.SIZE)
        lifetime.save(old, buffer, 0)
        lifetime.restore(new, buffer, 0)
        self._closed = 0

    def poll(self, controller, tick: int, is_known: bool, day: int, second: int) -> bytes:
        """Save and report what is due; return a report, stored, or b"".

        The controller has been brought up to ``tick`` (`Intake.wake`).
        """
        if self._saved_ms == UNKNOWN:
            self._saved_ms = tick
        counters = controller.monitor.counters
        if counters is None:
            if ticks_diff(tick, self._saved_ms) >= _QUARTER_MS:
                self._is_to_save = True
            self._save_due(controller, tick)
            return b""
        if not controller.monitor.is_counting:
            self._close(counters, tick, is_known, day, second)
        if counters.closed != self._closed:
            self._quarters += counters.closed - self._closed
            self._closed = counters.closed
            self._is_to_save = True
        if self._is_to_save and self._is_due(counters) and self._may_write(tick):
            return self._tell(controller, tick)
        self._save_due(controller, tick)
        return b""

    def save(self, controller, tick: int) -> bool:
        """Store all as it stands at ``tick``; False where the flash refused, and then `poll` tries again.

        The controller has been brought up to ``tick``, here as in `poll` and `carry`.
        """
        self._saved_ms = tick
        if self._is_behind:
            self.failures += 1
            self._has_failed = True
            return False
        _count(controller, tick)
        data = bytearray(lifetime.SIZE + 6 + 4 * _TOTALS)
        at = lifetime.save(controller, data, 0)
        data[at] = _DEROGATED if self.is_derogated else 0
        at += 1
        for i in range(_TOTALS):
            at = put(data, at, self._reported[i])
        data[put(data, at, self._reported_end)] = len(self._report)
        try:
            self._store.write(self._name, bytes(data) + self._report)
        except (OSError, StoreError):
            self.failures += 1
            self._has_failed = True
            self._is_to_save = True
            return False
        self._has_failed = False
        self._is_to_save = False
        return True

    def _save_due(self, controller, tick: int) -> None:
        if self._is_to_save and self._may_write(tick):
            self.save(controller, tick)

    def _may_write(self, tick: int) -> bool:
        return not self._has_failed or ticks_diff(tick, self._saved_ms) >= _RETRY_MS

    def _close(self, counters, tick: int, is_known: bool, day: int, second: int) -> None:
        """Close the quarters of a lamp that has a meter and no baselines: control leaves that to us."""
        if is_known:
            quarter = day * 96 + second // QUARTER_S
            if quarter != self._quarter:
                self._quarter = quarter
                self._quarter_ms = tick
                counters.quarter(tick, quarter)
        elif self._quarter_ms == UNKNOWN or ticks_diff(tick, self._quarter_ms) >= _QUARTER_MS:
            self._quarter_ms = tick
            counters.quarter(tick, UNKNOWN)

    def _end_of(self, counters) -> int:
        """Return the UTC quarter at which the last record ends, 0 where it is unknown."""
        if counters.closed == 0:
            return 0
        place = (counters.closed - 1) % places.RECORDS * places.RECORD_SIZE
        end = struct.unpack_from("<i", counters.records, place)[0]
        return end if end > 0 else 0

    def _is_due(self, counters) -> bool:
        """Reports end at UTC multiples of their length, where UTC is known."""
        end = self._end_of(counters)
        return (end > 0 and end % self._every == 0) or self._quarters >= self._every

    def _tell(self, controller, tick: int) -> bytes:
        """Store a report, and return it; b"" where the flash refused: the next one covers its time too."""
        counters = controller.monitor.counters
        end = self._end_of(counters)
        before = (self._reported, self._reported_end, self._report, self._quarters)
        length = self._quarters
        if end and self._reported_end and end > self._reported_end:
            # With what lay between, so that periods leave no hole: the lamp had no power then.
            length = end - self._reported_end
        # What does not fit a report is left for the next one: all of them add up.
        told = self._told(counters)
        self._report = codec.encode(ENERGY, self._values(counters, end, min(max(length, 1), _QUARTERS_MAX), told))
        self._reported = [self._reported[i] + told[i] for i in range(_TOTALS)]
        self._reported_end = end
        self._quarters = 0
        if not self.save(controller, tick):
            self._reported, self._reported_end, self._report, self._quarters = before
            return b""
        return self._report

    def _told(self, counters):
        """Return what of each total this report tells."""
        told = []
        for i in range(_TOTALS):
            most = _DAY_S if i == places.OCCUPIED_S else _VALUE_MAX
            told.append(min(counters.totals[i] - self._reported[i], most))
        if told[places.DETECTIONS] < places.DETECTIONS_MIN:
            # Released in batches of so many (control/counters.py); what is left of one waits for the next.
            told[places.OCCUPIED_S] = 0
            told[places.DETECTIONS] = 0
        return told

    def _values(self, counters, end: int, length: int, told):
        totals = counters.totals
        values = [self._lamp, end or None, length]
        for i in range(places.EXTINCTION_WH + 1):
            values.append(told[i])
        is_told = told[places.DETECTIONS] > 0
        values.append(told[places.OCCUPIED_S] if is_told else None)
        values.append(told[places.DETECTIONS] if is_told else None)
        values.append(min(totals[places.MEASURED_WH], _TOTAL_MAX))
        values.append(min(totals[places.ESTIMATED_WH], _TOTAL_MAX))
        values.append(min(totals[places.LAMP_S] // 3600, _HOURS_MAX))
        values.append(min(totals[places.DRIVER_S] // 3600, _HOURS_MAX))
        values.append(min(totals[places.STARTS], _HOURS_MAX))
        return values


def _count(controller, tick: int) -> None:
    """Bring all that counts up to ``tick``."""
    controller.count_to(tick)
    if controller.monitor.counters is not None:
        controller.monitor.counters.count_to(tick)
