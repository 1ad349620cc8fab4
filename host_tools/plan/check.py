"""Play a site's plans through every night of a year and report what an operator would not have wanted, and the law.

Lamps with the same plan, place and zone are played once. Sensors say nothing in the year that is played: no presence,
no neighbour, no outside source; a photocell, where a program has one, says dark from sunset to sunrise.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from .encode import encode
from .law import Activity, Finding, Law, activity_of, law_findings
from .site import Site
from .year_findings import guard_findings, plan_findings
from .year_play import YearPlay, play_year
from .zones import zone_info

SEVERITIES = ("error", "warning", "note")
# Of a lamp's settings those that can change a level in a year in which nobody passes.
_DECIDING = (
    "guard_permille", "is_derogated", "driver_minimum_permille", "quiet_ms", "has_photocell", "volume_one_per_h",
    "volume_two_per_h", "volume_one_permille", "volume_two_permille",
)  # fmt: skip


class Checker:
    """Checks a site for one year; ``findings()`` plays each distinct plan and place once. ``plays`` counts them."""

    def __init__(self, site: Site, year: int, law: Law):
        self.site = site
        self.year = year
        self.law = law
        self.zone = zone_info(site.zone_name)
        self.plays = 0
        # Lamps by what makes their nights differ.
        self.groups: dict[Any, list[str]] = {}
        for lamp_id in site.lamps:
            plan, config = site.lamp_plan(lamp_id), site.lamp_config(lamp_id)
            own = json.dumps({name: config["config"][name] for name in _DECIDING})
            key = (encode(plan), tuple(plan.names), tuple(config["place"]), tuple(config["zone"]), own)
            self.groups.setdefault(key, []).append(lamp_id)

    def findings(self) -> Iterator[Finding]:
        """Yield what was found, group by group."""
        for warning in self.site.warnings:
            yield Finding("note", "file", (), None, f"{warning.path}: {warning.reason}", "see there")
        if self.site.zone_name not in self.law.zones:
            yield Finding(
                "note", "law", (), None,
                f"zone {self.site.zone_name} is not one of {self.law.number}: no law was judged",
                f"its zones are {', '.join(self.law.zones)}; judge the rules of your country yourself",
            )  # fmt: skip
        for lamps in self.groups.values():
            plan, config = self.site.lamp_plan(lamps[0]), self.site.lamp_config(lamps[0])
            made = play_year(plan, config, self.zone, self.year)
            self.plays += 1
            for finding in (*plan_findings(made), *guard_findings(made, config["config"])):
                yield replace(finding, lamps=tuple(lamps))
            yield from self._law(made, lamps)
        yield from self._derogations()

    def _derogations(self) -> Iterator[Finding]:
        """Each derogation is said in each report, with its lamps (lighting.md, F4)."""
        lamps: dict[str, list[str]] = {}
        for lamp_id, lamp in self.site.lamps.items():
            if lamp.limits is not None and self.site.limits[lamp.limits].derogation is not None:
                lamps.setdefault(lamp.limits, []).append(lamp_id)
        for name, ids in lamps.items():
            limits = self.site.limits[name]
            yield Finding(
                "note", "derogation", tuple(ids), None,
                f"limits {name}: levels below the class guard {limits.guard / 10:g} % are allowed by derogation: "
                f"{limits.derogation}",
                "none needed while it is in force; remove it when it ends",
            )  # fmt: skip

    def _law(self, made: YearPlay, lamps: Sequence[str]) -> Iterator[Finding]:
        if self.site.zone_name not in self.law.zones:
            return
        alike: dict[tuple[str, Activity], list[str]] = {}
        for lamp_id in lamps:
            lamp = self.site.lamps[lamp_id]
            alike.setdefault((lamp.category, activity_of(lamp)), []).append(lamp_id)
        for (name, activity), ids in alike.items():
            for finding in law_findings(self.law, name, activity, made):
                yield replace(finding, lamps=tuple(ids))


def _merged(findings: Iterable[Finding]) -> list[Finding]:
    """Join what is found of several lamps in the same words: an operator mends it once."""
    found: dict[Finding, list[str]] = {}
    for finding in findings:
        found.setdefault(replace(finding, lamps=()), []).extend(finding.lamps)
    return [replace(finding, lamps=tuple(dict.fromkeys(lamps))) for finding, lamps in found.items()]


def check_site(site: Site, year: int, law: Law) -> tuple[list[Finding], int]:
    """Return the findings of a site, errors first, and how many plans were played."""
    checker = Checker(site, year, law)
    findings = sorted(_merged(checker.findings()), key=lambda finding: SEVERITIES.index(finding.severity))
    return findings, checker.plays
