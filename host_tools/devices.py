"""The devices of a kind of node, judged by the descriptions of their drivers and by the pins of the chip.

`WIRED` says what firmware/wiring.py can build and where it looks for pins; tests/host/test_node_config.py holds the two
against each other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from . import chip_pins
from .catalogue import Description, Option
from .chip_pins import PinBook
from .hardware import HardwareFile, Kind
from .plan import units
from .plan.problems import Problem, suggestion

# What a device is in a kind of node, and how the wiring finds it.
DIMMER, RELAY, SENSOR, CLOCK_CHIP = "dimmer", "relay", "sensor", "clock_chip"


@dataclass(frozen=True)
class Wired:
    """``role``: where it may stand. ``at``: "pin", "pins", or the kind of its bus. ``uses``: of its pins, in order.

    ``counts``: how many pins it may be given, where that is not one.
    """

    role: str
    at: str
    uses: tuple[str, ...] = ()
    counts: tuple[int, ...] = (1,)


WIRED = {
    "dimmer_pwm": Wired(DIMMER, "pin", (chip_pins.OUTPUT,)),
    "dimmer_0_10v": Wired(DIMMER, "pin", (chip_pins.OUTPUT,)),
    "dali": Wired(DIMMER, "dali"),
    "relay": Wired(RELAY, "pin", (chip_pins.OUTPUT,)),
    # The coil that closes, the coil that opens.
    "relay_latching": Wired(RELAY, "pins", (chip_pins.OUTPUT, chip_pins.OUTPUT), (2,)),
    "ds3231": Wired(CLOCK_CHIP, "i2c"),
    "presence_input": Wired(SENSOR, "pin", (chip_pins.INPUT,)),
    "ld2410": Wired(SENSOR, "uart"),
    "bh1750": Wired(SENSOR, "i2c"),
    "veml7700": Wired(SENSOR, "i2c"),
    "photocell": Wired(SENSOR, "pin", (chip_pins.ADC,)),
    "ntc": Wired(SENSOR, "pin", (chip_pins.ADC,)),
    "ds18b20": Wired(SENSOR, "pin", (chip_pins.OUTPUT,)),
    "bl0937": Wired(SENSOR, "pins", (chip_pins.INPUT, chip_pins.INPUT, chip_pins.OUTPUT), (1, 3)),
    "ade7953": Wired(SENSOR, "i2c"),
    "dali_meter": Wired(SENSOR, "dali"),
    "nmea_gnss": Wired(SENSOR, "uart"),
    "lis3dh": Wired(SENSOR, "i2c"),
}
# What each kind of bus must be given, and what its pins do. DALI pulls by the one and listens by the other.
BUS_PINS = {
    "i2c": {"scl": chip_pins.OUTPUT, "sda": chip_pins.OUTPUT},
    "uart": {"tx": chip_pins.OUTPUT, "rx": chip_pins.INPUT},
    "dali": {"tx": chip_pins.OUTPUT, "rx": chip_pins.INPUT},
}
BUS_RATES = {"i2c": "hz", "uart": "baud"}
I2C_HZ = 100_000
METER_PERIOD_MAX_S = 20
# What a sensor says besides the options of its driver.
_OF_SENSORS = ("lamps", "period")
_TIME = {"s": 1, "min": 60, "h": 3600}
_TRUTHS = {"yes": True, "true": True, "no": False, "false": False}


@dataclass
class Checked:
    """A kind of node in the configuration's words, with what was found on the way."""

    outputs: list[dict[str, Any]]
    sensors: list[dict[str, Any]]
    buses: dict[str, dict[str, int]]
    chip: dict[str, Any] | None
    problems: list[Problem]
    warnings: list[Problem]


def check_kind(name: str, kind: Kind, hardware: HardwareFile, catalogue: dict[str, Description]) -> Checked:
    """Return the devices of a kind. All problems at once, each with its path in the file."""
    return _Check(f"kinds.{name}", kind, hardware, catalogue).run()


