"""A life in which a node writes all that it ever writes, told to the whole application from within, on the board.

The test has the launcher call `into(app)` before the application runs; beside the node's own tasks then runs `live`: it
is the operator (signed commands, made with the node's own key) and the passers. What it prints is what the node has
promised, and after how many flash operations: numbers that no cut may take back. Plans, signatures and configurations
come from the host (`cut_life_plans`); order and moments are drawn from the seed there and the number of the boot.

The board's address says how long it lives: one that ends in 2 stands still once it has stored what a start stores.
"""
# ruff: noqa: UP031  (what runs on the chip formats as the chip's own code does)

import asyncio
import json
import sys

import machine
from cut_life_plans import CONFIGS, PASSING_S, PLANS, SEED

from firmware.links import codec
from firmware.links.codec_fields import (
    VERB_CLOCK,
    VERB_CONFIGURATION_WRITE,
    VERB_DIM,
    VERB_PLAN_STAGE,
    VERB_PLAN_SWITCH,
    VERB_RESUME,
    VERB_WHY,
)
from firmware.links.timing import ticks_ms
from firmware.system import keys, lifetime
from firmware.system.plan_stage import hash8_of

DAY, NOON = 9825, 43200
# After this the second life has stored what a start stores.
SETTLED_S = 14
SETTLES = 2
CHUNK_BYTES = 256
CONFIG = "config"
# A link comes and takes what waits: the outbox must not be full, or it drops by right.
WAITING_MAX = 24


def into(app):
    """Have every run of the application begin a life beside it."""
    former = app.App.run

    async def run(self):
        life = asyncio.create_task(live(self))
        try:
            await former(self)
        finally:
            life.cancel()

    app.App.run = run


def say(*words):
    """Print the words, and how many flash operations came before them."""
    print(*words, "#%d" % sys.modules["sim.board.chip.idle"].clock.slot.flash_ops)


def stand_still():
    """Nothing more is written: the host reads the flash as it is now. The wait is in the kernel and costs nothing."""
    line = sys.modules["sim.board.chip.wire"]._fd
    while True:
        sys.modules["sim.board.chip.libc"].read(line, bytearray(1), 1)


class Desk:
    """The operator: makes commands with the node's key, and gives them to the node as its link does."""

    def __init__(self, app):
        self.app = app
        self.gate = app.actions._gate
        secret = json.loads(app.store.read("secrets"))["node"]
        self.key = keys.derive(bytes.fromhex(secret), codec.PURPOSE_COMMAND, bytes((0,)))
        self.counter = self.gate._last[0]

    def now(self):
        """Return day and second as the node has them."""
        trust = self.app.keeper.trust
        trust.at(ticks_ms())
        return (trust.day, trust.second) if trust.quality else (DAY, NOON)

    def tell(self, verb, values):
        """Send a command; say its number once the node has taken it."""
        self.counter += 1
        self.day, self.second = self.now()
        body = codec.encode_command(
            [0, 0, self.gate._addresses[0], self.counter, self.day, self.second, 600], verb, values
        )
        self.app.actions.on_message("cmd", body + keys.tag(self.key, body, codec.MAC_BYTES))
        if self.gate._last[0] == self.counter:
            say("took", self.counter)
        else:
            say("refused", verb, self.gate._verdict)


class Draw:
    """The life's chance: order and waits differ from life to life."""

    def __init__(self, seed):
        self._state = (seed * 7919 + 12345) & 0xFFFFF

    def below(self, limit):
        """Return 0 … limit - 1."""
        self._state = (self._state * 1103 + 12345) & 0xFFFFF
        return (self._state >> 4) % limit

    async def wait(self, most_s):
        """Let 1 to ``most_s`` seconds pass, to the tenth."""
        await asyncio.sleep(1 + self.below(10 * most_s - 9) / 10)


def promised(app, said):
    """Say what is stored, where it is new: the boot, the lamp's seconds and energy, the wave's epoch, the records."""
    if app.boot_log._is_persisted:
        tell(said, "boot", app.boot_log.boot)
    data = app.store.read("counters0")
    if lifetime.is_saved(data, 0):
        tell(said, "burning_s", codec_u32(data, lifetime.SIZE - 29 - 4))
    if app.wave is not None and app.wave.wave.is_started:
        tell(said, "epoch", app.wave.wave._epoch)


