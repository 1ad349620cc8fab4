"""Sites: one YAML file with the lamps of a town, their programs, calendars, luminaires and limits, in TALQ's words.

Everything wrong with a file is reported at once, each with its path in the file, the reason and the remedy.

``load_site(path)`` returns a `Site`; ``site.lamp_plan(id)`` the plan of a lamp, ``site.plan_bytes(id)`` its bytes,
``site.lamp_config(id)`` what else its node must know, as a record of `sim.lamp_replay` has it.
"""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from firmware.control import plan_format as layout
from firmware.control.bubble import NEIGHBOURS_MAX
from firmware.control.plan import PlanError
from firmware.control.power import KNOTS_MAX

from . import encode, units
from .problems import Problem, SiteError, problems_of, suggestion
from .program import ControlProgram, Strict
from .site_calendar import Calendar
from .site_lamp import Baselines, Meter, NightWithoutClock, Presence
from .site_limits import Limits, LitPermille, Name
from .site_names import SETS, double_lamps, reference_problems, value_problems
from .yaml_text import TextError, read_yaml
from .zones import ZoneError, ZoneIntegers, compile_zone

# What the national rules on light at night tell apart (in France: order of 27 December 2018, article 1).
CATEGORIES = (
    "road", "path", "outdoor-activity", "heritage", "park", "building", "interior", "shop-window", "parking", "sports",
    "event", "worksite",
)  # fmt: skip
LAMPS_MAX = 10_000
POLES_MAX = 8

_LAMP_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def _lamp_id(text: str) -> str:
    # Its files are named after a lamp; `manifest.json` is taken.
    if not _LAMP_ID.fullmatch(text) or text.lower() == "manifest":
        raise ValueError(
            f"{text!r} cannot be the id of a lamp, which names its files: use up to 64 letters a to z, digits, '.', "
            "'_' or '-', and not 'manifest'"
        )
    return text


def _poles(text: Any) -> int:
    if not isinstance(text, str) or not re.fullmatch(r"[+-]?[1-9][0-9]?", text) or abs(int(text)) > POLES_MAX:
        raise ValueError(
            f"{text!r} is not a number of poles: write 1 to {POLES_MAX} for poles after this one, negative for before"
        )
    return int(text)


def _category(text: Any) -> str:
    if text not in CATEGORIES:
        raise ValueError(f"{text!r} is no category{suggestion(str(text), CATEGORIES)}")
    return str(text)


def _day_offset(text: Any) -> int:
    value = units.quantity(text, {"h": 1}, "a day offset", "12 h")
    if value not in (0, 12):
        raise ValueError(f"{text} is no day offset: write 0 h (midnight to midnight) or 12 h (noon to noon)")
    return value


LampId = Annotated[str, AfterValidator(_lamp_id)]


class Place(Strict):
    latitude: units.LatitudeUdeg
    longitude: units.LongitudeUdeg


class Knot(Strict):
    level: units.LevelPermille
    power: units.PowerMw


class Luminaire(Strict):
    """What a luminaire draws: knots of level and power, and its draw at 0 %."""

    power_curve: list[Knot] = Field(min_length=1, max_length=KNOTS_MAX)
    standby: units.PowerMw

    @model_validator(mode="after")
    def _curve(self) -> "Luminaire":
        levels = [knot.level for knot in self.power_curve]
        if levels[0] == 0 or levels != sorted(set(levels)) or levels[-1] != layout.LEVEL_MAX:
            raise ValueError("power_curve must ascend by level from above 0 % to 100 %: the power at 0 % is standby")
        powers = [self.standby, *(knot.power for knot in self.power_curve)]
        if powers != sorted(powers):
            raise ValueError("power_curve must not fall, and standby must not exceed it: check the measured powers")
        return self


class Activity(Strict):
    """The hours of what a lamp serves (a shop, a match), local times in s: the law on light at night asks for them."""

    end: units.TimeOfDayS | None = None
    start: units.TimeOfDayS | None = None


class Lamp(Strict):
    """One lamp output. Levels in permille, ramp in tenths of a second; ``neighbours``: poles after (before: < 0).

    Without ``calendar`` the default light state holds always; without ``limits`` or ``presence`` their defaults do;
    without ``meter`` nothing is judged by power, without ``baselines`` nothing is compared.
    """

    calendar: str | None = None
    luminaire: str
    category: Annotated[str, BeforeValidator(_category)]
    limits: str | None = None
    presence: str | None = None
    night_without_clock: str | None = None
    meter: str | None = None
    baselines: str | None = None
    activity: Activity | None = None
    defaultLightState: units.LevelPermille = 1000
    defaultRamp: units.RampDs = 20
    failSafe: LitPermille = 1000
    latitude: units.LatitudeUdeg | None = None
    longitude: units.LongitudeUdeg | None = None
    neighbours: dict[str, Annotated[int, BeforeValidator(_poles)]] = Field(default={}, max_length=NEIGHBOURS_MAX)

    @model_validator(mode="after")
    def _place(self) -> "Lamp":
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("latitude and longitude belong together: give both, or neither for the site's place")
        return self


