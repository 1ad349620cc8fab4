"""What another version of a site changes for its lamps, in words."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from .program import ControlProgram, clock_text
from .site import Lamp, Site
from .site_calendar import Calendar
from .site_lamp import NightWithoutClock, Presence
from .site_limits import Limits
from .site_names import SETS
from .site_text import level_text, period_words, program_words, rule_words, tenths_text


@dataclass(frozen=True)
class Difference:
    """``site``: what changes beside the lamps; ``lamps``: what changes for each lamp that differs, in the new order."""

    site: list[str]
    lamps: dict[str, list[str]]

    def __bool__(self) -> bool:
        return bool(self.site or self.lamps)

    def grouped(self) -> list[tuple[list[str], list[str]]]:
        """Return the lamps with the same changes together: (ids, changes)."""
        groups: dict[tuple[str, ...], list[str]] = {}
        for lamp_id, changes in self.lamps.items():
            groups.setdefault(tuple(changes), []).append(lamp_id)
        return [(ids, list(changes)) for changes, ids in groups.items()]


def diff_sites(old: Site, new: Site) -> Difference:
    """Return what changes from ``old`` to ``new``: in words, and never nothing where a lamp's bytes change."""
    site = [
        *_changed("site", old.name, new.name),
        *_groups(old, new),
    ]
    lamps: dict[str, list[str]] = {}
    for lamp_id in [*new.lamps, *(name for name in old.lamps if name not in new.lamps)]:
        if lamp_id not in old.lamps:
            changes = ["added"]
        elif lamp_id not in new.lamps:
            changes = ["removed"]
        else:
            changes = _lamp(old, new, lamp_id)
        if changes:
            lamps[lamp_id] = changes
    return Difference(site, lamps)


def _changed(what: str, old: str, new: str) -> list[str]:
    return [f"{what}: {old} → {new}"] if old != new else []


def _groups(old: Site, new: Site) -> list[str]:
    found = []
    for name in dict.fromkeys([*new.groups, *old.groups]):
        if name not in old.groups or name not in new.groups:
            found.append(f"group {name} {'added' if name in new.groups else 'removed'}")
            continue
        before, after = old.groups[name], new.groups[name]
        joins = [lamp for lamp in after if lamp not in before]
        leaves = [lamp for lamp in before if lamp not in after]
        if joins or leaves:
            parts = [f"{word} {', '.join(ids)}" for word, ids in (("with", joins), ("without", leaves)) if ids]
            found.append(f"group {name}: {', '.join(parts)}")
        elif before != after:
            found.append(f"group {name}: in another order")
    return found


def _lamp(old: Site, new: Site, lamp_id: str) -> list[str]:
    before, after = old.lamps[lamp_id], new.lamps[lamp_id]
    changes = [
        *_changed("zone", old.zone_name, new.zone_name),
        *_changed("dayOffset", f"{old.day_offset_h} h", f"{new.day_offset_h} h"),
        *_changed("place", _place(old, lamp_id), _place(new, lamp_id)),
        *_changed("category", before.category, after.category),
        *_changed("activity", _activity(before), _activity(after)),
        *_changed("defaultLightState", level_text(before.defaultLightState), level_text(after.defaultLightState)),
        *_changed("defaultRamp", tenths_text(before.defaultRamp), tenths_text(after.defaultRamp)),
        *_changed("failSafe", level_text(before.failSafe), level_text(after.failSafe)),
        *_changed("luminaire", before.luminaire, after.luminaire),
    ]
    if old.luminaires[before.luminaire] != new.luminaires[after.luminaire]:
        changes.append(f"luminaire {after.luminaire}: {_curve(old, before.luminaire)} → {_curve(new, after.luminaire)}")
    for kind in SETS:
        changes += _set(old, new, lamp_id, kind)
    changes += _changed("neighbours", _neighbours(before.neighbours), _neighbours(after.neighbours))
    changes += _calendar(old, before.calendar, new, after.calendar)
    if not changes:
        if old.plan_bytes(lamp_id) != new.plan_bytes(lamp_id):
            changes.append("the same programs in another order: other bytes, the same light")
        elif old.lamp_config(lamp_id) != new.lamp_config(lamp_id):
            changes.append("the same settings with other numbers: the zone's rule, or the order of the site's lamps")
    return changes


