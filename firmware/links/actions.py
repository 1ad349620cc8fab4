"""What a node does with a command that its `CommandGate` has let through, and the ack that says what became of it.

A message comes in by `on_message` and is carried out at once, but for a switch of plan: its signature takes seconds on
an ESP32, so `run` works on it in small steps, and its ack follows. Other commands are not held up by it; a second
switch is `busy`. Nothing here waits for the lamp, and the lamp's task waits for nothing here. All but the writes of a
plan or configuration to flash (`Store`), and the check of a long plan (control/plan_verify.py), takes less than 20 ms.

On whatever topic a message came, and whether the broker says that it was retained, changes nothing: anybody who can
write to a broker can set both, and they prove nothing. A retained command is judged as any other: a repetition of the
last one is answered by the same ack and changes nothing, an older one is `replayed` or `stale`, each is counted.

Light: where a command has ended (of itself, by resume, or by `dark_over`) the program goes on. A command survives a
switch of plan: it is given again to the new controller.
"""

from firmware.control.clock import SET, SIGNED, STEPPED
from firmware.control.compat import const
from firmware.control.inputs import (
    CLOCK_UNKNOWN,
    COMMAND_EMERGENCY,
    COMMAND_OVERRIDE,
    COMMAND_RESUME,
    COMMAND_SERVICE,
    UNKNOWN,
    Command,
)
from firmware.control.plan_format import NO_PROGRAM
from firmware.control.reasons import BY_EMERGENCY, BY_OVERRIDE, BY_SERVICE
from firmware.control.ticks import ticks_add, ticks_diff
from firmware.system.bootlog import REASON_COMMAND, REASON_SERVICE
from firmware.system.once import forget
from firmware.system.wakeup import Wakeup

from . import codec, outbox
from .codec_fields import (
    ACCEPTED,
    ACK,
    BUSY,
    CONFIGURATION,
    DONE,
    LOG,
    PLAN_INVALID,
    REFUSED,
    STAGED,
    VERB_ACKNOWLEDGE,
    VERB_CLOCK,
    VERB_CONFIGURATION_READ,
    VERB_CONFIGURATION_WRITE,
    VERB_IDENTIFY,
    VERB_LOG_READ,
    VERB_PLAN_STAGE,
    VERB_PLAN_SWITCH,
    VERB_RESET,
    VERB_WHY,
    WHY,
)
from .timing import sleep_ms, turn_ms

SILENCE_MS = const(10000)

# Outcomes of a switch (codec: `plan`), and modes of a reset.
SWITCHED = const(0)
SWITCH_REFUSED = const(1)
ROLLED_BACK = const(2)
RESET_RESTART = const(0)
RESET_SERVICE = const(1)

_POLL_MS = const(1000)
# A plan that could not be stored is tried again; flash may have been asked too soon after the start.
_RETRY_MS = const(15000)
# The ack of a reset leaves first, where there is a link.
_RESET_MS = const(5000)
_KINDS = (COMMAND_OVERRIDE, COMMAND_EMERGENCY, COMMAND_SERVICE)
_BYS = (BY_OVERRIDE, BY_EMERGENCY, BY_SERVICE)
_INDEX_MAX = const(62)
_SINCE_MAX_S = const(1000000)


