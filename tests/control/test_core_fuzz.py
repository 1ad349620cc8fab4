"""Thousands of lamps with any plan, configuration and input: one digest, whoever runs them and however often."""

import hashlib
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import require_runtime
from tests.control import fuzz_core, fuzz_plans
from tests.runtimes import NAMES

MAIN = "tests/control/fuzz_core.py"
SAMPLE = (40, 3)
SOAK = (2_000, 60)
# Lamps of the sample that are called every 100 ms as well: a night of that is 864,000 calls.
POLLED = 4
# Lamps, nights and seed that once found something wrong; each stays.
REGRESSIONS: tuple[tuple[int, int, str], ...] = (
    # An exhausted budget of rises hid thermal protection, derating and a rising program until noon.
    (0, 3, "budget"),
    # The twelve hours of a command without a clock were counted from its arrival, around the ring.
    (1, 8, "blind"),
)


def lamps(count: int, seed: str = "core") -> list[dict]:
    """Return the fuzzer's lamps."""
    return [fuzz_plans.lamp(number, seed) for number in range(count)]


def write(folder: Path, name: str, chosen: list[dict]) -> Path:
    """Write lamps as JSON lines; return the file."""
    file = folder / f"{name}.jsonl"
    file.write_text("".join(json.dumps(lamp) + "\n" for lamp in chosen), encoding="utf-8")
    return file


def on_micropython(runtime, file: Path, nights: int, timeout_s: float) -> list[str]:
    """Return the lines of `fuzz_core` on a MicroPython."""
    done = runtime.run([MAIN, file, str(nights)], timeout_s=timeout_s)
    assert done.returncode == 0, f"{runtime.name}: {done.stderr or done.stdout}"
    return done.stdout.splitlines()


def digest_of(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def report(what: str, lines: list[str], nights: int, seconds: float) -> None:
    decisions = sum(int(line.split()[-1]) for line in lines)
    print(
        f"figure: {what}: {len(lines)} lamps, {nights} nights each, {decisions} decisions, "
        f"{seconds:.0f} s, digest {digest_of(lines)}"
    )


def first_difference(ours: list[str], theirs: list[str]) -> str:
    """Return the first lamp that differs, for people; empty where none does."""
    if len(ours) != len(theirs):
        return f"{len(ours)} lamps and {len(theirs)}"
    return next((f"{a} and {b}" for a, b in zip(ours, theirs, strict=True) if a != b), "")


def test_a_sample_is_the_same_on_the_chips_interpreter(micropython_runtime, tmp_path, record_property):
    """A configuration that nobody thought of must not be one where the chip decides otherwise. So random lamps, with
    every part of plan and configuration, have the same decisions and counters on CPython and there."""
    count, nights = SAMPLE
    chosen = lamps(count)
    began = time.monotonic()
    here = [fuzz_core.summary(lamp, nights) for lamp in chosen]
    report("CPython", here, nights, time.monotonic() - began)
    began = time.monotonic()
    there = on_micropython(micropython_runtime, write(tmp_path, "lamps", chosen), nights, 250)
    report(micropython_runtime.name, there, nights, time.monotonic() - began)
    record_property("digest", digest_of(here))
    assert first_difference(here, there) == ""


def test_polled_every_tenth_of_a_second_is_event_driven():
    """The node may call ten times a second where the simulator sleeps. So with wave, derating, relay, meter and
    commands too, a night called so has the digest of the same night that was not."""
    for lamp in lamps(POLLED):
        assert fuzz_core.summary(lamp, 1, 100) == fuzz_core.summary(lamp, 1)


def test_polled_at_odd_times_is_event_driven():
    """A loop that is late is a loop on a busy chip. So a caller that never looks at the wake tick and comes every 7.919
    or 61 s finds every decision at its own tick, on all nights of the sample."""
    for lamp in lamps(SAMPLE[0] // 2):
        event_driven = fuzz_core.summary(lamp, SAMPLE[1])
        assert fuzz_core.summary(lamp, SAMPLE[1], 7_919) == event_driven
        assert fuzz_core.summary(lamp, SAMPLE[1], 61_000) == event_driven


def test_the_fuzzer_reaches_what_it_promises():
    """Agreement where nothing happens proves nothing. So the sample has every reason and every cause, faults, a wave,
    derating, and lamps that decide often."""
    reasons, causes, busy, faults, accepted = set(), set(), 0, 0, 0
    for lamp in lamps(SAMPLE[0]):
        count = []

        def note(t_ms, controller, count=count):
            count.append(t_ms)
            reasons.add(controller.reason)
            causes.add(controller.by)

        controller = fuzz_core.run(lamp, SAMPLE[1], note)
        busy += len(count) >= 10
        faults += sum(controller.monitor.faults.counts)
        accepted += controller.street.bubble.accepted if controller.street.bubble else 0
    assert reasons == {0, 1, 2, 3, 16, 17, 18}
    assert causes == set(range(11))
    assert busy > SAMPLE[0] / 3
    assert faults > 50
    assert accepted > 50
    assert lamps(3) == lamps(3)


@pytest.mark.parametrize(("number", "nights", "seed"), REGRESSIONS)
def test_what_was_wrong_once(number, nights, seed):
    """A seed that found a fault may find its brother. So each is run for ever, polled and event-driven."""
    lamp = fuzz_plans.lamp(number, seed)
    assert fuzz_core.summary(lamp, nights, 60_000) == fuzz_core.summary(lamp, nights)


@pytest.mark.soak
def test_two_thousand_lamps_for_sixty_nights(tmp_path):
    """What a sample misses, a town finds. So 2,000 lamps live 60 nights, five rings of the ticks, on CPython and on
    both MicroPythons, to one digest."""
    count, nights = SOAK
    chosen = lamps(count, "soak")
    half = count // 2
    parts = [write(tmp_path, f"part{i}", chosen[i * half : (i + 1) * half]) for i in range(2)]
    names = list(NAMES)

    def work(job: tuple[str, int]) -> tuple[str, list[str], float]:
        name, part = job
        began = time.monotonic()
        if name == "CPython":
            lines = on_cpython(parts[part], nights)
        else:
            lines = on_micropython(require_runtime(name), parts[part], nights, 7_000)
        return name, lines, time.monotonic() - began

    found: dict[str, list[str]] = {}
    spent: dict[str, float] = {}
    with ThreadPoolExecutor(2) as pool:
        for name, lines, seconds in pool.map(work, [(name, part) for name in ["CPython", *names] for part in (0, 1)]):
            found.setdefault(name, []).extend(lines)
            spent[name] = spent.get(name, 0) + seconds
    for name, lines in found.items():
        report(name, lines, nights, spent[name])
    for name in names:
        assert first_difference(found["CPython"], found[name]) == "", name


def on_cpython(file: Path, nights: int) -> list[str]:
    """Return the lines of `fuzz_core` in a process of its own: a thread would share this one's core."""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, MAIN, str(file), str(nights)],
        cwd=root, env={"PYTHONPATH": str(root)}, capture_output=True, text=True, check=True, timeout=7_000,
    )  # fmt: skip
    return done.stdout.splitlines()
