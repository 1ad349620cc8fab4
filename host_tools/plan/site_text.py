"""Programs and calendars back into the words of a site file, and whole sites as YAML that reads the same."""

from decimal import Decimal
from typing import Any

import yaml

from . import program as words
from .program import ControlProgram, clock_text
from .site_calendar import Calendar, CalendarRule, DateCondition, DayCondition, date_text


def level_text(permille: int) -> str:
    """Return a level as text, for instance ``12.5 %``."""
    return f"{_decimal(permille, 10)} %"


def tenths_text(tenths_s: int) -> str:
    """Return a ramp or hold time in tenths of a second as text, for instance ``1.5 s``."""
    return f"{_decimal(tenths_s, 10)} s"


def offset_text(seconds: int) -> str:
    """Return an offset to the sun as text, for instance ``-10 min``."""
    return f"{_decimal(seconds, 60)} min"


def lux_text(lux: int) -> str:
    """Return an illuminance as text."""
    return f"{lux} lx"


def _decimal(value: int, parts: int) -> str:
    number = Decimal(value) / parts
    return str(int(number)) if number == int(number) else str(number)


def program_words(program: ControlProgram) -> dict[str, Any]:
    """Return a program as it stands in a file: dicts, lists and strings. What has its default is left out."""
    found: dict[str, Any] = {
        "activePeriods": [period_words(period) for period in program.activePeriods],
        "fixedTimeControls": [
            {"startTime": clock_text(control.startTime), "state": level_text(control.state), **_ramps(control)}
            for control in program.fixedTimeControls
        ],
    }
    if program.astroClockTimeControls:
        found["astroClockTimeControls"] = [
            {
                "solarEventType": control.solarEventType,
                "offset": offset_text(control.offset),
                "operation": control.operation,
                "state": level_text(control.state),
                **_ramps(control),
            }
            for control in program.astroClockTimeControls
        ]
    if program.dynamicControls:
        found["dynamicControls"] = [_dynamic_words(control) for control in program.dynamicControls]
    return found


def period_words(period: words.AnyActivePeriod) -> dict[str, str]:
    """Return an active period as it stands in a file."""
    found: dict[str, str] = {"name": period.name}
    if isinstance(period, words.AbsoluteActivePeriod):
        found |= {"startTime": clock_text(period.startTime), "endTime": clock_text(period.endTime)}
    if isinstance(period, words.AstroClockActivePeriod | words.AstroAndSensorActivePeriod):
        found |= {
            "sunsetOffset": offset_text(period.sunsetOffset),
            "sunriseOffset": offset_text(period.sunriseOffset),
        }
    if isinstance(period, words.AstroAndSensorActivePeriod):
        found |= {
            "pcActiveBeforeSunset": f"{period.pcActiveBeforeSunset} min",
            "pcActiveBeforeSunrise": f"{period.pcActiveBeforeSunrise} min",
        }
    if isinstance(period, words.SensorActivePeriod | words.AstroAndSensorActivePeriod):
        found |= {"onLevel": lux_text(period.onLevel), "offLevel": lux_text(period.offLevel)}
    if isinstance(period, words.ValueActivePeriod):
        value = lux_text(period.value) if period.reference == "lux" else level_text(period.value)
        found |= {"reference": period.reference, "operator": period.operator, "value": value}
    return found


def _ramps(control: Any) -> dict[str, str]:
    return {
        name: tenths_text(getattr(control, name))
        for name in ("rampToLevelTime", "rampFromLevelTime")
        if getattr(control, name)
    }


def _dynamic_words(control: words.DynamicControl) -> dict[str, Any]:
    found: dict[str, Any] = {"type": control.type, "source": control.source, "operation": control.operation}
    if control.state is not None:
        found["state"] = level_text(control.state)
    if control.holdTime:
        found["holdTime"] = tenths_text(control.holdTime)
    found |= _ramps(control)
    if control.period is not None:
        found["period"] = {
            "startTime": clock_text(control.period.startTime),
            "endTime": clock_text(control.period.endTime),
        }
    return found


def calendar_words(calendar: Calendar) -> dict[str, Any]:
    """Return a calendar as it stands in a file: dicts, lists and strings."""
    found: dict[str, Any] = {}
    if calendar.defaultProgram is not None:
        found["defaultProgram"] = calendar.defaultProgram
    if calendar.rules:
        found["rules"] = [rule_words(rule) for rule in calendar.rules]
    return found


def rule_words(rule: CalendarRule) -> dict[str, Any]:
    """Return a calendar rule as it stands in a file."""
    found: dict[str, Any] = {"program": rule.program}
    if rule.startDate is not None:
        found["startDate"] = date_text(rule.startDate)
    if rule.endDate is not None:
        found["endDate"] = date_text(rule.endDate)
    if rule.condition is not None:
        found["condition"] = condition_words(rule.condition)
    return found


def condition_words(condition: DateCondition | DayCondition) -> dict[str, Any]:
    """Return the condition of a rule as it stands in a file."""
    if isinstance(condition, DateCondition):
        dates = [
            {"start": date_text(one.start)} | ({"end": date_text(one.end)} if one.end else {})
            for one in condition.dates
        ]
        return {"type": "ccDate", "dates": dates}
    found: dict[str, Any] = {
        "type": "ccDay",
        "days": [{"start": str(one.start)} | ({"end": str(one.end)} if one.end else {}) for one in condition.days],
    }
    if condition.occurrences:
        found["occurrences"] = list(condition.occurrences)
    return found


def yaml_text(tree: dict[str, Any]) -> str:
    """Return dicts, lists and strings as YAML that `yaml_text.read_yaml` reads as the same."""
    text = yaml.safe_dump(_apart(tree), sort_keys=False, allow_unicode=True, width=110, default_flow_style=False)
    return str(text)


def _apart(tree: Any) -> Any:
    """Copy dicts and lists, so that what is shared in memory is written out each time: we read no aliases."""
    if isinstance(tree, dict):
        return {key: _apart(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_apart(value) for value in tree]
    return tree
