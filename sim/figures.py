"""Every figure of a run, and what a run is judged by: the contents of `results.json` and of the page's timeline."""

import math
import subprocess
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from firmware.control import reasons

from .light import Light, energy_mj, power_series_mw
from .nights import LocalClock, Nights
from .scenario import Bound

SCHEMA = "reverbere/results/1"
SERIES_STEP_MS = 60_000

BASELINE_TITLES = {
    "full_night": "Full night",
    "fixed_dimming": "Fixed dimming",
    "extinction": "Extinction",
}

REASONS = {
    reasons.DEFAULT: ("default", "no schedule and no command"),
    reasons.OVERRIDE: ("override", "a command of the operator"),
    reasons.SENSOR: ("sensor", "somebody is here, or was a moment ago"),
    reasons.PROGRAM: ("program", "the program's level at this time"),
    reasons.INACTIVE: ("inactive", "outside the program's active periods"),
    reasons.PROTECTION: ("protection", "a limit keeps the light from what was wanted"),
    reasons.FAILSAFE: ("failsafe", "the clock is not to be trusted"),
}

# What is simulated and what is not, in the two languages of the page.
ASSUMPTIONS = [
    {
        "en": "Decisions are made by the node's own control code. Street, sensors, passers and power are models.",
        "fr": "Le code même du nœud prend les décisions. Rue, capteurs, passants et puissance sont modélisés.",
    },
    {
        "en": "Passers cross the whole street, each at a constant speed. Arrivals are Poisson with the hourly rates of "
        "the table of counts, which were not counted on this street.",
        "fr": "Les passants traversent toute la rue, chacun à vitesse constante. Les arrivées suivent une loi de "
        "Poisson au rythme horaire du tableau de comptages, qui n'ont pas été relevés dans cette rue.",
    },
    {
        "en": "A sensor sees everybody within its range and nobody else, and is blind for its dead time after it "
        "drops. No animals, rain or faults.",
        "fr": "Un capteur voit tout passant à sa portée et personne d'autre ; il est aveugle pendant son temps mort. "
        "Ni animaux, ni pluie, ni pannes.",
    },
    {
        "en": "Each lamp lights the stretch nearest to it. Lamps decide alone, without their neighbours.",
        "fr": "Chaque lampe éclaire le tronçon le plus proche d'elle. Les lampes décident seules, sans leurs voisines.",
    },
    {
        "en": "Energy runs from local noon to local noon with standby by day, from the luminaire's power curve. "
        "Supply voltage, temperature and ageing are left out.",
        "fr": "L'énergie court de midi à midi (heure locale), veille de jour comprise, selon la courbe de puissance du "
        "luminaire. Tension, température et vieillissement sont laissés de côté.",
    },
    {
        "en": "Sunrise and sunset as for a flat horizon. The distances between poles are regular, not surveyed.",
        "fr": "Lever et coucher du soleil sur horizon plat. Distances entre mâts régulières, non relevées.",
    },
    {"en": "No physical ESP32 was used.", "fr": "Aucun ESP32 physique n'a été utilisé."},
]


# What takes the place of "decide alone" in a street with the wave.
WAVE = {
    "en": "Each lamp lights the stretch nearest to it. Neighbours' messages come after a latency drawn evenly between "
    "two bounds, or are lost, each link by itself; airtime and collisions are not modelled.",
    "fr": "Chaque lampe éclaire le tronçon le plus proche d'elle. Les messages des voisines arrivent après un délai "
    "tiré entre deux bornes ou se perdent, chaque lien pour soi ; ni temps d'antenne ni collisions.",
}


def results_of(run: Nights) -> dict[str, Any]:
    """Return the contents of `results.json`: every figure that is printed, with seed, commit, inputs and digest."""
    scenario = run.loaded.scenario
    figures = _figures(run)
    commit, is_dirty = _commit()
    return {
        "schema": SCHEMA,
        "scenario": {
            "title": scenario.title,
            "file": run.loaded.file.name,
            "sha256": run.loaded.inputs[0]["sha256"],
        },
        "seed": run.seed,
        "nights": run.nights,
        "commit": commit,
        "commit_dirty": is_dirty,
        "inputs": run.loaded.inputs,
        "place": {
            "name": scenario.place.name,
            "latitude_deg": scenario.place.latitude / 1e6,
            "longitude_deg": scenario.place.longitude / 1e6,
            "zone": scenario.place.zone,
        },
        "date": scenario.date.isoformat(),
        "lamps": run.street.luminaires,
        "events": run.events,
        "decisions": sum(len(lamp.decisions) for lamp in run.lamps),
        "figures": figures,
        "expectations": [_judged(bound, figures) for bound in scenario.expect],
        "assumptions": [
            WAVE if scenario.street.neighbours and "without their neighbours" in entry["en"] else entry
            for entry in ASSUMPTIONS
        ],
        "lamp_digests": run.lamp_digests,
        "digest": run.digest,
    }


