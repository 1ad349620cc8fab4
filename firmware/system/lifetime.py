"""What a lamp output keeps for its life: energy, burning hours, counters, latched faults. Over restarts, and over a
change of plan, which is a new controller.

``SIZE`` bytes: format (1), energy in Wh and mJ below it, burning time in s (3 · 4, little-endian), `Faults` (29), 1
where counters follow, `NightCounters` (68, zeros without).
"""

from firmware.control.clock import get, put
from firmware.control.compat import const
from firmware.control.counters import STATE_SIZE as COUNTERS_SIZE
from firmware.control.faults import STATE_SIZE as FAULTS_SIZE
from firmware.control.faults import Faults

_FORMAT = const(1)
_HEAD = const(13)
_MJ_PER_WH = const(3600000)
SIZE = _HEAD + FAULTS_SIZE + 1 + COUNTERS_SIZE


def save(controller, buffer: bytearray, at: int) -> int:
    """Write what ``controller`` has counted, as far as it has; return where it ends."""
    energy = controller.energy
    monitor = controller.monitor
    buffer[at] = _FORMAT
    put(buffer, put(buffer, put(buffer, at + 1, energy.energy_wh), energy.energy_mj), energy.burning_s)
    end = monitor.faults.save(buffer, at + _HEAD)
    buffer[end] = 0 if monitor.counters is None else 1
    if monitor.counters is not None:
        monitor.counters.save(buffer, end + 1)
    return at + SIZE


def restore(controller, data, at: int) -> bool:
    """Take back what `save` wrote, before the first step; False, and nothing changed, where it is something else.

    A lamp that had no counters and now has some begins them at 0.
    """
    if len(data) < at + SIZE or data[at] != _FORMAT:
        return False
    for place in (at + 4, at + 8, at + 12):
        if data[place] >= 64:
            return False
    energy_mj = get(data, at + 5)
    faults_at = at + _HEAD
    counters_at = faults_at + FAULTS_SIZE + 1
    counters = controller.monitor.counters
    # Tried on one that nobody has, so that half of it is never taken.
    if energy_mj >= _MJ_PER_WH or not Faults().load(data, faults_at):
        return False
    if counters is not None and data[counters_at - 1] == 1 and not counters.load(data, counters_at):
        return False
    controller.monitor.faults.load(data, faults_at)
    energy = controller.energy
    energy.energy_wh = get(data, at + 1)
    energy.energy_mj = energy_mj
    energy.burning_s = get(data, at + 9)
    return True


def burning_h(data, at: int) -> int:
    """Return the hours that a lamp has burnt, out of what `save` wrote; 0 where it is something else."""
    if data is None or len(data) < at + SIZE or data[at] != _FORMAT or data[at + 12] >= 64:
        return 0
    return get(data, at + 9) // 3600
