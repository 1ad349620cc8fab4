"""What is right after a cut: of a flash as it lies there, of one that follows another, and of a start from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from firmware.system.plan_stage import hash8_of
from sim.board.virtual_board import Event
from tests.node.flash_view import View

FULL_DUTY = 65535
JOURNAL_SEGMENTS = 32
# More than these waiting, and a link may have come in between: cut_life.py.
WAITING_MAX = 24


@dataclass
class Promise:
    """What the node has said by some moment: no cut after it may take it back."""

    boot: int = 0
    burning_s: int = 0
    epoch: int = 0
    took: int = 0
    plan: str = ""
    config: str = ""

    def take(self, words: list[str]) -> None:
        """Hear one line. Between "switching" and "switched" either plan may be in force; so with configurations."""
        if words[0] in ("boot", "burning_s", "epoch", "took"):
            setattr(self, words[0], max(getattr(self, words[0]), int(words[1])))
        elif words[0] in ("switching", "configuring"):
            setattr(self, "plan" if words[0] == "switching" else "config", "")
        elif words[0] in ("switched", "configured"):
            setattr(self, "plan" if words[0] == "switched" else "config", words[1])


class Judge:
    """Knows the node's plans, its configurations, and what nobody may touch."""

    def __init__(self, plans: Sequence[bytes], configs: Sequence[bytes], untouched: Mapping[str, bytes]) -> None:
        self._plans = plans
        self._configs = configs
        self._untouched = untouched

    def light(self, events: list[Event]) -> Iterator[str]:
        """Lit before anything else, at the stored safe level; never dark; and nothing ends."""
        # What is printed comes by another way, and may be noted before what happened earlier.
        names = [event["e"] for event in events if event["e"] not in ("boot", "print")]
        duties = [event["duty"] for event in events if event["e"] == "pwm"]
        if names[:1] != ["pwm"] or duties[0] != FULL_DUTY:
            yield f"not lit first: {names[:3]}, {duties[:1]}"
        if min(duties, default=0) == 0:
            yield f"dark: {duties}"
        if bad := [name for name in names if name in ("reset", "crash", "fs_corrupted", "repl")]:
            yield f"after the cut: {bad}"

    def numbers(self, events: list[Event], promise: Promise) -> Iterator[str]:
        """Numbers only rise: boots, the lamp's life, the epoch of the wave, the numbers of commands."""
        said = {words[0]: words[1:] for event in events if (words := words_of(event))}
        if "troubles" in said:
            yield f"troubles {said['troubles']}"
        if said["floor"][2] != "0" or said["floor"][4] != "0":
            yield f"store or outbox: {said['floor']}"
        if int(said["floor"][0]) < promise.took:
            yield f"would take commands again: {said['floor']} after {promise.took}"
        for name, is_new in (("boot", True), ("epoch", True), ("burning_s", False)):
            least = getattr(promise, name)
            now = int(said.get(name, ["0"])[0])
            if now < least or (is_new and now == least):
                yield f"{name} {now} after {least}"

    def lies(self, view: View, promise: Promise) -> Iterator[str]:
        """What any flash of this node must show: whole things, those that were acknowledged, and the untouched ones."""
        yield from view.problems()
        for name, data in self._untouched.items():
            if view.stored.get(name) != data:
                yield f"{name} is {view.stored.get(name)!r}"
        for name, goods, wanted in (
            ("plan0", self._plans, promise.plan),
            ("config", self._configs, promise.config),
        ):
            data = view.stored.get(name)
            if data not in goods:
                yield f"{name} is neither the old nor the new one"
            elif wanted and hash8_of(data).hex() != wanted:
                yield f"{name}: what was acknowledged is not in force"
        if view.next_plan not in (b"", *self._plans):
            yield "next0 is no plan"

    def follows(self, earlier: View, later: View) -> Iterator[str]:
        """What one flash of this node may not lose or change on its way to a later one."""
        if missing := set(earlier.stored) - set(later.stored) - {"next0"}:
            yield f"gone: {sorted(missing)}"
        plan = later.stored.get("plan0")
        if plan != earlier.stored.get("plan0") and plan != earlier.next_plan:
            yield "another plan without a switch"
        names = sorted(earlier.journal)
        if len(names) >= JOURNAL_SEGMENTS:
            names = names[1:]
        for name in names:
            if later.journal.get(name, ())[: len(earlier.journal[name])] != earlier.journal[name]:
                yield f"{name}: records are gone"
        if later.stored.get("outbox") != earlier.stored.get("outbox"):
            # A link takes from it in a life only, and then all: what is left of what was there, is the rest.
            waits = later.waiting()
            lost = [one for one in earlier.waiting() if one not in waits]
            if lost and len(earlier.waiting()) <= WAITING_MAX:
                yield f"outbox: {len(lost)} of {len(earlier.waiting())} messages are gone"
        if later.other != earlier.other:
            changed = {
                path for path in {*later.other, *earlier.other} if later.other.get(path) != earlier.other.get(path)
            }
            yield f"not the node's to write: {changed}"


def words_of(event: Event) -> list[str]:
    """Return what the life has said: words, of which the last is the count of flash operations."""
    words: list[str] = event["text"].split() if event["e"] == "print" else []
    return words
