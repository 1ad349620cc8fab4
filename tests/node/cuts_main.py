"""Cut the power at every operation of every writer, on a real littlefs. Runs on MicroPython (VfsLfs2), as a program:

    micropython tests/node/cuts_main.py sweep WRITER [TEARS]   every cut point, in four ways of tearing (or some: 13)
    micropython tests/node/cuts_main.py nested WRITER SEED CUTS   random cuts, one to six in a row, until so many
    micropython tests/node/cuts_main.py full WRITER           every amount of free flash, from none on

It prints ``cuts N lost N refused N completed N`` and, for what is lost, a line that says where. The block device is a
double: RAM that dies after operation k, with the operation not done, half done, done with noise, or done and not
acknowledged. After the cut the firmware's own littlefs mounts what is left, and the writer's own reader judges it.
"""
# ruff: noqa: UP031  (what runs on the chip formats as the chip's own code does)

import os
import sys

import vfs

from firmware.system.boot_files import read_select, select_file
from firmware.system.journal import Journal
from firmware.system.journal_format import DECISION
from firmware.system.journal_read import Segment
from firmware.system.store import Store, StoreError

BLOCK = 512
BLOCKS = 96
NOT_DONE, HALF_DONE, NOISE, NOT_ACKNOWLEDGED = range(4)
HASH = b"01234567"


