"""The figures of a demo's night: each with where it comes from, as `results.json` and as the table in a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from .journals import Replayed
from .night import Night
from .script import Light

SCHEMA = "reverbere/demo/1"
BASELINES = {"full_night_wh": "Full night", "fixed_dimming_wh": "Fixed dimming", "extinction_wh": "Extinction"}


def results_of(night: Night, expected: list[Light], replayed: Replayed) -> dict[str, Any]:
    """Return the contents of `results.json`. Energies in Wh, times in ms since the scenario's noon."""
    lamps = []
    for node, light in zip(night.nodes.nodes, expected, strict=True):
        heard = night.listener.heard[node.name]
        outcomes = replayed.outcomes[node.name]
        lamps.append(
            {
                "node": node.name,
                "interpreter": node.interpreter.title,
                "node_energy": heard.energies(),
                "reports": len(heard.energy),
                "quarters": sum(report["quarters"] for report in heard.energy.values()),
                "simulator_wh": round(light.energy_wh, 1),
                "decisions": sum(one.decisions for one in outcomes),
                "simulator_decisions": light.decisions,
                "onlines": heard.onlines,
                "starts": node.starts,
                "boots_reported": heard.boots,
                "differences": sum(one.difference is not None for one in outcomes),
            }
        )
    cut = night.cut
    return {
        "schema": SCHEMA,
        "site": night.script.site.parts.site,
        "date": night.script.nights.loaded.scenario.date.isoformat(),
        "hours_ms": [night.hours.start_ms, night.hours.end_ms],
        "passers": night.script.passers(night.hours),
        "broker": night.broker.title,
        "has_rules": night.broker.has_rules,
        "wall_s": round(night.wall_s, 1),
        "rate": round((night.hours.end_ms - night.hours.start_ms) / 1000 / night.wall_s),
        "messages": dict(sorted(night.listener.counts.items())),
        "cut": None
        if cut is None
        else {
            "at_ms": cut.at_ms,
            "back_ms": cut.back_ms,
            "torn": cut.torn,
            "lit_after_ms": max(ms for ms, _ in cut.lit.values()),
            "lit_permille": min(level for _, level in cut.lit.values()),
        },
        "lamps": lamps,
        "total": _total(lamps),
        "replay": {
            "decisions": replayed.decisions,
            "inputs": replayed.inputs,
            "differences": len(replayed.differences),
            "skipped": len(replayed.skipped),
            "verdict": replayed.verdict(),
        },
    }


def _total(lamps: list[dict[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {"simulator_wh": round(sum(lamp["simulator_wh"] for lamp in lamps), 1)}
    for name in ("estimated_wh", *BASELINES):
        values = [lamp["node_energy"][name] for lamp in lamps]
        total[name] = None if None in values else sum(values)
    used = total["estimated_wh"]
    for name in BASELINES:
        other = total[name]
        total[name.replace("_wh", "_saving_permille")] = round(1000 * (1 - used / other)) if used and other else None
    return total


# What rounding to whole watt-hours, a quarter lost with the feeder and late wake-ups may add up to.
DEVIATION_MAX_PERMILLE = 100
DEVIATION_MAX_WH = 2.0


def strangers(results: Mapping[str, Any]) -> list[str]:
    """Return the nodes whose own energy is far from the simulator's, or unknown where there was light to count."""
    found = []
    for row in results["lamps"]:
        told, simulated = row["node_energy"]["estimated_wh"], row["simulator_wh"]
        off_wh = simulated if told is None else abs(told - simulated)
        if off_wh > max(DEVIATION_MAX_WH, simulated * DEVIATION_MAX_PERMILLE / 1000):
            found.append(row["node"])
    return found


def wh(value: float | None) -> str:
    """Return an energy for people; a dash where no node knows it."""
    return "–" if value is None else f"{value:.0f}"


def percent(permille: float | None) -> str:
    """Return a share for people, with its sign."""
    return "–" if permille is None else f"{permille / 10:+.1f} %"


def deviation(node_wh: float | None, simulator_wh: float) -> float | None:
    """Return by how much a node's energy differs from the simulator's, in permille."""
    return None if node_wh is None or not simulator_wh else 1000 * (node_wh / simulator_wh - 1)


def result_table(results: Mapping[str, Any]) -> Table:
    """Return the table of a night."""
    found = Table(
        title=f"{results['site']}, {results['date']}: energy of the night in Wh", title_justify="left", show_footer=True
    )
    total = results["total"]
    rows = results["lamps"]
    own, simulated = total["estimated_wh"], total["simulator_wh"]
    footer = [
        "all", wh(own), wh(simulated), percent(deviation(own, simulated)), *(wh(total[name]) for name in BASELINES),
        str(sum(row["decisions"] for row in rows)), str(sum(row["onlines"] for row in rows)),
    ]  # fmt: skip
    titles = ["node", "node\ntells", "simu-\nlator", "differ-\nence", "full\nnight", "fixed\ndimming",
              "extinc-\ntion", "deci-\nsions", "links\nmade"]  # fmt: skip
    for title, foot in zip(titles, footer, strict=True):
        found.add_column(title, foot, justify="left" if title == "node" else "right", no_wrap=True)
    for row in rows:
        energy = row["node_energy"]
        off = percent(deviation(energy["estimated_wh"], row["simulator_wh"]))
        found.add_row(
            row["node"], wh(energy["estimated_wh"]), wh(row["simulator_wh"]), off,
            *(wh(energy[name]) for name in BASELINES), str(row["decisions"]), str(row["onlines"]),
        )  # fmt: skip
    return found
