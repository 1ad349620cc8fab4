"""A node's configuration, from a site and a hardware file: the JSON of firmware/system/node_config.py, checked whole.

``load_fleet(site, path)`` reads the hardware file beside its site and reports everything wrong at once;
``fleet.tree(node, build_day)`` is a node's configuration, ``fleet.data(...)`` its bytes: the same inputs give the same.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from firmware.control.civil import day_number
from firmware.system import node_config as layout

from .catalogue import Description
from .catalogue import load as load_catalogue
from .certificates import NODE_ID
from .devices import Checked, check_kind
from .hardware import HardwareFile, Node, read_hardware
from .plan.problems import Problem, SiteError, suggestion
from .plan.site import Site

# A store's file, and a message that carries a configuration to a node, hold no more.
DATA_MAX = 16_384
GROUPS_MAX = 8
# 2020 to 2199, as the drivers that are told it accept it.
BUILD_DAY_MIN, BUILD_DAY_MAX = 7305, 73_048


@dataclass(frozen=True)
class Fleet:
    """The nodes of a site: a hardware file that was found good. ``warnings``: what is no fault, but may be one."""

    path: Path
    site: Site
    hardware: HardwareFile
    kinds: dict[str, Checked]
    warnings: list[Problem]

    def node(self, name: str) -> Node:
        """Return a node of the file. Raises `SiteError` for a name that is none."""
        if name not in self.hardware.nodes:
            known = suggestion(name, self.hardware.nodes)
            raise SiteError(self.path, [Problem("nodes", f"there is no node {name!r}{known}")])
        return self.hardware.nodes[name]

    def lamps(self, name: str) -> list[str]:
        """Return the lamps on a node's outputs, in their order. Raises `SiteError` for no node."""
        return self.node(name).lamps or [name]

    def node_id(self, name: str) -> int:
        """Return the number by which a node goes in payloads: that of its first lamp in the site."""
        number: int = self.site.lamp_config(self.lamps(name)[0])["config"]["own_id"]
        return number

    @cached_property
    def group_ids(self) -> dict[str, int]:
        """The number of each group in payloads: its place in the site, from 1 on."""
        return {name: number for number, name in enumerate(self.site.groups, 1)}

    def groups(self, name: str) -> dict[str, int]:
        """Return the groups that a lamp of this node is in, with their numbers. Raises `SiteError` for no node."""
        own = set(self.lamps(name))
        return {group: self.group_ids[group] for group, lamps in self.site.groups.items() if own & set(lamps)}

    def drivers(self, name: str) -> list[str]:
        """Return the names of the drivers that a node uses, each once. Raises `SiteError` for no node."""
        kind = self.kinds[self.node(name).kind]
        found = [part["name"] for output in kind.outputs for part in output.values()]
        found += [sensor["name"] for sensor in kind.sensors] + ([kind.chip["name"]] if kind.chip else [])
        return list(dict.fromkeys(found))

    def tree(self, name: str, build_day: int) -> dict[str, Any]:
        """Return a node's configuration. ``build_day``: days since 2000-01-01, before which no time is believed.

        Raises `SiteError` for no node, ValueError for a day outside 2020 to 2199.
        """
        if not BUILD_DAY_MIN <= build_day <= BUILD_DAY_MAX:
            raise ValueError(f"build day {build_day}: {BUILD_DAY_MIN} to {BUILD_DAY_MAX}, days since 2000-01-01")
        kind = self.kinds[self.node(name).kind]
        lamps = self.lamps(name)
        first = self.site.lamp_config(lamps[0])
        hardware = self.hardware
        clock: dict[str, Any] = {"drift_ppm": hardware.clock.drift, "build_day": build_day}
        if hardware.clock.sntp:
            clock["sntp"] = list(hardware.clock.sntp)
        if kind.chip is not None:
            clock["chip"] = kind.chip
        tree: dict[str, Any] = {
            "format": layout.FORMAT,
            "site": self.site.name,
            "node": name,
            "id": self.node_id(name),
            "groups": [[group, number] for group, number in self.groups(name).items()],
            "zone": first["zone"],
            "place": first["place"],
            "lamps": [self._lamp(output, lamp) for output, lamp in zip(kind.outputs, lamps, strict=True)],
            "sensors": [self._sensor(sensor, build_day) for sensor in kind.sensors],
            "buses": kind.buses,
            "clock": clock,
            "reports": {"status_s": hardware.reports.status, "energy_quarters": hardware.reports.energy},
        }
        if hardware.mqtt is not None:
            mqtt = hardware.mqtt
            tree["mqtt"] = {
                "host": mqtt.host,
                "port": mqtt.port,
                "server_name": mqtt.server_name or mqtt.host,
                "tls": mqtt.tls,
                "window_s": mqtt.window,
                "keepalive_s": mqtt.keepalive,
            }
            if mqtt.psk_port is not None:
                tree["mqtt"]["psk_port"] = mqtt.psk_port
        if hardware.wifi is not None:
            tree["wifi"] = {"ssid": hardware.wifi.ssid}
        if hardware.wave is not None:
            tree["wave"] = {"channel": hardware.wave.channel}
        return tree

    def data(self, name: str, build_day: int) -> bytes:
        """Return a node's configuration as its store keeps it. Raises as `tree`, `SiteError` where it is too large."""
        data = json.dumps(self.tree(name, build_day), separators=(",", ":"), ensure_ascii=False).encode()
        if len(data) > DATA_MAX:
            reason = f"its configuration has {len(data)} bytes, at most {DATA_MAX}: use fewer sensors or shorter curves"
            raise SiteError(self.path, [Problem(f"nodes.{name}", reason)])
        # What the node itself looks at.
        layout.load(data)
        return data

    def _lamp(self, output: dict[str, Any], lamp: str) -> dict[str, Any]:
        known = self.site.lamp_config(lamp)
        return {**output, **{key: known[key] for key in ("levels", "powers", "standby", "start", "config")}}

    @staticmethod
    def _sensor(sensor: dict[str, Any], build_day: int) -> dict[str, Any]:
        return {**sensor, "build_day": build_day} if sensor["name"] == "nmea_gnss" else sensor


