"""What is wrong with the lamp: a fixed table of faults, each debounced, counted, and some kept until acknowledged.

Whoever can judge a fault says so with ``condition()``; here it only has to last. The names that TALQ 2.7.1 gives them
are in `fault_names`, which the node does not load.
"""

import struct

from .compat import const
from .ticks import ticks_add, ticks_diff

# Codes are bit positions of masks, 0 … 29: a mask of them is a small integer. Stored and sent: never renumber.
LAMP_FAILURE = const(0)
DIMMING_FAILURE = const(1)
LAMP_UNEXPECTED_ON = const(2)
CYCLING_FAILURE = const(3)
LAMP_POWER_TOO_HIGH = const(4)
LAMP_POWER_TOO_LOW = const(5)
POWER_FACTOR_TOO_LOW = const(6)
SUPPLY_VOLTAGE_TOO_HIGH = const(7)
SUPPLY_VOLTAGE_TOO_LOW = const(8)
CURRENT_TOO_HIGH = const(9)
CURRENT_TOO_LOW = const(10)
SUPPLY_LOSS = const(11)
HIGH_TEMPERATURE = const(12)
RELAY_FAILURE = const(13)
CONTROL_GEAR_COMM_FAILURE = const(14)
METER_MISSING = const(15)
SENSOR_STUCK_ON = const(16)
SENSOR_SILENT = const(17)
SENSOR_CHATTER = const(18)
PHOTOCELL_FAILURE = const(19)
CLOCK_DOUBT = const(20)
INVALID_PROGRAM = const(21)
INVALID_CONFIG = const(22)
COMMUNICATION_FAILURE = const(23)
DEVICE_MALFUNCTION = const(24)
CODES = const(25)

# One byte a code, in the order above: 0 info, 1 warning, 2 error, 3 critical. Supply loss is only worth knowing:
# feeders are cut every day (lighting.md A.3).
SEVERITY = b"\2\1\1\2\1\1\1\2\1\2\1\0\3\2\2\1\1\1\1\1\1\2\2\1\3"
# How long a condition must last to raise a fault, and be gone to clear it, in s. What a meter shows lasts 60 s or more:
# longer than the silence that makes its last sample worthless (`health`). Clock doubt waits for a network that takes
# 150 s to come up after a feeder's cut (lighting.md A.3). Zero: who reports it has waited.
RAISE_S = b"\x3c\x3c\x78\0\x78\x78\x78\x3c\x3c\x3c\x78\1\x1e\x0a\x1e\x1e\0\0\0\0\xf0\0\0\0\0"
CLEAR_S = b"\x1e\x3c\x3c\0\x78\x78\x78\x3c\x3c\x3c\x78\5\x78\x0a\x0a\x1e\0\0\0\0\0\0\0\0\0"
# Cycling, relay and device: they hide by themselves and come back; somebody has to look.
LATCHED = const(0x01002008)

_COUNT_MAX = const(255)

STATE_SIZE = const(29)


class Faults:
    """The faults of one lamp output, as masks of ``1 << code``.

    ``active``: what a report shows. ``present``: debounced conditions; a latched fault may be active and not present.
    ``raised``, ``cleared``: what changed since ``taken()``; a fault that came and went is in both. ``counts``: one byte
    a code, how often it became present, and stays at 255. While ``is_due``, ``pass_due()`` is to be called at
    ``due_ms``, after the inputs of that tick: a condition that ends at that very tick does not raise.
    """

    def __init__(self):
        self.active = 0
        self.present = 0
        self.raised = 0
        self.cleared = 0
        self.counts = bytearray(CODES)
        self.is_due = False
        self.due_ms = 0
        # The conditions as last told; where they differ from ``present``, a debounce runs until ``_due``.
        self._told = 0
        self._due = [0] * CODES

    def condition(self, tick: int, code: int, is_true: bool) -> None:
        """Tell that the condition of ``code`` holds from ``tick`` on, or does not. Telling it again changes nothing."""
        bit = 1 << code
        if is_true == (self._told & bit != 0):
            return
        self._told ^= bit
        if (self._told ^ self.present) & bit == 0:
            self._find_due()
            return
        wait_ms = (RAISE_S[code] if is_true else CLEAR_S[code]) * 1000
        if wait_ms == 0:
            self._settle(code)
            return
        due = ticks_add(tick, wait_ms)
        self._due[code] = due
        if not self.is_due or ticks_diff(due, self.due_ms) < 0:
            self.is_due = True
            self.due_ms = due

    def unknown(self, mask: int) -> None:
        """Tell that the conditions of ``mask`` cannot be judged: what is present stays, running debounces stop."""
        self._told ^= (self._told ^ self.present) & mask
        self._find_due()

    def pass_due(self, tick: int) -> None:
        """Raise and clear what has lasted until ``tick``."""
        running = self._told ^ self.present
        for code in range(CODES):
            if (running >> code) & 1 and ticks_diff(tick, self._due[code]) >= 0:
                self._settle(code)
        self._find_due()

    def acknowledge(self, code: int) -> bool:
        """Clear an active fault whose condition is gone; False, and nothing changed, if it is present or not active."""
        bit = 1 << code
        if self.active & bit == 0 or self.present & bit:
            return False
        self.active ^= bit
        self.cleared |= bit
        return True

    def taken(self) -> None:
        """Forget ``raised`` and ``cleared``: somebody has them."""
        self.raised = 0
        self.cleared = 0

    def save(self, buffer: bytearray, at: int) -> int:
        """Write the latched faults and the counts, ``STATE_SIZE`` bytes; return where they end.

        The others are not kept: after a start their conditions are told anew.
        """
        struct.pack_into("<i", buffer, at, self.active & LATCHED)
        for code in range(CODES):
            buffer[at + 4 + code] = self.counts[code]
        return at + STATE_SIZE

    def load(self, buffer: bytearray, at: int) -> bool:
        """Take back what ``save()`` wrote, before any condition; False, and nothing changed, if it cannot be that."""
        if at < 0 or len(buffer) < at + STATE_SIZE:
            return False
        active = struct.unpack_from("<i", buffer, at)[0]
        if active & LATCHED != active:
            return False
        self.active |= active
        for code in range(CODES):
            self.counts[code] = buffer[at + 4 + code]
        return True

    def _settle(self, code: int) -> None:
        """Make the condition of ``code`` present, or no longer so."""
        bit = 1 << code
        self.present ^= bit
        if self.present & bit:
            if self.counts[code] < _COUNT_MAX:
                self.counts[code] += 1
            if self.active & bit == 0:
                self.active |= bit
                self.raised |= bit
        elif LATCHED & bit == 0:
            self.active ^= bit
            self.cleared |= bit

    def _find_due(self) -> None:
        running = self._told ^ self.present
        self.is_due = False
        if running == 0:
            return
        for code in range(CODES):
            if (running >> code) & 1 and (not self.is_due or ticks_diff(self._due[code], self.due_ms) < 0):
                self.is_due = True
                self.due_ms = self._due[code]
