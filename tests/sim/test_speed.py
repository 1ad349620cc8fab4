"""A simulation that is quick stays in use; one that grew slow unnoticed is run no more."""

from __future__ import annotations

import time
from pathlib import Path

from sim.nights import run_nights
from sim.scenario import load_scenario

SHIPPED = Path(__file__).resolve().parents[2] / "sim" / "scenarios" / "toulouse.yaml"
RUNS = 3
MOST_S = 2.0


def test_one_night_of_forty_lamps_takes_under_two_seconds() -> None:
    """The main job must not cost anybody's patience: best of three, in time of this process alone."""
    loaded = load_scenario(SHIPPED)
    taken = []
    for _ in range(RUNS):
        start = time.process_time()
        run_nights(loaded, 1, 1)
        taken.append(time.process_time() - start)
    print(f"figure: run_nights, 40 lamps, one night: {min(taken):.2f} s of processor time")
    assert min(taken) < MOST_S
