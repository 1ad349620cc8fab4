"""What a lamp output keeps for its life: energy, burning hours, counters, latched faults. Over restarts, and over a
change of plan, which is a new controller.

``SIZE`` bytes: `NightCounters` (68: so `saved_lamp_s` finds the lit seconds at the start of it; for a lamp without
counters zeros, but the lit seconds in their place), format (1), energy in Wh and mJ below it, burning time in s (3 · 4,
little-endian), `Faults` (29).
"""

from firmware.control.clock import get, put
from firmware.control.compat import const
from firmware.control.counters import LAMP_S
from firmware.control.counters import STATE_SIZE as COUNTERS_SIZE
from firmware.control.faults import STATE_SIZE as FAULTS_SIZE
from firmware.control.faults import Faults

_FORMAT = const(1)
_HEAD = const(13)
_MJ_PER_WH = const(3600000)
# Five remainders below the Wh stand before ``NightCounters.live``.
LIVE_AT = const(20)
_LAMP_S_AT = LIVE_AT + 4 * LAMP_S
SIZE = COUNTERS_SIZE + _HEAD + FAULTS_SIZE


def save(controller, buffer: bytearray, at: int) -> int:
    """Write what ``controller`` has counted, as far as it has; return where it ends."""
    energy = controller.energy
    monitor = controller.monitor
    if monitor.counters is not None:
        monitor.counters.save(buffer, at)
    else:
        for i in range(COUNTERS_SIZE):
            buffer[at + i] = 0
        put(buffer, at + _LAMP_S_AT, energy.burning_s)
    at += COUNTERS_SIZE
    buffer[at] = _FORMAT
    put(buffer, put(buffer, put(buffer, at + 1, energy.energy_wh), energy.energy_mj), energy.burning_s)
    return monitor.faults.save(buffer, at + _HEAD)


def restore(controller, data, at: int) -> bool:
    """Take back what `save` wrote, before the first step; False, and nothing changed, where it is something else.

    What the controller has been given already stays as it is: counters take a state only once.
    """
    if not is_saved(data, at):
        return False
    counters = controller.monitor.counters
    if counters is not None:
        counters.load(data, at)
    at += COUNTERS_SIZE
    controller.monitor.faults.load(data, at + _HEAD)
    energy = controller.energy
    if energy.energy_wh == 0 and energy.energy_mj == 0:
        energy.energy_wh = get(data, at + 1)
        energy.energy_mj = get(data, at + 5)
    if energy.burning_s < get(data, at + 9):
        energy.burning_s = get(data, at + 9)
    return True


def is_saved(data, at: int) -> bool:
    """Tell whether this is what `save` wrote."""
    if not data or len(data) < at + SIZE or data[at + COUNTERS_SIZE] != _FORMAT:
        return False
    at += COUNTERS_SIZE
    # The highest byte first: a larger number would not fit 30 bits. Faults are tried on a set that nobody has.
    for place in (at + 4, at + 8, at + 12):
        if data[place] >= 64:
            return False
    return get(data, at + 5) < _MJ_PER_WH and Faults().load(data, at + _HEAD)


def burning_h(data, at: int) -> int:
    """Return the hours that a lamp has burnt, out of what `save` wrote; 0 where it is something else."""
    return get(data, at + COUNTERS_SIZE + 9) // 3600 if is_saved(data, at) else 0
