"""A DALI control gear as a double: IEC 62386-102:2014's commands that this project sends, D4i banks, and bad manners.

It is written from the public descriptions that firmware/drivers/dali_procedures.py names, and shares no code with it.
It takes frames (16-bit ints) and gives answers; what they look like on the wire is `dali_bus`'s. Runs on CPython and
MicroPython. No hardware stands behind it: it behaves as the standard is understood, not as any maker's gear was
measured.

``fault``: "none", "no_answer" (obeys, silent), "deaf" (dead or cut off), "stuck" (answers, keeps its level), "noise"
(its answers are damaged), "late" (answers too late), "wrong_id" (another luminaire's identity), "brown_out" (restarts
once).
"""

FAULTS = ("none", "no_answer", "deaf", "stuck", "noise", "late", "wrong_id", "brown_out")

_FADES_MS = (0, 707, 1000, 1414, 2000, 2828, 4000, 5657, 8000, 11314, 16000, 22627, 32000, 45255, 64000, 90510)
_STEPS_MS = (0, 100, 1000, 10000, 60000)
_TWICE_MS = 100
_INITIALISE_MS = 15 * 60 * 1000
# Answers to queries that need no state but a variable: command -> attribute.
_PLAIN = {
    0x97: "version",
    0x98: "dtr0",
    0x9A: "physical_minimum",
    0x9C: "dtr1",
    0xA1: "maximum",
    0xA2: "minimum",
    0xA3: "power_on_level",
    0xA4: "failure_level",
    0xA8: "extended",
}


def still(data: bytearray) -> None:
    """Leave a bank's bytes as they are."""


class Bank:
    """A memory bank: ``data`` as it moves, byte 2 the lock or latch, ``mover`` called before each byte that is read."""

    def __init__(self, data: bytearray, has_latch: bool = False) -> None:
        self.data = data
        self.has_latch = has_latch
        self.snapshot = bytearray()
        self.mover = still

    def read(self, at: int) -> int:
        """Return a byte, -1 where there is none."""
        self.mover(self.data)
        if at > self.data[0] or at >= len(self.data) or at == 1:
            return -1
        return self.snapshot[at] if self.snapshot else self.data[at]

    def write(self, at: int, value: int) -> int:
        """Write the latch byte, or a byte behind an open lock; return the value, -1 where it may not be written."""
        if at == 2 and at <= self.data[0]:
            self.data[2] = value
            if self.has_latch:
                self.snapshot = bytearray(self.data) if value == 0xAA else bytearray()
            return value
        if self.has_latch or self.data[2] != 0x55 or not 3 <= at <= self.data[0]:
            return -1
        self.data[at] = value
        return value


def number(data: bytearray, at: int, length: int, value: int) -> None:
    """Put a number into a bank, most significant byte first."""
    for i in range(length):
        data[at + length - 1 - i] = value >> 8 * i & 255


def d4i_banks(serial: int = 1) -> dict:
    """Return banks 0, 1, 202, 205 and 206 of a plausible 40 W street luminaire (DiiA parts 251, 252, 253)."""
    zero = bytearray([0xFF] * 27)
    zero[0] = 26
    zero[2] = 206
    number(zero, 3, 6, 3760123456789)
    number(zero, 11, 8, serial)
    one = bytearray([0xFF] * 120)
    one[0] = 119
    number(one, 3, 6, 3760123456789)
    number(one, 9, 8, serial)
    number(one, 17, 2, 3)
    one[19] = 26
    one[20] = 31
    number(one, 21, 2, 40)
    number(one, 23, 2, 5)
    number(one, 29, 3, 6000)
    one[32] = 70
    number(one, 33, 2, 2700)
    energy = bytearray([0xFF] * 16)
    energy[0] = 15
    energy[3] = 1
    energy[4] = 0
    number(energy, 5, 6, 123456)
    energy[11] = 0xFF  # 10^-1
    number(energy, 12, 4, 385)
    gear = bytearray([0xFF] * 29)
    gear[0] = 28
    gear[3] = 1
    number(gear, 4, 4, 3600 * 4100)
    number(gear, 8, 3, 365)
    number(gear, 11, 2, 2301)
    gear[13] = 50
    gear[14] = 97
    for at in range(15, 27):
        gear[at] = 0
    gear[27] = 60 + 41
    gear[28] = 80
    source = bytearray([0xFF] * 33)
    source[0] = 32
    source[3] = 1
    number(source, 4, 3, 12)
    number(source, 7, 3, 730)
    number(source, 10, 4, 1000)
    number(source, 14, 4, 3600 * 4000)
    number(source, 18, 2, 480)
    number(source, 20, 2, 700)
    for at in range(22, 32):
        source[at] = 0
    return {0: Bank(zero), 1: Bank(one), 202: Bank(energy, True), 205: Bank(gear, True), 206: Bank(source, True)}


