"""The catalogue of drivers: one JSON file a driver, read by the host only.

It feeds the validation of configurations, what is deployed to a node, and docs/drivers.md, which
``python -m host_tools.catalogue`` writes.

``load()`` returns a `Description` for each name; ``markdown_table()`` the text of the page.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

FOLDER = Path(__file__).resolve().parent / "drivers"
PAGE = Path(__file__).resolve().parents[1] / "docs" / "drivers.md"

# A bar or a new line would break the page's tables.
Line = Annotated[str, StringConstraints(min_length=1, max_length=400, pattern=r"^[^\n|]+$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{1,31}$")]

# Where a kind stands on the page, and what it is called there.
KINDS = {
    "dimmer": "Dimmers",
    "relay": "Relays",
    "presence": "Presence",
    "lux": "Ambient light",
    "meter": "Energy meters",
    "clock": "Clock chips and time",
    "temperature": "Temperature",
    "tilt": "Tilt and shock",
    "position": "Position",
    "radio": "Radios",
    "part": "Parts of drivers",
}
BUSES = ("i2c", "spi", "uart", "dali", "onewire", "adc", "pin", "pwm", "dac", "counter", "radio", "none")


class CatalogueError(Exception):
    """A description cannot be used; the message names the file, the field and what to do."""


class Strict(BaseModel):
    """No unknown key: a misspelt option would be an option that nobody checks."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Option(Strict):
    """One option of a driver's constructor, besides its buses and pins."""

    type: Literal["int", "bool", "str", "int_list"]
    help: Line
    default: int | bool | str | list[int] | None = None
    min: int | None = None
    max: int | None = None
    choices: list[int] | list[str] | None = None

    @model_validator(mode="after")
    def _agrees(self) -> "Option":
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}: swap them")
        problem = self.problem(self.default) if self.default is not None else None
        if problem:
            raise ValueError(f"the default {problem}")
        return self

    def problem(self, value: object) -> str | None:
        """Return what is wrong with a configured value, with the remedy, or None."""
        wanted = {"int": int, "bool": bool, "str": str, "int_list": list}[self.type]
        if type(value) is not wanted:
            return f"{value!r} is no {self.type}: write one"
        for one in value if isinstance(value, list) else [value]:
            if self.type == "int_list" and type(one) is not int:
                return f"{value!r} holds {one!r}, which is no int: write integers"
            if isinstance(one, int) and self.min is not None and one < self.min:
                return f"{one} is below {self.min}: take {self.min} or more"
            if isinstance(one, int) and self.max is not None and one > self.max:
                return f"{one} is above {self.max}: take {self.max} or less"
            if self.choices is not None and one not in self.choices:
                return f"{one!r} is not among {', '.join(str(choice) for choice in self.choices)}: take one of them"
        return None


class Description(Strict):
    """One driver: what it is, how it is wired, what may be set, where it comes from, how it was tested."""

    name: Name
    kind: Literal[tuple(KINDS)]  # type: ignore[valid-type]
    title: Line
    class_: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9]*$")] | None = Field(alias="class")
    buses: list[Literal[BUSES]]  # type: ignore[valid-type]
    options: dict[Name, Option] = {}
    files: list[Annotated[str, StringConstraints(pattern=r"^firmware/drivers/[a-z0-9_]+\.py$")]] = Field(min_length=1)
    datasheet: Line
    tested: Line
    notes: Line | None = None

    def problems(self, options: dict[str, object]) -> list[str]:
        """Return what is wrong with configured options, one sentence each; none is good."""
        found = []
        for name, value in options.items():
            if name not in self.options:
                known = ", ".join(self.options) or "none"
                found.append(f"{self.name}.{name}: no such option (it has: {known}): correct or remove it")
            elif problem := self.options[name].problem(value):
                found.append(f"{self.name}.{name}: {problem}")
        found += [
            f"{self.name}.{name}: missing, and it has no default: set it ({option.help})"
            for name, option in self.options.items()
            if option.default is None and name not in options
        ]
        return found


def load(folder: Path = FOLDER) -> dict[str, Description]:
    """Return the description of each driver by name, in order of names; CatalogueError for one that is wrong."""
    found: dict[str, Description] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            one = Description.model_validate(json.loads(path.read_text(encoding="utf-8")))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise CatalogueError(f"{path.name}: {where}: {first['msg']}: correct the description") from None
        except ValueError as error:
            raise CatalogueError(f"{path.name}: is no JSON ({error}): correct it") from None
        if one.name != path.stem:
            raise CatalogueError(f"{path.name}: describes `{one.name}`: name the file {one.name}.json")
        found[one.name] = one
    return found


def markdown_table(catalogue: dict[str, Description] | None = None) -> str:
    """Return the page of drivers: a table a kind, then the options of each driver."""
    catalogue = load() if catalogue is None else catalogue
    lines = [
        "# Drivers",
        "",
        "Written by `python -m host_tools.catalogue` from `host_tools/drivers/*.json`; change those, not this page.",
        "",
        "**No hardware was used.** Every driver was written from its datasheet and tested against a model of the",
        "device's registers or bytes (`sim/board/chips/`), on CPython and on MicroPython 64-bit and 32-bit. Such a",
        "test shows that the driver keeps to the datasheet as we read it; the first part on a bench may show that we",
        "read it wrong. Revisions and pages are cited as we know them; not every datasheet lay open while this was",
        "written, so compare with that of the part you buy.",
    ]
    for kind, heading in KINDS.items():
        members = [one for one in catalogue.values() if one.kind == kind]
        if not members:
            continue
        lines += ["", f"## {heading}", "", "| name | device | bus | datasheet | tested with |", "|---|---|---|---|---|"]
        lines += [
            f"| `{one.name}` | {one.title} | {', '.join(one.buses)} | {one.datasheet} | {one.tested} |"
            for one in members
        ]
        for one in members:
            if not one.options and not one.notes:
                continue
            lines += ["", f"### `{one.name}`", ""]
            if one.notes:
                lines += [one.notes, ""]
            if one.options:
                lines += ["| option | type | default | range | meaning |", "|---|---|---|---|---|"]
                lines += [
                    f"| `{name}` | {option.type} | {_value(option.default)} | {_range(option)} | {option.help} |"
                    for name, option in one.options.items()
                ]
                lines.append("")
            if not lines[-1]:
                lines.pop()
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    return "required" if value is None else f"`{json.dumps(value)}`"


def _range(option: Option) -> str:
    if option.choices is not None:
        return ", ".join(str(one) for one in option.choices)
    if option.min is None and option.max is None:
        return ""
    return f"{'' if option.min is None else option.min} … {'' if option.max is None else option.max}"


def main() -> int:
    """Write the page; return the exit code."""
    PAGE.write_text(markdown_table(), encoding="utf-8")
    print(f"{PAGE.relative_to(PAGE.parents[1])}: {len(load())} drivers")
    return 0


if __name__ == "__main__":
    sys.exit(main())
