"""The binary plan: written by the host, read by the node, and by nobody believed."""

import random
import struct
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.control import plan_format as layout
from firmware.control.plan import Plan, PlanError
from firmware.control.plan_verify import crc32
from host_tools.plan.encode import (
    ActivePeriod,
    AstroTimeControl,
    DynamicControl,
    FixedTimeControl,
    LampPlan,
    Program,
    Rule,
    encode,
)
from tests.control.lamp_nights import KINDS, random_plan

PROGRAM = Program(
    fixed=[FixedTimeControl(19800, 400, 300, 10), FixedTimeControl(79200, 200, 300)],
    periods=[ActivePeriod(layout.PERIOD_ASTRO_CLOCK, -600, 600), ActivePeriod(layout.PERIOD_ABSOLUTE, 61200, 28800)],
    astro=[AstroTimeControl(3600, layout.EVENT_SUNSET, layout.EFFECT_MUL, 500, 20, 30)],
    dynamic=[DynamicControl(layout.EFFECT_MAX, 1000, 200, 8, 80, period=(72000, 21600))],
)
RULES = [
    Rule(0, layout.CONDITION_DATE, dates=[(12, 24, 12, 26)], start=(2026, 1, 1)),
    Rule(0, layout.CONDITION_DAY, weekdays=0b1100000, occurrences=0b100001, end=(0, 3, 31)),
]
FULL = LampPlan([PROGRAM], RULES, default_level_permille=700)
# Where things stand in FULL's plan: header 24, tables 2 + 4, program 4.
PROGRAM_AT = 30
PERIODS_AT = PROGRAM_AT + 4
FIXED_AT = PERIODS_AT + 2 * layout.PERIOD_SIZE
ASTRO_AT = FIXED_AT + 2 * layout.FIXED_SIZE
DYNAMIC_AT = ASTRO_AT + layout.ASTRO_SIZE
RULES_AT = DYNAMIC_AT + layout.DYNAMIC_SIZE
DATE_AT = RULES_AT + layout.RULE_SIZE
RULE2_AT = DATE_AT + layout.DATE_SIZE
CRC_AT = RULE2_AT + layout.RULE_SIZE

plans = st.builds(
    lambda seed, kind: random_plan(random.Random(seed), kind), st.integers(0, 2**32), st.sampled_from(KINDS)
)


def sealed(data: bytes) -> bytes:
    """Return a plan's bytes with length and check sum made right: what a wrong host, not a bad line, would send."""
    data = data[:4] + struct.pack("<H", len(data)) + data[6:-4]
    return data + struct.pack("<I", zlib.crc32(data))


def patched(at: int, new: bytes) -> bytes:
    """Return FULL's plan with some bytes replaced and the check sum made right again."""
    data = encode(FULL)
    return sealed(data[:at] + new + data[at + len(new) :])


def refusal(data: bytes) -> PlanError:
    """Return the refusal of a plan; fails if it is taken."""
    with pytest.raises(PlanError) as caught:
        Plan(data)
    return caught.value


def test_every_byte_of_a_plan_guards_itself():
    """A byte that flips on the radio or in the flash must never become light. So each byte of a plan, with each of its
    bits flipped and with all of them, is refused."""
    data = encode(FULL)
    assert len(data) == CRC_AT + 4
    for at in range(len(data)):
        for flip in (1, 2, 4, 8, 16, 32, 64, 128, 255):
            with pytest.raises(PlanError):
                Plan(data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :])


def test_a_plan_cut_off_anywhere_is_refused():
    """A download ends where the radio ends. So no beginning of a plan is a plan, nor is a plan with something after."""
    data = encode(FULL)
    for length in range(len(data)):
        with pytest.raises(PlanError):
            Plan(data[:length])
    for tail in (b"\0", b"\xff" * 20, data):
        assert refusal(data + tail).offset == 4


def test_the_check_sum_is_the_worlds():
    """A plan may be checked by other people's tools. So its CRC is the one of IEEE 802.3, whose check value for
    "123456789" is CBF43926, and zlib's for anything else."""
    assert crc32(b"123456789", 9) == 0xCBF43926
    data = encode(FULL)
    assert crc32(data, CRC_AT) == zlib.crc32(data[:CRC_AT]) == struct.unpack("<I", data[CRC_AT:])[0]
    assert Plan(data).crc == struct.unpack("<I", data[CRC_AT:])[0] & 0xFFFF


