"""From the configuration's devices to drivers on this chip's pins and buses. Only what is named is imported.

A device is ``{"name": …, "pin" or "bus": …}``; what else it holds are the options of its driver, which the host has
checked against host_tools/drivers/*.json. What cannot be built raises `WiringError`: the lamp's own dimmer then stops
the start (the launcher keeps the lamp at its safe level), any other device is left out and reported.

Loaded where it is used, and forgotten with `building` (`firmware.system.once`).
"""

import machine

from firmware.drivers.contract import DriverError
from firmware.links.timing import ticks_ms
from firmware.senses import GNSS, LUX, METER, PRESENCE, TEMPERATURE, TILT

_PLACES = ("name", "pin", "bus", "lamps", "period_s", "pins", "kind")


class WiringError(Exception):
    """A device that cannot be built. ``device``: its name in the configuration; ``what``: why."""

    def __init__(self, device, what):
        super().__init__("wiring, %s: %s" % (device, what))
        self.device = device
        self.what = what


class Wiring:
    """Builds the devices of a node. ``buses``: the configuration's; each is opened once, at its first use."""

    def __init__(self, buses):
        self._buses = buses
        self._open = {}

    def dimmer(self, device, safe_permille, is_guarded=False):
        """Return the dimmer of a lamp output, at its safe level from its first moment on. Raises `WiringError`.

        ``is_guarded``: a class of EN 13201 is to be kept, so no step of the dimmer may round below what is asked.
        """
        return self._build(device, _dimmer, (safe_permille, is_guarded))

    def relay(self, device):
        """Return a relay, closed. Raises `WiringError`."""
        return self._build(device, _relay)

    def clock_chip(self, device):
        """Return the clock chip. Raises `WiringError`."""
        return self._build(device, _clock_chip)

    def sensor(self, device, notify):
        """Return (kind, driver); ``notify(value)`` is for presence. Raises `WiringError`."""
        return self._build(device, _sensor, notify)

    def bus(self, name):
        """Return an opened bus: ``i2c…``, ``uart…`` or ``dali…``. Raises `WiringError`."""
        if name not in self._open:
            options = self._buses.get(name)
            if options is None:
                raise WiringError(str(name), "no such bus")
            self._open[name] = _open_bus(name, options)
        return self._open[name]

    def pin(self, number):
        """Return an input pin."""
        return machine.Pin(number, machine.Pin.IN)

    def _build(self, device, build, extra=None):
        name = device.get("name", "?")
        try:
            made = build(self, name, device, _options(device), extra)
        except (DriverError, ImportError, OSError, ValueError, TypeError, KeyError) as error:
            raise WiringError(name, str(error) or type(error).__name__)
        if made is None:
            raise WiringError(name, "no such driver here")
        return made


def _options(device):
    """Return the options of a driver: lists of JSON become the tuples that drivers take."""
    options = {}
    for key, value in device.items():
        if key not in _PLACES:
            options[key] = tuple(value) if isinstance(value, list) else value
    return options


def _open_bus(name, options):
    if name[:3] == "i2c":
        return machine.I2C(
            int(name[3:]), scl=machine.Pin(options["scl"]), sda=machine.Pin(options["sda"]), freq=options["hz"]
        )
    if name[:4] == "uart":
        return machine.UART(int(name[4:]), baudrate=options["baud"], tx=options["tx"], rx=options["rx"], rxbuf=1024)
    if name[:4] == "dali":
        import esp32

        from firmware.drivers.dali_master import RMT_CLOCK_DIV, DaliMaster

        rmt = esp32.RMT(0, pin=machine.Pin(options["tx"]), clock_div=RMT_CLOCK_DIV, idle_level=0)
        return DaliMaster(rmt, machine.Pin(options["rx"], machine.Pin.IN))
    raise WiringError(name, "no such kind of bus: i2c, uart or dali")


