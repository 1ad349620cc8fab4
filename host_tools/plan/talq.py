"""Programs and calendars as TALQ 2.7.1 JSON: out of a site, and into one.

``export_talq`` writes `ControlProgramOne` and `Calendar` of the published data model; ``import_talq`` reads what any
CMS wrote by it. What one side cannot carry is refused with its path, never dropped or rounded. Where TALQ is silent:

- A sensor that no reference names is ours to choose: ambient light for active periods, presence for a
  FixedControlEffect, the outside source for an ExternalControlEffect. The other channels of the node have addresses
  of our own, `ADDRESSES`; those of other makers are named by the caller, address by address.
- A ramp or hold time that is not given is 0 s.
- A photocell's onLevel 1 with offLevel 0 becomes 1 lx and 1 lx: our photocell reports 0 for dark, 65535 for bright.
- An AstroAndSensorActivePeriod without levels has those of `talq_reader`; with one level, both are that.
- ``ownerCMS`` is not kept.
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from . import program as words
from .json_reader import TalqError
from .problems import Problem
from .program import ControlProgram, clock_text
from .site_calendar import Calendar
from .site_text import calendar_words, level_text, offset_text
from .talq_reader import ADDRESSES, Imported, TalqReader

# No document of ours is larger; a larger one is a mistake.
FILE_MAX_BYTES = 4_000_000
OWNER = "reverbere"


def export_talq(
    programs: Mapping[str, ControlProgram], calendars: Mapping[str, Calendar], owner: str = OWNER
) -> dict[str, Any]:
    """Return the document. Raises `TalqError` with the path of each level that is no whole percent."""
    writer = _Writer()
    document = {
        "programs": [
            {"type": "ControlProgramOne", "id": name, "ownerCMS": owner, **writer.program(program, f"programs.{name}")}
            for name, program in programs.items()
        ],
        "calendars": [
            {"id": name, "ownerCMS": owner, "rules": [], **_calendar_out(calendar)}
            for name, calendar in calendars.items()
        ],
    }
    if writer.problems:
        raise TalqError(writer.problems)
    return document


def _calendar_out(calendar: Calendar) -> dict[str, Any]:
    found = calendar_words(calendar)
    for rule in found.get("rules", ()):
        for days in rule.get("condition", {}).get("days", ()):
            days |= {key: int(value) for key, value in days.items()}
    return found


def _seconds(tenths: int) -> int | float:
    return tenths // 10 if tenths % 10 == 0 else tenths / 10


class _Writer:
    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def program(self, program: ControlProgram, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {
            "activePeriods": [
                self._period(period, f"{path}.activePeriods[{index}]")
                for index, period in enumerate(program.activePeriods)
            ],
            "fixedTimeControls": [
                {
                    "startTime": clock_text(control.startTime),
                    "command": self._command(control, f"{path}.fixedTimeControls[{index}]"),
                }
                for index, control in enumerate(program.fixedTimeControls)
            ],
        }
        if program.astroClockTimeControls:
            found["astroClockTimeControls"] = [
                {
                    "offset": self._minutes(control.offset, f"{path}.astroClockTimeControls[{index}].offset"),
                    "solarEventType": control.solarEventType,
                    "operation": control.operation,
                    "command": self._command(control, f"{path}.astroClockTimeControls[{index}]"),
                }
                for index, control in enumerate(program.astroClockTimeControls)
            ]
        if program.dynamicControls:
            found["dynamicControls"] = [
                self._dynamic(control, f"{path}.dynamicControls[{index}]")
                for index, control in enumerate(program.dynamicControls)
            ]
        return found

    def _level(self, permille: int, path: str) -> dict[str, Any]:
        if permille % 10:
            self.problems.append(
                Problem(
                    path,
                    f"{level_text(permille)} is finer than TALQ's DimLevel, a whole percent: write "
                    f"{permille // 10} % or {permille // 10 + 1} %",
                )
            )
        return {"name": "LevelState", "value": permille // 10}

    def _minutes(self, seconds: int, path: str) -> int:
        if seconds % 60:
            self.problems.append(
                Problem(path, f"{offset_text(seconds)} is finer than TALQ's offset, a whole minute: round it")
            )
        return seconds // 60

    def _command(self, control: Any, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {"state": self._level(control.state, f"{path}.state")}
        for name in ("rampToLevelTime", "rampFromLevelTime"):
            if getattr(control, name):
                found[name] = _seconds(getattr(control, name))
        return found

    def _period(self, period: words.AnyActivePeriod, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {"name": period.name}
        if isinstance(period, words.AbsoluteActivePeriod):
            found |= {"startTime": clock_text(period.startTime), "endTime": clock_text(period.endTime)}
        if isinstance(period, words.SensorActivePeriod | words.AstroAndSensorActivePeriod):
            found |= {"sensor": {}, "onLevel": period.onLevel, "offLevel": period.offLevel}
        if isinstance(period, words.AstroClockActivePeriod | words.AstroAndSensorActivePeriod):
            found |= {
                "sunsetOffset": self._minutes(period.sunsetOffset, f"{path}.sunsetOffset"),
                "sunriseOffset": self._minutes(period.sunriseOffset, f"{path}.sunriseOffset"),
            }
        if isinstance(period, words.AstroAndSensorActivePeriod):
            found |= {
                "pcActiveBeforeSunset": period.pcActiveBeforeSunset,
                "pcActiveBeforeSunrise": period.pcActiveBeforeSunrise,
            }
        if isinstance(period, words.ValueActivePeriod):
            found |= {
                "reference": {"resource": "devices", "address": ADDRESSES[period.reference]},
                "operator": period.operator,
                "state": {"name": "FloatState", "value": period.value}
                if period.reference == "lux"
                else self._level(period.value, f"{path}.value"),
            }
        return found

    def _dynamic(self, control: words.DynamicControl, path: str) -> dict[str, Any]:
        usual = "external" if control.type == "ExternalControlEffect" else "presence"
        sensor = {"sensorAddresses": [ADDRESSES[control.source]]} if control.source != usual else {}
        effect: dict[str, Any] = {
            "type": control.type,
            "source": {"sensor": sensor} if sensor else {},
            "operation": control.operation,
        }
        if control.holdTime:
            effect["holdTime"] = _seconds(control.holdTime)
        if control.state is not None:
            effect["command"] = self._command(control, path)
        else:
            for name in ("rampToLevelTime", "rampFromLevelTime"):
                if getattr(control, name):
                    self.problems.append(
                        Problem(f"{path}.{name}", "TALQ's ExternalControlEffect has no ramp: leave it out")
                    )
        found: dict[str, Any] = {"effect": effect}
        if control.period is not None:
            found["period"] = {
                "startTime": clock_text(control.period.startTime),
                "endTime": clock_text(control.period.endTime),
            }
        return found


def read_talq(path: Path) -> Any:
    """Return the JSON of a file, numbers as int and Decimal. Raises `TalqError`; an unreadable file raises OSError."""
    with path.open("rb") as file:
        data = file.read(FILE_MAX_BYTES + 1)
    if len(data) > FILE_MAX_BYTES:
        raise TalqError([Problem("", f"more than {FILE_MAX_BYTES} bytes: is this the right file?")])
    try:
        return json.loads(
            data.decode("utf-8-sig"),
            parse_float=Decimal,
            parse_constant=_no_constant,
            object_pairs_hook=_no_doubles,
        )
    except UnicodeDecodeError as error:
        raise TalqError([Problem("", f"byte {error.start}: not UTF-8: save the file as UTF-8")]) from error
    except json.JSONDecodeError as error:
        raise TalqError(
            [Problem("", f"line {error.lineno}, column {error.colno}: {error.msg}: not JSON; export it again")]
        ) from error
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise TalqError([Problem("", f"not usable JSON ({error}): correct it, or export it again")]) from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key {key!r} stands twice in one object")
        found[key] = value
    return found


def import_talq(document: Any, sensors: Mapping[str, str] | None = None) -> Imported:
    """Return the programs and calendars of a document. Raises `TalqError` with every problem and its JSON path.

    ``document``: what `read_talq` or `export_talq` returned. ``sensors``: which channel of the node (presence,
    neighbours, external, lux) stands for the TALQ address of a sensor.
    """
    reader = TalqReader({**{address: name for name, address in ADDRESSES.items()}, **(sensors or {})})
    return reader.document(document)
