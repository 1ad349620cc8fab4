"""What the control centre hears of the demo's nodes: every report, decoded by host_tools, and what follows from it."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from host_tools.site_keys import SiteKeys
from host_tools.site_link import Broker, LinkError, reports, tls_context

_ENERGIES = ("estimated_wh", "full_night_wh", "fixed_dimming_wh", "extinction_wh")


@dataclass
class Heard:
    """What was heard of one node. ``energy``: its reports by lamp and end, each once; ``status``: the last."""

    is_online: bool = False
    onlines: int = 0
    status: dict[str, Any] = field(default_factory=dict)
    energy: dict[int, dict[str, Any]] = field(default_factory=dict)
    boots: int = 0

    def energy_wh(self, name: str) -> int | None:
        """Return the sum of a figure over all reports; None where one of them does not know it."""
        values = [report[name] for report in self.energy.values()]
        return None if not values or None in values else sum(values)

    def energies(self) -> dict[str, int | None]:
        """Return the sums of estimated_wh, full_night_wh, fixed_dimming_wh and extinction_wh."""
        return {name: self.energy_wh(name) for name in _ENERGIES}


class Listener:
    """Listens in a thread from `start` on. ``counts``: messages by kind; ``failure``: why it ended, empty if not."""

    def __init__(self, port: int, site: str, keys: SiteKeys, nodes: list[str]) -> None:
        self.heard = {name: Heard() for name in nodes}
        self.counts: Counter[str] = Counter()
        self.reports: list[dict[str, Any]] = []
        self.failure = ""
        self._broker = Broker("127.0.0.1", port, tls_context(keys))
        self._site = site
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Listen no more."""
        if self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(5)

    def _run(self) -> None:
        self._task = self._loop.create_task(self._listen())
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        except LinkError as error:
            self.failure = str(error)
        finally:
            self._loop.close()

    async def _listen(self) -> None:
        async for report in reports(self._broker, self._site):
            self.take(report)

    def take(self, report: dict[str, Any]) -> None:
        """Take one report as `site_link.reports` gives it."""
        kind = report["message"]
        self.counts[kind] += 1
        self.reports.append(report)
        heard = self.heard.get(report["node"])
        if heard is None:
            return
        if kind == "state":
            heard.is_online = bool(report["is_online"])
            heard.onlines += heard.is_online
        elif kind == "status":
            heard.status = report
        elif kind == "energy":
            # Sent again after a start: whoever adds up takes an end once (firmware/links/account.py).
            heard.energy.setdefault(report["end_quarter"], report)
        elif kind == "boot":
            heard.boots += 1
