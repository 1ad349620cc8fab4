"""A model of ROHM's BH1750FVI (technical note 2010.04 Rev. D, instruction set p. 5). A double: no hardware."""

from .buses import I2CModel


class Bh1750Model(I2CModel):
    """``lux`` is the light that falls on it; a measurement takes 180 ms x MTreg / 69 of `tick` time."""

    def __init__(self, address: int = 0x23) -> None:
        super().__init__()
        self.address = address
        self.lux = 0
        self.power_on()

    def power_on(self) -> None:
        """Power down, nothing measured, MTreg 69."""
        self.is_on = False
        self.is_measuring = False
        self.measure_time = 69
        self.data = 0
        self._ready_ms = 0

    def tick(self, now_ms: int) -> None:
        """Take a reading when a measurement has ended; in continuous mode the next begins at once."""
        super().tick(now_ms)
        if self.is_on and self.is_measuring and now_ms >= self._ready_ms and self.fault != "stuck":
            self.data = min(65535, self.lux * 12 * self.measure_time // 690)
            self._ready_ms = now_ms + 180 * self.measure_time // 69

    def written(self, data: bytes) -> None:
        """Take an opcode (table on p. 5)."""
        for opcode in data:
            if opcode == 0x00:
                self.is_on = False
                self.is_measuring = False
            elif opcode == 0x01:
                self.is_on = True
            elif opcode == 0x07:
                self.data = 0
            elif opcode & 0xF8 == 0x40:
                self.measure_time = (opcode & 7) << 5 | self.measure_time & 31
            elif opcode & 0xE0 == 0x60:
                self.measure_time = self.measure_time & 0xE0 | opcode & 31
            elif opcode in (0x10, 0x11, 0x13):
                self.is_on = True
                self.is_measuring = True
                self._ready_ms = self.now_ms + 180 * self.measure_time // 69

    def read(self, count: int) -> bytes:
        """Return the data register, high byte first."""
        return bytes((self.data >> 8, self.data & 255))[:count]
