"""Events that reach a lamp in a played night: a CSV file ``utc,kind,value``, in order of time.

presence, neighbour: 0 or 1 · lux: 0 … 1000000 or none · external: 0 … 1000 permille or none · local: 0 … 100 percent or
none · temperature: of the driver, °C · clock: good, held, doubted (only the feeder vouches for it), unknown, or the UTC
time that it is set to · override: TALQ's OverrideCommand or Command as JSON, null to resume. All after the second comma
is the value, so JSON may stand there as it is, or quoted as CSV has it.
"""

import csv
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from firmware.control.inputs import COMMAND_OVERRIDE, COMMAND_RESUME

from .problems import Problem

FILE_MAX_BYTES = 2_000_000
EVENTS_MAX = 20_000
# From the first event to the last.
SPAN_MAX = timedelta(days=400)
LUX_MAX = 1_000_000
RAMP_MAX_S = 1000
KINDS = ("presence", "lux", "override", "temperature", "neighbour", "external", "local", "clock")
_HEADER = "utc,kind,value"
_WHOLE = re.compile(r"^[0-9]{1,9}$")
_NUMBER = re.compile(r"^-?[0-9]{1,4}(?:\.[0-9]{1,3})?$")
_COMMAND_KEYS = {
    "state", "rampToLevelTime", "rampFromLevelTime", "reason", "cmsRefId", "refAddress", "start", "expiration",
}  # fmt: skip


@dataclass(frozen=True)
class Override:
    """A command (``kind`` COMMAND_OVERRIDE) or a resume; ``start`` None: at once, ``expiration`` None: for ever."""

    kind: int
    level_permille: int = 0
    ramp_to_ms: int = 0
    ramp_from_ms: int = 0
    start: datetime | None = None
    expiration: datetime | None = None


@dataclass(frozen=True)
class Event:
    """One line: at ``utc`` the input ``kind`` becomes ``value`` (None: nothing there any more)."""

    utc: datetime
    kind: str
    value: int | str | datetime | Override | None


class EventsError(ValueError):
    """A file of events that cannot be used: ``problems`` names every line with its reason and remedy."""

    def __init__(self, file: Path, problems: list[Problem]):
        super().__init__(f"{file}: {len(problems)} problem(s)")
        self.file = file
        self.problems = problems


def read_events(file: Path) -> list[Event]:
    """Return the events of a file, in order. Raises `EventsError` with every problem found."""
    try:
        data = file.read_bytes()
        if len(data) > FILE_MAX_BYTES:
            raise EventsError(
                file, [Problem("", f"{len(data)} bytes, at most {FILE_MAX_BYTES}: is this the right file?")]
            )
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise EventsError(file, [Problem("", f"cannot be read: {error.strerror}: give the path of a file")]) from error
    except UnicodeDecodeError as error:
        raise EventsError(file, [Problem("", f"byte {error.start}: not UTF-8: save the file as UTF-8")]) from error
    lines = text.splitlines()
    if not lines or lines[0].replace(" ", "") != _HEADER:
        raise EventsError(file, [Problem("line 1", f"the header is missing: begin the file with {_HEADER}")])
    if len(lines) - 1 > EVENTS_MAX:
        raise EventsError(file, [Problem("", f"{len(lines) - 1} lines, at most {EVENTS_MAX}: cut the file")])
    events: list[Event] = []
    problems: list[Problem] = []
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        try:
            event = _event(line)
            if events and event.utc < events[-1].utc:
                raise ValueError(f"{line.split(',')[0]} comes before the line above it: put the lines in order of time")
            if events and event.utc - events[0].utc > SPAN_MAX:
                raise ValueError(
                    f"lies more than {SPAN_MAX.days} days after the first event: split the file, or correct the date"
                )
            events.append(event)
        except ValueError as error:
            problems.append(Problem(f"line {number}", str(error)))
    if problems:
        raise EventsError(file, problems)
    return events


