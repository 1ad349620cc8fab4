"""What is wrong with a file, in words for people: where it stands, why, and what to do."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a file, or to look at: where in it, and what to do."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason


class SiteError(ValueError):
    """A site that cannot be used. ``problems`` lists everything found, ``file`` is the file."""

    def __init__(self, file: Path, problems: list[Problem]):
        super().__init__(f"{file}: {len(problems)} problem(s)")
        self.file = file
        self.problems = problems


def problems_of(error: ValidationError, prefix: str = "") -> list[Problem]:
    """Return what pydantic found as problems with a path and words for people."""
    found = list(dict.fromkeys(_problem(entry, prefix) for entry in error.errors()))
    paths = [problem.path for problem in found]
    # Where one of two units would do, the other's complaint about the unit only confuses.
    other_unit = [problem for problem in found if problem.reason.startswith("unit ") and paths.count(problem.path) > 1]
    return [problem for problem in found if problem not in other_unit or len(other_unit) == len(found)]


# What pydantic puts into a path that does not stand in the file: the tag of a union, a key that is at fault itself.
_TAGS = frozenset(
    ("AbsoluteActivePeriod", "AstroClockActivePeriod", "SensorActivePeriod", "AstroAndSensorActivePeriod",
     "ValueActivePeriod", "ccDate", "ccDay", "[key]")
)  # fmt: skip


def _is_tag(part: str) -> bool:
    return part in _TAGS or re.match(r"function-[a-z]+\[", part) is not None


def _problem(entry: Any, prefix: str) -> Problem:
    parts = [part for part in entry["loc"] if isinstance(part, int) or not _is_tag(part)]
    path = prefix + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    path = path.lstrip(".")
    kind = entry["type"]
    if kind == "missing":
        return Problem(path, f"is missing: add it{_EXAMPLES.get(path, '')}")
    if kind == "extra_forbidden":
        return Problem(path, "is not known here: check the spelling, or remove it")
    if kind == "string_unicode":
        return Problem(path, "has half a character (a lone surrogate) in it: write it anew")
    if kind == "model_type" and not path:
        what = (
            "is empty"
            if entry["input"] is None
            else "is a list"
            if isinstance(entry["input"], list)
            else "is a single value"
        )
        return Problem(path, f"{what}: a site file is made of keys: site, zone, place, dayOffset, luminaires, lamps …")
    if kind in ("model_type", "dict_type", "list_type", "model_attributes_type", "string_type"):
        return Problem(path, f"has the wrong shape ({entry['msg'].lower()}): see the shipped site for an example")
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        what = entry["ctx"]["discriminator"].strip("'")
        tags = entry["ctx"].get("expected_tags", _EXPECTED[what])
        if kind == "union_tag_invalid":
            tag = entry["ctx"]["tag"]
            return Problem(f"{path}.{what}", f"{tag!r} is not known: write one of {tags}")
        return Problem(path, f"needs a {what}: one of {tags}")
    if kind == "too_long":
        ctx = entry["ctx"]
        return Problem(path, f"has {ctx['actual_length']} entries, at most {ctx['max_length']}: leave some out")
    if kind == "too_short":
        return Problem(path, f"is empty: give at least {entry['ctx']['min_length']}")
    return Problem(path, entry["msg"].removeprefix("Value error, "))


_EXAMPLES = {
    "dayOffset": ", for instance dayOffset: 12 h (noon to noon, so that a night belongs to one day)",
    "zone": ", for instance zone: Europe/Paris",
    "place": ", for instance place: {latitude: 43.6225 deg, longitude: 1.463056 deg}",
}
_EXPECTED = {
    "name": "'AbsoluteActivePeriod', 'AstroClockActivePeriod', 'SensorActivePeriod', 'AstroAndSensorActivePeriod', "
    "'ValueActivePeriod'",
    "type": "'ccDate', 'ccDay'",
}


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that says which of the ``known`` names may have been meant."""
    known = list(known)
    near = difflib.get_close_matches(name, known, 3, 0.6)
    if near:
        return f": did you mean {' or '.join(near)}?"
    return f": choose from {', '.join(known[:10])}{' …' if len(known) > 10 else ''}" if known else ": there is none yet"
