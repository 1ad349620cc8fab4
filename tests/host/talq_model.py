"""Judge a JSON value by the schemas of TALQ's published data model."""

from __future__ import annotations

import re
from typing import Any


class Validator:
    """As much of OpenAPI 3's schemas as TALQ's model uses. Stricter in one point: unknown properties are faults."""

    NOTES = frozenset(("description", "default", "x-talq-profiles", "x-talq-unit", "title", "example"))

    def __init__(self, schemas: dict[str, Any]):
        self.schemas = schemas

    def faults(self, value: Any, name: str) -> list[str]:
        found = self._faults(value, self.schemas[name], name)
        known = self._known(self.schemas[name])
        found += [f"{name}: unknown {key}" for key in value if key not in known]
        return found

    def _known(self, schema: dict[str, Any]) -> set[str]:
        if "$ref" in schema:
            return self._known(self._resolved(schema))
        found = set(schema.get("properties", ()))
        for part in schema.get("allOf", ()):
            found |= self._known(part)
        return found

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        resolved: dict[str, Any] = self.schemas[schema["$ref"].rsplit("/", 1)[1]]
        return resolved

    def _faults(self, value: Any, schema: dict[str, Any], at: str) -> list[str]:
        found: list[str] = []
        if "$ref" in schema:
            name = schema["$ref"].rsplit("/", 1)[1]
            by = self.schemas[name].get("discriminator", {}).get("propertyName")
            if by and isinstance(value, dict) and value.get(by) in self.schemas and value[by] != name:
                return [f"{at}: {fault}" for fault in self.faults(value, value[by])]
            if "discriminator" not in self.schemas[name] and "properties" in self.schemas[name]:
                return [f"{at}: {fault}" for fault in self.faults(value, name)]
            return self._faults(value, self.schemas[name], at)
        for key, rule in schema.items():
            if key in self.NOTES or key == "discriminator":
                continue
            found += getattr(self, "_" + key)(value, rule, at)
        return found

    def _type(self, value: Any, rule: str, at: str) -> list[str]:
        kinds: dict[str, Any] = {
            "object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool,
        }  # fmt: skip
        good = isinstance(value, kinds[rule]) and (rule == "boolean" or not isinstance(value, bool))
        return [] if good else [f"{at}: {value!r} is no {rule}"]

    def _required(self, value: Any, rule: list[str], at: str) -> list[str]:
        return [f"{at}: lacks {key}" for key in rule if key not in value]

    def _properties(self, value: Any, rule: dict[str, Any], at: str) -> list[str]:
        return [fault for key in rule if key in value for fault in self._faults(value[key], rule[key], f"{at}.{key}")]

    def _items(self, value: Any, rule: dict[str, Any], at: str) -> list[str]:
        return [fault for i, one in enumerate(value) for fault in self._faults(one, rule, f"{at}[{i}]")]

    def _allOf(self, value: Any, rule: list[Any], at: str) -> list[str]:
        # The parts of one object: only the whole of it knows all properties.
        parts = [self._resolved(part) if "$ref" in part else part for part in rule]
        return [fault for part in parts for fault in self._faults(value, part, at)]

    def _anyOf(self, value: Any, rule: list[Any], at: str) -> list[str]:
        each = [self._faults(value, part, at) for part in rule]
        return [] if [] in each else [f"{at}: none of {each}"]

    def _enum(self, value: Any, rule: list[Any], at: str) -> list[str]:
        return [] if value in rule else [f"{at}: {value!r} not in {rule}"]

    def _pattern(self, value: Any, rule: str, at: str) -> list[str]:
        return [] if re.search(rule, value) else [f"{at}: {value!r} does not match {rule}"]

    def _minimum(self, value: Any, rule: int, at: str) -> list[str]:
        return [] if value >= rule else [f"{at}: {value} below {rule}"]

    def _maximum(self, value: Any, rule: int, at: str) -> list[str]:
        return [] if value <= rule else [f"{at}: {value} above {rule}"]

    def _minItems(self, value: Any, rule: int, at: str) -> list[str]:
        return [] if len(value) >= rule else [f"{at}: too few"]

    def _maxItems(self, value: Any, rule: int, at: str) -> list[str]:
        return [] if len(value) <= rule else [f"{at}: too many"]

    def _uniqueItems(self, value: Any, rule: bool, at: str) -> list[str]:
        return [] if len(set(value)) == len(value) else [f"{at}: doubles"]

    def _format(self, value: Any, rule: str, at: str) -> list[str]:
        patterns = {
            "time": r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d",
            "date": r"\d{4}-\d{2}-\d{2}",
            "float": r".*",
            "integer": r"-?\d+",
        }
        return [] if re.fullmatch(patterns[rule], str(value)) else [f"{at}: {value!r} is no {rule}"]
