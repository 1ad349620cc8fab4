"""The radio between neighbours, as a model: who hears whom, how late, and what is lost.

A message sent by one pole reaches the poles that have it as their neighbour, each by itself: after a latency that is
drawn evenly between two bounds, or never. A dead pole neither sends nor hears. Airtime and collisions are not modelled;
the node's own rate limits are real, for they are the node's code.
"""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Radio:
    """Latency in ms from ``latency_min_ms`` to ``latency_max_ms``, loss in permille a link, and poles that are dead."""

    latency_min_ms: int
    latency_max_ms: int
    loss_permille: int
    dead: frozenset[int]


class Network:
    """Delivers messages. ``hearers[pole]``: the poles that hear ``pole``. One stream of chance a pole."""

    def __init__(self, radio: Radio, hearers: list[list[int]], seed: str):
        self._radio = radio
        self._hearers = hearers
        self._chance = [random.Random(f"{seed}/{pole}") for pole in range(len(hearers))]
        self.sent = 0
        self.lost = 0

    def send(self, pole: int, t_ms: int) -> list[tuple[int, int]]:
        """Return (time, pole) of each delivery of a message that ``pole`` sends at ``t_ms``."""
        radio = self._radio
        if pole in radio.dead:
            return []
        self.sent += 1
        chance = self._chance[pole]
        deliveries = []
        for hearer in self._hearers[pole]:
            latency = chance.randint(radio.latency_min_ms, radio.latency_max_ms)
            is_lost = chance.randrange(1000) < radio.loss_permille or hearer in radio.dead
            if is_lost:
                self.lost += 1
            else:
                deliveries.append((t_ms + latency, hearer))
        return deliveries
