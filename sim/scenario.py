"""Scenarios: YAML files that say place, date, street, traffic, luminaire, program and what is expected of the result.

Everything wrong with a file is reported at once, each with its path in the file, the reason and the remedy.
"""

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import date as Date
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, ValidationError, model_validator

from firmware.control.power import KNOTS_MAX
from host_tools.plan import units
from host_tools.plan.encode import LampPlan
from host_tools.plan.program import ControlProgram, Strict
from host_tools.plan.site_lamp import Baselines
from host_tools.plan.yaml_text import TextError, read_yaml
from host_tools.plan.zones import ZoneError, ZoneIntegers, compile_zone

from .traffic import Counts, CountsError, read_counts

DATE_MIN = Date(2020, 1, 2)
DATE_MAX = Date(2099, 12, 31)
LUMINAIRES_MAX = 1000


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError(
            f"{text!r} has control characters or line breaks, which XML and file names refuse: remove them"
        )
    return text


Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_printable)]


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a file: where in it, and what to do."""

    path: str
    reason: str


class ScenarioError(ValueError):
    """A scenario that cannot be run. ``problems`` lists everything found, ``file`` is the file."""

    def __init__(self, file: Path, problems: list[Problem]):
        super().__init__(f"{file}: {len(problems)} problem(s)")
        self.file = file
        self.problems = problems


def _date(text: Any) -> Date:
    try:
        day = Date.fromisoformat(text if isinstance(text, str) else "")
    except ValueError as error:
        raise ValueError(f"{text!r} is not a date: write it like 2026-03-20") from error
    if not DATE_MIN <= day <= DATE_MAX:
        raise ValueError(f"{text} is outside the supported range, {DATE_MIN} to {DATE_MAX}: choose a date in it")
    return day


class Place(Strict):
    name: Name
    latitude: units.LatitudeUdeg
    longitude: units.LongitudeUdeg
    zone: Name


class Sensor(Strict):
    """``range_at_ends``: what the sensors of the first and last pole see, where no neighbour sees a passer come."""

    range: units.LengthMm
    range_at_ends: units.LengthMm | None = None
    dead_time: units.DurationMs


class Service(Strict):
    """Where light is required: ``lead`` before and behind each passer, at ``level``."""

    lead: units.LengthMm
    level: units.LevelPermille


class Neighbours(Strict):
    """The wave between poles: whose presence lights a lamp, and the radio that carries it.

    ``reach``: presence at so many poles to either side lights a lamp. ``hops``: how many poles a message passes.
    ``hold``: how long the light lasts after the last message. ``dead``: poles (from 1) whose radio is silent.
    """

    reach: Annotated[int, BeforeValidator(units.whole), Field(ge=1, le=4)]
    hops: Annotated[int, BeforeValidator(units.whole), Field(ge=1, le=5)]
    hold: units.DurationMs
    latency_min: units.DurationMs
    latency_max: units.DurationMs
    loss: units.LevelPermille
    dead: list[Annotated[int, BeforeValidator(units.whole), Field(ge=1)]] = Field(default=[])

    @model_validator(mode="after")
    def _latency(self) -> "Neighbours":
        if self.latency_max < self.latency_min:
            raise ValueError("latency_max lies below latency_min: exchange them")
        return self


class StreetPart(Strict):
    luminaires: Annotated[int, BeforeValidator(units.whole), Field(ge=1, le=LUMINAIRES_MAX)]
    spacing: units.LengthMm
    mounting: units.LengthMm
    sensor: Sensor
    service: Service
    neighbours: Neighbours | None = None


class ModePart(Strict):
    speed: units.SpeedMmS
    spread: units.SpreadMmS


class Traffic(Strict):
    counts: Name
    modes: dict[Name, ModePart] = Field(min_length=1, max_length=8)


class Knot(Strict):
    level: units.LevelPermille
    power: units.PowerMw


class Luminaire(Strict):
    power_curve: list[Knot] = Field(min_length=1, max_length=KNOTS_MAX)
    standby: units.PowerMw

    @model_validator(mode="after")
    def _curve(self) -> "Luminaire":
        levels = [knot.level for knot in self.power_curve]
        if levels[0] == 0 or levels != sorted(set(levels)) or levels[-1] != 1000:
            raise ValueError("power_curve must ascend by level from above 0 % to 100 %: the power at 0 % is standby")
        powers = [self.standby, *(knot.power for knot in self.power_curve)]
        if powers != sorted(powers):
            raise ValueError("power_curve must not fall, and standby must not exceed it: check the measured powers")
        return self


# What a scenario may expect: the figure's name, its units, and how many of the figure's own unit make one.
FIGURE_UNITS: dict[str, dict[str, int]] = {
    "energy": {"Wh": 1, "kWh": 1000},
    "saving_vs_full_night": {"%": 10},
    "saving_vs_fixed_dimming": {"%": 10},
    "saving_vs_extinction": {"%": 10},
    "above_bound": {"%": 10},
    "lit_share": {"%": 10},
    "mean_level": {"%": 10},
    "passers_served": {"%": 10},
    "required_time_served": {"%": 10},
    "switchings_per_lamp": {"per night": 1},
}
_BOUND = re.compile(r"^\s*(>=|<=)\s*(.+)$")


@dataclass(frozen=True)
class Bound:
    """One expectation: figure ``name`` is ``>=`` or ``<=`` a value, in the figure's own unit; ``text`` as written."""

    name: str
    operator: str
    value: int
    text: str


def _bounds(text: Any) -> Any:
    if not isinstance(text, dict):
        raise ValueError("write one figure and bound per line, like passers_served: '>= 95 %'")
    problems = []
    bounds = []
    for name, given in text.items():
        for one in given if isinstance(given, list) else [given]:
            try:
                bounds.append(_bound(name, one))
            except ValueError as error:
                problems.append(f"{name}: {error}")
    if problems:
        raise ValueError("; ".join(problems))
    return bounds