class _Check:
    def __init__(self, path: str, kind: Kind, hardware: HardwareFile, catalogue: dict[str, Description]) -> None:
        self._path = path
        self._kind = kind
        self._catalogue = catalogue
        self._pins = PinBook(hardware.has_radio)
        self._problems: list[Problem] = []
        # Bus: who hangs on it, as (driver, address).
        self._on_bus: dict[str, list[tuple[str, Any]]] = {bus: [] for bus in kind.buses}

    def run(self) -> Checked:
        kind, path = self._kind, self._path
        buses = {name: self._bus(name) for name in kind.buses}
        if kind.service_pin is not None:
            self._pins.take(kind.service_pin, chip_pins.PULLED, f"{path}.service_pin")
        outputs = []
        for number, output in enumerate(kind.outputs):
            at = f"{path}.outputs[{number}]"
            made: dict[str, Any] = {"dimmer": self._device(output.dimmer, DIMMER, f"{at}.dimmer")}
            if output.relay is not None:
                made["relay"] = self._device(output.relay, RELAY, f"{at}.relay")
            outputs.append(made)
        sensors = [self._sensor(device, f"{path}.sensors[{n}]") for n, device in enumerate(kind.sensors)]
        chip = self._device(kind.clock_chip, CLOCK_CHIP, f"{path}.clock_chip") if kind.clock_chip is not None else None
        warnings = [*self._pins.warnings]
        for bus, users in self._on_bus.items():
            if not users:
                warnings.append(Problem(f"{path}.buses.{bus}", "nothing hangs on it: remove it, or wire a device"))
        return Checked(outputs, sensors, buses, chip, [*self._problems, *self._pins.problems], warnings)

    def _refuse(self, path: str, reason: str) -> None:
        self._problems.append(Problem(path, reason))

    def _bus(self, name: str) -> dict[str, int]:
        path = f"{self._path}.buses.{name}"
        kind = name.rstrip("0123456789")
        given = self._kind.buses[name].model_dump(exclude_none=True)
        if kind == "i2c":
            given.setdefault("hz", I2C_HZ)
        known = [*BUS_PINS[kind], *([BUS_RATES[kind]] if kind in BUS_RATES else [])]
        for key in given:
            if key not in known:
                self._refuse(f"{path}.{key}", f"a bus of kind {kind} has {', '.join(known)}: remove it")
        for key in known:
            if key not in given:
                self._refuse(f"{path}.{key}", "is missing: add it")
            elif key in BUS_PINS[kind]:
                self._pins.take(given[key], BUS_PINS[kind][key], f"{path}.{key}")
        return given

    def _sensor(self, device: dict[str, Any], path: str) -> dict[str, Any]:
        made = self._device({key: value for key, value in device.items() if key not in _OF_SENSORS}, SENSOR, path)
        if "period" in device:
            try:
                made["period_s"] = units.quantity(device["period"], _TIME, "a period", "10 s")
            except ValueError as error:
                self._refuse(f"{path}.period", str(error))
            else:
                most_s = 3600
                if device.get("name") in self._catalogue and self._catalogue[device["name"]].kind == "meter":
                    # Control takes a meter that is silent for 30 s for a missing one (firmware/senses.py).
                    most_s = METER_PERIOD_MAX_S
                if not 1 <= made["period_s"] <= most_s:
                    most = "1 h" if most_s == 3600 else f"{most_s} s"
                    self._refuse(f"{path}.period", f"{device['period']} is out of range: 1 s to {most}")
        count = len(self._kind.outputs)
        made["lamps"] = list(range(count))
        if "lamps" in device:
            made["lamps"] = self._lamps(device["lamps"], count, f"{path}.lamps")
        return made

    def _lamps(self, given: Any, count: int, path: str) -> list[int]:
        known = [str(number) for number in range(count)]
        if not isinstance(given, list) or not given or len(set(map(str, given))) != len(given):
            self._refuse(path, f"{given!r} is no list of outputs: write like [0], or leave it out for all of them")
            return []
        for one in given:
            if one not in known:
                self._refuse(path, f"there is no output {one!r}: this kind has {', '.join(known)}")
        return [int(one) for one in given if one in known]

    def _device(self, device: dict[str, Any], role: str, path: str) -> dict[str, Any]:
        """Return a device with its options as the driver takes them; what is wrong is noted and left out."""
        name = device.get("name")
        fitting = [each for each, wired in WIRED.items() if wired.role == role]
        if not isinstance(name, str) or name not in WIRED or WIRED[name].role != role or name not in self._catalogue:
            if not isinstance(name, str):
                reason = f"is missing, or no name: give one of {', '.join(fitting)}"
            elif name in WIRED and WIRED[name].role != role:
                reason = f"{name} is a {WIRED[name].role}: choose from {', '.join(fitting)}"
            elif name in self._catalogue:
                reason = f"the firmware cannot wire {name} yet: choose from {', '.join(fitting)}"
            else:
                reason = f"there is no driver {name!r}{suggestion(str(name), fitting)}"
            self._refuse(f"{path}.name", reason)
            return {"name": name}
        wired, description = WIRED[name], self._catalogue[name]
        before = len(self._problems)
        place = wired.at if wired.at in ("pin", "pins") else "bus"
        options = self._options(device, description, place, path)
        made = {"name": name, **self._place(device, wired, place, options, path), **options}
        if "bus" in made:
            self._share(made, wired, path, is_right=len(self._problems) == before)
        return made

    def _place(
        self, device: dict[str, Any], wired: Wired, place: str, options: dict[str, Any], path: str
    ) -> dict[str, Any]:
        given = device.get(place)
        at = f"{path}.{place}"
        if given is None:
            self._refuse(at, "is missing: say where it is wired")
            return {}
        if place == "bus":
            given = str(given)
            buses = [bus for bus in self._on_bus if bus.startswith(wired.at)]
            if given not in buses:
                what = f"{given!r} is no {wired.at} bus of this kind"
                self._refuse(at, f"{what}{suggestion(str(given), buses)}" if buses else f"{what}: add it under buses")
                return {}
            return {"bus": given}
        numbers = given if isinstance(given, list) and place == "pins" else [given]
        are_numbers = all(isinstance(number, str) and re.fullmatch(r"[0-9]{1,2}", number) for number in numbers)
        if len(numbers) not in wired.counts or not are_numbers:
            what = " or ".join(map(str, wired.counts))
            self._refuse(at, f"{given!r} is not {what} pin(s): write the numbers of GPIOs, like 21 or [21, 22]")
            return {}
        uses = (chip_pins.DAC,) if options.get("is_dac") else wired.uses
        for number, use in zip(numbers, uses, strict=False):
            self._pins.take(int(number), use, at)
        return {place: [int(number) for number in numbers] if place == "pins" else int(given)}

    def _share(self, made: dict[str, Any], wired: Wired, path: str, is_right: bool) -> None:
        """Note who is on a bus: a serial line has one device, other buses one at each address.

        Of a device that is wrong in itself (its address may be what is misspelt) nothing is said here.
        """
        users = self._on_bus[made["bus"]]
        option = self._catalogue[made["name"]].options.get("address")
        me = (made["name"], made.get("address", option.default if option else None))
        if not is_right:
            me = (made["name"], path)
        elif wired.at == "uart" and users:
            self._refuse(f"{path}.bus", f"{made['bus']} has {users[0][0]} on it: a serial line takes one device")
        elif me in users:
            self._refuse(f"{path}.bus", f"a {me[0]} with this address is on {made['bus']} already: give each its own")
        users.append(me)

    def _options(self, device: dict[str, Any], description: Description, place: str, path: str) -> dict[str, Any]:
        options: dict[str, Any] = {}
        for key, text in device.items():
            if key in ("name", place):
                continue
            at = f"{path}.{key}"
            option = description.options.get(key)
            if option is None:
                known = [place, *description.options, *(_OF_SENSORS if WIRED[description.name].role == SENSOR else ())]
                self._refuse(at, f"{description.name} has no such option{suggestion(key, known)}")
                continue
            try:
                value = _value(option, text)
            except ValueError as error:
                self._refuse(at, str(error))
                continue
            if problem := option.problem(value):
                self._refuse(at, problem)
                continue
            options[key] = value
        for key, option in description.options.items():
            # The build day is put in for all who ask for it.
            if option.default is None and key not in device and key != "build_day":
                self._refuse(f"{path}.{key}", f"is missing, and it has no default: add it ({option.help})")
        return options


def _value(option: Option, text: Any) -> Any:
    """Return what ``text`` means for an option. Raises ValueError with the remedy."""
    if option.type == "int":
        return _int(text)
    if option.type == "bool":
        if not isinstance(text, str) or text not in _TRUTHS:
            raise ValueError(f"{text!r} is neither yes nor no: write one of them")
        return _TRUTHS[text]
    if option.type == "int_list":
        if not isinstance(text, list):
            raise ValueError(f"{text!r} is no list: write like [0, 1000] or [[0, 1000], [10, 2000]]")
        return [_int(one) for part in text for one in (part if isinstance(part, list) else [part])]
    if not isinstance(text, str):
        raise ValueError(f"{text!r} is no text: write one")
    return text


def _int(text: Any) -> int:
    if not isinstance(text, str) or not re.fullmatch(r"[+-]?[0-9]{1,10}|0[xX][0-9a-fA-F]{1,8}", text):
        raise ValueError(f"{text!r} is not a whole number: write it like 40 or 0x23, in the unit of the option's name")
    return int(text, 0) if text[:2].lower() == "0x" else int(text)
