"""Mutation testing: does a test fail when a decision is made otherwise? mutmut changes the code, this counts by group.

python -m tests.bench.mutants [--sample 150] [--seed 1] [--jobs 2]

mutmut works on a copy of the tree in build/mutants, so nothing in the repository changes. A mutant that no test runs
has survived. What survived stands in build/mutants.txt with its place and its change.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TREE = ROOT / "build" / "mutants"
REPORT = ROOT / "build" / "mutants.txt"
LEAST_PERCENT = 85
GROUPS = {
    "program": ("schedule", "calendar_rules", "active_periods", "dynamics", "effects", "overrides", "wants"),
    "presence": ("sensor", "bubble", "passage", "volume", "budget", "street_sense"),
    "limits": ("limits", "derating", "flicker", "flux", "relay", "output"),
}
# The quick tests of these modules, and the lamp as a whole. Slow ones would cost hours: each survivor runs them all.
TESTS = (
    *("test_schedule.py", "test_controller.py", "test_stateful.py", "test_sensor.py", "test_bubble.py"),
    *("test_passage.py", "test_volume.py", "test_budget.py", "test_limits.py", "test_derating.py", "test_flicker.py"),
    *("test_flux.py", "test_relay.py", "test_calendar_rules.py", "test_talq_behaviour.py", "test_street_behaviour.py"),
    *(
        "test_why.py",
        "test_output.py",
        "test_doubted_clock.py",
        "test_street_sense.py",
        "test_active_periods.py",
        "test_overrides.py",
    ),
)
FOLDERS = ("firmware", "host_tools", "sim", "tests")
# A mutant that fails is dead: nobody needs the smallest case, and the search for it takes minutes. And the same
# questions each time, so that a share can be compared with the last one.
PROFILE = """

from hypothesis import Phase as _Phase

settings.register_profile(
    "mutants",
    derandomize=True,
    deadline=None,
    database=None,
    report_multiple_bugs=False,
    phases=[_Phase.explicit, _Phase.generate],
)
settings.load_profile("mutants")
"""
# mutmut's exit codes of a worker; any other than these, and no test at all (33), counts as survived.
KILLED = {1, 3}
TIMEOUTS = {36, 24, -24, 152, 255}
LIMIT_S = 6900


def lay_out() -> None:
    """Copy the tree to where mutmut works, and tell it what to do there."""
    shutil.rmtree(TREE, ignore_errors=True)
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, TREE / folder, ignore=shutil.ignore_patterns("__pycache__"))
    with (TREE / "tests" / "conftest.py").open("a", encoding="utf-8") as conftest:
        conftest.write(PROFILE)
    tests = sorted(
        path.relative_to(ROOT).as_posix() for name in TESTS for path in (ROOT / "tests" / "control").glob(name)
    )
    settings = {
        "source_paths": [f"firmware/control/{module}.py" for modules in GROUPS.values() for module in modules],
        "timeout_multiplier": 5.0,
        "also_copy": [*FOLDERS, "pyproject.toml"],
        "pytest_add_cli_args": ["-k", "not micropython", "-p", "no:xdist", "-p", "no:cacheprovider"],
        "pytest_add_cli_args_test_selection": tests,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (TREE / "pyproject.toml").write_text(f"{text}\n[tool.mutmut]\n" + "\n".join(lines) + "\n", encoding="utf-8")


def mutmut(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run mutmut in the copy, and only with what lies there."""
    environment = {**os.environ, "PYTHONPATH": "", "CI": ""}
    return subprocess.run(
        [sys.executable, "-m", "mutmut", *arguments],
        cwd=TREE, env=environment, check=False, capture_output=True, text=True, timeout=LIMIT_S,
    )  # fmt: skip


def verdicts() -> dict[str, dict[str, int | None]]:
    """Return what came of each mutant, by module and name; None: not asked."""
    found = {}
    for modules in GROUPS.values():
        for module in modules:
            meta = TREE / "mutants" / "firmware" / "control" / f"{module}.py.meta"
            found[module] = json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"] if meta.exists() else {}
    return found


