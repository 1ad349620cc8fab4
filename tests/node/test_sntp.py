"""A lamp that takes its time from the net takes it from whoever answers first, unless it doubts."""

from __future__ import annotations

import json
import os
import random
import socket
import struct
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.control.civil import day_number
from firmware.system import sntp
from firmware.system.sntp import KissOfDeath, Reply, SntpClient, SntpError, time_of
from tests.conftest import require_runtime
from tests.node.journal_main import Clock
from tests.runtimes import Missing, known_runtimes

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "tests/node/sntp_main.py"
ORIGIN = bytes(range(1, 9))
# 2026-11-24 02:00:00.5 UTC.
TODAY = day_number(2026, 11, 24)
SECONDS = (TODAY + 36524) * 86400 + 7200
HALF = 0x80000000


def reply(origin=ORIGIN, first=0x24, stratum=2, code=b"GPS\0", sent=(SECONDS, HALF), received=None, delay=0, spread=0):
    """A server's answer, after RFC 5905, figure 8."""
    received = sent if received is None else received
    return (
        struct.pack(">BBbbII4s", first, stratum, 6, -20, delay, spread, code)
        + struct.pack(">II", SECONDS - 60, 0)
        + origin
        + struct.pack(">IIII", *received, *sent)
    )


@pytest.mark.parametrize(
    ("seconds", "date"),
    [
        # RFC 5905, figure 4: last day of the 20th century, and the first of era 1 (63,104 s are 17 h 31 min 44 s).
        (3_155_587_200, (1999, 12, 31)),
        (63_104, (2036, 2, 8)),
        # The end of era 0: 2036-02-07 06:28:15 and 16 (RFC 4330, section 3).
        (0xFFFFFFFF, (2036, 2, 7)),
        (0, (2036, 2, 7)),
        # The first second of the range that RFC 4330 gives to era 0: 1968-01-20 03:14:08.
        (0x80000000, (1968, 1, 20)),
    ],
)
def test_known_dates_of_the_standard(seconds, date):
    """A wrong era puts a lamp into 1900. So the dates that the standards print come out."""
    day, second, ms = time_of(struct.pack(">II", seconds, 0), 0)
    assert day == day_number(*date) and ms == 0
    if seconds in (0, 0xFFFFFFFF):
        assert second == 6 * 3600 + 28 * 60 + (16 if seconds == 0 else 15)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_any_timestamp_is_the_calendars(seconds, fraction):
    """32 bits hold 136 years, and a chip's integers 31 bits. So each is what Python's calendar makes of it."""
    moment = datetime(1900, 1, 1) + timedelta(seconds=seconds + (0 if seconds >> 31 else 2**32))
    since = moment - datetime(2000, 1, 1)
    assert time_of(struct.pack(">II", seconds, fraction), 0) == (
        since.days,
        since.seconds,
        (fraction >> 16) * 1000 >> 16,
    )