def _activity(lamp: Lamp) -> str:
    if lamp.activity is None:
        return "none"
    start, end = (
        "?" if second is None else _short(clock_text(second)) for second in (lamp.activity.start, lamp.activity.end)
    )
    return f"{start} to {end}"


def _place(site: Site, lamp_id: str) -> str:
    latitude, longitude = site.lamp_place(lamp_id)
    return f"{latitude / 1_000_000:.6f} {longitude / 1_000_000:.6f} deg"


def _curve(site: Site, name: str) -> str:
    luminaire = site.luminaires[name]
    knots = [f"{level_text(knot.level)} {knot.power / 1000:g} W" for knot in luminaire.power_curve]
    return f"({', '.join([f'standby {luminaire.standby / 1000:g} W', *knots])})"


def _neighbours(neighbours: dict[str, int]) -> str:
    return ", ".join(f"{name} {poles:+}" for name, poles in sorted(neighbours.items())) or "none"


def _set(old: Site, new: Site, lamp_id: str, kind: str) -> list[str]:
    """Say how a named set of a kind of `SETS` differs; what a lamp does not name has its defaults."""
    old_name, new_name = getattr(old.lamps[lamp_id], kind), getattr(new.lamps[lamp_id], kind)
    changes = _changed(kind, old_name or "none", new_name or "none")
    # A lamp without a meter, or without baselines, has no default of one.
    defaults = {"limits": Limits(), "presence": Presence(), "night_without_clock": NightWithoutClock()}
    sets = [site.lamp_set(lamp_id, kind) or defaults.get(kind) for site in (old, new)]
    dumps = [found.model_dump(by_alias=True) for found in sets if found is not None]
    if len(dumps) < len(sets):
        return changes
    before, after = dumps
    for key, value in after.items():
        if before[key] != value:
            changes.append(f"{kind} {new_name or 'none'}: {key} {_part(key, before[key])} → {_part(key, value)}")
    return changes


_PART_TEXTS: dict[str, Callable[[int], str]] = {
    **dict.fromkeys(
        ("guard", "driver_minimum", "virtual_power_output", "floor", "output", "level", "share", "dim", "power_factor"),
        level_text,
    ),
    **dict.fromkeys(("start", "full", "shutdown", "hysteresis"), lambda value: f"{value / 10:g} °C"),
    **dict.fromkeys(
        ("min_on", "min_off", "off_delay", "quiet", "hold", "repeat", "period"), lambda value: f"{value / 1000:g} s"
    ),
    **dict.fromkeys(("power_low", "power_high", "unlit_power"), lambda value: f"{value / 1000:g} W"),
    **dict.fromkeys(("from", "to"), lambda value: _short(clock_text(value))),
    **dict.fromkeys(("light_ahead", "photocell", "feeder_switched"), lambda value: "yes" if value else "no"),
    **dict.fromkeys(("supply.lost", "supply.low", "supply.high"), lambda value: f"{value / 10:g} V"),
    **dict.fromkeys(("current.low", "current.high"), lambda value: f"{value} mA"),
    "below": lambda value: f"{value} per h",
    "hours": lambda value: f"{value} h",
}


def _part(key: str, value: Any) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, dict):
        scope = f"{key}." if key in ("supply", "current") else ""
        return f"({', '.join(f'{name} {_part(scope + name, part)}' for name, part in value.items())})"
    if isinstance(value, list):
        return f"[{', '.join(_part(key, part) for part in value)}]"
    return _PART_TEXTS.get(key, str)(value)