def load_fleet(site: Site, path: Path, catalogue: dict[str, Description] | None = None) -> Fleet:
    """Read a hardware file beside its site. Raises `SiteError` with every problem found."""
    hardware, problems = read_hardware(path)
    catalogue = load_catalogue() if catalogue is None else catalogue
    warnings: list[Problem] = []
    kinds = {}
    for name, kind in hardware.kinds.items():
        kinds[name] = checked = check_kind(name, kind, hardware, catalogue)
        problems += checked.problems
        warnings += checked.warnings
        if not any(node.kind == name for node in hardware.nodes.values()):
            warnings.append(Problem(f"kinds.{name}", "no node is of this kind: name it, or remove it"))
    problems += _site_problems(site)
    owners: dict[str, str] = {}
    for name, node in hardware.nodes.items():
        problems += _node_problems(name, node, site, hardware, owners)
    without = [lamp for lamp in site.lamps if lamp not in owners]
    if without and not problems:
        shown = ", ".join(without[:10]) + (" …" if len(without) > 10 else "")
        warnings.append(Problem("nodes", f"no node drives {shown}: add one, or leave it so"))
    if problems:
        raise SiteError(path, problems)
    fleet = Fleet(path, site, hardware, kinds, warnings)
    for name in hardware.nodes:
        if len(fleet.groups(name)) > GROUPS_MAX:
            reason = f"is in {len(fleet.groups(name))} groups, at most {GROUPS_MAX}: leave some out in {site.path.name}"
            problems.append(Problem(f"nodes.{name}", reason))
    if problems:
        raise SiteError(path, problems)
    return fleet


def build_day_of(year: int, month: int, day: int) -> int:
    """Return the day number of a civil date, as configurations have it."""
    return day_number(year, month, day)


def _site_problems(site: Site) -> list[Problem]:
    """Return which names of the site cannot stand in topics."""
    rule = "stands in topics: call it by 1 to 32 of A-Z a-z 0-9 _ - in the site's file"
    found = []
    if not NODE_ID.fullmatch(site.name):
        found.append(Problem("", f"the site's name {site.name!r} {rule}"))
    found += [Problem("", f"the group's name {name!r} {rule}") for name in site.groups if not NODE_ID.fullmatch(name)]
    return found


def _node_problems(name: str, node: Node, site: Site, hardware: HardwareFile, owners: dict[str, str]) -> list[Problem]:
    path = f"nodes.{name}"
    found = []
    lamps = node.lamps or [name]
    for number, lamp in enumerate(lamps):
        at = f"{path}.lamps[{number}]" if node.lamps else path
        if lamp not in site.lamps:
            what = f"the site has no lamp {lamp!r}{suggestion(lamp, site.lamps)}"
            found.append(Problem(at, what if node.lamps else f"{what}; or give lamps"))
        elif lamp in owners:
            found.append(Problem(at, f"{lamp} is driven by {owners[lamp]} already: give each lamp to one node"))
        owners.setdefault(lamp, name)
    kind = hardware.kinds.get(node.kind)
    if kind is None:
        found.append(Problem(f"{path}.kind", f"there is no kind {node.kind!r}{suggestion(node.kind, hardware.kinds)}"))
    elif len(kind.outputs) != len(lamps):
        reason = f"{len(lamps)} lamp(s) for the {len(kind.outputs)} output(s) of {node.kind}: give one for each output"
        found.append(Problem(f"{path}.lamps", reason))
    return found
