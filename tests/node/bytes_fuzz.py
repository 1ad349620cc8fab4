"""Any bytes, and damaged good ones, into the decoders of plans and journals. Runs under MicroPython too, as a program:

    micropython tests/node/bytes_fuzz.py plan|journal SEED COUNT FILE

FILE has good ones, one a line, in hexadecimal. It prints how many were read, how many refused, and a sum over where the
refusals were: the same on every interpreter. Anything else that is raised ends the program.
"""

# ruff: noqa: UP031  (what runs on the chip formats as the chip's own code does)

import binascii
import sys

from firmware.control.plan import Plan, PlanError
from firmware.control.plan_format import CRC_SIZE, LEVEL_MAX, PERIOD_ASTRO_AND_SENSOR, RAMP_MAX_DS
from firmware.system.journal_format import HEADER_SIZE, crc16, put_header
from firmware.system.journal_read import JournalError, fuzz_journal

_DAY_S = 86400
_SUM = 0x3FFFFFF


class Chance:
    """The same chance on every interpreter, in small integers: Wichmann and Hill's three generators (AS 183, 1982)."""

    def __init__(self, seed):
        self._x = 1 + seed % 30000
        self._y = 1 + seed // 30000 % 30000
        self._z = 4711

    def below(self, bound):
        """Return a number in 0 ... bound - 1, of at most some 29 bits."""
        self._x = self._x * 171 % 30269
        self._y = self._y * 172 % 30307
        self._z = self._z * 170 % 30323
        return (self._x << 14 ^ self._y << 7 ^ self._z) % bound

    def bytes(self, most):
        """Return 0 ... most - 1 bytes."""
        return bytes([self.below(256) for _ in range(self.below(most))])


def damaged(chance, good):
    """Return good bytes with one to four of them changed, removed, doubled or cut off."""
    data = bytearray(good)
    for _ in range(1 + chance.below(4)):
        if not data:
            break
        at = chance.below(len(data))
        kind = chance.below(8)
        if kind < 4:
            data[at] = chance.below(256)
        elif kind == 4:
            data[at] = data[at] ^ 1 << chance.below(8)
        elif kind == 5:
            data = data[:at] + data[at + 1 + chance.below(8) :]
        elif kind == 6:
            data = data[:at] + data[at : at + 8] + data[at:]
        else:
            data = data[:at]
    return data


def sealed(data):
    """Return a plan with length and check sum made right: what a wrong host would send."""
    size = max(len(data), 7 + CRC_SIZE)
    data = bytearray(data) + bytes(size - len(data))
    data[4], data[5] = size & 255, size >> 8
    crc = binascii.crc32(data[: size - CRC_SIZE])
    for i in range(CRC_SIZE):
        data[size - CRC_SIZE + i] = crc >> 8 * i & 255
    return data


def make_plan(chance, goods):
    """Return what may come as a plan: one in sixteen any bytes, of the rest half with a right check sum."""
    kind = chance.below(16)
    if kind == 0:
        return chance.bytes(300)
    if kind == 1:
        return bytes(sealed(b"RVP\x02\0\0" + chance.bytes(100)))
    data = damaged(chance, goods[chance.below(len(goods))])
    return bytes(sealed(data) if kind & 1 else data)


def fuzz_plan(data):
    """Read any bytes as a plan, and all that it has; return 0 where it is one. Raises ValueError for a value beyond its
    bound, and `PlanError` with a place in the bytes."""
    try:
        plan = Plan(data)
    except PlanError as error:
        if not 0 <= error.offset <= len(data):
            raise ValueError("refused at %d of %d bytes" % (error.offset, len(data))) from error
        return 1 + error.offset
    within(plan.default_level_permille, 0, LEVEL_MAX)
    within(plan.failsafe_level_permille, 1, LEVEL_MAX)
    for program in range(plan.programs):
        plan.select(program)
        for i in range(plan.periods):
            if plan.period_kind(i) > PERIOD_ASTRO_AND_SENSOR:
                continue  # It has no times: what stands in their place is read by nobody.
            within(plan.period_start_s(i), -_DAY_S, _DAY_S)
            within(plan.period_end_s(i), -_DAY_S, _DAY_S)
        last = -1
        for i in range(plan.fixed):
            within(plan.fixed_start_s(i), last + 1, _DAY_S - 1)
            last = plan.fixed_start_s(i)
            within(plan.fixed_level_permille(i), 0, LEVEL_MAX)
            within(plan.fixed_ramp_to_ms(i), 0, RAMP_MAX_DS * 100)
            within(plan.fixed_ramp_from_ms(i), 0, RAMP_MAX_DS * 100)
        for i in range(plan.astro):
            within(plan.astro_offset_s(i), -_DAY_S, _DAY_S)
            within(plan.astro_level_permille(i), 0, LEVEL_MAX)
        for i in range(plan.dynamic):
            within(plan.dynamic_level_permille(i), 0, LEVEL_MAX)
            within(plan.dynamic_ramp_to_ms(i), 0, RAMP_MAX_DS * 100)
    for i in range(plan.rules):
        within(plan.byte(plan.rule_at(i)), 0, plan.programs - 1)
    return 0


def within(value, least, most):
    if not least <= value <= most:
        raise ValueError("%d is not in %d to %d" % (value, least, most))


def make_journal(chance, goods):
    """Return what may lie on a flash as a segment: any bytes, damaged ones, and whole frames of nonsense."""
    kind = chance.below(8)
    if kind == 0:
        return chance.bytes(200)
    if kind < 5:
        return bytes(damaged(chance, goods[chance.below(len(goods))]))
    data = bytearray(HEADER_SIZE)
    put_header(data, chance.below(1 << 20), chance.below(1 << 20), 1)
    for _ in range(chance.below(6)):
        frame = b""
        while not frame:
            frame = chance.bytes(30)
        frame = bytes([len(frame)]) + frame
        crc = crc16(frame, 0, len(frame))
        data += frame + bytes((crc & 255, crc >> 8))
    return bytes(data)


def read_journal(data):
    """Read any bytes as a segment; return 0 where it is one, to its end or to a tear."""
    try:
        fuzz_journal(data)
    except JournalError as error:
        if not 0 <= error.place <= len(data):
            raise ValueError("refused at %d of %d bytes" % (error.place, len(data))) from error
        return 1 + error.place
    return 0


def fuzz(what, seed, count, goods):
    """Return (read, refused, sum over places)."""
    make, read = (make_plan, fuzz_plan) if what == "plan" else (make_journal, read_journal)
    chance = Chance(seed)
    taken = refused = places = 0
    for good in goods:
        if read(good):
            raise ValueError("a good one is refused")
    for _ in range(count):
        data = make(chance, goods)
        try:
            place = read(data)
        except Exception:
            print("over", binascii.hexlify(data).decode())
            raise
        if place:
            refused += 1
            places = (places + place * (refused & 1023)) & _SUM
        else:
            taken += 1
    return taken, refused, places


if __name__ == "__main__":
    with open(sys.argv[4]) as file:
        lines = file.read().split()
    print(*fuzz(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), [binascii.unhexlify(line) for line in lines]))