def draw(sample: int, seed: int) -> list[str]:
    """Let mutmut make the mutants without asking any, and return as many names of each group, the same every time."""
    mutmut("run", "no.such.mutant")
    made = verdicts()
    rng = random.Random(seed)
    names = []
    for modules in GROUPS.values():
        pool = sorted(name for module in modules for name in made[module])
        names += rng.sample(pool, min(sample, len(pool)))
    return names


def place_of(module: str, name: str) -> str:
    """Return the line and the change of a mutant, for people."""
    changes = [line for line in mutmut("show", name).stdout.splitlines() if line[:1] in "+-"]
    changes = [line for line in changes if not line.startswith(("---", "+++"))]
    source = (ROOT / "firmware" / "control" / f"{module}.py").read_text(encoding="utf-8").splitlines()
    method = name.rsplit("__mutmut_", 1)[0].split(".")[-1].split("ǁ")[-1].removeprefix("x_")
    begin = next((i for i, line in enumerate(source) if f"def {method}(" in line), 0)
    old = changes[0][1:].strip() if changes else ""
    number = next((i + 1 for i in range(begin, len(source)) if source[i].strip() == old), begin + 1)
    return "\n".join([f"{module}.py:{number} {method} ({name})", *(f"    {line}" for line in changes)])


def judge(spent_s: float, jobs: int) -> int:
    """Print the table, write the survivors; return how many groups are below what is asked."""
    lost: list[tuple[str, str]] = []
    failed = 0
    print(f"{'module':<16} mutants  killed  timeout  survived  share")
    for group, modules in GROUPS.items():
        sums: Counter[str] = Counter()
        for module in modules:
            counts: Counter[str] = Counter()
            for name, code in verdicts()[module].items():
                if code is None:
                    continue
                verdict = "killed" if code in KILLED else "timeout" if code in TIMEOUTS else "survived"
                counts[verdict] += 1
                if verdict == "survived":
                    lost.append((module, name))
            sums += counts
            print(row(module, counts))
        share = percent(sums)
        print(row(group.upper(), sums) + ("" if share >= LEAST_PERCENT else f"  below {LEAST_PERCENT} %"))
        failed += share < LEAST_PERCENT
    with ThreadPoolExecutor(jobs) as pool:
        places = list(pool.map(lambda item: place_of(*item), lost))
    REPORT.write_text("\n".join([*places, ""]), encoding="utf-8")
    print(f"{len(lost)} survivors in {REPORT.relative_to(ROOT)}; {spent_s:.0f} s")
    return failed


def percent(counts: Counter[str]) -> float:
    """Return the share killed. A mutant that never ends is noticed too."""
    total = sum(counts.values())
    return 100 * (counts["killed"] + counts["timeout"]) / total if total else 0.0


def row(name: str, counts: Counter[str]) -> str:
    killed, timeouts, survived = counts["killed"], counts["timeout"], counts["survived"]
    share = percent(counts)
    return f"{name:<16} {sum(counts.values()):>7} {killed:>7} {timeouts:>8} {survived:>9} {share:>5.1f} %"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, default=0, help="so many mutants of each group (default: all)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    chosen = parser.parse_args(arguments)
    began = time.monotonic()
    lay_out()
    names = draw(chosen.sample, chosen.seed) if chosen.sample else []
    done = mutmut("run", "--max-children", str(chosen.jobs), *names)
    if not any(code is not None for codes in verdicts().values() for code in codes.values()):
        # The tests must pass before any change can be said to break them.
        print(done.stdout[-3000:], done.stderr[-3000:], sep="\n")
        return 1
    return 1 if judge(time.monotonic() - began, chosen.jobs) else 0


if __name__ == "__main__":
    raise SystemExit(main())