def _calendar(old: Site, old_name: str | None, new: Site, new_name: str | None) -> list[str]:
    before = old.calendars[old_name] if old_name is not None else Calendar()
    after = new.calendars[new_name] if new_name is not None else Calendar()
    changes = _changed("calendar", old_name or "none", new_name or "none")
    at = f"calendar {new_name or 'none'}"
    if before.defaultProgram != after.defaultProgram:
        changes.append(f"{at}: defaultProgram {before.defaultProgram or 'none'} → {after.defaultProgram or 'none'}")
    changes += _sequence(
        f"{at}: rule", [rule_words(rule) for rule in before.rules], [rule_words(rule) for rule in after.rules]
    )
    old_used, new_used = before.programs_used(), after.programs_used()
    for name in [*new.programs, *(name for name in old.programs if name not in new.programs)]:
        if name in old_used and name in new_used:
            changes += _program(f"program {name}", old.programs[name], new.programs[name])
        elif name in new_used:
            changes.append(f"program {name} is used from now on")
        elif name in old_used:
            changes.append(f"program {name} is used no more")
    return changes


def _program(at: str, old: ControlProgram, new: ControlProgram) -> list[str]:
    changes = _sequence(
        f"{at}: active period",
        [period_words(period) for period in old.activePeriods],
        [period_words(period) for period in new.activePeriods],
    )
    before, after = program_words(old), program_words(new)
    # Fixed time controls are known by their time of day; everything else by its place in the list.
    old_fixed = {control["startTime"]: control for control in before["fixedTimeControls"]}
    new_fixed = {control["startTime"]: control for control in after["fixedTimeControls"]}
    for time in sorted({*old_fixed, *new_fixed}):
        what = f"{at}: fixed time control {_short(time)}"
        if time not in old_fixed:
            changes.append(f"{what} added: {_words(new_fixed[time], ('startTime',))}")
        elif time not in new_fixed:
            changes.append(f"{what} removed: {_words(old_fixed[time], ('startTime',))}")
        else:
            changes += _fields(what, old_fixed[time], new_fixed[time])
    for key, what in (("astroClockTimeControls", "astro clock time control"), ("dynamicControls", "dynamic control")):
        changes += _sequence(f"{at}: {what}", before.get(key, []), after.get(key, []))
    return changes


def _short(time: str) -> str:
    return time.removesuffix(":00") if time.count(":") == 2 else time


def _sequence(what: str, old: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]]) -> list[str]:
    """Compare lists whose order has a meaning; numbers count from 1, those of removed entries in the old list."""
    before = [json.dumps(entry, sort_keys=True) for entry in old]
    after = [json.dumps(entry, sort_keys=True) for entry in new]
    changes = []
    for kind, i1, i2, j1, j2 in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        common = min(i2 - i1, j2 - j1)
        for step in range(common):
            changes += _fields(f"{what} {j1 + step + 1}", old[i1 + step], new[j1 + step])
        changes += [f"{what} {index + 1} removed: {_words(old[index])}" for index in range(i1 + common, i2)]
        changes += [f"{what} {index + 1} added: {_words(new[index])}" for index in range(j1 + common, j2)]
    return changes


def _fields(what: str, old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Say each field that changes; the level of a control needs no name."""
    changes = []
    for key in dict.fromkeys([*old, *new]):
        if old.get(key) != new.get(key):
            name = "" if key == "state" else f" {key}"
            changes.append(f"{what}:{name} {_value(old.get(key))} → {_value(new.get(key))}")
    return changes


def _words(entry: dict[str, Any], without: Iterable[str] = ()) -> str:
    parts = [f"{key} {_value(value)}" for key, value in entry.items() if key not in without]
    return ", ".join(parts)


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, dict):
        return f"({_words(value)})"
    if isinstance(value, list):
        return f"[{', '.join(_value(part) for part in value)}]"
    return str(value)
