"""Which decisions of firmware/control no test has taken: branch coverage, with a floor.

python -m tests.bench.coverage_core [--jobs 2]

Runs tests/control on CPython; what runs on MicroPython leaves no trace here.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "coverage_core"
LEAST_PERCENT = 98
SETTINGS = """\
[run]
branch = true
source = {source}
data_file = {data}
parallel = true
patch = subprocess
sigterm = true

[report]
# Two decimals: 97.99 is not 98.
precision = 2
show_missing = true
# The import that only MicroPython has; its own tests run there.
exclude_also =
    from micropython import
"""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    jobs = parser.parse_args(arguments).jobs
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    settings = FOLDER / "coveragerc"
    settings.write_text(SETTINGS.format(source=ROOT / "firmware" / "control", data=FOLDER / "data"), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def coverage(*words: str) -> int:
        command = [sys.executable, "-m", "coverage", *words, f"--rcfile={settings}"]
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode

    pytest = ["-m", "pytest", "-q", "-n", str(jobs), "-p", "no:cacheprovider", "-k", "not micropython"]
    command = [sys.executable, "-m", "coverage", "run", f"--rcfile={settings}", *pytest, "tests/control"]
    tests = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    coverage("combine", "--quiet")
    verdict = coverage("report", f"--fail-under={LEAST_PERCENT}")
    if tests:
        print("the tests failed: coverage of a run that stopped short says little", file=sys.stderr)
    return 1 if tests or verdict else 0


if __name__ == "__main__":
    raise SystemExit(main())
