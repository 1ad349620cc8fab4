"""What the node asks DALI gear: frames against python-dali's, addressing with twins and noise, memory that moves."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.drivers import dali_memory as memory
from firmware.drivers import dali_procedures as ask
from firmware.drivers.contract import UNKNOWN, BadAnswer, DriverError, NoAnswer
from firmware.drivers.dali_commissioning import commission
from firmware.drivers.dali_frames import CORRUPT, NOTHING
from sim.board.chips.dali_gear import Gear, number
from tests.node.dali_main import bench, commission_all, lines_of
from tests.runtimes import ROOT, Runtime

# From python-dali 9ba8e26: str(command), its frame, whether it is sent twice, whether it has a response.
PYTHON_DALI = (
    ("DAPC(5, 254)", ask.arc_frame(5, 254), 0x0AFE, False, False),
    ("DAPC(broadcast, off)", ask.arc_frame(ask.BROADCAST, 0), 0xFE00, False, False),
    ("DAPC(group 3, 128)", ask.arc_frame(ask.GROUP_0 + 3, 128), 0x8680, False, False),
    ("Off(5)", ask.command_frame(5, ask.OFF), 0x0B00, False, False),
    ("RecallMaxLevel(broadcast)", ask.command_frame(ask.BROADCAST, ask.RECALL_MAX_LEVEL), 0xFF05, False, False),
    ("Reset(63)", ask.command_frame(63, ask.RESET), 0x7F20, True, False),
    ("SetPowerOnLevel(5)", ask.command_frame(5, ask.SET_POWER_ON_LEVEL), 0x0B2D, True, False),
    ("SetSystemFailureLevel(5)", ask.command_frame(5, ask.SET_SYSTEM_FAILURE_LEVEL), 0x0B2C, True, False),
    ("SetMaxLevel(0)", ask.command_frame(0, ask.SET_MAX_LEVEL), 0x012A, True, False),
    ("SetMinLevel(0)", ask.command_frame(0, ask.SET_MIN_LEVEL), 0x012B, True, False),
    ("SetFadeTime(1)", ask.command_frame(1, ask.SET_FADE_TIME), 0x032E, True, False),
    ("SetExtendedFadeTime(1)", ask.command_frame(1, ask.SET_EXTENDED_FADE_TIME), 0x0330, True, False),
    ("EnableWriteMemory(2)", ask.command_frame(2, ask.ENABLE_WRITE_MEMORY), 0x0581, True, False),
    ("SetShortAddress(broadcast)", ask.command_frame(ask.BROADCAST, ask.SET_SHORT_ADDRESS), 0xFF80, True, False),
    ("QueryStatus(5)", ask.command_frame(5, ask.QUERY_STATUS), 0x0B90, False, True),
    ("QueryControlGearPresent(63)", ask.command_frame(63, ask.QUERY_GEAR_PRESENT), 0x7F91, False, True),
    (
        "QueryMissingShortAddress(unaddressed)",
        ask.command_frame(ask.UNADDRESSED, ask.QUERY_MISSING_SHORT_ADDRESS),
        0xFD96,
        False,
        True,
    ),
    ("QueryVersionNumber(5)", ask.command_frame(5, ask.QUERY_VERSION_NUMBER), 0x0B97, False, True),
    ("QueryContentDTR0(5)", ask.command_frame(5, ask.QUERY_CONTENT_DTR0), 0x0B98, False, True),
    ("QueryPhysicalMinimum(5)", ask.command_frame(5, ask.QUERY_PHYSICAL_MINIMUM), 0x0B9A, False, True),
    ("QueryActualLevel(broadcast)", ask.command_frame(ask.BROADCAST, ask.QUERY_ACTUAL_LEVEL), 0xFFA0, False, True),
    ("QueryMaxLevel(5)", ask.command_frame(5, ask.QUERY_MAX_LEVEL), 0x0BA1, False, True),
    ("QueryMinLevel(5)", ask.command_frame(5, ask.QUERY_MIN_LEVEL), 0x0BA2, False, True),
    ("QueryPowerOnLevel(5)", ask.command_frame(5, ask.QUERY_POWER_ON_LEVEL), 0x0BA3, False, True),
    ("QuerySystemFailureLevel(5)", ask.command_frame(5, ask.QUERY_SYSTEM_FAILURE_LEVEL), 0x0BA4, False, True),
    ("QueryFadeTimeFadeRate(5)", ask.command_frame(5, ask.QUERY_FADE_TIME_FADE_RATE), 0x0BA5, False, True),
    ("QueryExtendedFadeTime(5)", ask.command_frame(5, ask.QUERY_EXTENDED_FADE_TIME), 0x0BA8, False, True),
    ("QueryRandomAddressH(5)", ask.command_frame(5, ask.QUERY_RANDOM_ADDRESS_H), 0x0BC2, False, True),
    ("QueryRandomAddressM(5)", ask.command_frame(5, ask.QUERY_RANDOM_ADDRESS_M), 0x0BC3, False, True),
    ("QueryRandomAddressL(5)", ask.command_frame(5, ask.QUERY_RANDOM_ADDRESS_L), 0x0BC4, False, True),
    ("ReadMemoryLocation(5)", ask.command_frame(5, ask.READ_MEMORY_LOCATION), 0x0BC5, False, True),
    ("Terminate()", ask.TERMINATE, 0xA100, False, False),
    ("DTR0(18)", ask.DTR0 | 18, 0xA312, False, False),
    ("Initialise(broadcast)", ask.INITIALISE, 0xA500, True, False),
    ("Initialise(unaddressed)", ask.INITIALISE | 0xFF, 0xA5FF, True, False),
    ("Randomise()", ask.RANDOMISE, 0xA700, True, False),
    ("Compare()", ask.COMPARE, 0xA900, False, True),
    ("Withdraw()", ask.WITHDRAW, 0xAB00, False, False),
    ("SearchaddrH(171)", ask.SEARCH_ADDRESS_H | 171, 0xB1AB, False, False),
    ("SearchaddrM(205)", ask.SEARCH_ADDRESS_M | 205, 0xB3CD, False, False),
    ("SearchaddrL(239)", ask.SEARCH_ADDRESS_L | 239, 0xB5EF, False, False),
    ("ProgramShortAddress(5)", ask.PROGRAM_SHORT_ADDRESS | 11, 0xB70B, False, False),
    ("ProgramShortAddress(MASK)", ask.PROGRAM_SHORT_ADDRESS | ask.MASK, 0xB7FF, False, False),
    ("VerifyShortAddress(5)", ask.VERIFY_SHORT_ADDRESS | 11, 0xB90B, False, True),
    ("QueryShortAddress()", ask.QUERY_SHORT_ADDRESS, 0xBB00, False, True),
    ("DTR1(202)", ask.DTR1 | 202, 0xC3CA, False, False),
    ("WriteMemoryLocation(85)", ask.WRITE_MEMORY_LOCATION | 85, 0xC755, False, True),
    ("WriteMemoryLocationNoReply(170)", ask.WRITE_MEMORY_NO_REPLY | 170, 0xC9AA, False, False),
)


def kind_of(frame: int) -> int:
    """The command without its address or parameter: as a key for what python-dali knows of it."""
    first = frame >> 8
    if 0xA0 <= first <= 0xCB:
        return first << 8
    return 0x100 | frame & 0xFF if first & 1 else 0


FLAGS = {kind_of(frame): (is_twice, has_answer) for _, _, frame, is_twice, has_answer in PYTHON_DALI}


def follow(procedure, gear: Gear, refuse=None):
    """Run a procedure against one gear, frame by frame, without a wire. Returns (result, requests)."""
    requests = []
    answer = None
    now_ms = 0
    while True:
        try:
            request = procedure.send(answer)
        except StopIteration as stop:
            return stop.value, requests
        requests.append(request)
        answer = NOTHING
        if request < 0:
            now_ms -= request
            continue
        for _ in range(2 if request & ask.TWICE else 1):
            now_ms += 30
            said = gear.received(request & 0xFFFF, now_ms)
        if request & ask.ANSWER:
            answer = said if said >= 0 else NOTHING
            if refuse is not None and refuse(len(requests)):
                answer = CORRUPT


@pytest.mark.parametrize(("name", "request_", "frame", "is_twice", "has_answer"), PYTHON_DALI)
def test_frames_are_those_of_python_dali(name: str, request_: int, frame: int, is_twice: bool, has_answer: bool):
    """Why: one wrong bit in a command number, and the gear stores a fade time where its failure level should be."""
    assert request_ == frame, name


def test_what_is_stored_is_sent_twice():
    """Why: gear ignores a configuration command that it hears once (IEC 62386-102), without a word."""
    gear = Gear(5, 1)
    gear.power_on_level = gear.failure_level = 100
    procedures = (
        ask.protect(5),
        ask.set_limits(5, 20, 240),
        ask.set_fade(5, 4, -1),
        ask.set_fade(5, 0, 0x24),
        memory.read_values(5, 202, memory.ENERGY),
        commission(),
        commission(True),
    )
    seen = set()
    for procedure in procedures:
        _, requests = follow(procedure, gear)
        for request in requests:
            if request >= 0:
                flags = (bool(request & ask.TWICE), bool(request & ask.ANSWER))
                assert flags == FLAGS[kind_of(request & 0xFFFF)], hex(request)
                seen.add(kind_of(request & 0xFFFF))
    assert len(seen) >= 35


def test_lamp_fails_lit_and_memory_is_spared():
    """Why: a gear delivered with a failure level of 30 leaves a street dark when the node dies; and each start of each
    node must not wear its memory."""
    gear = Gear(5, 1)
    gear.power_on_level, gear.failure_level = 128, 30
    assert follow(ask.protect(5), gear)[0] is True
    assert (gear.power_on_level, gear.failure_level, gear.stored) == (254, 254, 2)
    assert follow(ask.protect(5), gear)[0] is False
    assert gear.stored == 2


def test_gear_that_does_not_keep_its_level_is_named():
    """Why: a gear that refuses to fail lit must be known before the first night, not after the first failure."""

    class Forgetful(Gear):
        def _configure(self, command: int) -> None:
            return

    gear = Forgetful(5, 1)
    gear.power_on_level = 0
    with pytest.raises(BadAnswer, match="dali 5: does not keep 254"):
        follow(ask.protect(5), gear)


def test_silence_and_noise_have_their_own_names():
    """Why: "no answer" sends the installer to the wire, "damaged answer" to two gears with one address."""
    with pytest.raises(NoAnswer, match="dali 6"):
        follow(ask.query(6, ask.QUERY_STATUS), Gear(5, 1))
    with pytest.raises(BadAnswer, match="dali 5"):
        follow(ask.query(5, ask.QUERY_STATUS), Gear(5, 1), refuse=lambda _: True)
    # Two damaged answers, then a good one.
    assert follow(ask.query(5, ask.QUERY_ACTUAL_LEVEL), Gear(5, 1), refuse=lambda n: n < 3)[0] == 254


def test_limits_are_set_in_an_order_gear_accepts():
    """Why: a maximum below the old minimum is corrected by the gear, and the lamp burns brighter than was asked."""
    gear = Gear(5, 1, physical_minimum=30)
    gear.minimum, gear.maximum = 200, 220
    assert follow(ask.set_limits(5, 1, 100), gear)[0] == (30, 100)
    assert (gear.minimum, gear.maximum) == (30, 100)


def test_addressing_of_64_gears_with_twins():
    """Why: a wrong address is a lamp that answers for its neighbour for twenty years.

    64 gears; five pairs that draw the same random number; then pairs whose equal answers look like one.
    """
    assert all(line.startswith("commission True") for line in lines_of(["commission", "64"]))


def test_addressing_on_the_chips_interpreters(micropython_runtime: Runtime):
    """Why: the search is 24-bit arithmetic on 31-bit small ints: there it sends the same frames."""
    done = micropython_runtime.run([ROOT / "tests/node/dali_main.py", "commission", "12"])
    assert done.stdout.splitlines() == lines_of(["commission", "12"]), done.stderr


@pytest.mark.parametrize("seed", [1, 2])
def test_addressing_survives_noise(seed: int):
    """Why: an installer addresses in the rain beside a contactor: with one frame and one answer in 50 damaged, the
    result is right."""
    assert commission_all(2, seed, 50).startswith("commission True")


@settings(max_examples=10)
@given(seed=st.integers(1, 10000), count=st.integers(1, 12), one_in=st.integers(6, 20))
def test_addressing_never_lies(seed: int, count: int, one_in: int):
    """Why: under heavy noise it is right or refused; a half-addressed pole reported as done is found years later."""
    gears = [Gear(-1, seed + i) for i in range(count)]
    world, master = bench(gears, seed)
    world.bus.fault, world.bus.noise_one_in = "noise", one_in
    try:
        given_ = world.result(master.run(commission()), 36_000_000)
    except DriverError:
        return
    assert sorted(gear.short for gear in gears) == given_ == list(range(count))


def test_addressing_leaves_the_others_alone():
    """Why: one gear is replaced on a pole of three; the other two keep their addresses and so their history."""
    gears = [Gear(0, 1), Gear(2, 2), Gear(-1, 3), Gear(-1, 4)]
    world, master = bench(gears)
    assert world.result(master.run(commission())) == [1, 3]
    assert [gear.short for gear in gears[:2]] == [0, 2]
    assert {gear.short for gear in gears[2:]} == {1, 3}
    assert world.result(master.run(commission(True))) == [0, 1, 2, 3]
    # The lamps burnt all the while.
    assert all(gear.history == [(0, 254)] for gear in gears)


def test_a_gear_too_many_is_refused():
    """Why: 65 gears on one bus are a wiring mistake, and the last must not take somebody's address."""
    world, master = bench([Gear(i, 1 + i) for i in range(64)] + [Gear(-1, 99)])
    with pytest.raises(BadAnswer, match="more than 64"):
        world.result(master.run(commission()))


