"""Replay one lamp's recorded inputs through the control core. Runs unchanged on CPython and on MicroPython.

A record is a dict (a line of JSON on disk): ``lamp``; ``tick0``, the tick at the start; ``zone``, ``place``
[latitude, longitude in millionths of a degree], ``levels``, ``powers``, ``standby``, ``start``: the `Config`;
``plan``: its bytes in hexadecimal; ``config``: further attributes of the `Config`, where the lamp has some;
``inputs``: a list of [ms since start, kind, values …] in order; ``end_ms``. What each kind means stands at
`apply_input`. Without a new clock input UTC runs on with the ticks.
"""

import hashlib
import struct

from firmware.control.config import Config
from firmware.control.controller import Controller
from firmware.control.inputs import CLOCK_UNKNOWN, Now, Seen
from firmware.control.plan import Plan
from firmware.system.intake_apply import INPUT_CLOCK as INPUT_CLOCK
from firmware.system.intake_apply import INPUT_MESSAGE as INPUT_MESSAGE
from firmware.system.intake_apply import INPUT_PRESENCE as INPUT_PRESENCE
from firmware.system.intake_apply import apply_input as apply_input

TICKS_MASK = 0x3FFFFFFF
_DAY_MS = 86400000


def pack_decision(lamp, tick, level, fade_ms, reason):
    """Return the bytes of one decision as they enter the digest: u16 lamp, u32 tick, u16 level, u32 fade, u8 reason."""
    return struct.pack("<HIHIB", lamp, tick, level, fade_ms, reason)


def hex_digest(digest):
    """Return the digest so far in hexadecimal (MicroPython has no ``hexdigest``)."""
    return "".join("%02x" % byte for byte in digest.digest())


class LampClock:
    """The two clocks of one lamp: ticks from ``tick0``, and UTC from the last correction."""

    def __init__(self, tick0):
        self.now = Now()
        self._tick0 = tick0
        self._set_ms = 0
        self._set_day = 0
        self._set_ms_of_day = 0

    def correct(self, t_ms, quality, day, second, ms):
        """From ``t_ms`` on the clock says this."""
        self.now.changes += 1
        self.now.quality = quality
        self._set_ms = t_ms
        self._set_day = day
        self._set_ms_of_day = second * 1000 + ms

    def move_to(self, t_ms):
        """Let ``now`` say what both clocks show ``t_ms`` after the start."""
        now = self.now
        now.ticks_ms = (self._tick0 + t_ms) & TICKS_MASK
        if now.quality != CLOCK_UNKNOWN:
            ms = self._set_ms_of_day + t_ms - self._set_ms
            now.day = self._set_day + ms // _DAY_MS
            ms %= _DAY_MS
            now.second = ms // 1000
            now.ms = ms % 1000


def build_controller(record):
    """Return the `Controller` that a record describes. Raises ``PlanError`` where its plan is none."""
    config = Config(
        record["zone"],
        record["place"][0],
        record["place"][1],
        record["levels"],
        record["powers"],
        record["standby"],
        record["start"],
    )
    # What only some lamps have: neighbours, limits, a meter; under the names of `Config`.
    for name, value in record.get("config", {}).items():
        setattr(config, name, value)  # names: Config
    return Controller(config, Plan(bytes.fromhex(record["plan"])))


def replay(record, on_decision, poll_ms=0, poll_phase_ms=0, guard=None):
    """Replay a record; call ``on_decision(tick, level, fade_ms, reason)`` for each decision. Returns the controller.

    ``poll_ms`` 0: call at inputs and at the wake tick, as the node does. Otherwise call every ``poll_ms``, never look
    at the wake tick. ``guard``: a pair of functions called before and after each step (the heap lock, in tests).
    """
    controller = build_controller(record)
    clock = LampClock(record["tick0"])
    seen = Seen()
    inputs = record["inputs"]
    end_ms = record["end_ms"]
    at = 0
    t_ms = 0
    while t_ms <= end_ms:
        first = True
        while first or (at < len(inputs) and inputs[at][0] == t_ms):
            first = False
            if at < len(inputs) and inputs[at][0] == t_ms:
                entry = inputs[at]
                at += 1
                apply_input(clock, seen, t_ms, entry[1:])
            clock.move_to(t_ms)
            while _step(controller, clock.now, seen, guard):
                on_decision(controller.decided_ms, controller.level_permille, controller.fade_ms, controller.reason)
            # The radio takes what is to be sent at once; who heard it stands in the others' records.
            if controller.street.has_to_send:
                controller.street.bubble.sent()
        if poll_ms:
            following = t_ms + poll_ms - (t_ms - poll_phase_ms) % poll_ms
        else:
            following = t_ms + ((controller.wake_ms - clock.now.ticks_ms) & TICKS_MASK)
        if at < len(inputs) and inputs[at][0] < following:
            following = inputs[at][0]
        if poll_ms and t_ms < end_ms < following:
            # What is due between the last poll and the end belongs to the night.
            following = end_ms
        # The last call is at the end, in whatever way the others came.
        t_ms = end_ms if t_ms < end_ms < following else following
    clock.move_to(end_ms)
    controller.count_to(clock.now.ticks_ms)
    return controller


def _step(controller, now, seen, guard):
    if guard is None:
        return controller.step(now, seen)
    guard[0]()
    try:
        return controller.step(now, seen)
    finally:
        guard[1]()


def replay_digest(record, poll_ms=0):
    """Return the hexadecimal SHA-256 over the decisions of one lamp, as `pack_decision` has them."""
    digest = hashlib.sha256()
    lamp = record["lamp"]
    replay(
        record,
        lambda tick, level, fade, reason: digest.update(pack_decision(lamp, tick, level, fade, reason)),
        poll_ms,
    )
    return hex_digest(digest)
