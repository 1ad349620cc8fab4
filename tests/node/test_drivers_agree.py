"""Every sensor, meter and clock driver says the same on the host and on the chip's interpreters."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.runtimes import ROOT, Runtime

MAIN = "tests/node/drivers_main.py"


@pytest.fixture(scope="module")
def host_lines() -> str:
    done = subprocess.run(
        [sys.executable, MAIN],
        check=False,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_same_lines(micropython_runtime: Runtime, host_lines: str) -> None:
    """A reading that differs between host and chip would make every test on the host worthless."""
    done = micropython_runtime.run([MAIN], timeout_s=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == host_lines.splitlines()


# Driver -> what must stand in its lines under a fault, else that fault went through unseen.
NOTICED = {
    ("bh1750", "no_answer"): "NoAnswer",
    ("bh1750", "late"): "NoAnswer",
    ("veml7700", "no_answer"): "NoAnswer",
    ("veml7700", "noise"): "WrongDevice",
    ("veml7700", "brown_out"): "resets=1",
    ("photocell", "no_answer"): "NoAnswer",
    ("ntc", "late"): "NoAnswer",
    ("bl0937", "no_answer"): "NoAnswer",
    ("bl0937", "noise"): "BadAnswer",
    ("hlw8012", "noise"): "BadAnswer",
    ("ade7953", "no_answer"): "NoAnswer",
    ("ade7953", "noise"): "BadAnswer",
    ("ade7953", "stuck"): "BadAnswer",
    ("ade7953", "brown_out"): "resets=1",
    ("ds3231", "no_answer"): "NoAnswer",
    ("ds3231", "noise"): "BadAnswer",
    ("ds3231", "brown_out"): "is_trusted=False",
    ("ds18b20", "no_answer"): "NoAnswer",
    ("ds18b20", "noise"): "BadAnswer",
    ("ds18b20", "brown_out"): "85 C is its power-on value",
    ("lis3dh", "no_answer"): "NoAnswer",
    ("lis3dh", "brown_out"): "resets=1",
    ("ld2410", "noise"): "errors=1",
    ("nmea_gnss", "noise"): "errors=8",
    ("presence", "noise"): "storms=1",
}


@pytest.mark.parametrize(("driver", "fault"), NOTICED)
def test_fault_is_noticed(driver: str, fault: str, host_lines: str) -> None:
    """A device that misbehaves in silence costs a night of wrong light before anybody looks."""
    lines = [line for line in host_lines.splitlines() if line.startswith(f"{driver} {fault} ")]
    assert len(lines) == 12
    assert any(NOTICED[driver, fault] in line for line in lines), "\n".join(lines)


def test_every_driver_recovers(host_lines: str) -> None:
    """A driver that has to be restarted by hand after a bad contact is a ladder and a lorry."""
    for line in host_lines.splitlines():
        words = line.split()
        if len(words) > 2 and words[2] == "11" and words[0] != "ntc":
            assert "Answer" not in words[3] and words[3] != "WrongDevice", line
