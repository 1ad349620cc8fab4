"""Read JSON whose shape is not known: every problem noted with its path, and the rest read on."""

import re
from decimal import Decimal
from typing import Any

from .problems import Problem

# Numbers beyond these are no quantity of a plan; single floats carry seven digits.
_NUMBER_MAX = 10**9
_EXPONENT_MIN = -60
_SINGLE = Decimal("0.000001")
_TIME = re.compile(r"^[0-9]{2}:[0-9]{2}:[0-9]{2}$")


class TalqError(ValueError):
    """What cannot be carried from or to TALQ. ``problems`` lists everything found."""

    def __init__(self, problems: list[Problem]):
        super().__init__(f"{len(problems)} problem(s)")
        self.problems = problems


class Skip(Exception):
    """This part cannot be read; what is wrong with it has been noted."""


class JsonReader:
    """Reads parts of JSON into words, and collects in ``problems`` what cannot be read."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def note(self, path: str, reason: str) -> None:
        self.problems.append(Problem(path, reason))

    def fail(self, path: str, reason: str) -> Skip:
        self.note(path, reason)
        return Skip()

    # Parts of JSON.

    def object(self, value: Any, path: str, needs: tuple[str, ...], may: tuple[str, ...] = ()) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.fail(path, f"is {kind_of(value)}, not an object: see TALQ 2.7.1's data model")
        for key in value:
            if key not in needs and key not in may:
                self.note(join(path, key), "is not carried here: remove it, if the lamps do not need it")
        lacks = [key for key in needs if key not in value]
        for key in lacks:
            self.note(join(path, key), "is missing, TALQ 2.7.1 requires it: add it")
        if lacks:
            raise Skip
        return value

    def items(self, value: Any, path: str) -> list[tuple[str, Any]]:
        if not isinstance(value, list):
            self.note(path, f"is {kind_of(value)}, not a list: see TALQ 2.7.1's data model")
            return []
        return [(f"{path}[{index}]", entry) for index, entry in enumerate(value)]

    def each(self, value: Any, path: str, read: Any) -> list[Any]:
        found = []
        for place, entry in self.items(value, path):
            try:
                found.append(read(entry, place))
            except Skip:
                continue
        return found

    def text(self, value: Any, path: str) -> str:
        if not isinstance(value, str):
            self.note(path, f"is {kind_of(value)}, not a text: write it in quotes")
            return ""
        return value

    def time(self, value: Any, path: str) -> str:
        if not isinstance(value, str) or not _TIME.match(value):
            self.note(path, f"{shown(value)} is not a local time: write hh:mm:ss, with no zone and no fraction")
            return "00:00:00"
        return value

    def number(self, value: Any, path: str, unit: str, step: str = "1") -> str:
        """Return a number with its unit. What a single float makes of a multiple of ``step`` is that multiple."""
        if isinstance(value, float):
            value = Decimal(repr(value))
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            self.note(path, f"is {kind_of(value)}, not a number: write it without quotes")
            return f"0 {unit}"
        number = Decimal(value)
        exponent = number.as_tuple().exponent
        if not number.is_finite() or not isinstance(exponent, int) or abs(number) > _NUMBER_MAX:
            self.note(path, f"is out of range: give a number of {unit} that a plan can hold")
            return f"0 {unit}"
        if number == 0 or exponent < _EXPONENT_MIN:
            # Such exponents would take for ever to write out.
            number = Decimal(round(float(number), 12) or 0)
        nearest = Decimal(int((number / Decimal(step)).to_integral_value())) * Decimal(step)
        if abs(number - nearest) > _SINGLE * max(Decimal(1), abs(number)):
            self.note(path, f"{float(number):g} is finer than {step} {unit}, what this product computes: round it")
        return f"{nearest:f} {unit}"


def join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def shown(value: Any) -> str:
    text = value if isinstance(value, str) else kind_of(value)
    return repr(text[:60]) if isinstance(value, str) else text


def kind_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return "a text" if isinstance(value, str) else "a number"
