"""An accepted command, and what it means for the lamp."""

from firmware.control.compat import const
from firmware.control.inputs import (
    COMMAND_EMERGENCY,
    COMMAND_OVERRIDE,
    COMMAND_RESUME,
    COMMAND_SERVICE,
    UNKNOWN,
)

from .codec_fields import VERB_DIM, VERB_EMERGENCY, VERB_OVERRIDE, VERB_RESUME, VERB_TEST

_DAY_S = const(86400)


class Accepted:
    """The command accepted last. ``values``: in the order of the table; ``lamp`` is the first where there is one.

    ``day``, ``second``: UTC of its acceptance by the node's clock, or of its issue without one. ``minutes``: how long a
    dim, emergency or test lasts, else 0.
    """

    def __init__(self):
        self.verb = 0
        self.values = []
        self.lamp = 0
        self.minutes = 0
        self.scope = 0
        self.sender = 0
        self.address = 0
        self.counter = 0
        self.issued_day = 0
        self.issued_second = 0
        self.day = 0
        self.second = 0

    def to_control(self, command) -> bool:
        """Fill a `control.inputs.Command`; False for a verb that is none of the light.

        A duration becomes an end in UTC. Without a clock control trusts such a command for 12 h at most.
        """
        verb = self.verb
        if verb not in (VERB_DIM, VERB_OVERRIDE, VERB_RESUME, VERB_EMERGENCY, VERB_TEST):
            return False
        values = self.values
        command.level_permille = 0
        command.ramp_to_ms = 0
        command.ramp_from_ms = 0
        command.start_day = UNKNOWN
        command.start_s = 0
        command.end_day = UNKNOWN
        command.end_s = 0
        if verb == VERB_RESUME:
            command.kind = COMMAND_RESUME
            return True
        command.level_permille = values[1]
        if verb == VERB_OVERRIDE:
            command.kind = COMMAND_OVERRIDE
            command.ramp_to_ms = values[2]
            command.ramp_from_ms = values[3]
            if values[4] is not None:
                command.start_day = values[4]
                command.start_s = values[5]
            if values[6] is not None:
                command.end_day = values[6]
                command.end_s = values[7]
            return True
        command.kind = COMMAND_OVERRIDE
        if verb == VERB_EMERGENCY:
            command.kind = COMMAND_EMERGENCY
        elif verb == VERB_TEST:
            command.kind = COMMAND_SERVICE
        else:
            command.ramp_to_ms = values[3]
        end_s = self.second + self.minutes * 60
        command.end_day = self.day + end_s // _DAY_S
        command.end_s = end_s % _DAY_S
        return True
