"""A model of Maxim's DS18B20, slot by slot (datasheet 19-7487 Rev. 6, figures 8 and 11). A double: no hardware."""

from .buses import OneWireModel


def crc8(data: bytes) -> int:
    """Return Maxim's CRC, by the shift register of application note 27, bit by bit."""
    register = [0] * 8
    for one in data:
        for i in range(8):
            feedback = (one >> i & 1) ^ register[7]
            register = [
                feedback,
                register[0],
                register[1],
                register[2],
                register[3] ^ feedback,
                register[4] ^ feedback,
                register[5],
                register[6],
            ]
    value = 0
    for i in range(8):
        value |= register[i] << 7 - i
    return value


class Ds18b20Model(OneWireModel):
    """``sixteenths``: its temperature; a conversion takes 750 ms of `tick` time (2 s when late)."""

    def __init__(self, serial: int = 0x123456) -> None:
        super().__init__()
        body = bytes((0x28, serial & 255, serial >> 8 & 255, serial >> 16 & 255, 0, 0, 0))
        self.rom = body + bytes((crc8(body),))
        self.sixteenths = 320
        self.power_on()

    def power_on(self) -> None:
        """Put the scratchpad to its power-on values: 85 °C, alarms, 12 bits."""
        self.scratchpad = bytearray((0x50, 0x05, 0x4B, 0x46, 0x7F, 0xFF, 0x0C, 0x10, 0))
        self._done_ms = -1
        self._state = "idle"
        self._taken = 0
        self._bits = 0
        self._out = b""
        self._place = 0

    def tick(self, now_ms: int) -> None:
        """End a conversion that is due."""
        super().tick(now_ms)
        if 0 <= self._done_ms <= now_ms:
            self._done_ms = -1
            if self.fault != "stuck":
                self.scratchpad[0] = self.sixteenths & 255
                self.scratchpad[1] = self.sixteenths >> 8 & 255

    def reset(self) -> bool:
        """Wait for a ROM command."""
        self._state = "rom"
        self._taken = 0
        self._bits = 0
        self._out = b""
        return True

    def write_bit(self, bit: int) -> None:
        """Collect commands and the ROM to match."""
        if self._state in ("idle", "other", "converting"):
            return
        self._taken |= bit << self._bits
        self._bits += 1
        if self._state == "match":
            if self._bits == 64:
                mine = 0
                for i in range(8):
                    mine |= self.rom[i] << 8 * i
                self._next("function" if self._taken == mine else "other")
            return
        if self._bits < 8:
            return
        command = self._taken
        if self._state == "rom":
            if command == 0x33:
                self._next("idle")
                rom = self.rom
                if self.fault == "wrong_id":
                    rom = bytes((0x22,)) + rom[1:7]
                    rom += bytes((crc8(rom),))
                self._send(rom)
            else:
                self._next({0xCC: "function", 0x55: "match"}.get(command, "idle"))
        elif command == 0x44:
            self._next("converting")
            self._done_ms = self.now_ms + (2000 if self.fault == "late" else 750)
        elif command == 0xBE:
            self._next("idle")
            self.scratchpad[8] = crc8(bytes(self.scratchpad[:8]))
            self._send(bytes(self.scratchpad))
        else:
            self._next("idle")

    def _next(self, state: str) -> None:
        self._state = state
        self._taken = 0
        self._bits = 0

    def _send(self, data: bytes) -> None:
        self._out = data
        self._place = 0

    def read_bit(self) -> int:
        """Send what was asked for; while it converts 0, else 1."""
        if self._out and self._place < 8 * len(self._out):
            bit = self._out[self._place >> 3] >> (self._place & 7) & 1
            self._place += 1
            return bit
        # Whoever was spoken to last says whether he is busy; another device, or a reset, silences him.
        return 0 if self._state == "converting" and self._done_ms >= 0 else 1
