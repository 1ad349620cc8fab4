"""The binary plan: written by the host, read by the node, and by nobody believed."""

import struct
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.control import plan as layout
from firmware.control.plan import Plan, PlanError, crc32
from host_tools.plan.encode import ActivePeriod, DynamicControl, FixedTimeControl, Program, encode

FULL = Program(
    fixed=[FixedTimeControl(19800, 400, 300), FixedTimeControl(79200, 200, 300)],
    periods=[
        ActivePeriod(layout.PERIOD_ASTRO_CLOCK, -600, 600),
        ActivePeriod(layout.PERIOD_ABSOLUTE, 61200, 28800),
    ],
    dynamic=[DynamicControl(layout.EFFECT_MAX, 1000, 200, 8, 80, 72000, 21600)],
    default_level_permille=700,
    default_ramp_ds=20,
)
# Where things stand in FULL's plan.
PERIODS_AT, FIXED_AT, DYNAMIC_AT, CRC_AT = 16, 32, 48, 64

times = st.integers(0, 86399)
ramps = st.integers(0, layout.RAMP_MAX_DS)
levels = st.integers(0, layout.LEVEL_MAX)
offsets = st.integers(-layout.ASTRO_OFFSET_MAX_S, layout.ASTRO_OFFSET_MAX_S)
periods = st.builds(ActivePeriod, st.just(layout.PERIOD_ABSOLUTE), times, times) | st.builds(
    ActivePeriod, st.just(layout.PERIOD_ASTRO_CLOCK), offsets, offsets
)
programs = st.builds(
    Program,
    st.lists(
        st.builds(FixedTimeControl, times, levels, ramps),
        min_size=1,
        max_size=layout.FIXED_MAX,
        unique_by=lambda control: control.start_s,
    ).map(lambda controls: sorted(controls, key=lambda control: control.start_s)),
    st.lists(periods, max_size=layout.PERIODS_MAX),
    st.lists(
        st.builds(DynamicControl, st.integers(0, 5), levels, st.integers(0, 65535), ramps, ramps, times, times),
        max_size=layout.DYNAMIC_MAX,
    ),
    levels,
    ramps,
)


def sealed(data: bytes) -> bytes:
    """Return a plan's bytes with length and check sum made right: what a wrong host, not a bad line, would send."""
    data = data[:4] + struct.pack("<H", len(data)) + data[6:-4]
    return data + struct.pack("<I", zlib.crc32(data))


def patched(at: int, new: bytes, program: Program = FULL) -> bytes:
    """Return FULL's plan with some bytes replaced and the check sum made right again."""
    data = encode(program)
    return sealed(data[:at] + new + data[at + len(new) :])


def refusal(data: bytes) -> PlanError:
    """Return the refusal of a plan; fails if it is taken."""
    with pytest.raises(PlanError) as caught:
        Plan(data)
    return caught.value


def test_every_byte_of_a_plan_guards_itself():
    """A byte that flips on the radio or in the flash must never become light. So each byte of a plan, changed to each
    of its 255 other values, is refused."""
    data = encode(FULL)
    assert len(data) == CRC_AT + 4
    for at in range(len(data)):
        for flip in range(1, 256):
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


@pytest.mark.parametrize("version", [0, 2, 255])
def test_a_plan_of_another_version_says_what_to_do(version):
    """A new host tool meets an old node on every roll-out. So a plan of another version is refused, with the remedy."""
    error = refusal(patched(3, bytes([version])))
    assert error.offset == 3
    assert f"format {version}" in str(error)
    assert "update the firmware" in str(error)


@given(st.binary(max_size=600))
def test_random_bytes_are_refused_and_nothing_else(data):
    """The node reads what anybody may have written to its flash. So any bytes give PlanError, and no other
    exception."""
    with pytest.raises(PlanError):
        Plan(data)


@given(st.binary(min_size=10, max_size=400).map(lambda body: sealed(b"RVP\x01\0\0" + body + b"\0\0\0\0")))
def test_bytes_with_a_right_check_sum_are_read_or_refused(data):
    """A check sum keeps accidents out, not mistakes of a host. So with it right, random bytes are still refused with
    PlanError, or every reader answers within the format's bounds."""
    try:
        plan = Plan(data)
    except PlanError as error:
        assert 0 <= error.offset <= len(data)
        return
    for index in range(plan.fixed):
        assert 0 <= plan.fixed_level_permille(index) <= layout.LEVEL_MAX


@given(programs, st.data())
def test_one_wrong_byte_under_a_right_check_sum_never_crashes(program, data):
    """Most plans from a faulty host are nearly right. So a real plan with one byte changed is refused with its place,
    or stays within every bound."""
    whole = encode(program)
    at = data.draw(st.integers(0, len(whole) - 5))
    changed = sealed(whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :])
    try:
        plan = Plan(changed)
    except PlanError as error:
        assert 0 <= error.offset <= len(changed)
        return
    starts = [plan.fixed_start_s(i) for i in range(plan.fixed)]
    assert starts == sorted(set(starts))
    assert all(0 <= start < 86400 for start in starts)
    assert all(plan.fixed_ramp_ms(i) <= layout.RAMP_MAX_DS * 100 for i in range(plan.fixed))


