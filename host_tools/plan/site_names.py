"""What a site's raw file says twice, or names and does not have: looked up in the tree itself.

So one wrong value hides no wrong name.
"""

from typing import Any

from .problems import Problem, suggestion

# The named sets that a lamp may name, each under the key of its kind, and what one of them is called.
SETS = {
    "limits": "set of limits", "presence": "set of presence", "night_without_clock": "night without clock",
    "meter": "meter", "baselines": "set of baselines",
}  # fmt: skip


def _part(tree: Any, key: str) -> dict[str, Any]:
    part = tree.get(key) if isinstance(tree, dict) else None
    return part if isinstance(part, dict) else {}


def _list(tree: Any, key: str) -> list[Any]:
    part = tree.get(key) if isinstance(tree, dict) else None
    return part if isinstance(part, list) else []


def reference_problems(tree: dict[str, Any]) -> list[Problem]:
    """Look up every name in the raw file, so that one wrong value hides no wrong name."""
    problems: list[Problem] = []

    def look_up(name: Any, kind: str, one: str, path: str) -> None:
        if isinstance(name, str) and name not in _part(tree, kind):
            problems.append(Problem(path, f"there is no {one} {name!r}{suggestion(name, _part(tree, kind))}"))

    for calendar_id, calendar in _part(tree, "calendars").items():
        at = f"calendars.{calendar_id}"
        if isinstance(calendar, dict):
            look_up(calendar.get("defaultProgram"), "programs", "program", f"{at}.defaultProgram")
        for index, rule in enumerate(_list(calendar, "rules")):
            if isinstance(rule, dict):
                look_up(rule.get("program"), "programs", "program", f"{at}.rules[{index}].program")
    for lamp_id, lamp in _part(tree, "lamps").items():
        if not isinstance(lamp, dict):
            continue
        for key, kind in (("calendar", "calendars"), ("luminaire", "luminaires"), *((name, name) for name in SETS)):
            look_up(lamp.get(key), kind, SETS.get(key, key), f"lamps.{lamp_id}.{key}")
        for name in _part(lamp, "neighbours"):
            path = f"lamps.{lamp_id}.neighbours.{name}"
            look_up(name, "lamps", "lamp", path)
            if name == lamp_id:
                problems.append(Problem(path, "a lamp is not its own neighbour: remove it"))
    for group_id in _part(tree, "groups"):
        listed: set[str] = set()
        for index, name in enumerate(_list(tree["groups"], group_id)):
            look_up(name, "lamps", "lamp", f"groups.{group_id}[{index}]")
            if isinstance(name, str) and name in listed:
                problems.append(Problem(f"groups.{group_id}[{index}]", f"lamp {name!r} stands twice: keep one"))
            listed.add(str(name))
    return problems


def value_problems(tree: dict[str, Any]) -> list[Problem]:
    """Refuse a ValueActivePeriod whose value has the unit of another channel."""
    problems = []
    for program_id, program in _part(tree, "programs").items():
        for index, period in enumerate(_list(program, "activePeriods")):
            if not isinstance(period, dict) or not isinstance(period.get("value"), str):
                continue
            is_level = period["value"].rstrip().endswith("%")
            if period.get("reference") in ("lux", "external") and is_level != (period["reference"] == "external"):
                remedy = "40 %" if period["reference"] == "external" else "35 lx"
                problems.append(
                    Problem(
                        f"programs.{program_id}.activePeriods[{index}].value",
                        f"{period['value']!r} cannot be compared with {period['reference']}: write it like {remedy}",
                    )
                )
    return problems


def double_lamps(tree: dict[str, Any]) -> list[Problem]:
    """Refuse ids that some file systems take for the same."""
    seen: dict[str, str] = {}
    problems = []
    for name in _part(tree, "lamps"):
        if name.lower() in seen:
            problems.append(Problem(f"lamps.{name}", f"differs from {seen[name.lower()]} in case only: rename one"))
        seen.setdefault(name.lower(), name)
    return problems
