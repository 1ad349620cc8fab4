"""An alarm that flaps is switched off by its operator, one that is lost costs a dark street: each must come once."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.control import fault_names, faults
from firmware.control.faults import (
    CLEAR_S,
    CODES,
    CYCLING_FAILURE,
    LAMP_FAILURE,
    LATCHED,
    METER_MISSING,
    RAISE_S,
    RELAY_FAILURE,
    SENSOR_CHATTER,
    SEVERITY,
    STATE_SIZE,
    SUPPLY_LOSS,
    Faults,
)
from firmware.control.ticks import TICKS_MAX, ticks_add, ticks_diff
from tests.runtimes import ROOT

# TALQ 2.7.1, talq-data-model-2-7-1-online.json, components.schemas.
TALQ_EVENTS = {
    "LampMonitor": """
        absoluteLampPowerTooHigh absoluteLampPowerTooLow dimmingFailure powerFactorTooLow lampFailure invalidLampType
        highTemperature relayFailure lampPowerTooHigh lampPowerTooLow controlGearCommFailure cyclingFailure
        supplyLoss supplyVoltageTooHigh supplyVoltageTooLow contactorError lampUnexpectedOn leakageDetected
        currentTooHigh currentTooLow lampVoltageTooHigh lampVoltageTooLow
    """,
    "LampActuator": """
        lightStateChange invalidCalendar invalidLampType invalidProgram programChange calendarChange
        targetLightCommandChange controlGearComFailure
    """,
    "Time": "lastSyncError",
    "Communication": "communicationFailure",
    "": "deviceMalfunction invalidAddress invalidConfig functionError",
}
# Around the wrap of the ring a debounce begins before and ends after it.
STARTS = (0, 12345, TICKS_MAX - 59_999, TICKS_MAX)


def advance(table: Faults, tick: int) -> None:
    """Let what is due before ``tick`` happen at its own tick; what is due at ``tick`` comes after the inputs there."""
    while table.is_due and ticks_diff(tick, table.due_ms) > 0:
        table.pass_due(table.due_ms)


def settle(table: Faults, tick: int) -> None:
    advance(table, tick)
    if table.is_due and table.due_ms == tick:
        table.pass_due(tick)


def test_every_code_has_its_place_in_every_table():
    """A code without a name or a debounce would be a fault nobody can read."""
    no_codes = ("SEVERITY", "RAISE_S", "CLEAR_S", "LATCHED", "STATE_SIZE", "CODES")
    codes = {n: v for n, v in vars(faults).items() if n.isupper() and n[0] != "_" and n not in no_codes}
    assert sorted(codes.values()) == list(range(CODES))
    assert CODES <= 30
    assert len(SEVERITY) == len(RAISE_S) == len(CLEAR_S) == len(fault_names.NAMES) == CODES
    assert max(SEVERITY) < len(fault_names.SEVERITIES)
    latched = (CYCLING_FAILURE, RELAY_FAILURE, faults.DEVICE_MALFUNCTION)
    assert sum(1 << code for code in latched) == LATCHED
    for name, code in codes.items():
        if name != "CLOCK_DOUBT":  # TALQ has no doubt, only a synchronisation that failed
            assert fault_names.NAMES[code].lower() == name.replace("_", "").lower()


def test_names_are_those_of_talq():
    """A central system accepts an event only under the word of the standard, spelled as in that function."""
    for code, name in enumerate(fault_names.NAMES):
        function = fault_names.FUNCTIONS.get(code, "LampMonitor")
        is_talq = name in TALQ_EVENTS[function].split()
        assert is_talq == (code not in fault_names.OWN), name
    for code, name in fault_names.ACTUATOR_NAMES.items():
        assert name in TALQ_EVENTS["LampActuator"].split()
        assert name != fault_names.NAMES[code]


@pytest.mark.parametrize("start", STARTS)
def test_a_condition_raises_at_its_very_tick_and_clears_at_its_very_tick(start):
    """Two nodes that saw the same must report the same millisecond, wrap of the ring or not."""
    table = Faults()
    table.condition(start, LAMP_FAILURE, True)
    assert table.is_due and table.due_ms == ticks_add(start, 60_000)
    table.pass_due(ticks_add(start, 59_999))
    assert table.active == 0 and table.is_due
    table.pass_due(ticks_add(start, 60_000))
    assert table.active == table.present == table.raised == 1 << LAMP_FAILURE
    assert not table.is_due and table.cleared == 0
    end = ticks_add(start, 100_000)
    table.condition(end, LAMP_FAILURE, False)
    settle(table, ticks_add(end, 29_999))
    assert table.active == 1 << LAMP_FAILURE
    settle(table, ticks_add(end, 30_000))
    assert table.active == table.present == 0
    assert table.raised == table.cleared == 1 << LAMP_FAILURE
    table.taken()
    assert table.raised == table.cleared == 0
    assert table.counts[LAMP_FAILURE] == 1


@pytest.mark.parametrize("start", STARTS)
def test_a_condition_that_ends_at_the_due_tick_does_not_raise(start):
    """Inputs of a tick come before its deadlines, as in the controller: one rule for every part."""
    table = Faults()
    table.condition(start, LAMP_FAILURE, True)
    end = ticks_add(start, 60_000)
    advance(table, end)
    table.condition(end, LAMP_FAILURE, False)
    settle(table, end)
    assert table.raised == 0 and not table.is_due and table.counts[LAMP_FAILURE] == 0


def test_telling_a_condition_again_does_not_restart_its_debounce():
    """A meter that repeats itself every second must not put off its own alarm for ever."""
    table = Faults()
    for second in range(61):
        settle(table, second * 1000)
        table.condition(second * 1000, LAMP_FAILURE, True)
    assert table.active == 1 << LAMP_FAILURE
    assert table.counts[LAMP_FAILURE] == 1


def test_the_soonest_debounce_is_due_first():
    """The lamp sleeps until ``due_ms``: a fault behind a later one would be late."""
    table = Faults()
    table.condition(0, LAMP_FAILURE, True)
    table.condition(0, METER_MISSING, True)
    table.condition(5, SUPPLY_LOSS, True)
    assert table.due_ms == 1005
    table.condition(6, SUPPLY_LOSS, False)
    assert table.due_ms == 30_000
    table.pass_due(30_000)
    assert table.active == 1 << METER_MISSING and table.due_ms == 60_000


def test_what_has_no_debounce_is_there_at_once():
    """A sensor's own judge has already waited; waiting twice would hide the fault."""
    table = Faults()
    table.condition(7, SENSOR_CHATTER, True)
    assert table.raised == 1 << SENSOR_CHATTER and not table.is_due
    table.condition(7, SENSOR_CHATTER, False)
    assert table.cleared == 1 << SENSOR_CHATTER and table.active == 0


