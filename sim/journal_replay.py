"""A node's journal decided again: the same inputs at the same ticks, through the same `Intake` and the same core.

A folder holds what was copied from a node: its segments (``*.jnl``), and the configurations (``*.json``) and plans
(``*.bin``) that its runs were under. A run names both by the first 8 bytes of the SHA-256 of the file, so they are
found by what they are and not by what they are called. A configuration is what `Site.lamp_config` gives (``zone``,
``place``, ``levels``, ``powers``, ``standby``, ``config``), or a list of those under ``lamps``.

A run is decided again from its first record to its last. What was lost in RAM at a power cut is not missed: decisions
at the last tick of a run may be there or not. A run whose beginning was dropped with an old segment, or that has a gap,
is told apart and decided as far as it is whole.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from firmware.control.civil import day_number
from firmware.control.inputs import CLOCK_UNKNOWN, Now, Seen
from firmware.control.plan import PlanError
from firmware.control.ticks import ticks_diff
from firmware.system.intake import Intake
from firmware.system.intake_apply import INPUT_CLOCK, KINDS
from firmware.system.journal_format import DECISION, GAP, HASH_SIZE, RUN, STARTED
from firmware.system.journal_read import JournalError, Run, Segment

from .lamp_replay import build_controller

# (tick, level in permille, fade in ms, reason, by)
Decided = tuple[int, int, int, int, int]
NEEDED = ("zone", "place", "levels", "powers", "standby")


class ReplayError(Exception):
    """The folder cannot be replayed: ``place``, ``reason`` and ``remedy``."""

    def __init__(self, place: str, reason: str, remedy: str):
        super().__init__(f"{place}: {reason}: {remedy}")
        self.place = place
        self.reason = reason
        self.remedy = remedy


@dataclass
class Difference:
    """Where a run parts from what was decided again; None: there is no such decision."""

    tick: int
    utc: str
    expected: Decided | None
    got: Decided | None


@dataclass
class Recorded:
    """One run of one lamp as it was written down. ``cut``: why it cannot be followed to its end, empty if it can."""

    place: str
    lamp: int
    boot: int
    header: Run | None = None
    records: list[tuple[int, int, list[int]]] = field(default_factory=list)
    cut: str = ""


@dataclass
class Outcome:
    """What came of a run. ``skipped``: why it was not decided again, empty when it was."""

    run: Recorded
    inputs: int = 0
    decisions: int = 0
    difference: Difference | None = None
    skipped: str = ""


def replay_folder(folder: Path) -> list[Outcome]:
    """Decide every run of a folder again. Raises `ReplayError` where nothing can be."""
    runs = read_runs(folder)
    configs = _by_hash(folder, "*.json")
    plans = _by_hash(folder, "*.bin")
    outcomes = []
    for run in runs:
        outcome = Outcome(run)
        outcomes.append(outcome)
        if run.header is None:
            outcome.skipped = run.cut or "its beginning was dropped with an older segment"
            continue
        config = configs.get(run.header.config_hash)
        plan = plans.get(run.header.plan_hash)
        if config is None or plan is None:
            lacking = [
                f"{what} {wanted.hex()}"
                for what, found, wanted in (
                    ("configuration", config, run.header.config_hash),
                    ("plan", plan, run.header.plan_hash),
                )
                if found is None
            ]
            outcome.skipped = f"{' and '.join(lacking)} not in the folder: copy the file of that time into it"
            continue
        _decide(outcome, _record_of(config, run), plan)
    return outcomes


def read_runs(folder: Path) -> list[Recorded]:
    """Return the runs of a folder, in the order in which they began. Raises `ReplayError` for a bad segment."""
    files = sorted(folder.glob("*.jnl"))
    if not files:
        raise ReplayError(str(folder), "no journal segment (*.jnl) in it", "copy the node's journal folder here")
    runs: list[Recorded] = []
    current: dict[int, Recorded] = {}
    following = -1
    for file in files:
        try:
            segment = Segment(file.read_bytes())
            if following not in (-1, segment.sequence):
                _cut(current, f"segment {following:08x} is missing")
            _read_segment(file, segment, runs, current)
        except JournalError as error:
            remedy = "copy it again; if it stays so, remove it: the runs in it are lost, the others are not"
            raise ReplayError(f"{file.name}, byte {error.place}", error.what, remedy) from error
        except OSError as error:
            raise ReplayError(str(file), str(error.strerror), "copy it again") from error
        if segment.is_torn:
            _cut(current, f"{file.name} is torn at byte {segment.end}")
        following = segment.sequence + 1
    return runs


def _read_segment(file: Path, segment: Any, runs: list[Recorded], current: dict[int, Recorded]) -> None:
    while segment.next():
        lamp = segment.lamp
        if segment.kind == RUN:
            # A new boot ends the runs of all lamps; a new controller that of its own.
            if any(run.boot != segment.run.boot for run in current.values()):
                current.clear()
            current[lamp] = Recorded(file.name, lamp, segment.run.boot, segment.run)
            runs.append(current[lamp])
        elif segment.kind == GAP:
            _cut(current, f"{segment.values[0]} record(s) were lost before tick {segment.tick}")
        elif segment.kind < KINDS or segment.kind in (DECISION, STARTED):
            if lamp not in current:
                current[lamp] = Recorded(file.name, lamp, segment.boot)
                runs.append(current[lamp])
            if not current[lamp].cut:
                current[lamp].records.append((segment.tick, segment.kind, segment.values))


def _cut(current: dict[int, Recorded], why: str) -> None:
    for run in current.values():
        run.cut = run.cut or why


def _by_hash(folder: Path, pattern: str) -> dict[bytes, Path]:
    return {hashlib.sha256(file.read_bytes()).digest()[:HASH_SIZE]: file for file in sorted(folder.glob(pattern))}


def _record_of(file: Path, run: Recorded) -> dict[str, Any]:
    """Return the configuration of a run's lamp, as a record of `lamp_replay` has it."""
    remedy = "export the configuration of the node again"
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ReplayError(file.name, f"is no JSON ({error})", remedy) from error
    if isinstance(data, dict) and "lamps" in data:
        lamps = data["lamps"]
        if not isinstance(lamps, list) or run.lamp >= len(lamps):
            raise ReplayError(f"{file.name}, lamps", f"there is no lamp {run.lamp}", remedy)
        # A node's own file has the place once for all its lamps.
        shared = {name: data[name] for name in ("zone", "place") if name in data}
        data = {**shared, **lamps[run.lamp]} if isinstance(lamps[run.lamp], dict) else lamps[run.lamp]
    missing = [name for name in NEEDED if not isinstance(data, dict) or name not in data]
    if missing:
        raise ReplayError(file.name, f"lacks {', '.join(missing)}", remedy)
    assert run.header is not None
    return {**data, "start": run.header.start_permille}


