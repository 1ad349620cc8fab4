"""A DALI bus as a double: pulses in as `esp32.RMT` gets them, edges out as a pin's interrupt sees them (IEC 62386-101).

The bus is a wired AND: it is low while anybody pulls it low. Forward frames are read by sampling in the middle of each
half bit (the driver measures times between edges: two ways that cannot be wrong alike), answers of all gears are laid
over each other, each with its own delay and its own speed. Timing: half bits of 400 to 433 us sent, answers after 5.5
to 10.5 ms (lighting-facts.json, dali_timing). Runs on CPython and MicroPython; time is told by ``advance(now_us)``.

``fault`` of the bus: "none", "no_answer" (all silent), "noise" (a third of frames and answers is damaged), "stuck" (a
short: low for ever), "open" (nothing gets through, high for ever), "collision" (a stranger answers too), "late",
"chatter" (pulses that are no frame). Gears have faults of their own (`dali_gear`).
"""

from .dali_gear import Gear

FAULTS = ("none", "no_answer", "noise", "stuck", "open", "collision", "late", "chatter")

HALF_US = 417
_STOP_US = 2400
_ANSWER_US = (5500, 10500)
_LATE_US = 15500
_BUS_FAILURE_MS = 550
_KEPT_US = 25000


def half_bits(value: int, bits: int) -> list:
    """Return the bus levels of a frame in half bits: a start bit of 1, then the value, most significant bit first."""
    levels = [0, 1]
    for i in range(bits - 1, -1, -1):
        levels += [0, 1] if value >> i & 1 else [1, 0]
    return levels


def lows_of(levels: list, half_us: int, at_us: int) -> list:
    """Return the times (from, to) in us at which a frame pulls the bus low."""
    lows: list = []
    for level in levels:
        if not level:
            if lows and lows[-1][1] == at_us:
                lows[-1] = (lows[-1][0], at_us + half_us)
            else:
                lows.append((at_us, at_us + half_us))
        at_us += half_us
    return lows


def merged(lows: list) -> list:
    """Return low times in order, those that touch or overlap as one."""
    found: list = []
    for low in sorted(lows):
        if found and low[0] <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], low[1]))
        else:
            found.append(low)
    return found


