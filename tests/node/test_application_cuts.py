"""The power fails at every flash operation of the whole application: what was promised holds, the lamp is lit first.

`test_store.py` and `test_journal.py` cut single writers; here the unmodified firmware runs on the virtual board with
all its writers at once, in the order in which a node writes: log of boots, clock, counters, outbox, epoch of the wave,
counter of commands, plans, journal. The board's flash is a real littlefs; its knife is sim/board's.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from firmware.system.boot_files import lamp_file
from firmware.system.journal_format import Segment
from firmware.system.plan_stage import hash8_of
from firmware.system.store import Store
from host_tools.mpy.constants import Source
from host_tools.mpy.modules import compiled, sources
from host_tools.mpy.parts import APP
from host_tools.mpy.shipped import shipped
from host_tools.node_bundle import store_files
from host_tools.node_config import build_day_of, load_fleet
from host_tools.plan.site import load_site
from host_tools.site_keys import SiteKeys
from sim.board.virtual_board import Event, VirtualBoard
from tests.conftest import require_runtime
from tests.node.whole_node import DIMMER_PIN, EPOCH, EXAMPLE, HEAP_BYTES, NODE
from tests.runtimes import ROOT, Runtime

LIFE = "tests/node/cut_life.py"
STORE = "firmware/system/store.py"
# Writes over what is newest, in place: what must be caught.
SPOILT = (
    ("target = 1 - slot if slot >= 0 else 0", "target = slot if slot >= 0 else 0"),
    ("temporary = self._folder + _TEMPORARY", "temporary = self._path(name, slot if slot >= 0 else 0)"),
)
# The life is a guest in the node's heap, and the bundle has what only it needs.
GUEST_BYTES = 48 * 1024
OPERATIONS_MAX = 1000
MODES = ("before", "after", "half", "random")
UNTOUCHED = ("config", "secrets", "ca", "cert", "key")
WORLD = datetime(2026, 11, 24, 17)

# As in whole_node, but without a broker: the wave, the outbox and the commands work without.
HARDWARE = """
wave: {channel: 6}
reports: {status: 1 min, energy: 15 min}
clock: {drift: 20 ppm}
kinds:
  simple:
    outputs:
      - dimmer: {name: dimmer_pwm, pin: 25}
    sensors:
      - {name: presence_input, pin: 27}
nodes:
  L003: {kind: simple}
