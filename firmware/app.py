"""The application: the only place that joins configuration, drivers, controllers, clock, links and tasks.

Order matters. The lamp comes first: its dimmer is built at the level that the launcher gave the pin, its controller
begins before any radio is touched, and its task is the supervisor's first. What is not there (no clock, no network, no
plan, no configuration) leaves a lamp that is lit as its fail-safe says; what breaks later is restarted around it.
"""

import asyncio
import gc
import hashlib

import machine

from firmware import wiring as devices
from firmware.control.clock import ClockTrust
from firmware.control.compat import const
from firmware.control.controller import Controller
from firmware.control.counters import saved_lamp_s
from firmware.control.feeder import FeederTeacher
from firmware.control.flux import FluxKeeper
from firmware.control.inputs import Now, Seen
from firmware.control.plan import Plan
from firmware.control.plan_verify import PlanError
from firmware.drivers.contract import DriverError
from firmware.links.timing import sleep_ms, ticks_ms
from firmware.senses import SILENCE_MS as SENSES_SILENCE_MS
from firmware.senses import Senses
from firmware.system import node_config
from firmware.system.bootlog import GOOD_MS, BootLog
from firmware.system.built_in_plan import BUILT_IN
from firmware.system.clock_keeper import SAVE_PERIOD_S, ClockKeeper
from firmware.system.intake import Intake
from firmware.system.journal import Journal
from firmware.system.lamp import SILENCE_MS, Lamp
from firmware.system.store import BootGuard, Store, StoreError
from firmware.system.supervisor import Supervisor, SupervisorError

VERSION = "0.2.0"
_WATCHDOG_MS = const(30000)
_HOUSE_MS = const(5000)
_HOUSE_SILENCE_MS = const(30000)
_CLOCK_SILENCE_MS = const(20000)
_LINK_SILENCE_MS = const(120000)
_FULL = const(1000)


