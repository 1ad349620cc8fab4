"""D4i memory banks of a DALI gear: who it is, what it burns, how it feels. Read as consistent snapshots.

Banks and values: DiiA parts 251 (bank 1), 252 (bank 202) and 253 (205, 206); addresses, lengths, units and limits as in
python-dali's tables (lighting-facts.json, d4i_banks). Bytes come most significant first; all 0xFF is "not available",
0xFF..FE "not now": both are `UNKNOWN` here. The first byte of an energy or power is its power of ten, -6 ... 6.

A value of several bytes may move while it is read. So a bank is latched first (0xAA in its byte 2), each byte read adds
one to DTR0, and DTR0 is compared at the end: then no byte was lost or read twice. Where a gear does not show the latch,
the bytes are read twice and must agree.
"""

from ..control.compat import const
from .contract import UNKNOWN, BadAnswer, DriverError, NoAnswer
from .dali_frames import CORRUPT, NOTHING
from .dali_procedures import (
    ANSWER,
    BROADCAST,
    DTR0,
    DTR1,
    ENABLE_WRITE_MEMORY,
    KEEP,
    QUERY_CONTENT_DTR0,
    READ_MEMORY_LOCATION,
    TRIES,
    TWICE,
    WRITE_MEMORY_NO_REPLY,
    command_frame,
    name_of,
    query,
)

BANK_LUMINAIRE = const(1)
BANK_ENERGY = const(202)
BANK_GEAR = const(205)
BANK_LIGHT_SOURCE = const(206)

_LOCK_BYTE = const(2)
_LATCH = const(0xAA)
_UNLATCH = const(0xFF)
# 0 degrees C is stored as 60.
_ZERO_C = const(60)
# 2^30 - 1: counters for reports stop there (34 years in s), so that they stay small ints on the chip.
_SMALL_MAX = const(0x3FFFFFFF)

# How bytes become a value, and by what a number is multiplied.
NUMBER = const(0)
SCALED = const(1)
TEMPERATURE = const(2)

# attribute, first byte, bytes, kind, factor, highest valid raw number
LUMINAIRE = (
    ("gtin", 0x03, 6, NUMBER, 1, 999999999999999),
    ("identification", 0x09, 8, NUMBER, 1, (1 << 64) - 2),
    ("made_year", 0x13, 1, NUMBER, 1, 99),
    ("made_week", 0x14, 1, NUMBER, 1, 53),
    ("nominal_mw", 0x15, 2, NUMBER, 1000, 65534),
    ("least_mw", 0x17, 2, NUMBER, 1000, 65534),
    ("nominal_lm", 0x1D, 3, NUMBER, 1, 16777214),
    ("colour_rendering", 0x20, 1, NUMBER, 1, 100),
    ("colour_k", 0x21, 2, NUMBER, 1, 17000),
)
ENERGY = (
    ("energy_wh", 0x04, 7, SCALED, 1, 281474976710653),
    ("power_mw", 0x0B, 5, SCALED, 1000, 4294967293),
)
GEAR = (
    ("operating_s", 0x04, 4, NUMBER, 1, 4294967293),
    ("starts", 0x08, 3, NUMBER, 1, 16777213),
    ("voltage_dv", 0x0B, 2, NUMBER, 1, 65533),
    ("frequency_hz", 0x0D, 1, NUMBER, 1, 253),
    ("power_factor_permille", 0x0E, 1, NUMBER, 10, 100),
    ("has_failed", 0x0F, 1, NUMBER, 1, 1),
    ("is_derating", 0x17, 1, NUMBER, 1, 1),
    ("temperature_dc", 0x1B, 1, TEMPERATURE, 10, 253),
    ("output_percent", 0x1C, 1, NUMBER, 1, 100),
)
LIGHT_SOURCE = (
    ("light_starts", 0x07, 3, NUMBER, 1, 16777213),
    ("light_s", 0x0E, 4, NUMBER, 1, 4294967293),
    ("light_dv", 0x12, 2, NUMBER, 1, 65533),
    ("light_ma", 0x14, 2, NUMBER, 1, 65533),
    ("light_has_failed", 0x16, 1, NUMBER, 1, 1),
    ("light_is_short", 0x18, 1, NUMBER, 1, 1),
    ("light_is_open", 0x1A, 1, NUMBER, 1, 1),
    ("light_temperature_dc", 0x20, 1, TEMPERATURE, 10, 253),
)
_ONCE_A_DAY = ((BANK_LUMINAIRE, LUMINAIRE[:2]), (BANK_LIGHT_SOURCE, LIGHT_SOURCE))
# Between two readings: control takes a meter that says nothing for 30 s for a missing one.
_PAUSE_MS = const(15000)
_ROUNDS_A_DAY = const(4800)
# Temperatures can be -10 (tenths), so "not available" is what control.derating takes for it.
UNKNOWN_DC = const(-32768)


def value_of(data, kind, factor, highest):
    """Return the integer of a value's bytes (1 ... 8 of them), `UNKNOWN` (`UNKNOWN_DC`) when it is masked or invalid.

    A number is multiplied by ``factor``, a scaled one by that and by ten to the power of its first byte, rounded down.
    """
    scale = 0
    if kind == SCALED:
        scale = data[0] if data[0] < 128 else data[0] - 256
        data = data[1:]
        if not -6 <= scale <= 6:
            return UNKNOWN
    raw = 0
    for byte in data:
        raw = raw << 8 | byte
    if raw > highest:
        return UNKNOWN_DC if kind == TEMPERATURE else UNKNOWN
    if kind == TEMPERATURE:
        return (raw - _ZERO_C) * factor
    raw *= factor
    return raw * 10**scale if scale >= 0 else raw // 10**-scale


