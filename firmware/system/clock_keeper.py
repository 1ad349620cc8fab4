"""Who knows the time: clock chip, server, satellite, operator and feeder, joined by `ClockTrust`, kept over power cuts.

Every report goes through here, and what the controller is told goes through `Intake`: so a journal holds every
correction. Kept in the store under ``clock``, in one write, so that no cut can count a night twice: the state of
`ClockTrust` (8 bytes), of `FeederTeacher` (17, zeros without one), and the seconds lit since power came (4, 0xFFFFFFFF
for none yet).
"""

from firmware.control.clock import (
    CLOCK_GOOD,
    CLOCK_UNKNOWN,
    DOUBTED,
    FEEDER,
    KEPT,
    NETWORK,
    RTC,
    SET,
    STEPPED,
    get,
    put,
)
from firmware.control.clock import STATE_SIZE as TRUST_SIZE
from firmware.control.compat import const
from firmware.control.feeder import STATE_SIZE as TEACHER_SIZE
from firmware.control.inputs import CLOCK_DOUBTED
from firmware.control.ticks import ticks_diff
from firmware.links.timing import TURN_MS, sleep_ms, turn_ms

from .store import StoreError

# What a cut takes from the lit time is in the feeder's error bound. With 15 min that is beyond the half hour which
# `ClockTrust` allows for many a feeder, with 5 min it is not; 170 writes a night are some 2,500 erases a
# year, spread over the flash (reliability.md, C2: 801 erases for 20,000 updates).
SAVE_PERIOD_S = const(300)
_SIZE = TRUST_SIZE + TEACHER_SIZE + 4
_LIT_SAVE_S = const(60)
# How often the chip is asked, the date shown to the teacher, and the feeder asked while nothing else is known.
_LOOK_S = const(3600)
_CHIP_WRITE_S = const(86400)
# A doubted report wants a second one soon: `ClockTrust` takes it as one from 10 s on.
_DOUBT_S = const(64)
_LIT_MAX_S = const(0x3FFFFFFF)
_NAME = "clock"


