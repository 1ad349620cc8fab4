"""From the configuration to a node: builds drivers, controllers, clock and links of the application, then its tasks.

Loaded where it is used, and forgotten (`firmware.system.once`): after the start nothing of it is in the heap. What
cannot be built is noted and left out; only a lamp without its own driver, or no configuration, ends it.
"""

import gc
import json

from firmware.app import LEFT_BEHIND, SOFTWARE, VERSION
from firmware.control.clock import ClockTrust
from firmware.control.compat import const
from firmware.control.controller import Controller
from firmware.control.flux import FluxKeeper
from firmware.control.inputs import Now, Seen
from firmware.control.plan import Plan, PlanError
from firmware.drivers.contract import DriverError
from firmware.links.actions import SILENCE_MS as ACTIONS_SILENCE_MS
from firmware.links.actions import Actions
from firmware.links.commands import CommandGate
from firmware.links.outbox import Outbox
from firmware.links.reports import SILENCE_MS as REPORTS_SILENCE_MS
from firmware.links.reports import Reports
from firmware.links.timing import TURN_MS, ticks_ms
from firmware.senses import SILENCE_MS as SENSES_SILENCE_MS
from firmware.senses import TEMPERATURE, UART_MS, Sense, Senses
from firmware.system import lifetime
from firmware.system.built_in_plan import BUILT_IN
from firmware.system.clock_keeper import SAVE_PERIOD_S, ClockKeeper
from firmware.system.intake import Intake
from firmware.system.lamp import SILENCE_MS, Lamp
from firmware.system.node_config import STORE_NAME, ConfigError, controller_config, load
from firmware.system.plan_stage import PlanStage, hash8_of
from firmware.system.serial_door import SILENCE_MS as DOOR_SILENCE_MS
from firmware.system.serial_door import SerialDoor
from firmware.system.store import StoreError
from firmware.system.supervisor import Supervisor
from firmware.uplink import LINK_SILENCE_MS, WAVE_SILENCE_MS
from firmware.uplink import SILENCE_MS as WIFI_SILENCE_MS
from firmware.warm_clock import WarmClock
from firmware.wiring import Wiring, WiringError

_FULL = const(1000)
# How often a sensor of each kind is read, unless the configuration says otherwise; in the order of `senses`.
_PERIODS_MS = (5000, 10000, 30000, 10000, 1000, 60000)
_HOUSE_SILENCE_MS = const(30000)
_CLOCK_SILENCE_MS = const(20000)


class Secrets:
    """What only this node knows: ``node``, ``service``, ``wave``, ``site`` (bytes, b"" where absent), ``groups``, as
    (id, secret) pairs, and ``wifi``, a password or None. Raises ValueError for what is none."""

    def __init__(self, data):
        tree = json.loads(data)
        self.node = bytes.fromhex(tree["node"])
        self.service = bytes.fromhex(tree.get("service", ""))
        self.wave = bytes.fromhex(tree.get("wave", ""))
        self.site = bytes.fromhex(tree.get("site", ""))
        self.groups = [(number, bytes.fromhex(secret)) for number, secret in tree.get("groups", [])]
        self.wifi = tree.get("wifi")


def build(app):
    """Build all that the configuration names; False, and a trouble is noted, where a lamp would have no driver."""
    app.troubles += _left_behind()
    try:
        _build(app)
    except (ConfigError, WiringError) as error:
        app.trouble(error)
        return False
    return True


def _left_behind():
    """Return what the launcher left for the log: that somebody held the service pin, or why starts have failed."""
    try:
        with open(LEFT_BEHIND, "rb") as file:
            return [file.read(400).decode()]
    except (OSError, ValueError):
        return []


