"""A model of ST's LIS3DH (datasheet DocID17530 Rev. 2, chapter 8: register defaults). A double: no hardware."""

from .buses import I2CModel


class Lis3dhModel(I2CModel):
    """``x_mg``, ``y_mg``, ``z_mg``: what it feels; `hit` is a shock that ends before anybody looks."""

    def __init__(self, address: int = 0x18) -> None:
        super().__init__()
        self.address = address
        self.x_mg = 0
        self.y_mg = 0
        self.z_mg = 1000
        self.power_on()

    def power_on(self) -> None:
        """Put the registers to their defaults: powered down."""
        self.registers = bytearray(128)
        self.registers[0x0F] = 0x33
        self.registers[0x20] = 0x07
        self.pointer = 0

    def tick(self, now_ms: int) -> None:
        """Measure, when it is awake."""
        super().tick(now_ms)
        if self.registers[0x20] & 0xF0 == 0 or self.fault == "stuck":
            return
        at = 0x28
        for value in (self.x_mg, self.y_mg, self.z_mg):
            value = max(-2048, min(2047, value)) << 4
            self.registers[at] = value & 255
            self.registers[at + 1] = value >> 8 & 255
            at += 2

    def hit(self, mg: int) -> None:
        """Let a shock of ``mg`` beyond gravity latch interrupt 1, if it is set up and reaches its threshold."""
        is_ready = self.registers[0x20] & 0xF0 and self.registers[0x30] & 0x2A
        if is_ready and mg >= 16 * self.registers[0x32]:
            self.registers[0x31] |= 0x40 | 0x02

    def written(self, data: bytes) -> None:
        """Set the sub-address, and the registers from there on; read-only ones stay."""
        self.pointer = data[0]
        for i in range(1, len(data)):
            register = self.pointer & 0x7F
            if register not in (0x0F, 0x31) and not 0x27 <= register <= 0x2D:
                self.registers[register] = data[i]
            self._go_on()

    def read(self, count: int) -> bytes:
        """Return registers from the sub-address on, the same again unless its bit 7 is set."""
        data = bytearray(count)
        for i in range(count):
            register = self.pointer & 0x7F
            data[i] = self.registers[register]
            if register == 0x0F and self.fault == "wrong_id":
                data[i] = 0x32
            if register == 0x31:
                self.registers[0x31] = 0
            self._go_on()
        return bytes(data)

    def _go_on(self) -> None:
        if self.pointer & 0x80:
            self.pointer = 0x80 | (self.pointer + 1) & 0x7F
