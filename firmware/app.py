"""The application: the only place that joins configuration, drivers, controllers, clock, links and tasks.

Order matters. The lamp comes first: its dimmer is built at the level that the launcher gave the pin, its controller
begins before any radio is touched, and its task is the supervisor's first. What is not there (no clock, no network, no
plan, no configuration) leaves a lamp that is lit as its fail-safe says; what breaks later is restarted around it.

What is needed at the start only is in `firmware.building`, and leaves the heap after it (`firmware.system.once`).
"""

import asyncio
import gc
import os

import machine

from firmware.control.compat import const
from firmware.control.controller import Controller
from firmware.control.inputs import Now, Seen
from firmware.control.plan import Plan
from firmware.links.actions import RESET_SERVICE
from firmware.links.rate import Bucket
from firmware.links.timing import begin_turns, sleep_ms, ticks_ms, turn_ms
from firmware.system.bootlog import GOOD_MS, REASON_SERVICE, BootLog
from firmware.system.intake import Intake
from firmware.system.journal import Journal
from firmware.system.keys import hmac_sha256
from firmware.system.once import forget
from firmware.system.plan_stage import hash8_of
from firmware.system.store import BootGuard, Store, StoreError
from firmware.system.supervisor import SupervisorError

VERSION = "0.2.0"
# The same in a report: major * 4096 + minor * 64 + patch.
SOFTWARE = const(128)
_WATCHDOG_MS = const(30000)
# So much may be allocated since the last collection before the house collects; the launcher's threshold is 8192.
_LITTER_BYTES = const(2048)
LEFT_BEHIND = "/boot.err"


