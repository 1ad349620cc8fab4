"""Hi-Link HLK-LD2410 (B, C), 24 GHz presence radar on a UART at 256,000 baud, 8N1.

Source: LD2410 serial communication protocol V1.02 (B: V1.04): report F4 F3 F2 F1, length, 02 or 01, AA, target data,
55, 00, F8 F7 F6 F5 (section 2.3); command FD FC FB FA, length, word, value, 04 03 02 01 and its acknowledge
(section 2.2).

Reports carry no check sum: only framing and plausibility speak for one, so a single flipped bit may pass as another
distance; presence itself is what control debounces.
"""

from ..control.compat import const
from .contract import UNKNOWN, OutOfRange

BAUDRATE = const(256000)

# What `setup_state` says.
IDLE = const(0)
BUSY = const(1)
DONE = const(2)
FAILED = const(3)

_REPORT_HEAD = b"\xf4\xf3\xf2\xf1"
_REPORT_TAIL = b"\xf8\xf7\xf6\xf5"
_COMMAND_HEAD = b"\xfd\xfc\xfb\xfa"
_COMMAND_TAIL = b"\x04\x03\x02\x01"

# The longest report is 35 bytes inside (engineering, 8 gates), the longest acknowledge 28.
_INSIDE_MAX = const(48)
_FRAME_MAX = const(58)
_GATES = const(9)
_DISTANCE_MAX_CM = const(1000)
# A report comes every 100 ms.
_ALIVE_MS = const(2000)
_ACK_MS = const(500)
_TRIES = const(3)
_RESCUE_MS = const(10000)
_CHUNK = const(64)
_CHUNKS_A_POLL = const(16)
_RING = const(0x3FFFFFFF)

_ENABLE = const(0xFF)
_END = const(0xFE)
_SET_GATES = const(0x60)
_FIRMWARE = const(0xA0)

# Frames of the commands, ready to be sent. 0x60 has three pairs (word, 32 bits): gates moving, gates still, seconds.
_FRAME_ENABLE = b"\xfd\xfc\xfb\xfa\x04\x00\xff\x00\x01\x00\x04\x03\x02\x01"
_FRAME_END = b"\xfd\xfc\xfb\xfa\x02\x00\xfe\x00\x04\x03\x02\x01"
_FRAME_FIRMWARE = b"\xfd\xfc\xfb\xfa\x02\x00\xa0\x00\x04\x03\x02\x01"
_FRAME_GATES = (
    b"\xfd\xfc\xfb\xfa\x14\x00\x60\x00\x00\x00\x08\x00\x00\x00"
    b"\x01\x00\x08\x00\x00\x00\x02\x00\x05\x00\x00\x00\x04\x03\x02\x01"
)


