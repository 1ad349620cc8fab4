"""PWM, 1-10 V and relays: the lamp at its safe level from the first microsecond, and known voltages."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.drivers.contract import OutOfRange
from firmware.drivers.dimmer_0_10v import VoltageDimmer
from firmware.drivers.dimmer_pwm import PwmDimmer
from firmware.drivers.points import check_points, interpolate
from firmware.drivers.relay import LatchingRelay, ReadBack, Relay
from sim.board.chips.lamp_outputs import Contact, Dac, OldPwm, Pin, Pwm, VoltageGear, Wires
from tests.node.dimmers_main import lines
from tests.runtimes import ROOT, Runtime


@pytest.mark.parametrize("kind", [Pwm, OldPwm])
@pytest.mark.parametrize("is_inverted", [False, True])
@pytest.mark.parametrize("safe", [1000, 700, 0])
def test_safe_level_from_the_first_moment(kind: type[Pwm], is_inverted: bool, safe: int):
    """Why: a lamp that flashes at each start of a node is seen by the whole street, and a watchdog may start it often.

    The pin stands lit before PWM begins; PWM gets its duty with its construction. What ESP32 before 1.26 does in
    between, half duty, lasts microseconds here and on the chip is not ours to remove.
    """
    wires = Wires()
    dimmer = PwmDimmer(Pin(wires), safe, is_inverted=is_inverted, pwm=kind)
    lit = 0 if is_inverted else 1
    assert wires.seen[0][1:] == ("pin", lit if safe else 1 - lit)
    duty = (safe * 65535 + 500) // 1000
    assert wires.history("duty")[-1] == (65535 - duty if is_inverted else duty)
    assert len(wires.history("duty")) == (2 if kind is OldPwm else 1)
    assert wires.now_us <= 100
    assert (dimmer.level_permille, dimmer.fault, dimmer.has_fades, dimmer.can_go_dark) == (safe, 0, False, True)


def test_pwm_known_duties():
    """Why: by hand: 500 permille of 65535 is 32768 (to the nearest), 100 is 6554; the frequency never changes."""
    wires = Wires()
    dimmer = PwmDimmer(Pin(wires), 1000, pwm=Pwm)
    for permille, duty in ((500, 32768), (100, 6554), (1, 66), (0, 0), (1000, 65535)):
        dimmer.write(permille)
        assert dimmer._pwm.duty == duty
    assert dimmer._pwm.frequency == 4000


def test_pwm_keeps_a_flicker_free_frequency():
    """Why: below 1250 Hz a full modulation is no longer low risk (IEEE 1789-2015): refused, not warned about."""
    for wrong in (0, 50, 1249, 40001):
        with pytest.raises(OutOfRange, match="frequency"):
            PwmDimmer(Pin(Wires()), 1000, frequency_hz=wrong, pwm=Pwm)


@given(levels=st.lists(st.integers(-10, 1010), max_size=30), minimum=st.integers(1, 300), is_inverted=st.booleans())
def test_pwm_is_monotonic_and_lit_is_never_dark(levels: list[int], minimum: int, is_inverted: bool):
    """Why: more asked is never less light, and any level above 0 is at least the minimum, whatever came before."""
    wires = Wires()
    dimmer = PwmDimmer(Pin(wires), 1000, minimum_permille=minimum, is_inverted=is_inverted, pwm=Pwm)
    pairs = []
    for level in levels:
        dimmer.write(level)
        duty = dimmer._pwm.duty
        pairs.append((min(max(level, 0), 1000), 65535 - duty if is_inverted else duty))
    for level, duty in pairs:
        assert (duty == 0) == (level == 0)
        assert level == 0 or duty >= minimum * 65
    pairs.sort()
    assert [duty for _, duty in pairs] == sorted(duty for _, duty in pairs)


def test_the_same_level_is_not_written_again():
    """Why: writing a duty restarts the period on some versions: ten times a second that is a shimmer."""
    wires = Wires()
    dimmer = PwmDimmer(Pin(wires), 400, pwm=Pwm)
    calls = []
    dimmer._pwm.duty_u16 = calls.append
    for _ in range(10):
        dimmer.write(400)
    dimmer.write(401)
    assert len(calls) == 1


def test_known_voltages():
    """Why: IEC 60929 Annex E: 10 V is full, 1 V the minimum; in between the gear is linear. By hand, 10 V scale."""
    dimmer = VoltageDimmer(Pin(Wires()), 1000, output=Pwm)
    assert [dimmer.millivolts(level) for level in (0, 50, 100, 550, 1000)] == [1000, 1000, 1000, 5500, 10000]
    for level, duty in ((1000, 65535), (550, 36044), (100, 6554), (0, 6554)):
        dimmer.write(level)
        assert dimmer._output.duty == duty
    gear = VoltageGear()
    assert [gear.light_permille(dimmer.millivolts(level)) for level in (0, 100, 550, 1000)] == [100, 100, 550, 1000]


def test_dark_needs_the_relay():
    """Why: the standard has no off: a node that believes 0 V is dark leaves every lamp at its minimum by day."""
    gear = VoltageGear()
    dimmer = VoltageDimmer(Pin(Wires()), 1000, output=Pwm)
    dimmer.write(0)
    assert not dimmer.can_go_dark
    assert gear.light_permille(dimmer.millivolts(0)) == 100
    other = VoltageDimmer(Pin(Wires()), 1000, off_mv=300, output=Pwm)
    other.write(0)
    assert other.can_go_dark
    assert other._output.duty == 300 * 65535 // 10000


def test_cut_wire_is_full_light():
    """Why: fails lit by the standard, and no driver here can see it: only a power meter can, so fault stays 0."""
    gear = VoltageGear()
    dimmer = VoltageDimmer(Pin(Wires()), 1000, output=Pwm)
    dimmer.write(200)
    assert gear.light_permille(dimmer.millivolts(200)) == 200
    gear.fault = "wire_cut"
    assert (gear.light_permille(dimmer.millivolts(200)), dimmer.fault) == (1000, 0)
    gear.fault = "short"
    assert gear.light_permille(dimmer.millivolts(1000)) == 100


def test_dac_and_inversion():
    """Why: 8 bits of a DAC are 39 mV a step at 10 V; an opto-coupler that pulls down turns the duty round."""
    dimmer = VoltageDimmer(Pin(Wires()), 550, is_dac=True, output=Dac)
    assert dimmer._output.code == 140
    assert abs(dimmer._output.code * 10000 // 255 - 5500) <= 39
    inverted = VoltageDimmer(Pin(Wires()), 1000, is_inverted=True, output=Pwm)
    assert inverted._output.duty == 0
    inverted.write(100)
    assert inverted._output.duty == 65535 - 6554


@pytest.mark.parametrize(
    "options",
    [
        {"points": (0, 1000)},
        {"points": (0, 1000, 1000, 10000, 5)},
        {"points": (0, 1000, 500, 5000, 500, 6000, 1000, 10000)},
        {"points": (1, 1000, 1000, 10000)},
        {"points": (0, 999, 1000, 10000)},
        {"points": (0, 1000, 1000, 10001)},
        {"full_scale_mv": 9999},
        {"full_scale_mv": 12001},
        {"off_mv": 1000},
        {"off_mv": -2},
    ],
)
def test_wrong_calibration_is_refused(options: dict[str, object]):
    """Why: a comma at the wrong place in a calibration is a road at a tenth of its light."""
    with pytest.raises(OutOfRange):
        VoltageDimmer(Pin(Wires()), 1000, output=Pwm, **options)


@given(data=st.lists(st.tuples(st.integers(1, 999), st.integers(0, 65535)), max_size=14), x=st.integers(0, 1000))
def test_points_are_met_and_lines_between_them(data: list[tuple[int, int]], x: int):
    """Why: what was measured at the gear comes out again, and nothing in between leaves its neighbours' range."""
    inner = sorted(dict(data).items())
    flat = [0, 7, *(one for pair in inner for one in pair), 1000, 65000]
    check_points("test", flat, 0, 65535)
    y = interpolate(flat, x)
    pairs = list(zip(flat[::2], flat[1::2], strict=True))
    for (x0, y0), (x1, y1) in itertools.pairwise(pairs):
        if x0 <= x <= x1:
            assert min(y0, y1) <= y <= max(y0, y1)
            assert abs(y - (y0 + (y1 - y0) * (x - x0) / (x1 - x0))) <= 0.5 + 1e-6
            break
    assert dict(pairs).get(x, y) == y


