"""The values of a status report, out of what the node has anyway."""

import struct

from firmware.control import counters as places
from firmware.control.compat import const
from firmware.control.derating import UNKNOWN_DC
from firmware.control.faults import METER_MISSING
from firmware.control.inputs import UNKNOWN
from firmware.control.plan_format import NO_PROGRAM

_POWER_MAX_MW = const(819000)
_COLDEST_DC = const(-600)
_HOTTEST_DC = const(1900)
# The least number of detections of each class but the first (host_tools/payload_words.py).
_CLASSES = b"\x05\x0a\x14\x32\x64\xc8"


def status_values(number: int, lamp, curve, tick: int, quality: int, boot: int, hash8):
    """Return the values of `codec_fields.STATUS` for a lamp that has been brought up to ``tick``."""
    controller = lamp.controller
    seen = lamp.intake.seen
    faults = controller.monitor.faults
    level = controller.level_at(tick)
    power_mw = seen.power_mw
    if power_mw == UNKNOWN or faults.active >> METER_MISSING & 1:
        power_mw = curve.at(level)
    temperature_dc = seen.temperature_dc
    if temperature_dc == UNKNOWN_DC:
        temperature_dc = None
    else:
        temperature_dc = min(max(temperature_dc, _COLDEST_DC), _HOTTEST_DC)
    has_decided = controller.reason < NO_PROGRAM
    return (
        number,
        level,
        controller.reason if has_decided else 0,
        controller.by if has_decided else 0,
        faults.active,
        quality,
        temperature_dc,
        min(power_mw, _POWER_MAX_MW),
        presence_class(controller.monitor.counters),
        boot & 15,
        hash8[0] & 15,
    )


def presence_class(counters):
    """Return the class of the detections of the last closed quarter: 0 … 6, None without counters or a quarter.

    Fewer than five are not told apart from none (lighting.md, F15).
    """
    if counters is None or counters.closed == 0:
        return None
    place = (counters.closed - 1) % places.RECORDS * places.RECORD_SIZE
    detections = struct.unpack_from("<H", counters.records, place + 16)[0]
    if detections == places.SUPPRESSED:
        return 0
    found = 0
    while found < len(_CLASSES) and detections >= _CLASSES[found]:
        found += 1
    return found
