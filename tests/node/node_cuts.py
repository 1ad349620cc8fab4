"""A whole node whose life is lived once, written down operation by operation, and then cut everywhere.

The unmodified firmware runs on the virtual board with all its writers at once; beside it `cut_life.py`, an operator and
passers. Each cut's image is made from the tape (sim/board/flash_tape.py), judged as it lies there, and started again
with the real firmware: a start takes a tenth of a second, a life five times as long. As a program, for long runs:

    python -m tests.node.node_cuts RUNTIME SEED STARTS
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from itertools import pairwise
from pathlib import Path

from firmware.links.codec_fields import VERB_WHY
from firmware.system.boot_files import lamp_file
from firmware.system.store import Store
from host_tools.mpy.constants import Source
from host_tools.mpy.modules import compiled, sources
from host_tools.mpy.parts import APP
from host_tools.mpy.shipped import shipped
from host_tools.node_bundle import store_files
from host_tools.node_config import build_day_of, load_fleet
from host_tools.plan.site import load_site
from host_tools.site_keys import SiteKeys
from sim.board import flash_tape
from sim.board.virtual_board import Event, VirtualBoard
from tests.node.cut_judge import Judge, Promise, words_of
from tests.node.flash_view import View, view_of
from tests.node.whole_node import DIMMER_PIN, EPOCH, EXAMPLE, HEAP_BYTES, NODE
from tests.runtimes import ROOT, Runtime, known_runtimes

LIFE = "tests/node/cut_life.py"
# The life is a guest in the node's heap, and the bundle has what only it needs.
GUEST_BYTES = 64 * 1024
WAIT_S = 60
FLASH_BLOCKS = 96
"""Room for the journal's 32 segments and two generations of all; fewer blocks come round sooner."""

LIVES, SETTLES = "020000000001", "020000000002"
UNTOUCHED = ("secrets", "ca", "cert", "key")
WRITERS = {
    "log of boots": "boots",
    "log of errors": "errors",
    "clock": "clock",
    "counters": "counters0",
    "outbox": "outbox",
    "epoch of the wave": "wave",
    "commands": "commands",
    "plan to come": "next0",
    "plan in force": "plan0",
    "configuration": "config",
}
WORLD = datetime(2026, 11, 24, 17)
# With the last, clock and journal are written at their own time too.
PASSING_S = (5, 10, 20, 60, 620)

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

Spoil = tuple[str, tuple[tuple[str, str], ...]]
"""A file of the firmware, and what in it is made wrong: each text stands there once."""


@cache
def rom(spoilt: Spoil | None = None) -> dict[str, bytes]:
    """The firmware as it is shipped, joined and compiled, and the life beside it."""
    firmware = sources()
    if spoilt is not None:
        path, changes = spoilt
        text = firmware[path].text
        for right, wrong in changes:
            assert text.count(right) == 1, right
            text = text.replace(right, wrong)
        firmware[path] = Source(path, text)
    life = Source("cut_life.py", (ROOT / LIFE).read_text(encoding="utf-8"))
    made = shipped({**firmware, "cut_life.py": life}, ["dimmer_pwm", "presence_input"], (APP, "cut_life.py"))
    return {
        path.removesuffix(".py") + ".mpy": code
        for path, code in compiled(made.files).items()
        if path != "firmware/main.py"
    }


@dataclass
class Life:
    """A life on tape: the flash before it, the operations, what was said after how many of them, and before it all."""

    base: bytes
    operations: list[flash_tape.Operation]
    said: list[tuple[int, list[str]]]
    before: Promise
    views: list[View] = field(default_factory=list)
    """What the flash shows after 0, 1, 2 … operations."""

    def promised(self, done: int) -> Promise:
        """Return what was promised when ``done`` operations were done."""
        promise = Promise(**vars(self.before))
        for operations, words in self.said:
            if operations <= done:
                promise.take(words)
        return promise

    def written(self) -> set[str]:
        """Return the names that were written in this life, and "journal"."""
        found = set()
        for earlier, later in pairwise(self.views):
            found |= {name for name in later.stored if earlier.stored.get(name) != later.stored[name]}
            if earlier.journal != later.journal:
                found.add("journal")
        return found


@dataclass
class Tally:
    """``cuts``: images that were judged as they lie there, ``starts``: those that were started again (each image
    once); ``wrong``: what was lost, mixed or dark, and after which cut."""

    lives: int = 0
    cuts: int = 0
    starts: int = 0
    wrong: list[str] = field(default_factory=list)