class Gear:
    """One gear. ``received(frame, now_ms)`` returns its answer (0 ... 255) or -1; ``level_at(now_ms)`` its arc."""

    def __init__(self, short: int = -1, seed: int = 1, version: int = 8, physical_minimum: int = 1) -> None:
        self.short = short
        self.seed = seed & 0x7FFFFFFF or 1
        self.version = version
        self.physical_minimum = physical_minimum
        self.minimum = physical_minimum
        self.maximum = 254
        self.power_on_level = 254
        self.failure_level = 254
        self.fade_code = 0
        self.rate_code = 7
        self.extended = 0
        self.groups = 0
        self.random_address = 0xFFFFFF
        self.banks = d4i_banks(seed)
        self.lamp_has_failed = False
        self.fault = "none"
        # Levels that were set, as (ms, arc): what the street saw.
        self.history: list = []
        # Writes to memory that wears.
        self.stored = 0
        self.draws: list = []
        self.restart(0)

    def restart(self, now_ms: int) -> None:
        """Come back from a loss of supply: variables in RAM are gone, the level is the power on level."""
        self.dtr0 = 0
        self.dtr1 = 0
        self.dtr2 = 0
        self.search = 0xFFFFFF
        self.initialised_until_ms = -1
        self.is_withdrawn = False
        self.may_write = False
        self.is_power_cycle = True
        self._pending = -1
        self._pending_ms = 0
        self._from = 0
        self._to = 0
        self._since_ms = now_ms
        self._fade_ms = 0
        self._set(self.power_on_level if self.power_on_level < 255 else 254, now_ms, 0)

    def bus_failed(self, now_ms: int) -> None:
        """Go to the system failure level: the bus was low for 550 ms."""
        if self.failure_level < 255 and self.fault != "deaf":
            self._set(self.failure_level, now_ms, 0)

    def level_at(self, now_ms: int) -> int:
        """Return the arc power level at a time: along a fade, steps are equal."""
        passed = now_ms - self._since_ms
        if self._fade_ms <= 0 or passed >= self._fade_ms:
            return self._to
        return self._from + (self._to - self._from) * passed // self._fade_ms

    def received(self, frame: int, now_ms: int) -> int:
        """Take a 16-bit forward frame; return the answer, -1 for none."""
        if self.fault == "deaf":
            return -1
        if self.fault == "brown_out":
            self.fault = "none"
            self.restart(now_ms)
            return -1
        first, second = frame >> 8, frame & 255
        if 0xA0 <= first <= 0xCB:
            answer = self._special(first, second, frame, now_ms)
        elif self._is_mine(first):
            if first & 1:
                answer = self._command(second, frame, now_ms)
            else:
                self.may_write = False
                answer = self._arc(second, now_ms)
        else:
            self.may_write = False
            self._pending = -1
            answer = -1
        return -1 if self.fault == "no_answer" else answer

    def _is_mine(self, first: int) -> bool:
        address = first >> 1
        if address < 64:
            return address == self.short
        if address < 80:
            return bool(self.groups >> (address - 64) & 1)
        return address == 127 or (address == 126 and self.short < 0)

    def _is_second(self, frame: int, now_ms: int) -> bool:
        """Return whether this frame repeats the one before within 100 ms."""
        if self._pending == frame and now_ms - self._pending_ms <= _TWICE_MS:
            self._pending = -1
            return True
        self._pending = frame
        self._pending_ms = now_ms
        return False

    def _set(self, arc: int, now_ms: int, fade_ms: int) -> None:
        if arc == 255:
            self._to = self._from = self.level_at(now_ms)
            self._fade_ms = 0
            return
        if arc:
            arc = min(max(arc, self.minimum), self.maximum)
        if self.fault == "stuck":
            return
        self._from = self.level_at(now_ms)
        self._to = arc
        self._since_ms = now_ms
        self._fade_ms = fade_ms
        if not self.history or self.history[-1][1] != arc:
            self.history.append((now_ms, arc))

    def _arc(self, arc: int, now_ms: int) -> int:
        self._pending = -1
        self.is_power_cycle = False
        if self.fade_code:
            fade_ms = _FADES_MS[self.fade_code]
        else:
            multiplier = self.extended >> 4
            fade_ms = ((self.extended & 15) + 1) * _STEPS_MS[multiplier] if self.version >= 8 else 0
        self._set(arc, now_ms, fade_ms)
        return -1

    def _command(self, command: int, frame: int, now_ms: int) -> int:
        if command != 0x81 and command not in (0x98, 0x9C, 0x9D):
            self.may_write = False
        if 0x20 <= command <= 0x81:
            if self._is_second(frame, now_ms):
                self._configure(command)
            return -1
        self._pending = -1
        if command in (0x00, 0x05, 0x06):
            self.is_power_cycle = False
            self._set((0, self.maximum, self.minimum)[(0x00, 0x05, 0x06).index(command)], now_ms, 0)
            return -1
        return self._answer(command, now_ms)

    def _configure(self, command: int) -> None:
        value = self.dtr0
        if command == 0x2A:
            self.maximum = max(self.minimum, min(value, 254))
        elif command == 0x2B:
            self.minimum = min(max(value, self.physical_minimum), self.maximum)
        elif command == 0x2C:
            self.failure_level = value
        elif command == 0x2D:
            self.power_on_level = value
        elif command == 0x2E:
            self.fade_code = min(value, 15)
        elif command == 0x2F:
            self.rate_code = min(max(value, 1), 15)
        elif command == 0x30 and self.version >= 8:
            self.extended = value if value <= 0x4F else 0
        elif 0x60 <= command <= 0x7F:
            bit = 1 << (command & 15)
            self.groups = self.groups | bit if command < 0x70 else self.groups & ~bit
        elif command == 0x80:
            if value == 255:
                self.short = -1
            elif value & 0x81 == 1:
                self.short = value >> 1
        elif command == 0x81:
            self.may_write = True
            return
        else:
            return
        self.stored += 1

    def _answer(self, command: int, now_ms: int) -> int:
        if command in _PLAIN:
            if command == 0xA8 and self.version < 8:
                return -1
            return int(getattr(self, _PLAIN[command]))
        if command == 0x90:
            level = self.level_at(now_ms)
            bits = 0x02 if self.lamp_has_failed else 0x04 if level else 0
            bits |= 0x10 if level != self._to else 0
            bits |= 0x40 if self.short < 0 else 0
            return bits | (0x80 if self.is_power_cycle else 0)
        if command == 0x91:
            return 255
        if command == 0x96:
            return 255 if self.short < 0 else -1
        if command == 0x99:
            return 6
        if command == 0xA0:
            return 0 if self.lamp_has_failed else self.level_at(now_ms)
        if command == 0xA5:
            return self.fade_code << 4 | self.rate_code
        if 0xC2 <= command <= 0xC4:
            return self.random_address >> (0xC4 - command) * 8 & 255
        if command == 0xC5:
            return self._read()
        return -1

    def _read(self) -> int:
        bank = self.banks.get(self.dtr1)
        if bank is None:
            return -1
        answer = int(bank.read(self.dtr0))
        if self.fault == "wrong_id" and self.dtr1 == 1 and 9 <= self.dtr0 <= 16:
            answer ^= 0x5A
        self.dtr0 = min(self.dtr0 + 1, 255)
        return answer

    def _special(self, first: int, second: int, frame: int, now_ms: int) -> int:
        if first not in (0xA3, 0xC3, 0xC5, 0xC7, 0xC9):
            self.may_write = False
        if first == 0xA3:
            self.dtr0 = second
        elif first == 0xC3:
            self.dtr1 = second
        elif first == 0xC5:
            self.dtr2 = second
        elif first in (0xC7, 0xC9):
            return self._write(first, second)
        elif first == 0xA5:
            is_mine = second == 0 or (second == 255 and self.short < 0) or second == self.short << 1 | 1
            if is_mine and self._is_second(frame, now_ms):
                self.initialised_until_ms = now_ms + _INITIALISE_MS
                self.is_withdrawn = False
            return -1
        elif first == 0xA1:
            self.initialised_until_ms = -1
        elif now_ms <= self.initialised_until_ms:
            return self._addressing(first, second, frame, now_ms)
        self._pending = -1
        return -1

    def _write(self, first: int, value: int) -> int:
        bank = self.banks.get(self.dtr1)
        if bank is None or not self.may_write:
            return -1
        answer = int(bank.write(self.dtr0, value))
        self.dtr0 = min(self.dtr0 + 1, 255)
        return answer if first == 0xC7 else -1

    def _addressing(self, first: int, second: int, frame: int, now_ms: int) -> int:
        if first == 0xA7:
            if self._is_second(frame, now_ms):
                self._draw()
            return -1
        self._pending = -1
        is_found = self.random_address == self.search and not self.is_withdrawn
        if first == 0xA9:
            return 255 if self.random_address <= self.search and not self.is_withdrawn else -1
        if first == 0xAB and is_found:
            self.is_withdrawn = True
        elif first == 0xB1:
            self.search = self.search & 0x00FFFF | second << 16
        elif first == 0xB3:
            self.search = self.search & 0xFF00FF | second << 8
        elif first == 0xB5:
            self.search = self.search & 0xFFFF00 | second
        elif first == 0xB7 and is_found:
            if second == 255:
                self.short = -1
            elif second & 0x81 == 1:
                self.short = second >> 1
            self.stored += 1
        elif first == 0xB9:
            return 255 if self.short >= 0 and second == self.short << 1 | 1 else -1
        elif first == 0xBB and is_found:
            return 255 if self.short < 0 else self.short << 1 | 1
        return -1

    def _draw(self) -> None:
        if self.draws:
            # A test wants twins.
            self.random_address = self.draws.pop(0)
            return
        value = 0
        for _ in range(3):
            self.seed = (self.seed * 1103515245 + 12345) & 0x7FFFFFFF
            value = value << 8 | self.seed >> 16 & 255
        self.random_address = value