@pytest.mark.parametrize("version", [0, 1, 3, 255])
def test_a_plan_of_another_version_says_what_to_do(version):
    """A new host tool meets an old node on every roll-out. So a plan of another version is refused, with the remedy."""
    error = refusal(patched(3, bytes([version])))
    assert error.offset == 3
    assert f"format {version}" in str(error)
    assert "update the firmware" in str(error)


@given(st.binary(max_size=600))
def test_random_bytes_are_refused_and_nothing_else(data):
    """The node reads what anybody may have written to its flash. So any bytes give PlanError, and nothing else."""
    with pytest.raises(PlanError):
        Plan(data)


@given(st.binary(min_size=18, max_size=400).map(lambda body: sealed(b"RVP\x02\0\0" + body + b"\0\0\0\0")))
def test_bytes_with_a_right_check_sum_are_read_or_refused(data):
    """A check sum keeps accidents out, not mistakes of a host. So with it right, random bytes are refused with their
    place, or the plan is one."""
    try:
        plan = Plan(data)
    except PlanError as error:
        assert 0 <= error.offset <= len(data)
        return
    assert plan.programs + plan.rules == 0 or data[:3] == b"RVP"


@given(plans, st.data())
def test_one_wrong_byte_under_a_right_check_sum_never_crashes(lamp_plan, data):
    """Most plans from a faulty host are nearly right. So a real plan with one byte changed is refused with its place,
    or stays within every bound."""
    whole = encode(lamp_plan)
    at = data.draw(st.integers(0, len(whole) - 5))
    changed = sealed(whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :])
    try:
        plan = Plan(changed)
    except PlanError as error:
        assert 0 <= error.offset <= len(changed)
        return
    for program in range(plan.programs):
        plan.select(program)
        starts = [plan.fixed_start_s(i) for i in range(plan.fixed)]
        assert starts == sorted(set(starts))
        assert all(0 <= start < 86400 for start in starts)
        assert all(plan.fixed_ramp_to_ms(i) <= layout.RAMP_MAX_DS * 100 for i in range(plan.fixed))


@given(plans)
def test_what_the_host_writes_is_what_the_node_reads(lamp_plan):
    """Two programs share a format and nothing else. So whatever a plan says, the node reads back the same."""
    plan = Plan(encode(lamp_plan))
    assert plan.day_offset_s == lamp_plan.day_offset_h * 3600
    assert plan.default_program == lamp_plan.default_program
    assert plan.default_level_permille == lamp_plan.default_level_permille
    assert plan.default_ramp_ms == lamp_plan.default_ramp_ds * 100
    assert plan.failsafe_level_permille == lamp_plan.failsafe_level_permille
    assert (plan.programs, plan.rules) == (len(lamp_plan.programs), len(lamp_plan.rules))
    for number, program in enumerate(lamp_plan.programs):
        plan.select(number)
        assert [
            ActivePeriod(
                plan.period_kind(i), plan.period_start_s(i), plan.period_end_s(i), plan.period_channel(i),
                plan.period_on_level(i), plan.period_off_level(i), plan.period_before_sunset_s(i) // 60,
                plan.period_before_sunrise_s(i) // 60, plan.period_operator(i),
            )
            for i in range(plan.periods)
        ] == list(program.periods)  # fmt: skip
        assert [
            (plan.fixed_start_s(i), plan.fixed_level_permille(i), plan.fixed_ramp_to_ms(i), plan.fixed_ramp_from_ms(i))
            for i in range(plan.fixed)
        ] == [(c.start_s, c.level_permille, c.ramp_to_ds * 100, c.ramp_from_ds * 100) for c in program.fixed]
        assert [
            (
                plan.astro_offset_s(i), plan.astro_event(i), plan.astro_operation(i), plan.astro_level_permille(i),
                plan.astro_ramp_to_ms(i), plan.astro_ramp_from_ms(i),
            )
            for i in range(plan.astro)
        ] == [
            (a.offset_s, a.event, a.operation, a.level_permille, a.ramp_to_ds * 100, a.ramp_from_ds * 100)
            for a in program.astro
        ]  # fmt: skip
        assert [
            (
                plan.dynamic_kind(i), plan.dynamic_channel(i), plan.dynamic_operation(i),
                plan.dynamic_level_permille(i), plan.dynamic_hold_ms(i), plan.dynamic_ramp_to_ms(i),
                plan.dynamic_ramp_from_ms(i),
                (plan.dynamic_start_s(i), plan.dynamic_end_s(i)) if plan.dynamic_has_period(i) else None,
            )
            for i in range(plan.dynamic)
        ] == [
            (
                d.kind, d.channel, d.operation, d.level_permille, d.hold_ds * 100, d.ramp_to_ds * 100,
                d.ramp_from_ds * 100, d.period,
            )
            for d in program.dynamic
        ]  # fmt: skip
    for number, rule in enumerate(lamp_plan.rules):
        at = plan.rule_at(number)
        assert (plan.byte(at), plan.byte(at + 1), plan.byte(at + 2)) == (rule.program, rule.condition, len(rule.dates))
        assert (plan.byte(at + 3), plan.byte(at + 4)) == (rule.weekdays, rule.occurrences)
        assert (plan.word(at + 6), plan.byte(at + 8), plan.byte(at + 9)) == (rule.start or (0, 0, 0))
        assert (plan.word(at + 10), plan.byte(at + 12), plan.byte(at + 13)) == (rule.end or (0, 0, 0))
        dates = [plan.rule_date_at(at, i) for i in range(len(rule.dates))]
        assert [tuple(plan.byte(at + i) for i in range(4)) for at in dates] == list(rule.dates)


