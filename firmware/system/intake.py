"""The one place where an input reaches a controller and its journal, at one tick, in one order.

What is journalled is what was decided on: each method refuses what is out of range, lets the input reach `Seen` or
`Now`, writes it down, and at once lets the controller decide. So no two inputs ever melt into one, and a replay that
feeds the journal to the same controller finds the same decisions, bit for bit. The replay is this very class, with the
journal's ticks for a clock (sim/journal_replay.py): it imports nothing but control.
"""

from firmware.control.compat import const
from firmware.control.derating import UNKNOWN_DC
from firmware.control.inputs import UNKNOWN
from firmware.control.ticks import ticks_diff

from .intake_apply import (
    INPUT_CLOCK,
    INPUT_COMMAND,
    INPUT_EXTERNAL,
    INPUT_GEAR_FAULT,
    INPUT_LOCAL,
    INPUT_LUX,
    INPUT_MAY_DIM,
    INPUT_MESSAGE,
    INPUT_NEIGHBOURS,
    INPUT_PRESENCE,
    INPUT_RELAY_FAULT,
    INPUT_SAMPLE,
    INPUT_TEMPERATURE,
    apply_input,
    is_valid,
)

# Edges that wait for the lamp task. A ninth overwrites the last one, so that the newest state always arrives.
_POSTED_MAX = const(8)
# Head and tail count in a byte, a multiple of the ring.
_COUNT_MASK = const(255)


