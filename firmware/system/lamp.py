"""The lamp task: from inputs to the pin, and nothing else. It waits for no other task and no other task is in it.

What it does when others fail: it goes on. What it does when it fails itself: the supervisor starts it again at once,
and the pin keeps its duty meanwhile; after three deaths in a row the node is reset, and the launcher puts the pin to
the level in the RTC's memory.
"""

from firmware.control.compat import const
from firmware.control.ticks import ticks_diff
from firmware.links.timing import turn_ms

from .wakeup import Wakeup

# It checks in at each common turn at least; a lamp that is silent for two of them has the node reset.
SILENCE_MS = const(10000)
# Steps of a fade: 50 a second are no steps to the eye, and a slow one has a step for each permille.
_STEP_MS = const(20)
# Levels of the launcher are those of the pin; a dimmer with fades of its own has none.
LEVEL_NONE = const(65535)


class Lamp:
    """One lamp output: ``intake`` (with its controller) decides, ``dimmer`` and ``relay`` (or None) obey.

    ``keep_level(output, permille)``: notes where a reset finds the lamp (`BootLog.keep_level`). Call `kick` after
    anything that may have changed a decision outside this task: the command, the clock, the wave.
    """

    def __init__(self, intake, dimmer, relay, ticks_ms, keep_level):
        self.intake = intake
        self.controller = intake.controller
        self.dimmer = dimmer
        self.relay = relay
        self._ticks_ms = ticks_ms
        self._keep_level = keep_level
        self._wakeup = Wakeup()
        self.kick = self._wakeup.set
        self._has_begun = False
        self._is_new = True
        self._is_fading = False
        self._step_ms = _STEP_MS
        self._kept = LEVEL_NONE
        intake.on_decision = self._note_decision

    def on_presence(self, value):
        """Take an edge of the presence sensor; called from its soft interrupt, it allocates nothing."""
        self.intake.post_presence(value)
        self.kick()

    async def run(self, beat):
        """Follow the controller for ever; for the supervisor."""
        while True:
            beat()
            await self._wakeup.wait_ms(self.follow())

    def follow(self):
        """Take what waits, carry out what is due, bring the pin there; return after how many ms to come again."""
        intake = self.intake
        intake.take_posted()
        tick = self._ticks_ms()
        if not self._has_begun or ticks_diff(tick, self.controller.wake_ms) >= 0:
            self._has_begun = True
            intake.wake()
        self._drive(tick)
        tick = self._ticks_ms()
        wait_ms = min(ticks_diff(self.controller.wake_ms, tick), turn_ms(tick))
        if self._is_fading and wait_ms > self._step_ms:
            wait_ms = self._step_ms
        return wait_ms if wait_ms > 0 else 1

    def take_over(self, intake):
        """Go on with another controller, which begins at the level that the lamp has."""
        self.intake = intake
        self.controller = intake.controller
        intake.on_decision = self._note_decision
        self._has_begun = False
        self._is_new = True
        self.kick()

    def watch_gear(self):
        """Tell the controller whether dimmer and relay do what they are told; every few seconds."""
        intake = self.intake
        seen = intake.seen
        if self.dimmer.fault != seen.gear_fault:
            intake.gear_fault(self.dimmer.fault)
            self.kick()
        if self.relay is not None and self.relay.fault != seen.relay_fault:
            intake.relay_fault(self.relay.fault)
            self.kick()

    def _note_decision(self, controller):
        self._is_new = True
        self.kick()

    def _drive(self, tick):
        """Bring dimmer and relay to where the lamp is to be at ``tick``."""
        controller = self.controller
        if self._is_new:
            self._is_new = False
            left_ms = controller.fade_ms - ticks_diff(tick, controller.decided_ms)
            self._is_fading = left_ms > 0
            if left_ms > 0:
                steps = abs(controller.level_permille - controller.from_permille)
                self._step_ms = max(controller.fade_ms // steps if steps else left_ms, _STEP_MS)
            if self.dimmer.has_fades and left_ms > 0:
                # The gear glides by itself; the end is sent once more when it is over.
                self.dimmer.fade(self._driver_permille(controller.level_permille), left_ms)
            # Where a reset is to put the lamp: at the end of the fade that is under way.
            self._keep(controller.level_permille)
        if self._is_fading and ticks_diff(tick, controller.decided_ms) >= controller.fade_ms:
            self._is_fading = False
        if not (self._is_fading and self.dimmer.has_fades):
            self.dimmer.write(controller.driver_permille(tick))
        if self.relay is not None:
            self.relay.write(controller.output.is_closed)

    def _driver_permille(self, level):
        controller = self.controller
        return controller.output.driver_permille(level, controller.energy.burning_s // 3600)

    def _keep(self, level):
        permille = self._driver_permille(level)
        if permille != self._kept:
            self._kept = permille
            self._keep_level(self.intake.lamp, permille)
