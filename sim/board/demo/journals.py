"""The nodes' own journals after the night: copied from their flash, decided again, and read for what they decided."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from firmware.control.inputs import CLOCK_UNKNOWN
from firmware.control.ticks import ticks_diff
from firmware.system.journal_format import DECISION
from sim.journal_replay import Outcome, Recorded, read_runs, replay_folder
from sim.lamp_replay import INPUT_CLOCK

from .nodes import Nodes
from .script import Script


@dataclass
class Replayed:
    """What came of all journals. ``outcomes``: of each node's runs, in the street's order."""

    outcomes: dict[str, list[Outcome]]

    @property
    def decisions(self) -> int:
        """Decisions that were taken again."""
        return sum(one.decisions for runs in self.outcomes.values() for one in runs)

    @property
    def inputs(self) -> int:
        """Inputs they were taken from."""
        return sum(one.inputs for runs in self.outcomes.values() for one in runs)

    @property
    def differences(self) -> list[tuple[str, Outcome]]:
        """The runs in which the node decided otherwise."""
        return [(name, one) for name, runs in self.outcomes.items() for one in runs if one.difference is not None]

    @property
    def skipped(self) -> list[tuple[str, Outcome]]:
        """The runs that could not be decided again."""
        return [(name, one) for name, runs in self.outcomes.items() for one in runs if one.skipped]

    def verdict(self) -> str:
        """Return one line for people."""
        if not self.differences:
            left = f", {len(self.skipped)} run(s) could not be decided again" if self.skipped else ""
            return f"{self.decisions} decisions, no difference{left}"
        name, one = self.differences[0]
        found = one.difference
        assert found is not None
        return (
            f"{self.decisions} decisions, {len(self.differences)} run(s) differ; first: {name}, boot {one.run.boot}, "
            f"{found.utc}: the node decided {found.expected}, now it is {found.got}"
        )


def copy_journals(nodes: Nodes, folder: Path) -> dict[str, Path]:
    """Copy each node's journal, configuration and plan into a folder of its own, for `reverbere sim replay`."""
    folders = {}
    shutil.rmtree(folder, ignore_errors=True)
    for node in nodes.nodes:
        folders[node.name] = own = folder / node.name
        own.mkdir(parents=True)
        for name, data in node.journal().items():
            (own / name).write_bytes(data)
        (own / "config.json").write_bytes(node.config)
        (own / "plan.bin").write_bytes(node.plan)
    return folders


def replay_all(folders: dict[str, Path]) -> Replayed:
    """Decide every journal again. Raises `ReplayError` where a node has none."""
    return Replayed({name: replay_folder(folder) for name, folder in folders.items()})


def decided(folder: Path, script: Script) -> list[tuple[int, int, int, int, int]]:
    """Return what a node decided, as `Light.pieces`: (ms since noon, from, to, fade in ms, reason), in order of time.

    The moment is that of the node's own clock; what it decided before it knew the time is placed by its ticks.
    """
    found = []
    for run in read_runs(folder):
        level = run.header.start_permille if run.header else 0
        for tick, kind, values in run.records:
            if kind == DECISION:
                to, fade_ms, reason, _ = values
                found.append((_noon_ms(run, tick, script.noon_s), level, to, fade_ms, reason))
                level = to
    return sorted(found, key=lambda piece: piece[0])


def known_until(folder: Path, script: Script) -> int:
    """Return the moment of a node's last record, in ms since noon: what it did later was in RAM, and is lost."""
    runs = [run for run in read_runs(folder) if run.records]
    return max((_noon_ms(run, run.records[-1][0], script.noon_s) for run in runs), default=0)


def _noon_ms(run: Recorded, tick: int, noon_s: int) -> int:
    clocks = [(at, values) for at, kind, values in run.records if kind == INPUT_CLOCK and values[0] != CLOCK_UNKNOWN]
    if not clocks:
        return 0
    at, (_, day, second, ms) = next(
        (before for before, after in pairwise(clocks) if ticks_diff(tick, after[0]) < 0), clocks[-1]
    )
    return ((day * 86_400 + second) - noon_s) * 1000 + ms + ticks_diff(tick, at)