def test_a_plan_written_by_hand_is_read():
    """A format is what its description says, not what our writer happens to do. So a plan is put together here from
    the table in `firmware/control/plan_format.py`, byte by byte, and read."""
    body = bytes.fromhex(
        "525650 02 4000 0c 00"  # RVP, version 2, 64 bytes, noon to noon, default program 0
        "bc02 1400 01 00 1800 1a00 9001 00000000"  # default 700, 2 s, one program, no rule, tables, fail-safe 400
        "1a00"  # the program stands at 26
        "01 01 00 00"  # one period, one fixed time control
        "01 03 a8fdff 580200 000000 000000 0000 0000 00 00"  # astro clock, channel lux, -600 s, +600 s
        "584d00 9001 2c01 0a00 00"  # 05:30, 400 permille, to in 30 s, from in 1 s
    )
    data = body + struct.pack("<I", zlib.crc32(body))
    assert len(data) == 64
    plan = Plan(data)
    plan.select(0)
    assert (plan.default_level_permille, plan.default_ramp_ms, plan.failsafe_level_permille) == (700, 2000, 400)
    assert (plan.period_kind(0), plan.period_start_s(0), plan.period_end_s(0)) == (1, -600, 600)
    assert (plan.fixed_start_s(0), plan.fixed_level_permille(0)) == (19800, 400)
    assert (plan.fixed_ramp_to_ms(0), plan.fixed_ramp_from_ms(0)) == (30000, 1000)


def u24(value: int) -> bytes:
    return (value & 0xFFFFFF).to_bytes(3, "little")


def u16(value: int) -> bytes:
    return struct.pack("<H", value)


