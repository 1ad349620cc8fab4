"""A DALI bus with this node as its only master: frames out by RMT, answers in by pin interrupts (IEC 62386-101).

Wiring: the output pulls the bus low through an opto-coupler or a transistor, the input sees the bus through another.
`RMT <https://docs.micropython.org/en/latest/library/esp32.html#rmt>`_ makes exact half bits while Python does other
things: ``esp32.RMT(0, pin=Pin(tx), clock_div=RMT_CLOCK_DIV, idle_level=idle_tx)``; a level left high behind a frame
(IDF 5.3.2, MicroPython PR 16293) is harmless, because every frame ends with two half bits of idle.

ESP32's MicroPython cannot receive by RMT, and its pin interrupts are scheduled, not immediate: an edge's time is true
to some 20 us on a quiet node, and worse while memory is collected or flash written. A half bit may be 83 us wrong; what
is worse is a damaged answer, and callers ask again. So a busy node reads its gear slowly and its lamp still obeys:
levels need no answer. Measured on no hardware.

Answers begin 5.5 to 10.5 ms after a frame; 2.4 to 13.4 ms are taken (after a stop condition; before the next frame may
begin), because edges and sleeps come late here. Anything else in the window is a damaged answer. No other master is
expected: collisions of forward frames are not looked for, damaged ones are found by asking the gear.
"""

import array

from ..control.compat import const
from .contract import BadAnswer, NoAnswer
from .dali_frames import (
    BACKWARD_BITS,
    CORRUPT,
    FRAME_HALVES,
    FRAME_US,
    HALF_BIT_US,
    NOTHING,
    decode,
    fill_levels,
)
from .dali_procedures import ANSWER, KEEP, TWICE

RMT_CLOCK_DIV = const(80)

# 35 edges of our own frame and 18 of an answer; a bus that has more is noise, and the rest is not worth memory.
EDGES_MAX = const(96)
_ANSWER_MIN_US = const(2400)
_ANSWER_MAX_US = const(13400)
# How long silence is listened to, so that gear which answers too late is heard and not talked over; and how long an
# answer lasts: 9 bits of at most 1000 us, and its stop condition.
_ANSWER_WAIT_MS = const(18)
_ANSWER_LENGTH_MS = const(12)
# From the end of a frame or an answer to the next frame: priority 1 is 13.5 to 14.7 ms.
_SETTLE_US = const(13600)
_TWICE_US = const(100000)
# A bus low for this long has failed: no supply, or a short (IEC 62386-101: then gear goes to its failure level).
BUS_FAILURE_MS = const(550)
_TWICE_TRIES = const(3)
# A frame that was shouted may still be on its way: its length, and the quiet after it.
_SETTLE_MAX_MS = const(29)


class ChipClock:
    """The node's time as a master and its dimmers need it; tests have their own. ``sleep_ms`` is awaited."""

    def __init__(self):
        import asyncio
        import time

        self.ticks_us = time.ticks_us
        self.ticks_ms = time.ticks_ms
        self.ticks_diff = time.ticks_diff
        self.sleep_ms = asyncio.sleep_ms


