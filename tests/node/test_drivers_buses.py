"""The doubles of the buses: they behave as MicroPython documents machine's classes, and misbehave on purpose."""

from __future__ import annotations

import errno

import pytest

from sim.board.chips.buses import (
    FAULTS,
    AdcInput,
    I2CBus,
    Model,
    OneWireBus,
    PinLine,
    PulseCounter,
    RegisterModel,
    UartLine,
)


class Memory(RegisterModel):
    address = 0x50


class Talker(Model):
    """Sends what stands in ``out``, and keeps what it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.out = b""
        self.heard = b""

    def take(self) -> bytes:
        data, self.out = self.out, b""
        return data

    def received(self, data: bytes) -> None:
        self.heard += data


def test_i2c_registers() -> None:
    """`readfrom_mem` is a write of the register's number and a read, as on the wire."""
    model = Memory()
    bus = I2CBus([model])
    traffic: list[tuple[str, bytes]] = []
    bus.on_traffic = lambda kind, address, data: traffic.append((kind, data))
    bus.writeto_mem(0x50, 0xFE, b"abc")
    assert bus.readfrom_mem(0x50, 0xFE, 3) == b"abc"
    assert model.registers[0] == ord("c")
    assert traffic == [("write", b"\xfeabc"), ("write", b"\xfe"), ("read", b"abc")]
    buffer = bytearray(2)
    bus.readfrom_mem_into(0x50, 0xFF, memoryview(buffer))
    assert buffer == b"bc"
    assert bus.scan() == [0x50]


def test_i2c_faults() -> None:
    """Errors have the numbers of ESP32's port: 19 without an acknowledge, 116 when the clock is held."""
    model = Memory()
    bus = I2CBus([model])
    for fault, number in (("no_answer", 19), ("late", 116)):
        model.fault = fault
        with pytest.raises(OSError) as raised:
            bus.readfrom(0x50, 1)
        assert raised.value.errno == number
        assert bus.scan() == []
    with pytest.raises(OSError):
        bus.writeto(0x51, b"")
    model.fault = "none"
    bus.writeto_mem(0x50, 0, b"\x11\x22")
    model.fault = "noise"
    assert bus.readfrom_mem(0x50, 0, 2) != b"\x11\x22"
    assert model.registers[:2] == b"\x11\x22"
    assert errno.ENODEV == 19


def test_noise_can_be_repeated_and_always_changes() -> None:
    """A run that found a bug must find it again tomorrow."""
    first, second = Model(), Model()
    for length in range(1, 50):
        data = bytes(length)
        noisy = first.noisy(data)
        assert noisy == second.noisy(data)
        assert len(noisy) == length and noisy != data
    assert Model().noisy(b"") == b""


def test_uart_overflows_as_the_chip_does() -> None:
    """What does not fit the receive buffer is lost; a parser has to live with the hole."""
    model = Talker()
    uart = UartLine(model, rxbuf=8)
    assert uart.read() is None and uart.readline() is None
    model.out = b"ab\ncdefghij"
    assert uart.any() == 8
    assert uart.lost == 3
    assert uart.readline() == b"ab\n"
    buffer = bytearray(2)
    assert uart.readinto(buffer) == 2
    assert buffer == b"cd"
    assert uart.read(1) == b"e"
    assert uart.read() == b"fg"
    assert uart.write(b"hello") == 5
    assert model.heard == b"hello"


def test_uart_faults() -> None:
    """A late line holds bytes back, a cut one loses them, both ways."""
    model = Talker()
    uart = UartLine(model)
    model.out, model.fault = b"abc", "late"
    assert uart.any() == 0
    model.fault = "none"
    assert uart.read() == b"abc"
    model.out, model.fault = b"abc", "no_answer"
    uart.write(b"x")
    assert (uart.any(), model.heard) == (0, b"")


def test_pin_tells_only_the_edges_asked_for() -> None:
    """A handler that hears the wrong edge counts twice."""
    pin = PinLine()
    heard: list[int] = []
    pin.irq(lambda one: heard.append(one.value()), PinLine.IRQ_RISING)
    for level in (1, 1, 0, 1, 0):
        pin.drive(level)
    assert heard == [1, 1]
    pin.irq(handler=None)
    pin.drive(1)
    assert heard == [1, 1]
    pin.off()
    assert pin.value() == 0


def test_counter_wraps_where_the_chip_does() -> None:
    """A bare counter unit has 15 bits and a sign."""
    endless, bare = PulseCounter(), PulseCounter(15)
    for counter in (endless, bare):
        counter.pulse(32_769)
    assert (endless.value(), bare.value()) == (32_769, 1)
    assert (bare.value(0), bare.value()) == (1, 0)


def test_adc_and_one_wire_edges() -> None:
    """The ADC ends below the supply; an empty 1-Wire bus has nobody on it."""

    class Input(Model):
        def microvolts(self) -> int:
            return 9_000_000

    adc = AdcInput(Input())
    assert (adc.read_uv(), adc.read_u16()) == (3_100_000, 65_535)
    bus = OneWireBus([])
    assert not bus.reset()
    assert bus.readbyte() == 255
    with pytest.raises(OSError):
        bus.reset(True)


def test_fault_names_are_the_contracts() -> None:
    """The virtual board and the tests set them by these names."""
    assert FAULTS == ("none", "no_answer", "noise", "stuck", "wrong_id", "brown_out", "late")