def _build(app):
    data = app.store.read(STORE_NAME)
    if data is None:
        raise ConfigError("", "there is none: commission this node")
    config = load(data)
    app.config_hash = hash8_of(data)
    data = None
    wiring = Wiring(config["buses"])
    tray = [None]
    gc.collect()
    for number, lamp in enumerate(config["lamps"]):
        app.stages.append(PlanStage(app.store, number, tray))
        app.lamps.append(_lamp(app, number, config, lamp, wiring))
    _build_clock(app, config, wiring)
    app.box = Outbox(app.store, ticks_ms(), StoreError)
    secrets = _secrets(app)
    gate = None
    if secrets is not None:
        gate = CommandGate(secrets.node, config["id"], secrets.groups, app.store, StoreError)
    app.reports = Reports(
        app.lamps, app.settings, app.stages, app.keeper, app.box, app.store, app.boot_log, gate, config["reports"],
        ticks_ms, SOFTWARE,
    )  # fmt: skip
    app.reports.start()
    if gate is not None:
        app.site = secrets.site
        app.node_id = config["id"]
        app.actions = Actions(
            gate, app.lamps, app.stages, app.config_stage, app.keeper, app.box, app.reports, app.boot_log,
            app.switch_plan, app.reset, ticks_ms, app.verify if secrets.site else None,
        )  # fmt: skip
        _build_radios(app, config, secrets)
        if secrets.service:
            # The serial line of a delivered node: nothing but the challenge of service mode.
            app.node = config["node"]
            app.service_key = secrets.service
            app.door = SerialDoor(app.make_door, app.open_service)
    _build_senses(app, config, wiring)


def _lamp(app, number, config, lamp, wiring):
    """Build one lamp output: its dimmer at the level it has, its controller, its intake."""
    kept = app.boot_log.level(number)
    is_guarded = lamp["config"].get("guard_permille", 0) > 0
    dimmer = wiring.dimmer(lamp["dimmer"], kept if kept <= _FULL else lamp["start"], is_guarded)
    relay = wiring.relay(lamp["relay"]) if lamp.get("relay") else None
    settings = controller_config(config, lamp)
    if kept <= _FULL:
        burning_h = lifetime.burning_h(app.store.read("counters%d" % number), 0)
        settings.start_level_permille = light_of(settings, kept, burning_h)
    app.settings.append(settings)
    plan, plan_hash = _plan(app, number)
    controller = Controller(settings, plan)
    # Before any input: a counter that has begun takes nothing back.
    lifetime.restore(controller, app.store.read("counters%d" % number), 0)
    intake = Intake(controller, Seen(), Now(), app.journal, ticks_ms, number)
    intake.start_run(app.config_hash, plan_hash, VERSION, settings.start_level_permille)
    return Lamp(intake, dimmer, relay, ticks_ms, app.boot_log.keep_level)


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


def _plan(app, number):
    """Return the plan in force and the hash of its bytes; the built-in one, lit all night, where there is none."""
    data = app.stages[number].load()
    try:
        if data is not None:
            return Plan(data), app.stages[number].hash8
        app.trouble("plan%d: there is none" % number)
    except PlanError as error:
        app.trouble(error)
    return Plan(BUILT_IN), hash8_of(BUILT_IN)


def _build_clock(app, config, wiring):
    clock = config["clock"]
    trust = ClockTrust(clock.get("build_day", 0), clock.get("drift_ppm", 100))
    teacher = None
    if any([lamp["config"].get("is_feeder_switched") for lamp in config["lamps"]]):
        from firmware.control.feeder import FeederTeacher

        teacher = FeederTeacher(config["place"][0], config["place"][1], SAVE_PERIOD_S)
    chip = None
    if clock.get("chip"):
        try:
            chip = wiring.clock_chip(clock["chip"])
        except WiringError as error:
            app.trouble(error)
    app.keeper = ClockKeeper(
        trust, app.tell_clock, ticks_ms, app.store, app.boot_log, teacher, app.allow_dim, chip, WarmClock(),
        (OSError, DriverError),
    )  # fmt: skip
    app.keeper.start()


def _secrets(app):
    """Return what only this node knows, None where that is missing: then it obeys and tells nobody."""
    data = app.store.read("secrets")
    if data is None:
        app.trouble("secrets: there are none")
        return None
    try:
        return Secrets(data)
    except (ValueError, KeyError, TypeError):
        app.trouble("secrets: not what the host wrote")
        return None


