"""Why the node started, how often it failed, and what a later boot must know of this one.

``machine.reset_cause()`` tells neither a brown-out from a power-on nor a panic from ``machine.reset()``
(reliability.md, finding 7). So each run leaves a mark in the RTC's memory, the launcher reads it and says how the last
run ended, and this class keeps the rest: the levels that the lamp is put to after a reset, the seconds lit since power
came, and in the store a log of the last boots and of the last errors. A power cut is no bad boot; a boot is good after
60 s, and then the count of bad ones in a row is 0 again.

In the store: ``boots``, records of 8 bytes, oldest first: boot number (4), how the run before ended, reason, bad boots
in a row, 0. ``errors``: records of one length byte and a text. Both are bounded below.
"""

from firmware.control.compat import const

from .boot_files import BROWN_OUT, END_NAMES, INTENDED, LEVELS, POWER, SUPERVISOR, TEXT_MAX, Kept
from .store import StoreError

GOOD_MS = const(60000)

# Reasons of an intended reset.
REASON_NONE = const(0)
REASON_SERVICE = const(1)
REASON_UPDATE = const(2)
REASON_COMMAND = const(3)
REASON_CONFIG = const(4)
REASON_DAILY = const(5)

_BOOTS_MAX = const(64)
_BOOT_SIZE = const(8)
_ERRORS_MAX_BYTES = const(4096)
_ERROR_MAX = const(200)


class BootLog:
    """The log of boots. ``memory``: a callable, ``machine.RTC().memory``; ``store``: a `Store`.

    ``end``: how the last run ended (`boot_files`); ``is_power_on``: power had gone, so that a night may have ended;
    ``bad``: bad boots in a row, this one not counted; ``boot``: the number of this boot, from 1 on; ``crash_text``: the
    error that ended the last run, b"" for none. Call `persist` once writing is allowed and again until it returns True,
    and `good` after ``GOOD_MS``.
    """

    def __init__(self, memory, store):
        self._memory = memory
        self._store = store
        kept = Kept()
        self.is_launched = kept.take(memory())
        self._kept = kept
        self.end = kept.end if self.is_launched else POWER
        self.bad = kept.bad
        self.crash_text = kept.text
        self.is_power_on = self.end in (POWER, BROWN_OUT)
        if self.is_power_on:
            kept.lit_s = 0
        self._boots = self.data(0)
        last = self._boots[-_BOOT_SIZE:]
        self.boot = 1 + (last[0] | last[1] << 8 | last[2] << 16 | last[3] << 24 if len(last) == _BOOT_SIZE else 0)
        # A reason belongs to a mark; the memory may still hold that of an older one.
        self._reason = kept.reason if self.end in (INTENDED, SUPERVISOR) else REASON_NONE
        self._is_persisted = False

    @property
    def end_name(self):
        """How the last run ended, in words."""
        return END_NAMES.get(self.end, "unknown")

    @property
    def lit_s(self):
        """Seconds since power came, over resets, as last told to `keep_lit`."""
        return self._kept.lit_s

    def level(self, output):
        """Return the level that the launcher found for an output (permille of the duty), 65535 for none."""
        return self._kept.levels[output]

    def keep_level(self, output, permille):
        """Note the duty that output 0 … 3 now has: after a reset the launcher puts the pin there again."""
        if 0 <= output < LEVELS and self._kept.levels[output] != permille:
            self._kept.levels[output] = permille
            self._memory(self._kept.put())

    def keep_lit(self, seconds):
        """Note the seconds since power came; once a minute will do."""
        self._kept.lit_s = seconds
        self._memory(self._kept.put())

    def good(self):
        """This boot has lived for a minute: no bad boot counts any more."""
        self.bad = 0
        self._kept.bad = 0
        self._kept.text = b""
        self._memory(self._kept.put())

    def intend(self, reason):
        """A reset follows that is wanted; call it just before ``machine.reset()``."""
        self._mark(INTENDED, reason, b"")

    def fail(self, reason, text):
        """A reset follows because the node cannot go on as it is; ``text`` says why, at most 400 bytes are kept."""
        self._mark(SUPERVISOR, reason, text)

    def persist(self):
        """Write this boot, and the error before it, into the store; True when that is done."""
        if self._is_persisted:
            return True
        number = self.boot
        record = bytes(
            (number & 255, number >> 8 & 255, number >> 16 & 255, number >> 24 & 255)
            + (self.end, self._reason, self.bad, 0)
        )
        boots = self._boots + record
        try:
            if self.crash_text:
                self.note(self.crash_text)
            self._store.write("boots", boots[-_BOOTS_MAX * _BOOT_SIZE :])
        except StoreError:
            # Too soon, or the flash is full: the next call tries again, and the lamp does not care.
            return False
        self._is_persisted = True
        self._boots = b""
        return True

    def note(self, text):
        """Add an error, or an event of security such as service mode, to the log. Raises StoreError."""
        if isinstance(text, str):
            text = text.encode()
        # The end of a traceback says more than its beginning.
        text = ("%d " % self.boot).encode() + text[-_ERROR_MAX:]
        log = self.data(1)
        if log.endswith(bytes((len(text),)) + text):
            return
        log += bytes((len(text),)) + text
        while len(log) > _ERRORS_MAX_BYTES:
            log = log[1 + log[0] :]
        self._store.write("errors", log)

    def data(self, log):
        """Return a log as it is stored: 0 the boots, 1 the errors."""
        return self._store.read("errors" if log else "boots") or b""

    def boots(self):
        """Return the log: (boot number, how the run before ended, reason, bad boots in a row) each, oldest first."""
        data = self.data(0)
        found = []
        for at in range(0, len(data) - _BOOT_SIZE + 1, _BOOT_SIZE):
            number = data[at] | data[at + 1] << 8 | data[at + 2] << 16 | data[at + 3] << 24
            found.append((number, data[at + 4], data[at + 5], data[at + 6]))
        return found

    def errors(self):
        """Return the texts of the log, oldest first."""
        data = self.data(1)
        found = []
        at = 0
        while at < len(data):
            found.append(data[at + 1 : at + 1 + data[at]])
            at += 1 + data[at]
        return found

    def _mark(self, mark, reason, text):
        kept = self._kept
        kept.mark = mark
        kept.reason = reason
        if isinstance(text, str):
            text = text.encode()
        kept.text = text[-TEXT_MAX:]
        self._memory(kept.put())
