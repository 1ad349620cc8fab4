"""Days without a broker: the light is what it would have been, the heap does not fill, and the broker is not stormed.

The board's clock jumps from deadline to deadline, with the whole firmware awake at each. A day costs half a minute of a
core, one with a thousand reconnections a minute, so whole months are for `make soak`; ``REVERBERE_SOAK_DAYS=2`` makes
them days.
"""

from __future__ import annotations

import json
import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from firmware.control.plan_format import EFFECT_MAX
from host_tools.node_bundle import store_files
from host_tools.node_config import build_day_of
from host_tools.plan.encode import DynamicControl, FixedTimeControl, LampPlan, Program, encode
from tests.conftest import require_runtime
from tests.node.whole_node import HARDWARE, NODE, SENSOR_PIN, Town, stored
from tests.runtimes import Runtime

SEED = 20261124
WORLD = datetime(2026, 11, 24, 17)
DAY_S = 86400
# The node says every quarter of an hour how it is, as delivered.
CHIP = """    buses: {{i2c0: {{scl: 22, sda: 21}}}}
    clock_chip: {{name: ds3231, bus: i2c0}}
    sensors:"""
ORPHAN = HARDWARE.replace("status: 1 min", "status: 15 min").replace("    sensors:", CHIP)
FLAPS_A_DAY = 1000
FLAP_OFF_S = 20
PASSERS_AN_HOUR = 15
# A failed attempt waits 0 to 15 min, 7.5 min in the mean: 192 a day, and 250 would be seven deviations away.
ATTEMPTS_A_DAY = 250
# Real time passes while the board computes, with other jobs on this machine: edges are that late at most.
LATE_S = 2.0
START_S = 60
# One permille and a half of the duty: constant light output corrects by a permille in some 600 h of burning.
DUTY_NEAR = 100
# A report that is being made, a packet under way: what a moment may take more than another.
HEAP_SWING_BYTES = 4096
# What nobody fetches fills the outbox in the first half day (6 kB, then no more): from here on nothing is to grow.
HEAP_FROM_S = 43200
SOAK_DAYS = int(os.environ.get("REVERBERE_SOAK_DAYS", "30"))


def daily_plan() -> bytes:
    """The same every day: steps by the clock, and whoever passes, each at once: no fade's steps are compared."""
    steps = [(6 * 60, 600), (8 * 60 + 30, 0), (16 * 60 + 30, 900), (18 * 60 + 4, 200)]
    fixed = [FixedTimeControl(60 * minute, level) for minute, level in steps]
    return encode(LampPlan([Program(fixed, dynamic=[DynamicControl(EFFECT_MAX, 800, 450)])]))


def passers(hours: float) -> list[tuple[float, dict[str, Any]]]:
    """Who comes by, the same every day."""
    chance = random.Random(SEED)
    day: list[tuple[float, float]] = []
    at = 300.0
    while at < DAY_S - 300:
        day.append((at, at + chance.uniform(1, 30)))
        at = day[-1][1] + chance.expovariate(PASSERS_AN_HOUR / 3600) + 5
    script: list[tuple[float, dict[str, Any]]] = []
    for start in range(0, int(hours * 3600), DAY_S):
        for on_s, off_s in day:
            script += [(start + t, {"op": "pin", "n": SENSOR_PIN, "v": v}) for t, v in ((on_s, 1), (off_s, 0))]
    return script


class Refuser:
    """A double of a broker whose machine is up and whose service is not: it takes a connection and closes it."""

    def __init__(self, port: int) -> None:
        self.attempts = 0
        self._socket = socket.create_server(("127.0.0.1", port))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                self._socket.accept()[0].close()
            except OSError:
                return
            self.attempts += 1

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@dataclass
class Life:
    """What was seen of one life of a node."""

    hours: float
    light: list[tuple[float, int]]
    heap: list[int]
    resets: int
    attempts: int
    real_s: float

    def __str__(self) -> str:
        return (
            f"{self.hours:g} h in {self.real_s:.0f} s ({3600 * self.hours / self.real_s:.0f} times real time): "
            f"{len(self.light)} changes of light, {self.resets} resets, {self.attempts} connection attempts, heap used "
            f"{self.heap[0]} B at first, {self.heap[-1]} B at last, {max(self.heap)} B at most"
        )