class Node:
    """A commissioned node on a board; its flash is ``base``, which a life or a cut replaces."""

    def __init__(
        self,
        folder: Path,
        runtime: Runtime,
        seed: int = 1,
        passing_s: int = 10,
        spoilt: Spoil | None = None,
        safe_permille: int = 1000,
    ) -> None:
        folder.mkdir(parents=True)
        site = load_site(EXAMPLE)
        path = folder / "hardware.yaml"
        path.write_text(HARDWARE, encoding="utf-8")
        contents = store_files(
            load_fleet(site, path), NODE, SiteKeys.create(folder / "keys", site.name), build_day_of(2026, 11, 1)
        )
        # A node without a site's key: a signature writes nothing, and costs a second of every life.
        contents["secrets"] = json.dumps({**json.loads(contents["secrets"]), "site": ""}).encode()
        plans = [site.plan_bytes(NODE), site.plan_bytes("L001")]
        tree = json.loads(contents["config"])
        # So that each life teaches the clock something: how long the feeder was on.
        tree["lamps"][0]["config"]["is_feeder_switched"] = True
        contents["config"] = json.dumps(tree, separators=(",", ":")).encode()
        tree["reports"]["status_s"] *= 2
        configs = [contents["config"], json.dumps(tree, separators=(",", ":")).encode()]
        self.judge = Judge(plans, configs, {name: contents[name] for name in UNTOUCHED})
        main = (ROOT / "firmware/main.py").read_text(encoding="utf-8")
        call = "    from firmware import app\n"
        assert main.count(call) == 1
        self.board = VirtualBoard(
            folder / "board", runtime, (HEAP_BYTES + GUEST_BYTES) * (1 if runtime.small_int_bits < 32 else 2),
            rom_files=rom(spoilt), jump=True, world_s=int((WORLD - EPOCH).total_seconds()), flash_blocks=FLASH_BLOCKS,
        )  # fmt: skip
        files: dict[str, bytes | str] = {}
        with tempfile.TemporaryDirectory() as aside:
            store = Store(aside + "/store")
            for name, data in contents.items():
                store.write(name, data)
            files = {f"data/store/{one.name}": one.read_bytes() for one in Path(aside, "store").iterdir()}
        files["main.py"] = main.replace(call, call + "    import cut_life\n\n    cut_life.into(app)\n")
        files["lib/cut_life_plans.py"] = (
            f"SEED = {seed}\nPASSING_S = {passing_s}\nCONFIGS = {configs!r}\n"
            f"PLANS = {[(plan, bytes(64)) for plan in plans]!r}\n"
        )
        files["boot.lamp"] = lamp_file([(1, DIMMER_PIN, 0, 0, 4000, safe_permille)])
        self.board.install(files)
        self.tape = folder / "tape"
        self.base = self.flash.read_bytes()
        self.promise = Promise()

    @property
    def flash(self) -> Path:
        return self.board.folder / "flash.bin"

    def run(self, image: bytes, mac: str, until: str) -> list[Event]:
        """Put an image on the flash, let the node live until it says so, cut it, and return what happened."""
        self.flash.write_bytes(image)
        self.board.events.clear()
        self.board.mac = mac
        self.board.start(WAIT_S)
        try:
            self.board.wait_for(lambda event: words_of(event)[:1] == [until], WAIT_S)
        finally:
            self.board.power_cut()
        return list(self.board.events)

    def live(self) -> Life:
        """Live a whole life from ``base`` on, and return its tape."""
        self.tape.unlink(missing_ok=True)
        self.board.tape = self.tape
        try:
            events = self.run(self.base, LIVES, "lived")
        finally:
            self.board.tape = None
        said = []
        for event in events:
            if words := words_of(event):
                # Without a clock only the question why is refused: its ack has what the clock is then set by.
                assert words[0] != "troubles" and (words[0] != "refused" or int(words[1]) == VERB_WHY), words
                said.append((int(words[-1][1:]), words[:-1]))
        life = Life(self.base, flash_tape.read(self.tape), said, self.promise)
        image = bytearray(self.base)
        life.views.append(view_of(image))
        for operation in life.operations:
            flash_tape.put(image, operation)
            life.views.append(view_of(image) if operation.data else life.views[-1])
        assert bytes(image) == self.flash.read_bytes(), "the tape is not what was done"
        return life

    def go_on(self, life: Life, number: int, mode: str, image: bytes) -> None:
        """Let the next life begin where a cut has left this one."""
        self.base = image
        self.promise = life.promised(number if mode == "after" else number - 1)

    # -- what is right -------------------------------------------------------------------------------------------

    def judge_life(self, life: Life) -> Iterator[str]:
        """Name what is wrong between two operations: what stood vanishes, is half, or comes from nowhere."""
        for number, view in enumerate(life.views):
            for what in self.judge.lies(view, life.promised(number)):
                yield f"between operations {number} and {number + 1}: {what}"
            if number and view is not life.views[number - 1]:
                for what in self.judge.follows(life.views[number - 1], view):
                    yield f"operation {number}: {what}"

    def judge_cut(self, life: Life, number: int, image: bytes) -> Iterator[str]:
        """Name what is wrong with a flash as a cut at an operation has left it: all of it is as before, or as after."""
        try:
            view = view_of(image)
        except Exception as error:  # whatever littlefs says, the node would not start
            yield f"does not mount: {error!r}"
            return
        if view not in (life.views[number - 1], life.views[number]):
            yield "neither as before the operation nor as after it"
        yield from self.judge.lies(view, life.promised(number - 1))

    def judge_start(self, image: bytes, promise: Promise) -> Iterator[str]:
        """Start the node from a flash, and name what is wrong with its light, its numbers, and what it then stores."""
        cut = view_of(image)
        events = self.run(image, SETTLES, "settled")
        settled = view_of(self.flash.read_bytes())
        yield from self.judge.light(events)
        yield from self.judge.numbers(events, promise)
        yield from self.judge.lies(settled, promise)
        yield from self.judge.follows(cut, settled)