class Intake:
    """Inputs of one lamp output: ``controller`` with its own ``seen`` and ``now``, journalled under ``lamp`` (0 … 3).

    ``ticks_ms``: a callable, the ring of 2^30 ms. ``on_decision(controller)`` is called after each decision and has
    the lamp follow it; ``on_wave(bubble)`` hands a message to the radio before it counts as sent; either may be None.
    Neither may raise or wait. ``journal``: a `Journal` or None.

    All methods but `post_presence` belong to the lamp task. They return True when the input was taken, False when it
    was refused because a value is out of range: then nothing has changed, and ``refused`` counts it. Call `wake` at
    ``controller.wake_ms``. Every method returns with the controller at rest.
    """

    def __init__(self, controller, seen, now, journal, ticks_ms, lamp=0, on_decision=None, on_wave=None):
        self.controller = controller
        self.seen = seen
        self.now = now
        self.journal = journal
        self.lamp = lamp
        self.on_decision = on_decision
        self.on_wave = on_wave
        self.refused = 0
        self.lost_edges = 0
        self._ticks_ms = ticks_ms
        self._posted = bytearray(_POSTED_MAX)
        self._head = 0
        self._tail = 0
        self._is_started = False

    def start_run(self, config_hash, plan_hash, firmware, start_permille):
        """Begin a run in the journal, before the first input of a new controller; see `Journal.start_run`."""
        if self.journal is not None:
            self.journal.start_run(self._ticks_ms(), self.lamp, config_hash, plan_hash, firmware, start_permille)

    def wake(self):
        """Let the controller carry out what is due, each deadline at its own tick."""
        tick = self._ticks_ms()
        if not self._is_started and self.journal is not None:
            # The first step without an input: a replay must know when it was.
            self.journal.started(tick, self.lamp)
        self._pass_until(tick)
        self._decide(tick)

    def post_presence(self, value):
        """Take a presence edge from an interrupt: it waits for `take_posted`. It allocates nothing."""
        head = self._head
        if (head - self._tail) & _COUNT_MASK == _POSTED_MAX:
            self.lost_edges += 1
            head = (head - 1) & _COUNT_MASK
        self._posted[head % _POSTED_MAX] = 1 if value else 0
        self._head = (head + 1) & _COUNT_MASK

    def take_over(self, former):
        """Take what ``former`` saw, and the newest edge that still waits there: after a switch of plan, for the new
        controller. Its sensors tell changes only: who stands there, and is not told of, would stand in the dark.

        Not what is told anew by itself: the clock, commands, the gear's faults."""
        seen = former.seen
        presence = seen.presence
        if former._tail != former._head:
            presence = former._posted[(former._head - 1) % _POSTED_MAX]
        for kind, value, unknown in (
            (INPUT_PRESENCE, presence, 0),
            (INPUT_LUX, seen.lux, UNKNOWN),
            (INPUT_EXTERNAL, seen.external, UNKNOWN),
            (INPUT_NEIGHBOURS, seen.neighbours, 0),
            (INPUT_LOCAL, seen.local_permille, UNKNOWN),
            (INPUT_TEMPERATURE, seen.temperature_dc, UNKNOWN_DC),
            (INPUT_MAY_DIM, seen.may_dim, 0),
        ):
            if value != unknown:
                self.take((kind, value))

    def take_posted(self):
        """Let the edges that wait reach the controller, in order; called by the lamp task only."""
        # Head is written by the interrupt alone and tail by this task alone: neither can undo the other.
        while self._tail != self._head:
            value = self._posted[self._tail % _POSTED_MAX]
            self._tail = (self._tail + 1) & _COUNT_MASK
            self.presence(value)

    def presence(self, value):
        """Somebody is here (1) or not (0)."""
        return self.take((INPUT_PRESENCE, value))

    def clock(self, quality, day, second, ms):
        """The clock was set or corrected, or its quality has changed: this is UTC now."""
        return self.take((INPUT_CLOCK, quality, day, second, ms))

    def lux(self, value):
        """Ambient light, -1 unknown."""
        return self.take((INPUT_LUX, value))

    def external(self, permille):
        """An outside source asks for a level, -1 for none."""
        return self.take((INPUT_EXTERNAL, permille))

    def neighbours(self, value):
        """A neighbour asks for light (1) or not (0)."""
        return self.take((INPUT_NEIGHBOURS, value))

    def local(self, permille):
        """The level set at the lamp itself, -1 for none."""
        return self.take((INPUT_LOCAL, permille))

    def command(self, kind, level_permille, ramp_to_ms, ramp_from_ms, start_day, start_s, end_day, end_s):
        """A command that was let through (`firmware.links.commands`), as `control.inputs.Command` has it."""
        return self.take(
            (INPUT_COMMAND, kind, level_permille, ramp_to_ms, ramp_from_ms, start_day, start_s, end_day, end_s)
        )

    def message(self, sender, origin, sequence, hops, travelled):
        """A message of the wave, as it came in. What is no news (`Bubble.is_news`) reaches nobody, and no journal."""
        return self.take((INPUT_MESSAGE, sender, origin, sequence, hops, travelled))

    def sample(self, power_mw, voltage_dv, current_ma, power_factor_permille):
        """A reading of the meter; -1 for what it does not give."""
        return self.take((INPUT_SAMPLE, power_mw, voltage_dv, current_ma, power_factor_permille))

    def temperature(self, value_dc):
        """The driver's temperature in tenths of °C."""
        return self.take((INPUT_TEMPERATURE, value_dc))

    def gear_fault(self, value):
        """The driver does not answer (1), or does (0)."""
        return self.take((INPUT_GEAR_FAULT, value))

    def relay_fault(self, value):
        """The relay does not do what it is told (1), or does (0)."""
        return self.take((INPUT_RELAY_FAULT, value))

    def may_dim(self, value):
        """It is late at night as far as the feeder has taught (1), or not (0)."""
        return self.take((INPUT_MAY_DIM, value))

    def correct(self, tick, quality, day, second, ms):
        """Set `Now` to what the clock says at ``tick``; for `apply_input`."""
        now = self.now
        now.changes += 1
        now.quality = quality
        now.day = day
        now.second = second
        now.ms = ms

    def take(self, entry):
        """Take an input by its kind and values (`intake_apply`); the methods above are names for this one."""
        if not is_valid(entry[0], entry[1:]):
            self.refused += 1
            return False
        tick = self._ticks_ms()
        if entry[0] == INPUT_MESSAGE and not self._is_news(tick, entry):
            return True
        self._pass_until(tick)
        apply_input(self, self.seen, tick, entry)
        if self.journal is not None:
            self.journal.input(tick, self.lamp, entry)
        self._decide(tick)
        return True

    def _is_news(self, tick, entry):
        bubble = self.controller.street.bubble
        return bubble is not None and bubble.is_news(tick, entry[1], entry[2], entry[3])

    def _pass_until(self, tick):
        """Carry out what was due before ``tick`` at its own tick, as a caller would that is never late."""
        controller = self.controller
        while self._is_started and ticks_diff(tick, controller.wake_ms) > 0:
            self._decide(controller.wake_ms)

    def _decide(self, tick):
        controller = self.controller
        now = self.now
        now.ticks_ms = tick
        self._is_started = True
        while controller.step(now, self.seen):
            if self.journal is not None:
                self.journal.decision(
                    controller.decided_ms,
                    self.lamp,
                    controller.level_permille,
                    controller.fade_ms,
                    controller.reason,
                    controller.by,
                )
            if self.on_decision is not None:
                self.on_decision(controller)
        street = controller.street
        if street.has_to_send:
            if self.on_wave is not None:
                self.on_wave(street.bubble)
            street.bubble.sent()