class App:
    """One node. ``folder``: where its store and journal live."""

    def __init__(self, folder="/data"):
        self.folder = folder
        self.watchdog = machine.WDT(timeout=_WATCHDOG_MS)
        guard = BootGuard(ticks_ms)
        self.store = Store(folder + "/store", guard)
        self.boot_log = BootLog(machine.RTC().memory, self.store)
        self.journal = Journal(folder + "/journal", guard, self.boot_log.boot)
        self.config = None
        self.lamps = []
        self.plans = []
        self.senses = None
        self.keeper = None
        self.link = None
        self.is_service = False
        # What could not be built or read at this start, for the report and the log: bounded by the configuration.
        self.troubles = []

    def trouble(self, error):
        """Note what is not there; the node goes on without it."""
        self.troubles.append(str(error))

    def build(self):
        """Build all that the configuration names. The lamps come first. Raises what leaves a lamp without a driver."""
        data = self.store.read(node_config.STORE_NAME)
        if data is None:
            raise node_config.ConfigError("", "there is none: commission this node")
        self.config = config = node_config.load(data)
        wiring = devices.Wiring(config["buses"])
        for number, lamp in enumerate(config["lamps"]):
            self.lamps.append(self._lamp(number, lamp, wiring))
        self._build_clock(wiring)
        self._build_senses(wiring)
        gc.collect()

    def _lamp(self, number, lamp, wiring):
        """Build one lamp output: its dimmer at the level it has, its controller, its intake."""
        kept = self.boot_log.level(number)
        dimmer = wiring.dimmer(lamp["dimmer"], kept if kept <= _FULL else lamp["start"])
        relay = wiring.relay(lamp["relay"]) if lamp.get("relay") else None
        settings = node_config.controller_config(self.config, lamp)
        counters = bytearray(self.store.read("counters%d" % number) or b"")
        lamp_s = saved_lamp_s(counters, 0)
        if kept <= _FULL:
            settings.start_level_permille = light_of(settings, kept, lamp_s // 3600)
        plan, plan_hash = self._plan(number)
        controller = Controller(settings, plan)
        # Constant light output goes by the hours of the lamp's life, not of this boot.
        controller.energy.burning_s = lamp_s
        if controller.monitor.counters is not None and counters and not controller.monitor.counters.load(counters, 0):
            self.trouble("counters%d: not what was saved" % number)
        intake = Intake(controller, Seen(), Now(), self.journal, ticks_ms, number)
        config_hash = _hash(self.store.read(node_config.STORE_NAME))
        intake.start_run(config_hash, plan_hash, VERSION, settings.start_level_permille)
        return Lamp(intake, dimmer, relay, ticks_ms, self.boot_log.keep_level)

    def _plan(self, number):
        """Return the plan in force and the hash of its bytes; the built-in one, lit all night, where there is none."""
        data = self.store.read("plan%d" % number)
        if data is not None:
            try:
                return Plan(data), _hash(data)
            except PlanError as error:
                self.trouble(error)
        else:
            self.trouble("plan%d: there is none" % number)
        return Plan(BUILT_IN), _hash(BUILT_IN)

    def _build_clock(self, wiring):
        config = self.config
        clock = config["clock"]
        trust = ClockTrust(clock.get("build_day", 0), clock.get("drift_ppm", 100))
        teacher = None
        if any(lamp["config"].get("is_feeder_switched") for lamp in config["lamps"]):
            teacher = FeederTeacher(config["place"][0], config["place"][1], SAVE_PERIOD_S)
        chip = None
        if clock.get("chip"):
            try:
                chip = wiring.clock_chip(clock["chip"])
            except devices.WiringError as error:
                self.trouble(error)
        self.keeper = ClockKeeper(
            trust,
            self._tell_clock,
            ticks_ms,
            self.store,
            self.boot_log,
            teacher,
            self._allow_dim,
            chip,
            None,
            (OSError, DriverError),
        )
        self.keeper.start()

    def _tell_clock(self, quality, day, second, ms):
        for lamp in self.lamps:
            lamp.intake.clock(quality, day, second, ms)
            lamp.kick()

    def _allow_dim(self, value):
        for lamp in self.lamps:
            lamp.intake.may_dim(value)
            lamp.kick()

    def _build_senses(self, wiring):
        self.senses = Senses(self.lamps, self.keeper)
        for device in self.config["sensors"]:
            listeners = [self.lamps[number] for number in device.get("lamps", [0])]
            try:
                kind, driver = wiring.sensor(device, _notify_all(listeners))
            except devices.WiringError as error:
                self.trouble(error)
                continue
            self.senses.add(kind, driver, device)

    async def run(self):
        """Run until the node has to be reset (`SupervisorError`), or service mode is asked for."""
        supervisor = Supervisor(self.watchdog.feed, ticks_ms, self._log)
        for number, lamp in enumerate(self.lamps):
            supervisor.add("lamp%d" % number, lamp.run, SILENCE_MS)
        supervisor.add("clock", self._run_clock, _CLOCK_SILENCE_MS)
        supervisor.add("senses", self.senses.run, SENSES_SILENCE_MS)
        supervisor.add("house", self._run_house, _HOUSE_SILENCE_MS)
        for lamp in self.lamps:
            if hasattr(lamp.dimmer, "run"):
                supervisor.add("gear%d" % lamp.intake.lamp, _without_beat(lamp.dimmer.run), 3600000)
        await supervisor.run()

    async def _run_clock(self, beat):
        await self.keeper.run(beat)

    async def _run_house(self, beat):
        """Keep the house: what is to be written is written here, one thing at a time, and never by the lamp."""
        start = ticks_ms()
        is_good = False
        while True:
            beat()
            self.boot_log.persist()
            tick = ticks_ms()
            if not is_good and ((tick - start) & 0x3FFFFFFF) >= GOOD_MS:
                is_good = True
                self.boot_log.good()
            if self.journal.is_due(tick):
                self.journal.flush(tick)
            # Here and not when the heap is full: then it would be the lamp's edge that waits for it.
            gc.collect()
            await sleep_ms(_HOUSE_MS)

    def _log(self, name, error):
        text = "%s: %s" % (name, "ended" if error is None else repr(error))
        try:
            self.boot_log.note(text)
        except StoreError:
            pass  # Too soon after the boot, or the flash is full: the supervisor's counters tell it too.


def light_of(settings, driver_permille, burning_h):
    """Return the least light (permille) for which the driver is told ``driver_permille`` or more."""
    flux = FluxKeeper(
        settings.flux_hours, settings.flux_needs_permille, settings.maximum_permille, settings.driver_minimum_permille
    )
    low = 0
    high = _FULL
    while low < high:
        middle = (low + high) // 2
        if flux.output(middle, burning_h) < driver_permille:
            low = middle + 1
        else:
            high = middle
    return low


def _notify_all(lamps):
    """Return what a presence driver calls at each edge; made once, since it is called from an interrupt."""
    if len(lamps) == 1:
        return lamps[0].on_presence

    def notify(value):
        for lamp in lamps:
            lamp.on_presence(value)

    return notify


def _without_beat(run):
    """A driver's task knows no supervisor: it is watched for its death only."""

    async def task(beat):
        await run()

    return task


def _hash(data):
    return hashlib.sha256(data).digest()[:8]


def run():
    """Run the application; called by the launcher. Returns "service" for service mode, else it resets the node."""
    app = App()
    try:
        app.build()
    except (node_config.ConfigError, devices.WiringError) as error:
        return _wait_uncommissioned(app, error)
    try:
        asyncio.run(app.run())
    except SupervisorError as error:
        app.boot_log.fail(error.reason, str(error))
        app.journal.flush(ticks_ms())
        machine.reset()
    return "service" if app.is_service else None


def _wait_uncommissioned(app, error):
    """A node without a configuration: the lamp stays where the launcher put it, and nothing blinks."""
    print("reverbere:", error)
    asyncio.run(_hold(app))
    return None


async def _hold(app):
    while True:
        app.watchdog.feed()
        app.boot_log.persist()
        await sleep_ms(1000)