@given(programs)
def test_what_the_host_writes_is_what_the_node_reads(program):
    """Two programs share a format and nothing else. So whatever a program says, the node reads back the same."""
    plan = Plan(encode(program))
    assert plan.default_level_permille == program.default_level_permille
    assert plan.default_ramp_ms == program.default_ramp_ds * 100
    assert [
        ActivePeriod(plan.period_kind(i), plan.period_start_s(i), plan.period_end_s(i)) for i in range(plan.periods)
    ] == list(program.periods)
    assert [
        (plan.fixed_start_s(i), plan.fixed_level_permille(i), plan.fixed_ramp_ms(i)) for i in range(plan.fixed)
    ] == [(control.start_s, control.level_permille, control.ramp_ds * 100) for control in program.fixed]
    assert [
        (
            plan.dynamic_effect(i), plan.dynamic_value(i), plan.dynamic_hold_ms(i), plan.dynamic_ramp_up_ms(i),
            plan.dynamic_ramp_down_ms(i), plan.dynamic_start_s(i), plan.dynamic_end_s(i),
        )
        for i in range(plan.dynamic)
    ] == [
        (d.effect, d.value_permille, d.hold_ds * 100, d.ramp_up_ds * 100, d.ramp_down_ds * 100, d.start_s, d.end_s)
        for d in program.dynamic
    ]  # fmt: skip


def test_a_plan_written_by_hand_is_read():
    """A format is what its description says, not what our writer happens to do. So a plan is put together here from
    the table in `firmware/control/plan.py`, byte by byte, and read."""
    body = bytes.fromhex(
        "525650 01 2400"  # RVP, version 1, 36 bytes
        "bc02 1400"  # default light state 700 permille, ramp 2 s
        "01 01 00 000000"  # one period, one fixed time control
        "01 a8fdff 580200 00"  # astro clock, -600 s, +600 s
        "584d00 9001 2c01 00"  # 05:30, 400 permille, 30 s
    )
    data = body + struct.pack("<I", zlib.crc32(body))
    plan = Plan(data)
    assert (plan.default_level_permille, plan.default_ramp_ms) == (700, 2000)
    assert (plan.period_kind(0), plan.period_start_s(0), plan.period_end_s(0)) == (1, -600, 600)
    assert (plan.fixed_start_s(0), plan.fixed_level_permille(0), plan.fixed_ramp_ms(0)) == (19800, 400, 30000)


def u24(value: int) -> bytes:
    return (value & 0xFFFFFF).to_bytes(3, "little")


@pytest.mark.parametrize(
    ("at", "new", "word"),
    [
        (0, b"rvp", "not a plan"),
        (6, struct.pack("<H", 1001), "default light state"),
        (8, struct.pack("<H", 10001), "ramp"),
        (10, b"\x05", "active periods"),
        (10, b"\x01", "add up"),
        (11, b"\x00", "fixed time controls"),
        (11, b"\x31", "fixed time controls"),
        (11, b"\x03", "add up"),
        (12, b"\x02", "dynamic controls"),
        (12, b"\x00", "add up"),
        (PERIODS_AT, b"\x02", "kind"),
        (PERIODS_AT + 1, u24(-21601), "offset to the sun"),
        (PERIODS_AT + 4, u24(21601), "offset to the sun"),
        (PERIODS_AT + 9, u24(86400), "time of day"),
        (PERIODS_AT + 12, u24(-1), "time of day"),
        (FIXED_AT, u24(79200), "ascend"),
        (FIXED_AT, u24(79201), "ascend"),
        (FIXED_AT, u24(-1), "ascend"),
        (FIXED_AT + 8, u24(86400), "ascend"),
        (FIXED_AT + 3, struct.pack("<H", 1001), "level"),
        (FIXED_AT + 5, struct.pack("<H", 10001), "ramp"),
        (DYNAMIC_AT, b"\x06", "effect"),
        (DYNAMIC_AT + 1, u24(86400), "time of day"),
        (DYNAMIC_AT + 4, u24(86400), "time of day"),
        (DYNAMIC_AT + 7, struct.pack("<H", 1001), "value"),
        (DYNAMIC_AT + 11, struct.pack("<H", 10001), "ramp"),
        (DYNAMIC_AT + 13, struct.pack("<H", 10001), "ramp"),
    ],
)
def test_a_value_beyond_its_bound_is_refused_at_its_place(at, new, word):
    """Bounds keep every product inside 30 bits; one value beyond would be wrong on the chip alone. So each is refused,
    and the refusal names its byte and what is wrong with it."""
    error = refusal(patched(at, new))
    assert word in str(error)
    # Of a pair that does not ascend, the second is at fault.
    assert error.offset in (at, at + 8) if word == "ascend" else error.offset in (at, 10)
    assert str(error).startswith(f"plan, byte {error.offset}: ")


def test_the_bounds_themselves_are_taken():
    """A refusal one too early takes away what the manual promises. So the largest program there may be is read, all of
    its values at their bounds, and one more of anything is refused by the host as well."""
    largest = Program(
        fixed=[FixedTimeControl(86399 - 47 + i, 1000, 10000) for i in range(48)],
        periods=[ActivePeriod(layout.PERIOD_ASTRO_CLOCK, -21600, 21600), ActivePeriod(0, 0, 86399)] * 2,
        dynamic=[DynamicControl(5, 1000, 65535, 10000, 10000, 86399, 86399)],
        default_level_permille=1000,
        default_ramp_ds=10000,
    )
    plan = Plan(encode(largest))
    assert (plan.fixed, plan.periods, plan.dynamic) == (48, 4, 1)
    assert plan.dynamic_hold_ms(0) == 6_553_500
    for beyond in (
        replace(largest, fixed=[FixedTimeControl(i, 0, 0) for i in range(49)]),
        replace(largest, fixed=[]),
        replace(largest, periods=[ActivePeriod(0, 0, 0)] * 5),
        replace(largest, dynamic=[DynamicControl(0, 0, 0, 0, 0)] * 2),
        replace(largest, fixed=[FixedTimeControl(5, 0, 0), FixedTimeControl(5, 1, 0)]),
        replace(largest, default_level_permille=1001),
    ):
        with pytest.raises(PlanError):
            encode(beyond)
