"""A model of Hi-Link's HLK-LD2410 (serial communication protocol V1.02, sections 2.2 and 2.3). A double: no hardware.

It sends a report every 100 ms of `tick` time and none while it is being configured.
"""

from .buses import UartModel


class Ld2410Model(UartModel):
    """``state`` (0 none, 1 moving, 2 still, 3 both), distances in cm, energies 0 … 100; ``is_engineering`` reports."""

    def __init__(self) -> None:
        super().__init__()
        self.state = 0
        self.moving_cm = 0
        self.moving_energy = 0
        self.still_cm = 0
        self.still_energy = 0
        self.distance_cm = 0
        # Kept in its own flash: they survive a power cut.
        self.moving_gate_max = 8
        self.still_gate_max = 8
        self.no_one_s = 5
        self._frozen = b""
        self.power_on()

    def power_on(self) -> None:
        """Report at once; nothing half-received."""
        self.is_configuring = False
        self.is_engineering = False
        self._out = b""
        self._in = b""
        self._report_ms = self.now_ms

    def report(self) -> bytes:
        """Return the report of now."""
        data = bytes((self.state,)) + _word(self.moving_cm) + bytes((self.moving_energy,)) + _word(self.still_cm)
        data += bytes((self.still_energy,)) + _word(self.distance_cm)
        if self.is_engineering:
            data = b"\x01\xaa" + data + bytes((8, 8)) + bytes((self.moving_energy,) * 9 + (self.still_energy,) * 9)
            data += b"\x03\x05"
        else:
            data = b"\x02\xaa" + data
        data += b"\x55\x00"
        return b"\xf4\xf3\xf2\xf1" + _word(len(data)) + data + b"\xf8\xf7\xf6\xf5"

    def tick(self, now_ms: int) -> None:
        """Send the reports that are due."""
        super().tick(now_ms)
        while now_ms - self._report_ms >= 100:
            self._report_ms += 100
            if not self.is_configuring:
                if self.fault != "stuck" or not self._frozen:
                    self._frozen = self.report()
                self._out = (self._out + self._frozen)[-4096:]

    def take(self) -> bytes:
        """Return what was sent since the last call."""
        data = self._out
        self._out = b""
        return data

    def received(self, data: bytes) -> None:
        """Take bytes of commands and acknowledge whole ones."""
        self._in = (self._in + data)[-256:]
        while True:
            begin = self._in.find(b"\xfd\xfc\xfb\xfa")
            if begin < 0 or len(self._in) < begin + 12:
                return
            length = self._in[begin + 4] | self._in[begin + 5] << 8
            end = begin + 10 + length
            if length > 64:
                self._in = self._in[begin + 4 :]
                continue
            if len(self._in) < end:
                return
            command = self._in[begin + 6 : begin + 6 + length]
            self._in = self._in[end:]
            self._obey(command)

    def _obey(self, command: bytes) -> None:
        word = command[0]
        result = b"\x00\x00"
        if word == 0xFF:
            self.is_configuring = True
            result += b"\x01\x00\x40\x00"
        elif not self.is_configuring:
            result = b"\x01\x00"
        elif word == 0xFE:
            self.is_configuring = False
        elif word == 0x60 and len(command) == 20 and command[4] <= 8 and command[10] <= 8:
            self.moving_gate_max = command[4]
            self.still_gate_max = command[10]
            self.no_one_s = command[16] | command[17] << 8
        elif word == 0xA0:
            result += b"\x00\x01\x02\x01\x16\x24\x06\x22"
        elif word in (0x62, 0x63):
            self.is_engineering = word == 0x62
        else:
            result = b"\x01\x00"
        inside = bytes((word, 1)) + result
        self._out += b"\xfd\xfc\xfb\xfa" + _word(len(inside)) + inside + b"\x04\x03\x02\x01"


def _word(value: int) -> bytes:
    return bytes((value & 255, value >> 8))
