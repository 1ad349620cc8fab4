"""Compile a zone of the tz database to the ten integers of `firmware.control.zone.ZoneRule`.

A TZif file (RFC 9636) ends with the zone's rule for all times after its table, as a POSIX TZ string. The database is
the pinned `tzdata` package, so that a plan does not depend on the machine that compiled it.
"""

import difflib
import re
import struct
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from zoneinfo import ZoneInfo

from firmware.control.civil import day_number
from firmware.control.zone import ZoneRule

ZoneIntegers = tuple[int, int, int, int, int, int, int, int, int, int]

_NAME = r"(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]+>)"
_TIME = r"[+-]?\d{1,3}(?::\d{2}(?::\d{2})?)?"
_RULE = re.compile(rf"^{_NAME}(?P<std>{_TIME})(?:{_NAME}(?P<dst>{_TIME})?,(?P<start>[^,]+),(?P<end>[^,]+))?$")
_MONTH_RULE = re.compile(rf"^M(\d{{1,2}})\.([1-5])\.([0-6])(?:/({_TIME}))?$")
_EPOCH_2000 = 946684800


class ZoneError(ValueError):
    """A zone that does not exist, or that no yearly rule describes."""


def compile_zone(name: str, day: date) -> ZoneIntegers:
    """Return the rule of zone ``name`` in force on ``day`` and after it. Raises `ZoneError` with reason and remedy."""
    footer, last_change_s = _read_footer(name)
    first_s = (day_number(day.year, 1, 1)) * 86400 + _EPOCH_2000
    if last_change_s >= first_s and not _is_rule_already_valid(name, footer, day):
        raise ZoneError(
            f"zone {name} still changes by decree in {day.year} and follows no yearly rule then: "
            f"choose a date after {last_change_s // 31556952 + 1970}"
        )
    return parse_posix_rule(footer, name)


def parse_posix_rule(rule: str, name: str = "") -> ZoneIntegers:
    """Return the integers of a POSIX TZ string such as ``CET-1CEST,M3.5.0,M10.5.0/3``. Raises `ZoneError`."""
    found = _RULE.match(rule)
    if not found:
        raise ZoneError(f"zone {name}: the rule {rule!r} has a form that no zone has today")
    standard = -_seconds(found["std"])
    if not found["start"]:
        return (standard, standard, 0, 0, 0, 0, 0, 0, 0, 0)
    daylight = -_seconds(found["dst"]) if found["dst"] else standard + 3600
    changes = []
    for part in (found["start"], found["end"]):
        month = _MONTH_RULE.match(part)
        if not month:
            raise ZoneError(f"zone {name}: the change {part!r} is not of the form Mm.w.d")
        changes.append((int(month[1]), int(month[2]), int(month[3]), _seconds(month[4] or "2")))
    start, end = changes
    return (standard, daylight, *start, *end)


def zone_names() -> list[str]:
    """Return the names of all zones, for a suggestion when one is misspelt."""
    return resources.files("tzdata").joinpath("zones").read_text("utf-8").split()


def zone_info(name: str) -> ZoneInfo:
    """Return the standard library's zone from the pinned database, whatever the machine itself has installed."""
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def _seconds(text: str) -> int:
    sign = -1 if text.startswith("-") else 1
    parts = [int(part) for part in text.lstrip("+-").split(":")]
    return sign * sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))


def _read_tzif(name: str) -> bytes:
    if name not in zone_names():
        near = difflib.get_close_matches(name, zone_names(), 3, 0.6)
        hint = f": did you mean {' or '.join(near)}?" if near else ": write one like Europe/Paris"
        raise ZoneError(f"unknown zone {name!r}{hint}")
    return resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()


def _read_footer(name: str) -> tuple[str, int]:
    """Return the POSIX rule of a zone and the moment (Unix time) of the last change in its table."""
    data = _read_tzif(name)
    counts = struct.unpack(">6I", data[20:44])
    isut, isstd, leap, times, types, chars = counts
    second = 44 + times * 5 + types * 6 + chars + leap * 8 + isstd + isut
    times = struct.unpack(">I", data[second + 32 : second + 36])[0]
    last = struct.unpack(">q", data[second + 44 + (times - 1) * 8 : second + 44 + times * 8])[0] if times else -(2**62)
    return data.rsplit(b"\n", 2)[1].decode("ascii"), last


def _is_rule_already_valid(name: str, footer: str, day: date) -> bool:
    """Compare the rule with the whole table from the start of the year on: many tables repeat the rule for years."""
    rule = ZoneRule(parse_posix_rule(footer, name))
    zone = zone_info(name)
    moment = datetime(day.year, 1, 1, tzinfo=UTC)
    for _ in range(366 * 4 * 12):
        rule.at(day_number(moment.year, moment.month, moment.day), moment.hour * 3600)
        offset = zone.utcoffset(moment.astimezone(zone))
        if offset is None or offset.total_seconds() != rule.offset_s:
            return False
        moment += timedelta(hours=6)
    return True
