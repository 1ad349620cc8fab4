"""The same decisions on a server, on 64-bit and on 32-bit MicroPython, without one allocation, in little memory."""

import hashlib
import json
from functools import cache
from itertools import zip_longest
from pathlib import Path

import pytest

from firmware.control import plan_format as layout
from firmware.control.plan import Plan
from host_tools.plan.encode import ActivePeriod, DynamicControl, FixedTimeControl, LampPlan, Program, encode
from sim.lamp_replay import pack_decision, replay
from sim.nights import run_nights
from sim.scenario import load_scenario
from tests.control.driver import NOON
from tests.control.lamp_nights import KINDS, clock_entry, lamp_nights
from tests.control.replay_main import summary

ROOT = Path(__file__).resolve().parents[2]
SCENARIO = ROOT / "sim" / "scenarios" / "toulouse.yaml"
MAIN = "tests/control/replay_main.py"
GENERATED = 240
HEAP_MAX_BYTES = 14 * 1024
POLL_MS = 1000
# What gives a step no rest on a whole night: a night of each of these is run under the heap lock.
LOCKED_KINDS = (
    "plain", "storm", "clocks go back", "clocks go forward", "polar", "ring wraps", "clock steps", "commands",
    "neighbours and light", "calendars",
)  # fmt: skip

Decision = tuple[int, int, int, int]


@cache
def toulouse():
    """The shipped scenario's night, run once for this process."""
    return run_nights(load_scenario(SCENARIO), seed=1, nights=1)


@cache
def generated() -> list[dict]:
    return lamp_nights(GENERATED)


def write(folder: Path, records: list[dict]) -> Path:
    """Write records as JSON lines; return the file."""
    file = folder / "records.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return file


def on_micropython(runtime, file: Path, *options: str) -> list[str]:
    """Run `replay_main.py` and return its lines; fails with what it said where it ends badly."""
    done = runtime.run([MAIN, file, *options])
    assert done.returncode == 0, f"{runtime.name}: {done.stderr or done.stdout}"
    return done.stdout.splitlines()


def decisions_here(record: dict) -> list[Decision]:
    """Return a record's decisions on CPython: tick, level, fade, reason."""
    found: list[Decision] = []
    replay(record, lambda *decision: found.append(decision))
    return found


def decisions_there(runtime, file: Path, lamp: int) -> list[Decision]:
    """Return a lamp's decisions on a MicroPython."""
    lines = on_micropython(runtime, file, "--dump", str(lamp))
    return [tuple(int(number) for number in line.split()) for line in lines]


def first_difference(lamp: int, here: list[Decision], there: list[Decision], name: str) -> str:
    """Return where two runs of a lamp part, for people: lamp, index and both decisions. Empty where they do not."""
    for index, (ours, theirs) in enumerate(zip_longest(here, there)):
        if ours != theirs:
            return (
                f"lamp {lamp}, decision {index} (tick, level, fade ms, reason): "
                f"CPython {ours or 'has none'}, {name} {theirs or 'has none'}"
            )
    return ""


def assert_agree(runtime, file: Path, records: list[dict], *options: str, poll_ms: int = 0) -> int:
    """Compare digests and counters of every record; on a difference say which decision is the first of it."""
    expected = [summary(record, poll_ms) for record in records]
    lines = on_micropython(runtime, file, *options)
    for record, ours, theirs in zip_longest(records, expected, lines):
        if ours != theirs:
            lamp = record["lamp"]
            there = decisions_there(runtime, file, lamp)
            parted = first_difference(lamp, decisions_here(record), there, runtime.name)
            pytest.fail(f"{parted or 'same decisions, other counters'}\nCPython: {ours}\n{runtime.name}: {theirs}")
    return sum(int(line.split()[-1]) for line in expected)


def test_the_engine_and_the_replay_tell_the_same_night():
    """A journal copied from a node is replayed lamp by lamp, a town is simulated all at once. What the engine found
    must be what each record replays to, or no recorded fault can ever be looked at."""
    run = toulouse()
    packed = b""
    for record, digest, mj in zip(run.records, run.lamp_digests, run.energies_mj, strict=True):
        line = summary(record).split()
        assert line[1] == record["digest"] == digest, f"lamp {record['lamp']}"
        assert int(line[2]) * 3_600_000 + int(line[3]) == mj, f"lamp {record['lamp']}"
        packed += b"".join(pack_decision(record["lamp"], *decision) for decision in decisions_here(record))
    assert sha256(packed) == run.digest


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_the_shipped_night_is_the_same_on_the_chips_interpreter(micropython_runtime, tmp_path, record_property):
    """What the simulator promises a town is kept by an interpreter with 31-bit integers. So the shipped scenario's
    night has the same digest, lamp by lamp and over all, and the same counters there."""
    run = toulouse()
    file = write(tmp_path, run.records)
    decisions = assert_agree(micropython_runtime, file, run.records)
    lines = on_micropython(micropython_runtime, file)
    assert [line.split()[1] for line in lines] == run.lamp_digests
    # The overall digest, from the decisions as that interpreter prints them.
    packed = b"".join(
        pack_decision(record["lamp"], *decision)
        for record in run.records
        for decision in decisions_there(micropython_runtime, file, record["lamp"])
    )
    assert sha256(packed) == run.digest
    print(
        f"figure: {micropython_runtime.name}: toulouse, {len(run.records)} lamps, {decisions} decisions, {run.digest}"
    )
    record_property("decisions_compared", decisions)
    assert decisions > 10_000


