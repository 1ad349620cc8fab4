"""What a lamp reports, from what control knows of it: the one place that turns control's words into the payload's.

Measured values beyond a field's range are told as its end: a report with a clipped temperature is worth more than none.
"""

import struct

from firmware.control.compat import const
from firmware.control.counters import (
    DETECTIONS,
    DRIVER_S,
    ESTIMATED_WH,
    LAMP_S,
    MEASURED_WH,
    OCCUPIED_S,
    RECORD_SIZE,
    RECORDS,
    STARTS,
    SUPPRESSED,
)
from firmware.control.derating import UNKNOWN_DC
from firmware.control.inputs import CLOCK_UNKNOWN

from .codec import encode, known
from .codec_fields import ENERGY, FAULT, STATUS, WHY

# The classes of detections in a status, by the least of each (payload_words.PRESENCE).
_CLASSES = b"\x05\x0a\x14\x32\x64\xc8"
_POWER_MAX_MW = const(819000)
_TEMPERATURE_MIN_DC = const(-600)
_TEMPERATURE_MAX_DC = const(1900)
_WH_MAX = const(65534)
_TOTAL_MAX = const(0x3FFFFFFE)
_COUNT_MAX = const(1048574)
_REASON_MAX = const(30)
_BY_MAX = const(14)
_INDEX_MAX = const(62)
_PROGRAM_MAX = const(30)
_SINCE_MAX_S = const(1000000)
_DAY_S = const(86400)
_ENERGIES = const(5)


def status(lamp: int, controller, seen, quality: int, boots: int, plan_hash, tick: int) -> bytes:
    """Return the routine report of a lamp at ``tick``. ``quality``: of the clock; ``boots``: starts of the node so far;
    ``plan_hash``: one byte or more of that of the plan in force.

    To be sent by period or for a fault or command, never at a change that presence made (reliability.md R19).
    """
    monitor = controller.monitor
    temperature = seen.temperature_dc
    return encode(
        STATUS,
        (
            lamp,
            controller.level_at(tick),
            _code(controller.reason, _REASON_MAX),
            _code(controller.by, _BY_MAX),
            monitor.faults.active,
            quality,
            None if temperature == UNKNOWN_DC else _clip(temperature, _TEMPERATURE_MIN_DC, _TEMPERATURE_MAX_DC),
            known(min(seen.power_mw, _POWER_MAX_MW)),
            _presence(monitor.counters),
            boots & 15,
            plan_hash[0] & 15,
        ),
    )


def energy(lamp: int, counters, since: int):
    """Return (bytes, ``counters.closed``) of the quarters closed since ``since``; (None, since) where there is none.

    ``since``: what this returned last (0 at first). A ring holds 16 quarters: of a longer silence the oldest are lost
    for the period, and are in the totals.
    """
    closed = counters.closed
    quarters = min(closed - since, RECORDS)
    if quarters <= 0:
        return None, since
    sums = [0] * (_ENERGIES + 2)
    is_told = False
    stamp = -1
    for number in range(closed - quarters, closed):
        record = struct.unpack_from("<i7H", counters.records, number % RECORDS * RECORD_SIZE)
        stamp = record[0]
        for i in range(_ENERGIES + 2):
            if i < _ENERGIES:
                sums[i] += record[1 + i]
            elif record[1 + i] != SUPPRESSED:
                is_told = True
                sums[i] += record[1 + i]
    totals = counters.totals
    values = [lamp, known(stamp), quarters]
    for i in range(_ENERGIES):
        values.append(min(sums[i], _WH_MAX))
    values.append(min(sums[_ENERGIES], _DAY_S) if is_told else None)
    values.append(min(sums[_ENERGIES + 1], _WH_MAX) if is_told else None)
    values.append(min(totals[MEASURED_WH], _TOTAL_MAX))
    values.append(min(totals[ESTIMATED_WH], _TOTAL_MAX))
    values.append(min(totals[LAMP_S] // 3600, _COUNT_MAX))
    values.append(min(totals[DRIVER_S] // 3600, _COUNT_MAX))
    values.append(min(totals[STARTS], _COUNT_MAX))
    return encode(ENERGY, values), closed


def why(lamp: int, answer) -> bytes:
    """Return the report of a `control.why.Answer`."""
    return encode(
        WHY,
        (
            lamp,
            answer.level,
            _code(answer.reason, _REASON_MAX),
            _code(answer.by, _BY_MAX),
            _up_to(answer.index, _INDEX_MAX),
            _up_to(answer.program, _PROGRAM_MAX),
            _clip(answer.since_s, 0, _SINCE_MAX_S),
            known(min(answer.until_s, _DAY_S)),
            known(answer.next_level),
            _code(answer.next_reason, _REASON_MAX),
            _code(answer.next_by, _BY_MAX),
            _up_to(answer.next_index, _INDEX_MAX),
        ),
    )


def fault(lamp: int, sequence: int, faults, code: int, is_active: bool, quality: int, day: int, second: int) -> bytes:
    """Return the event that ``code`` of `control.faults.Faults` was raised or cleared, with its moment by the clock."""
    is_known = quality != CLOCK_UNKNOWN
    return encode(
        FAULT,
        (
            lamp,
            sequence & 255,
            code,
            1 if is_active else 0,
            min(faults.counts[code], 254),
            day if is_known else None,
            second if is_known else None,
        ),
    )


def _presence(counters):
    """Return the class of the last closed quarter's detections, None without counters or before the first."""
    if counters is None or counters.closed == 0:
        return None
    at = (counters.closed - 1) % RECORDS * RECORD_SIZE + 4 + 2 * _ENERGIES + 2 * (DETECTIONS - OCCUPIED_S)
    detections = struct.unpack_from("<H", counters.records, at)[0]
    if detections == SUPPRESSED:
        return 0
    found = 0
    while found < len(_CLASSES) and detections >= _CLASSES[found]:
        found += 1
    return found


def _clip(value: int, low: int, high: int) -> int:
    if value < low:
        return low
    return high if value > high else value


def _code(value: int, most: int) -> int:
    """Return a code; 0, by default, where control has none yet (255, before its first decision)."""
    return value if 0 <= value <= most else 0


def _up_to(value: int, high: int):
    return value if 0 <= value <= high else None
