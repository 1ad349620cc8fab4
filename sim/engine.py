"""The discrete-event engine: inputs in order of time, messages and wake ticks from a heap, and nothing in between.

No wall clock; the only chance is the network's, from its seed: the same lamps and inputs give the same decisions. At
one moment given inputs come first, then messages, then wake ticks, and lamps in order of their number.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass

from firmware.control.controller import Controller
from firmware.control.inputs import Seen
from firmware.control.ticks import ticks_diff

from .lamp_replay import INPUT_MESSAGE, LampClock, apply_input
from .network import Network

# An input of one lamp: (time in ms, lamp, then as in a `lamp_replay` record: kind and values).
Input = tuple[int, ...]

_MESSAGE = 0
_WAKE = 1


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
    """A controller with its two clocks, its decisions, and the messages that reached it (as inputs of a record)."""

    def __init__(self, controller: Controller, tick0: int):
        self.controller = controller
        self.clock = LampClock(tick0)
        self.seen = Seen()
        self.decisions: list[Decision] = []
        self.messages: list[list[int]] = []
        self.wake_ms = 0


class Engine:
    """Lamps and what happens to them. ``events`` counts inputs, messages and wake-ups carried out."""

    def __init__(self, lamps: list[Lamp], network: Network | None = None):
        self.lamps = lamps
        self.events = 0
        self._network = network
        # (time, message or wake, lamp, order of sending, message)
        self._queue: list[tuple[int, int, int, int, tuple[int, ...]]] = []
        self._sent = 0

    def run(self, inputs: list[Input], end_ms: int, on_progress: Callable[[int], None] | None = None) -> None:
        """Run from 0 to ``end_ms`` (included). ``inputs`` are sorted by time and lamp. Call once."""
        lamps = self.lamps
        queue = self._queue
        for number in range(len(lamps)):
            heapq.heappush(queue, (0, _WAKE, number, 0, ()))
        at = 0
        total = len(inputs)
        progress_ms = 0
        while True:
            queue_ms = queue[0][0] if queue else end_ms + 1
            if at < total and inputs[at][0] <= queue_ms:
                entry = inputs[at]
                at += 1
                t_ms, number = entry[0], entry[1]
                if t_ms > end_ms:
                    break
                lamp = lamps[number]
                apply_input(lamp.clock, lamp.seen, t_ms, entry[2:])
            else:
                if queue_ms > end_ms:
                    break
                t_ms, kind, number, _, message = heapq.heappop(queue)
                lamp = lamps[number]
                if kind == _MESSAGE:
                    lamp.clock.move_to(t_ms)
                    if not lamp.controller.street.bubble.is_news(lamp.clock.now.ticks_ms, *message[1:4]):
                        self.events += 1
                        continue
                    lamp.messages.append([t_ms, *message])
                    apply_input(lamp.clock, lamp.seen, t_ms, message)
                elif lamp.wake_ms != t_ms:
                    # An input came meanwhile, and the controller asked for another moment.
                    continue
            self.events += 1
            self._step(number, t_ms)
            if on_progress and t_ms - progress_ms >= 600_000:
                progress_ms = t_ms
                on_progress(t_ms)
        for lamp in lamps:
            lamp.clock.move_to(end_ms)
            lamp.controller.count_to(lamp.clock.now.ticks_ms)

    def _step(self, number: int, t_ms: int) -> None:
        lamp = self.lamps[number]
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
        heapq.heappush(self._queue, (lamp.wake_ms, _WAKE, number, 0, ()))
        if controller.street.has_to_send:
            self._send(number, t_ms)

    def _send(self, number: int, t_ms: int) -> None:
        """Hand the lamp's message to the network. Poles are numbered from 1 on the air: 0 is nobody."""
        bubble = self.lamps[number].controller.street.bubble
        message = (
            INPUT_MESSAGE,
            number + 1,
            bubble.send_origin,
            bubble.send_sequence,
            bubble.send_hops,
            bubble.send_travelled,
        )
        bubble.sent()
        if self._network is None:
            return
        for due_ms, hearer in self._network.send(number, t_ms):
            self._sent += 1
            heapq.heappush(self._queue, (due_ms, _MESSAGE, hearer, self._sent, message))