def live(folder: Path, runtime: Runtime, hours: float, network: str, looks: int = 4) -> Life:
    """Let a node live so many hours. `network`: "none" is configured, its broker is "up", is "down" behind a network
    that works, there is "no_ap", or access point and broker are there and "flapping"."""
    town = Town(folder / network, hardware=ORPHAN)
    refuser = None
    try:
        script = passers(hours)
        if network == "flapping":
            for number in range(int(hours * FLAPS_A_DAY / 24)):
                at = (number + 1) * DAY_S / FLAPS_A_DAY
                script += [(at - FLAP_OFF_S, {"op": "wifi", "ap": 0}), (at, {"op": "wifi", "ap": 1})]
        script = [one for one in script if one[0] < hours * 3600 - 60]
        script += [((look + 1) * hours * 3600 / looks, {"op": "query", "id": 1000 + look}) for look in range(looks)]
        if network != "up" and network != "flapping":
            town.broker.kill()
        if network == "down":
            refuser = Refuser(town.port)
        time_of_chip = [WORLD.year, WORLD.month, WORLD.day, WORLD.hour, WORLD.minute, WORLD.second]
        chip = {"model": "sim.board.chips.ds3231:Ds3231Model", "name": "clock", "time": time_of_chip}
        board = town.board(
            runtime, world=WORLD, jump=True, script=script, wiring={"i2c": {"0": [chip]}, "tick_ms": 3600000},
            wifi={"is_wired": False, "ap": network != "no_ap"},
        )  # fmt: skip
        config = json.loads(store_files(town.fleet, NODE, town.keys, build_day_of(2026, 11, 1))["config"])
        if network == "none":
            del config["mqtt"], config["wave"]
        board.install(stored({"config": json.dumps(config).encode(), "plan0": daily_plan()}))
        start = time.monotonic()
        board.start()
        for look in range(looks):
            board.wait_for("answer", timeout_s=7200, id=1000 + look)
        real_s = time.monotonic() - start
        board.power_cut()
        attempts = refuser.attempts if refuser else town.broker.log().count("New connection from")
        light = [(event["t"], event["duty"]) for event in board.events if event["e"] == "pwm"]
        heap = [event["heap_used"] for event in board.events if event["e"] == "answer"]
        resets = len([event for event in board.events if event["e"] in ("reset", "crash")])
        return Life(hours, light, heap, resets, attempts, real_s)
    finally:
        if refuser:
            refuser.close()
        town.close()


def difference(one: Life, other: Life) -> float:
    """Return by how many seconds the same changes of light came apart at most; raises where they are not the same."""
    assert len(one.light) == len(other.light), (one.light[-5:], other.light[-5:])
    worst = 0.0
    for (t, duty), (other_t, other_duty) in zip(one.light, other.light, strict=True):
        assert abs(duty - other_duty) <= DUTY_NEAR, (t, duty, other_t, other_duty)
        # How long a process takes to start is this computer's affair.
        if min(t, other_t) > START_S:
            assert abs(t - other_t) <= LATE_S, (t, duty, other_t, other_duty)
            worst = max(worst, abs(t - other_t))
    return worst


def check_days(life: Life) -> None:
    """The same plan and the same passers: each day's light is the last day's, but for the first, which began cold."""
    days: dict[int, list[tuple[float, int]]] = {}
    for t, duty in life.light:
        days.setdefault(int(t // DAY_S), []).append((t % DAY_S, duty))
    whole = [days[day] for day in range(1, int(life.hours // 24))]
    for day in whole[1:]:
        difference(Life(24, day, [], 0, 0, 0), Life(24, whole[0], [], 0, 0, 0))


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    yield require_runtime("micropython32")


def test_a_street_does_not_notice_that_there_is_no_access_point(tmp_path: Path, runtime: Runtime):
    """The access point is stolen. For as long as it takes the node goes on as if there had never been one: the same
    light at the same moments, and no reset (there was one every 18 minutes: the pause between two tries was as long as
    the supervisor's patience)."""
    alone = live(tmp_path, runtime, 0.32, "none", 1)
    orphan = live(tmp_path, runtime, 0.32, "no_ap", 1)
    print(f"\nfigure: no network: {alone}\nfigure: no access point: {orphan}")
    assert alone.resets == orphan.resets == 0
    assert len(alone.light) >= 4
    difference(alone, orphan)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_months_without_a_broker(tmp_path: Path, runtime: Runtime):
    """A town changes its IT supplier: a month with a broker that is dead, or comes and goes a thousand times a day, or
    without an access point. The light is the same to the moment, nothing fills up, and nobody's broker is stormed.

    All lives run at once, beside one that knows no network, and each is judged against that one.
    """

    def run(which: str) -> Life:
        return live(tmp_path, runtime, 24 * SOAK_DAYS, which, 4 * SOAK_DAYS)

    networks = ("none", "down", "flapping", "no_ap")
    with ThreadPoolExecutor(len(networks)) as pool:
        lives = dict(zip(networks, pool.map(run, networks), strict=True))
    for which, one in lives.items():
        print(f"\nfigure: {which}: {one}", end="")
    for which in networks[1:]:
        judge(lives["none"], lives[which], which)


def judge(alone: Life, disturbed: Life, name: str) -> None:
    """Print and check what is asked of a disturbed life, beside one without any network."""
    print(f"\nfigure: {name}: changes of light apart by {1000 * difference(alone, disturbed):.0f} ms at most")
    assert alone.resets == disturbed.resets == 0
    # A link that has stood for a minute is tried again at once: so one attempt for each time it is taken away.
    most = FLAPS_A_DAY if name == "flapping" else ATTEMPTS_A_DAY
    assert disturbed.attempts <= most * disturbed.hours / 24 + 20
    for life in (alone, disturbed):
        check_days(life)
        settled = life.heap[int(len(life.heap) * HEAP_FROM_S / 3600 / life.hours) :]
        assert max(settled) <= settled[0] + HEAP_SWING_BYTES