def sampled(lows: list, bits: int) -> int:
    """Return the frame of ``bits`` that begins with the first low, -1 when it is none."""
    if not lows:
        return -1
    begin = lows[0][0]

    def level(at_us: int) -> int:
        for low in lows:
            if low[0] <= at_us < low[1]:
                return 0
        return 1

    value = 0
    for i in range(bits + 1):
        at_us = begin + 2 * i * HALF_US
        first, second = level(at_us + HALF_US // 2), level(at_us + HALF_US + HALF_US // 2)
        if first == second:
            return -1
        value = value << 1 | second
    end = begin + 2 * (bits + 1) * HALF_US
    if value >> bits != 1 or any(low[1] > end + HALF_US // 2 for low in lows):
        return -1
    return value & (1 << bits) - 1


class Rmt:
    """The part of esp32.RMT that the driver uses: ``write_pulses(duration, data)`` in its three forms."""

    def __init__(self, bus: "DaliBus", idle: int) -> None:
        self._bus = bus
        self._idle = idle
        # From outside: raise OSError at the next call.
        self.is_broken = False

    def write_pulses(self, duration: object, data: object = True) -> None:
        """Start sending. Levels equal to the idle one leave the bus alone, the others pull it low."""
        if self.is_broken:
            raise OSError(5)
        if isinstance(duration, int):
            pulses = [(duration, 1 if level else 0) for level in data]  # type: ignore[attr-defined]
        elif isinstance(data, (list, tuple)):
            pulses = [(duration[i], 1 if data[i] else 0) for i in range(len(data))]  # type: ignore[index]
        else:
            start = 1 if data else 0
            pulses = [(duration[i], start ^ i & 1) for i in range(len(duration))]  # type: ignore[arg-type, index]
        self._bus.pulses(pulses, self._idle)

    def wait_done(self, timeout: int = 0) -> bool:
        """Return whether the last frame is over."""
        return self._bus.now_us >= self._bus.busy_until_us


def nobody(pin: object) -> None:
    """Hear nothing: the handler until there is one."""


class RxPin:
    """The part of machine.Pin that the driver uses."""

    IN = 1
    IRQ_RISING = 1
    IRQ_FALLING = 2

    def __init__(self, bus: "DaliBus") -> None:
        self._bus = bus
        self.handler = nobody

    def value(self) -> int:
        """Return the bus level now."""
        return self._bus.level()

    def irq(self, handler: object = None, trigger: int = 3) -> None:
        """Take the handler of both edges."""
        self.handler = handler  # type: ignore[assignment]


class DaliBus:
    """A bus and its gear. ``rmt`` and ``rx`` go to the driver. ``jitter_us``: how late an interrupt is at most.

    ``now_us``: the time, and inside an interrupt the time at which its handler runs. ``frames``: what was understood.
    """

    def __init__(self, gears: list, seed: int = 1, idle_tx: int = 0, jitter_us: int = 20) -> None:
        self.gears: list = gears
        self.fault = "none"
        self.jitter_us = jitter_us
        # A test may stretch every answer (half bits in us, 0 for each gear's own) and fix its delay (us, 0 for any).
        self.half_us = 0
        self.delay_us = 0
        # Of how many frames and of how many answers noise damages one.
        self.noise_one_in = 3
        self.now_us = 0
        self.busy_until_us = 0
        self.frames = 0
        self.rmt = Rmt(self, idle_tx)
        self.rx = RxPin(self)
        self._seed = seed & 0x7FFFFFFF or 1
        self._lows: list = []
        self._edges: list = []
        self._sent: list = []
        self._due_us = -1
        self._low_since_us = -1
        self._has_failed = False

    def chance(self, below: int) -> int:
        """Return a number 0 ... below - 1 of the bus's own sequence."""
        self._seed = (self._seed * 1103515245 + 12345) & 0x7FFFFFFF
        return (self._seed >> 8) % below

    def level(self) -> int:
        """Return 1 while the bus is high."""
        if self.fault == "stuck":
            return 0
        for low in self._lows:
            if low[0] <= self.now_us < low[1]:
                return 0
        return 1

    def pulses(self, pulses: list, idle: int) -> None:
        """Take the output's pulses (us, level), beginning now."""
        at_us = self.now_us
        sent: list = []
        for length, level in pulses:
            if level != idle:
                sent.append((at_us, at_us + length))
            at_us += length
        self.busy_until_us = at_us
        if self.fault in ("stuck", "open"):
            return
        self._sent = merged(sent)
        if self.fault == "noise" and self.chance(self.noise_one_in) == 0:
            start = self.now_us + self.chance(14000)
            sent.append((start, start + 100 + self.chance(900)))
            self._sent = merged(sent)
        self._pull(self._sent)
        self._due_us = self._sent[-1][1] + _STOP_US if self._sent else -1

    def advance(self, now_us: int) -> None:
        """Let time pass: interrupts are called, and gear that has heard a frame answers."""
        while True:
            edge_us = self._edges[0] if self._edges else now_us + 1
            if 0 <= self._due_us <= now_us and self._due_us <= edge_us:
                self.now_us = max(self.now_us, self._due_us)
                self._due_us = -1
                self._heard()
                continue
            if edge_us > now_us:
                break
            self._edges.pop(0)
            late_us = self.chance(self.jitter_us + 1) if self.jitter_us else 0
            self.now_us = max(self.now_us, edge_us + late_us)
            if self.fault not in ("stuck", "open"):
                self.rx.handler(self.rx)
        self.now_us = max(self.now_us, now_us)
        self._watch()

    def tick(self, now_ms: int) -> None:
        """Let time pass to now_ms."""
        self.advance(now_ms * 1000)

    def _watch(self) -> None:
        """Gear goes to its failure level when the bus has been low for 550 ms (IEC 62386-101)."""
        if self.fault != "stuck":
            self._low_since_us = -1
            self._has_failed = False
        elif self._low_since_us < 0:
            self._low_since_us = self.now_us
        elif not self._has_failed and self.now_us - self._low_since_us >= _BUS_FAILURE_MS * 1000:
            self._has_failed = True
            for gear in self.gears:
                gear.bus_failed(self.now_us // 1000)

    def _heard(self) -> None:
        """A frame is over: every gear hears it, and answers are laid on the bus."""
        # Whoever spoke into the frame is part of what gear hears.
        begin, end = self._sent[0][0], self._sent[-1][1] + _STOP_US
        frame = sampled([low for low in self._lows if low[1] > begin and low[0] < end], 16)
        if self.fault == "chatter":
            self._chatter()
        if frame < 0:
            return
        self.frames += 1
        lows: list = []
        for gear in self.gears:
            answer = gear.received(frame, self.now_us // 1000)
            if answer >= 0 and self.fault != "no_answer":
                lows += self._spoken(answer, gear)
        if self.fault == "collision" and lows:
            lows += self._spoken(self.chance(256), None)
        if lows:
            self._pull(lows)

    def _spoken(self, answer: int, gear: "Gear | None") -> list:
        # The frame was over one stop condition ago.
        earliest = self.now_us - _STOP_US + _ANSWER_US[0]
        at_us = earliest + self.chance(_ANSWER_US[1] - _ANSWER_US[0])
        if self.delay_us:
            at_us = self.now_us - _STOP_US + self.delay_us
        fault = gear.fault if gear is not None else "none"
        if fault == "late" or self.fault == "late":
            at_us = self.now_us - _STOP_US + _LATE_US
        lows = lows_of(half_bits(answer, 8), self.half_us or 400 + self.chance(34), at_us)
        if fault == "noise" or (self.fault == "noise" and self.chance(self.noise_one_in) == 0):
            start = at_us + self.chance(8000)
            lows.append((start, start + 50 + self.chance(600)))
            lows.pop(self.chance(len(lows)))
        return lows

    def _chatter(self) -> None:
        start = self.now_us
        for _ in range(self.chance(120)):
            start += 20 + self.chance(700)
            end = start + 20 + self.chance(700)
            self._pull([(start, end)])
            start = end

    def _pull(self, lows: list) -> None:
        # What is older than a frame and its stop condition concerns nobody.
        self._lows = merged([low for low in self._lows if low[1] > self.now_us - _KEPT_US] + lows)
        edges: list = []
        for low in self._lows:
            edges += [low[0], low[1]]
        self._edges = [at_us for at_us in edges if at_us >= self.now_us]