def test_duplicate_addresses_are_seen():
    """Why: two gears with one short address, by hand or by a bad tool: their answers collide and say so."""
    world, master = bench([Gear(5, 1), Gear(5, 2)])
    # Different energies, so different bytes at the same moment.
    world.bus.gears[1].power_on_level = 85
    with pytest.raises(BadAnswer):
        world.result(master.run(ask.query(5, ask.QUERY_POWER_ON_LEVEL)))


def test_memory_is_read_as_one_moment(micropython_runtime: Runtime):
    """Why: a counter that turns over from 0x00FFFF while it is read byte by byte jumps by 65 kWh in a report, or back.

    The gear's counter moves with every byte here; the latch holds it.
    """
    lines = lines_of(["memory"])
    assert lines[0] in [f"energy_wh {65520 + i}" for i in range(8)]
    assert lines[1] == "power_mw 38500"
    done = micropython_runtime.run([ROOT / "tests/node/dali_main.py", "memory"])
    assert done.stdout.splitlines() == lines, done.stderr


def test_memory_without_a_latch_is_read_until_it_stands_still():
    """Why: not every gear shows its latch; then two equal readings are the proof, and a moving one is refused."""
    gear = Gear(5, 1)
    gear.banks[202].has_latch = False
    gear.banks[202].data[2] = 0xFF
    gear.banks[202].write = lambda at, value: -1
    assert follow(memory.read_values(5, 202, memory.ENERGY), gear)[0] == [123456, 38500]
    ticks = [0]

    def run_on(data: bytearray) -> None:
        ticks[0] += 1
        number(data, 5, 6, ticks[0])

    gear.banks[202].mover = run_on
    with pytest.raises(BadAnswer, match="moves while read"):
        follow(memory.read_values(5, 202, memory.ENERGY), gear)