class SiteFile(Strict):
    """A site as it stands in its file."""

    site: Name
    zone: Name
    place: Place
    dayOffset: Annotated[int, BeforeValidator(_day_offset)]
    luminaires: dict[Name, Luminaire] = Field(min_length=1)
    programs: dict[Name, ControlProgram] = Field(default={})
    calendars: dict[Name, Calendar] = Field(default={})
    limits: dict[Name, Limits] = Field(default={})
    presence: dict[Name, Presence] = Field(default={})
    night_without_clock: dict[Name, NightWithoutClock] = Field(default={})
    meter: dict[Name, Meter] = Field(default={})
    baselines: dict[Name, Baselines] = Field(default={})
    lamps: dict[LampId, Lamp] = Field(min_length=1, max_length=LAMPS_MAX)
    groups: dict[Name, list[str]] = Field(default={})


@dataclass(frozen=True)
class Site:
    """A site that was found good.

    ``zone``: the ten integers of the zone's rule. ``sha256``: of the file as it was read. ``warnings``: what is no
    fault, but may be a mistake.
    """

    path: Path
    parts: SiteFile
    zone: ZoneIntegers
    sha256: str
    warnings: list[Problem] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.parts.site

    @property
    def zone_name(self) -> str:
        return self.parts.zone

    @property
    def day_offset_h(self) -> int:
        return self.parts.dayOffset

    @property
    def place(self) -> Place:
        return self.parts.place

    @property
    def luminaires(self) -> dict[str, Luminaire]:
        return self.parts.luminaires

    @property
    def programs(self) -> dict[str, ControlProgram]:
        return self.parts.programs

    @property
    def calendars(self) -> dict[str, Calendar]:
        return self.parts.calendars

    @property
    def limits(self) -> dict[str, Limits]:
        return self.parts.limits

    @property
    def lamps(self) -> dict[str, Lamp]:
        return self.parts.lamps

    @property
    def groups(self) -> dict[str, list[str]]:
        return self.parts.groups

    def lamp_place(self, lamp_id: str) -> tuple[int, int]:
        """Return latitude and longitude of a lamp, in millionths of a degree. Raises KeyError for no lamp."""
        lamp = self.lamps[lamp_id]
        if lamp.latitude is not None and lamp.longitude is not None:
            return lamp.latitude, lamp.longitude
        return self.place.latitude, self.place.longitude

    def lamp_limits(self, lamp_id: str) -> Limits:
        """Return the limits of a lamp, the defaults where it names none. Raises KeyError for no lamp."""
        name = self.lamps[lamp_id].limits
        return self.limits[name] if name is not None else Limits()

    def lamp_set(self, lamp_id: str, kind: str) -> Any:
        """Return the set of a kind of `SETS` that a lamp names, None for none. Raises KeyError for no lamp."""
        name = getattr(self.lamps[lamp_id], kind)
        return getattr(self.parts, kind)[name] if name is not None else None

    def lamp_plan(self, lamp_id: str) -> encode.LampPlan:
        """Return the plan of a lamp: the programs that its calendar uses, in the site's order; ``names``: their ids.

        Raises KeyError for no lamp.
        """
        return _lamp_plan(self.parts, self.lamps[lamp_id])

    def plan_bytes(self, lamp_id: str) -> bytes:
        """Return the binary plan of a lamp. Raises KeyError for no lamp."""
        return encode.encode(self.lamp_plan(lamp_id))

    def lamp_config(self, lamp_id: str) -> dict[str, Any]:
        """Return what a lamp's node must know beside its plan: integers, true and false, null, and lists of those.

        ``zone``, ``place`` [udeg, udeg], ``levels`` (permille), ``powers`` (mW), ``standby`` (mW) and ``start`` (the
        fail-safe level, permille: what the launcher puts the lamp to) are those of a record of `sim.lamp_replay`;
        so is ``config``, all that `firmware.control.config.Config` has beside them. On the air a lamp is its place in
        the site, from 1 on. Raises KeyError for no lamp.
        """
        lamp = self.lamps[lamp_id]
        luminaire = self.luminaires[lamp.luminaire]
        ids = self._air_ids
        presence, night = self.lamp_set(lamp_id, "presence"), self.lamp_set(lamp_id, "night_without_clock")
        meter, baselines = self.lamp_set(lamp_id, "meter"), self.lamp_set(lamp_id, "baselines")
        return {
            "zone": list(self.zone),
            "place": list(self.lamp_place(lamp_id)),
            "levels": [knot.level for knot in luminaire.power_curve],
            "powers": [knot.power for knot in luminaire.power_curve],
            "standby": luminaire.standby,
            "start": lamp.failSafe,
            "config": {
                **self.lamp_limits(lamp_id).config(),
                **(presence or Presence()).config(),
                **(night or NightWithoutClock()).config(),
                "own_id": ids[lamp_id],
                "neighbours": sorted([ids[name], poles] for name, poles in lamp.neighbours.items()),
                "meter_limits": meter.config() if meter else None,
                "baselines": baselines.config() if baselines else None,
            },
        }

    @cached_property
    def _air_ids(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.lamps, 1)}