class App:
    """One node. ``folder``: where its store and journal live."""

    def __init__(self, folder="/data"):
        self.watchdog = machine.WDT(timeout=_WATCHDOG_MS)
        guard = BootGuard(ticks_ms)
        begin_turns(ticks_ms())
        self.store = Store(folder + "/store", guard)
        self.boot_log = BootLog(machine.RTC().memory, self.store)
        # Segments of 4 kB: one is read whole at the start, and a heap in use has no 8 kB in one piece.
        self.journal = Journal(folder + "/journal", guard, self.boot_log.boot, 32, 4096)
        self.config_hash = b""
        # The site's public key, b"" where plans are not signed; the node's number, its name and key for service mode.
        self.site = b""
        self.node_id = 0
        self.node = ""
        self.service_key = b""
        self.settings = []
        self.lamps = []
        self.stages = []
        self.meters = []
        self.senses = None
        self.keeper = None
        self.box = None
        self.reports = None
        self.actions = None
        self.link = None
        self.wifi = None
        self.wave = None
        self.sntp = None
        self.door = None
        self.is_service = False
        self._log_room = Bucket(3600000, 24)
        # What could not be built or read at this start, for the log: bounded by the configuration.
        self.troubles = []

    def trouble(self, error):
        """Note what is not there; the node goes on without it."""
        self.troubles.append(str(error))

    def build(self):
        """Build all that the configuration names, the lamps first; False where a lamp has no driver of its own."""
        from firmware.building import build

        return build(self)

    def switch_plan(self, number, data):
        """Give a lamp a controller with another plan, at the level that it has; for `Actions`. The journal begins a
        new run. Raises PlanError (a ValueError) or MemoryError, and has then changed nothing."""
        lamp = self.lamps[number]
        former = lamp.intake
        settings = self.settings[number]
        plan = Plan(data)
        # As in `install`: what lives for months goes into the lowest gaps.
        forget("plan_verify")
        gc.collect()
        level = lamp.controller.level_at(ticks_ms())
        start = settings.start_level_permille
        settings.start_level_permille = level
        try:
            controller = Controller(settings, plan)
        finally:
            settings.start_level_permille = start
        self.reports.carry(number, controller)
        intake = Intake(controller, Seen(), Now(), self.journal, ticks_ms, number, on_wave=former.on_wave)
        intake.start_run(self.config_hash, hash8_of(data), VERSION, level)
        lamp.take_over(intake)
        self.keeper.tell_again()
        intake.take_over(former)

    def tell_clock(self, quality, day, second, ms):
        """Have every controller take what the time is; for `ClockKeeper`, as the next."""
        for lamp in self.lamps:
            lamp.intake.clock(quality, day, second, ms)
            lamp.kick()

    def allow_dim(self, value):
        """Have every controller know whether it is late at night, as far as the feeder has taught."""
        for lamp in self.lamps:
            lamp.intake.may_dim(value)
            lamp.kick()

    def verify(self, message, signature):
        """Return a generator that tells whether the site has signed; for `PlanStage`."""
        from firmware.system.ed25519 import verify_steps

        return verify_steps(self.site, message, signature)

    def config_stage(self):
        """Return what takes a configuration for the next start, with the chunks that are here; for `Actions`."""
        from firmware.system.config_stage import ConfigStage

        return ConfigStage(self.store, self.stages[0].tray, self.node_id)

    def make_door(self):
        """Return the door to service mode: whoever asks for it on the serial line has it loaded."""
        from firmware.system.service import ServiceDoor

        return ServiceDoor(self.node, self.service_key, hmac_sha256, os.urandom, ticks_ms, self._log_door)

    def _log_door(self, text):
        self.log("door", text)

    def open_service(self):
        """End the application: the door to service mode was opened."""
        self.boot_log.intend(REASON_SERVICE)
        self.reset(RESET_SERVICE)

    def reset(self, mode):
        """End the application, as a command says."""
        self.journal.flush(ticks_ms())
        if mode == RESET_SERVICE:
            self.is_service = True
            raise Service("service mode")
        machine.reset()

    def supervise(self):
        """Return the `Supervisor` of the node, with all its tasks."""
        from firmware.building import add_tasks

        return add_tasks(self)

    async def run(self):
        """Run until the node has to be reset (`SupervisorError`), or service mode is asked for (`Service`)."""
        supervisor = self.supervise()
        self.store.forget_places()
        # What it took to come so far leaves before the radios start.
        forget("building", "plan_verify")
        gc.collect()
        await supervisor.run()

    async def run_clock(self, beat):
        """Keep the clock; for the supervisor."""
        await self.keeper.run(beat, self.sntp)

    async def run_house(self, beat):
        """Keep the house: what is to be written is written here, one thing at a time, and never by the lamp."""
        start = ticks_ms()
        is_good = False
        swept = gc.mem_alloc()
        while True:
            beat()
            tick = ticks_ms()
            if self.boot_log.persist() and self.troubles:
                self._note_troubles()
            if not is_good and ((tick - start) & 0x3FFFFFFF) >= GOOD_MS:
                is_good = True
                self.boot_log.good()
            self.box.poll(tick)
            if self.journal.is_due(tick):
                self.journal.flush(tick)
            for lamp in self.lamps:
                lamp.watch_gear()
            forget()
            # Here and not when the heap is full: then it would be the lamp's edge that waits for it. An idle node has
            # nothing to sweep, and to look costs a tenth of sweeping.
            used = gc.mem_alloc()
            if used - swept > _LITTER_BYTES:
                gc.collect()
                used = gc.mem_alloc()
                swept = used
            swept = min(swept, used)
            await sleep_ms(turn_ms(ticks_ms()))

    def _note_troubles(self):
        for text in self.troubles:
            self.log("start", text)
        self.troubles = []
        try:
            os.remove(LEFT_BEHIND)
        except OSError:
            pass  # There was none.

    def log(self, name, error):
        """Note an error in the log of boots; for `Supervisor`."""
        self._note("%s: %s" % (name, "ended" if error is None else repr(error)))

    def log_sense(self, text):
        """Note that a sensor is lost, or back; for `Senses`."""
        # A loose wire must not wear the flash out.
        if self._log_room.take(ticks_ms()):
            self._note("senses: " + text)

    def _note(self, text):
        try:
            self.boot_log.note(text)
        except StoreError:
            pass  # Too soon after the boot, or the flash is full: the supervisor's counters tell it too.


class Service(BaseException):
    """Service mode was asked for by a command: no task may catch it."""


def run():
    """Run the application; called by the launcher. Returns "service" for service mode, else it resets the node."""
    app = App()
    if not app.build():
        return asyncio.run(_hold(app))
    try:
        asyncio.run(app.run())
    except SupervisorError as error:
        app.boot_log.fail(error.reason, str(error))
        app.journal.flush(ticks_ms())
        machine.reset()
    except Service:
        return "service"
    return None


async def _hold(app):
    """A node without a configuration, or without its own dimmer: the lamp stays where the launcher put it."""
    while True:
        app.watchdog.feed()
        if app.boot_log.persist():
            app._note_troubles()
        await sleep_ms(1000)
