"""The discrete-event engine: inputs in order of time, wake ticks from a heap, and nothing in between.

No wall clock, no randomness: the same lamps and inputs give the same decisions. At one moment inputs come before wake
ticks, and lamps in order of their number.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass

from firmware.control.controller import Controller
from firmware.control.inputs import Seen
from firmware.control.ticks import ticks_diff

from .lamp_replay import LampClock, apply_input

# An input of one lamp: (time in ms, lamp, then as in a `lamp_replay` record: kind and values).
Input = tuple[int, ...]


@dataclass(frozen=True)
class Decision:
    """What a controller decided: at ``t_ms`` after the start (``tick`` on its own ring), from one level to another."""

    t_ms: int
    tick: int
    from_permille: int
    level_permille: int
    fade_ms: int
    reason: int


class Lamp:
    """A controller with its two clocks and its decisions."""

    def __init__(self, controller: Controller, tick0: int):
        self.controller = controller
        self.clock = LampClock(tick0)
        self.seen = Seen()
        self.decisions: list[Decision] = []
        self.wake_ms = 0


class Engine:
    """Lamps and what happens to them. ``events`` counts inputs and wake-ups carried out."""

    def __init__(self, lamps: list[Lamp]):
        self.lamps = lamps
        self.events = 0

    def run(self, inputs: list[Input], end_ms: int, on_progress: Callable[[int], None] | None = None) -> None:
        """Run from 0 to ``end_ms`` (included). ``inputs`` are sorted by time and lamp. Call once."""
        lamps = self.lamps
        wakes: list[tuple[int, int]] = [(0, number) for number in range(len(lamps))]
        heapq.heapify(wakes)
        at = 0
        total = len(inputs)
        progress_ms = 0
        while True:
            wake_ms = wakes[0][0] if wakes else end_ms + 1
            if at < total and inputs[at][0] <= wake_ms:
                entry = inputs[at]
                at += 1
                t_ms, number = entry[0], entry[1]
                if t_ms > end_ms:
                    break
                lamp = lamps[number]
                apply_input(lamp.clock, lamp.seen, t_ms, entry[2:])
            else:
                if wake_ms > end_ms:
                    break
                t_ms, number = heapq.heappop(wakes)
                lamp = lamps[number]
                if lamp.wake_ms != t_ms:
                    # An input came meanwhile, and the controller asked for another moment.
                    continue
            self.events += 1
            self._step(lamp, t_ms)
            heapq.heappush(wakes, (lamp.wake_ms, number))
            if on_progress and t_ms - progress_ms >= 600_000:
                progress_ms = t_ms
                on_progress(t_ms)
        for lamp in lamps:
            lamp.clock.move_to(end_ms)
            lamp.controller.count_to(lamp.clock.now.ticks_ms)

    @staticmethod
    def _step(lamp: Lamp, t_ms: int) -> None:
        controller = lamp.controller
        now = lamp.clock.now
        lamp.clock.move_to(t_ms)
        while controller.step(now, lamp.seen):
            decided_ms = controller.decided_ms
            lamp.decisions.append(
                Decision(
                    t_ms - ticks_diff(now.ticks_ms, decided_ms),
                    decided_ms,
                    controller.from_permille,
                    controller.level_permille,
                    controller.fade_ms,
                    controller.reason,
                )
            )
        lamp.wake_ms = t_ms + ticks_diff(controller.wake_ms, now.ticks_ms)
