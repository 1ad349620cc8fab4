"""Quantities as people write them ("27 m", "30 s", "70 %"), turned into the integers the product computes with.

Each type below is a pydantic field type: it takes the text of the file and gives an int. A bare number is refused with
the unit it lacks.
"""

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BeforeValidator

_QUANTITY = re.compile(r"^\s*([+-]?[0-9]+(?:\.[0-9]+)?)\s*(\S.*?)?\s*$")
_TIME_OF_DAY = re.compile(r"^([01]?[0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?$")


def quantity(text: Any, units: dict[str, int], what: str, example: str) -> int:
    """Return ``text`` in the smallest unit: ``units`` maps each accepted unit to how many of it make one.

    Raises ValueError that says what is wrong and how to write it. A value finer than the smallest unit is refused
    rather than rounded.
    """
    found = _QUANTITY.match(text) if isinstance(text, str) else None
    if not found:
        raise ValueError(f"{text!r} is not {what}: write it like {example}")
    number, unit = found.groups()
    if not unit:
        raise ValueError(f"{number} has no unit: write it like {example} (units: {', '.join(units)})")
    if unit not in units:
        raise ValueError(f"unit {unit!r} is not one for {what}: write it like {example} (units: {', '.join(units)})")
    try:
        value = Decimal(number) * units[unit]
    except InvalidOperation as error:
        raise ValueError(f"{text!r} is not {what}: write it like {example}") from error
    if value != int(value):
        raise ValueError(f"{text!r} is finer than this product computes {what}: round it")
    return int(value)


def _in_range(
    units: dict[str, int], least: int, most: int, what: str, example: str, bounds: str
) -> Callable[[Any], int]:
    def check(text: Any) -> int:
        value = quantity(text, units, what, example)
        if not least <= value <= most:
            raise ValueError(f"{text} is out of range: {what} is {bounds}")
        return value

    return check


def time_of_day(text: Any) -> int:
    """Return a local time of day (``hh:mm`` or ``hh:mm:ss``) in seconds."""
    found = _TIME_OF_DAY.match(text) if isinstance(text, str) else None
    if not found:
        raise ValueError(f"{text!r} is not a time of day: write it like 23:00 or 23:00:00")
    hours, minutes, seconds = found.groups()
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds or 0)


def whole(text: Any) -> int:
    """Return a whole number that has no unit, as a count of poles has none."""
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]{1,6}", text):
        raise ValueError(f"{text!r} is not a whole number: write it like 40")
    return int(text)


_TIME_UNITS = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000}
_RAMP_UNITS = {"s": 10, "min": 600}

# Lengths in mm.
LengthMm = Annotated[
    int,
    BeforeValidator(_in_range({"m": 1000}, 1, 10_000_000, "a length", "27 m", "above 0 and at most 10000 m")),
]
# Durations in ms.
DurationMs = Annotated[int, BeforeValidator(_in_range(_TIME_UNITS, 0, 86_400_000, "a duration", "30 s", "0 s to 24 h"))]
# Ramps in tenths of a second; the bound is the plan's.
RampDs = Annotated[int, BeforeValidator(_in_range(_RAMP_UNITS, 0, 10_000, "a ramp", "1.5 s", "0 s to 1000 s"))]
# Hold times in tenths of a second; 16 bits in the plan.
HoldDs = Annotated[int, BeforeValidator(_in_range(_RAMP_UNITS, 0, 65_535, "a hold time", "45 s", "0 s to 6553 s"))]
# Offsets to the sun in minutes (TALQ has integer minutes), given in s.
SunOffsetS = Annotated[
    int,
    BeforeValidator(
        _in_range({"min": 60, "h": 3600}, -21_600, 21_600, "an offset to the sun", "-10 min", "-6 h to 6 h")
    ),
]
# Levels in permille of full light.
LevelPermille = Annotated[int, BeforeValidator(_in_range({"%": 10}, 0, 1000, "a level", "70 %", "0 % to 100 %"))]
# Powers in mW; the bound is the control core's.
PowerMw = Annotated[
    int, BeforeValidator(_in_range({"W": 1000, "mW": 1}, 0, 500_000, "a power", "44.9 W", "0 W to 500 W"))
]
# Places in millionths of a degree.
LatitudeUdeg = Annotated[
    int,
    BeforeValidator(
        _in_range(
            {"deg": 1_000_000, "°": 1_000_000},
            -90_000_000,
            90_000_000,
            "a latitude",
            "43.6225 deg",
            "-90 deg to 90 deg on Earth, north positive",
        )
    ),
]
LongitudeUdeg = Annotated[
    int,
    BeforeValidator(
        _in_range(
            {"deg": 1_000_000, "°": 1_000_000},
            -180_000_000,
            180_000_000,
            "a longitude",
            "1.4631 deg",
            "-180 deg to 180 deg on Earth, east positive",
        )
    ),
]
# Speeds in mm/s.
SpeedMmS = Annotated[
    int, BeforeValidator(_in_range({"m/s": 1000}, 100, 60_000, "a speed", "1.3 m/s", "0.1 m/s to 60 m/s"))
]
SpreadMmS = Annotated[
    int,
    BeforeValidator(_in_range({"m/s": 1000}, 0, 20_000, "a spread of speeds", "0.2 m/s", "0 m/s to 20 m/s")),
]
# Local times of day in s.
TimeOfDayS = Annotated[int, BeforeValidator(time_of_day)]

# Ambient light in lx, as a photometer reports it.
Lux = Annotated[
    int, BeforeValidator(_in_range({"lx": 1, "klx": 1000}, 0, 1_000_000, "an illuminance", "35 lx", "0 lx to 1000 klx"))
]
# How long before sunset and sunrise a photocell is listened to, in minutes.
PhotocellMin = Annotated[
    int, BeforeValidator(_in_range({"min": 1, "h": 60}, 0, 180, "a time", "45 min", "0 min to 3 h"))
]
