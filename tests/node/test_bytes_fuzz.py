"""Plans and journals out of any bytes: what flash and radio bring is refused with its place, or is one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from firmware.system.journal import Journal
from host_tools.plan.encode import encode
from tests.control.lamp_nights import KINDS, random_plan
from tests.node.bytes_fuzz import fuzz
from tests.runtimes import ROOT, Runtime

MAIN = ROOT / "tests/node/bytes_fuzz.py"
DECODERS = ("plan", "journal")
# The check sum of a plan is in Python: the bits of a longer one are no other than those of a shorter one.
PLAN_BYTES = 200


def goods(what: str, folder: Path) -> list[bytes]:
    """Return some good ones, always the same."""
    if what == "plan":
        made = [encode(random_plan(random.Random(seed), KINDS[seed % len(KINDS)])) for seed in range(200)]
        return sorted({plan for plan in made if len(plan) <= PLAN_BYTES})[:40]
    folder.mkdir(parents=True, exist_ok=True)
    for boot in range(1, 6):
        journal = Journal(str(folder / "j"), None, boot, segments=9, segment_bytes=2048)
        journal.start_run(boot * 1000, 0, b"01234567", b"76543210", "1.0", 1000)
        for i in range(boot * 4):
            journal.decision(boot * 1000 + i * 777, i % 4, i * 99 % 1001, 300, 3, 1)
        assert journal.flush(boot * 1000 + 100_000)
    found = [Path(path).read_bytes() for path in journal.files()]
    whole = found[0]
    return [*found, whole[:18], whole[: len(whole) // 2], whole[:60]]


def written(what: str, folder: Path) -> Path:
    path = folder / f"{what}.hex"
    path.write_text("\n".join(one.hex() for one in goods(what, folder)) + "\n")
    return path


@pytest.mark.parametrize("what", DECODERS)
def test_the_same_bytes_mean_the_same_everywhere(micropython_runtime: Runtime, what: str, tmp_path: Path) -> None:
    """What the host has verified the node must not refuse, nor read otherwise: 400 of each on every interpreter."""
    found = fuzz(what, 1, 400, goods(what, tmp_path / "a"))
    assert found[0] and found[1], "some are read and some refused, or the fuzzer tries nothing"
    done = micropython_runtime.run([MAIN, what, "1", "400", written(what, tmp_path)])
    assert done.stdout.split() == [str(number) for number in found], done.stderr


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("what", DECODERS)
def test_a_million_of_each(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Flash decays and hosts have faults, for twenty years, on ten thousand poles."""
    taken, refused, places = fuzz(what, 2026, 1_000_000, goods(what, tmp_path))
    with capsys.disabled():
        print(f"figure: {what} fuzz, CPython, seed 2026: {taken} read, {refused} refused, sum {places}")
    assert taken > 1000 and refused > 100_000


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("what", DECODERS)
def test_a_hundred_thousand_of_each_on_the_chips_interpreters(
    what: str, micropython_runtime: Runtime, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """31-bit small ints and another parser run on the lamp post; a check sum there takes ten times as long."""
    found = fuzz(what, 7, 100_000, goods(what, tmp_path / "a"))
    done = micropython_runtime.run([MAIN, what, "7", "100000", written(what, tmp_path)], timeout_s=1800)
    with capsys.disabled():
        print(f"figure: {what} fuzz, {micropython_runtime.name}, seed 7, 100000: {done.stdout.strip()}")
    assert done.stdout.split() == [str(number) for number in found], done.stderr
