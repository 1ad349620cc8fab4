"""Virtual time on the node, without asking anybody: the street's clock is a mapped file.

The conductor writes (virtual base, real base, rate, limit); a node computes `base + (real - real base) * rate`, never
beyond the limit. Reading is a seqlock: real time is read before the sequence number, and the writer marks the sequence
odd before it reads real time, so no reader sees time go back. Nothing here allocates on a 32-bit interpreter.

In jump mode there is no conductor: the node owns the clock, its rate is 1, and `jump()` moves it to the next deadline.
"""

import uctypes
from time import ticks_us as real_us

from . import layout

MASK = 0x3FFFFFFF
_HALF = 0x20000000


def fields(names, address):
    """Lay 32-bit words of these names over the memory at `address`."""
    shape = {}
    offset = 0
    for name in names:
        shape[name] = uctypes.UINT32 | offset
        offset += 4
    return uctypes.struct(address, shape, uctypes.LITTLE_ENDIAN)


def diff30(a, b):
    """Return a - b on the ring of 2^30, from -2^29 to 2^29 - 1."""
    return ((a - b + _HALF) & MASK) - _HALF


def add30(a, b):
    """Return a + b on the ring of 2^30, without an intermediate beyond 30 bits; 0 <= a, b < 2^30."""
    return (a - MASK - 1 + b) & MASK


class Clock:
    """The clock of one node. `ticks_*` count from this chip's power on or reset, `world_*` from the street's start."""

    def __init__(self, street_address, slot_number):
        self.shared = fields(layout.CLOCK_FIELDS, street_address)
        self.slot = fields(layout.SLOT_FIELDS, street_address + layout.SLOTS_AT + layout.SLOT_BYTES * slot_number)
        self.on_ms30 = 0
        self.on_us30 = 0
        self._seq = 1  # never equal to an even number: the first call reads
        self._s = self._us = self._ms30 = self._us30 = self._r = self._rate = self._limit = 0
        self.pretended_us = -1  # while an interrupt's handler runs for a moment that has just passed
        self.is_jump = self.shared.is_jump
        self._asked_us30 = self._answer_us30 = 0  # until when real time is wanted, 0 never

    def start_ticks(self, on_ms30, on_us30):
        """Say at which virtual moment this chip's ticks were 0."""
        self.on_ms30 = on_ms30
        self.on_us30 = on_us30

    def _read(self):
        shared = self.shared
        while True:
            seq = shared.seq
            if seq & 1:
                continue
            self._s = shared.v_s
            self._us = shared.v_us
            self._ms30 = shared.v_ms30
            self._us30 = shared.v_us30
            self._r = shared.r_us30
            self._rate = shared.rate
            self._limit = shared.limit_us
            if shared.seq == seq:
                self._seq = seq
                return

    def passed_us(self):
        """Return virtual us since the base in hand, which this call brings up to date."""
        real = real_us() & MASK
        if self.shared.seq != self._seq:
            self._read()
        rate = self._rate
        passed = diff30(real, self._r)
        if passed <= 0 or rate == 0:
            return 0
        if passed >= self._limit // rate:
            return self._limit
        return passed * rate

    def world_ms30(self):
        """Return virtual ms since the street began, modulo 2^30."""
        passed = self.passed_us()
        return add30(self._ms30, (self._us % 1000 + passed) // 1000)

    def ticks_ms(self):
        """Return ms since power on or reset, modulo 2^30."""
        return (self.world_ms30() - self.on_ms30) & MASK

    def ticks_us(self):
        """Return us since power on or reset, modulo 2^30."""
        if self.pretended_us >= 0:
            return self.pretended_us
        passed = self.passed_us()
        return (add30(self._us30, passed) - self.on_us30) & MASK

    def sub_ms_us(self):
        """Return the us within the present ms, 0 to 999."""
        return (self._us % 1000 + self.passed_us()) % 1000

    def world_s(self):
        """Return whole virtual seconds since the street began."""
        passed = self.passed_us()
        return self._s + (self._us + passed) // 1000000

    def stamp(self):
        """Return virtual seconds and ms since the street began, for events; one tuple is allocated."""
        passed = self.passed_us()
        total = self._us + passed
        return self._s + total // 1000000, total // 1000 % 1000

    def base_s(self):
        """Return whole seconds of the base in hand; call `passed_us` first."""
        return self._s

    def base_us(self):
        """Return the us of the base in hand."""
        return self._us

    def want_real_time(self, us):
        """Ask for real time during `us` of real time from now: somebody outside is about to do something."""
        until = add30(real_us() & MASK, us)
        if self._asked_us30 == 0 or diff30(until, self._asked_us30) > 0:
            self._asked_us30 = until or 1
            self._tell_slow()

    def want_answer(self, us):
        """The same for what a socket waits for; the last word holds, so that an answer may end it."""
        self._answer_us30 = add30(real_us() & MASK, us) or 1
        self._tell_slow()

    def _tell_slow(self):
        asked = self._asked_us30
        answer = self._answer_us30
        self.slot.slow_until_us30 = answer if asked == 0 or (answer and diff30(answer, asked) > 0) else asked

    def real_time_wanted_us(self):
        """Return for how many us more real time is wanted, 0 for none."""
        until = self.slot.slow_until_us30
        if until == 0:
            return 0
        left = diff30(until, real_us() & MASK)
        if left <= 0:
            self.slot.slow_until_us30 = self._asked_us30 = self._answer_us30 = 0
            return 0
        return left

    def own(self, jump_ms, jump_us=0):
        """Jump mode only: make now the new base, later than it is by ms and us (us below 1000)."""
        passed = self.passed_us()
        shared = self.shared
        ms30 = add30(self._ms30, (self._us % 1000 + passed + jump_us) // 1000)
        total = self._us + passed
        s = self._s + total // 1000000
        us = total % 1000000 + jump_ms % 1000 * 1000 + jump_us
        s += jump_ms // 1000 + us // 1000000
        shared.seq = shared.seq + 1 & MASK
        shared.v_s = s
        shared.v_us = us % 1000000
        shared.v_ms30 = add30(ms30, jump_ms)
        # The ring of us is shorter than a long jump: take the jump modulo 2^30 us by steps that stay small.
        us30 = add30(add30(self._us30, passed), jump_us)
        left = jump_ms
        while left > 1000000:
            us30 = add30(us30, 1000000000)
            left -= 1000000
        shared.v_us30 = add30(us30, left * 1000)
        shared.r_us30 = real_us() & MASK
        shared.seq = shared.seq + 1 & MASK
