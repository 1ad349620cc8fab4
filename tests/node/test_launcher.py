"""The launcher is the one file that nobody can ever replace from afar: whatever fails above it, the lamp is lit."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from firmware.system import boot_files
from firmware.system.boot_files import BootFileError, Kept, lamp_file, read_select, select_file
from tests.house.imports import ON_CHIP

ROOT = Path(__file__).resolve().parents[2]
MAIN = ROOT / "firmware" / "main.py"
PROGRAM = "tests/node/launcher_main.py"
# 300 permille is safe for output 0, on pin 25; output 1 is a relay that is inverted; the service pin is 4.
OUTPUTS = [(1, 25, 0, 0, 1250, 800), (2, 26, 1, 1, 1, 1000)]
LAMP = lamp_file(OUTPUTS, service_pin=4)
SAFE = ["pwm 25 1250 52428", "pin 26 0"]


def boots(where, tmp_path, *steps, files=None, memory=b""):
    """Boot the launcher so often, on CPython (None) or on a MicroPython; return what happened at each."""
    files = {"/boot.lamp": LAMP} if files is None else files
    root = tmp_path / "root"
    root.mkdir(exist_ok=True)
    case = tmp_path / "case.json"
    content = {path: data.hex() for path, data in files.items()}
    case.write_text(json.dumps({"files": content, "memory": memory.hex(), "boots": list(steps)}), encoding="utf-8")
    if where is None:
        done = subprocess.run(
            [sys.executable, PROGRAM, case, root],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
            timeout=60,
        )  # fmt: skip
    else:
        done = where.run([PROGRAM, case, root])
    assert done.returncode == 0, done.stderr + done.stdout
    return [json.loads(line) for line in done.stdout.splitlines()]


def step(cause="power", app="good", **more):
    return {"cause": cause, "app": app, **more}


def kept(told) -> Kept:
    found = Kept()
    assert found.take(bytes.fromhex(told["memory"]))
    return found


def test_it_is_short_and_imports_stock_modules_only():
    """Who answers for this file reads all of it. So it has less than 150 lines, and needs nothing of ours to light."""
    text = MAIN.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 150
    tree = ast.parse(text)
    imported = [alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names]
    assert set(imported) <= ON_CHIP
    inner = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert inner == ["firmware"]


def test_the_watchdog_and_the_lamp_come_first(micropython_runtime, tmp_path):
    """A hang before the watchdog is for ever, and before the lamp it is dark. So at power-on the first three things are
    the watchdog and the outputs at their safe levels, and only then the rest."""
    told = boots(micropython_runtime, tmp_path, step())[0]
    assert told["events"] == ["wdt 30000", *SAFE, "kbd_intr -1", "app /a"]


def test_a_reset_brings_the_level_back(micropython_runtime, tmp_path):
    """A street light must never blink. So after a watchdog's reset the output has the level that it had, also 0 by day,
    and after a power cut its safe one."""
    steps = (step(levels=300), step("watchdog", levels=0), step("hard"), step())
    told = boots(micropython_runtime, tmp_path, *steps)
    assert [one["events"][1] for one in told] == [SAFE[0], "pwm 25 1250 19660", "pwm 25 1250 0", SAFE[0]]


def test_no_file_touches_no_pin(micropython_runtime, tmp_path):
    """A pin that means something else elsewhere must not be driven. So without the file, or with any one bit of it
    wrong, no pin is touched: the hardware's default is lit. A damaged file keeps the prompt closed, a missing one is a
    node that was never delivered."""
    told = boots(micropython_runtime, tmp_path, step(), files={})[0]
    assert told["events"] == ["wdt 30000", "kbd_intr 3", "app /a"]
    for place in range(len(LAMP)):
        bad = bytearray(LAMP)
        bad[place] ^= 4
        if place % 6 == 0:
            told = boots(micropython_runtime, tmp_path, step(), files={"/boot.lamp": bytes(bad)})[0]
            assert told["events"] == ["wdt 30000", "kbd_intr -1", "app /a"]


@pytest.mark.parametrize("app", ["raise", "memory", "exit", "interrupt", "ended", "missing"])
def test_whatever_fails_the_lamp_is_lit_and_the_node_starts_again(micropython_runtime, tmp_path, app):
    """Nobody stands beside the pole. So an application that dies of anything, or is not there, leaves the lamp at its
    safe level, a text for the log and a mark, and the chip is reset; the prompt is never reached."""
    told = boots(micropython_runtime, tmp_path, step(app=app))[0]
    assert told["end"] == "reset"
    assert told["events"][-3:] == [*SAFE, "reset"]
    found = kept(told)
    assert (found.mark, found.levels[0]) == (boot_files.CRASH, boot_files.LEVEL_UNKNOWN)
    assert found.text
    if app == "raise":
        assert b"the application is broken" in found.text


def test_a_hang_is_ended_by_the_watchdog(micropython_runtime, tmp_path):
    """An application that neither dies nor feeds is the worst of all. So the watchdog bites within 30 s."""
    told = boots(micropython_runtime, tmp_path, step(app="hang"))[0]
    assert told["events"][-1] == "watchdog" and told["seconds"] <= 30


def test_three_bad_boots_leave_the_lamp_alone(micropython_runtime, tmp_path):
    """A node that resets all night is a strobe. So after three bad boots in a row the lamp has its safe level for five
    minutes, the watchdog fed and the service pin looked at, then the application gets one more try; a good boot ends
    it."""
    steps = [step(app="raise"), step("hard", "raise"), step("watchdog", "raise"), step("hard", "raise")]
    steps += [step("hard"), step("hard", "good"), step("watchdog", "good")]
    told = boots(micropython_runtime, tmp_path, *steps)
    assert [one["seconds"] for one in told] == [0, 0, 0, 300, 300, 0, 0]
    assert told[3]["events"][1:3] == SAFE
    assert [kept(one).bad for one in told][:5] == [0, 1, 2, 2, 0]
    assert "write /boot.new" in told[3]["events"]
    text = (tmp_path / "root" / "boot.err").read_bytes()
    assert b"ValueError" in text and len(text) <= 400


def test_a_crash_after_a_good_minute_is_the_first_again(micropython_runtime, tmp_path):
    """The application keeps its own account in the RTC's memory while it runs. So a crash takes over what it has kept
    there: a good minute has ended the count, and the seconds lit are those of now."""
    steps = [step(app="raise"), step("hard", "raise"), step("hard", "good, then raise"), step("hard", "good")]
    told = boots(micropython_runtime, tmp_path, *steps)
    assert [kept(one).bad for one in told[:3]] == [0, 1, 0]
    assert kept(told[2]).lit_s == 777 and b"late" in kept(told[2]).text
    assert all(one["seconds"] == 0 for one in told)


@pytest.mark.parametrize("cause", ["power", "soft"])
def test_power_cuts_are_no_bad_boots(micropython_runtime, tmp_path, cause):
    """Feeders are switched every day and chatter at dusk. So no number of power cuts, nor of an installer's resets,
    makes a node hold its application back."""
    steps = [step(cause, "good", forget=0) for _ in range(12)]
    told = boots(micropython_runtime, tmp_path, step("power"), *steps)
    assert all(one["seconds"] == 0 and kept(one).bad == 0 for one in told)


@pytest.mark.parametrize(
    ("cause", "memory", "mark", "end"),
    [
        ("power", False, 0, boot_files.POWER),
        ("power", True, 0, boot_files.BROWN_OUT),
        ("power", True, boot_files.INTENDED, boot_files.BROWN_OUT),
        ("hard", True, boot_files.INTENDED, boot_files.INTENDED),
        ("hard", True, boot_files.CRASH, boot_files.CRASH),
        ("hard", True, boot_files.SUPERVISOR, boot_files.SUPERVISOR),
        ("hard", True, 0, boot_files.PANIC),
        ("hard", False, 0, boot_files.OTHER),
        ("watchdog", True, 0, boot_files.WATCHDOG),
        ("soft", True, 0, boot_files.SOFT),
    ],
)
def test_each_end_of_a_run_has_its_name(tmp_path, cause, memory, mark, end):
    """`machine.reset_cause()` tells neither a brown-out from a power-on nor a panic from a wanted reset (ports/esp32,
    modmachine.c). So mark, memory and cause together do, and only failures are counted."""
    before = Kept()
    before.mark = mark
    before.bad = 1
    told = boots(None, tmp_path, step(cause, forget=0, app="x"), memory=before.put() if memory else b"")[0]
    found = kept(told)
    assert found.end == end
    wanted = {boot_files.POWER: 0, boot_files.INTENDED: 0, boot_files.OTHER: 0}.get(end, 1)
    assert found.bad == (2 if end >= boot_files.CRASH else wanted)


def test_any_memory_is_survived(tmp_path):
    """After power-on the RTC's memory holds anything. So every flipped bit and every length of it is no memory."""
    good = Kept().put()
    for data in [good[:size] for size in range(0, len(good), 5)] + [b"\xff" * 60, bytes(60), good + b"x"]:
        told = boots(None, tmp_path, step("hard", forget=0), memory=data)[0]
        assert told["events"][1] == SAFE[0] and kept(told).end == boot_files.OTHER


