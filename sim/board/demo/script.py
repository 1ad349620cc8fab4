"""What happens in the demo's street: the scenario's passers as presence edges, and what the simulator makes of them.

The nodes get the very edges that the simulator gives its lamps. The simulator's lamps here have the nodes' own plans
and configurations (`Site.plan_bytes`, `Site.lamp_config`), so that both sides differ in nothing but the board, the
radio and the moment of each wake-up.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from firmware.control.inputs import CLOCK_GOOD
from host_tools.plan.site import Site
from sim.engine import Engine, Input, Lamp
from sim.lamp_replay import INPUT_CLOCK, INPUT_PRESENCE, build_controller
from sim.network import Network, Radio
from sim.nights import Nights, run_nights
from sim.scenario import Loaded
from sim.street import presence_edges

MS_PER_WH = 3_600_000
# The simulator's radio: what a board's radio takes in virtual time is not known beforehand.
_LATENCY_MS = (5, 60)


class ScriptError(Exception):
    """Site and scenario do not describe the same street; says what to do."""


@dataclass(frozen=True)
class Hours:
    """When the street is watched: ms since the scenario's noon. ``cut_ms``: without current, None for never."""

    start_ms: int
    end_ms: int
    cut_ms: tuple[int, int] | None = None

    @property
    def powered(self) -> list[tuple[int, int]]:
        """The pieces with current, in order."""
        if self.cut_ms is None:
            return [(self.start_ms, self.end_ms)]
        return [(self.start_ms, self.cut_ms[0]), (self.cut_ms[1], self.end_ms)]


@dataclass
class Script:
    """The night: ``lamps``, in the street's order; ``edges`` of each; ``nights``: the simulator's own run of it."""

    site: Site
    lamps: list[str]
    edges: dict[str, list[tuple[int, int]]]
    nights: Nights

    @property
    def noon_s(self) -> int:
        """The scenario's beginning, seconds since 2000-01-01 UTC."""
        day, second = self.nights.start
        return day * 86_400 + second

    @property
    def night_ms(self) -> tuple[int, int]:
        """From the evening's first light to the morning's last, in ms since noon."""
        return self.nights.lit_ms[0][0], self.nights.lit_ms[-1][1]

    def value_at(self, lamp: str, t_ms: int) -> int:
        """Return what the sensor says at a moment."""
        return next((value for at, value in reversed(self.edges[lamp]) if at <= t_ms), 0)

    def passers(self, hours: Hours) -> int:
        """Return how many passers set out in these hours."""
        return sum(hours.start_ms <= trip.start_ms < hours.end_ms for trip in self.nights.trips)

    def expected(self, hours: Hours) -> list[Light]:
        """Return what the simulator's lamps do in these hours, with the same edges and cuts."""
        found = [Light(0, 0, []) for _ in self.lamps]
        for start_ms, end_ms in hours.powered:
            for light, lamp in zip(found, self._run(start_ms, end_ms), strict=True):
                energy = lamp.controller.energy
                light.energy_mj += energy.energy_wh * MS_PER_WH + energy.energy_mj
                light.decisions += len(lamp.decisions)
                light.pieces += [
                    (start_ms + one.t_ms, one.from_permille, one.level_permille, one.fade_ms, one.reason)
                    for one in lamp.decisions
                ]
        return found

    def _run(self, start_ms: int, end_ms: int) -> list[Lamp]:
        lamps = []
        inputs: list[Input] = []
        second = self.noon_s + start_ms // 1000
        for number, name in enumerate(self.lamps):
            record: dict[str, Any] = {**self.site.lamp_config(name), "plan": self.site.plan_bytes(name).hex()}
            lamps.append(Lamp(build_controller(record), 0))
            inputs.append((0, number, INPUT_CLOCK, CLOCK_GOOD, second // 86_400, second % 86_400, start_ms % 1000))
            if self.value_at(name, start_ms):
                inputs.append((0, number, INPUT_PRESENCE, 1))
            inputs += [
                (at - start_ms, number, INPUT_PRESENCE, value)
                for at, value in self.edges[name]
                if start_ms < at <= end_ms
            ]
        inputs.sort(key=lambda entry: entry[:2])
        places = {name: number for number, name in enumerate(self.lamps)}
        hearers = [
            [places[one] for one in self.site.parts.lamps[name].neighbours if one in places] for name in self.lamps
        ]
        network = Network(Radio(*_LATENCY_MS, 0, frozenset()), hearers, "demo/radio")
        Engine(lamps, network).run(inputs, end_ms - start_ms)
        return lamps


@dataclass
class Light:
    """What one lamp did: energy in mJ, decisions, and each as (ms since noon, from, to, fade in ms, reason)."""

    energy_mj: int
    decisions: int
    pieces: list[tuple[int, int, int, int, int]]

    @property
    def energy_wh(self) -> float:
        """The energy in Wh."""
        return self.energy_mj / MS_PER_WH


def make_script(site: Site, loaded: Loaded, count: int | None = None, seed: int = 1) -> Script:
    """Join a site with a scenario's passers; ``count``: only so many lamps from the street's beginning.

    Raises `ScriptError` where the two do not describe the same street, `ScenarioError` as `run_nights`.
    """
    names = list(site.lamps)
    street = loaded.scenario.street
    place = loaded.scenario.place
    if len(names) != street.luminaires:
        raise ScriptError(
            f"{site.path.name} has {len(names)} lamps, {loaded.file.name} {street.luminaires}: make equal"
        )
    first = site.lamp_config(names[0])
    if first["place"] != [place.latitude, place.longitude] or first["zone"] != list(loaded.zone):
        raise ScriptError(f"{site.path.name} and {loaded.file.name} name two places or zones: make them equal")
    nights = run_nights(loaded, seed, 1)
    chosen = names[: count or len(names)]
    edges = {
        name: [edge for edge in presence_edges(nights.street, nights.trips, number) if edge[0] >= 0]
        for number, name in enumerate(chosen)
    }
    for name, times in edges.items():
        if any(after[0] < before[0] for before, after in pairwise(times)):
            raise ScriptError(f"{name}: its edges are not in order")
    return Script(site, chosen, edges, nights)
