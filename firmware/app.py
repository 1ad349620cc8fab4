"""The application: the only place that joins configuration, drivers, controllers, clock, links and tasks.

Order matters. The lamp comes first: its dimmer is built at the level that the launcher gave the pin, its controller
begins before any radio is touched, and its task is the supervisor's first. What is not there (no clock, no network, no
plan, no configuration) leaves a lamp that is lit as its fail-safe says; what breaks later is restarted around it.
"""

import asyncio
import gc
import hashlib
import os

import machine

from firmware import wiring as devices
from firmware.control.clock import ClockTrust
from firmware.control.compat import const
from firmware.control.controller import Controller
from firmware.control.feeder import FeederTeacher
from firmware.control.flux import FluxKeeper
from firmware.control.inputs import Now, Seen
from firmware.control.plan import Plan
from firmware.control.plan_verify import PlanError
from firmware.drivers.contract import DriverError
from firmware.links import codec
from firmware.links.actions import RESET_SERVICE, Actions
from firmware.links.actions import SILENCE_MS as ACTIONS_SILENCE_MS
from firmware.links.codec_fields import GEAR
from firmware.links.commands import CommandGate
from firmware.links.outbox import ROUTINE, Outbox
from firmware.links.rate import Bucket
from firmware.links.reports import SILENCE_MS as REPORTS_SILENCE_MS
from firmware.links.reports import Reports
from firmware.links.timing import TURN_MS, begin_turns, sleep_ms, ticks_ms, turn_ms
from firmware.senses import SILENCE_MS as SENSES_SILENCE_MS
from firmware.senses import Senses
from firmware.system import lifetime, node_config
from firmware.system.bootlog import GOOD_MS, REASON_SERVICE, BootLog
from firmware.system.built_in_plan import BUILT_IN
from firmware.system.clock_keeper import SAVE_PERIOD_S, ClockKeeper
from firmware.system.ed25519 import verify_steps
from firmware.system.intake import Intake
from firmware.system.journal import Journal
from firmware.system.keys import hmac_sha256
from firmware.system.lamp import SILENCE_MS, Lamp
from firmware.system.plan_stage import ConfigStage, Pieces, PlanStage
from firmware.system.serial_door import SILENCE_MS as DOOR_SILENCE_MS
from firmware.system.serial_door import SerialDoor
from firmware.system.service import ServiceDoor
from firmware.system.store import BootGuard, Store, StoreError
from firmware.system.supervisor import Supervisor, SupervisorError