"""


@cache
def rom(is_naive: bool = False) -> dict[str, bytes]:
    """The firmware as it is shipped, joined and compiled, and the life beside it. ``is_naive``: its store is spoilt."""
    firmware = sources()
    if is_naive:
        text = firmware[STORE].text
        for right, wrong in SPOILT:
            assert text.count(right) == 1
            text = text.replace(right, wrong)
        firmware[STORE] = Source(STORE, text)
    life = Source("cut_life.py", (ROOT / LIFE).read_text(encoding="utf-8"))
    made = shipped({**firmware, "cut_life.py": life}, ["dimmer_pwm", "presence_input"], (APP, "cut_life.py"))
    return {
        path.removesuffix(".py") + ".mpy": code
        for path, code in compiled(made.files).items()
        if path != "firmware/main.py"
    }


@dataclass
class Life:
    """What a life has said, from its mains on: the last value of each name."""

    said: dict[str, list[str]]
    took: int
    events: list[Event]


class Cuts:
    """A node, a flash that has seen a whole life, and what must be on it after any cut."""

    def __init__(self, folder: Path, runtime: Runtime, passing_s: int, is_naive: bool = False) -> None:
        folder.mkdir(parents=True)
        site = load_site(EXAMPLE)
        path = folder / "hardware.yaml"
        path.write_text(HARDWARE, encoding="utf-8")
        fleet = load_fleet(site, path)
        keys = SiteKeys.create(folder / "keys", site.name)
        contents = store_files(fleet, NODE, keys, build_day_of(2026, 11, 1))
        # A node without a site's key: a signature writes nothing, and costs a second of every life.
        contents["secrets"] = json.dumps({**json.loads(contents["secrets"]), "site": ""}).encode()
        self.plans = [site.plan_bytes(NODE), site.plan_bytes("L001")]
        self.untouched = {name: contents[name] for name in UNTOUCHED}
        main = (ROOT / "firmware/main.py").read_text(encoding="utf-8")
        call = "    from firmware import app\n"
        assert main.count(call) == 1
        self.board = VirtualBoard(
            folder / "board", runtime, (HEAP_BYTES + GUEST_BYTES) * (1 if runtime.small_int_bits < 32 else 2),
            rom_files=rom(is_naive), jump=True, world_s=int((WORLD - EPOCH).total_seconds()),
        )  # fmt: skip
        with tempfile.TemporaryDirectory() as aside:
            store = Store(aside + "/store")
            for name, data in contents.items():
                store.write(name, data)
            files: dict[str, bytes | str] = {
                f"data/store/{one.name}": one.read_bytes() for one in Path(aside, "store").iterdir()
            }
        files["main.py"] = main.replace(call, call + "    import cut_life\n\n    cut_life.into(app)\n")
        files["lib/cut_life_plans.py"] = (
            f"PASSING_S = {passing_s}\nPLANS = {[(plan, bytes(64)) for plan in self.plans]!r}\n"
        )
        files["boot.lamp"] = lamp_file([(1, DIMMER_PIN, 0, 0, 4000, 1000)])
        self.board.install(files)
        self.flash = self.board.folder / "flash.bin"
        self.fresh = folder / "fresh.bin"
        first = self.live_to("lived")
        self.board.power_cut()
        self.before = self.stored()
        assert set(self.before) >= {"boots", "clock", "counters0", "outbox", "wave", "commands", "plan0"}, self.before
        self.base = first
        shutil.copyfile(self.flash, self.fresh)

    def live_to(self, what: str, timeout_s: float = 60) -> Life:
        """Start the node and let it live until it says something; it stays on."""
        mark = len(self.board.events)
        self.board.cut_at(0)
        self.board.start()
        self.board.wait_for(lambda event: _words(event)[:1] == [what], timeout_s, mark)
        return self.said(mark)

    def said(self, mark: int) -> Life:
        """Return what has been said since."""
        events = self.board.events[mark:]
        said: dict[str, list[str]] = {}
        took = 0
        for event in events:
            words = _words(event)
            if words:
                said[words[0]] = words[1:]
                if words[0] == "took":
                    took = int(words[1])
        return Life(said, took, events)

    def stored(self) -> dict[str, bytes]:
        """Return what a store finds on the flash as it is now; nothing there is damaged."""
        with tempfile.TemporaryDirectory() as folder:
            for name, data in self.board.files().items():
                if name.startswith("/data/store/"):
                    Path(folder, name.rsplit("/", 1)[1]).write_bytes(data)
            store = Store(folder)
            found = {name: store.read(name) for name in store.names()}
            assert store.corrupt == 0, "a damaged generation"
            return {name: data for name, data in found.items() if data is not None}

    def cut(self, operation: int, mode: str) -> str | None:
        """Cut one life, let the next one settle, and return what is wrong, "" for nothing; None: it has fewer."""
        shutil.copyfile(self.fresh, self.flash)
        mark = len(self.board.events)
        self.board.cut_at(operation, mode)
        self.board.mains_on()
        end = self.board.wait_for(lambda event: event["e"] == "mains_off" or _words(event)[:1] == ["lived"], 60, mark)
        self.board.power_cut()
        cut = self.said(mark)
        if end["e"] != "mains_off":
            if self.stored()["plan0"] == self.before["plan0"]:
                return "a whole life, and no other plan"
            return None
        after = self.stored()
        again = self.live_to("settled")
        self.board.power_cut()
        settled = self.stored()
        return "; ".join(
            [*self._light(again), *self._kept(cut, after), *self._kept(cut, settled), *self._ahead(cut, again, settled)]
        )

    def _light(self, again: Life) -> Iterator[str]:
        names = [event["e"] for event in again.events if event["e"] != "boot"]
        first = next(event for event in again.events if event["e"] == "pwm")
        if names[0] != "pwm" or first["duty"] != 65535:
            yield f"not lit first: {names[:3]}, {first}"
        if bad := [name for name in names if name in ("reset", "crash", "fs_corrupted", "repl")]:
            yield f"after the cut: {bad}"
        if "troubles" in again.said:
            yield f"troubles {again.said['troubles']}"
        if again.said["floor"][2:4] != ["0", "outbox"] or again.said["floor"][4] != "0":
            yield f"store or outbox: {again.said['floor']}"

    def _kept(self, cut: Life, stored: dict[str, bytes]) -> Iterator[str]:
        """What nobody writes stands; plans are whole; a plan that was acknowledged is in force; nothing is missing."""
        for name, data in self.untouched.items():
            if stored.get(name) != data:
                yield f"{name} is {stored.get(name)!r}"
        if missing := set(self.before) - set(stored) - {"next0"}:
            yield f"gone: {missing}"
        if stored.get("plan0") not in self.plans:
            yield "plan0 is neither the old nor the new one"
        elif (
            "plan" in cut.said
            and "switching" not in cut.said
            and hash8_of(stored["plan0"]).hex() != cut.said["plan"][0]
        ):
            yield "another plan without a switch"
        elif "switched" in cut.said and hash8_of(stored["plan0"]).hex() != cut.said["switched"][0]:
            yield "the plan that was acknowledged is not in force"
        if stored.get("next0", bytes(9))[9:] not in (b"", *self.plans):
            yield "next0 is no plan"

    def _ahead(self, cut: Life, again: Life, settled: dict[str, bytes]) -> Iterator[str]:
        """Numbers only rise: boots, the lamp's life, the epoch of the wave, the numbers of commands."""
        for name in ("boot", "burning_s", "epoch"):
            least = int(cut.said.get(name, self.base.said[name])[0])
            now = int(again.said[name][0])
            if now < least or (name != "burning_s" and now == least):
                yield f"{name} {now} after {least}"
        if int(again.said["floor"][0]) < max(cut.took, self.base.took):
            yield f"would take commands again: {again.said['floor']} after {cut.took}"
        boots = settled["boots"]
        numbers = [int.from_bytes(boots[at : at + 4], "little") for at in range(0, len(boots), 8)]
        if any(later <= earlier for earlier, later in pairwise(numbers)):
            yield f"boots {numbers}"
        segments = sorted(
            (name, data) for name, data in self.board.files().items() if name.startswith("/data/journal/")
        )
        for number, (name, data) in enumerate(segments):
            segment = Segment(data) if data else None
            while segment is not None and segment.next():
                pass
            if segment is not None and segment.is_torn and number < len(segments) - 1:
                yield f"{name} is torn"


