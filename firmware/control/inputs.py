"""What reaches a controller from outside: the moment, what is seen, and commands. Whoever fills these keeps the rules.

All fields are integers. A caller changes them and then counts ``changes`` up by one: only then does the controller look
at them again. So a call with nothing new costs next to nothing, and a journal that records changes has recorded all.
"""

from .compat import const
from .derating import UNKNOWN_DC

# Quality of the clock. Held: it was set once and runs on by itself. Doubted: only the feeder vouches for it
# (`ClockTrust.is_doubted`): programs run, but switch nothing off in the first hours (``Seen.may_dim``).
CLOCK_UNKNOWN = const(0)
CLOCK_HELD = const(1)
CLOCK_GOOD = const(2)
CLOCK_DOUBTED = const(3)

UNKNOWN = const(-1)

COMMAND_OVERRIDE = const(0)
COMMAND_RESUME = const(1)
COMMAND_EMERGENCY = const(2)
COMMAND_SERVICE = const(3)


class Now:
    """The moment of a call, on two clocks that never mix.

    ``ticks_ms``: the ring of 2^30 ms, for how long. ``day`` (0 = 2000-01-01), ``second`` (0 … 86399) and ``ms``
    (0 … 999): UTC, for what time; they mean something unless ``quality`` is ``CLOCK_UNKNOWN``. They are read only when
    ``changes`` has changed (the clock was set, corrected, or its quality changed) and are then true at ``ticks_ms``; in
    between, the controller lets UTC run on with the ticks.
    """

    def __init__(self):
        self.ticks_ms = 0
        self.changes = 0
        self.quality = CLOCK_UNKNOWN
        self.day = 0
        self.second = 0
        self.ms = 0


class Command:
    """An override command (TALQ 2.7.1, OverrideCommand and Command), or a resume.

    ``level_permille``, ``ramp_to_ms``, ``ramp_from_ms``; ``start_day`` and ``end_day`` are day numbers (`UNKNOWN`: at
    once; for ever) with their second of day, in UTC.
    """

    def __init__(self):
        self.kind = COMMAND_RESUME
        self.level_permille = 0
        self.ramp_to_ms = 0
        self.ramp_from_ms = 0
        self.start_day = UNKNOWN
        self.start_s = 0
        self.end_day = UNKNOWN
        self.end_s = 0


class Message:
    """A message of the wave as it came in (`Bubble.receive`)."""

    def __init__(self):
        self.sender = 0
        self.origin = 0
        self.sequence = 0
        self.hops = 0
        self.travelled = 0


class Seen:
    """What the node sees.

    ``presence``: 1 while the sensor reports somebody, else 0 (a driver whose sensor gives shorter pulses than the
    caller's period keeps 1 until it was seen). ``neighbours``: 1 while a neighbour asks for light. ``external``: the
    level in permille that an outside source asks for, `UNKNOWN` while it asks for none. ``lux``: ambient light,
    `UNKNOWN` until a sensor has spoken; a photocell reports 0 for dark and 65535 for bright. ``local_permille``: the
    level set at the lamp itself, `UNKNOWN` for none. ``commands`` counts commands, ``command`` is the last; so do
    ``messages`` and ``message`` for the wave, and ``samples`` for the meter: ``power_mw``, ``voltage_dv``,
    ``current_ma``, ``power_factor_permille``, each `UNKNOWN` where the meter does not give it. ``temperature_dc``: of
    the driver in tenths of °C, `derating.UNKNOWN_DC` without a sensor. ``gear_fault``, ``relay_fault``: 1 while the
    driver does not answer, or the relay does not do what it is told. ``may_dim``: 1 when it is late at night as far as
    the feeder has taught: without a clock the lamp may be dimmed then, and with a doubted one switched off.
    """

    def __init__(self):
        self.changes = 0
        self.presence = 0
        self.neighbours = 0
        self.external = UNKNOWN
        self.lux = UNKNOWN
        self.local_permille = UNKNOWN
        self.commands = 0
        self.command = Command()
        self.messages = 0
        self.message = Message()
        self.samples = 0
        self.power_mw = UNKNOWN
        self.voltage_dv = UNKNOWN
        self.current_ma = UNKNOWN
        self.power_factor_permille = UNKNOWN
        self.temperature_dc = UNKNOWN_DC
        self.gear_fault = 0
        self.relay_fault = 0
        self.may_dim = 0
