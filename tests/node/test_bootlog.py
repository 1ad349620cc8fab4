"""Whoever asks why a lamp blinked must hear whether it was the feeder, the watchdog, or a mistake of ours."""

from __future__ import annotations

import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from firmware.system import boot_files
from firmware.system.boot_files import Kept
from firmware.system.bootlog import REASON_UPDATE, BootLog
from firmware.system.service import ServiceDoor
from firmware.system.store import Store, StoreError
from tests.node.journal_main import Clock


class Memory:
    """A double of ``machine.RTC().memory``, launched with how the last run ended."""

    def __init__(self, end=None, bad=0, text=b""):
        self.data = b""
        if end is not None:
            kept = Kept()
            kept.end, kept.bad, kept.text = end, bad, text
            self.data = kept.put()

    def __call__(self, data=None):
        if data is None:
            return self.data
        self.data = data
        return None

    @property
    def kept(self) -> Kept:
        found = Kept()
        assert found.take(self.data)
        return found


@given(st.integers(0, 255), st.lists(st.integers(0, 65535), min_size=4, max_size=4), st.integers(0, 2**32 - 1),
       st.binary(max_size=500))  # fmt: skip
def test_what_is_kept_comes_back(bad, levels, lit_s, text):
    """The launcher trusts this memory with the lamp. So whatever is put comes back, the text's end at least, and never
    more than 424 bytes."""
    kept = Kept()
    kept.bad, kept.levels, kept.lit_s, kept.text = bad, list(levels), lit_s, text
    data = kept.put()
    found = Kept()
    assert len(data) <= 424 and found.take(data)
    assert (found.bad, found.levels, found.lit_s, found.text) == (bad, levels, lit_s, text[-400:])