class ClockKeeper:
    """Keeps the clock of one node. ``trust``: its `ClockTrust`; ``tell(quality, day, second, ms)``: has every `Intake`
    of the node take a clock input; ``bootlog``: a `BootLog`; ``store``: a `Store`.

    ``teacher``: a `FeederTeacher` with a save period of ``SAVE_PERIOD_S``, where the feeder is switched at dusk and
    dawn, and then ``allow_dim(value)``, which has every `Intake` take it. ``chip``: a clock chip with
    ``read() -> (day, second)`` and ``write(day, second)``; ``warm_chip``: the same of the ESP32's own RTC, which is
    right after a reset and never after a power cut. ``chip_errors``: what both may raise.

    Call `start` once, before the first decision, then `poll` at least every 10 s (`run` does so).
    ``chip_failures`` counts a chip that did not answer; it is tried again every hour.
    """

    def __init__(
        self,
        trust,
        tell,
        ticks_ms,
        store,
        bootlog,
        teacher=None,
        allow_dim=None,
        chip=None,
        warm_chip=None,
        chip_errors=(OSError,),
    ):
        self.trust = trust
        self.teacher = teacher
        self._tell = tell
        self._ticks_ms = ticks_ms
        self._store = store
        self._bootlog = bootlog
        self._allow_dim = allow_dim
        self._chip = chip
        self._warm_chip = warm_chip
        self._chip_errors = chip_errors
        self._quality = CLOCK_UNKNOWN
        self._may_dim = 0
        self._tick = 0
        self._left_ms = 0
        # Seconds since power came, and at which of them this and that was last done.
        self.lit_s = 0
        self._lit_kept_s = 0
        self._saved_s = 0
        self._looked_s = 0
        self._written_s = -1
        self._is_saved = False
        self._state = bytearray(_SIZE)
        self.chip_failures = 0
        self.save_failures = 0

    def start(self):
        """Take up what was saved, tell the teacher of the night that ended, and ask the chips."""
        self._tick = self._ticks_ms()
        self.lit_s = self._bootlog.lit_s
        is_power_on = self._bootlog.is_power_on
        data = self._store.read(_NAME)
        lit_s = -1
        if data is not None and len(data) == _SIZE:
            self.trust.load(data, 0)
            if self.teacher is not None:
                self.teacher.load(data, TRUST_SIZE)
            if data[_SIZE - 1] < 64:
                lit_s = get(data, _SIZE - 4)
        if self.teacher is not None and is_power_on:
            if lit_s >= 0:
                self.teacher.night(lit_s)
            self.teacher.boot()
        if not (not is_power_on and self._ask(self._warm_chip)):
            self._ask(self._chip)
        self._look()

    def report(self, source, day, second, ms, tick=None, error_s=0):
        """A source says what time it was at ``tick`` (now); return `ClockTrust`'s verdict and act on it."""
        if tick is None:
            tick = self._ticks_ms()
        verdict = self.trust.report(tick, source, day, second, ms, error_s)
        is_taken = verdict in (SET, KEPT, STEPPED)
        if is_taken:
            self._publish(verdict != KEPT)
        if is_taken and source >= NETWORK and self.trust.quality == CLOCK_GOOD:
            if self.teacher is not None:
                self.teacher.known(self.trust.day, self.trust.second)
            if verdict != KEPT or self._written_s < 0 or self.lit_s - self._written_s >= _CHIP_WRITE_S:
                self._set_chip()
        return verdict

    def poll(self):
        """Let time pass: ageing, the teacher, and what has to be saved."""
        tick = self._ticks_ms()
        ms = self._left_ms + ticks_diff(tick, self._tick)
        self._tick = tick
        self._left_ms = ms % 1000
        self.lit_s = min(self.lit_s + ms // 1000, _LIT_MAX_S)
        trust = self.trust
        while trust.is_due and ticks_diff(tick, trust.due_ms) >= 0:
            trust.pass_due(trust.due_ms)
        if self._told() != self._quality:
            self._publish(True)
        if self.lit_s - self._looked_s >= _LOOK_S:
            self._ask(self._chip)
            self._look()
        if self.teacher is not None:
            may_dim = 1 if self.teacher.may_switch_off(self.lit_s) else 0
            if may_dim != self._may_dim and self._allow_dim is not None:
                self._may_dim = may_dim
                self._allow_dim(may_dim)
        if self.lit_s - self._lit_kept_s >= _LIT_SAVE_S:
            self._lit_kept_s = self.lit_s
            self._bootlog.keep_lit(self.lit_s)
        if not self._is_saved or self.lit_s - self._saved_s >= SAVE_PERIOD_S:
            self.save()

    def save(self):
        """Write the state into the store; False where that cannot be now, and then `poll` tries again."""
        state = self._state
        at = self.trust.save(state, 0)
        if self.teacher is not None:
            at = self.teacher.save(state, at)
            if self._is_saved:
                put(state, at, self.lit_s)
            else:
                # Nothing of this night is known before its first save period is over.
                state[at : at + 4] = b"\xff\xff\xff\xff"
        try:
            self._store.write(_NAME, bytes(state))
        except StoreError:
            self.save_failures += 1
            return False
        self._is_saved = True
        self._saved_s = self.lit_s
        return True

    async def run(self, beat, client=None, first_wait_s=0):
        """Poll for ever, and ask ``client`` (a `SntpClient`) when it wants to be asked; for the supervisor."""
        wait_s = first_wait_s
        while True:
            if client is not None and wait_s <= 0:
                # Beaten before and after: a question takes 2 s at most.
                beat()
                verdict = KEPT
                if await client.query():
                    verdict = self.report(NETWORK, client.day, client.second, client.ms, client.tick)
                wait_s = client.wait_s
                if verdict == DOUBTED:
                    wait_s = _DOUBT_S
            beat()
            self.poll()
            await sleep_ms(turn_ms(self._ticks_ms()))
            wait_s -= TURN_MS // 1000

    def tell_again(self):
        """Tell the controllers once more: one of them is new."""
        self._quality = CLOCK_UNKNOWN
        self._publish(False)

    def _publish(self, has_moved):
        """Tell the controllers, where the time or its quality is another."""
        trust = self.trust
        told = self._told()
        if (has_moved and told != CLOCK_UNKNOWN) or told != self._quality:
            self._quality = told
            trust.at(self._ticks_ms())
            self._tell(told, trust.day, trust.second, trust.ms)

    def _told(self):
        """Return the quality that the controllers are told: what the feeder alone vouches for is in doubt."""
        trust = self.trust
        if trust.quality != CLOCK_UNKNOWN and trust.is_doubted:
            return CLOCK_DOUBTED
        return trust.quality

    def _look(self):
        """Once an hour: show the teacher the date, or ask it where nobody else knows."""
        self._looked_s = self.lit_s
        trust = self.trust
        teacher = self.teacher
        if teacher is None:
            return
        if trust.quality != CLOCK_UNKNOWN and trust.source != FEEDER:
            trust.at(self._ticks_ms())
            teacher.known(trust.day, trust.second)
        elif teacher.is_ready and trust.quality == CLOCK_UNKNOWN:
            teacher.estimate(self.lit_s)
            self.report(FEEDER, teacher.day, teacher.second, 0, None, teacher.error_s)

    def _ask(self, chip):
        """Report what a chip says; True when it gave a time that was taken."""
        if chip is None:
            return False
        try:
            day, second = chip.read()
        except self._chip_errors:
            self.chip_failures += 1
            return False
        return self.report(RTC, day, second, 0) in (SET, KEPT, STEPPED)

    def _set_chip(self):
        """Write the time into the chips: they are to know it after the next cut, to a second."""
        trust = self.trust
        for chip in (self._chip, self._warm_chip):
            if chip is None:
                continue
            trust.at(self._ticks_ms())
            second = trust.second + (1 if trust.ms >= 500 else 0)
            try:
                chip.write(trust.day + second // 86400, second % 86400)
            except self._chip_errors:
                self.chip_failures += 1
                continue
            self._written_s = self.lit_s
