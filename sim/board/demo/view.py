"""The night as it passes: a table that lives in a terminal, plain lines where the output is none (CI, a file).

The bar is what the board's PWM pin really had last (its events), the reason is that of the node's last status report,
the presence is what the script puts on its pin, and the link is the node's retained ``state`` at the broker.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .night import Night, Shown

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_BAR = 20
_REDRAW_S = 0.25
_LINE_MS = 3_600_000
# The rate shown is that of the last seconds.
_RATE_S = 3.0


def clock_of(night: Night, t_ms: int) -> str:
    """Return the local time of a moment of the night, as HH:MM:SS."""
    nights = night.script.nights
    offset_s = 0
    for at_ms, offset in _offsets(night):
        if at_ms <= t_ms:
            offset_s = offset
    day, second = nights.start
    moment = _EPOCH + timedelta(days=day, seconds=second + offset_s, milliseconds=t_ms)
    return moment.strftime("%H:%M:%S")


def _offsets(night: Night) -> list[tuple[int, int]]:
    from sim.nights import LocalClock

    nights = night.script.nights
    return LocalClock(nights.loaded.zone, nights.loaded.scenario.date).offsets(nights.end_ms)


class _Rate:
    """Virtual seconds a second, over the last seconds."""

    def __init__(self) -> None:
        self._points: list[tuple[float, int]] = []

    def at(self, now_ms: int) -> float:
        """Take a point; return the rate."""
        now = time.monotonic()
        self._points = [point for point in self._points if point[0] > now - _RATE_S] + [(now, now_ms)]
        first = self._points[0]
        return (now_ms - first[1]) / 1000 / (now - first[0]) if now > first[0] else 0.0


def table(shown: list[Shown], title: str, caption: str) -> Table:
    """Return the table of the nodes."""
    found = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    found.add_column("node", no_wrap=True, min_width=4)
    found.add_column("level (PWM pin)", no_wrap=True, min_width=_BAR + 6)
    found.add_column("someone", justify="center", no_wrap=True, min_width=7)
    found.add_column("why (last report)", no_wrap=True, min_width=20, max_width=21)
    found.add_column("link", no_wrap=True, min_width=4)
    for one in shown:
        filled = round(one.level * _BAR / 1000)
        bar = Text("█" * filled, style="yellow") + Text("·" * (_BAR - filled), style="dim")
        bar += Text(f" {one.level / 10:4.0f} %")
        if not one.is_on:
            bar = Text("no current", style="red")
        why = f"{one.reason}, by {one.by}" if one.reason else ""
        link = Text("up", style="green") if one.is_online else Text("down", style="red")
        found.add_row(one.name, bar, "●" if one.presence else "", why, link)
    return found


class LiveView:
    """A table in a terminal, with the last notes below."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._rate = _Rate()
        self._due = 0.0

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def __call__(self, night: Night) -> None:
        """Show the night as it is, at most four times a second."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _REDRAW_S
        now_ms = night.now_ms
        heard = sum(night.listener.counts.values())
        title = (
            f"{clock_of(night, now_ms)}  ×{self._rate.at(now_ms):.0f}  {heard} messages through {night.broker.title}"
        )
        self._live.update(Group(table(night.shown(), title, ""), *night.notes[-4:]), refresh=True)


class PlainView:
    """A line an hour, and every note."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rate = _Rate()
        self._next_ms = 0
        self._told = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __call__(self, night: Night) -> None:
        """Print what is new."""
        for note in night.notes[self._told :]:
            self._print(f"{clock_of(night, night.now_ms)}  {note}")
        self._told = len(night.notes)
        now_ms = night.now_ms
        rate = self._rate.at(now_ms)
        if now_ms < self._next_ms:
            return
        self._next_ms = now_ms - now_ms % _LINE_MS + _LINE_MS
        shown = night.shown()
        levels = " ".join(f"{one.level / 10:.0f}" if one.is_on else "-" for one in shown)
        up = sum(one.is_online for one in shown)
        heard = sum(night.listener.counts.values())
        self._print(f"{clock_of(night, now_ms)}  ×{rate:.0f}  {up}/{len(shown)} up, {heard} messages, levels {levels}")

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def make_view(console: Console) -> LiveView | PlainView:
    """Return the view that suits the output."""
    return LiveView(console) if console.is_terminal else PlainView(console)
