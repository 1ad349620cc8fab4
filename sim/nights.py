"""Run a scenario: its nights from local noon to local noon, its baselines, its bound. Everything here is in memory."""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date as Date
from datetime import timedelta
from typing import Any

from firmware.control import civil
from firmware.control import plan_format as layout
from firmware.control.inputs import CLOCK_GOOD
from firmware.control.power import PowerCurve
from firmware.control.zone import ZoneRule
from host_tools.plan.encode import ActivePeriod, FixedTimeControl, LampPlan, Program, encode

from .bound import clairvoyant
from .engine import Engine, Input, Lamp
from .lamp_replay import INPUT_CLOCK, INPUT_MESSAGE, INPUT_PRESENCE, TICKS_MASK, build_controller, pack_decision
from .light import Light, pieces_of
from .network import Network, Radio
from .scenario import Loaded, Problem, ScenarioError, StreetPart
from .street import Need, Street, merged_needs, needs, presence_edges
from .traffic import Mode, Trip, draw_trips

NIGHTS_MAX = 366
SEED_MAX = 2**31 - 1
# Passers who set out before sunset may still be on the street after it.
BEFORE_SUNSET_MS = 30 * 60_000

Progress = Callable[[str, int, int], None]


@dataclass
class Nights:
    """What a run gives: the street's lamps and everything they are compared with. Times in ms since ``start``."""

    loaded: Loaded
    seed: int
    nights: int
    start: tuple[int, int]
    end_ms: int
    first_night_ms: int
    street: Street
    curve: PowerCurve
    trips: list[Trip]
    lit_ms: list[tuple[int, int]]
    needs: list[Need]
    lamps: list[Lamp]
    lights: list[Light]
    energies_mj: list[int]
    baselines: dict[str, Light]
    bound: list[Light]
    records: list[dict[str, Any]]
    lamp_digests: list[str]
    digest: str
    events: int


def run_nights(loaded: Loaded, seed: int, nights: int, progress: Progress = lambda *_: None) -> Nights:
    """Simulate ``nights`` nights from the scenario's date. Raises `ScenarioError` where the traffic lacks an hour."""
    scenario = loaded.scenario
    clock = LocalClock(loaded.zone, scenario.date)
    ends = [clock.noon_ms(scenario.date + timedelta(days=n + 1)) for n in range(nights)]
    end_ms = ends[-1]
    street = Street(
        scenario.street.luminaires,
        scenario.street.spacing,
        scenario.street.mounting,
        scenario.street.sensor.range,
        scenario.street.sensor.dead_time,
        scenario.street.service.lead,
        scenario.street.sensor.range_at_ends or 0,
    )
    bench = _Bench(loaded, clock, end_ms)
    full_night = bench.light(_astro_program([(0, 1000)]))
    lit_ms = [(p.start_ms, p.end_ms) for p in full_night.pieces if p.to_permille > 0]
    _refuse_missing_hours(loaded, clock, lit_ms)
    trips = _draw(loaded, clock, lit_ms, street, seed)
    plan = scenario.program.lamp_plan()
    # The ring's position is drawn too; every fourth lamp's wraps during the first night.
    rng = random.Random(f"{seed}/ticks")
    first_ms = ends[0]
    ticks = [
        (TICKS_MASK + 1 - rng.randrange(first_ms) if lamp % 4 == 0 else rng.randrange(TICKS_MASK + 1)) & TICKS_MASK
        for lamp in range(street.luminaires)
    ]
    inputs: list[Input] = []
    records = []
    for number in range(street.luminaires):
        own: list[list[int]] = [[0, INPUT_CLOCK, CLOCK_GOOD, *clock.start, 0]]
        own += [[t, INPUT_PRESENCE, on] for t, on in presence_edges(street, trips, number) if 0 <= t < end_ms]
        inputs += [(entry[0], number, *entry[1:]) for entry in own]
        records.append(bench.record(number, ticks[number], plan, own))
    lamps = [Lamp(build_controller(record), tick) for record, tick in zip(records, ticks, strict=True)]
    inputs.sort(key=lambda entry: entry[:2])
    network = _network(loaded, seed)
    engine = Engine(lamps, network)
    progress("street", 0, end_ms)
    engine.run(inputs, end_ms, lambda t: progress("street", t, end_ms))
    progress("street", end_ms, end_ms)
    for lamp, record in zip(lamps, records, strict=True):
        record["inputs"] = sorted(
            record["inputs"] + lamp.messages, key=lambda entry: (entry[0], entry[1] == INPUT_MESSAGE)
        )
    lights = [Light(pieces_of(lamp.decisions, end_ms)) for lamp in lamps]
    found = needs(street, trips, lit_ms)
    night_dim = scenario.baselines.fixed_dimming
    night_off = scenario.baselines.extinction
    baselines = {
        "full_night": full_night,
        "fixed_dimming": bench.light(_astro_program(_window(night_dim.from_, night_dim.to, night_dim.level))),
        "extinction": bench.light(_astro_program(_window(night_off.from_, night_off.to, 0))),
    }
    floor = bench.light(scenario.program.lamp_plan(with_dynamic=False))
    dynamic = plan.programs[0].dynamic[0] if plan.programs[0].dynamic else None
    bound = []
    for number, periods in enumerate(merged_needs(found, street.luminaires)):
        up_ms, down_ms = (dynamic.ramp_to_ds * 100, dynamic.ramp_from_ds * 100) if dynamic else (0, 0)
        bound.append(Light(clairvoyant(floor, periods, scenario.street.service.level, up_ms, down_ms, end_ms)))
        progress("bound", number + 1, street.luminaires)
    digests, digest = _digests(lamps)
    for record, lamp_digest in zip(records, digests, strict=True):
        record["digest"] = lamp_digest
    energies = [lamp.controller.energy.energy_wh * 3_600_000 + lamp.controller.energy.energy_mj for lamp in lamps]
    return Nights(
        loaded, seed, nights, clock.start, end_ms, first_ms, street, bench.curve, trips, lit_ms, found, lamps, lights,
        energies, baselines, bound, records, digests, digest, engine.events,
    )  # fmt: skip