@pytest.mark.parametrize(
    ("data", "kind", "factor", "highest", "value"),
    [
        # DiiA 252: first byte a signed power of ten, then Wh or W. 385 * 10^-1 W.
        (b"\xff\x00\x00\x01\x81", memory.SCALED, 1000, 4294967293, 38500),
        (b"\x03\x00\x00\x00\x00\x01\x00", memory.SCALED, 1, 281474976710653, 256000),
        (b"\xfe\x00\x00\x00\x00\x01\x63", memory.SCALED, 1, 281474976710653, 3),
        (b"\x00\xff\xff\xff\xff\xff\xff", memory.SCALED, 1, 281474976710653, UNKNOWN),
        (b"\x00\xff\xff\xff\xff\xff\xfe", memory.SCALED, 1, 281474976710653, UNKNOWN),
        (b"\x07\x00\x00\x00\x00\x00\x01", memory.SCALED, 1, 281474976710653, UNKNOWN),
        # DiiA 253: 0.1 V, 0.01, -60 degrees, percent up to 100.
        (b"\x08\xfd", memory.NUMBER, 1, 65533, 2301),
        (b"\x61", memory.NUMBER, 10, 100, 970),
        (b"\x65", memory.NUMBER, 10, 100, UNKNOWN),
        (b"\x00", memory.TEMPERATURE, 10, 253, -600),
        (b"\x3b", memory.TEMPERATURE, 10, 253, -10),
        (b"\xfd", memory.TEMPERATURE, 10, 253, 1930),
        (b"\xfe", memory.TEMPERATURE, 10, 253, memory.UNKNOWN_DC),
        (b"\xff", memory.TEMPERATURE, 10, 253, memory.UNKNOWN_DC),
    ],
)
def test_values_by_hand(data: bytes, kind: int, factor: int, highest: int, value: int):
    """Why: 0xFF is "not available" and 0xFE "not now"; taken for numbers they are 281 TWh and 195 degrees."""
    assert memory.value_of(data, kind, factor, highest) == value


