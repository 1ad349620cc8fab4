"""The clock of a street of virtual boards: one shared file, written by one thread.

The rule, in rate mode. Virtual time passes at the wanted rate (x1 to x1000) while every board waits, and never beyond
the earliest deadline any of them waits for: the clock stands there until that board has run, so no board is ever late
in virtual time, however slow the computer. It passes at the slow rate (real time) while

* a board is busy (it runs Python), so that its computing takes the time it takes;
* the peer of a board's socket has something to read or to answer, so that a TLS handshake or a broker's answer does not
  time out in virtual time (chip/sockets.py has the rule);
* a board has passed its deadline and has not yet noticed, or a frame of the radio waits for it;
* no board is on.

`hold()` stops it altogether, until `release()`: boards that are switched on meanwhile have the same first moment, as
lamps on one feeder have, however many of them this computer starts at once.

With `slack_us` (for a street of many boards, which is otherwise as slow as one board after the other) time goes in
strides: while every board waits and none has a deadline behind it, it is put `slack_us` beyond the earliest deadline
at once, no faster than the wanted rate (here up to x100,000) and never beyond `until_us`. Boards whose deadlines lie
close together then run side by side, each up to that late in its own virtual time, by its own ticks too. Whoever's
deadline has come is woken by a byte at its radio's port.

In jump mode there is no conductor's clock: a lone board owns it, its rate is 1, and while nothing is pending and its
sockets are quiet by the same rule it jumps to its next deadline or scripted event at once (sim/board/chip/idle.py).

The thread also watches the watchdogs of boards that do not call into their virtual chip any more.
"""

from __future__ import annotations

import mmap
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

from .chip import layout

RING = 1 << 30
ANSWER_US = 100_000
SLOW_RATE = 1
RATE_MAX = 1000
# In strides the clock is put ahead while all wait: how far at once is bounded by the earliest deadline, not by a rate.
STRIDE_RATE_MAX = 100_000
LIMIT_MAX_US = RING - 5000
SLOW_LIMIT_US = 5_000_000
WDT_GRACE_MS = 200
_FAST_TICK_S = 0.0005
_SLOW_TICK_S = 0.02
_READS_MAX = 100
_OFF = 0
_WAITING = 2

_CLOCK = {name: 4 * index for index, name in enumerate(layout.CLOCK_FIELDS)}
_SLOT = {name: 4 * index for index, name in enumerate(layout.SLOT_FIELDS)}
_RTC = {name: 4 * index for index, name in enumerate(layout.RTC_FIELDS)}


def monotonic_us() -> int:
    """Return CLOCK_MONOTONIC in us, the clock both sides stamp with."""
    return time.monotonic_ns() // 1000


def diff30(a: int, b: int) -> int:
    """Return a - b on the ring of 2^30."""
    return ((a - b + RING // 2) % RING) - RING // 2


class Words:
    """32-bit words of a mapped file by name."""

    def __init__(self, memory: mmap.mmap, offset: int, places: dict[str, int]) -> None:
        self._memory = memory
        self._offset = offset
        self._places = places

    def __getitem__(self, name: str) -> int:
        value: int = struct.unpack_from("<I", self._memory, self._offset + self._places[name])[0]
        return value

    def __setitem__(self, name: str, value: int) -> None:
        struct.pack_into("<I", self._memory, self._offset + self._places[name], value)


def map_file(path: Path, length: int) -> mmap.mmap:
    """Create or take a file of this length, mapped."""
    if not path.exists() or path.stat().st_size != length:
        path.write_bytes(bytes(length))
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), length)


def rtc_words(memory: mmap.mmap) -> Words:
    """Return the RTC's fields of a board's mapped RTC file."""
    return Words(memory, 0, _RTC)