def test_generated_nights_are_the_same_on_the_chips_interpreter(micropython_runtime, tmp_path, record_property):
    """One town in spring asks little of the arithmetic. So hundreds of lamp-nights on odd places, with bad clocks,
    storms of presence and every effect agree as well, decisions and counters."""
    records = generated()
    decisions = assert_agree(micropython_runtime, write(tmp_path, records), records)
    print(f"figure: {micropython_runtime.name}: {len(records)} generated lamp-nights, {decisions} decisions")
    record_property("lamp_nights", len(records))
    record_property("decisions_compared", decisions)
    assert len(records) >= 200
    assert decisions > 3000


def test_polling_is_the_same_on_the_chips_interpreter(micropython_runtime, tmp_path):
    """The node's loop may poll where the simulator sleeps. So a few nights polled every second agree too, and with the
    nights that were not polled."""
    records = []
    for record in generated()[: len(KINDS)]:
        end_ms = min(record["end_ms"], 4 * 3_600_000) // POLL_MS * POLL_MS
        inputs = [entry for entry in record["inputs"] if entry[0] < end_ms]
        records.append({**record, "end_ms": end_ms, "inputs": inputs})
    file = write(tmp_path, records)
    assert_agree(micropython_runtime, file, records, "--poll", str(POLL_MS), poll_ms=POLL_MS)
    assert_agree(micropython_runtime, file, records, "--poll", str(POLL_MS))


def test_the_generator_covers_what_it_promises():
    """Agreement on nights where nothing happens proves nothing. So the generated nights have every kind, most of them
    decide often, and all effects, every reason and both sorts of period occur."""
    records = generated()
    assert {record["kind"] for record in records} == set(KINDS)
    assert len({record["zone_name"] for record in records}) >= 15
    effects, kinds, reasons, busy = set(), set(), set(), 0
    for record in records:
        plan = Plan(bytes.fromhex(record["plan"]))
        for program in range(plan.programs):
            plan.select(program)
            effects.update(plan.dynamic_operation(i) for i in range(plan.dynamic))
            kinds.update(plan.period_kind(i) for i in range(plan.periods))
        decisions = decisions_here(record)
        busy += len(decisions) >= 3
        reasons.update(decision[3] for decision in decisions)
        if record["kind"] == "ring wraps":
            assert record["tick0"] + record["end_ms"] >= 2**30
    assert effects == set(range(6))
    assert kinds == {0, 1, 2, 3, 4}
    assert reasons == {0, 1, 2, 3, 16, 17, 18}
    assert busy > len(records) / 2
    assert lamp_nights(5) == records[:5]