def _words(event: Event) -> list[str]:
    return event["text"].split() if event["e"] == "print" else []


def sweep(folder: Path, runtime: Runtime, modes: tuple[str, ...], step: int, passing_s: int) -> tuple[int, list[str]]:
    """Cut at every ``step``-th operation of a life in each mode; return how many cuts there were, and what is wrong."""
    cuts = Cuts(folder / "node", runtime, passing_s)
    done = 0
    wrong: list[str] = []
    try:
        # A life never takes the same operations twice (its clock is real): the end is where one was not cut.
        for operation in range(1, OPERATIONS_MAX, step):
            for mode in modes:
                found = cuts.cut(operation, mode)
                if found is None:
                    return done, wrong
                done += 1
                if found:
                    wrong.append(f"{mode} operation {operation}: {found}")
        raise AssertionError(f"more than {OPERATIONS_MAX} operations")
    finally:
        cuts.board.stop()


def test_the_node_survives_a_cut_in_any_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A contactor opens at dawn in the middle of anything. So a sample of the cuts of a whole life: after each the lamp
    is lit first, and plan, configuration, keys and all numbers are what was promised."""
    done, wrong = sweep(tmp_path, require_runtime("micropython32"), ("random",), 13, 15)
    with capsys.disabled():
        print(f"figure: {done} cuts, at every 13th flash operation of a life, {len(wrong)} lost anything")
    assert wrong == []
    assert done > 5


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_the_knife_cuts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A sweep that loses nothing may be one that cuts nothing. So a store that writes in place is swept too, and is
    caught."""
    cuts = Cuts(tmp_path / "node", require_runtime("micropython32"), 15, is_naive=True)
    done = 0
    caught: list[str] = []
    try:
        for operation in range(1, OPERATIONS_MAX, 3):
            try:
                found = cuts.cut(operation, "half")
            except AssertionError as error:
                found = str(error)
            if found is None:
                break
            done += 1
            if found:
                caught.append(f"{operation}: {found}"[:120])
    finally:
        cuts.board.stop()
    with capsys.disabled():
        print(f"figure: a store that writes in place: {len(caught)} of {done} cuts lost something, as {caught[:1]}")
    assert caught


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(("modes", "passing_s"), [(MODES, 15), (("random",), 620)], ids=["four modes", "own time"])
def test_the_node_survives_every_cut(
    tmp_path: Path,
    micropython_runtime: Runtime,
    capsys: pytest.CaptureFixture[str],
    modes: tuple[str, ...],
    passing_s: int,
) -> None:
    """The long form: every operation in all four ways to die; and, in one way, with journal and clock written at their
    own time."""
    done, wrong = sweep(tmp_path, micropython_runtime, modes, 1, passing_s)
    with capsys.disabled():
        print(
            f"figure: {micropython_runtime.name}: {done} cuts, at each operation of a life with {passing_s} s of "
            f"passers {', '.join(modes)}; {len(wrong)} lost anything"
        )
    assert wrong == []
