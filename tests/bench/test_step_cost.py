"""What a step costs, and what the core weighs: measured on both MicroPython builds, printed by `make bench`."""

import json
from pathlib import Path

import pytest

from sim.nights import run_nights
from sim.scenario import load_scenario
from tests.bench import size

ROOT = Path(__file__).resolve().parents[2]
EMPTY_CALLS_MAX = 60
MPY_MAX_BYTES = 40 * 1024

COST = """
import json, time
from sim.lamp_replay import build_controller
from firmware.control.inputs import Now, Seen
with open({file!r}) as file:
    controller = build_controller(json.loads(file.readline()))
now, seen = Now(), Seen()
now.changes, now.quality, now.day, now.second = 1, 2, 9575, 80000
while controller.step(now, seen):
    pass
class Empty:
    def call(self, a, b):
        pass
def steps(count):
    start = time.ticks_us()
    for _ in range(count):
        controller.step(now, seen)
    return time.ticks_diff(time.ticks_us(), start)
def calls(count, empty):
    start = time.ticks_us()
    for _ in range(count):
        empty.call(1, 2)
    return time.ticks_diff(time.ticks_us(), start)
print(min([steps(20000) for _ in range(5)]), min([calls(20000, Empty()) for _ in range(5)]))
"""


@pytest.mark.bench
def test_a_step_with_nothing_new_costs_a_few_calls(micropython_runtime, tmp_path):
    """A node that polls every 100 ms must spend its time on the radio, not on finding that nothing has changed."""
    record = run_nights(load_scenario(ROOT / "sim/scenarios/toulouse.yaml"), 1, 1).records[0]
    file = tmp_path / "record.json"
    file.write_text(json.dumps(record), "utf-8")
    done = micropython_runtime.run(["-c", COST.format(file=str(file))])
    assert done.returncode == 0, done.stderr
    step_us, call_us = (int(number) for number in done.stdout.split())
    print(f"\nfigure: {micropython_runtime.name}: a step with nothing new costs {step_us / call_us:.1f} empty calls")
    assert step_us / call_us <= EMPTY_CALLS_MAX


@pytest.mark.bench
def test_the_weight_of_the_core():
    """Flash is small: the core as it is shipped, one module with its constants put in, stays within what was asked."""
    made, sizes = size.measure_bundle()
    control = size.by_folder(sizes)["control"]
    modules = sum(count for name, count in size.measure().items() if name.startswith("firmware/control/"))
    print(f"\nfigure: control as shipped: {control} B; as modules {modules} B; asked: at most {MPY_MAX_BYTES} B")
    assert made.files
    assert control <= MPY_MAX_BYTES
