"""Sensors and meters, read in turn: what changed goes through the intakes, what fails is said to be unknown.

Only changes that matter are passed on, so that a journal of nights is not full of a cell's noise: light by an eighth,
temperature by 1 °C, power by 2 %, and each of them once a quarter of an hour; but power while it flows at least every
25 s, because control takes a meter that is silent for 30 s for a missing one, and judges by what lasts. A sensor that
fails three times in a row (a serial line: for 10 s) counts as absent until it answers: it is told, as a fault where
there is one and in the log, and control falls back on what it knows without it, always to the lit side.
"""

import asyncio

from firmware.control.clock import GNSS as SOURCE_GNSS
from firmware.control.compat import const
from firmware.control.derating import UNKNOWN_DC
from firmware.control.faults import DEVICE_MALFUNCTION, PHOTOCELL_FAILURE, SENSOR_SILENT
from firmware.control.ticks import ticks_add, ticks_diff
from firmware.drivers.contract import UNKNOWN, DriverError, NoAnswer
from firmware.links.timing import TURN_MS, sleep_ms, ticks_ms, turn_ms
from firmware.system.wakeup import Wakeup

# What a sensor gives (`firmware.wiring`).
PRESENCE = const(0)
LUX = const(1)
TEMPERATURE = const(2)
METER = const(3)
GNSS = const(4)
TILT = const(5)

SILENCE_MS = const(20000)
_FAILURES_MAX = const(3)
_REPEAT_MS = const(900000)
_WAIT_MIN_MS = const(20)
# A radar on a serial line must be emptied before its buffer is full.
UART_MS = const(100)
_UART_FAILURES_MAX = const(100)
# How old what control knows of a meter may become, and from which power on it is of interest though the lamp is off.
_METER_AGE_MS = const(25000)
_METER_IDLE_MW = const(1000)
# A pole that leans by more than 10 degrees since its commissioning was hit, or is about to fall.
_LEAN_DD = const(100)
# What waits in a presence driver (a storm, a debounce, a stretch) is asked for so often, until it is told.
_ASKED_MS = const(100)
# Slow sensors are read at the common turn that is next to their time.
_EARLY_MS = const(2500)


class Sense:
    """One device: when it is next to be read, what it said last, how often it has failed in a row.

    ``lamps``: the `Lamp` objects that it is for.
    """

    def __init__(self, kind, driver, lamps, period_ms, name):
        self.kind = kind
        self.driver = driver
        self.lamps = lamps
        self.period_ms = period_ms
        self.failures_max = _UART_FAILURES_MAX if period_ms == UART_MS else _FAILURES_MAX
        self.name = name
        self.due_ms = ticks_ms()
        self.failures = 0
        self.last = UNKNOWN
        self.told_ms = 0
        self.is_told = False

    def is_urgent(self):
        """Tell whether something waits in a presence driver that only asking brings out."""
        return getattr(self.driver, "is_masked", False) or getattr(self.driver, "is_waiting", False)


