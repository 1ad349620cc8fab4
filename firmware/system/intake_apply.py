"""How an input reaches `Now` and `Seen`: one code for the node, for the simulator and for the replay of a journal.

An input is its kind and its values, all integers. What the kinds are, and what each value may be, stands here and
nowhere else: the node refuses by it, the journal decodes by it. Pure: it imports nothing but the control core.
"""

from firmware.control.civil import DAY_MAX, SECONDS_PER_DAY
from firmware.control.compat import const

INPUT_PRESENCE = const(0)
INPUT_CLOCK = const(1)
INPUT_LUX = const(2)
INPUT_EXTERNAL = const(3)
INPUT_NEIGHBOURS = const(4)
INPUT_LOCAL = const(5)
INPUT_COMMAND = const(6)
INPUT_MESSAGE = const(7)
INPUT_SAMPLE = const(8)
INPUT_TEMPERATURE = const(9)
INPUT_GEAR_FAULT = const(10)
INPUT_RELAY_FAULT = const(11)
INPUT_MAY_DIM = const(12)

KINDS = const(13)

_NONE = const(-1)
_BIG = const(0x3FFFFFFF)

# The least and the greatest of each value of each kind: what `Seen` says of its fields, and for a meter and a radio
# what fits 30 bits and 16. A day within them need not be a good one: `Controller` and `ClockTrust` judge that.
# They stand flat: a tuple for each pair would take twice the heap. `bounds_of` (`journal_read`) gives them as pairs.
BOUNDS = (
    0, 1,
    0, 3, 0, DAY_MAX, 0, SECONDS_PER_DAY - 1, 0, 999,
    _NONE, _BIG,
    _NONE, 1000,
    0, 3, 0, 1000, 0, _BIG, 0, _BIG,
    _NONE, DAY_MAX, 0, SECONDS_PER_DAY - 1, _NONE, DAY_MAX, 0, SECONDS_PER_DAY - 1,
    0, 65535, 0, 65535, 0, 255, 0, 255, 0, 255,
    _NONE, _BIG, _NONE, _BIG, _NONE, _BIG, _NONE, 1000,
    -32768, 32767,
)  # fmt: skip
# For each kind: where its first bound stands, and how many values it has.
BOUNDS_AT = b"\0\1\2\4\x0a\1\x0c\1\0\1\x0c\1\x0e\x08\x1e\5\x28\4\x30\1\0\1\0\1\0\1"


def is_valid(kind: int, values) -> bool:
    """Tell whether ``kind`` is one of ours and ``values`` are as many and as large as it allows."""
    if not 0 <= kind < KINDS or len(values) != BOUNDS_AT[2 * kind + 1]:
        return False
    at = BOUNDS_AT[2 * kind]
    for value in values:
        if not BOUNDS[at] <= value <= BOUNDS[at + 1]:
            return False
        at += 2
    return True


def apply_input(clock, seen, t_ms, entry):
    """Let one input reach clock or ``seen``. ``entry`` is its kind and values, which the caller has checked:

    presence 0/1 · clock quality, day, second, ms · lux (-1 unknown) · external permille (-1 none) · neighbours 0/1 ·
    local permille (-1 none) · command kind, level, ramp to ms, ramp from ms, start day, s, end day, s (day -1: none) ·
    message sender, origin, sequence, hops, travelled · sample mW, 0.1 V, mA, power factor permille (-1 none) ·
    temperature in 0.1 °C · gear fault 0/1 · relay fault 0/1 · may dim 0/1

    ``clock`` has ``correct(t_ms, quality, day, second, ms)``; ``t_ms`` is in its own terms. Raises ValueError for a
    kind there is not, and changes nothing then.
    """
    kind = entry[0]
    if kind == INPUT_CLOCK:
        clock.correct(t_ms, entry[1], entry[2], entry[3], entry[4])
        return
    if kind == INPUT_PRESENCE:
        seen.presence = entry[1]
    elif kind == INPUT_LUX:
        seen.lux = entry[1]
    elif kind == INPUT_EXTERNAL:
        seen.external = entry[1]
    elif kind == INPUT_NEIGHBOURS:
        seen.neighbours = entry[1]
    elif kind == INPUT_LOCAL:
        seen.local_permille = entry[1]
    elif kind == INPUT_COMMAND:
        command = seen.command
        command.kind, command.level_permille, command.ramp_to_ms, command.ramp_from_ms = entry[1:5]
        command.start_day, command.start_s, command.end_day, command.end_s = entry[5:9]
        seen.commands += 1
    elif kind == INPUT_MESSAGE:
        message = seen.message
        message.sender, message.origin, message.sequence, message.hops, message.travelled = entry[1:6]
        seen.messages += 1
    elif kind == INPUT_SAMPLE:
        seen.power_mw, seen.voltage_dv, seen.current_ma, seen.power_factor_permille = entry[1:5]
        seen.samples += 1
    elif kind == INPUT_TEMPERATURE:
        seen.temperature_dc = entry[1]
    elif kind == INPUT_GEAR_FAULT:
        seen.gear_fault = entry[1]
    elif kind == INPUT_RELAY_FAULT:
        seen.relay_fault = entry[1]
    elif kind == INPUT_MAY_DIM:
        seen.may_dim = entry[1]
    else:
        raise ValueError("input of kind %r at %d ms: kinds are 0 to %d" % (kind, t_ms, KINDS - 1))
    seen.changes += 1