def _figures(run: Nights) -> dict[str, Any]:
    lamps = run.street.luminaires
    used = sum(run.energies_mj)
    night_ms = sum(end - start for start, end in run.lit_ms)
    served_trips, below_ms, needed_ms = _service(run, run.lights)
    level = run.loaded.scenario.street.service.level
    switchings = [_switchings(run, number) / run.nights for number in range(lamps)]
    dim_ms = sum(light.below_ms(*p, level) for light in run.lights for p in run.lit_ms)
    bound = sum(energy_mj(run.curve, light.pieces) for light in run.bound)
    everyone = {need.trip for need in run.needs}
    by_mode = []
    for index, mode in enumerate(run.loaded.scenario.traffic.modes):
        trips = {trip for trip in everyone if run.trips[trip].mode == index}
        by_mode.append({"mode": mode, "total": len(trips), "served": len(trips & served_trips)})
    return {
        "energy_wh": round(used / 3.6e6),
        "night_h": round(night_ms / 3.6e6, 2),
        "lit_share_permille": _share(
            sum(light.lit_ms(*p) for light in run.lights for p in run.lit_ms), night_ms * lamps
        ),
        "mean_level_permille": round(
            sum(light.mean_permille(*p) * (p[1] - p[0]) for light in run.lights for p in run.lit_ms)
            / (night_ms * lamps)
            if night_ms
            else 0
        ),
        "required_level_share_permille": _share(night_ms * lamps - dim_ms, night_ms * lamps),
        "baselines": [_baseline(run, name, used) for name in run.baselines],
        "bound": {
            "title": "Clairvoyant bound",
            "energy_wh": round(bound / 3.6e6),
            "above_permille": round(1000 * (used / bound - 1)) if bound else 0,
        },
        "passers": {
            "total": len(everyone),
            "served": len(served_trips),
            "served_permille": _share(len(served_trips), len(everyone)),
            "served_time_permille": _share(needed_ms - below_ms, needed_ms),
            "by_mode": by_mode,
        },
        "switchings_per_lamp": {
            "min": round(min(switchings)),
            "mean": round(sum(switchings) / lamps),
            "max": round(max(switchings)),
        },
    }


def _share(part: float, whole: float) -> int:
    """Return a share in permille, rounded down: 1000 means all of it. Of nothing, all is."""
    return math.floor(1000 * part / whole) if whole else 1000


def _baseline(run: Nights, name: str, used_mj: int) -> dict[str, Any]:
    light = run.baselines[name]
    energy = energy_mj(run.curve, light.pieces) * run.street.luminaires
    served, _, _ = _service(run, [light] * run.street.luminaires)
    return {
        "name": name,
        "title": BASELINE_TITLES[name],
        "energy_wh": round(energy / 3.6e6),
        "saving_permille": round(1000 * (1 - used_mj / energy)) if energy else 0,
        "served_permille": _share(len(served), len({need.trip for need in run.needs})),
    }


def _service(run: Nights, lights: list[Light]) -> tuple[set[int], float, int]:
    """Return the trips that had the required light wherever they needed it, the time (ms) without it, and all time."""
    level = run.loaded.scenario.street.service.level
    poor: set[int] = set()
    below = 0.0
    needed = 0
    for need in run.needs:
        dark = lights[need.lamp].below_ms(need.start_ms, need.end_ms, level)
        needed += need.end_ms - need.start_ms
        if dark > 0:
            below += dark
            poor.add(need.trip)
    return {need.trip for need in run.needs} - poor, below, needed


def _switchings(run: Nights, number: int) -> int:
    """Return how often a lamp's target level changed."""
    levels = [decision.level_permille for decision in run.lamps[number].decisions]
    return sum(1 for before, after in pairwise(levels) if before != after)


