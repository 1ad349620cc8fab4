"""Small files that outlive power cuts: two generations of each, and a cut at any moment leaves the newest whole one.

Layout of the folder: ``NAME.0`` and ``NAME.1`` are the two generations of a name, ``~`` is what is being written. Each
file is 16 bytes, then the data:

====== ===== =======================================================================
offset bytes (little-endian)
====== ===== =======================================================================
0      4     ``RVS1``
4      4     generation: the greater of the two is the newer
8      4     length of the data; the file ends there
12     4     CRC-32 (IEEE 802.3) of the name, the 12 bytes before, and the data
====== ===== =======================================================================

To write: ``~`` is written, closed, read back and verified, and renamed over the older generation. On littlefs a rename
is atomic; on FAT it is not, and the node refuses FAT elsewhere. A file is never written in place: an exception between
open and close would commit half of it (reliability.md, finding 8).

Bounds: a name is 1 … 24 of a-z, 0-9, ``-`` and ``_``; data is at most 16 KiB; there are at most 48 names.
"""

import binascii
import os

from firmware.control.compat import const
from firmware.control.ticks import ticks_diff

DATA_MAX = const(16384)
NAME_MAX = const(24)
NAMES_MAX = const(48)

_MAGIC = b"RVS1"
_HEADER_SIZE = const(16)
_CHUNK = const(128)
_ENOENT = const(2)
_EEXIST = const(17)
_GENERATION_MAX = const(0x3FFFFFFF)
_NAME_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-_"
_TEMPORARY = "/~"


class StoreError(Exception):
    """Nothing was written, and what was stored stands: ``name``, ``what``, ``errno`` (0 where no file was touched)."""

    def __init__(self, name, what, errno=0):
        super().__init__("store %s: %s" % (name, what))
        self.name = name
        self.what = what
        self.errno = errno


class BootGuard:
    """No write in the first ``closed_ms`` (5 s) of a boot: a contactor that chatters at dusk costs no flash.

    ``ticks_ms``: a callable, the ring of 2^30 ms; `is_open` is asked at least once in six days.
    """

    def __init__(self, ticks_ms, closed_ms=5000):
        self._ticks_ms = ticks_ms
        self._start_ms = ticks_ms()
        self._closed_ms = closed_ms
        self._is_open = False

    def is_open(self):
        """Tell whether writing is allowed; once it is, it stays so."""
        if not self._is_open and ticks_diff(self._ticks_ms(), self._start_ms) >= self._closed_ms:
            self._is_open = True
        return self._is_open