def test_unknown_stops_debounces_and_leaves_what_is_present():
    """A meter that dies proves nothing: neither that the last value lasts, nor that the fault is gone."""
    table = Faults()
    table.condition(0, METER_MISSING, True)
    settle(table, 30_000)
    table.condition(40_000, METER_MISSING, False)
    table.condition(40_000, LAMP_FAILURE, True)
    table.condition(40_000, SUPPLY_LOSS, True)
    table.unknown(1 << METER_MISSING | 1 << LAMP_FAILURE)
    settle(table, 500_000)
    assert table.active == 1 << METER_MISSING | 1 << SUPPLY_LOSS
    table.condition(500_000, METER_MISSING, False)
    settle(table, 530_000)
    assert table.active == 1 << SUPPLY_LOSS


def test_a_latched_fault_stays_until_somebody_has_looked():
    """A lamp that cycles is dark half the time it is asked: the alarm must outlive the good moments."""
    table = Faults()
    table.condition(0, CYCLING_FAILURE, True)
    assert not table.acknowledge(CYCLING_FAILURE)
    table.condition(10, CYCLING_FAILURE, False)
    assert table.active == 1 << CYCLING_FAILURE and table.present == 0 and table.cleared == 0
    table.condition(20, CYCLING_FAILURE, True)
    table.condition(30, CYCLING_FAILURE, False)
    assert table.counts[CYCLING_FAILURE] == 2
    assert table.acknowledge(CYCLING_FAILURE)
    assert table.active == 0 and table.cleared == 1 << CYCLING_FAILURE
    assert not table.acknowledge(CYCLING_FAILURE)


def test_a_latched_fault_waits_for_its_clear_debounce():
    """A relay that chatters is not repaired because it was quiet when the button was pressed."""
    table = Faults()
    table.condition(0, RELAY_FAILURE, True)
    settle(table, 10_000)
    table.condition(11_000, RELAY_FAILURE, False)
    settle(table, 20_999)
    assert not table.acknowledge(RELAY_FAILURE)
    settle(table, 21_000)
    assert table.acknowledge(RELAY_FAILURE)


def test_counts_stop_at_255():
    """A counter that wraps to 0 says that the worst lamp of the street is the best."""
    table = Faults()
    for i in range(300):
        table.condition(i, SENSOR_CHATTER, True)
        table.condition(i, SENSOR_CHATTER, False)
    assert table.counts[SENSOR_CHATTER] == 255


def test_latched_faults_survive_the_daily_cut_and_nonsense_is_refused():
    """Feeders are cut every day: a fault that only the power switch acknowledged was never seen."""
    table = Faults()
    table.condition(0, CYCLING_FAILURE, True)
    table.condition(0, SENSOR_CHATTER, True)
    buffer = bytearray(STATE_SIZE + 6)
    assert table.save(buffer, 3) == 3 + STATE_SIZE
    fresh = Faults()
    assert fresh.load(buffer, 3)
    assert fresh.active == 1 << CYCLING_FAILURE and fresh.raised == 0
    assert fresh.counts[SENSOR_CHATTER] == fresh.counts[CYCLING_FAILURE] == 1
    assert fresh.acknowledge(CYCLING_FAILURE)
    for mask in (1 << LAMP_FAILURE, 1 << 29, -1):
        bad = bytearray(mask.to_bytes(4, "little", signed=True)) + bytearray(CODES)
        fresh = Faults()
        assert not fresh.load(bad, 0) and fresh.active == 0
    assert not Faults().load(buffer, 7) and not Faults().load(buffer, -1)
    assert Faults().load(buffer[3 : 3 + STATE_SIZE], 0)