class Senses:
    """All sensors of a node. ``keeper``: its `ClockKeeper`, for satellites; ``log(text)``: where it is noted that a
    device is lost, and that it is back.

    ``failures`` counts readings that failed; ``silent`` names the devices that count as absent.
    """

    def __init__(self, keeper, log):
        self._keeper = keeper
        self._log = log
        self._senses = []
        # For drivers that may want to be asked sooner.
        self._wakeup = None
        self.failures = 0
        self.temperature_dc = UNKNOWN_DC
        self.power_mw = UNKNOWN
        self.tilt_dd = UNKNOWN

    def add(self, sense):
        """Add a `Sense`."""
        if hasattr(sense.driver, "attention"):
            if self._wakeup is None:
                self._wakeup = Wakeup()
            sense.driver.attention = self._wakeup.set
        self._senses.append(sense)

    @property
    def silent(self):
        """Return the names of the devices that do not answer."""
        return [sense.name for sense in self._senses if sense.failures >= sense.failures_max]

    async def run(self, beat):
        """Read for ever; for the supervisor."""
        while True:
            beat()
            wait_ms = turn_ms(ticks_ms())
            for sense in self._senses:
                left_ms = ticks_diff(sense.due_ms, ticks_ms())
                if left_ms > _ASKED_MS and sense.is_urgent():
                    left_ms = _ASKED_MS
                    sense.due_ms = ticks_add(ticks_ms(), left_ms)
                if left_ms <= (_EARLY_MS if sense.period_ms >= TURN_MS and not sense.is_urgent() else 0):
                    self._read(sense)
                    # Each reading blocks for some ms: the lamp comes first.
                    await asyncio.sleep(0)
                    left_ms = ticks_diff(sense.due_ms, ticks_ms())
                if sense.period_ms < TURN_MS or sense.is_urgent():
                    wait_ms = min(wait_ms, left_ms)
            wait_ms = max(wait_ms, _WAIT_MIN_MS)
            if self._wakeup is None:
                await sleep_ms(wait_ms)
            else:
                await self._wakeup.wait_ms(wait_ms)

    def _read(self, sense):
        tick = ticks_ms()
        sense.due_ms = ticks_add(tick, _ASKED_MS if sense.is_urgent() else sense.period_ms)
        try:
            self._take(sense, tick)
            if sense.failures >= sense.failures_max:
                self._log("answers again: " + sense.name)
                self._fault(sense, tick, False)
            sense.failures = 0
        except DriverError as error:
            self.failures += 1
            sense.failures += 1
            if sense.failures == sense.failures_max:
                self._log("lost: %s: %s" % (sense.name, error.what))
                self._lose(sense)
            if sense.failures >= sense.failures_max:
                # Each time: a switch of plan begins with a controller that knows of no fault.
                self._fault(sense, tick, True)

    def _take(self, sense, tick):
        kind = sense.kind
        driver = sense.driver
        if kind == PRESENCE:
            if sense.period_ms == UART_MS:
                driver.poll(tick)
            else:
                driver.poll()
        elif kind == GNSS:
            if driver.poll(tick):
                self._keeper.report(SOURCE_GNSS, driver.day, driver.second, driver.ms)
        elif kind == LUX:
            self._tell(sense, tick, driver.read(), 8, 1)
        elif kind == TEMPERATURE:
            driver.read()
            self._tell(sense, tick, driver.temperature_dc, 0, 10)
        elif kind == METER:
            driver.read()
            self._tell(sense, tick, driver.power_mw, 50, 200)
        else:
            driver.read()
            self.tilt_dd = driver.tilt_dd
            self._fault(sense, tick, driver.tilt_dd > _LEAN_DD)
        if sense.period_ms == UART_MS and not driver.is_alive(tick):
            raise NoAnswer(sense.name, "says nothing")

    def _tell(self, sense, tick, value, share, least):
        """Pass a reading on where it differs by 1/``share`` of the last and by ``least``, or after a quarter."""
        if sense.is_told and value != UNKNOWN:
            change = value - sense.last
            if change < 0:
                change = -change
            step = max(sense.last // share if share else 0, least)
            age_ms = ticks_diff(tick, sense.told_ms)
            if change < step and age_ms < _REPEAT_MS and not self._is_ageing(sense, value, age_ms):
                return
        sense.is_told = True
        sense.told_ms = tick
        sense.last = value
        self._pass(sense, value)

    def _is_ageing(self, sense, value, age_ms):
        """Tell whether control would have forgotten a meter's steady power before the next reading."""
        if sense.kind != METER or age_ms + sense.period_ms <= _METER_AGE_MS:
            return False
        return value > _METER_IDLE_MW or any([lamp.controller.level_permille for lamp in sense.lamps])

    def _fault(self, sense, tick, is_true):
        """Raise or clear what a device itself says: no decision depends on it, so that no journal needs it."""
        code = {PRESENCE: SENSOR_SILENT, LUX: PHOTOCELL_FAILURE, TILT: DEVICE_MALFUNCTION}.get(sense.kind)
        if code is not None and (sense.kind != TILT or sense.failures < sense.failures_max):
            for lamp in sense.lamps:
                lamp.controller.monitor.faults.condition(tick, code, is_true)

    def _pass(self, sense, value):
        driver = sense.driver
        for lamp in sense.lamps:
            intake = lamp.intake
            if sense.kind == LUX:
                intake.lux(value)
            elif sense.kind == TEMPERATURE:
                self.temperature_dc = value
                intake.temperature(value)
            else:
                self.power_mw = value
                intake.sample(value, driver.voltage_dv, driver.current_ma, driver.power_factor_permille)
            lamp.kick()

    def _lose(self, sense):
        """A device that does not answer is one that there is not: unknown light is dark, unknown heat is none."""
        sense.is_told = False
        for lamp in sense.lamps:
            if sense.kind == LUX:
                lamp.intake.lux(UNKNOWN)
            elif sense.kind == TEMPERATURE:
                self.temperature_dc = UNKNOWN_DC
                lamp.intake.temperature(UNKNOWN_DC)
            elif sense.kind == METER:
                self.power_mw = UNKNOWN
                lamp.intake.sample(UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)
            lamp.kick()