class Actions:
    """Carries out commands on ``lamps`` (`Lamp`, in the order of the outputs).

    ``gate``: `CommandGate`; ``stages``: a `PlanStage` for each lamp; ``config_stage()``: returns a `ConfigStage`;
    ``keeper``: `ClockKeeper`; ``box``: `Outbox`; ``reports``: `Reports`; ``bootlog``: `BootLog`.

    ``switch_plan(lamp, plan)``: makes a controller with the plan (bytes) the one of ``lamps[lamp]``, at the level that
    the lamp has, with `Reports.carry`; raises ValueError or MemoryError and has then changed nothing. ``reset(mode)``:
    ends the application. ``verify``: as `PlanStage.switch_steps`.

    ``retained`` counts messages that the broker had kept; ``lost`` answers that the outbox had no room for.
    """

    def __init__(
        self,
        gate,
        lamps,
        stages,
        config_stage,
        keeper,
        box,
        reports,
        bootlog,
        switch_plan,
        reset,
        ticks_ms,
        verify=None,
    ):
        self._gate = gate
        self._lamps = lamps
        self._stages = stages
        self._config_stage = config_stage
        self._trust = keeper.trust
        self._keeper = keeper
        self._box = box
        self._reports = reports
        self._bootlog = bootlog
        self._switch_plan = switch_plan
        self._reset = reset
        self._ticks_ms = ticks_ms
        self._verify = verify
        self._wakeup = Wakeup()
        self._command = Command()
        # For each lamp its `Identify`, while somebody stands below it.
        self._identify: list = [None] * len(lamps)
        # For each lamp the command given last of each kind, for a new controller.
        self._given: list = [[None] * len(_KINDS) for _ in lamps]
        # The switch under way: its steps, what its ack begins with, its lamp; and what came of it.
        self._steps = None
        self._switch_ack: tuple = ()
        self._switch_lamp = 0
        self._verdict = REFUSED
        # Until when no plan is tried, while `_is_waiting`: a tick alone would turn round after six days.
        self._is_waiting = False
        self._retry_ms = 0
        self._reset_mode = UNKNOWN
        self._reset_ms = 0
        self.retained = 0
        self.lost = 0

    def on_message(self, kind, payload, retain=False) -> None:
        """Take a payload as it came: for `MqttLink`, or any other link. Never raises for any bytes."""
        if retain:
            self.retained += 1
        gate = self._gate
        tick = self._ticks_ms()
        is_known, day, second = self._moment(tick)
        outcome = gate.accept(payload, is_known, day, second, tick)
        if outcome == ACCEPTED:
            outcome = self._carry_out(gate.accepted, tick)
            if outcome == UNKNOWN:
                return
        lamp = gate.accepted.lamp
        hash8 = self._stages[lamp].hash8 if lamp < len(self._stages) else self._stages[0].hash8
        ack = gate.acknowledge(outcome, hash8[:4])
        if ack:
            self._send("ack", ack)

    async def run(self, beat):
        """Do what takes longer, and what is due; for the supervisor."""
        while True:
            beat()
            self.poll()
            if self._steps is not None:
                # On its own: what was judged is let go before it is read again and put in force.
                await self._work(beat)
                forget("ed25519")
                self._end_switch()
            await self._wakeup.wait_ms(self._wait_ms())

    async def _work(self, beat):
        """Take the switch under way to its end."""
        for _ in self._steps:
            beat()
            await sleep_ms(0)

    def _wait_ms(self) -> int:
        """Return how long nothing here is due: a node that only waits for commands wakes for none."""
        if self._reset_mode != UNKNOWN:
            return _POLL_MS
        for identify in self._identify:
            if identify is not None and identify.is_running:
                return _POLL_MS
        return turn_ms(self._ticks_ms())

    def poll(self) -> None:
        """Do what is due: steps of `Identify`, ends of dark, plans whose moment has come, a reset."""
        tick = self._ticks_ms()
        is_known, day, second = self._moment(tick)
        for number in range(len(self._lamps)):
            identify = self._identify[number]
            if identify is not None:
                if identify.poll(tick, is_known, day, second):
                    self._lamps[number].kick()
                if identify.is_over:
                    self._identify[number] = None
        number = self._gate.dark_over(tick)
        while number != UNKNOWN:
            if number < len(self._lamps):
                self._give(number, (COMMAND_RESUME, 0, 0, 0, UNKNOWN, 0, UNKNOWN, 0))
            number = self._gate.dark_over(tick)
        if self._is_waiting and ticks_diff(tick, self._retry_ms) >= 0:
            self._is_waiting = False
        if self._steps is None and not self._is_waiting:
            for number in range(len(self._stages)):
                if self._stages[number].is_due(is_known, day, second):
                    self._install(number, tick)
        if self._reset_mode != UNKNOWN and (ticks_diff(tick, self._reset_ms) >= 0 or not len(self._box)):
            mode = self._reset_mode
            self._reset_mode = UNKNOWN
            self._reports.save()
            self._bootlog.intend(REASON_SERVICE if mode == RESET_SERVICE else REASON_COMMAND)
            self._reset(mode)

    def _carry_out(self, accepted, tick: int) -> int:
        """Do what is commanded; return what became of it, `UNKNOWN` where that comes later."""
        verb = accepted.verb
        values = accepted.values
        if accepted.lamp >= len(self._lamps):
            return REFUSED
        if accepted.to_control(self._command):
            return self._light(accepted.lamp, tick)
        if verb == VERB_IDENTIFY:
            return self._show(values[0], tick)
        if verb == VERB_WHY:
            is_told = self._send("why", self._why(accepted.lamp))
            forget("why")
            return DONE if is_told else BUSY
        if verb == VERB_PLAN_STAGE:
            return self._stages[accepted.lamp].stage(values[1], values[2], values[3])
        if verb == VERB_PLAN_SWITCH:
            return self._begin_switch(accepted)
        if verb == VERB_CONFIGURATION_READ:
            length, hash8, chunk = self._config_stage().read(values[0], values[1])
            report = codec.encode(CONFIGURATION, (values[0], length, hash8, chunk))
            return DONE if self._send("ack", report) else BUSY
        if verb == VERB_CONFIGURATION_WRITE:
            return self._config_stage().write(values[0], values[1], values[2], values[3])
        if verb == VERB_LOG_READ:
            data = self._bootlog.data(values[0])
            report = codec.encode(LOG, (values[0], values[1], len(data), data[values[1] : values[1] + values[2]]))
            return DONE if self._send("ack", report) else BUSY
        if verb == VERB_RESET:
            if values[0] not in (RESET_RESTART, RESET_SERVICE):
                return REFUSED
            self._reset_mode = values[0]
            self._reset_ms = ticks_add(tick, _RESET_MS)
            self._wakeup.set()
            return ACCEPTED
        if verb == VERB_CLOCK:
            verdict = self._keeper.report(SIGNED, accepted.issued_day, accepted.issued_second, 0, tick)
            return DONE if verdict in (SET, STEPPED) else REFUSED
        if verb == VERB_ACKNOWLEDGE:
            lamp = self._lamps[accepted.lamp]
            return DONE if lamp.controller.monitor.faults.acknowledge(values[1]) else REFUSED
        return REFUSED

    def _light(self, number: int, tick: int) -> int:
        """Give the lamp the command in ``_command``; `ACCEPTED` where it begins later."""
        self._stop_identify(number, tick)
        command = self._command
        values = (
            command.kind,
            command.level_permille,
            command.ramp_to_ms,
            command.ramp_from_ms,
            command.start_day,
            command.start_s,
            command.end_day,
            command.end_s,
        )
        if not self._give(number, values):
            return REFUSED
        return DONE if command.start_day == UNKNOWN else ACCEPTED

    def _give(self, number: int, values) -> bool:
        lamp = self._lamps[number]
        is_taken = lamp.intake.command(*values)
        if is_taken:
            given = self._given[number]
            for i in range(len(_KINDS)):
                if values[0] == COMMAND_RESUME:
                    given[i] = None
                elif values[0] == _KINDS[i]:
                    given[i] = values
            lamp.kick()
        return is_taken

    def _stop_identify(self, number: int, tick: int) -> None:
        if self._identify[number] is not None:
            self._identify[number].stop(tick)

    def _show(self, duration_s: int, tick: int) -> int:
        """Begin to identify: all lamps of the node that have nothing better to do."""
        from .identify import Identify

        is_shown = False
        for number in range(len(self._lamps)):
            lamp = self._lamps[number]
            if self._identify[number] is None:
                self._identify[number] = Identify(lamp)
            if self._identify[number].start(lamp.controller, tick, duration_s):
                is_shown = True
        self._wakeup.set()
        return DONE if is_shown else BUSY

    def _why(self, number: int) -> bytes:
        """Return the `why` report of a lamp."""
        from firmware.control.why import Answer

        lamp = self._lamps[number]
        lamp.intake.wake()
        controller = lamp.controller
        tick = self._ticks_ms()
        if ticks_diff(controller.wake_ms, tick) < 0:
            tick = controller.wake_ms
        answer = Answer()
        controller.why(answer, tick)
        has_next = answer.next_level != UNKNOWN
        return codec.encode(
            WHY,
            (
                number,
                answer.level,
                answer.reason,
                answer.by,
                _index_of(answer.index),
                answer.program if answer.program < NO_PROGRAM else None,
                answer.limit,
                min(max(answer.since_s, 0), _SINCE_MAX_S),
                codec.known(answer.until_s),
                codec.known(answer.next_level),
                answer.next_reason if has_next else 0,
                answer.next_by if has_next else 0,
                _index_of(answer.next_index) if has_next else None,
            ),
        )

    def _begin_switch(self, accepted) -> int:
        if self._steps is not None:
            return BUSY
        values = accepted.values
        self._switch_ack = (accepted.scope, accepted.sender, accepted.address, accepted.counter, accepted.verb)
        self._switch_lamp = accepted.lamp
        self._verdict = REFUSED
        start_day = UNKNOWN if values[2] is None else values[2]
        self._steps = self._switch_steps(
            self._stages[accepted.lamp], values[1], values[4], values[5], start_day, values[3] or 0
        )
        self._wakeup.set()
        return UNKNOWN

    def _switch_steps(self, stage, length: int, hash8, signature, start_day: int, start_s: int):
        try:
            self._verdict = yield from stage.switch_steps(length, hash8, signature, self._verify, start_day, start_s)
        except MemoryError:
            # Refused, and nothing has changed: the old plan goes on, and the chunks are still here for another try.
            stage.what = "not enough memory"

    def _end_switch(self) -> None:
        """The switch under way has been judged: carry it out if it is due, and answer it."""
        number = self._switch_lamp
        stage = self._stages[number]
        self._steps = None
        verdict = self._verdict
        if verdict == STAGED:
            tick = self._ticks_ms()
            is_known, day, second = self._moment(tick)
            if stage.is_due(is_known, day, second):
                verdict = self._install(number, tick)
        elif verdict != DONE:
            self._reports.plan(number, SWITCH_REFUSED, verdict)
        self._send("ack", codec.encode(ACK, self._switch_ack + (verdict, None, None, stage.hash8[:4])))

    def _install(self, number: int, tick: int) -> int:
        """Make the plan to come that of the lamp: `DONE`; `STAGED`: later; else the old one stands."""
        stage = self._stages[number]
        lamp = self._lamps[number]
        try:
            plan = stage.install()
        except MemoryError:
            # The old plan goes on; a heap that is swept by then may have room.
            plan = None
        if plan is None:
            if stage.is_next:
                self._is_waiting = True
                self._retry_ms = ticks_add(tick, _RETRY_MS)
                return STAGED
            if stage.what:
                self._reports.plan(number, SWITCH_REFUSED, PLAN_INVALID)
                return PLAN_INVALID
            return DONE
        self._stop_identify(number, tick)
        by = lamp.controller.by
        try:
            self._switch_plan(number, plan)
        except (ValueError, MemoryError):
            stage.roll_back()
            self._reports.plan(number, ROLLED_BACK, PLAN_INVALID)
            return PLAN_INVALID
        self._give_again(number, by)
        self._reports.plan(number, SWITCHED, DONE)
        lamp.kick()
        return DONE

    def _give_again(self, number: int, by: int) -> None:
        """Give the commands to the new controller: with a clock all, ended ones end; without, what was in force."""
        is_known = self._trust.quality != CLOCK_UNKNOWN
        for i in range(len(_KINDS)):
            values = self._given[number][i]
            if values is not None and (is_known or by == _BYS[i]):
                self._lamps[number].intake.command(*values)

    def _moment(self, tick: int):
        """Return (is the clock known, day, second)."""
        trust = self._trust
        if trust.quality == CLOCK_UNKNOWN:
            return False, 0, 0
        trust.at(tick)
        return True, trust.day, trust.second

    def _send(self, topic: str, payload) -> bool:
        is_taken = self._box.put(outbox.ACK, topic, payload, 1)
        if not is_taken:
            self.lost += 1
        return is_taken


def _index_of(index: int):
    return index if 0 <= index <= _INDEX_MAX else None