class LocalClock:
    """Local time of a run: ms since its start (local noon of its date) against the zone's rule."""

    def __init__(self, zone: tuple[int, ...], date: Date):
        self._rule = ZoneRule(zone)
        self.start = self._noon(date)

    def noon_ms(self, date: Date) -> int:
        """Return local noon of a date, in ms since the start."""
        day, second = self._noon(date)
        return ((day - self.start[0]) * 86400 + second - self.start[1]) * 1000

    def hour_at(self, t_ms: int) -> tuple[int, int]:
        """Return the local hour and how many ms it still lasts (or until the offset changes, if that is sooner)."""
        second = self.start[1] + t_ms // 1000
        day, second = self.start[0] + second // 86400, second % 86400
        self._rule.at(day, second)
        local = (second + self._rule.offset_s) % 86400
        left_s = min(3600 - local % 3600, self._rule.change_in_s)
        return local // 3600, left_s * 1000 - t_ms % 1000

    def offsets(self, end_ms: int) -> list[tuple[int, int]]:
        """Return (ms since start, offset in s) at the start and at each change up to ``end_ms``."""
        found: list[tuple[int, int]] = []
        t_ms = 0
        while t_ms < end_ms:
            _, left_ms = self.hour_at(t_ms)
            if not found or found[-1][1] != self._rule.offset_s:
                found.append((t_ms, self._rule.offset_s))
            t_ms += left_ms
        return found

    def _noon(self, date: Date) -> tuple[int, int]:
        local = civil.day_number(date.year, date.month, date.day) * 86400 + 43200
        guess = local - self._rule.standard_offset_s
        self._rule.at(guess // 86400, guess % 86400)
        utc = local - self._rule.offset_s
        return utc // 86400, utc % 86400


class _Bench:
    """Makes lamps of the scenario's place and luminaire, under any program, from the records that replay them."""

    def __init__(self, loaded: Loaded, clock: LocalClock, end_ms: int):
        scenario = loaded.scenario
        self._scenario = scenario
        self._zone = list(loaded.zone)
        self._levels = [knot.level for knot in scenario.luminaire.power_curve]
        self._powers = [knot.power for knot in scenario.luminaire.power_curve]
        self._clock_input: Input = (0, 0, INPUT_CLOCK, CLOCK_GOOD, *clock.start, 0)
        self._end_ms = end_ms
        self.curve = PowerCurve(self._levels, self._powers, scenario.luminaire.standby)

    def light(self, plan: LampPlan) -> Light:
        """Return the light of one lamp that sees nobody."""
        lamp = Lamp(build_controller(self.record(0, 0, plan, [])), 0)
        Engine([lamp]).run([self._clock_input], self._end_ms)
        return Light(pieces_of(lamp.decisions, self._end_ms))

    def record(self, number: int, tick0: int, plan: LampPlan, inputs: list[list[int]]) -> dict[str, Any]:
        """Return what `lamp_replay` needs to replay this lamp."""
        place = self._scenario.place
        return {
            "lamp": number,
            "tick0": tick0,
            "zone": self._zone,
            "place": [place.latitude, place.longitude],
            "levels": self._levels,
            "powers": self._powers,
            "standby": self._scenario.luminaire.standby,
            "start": 0,
            "plan": encode(plan).hex(),
            "config": self._config(number),
            "inputs": inputs,
            "end_ms": self._end_ms,
        }

    def _config(self, number: int) -> dict[str, Any]:
        """Return what `Config` has beside: the poles that a lamp hears. Poles are numbered from 1 on the air."""
        neighbours = self._scenario.street.neighbours
        if neighbours is None:
            return {}
        return {
            "own_id": number + 1,
            "neighbours": [[pole + 1, pole - number] for pole in _heard(self._scenario.street, number)],
            "reach": neighbours.reach,
            "hop_limit": neighbours.hops,
            "bubble_hold_ms": neighbours.hold,
            "bubble_repeat_ms": neighbours.hold // 2,
        }


def _heard(street: StreetPart, number: int) -> list[int]:
    """Return the poles that a pole hears: as far as they light it, and at least two to either side."""
    far = max(street.neighbours.reach, 2) if street.neighbours else 0
    return [pole for pole in range(number - far, number + far + 1) if pole != number and 0 <= pole < street.luminaires]


def _network(loaded: Loaded, seed: int) -> Network | None:
    street = loaded.scenario.street
    part = street.neighbours
    if part is None:
        return None
    radio = Radio(part.latency_min, part.latency_max, part.loss, frozenset(pole - 1 for pole in part.dead))
    # Hearing is mutual: whom a pole hears, those hear it.
    return Network(radio, [_heard(street, pole) for pole in range(street.luminaires)], f"{seed}/radio")


def _astro_program(switches: list[tuple[int, int]]) -> LampPlan:
    """Return a baseline: from sunset to sunrise, with (local time in s, level) switched at once."""
    program = Program(
        fixed=[FixedTimeControl(start_s, level) for start_s, level in switches],
        periods=[ActivePeriod(layout.PERIOD_ASTRO_CLOCK)],
    )
    return LampPlan([program], default_ramp_ds=0)


def _window(from_s: int, to_s: int, level: int) -> list[tuple[int, int]]:
    return sorted([(from_s, level), (to_s, 1000)])


def _refuse_missing_hours(loaded: Loaded, clock: LocalClock, lit_ms: list[tuple[int, int]]) -> None:
    problems = []
    for mode in loaded.scenario.traffic.modes:
        missing = sorted({hour for start, end in lit_ms for hour in _hours(clock, start, end)
                          if loaded.counts[mode][hour] is None})  # fmt: skip
        if missing:
            hours = ", ".join(f"{hour:02}" for hour in missing)
            problems.append(
                Problem(
                    "traffic.counts",
                    f"has no {mode} for the local hour {hours}, in which it is night: fill it, or choose another date",
                )
            )
    if problems:
        raise ScenarioError(loaded.file, problems)


def _hours(clock: LocalClock, start_ms: int, end_ms: int) -> set[int]:
    hours = set()
    while start_ms < end_ms:
        hour, left_ms = clock.hour_at(start_ms)
        hours.add(hour)
        start_ms += left_ms
    return hours


def _draw(loaded: Loaded, clock: LocalClock, lit_ms: list[tuple[int, int]], street: Street, seed: int) -> list[Trip]:
    modes = [Mode(name, part.speed, part.spread) for name, part in loaded.scenario.traffic.modes.items()]
    trips: list[Trip] = []
    free_from = 0
    for number, (start, end) in enumerate(lit_ms):
        span = (max(start - BEFORE_SUNSET_MS, free_from), end)
        free_from = end
        trips += draw_trips(loaded.counts, modes, clock.hour_at, span, street.path_mm, f"{seed}/trips/{number}")
    return sorted(trips, key=lambda trip: trip.start_ms)


def _digests(lamps: list[Lamp]) -> tuple[list[str], str]:
    """Return the digest of each lamp and the one of all, lamp by lamp."""
    whole = hashlib.sha256()
    each = []
    for number, lamp in enumerate(lamps):
        packed = b"".join(pack_decision(number, d.tick, d.level_permille, d.fade_ms, d.reason) for d in lamp.decisions)
        each.append(hashlib.sha256(packed).hexdigest())
        whole.update(packed)
    return each, whole.hexdigest()