@pytest.mark.parametrize(
    ("at", "new", "word"),
    [
        (0, b"rvp", "not a plan"),
        (6, b"\x06", "day offset"),
        (7, b"\x01", "default program"),
        (8, u16(1001), "default light state"),
        (10, u16(10001), "ramp"),
        (12, b"\x11", "programs"),
        (13, b"\x21", "rules"),
        (14, u16(26), "tables"),
        (16, u16(0), "tables"),
        (18, u16(0), "fails lit"),
        (18, u16(1001), "fail-safe"),
        (24, u16(PROGRAM_AT + 1), "points to"),
        (PROGRAM_AT, b"\x05", "active periods"),
        (PROGRAM_AT + 1, b"\x00", "fixed time controls"),
        (PROGRAM_AT + 1, b"\x31", "fixed time controls"),
        (PROGRAM_AT + 1, b"\x30", "add up"),
        (PROGRAM_AT + 2, b"\x09", "astro clock"),
        (PROGRAM_AT + 3, b"\x05", "dynamic controls"),
        (PERIODS_AT, b"\x05", "kind"),
        (PERIODS_AT + 1, b"\x04", "channel"),
        (PERIODS_AT + 2, u24(-21601), "offset to the sun"),
        (PERIODS_AT + 5, u24(21601), "offset to the sun"),
        (PERIODS_AT + 8, u24(1), "blink"),
        (PERIODS_AT + 11, u24(1000001), "sensor level"),
        (PERIODS_AT + 14, u16(181), "photocell"),
        (PERIODS_AT + 18, b"\x06", "operator"),
        (PERIODS_AT + 22, u24(86400), "time of day"),
        (PERIODS_AT + 25, u24(-1), "time of day"),
        (FIXED_AT, u24(79200), "ascend"),
        (FIXED_AT, u24(-1), "ascend"),
        (FIXED_AT + 10, u24(86400), "ascend"),
        (FIXED_AT + 3, u16(1001), "level"),
        (FIXED_AT + 5, u16(10001), "ramp"),
        (FIXED_AT + 7, u16(10001), "ramp"),
        (ASTRO_AT, u24(21601), "offset to the sun"),
        (ASTRO_AT + 3, b"\x02", "event"),
        (ASTRO_AT + 4, b"\x06", "operation"),
        (ASTRO_AT + 5, u16(1001), "level"),
        (DYNAMIC_AT, b"\x02", "kind of dynamic"),
        (DYNAMIC_AT + 1, b"\x04", "channel"),
        (DYNAMIC_AT + 2, b"\x06", "operation"),
        (DYNAMIC_AT + 3, b"\x02", "period"),
        (DYNAMIC_AT + 4, u24(86400), "time of day"),
        (DYNAMIC_AT + 7, u24(86400), "time of day"),
        (DYNAMIC_AT + 10, u16(1001), "level"),
        (DYNAMIC_AT + 14, u16(10001), "ramp"),
        (DYNAMIC_AT + 16, u16(10001), "ramp"),
        (RULES_AT, b"\x01", "program 1"),
        (RULES_AT + 1, b"\x03", "condition"),
        (RULES_AT + 1, b"\x00", "ccDate"),
        (RULES_AT + 2, b"\x11", "dates"),
        (RULES_AT + 8, b"\x0d", "month"),
        (RULES_AT + 13, b"\x20", "day"),
        (DATE_AT, b"\x0d", "month"),
        (DATE_AT + 1, b"\x00", "day 0"),
        (RULE2_AT + 3, b"\x80", "weekdays"),
        (RULE2_AT + 4, b"\x40", "occurrences"),
        (RULE2_AT + 2, b"\x01", "ccDate"),
    ],
)
def test_a_value_beyond_its_bound_is_refused_at_its_place(at, new, word):
    """Bounds keep every product inside 30 bits; one value beyond would be wrong on the chip alone. So each is refused,
    and the refusal names its byte and what is wrong with it."""
    error = refusal(patched(at, new))
    assert word in str(error)
    assert str(error).startswith(f"plan, byte {error.offset}: ")
    if word not in ("ascend", "add up", "tables", "blink", "ccDate"):
        assert error.offset == at


def test_a_plan_too_long_for_the_node_is_refused():
    """The flash of a node is small, and a plan is kept twice. So a longer one is refused by its length alone."""
    assert "leave programs out" in str(refusal(sealed(b"RVP\x02\0\0" + bytes(layout.PLAN_MAX_BYTES))))


def test_a_plan_without_a_program_is_the_default_light_state():
    """A lamp that no calendar names is still lit. So a plan may have no program at all."""
    plan = Plan(encode(LampPlan([], default_program=layout.NO_PROGRAM)))
    assert (plan.programs, plan.default_program) == (0, layout.NO_PROGRAM)


def test_the_bounds_themselves_are_taken():
    """A refusal one too early takes away what the manual promises. So the largest program there may be is read, all of
    its values at their bounds, and one more of anything is refused by the host as well."""
    program = Program(
        fixed=[FixedTimeControl(86399 - 47 + i, 1000, 10000, 10000) for i in range(48)],
        periods=[ActivePeriod(layout.PERIOD_ASTRO_CLOCK, -21600, 21600), ActivePeriod(0, 0, 86399)] * 2,
        astro=[AstroTimeControl(-21600, 1, 5, 1000, 10000, 10000)] * 8,
        dynamic=[DynamicControl(5, 1000, 65535, 10000, 10000, period=(86399, 86399))] * 4,
    )
    largest = LampPlan([program], [RULES[0]] * 32, default_level_permille=1000, default_ramp_ds=10000)
    plan = Plan(encode(largest))
    plan.select(0)
    assert (plan.fixed, plan.periods, plan.astro, plan.dynamic, plan.rules) == (48, 4, 8, 4, 32)
    assert plan.dynamic_hold_ms(0) == 6_553_500
    for beyond in (
        replace(program, fixed=[FixedTimeControl(i, 0) for i in range(49)]),
        replace(program, fixed=[]),
        replace(program, periods=[ActivePeriod(0)] * 5),
        replace(program, astro=[AstroTimeControl(0, 0, 0, 0)] * 9),
        replace(program, dynamic=[DynamicControl(0, 0)] * 5),
        replace(program, fixed=[FixedTimeControl(5, 0), FixedTimeControl(5, 1)]),
    ):
        with pytest.raises(PlanError):
            encode(replace(largest, programs=[beyond]))
    with pytest.raises(PlanError):
        encode(replace(largest, rules=[RULES[0]] * 33))
    with pytest.raises(PlanError):
        encode(replace(largest, default_level_permille=1001))