@pytest.mark.parametrize("is_active_high", [True, False])
@pytest.mark.parametrize("is_on_active", [True, False])
@pytest.mark.parametrize("is_on", [True, False])
def test_relay_levels(is_active_high: bool, is_on_active: bool, is_on: bool):
    """Why: normally open or closed, coil on 1 or on 0: four wirings, and in each the first level on the pin is
    right."""
    wires = Wires()
    relay = Relay(Pin(wires), is_on, is_active_high, is_on_active)
    coil_is_on = is_on == is_on_active
    assert wires.history("pin") == [1 if coil_is_on == is_active_high else 0]
    relay.write(not is_on)
    assert wires.history("pin")[-1] == (0 if coil_is_on == is_active_high else 1)
    assert relay.fault == 0


def test_read_back_finds_a_welded_contact():
    """Why: a contact that is welded burns all day, one that is open leaves a street dark; both look well from the coil.
    It says nothing while the contact moves, and a relay that has not moved for a week is judged rightly."""
    now = [0]
    contact = Contact()
    read_back = ReadBack(contact, True, lambda: now[0] & 0x3FFFFFFF, ring_diff)
    pin = Pin(Wires())
    relay = Relay(pin, True, read_back=read_back)
    now[0] = 1000
    assert relay.fault == 0
    contact.fault = "welded"
    relay.write(False)
    contact.coil(pin.level)
    now[0] += 199
    assert relay.fault == 0
    now[0] += 1
    assert relay.fault == 1
    contact.fault = "none"
    assert relay.fault == 0
    contact.fault = "open"
    relay.write(True)
    for days in (1, 6, 7, 12, 13):
        now[0] += days * 86400000
        assert relay.fault == 1