def _build_radios(app, config, secrets):
    """Build Wi-Fi, link and wave; each is left out, and noted, where it cannot be."""
    if not config["mqtt"] and not config["wave"]:
        return
    from firmware.uplink import TimeServers, Uplink, WaveTask, WiFi

    gc.collect()
    try:
        wifi = config.get("wifi") or {}
        channel = (config["wave"] or {}).get("channel", 0)
        app.wifi = WiFi(wifi.get("ssid"), secrets.wifi, channel)
        neighbours = config["lamps"][0]["config"].get("neighbours")
        if config["wave"] and neighbours:
            own_id = config["lamps"][0]["config"].get("own_id", config["id"])
            app.wave = WaveTask(app.lamps[0], secrets.wave, own_id, neighbours, app.store)
    except (OSError, ValueError) as error:
        app.trouble(error)
    if config["clock"].get("sntp"):
        app.sntp = TimeServers(config["clock"]["sntp"], app.wifi)
    if config["mqtt"]:
        app.link = Uplink(config, app.store, app.box, app.actions.on_message, app.wifi, secrets.node)


def _build_senses(app, config, wiring):
    app.senses = Senses(app.keeper, app.log_sense)
    for device in config["sensors"]:
        numbers = device.get("lamps", [0])
        listeners = [app.lamps[number] for number in numbers]
        notify = listeners[0].on_presence
        if len(listeners) > 1:
            from firmware.shared_sensor import notify_all

            notify = notify_all(listeners)
        try:
            kind, driver = wiring.sensor(device, notify)
        except WiringError as error:
            app.trouble(error)
            continue
        app.senses.add(_sense(kind, driver, listeners, device))
        if hasattr(driver, "listener"):
            # D4i gear: a meter with a task of its own, a thermometer, and a type plate.
            from firmware.gear_report import teller

            driver.listener = teller(app.box, numbers[0])
            app.meters.append(driver)
            if driver.has_diagnostics:
                app.senses.add(_sense(TEMPERATURE, driver, listeners, device))


def _sense(kind, driver, lamps, device):
    period_ms = 1000 * device["period_s"] if "period_s" in device else _PERIODS_MS[kind]
    if "bus" in device and device["bus"][:4] == "uart":
        period_ms = UART_MS
    return Sense(kind, driver, lamps, period_ms, device["name"])


def add_tasks(app):
    """Return the supervisor of the node, with all its tasks: those of the lamps first."""
    supervisor = Supervisor(app.watchdog.feed, ticks_ms, app.log, TURN_MS)
    for lamp in app.lamps:
        supervisor.add("lamp%d" % lamp.intake.lamp, lamp.run, SILENCE_MS)
    gears = [(lamp.intake.lamp, part) for lamp in app.lamps for part in (lamp.dimmer, lamp.relay)]
    tasks = [("gear%d" % number, part.run) for number, part in gears if hasattr(part, "run")]
    tasks += [("meter", meter.run) for meter in app.meters]
    for name, run in tasks:
        from firmware.gear_task import without_beat

        supervisor.add(name, without_beat(run), 3600000)
    supervisor.add("clock", app.run_clock, _CLOCK_SILENCE_MS)
    supervisor.add("senses", app.senses.run, SENSES_SILENCE_MS)
    supervisor.add("reports", app.reports.run, REPORTS_SILENCE_MS)
    supervisor.add("house", app.run_house, _HOUSE_SILENCE_MS)
    if app.door is not None:
        supervisor.add("door", app.door.run, DOOR_SILENCE_MS)
    if app.actions is not None:
        supervisor.add("actions", app.actions.run, ACTIONS_SILENCE_MS)
    if app.wave is not None:
        supervisor.add("wave", app.wave.run, WAVE_SILENCE_MS)
    if app.wifi is not None:
        supervisor.add("wifi", app.wifi.run, WIFI_SILENCE_MS)
    if app.link is not None:
        # A back-off is 15 min at most, and the link is the last that may reset a lamp.
        supervisor.add("link", app.link.run, LINK_SILENCE_MS)
    return supervisor