def test_the_slot_is_the_pointers(micropython_runtime, tmp_path):
    """An update is one file that says which folder counts. So that folder comes first, the package alone where it is
    said so, and /a, then /b where the file is missing or damaged."""
    for data, first in (
        (select_file("b"), "/b"),
        (select_file("a"), "/a"),
        (select_file("-"), "/lib"),
        (b"", "/a"),
        (select_file("b")[:-1], "/a"),
    ):
        told = boots(micropython_runtime, tmp_path, step(), files={"/boot.lamp": LAMP, "/boot.sel": data})[0]
        assert told["events"][-1] == f"app {first}"


def test_a_slot_on_trial_is_given_up_after_three_bad_boots(micropython_runtime, tmp_path):
    """A bad update must not need a ladder. So after three bad boots in a row the slot before it is taken, the pointer
    says so, and it too has three tries."""
    steps = [step(app="raise")] + [step("hard", "raise") for _ in range(6)]
    files = {"/boot.lamp": LAMP, "/boot.sel": select_file("b", True, "a")}
    told = boots(micropython_runtime, tmp_path, *steps, files=files)
    slots = [event for one in told for event in one["events"] if event.startswith("app")]
    assert slots == ["app /b"] * 3 + ["app /a"] * 4
    assert [one["seconds"] for one in told] == [0, 0, 0, 0, 0, 0, 300]
    assert read_select((tmp_path / "root" / "boot.sel").read_bytes()) == ("a", False, "b")