def test_a_good_reply_is_read():
    """The checks must let the right one through. So an ordinary answer of a stratum 2 server gives its time."""
    found = Reply(reply(delay=1000, spread=2000), ORIGIN)
    assert (found.day, found.second, found.ms) == (TODAY, 7200, 500)
    assert (found.held_ms, found.distance_ms, found.stratum) == (0, 2500 * 1000 // 65536, 2)


@pytest.mark.parametrize(
    ("packet", "word"),
    [
        (reply()[:47], "47 bytes"),
        (b"", "0 bytes"),
        (reply(first=0x23), "mode 3"),
        (reply(first=0x25), "mode 5"),
        (reply(first=0x14), "version 2"),
        (reply(first=0xE4), "not synchronised"),
        (reply(stratum=16), "stratum 16"),
        (reply(stratum=255), "stratum 255"),
        (reply(origin=bytes(8)), "not an answer"),
        (reply(origin=ORIGIN[:-1] + b"\0"), "not an answer"),
        (reply(sent=(0, 0)), "no time"),
        (reply(spread=98_305), "too far"),
        (reply(delay=0xFFFFFFFF), "too far"),
        (reply(received=(SECONDS - 3 * 86400, 0)), "held for days"),
    ],
)
def test_what_is_no_answer_is_refused(packet, word):
    """Anybody on the way may answer. So each field that RFC 4330 and 5905 have one check is checked."""
    with pytest.raises(SntpError, match=word):
        Reply(packet, ORIGIN)


@given(st.binary(max_size=80))
def test_any_bytes_are_refused_or_read(data):
    """A port is open to the world. So no bytes end the reader otherwise than it says, with or without our origin."""
    for packet in (data, data[:24] + ORIGIN + data[32:]):
        try:
            Reply(packet, ORIGIN)
        except SntpError as error:
            assert error.what


def test_a_kiss_of_death_counts_for_who_was_asked_only():
    """A forged DENY would keep a lamp from the time for a day. So it is obeyed from who has seen the question alone."""
    for code in (b"RATE", b"DENY", b"RSTR"):
        with pytest.raises(KissOfDeath) as caught:
            Reply(reply(stratum=0, code=code), ORIGIN)
        assert caught.value.code == code.decode()
        with pytest.raises(SntpError, match="not an answer"):
            Reply(reply(stratum=0, code=code, origin=bytes(8)), ORIGIN)


@pytest.mark.parametrize(("round_ms", "held_ms", "ms"), [(0, 0, 500), (400, 0, 700), (900, 500, 700), (40, 60, 500)])
def test_half_the_way_is_added(round_ms, held_ms, ms):
    """The answer is old when it comes. So half of the way without the server's own time is added to it."""
    client = SntpClient(None, None, Clock(0))
    found = Reply(reply(), ORIGIN)
    found.held_ms = held_ms
    assert client._take(found, 77, round_ms)
    assert (client.day, client.second, client.ms, client.tick) == (TODAY, 7200, ms, 77)
    assert client.error_ms >= (round_ms - held_ms) // 2


@pytest.mark.parametrize(("round_ms", "held_ms"), [(1001, 0), (10, 2000), (100, -1)])
def test_a_way_that_cannot_be_is_refused(round_ms, held_ms):
    """A late answer is a wrong time. So more than a second, and a server that had it longer than we waited, is none."""
    client = SntpClient(None, None, Clock(0))
    found = Reply(reply(), ORIGIN)
    found.held_ms = held_ms
    assert not client._take(found, 0, round_ms)


def test_midnight_is_carried():
    """The way may cross midnight. So the day is counted up with it."""
    client = SntpClient(None, None, Clock(0))
    last = (TODAY + 36524) * 86400 + 86399
    assert client._take(Reply(reply(sent=(last, 0xE0000000)), ORIGIN), 0, 400)
    assert (client.day, client.second, client.ms) == (TODAY + 1, 0, 75)


# --- real sockets ----------------------------------------------------------------------------------------------------


def forged(request):
    return reply(origin=random.Random(1).randbytes(8))


SERVERS = {
    "good": lambda request: [reply(origin=request[40:48])],
    "silent": lambda request: [],
    "forged": lambda request: [forged(request)],
    "forged first": lambda request: [forged(request), b"", b"x" * 300, reply(origin=request[40:48])],
    "unsynchronised": lambda request: [reply(origin=request[40:48], first=0xE4)],
    "stratum 16": lambda request: [reply(origin=request[40:48], stratum=16)],
    "rate": lambda request: [reply(origin=request[40:48], stratum=0, code=b"RATE")],
    "deny": lambda request: [reply(origin=request[40:48], stratum=0, code=b"DENY")],
    "late": None,
    "other sender": None,
}


@contextmanager
def servers():
    """Time servers that misbehave on purpose, each on a port of its own; yields their arguments for the program."""
    lines, stop = {}, threading.Event()
    other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for name in SERVERS:
        lines[name] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        lines[name].bind(("127.0.0.1", 0))
        lines[name].settimeout(0.1)

    def serve(name, line):
        while not stop.is_set():
            try:
                request, sender = line.recvfrom(200)
            except TimeoutError:
                continue
            if name == "late":
                threading.Timer(1.3, line.sendto, (reply(origin=request[40:48]), sender)).start()
                continue
            if name == "other sender":
                other.sendto(reply(origin=request[40:48]), sender)
                continue
            for packet in SERVERS[name](request):
                line.sendto(packet, sender)

    threads = [threading.Thread(target=serve, args=item) for item in lines.items()]
    for thread in threads:
        thread.start()
    closed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    closed.bind(("127.0.0.1", 0))
    port = closed.getsockname()[1]
    closed.close()
    yield [f"{name}:{line.getsockname()[1]}" for name, line in lines.items()] + [f"nobody:{port}"]
    stop.set()
    for thread in threads:
        thread.join()
    for line in (*lines.values(), other):
        line.close()


INTERPRETERS = ("cpython", "micropython64", "micropython32")


@cache
def asked_all():
    """Ask all servers from all interpreters at once: each waits for two seconds."""
    with servers() as arguments, ThreadPoolExecutor() as pool:
        return dict(zip(INTERPRETERS, pool.map(lambda name: run_on(name, arguments), INTERPRETERS), strict=True))


def run_on(name, arguments):
    """Run the program on an interpreter; None where there is none."""
    if name == "cpython":
        done = subprocess.run(
            [sys.executable, PROGRAM, *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    else:
        runtime = known_runtimes()[name]
        if isinstance(runtime, Missing):
            return None
        done = runtime.run([PROGRAM, *arguments])
    assert done.returncode == 0, done.stderr + done.stdout
    return {told[0]: told[1:] for told in map(json.loads, done.stdout.splitlines())}


@pytest.fixture(params=INTERPRETERS)
def told(request):
    if request.param != "cpython":
        require_runtime(request.param)
    return asked_all()[request.param]


def test_a_server_on_the_wire_is_believed(told):
    """All the checks on paper set no clock. So over a real socket a good server does, also behind a forged answer."""
    for name in ("good", "forged first"):
        is_known, day, second, ms, error_ms, wait_s, _, what = told[name]
        assert (is_known, day, second, wait_s, what) == (True, TODAY, 7200, 3600, "ok"), told[name]
        assert 500 <= ms < 1000 and error_ms < 500
    assert told["forged first"][6] == 3 and told["good"][6] == 0


@pytest.mark.parametrize(
    ("name", "refused", "word"),
    [("silent", 0, "no answer"), ("forged", 1, "not an answer"), ("unsynchronised", 1, "not synchronised"),
     ("stratum 16", 1, "stratum 16"), ("late", 1, "round trip"), ("other sender", 0, "no answer"),
     ("nobody", 0, "no network")],
)  # fmt: skip
def test_no_other_answer_sets_the_clock(told, name, refused, word):
    """A wrong time is worse than none. So what is forged, late, from another port or from a server that does not know
    sets nothing, and the next question waits a minute, then longer."""
    assert told[name][0] is False and told[name][6] == refused
    assert word in told[name][7] and told[name][5] == 64


def test_a_server_that_says_no_is_left_alone(told):
    """Ten thousand lamps can bring a server down. So RATE doubles the wait, and DENY ends the questions for a day."""
    assert (told["rate"][5], told["deny"][5]) == (7200, 86400)


def test_other_tasks_have_their_turn(told):
    """While the net is slow the street is lit. So for the two seconds of a silent server other tasks run."""
    assert told["turns"][0] >= 20


def test_failures_wait_longer_and_longer():
    """A server that is gone for a week must not be asked every second. So the wait doubles from 64 s to 9 h and is back
    to an hour at the first answer."""
    client = SntpClient(None, bytes, Clock(0))
    waits = []

    def refuse(*arguments):
        raise OSError(101)

    import asyncio

    class Refusing:
        AF_INET = SOCK_DGRAM = 0
        socket = staticmethod(refuse)

    good, sntp.socket = sntp.socket, Refusing
    try:
        for _ in range(12):
            assert not asyncio.run(client.query())
            waits.append(client.wait_s)
    finally:
        sntp.socket = good
    assert waits == [64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 32768, 32768]