class DaliMaster:
    """One bus. ``rmt``: an esp32.RMT; ``rx``: a machine.Pin, input; ``idle_tx``, ``idle_rx``: their levels while the
    bus is idle. ``clock``: a `ChipClock` or a double.

    ``is_bus_down``: 1 while the bus stays low or our own frames do not come back. ``frames``, ``damaged``: counters,
    they stop at 2^30 - 1.
    """

    def __init__(self, rmt, rx, idle_tx=0, idle_rx=1, clock=None):
        self.clock = clock or ChipClock()
        self._ticks_us = self.clock.ticks_us
        self._rmt = rmt
        self._rx = rx
        self._idle_tx = bool(idle_tx)
        self._idle_rx = idle_rx
        self._levels = [self._idle_tx] * FRAME_HALVES
        self._edges = array.array("i", [0] * EDGES_MAX)
        self._times = array.array("i", [0] * EDGES_MAX)
        self._count = 0
        self._is_taken = False
        self._is_in_procedure = False
        self._urgent = 0
        self._end_us = self._ticks_us()
        self.is_bus_down = 0
        self.frames = 0
        self.damaged = 0
        # Bound once: an interrupt must not allocate.
        self._edge_ref = self._on_edge
        rx.irq(handler=self._edge_ref, trigger=rx.IRQ_RISING | rx.IRQ_FALLING)

    def _on_edge(self, _pin):
        count = self._count
        if count < EDGES_MAX:
            self._edges[count] = self._ticks_us() & 0x3FFFFFFF
            self._count = count + 1

    def shout(self, frame):
        """Start a frame now, without waiting, looking or raising: for a constructor that wants light at once.

        Returns False when the bus is in use: then the frame is not sent.
        """
        if self._is_taken:
            return False
        try:
            self._start(frame)
        except OSError:
            return False
        return True

    async def run(self, procedure, is_urgent=False):
        """Run a procedure (`dali_procedures`) and return its result; raises what it raises, and `NoAnswer` for the bus.

        Readings and addressing run one at a time. Urgent ones, all that a lamp's dimmer does, go between their frames:
        they wait for one frame with its answer at most (65 ms, or 130 ms more where frames belong together, `KEEP`).
        An urgent one that sets DTR0 does so with `KEEP`; a reading that it disturbs sees that by DTR0 and begins anew.
        """
        clock = self.clock
        is_owner = False
        if is_urgent:
            self._urgent += 1
        try:
            while not is_urgent and self._is_in_procedure:
                await clock.sleep_ms(2)
            if not is_urgent:
                is_owner = self._is_in_procedure = True
            return await self._drive(procedure, is_urgent)
        finally:
            if is_owner:
                self._is_in_procedure = False
            if is_urgent:
                self._urgent -= 1
            procedure.close()

    async def _drive(self, procedure, is_urgent):
        clock = self.clock
        has_bus = False
        answer = None
        try:
            while True:
                try:
                    request = procedure.send(answer)
                except StopIteration as stop:
                    return stop.value
                if request < 0:
                    await clock.sleep_ms(-request)
                    answer = NOTHING
                    continue
                while not has_bus and (self._is_taken or (self._urgent and not is_urgent)):
                    await clock.sleep_ms(1)
                has_bus = self._is_taken = True
                answer = await self._exchange(request)
                if not request & KEEP:
                    has_bus = self._is_taken = False
        finally:
            if has_bus:
                self._is_taken = False

    async def _exchange(self, request):
        """Send one request and return its answer. The caller holds the bus."""
        frame = request & 0xFFFF
        if not request & TWICE:
            await self._send(frame)
        else:
            for i in range(_TWICE_TRIES):
                first_us = await self._send(frame)
                await self._send(frame)
                if self._since(first_us) < _TWICE_US:
                    break
                if i == _TWICE_TRIES - 1:
                    # Another task holds the processor for more than 60 ms each time.
                    raise BadAnswer("dali", "node too busy to send twice")
        return (await self._receive()) if request & ANSWER else NOTHING

    async def _send(self, frame):
        """Send a frame once the bus has been quiet long enough. Returns when it began; raises `NoAnswer`."""
        clock = self.clock
        rest_us = _SETTLE_US - self._since(self._end_us)
        if rest_us > 0:
            # After minutes of silence the ring of ticks has gone round and says anything: never wait longer than due.
            await clock.sleep_ms(min(rest_us // 1000 + 1, _SETTLE_MAX_MS))
        waited_ms = 0
        while self._rx.value() != self._idle_rx:
            if waited_ms >= BUS_FAILURE_MS:
                self.is_bus_down = 1
                raise NoAnswer("dali", "bus is low: short or no supply")
            await clock.sleep_ms(10)
            waited_ms += 10
        try:
            begin_us = self._start(frame)
        except OSError:
            raise NoAnswer("dali", "RMT does not send")
        await clock.sleep_ms(FRAME_US // 1000 + 1)
        while self._since(begin_us) < FRAME_US:
            await clock.sleep_ms(1)
        if self._count < 2:
            self.is_bus_down = 1
            raise NoAnswer("dali", "own frame not heard: bus open, short, or input dead")
        self.is_bus_down = 0
        return begin_us

    def _start(self, frame):
        fill_levels(frame & 0xFFFF, self._levels, self._idle_tx)
        self._count = 0
        begin_us = self._ticks_us()
        self._rmt.write_pulses(HALF_BIT_US, self._levels)
        self._end_us = (begin_us + FRAME_US) & 0x3FFFFFFF
        if self.frames < 0x3FFFFFFF:
            self.frames += 1
        return begin_us

    async def _receive(self):
        """Return the answer to the frame just sent: 0 ... 255, `NOTHING` or `CORRUPT`."""
        clock = self.clock
        end_us = self._end_us
        await clock.sleep_ms(_ANSWER_WAIT_MS)
        first = self._first_after(end_us)
        if first < self._count:
            await clock.sleep_ms(_ANSWER_LENGTH_MS)
        count = self._count
        if first >= count:
            return NOTHING
        self._end_us = self._edges[count - 1]
        answer = CORRUPT
        if count < EDGES_MAX and self._between(end_us, self._edges[first]) <= _ANSWER_MAX_US:
            for i in range(first + 1, count):
                self._times[i - first - 1] = self._between(self._edges[i - 1], self._edges[i])
            answer = decode(self._times, count - first - 1, BACKWARD_BITS)
        if answer < 0:
            # A single edge is noise too: somebody spoke.
            answer = CORRUPT
            if self.damaged < 0x3FFFFFFF:
                self.damaged += 1
        return answer

    def _first_after(self, end_us):
        """Return the index of the first edge that is no echo of our own frame."""
        first = 0
        while first < self._count and self._between(end_us, self._edges[first]) < _ANSWER_MIN_US:
            first += 1
        return first

    def _since(self, then_us):
        return self._between(then_us, self._ticks_us())

    def _between(self, from_us, to_us):
        """Return to - from on the ring of 2^30 us, -2^29 ... 2^29 - 1; every port's ring is a multiple of it."""
        difference = (to_us - from_us) & 0x3FFFFFFF
        return difference if difference < 0x20000000 else difference - 0x40000000