class Conductor:
    """Owns the shared file; starts a thread that keeps the clock until `stop()`."""

    def __init__(
        self,
        path: Path,
        rate: int = 1,
        is_jump: bool = False,
        world_s: int = 0,
        start_s: int = 0,
        answer_us: int = ANSWER_US,
        slack_us: int = 0,
    ) -> None:
        self.rate_max = STRIDE_RATE_MAX if slack_us else RATE_MAX
        self._check(rate)
        self.path = path
        self.is_jump = is_jump
        self._memory = map_file(path, layout.STREET_BYTES)
        self._shared = Words(self._memory, 0, _CLOCK)
        self._lock = threading.Lock()
        self._rate_wanted = rate
        self.slack_us = slack_us
        # Where strides end, virtual us since the street began; None: nowhere.
        self.until_us: int | None = None
        self._v_us = start_s * 1_000_000
        self._r_us = monotonic_us()
        self._rate = SLOW_RATE
        self._limit = LIMIT_MAX_US if is_jump else SLOW_LIMIT_US
        self._is_held = False
        self._shared["wanted"] = rate
        self._shared["is_jump"] = int(is_jump)
        self._shared["world_s"] = world_s
        self._shared["answer_us"] = answer_us
        self._shared["has_bell"] = int(slack_us > 0)
        self._bell = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        # Board: the deadline it was last told of.
        self._rung: dict[int, int] = {}
        self._write()
        self._is_over = threading.Event()
        self.on_bite: dict[int, Callable[[], None]] = {}
        self._thread = threading.Thread(target=self._run, name="conductor", daemon=True)
        self._thread.start()

    def _check(self, rate: int) -> None:
        if not 1 <= rate <= self.rate_max:
            raise ValueError(f"rate {rate}: virtual time passes 1 to {self.rate_max} times as fast as real time")

    def slot(self, number: int) -> Words:
        """Return a board's slot."""
        if not 0 <= number < layout.SLOTS_MAX:
            raise ValueError(f"board number {number}: a street has {layout.SLOTS_MAX} places")
        self._shared["boards"] = max(self._shared["boards"], number + 1)
        return Words(self._memory, layout.SLOTS_AT + layout.SLOT_BYTES * number, _SLOT)

    @property
    def rate(self) -> int:
        """The wanted rate."""
        return self._rate_wanted

    @rate.setter
    def rate(self, rate: int) -> None:
        self._check(rate)
        self._rate_wanted = rate
        self._shared["wanted"] = rate

    def now_us(self) -> int:
        """Return virtual us since the street began."""
        if self.is_jump:
            for _ in range(_READS_MAX):
                seq = self._shared["seq"]
                base = self._shared["v_s"] * 1_000_000 + self._shared["v_us"]
                since = (monotonic_us() - self._shared["r_us30"]) % RING
                if not seq & 1 and seq == self._shared["seq"]:
                    break
            return base + min(since, LIMIT_MAX_US)  # of a board that jumps all the time, a moment among its last ones
        with self._lock:
            return self._v_us + min((monotonic_us() - self._r_us) * self._rate, self._limit)

    def skip(self, us: int) -> None:
        """Let time pass at once; for a street without current, where nobody waits for anything."""
        if any(slot[_SLOT["state"] // 4] != _OFF for slot in self._slots().values()):
            raise ValueError("a board is on: it would be late")
        with self._lock:
            self._v_us += us

    def hold(self) -> None:
        """Stop virtual time: every board may run, and none of its waits ends."""
        if self.is_jump:
            raise ValueError("in jump mode time is the board's own")
        with self._lock:
            self._rebase(True, [])
            self._is_held = True
            self._rebase(True, [])

    def release(self) -> None:
        """Let virtual time pass again."""
        with self._lock:
            self._is_held = False
            self._rebase(True, [])

    def are_waiting(self) -> bool:
        """Tell whether every board that is on waits, so that nothing happens before time passes."""
        at = _SLOT["state"] // 4
        return all(slot[at] in (_OFF, _WAITING) for slot in self._slots().values())

    def stop(self) -> None:
        """End the thread. The file stays."""
        self._is_over.set()
        self._thread.join(timeout=5)
        self._bell.close()

    def _run(self) -> None:
        while not self._is_over.is_set():
            self._watch_dogs()
            if self.is_jump:
                self._is_over.wait(_SLOW_TICK_S)
                continue
            self._tick()
            is_fast = self._rate_wanted > 1
            # Not Event.wait: at half a millisecond its own cost would show.
            time.sleep(_FAST_TICK_S if is_fast else _SLOW_TICK_S)

    def _slots(self) -> dict[int, tuple[int, ...]]:
        fields = len(layout.SLOT_FIELDS)
        return {
            number: struct.unpack_from(f"<{fields}I", self._memory, layout.SLOTS_AT + layout.SLOT_BYTES * number)
            for number in list(self.on_bite)
        }

    def _tick(self) -> None:
        state_at, deadline_at, has_at = (_SLOT[name] // 4 for name in ("state", "deadline_ms30", "has_deadline"))
        slow_at, mail_at = _SLOT["slow_until_us30"] // 4, _SLOT["mail"] // 4
        real = monotonic_us()
        is_slow = self._rate_wanted == 1
        deadlines: list[int] = []
        is_anyone_there = False
        slots = self._slots()
        for slot in slots.values():
            if slot[state_at] == _OFF:
                continue
            is_anyone_there = True
            if slot[state_at] == 1 or slot[mail_at] or (slot[slow_at] and diff30(slot[slow_at], real % RING) > 0):
                is_slow = True
            elif slot[has_at]:
                deadlines.append(slot[deadline_at])
        with self._lock:
            self._rebase(is_slow or not is_anyone_there, deadlines)
        if self.slack_us:
            self._ring(slots)

    def _ring(self, slots: dict[int, tuple[int, ...]]) -> None:
        """Wake the boards whose deadline has come, once each."""
        state_at, deadline_at, port_at = (_SLOT[name] // 4 for name in ("state", "deadline_ms30", "radio_port"))
        has_at = _SLOT["has_deadline"] // 4
        ms30 = self.now_us() // 1000 % RING
        for number, slot in slots.items():
            deadline = slot[deadline_at]
            is_due = slot[state_at] == _WAITING and slot[has_at] and diff30(deadline, ms30) <= 0
            if is_due and self._rung.get(number) != deadline:
                self._rung[number] = deadline
                self._bell.sendto(b"!", ("127.0.0.1", slot[port_at]))

    def _rebase(self, is_slow: bool, deadlines: list[int]) -> None:
        shared = self._shared
        shared["seq"] = (shared["seq"] + 1) % RING
        real = monotonic_us()
        passed_us = max(0, real - self._r_us)
        self._v_us += min(passed_us * self._rate, self._limit)
        self._r_us = real
        self._rate, self._limit = SLOW_RATE, 0 if self._is_held else SLOW_LIMIT_US
        if not is_slow and not self._is_held:
            left_us = LIMIT_MAX_US
            ms30 = self._v_us // 1000 % RING
            for deadline in deadlines:
                left_us = min(left_us, diff30(deadline, ms30) * 1000 - self._v_us % 1000)
            if self.slack_us:
                if left_us > 0:
                    stride_us = min(left_us + self.slack_us, passed_us * self._rate_wanted)
                    if self.until_us is not None:
                        stride_us = min(stride_us, self.until_us - self._v_us)
                    self._v_us += max(0, stride_us)
            elif left_us > 0:
                self._rate, self._limit = self._rate_wanted, left_us
        self._write_fields()
        shared["seq"] = (shared["seq"] + 1) % RING

    def _write(self) -> None:
        self._shared["seq"] = 1
        self._write_fields()
        self._shared["seq"] = 2

    def _write_fields(self) -> None:
        shared = self._shared
        shared["v_s"] = self._v_us // 1_000_000
        shared["v_us"] = self._v_us % 1_000_000
        shared["v_ms30"] = self._v_us // 1000 % RING
        shared["v_us30"] = self._v_us % RING
        shared["r_us30"] = self._r_us % RING
        shared["rate"] = self._rate
        shared["limit_us"] = self._limit

    def _watch_dogs(self) -> None:
        """Bite for boards that are busy beyond their watchdog: the board itself bites only inside its own calls."""
        now30 = self.now_us() // 1000 % RING
        for number, bite in list(self.on_bite.items()):
            slot = self.slot(number)
            if slot["wdt_armed"] and slot["state"] == 1 and diff30(now30, slot["wdt_ms30"]) > WDT_GRACE_MS:
                bite()
