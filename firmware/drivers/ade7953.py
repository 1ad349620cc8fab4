"""Analog Devices ADE7953, single-phase meter over I2C: energy, power, rms voltage and current, power factor.

Source: ADE7953 datasheet Rev. C: I2C (0x38, register numbers of 16 bits, high byte first), "Required register setting"
(0xAD to 0xFE unlocks 0x120, which must be 0x30), register tables (defaults in sim/board/chips/ade7953.py), full scale:
0.5 V peak at gain 1 gives 9,032,007 in the rms and 4,862,401 in the power registers, and energy grows by 206.9 kHz
there; PFA is a signed fraction of 2^15; no-load thresholds in 0x303 … 0x305.

The energy register clears when it is read (LCYCMODE.RSTREAD); LAST_RWDATA (0x3FF, "communication verification") holds
what the chip gave, and is read after it. What is lost all the same is at most one period's energy; none counts twice.
"""

from ..control.compat import const
from .contract import UNKNOWN, BadAnswer, OutOfRange, WrongDevice
from .registers import Registers

_ADDRESS = const(0x38)
_UNLOCK = const(0x0FE)
_REQUIRED = const(0x120)
_CONFIG = const(0x102)
_PFA = const(0x10A)
_PGA_V = const(0x007)
_PGA_IA = const(0x008)
_AP_NOLOAD = const(0x303)
_AWATT = const(0x312)
_IRMSA = const(0x31A)
_VRMS = const(0x31C)
_AENERGYA = const(0x31E)
_AIGAIN = const(0x380)
_LAST_DATA = const(0x3FF)

_AIGAIN_DEFAULT = const(0x400000)
# CONFIG after reset is 0x8004: bit 15 says that the kind of bus is not locked yet; we clear it, so it betrays a reset.
_CONFIG_OURS = const(0x0004)
_CONFIG_UNLOCKED_BIT = const(0x8000)

# 0.5 V peak is 353,553 uV rms.
_FULL_SCALE_UV = const(353553)
_RMS_FULL_SCALE = const(9032007)
_POWER_FULL_SCALE = const(4862401)
_ENERGY_FULL_SCALE_HZ = const(206900)
# The rms registers cannot exceed the full scale by more than the converters' head room; more is noise.
_RMS_MAX = const(12000000)
_ONE_PPM = const(1000000)