@given(st.binary(max_size=60), st.integers(0, 400))
def test_any_memory_is_none_or_ours(data, bit):
    """After power-on the memory holds anything. So any bytes, and ours with any bit flipped, change nothing."""
    found = Kept()
    good = bytearray(Kept().put())
    good[bit // 8 % len(good)] ^= 1 << bit % 8
    assert not found.take(data) and not found.take(bytes(good)) and not found.take(good[:10])
    assert found.end == boot_files.OTHER


def test_each_boot_is_logged_once(tmp_path):
    """A node that restarted six times last night has a story. So each boot leaves its number, how the run before ended
    and the bad ones in a row; the last 64 stay."""
    ends = [boot_files.POWER, boot_files.WATCHDOG, boot_files.CRASH] * 30
    for number, end in enumerate(ends, 1):
        log = BootLog(Memory(end, bad=number % 4), Store(str(tmp_path)))
        assert log.boot == number
        assert log.persist() and log.persist()
    kept = BootLog(Memory(), Store(str(tmp_path))).boots()
    assert [entry[0] for entry in kept] == list(range(27, 91))
    assert [entry[1] for entry in kept] == ends[26:]


def test_a_reason_belongs_to_its_mark(tmp_path):
    """The memory may still hold the reason of an older reset. So it counts only for a reset that was wanted."""
    memory = Memory(boot_files.POWER)
    log = BootLog(memory, Store(str(tmp_path)))
    log.intend(REASON_UPDATE)
    kept = memory.kept
    assert (kept.mark, kept.reason) == (boot_files.INTENDED, REASON_UPDATE)
    for end, reason in ((boot_files.INTENDED, REASON_UPDATE), (boot_files.WATCHDOG, 0)):
        kept.end = end
        memory(kept.put())
        log = BootLog(memory, Store(str(tmp_path)))
        log.persist()
        assert log.boots()[-1][1:3] == (end, reason)


def test_a_good_minute_ends_the_count(tmp_path):
    """Three bad boots hold the application back. So a boot that has lived for a minute sets the count to 0, and its
    error is taken out of the memory once it is in the log."""
    memory = Memory(boot_files.CRASH, bad=2, text=b"Traceback ... ValueError: x")
    log = BootLog(memory, Store(str(tmp_path)))
    assert (log.bad, log.crash_text[-1:]) == (2, b"x")
    assert log.persist()
    log.good()
    assert (memory.kept.bad, memory.kept.text) == (0, b"")
    assert b"ValueError: x" in log.errors()[-1]


def test_levels_and_lit_time_live_through_a_reset_only(tmp_path):
    """After a reset the lamp must come back as it was, and after a power cut the night begins anew. So levels are kept
    for the launcher, and the lit time is 0 after power came."""
    memory = Memory(boot_files.POWER)
    log = BootLog(memory, Store(str(tmp_path)))
    log.keep_level(0, 300)
    log.keep_level(4, 1)
    log.keep_lit(1234)
    assert memory.kept.levels == [300, 65535, 65535, 65535]
    kept = memory.kept
    for end, lit_s in ((boot_files.WATCHDOG, 1234), (boot_files.BROWN_OUT, 0), (boot_files.POWER, 0)):
        kept.end = end
        after = BootLog(Memory(), Store(str(tmp_path)))
        after = BootLog(lambda data=None, kept=kept: kept.put(), Store(str(tmp_path)))
        assert (after.lit_s, after.is_power_on, after.level(0)) == (lit_s, end != boot_files.WATCHDOG, 300)


def test_without_the_launcher_it_is_a_power_on(tmp_path):
    """On the bench the application may run without its launcher. So no memory is a power-on, and nothing fails."""
    log = BootLog(Memory(), Store(str(tmp_path)))
    assert log.is_power_on and not log.is_launched and log.boot == 1 and log.end_name == "power"


def test_errors_are_bounded_and_the_newest_stay(tmp_path):
    """An error every minute for a year must not fill the flash. So the log has 4 kB, drops the oldest, and holds the
    end of each text."""
    log = BootLog(Memory(), Store(str(tmp_path)))
    for number in range(200):
        log.note(f"error {number} " + "x" * (number * 3) + f" end {number}")
    texts = log.errors()
    assert len(Store(str(tmp_path)).read("errors")) <= 4096
    assert texts[-1].endswith(b"end 199") and texts[0].endswith(b"end %d" % (200 - len(texts)))
    assert all(len(text) <= 255 for text in texts)


def test_a_store_that_refuses_is_asked_again(tmp_path):
    """In the first seconds nothing is written. So persist says no, and does it later."""

    class Shut:
        is_ready = False

        def is_open(self):
            return self.is_ready

    guard = Shut()
    log = BootLog(Memory(boot_files.CRASH, text=b"e"), Store(str(tmp_path), guard))
    assert not log.persist()
    guard.is_ready = True
    assert log.persist() and len(log.boots()) == 1 and len(log.errors()) == 1


# --- service mode ----------------------------------------------------------------------------------------------------

KEY = bytes(range(16))


def mac(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


class Door:
    """A door with its clock and its log."""

    def __init__(self):
        self.clock = Clock(0x3FFFFFFF - 5)
        self.log: list[str] = []
        self.drawn = 0
        self.door = ServiceDoor("node-7", KEY, mac, self.random, self.clock, self.log.append)

    def random(self, count):
        self.drawn += 1
        return bytes([self.drawn]) * count

    def answer(self, key=KEY, node=b"node-7"):
        said = self.door.line(b"service?\r\n")
        assert said.startswith(b"challenge node-7 ")
        challenge = said.split()[2]
        return b"open " + mac(key, b"reverbere service " + node + b" " + challenge).hex().encode()

    def pass_ms(self, ms):
        self.clock.tick = (self.clock.tick + ms) & 0x3FFFFFFF


def test_the_proof_opens_and_is_logged():
    """An installer without a jumper must get in, and it must be seen. So the node's own key opens, once a challenge."""
    door = Door()
    line = door.answer()
    door.pass_ms(59_000)
    assert door.door.line(line) == b"service\r\n"
    assert door.door.is_open and door.log == ["service mode opened by proof"]
    assert door.door.line(line) == b"refused\r\n"


def test_no_other_line_opens():
    """The serial line is open to whoever opens the pole. So a wrong key, another node's, an old challenge, a late or a
    missing one do not open, silence answers everything else, and after three the door is shut for 15 minutes."""
    for make in (
        lambda door: door.answer(key=b"x" * 16),
        lambda door: door.answer(node=b"node-8"),
        lambda door: door.answer()[:-1],
        lambda door: (door.answer(), door.door.line(b"service?"))[0],
        lambda door: (door.answer(), door.pass_ms(60_001))[0],
        lambda door: b"open " + b"0" * 64,
    ):
        door = Door()
        assert door.door.line(make(door)) == b"refused\r\n" and not door.door.is_open
    door = Door()
    for line in (b"", b"\x03", b"\x01", b"\x04", b"help", b"service? " * 20, b"\xff" * 500):
        assert door.door.line(line) == b""
    for _ in range(3):
        door.door.line(door.answer(key=b"wrong"))
    assert door.door.line(b"service?") == b"" and door.log == ["service mode refused"] * 3
    door.pass_ms(899_999)
    assert door.door.line(b"service?") == b""
    door.pass_ms(1)
    assert door.door.line(door.answer()) == b"service\r\n"


def test_the_store_is_the_only_writer(tmp_path):
    """A log that writes elsewhere is not covered by the power-cut tests. So all of it is two names of the store."""
    log = BootLog(Memory(boot_files.CRASH, text=b"x"), Store(str(tmp_path)))
    log.persist()
    assert Store(str(tmp_path)).names() == ["boots", "errors"]
    try:
        BootLog(Memory(), Store(str(tmp_path / "none"), type("Shut", (), {"is_open": lambda self: False})())).note("x")
    except StoreError as error:
        assert "too soon" in error.what
