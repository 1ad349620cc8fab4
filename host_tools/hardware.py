"""The hardware file: what hangs on which pin in the luminaires of a site, which lamp has which kind of node, and whom
the nodes talk to. docs/node.md is its reference.

Here is its shape. Whether the devices, options and pins are right is found in `host_tools.devices`, and whether it
agrees with its site in `host_tools.node_config`.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from .certificates import NODE_ID
from .plan import units
from .plan.problems import Problem, SiteError, problems_of
from .plan.program import Strict
from .plan.yaml_text import TextError, read_yaml

OUTPUTS_MAX = 4
SENSORS_MAX = 12
SNTP_MAX = 4
_BUS = re.compile(r"(i2c|uart|dali)([0-9])")
_TIME = {"s": 1, "min": 60, "h": 3600}


def _number(least: int, most: int, what: str) -> BeforeValidator:
    def check(text: Any) -> int:
        if not isinstance(text, str) or not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise ValueError(f"{text!r} is not {what}: write a whole number from {least} to {most}")
        return int(text)

    return BeforeValidator(check)


def _time(least_s: int, most_s: int, what: str, example: str) -> BeforeValidator:
    def check(text: Any) -> int:
        value = units.quantity(text, _TIME, what, example)
        if not least_s <= value <= most_s:
            raise ValueError(f"{text} is out of range: {what} is {least_s} s to {most_s} s")
        return value

    return BeforeValidator(check)


def _truth(text: Any) -> bool:
    if text not in ("yes", "no"):
        raise ValueError(f"{text!r} is neither yes nor no: write one of them")
    return bool(text == "yes")


def _drift(text: Any) -> int:
    value = units.quantity(text, {"ppm": 1}, "a clock's drift", "20 ppm")
    if not 1 <= value <= 1000:
        raise ValueError(f"{text} is out of range: a clock's drift is 1 ppm to 1000 ppm")
    return value


def _quarters(text: Any) -> int:
    value = units.quantity(text, {"min": 1, "h": 60}, "a period of energy reports", "1 h")
    if value % 15 or not 15 <= value <= 1440:
        raise ValueError(f"{text} cannot be: energy is counted in quarters of an hour, 15 min to 24 h")
    return value // 15


def _host(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        if not re.fullmatch(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,62}\.?)+", text):
            raise ValueError(f"{text!r} is no host name and no IP address: correct it") from None
    return text


def _bus_name(text: str) -> str:
    if not _BUS.fullmatch(text):
        raise ValueError(f"{text!r} is no bus: write i2c0, i2c1, uart1, uart2 or dali0")
    if text not in ("i2c0", "i2c1", "uart1", "uart2", "dali0"):
        reason = "is the console's" if text == "uart0" else "is not there"
        raise ValueError(f"{text} {reason}: an ESP32 has i2c0, i2c1, uart1, uart2, and here one dali0")
    return text


def _node_id(text: str) -> str:
    if not NODE_ID.fullmatch(text) or text == "group":
        raise ValueError(f"{text!r} cannot be a node's id, which stands in topics: write 1 to 32 of A-Z a-z 0-9 _ -")
    return text


PinNumber = Annotated[int, _number(0, 39, "a pin")]
Host = Annotated[str, AfterValidator(_host)]
NodeId = Annotated[str, AfterValidator(_node_id)]
Truth = Annotated[bool, BeforeValidator(_truth)]
# A device is judged by the description of its driver: `host_tools.devices`.
Device = dict[str, Any]


class Bus(Strict):
    """The pins of a bus: scl, sda and hz (I2C); tx, rx and baud (UART); tx and rx (DALI)."""

    scl: PinNumber | None = None
    sda: PinNumber | None = None
    hz: Annotated[int, _number(10_000, 400_000, "an I2C frequency in Hz")] | None = None
    tx: PinNumber | None = None
    rx: PinNumber | None = None
    baud: Annotated[int, _number(1200, 921_600, "a rate in baud")] | None = None


class Output(Strict):
    """One lamp output: what dims it, and what cuts it off."""

    dimmer: Device
    relay: Device | None = None


class Kind(Strict):
    """One kind of node."""

    buses: dict[Annotated[str, AfterValidator(_bus_name)], Bus] = Field(default={})
    outputs: list[Output] = Field(min_length=1, max_length=OUTPUTS_MAX)
    sensors: list[Device] = Field(default=[], max_length=SENSORS_MAX)
    clock_chip: Device | None = None
    service_pin: PinNumber | None = None


class Node(Strict):
    """One node: its kind, and the lamp on each of its outputs (the lamp of its own name where none is given)."""

    kind: str
    lamps: list[str] | None = Field(default=None, min_length=1, max_length=OUTPUTS_MAX)


class Mqtt(Strict):
    """The broker as nodes call it."""

    host: Host
    port: Annotated[int, _number(1, 65_535, "a port")] = 8883
    server_name: Host | None = None
    tls: Truth = True
    psk_port: Annotated[int, _number(1, 65_535, "a port")] | None = None
    window: Annotated[int, _time(0, 3600, "the spread of first connections", "60 s")] = 60
    keepalive: Annotated[int, _time(30, 3600, "a keep-alive", "300 s")] = 300

    @model_validator(mode="after")
    def _has_two_ports(self) -> Mqtt:
        if self.psk_port is not None and (self.psk_port == self.port or not self.tls):
            raise ValueError("psk_port is a second port for TLS with keys: give another than port, and leave tls on")
        return self


class Wifi(Strict):
    """The access points' name. Their password is a secret and stands in the keys' folder."""

    ssid: Annotated[str, Field(min_length=1, max_length=32)]


class Wave(Strict):
    """The radio between neighbours. Where there is Wi-Fi, its channel must be the access points'."""

    channel: Annotated[int, _number(1, 13, "a channel")]