def test_a_difference_is_shown_where_it_begins(micropython_runtime, tmp_path):
    """A report of differing digests alone helps nobody at night. So a lamp that decides otherwise is shown at its first
    decision that does, with its number and both decisions: proven on a record with one pulse moved by a second."""
    records = [record for record in toulouse().records if record["lamp"] in (6, 7)]
    altered = json.loads(json.dumps(records))
    was = decisions_here(altered[1])
    rises = [number for number, entry in enumerate(altered[1]["inputs"]) if entry[1] == 0 and entry[2] == 1]
    altered[1]["inputs"][rises[len(rises) // 2]][0] += 1
    now = decisions_here(altered[1])
    index = next(i for i, (a, b) in enumerate(zip_longest(was, now)) if a != b)
    assert index > 0
    file = write(tmp_path, altered)
    with pytest.raises(pytest.fail.Exception) as caught:
        assert_agree(micropython_runtime, file, records)
    message = str(caught.value)
    assert message.startswith(
        f"lamp 7, decision {index} (tick, level, fade ms, reason): "
        f"CPython {was[index]}, {micropython_runtime.name} {now[index]}\n"
    )


def test_one_decision_too_few_is_a_difference():
    """A lamp that stops deciding has decided nothing wrong so far. So the missing decision is the difference."""
    same = [(1, 200, 0, 3), (2, 1000, 800, 2)]
    assert first_difference(5, same, list(same), "x") == ""
    assert first_difference(5, same, same[:1], "x").endswith("CPython (2, 1000, 800, 2), x has none")
    assert "lamp 5, decision 0 " in first_difference(5, [], same, "x")


def test_a_step_allocates_nothing(micropython_runtime, tmp_path, record_property):
    """A heap that grows a little at each passer is full in a month, in a lamp on a pole. So whole nights run with the
    heap locked in every step, quiet, in a storm, on nights of change, polar, and not one allocation is asked for."""
    chosen = [next(record for record in generated() if record["kind"] == kind) for kind in LOCKED_KINDS]
    chosen += [record for record in generated() if record["kind"] == "storm"]
    chosen += toulouse().records[:4]
    file = write(tmp_path, chosen)
    lines = on_micropython(micropython_runtime, file, "--lock")
    allocated = [line for line in lines if "ALLOCATED" in line]
    print(f"figure: {micropython_runtime.name}: {len(allocated)} of {len(lines)} nights allocated in a step")
    record_property("nights_that_allocated", len(allocated))
    assert lines == [summary(record) for record in chosen]


ALLOCATING = """
import sys
from firmware.control import controller
set_wake = controller.Controller._set_wake
def greedy(self):
    set_wake(self)
    self.waste = [self._tick]
controller.Controller._set_wake = greedy
from tests.control import replay_main
replay_main.main([{file!r}, "--lock"])
"""


def test_the_heap_lock_notices_one_list(micropython_runtime, tmp_path):
    """A lock that locks nothing would pass every night. So a step that makes one small list is caught by it."""
    file = write(tmp_path, toulouse().records[:1])
    done = micropython_runtime.run(["-c", ALLOCATING.format(file=str(file))])
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "0 ALLOCATED after 0 decisions"


def largest_record() -> dict:
    """Return a record of the largest controller there can be: all periods, 48 fixed controls, 16 knots, Paris."""
    program = Program(
        fixed=[FixedTimeControl(1800 * i, 100 + i, 300) for i in range(layout.FIXED_MAX)],
        periods=[ActivePeriod(layout.PERIOD_ASTRO_CLOCK, 0, 0)] * layout.PERIODS_MAX,
        dynamic=[DynamicControl(layout.EFFECT_MAX, 1000, 200, 8, 80)] * layout.DYNAMIC_MAX,
    )
    return {
        "lamp": 0, "tick0": 0, "zone": [3600, 7200, 3, 5, 0, 7200, 10, 5, 0, 10800], "place": [43_622_500, 1_463_056],
        "levels": [62 * i + 70 for i in range(15)] + [1000], "powers": [5000 + 3000 * i for i in range(16)],
        "standby": 500, "start": 0, "plan": encode(LampPlan([program])).hex(),
        "config": {"own_id": 9, "neighbours": [[i, i - 9] for i in (5, 6, 7, 8, 10, 11, 12, 13)],
            "volume_one_per_h": 60, "derating": [700, 850, 300, 950, 50], "relay": [60_000, 30_000, 10_000],
            "meter_limits": [100, 1000, 4480, 48_000, 12_600, 83_000, 300, 500, 1000, 2070, 2530, 1000, 5, 900],
            "baselines": [82_800, 18_000, 500, 82_800, 18_000]},
        "inputs": [clock_entry(0, 2, NOON)], "end_ms": 86_400_000,
    }  # fmt: skip


def test_a_plain_lamp_fits_in_six_kilobytes(micropython_runtime, tmp_path, record_property):
    """A pole may carry four lamps, and most have neither neighbours nor meter. So a controller with one program and
    nothing beside keeps at most 6 kB on the 32-bit build: what a lamp does not have costs it no memory."""
    file = write(tmp_path, toulouse().records[:1])
    kept = int(on_micropython(micropython_runtime, file, "--heap")[0].split()[1])
    print(f"figure: {micropython_runtime.name}: a controller with one program keeps {kept} bytes of heap")
    record_property("plain_controller_heap_bytes", kept)
    if micropython_runtime.name == "micropython32":
        assert kept <= 6 * 1024


def test_a_controller_fits_in_fourteen_kilobytes(micropython_runtime, tmp_path, record_property):
    """The chip has a hundred kilobytes for everything, radio included, and a pole may carry four lamps. So a controller
    with the largest program and curve and eight neighbours keeps at most 14 kB on the 32-bit build, its plan and
    configuration included."""
    file = write(tmp_path, [largest_record()])
    line = on_micropython(micropython_runtime, file, "--heap")[0].split()
    assert line[0] == "heap"
    kept = int(line[1])
    print(f"figure: {micropython_runtime.name}: a controller keeps {kept} bytes of heap")
    record_property("controller_heap_bytes", kept)
    # Below the plan's own bytes something was not counted.
    assert kept > len(largest_record()["plan"]) // 2
    if micropython_runtime.name == "micropython32":
        assert kept <= HEAP_MAX_BYTES
