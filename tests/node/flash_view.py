"""What a node would find on a flash: its store, its journal and what waits for a link, read by the firmware's own code.

Nothing here says what is right; `problems` names what no flash of a node may ever show, whatever came before.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from firmware.links.outbox import STORE_NAME as OUTBOX
from firmware.links.outbox import Outbox
from firmware.system.journal_format import HEADER_SIZE
from firmware.system.journal_read import Segment
from firmware.system.store import Store
from sim.board import flash_image

STORE, JOURNAL = "/data/store/", "/data/journal/"
NEXT_HEAD = 9

Record = tuple[int, int, int, tuple[int, ...]]


@dataclass(frozen=True)
class View:
    """``stored``: the newest whole generation of each name; ``corrupt``: damaged ones; ``journal``: segments, oldest
    first, with their records; ``torn``: segments that end within a record; ``other``: files of neither."""

    stored: dict[str, bytes]
    corrupt: int
    journal: dict[str, tuple[Record, ...]]
    torn: tuple[str, ...]
    other: dict[str, bytes]

    @property
    def next_plan(self) -> bytes:
        """The plan that has been accepted and is not yet in force, empty for none."""
        return self.stored.get("next0", b"")[NEXT_HEAD:]

    def waiting(self) -> list[tuple[int, str, bytes]]:
        """Return class, topic and payload of what is kept for a link."""
        data = self.stored.get(OUTBOX)
        if data is None:
            return []
        box = Outbox(_Kept(data), 0)
        assert box.failures == 0, "an outbox that cannot be read"
        return [(entry.priority, entry.topic, entry.payload) for entry in box._entries]

    def problems(self) -> Iterator[str]:
        """Name what may not be, on any flash of a node."""
        if self.corrupt:
            yield f"{self.corrupt} damaged generation(s)"
        if self.torn:
            yield f"torn segments {self.torn}"
        boots = self.stored.get("boots", b"")
        numbers = [int.from_bytes(boots[at : at + 4], "little") for at in range(0, len(boots), 8)]
        if any(later <= earlier for earlier, later in pairwise(numbers)):
            yield f"boots {numbers}"


class _Kept:
    """A double of the store: one name, read only."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, name: str) -> bytes:
        """Return the bytes."""
        assert name == OUTBOX
        return self._data


def view_of(image: bytes) -> View:
    """Read an image. Raises what littlefs raises where it does not mount."""
    return _view(tuple(sorted(flash_image.files_of(image).items())))


@lru_cache(maxsize=64)
def _view(files: tuple[tuple[str, bytes], ...]) -> View:
    with tempfile.TemporaryDirectory() as folder:
        for path, data in files:
            if path.startswith(STORE):
                Path(folder, path.removeprefix(STORE)).write_bytes(data)
        store = Store(folder)
        found = {name: store.read(name) for name in store.names()}
        # A name with nothing but damaged generations is one that is gone, and is counted.
        stored = {name: data for name, data in found.items() if data is not None}
        corrupt = store.corrupt
    journal = {}
    torn = []
    for path, data in files:
        # Made, and cut before its header was committed: the next boot takes it away.
        if not path.startswith(JOURNAL) or len(data) < HEADER_SIZE:
            continue
        segment = Segment(data)
        records = []
        while segment.next():
            records.append((segment.tick, segment.kind, segment.lamp, tuple(segment.values)))
        journal[path] = tuple(records)
        if segment.is_torn:
            torn.append(path)
    other = {path: data for path, data in files if not path.startswith((STORE, JOURNAL))}
    return View(stored, corrupt, journal, tuple(torn), other)