def _bound(name: str, text: Any) -> Bound:
    if name not in FIGURE_UNITS:
        raise ValueError(f"no such figure: choose from {', '.join(FIGURE_UNITS)}")
    found = _BOUND.match(text) if isinstance(text, str) else None
    if not found:
        raise ValueError(f"{text!r} is not a bound: write it like '>= 95 %' or '<= 12 kWh'")
    units_of = FIGURE_UNITS[name]
    value = _signed_quantity(found[2], units_of, name)
    return Bound(name, found[1], value, text)


def _signed_quantity(text: str, units_of: dict[str, int], name: str) -> int:
    return units.quantity(text, units_of, f"a bound of {name}", f">= 10 {next(iter(units_of))}")


class LampProgram(ControlProgram):
    """A control program with what holds beside it: TALQ's defaultLightState, and the ramp to it."""

    defaultLightState: units.LevelPermille = 1000
    defaultRamp: units.RampDs = 20

    def lamp_plan(self, *, with_dynamic: bool = True) -> LampPlan:
        """Return the plan of a lamp that has this program every day."""
        program = self.compiled()
        if not with_dynamic:
            program = replace(program, dynamic=())
        return LampPlan([program], default_level_permille=self.defaultLightState, default_ramp_ds=self.defaultRamp)


class Scenario(Strict):
    """A scenario as it stands in its file; lengths in mm, durations in ms, levels in permille, powers in mW."""

    title: Name
    place: Place
    date: Annotated[Date, BeforeValidator(_date)]
    street: StreetPart
    traffic: Traffic
    luminaire: Luminaire
    program: LampProgram
    baselines: Baselines
    expect: Annotated[list[Bound], BeforeValidator(_bounds)] = Field(default=[])


@dataclass(frozen=True)
class Loaded:
    """A scenario that was found good, with what belongs to it: zone, counts, and the hashes of the files read."""

    file: Path
    scenario: Scenario
    zone: ZoneIntegers
    counts: Counts
    inputs: list[dict[str, str]]


def load_scenario(file: Path) -> Loaded:
    """Read and check a scenario and all it names. Raises `ScenarioError` with every problem found."""
    problems: list[Problem] = []
    try:
        raw = read_yaml(file)
    except OSError as error:
        raise ScenarioError(
            file, [Problem("", f"cannot be read: {error.strerror}: give the path of a file")]
        ) from error
    except TextError as error:
        raise ScenarioError(file, [Problem("", str(error))]) from error
    scenario = None
    try:
        scenario = Scenario.model_validate(raw)
    except ValidationError as error:
        problems += [_problem(entry) for entry in error.errors()]
    tree = raw if isinstance(raw, dict) else {}
    zone = _zone(tree, scenario, problems)
    counts, counts_file = _counts(tree, file, problems)
    if scenario is None or zone is None or counts is None or counts_file is None or problems:
        raise ScenarioError(file, problems)
    inputs = [
        {"path": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in (file, counts_file)
    ]
    return Loaded(file, scenario, zone, counts, inputs)


def _problem(entry: Any) -> Problem:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in entry["loc"]).lstrip(".")
    kind = entry["type"]
    if kind == "missing":
        return Problem(path, "is missing: add it")
    if kind == "extra_forbidden":
        return Problem(path, "is not known here: check the spelling, or remove it")
    if kind == "string_unicode":
        return Problem(path, "has half a character (a lone surrogate) in it: write it anew")
    if kind in ("model_type", "dict_type", "list_type", "model_attributes_type"):
        return Problem(path, f"has the wrong shape ({entry['msg'].lower()}): see the shipped scenario for an example")
    if kind == "union_tag_not_found" or kind == "union_tag_invalid":
        return Problem(path, "needs a name: one of TALQ's five, for instance AstroClockActivePeriod")
    return Problem(path, entry["msg"].removeprefix("Value error, "))


def _get(tree: Any, *keys: str) -> Any:
    for key in keys:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def _zone(tree: Any, scenario: Scenario | None, problems: list[Problem]) -> ZoneIntegers | None:
    """Compile the zone, even of a scenario with other faults, so that all are reported at once."""
    name = _get(tree, "place", "zone")
    if not isinstance(name, str) or not name:
        return None
    try:
        return compile_zone(name, scenario.date if scenario else Date(2026, 1, 1))
    except ZoneError as error:
        problems.append(Problem("place.zone", str(error)))
        return None


def _counts(tree: Any, file: Path, problems: list[Problem]) -> tuple[Counts | None, Path | None]:
    """Read the table of counts that the scenario names, relative to the scenario."""
    name = _get(tree, "traffic", "counts")
    if not isinstance(name, str) or not name:
        return None, None
    try:
        path = (file.parent / name).resolve()
        counts = read_counts(path)
    except CountsError as error:
        problems += [Problem("traffic.counts", reason) for reason in error.problems]
        return None, None
    except (OSError, ValueError) as error:
        if not name.isprintable():
            # The scenario's own check of names has already said so.
            return None, None
        reason = getattr(error, "strerror", None) or "not UTF-8"
        problems.append(
            Problem("traffic.counts", f"{name} cannot be read: {reason}: give a path relative to the scenario")
        )
        return None, None
    modes = _get(tree, "traffic", "modes")
    for mode in modes if isinstance(modes, dict) else ():
        if mode not in counts:
            problems.append(
                Problem(f"traffic.modes.{mode}", f"{path.name} has no column {mode}: it has {', '.join(counts)}")
            )
    return counts, path