class Reports(Strict):
    status: Annotated[int, _time(60, 86_400, "a period of status reports", "15 min")] = 900
    energy: Annotated[int, BeforeValidator(_quarters)] = 4


class Clock(Strict):
    drift: Annotated[int, BeforeValidator(_drift)] = 100
    sntp: list[Host] = Field(default=[], max_length=SNTP_MAX)


class HardwareFile(Strict):
    """A hardware file as it stands."""

    mqtt: Mqtt | None = None
    wifi: Wifi | None = None
    wave: Wave | None = None
    reports: Reports = Reports()
    clock: Clock = Clock()
    kinds: dict[str, Kind] = Field(min_length=1)
    nodes: dict[NodeId, Node] = Field(min_length=1)

    @model_validator(mode="after")
    def _reachable(self) -> HardwareFile:
        if self.mqtt is not None and self.wifi is None:
            raise ValueError("mqtt needs a network: add wifi, or leave mqtt out")
        return self

    @property
    def has_radio(self) -> bool:
        """Whether the Wi-Fi driver runs (ESP-NOW, which carries the wave, is part of it)."""
        return self.wifi is not None or self.wave is not None


# In the place of a part that is wrong, so that the rest is judged as if it were right.
_STAND_INS: dict[str, Any] = {"wifi": {"ssid": "any"}, "wave": {"channel": "1"}}


def read_hardware(path: Path) -> tuple[HardwareFile, list[Problem]]:
    """Return a hardware file without its parts that are wrong, and every problem of its shape.

    Raises `SiteError` where too little is left to go on with.
    """
    try:
        raw = read_yaml(path)
    except OSError as error:
        raise SiteError(path, [Problem("", f"cannot be read: {error.strerror}: give the path of a file")]) from error
    except TextError as error:
        raise SiteError(path, [Problem("", str(error))]) from error
    try:
        return HardwareFile.model_validate(raw), []
    except ValidationError as error:
        problems = problems_of(error)
        try:
            return HardwareFile.model_validate(_without(raw, [entry["loc"] for entry in error.errors()])), problems
        except ValidationError:
            raise SiteError(path, problems) from error


def _without(raw: Any, places: list[tuple[int | str, ...]]) -> Any:
    """Return the file's tree without the parts in which these places lie, and without the nodes of such kinds."""
    if not isinstance(raw, dict):
        return raw
    parts = {place[:2] if place[:1] in (("kinds",), ("nodes",)) else place[:1] for place in places}
    left = {}
    for name, part in raw.items():
        if (name,) in parts:
            if name in _STAND_INS:
                left[name] = _STAND_INS[name]
        elif name in ("kinds", "nodes") and isinstance(part, dict):
            kept = {key: value for key, value in part.items() if (name, key) not in parts}
            if name == "nodes":
                kept = {key: value for key, value in kept.items() if ("kinds", value.get("kind")) not in parts}
            left[name] = kept
        else:
            left[name] = part
    return left