class Flash:
    """A double of flash memory that loses its supply at operation ``dies_at`` (counted in ``operations``)."""

    def __init__(self, image=None):
        self.memory = bytearray(image) if image else bytearray(b"\xff" * (BLOCK * BLOCKS))
        self.operations = 0
        self.dies_at = -1
        self.tear = NOT_DONE
        self.is_dead = False
        self.noise = 12345

    def readblocks(self, number, buffer, offset=0):
        # An errno that is returned says the same to littlefs as one that is raised, and prints nothing.
        if self.is_dead:
            return -5
        start = number * BLOCK + offset
        buffer[:] = memoryview(self.memory)[start : start + len(buffer)]
        return 0

    def writeblocks(self, number, buffer, offset=0):
        return self._do(number * BLOCK + offset, buffer)

    def ioctl(self, operation, argument):
        if operation == 4:
            return BLOCKS
        if operation == 5:
            return BLOCK
        if operation == 6:
            return self._do(argument * BLOCK, ERASED)
        return 0

    def _do(self, start, data):
        if self.is_dead:
            return -5
        size = len(data)
        memory = self.memory
        if self.operations == self.dies_at:
            self.is_dead = True
            if self.tear == HALF_DONE:
                memory[start : start + size // 2] = data[: size // 2]
            elif self.tear == NOISE:
                for i in range(size):
                    self.noise = (self.noise * 1103515245 + 12345) & 0x3FFFFFFF
                    memory[start + i] = (data[i] if self.noise & 0x10000 else memory[start + i]) ^ (
                        1 << (self.noise >> 20 & 7) if self.noise & 0x300000 == 0 else 0
                    )
            elif self.tear == NOT_ACKNOWLEDGED:
                memory[start : start + size] = data
            return -5
        self.operations += 1
        memory[start : start + size] = data
        return 0


ERASED = b"\xff" * BLOCK


def mounted(flash):
    """Mount a flash at /f."""
    vfs.mount(vfs.VfsLfs2(flash), "/f")


class StoreWriter:
    """Three keys of the node: a plan, a counter that follows it, and one that nobody touches."""

    name = "store"

    def __init__(self):
        self.count = 0

    def prepare(self):
        store = Store("/f/s")
        for text in (b"k1", b"k2"):
            store.write("keys", text * 40)
        self.count = 2
        for _ in range(3):
            self.write()

    def plan(self, count):
        return bytes([count & 255]) * (900 + count % 7 * 100)

    def write(self):
        """Bring a new plan, then count it."""
        store = Store("/f/s")
        store.write("plan", self.plan(self.count + 1))
        store.write("counter", b"%d" % (self.count + 1))
        self.count += 1

    def judge(self):
        """Return what is wrong, "" for nothing; take up the state that is found."""
        store = Store("/f/s")
        if store.read("keys") != b"k2" * 40:
            return "keys {!r}".format(store.read("keys"))
        counter = store.read("counter")
        plan = store.read("plan")
        if store.corrupt:
            return "%d corrupt generations" % store.corrupt
        for count, is_ahead in ((self.count, 0), (self.count, 1), (self.count + 1, 0)):
            if counter == b"%d" % count and plan == self.plan(count + is_ahead):
                self.count = count
                return ""
        return "counter %r of %d, plan %r" % (counter, self.count, (plan or b"")[:1])


class NaiveWriter(StoreWriter):
    """The same keys in plain files, written in place: what the store is there to replace. Must be caught losing."""

    name = "naive"

    def prepare(self):
        os.mkdir("/f/s")
        self._put("keys", b"k2" * 40)
        self.count = 2
        self.write()

    def _put(self, name, data):
        with open("/f/s/" + name, "wb") as file:
            # As a program does that writes what it computes.
            for at in range(0, len(data), 64):
                file.write(data[at : at + 64])

    def _get(self, name):
        try:
            with open("/f/s/" + name, "rb") as file:
                return file.read()
        except OSError:
            return None

    def write(self):
        for name in ("plan", "counter"):
            try:
                os.remove("/f/s/" + name)
            except OSError as error:
                if error.args[0] != 2:
                    raise
            self._put(name, self.plan(self.count + 1) if name == "plan" else b"%d" % (self.count + 1))
        self.count += 1

    def judge(self):
        counter, plan = self._get("counter"), self._get("plan")
        for count, is_ahead in ((self.count, 0), (self.count, 1), (self.count + 1, 0)):
            if counter == b"%d" % count and plan == self.plan(count + is_ahead):
                self.count = count
                return ""
        return f"counter {counter!r}, plan {plan and len(plan)!r}"


class JournalWriter:
    """A night's records, flushed in batches, a new segment among them and the oldest dropped."""

    name = "journal"

    def __init__(self):
        self.next = 0
        self.flushed = 0
        self.boot = 0

    def prepare(self):
        while self.next < 1000:
            self.write()

    def write(self):
        """One boot: a run, then three flushes."""
        self.boot += 1
        journal = Journal("/f/j", None, self.boot, segments=3, segment_bytes=2048)
        journal.start_run(self.next, 0, HASH, HASH, "1.0", 1000)
        for _ in range(3):
            for _ in range(60):
                journal.decision(self.next & 0x3FFFFFFF, 0, self.next % 1000, 300, 3, 1)
                self.next += 1
            if not journal.flush(self.next):
                raise OSError(28)
            self.flushed = self.next

    def judge(self):
        """Whatever was flushed and not dropped is there, in order and without a hole."""
        journal = Journal("/f/j", None, 0, segments=3, segment_bytes=2048)
        paths = journal.files()
        if len(paths) > 3:
            return "%d segments" % len(paths)
        found = []
        for path in paths:
            with open(path, "rb") as file:
                data = file.read()
            if not data:
                # Made, and cut before its header was committed.
                continue
            segment = Segment(data)
            while segment.next():
                if segment.kind == DECISION:
                    found.append(segment.tick)
            if segment.is_torn and path != paths[-1]:
                return f"{path} torn"
        for i in range(1, len(found)):
            if found[i] != found[i - 1] + 1:
                return "record %d after %d" % (found[i], found[i - 1])
        if found and not self.flushed <= found[-1] + 1 <= self.flushed + 60:
            return "last record %d, flushed up to %d" % (found[-1], self.flushed)
        if len(found) < 150:
            return "only %d records" % len(found)
        self.next = self.flushed = found[-1] + 1
        return ""


class SelectWriter:
    """The launcher gives up a slot on trial: the pointer file, written with the launcher's own function."""

    name = "select"

    def __init__(self):
        self.slot = "a"

    def prepare(self):
        self._write(select_file("a", False, "b"))

    def _write(self, data):
        from firmware import main

        # The launcher's paths are the node's root; only where it writes is another here.
        main.os = _Rerooted
        main.open = _Rerooted.open
        main._write("/boot.sel", data)

    def write(self):
        slot = "b" if self.slot == "a" else "a"
        self._write(select_file(slot, False, self.slot))
        if _Rerooted.failed:
            _Rerooted.failed = False
            raise OSError(5)
        self.slot = slot

    def judge(self):
        with open("/f/boot.sel", "rb") as file:
            found = read_select(file.read())
        if found is None or found[1]:
            return f"pointer {found!r}"
        self.slot = found[0]
        return ""


class _Rerooted:
    failed = False

    @staticmethod
    def open(path, mode):
        try:
            return open("/f" + path, mode)
        except OSError:
            _Rerooted.failed = True
            raise

    @staticmethod
    def rename(old, new):
        try:
            os.rename("/f" + old, "/f" + new)
        except OSError:
            _Rerooted.failed = True
            raise


WRITERS = {each.name: each for each in (StoreWriter, NaiveWriter, JournalWriter, SelectWriter)}
ATTRIBUTES = ("count", "next", "flushed", "boot", "slot")


def kept(writer):
    """What the writer knows of what it has written: it lives through the cut, outside of the node."""
    return [(name, getattr(writer, name)) for name in ATTRIBUTES if hasattr(writer, name)]


def restore(writer, state):
    for name, value in state:
        setattr(writer, name, value)


def prepared(name):
    """Return a writer, the image of the flash before the update, and the operations that the update takes."""
    writer = WRITERS[name]()
    flash = Flash()
    vfs.VfsLfs2.mkfs(flash)
    mounted(flash)
    writer.prepare()
    vfs.umount("/f")
    image = bytes(flash.memory)
    state = kept(writer)
    flash.operations = 0
    mounted(flash)
    writer.write()
    vfs.umount("/f")
    restore(writer, state)
    return writer, image, flash.operations


def attempt(writer, flash):
    """Mount, write, unmount; True when the update came through."""
    try:
        mounted(flash)
    except OSError:
        return False
    try:
        writer.write()
        return True
    except (OSError, StoreError):
        return False
    finally:
        vfs.umount("/f")


def judged(writer, flash):
    """Power is back: mount what is left, and let the writer judge it."""
    after = Flash()
    after.memory = flash.memory
    try:
        mounted(after)
    except OSError as error:
        return "does not mount, errno %d" % error.args[0], after
    try:
        return writer.judge(), after
    finally:
        vfs.umount("/f")


def sweep(name, tears="0123"):
    """Cut at every operation in every way; then the update is repeated and must come through."""
    writer, image, operations = prepared(name)
    before = kept(writer)
    cuts = lost = completed = 0
    for at in range(operations):
        for tear in map(int, tears):
            restore(writer, before)
            flash = Flash(image)
            flash.dies_at = at
            flash.tear = tear
            is_done = attempt(writer, flash)
            cuts += 1
            what, after = judged(writer, flash)
            if not what and not is_done and attempt(writer, after):
                what = judged(writer, after)[0]
                completed += not what
            if what:
                lost += 1
                if lost < 4:
                    print("operation %d of %d, tear %d: %s" % (at, operations, tear, what))
    print("cuts %d lost %d refused 0 completed %d" % (cuts, lost, completed))


def nested(name, seed, wanted):
    """Random cuts, one to six in a row before an update may come through."""
    writer, image, operations = prepared(name)
    random = seed * 2654435 & 0x3FFFFFFF
    flash = Flash(image)
    cuts = lost = completed = 0
    while cuts < wanted:
        random = (random * 1103515245 + 12345) & 0x3FFFFFFF
        for _ in range(1 + (random >> 16) % 6):
            random = (random * 1103515245 + 12345) & 0x3FFFFFFF
            flash.dies_at = (random >> 8) % operations
            random = (random * 1103515245 + 12345) & 0x3FFFFFFF
            flash.tear = random >> 16 & 3
            flash.noise = random
            attempt(writer, flash)
            cuts += 1
            what, flash = judged(writer, flash)
            if what:
                print("after %d cuts: %s" % (cuts, what))
                lost += 1
                restore(writer, kept(prepared(name)[0]))
                flash = Flash(image)
        completed += attempt(writer, flash)
        what, flash = judged(writer, flash)
        lost += what != ""
    print("cuts %d lost %d refused 0 completed %d" % (cuts, lost, completed))


def full(name):
    """Fill the flash but for so many blocks, and write: refused or done, and never anything between."""
    writer, image, _ = prepared(name)
    before = kept(writer)
    lost = refused = completed = 0
    for free in range(24):
        restore(writer, before)
        flash = Flash(image)
        mounted(flash)
        fillers = 0
        try:
            while True:
                with open("/f/x%d" % fillers, "wb") as file:
                    file.write(b"x" * 400)
                fillers += 1
        except OSError as error:
            if error.args[0] != 28:
                raise
        for number in range(min(free, fillers)):
            os.remove("/f/x%d" % number)
        vfs.umount("/f")
        if attempt(writer, flash):
            completed += 1
        else:
            refused += 1
        what, flash = judged(writer, flash)
        if what:
            lost += 1
            print("%d blocks free: %s" % (free, what))
    print("cuts 24 lost %d refused %d completed %d" % (lost, refused, completed))


if __name__ == "__main__":
    if sys.argv[1] == "sweep":
        sweep(*sys.argv[2:])
    elif sys.argv[1] == "full":
        full(sys.argv[2])
    else:
        nested(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
