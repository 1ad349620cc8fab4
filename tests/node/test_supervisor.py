"""Any task may die, hang or leak in the third winter: the lamp's task must not notice, and the node must come back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from firmware.system.supervisor import FAIL_DEATHS, FAIL_SILENT, Supervisor
from tests.conftest import require_runtime

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "tests/node/supervisor_main.py"


@cache
def cases(name: str) -> dict[str, dict]:
    """Run all cases on an interpreter, once."""
    if name == "cpython":
        done = subprocess.run(
            [sys.executable, PROGRAM],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    else:
        done = require_runtime(name).run([PROGRAM])
    assert done.returncode == 0, done.stderr + done.stdout
    # An interpreter that prints of a task's death would end here too.
    return {told["case"]: told for told in map(json.loads, done.stdout.splitlines())}


@pytest.fixture(params=["cpython", "micropython64", "micropython32"])
def told(request):
    return cases(request.param)


def test_a_quiet_node_is_fed_and_nothing_else(told):
    """A watchdog that bites a healthy node is a blink. So for ten minutes, over the ring's end, every look feeds, and
    nothing is started again."""
    found = told["quiet"]
    assert found["error"] is None and found["restarts"] == 0 and found["errors"] == []
    assert found["feeds"] >= 600 * 4 - 2 and found["end"] - found["last_feed"] <= 250


def test_a_task_is_started_again_whatever_it_died_of(told):
    """A broken wire, a full memory, a mistake of ours: at any of its waits. So each death is noted with its name, the
    task is started again after a delay, and the lamp's work goes on in every look."""
    found = [one for case, one in told.items() if case.startswith("dies of")]
    assert len(found) == 24
    for one in found:
        assert one["error"] is None and one["restarts"] >= 3, one
        assert one["lamp"] >= 20000 // 250 - 2
        assert len(one["errors"]) == one["restarts"] or len(one["errors"]) == one["restarts"] + 1
        assert one["end"] - one["last_feed"] <= 250
    names = {one["errors"][0][1] for one in found}
    assert {"ValueError", "OSError", "MemoryError", "TimeoutError", "SyntaxError", "NoneType"} == names


def test_the_delay_grows_and_the_node_is_reset_in_the_end(told):
    """A task that dies at once would eat the node's time. So the delay doubles, and after seven deaths in a row the
    node is reset with the reason on record."""
    found = told["dies for ever"]
    deaths = [error[2] for error in found["errors"]]
    gaps = [deaths[i + 1] - deaths[i] for i in range(len(deaths) - 1)]
    assert all(gaps[i + 1] > gaps[i] for i in range(len(gaps) - 1)), gaps
    assert found["error"][:2] == ["net", FAIL_DEATHS] and "OSError" in found["error"][2]
    assert len(deaths) == 7 and found["end"] < 120_000


def test_a_silent_task_resets_the_node(told):
    """A task that hangs says nothing, and looks alive. So beyond the silence it has promised the watchdog is not fed,
    and the node is reset, also over the ring's end."""
    for case in ("hangs", "hangs beside"):
        found = told[case]
        assert found["error"][:2] == ["net", FAIL_SILENT]
        assert 7000 < found["end"] <= 7500 and found["last_feed"] < found["end"]


def test_what_healed_counts_no_more(told):
    """A death now and then is not seven in a row. So after ten good minutes the count begins anew."""
    found = told["dies now and then"]
    assert found["error"] is None and found["restarts"] == 4
    assert all(error[0] == "net" for error in found["errors"])


def test_the_lamps_task_comes_back_at_once(told):
    """The street waits for nobody's delay. So the lamp's task is started at once, without a look, and where it cannot
    live the node is reset after four deaths."""
    found = told["lamp dies twice"]
    deaths = [error[2] for error in found["errors"]]
    assert found["error"] is None and found["restarts"] == 2 and deaths[1] - deaths[0] <= 250
    found = told["lamp dies for ever"]
    assert found["error"][:2] == ["lamp", FAIL_DEATHS] and found["end"] < 5000


def test_a_task_of_nobody_is_counted(told):
    """A task that a library starts dies where nobody looks. So the loop's handler counts and notes it."""
    found = told["stray"]
    assert found["error"] is None and found["stray"] == 1
    assert [error[:2] for error in found["errors"]] == [["stray", "KeyError"]]


def test_a_log_that_fails_fails_alone(told):
    """A full flash must not be what ends the lamp. So an error of the log itself is swallowed and counted."""
    found = told["log is full"]
    assert found["error"] is None and found["restarts"] >= 3 and found["stray"] >= 3


def test_too_many_tasks_and_odd_silences_are_refused():
    """What cannot be watched must not be promised. So silences below two looks or beyond an hour, and one task
    too many, are refused where they are added."""
    watch = Supervisor(lambda: None, lambda: 0)
    for silence_ms in (0, 499, 3_600_001):
        with pytest.raises(ValueError, match="silence"):
            watch.add("a", lambda beat: None, silence_ms)
    for number in range(36):
        watch.add(str(number), lambda beat: None, 5000)
    with pytest.raises(ValueError, match="more than 36"):
        watch.add("x", lambda beat: None, 5000)