def ring_diff(a: int, b: int) -> int:
    """ticks_diff of MicroPython on ESP32."""
    return ((a - b + (1 << 29)) & ((1 << 30) - 1)) - (1 << 29)


class Coils:
    """Two pins of a latching relay: notes pulses and refuses both at once, as a coil would by burning."""

    def __init__(self, contact: Contact) -> None:
        self.now_ms = 0
        self.contact = contact
        self.pulses: list[tuple[str, int]] = []
        self._since: dict[str, int] = {}
        self.pins = [self._pin("set"), self._pin("reset")]

    def _pin(self, name: str) -> object:
        coils = self

        class One:
            OUT = 3

            def init(self, mode: int, value: int = 0) -> None:
                self.value(value)

            def value(self, level: int) -> None:
                if level:
                    assert not coils._since, "both coils at once"
                    coils._since[name] = coils.now_ms
                elif name in coils._since:
                    length = coils.now_ms - coils._since.pop(name)
                    coils.pulses.append((name, length))
                    coils.contact.pulse(name == "set", length * 1000)

        return One()

    def sleep(self, ms: int) -> None:
        self.now_ms += ms


class Pause:
    """What the task awaits: hands its length to the test."""

    def __init__(self, ms: int) -> None:
        self.ms = ms

    def __await__(self):
        yield self.ms


def test_latching_relay():
    """Why: it remembers the last night: the node closes it before anything else, pulses are whole and never overlap."""
    contact = Contact(is_closed=False)
    coils = Coils(contact)
    relay = LatchingRelay(*coils.pins, is_on=True, sleep_ms=coils.sleep)
    assert (contact.is_closed, coils.pulses, coils.now_ms) == (True, [("set", 50)], 50)
    task = relay.run(Pause)
    for i in range(200):
        if i % 7 == 0:
            relay.write(i % 3 == 0)
        coils.now_ms += task.send(None)
    assert contact.is_closed == relay.is_on
    assert all(length == 50 for _, length in coils.pulses)
    relay.write(not relay.is_on)
    while not coils._since:
        coils.now_ms += task.send(None)
    # The supervisor stops the task in the middle of a pulse: no coil stays on.
    task.close()
    assert not coils._since
    for wrong in (9, 501):
        with pytest.raises(OutOfRange):
            LatchingRelay(*coils.pins, pulse_ms=wrong, sleep_ms=coils.sleep)


def test_same_on_the_chips_interpreters(micropython_runtime: Runtime):
    """Why: duties and volts are sums of 27 bits: on 31-bit small ints they must come out the same."""
    done = micropython_runtime.run([ROOT / "tests/node/dimmers_main.py"])
    assert done.stdout.splitlines() == lines(), done.stderr


def test_writing_allocates_nothing(micropython_runtime: Runtime):
    """Why: light must be commanded also when the heap is full."""
    done = micropython_runtime.run([ROOT / "tests/node/dimmers_main.py", "--lock"])
    assert done.stdout.strip() == "locked", done.stderr
