"""What a node tells of itself: by period, and when something has changed. Never because somebody walks by.

========== ==========================================================================================================
status     every ``status_s``, less or more by up to a tenth, drawn anew each time, so that a town does not report in
           step; at once when a fault comes or goes, the clock's quality changes or the plan does, once in 5 s
energy     every ``energy_quarters`` (`Account`), for lamps with a meter or declared baselines
fault      raised or cleared; an alarm where somebody has to come (severity error and critical), else an event
boot       once, when the log of boots has been written, or 30 s after the start
clock_step the clock was set, or moved by 2 s or more
plan       a plan was switched, refused or rolled back
derogation the lamp may go below its class guard, or may no more: only when that is another than was told last
refusals   once a day, where commands were refused since the last
========== ==========================================================================================================

Events are numbered from 0, which is the boot event, at each start: a hole is an event that was lost, and after a start
whose boot event was lost the first one is not 0. The number costs no write of flash; ``boots`` tells starts apart.
Fault events are bounded to 20 at once and one a minute beyond; what goes beyond is a hole, and the status says it all.

Nothing here changes the light, and nothing waits: a full outbox drops by its own rules.
"""

import os

from firmware.control.clock import SET, STEPPED
from firmware.control.compat import const
from firmware.control.faults import CODES, SEVERITY
from firmware.control.inputs import CLOCK_UNKNOWN, UNKNOWN
from firmware.control.power import PowerCurve
from firmware.control.ticks import ticks_add, ticks_diff
from firmware.system import boot_files
from firmware.system.bootlog import REASON_COMMAND, REASON_SERVICE, REASON_UPDATE

from . import codec
from .account import Account
from .codec_fields import BOOT, CLOCK_STEP, DEROGATION, FAULT, PLAN, REFUSALS, STATUS
from .outbox import ALARM, ENERGY, EVENT, ROUTINE
from .rate import Bucket
from .status_report import status_values
from .timing import sleep_ms, turn_ms

SILENCE_MS = const(20000)
STATUS_S = const(3600)
ENERGY_QUARTERS = const(4)

_EXCEPTION_MS = const(5000)
_BOOT_WAIT_MS = const(30000)
_STEP_MS = const(2000)
_STEP_MAX_S = const(500000000)
_DAY_MS = const(86400000)
_SEVERE = const(2)
_COUNT_MAX = const(254)
_FAULT_MS = const(60000)
_FAULT_BURST = const(20)
_SECONDS_PER_DAY = const(86400)

# Causes of a start, in the payload's words (host_tools/payload_words.py).
_CAUSE_POWER = const(0)
_CAUSE_WATCHDOG = const(1)
_CAUSE_COMMAND = const(2)
_CAUSE_UPDATE = const(3)
_CAUSE_ERROR = const(4)
_CAUSE_SOFT = const(5)
_CAUSE_PLANNED = const(7)


class _Told:
    """What was last told of one lamp."""

    def __init__(self, config):
        self.curve = PowerCurve(config.levels_permille, config.powers_mw, config.standby_mw)
        self.is_derogated = config.is_derogated
        self.faults = UNKNOWN
        self.quality = UNKNOWN
        self.hash8 = b""
        self.status_ms = 0
        self.due_ms = 0
        self.is_told = False