def test_a_trial_is_not_lost_to_power_cuts(micropython_runtime, tmp_path):
    """Feeders are cut at dawn, also on the day of an update. So power cuts give up no slot."""
    steps = [step("power", "raise") for _ in range(8)]
    files = {"/boot.lamp": LAMP, "/boot.sel": select_file("b", True, "a")}
    told = boots(micropython_runtime, tmp_path, *steps, files=files)
    assert all("app /b" in one["events"] for one in told)


@pytest.mark.parametrize("way", ["pin", "proof"])
def test_service_mode_is_the_only_way_to_the_prompt(micropython_runtime, tmp_path, way):
    """The prompt is the whole node. So `main` returns for the service pin or for the application's word only; the lamp
    is then at its safe level, Ctrl-C works again, and the watchdog ends it all after two hours."""
    one = step(service=1) if way == "pin" else step(app="service")
    told = boots(micropython_runtime, tmp_path, one)[0]
    assert told["end"] == "returned"
    assert told["events"][-4:] == [*SAFE, "wdt 7200000", "kbd_intr 3"]
    assert kept(told).mark == boot_files.INTENDED


def test_an_undelivered_node_can_be_stopped(micropython_runtime, tmp_path):
    """On the bench somebody must be able to stop it. So where the file says not delivered, Ctrl-C ends the program."""
    lamp = lamp_file(OUTPUTS, is_delivered=False)
    told = boots(micropython_runtime, tmp_path, step(app="interrupt"), files={"/boot.lamp": lamp})[0]
    assert told["end"] == "returned" and "kbd_intr 3" in told["events"]


@pytest.mark.parametrize(
    ("outputs", "service", "word"),
    [
        ([(3, 25, 0, 0, 1250, 800)], 4, "kind 3"),
        ([(1, 255, 0, 0, 1250, 800)], 4, "pin 255"),
        ([(1, 4, 0, 0, 1250, 800)], 4, "pin 4"),
        ([(1, 25, 0, 4, 1250, 800)], 4, "output 4"),
        ([(1, 25, 0, 0, 0, 800)], 4, "0 Hz"),
        ([(1, 25, 0, 0, 1250, 1001)], 4, "1001"),
        ([(1, 25, 0, 0, 1250, 800)] * 9, 4, "9 outputs"),
        ([], 256, "service pin"),
    ],
)
def test_a_boot_file_that_cannot_work_is_not_written(outputs, service, word):
    """What the launcher reads cannot be put right without a ladder. So the writer refuses what it could not do."""
    with pytest.raises(BootFileError, match=word):
        lamp_file(outputs, service)


def test_no_cut_loses_the_pointer(micropython_runtime):
    """The pointer is written when three boots went wrong, and then the feeder is cut. So at every operation of the
    flash the old or the new one is there."""
    done = micropython_runtime.run(["tests/node/cuts_main.py", "sweep", "select"])
    assert done.returncode == 0, done.stderr
    assert " lost 0 " in done.stdout.splitlines()[-1]