def codec_u32(data, at):
    return data[at] | data[at + 1] << 8 | data[at + 2] << 16 | (data[at + 3] & 63) << 24


def tell(said, name, value):
    if said.get(name) != value:
        said[name] = value
        say(name, value)


async def passing(app, said, seconds):
    """Let time pass; somebody goes by now and then."""
    for second in range(0, seconds, 5):
        app.lamps[0].on_presence(second // 5 & 1)
        await asyncio.sleep(5)
        promised(app, said)


async def bring_plan(app, desk, draw):
    """Bring the plan that is not in force, and switch to it: at once, or in some seconds."""
    for plan, signature in PLANS:
        hash8 = hash8_of(plan)
        if hash8 == app.stages[0].hash8:
            continue
        for at in range(0, len(plan), CHUNK_BYTES):
            desk.tell(VERB_PLAN_STAGE, (0, at, hash8, plan[at : at + CHUNK_BYTES]))
            await draw.wait(2)
        day, second = desk.now()
        is_later = draw.below(2) and second < 86390
        say("switching", hash8.hex())
        desk.tell(
            VERB_PLAN_SWITCH,
            (0, len(plan), day if is_later else None, second + 4 if is_later else None, hash8, signature),
        )
        for _ in range(100):
            await asyncio.sleep(1)
            if app.stages[0].hash8 == hash8 and app.actions._steps is None:
                say("switched", hash8.hex())
                return
        say("troubles", "no switch")
        return


async def bring_configuration(app, desk, draw):
    """Bring the configuration that is not stored."""
    for data in CONFIGS:
        if data == app.store.read(CONFIG):
            continue
        hash8 = hash8_of(data)
        say("configuring", hash8.hex())
        for at in range(0, len(data), CHUNK_BYTES):
            desk.tell(VERB_CONFIGURATION_WRITE, (at, len(data), hash8, data[at : at + CHUNK_BYTES]))
            await draw.wait(2)
        if app.store.read(CONFIG) == data:
            say("configured", hash8.hex())
        else:
            say("troubles", "no configuration")
        return


async def live(app):
    """Tell the node its life: what comes before a reset, in an order of this life's own."""
    said = {}
    gate = app.actions._gate
    say("floor", gate._last[0], "corrupt", app.store.corrupt, "outbox", app.box.failures, len(app.box))
    await asyncio.sleep(SETTLED_S)
    promised(app, said)
    if app.troubles or app.store.corrupt:
        say("troubles", app.troubles, app.store.corrupt)
    say("settled", app.boot_log.boot)
    if machine.unique_id()[-1] == SETTLES:
        stand_still()
    draw = Draw(SEED + 31 * app.boot_log.boot)
    desk = Desk(app)
    desk.tell(VERB_WHY, (0,))
    await draw.wait(2)
    desk.tell(VERB_CLOCK, (gate._challenge,))
    await draw.wait(3)
    steps = list(range(6))
    while steps:
        step = steps.pop(draw.below(len(steps)))
        if step == 0:
            desk.tell(VERB_DIM, (0, 400, 10, 1000))
        elif step == 1:
            await bring_plan(app, desk, draw)
        elif step == 2:
            await bring_configuration(app, desk, draw)
        elif step == 3:
            await passing(app, said, PASSING_S)
        elif step == 4:
            app.log("life", "boot %d" % app.boot_log.boot)
        else:
            while len(app.box) > WAITING_MAX and app.box.peek() is not None:
                app.box.done()
            # As before a reset by command: what would be written in the next quarter of an hour is written now.
            app.keeper.save()
            app.reports.save()
            app.journal.flush(ticks_ms())
        await draw.wait(6)
        promised(app, said)
    desk.tell(VERB_RESUME, (0,))
    await passing(app, said, 5)
    app.reports.save()
    app.journal.flush(ticks_ms())
    await passing(app, said, 5)
    say("lived", app.store.writes)
    stand_still()