def told_moments(draw_codes):
    return st.lists(st.tuples(st.integers(0, 90_000), draw_codes, st.sampled_from([True, False, None])), max_size=40)


@given(
    told_moments(st.sampled_from([LAMP_FAILURE, METER_MISSING, SUPPLY_LOSS, RELAY_FAILURE])), st.sampled_from(STARTS)
)
def test_against_an_oracle_that_looks_back(moments, start):
    """The debounce restated from its definition: true for so long without a break, as one walks along the history."""
    table = Faults()
    now = 0
    oracle = {code: [False, False, None] for code in range(CODES)}  # told, present, since when they differ
    counts = dict.fromkeys(range(CODES), 0)
    for wait, code, told in [*moments, (400_000, SENSOR_CHATTER, False)]:
        now += wait
        for c, state in oracle.items():
            if state[2] is not None and now - state[2] > 1000 * (RAISE_S if state[0] else CLEAR_S)[c]:
                state[1], state[2] = state[0], None
                counts[c] += state[1]
        advance(table, ticks_add(start, now))
        state = oracle[code]
        if told is None:
            table.unknown(1 << code)
            state[0], state[2] = state[1], None
        else:
            table.condition(ticks_add(start, now), code, told)
            if told != state[0]:
                state[0] = told
                state[2] = now if told != state[1] else None
        assert table.present == sum(1 << c for c, s in oracle.items() if s[1])
        assert list(table.counts) == list(counts.values())


@given(told_moments(st.integers(0, CODES - 1)), st.lists(st.integers(0, 200_000), max_size=20))
def test_looking_more_often_changes_nothing(moments, looks):
    """A caller that polls and one that sleeps until it is due must raise the same faults at the same ticks."""

    def history(extra):
        table = Faults()
        changes = []

        def note(tick):
            if table.active != (changes[-1][1] if changes else 0):
                changes.append((tick, table.active))

        for tick, code, told in sorted([*told_at, *extra], key=lambda mark: mark[0]):
            while table.is_due and ticks_diff(tick, table.due_ms) > 0:
                due = table.due_ms
                table.pass_due(due)
                note(due)
            if code is None:
                # Somebody looks although nothing is due before the inputs of this tick.
                if not table.is_due or table.due_ms != tick:
                    table.pass_due(tick)
            else:
                table.condition(tick, code, told)
            note(tick)
        return changes

    told_at = []
    now = 0
    for wait, code, told in moments:
        now += wait
        told_at.append((now, code, bool(told)))
    told_at.append((now + 300_000, SENSOR_CHATTER, False))
    looks = [(tick, None, None) for tick in looks]
    assert history([]) == history(looks)


SCRIPT = """
try:
    from micropython import heap_lock, heap_unlock
except ImportError:
    heap_lock = heap_unlock = lambda: None
from firmware.control.faults import CODES, STATE_SIZE, Faults
from firmware.control.ticks import ticks_add, ticks_diff

table = Faults()
buffer = bytearray(STATE_SIZE)
tick = 0x3FFFFFFF - 3000000
seed = 7
for step in range(3000):
    seed = (seed * 1103 + 12345) % 65536
    tick = ticks_add(tick, seed % 7000)
    code = seed // 7 % CODES
    heap_lock()
    while table.is_due and ticks_diff(tick, table.due_ms) > 0:
        table.pass_due(table.due_ms)
    if seed % 5 == 0:
        table.unknown(seed * 997)
    elif seed % 11 == 0:
        table.acknowledge(code)
    else:
        table.condition(tick, code, seed % 2 == 0)
    table.save(buffer, 0)
    if step % 100 == 0:
        table.taken()
    heap_unlock()
    if step % 10 == 0:
        print(step, table.active, table.present, table.raised, table.cleared, table.is_due, table.due_ms)
print(list(table.counts), list(buffer), Faults().load(buffer, 0))
"""


def test_same_on_micropython_and_without_allocation(micropython_runtime, tmp_path):
    """What the chip raises must be what the simulator raises, and an alarm must not need a free heap."""
    program = tmp_path / "history.py"
    program.write_text(SCRIPT, encoding="utf-8")
    host = subprocess.run(
        [sys.executable, program], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True, timeout=60
    )
    chip = micropython_runtime.run([program])
    assert chip.returncode == 0, chip.stderr
    assert chip.stdout == host.stdout
    assert len(host.stdout.splitlines()) == 301
