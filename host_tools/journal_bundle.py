"""What was copied from a node, laid out as ``reverbere sim replay`` wants it: segments, configurations and plans.

A run names its configuration and its plan by hash, so they are taken out of the node's store byte for byte, both
generations of each: the older may be that of an older run. Nothing secret is taken.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from firmware.system.store import Store

# Name in the store: how its copy ends, for sim/journal_replay.py.
_TAKEN = {"config": ".json", "plan0": ".bin", "plan1": ".bin", "plan2": ".bin", "plan3": ".bin"}


class JournalBundleError(Exception):
    """The copy cannot be used; the message says what is missing and what to do."""


def journal_files(copy: Path) -> dict[str, bytes]:
    """Return what a replay needs, by file name. ``copy``: the node's ``/data``, with ``journal`` and ``store`` in it.

    Raises `JournalBundleError`, and OSError where a file cannot be read.
    """
    segments = sorted((copy / "journal").glob("*.jnl"))
    if not segments:
        raise JournalBundleError(f"{copy}: no journal/*.jnl in it: give the copy of the node's /data")
    found = {segment.name: segment.read_bytes() for segment in segments}
    for name, end in _TAKEN.items():
        for generation in "01":
            source = copy / "store" / f"{name}.{generation}"
            if source.is_file() and (data := _content(source, name)) is not None:
                found[f"{name}-{generation}{end}"] = data
    if not any(name.endswith(".json") for name in found):
        raise JournalBundleError(f"{copy}: no configuration in its store: copy /data whole")
    return found


def _content(source: Path, name: str) -> bytes | None:
    """Return what one generation of a store's file holds, None where it is damaged."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copyfile(source, Path(folder) / source.name)
        data: bytes | None = Store(folder).read(name)
        return data
