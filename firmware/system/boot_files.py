"""What the launcher reads before anything else runs: two boot files and the RTC's memory. Pure: bytes in, bytes out.

All three are a CRC-32 (IEEE 802.3, 4 bytes, little-endian) of the rest, then the rest. firmware/main.py has a reader
of its own, since it may import nothing of ours; tests/node/test_launcher.py holds the two against each other.

``/boot.lamp``, written at commissioning and last of all, at most 97 bytes: ``RLMP``; 1 when the node is delivered (the
prompt is closed); the service pin, 255 for none, low at boot for service mode; then up to 8 outputs of 10 bytes:
kind (1 PWM, 2 on or off; others are left alone), pin, 1 for inverted, output number 0 … 3, frequency in Hz (4 bytes),
safe level in permille of the pin's duty (2 bytes).

``/boot.sel``, 11 bytes: ``RSEL``; the slot (``a``, ``b`` or ``-`` for the package that is frozen, in ROM or in /lib);
``O`` for good or ``T`` for on trial; the slot to go back to when three boots in a row are bad. Missing or damaged:
/a, then /b, then the package. Like every file it is replaced by a rename.

The RTC's memory: ``RV1``; mark (0: the run was going on; `INTENDED`, `CRASH`, `SUPERVISOR`); bad boots in a row; how
the last run ended; reason (of the mark); 0; four levels of the outputs in permille of the pin's duty (2 bytes each,
65535 unknown); seconds lit since power came (4 bytes); then at most 400 bytes of text: the last error.
"""

import binascii

from firmware.control.compat import const

# How a run ended. Bad boots are those from CRASH on.
INTENDED = const(1)
POWER = const(2)
BROWN_OUT = const(3)
SOFT = const(4)
OTHER = const(5)
CRASH = const(16)
SUPERVISOR = const(17)
WATCHDOG = const(18)
PANIC = const(19)

END_NAMES = {
    1: "intended", 2: "power", 3: "brown-out", 4: "soft reset", 5: "other",
    16: "crash", 17: "supervisor", 18: "watchdog", 19: "panic",
}  # fmt: skip

KIND_PWM = const(1)
KIND_PIN = const(2)
NO_PIN = const(255)
LEVEL_UNKNOWN = const(65535)
OUTPUTS_MAX = const(8)
LEVELS = const(4)
TEXT_MAX = const(400)

_HEAD_SIZE = const(20)


class BootFileError(Exception):
    """A boot file cannot be written like this; the message says which value, and what it may be."""


def seal(data):
    """Return ``data`` behind its CRC-32."""
    crc = binascii.crc32(data)
    return bytes((crc & 255, crc >> 8 & 255, crc >> 16 & 255, crc >> 24)) + data


def unseal(data, magic):
    """Return what is behind a right CRC and begins with ``magic``, else None."""
    body = bytes(data[4:])
    return body if body[: len(magic)] == magic and seal(body) == bytes(data) else None


def lamp_file(outputs, service_pin=NO_PIN, is_delivered=True):
    """Return the bytes of ``/boot.lamp``. ``outputs``: (kind, pin, inverted, output, frequency in Hz, permille) each.

    Raises `BootFileError` for what the launcher could not carry out.
    """
    if len(outputs) > OUTPUTS_MAX:
        raise BootFileError("%d outputs, at most %d" % (len(outputs), OUTPUTS_MAX))
    if not 0 <= service_pin <= NO_PIN:
        raise BootFileError("service pin %d, 0 to 254, or 255 for none" % service_pin)
    data = b"RLMP" + bytes((1 if is_delivered else 0, service_pin))
    for kind, pin, inverted, output, frequency, permille in outputs:
        if kind not in (KIND_PWM, KIND_PIN):
            raise BootFileError("kind %d, 1 is PWM and 2 on or off" % kind)
        if not 0 <= pin < NO_PIN or pin == service_pin:
            raise BootFileError("pin %d, 0 to 254 and not the service pin" % pin)
        if not 0 <= output < LEVELS:
            raise BootFileError("output %d, 0 to 3" % output)
        if not 1 <= frequency <= 40000000:
            raise BootFileError("%d Hz, 1 to 40000000" % frequency)
        if not 0 <= permille <= 1000:
            raise BootFileError("safe level %d, 0 to 1000 permille" % permille)
        data += bytes((kind, pin, 1 if inverted else 0, output))
        data += bytes((frequency & 255, frequency >> 8 & 255, frequency >> 16 & 255, frequency >> 24))
        data += bytes((permille & 255, permille >> 8))
    return seal(data)


def select_file(slot, is_trial=False, before="-"):
    """Return the bytes of ``/boot.sel``. Raises `BootFileError` for a slot there is not."""
    for each in (slot, before):
        if each not in ("a", "b", "-"):
            raise BootFileError("slot %r, a or b, or - for the package" % each)
    return seal(b"RSEL" + slot.encode() + (b"T" if is_trial else b"O") + before.encode())


def read_select(data):
    """Return (slot, is on trial, slot before) of ``/boot.sel``, None where these bytes are none."""
    body = unseal(data, b"RSEL")
    if body is None or len(body) != 7:
        return None
    return chr(body[4]), body[5] == 84, chr(body[6])


class Kept:
    """What the RTC's memory keeps. ``take`` returns False, and changes nothing, for bytes that are none."""

    def __init__(self):
        self.mark = 0
        self.bad = 0
        self.end = OTHER
        self.reason = 0
        self.levels = [LEVEL_UNKNOWN] * LEVELS
        self.lit_s = 0
        self.text = b""

    def take(self, data):
        """Read what the launcher, or `put`, has written."""
        body = unseal(data, b"RV1")
        if body is None or len(body) < _HEAD_SIZE:
            return False
        self.mark, self.bad, self.end, self.reason = body[3], body[4], body[5], body[6]
        for i in range(LEVELS):
            self.levels[i] = body[8 + 2 * i] | body[9 + 2 * i] << 8
        self.lit_s = body[16] | body[17] << 8 | body[18] << 16 | body[19] << 24
        self.text = body[_HEAD_SIZE:]
        return True

    def put(self):
        """Return the bytes to be kept."""
        head = bytearray(_HEAD_SIZE)
        head[0:3] = b"RV1"
        head[3] = self.mark
        head[4] = self.bad
        head[5] = self.end
        head[6] = self.reason
        for i in range(LEVELS):
            head[8 + 2 * i] = self.levels[i] & 255
            head[9 + 2 * i] = self.levels[i] >> 8
        for i in range(4):
            head[16 + i] = self.lit_s >> (8 * i) & 255
        return seal(bytes(head) + self.text[-TEXT_MAX:])