def sweep(
    node: Node, life: Life, tally: Tally, chance: random.Random, modes: tuple[str, ...] = (), wanted: int = 0
) -> tuple[int, str, bytes]:
    """Cut a life at every operation, in every way to die, and judge each cut; start the node again from each image.

    ``modes``: start from one of these only, taking turns (none: from all). ``wanted``: end after so many starts in
    ``tally``. Returns one of the cuts, by chance.
    """
    tally.lives += 1
    tally.wrong += [f"life {tally.lives}, {what}" for what in node.judge_life(life)]
    seen = set()
    chosen = (0, "before", life.base)
    for count, (number, mode, image) in enumerate(flash_tape.images(life.base, life.operations), 1):
        tally.cuts += 1
        if chance.randrange(count) == 0:
            chosen = (number, mode, image)
        where = f"life {tally.lives}, operation {number} of {len(life.operations)}, {mode}: "
        tally.wrong += [where + what for what in node.judge_cut(life, number, image)]
        key = hashlib.sha256(image).digest()
        if key in seen or (modes and mode != modes[number % len(modes)]):
            continue
        seen.add(key)
        promise = life.promised(number if mode == "after" else number - 1)
        tally.starts += 1
        tally.wrong += [where + what for what in node.judge_start(image, promise)]
        if wanted and tally.starts >= wanted:
            break
    return chosen


def storm(folder: Path, runtime: Runtime, seed: int, wanted: int, is_loud: bool = False) -> Tally:
    """Live, cut everywhere, go on from one of the cuts, and so on until ``wanted`` starts. ``is_loud``: say how far."""
    chance = random.Random(seed)
    node = Node(folder, runtime, seed, passing_s=PASSING_S[seed % len(PASSING_S)])
    tally = Tally()
    try:
        while tally.starts < wanted:
            life = node.live()
            node.go_on(life, *sweep(node, life, tally, chance, wanted=wanted))
            if is_loud:
                print(f"{tally.lives} lives, {tally.starts} starts, {len(tally.wrong)} wrong", flush=True)
    finally:
        node.board.stop()
    return tally


def main(arguments: list[str]) -> None:
    """Run as the module says; print what was found."""
    runtime = known_runtimes()[arguments[0]]
    assert isinstance(runtime, Runtime), runtime.description
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tally = storm(Path(folder, "node"), runtime, int(arguments[1]), int(arguments[2]), is_loud=True)
    for what in tally.wrong:
        print(what)
    print(
        f"figure: {runtime.name}, seed {arguments[1]}: {tally.lives} lives, {tally.cuts} cuts, {tally.starts} starts, "
        f"{len(tally.wrong)} wrong, {time.monotonic() - begin:.0f} s"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
