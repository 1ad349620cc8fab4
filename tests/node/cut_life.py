"""A life in which a node writes all that it ever writes, told to the whole application from within, on the board.

The test has the launcher call `into(app)` before the application runs; beside the node's own tasks then runs `live`: it
is the operator (signed commands, made with the node's own key) and the passers. What it prints is what the node has
promised: numbers that no cut may take back. Plans and signatures come from the host (`cut_life_plans`).
"""

import asyncio
import json

from cut_life_plans import PASSING_S, PLANS

from firmware.links import codec
from firmware.links.codec_fields import VERB_CLOCK, VERB_DIM, VERB_PLAN_STAGE, VERB_PLAN_SWITCH, VERB_RESUME, VERB_WHY
from firmware.links.timing import ticks_ms
from firmware.system import keys, lifetime
from firmware.system.plan_stage import hash8_of

DAY, NOON = 9825, 43200
# After this the second life has stored what a start stores.
SETTLED_S = 14


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


class Desk:
    """The operator: makes commands with the node's key, and gives them to the node as its link does."""

    def __init__(self, app):
        self.app = app
        self.gate = app.actions._gate
        secret = json.loads(app.store.read("secrets"))["node"]
        self.key = keys.derive(bytes.fromhex(secret), codec.PURPOSE_COMMAND, bytes((0,)))
        self.counter = self.gate._last[0]

    def tell(self, verb, values):
        """Send a command; say its number once the node has taken it."""
        self.counter += 1
        trust = self.app.keeper.trust
        trust.at(ticks_ms())
        self.day, self.second = (trust.day, trust.second) if trust.quality else (DAY, NOON)
        body = codec.encode_command(
            [0, 0, self.gate._addresses[0], self.counter, self.day, self.second, 600], verb, values
        )
        self.app.actions.on_message("cmd", body + keys.tag(self.key, body, codec.MAC_BYTES))
        if self.gate._last[0] == self.counter:
            print("took", self.counter)
        else:
            print("refused", verb, self.gate._verdict)


def promised(app, said):
    """Say what is stored, where it is new: the boot, the lamp's seconds and energy, the wave's epoch, the records."""
    if app.boot_log._is_persisted:
        tell(said, "boot", app.boot_log.boot)
    data = app.store.read("counters0")
    if lifetime.is_saved(data, 0):
        tell(said, "burning_s", codec_u32(data, lifetime.SIZE - 29 - 4))
    if app.wave is not None and app.wave.wave.is_started:
        tell(said, "epoch", app.wave.wave._epoch)
    tell(said, "plan", hash8_of(app.store.read("plan0")).hex())


def codec_u32(data, at):
    return data[at] | data[at + 1] << 8 | data[at + 2] << 16 | (data[at + 3] & 63) << 24


def tell(said, name, value):
    if said.get(name) != value:
        said[name] = value
        print(name, value)


async def passing(app, said, seconds):
    """Let time pass; somebody goes by now and then."""
    for second in range(0, seconds, 5):
        app.lamps[0].on_presence(second // 5 & 1)
        await asyncio.sleep(5)
        promised(app, said)


async def live(app):
    """Tell the node its life: the time, a dimming, a new plan, passers, a resume, and what comes before a reset."""
    said = {}
    gate = app.actions._gate
    print("floor", gate._last[0], "corrupt", app.store.corrupt, "outbox", app.box.failures, len(app.box))
    tell(said, "number", app.boot_log.boot)
    await asyncio.sleep(SETTLED_S)
    promised(app, said)
    if app.troubles or app.store.corrupt:
        print("troubles", app.troubles, app.store.corrupt)
    print("settled", app.boot_log.boot)
    desk = Desk(app)
    desk.tell(VERB_WHY, (0,))
    await asyncio.sleep(1)
    desk.tell(VERB_CLOCK, (gate._challenge,))
    await asyncio.sleep(2)
    desk.tell(VERB_DIM, (0, 400, 10, 1000))
    await passing(app, said, 15)
    for plan, signature in PLANS:
        hash8 = hash8_of(plan)
        if hash8 == app.stages[0].hash8:
            continue
        for at in range(0, len(plan), 256):
            desk.tell(VERB_PLAN_STAGE, (0, at, hash8, plan[at : at + 256]))
            await asyncio.sleep(1)
        print("switching", hash8.hex())
        desk.tell(VERB_PLAN_SWITCH, (0, len(plan), None, None, hash8, signature))
        for _ in range(100):
            await asyncio.sleep(1)
            if app.stages[0].hash8 == hash8 and app.actions._steps is None:
                break
        print("switched", hash8.hex())
        promised(app, said)
        break
    await passing(app, said, PASSING_S)
    desk.tell(VERB_RESUME, (0,))
    await passing(app, said, 10)
    # As before a reset by command: what would be written in the next quarter of an hour is written now.
    app.keeper.save()
    app.reports.save()
    app.journal.flush(ticks_ms())
    await passing(app, said, 10)
    print("lived", app.store.writes)