class Ade7953:
    """Channel A. ``shunt_uohm``; ``upper_kohm``, ``lower_ohm``: the divider; ``pga_i``: 0 … 5, gain 2^n (22 at 5).

    ``no_load_mw``: below this power the chip counts no energy (its own threshold register). ``is_reversed``: the
    shunt's wires are crossed. ``power_ppm``, ``voltage_ppm``, ``current_ppm``: corrections, 1,000,000 for none.
    ``power_max_w`` (1 … 20000): a reading beyond it, either way, is noise.

    After `read`: ``power_mw`` (negative: energy flows back, or the wires are crossed), ``voltage_dv``, ``current_ma``,
    ``power_factor_permille`` (0 … 1000, of its magnitude; `UNKNOWN` without current), ``energy_wh``, ``energy_mj``
    (magnitude, since the start), ``resets``: how often the chip lost its supply. No float anywhere; numbers beyond
    30 bits, so it allocates a little.
    """

    wait_ms = 200

    def __init__(
        self,
        i2c,
        shunt_uohm=1000,
        upper_kohm=990,
        lower_ohm=1000,
        pga_i=0,
        no_load_mw=500,
        is_reversed=False,
        power_ppm=_ONE_PPM,
        voltage_ppm=_ONE_PPM,
        current_ppm=_ONE_PPM,
        power_max_w=4000,
        name="ade7953",
    ):
        if not (100 <= shunt_uohm <= 100000 and 100 <= upper_kohm <= 10000 and 100 <= lower_ohm <= 10000):
            raise OutOfRange(name, "shunt or divider")
        if not 0 <= pga_i <= 5 or not 0 <= no_load_mw <= 10000:
            raise OutOfRange(name, "pga_i is 0 to 5, no_load_mw 0 to 10000")
        for ppm in (power_ppm, voltage_ppm, current_ppm):
            if not 500000 <= ppm <= 2000000:
                raise OutOfRange(name, "correction is 500000 to 2000000 ppm")
        if not 1 <= power_max_w <= 20000:
            raise OutOfRange(name, "power_max_w is 1 to 20000")
        self.power_mw = UNKNOWN
        self.voltage_dv = UNKNOWN
        self.current_ma = UNKNOWN
        self.power_factor_permille = UNKNOWN
        self.energy_wh = 0
        self.energy_mj = 0
        self.resets = 0
        self._registers = Registers(i2c, _ADDRESS, name, 16)
        self._name = name
        self._pga_i = pga_i
        self._power_max_mw = power_max_w * 1000
        self._sign = -1 if is_reversed else 1
        # Full scales behind divider and shunt, worked out once: mV, mA, mW.
        gain = 22 if pga_i == 5 else 1 << pga_i
        self._full_mv = _FULL_SCALE_UV * (upper_kohm * 1000 + lower_ohm) // lower_ohm // 1000
        self._full_ma = _FULL_SCALE_UV * 1000 // (shunt_uohm * gain)
        self._full_mw = self._full_mv * self._full_ma // 1000 * power_ppm // _ONE_PPM
        self._full_mv = self._full_mv * voltage_ppm // _ONE_PPM
        self._full_ma = self._full_ma * current_ppm // _ONE_PPM
        # Threshold = 65536 - Y / 1.4 with Y = full-scale energy over threshold energy (datasheet, "No-load detection").
        self._no_load = 0
        if no_load_mw:
            y = self._full_mw // no_load_mw
            self._no_load = 65536 - y * 10 // 14 if y * 10 // 14 < 65536 else 1
        self._rest_uj = 0
        self._is_started = False
        self._one = bytearray(1)
        self._two = bytearray(2)
        self._four = bytearray(4)

    def read(self):
        """Fill the attributes, return power_mw; `UNKNOWN` when the chip was only started now. Blocks 5 ms.

        Raises `NoAnswer`, `WrongDevice`, `BadAnswer` for values that no working chip gives.
        """
        if not self._is_started:
            self._start()
            return UNKNOWN
        if self._unsigned(_CONFIG, self._two) & _CONFIG_UNLOCKED_BIT:
            # Reset by a dip of its supply. What it counted since the last reading is lost.
            self.resets += 1
            self._is_started = False
            self._start()
            return UNKNOWN
        vrms = self._unsigned(_VRMS, self._four)
        irms = self._unsigned(_IRMSA, self._four)
        watt = self._signed(_AWATT, self._four) * self._sign
        factor = self._signed(_PFA, self._two)
        if vrms > _RMS_MAX or irms > _RMS_MAX or not -_RMS_MAX < watt < _RMS_MAX:
            raise BadAnswer(self._name, "rms or power beyond full scale")
        # The magnitude is scaled: `//` of a negative number would round away from it.
        power = (-watt if watt < 0 else watt) * self._full_mw // _POWER_FULL_SCALE
        if power > self._power_max_mw:
            raise BadAnswer(self._name, "more than power_max_w")
        energy = self._read_energy()
        self.voltage_dv = (vrms * self._full_mv // _RMS_FULL_SCALE + 50) // 100
        self.current_ma = irms * self._full_ma // _RMS_FULL_SCALE
        self.power_mw = -power if watt < 0 else power
        factor = -factor if factor < 0 else factor
        self.power_factor_permille = (factor * 1000 + 16384) // 32768 if self.current_ma else UNKNOWN
        energy = -energy if energy < 0 else energy
        uj = energy * self._full_mw * 1000 // _ENERGY_FULL_SCALE_HZ + self._rest_uj
        self._rest_uj = uj % 1000
        mj = self.energy_mj + uj // 1000
        self.energy_wh += mj // 3600000
        self.energy_mj = mj % 3600000
        return self.power_mw

    def _read_energy(self):
        # Reading clears the register, so the chip is asked what it gave: noise may neither take nor give energy.
        energy = self._signed(_AENERGYA, self._four)
        again = self._signed(_LAST_DATA, self._four)
        if energy != again:
            energy = self._signed(_LAST_DATA, self._four)
        if energy != again or not -16777216 < energy < 16777216:
            raise BadAnswer(self._name, "energy does not read twice alike")
        return energy

    def _start(self):
        # AIGAIN is never written by us: after any reset and in any use of ours it has its default.
        if self._unsigned(_AIGAIN, self._four) != _AIGAIN_DEFAULT:
            raise WrongDevice(self._name, "no ADE7953 at 0x38")
        self._write(_CONFIG, _CONFIG_OURS, self._two)
        self._write(_UNLOCK, 0xAD, self._one)
        self._write(_REQUIRED, 0x30, self._two)
        self._write(_PGA_V, 0, self._one)
        self._write(_PGA_IA, self._pga_i, self._one)
        self._write(_AP_NOLOAD, self._no_load, self._four)
        if (
            self._unsigned(_REQUIRED, self._two) != 0x30
            or self._unsigned(_PGA_IA, self._one) != self._pga_i
            or self._unsigned(_AP_NOLOAD, self._four) != self._no_load
        ):
            raise BadAnswer(self._name, "settings read back wrong")
        # What it counted before belongs to nobody.
        self._unsigned(_AENERGYA, self._four)
        self._is_started = True

    def _unsigned(self, register, buffer):
        self._registers.read(register, buffer)
        value = 0
        for i in range(len(buffer)):
            value = value << 8 | buffer[i]
        return value

    def _signed(self, register, buffer):
        value = self._unsigned(register, buffer)
        bits = 8 * len(buffer)
        return value - (1 << bits) if value >> bits - 1 else value

    def _write(self, register, value, buffer):
        for i in range(len(buffer)):
            buffer[len(buffer) - 1 - i] = value >> 8 * i & 255
        self._registers.write(register, buffer)
