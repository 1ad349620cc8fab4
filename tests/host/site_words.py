"""Programs and calendars in the words of a site file, drawn by hypothesis."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st


def texts(numbers: st.SearchStrategy[int], unit: str) -> st.SearchStrategy[str]:
    return numbers.map(lambda number: f"{number} {unit}")


levels = texts(st.integers(0, 100), "%")
lux = st.tuples(st.integers(0, 1_000_000), st.integers(0, 1_000_000)).map(sorted)
offsets = texts(st.integers(-360, 360), "min")
photocell = texts(st.integers(0, 180), "min")
seconds = st.integers(0, 86399)
times = seconds.map(lambda s: f"{s // 3600:02}:{s // 60 % 60:02}:{s % 60:02}")
ramps = st.integers(0, 10000).map(lambda ds: f"{Decimal(ds) / 10} s")
operations = st.sampled_from(["Set", "Max", "Min", "Add", "Sub", "Mul"])
ramped = {"rampToLevelTime": ramps, "rampFromLevelTime": ramps}
names = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=20)


def by_levels(pair: list[int]) -> dict[str, str]:
    return {"onLevel": f"{pair[0]} lx", "offLevel": f"{pair[1]} lx"}


def merged(*parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(*parts).map(lambda found: {key: value for part in found for key, value in part.items()})


def named(name: str, **parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"name": st.just(name), **parts})


active_periods = st.one_of(
    named("AbsoluteActivePeriod", startTime=times, endTime=times),
    named("AstroClockActivePeriod", sunsetOffset=offsets, sunriseOffset=offsets),
    merged(named("SensorActivePeriod"), lux.map(by_levels)),
    merged(
        named(
            "AstroAndSensorActivePeriod",
            sunsetOffset=offsets,
            sunriseOffset=offsets,
            pcActiveBeforeSunset=photocell,
            pcActiveBeforeSunrise=photocell,
        ),
        lux.map(by_levels),
    ),
    merged(
        named("ValueActivePeriod", operator=st.sampled_from(["EQ", "NE", "GE", "GT", "LE", "LT"])),
        st.one_of(
            st.fixed_dictionaries({"reference": st.just("external"), "value": levels}),
            st.fixed_dictionaries({"reference": st.just("lux"), "value": texts(st.integers(0, 1_000_000), "lx")}),
        ),
    ),
)
fixed_controls = st.lists(times, min_size=1, max_size=6, unique=True).flatmap(
    lambda starts: st.tuples(
        *(
            st.fixed_dictionaries({"startTime": st.just(start), "state": levels}, optional=ramped)
            for start in sorted(starts)
        )
    ).map(list)
)
astro_controls = st.fixed_dictionaries(
    {
        "solarEventType": st.sampled_from(["sunset", "sunrise"]),
        "offset": offsets,
        "operation": operations,
        "state": levels,
    },
    optional=ramped,
)
around = {
    "holdTime": st.integers(0, 65535).map(lambda ds: f"{Decimal(ds) / 10} s"),
    "period": st.fixed_dictionaries({"startTime": times, "endTime": times}),
}
dynamic_controls = st.one_of(
    st.fixed_dictionaries(
        {
            "source": st.sampled_from(["presence", "neighbours", "external"]),
            "operation": operations,
            "state": levels,
        },
        optional=ramped | around,
    ),
    st.fixed_dictionaries(
        {"type": st.just("ExternalControlEffect"), "source": st.just("external"), "operation": operations},
        optional=around,
    ),
)
programs = st.fixed_dictionaries(
    {"activePeriods": st.lists(active_periods, max_size=4), "fixedTimeControls": fixed_controls},
    optional={
        "astroClockTimeControls": st.lists(astro_controls, max_size=8),
        "dynamicControls": st.lists(dynamic_controls, max_size=4),
    },
)
dates = st.dates(date(1900, 1, 1), date(2200, 12, 31))
ranges = st.one_of(
    st.dates(date(2000, 1, 1), date(2000, 12, 31)).map(lambda day: {"start": f"--{day:%m-%d}"}),
    st.tuples(st.dates(date(2000, 1, 1), date(2000, 6, 30)), st.dates(date(2000, 7, 1), date(2000, 12, 31))).map(
        lambda pair: {"start": f"--{pair[0]:%m-%d}", "end": f"--{pair[1]:%m-%d}"}
    ),
    st.tuples(st.integers(1, 15), st.integers(16, 31)).map(
        lambda pair: {"start": f"---{pair[0]:02}", "end": f"---{pair[1]:02}"}
    ),
)
day_ranges = st.tuples(st.integers(1, 7), st.integers(0, 6)).map(
    lambda pair: {"start": str(pair[0])} | ({"end": str(pair[0] + pair[1])} if 0 < pair[1] <= 7 - pair[0] else {})
)
conditions = st.one_of(
    st.fixed_dictionaries({"type": st.just("ccDate"), "dates": st.lists(ranges, min_size=1, max_size=16)}),
    st.fixed_dictionaries(
        {"type": st.just("ccDay"), "days": st.lists(day_ranges, min_size=1, max_size=7)},
        optional={"occurrences": st.lists(st.sampled_from("12345L"), max_size=5, unique=True)},
    ),
)
spans = st.one_of(
    st.just({}),
    dates.map(lambda day: {"startDate": day.isoformat()}),
    dates.map(lambda day: {"endDate": f"--{day:%m-%d}"}),
    st.tuples(dates, dates).map(lambda pair: {"startDate": min(pair).isoformat(), "endDate": max(pair).isoformat()}),
    st.tuples(dates, dates).map(lambda pair: {"startDate": f"--{pair[0]:%m-%d}", "endDate": f"--{pair[1]:%m-%d}"}),
)


@st.composite
def sites(draw: st.DrawFn) -> dict[str, Any]:
    """The programs and calendars of a site, as `read_yaml` returns them."""
    ids = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    rules = st.lists(
        merged(st.fixed_dictionaries({"program": st.sampled_from(ids)}, optional={"condition": conditions}), spans),
        max_size=4,
    )
    calendars = st.fixed_dictionaries({}, optional={"defaultProgram": st.sampled_from(ids), "rules": rules})
    return {
        "programs": {name: draw(programs) for name in ids},
        "calendars": draw(st.dictionaries(names, calendars, max_size=2)),
    }