class Store:
    """The files of one folder, made at the first write. ``guard``: an object with ``is_open()``, or None for always.

    ``corrupt`` counts generations that were there and not whole; ``writes`` those written since boot.
    """

    def __init__(self, folder, guard=None):
        self._folder = folder
        self._guard = guard
        # Name -> twice the generation of the newest whole one, and its slot; -1 where there is none.
        self._newest = {}
        self.corrupt = 0
        self.writes = 0

    def read(self, name, skip=0):
        """Return the newest whole generation of ``name`` as bytes, None where there is none. Raises StoreError for a
        name that can be none. The first ``skip`` bytes are left out: cut off later, they would cost a copy."""
        _check_name(name)
        slot, _ = self._look(name, False)
        if slot < 0:
            return None
        data = self._load(name, slot, skip)
        if data is None:
            # It was whole when it was looked at: look again, once.
            self._newest.pop(name, None)
            slot, _ = self._look(name, False)
            data = self._load(name, slot, skip) if slot >= 0 else None
        return data

    def write(self, name, data):
        """Make ``data`` the newest generation of ``name``; the same data again costs no write.

        Raises StoreError where that cannot be; what was stored then stands. It blocks for about 50 ms a 4 kB of flash.
        """
        _check_name(name)
        if len(data) > DATA_MAX:
            raise StoreError(name, "%d bytes, at most %d" % (len(data), DATA_MAX))
        slot, generation = self._look(name, True)
        if slot >= 0 and self._is(name, slot, data):
            return
        if self._guard is not None and not self._guard.is_open():
            raise StoreError(name, "too soon after boot")
        if slot < 0 and name not in self.names() and len(self.names()) >= NAMES_MAX:
            raise StoreError(name, "%d names, no more" % NAMES_MAX)
        if generation >= _GENERATION_MAX:
            raise StoreError(name, "generations are used up")
        header = bytearray(_HEADER_SIZE)
        header[0:4] = _MAGIC
        _put(header, 4, generation + 1)
        _put(header, 8, len(data))
        _put(header, 12, binascii.crc32(data, _crc_of(name, header)))
        temporary = self._folder + _TEMPORARY
        target = 1 - slot if slot >= 0 else 0
        try:
            self._make_folder()
            file = open(temporary, "wb")
            try:
                file.write(header)
                file.write(data)
            finally:
                file.close()
            if self._check(temporary, name) != generation + 1:
                raise StoreError(name, "reads back otherwise than written")
            # From here on it is not known which is the newest, until the rename has come back.
            self._newest.pop(name, None)
            os.rename(temporary, self._path(name, target))
        except OSError as error:
            self._drop(temporary)
            raise StoreError(name, "not written, errno %d" % _errno(error), _errno(error))
        self._newest[name] = 2 * generation + 2 + target
        self.writes += 1

    def revert(self, name):
        """Have the generation before the newest be the newest again; without one, there is no ``name`` any more.

        One removal, so a cut leaves the one or the other. Raises StoreError where it cannot be; the newest stands."""
        _check_name(name)
        slot, _ = self._look(name, True)
        self._newest.pop(name, None)
        if slot < 0:
            return
        try:
            os.remove(self._path(name, slot))
        except OSError as error:
            raise StoreError(name, "not removed, errno %d" % _errno(error), _errno(error))

    def remove(self, name):
        """Forget ``name``; the older generation first, so that a cut never brings an old one back."""
        _check_name(name)
        if self._guard is not None and not self._guard.is_open():
            raise StoreError(name, "too soon after boot")
        slot, _ = self._look(name, True)
        self._newest.pop(name, None)
        order = (1 - slot, slot) if slot >= 0 else (0, 1)
        try:
            for each in order:
                try:
                    os.remove(self._path(name, each))
                except OSError as error:
                    if _errno(error) != _ENOENT:
                        raise
        except OSError as error:
            raise StoreError(name, "not removed, errno %d" % _errno(error), _errno(error))

    def forget_places(self):
        """Look again where the newest of each name is: most are read once, at the start."""
        self._newest = {}

    def names(self):
        """Return the names of which there is a file, sorted; whether it is whole, `read` says."""
        try:
            files = os.listdir(self._folder)
        except OSError:
            return []
        found = []
        for file in files:
            name = file[:-2]
            if file[-2:] in (".0", ".1") and _is_name(name) and name not in found:
                found.append(name)
        found.sort()
        return found

    def _path(self, name, slot):
        return self._folder + "/" + name + (".1" if slot else ".0")

    def _look(self, name, for_writing):
        """Return (slot, generation) of the newest whole generation, (-1, 0) for none. Each file is judged once a boot.

        A file that cannot be read now counts as corrupt for a reader; a writer refuses, since it may be the newest.
        """
        if name in self._newest:
            return _place(self._newest[name])
        slot = -1
        newest = 0
        is_sure = True
        for each in (0, 1):
            try:
                generation = self._check(self._path(name, each), name)
            except OSError as error:
                if _errno(error) == _ENOENT:
                    continue
                if for_writing:
                    raise StoreError(name, "cannot be read, errno %d" % _errno(error), _errno(error))
                is_sure = False
                generation = 0
            if generation > newest:
                slot = each
                newest = generation
            elif generation == 0:
                self.corrupt += 1
        if is_sure:
            self._newest[name] = 2 * newest + slot
        return slot, newest

    def _check(self, path, name):
        """Return the generation of a file, 0 where it is not whole. Raises OSError where it cannot be read."""
        # Not kept: a file is checked at a start and after a write, and the heap is wanted in between.
        view = memoryview(bytearray(_CHUNK))
        file = open(path, "rb")
        try:
            size = file.readinto(view[:_HEADER_SIZE])
            if size != _HEADER_SIZE or bytes(view[:4]) != _MAGIC:
                return 0
            generation = _get(view, 4)
            left = _get(view, 8)
            wanted = _get(view, 12)
            if left > DATA_MAX or generation > _GENERATION_MAX:
                return 0
            crc = _crc_of(name, view)
            while left:
                count = file.readinto(view[: left if left < _CHUNK else _CHUNK])
                if not count:
                    return 0
                crc = binascii.crc32(view[:count], crc)
                left -= count
            # Longer than it says is not whole either.
            return generation if crc == wanted and not file.readinto(view[:1]) else 0
        finally:
            file.close()

    def _load(self, name, slot, skip=0):
        """Return the data of a generation from ``skip`` on, None where it is not whole (any more)."""
        try:
            file = open(self._path(name, slot), "rb")
            try:
                header = file.read(_HEADER_SIZE)
                # As much as it says and not a byte more: a buffer for the largest would be a seventh of the heap.
                length = _get(header, 8) if len(header) == _HEADER_SIZE else 0
                if length > DATA_MAX:
                    return None
                crc = _crc_of(name, header)
                if skip:
                    skip = min(skip, length)
                    crc = binascii.crc32(file.read(skip), crc)
                data = file.read(length - skip)
                is_longer = len(file.read(1)) > 0
            finally:
                file.close()
        except OSError:
            return None
        if is_longer or len(header) < _HEADER_SIZE or binascii.crc32(data, crc) != _get(header, 12):
            return None
        return data

    def _is(self, name, slot, data):
        """Tell whether a generation holds ``data``; piece by piece, for twice a plan has no room in the heap."""
        view = memoryview(bytearray(_CHUNK))
        wanted = memoryview(data)
        try:
            file = open(self._path(name, slot), "rb")
            try:
                count = file.readinto(view[:_HEADER_SIZE])
                if count != _HEADER_SIZE or _get(view, 8) != len(data):
                    return False
                if _get(view, 12) != binascii.crc32(data, _crc_of(name, view)):
                    return False
                at = 0
                while True:
                    count = file.readinto(view)
                    if not count:
                        return at == len(data)
                    if view[:count] != wanted[at : at + count]:
                        return False
                    at += count
            finally:
                file.close()
        except OSError:
            return False

    def _make_folder(self):
        try:
            os.mkdir(self._folder)
        except OSError as error:
            if _errno(error) != _EEXIST:
                raise

    def _drop(self, path):
        """Give the space of an unfinished file back, if that is possible."""
        try:
            os.remove(path)
        except OSError:
            # It stays, and is overwritten by the next write.
            pass


def _place(newest):
    """Return (slot, generation) as `Store` keeps them in one number."""
    return (-1, 0) if newest < 0 else (newest & 1, newest >> 1)


def _crc_of(name, header):
    return binascii.crc32(header[:12], binascii.crc32(name.encode()))


def _errno(error):
    return error.args[0] if error.args and isinstance(error.args[0], int) else 0


def _is_name(name):
    if not 1 <= len(name) <= NAME_MAX:
        return False
    for letter in name:
        if letter not in _NAME_LETTERS:
            return False
    return True


def _check_name(name):
    if not _is_name(name):
        raise StoreError(name, "a name is 1 to %d of a-z 0-9 - _" % NAME_MAX)


def _put(buffer, at, value):
    for i in range(4):
        buffer[at + i] = (value >> (8 * i)) & 255


def _get(data, at):
    return data[at] | data[at + 1] << 8 | data[at + 2] << 16 | data[at + 3] << 24
