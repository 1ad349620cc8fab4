"""Read the objects of a TALQ 2.7.1 document into the words of a site file; `talq` says how its silences are filled."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from . import program as words
from .json_reader import JsonReader, Skip, TalqError, shown
from .problems import problems_of, suggestion
from .program import ControlProgram
from .site_calendar import Calendar
from .site_limits import Name

ADDRESSES = {name: f"self/{name}" for name in words.CHANNELS}
ON_LEVEL_LX, OFF_LEVEL_LX = 35, 55
STATES = (
    "IntegerState", "FloatState", "BooleanState", "TextState", "RGBState", "LevelState", "PositionedTextState",
    "CCTColorState", "RGBWAFColorState", "XYColorState", "LevelAndCCTColorState", "LevelAndRGBWAFColorState",
    "LevelAndXYColorState",
)  # fmt: skip


@dataclass(frozen=True)
class Imported:
    """What a TALQ document holds for a site; ``owners``: the addresses of CMSs that it named, which are not kept."""

    programs: dict[str, ControlProgram]
    calendars: dict[str, Calendar]
    owners: tuple[str, ...]


_NAME: TypeAdapter[str] = TypeAdapter(Name)
# What a place in a site's program is called in TALQ.
_PLACES = (
    (r"((?:fixedTimeControls|astroClockTimeControls)\[\d+\])\.state$", r"\1.command.state.value"),
    (r"((?:fixedTimeControls|astroClockTimeControls)\[\d+\])\.(ramp\w+)$", r"\1.command.\2"),
    (r"(dynamicControls\[\d+\])\.state$", r"\1.effect.command.state.value"),
    (r"(dynamicControls\[\d+\])\.(ramp\w+)$", r"\1.effect.command.\2"),
    (r"(dynamicControls\[\d+\])\.(operation|holdTime|source|type)$", r"\1.effect.\2"),
    (r"(dynamicControls\[\d+\])$", r"\1.effect"),
    (r"(activePeriods\[\d+\])\.value$", r"\1.state.value"),
)


class TalqReader(JsonReader):
    """Turns TALQ's objects into the words of a site file, which are then checked as any site's are.

    ``sensors``: the channel of the node that each address of a sensor stands for.
    """

    def __init__(self, sensors: Mapping[str, str]):
        super().__init__()
        self._sensors = sensors
        self._owners: dict[str, None] = {}

    def document(self, document: Any) -> Imported:
        """Return what a document holds. Raises `TalqError` with every problem and its JSON path."""
        programs: dict[str, ControlProgram] = {}
        calendars: dict[str, Calendar] = {}
        try:
            found = self.object(document, "", (), ("programs", "calendars"))
            ids: dict[str, Any] = {}
            for path, value in self.items(found.get("programs", []), "programs"):
                self._one(value, path, ids, programs, self._program, ControlProgram)
            # A program that is refused still exists, and is not reported again wherever it is named.
            known = list(ids)
            ids = {}
            for path, value in self.items(found.get("calendars", []), "calendars"):
                self._one(value, path, ids, calendars, self._calendar, Calendar)
                self._check_names(value, path, known)
        except Skip:
            pass
        if self.problems:
            raise TalqError(list(dict.fromkeys(self.problems)))
        return Imported(programs, calendars, tuple(self._owners))

    def _one(self, value: Any, path: str, ids: dict[str, Any], into: Any, read: Any, model: Any) -> None:
        before = len(self.problems)
        name = self._identity(value, path, ids)
        try:
            text = read(value, path)
        except Skip:
            return
        # What could not be read would only be reported a second time as missing.
        if len(self.problems) > before:
            return
        try:
            into[name] = model.model_validate(text)
        except ValidationError as error:
            for problem in problems_of(error, path):
                self.note(_talq_path(problem.path), problem.reason)

    def _identity(self, value: Any, path: str, ids: dict[str, Any]) -> str:
        name = value.get("id") if isinstance(value, dict) else None
        if not isinstance(name, str):
            return ""
        try:
            _NAME.validate_python(name)
        except ValidationError as error:
            self.note(f"{path}.id", error.errors()[0]["msg"].removeprefix("Value error, "))
        if name in ids:
            self.note(f"{path}.id", f"{name!r} stands twice: rename one")
        ids[name] = None
        return name

    def _check_names(self, value: Any, path: str, known: list[str]) -> None:
        places = [(f"{path}.defaultProgram", value.get("defaultProgram"))] if isinstance(value, dict) else []
        rules = value.get("rules") if isinstance(value, dict) else None
        for index, rule in enumerate(rules if isinstance(rules, list) else ()):
            if isinstance(rule, dict):
                places.append((f"{path}.rules[{index}].program", rule.get("program")))
        for place, name in places:
            if isinstance(name, str) and name not in known:
                self.note(place, f"there is no program {name!r} in the document{suggestion(name, known)}")

    # Parts of TALQ.

    def _program(self, value: Any, path: str) -> dict[str, Any]:
        kind = value.get("type") if isinstance(value, dict) else None
        if kind is not None and kind != "ControlProgramOne":
            raise self.fail(f"{path}.type", f"{shown(kind)} cannot be carried: only ControlProgramOne can")
        found = self.object(
            value,
            path,
            ("type", "id", "ownerCMS", "activePeriods", "fixedTimeControls"),
            ("astroClockTimeControls", "dynamicControls"),
        )
        self._owned(found, path)
        return {
            "activePeriods": self.each(found["activePeriods"], f"{path}.activePeriods", self._period),
            "fixedTimeControls": self.each(found["fixedTimeControls"], f"{path}.fixedTimeControls", self._fixed),
            "astroClockTimeControls": self.each(
                found.get("astroClockTimeControls", []), f"{path}.astroClockTimeControls", self._astro
            ),
            "dynamicControls": self.each(found.get("dynamicControls", []), f"{path}.dynamicControls", self._dynamic),
        }

    def _owned(self, value: dict[str, Any], path: str) -> None:
        self.text(value["id"], f"{path}.id")
        self._owners[self.text(value["ownerCMS"], f"{path}.ownerCMS")] = None

    def _state(self, value: Any, path: str, names: tuple[str, ...]) -> tuple[str, Any]:
        """Return the name and value of a state that is one of ``names``."""
        name = value.get("name") if isinstance(value, dict) else None
        if isinstance(name, str) and name not in names:
            why = "a lamp here has a level only" if name in STATES else "TALQ 2.7.1 has no such state"
            raise self.fail(f"{path}.name", f"{name} cannot be carried, {why}: write {' or '.join(names)}")
        found = self.object(value, path, ("name", "value"))
        return self.text(found["name"], f"{path}.name"), found["value"]

    def _level(self, value: Any, path: str) -> str:
        _, level = self._state(value, path, ("LevelState",))
        return self.number(level, f"{path}.value", "%")

    def _command(self, value: Any, path: str) -> dict[str, str]:
        found = self.object(value, path, ("state",), ("rampToLevelTime", "rampFromLevelTime"))
        text = {"state": self._level(found["state"], f"{path}.state")}
        for key in ("rampToLevelTime", "rampFromLevelTime"):
            if key in found:
                text[key] = self.number(found[key], f"{path}.{key}", "s", "0.1")
        return text

    def _fixed(self, value: Any, path: str) -> dict[str, Any]:
        found = self.object(value, path, ("startTime", "command"))
        return {
            "startTime": self.time(found["startTime"], f"{path}.startTime"),
            **self._command(found["command"], f"{path}.command"),
        }

    def _astro(self, value: Any, path: str) -> dict[str, Any]:
        found = self.object(value, path, ("offset", "solarEventType", "operation", "command"))
        return {
            "offset": self.number(found["offset"], f"{path}.offset", "min"),
            "solarEventType": self.text(found["solarEventType"], f"{path}.solarEventType"),
            "operation": self.text(found["operation"], f"{path}.operation"),
            **self._command(found["command"], f"{path}.command"),
        }

    def _dynamic(self, value: Any, path: str) -> dict[str, Any]:
        found = self.object(value, path, ("effect",), ("period",))
        place = f"{path}.effect"
        kind = found["effect"].get("type") if isinstance(found["effect"], dict) else None
        if isinstance(kind, str) and kind not in ("FixedControlEffect", "ExternalControlEffect"):
            raise self.fail(f"{place}.type", f"{shown(kind)} cannot be carried: TALQ 2.7.1 has no such effect")
        is_fixed = kind == "FixedControlEffect"
        effect = self.object(
            found["effect"], place, ("type", "source", "operation", *(("command",) if is_fixed else ())), ("holdTime",)
        )
        source = self.object(effect["source"], f"{place}.source", (), ("sensor",))
        usual, choice = (
            ("presence", ("presence", "neighbours", "external")) if is_fixed else ("external", ("external",))
        )
        text: dict[str, Any] = {
            "type": self.text(kind, f"{place}.type"),
            "source": self._sensor(source.get("sensor", {}), f"{place}.source.sensor", usual, choice),
            "operation": self.text(effect["operation"], f"{place}.operation"),
        }
        if is_fixed:
            text |= self._command(effect["command"], f"{place}.command")
        if "holdTime" in effect:
            text["holdTime"] = self.number(effect["holdTime"], f"{place}.holdTime", "s", "0.1")
        if "period" in found:
            period = self.object(found["period"], f"{path}.period", ("startTime", "endTime"))
            text["period"] = {key: self.time(period[key], f"{path}.period.{key}") for key in ("startTime", "endTime")}
        return text

    def _sensor(self, value: Any, path: str, usual: str, choice: tuple[str, ...]) -> str:
        """Return the channel of a SensorReference; the two addresses that it may hold must be the same channel."""
        found = self.object(value, path, (), ("sensorAddresses",))
        channels = [
            self._channel(address, place, choice)
            for place, address in self.items(found.get("sensorAddresses", []), f"{path}.sensorAddresses")
        ]
        if len(set(channels)) > 1:
            raise self.fail(f"{path}.sensorAddresses", f"{' and '.join(channels)}: only one can be carried: keep one")
        return channels[0] if channels else usual

    def _channel(self, value: Any, path: str, choice: tuple[str, ...]) -> str:
        address = self.text(value, path)
        channel = self._sensors.get(address)
        if channel is None:
            raise self.fail(
                path, f"sensor {address!r} is not known: name it, for instance with --sensor '{address}={choice[0]}'"
            )
        if channel not in choice:
            raise self.fail(path, f"sensor {address!r} is {channel}, here it can be {' or '.join(choice)}: change it")
        return channel

    def _period(self, value: Any, path: str) -> dict[str, str]:
        name = value.get("name") if isinstance(value, dict) else None
        if name == "AbsoluteActivePeriod":
            found = self.object(value, path, ("name", "startTime", "endTime"))
            return {"name": name} | {key: self.time(found[key], f"{path}.{key}") for key in ("startTime", "endTime")}
        if name == "AstroClockActivePeriod":
            found = self.object(value, path, ("name", "sunsetOffset", "sunriseOffset"))
            return {"name": name} | self._minutes(found, path, "sunsetOffset", "sunriseOffset")
        if name == "SensorActivePeriod":
            found = self.object(value, path, ("name", "sensor", "onLevel", "offLevel"))
            self._sensor(found["sensor"], f"{path}.sensor", "lux", ("lux",))
            return {"name": name} | self._levels(found, path)
        if name == "AstroAndSensorActivePeriod":
            times = ("sunsetOffset", "sunriseOffset", "pcActiveBeforeSunset", "pcActiveBeforeSunrise")
            found = self.object(value, path, ("name", "sensor", *times), ("onLevel", "offLevel"))
            self._sensor(found["sensor"], f"{path}.sensor", "lux", ("lux",))
            return {"name": name} | self._minutes(found, path, *times) | self._levels(found, path)
        if name == "ValueActivePeriod":
            return self._value_period(value, path)
        if not isinstance(name, str):
            self.object(value, path, ("name",), tuple(value) if isinstance(value, dict) else ())
        raise self.fail(f"{path}.name", f"{shown(name)} cannot be carried: TALQ 2.7.1 has no such active period")

    def _value_period(self, value: Any, path: str) -> dict[str, str]:
        found = self.object(value, path, ("name", "reference", "operator", "state"))
        reference = self.object(found["reference"], f"{path}.reference", ("resource", "address"))
        self.text(reference["resource"], f"{path}.reference.resource")
        channel = self._channel(reference["address"], f"{path}.reference.address", ("lux", "external"))
        if channel == "lux":
            _, number = self._state(found["state"], f"{path}.state", ("FloatState", "IntegerState"))
            text = self.number(number, f"{path}.state.value", "lx")
        else:
            text = self._level(found["state"], f"{path}.state")
        return {
            "name": "ValueActivePeriod",
            "reference": channel,
            "operator": self.text(found["operator"], f"{path}.operator"),
            "value": text,
        }

    def _minutes(self, value: dict[str, Any], path: str, *keys: str) -> dict[str, str]:
        return {key: self.number(value[key], f"{path}.{key}", "min") for key in keys}

    def _levels(self, value: dict[str, Any], path: str) -> dict[str, str]:
        given = {key: self.number(value[key], f"{path}.{key}", "lx") for key in ("onLevel", "offLevel") if key in value}
        if given == {"onLevel": "1 lx", "offLevel": "0 lx"}:
            given["offLevel"] = "1 lx"
        if not given:
            return {"onLevel": f"{ON_LEVEL_LX} lx", "offLevel": f"{OFF_LEVEL_LX} lx"}
        one = next(iter(given.values()))
        return {"onLevel": given.get("onLevel", one), "offLevel": given.get("offLevel", one)}

    def _calendar(self, value: Any, path: str) -> dict[str, Any]:
        found = self.object(value, path, ("id", "ownerCMS"), ("rules", "defaultProgram"))
        self._owned(found, path)
        text: dict[str, Any] = {"rules": self.each(found.get("rules", []), f"{path}.rules", self._rule)}
        if "defaultProgram" in found:
            text["defaultProgram"] = self.text(found["defaultProgram"], f"{path}.defaultProgram")
        return text

    def _rule(self, value: Any, path: str) -> dict[str, Any]:
        found = self.object(value, path, ("program",), ("startDate", "endDate", "condition"))
        text: dict[str, Any] = {
            key: self.text(found[key], f"{path}.{key}") for key in ("program", "startDate", "endDate") if key in found
        }
        if "condition" in found:
            text["condition"] = self._condition(found["condition"], f"{path}.condition")
        return text

    def _condition(self, value: Any, path: str) -> dict[str, Any]:
        kind = value.get("type") if isinstance(value, dict) else None
        if kind == "ccDate":
            found = self.object(value, path, ("type", "dates"))
            return {"type": kind, "dates": self.each(found["dates"], f"{path}.dates", self._dates)}
        if kind == "ccDay":
            found = self.object(value, path, ("type", "days"), ("occurrences",))
            text: dict[str, Any] = {"type": kind, "days": self.each(found["days"], f"{path}.days", self._days)}
            occurrences = self.items(found.get("occurrences", []), f"{path}.occurrences")
            text["occurrences"] = [self.text(entry, place) for place, entry in occurrences]
            return text
        raise self.fail(f"{path}.type", f"{shown(kind)} cannot be carried: conditions are ccDate and ccDay")

    def _dates(self, value: Any, path: str) -> dict[str, str]:
        found = self.object(value, path, ("start",), ("end",))
        return {key: self.text(entry, f"{path}.{key}") for key, entry in found.items() if key in ("start", "end")}

    def _days(self, value: Any, path: str) -> dict[str, str]:
        found = self.object(value, path, ("start",), ("end",))
        return {
            key: self.number(entry, f"{path}.{key}", "").strip()
            for key, entry in found.items()
            if key in ("start", "end")
        }


def _talq_path(path: str) -> str:
    for pattern, place in _PLACES:
        after = re.sub(pattern, place, path)
        if after != path:
            return after
    return path