def utc_moment(text: str) -> datetime:
    """Return a moment of a UTC column: ISO with Z, another offset, or none (then it is UTC). Raises ValueError."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ValueError(f"{text.strip()!r} is not a time: write UTC like 2026-06-21T20:15:00Z") from error
    if len(text.strip()) < len("2026-06-21T20:15"):
        raise ValueError(f"{text.strip()!r} has no time of day: write UTC like 2026-06-21T20:15:00Z")
    moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    if not 2020 <= moment.year <= 2199:
        raise ValueError(f"{text.strip()} is out of range: the lamp knows the years 2020 to 2199")
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _event(line: str) -> Event:
    parts = line.split(",", 2)
    if len(parts) < 3:
        raise ValueError(f"{line.strip()!r} has {len(parts)} column(s): write {_HEADER}")
    kind, value = parts[1].strip(), parts[2].strip()
    if value.startswith('"') and value.endswith('"') and len(value) > 1:
        value = next(csv.reader([value]))[0]
    utc = utc_moment(parts[0])
    return Event(utc, kind, _value(kind, value))


def _value(kind: str, text: str) -> int | str | datetime | Override | None:
    if kind in ("presence", "neighbour"):
        if text not in ("0", "1"):
            raise ValueError(f"{kind} {text!r}: write 1 while it is there, 0 when it ends")
        return int(text)
    if kind == "lux":
        return _whole(text, LUX_MAX, "lux", "lx, or none")
    if kind == "external":
        return _whole(text, 1000, "external", "permille, or none")
    if kind == "local":
        return _local(text)
    if kind == "temperature":
        if not _NUMBER.match(text) or not -100 <= float(text) <= 300:
            raise ValueError(f"temperature {text!r}: write degrees Celsius from -100 to 300, like 71.5")
        return text
    if kind == "clock":
        if text in ("good", "held", "doubted", "unknown"):
            return text
        try:
            return utc_moment(text)
        except ValueError as error:
            raise ValueError(
                f"clock {text!r}: write good, held, doubted, unknown, or the UTC time it is set to, like "
                "2026-06-21T20:15:00Z"
            ) from error
    if kind == "override":
        return read_override(text)
    raise ValueError(f"kind {kind!r} is not known: write one of {', '.join(KINDS)}")


def _whole(text: str, most: int, kind: str, unit: str) -> int | None:
    if text == "none":
        return None
    if not _WHOLE.match(text) or int(text) > most:
        raise ValueError(f"{kind} {text!r}: write a whole number from 0 to {most} {unit}")
    return int(text)


def _local(text: str) -> int | None:
    if text == "none":
        return None
    number = text.removesuffix("%").strip()
    if not re.match(r"^[0-9]{1,3}(?:\.[0-9])?$", number) or float(number) > 100:
        raise ValueError(f"local {text!r}: write percent from 0 to 100, at most one decimal, or none")
    return round(float(number) * 10)


def read_override(text: str) -> Override:
    """Return TALQ's OverrideCommand or Command from its JSON; none in it means resume. Raises ValueError."""
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as error:
        example = '{"state": 100, "expiration": "2026-06-21T23:00:00Z"}'
        raise ValueError(f"override: not JSON ({error}): write a TALQ command like {example}, or null") from error
    if isinstance(tree, dict) and "targetCommand" in tree:
        tree = tree["targetCommand"]
    elif isinstance(tree, dict) and set(tree) <= {"addresses"}:
        tree = None
    if tree is None:
        return Override(COMMAND_RESUME)
    if not isinstance(tree, dict):
        raise ValueError('override: a targetCommand is an object: write {"state": 100}, or null to resume')
    unknown = sorted(set(tree) - _COMMAND_KEYS)
    if unknown:
        raise ValueError(f"override: {', '.join(unknown)} not known: TALQ's are {', '.join(sorted(_COMMAND_KEYS))}")
    if tree.get("reason") == "sensor":
        raise ValueError("override: reason sensor is an external source: write kind external with its permille")
    start = _moment(tree, "start")
    expiration = _moment(tree, "expiration")
    if start and expiration and expiration <= start:
        raise ValueError("override: expires before it starts: correct start or expiration")
    return Override(
        COMMAND_OVERRIDE,
        _state(tree),
        _ramp_ms(tree, "rampToLevelTime"),
        _ramp_ms(tree, "rampFromLevelTime"),
        start,
        expiration,
    )


def _state(tree: dict[str, Any]) -> int:
    state = tree.get("state")
    if isinstance(state, dict):
        if state.get("name") != "LevelState":
            raise ValueError('override: a lamp has a LevelState: write {"name": "LevelState", "value": 100}')
        state = state.get("value")
    if isinstance(state, bool) or not isinstance(state, int) or not 0 <= state <= 100:
        raise ValueError(f"override: state {state!r} is no level: write whole percent from 0 to 100")
    return state * 10


def _ramp_ms(tree: dict[str, Any], key: str) -> int:
    value = tree.get(key, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= RAMP_MAX_S:
        raise ValueError(f"override: {key} {value!r}: write seconds from 0 to {RAMP_MAX_S}")
    return round(value * 1000)


def _moment(tree: dict[str, Any], key: str) -> datetime | None:
    value = tree.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not re.search(r"(?:[Zz]|[+-]\d\d:\d\d)$", value):
        raise ValueError(f"override: {key} {value!r} has no offset: write it like 2026-06-21T23:00:00Z")
    moment = utc_moment(value)
    if moment.microsecond:
        raise ValueError(f"override: {key} {value} is finer than a second: round it")
    return moment