class Reports:
    """Reports of a node with ``lamps`` (`Lamp`) and their ``configs`` (`Config`), in the order of the outputs.

    ``stages``: `PlanStage` of each; ``keeper``: `ClockKeeper`; ``box``: `Outbox`; ``store``: `Store`; ``bootlog``:
    `BootLog`; ``gate``: `CommandGate`, or None without commands. ``options``: ``{"status_s": 60 … 86400,
    "energy_quarters": 1 … 96}``, each with a default. ``software``: major · 4096 + minor · 64 + patch.
    ``chance(n)``: n bytes that differ from node to node.

    Call `start` once, before any controller's first step.
    """

    def __init__(
        self,
        lamps,
        configs,
        stages,
        keeper,
        box,
        store,
        bootlog,
        gate,
        options,
        ticks_ms,
        software: int = 0,
        chance=os.urandom,
    ):
        status_s = options.get("status_s", STATUS_S)
        if not 60 <= status_s <= _SECONDS_PER_DAY:
            raise ValueError("status every %d s: 60 to 86400" % status_s)
        every = options.get("energy_quarters", ENERGY_QUARTERS)
        self._lamps = lamps
        self._stages = stages
        self._trust = keeper.trust
        self._box = box
        self._bootlog = bootlog
        self._gate = gate
        self._ticks_ms = ticks_ms
        self._software = software
        self._chance = chance
        self._status_ms = status_s * 1000
        self._told = [_Told(config) for config in configs]
        self._accounts = [Account(store, number, every) for number in range(len(lamps))]
        self._fault_room = Bucket(_FAULT_MS, _FAULT_BURST)
        self._sequence = 0
        self._is_boot_told = False
        self._start_ms = ticks_ms()
        self._refusals = (0, 0, 0, 0, 0, 0, 0)
        self._refusals_ms = self._start_ms
        # Where the clock was at the last poll, to see it step.
        self._clock_ms = self._start_ms
        self._clock_day = UNKNOWN
        self._clock_at_ms = 0

    def start(self) -> None:
        """Give the controllers back what they had counted, and send the last energy reports again."""
        for number in range(len(self._lamps)):
            report = self._accounts[number].start(self._lamps[number].controller)
            if report:
                self._box.put(ENERGY, "energy", report, 1)

    def carry(self, number: int, controller) -> None:
        """Give what the lamp's controller has counted to the new one, before its first step, for a switch of plan."""
        lamp = self._lamps[number]
        lamp.intake.wake()
        self._accounts[number].carry(lamp.controller, controller, self._ticks_ms())

    def save(self) -> None:
        """Store all counters now: before a reset that is wanted."""
        for number in range(len(self._lamps)):
            lamp = self._lamps[number]
            lamp.intake.wake()
            self._accounts[number].save(lamp.controller, self._ticks_ms())

    def plan(self, number: int, outcome: int, verdict: int) -> None:
        """Tell of a switch of plan; for `Actions`."""
        day, second = self._moment(self._ticks_ms())
        self._event(EVENT, PLAN, (number, self._number(), outcome, verdict, day, second, self._stages[number].hash8))

    async def run(self, beat):
        """Report for ever; for the supervisor."""
        while True:
            beat()
            self.poll()
            await sleep_ms(turn_ms(self._ticks_ms()))

    def poll(self) -> None:
        """Tell what is due, and what has changed."""
        tick = self._ticks_ms()
        self._poll_boot(tick)
        self._poll_clock(tick)
        for number in range(len(self._lamps)):
            lamp = self._lamps[number]
            # Deadlines have their own ticks: nothing that this lets happen would have been otherwise.
            lamp.intake.wake()
            controller = lamp.controller
            account = self._accounts[number]
            self._poll_faults(number, controller.monitor.faults, tick)
            self._poll_derogation(number, account, controller, tick)
            is_known = self._trust.quality != CLOCK_UNKNOWN
            self._trust.at(tick)
            report = account.poll(controller, tick, is_known, self._trust.day, self._trust.second)
            if report:
                self._box.put(ENERGY, "energy", report, 1)
            self._poll_status(number, tick)
        self._poll_refusals(tick)

    def _poll_status(self, number: int, tick: int) -> None:
        told = self._told[number]
        lamp = self._lamps[number]
        faults = lamp.controller.monitor.faults.active
        quality = self._trust.quality
        hash8 = self._stages[number].hash8
        is_new = faults != told.faults or quality != told.quality or hash8 != told.hash8
        is_due = not told.is_told or ticks_diff(tick, told.due_ms) >= 0
        if not is_due and not (is_new and ticks_diff(tick, told.status_ms) >= _EXCEPTION_MS):
            return
        values = status_values(number, lamp, told.curve, tick, quality, self._bootlog.boot, hash8)
        # By period the next one makes up for a lost one; what has changed is to arrive.
        self._box.put(ROUTINE, "status", codec.encode(STATUS, values), 1 if is_new else 0, "status%d" % number)
        told.is_told = True
        told.faults = faults
        told.quality = quality
        told.hash8 = hash8
        told.status_ms = tick
        told.due_ms = ticks_add(tick, self._spread_ms())

    def _spread_ms(self) -> int:
        """Return the period, less or more by up to a tenth."""
        drawn = self._chance(2)
        # 0 … 65535 of a fifth; a period is at most a day: 30 bits hold a thousandth of it times a thousand.
        fifth = self._status_ms // 5
        return self._status_ms - fifth // 2 + fifth // 1000 * ((drawn[0] << 8 | drawn[1]) % 1001)

    def _poll_faults(self, number: int, faults, tick: int) -> None:
        raised = faults.raised
        cleared = faults.cleared
        if not raised | cleared:
            return
        faults.taken()
        for code in range(CODES):
            bit = 1 << code
            if raised & bit and cleared & bit:
                # It came and went, or went and came: the state it is in now is told last.
                is_active = 1 if faults.active & bit else 0
                self._fault(number, code, 1 - is_active, faults, tick)
                self._fault(number, code, is_active, faults, tick)
            elif (raised | cleared) & bit:
                self._fault(number, code, 1 if raised & bit else 0, faults, tick)

    def _fault(self, number: int, code: int, is_active: int, faults, tick: int) -> None:
        sequence = self._number()
        if not self._fault_room.take(tick):
            return
        day, second = self._moment(tick)
        priority = ALARM if is_active and SEVERITY[code] >= _SEVERE else EVENT
        count = min(faults.counts[code], _COUNT_MAX)
        self._event(priority, FAULT, (number, sequence, code, is_active, count, day, second))

    def _poll_derogation(self, number: int, account, controller, tick: int) -> None:
        is_derogated = self._told[number].is_derogated
        if is_derogated == account.is_derogated or not self._is_boot_told:
            return
        # Stored before it is told: flash that refuses leaves it for the next poll after a pause.
        account.is_derogated = is_derogated
        if not account.save(controller, tick):
            account.is_derogated = not is_derogated
            return
        day, second = self._moment(tick)
        guard = controller.output.limits.guard_permille
        self._event(EVENT, DEROGATION, (number, self._number(), 1 if is_derogated else 0, guard, day, second))

    def _poll_boot(self, tick: int) -> None:
        if self._is_boot_told:
            return
        if not self._bootlog.persist() and ticks_diff(tick, self._start_ms) < _BOOT_WAIT_MS:
            return
        self._is_boot_told = True
        day, second = self._moment(tick)
        boots = self._bootlog.boot & 65535
        # Number 0, whatever was told while it waited.
        self._event(
            EVENT, BOOT, (0, self._cause(), boots, None, day, second, self._software, self._stages[0].hash8[:4])
        )

    def _cause(self) -> int:
        """Return why the node has started."""
        end = self._bootlog.end
        if end in (boot_files.POWER, boot_files.BROWN_OUT):
            return _CAUSE_POWER
        if end == boot_files.WATCHDOG:
            return _CAUSE_WATCHDOG
        if end >= boot_files.CRASH:
            return _CAUSE_ERROR
        if end != boot_files.INTENDED:
            return _CAUSE_SOFT
        boots = self._bootlog.boots()
        reason = boots[-1][2] if boots and boots[-1][0] == self._bootlog.boot else 0
        if reason in (REASON_COMMAND, REASON_SERVICE):
            return _CAUSE_COMMAND
        return _CAUSE_UPDATE if reason == REASON_UPDATE else _CAUSE_PLANNED

    def _poll_clock(self, tick: int) -> None:
        """See whether the clock is where it was, and the time that has passed since."""
        trust = self._trust
        if not trust.is_set:
            self._clock_ms = tick
            return
        trust.at(tick)
        day = trust.day
        at_ms = trust.second * 1000 + trust.ms
        if self._clock_day == UNKNOWN:
            self._tell_step(SET, None, day, trust.second)
        else:
            expected_ms = self._clock_at_ms + ticks_diff(tick, self._clock_ms)
            days = day - self._clock_day - expected_ms // _DAY_MS
            off_ms = at_ms - expected_ms % _DAY_MS
            if days or off_ms >= _STEP_MS or off_ms <= -_STEP_MS:
                # A day and its second part: ms of many days would not fit 30 bits.
                step_s = min(max(days, -5000), 5000) * _SECONDS_PER_DAY + off_ms // 1000
                if not -_STEP_MS // 1000 < step_s < _STEP_MS // 1000:
                    self._tell_step(STEPPED, min(max(step_s, -_STEP_MAX_S), _STEP_MAX_S), day, trust.second)
        self._clock_ms = tick
        self._clock_day = day
        self._clock_at_ms = at_ms

    def _tell_step(self, verdict: int, step_s, day: int, second: int) -> None:
        self._event(EVENT, CLOCK_STEP, (self._number(), self._trust.source, verdict, step_s, day, second))

    def _poll_refusals(self, tick: int) -> None:
        if self._gate is None or ticks_diff(tick, self._refusals_ms) < _DAY_MS:
            return
        self._refusals_ms = tick
        counts = self._gate.refusals()
        if counts == self._refusals:
            return
        self._refusals = counts
        self._event(EVENT, REFUSALS, (self._number(),) + counts + self._moment(tick))

    def _moment(self, tick: int):
        """Return (day, second), None where the clock is unknown."""
        trust = self._trust
        if trust.quality == CLOCK_UNKNOWN:
            return None, None
        trust.at(tick)
        return trust.day, trust.second

    def _number(self) -> int:
        """Return the next number of an event."""
        self._sequence = (self._sequence + 1) & 255
        return self._sequence

    def _event(self, priority: int, kind: int, values) -> None:
        self._box.put(priority, "event", codec.encode(kind, values), 1)