def read_bytes(address, bank, start, length):
    """Return ``length`` bytes of a bank from ``start``, checked by DTR0. Does not latch.

    Raises `NoAnswer` where the gear has no such bank or byte, `BadAnswer` after noise in every try.
    """
    data = bytearray(length)
    problem = NOTHING
    for _ in range(TRIES):
        yield DTR1 | bank
        yield DTR0 | start
        problem = 0
        for i in range(length):
            answer = yield command_frame(address, READ_MEMORY_LOCATION) | ANSWER
            if answer < 0:
                problem = answer
                break
            data[i] = answer
        if problem == 0:
            end = yield from query(address, QUERY_CONTENT_DTR0)
            if end == start + length:
                return bytes(data)
            problem = CORRUPT
    if problem == NOTHING:
        raise NoAnswer(name_of(address), "no byte " + str(start) + " in bank " + str(bank))
    raise BadAnswer(name_of(address), "bank " + str(bank) + " not read whole")


def _latch(address, bank, byte):
    """Write the latch byte. Nobody may come between: any other command forbids writing again."""
    yield command_frame(address, ENABLE_WRITE_MEMORY) | TWICE | KEEP
    yield DTR1 | bank | KEEP
    yield DTR0 | _LOCK_BYTE | KEEP
    yield WRITE_MEMORY_NO_REPLY | byte


def read_snapshot(address, bank, start, length):
    """Return bytes of a bank that belong to one moment. About 1 s for 20 bytes. Raises as `read_bytes` does."""
    yield from _latch(address, bank, _LATCH)
    shown = yield from read_bytes(address, bank, _LOCK_BYTE, 1)
    data = yield from read_bytes(address, bank, start, length)
    if shown[0] != _LATCH:
        for _ in range(TRIES):
            again = yield from read_bytes(address, bank, start, length)
            if again == data:
                return data
            data = again
        raise BadAnswer(name_of(address), "bank " + str(bank) + " moves while read")
    yield from _latch(address, bank, _UNLATCH)
    return data


def read_values(address, bank, values):
    """Return the integers of a table of values (`ENERGY`, `GEAR` ...), in its order, from one snapshot.

    What lies behind the bank's last byte is `UNKNOWN`: older gear has shorter banks.
    """
    last = (yield from read_bytes(address, bank, 0, 1))[0]
    start = values[0][1]
    end = start
    for value in values:
        if value[1] + value[2] - 1 <= last:
            end = max(end, value[1] + value[2])
    if bank == BANK_LUMINAIRE or end == start:
        # Written once by the maker of the luminaire, so it has no latch.
        data = (yield from read_bytes(address, bank, start, end - start)) if end > start else b""
    else:
        data = yield from read_snapshot(address, bank, start, end - start)
    found = []
    for _, first, length, kind, factor, highest in values:
        at = first - start
        if at + length <= len(data):
            found.append(value_of(data[at : at + length], kind, factor, highest))
        else:
            found.append(UNKNOWN_DC if kind == TEMPERATURE else UNKNOWN)
    return found


class D4iMeter:
    """See `contract`, meter. `run` is a task that reads the gear every 15 s, and ``read()`` gives what it found: the
    bus is shared with the lamp's levels, which go first, so a bank takes 1 to 1.5 s and nobody waits for it.

    Attributes: ``energy_wh``, ``power_mw`` (bank 202), with ``has_diagnostics`` all of `GEAR`; and, read once a day,
    ``gtin`` and ``identification`` (bank 1) and all of `LIGHT_SOURCE`. `UNKNOWN` until read and where the gear does not
    give them (temperatures: `UNKNOWN_DC`). Seconds stop at 2^30 - 1. ``listener(meter)`` is called once a day, when all
    have been read.
    """

    # No bank has it.
    current_ma = UNKNOWN

    def __init__(self, master, address=BROADCAST, has_diagnostics=True):
        self._master = master
        self._address = address
        self._tables = ((BANK_ENERGY, ENERGY), (BANK_GEAR, GEAR)) if has_diagnostics else ((BANK_ENERGY, ENERGY),)
        self._error = None
        self.listener = None
        self.has_diagnostics = has_diagnostics
        for _, values in ((BANK_ENERGY, ENERGY), (BANK_GEAR, GEAR)) + _ONCE_A_DAY:
            for value in values:
                setattr(self, value[0], UNKNOWN_DC if value[3] == TEMPERATURE else UNKNOWN)  # names: D4iMeter

    def read(self):
        """Return power_mw as the gear gave it last. Raises as `fetch` did, while that fails."""
        if self._error is not None:
            raise self._error
        return self.power_mw

    async def run(self):
        """Read the gear for ever. Never returns, never raises but for cancellation."""
        rounds = 0
        while True:
            try:
                if not rounds:
                    await self._identify()
                await self.fetch()
                self._error = None
                if not rounds and self.listener is not None:
                    self.listener(self)
                rounds = (rounds + 1) % _ROUNDS_A_DAY
            except DriverError as error:
                self._error = error
            await self._master.clock.sleep_ms(_PAUSE_MS)

    async def fetch(self):
        """Read all that moves: about 1 s a bank on a quiet bus, 5 s at most. Raises `NoAnswer` or `BadAnswer`."""
        for bank, values in self._tables:
            await self._take(bank, values)

    async def _identify(self):
        for bank, values in _ONCE_A_DAY:
            try:
                await self._take(bank, values)
            except NoAnswer:
                continue  # Older gear has no such bank; dead gear is found by `fetch`.

    async def _take(self, bank, values):
        found = await self._master.run(read_values(self._address, bank, values))
        for i in range(len(values)):
            value = found[i]
            if values[i][0][-2:] == "_s" and value > _SMALL_MAX:
                value = _SMALL_MAX
            setattr(self, values[i][0], value)  # names: D4iMeter