def _dimmer(wiring, name, device, options, extra):
    safe_permille, is_guarded = extra
    if name == "dimmer_pwm":
        from firmware.drivers.dimmer_pwm import PwmDimmer

        return PwmDimmer(machine.Pin(device["pin"]), safe_permille, **options)
    if name == "dimmer_0_10v":
        from firmware.drivers.dimmer_0_10v import VoltageDimmer

        return VoltageDimmer(machine.Pin(device["pin"]), safe_permille, **options)
    if name == "dali":
        from firmware.control.dimming_curve import CURVE_LOGARITHMIC, arc_power_level
        from firmware.drivers.dali_dimmer import DaliDimmer

        # The curve that all gear has when it leaves its factory (IEC 62386-102).
        arc_of = lambda permille: arc_power_level(permille, CURVE_LOGARITHMIC, is_guarded)  # noqa: E731
        return DaliDimmer(wiring.bus(device["bus"]), safe_permille, arc_of=arc_of, **options)
    return None


def _relay(wiring, name, device, options, extra):
    if name == "relay":
        from firmware.drivers.relay import Relay

        return Relay(machine.Pin(device["pin"]), True, **options)
    if name == "relay_latching":
        from firmware.drivers.relay import LatchingRelay

        return LatchingRelay(machine.Pin(device["pins"][0]), machine.Pin(device["pins"][1]), True, **options)
    return None


def _clock_chip(wiring, name, device, options, extra):
    if name == "ds3231":
        from firmware.clock_chip import ClockChip
        from firmware.drivers.ds3231 import Ds3231

        return ClockChip(Ds3231(wiring.bus(device["bus"]), **options), name)
    return None


def _sensor(wiring, name, device, options, notify):
    if name == "presence_input":
        from firmware.drivers.presence_input import PresenceInput

        return PRESENCE, PresenceInput(wiring.pin(device["pin"]), notify, ticks_ms=ticks_ms, **options)
    if name == "ld2410":
        from firmware.drivers.ld2410 import Ld2410

        return PRESENCE, Ld2410(wiring.bus(device["bus"]), notify, **options)
    if name == "bh1750":
        from firmware.drivers.bh1750 import Bh1750

        return LUX, Bh1750(wiring.bus(device["bus"]), **options)
    if name == "veml7700":
        from firmware.drivers.veml7700 import Veml7700

        return LUX, Veml7700(wiring.bus(device["bus"]), **options)
    if name == "photocell":
        from firmware.drivers.photocell import Photocell

        return LUX, Photocell(machine.ADC(machine.Pin(device["pin"])), **options)
    if name == "ntc":
        from firmware.drivers.ntc import Ntc

        return TEMPERATURE, Ntc(machine.ADC(machine.Pin(device["pin"])), **options)
    return _other_sensor(wiring, name, device, options)


def _other_sensor(wiring, name, device, options):
    if name == "ds18b20":
        import onewire

        from firmware.drivers.ds18b20 import Ds18b20

        return TEMPERATURE, Ds18b20(onewire.OneWire(machine.Pin(device["pin"])), **options)
    if name == "bl0937":
        from firmware.drivers.bl0937 import Bl0937

        pins = device["pins"]
        if hasattr(machine, "Counter"):
            cf = machine.Counter(0, machine.Pin(pins[0], machine.Pin.IN))
            cf1 = machine.Counter(1, machine.Pin(pins[1], machine.Pin.IN)) if len(pins) > 1 else None
        else:
            # Before MicroPython 1.26. CF1 has 1,500 pulses a second: too many for interrupts, so power only.
            from firmware.drivers.pulse_pin import PulsePin

            cf = PulsePin(wiring.pin(pins[0]), ticks_ms)
            cf1 = None
        sel = machine.Pin(pins[2], machine.Pin.OUT) if cf1 is not None else None
        return METER, Bl0937(cf, cf1, sel, ticks_ms, **options)
    if name == "ade7953":
        from firmware.drivers.ade7953 import Ade7953

        return METER, Ade7953(wiring.bus(device["bus"]), **options)
    if name == "dali_meter":
        from firmware.drivers.dali_memory import D4iMeter

        return METER, D4iMeter(wiring.bus(device["bus"]), **options)
    if name == "nmea_gnss":
        from firmware.drivers.nmea_gnss import NmeaGnss

        return GNSS, NmeaGnss(wiring.bus(device["bus"]), **options)
    if name == "lis3dh":
        from firmware.drivers.lis3dh import Lis3dh

        return TILT, Lis3dh(wiring.bus(device["bus"]), **options)
    return None