@given(data=st.binary(min_size=8, max_size=8), kind=st.sampled_from([memory.NUMBER, memory.SCALED, memory.TEMPERATURE]))
def test_any_bytes_are_a_value_or_unknown(data: bytes, kind: int):
    """Why: a gear's memory may hold anything."""
    value = memory.value_of(data, kind, 1000, 4294967293)
    assert value in (UNKNOWN, memory.UNKNOWN_DC) or -60000 <= value <= 4294967293 * 10**9


def test_short_and_missing_banks():
    """Why: older gear has shorter banks or none; what it has is reported, the rest is unknown."""
    gear = Gear(5, 1)
    gear.banks[205].data[0] = 0x0E
    found = follow(memory.read_values(5, 205, memory.GEAR), gear)[0]
    assert found[:5] == [3600 * 4100, 365, 2301, 50, 970]
    assert found[5:] == [UNKNOWN, UNKNOWN, memory.UNKNOWN_DC, UNKNOWN]
    del gear.banks[206]
    with pytest.raises(NoAnswer, match="bank 206"):
        follow(memory.read_values(5, 206, memory.LIGHT_SOURCE), gear)


def test_identity_tells_another_luminaire():
    """Why: node and luminaire are swapped on the ladder; the luminaire's own number is the only witness."""
    gear = Gear(5, 77)
    names = [value[0] for value in memory.LUMINAIRE]
    found = dict(zip(names, follow(memory.read_values(5, 1, memory.LUMINAIRE), gear)[0], strict=True))
    assert (found["identification"], found["nominal_mw"], found["nominal_lm"]) == (77, 40000, 6000)
    gear.fault = "wrong_id"
    other = dict(zip(names, follow(memory.read_values(5, 1, memory.LUMINAIRE), gear)[0], strict=True))
    assert other["identification"] != 77


def test_a_lost_byte_is_not_a_shift():
    """Why: when the gear misses one READ, all later bytes belong to other values; DTR0 at the end tells."""
    gear = Gear(5, 1)
    original = gear._read
    count = [0]

    def read_twice() -> int:
        count[0] += 1
        if count[0] == 4:
            # The frame was lost and the answer came from elsewhere: DTR0 stands still.
            answer = original()
            gear.dtr0 -= 1
            return answer
        return original()

    gear._read = read_twice
    assert follow(memory.read_bytes(5, 202, 4, 7), gear)[0] == bytes([0]) + (123456).to_bytes(6, "big")
