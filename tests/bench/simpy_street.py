"""The same street in SimPy, as a textbook writes it: the oracle for on-times, and the measure for the engine's speed.

One process a lamp. Presence interrupts it, the hold is a timeout, and a process of its own carries the schedule. It
shares no code with the product: it restates the rule «lit while somebody is here and for the hold time after it, as
long as the program is active». It has no ramps, energy, clocks, zones or sun; the schedule's times are given to it.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from typing import Any

import simpy

Edges = list[tuple[int, int]]


class SimpyLamp:
    """A lamp: ``on_ms`` is how long presence (and its hold) has lit it inside the active periods."""

    def __init__(self, environment: simpy.Environment, hold_ms: int):
        self.environment = environment
        self.hold_ms = hold_ms
        self.is_present = False
        self.is_active = False
        self.is_lit = False
        self.on_ms = 0
        self.switchings = 0
        self.lit_since = 0
        self.level = 0
        self.process = environment.process(self.run())

    def run(self) -> Generator[Any, None, None]:
        """Wait for somebody; stay lit while they are here; hold; and start again."""
        while True:
            with suppress(simpy.Interrupt):
                yield self.environment.event()
            is_holding = self.is_present
            if is_holding:
                self.light(True)
            while is_holding:
                with suppress(simpy.Interrupt):
                    if self.is_present:
                        yield self.environment.event()
                    else:
                        yield self.environment.timeout(self.hold_ms)
                        is_holding = False
            self.light(False)

    def sense(self, edges: Edges) -> Generator[Any, None, None]:
        """The sensor: each edge interrupts the lamp."""
        for t_ms, value in edges:
            yield self.environment.timeout(t_ms - self.environment.now)
            self.is_present = value == 1
            self.process.interrupt("presence")

    def light(self, is_wanted: bool) -> None:
        """Remember what presence wants, and count while the program is active too."""
        self.is_lit = is_wanted
        self.apply()

    def apply(self) -> None:
        wanted = 1000 if self.is_lit and self.is_active else 0
        if wanted == self.level:
            return
        now = int(self.environment.now)
        if wanted:
            self.lit_since = now
        else:
            self.on_ms += now - self.lit_since
        self.level = wanted
        self.switchings += 1


def schedule(
    environment: simpy.Environment, lamp: SimpyLamp, changes: list[tuple[int, bool]]
) -> Generator[Any, None, None]:
    """The program: active or not, from given times on."""
    for t_ms, is_active in changes:
        yield environment.timeout(t_ms - environment.now)
        lamp.is_active = is_active
        lamp.apply()


def run_street(edges: list[Edges], changes: list[tuple[int, bool]], hold_ms: int, end_ms: int) -> list[int]:
    """Return each lamp's on-time in ms from 0 to ``end_ms``. ``changes``: (time, is active) of the whole street."""
    environment = simpy.Environment()
    lamps = [SimpyLamp(environment, hold_ms) for _ in edges]
    for lamp, own in zip(lamps, edges, strict=True):
        environment.process(lamp.sense(own))
        environment.process(schedule(environment, lamp, changes))
    environment.run(until=end_ms)
    for lamp in lamps:
        if lamp.level:
            lamp.on_ms += end_ms - lamp.lit_since
    return [lamp.on_ms for lamp in lamps]