class Ld2410:
    """A radar. ``notify(value)`` is called from `poll` when presence changes.

    ``presence`` (0, 1), ``is_moving``, ``is_still``, ``distance_cm`` (of what it took for the target; `UNKNOWN` before
    the first report), ``moving_cm``, ``still_cm``, ``moving_energy``, ``still_energy`` (0 … 100), and in engineering
    mode ``moving_gates``, ``still_gates`` (energy a gate of 75 cm). ``firmware``: "1.02.22062416" or None. ``reports``
    counts good ones, ``errors`` frames that were refused. A refused one changes nothing else.

    `configure` and `read_firmware` are carried on by `poll`; ``setup_state`` is `IDLE`, `BUSY`, `DONE` or `FAILED`. The
    radar sends no reports meanwhile; when it falls silent, `poll` takes it out of that mode every 10 s. A silent radar
    leaves ``presence`` as it was: ask `is_alive`.
    """

    def __init__(self, uart, notify, name="ld2410"):
        self.presence = 0
        self.is_moving = 0
        self.is_still = 0
        self.distance_cm = UNKNOWN
        self.moving_cm = UNKNOWN
        self.still_cm = UNKNOWN
        self.moving_energy = 0
        self.still_energy = 0
        self.moving_gates = bytearray(_GATES)
        self.still_gates = bytearray(_GATES)
        self.firmware = None
        self.reports = 0
        self.errors = 0
        self.setup_state = IDLE
        self._uart = uart
        self._notify = notify
        self._name = name
        self._chunk = bytearray(_CHUNK)
        self._frame = bytearray(_FRAME_MAX)
        self._count = 0
        self._is_heard = False
        self._heard_ms = 0
        self._reports_seen = 0
        self._gates = bytearray(_FRAME_GATES)
        self._steps = b""
        self._step = 0
        self._tries = 0
        self._has_failed = False
        self._sent_ms = 0
        self._rescue_ms = 0
        self._is_polled = False

    def value(self):
        """Return the presence of the last report."""
        return self.presence

    def is_alive(self, now_ms):
        """Return True when a report came within two seconds. ``now_ms``: ticks, not more than 12 days later."""
        return self._is_heard and ((now_ms - self._heard_ms) & _RING) <= _ALIVE_MS

    def poll(self, now_ms):
        """Take what the UART has (1,024 bytes at most), carry a configuration on. Call it every 50 ms; blocks 5 ms."""
        for _ in range(_CHUNKS_A_POLL):
            count = self._uart.readinto(self._chunk) if self._uart.any() else 0
            if not count:
                break
            for i in range(count):
                self.feed(self._chunk[i])
        if self.reports != self._reports_seen:
            self._reports_seen = self.reports
            self._is_heard = True
            self._heard_ms = now_ms
        elif self._is_heard and ((now_ms - self._heard_ms) & _RING) > _ALIVE_MS:
            # Forgotten, so that a ring's turn later it does not look alive again.
            self._is_heard = False
        if not self._is_polled:
            self._is_polled = True
            self._rescue_ms = now_ms
        if self.setup_state == BUSY:
            if ((now_ms - self._sent_ms) & _RING) >= _ACK_MS:
                self._retry(now_ms)
        elif self._is_heard:
            self._rescue_ms = now_ms
        elif ((now_ms - self._rescue_ms) & _RING) >= _RESCUE_MS:
            # It may have been left in its configuration mode by a reset of ours: enable, end.
            self._rescue_ms = now_ms
            self._uart.write(_FRAME_ENABLE)
            self._uart.write(_FRAME_END)

    def configure(self, now_ms, moving_gate_max, still_gate_max, no_one_s):
        """Set the farthest gates (2 … 8, 75 cm each) and how long presence is kept (0 … 65535 s).

        Raises `OutOfRange`. Done in at most 6 s of `poll`; False when one is under way already.
        """
        if not (2 <= moving_gate_max <= 8 and 2 <= still_gate_max <= 8 and 0 <= no_one_s <= 65535):
            raise OutOfRange(self._name, "gates 2 to 8, seconds 0 to 65535")
        if self.setup_state == BUSY:
            return False
        self._gates[10] = moving_gate_max
        self._gates[16] = still_gate_max
        self._gates[22] = no_one_s & 255
        self._gates[23] = no_one_s >> 8
        self._begin(now_ms, b"\xff\x60\xfe")
        return True

    def read_firmware(self, now_ms):
        """Ask for the version; it is in ``firmware`` when ``setup_state`` is `DONE`. False when one is under way."""
        if self.setup_state == BUSY:
            return False
        self._begin(now_ms, b"\xff\xa0\xfe")
        return True

    def _begin(self, now_ms, steps):
        self._steps = steps
        self._step = 0
        self._tries = 0
        self._has_failed = False
        self.setup_state = BUSY
        self._send(now_ms)

    def _send(self, now_ms):
        step = self._steps[self._step]
        self._sent_ms = now_ms
        self._tries += 1
        if step == _ENABLE:
            self._uart.write(_FRAME_ENABLE)
        elif step == _SET_GATES:
            self._uart.write(self._gates)
        elif step == _FIRMWARE:
            self._uart.write(_FRAME_FIRMWARE)
        else:
            self._uart.write(_FRAME_END)

    def _retry(self, now_ms):
        if self._tries < _TRIES:
            self._send(now_ms)
            return
        self._has_failed = True
        if self._step == len(self._steps) - 1:
            self.setup_state = FAILED
            return
        # Whatever failed, it is to leave its configuration mode.
        self._step = len(self._steps) - 1
        self._tries = 0
        self._send(now_ms)

    def feed(self, byte):
        """Take one byte. Anything may come: what begins no frame is dropped, and the rest looked at again."""
        self._frame[self._count] = byte
        self._count += 1
        while self._count:
            length = self._wanted()
            if length < 0:
                self._drop(1)
            elif length > self._count:
                return
            else:
                if self._frame[0] == 0xF4:
                    is_good = self._take_report(length)
                else:
                    is_good = self._take_ack(length)
                if is_good:
                    self._drop(length)
                else:
                    self.errors += 1
                    self._drop(1)

    def _wanted(self):
        """Return how many bytes this frame has; a number beyond those that are here: go on; -1: it is none."""
        frame = self._frame
        count = self._count
        if frame[0] == 0xF4:
            head = _REPORT_HEAD
            tail = _REPORT_TAIL
        else:
            head = _COMMAND_HEAD
            tail = _COMMAND_TAIL
        for i in range(count if count < 4 else 4):
            if frame[i] != head[i]:
                return -1
        if count < 6:
            return count + 1
        inside = frame[4] | frame[5] << 8
        if not 4 <= inside <= _INSIDE_MAX:
            return -1
        end = 6 + inside
        for i in range(end, count if count < end + 4 else end + 4):
            if frame[i] != tail[i - end]:
                return -1
        return end + 4

    def _drop(self, count):
        frame = self._frame
        left = self._count - count
        for i in range(left):
            frame[i] = frame[i + count]
        self._count = left

    def _take_report(self, length):
        frame = self._frame
        inside = length - 10
        kind = frame[6]
        if inside < 13 or frame[7] != 0xAA or frame[length - 6] != 0x55 or frame[length - 5] != 0:
            return False
        state = frame[8]
        moving_cm = frame[9] | frame[10] << 8
        moving_energy = frame[11]
        still_cm = frame[12] | frame[13] << 8
        still_energy = frame[14]
        distance_cm = frame[15] | frame[16] << 8
        if state > 3 or moving_energy > 100 or still_energy > 100:
            return False
        if moving_cm > _DISTANCE_MAX_CM or still_cm > _DISTANCE_MAX_CM or distance_cm > _DISTANCE_MAX_CM:
            return False
        if kind == 1:
            # Gates: two counts less one, then the energies of both.
            if frame[17] > 8 or frame[18] > 8 or inside < 17 + frame[17] + frame[18]:
                return False
            moving = frame[17] + 1
            still = frame[18] + 1
            for i in range(moving + still):
                if frame[19 + i] > 100:
                    return False
            for i in range(_GATES):
                self.moving_gates[i] = frame[19 + i] if i < moving else 0
                self.still_gates[i] = frame[19 + moving + i] if i < still else 0
        elif kind != 2 or inside != 13:
            return False
        self.moving_cm = moving_cm
        self.moving_energy = moving_energy
        self.still_cm = still_cm
        self.still_energy = still_energy
        self.distance_cm = distance_cm
        self.is_moving = state & 1
        self.is_still = state >> 1
        self.reports = (self.reports + 1) & _RING
        presence = 1 if state else 0
        if presence != self.presence:
            self.presence = presence
            self._notify(presence)
        return True

    def _take_ack(self, length):
        frame = self._frame
        if frame[7] != 1:
            return False
        if self.setup_state != BUSY or frame[6] != self._steps[self._step]:
            # Well said, and nobody asked (any more).
            return True
        if frame[8] or frame[9]:
            # Refused: `poll` tries again.
            return True
        if frame[6] == _FIRMWARE:
            if length < 22:
                return False
            self.firmware = "%x.%02x.%02x%02x%02x%02x" % (
                frame[13], frame[12], frame[17], frame[16], frame[15], frame[14],
            )  # fmt: skip
        self._tries = 0
        if self._step == len(self._steps) - 1:
            self.setup_state = FAILED if self._has_failed else DONE
        else:
            self._step += 1
            self._send(self._sent_ms)
        return True


def fuzz_ld2410(data):
    """Feed any bytes to a fresh parser; return (reports, errors, presence, distance_cm, bytes that wait)."""
    radar = Ld2410(None, _nobody_listens)
    for one in data:
        radar.feed(one)
    return radar.reports, radar.errors, radar.presence, radar.distance_cm, radar._count


def _nobody_listens(value):
    return None