def load_site(path: Path) -> Site:
    """Read and check a site. Raises `SiteError` with every problem found."""
    problems: list[Problem] = []
    try:
        raw = read_yaml(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise SiteError(path, [Problem("", f"cannot be read: {error.strerror}: give the path of a file")]) from error
    except TextError as error:
        raise SiteError(path, [Problem("", str(error))]) from error
    parts = None
    try:
        parts = SiteFile.model_validate(raw)
    except ValidationError as error:
        problems += problems_of(error)
    tree = raw if isinstance(raw, dict) else {}
    zone = _zone(tree, problems)
    problems += reference_problems(tree)
    problems += value_problems(tree)
    problems += double_lamps(tree)
    if parts is None or zone is None or problems:
        raise SiteError(path, problems)
    problems += _plan_problems(parts)
    if problems:
        raise SiteError(path, problems)
    return Site(path, parts, zone, digest, _warnings(parts))


def _zone(tree: dict[str, Any], problems: list[Problem]) -> ZoneIntegers | None:
    """Compile the zone as of the year of the pinned tz database, even of a site with other faults."""
    name = tree.get("zone")
    if not isinstance(name, str) or not name:
        return None
    try:
        return compile_zone(name, date(int(metadata.version("tzdata")[:4]), 1, 1))
    except ZoneError as error:
        problems.append(Problem("zone", str(error)))
        return None


def _lamp_plan(parts: SiteFile, lamp: Lamp) -> encode.LampPlan:
    calendar = parts.calendars[lamp.calendar] if lamp.calendar is not None else Calendar()
    used = calendar.programs_used()
    names = [name for name in parts.programs if name in used]
    index = {name: number for number, name in enumerate(names)}
    return encode.LampPlan(
        programs=[parts.programs[name].compiled() for name in names],
        rules=[rule.compiled(index) for rule in calendar.rules],
        default_program=layout.NO_PROGRAM if calendar.defaultProgram is None else index[calendar.defaultProgram],
        day_offset_h=parts.dayOffset,
        default_level_permille=lamp.defaultLightState,
        default_ramp_ds=lamp.defaultRamp,
        failsafe_level_permille=lamp.failSafe,
        names=names,
    )


def _plan_problems(parts: SiteFile) -> list[Problem]:
    """Return which calendars do not fit into a plan. All lamps of a calendar have plans of the same size."""
    problems = []
    users: dict[str, str] = {}
    for lamp_id, lamp in parts.lamps.items():
        if lamp.calendar is not None:
            users.setdefault(lamp.calendar, lamp_id)
    for calendar_id, calendar in parts.calendars.items():
        path = f"calendars.{calendar_id}"
        lamp_id = users.get(calendar_id, next(iter(parts.lamps)))
        used = len(calendar.programs_used())
        if used > layout.PROGRAMS_MAX:
            problems.append(
                Problem(
                    path,
                    f"uses {used} programs, a plan has at most {layout.PROGRAMS_MAX} (lamp {lamp_id}): leave "
                    f"{used - layout.PROGRAMS_MAX} out, or give some lamps another calendar",
                )
            )
            continue
        plan = _lamp_plan(parts, parts.lamps[lamp_id].model_copy(update={"calendar": calendar_id}))
        try:
            encode.encode(plan)
        except PlanError as error:
            sizes = {
                name: len(encode.encode(encode.LampPlan([program]))) - layout.HEADER_SIZE - layout.CRC_SIZE
                for name, program in zip(plan.names, plan.programs, strict=True)
            }
            largest = max(sizes, key=lambda name: sizes[name], default="")
            problems.append(
                Problem(
                    path,
                    f"does not fit into a plan (lamp {lamp_id}): {error}; the largest program is {largest!r} with "
                    f"{sizes.get(largest, 0)} bytes",
                )
            )
    return problems


def _warnings(parts: SiteFile) -> list[Problem]:
    """Return what nobody uses, and neighbours that do not name each other."""
    warnings = []
    used: dict[str, set[Any]] = {
        "calendars": {lamp.calendar for lamp in parts.lamps.values()},
        "luminaires": {lamp.luminaire for lamp in parts.lamps.values()},
        **{kind: {getattr(lamp, kind) for lamp in parts.lamps.values()} for kind in SETS},
        "programs": {name for calendar in parts.calendars.values() for name in calendar.programs_used()},
    }
    for kind, names in used.items():
        for name in getattr(parts, kind):
            if name not in names:
                user = "calendar" if kind == "programs" else "lamp"
                warnings.append(Problem(f"{kind}.{name}", f"no {user} uses it: name it, or remove it"))
    for lamp_id, lamp in parts.lamps.items():
        for name in lamp.neighbours:
            if lamp_id not in parts.lamps[name].neighbours:
                warnings.append(
                    Problem(f"lamps.{lamp_id}.neighbours.{name}", f"{name} does not name {lamp_id}: add it there")
                )
    return warnings
