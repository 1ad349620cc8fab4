"""A forecast that takes a coffee is run once, one that takes a second is run for every idea.

.venv/bin/python -m pytest -m bench -s tests/bench/test_engine_speed.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import pytest

from firmware.control.reasons import SENSOR
from sim.engine import Engine, Input, Lamp
from sim.lamp_replay import INPUT_PRESENCE, build_controller
from sim.nights import Nights, run_nights
from sim.scenario import load_scenario

from .simpy_street import Edges, run_street

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "sim" / "scenarios" / "toulouse.yaml"
HOLD_MS = 20_000
RUNS = 3
MOST_S = 2.0


@cache
def shipped() -> Nights:
    return run_nights(load_scenario(SHIPPED), 1, 1)


def edges_of(run: Nights) -> list[Edges]:
    return [[(i[0], i[2]) for i in record["inputs"] if i[1] == INPUT_PRESENCE] for record in run.records]


def fresh_engine(run: Nights) -> tuple[Engine, list[Input]]:
    """The shipped street anew, ready to run: building it is not what is measured."""
    lamps, inputs = [], []
    for record in run.records:
        lamps.append(Lamp(build_controller(record), record["tick0"]))
        inputs += [(entry[0], record["lamp"], *entry[1:]) for entry in record["inputs"]]
    inputs.sort(key=lambda entry: entry[:2])
    return Engine(lamps), inputs


def on_times(engine: Engine, end_ms: int) -> list[int]:
    """How long each lamp was lit because of presence."""
    found = []
    for lamp in engine.lamps:
        ends = [decision.t_ms for decision in lamp.decisions[1:]] + [end_ms]
        found.append(sum(until - d.t_ms for d, until in zip(lamp.decisions, ends, strict=True) if d.reason == SENSOR))
    return found


@pytest.mark.bench
def test_the_engine_against_simpy() -> None:
    """An engine of our own must earn its keep: same street, same inputs, same on-times, in less time than SimPy's."""
    run = shipped()
    edges = edges_of(run)
    changes = [change for start, end in run.lit_ms for change in ((start, True), (end, False))]
    ours, theirs = [], []
    events = 0
    for _ in range(RUNS):
        engine, inputs = fresh_engine(run)
        start = time.perf_counter()
        engine.run(inputs, run.end_ms)
        ours.append(time.perf_counter() - start)
        events = engine.events
        start = time.perf_counter()
        expected = run_street(edges, changes, HOLD_MS, run.end_ms)
        theirs.append(time.perf_counter() - start)
        assert on_times(engine, run.end_ms) == expected
    best, best_simpy = min(ours), min(theirs)
    presences = sum(len(own) for own in edges)
    print(f"\nfigure: engine, 40 lamps, one night: {best:.3f} s, {events} events, {events / best:,.0f} events/s")
    print(f"figure: SimPy, same street, {presences} edges: {best_simpy:.3f} s; engine's time / SimPy's: "
          f"{best / best_simpy:.2f}; on-times identical to the ms")  # fmt: skip


@pytest.mark.bench
def test_run_nights_and_the_whole_command() -> None:
    """The main job is what people wait for: the simulation proper, and the whole command with page and picture."""
    loaded = load_scenario(SHIPPED)
    proper = []
    for _ in range(RUNS):
        start = time.perf_counter()
        run_nights(loaded, 1, 1)
        proper.append(time.perf_counter() - start)
    whole = []
    command = [str(Path(sys.executable).with_name("reverbere")), "sim", "run", str(SHIPPED), "--out", "build/bench"]
    core = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run(
            command if core is None else ["taskset", "-c", str(core), *command],
            cwd=ROOT, check=True, timeout=60, capture_output=True,
        )  # fmt: skip
        whole.append(time.perf_counter() - start)
    print(f"\nfigure: run_nights, 40 lamps, one night: {min(proper):.2f} s (required: under {MOST_S:g} s)")
    print(f"figure: the whole `sim run`, with page and picture, on one core: {min(whole):.2f} s")
    assert min(proper) < MOST_S
