"""A model of the ADE7953 (datasheet Rev. C, register tables 13-17: defaults and widths). A double: no hardware.

Only the registers that a single-phase meter uses are there; a read of any other gives 0. The width of a register
follows from its number: 0x0xx 8 bits, 0x1xx 16, 0x2xx 24, 0x3xx 32 (the same registers as 0x2xx, extended).
"""

from .buses import I2CModel

_DEFAULTS = {
    0x000: 0x00,  # SAGCYC
    0x001: 0x00,  # DISNOLOAD
    0x004: 0x40,  # LCYCMODE: energy registers clear on read
    0x007: 0x00,  # PGA_V
    0x008: 0x00,  # PGA_IA
    0x009: 0x00,  # PGA_IB
    0x102: 0x8004,  # CONFIG
    0x103: 0x003F,  # CF1DEN
    0x104: 0x003F,  # CF2DEN
    0x107: 0x0300,  # CFMODE
    0x301: 0x000000,  # ACCMODE
    0x303: 0x00E419,  # AP_NOLOAD
    0x304: 0x00E419,  # VAR_NOLOAD
    0x305: 0x000000,  # VA_NOLOAD
    0x32C: 0x100000,  # IRQENA
    0x380: 0x400000,  # AIGAIN
    0x381: 0x400000,  # AVGAIN
    0x382: 0x400000,  # AWGAIN
}


class Ade7953Model(I2CModel):
    """``voltage_uv``, ``current_uv``: rms at its pins; ``power_pv2``: their product by the power factor, 1e-12 V^2."""

    address = 0x38

    def __init__(self) -> None:
        super().__init__()
        self.voltage_uv = 0
        self.current_uv = 0
        self.power_pv2 = 0
        self.power_factor_e15 = 0
        self.power_on()

    def power_on(self) -> None:
        """Put all registers to their defaults."""
        self.values = dict(_DEFAULTS)
        self.is_unlocked = False
        self.pointer = 0
        self.energy_ul = 0
        self.last = 0

    def tick(self, now_ms: int) -> None:
        """Count energy."""
        elapsed_ms = now_ms - self.now_ms
        super().tick(now_ms)
        # 206.9 kHz at full scale, which is 353,553 uV squared; a reset chip that lacks its required setting counts too.
        if not self._is_no_load():
            self.energy_ul += self.power_pv2 * 206_900 * elapsed_ms * 1000 // (353_553 * 353_553)

    def _is_no_load(self) -> bool:
        threshold = self.values[0x303]
        if self.values[0x001] & 1 or threshold == 0 or threshold >= 65536:
            return False
        full = 353_553 * 353_553
        return abs(self.power_pv2) * 14 * (65536 - threshold) < full * 10

    def get(self, register: int) -> int:
        """Return a register, as a signed number where it is one."""
        if register == 0x31C:
            return self.voltage_uv * 9_032_007 // 353_553
        if register == 0x31A:
            return self.current_uv * 9_032_007 // 353_553
        if register == 0x312:
            return self.power_pv2 * 4_862_401 // (353_553 * 353_553)
        if register == 0x10A:
            return self.power_factor_e15
        if register == 0x31E:
            count = abs(self.energy_ul) // 1_000_000
            sign = -1 if self.energy_ul < 0 else 1
            if self.values[0x004] & 0x40:
                self.energy_ul -= sign * count * 1_000_000
            return sign * count
        return self.values.get(register, 0)

    def written(self, data: bytes) -> None:
        """Set the pointer (16 bits, high byte first), and the register when bytes follow."""
        self.pointer = data[0] << 8 | data[1]
        if len(data) == 2:
            return
        value = 0
        for one in data[2:]:
            value = value << 8 | one
        if self.pointer == 0x0FE:
            self.is_unlocked = value == 0xAD
        elif self.pointer != 0x120 or self.is_unlocked:
            self.values[self.pointer] = value
            self.is_unlocked = False

    def read(self, count: int) -> bytes:
        """Return the register, high byte first."""
        # LAST_RWDATA keeps what the last access gave.
        value = self.last if self.pointer == 0x3FF else self.get(self.pointer)
        self.last = value
        if self.fault == "wrong_id" and self.pointer == 0x380:
            value = 0x200000
        if self.fault == "stuck" and self.pointer in (0x312, 0x31A, 0x31C):
            value = 1234567
        width = min((self.pointer >> 8) + 1, 4)
        value &= (1 << 8 * width) - 1
        data = bytearray(width)
        for i in range(width):
            data[i] = value >> 8 * (width - 1 - i) & 255
        return bytes(data)[:count]