class _Taken:
    """Stands where the node has its journal: it keeps what is decided now."""

    def __init__(self) -> None:
        self.decisions: list[Decided] = []

    def input(self, tick: int, lamp: int, entry: Any) -> None:
        pass

    def started(self, tick: int, lamp: int) -> None:
        pass

    def decision(self, tick: int, lamp: int, level: int, fade_ms: int, reason: int, by: int) -> None:
        self.decisions.append((tick, level, fade_ms, reason, by))


def _decide(outcome: Outcome, record: dict[str, Any], plan: Path) -> None:
    run = outcome.run
    try:
        controller = build_controller({**record, "plan": plan.read_bytes().hex()})
    except PlanError as error:
        raise ReplayError(plan.name, str(error), "export the plan of the node again") from error
    except (TypeError, ValueError, IndexError, KeyError) as error:
        raise ReplayError(
            f"configuration of boot {run.boot}", f"cannot be used ({error})", "export the configuration again"
        ) from error
    assert run.header is not None
    tick = run.header.tick
    taken = _Taken()
    intake = Intake(controller, Seen(), Now(), taken, lambda: tick)
    expected: list[Decided] = []
    # (tick, day, second, ms) of each correction, to give a difference its time.
    clock: list[tuple[int, ...]] = []
    is_started = False
    for at, kind, values in run.records:
        if kind == DECISION:
            expected.append((at, *values))  # type: ignore[arg-type]
            continue
        tick = at
        is_started = True
        if kind == STARTED:
            intake.wake()
            continue
        outcome.inputs += 1
        if kind == INPUT_CLOCK:
            clock.append((at, *(values[1:] if values[0] != CLOCK_UNKNOWN else ())))
        intake.take((kind, *values))
    last = run.records[-1][0] if run.records else tick
    if is_started:
        # A decision may lie before the tick of the input behind it, never the run's end before its last input.
        tick = last if ticks_diff(last, tick) > 0 else tick
        intake.wake()
    outcome.decisions = len(expected)
    outcome.difference = _first_difference(expected, taken.decisions, tick, clock)


def _first_difference(
    expected: list[Decided], got: list[Decided], end: int, clock: list[tuple[int, ...]]
) -> Difference | None:
    for index in range(max(len(expected), len(got))):
        ours = got[index] if index < len(got) else None
        theirs = expected[index] if index < len(expected) else None
        if ours == theirs:
            continue
        if theirs is None and ours is not None and ours[0] == end:
            # The last moment: what was decided then may have been in RAM.
            return None
        decided = theirs or ours
        assert decided is not None
        return Difference(decided[0], _utc_of(decided[0], clock), theirs, ours)
    return None


def _utc_of(tick: int, clock: list[tuple[int, ...]]) -> str:
    before = [entry for entry in clock if ticks_diff(tick, entry[0]) >= 0]
    if not before or len(before[-1]) == 1:
        return "clock unknown"
    at, day, second, ms = before[-1]
    total = second * 1000 + ms + ticks_diff(tick, at)
    day += total // 86_400_000
    total %= 86_400_000
    year = 2000 + day // 366
    while day_number(year + 1, 1, 1) <= day:
        year += 1
    month = max(month for month in range(1, 13) if day_number(year, month, 1) <= day)
    date = f"{year:04}-{month:02}-{day - day_number(year, month, 1) + 1:02}"
    return f"{date} {total // 3_600_000:02}:{total // 60_000 % 60:02}:{total // 1000 % 60:02}.{total % 1000:03} UTC"