VERSION = "0.2.0"
# The same in a report: major * 4096 + minor * 64 + patch.
SOFTWARE = const(128)
_WATCHDOG_MS = const(30000)
# How many turns pass between two collections: what an idle node allocates meanwhile is below the launcher's threshold.
_COLLECT_TURNS = const(2)
_HOUSE_SILENCE_MS = const(30000)
_CLOCK_SILENCE_MS = const(20000)
_FULL = const(1000)
_LEFT_BEHIND = "/boot.err"


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
        self.config = None
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
        # What could not be built or read at this start, for the log: bounded by the configuration.
        self.troubles = _left_behind()

    def trouble(self, error):
        """Note what is not there; the node goes on without it."""
        self.troubles.append(str(error))

    def build(self):
        """Build all that the configuration names. The lamps come first. Raises what leaves a lamp without a driver."""
        data = self.store.read(node_config.STORE_NAME)
        if data is None:
            raise node_config.ConfigError("", "there is none: commission this node")
        self.config = config = node_config.load(data)
        self._config_hash = _hash(data)
        data = None
        wiring = devices.Wiring(config["buses"])
        pieces = Pieces()
        gc.collect()
        for number, lamp in enumerate(config["lamps"]):
            self.stages.append(PlanStage(self.store, number, pieces))
            self.lamps.append(self._lamp(number, lamp, wiring))
        self._build_clock(wiring)
        self.box = Outbox(self.store, ticks_ms(), StoreError)
        secrets = self._secrets()
        gate = None
        if secrets is not None:
            gate = CommandGate(secrets.node, config["id"], secrets.groups, self.store, StoreError)
        self.reports = Reports(
            self.lamps, self.settings, self.stages, self.keeper, self.box, self.store, self.boot_log, gate,
            config["reports"], ticks_ms, SOFTWARE,
        )  # fmt: skip
        self.reports.start()
        if gate is not None:
            self._build_actions(gate, secrets, pieces)
            self._build_radios(secrets)
            self._build_door(secrets)
        self._build_senses(wiring)
        # Nothing asks it any more: its memory is the lamp's.
        self.config = None

    def _lamp(self, number, lamp, wiring):
        """Build one lamp output: its dimmer at the level it has, its controller, its intake."""
        kept = self.boot_log.level(number)
        is_guarded = lamp["config"].get("guard_permille", 0) > 0
        dimmer = wiring.dimmer(lamp["dimmer"], kept if kept <= _FULL else lamp["start"], is_guarded)
        relay = wiring.relay(lamp["relay"]) if lamp.get("relay") else None
        settings = node_config.controller_config(self.config, lamp)
        if kept <= _FULL:
            burning_h = lifetime.burning_h(self.store.read("counters%d" % number), 0)
            settings.start_level_permille = light_of(settings, kept, burning_h)
        self.settings.append(settings)
        plan, plan_hash = self._plan(number)
        controller = Controller(settings, plan)
        # Before any input: a counter that has begun takes nothing back.
        lifetime.restore(controller, self.store.read("counters%d" % number), 0)
        intake = Intake(controller, Seen(), Now(), self.journal, ticks_ms, number)
        intake.start_run(self._config_hash, plan_hash, VERSION, settings.start_level_permille)
        return Lamp(intake, dimmer, relay, ticks_ms, self.boot_log.keep_level)

    def _plan(self, number):
        """Return the plan in force and the hash of its bytes; the built-in one, lit all night, where there is none."""
        data = self.stages[number].load()
        try:
            if data is not None:
                return Plan(data), self.stages[number].hash8
            self.trouble("plan%d: there is none" % number)
        except PlanError as error:
            self.trouble(error)
        return Plan(BUILT_IN), _hash(BUILT_IN)

    def switch_plan(self, number, data):
        """Give a lamp a controller with another plan, at the level that it has; for `Actions`. The journal begins a
        new run. Raises PlanError (a ValueError) or MemoryError, and has then changed nothing."""
        lamp = self.lamps[number]
        former = lamp.intake
        settings = self.settings[number]
        plan = Plan(data)
        level = lamp.controller.level_at(ticks_ms())
        start = settings.start_level_permille
        settings.start_level_permille = level
        try:
            controller = Controller(settings, plan)
        finally:
            settings.start_level_permille = start
        self.reports.carry(number, controller)
        intake = Intake(controller, Seen(), Now(), self.journal, ticks_ms, number, on_wave=former.on_wave)
        intake.start_run(self._config_hash, _hash(data), VERSION, level)
        lamp.take_over(intake)
        self.keeper.tell_again()
        intake.take_over(former)

    def _build_clock(self, wiring):
        config = self.config
        clock = config["clock"]
        trust = ClockTrust(clock.get("build_day", 0), clock.get("drift_ppm", 100))
        teacher = None
        if any([lamp["config"].get("is_feeder_switched") for lamp in config["lamps"]]):
            teacher = FeederTeacher(config["place"][0], config["place"][1], SAVE_PERIOD_S)
        chip = None
        if clock.get("chip"):
            try:
                chip = wiring.clock_chip(clock["chip"])
            except devices.WiringError as error:
                self.trouble(error)
        self.keeper = ClockKeeper(
            trust, self._tell_clock, ticks_ms, self.store, self.boot_log, teacher, self._allow_dim, chip,
            devices.WarmClock(), (OSError, DriverError),
        )  # fmt: skip
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
        self._log_room = Bucket(3600000, 24)
        self.senses = Senses(self.lamps, self.keeper, self._log_sense)
        for device in self.config["sensors"]:
            listeners = [self.lamps[number] for number in device.get("lamps", [0])]
            try:
                kind, driver = wiring.sensor(device, _notify_all(listeners))
            except devices.WiringError as error:
                self.trouble(error)
                continue
            self.senses.add(kind, driver, device)
            if hasattr(driver, "listener"):
                # D4i gear: a meter with a task of its own, a thermometer, and a type plate.
                driver.listener = self._gear_teller(device.get("lamps", [0])[0])
                self.meters.append(driver)
                if driver.has_diagnostics:
                    self.senses.add(devices.TEMPERATURE, driver, device)

    def _gear_teller(self, number):
        def tell(meter):
            values = [number]
            for seconds, starts in ((meter.operating_s, meter.starts), (meter.light_s, meter.light_starts)):
                values.append(codec.known(seconds // 3600 if seconds >= 0 else seconds))
                values.append(codec.known(starts))
            values.append(min(max(meter.energy_wh, 0), 0x3FFFFFFE))
            values.append((meter.gtin & 0xFFFFFFFFFFFF).to_bytes(6, "big"))
            values.append((meter.identification & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "big"))
            self.box.put(ROUTINE, "event", codec.encode(GEAR, values), 1, "gear%d" % number)

        return tell

    def _log_sense(self, text):
        # A loose wire must not wear the flash out.
        if self._log_room.take(ticks_ms()):
            self._note("senses: " + text)

    def _secrets(self):
        """Return what only this node knows, None where that is missing: then it obeys and tells nobody."""
        from firmware.uplink import Secrets

        data = self.store.read("secrets")
        if data is None:
            self.trouble("secrets: there are none")
            return None
        try:
            return Secrets(data)
        except (ValueError, KeyError, TypeError):
            self.trouble("secrets: not what the host wrote")
            return None

    def _build_actions(self, gate, secrets, pieces):
        verify = None
        if secrets.site:
            site = secrets.site

            def verify(message, signature):
                return verify_steps(site, message, signature)

        self.actions = Actions(
            gate, self.lamps, self.stages, ConfigStage(self.store, pieces, self.config["id"]), self.keeper, self.box,
            self.reports, self.boot_log, self.switch_plan, self._reset, ticks_ms, verify,
        )  # fmt: skip

    def _build_radios(self, secrets):
        """Build Wi-Fi, link and wave; each is left out, and noted, where it cannot be."""
        config = self.config
        if not config["mqtt"] and not config["wave"]:
            return
        from firmware import uplink

        gc.collect()
        try:
            wifi = config.get("wifi") or {}
            channel = (config["wave"] or {}).get("channel", 0)
            self.wifi = uplink.WiFi(wifi.get("ssid"), secrets.wifi, channel)
            neighbours = config["lamps"][0]["config"].get("neighbours")
            if config["wave"] and neighbours:
                own_id = config["lamps"][0]["config"].get("own_id", config["id"])
                self.wave = uplink.WaveTask(self.lamps[0], secrets, own_id, neighbours, self.store)
        except (OSError, ValueError) as error:
            self.trouble(error)
        if config["clock"].get("sntp"):
            self.sntp = uplink.TimeServers(config["clock"]["sntp"], self.wifi)
        if config["mqtt"]:
            self.link = uplink.Uplink(
                config, self.store, self.box, self.actions.on_message, self.wifi, secrets.node
            )  # fmt: skip

    def _build_door(self, secrets):
        """The serial line of a delivered node: nothing but the challenge of service mode."""
        if secrets.service:
            door = ServiceDoor(self.config["node"], secrets.service, hmac_sha256, os.urandom, ticks_ms, self._log_door)
            self.door = SerialDoor(door, self._open_service)

    def _log_door(self, text):
        self._log("door", text)

    def _open_service(self):
        self.boot_log.intend(REASON_SERVICE)
        self._reset(RESET_SERVICE)

    def _reset(self, mode):
        """End the application, as a command says."""
        self.journal.flush(ticks_ms())
        if mode == RESET_SERVICE:
            self.is_service = True
            raise Service("service mode")
        machine.reset()

    async def run(self):
        """Run until the node has to be reset (`SupervisorError`), or service mode is asked for (`Service`)."""
        from firmware import uplink

        supervisor = Supervisor(self.watchdog.feed, ticks_ms, self._log, TURN_MS)
        for lamp in self.lamps:
            supervisor.add("lamp%d" % lamp.intake.lamp, lamp.run, SILENCE_MS)
        for lamp in self.lamps:
            for part in (lamp.dimmer, lamp.relay):
                # Gear with a task of its own: DALI, and relays that are moved by pulses.
                if hasattr(part, "run"):
                    supervisor.add("gear%d" % lamp.intake.lamp, _without_beat(part.run), 3600000)
        for meter in self.meters:
            supervisor.add("meter", _without_beat(meter.run), 3600000)
        supervisor.add("clock", self._run_clock, _CLOCK_SILENCE_MS)
        supervisor.add("senses", self.senses.run, SENSES_SILENCE_MS)
        supervisor.add("reports", self.reports.run, REPORTS_SILENCE_MS)
        supervisor.add("house", self._run_house, _HOUSE_SILENCE_MS)
        if self.door is not None:
            supervisor.add("door", self.door.run, DOOR_SILENCE_MS)
        if self.actions is not None:
            supervisor.add("actions", self.actions.run, ACTIONS_SILENCE_MS)
        if self.wave is not None:
            supervisor.add("wave", self.wave.run, uplink.WAVE_SILENCE_MS)
        if self.wifi is not None:
            supervisor.add("wifi", self.wifi.run, uplink.SILENCE_MS)
        if self.link is not None:
            # A back-off is 15 min at most, and the link is the last that may reset a lamp.
            supervisor.add("link", self.link.run, uplink.LINK_SILENCE_MS)
        gc.collect()
        await supervisor.run()

    async def _run_clock(self, beat):
        await self.keeper.run(beat, self.sntp)

    async def _run_house(self, beat):
        """Keep the house: what is to be written is written here, one thing at a time, and never by the lamp."""
        start = ticks_ms()
        is_good = False
        turns = 0
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
            # Here and not when the heap is full: then it would be the lamp's edge that waits for it.
            turns += 1
            if turns >= _COLLECT_TURNS:
                turns = 0
                gc.collect()
            await sleep_ms(turn_ms(ticks_ms()))

    def _note_troubles(self):
        for text in self.troubles:
            self._log("start", text)
        self.troubles = []
        try:
            os.remove(_LEFT_BEHIND)
        except OSError:
            pass  # There was none.

    def _log(self, name, error):
        self._note("%s: %s" % (name, "ended" if error is None else repr(error)))

    def _note(self, text):
        try:
            self.boot_log.note(text)
        except StoreError:
            pass  # Too soon after the boot, or the flash is full: the supervisor's counters tell it too.


class Service(BaseException):
    """Service mode was asked for by a command: no task may catch it."""


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


def _left_behind():
    """Return what the launcher left for the log: that somebody held the service pin, or why starts have failed."""
    try:
        with open(_LEFT_BEHIND, "rb") as file:
            return [file.read(400).decode()]
    except (OSError, ValueError):
        return []


def _notify_all(lamps):
    """Return what a presence driver calls at each edge; made once, since it is called from an interrupt."""
    if len(lamps) == 1:
        return lamps[0].on_presence

    def notify(value):
        for lamp in lamps:
            lamp.on_presence(value)

    return notify


def _without_beat(run):
    """A task that knows no supervisor: it is watched for its death only, which is seen within a turn."""

    async def task(beat):
        inner = asyncio.create_task(run())
        try:
            while not inner.done():
                beat()
                await sleep_ms(turn_ms(ticks_ms()))
            await inner
        finally:
            inner.cancel()

    return task


def _hash(data):
    return hashlib.sha256(data).digest()[:8]


def run():
    """Run the application; called by the launcher. Returns "service" for service mode, else it resets the node."""
    app = App()
    try:
        app.build()
    except (node_config.ConfigError, devices.WiringError) as error:
        app.trouble(error)
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