def _judged(bound: Bound, figures: dict[str, Any]) -> dict[str, Any]:
    savings = {f"saving_vs_{entry['name']}": entry["saving_permille"] for entry in figures["baselines"]}
    values = {
        **savings,
        "energy": figures["energy_wh"],
        "above_bound": figures["bound"]["above_permille"],
        "lit_share": figures["lit_share_permille"],
        "mean_level": figures["mean_level_permille"],
        "passers_served": figures["passers"]["served_permille"],
        "required_time_served": figures["passers"]["served_time_permille"],
        "switchings_per_lamp": figures["switchings_per_lamp"]["mean"],
    }
    value = values[bound.name]
    is_met = value >= bound.value if bound.operator == ">=" else value <= bound.value
    if bound.name == "energy":
        text = f"{value / 1000:.2f} kWh"
    elif bound.name == "switchings_per_lamp":
        text = f"{value} per night"
    else:
        text = f"{value / 10:.1f} %"
    return {"path": f"expect.{bound.name}", "bound": bound.text, "value": text, "ok": is_met}


def timeline_of(run: Nights) -> dict[str, Any]:
    """Return what the page and the picture draw: the first night, decision by decision and trip by trip."""
    scenario = run.loaded.scenario
    end_ms = run.first_night_ms
    clock = LocalClock(run.loaded.zone, scenario.date)
    lit = [period for period in run.lit_ms if period[0] < end_ms]
    used = {decision.reason for lamp in run.lamps for decision in lamp.decisions}
    start = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(days=run.start[0], seconds=run.start[1])
    return {
        "start_utc": start.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "duration_ms": end_ms,
        "utc_offsets": [list(entry) for entry in clock.offsets(end_ms)],
        "sun": {
            "sunset_ms": lit[0][0] if lit and lit[0][0] > 0 else None,
            "sunrise_ms": lit[-1][1] if lit and lit[-1][1] < end_ms else None,
        },
        "street": {
            "length_m": run.street.length_mm / 1000,
            "poles_m": [pole / 1000 for pole in run.street.poles_mm],
            "sensor_range_m": run.street.sensor_range_mm / 1000,
            "mounting_m": run.street.mounting_mm / 1000,
            "lead_m": run.street.lead_mm / 1000,
            "required_permille": scenario.street.service.level,
            "lamp_power_w": [[level, run.curve.at(level) / 1000] for level in range(0, 1001, 50)],
        },
        "levels": [
            [
                [d.t_ms, d.from_permille, d.level_permille, d.fade_ms, d.reason]
                for d in lamp.decisions
                if d.t_ms < end_ms
            ]
            for lamp in run.lamps
        ],
        "reasons": {str(code): dict(zip(("name", "text"), REASONS[code], strict=True)) for code in sorted(used)},
        "modes": list(scenario.traffic.modes),
        "trips": [
            [t.start_ms, t.mode, t.direction, t.speed_mm_s, t.from_mm, t.to_mm]
            for t in run.trips
            if t.start_ms < end_ms
        ],
        "power": {"step_ms": SERIES_STEP_MS, "series": _power_series(run, end_ms)},
    }


def _power_series(run: Nights, end_ms: int) -> list[dict[str, Any]]:
    def street(lights: list[Any], times: int = 1) -> list[float]:
        rows = [power_series_mw(run.curve, light.between(0, end_ms), end_ms, SERIES_STEP_MS) for light in lights]
        return [round(sum(column) * times / 1000, 1) for column in zip(*rows, strict=True)]

    lamps = run.street.luminaires
    series = [{"name": "reverbere", "title": "Réverbère", "w": street(run.lights)}]
    for name, light in run.baselines.items():
        series.append({"name": name, "title": BASELINE_TITLES[name], "w": street([light], lamps)})
    series.append({"name": "bound", "title": "Clairvoyant bound", "w": street(run.bound)})
    return series


def _commit() -> tuple[str, bool]:
    """Return the commit of the running code, and whether the checkout differs; ("unknown", False) outside git."""
    here = Path(__file__).resolve().parent
    answers = []
    for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"]):
        try:
            done = subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, timeout=10, check=True)
        except (OSError, subprocess.SubprocessError):
            return "unknown", False
        answers.append(done.stdout.strip())
    return answers[0], bool(answers[1])
