"""The board's end of the DALI bus double: RMT pulses go in, edges come out as pin interrupts.

The bus gives edges every 417 us; a process cannot wait so finely. So they are delivered together when the board next
serves what is due, within about a millisecond, but each with its own time: while its handler runs, `ticks_us` answers
the edge's moment (plus the jitter of the bus model). The driver reads the times it would read on the chip.
"""

from sim.board.chips.dali_bus import DaliBus

from . import idle, machine_pin
from .clock import MASK

_FAR_MS = 1000


class DaliPort:
    """`bus` hangs on two pins; it is a timer of the board's, due when the bus is."""

    def __init__(self, tx, rx, gears):
        self.bus = DaliBus(gears)
        self._is_advancing = False
        machine_pin.Pin(tx).line = _Transmitter(self)
        self._rx = machine_pin.Pin(rx)
        self._rx.line = _Receiver(self)
        self.bus.rx.handler = self._edge
        self.due30 = idle.clock.world_ms30()
        idle.timers.append(self)

    def now_us(self):
        """Return us since the street began, without a wrap."""
        clock = idle.clock
        s, ms = clock.stamp()
        return (s * 1000 + ms) * 1000 + clock.sub_ms_us()

    def _edge(self, rx):
        handler = self._rx.handler
        if handler is None:
            return
        clock = idle.clock
        clock.pretended_us = (self.bus.now_us - clock.on_us30) & MASK
        try:
            handler(self._rx)
        finally:
            clock.pretended_us = -1

    def advance(self):
        """Let the bus have the present time; edges that are due are delivered."""
        if self._is_advancing:
            self.due30 = (idle.clock.world_ms30() + 1) & MASK
            return
        self._is_advancing = True
        try:
            self.bus.advance(self.now_us())
        finally:
            self._is_advancing = False
        self.plan()

    def plan(self):
        """Find when the bus is next due."""
        bus = self.bus
        next_us = bus._edges[0] if bus._edges else -1
        if bus._due_us >= 0 and (next_us < 0 or bus._due_us < next_us):
            next_us = bus._due_us
        wait_ms = _FAR_MS if next_us < 0 else max(1, (next_us - self.now_us()) // 1000 + 1)
        self.due30 = (idle.clock.world_ms30() + wait_ms) & MASK
        idle.reschedule()

    def fire(self):
        """Come due (called by the board)."""
        self.advance()


class _Transmitter:
    """What hangs on the transmitting pin: esp32.RMT hands its pulses here."""

    def __init__(self, port):
        self._port = port

    def value(self, level=None):
        return 0

    def write_pulses(self, duration, data, idle_level):
        """Send; durations in us."""
        self._port.advance()
        self._port.bus.rmt._idle = idle_level
        self._port.bus.rmt.write_pulses(duration, data)
        self._port.plan()

    def wait_done(self):
        """Tell whether the last frame is over."""
        self._port.advance()
        return self._port.bus.rmt.wait_done()


class _Receiver:
    """What hangs on the receiving pin."""

    def __init__(self, port):
        self._port = port

    def value(self, level=None):
        self._port.advance()
        return self._port.bus.level()
