"""A fleet that wants to connect at once, and a broker with so many handshakes a second: when is everybody in?

The nodes wait by the very code of the firmware (`firmware.links.backoff`). The broker is a queue: first come, first
served, one handshake every 1/C s, whether its client still waits or not; a client that waits longer than its own bound
gives up, and the handshake done for it later is wasted. That is the worst kind of broker, and what a TLS library behind
a listening socket does.

What is not modelled: the network's own delay and loss, brokers that shed load, the time of TCP. One seed, no clock.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from dataclasses import dataclass

from firmware.links.backoff import Backoff

# What a node waits for TLS (firmware/links/mqtt_client.py).
CLIENT_TIMEOUT_MS = 15_000
# A feeder's nodes boot within so long (reliability.md, F).
BOOT_MS = 2_000
HORIZON_MS = 3_600_000
EVENTS = ("power", "broker", "fixed")


@dataclass(frozen=True)
class Storm:
    """What comes. ``event``: "power" (a feeder is switched on: all boot within 2 s), "broker" (an established fleet
    loses its broker for ``outage_s``), "fixed" (as "power", but nodes that retry every 5 s, for comparison)."""

    nodes: int
    handshakes_per_s: int
    window_s: int
    event: str = "power"
    outage_s: int = 0
    seed: int = 1


@dataclass(frozen=True)
class Outcome:
    """What came of it: ``all_in_s`` and ``most_in_s`` (99 %) from the event on, None when not within an hour."""

    connected: int
    most_in_s: float | None
    all_in_s: float | None
    wasted_handshakes: int
    refused_attempts: int

    def __str__(self) -> str:
        when = "never" if self.all_in_s is None else f"{self.all_in_s:.0f} s"
        most = "never" if self.most_in_s is None else f"{self.most_in_s:.0f} s"
        return f"99 % in {most}, all in {when}, {self.wasted_handshakes} handshakes wasted"


def run(storm: Storm) -> Outcome:
    """Play a storm through, for an hour at most."""
    if storm.event not in EVENTS:
        raise ValueError(f"event {storm.event!r}: one of {', '.join(EVENTS)}")
    chance = random.Random(f"{storm.seed}/storm")
    nodes = [Backoff(f"N{number:06d}", chance.randrange, storm.window_s) for number in range(storm.nodes)]
    # (ms, node): a node's next attempt.
    attempts: list[tuple[float, int]] = []
    for number, backoff in enumerate(nodes):
        if storm.event == "power":
            start = chance.randrange(BOOT_MS) + backoff.first_ms()
        elif storm.event == "broker":
            start = backoff.lost_ms(60_000, False)
        else:
            start = chance.randrange(BOOT_MS)
        attempts.append((start, number))
    heapq.heapify(attempts)
    up_ms = 1000.0 * storm.outage_s
    service_ms = 1000.0 / storm.handshakes_per_s
    queue: deque[tuple[float, int]] = deque()
    free_ms = up_ms
    entered: list[float] = []
    wasted = refused = 0

    def again(ms: float, number: int) -> None:
        delay = 5000 if storm.event == "fixed" else nodes[number].failed_ms()
        heapq.heappush(attempts, (ms + delay, number))

    while (attempts or queue) and (not queue or free_ms < HORIZON_MS):
        # The broker takes the next as soon as it is free; what arrives before that joins the queue first.
        if queue and (not attempts or max(free_ms, queue[0][0]) <= attempts[0][0]):
            arrived, number = queue.popleft()
            done = max(free_ms, arrived) + service_ms
            free_ms = done
            if done - arrived > CLIENT_TIMEOUT_MS:
                wasted += 1
                again(max(arrived + CLIENT_TIMEOUT_MS, 0), number)
            else:
                entered.append(done)
            continue
        if not attempts or attempts[0][0] >= HORIZON_MS:
            break
        ms, number = heapq.heappop(attempts)
        if ms < up_ms:
            refused += 1
            again(ms, number)
        else:
            queue.append((ms, number))

    entered.sort()
    most = -(-storm.nodes * 99 // 100)
    return Outcome(
        connected=len(entered),
        most_in_s=entered[most - 1] / 1000 if len(entered) >= most else None,
        all_in_s=entered[-1] / 1000 if len(entered) == storm.nodes else None,
        wasted_handshakes=wasted,
        refused_attempts=refused,
    )


def main() -> None:
    """Print the storms of the documentation."""
    for storm in (
        Storm(10_000, 100, 300),
        Storm(10_000, 100, 150),
        Storm(10_000, 1000, 300),
        Storm(10_000, 1000, 15),
        Storm(10_000, 100, 0),
        Storm(10_000, 100, 300, "broker", 2),
        Storm(10_000, 100, 300, "broker", 600),
        Storm(10_000, 100, 300, "fixed"),
    ):
        print(f"{storm.nodes} nodes, {storm.handshakes_per_s}/s, window {storm.window_s} s, {storm.event}", end="")
        print(f"{f' gone for {storm.outage_s} s' if storm.outage_s else ''}: {run(storm)}")


if __name__ == "__main__":
    main()
