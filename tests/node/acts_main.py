"""A whole node without its pins: the real control core, codec, gate, store and keeper, on a clock of the test's own.

    micropython tests/node/acts_main.py SECTION FOLDER

Each section prints lines that the tests compare with CPython's own. The doubles: `Dimmer` (no light), `CutStore` (its
supply dies at a chosen write), and the tick.
"""
# ruff: noqa: UP031, RUF005  (what runs on the chip formats as the chip's own code does)

import asyncio
import binascii
import hashlib
import os
import struct
import sys

from firmware.control.clock import SIGNED, ClockTrust
from firmware.control.config import Config
from firmware.control.controller import Controller
from firmware.control.inputs import Now, Seen
from firmware.control.plan import Plan
from firmware.control.ticks import TICKS_MAX, ticks_diff
from firmware.links import codec
from firmware.links import codec_fields as table
from firmware.links.actions import Actions
from firmware.links.commands import CommandGate
from firmware.links.outbox import Outbox
from firmware.links.reports import Reports
from firmware.system.bootlog import BootLog
from firmware.system.clock_keeper import ClockKeeper
from firmware.system.config_stage import ConfigStage
from firmware.system.intake import Intake
from firmware.system.lamp import Lamp
from firmware.system.plan_stage import PlanStage, hash8_of
from firmware.system.store import Store, StoreError
from tests.node.links_main import DAY, GROUP_ID, GROUP_KEY, NODE_ID, NODE_KEY, NOON, Chance, signed

# The ring wraps 100 s after the start of every history.
TICK0 = TICKS_MAX - 100000
PARIS = (3600, 7200, 3, 5, 0, 7200, 10, 5, 0, 10800)
# Dim from 23:00 to 5:00 to 500, off from 1:00 to 5:00: the declared baselines.
BASELINES = (82800, 18000, 500, 3600, 18000)
METER = (100, 1000, 4480, 48000, 12600, 83000, 300, 500, 1000, 2070, 2530, 1000, 5, 900)
OWN_SITE_KEY = b"site"


class PowerCut(Exception):
    """The supply died. No handler of the node knows it, so it ends whatever runs."""


class CutStore:
    """A double of the store that loses its supply at write ``dies_at``, before it or after it (``is_late``); with
    ``refuses`` it is full instead. A write is whole or not at all: that the real one is so, cuts_main.py shows."""

    def __init__(self, files=None):
        self.files = files if files is not None else {}
        # The generation before the newest of each name.
        self.former = {}
        self.writes = 0
        self.dies_at = -1
        self.is_late = False
        self.refuses = ()
        # The plans that were accepted, in order.
        self.accepted = []

    def read(self, name, skip=0):
        """Return the bytes from ``skip`` on, or None."""
        data = self.files.get(name)
        return data if data is None else data[skip:]

    def write(self, name, data):
        """Keep the bytes, or die."""
        if name in self.refuses:
            raise StoreError(name, "full")
        if self.files.get(name) != bytes(data):
            self._do(name, bytes(data))

    def remove(self, name):
        """Forget, or die."""
        if name in self.refuses:
            raise StoreError(name, "full")
        if name in self.files:
            self._do(name, None)

    def revert(self, name):
        """Have the generation before be the newest again, or die."""
        if name in self.files:
            self._do(name, self.former.pop(name, None))

    def _do(self, name, data):
        self.writes += 1
        dies = self.writes - 1 == self.dies_at
        if dies and not self.is_late:
            raise PowerCut
        if data is None:
            del self.files[name]
        else:
            self.former[name] = self.files.get(name)
            self.files[name] = data
            if name == "next0":
                self.accepted.append(data[9:])
        if dies:
            raise PowerCut


class Dimmer:
    """A double of a driver: it keeps what it was told."""

    has_fades = False

    def __init__(self):
        self.level_permille = -1

    def write(self, permille):
        """Take a level."""
        self.level_permille = permille


def plan_of(level, starts=((0, 0),), failsafe=1000):
    """Return a plan: one program without active periods, lit around the clock; ``starts``: (second, levels off)."""
    fixed = b""
    for second, less in starts:
        fixed += bytes((second & 255, second >> 8 & 255, second >> 16)) + struct.pack("<HHHB", level - less, 0, 0, 0)
    at = 24
    program = bytes((0, len(starts), 0, 0)) + fixed
    size = at + 2 + len(program) + 4
    data = struct.pack("<3sBHBBHHBBHHHBBBB", b"RVP", 2, size, 12, 0, 1000, 0, 1, 0, at, at + 2, failsafe, 0, 0, 0, 0)
    data += struct.pack("<H", at + 2) + program
    return data + struct.pack("<I", binascii.crc32(data))


def config_of(kind):
    """Return a lamp's configuration: "plain", "counted" (declared baselines) or "metered"."""
    config = Config(PARIS, 48856600, 2352200, [100, 500, 1000], [20000, 40000, 80000], 500)
    if kind != "plain":
        config.baselines = BASELINES if kind == "counted" else None
        config.meter_limits = METER if kind == "metered" else None
    return config


OLD = plan_of(600)
NEW = plan_of(800)


class Node:
    """One node with lamps of these ``kinds``. ``second``: UTC of day `DAY` at the start, None without a clock."""

    def __init__(self, store, kinds=("plain",), second=NOON, memory=None, **options):
        self.store = store
        self.tick = options.get("tick", TICK0)
        self.memory = memory if memory is not None else [b""]
        self.resets = []
        self.switch_fails = False
        self.reset_count = 0
        ticks = self.now
        self.bootlog = BootLog(self._rtc, store)
        self.trust = ClockTrust(9000)
        self.keeper = ClockKeeper(self.trust, self._tell, ticks, store, self.bootlog)
        tray = [None]
        self.stages = [PlanStage(store, number, tray) for number in range(len(kinds))]
        self.configs = [config_of(kind) for kind in kinds]
        self.lamps = []
        for number in range(len(kinds)):
            plan = self.stages[number].load() or OLD
            controller = Controller(self.configs[number], Plan(plan))
            intake = Intake(controller, Seen(), Now(), None, ticks, number)
            self.lamps.append(Lamp(intake, Dimmer(), None, ticks, self.bootlog.keep_level))
        self.box = Outbox(store, self.tick, StoreError)
        self.gate = CommandGate(NODE_KEY, NODE_ID, ((GROUP_ID, GROUP_KEY),), store, StoreError, chance=bytes)
        self.reports = Reports(
            self.lamps, self.configs, self.stages, self.keeper, self.box, store, self.bootlog, self.gate,
            options.get("options", {"status_s": 3600, "energy_quarters": 4}), ticks, 4097, bytes,
        )  # fmt: skip
        self.config_stage = ConfigStage(store, tray, NODE_ID)
        self.actions = Actions(
            self.gate, self.lamps, self.stages, lambda: self.config_stage, self.keeper, self.box, self.reports,
            self.bootlog, self.switch_plan, self.resets.append, ticks, options.get("verify"),
        )  # fmt: skip
        self.reports.start()
        self.keeper.start()
        if second is not None:
            self.keeper.report(SIGNED, options.get("day", DAY), second, 0)
        self.counter = options.get("counter", 0)
        self.follow()

    def now(self):
        """Return the tick."""
        return self.tick

    def _rtc(self, data=None):
        if data is not None:
            self.memory[0] = bytes(data)
        return self.memory[0]

    def _tell(self, quality, day, second, ms):
        for lamp in self.lamps:
            lamp.intake.clock(quality, day, second, ms)

    def switch_plan(self, number, plan):
        """What app.py does: a new controller, at the level of the old one."""
        if self.switch_fails:
            raise MemoryError
        lamp = self.lamps[number]
        config = self.configs[number]
        lamp.intake.wake()
        config.start_level_permille = lamp.controller.level_permille
        controller = Controller(config, Plan(plan))
        self.reports.carry(number, controller)
        lamp.take_over(Intake(controller, Seen(), Now(), None, self.now, number))
        self._tell_one(lamp)

    def _tell_one(self, lamp):
        trust = self.trust
        trust.at(self.tick)
        if trust.is_set:
            lamp.intake.clock(trust.quality, trust.day, trust.second, trust.ms)

    def follow(self):
        """Let the lamps follow."""
        for lamp in self.lamps:
            lamp.follow()

    def pass_s(self, seconds, step_s=1):
        """Let time pass; every task polls every ``step_s``."""
        for _ in range(0, seconds, step_s):
            self.tick = (self.tick + step_s * 1000) & TICKS_MAX
            self.follow()
            self.keeper.poll()
            self.actions.poll()
            self.reports.poll()
            self.box.poll(self.tick)
            self.follow()

    def tell(self, verb, values, **changes):
        """Send the next command, signed now, and let all tasks do what it makes them do; return the answers."""
        self.counter += 1
        self.trust.at(self.tick)
        changes.setdefault("day", self.trust.day if self.trust.is_set else DAY)
        changes.setdefault("second", self.trust.second if self.trust.is_set else NOON)
        return self.give(signed(self.counter, verb, values, **changes))

    def give(self, payload, kind="cmd", retain=False):
        """Send any bytes; return the answers."""
        # Room for the gate's rate: commands come one a second.
        self.tick = (self.tick + 1000) & TICKS_MAX
        self.actions.on_message(kind, payload, retain)
        if self.actions._steps is not None:
            # What `Actions.run` does, without waiting; section "real" runs it.
            for _ in self.actions._steps:
                pass
            self.actions._end_switch()
        self.follow()
        return self.answers()

    def answers(self):
        """Take all that waits to be sent, as (topic, type, values)."""
        found = []
        message = self.box.peek()
        while message is not None:
            found.append((message[0],) + codec.decode(message[1]))
            self.box.done()
            message = self.box.peek()
        return found

    def verdict(self, verb, values, **changes):
        """Send a command; return the verdict of its ack, UNKNOWN without one."""
        return verdict_of(self.tell(verb, values, **changes))

    def stage(self, plan, lamp=0, size=20):
        """Stage a plan in chunks."""
        found = []
        for at in range(0, len(plan), size):
            found.append(self.verdict(table.VERB_PLAN_STAGE, (lamp, at, hash8_of(plan), plan[at : at + size])))
        return found

    def switch(self, plan, lamp=0, start=(None, None), signature=b""):
        """Switch to a staged plan; return the verdict."""
        values = (lamp, len(plan), start[0], start[1], hash8_of(plan), signature)
        return self.verdict(table.VERB_PLAN_SWITCH, values)

    def level(self, lamp=0):
        """Return where the light of a lamp is now."""
        return self.lamps[lamp].controller.level_at(self.tick)

    def state(self):
        """Return what forged commands must not change: light, plans, configuration, counters in the store."""
        files = sorted(
            [(name, self.store.read(name)) for name in ("plan0", "next0", "config", "commands", "clock", "counters0")],
            key=lambda item: item[0],
        )
        digest = hashlib.sha256(repr(files).encode()).digest()
        return (self.level(), self.stages[0].hash8, self.trust.quality, tuple(self.resets), digest)


def verdict_of(answers):
    """Return the verdict of the ack among answers, -1 without one."""
    for _, kind, values in answers:
        if kind == table.ACK:
            return values[5]
    return -1


def reports_of(answers, kind):
    """Return the values of all answers of a type."""
    return [values for _, found, values in answers if found == kind]


# Every verb with values that this node would obey, and a few that it refuses.
VERBS = (
    (table.VERB_DIM, (0, 500, 5, 0)),
    (table.VERB_OVERRIDE, (0, 700, 0, 0, None, None, DAY, NOON + 900)),
    (table.VERB_OVERRIDE, (0, 300, 0, 0, DAY, NOON + 900, DAY, NOON + 1800)),
    (table.VERB_EMERGENCY, (0, 1000, 10)),
    (table.VERB_TEST, (0, 450, 10)),
    (table.VERB_RESUME, (0,)),
    (table.VERB_IDENTIFY, (30,)),
    (table.VERB_RESUME, (0,)),
    (table.VERB_WHY, (0,)),
    (table.VERB_CONFIGURATION_READ, (0, 100)),
    (table.VERB_PLAN_STAGE, (0, 0, hash8_of(NEW), NEW)),
    (table.VERB_PLAN_SWITCH, (0, len(NEW), None, None, hash8_of(NEW), b"")),
    (table.VERB_CONFIGURATION_WRITE, (0, 2, hash8_of(b"{}"), b"{}")),
    (table.VERB_CLOCK, (0,)),
    (table.VERB_ACKNOWLEDGE, (0, 13)),
    (table.VERB_DIM, (3, 500, 5, 0)),
    (table.VERB_RESET, (0,)),
)


def run_verbs(folder):
    """Each verb once, on the real store."""
    node = Node(Store(folder))
    node.pass_s(40)
    node.answers()
    for verb, values in VERBS:
        answers = node.tell(verb, values)
        node.pass_s(2)
        print(verb, verdict_of(answers), node.level(), node.lamps[0].controller.by, repr(answers)[:160])
    node.pass_s(10)
    print("resets", node.resets, node.bootlog.crash_text)
    again = Node(Store(folder), memory=node.memory, counter=100)
    again.pass_s(2)
    print("plan", again.stages[0].hash8 == hash8_of(NEW), again.level(), again.bootlog.end)
    print("boot", reports_of(again.answers(), table.BOOT)[0][1:3])


def run_forged(folder):
    """Commands of each verb, spoilt in every way, and then noise: nothing changes, and nobody is answered."""
    chance = Chance(11)
    node = Node(CutStore())
    node.pass_s(40)
    node.tell(table.VERB_DIM, (0, 500, 60, 0))
    node.answers()
    before = node.state()
    wrong = 0
    count = 0
    for verb, values in VERBS:
        whole = signed(5000 + count, verb, values)
        for _ in range(12):
            data = bytearray(whole)
            data[chance.below(len(data))] ^= 1 << chance.below(8)
            count += 1
            wrong += 1 if node.give(bytes(data)) else 0
            wrong += 1 if node.give(chance.some_bytes(chance.below(60)), "plan", True) else 0
            wrong += 1 if node.state() != before else 0
    print("forged", count, "wrong", wrong, node.gate.counts, node.actions.retained)


def run_cuts(folder):
    """Switches of plan and configuration with the power cut at each write: print what was in force after each."""
    ends = {}
    for is_late in (False, True):
        for dies_at in range(200):
            outcome, is_cut = cut_switch(dies_at, is_late)
            ends[outcome] = ends.get(outcome, 0) + 1
            if not is_cut:
                break
        print("late" if is_late else "early", dies_at, "cuts")
    for outcome in sorted(ends):
        print(outcome, ends[outcome])


def cut_switch(dies_at, is_late):
    """Install NEW, and an hour later, by a scheduled switch, OLD; cut once, start again, and see what comes.

    Return (what was in force and lit after the cut; what in the end), and whether there was a cut.
    """
    store = CutStore({"plan0": OLD})
    store.dies_at = dies_at
    store.is_late = is_late
    memory = [b""]
    is_cut = False
    node = None
    try:
        node = Node(store, memory=memory)
        switch_twice(node)
    except PowerCut:
        is_cut = True
    store.dies_at = -1
    second = NOON + 20 if node is None else NOON + ticks_diff(node.tick, TICK0) // 1000
    again = Node(store, memory=memory, second=second, counter=1000)
    found = store.files.get("plan0")
    if found not in (OLD, NEW) or again.level() != (600 if found == OLD else 800):
        return "mixed", is_cut
    was = "old" if found == OLD else "new"
    # A plan that was accepted comes into force without another word; then the operator sends it again.
    again.pass_s(60, 10)
    until = "old" if store.files["plan0"] == OLD else "new"
    if store.files["plan0"] != (store.accepted[-1] if store.accepted else OLD):
        return "lost", is_cut
    again.stage(NEW)
    if again.switch(NEW) != table.DONE or store.files["plan0"] != NEW or "next0" in store.files:
        return "stuck", is_cut
    again.pass_s(4)
    return "%s %s %d" % (was, until, again.level()), is_cut


def switch_twice(node):
    """Switch to NEW now, and to OLD in a minute."""
    node.pass_s(10)
    node.stage(NEW)
    node.switch(NEW)
    node.pass_s(2)
    node.stage(OLD)
    node.switch(OLD, start=(DAY, NOON + 60))
    node.pass_s(70, 5)


def night(kind, cuts, store=None, quarters=4, hours=15):
    """Return all energy reports of a night from noon on, with so many power cuts, and the node at its end.

    Each report is taken off as it is made, unless the power is cut just then.
    """
    chance = Chance(cuts + 1)
    store = store or CutStore()
    memory = [b""]
    options = {"status_s": 600, "energy_quarters": quarters}
    node = Node(store, (kind,), memory=memory, options=options)
    reports = []
    others = []
    highest = [0] * 5
    elapsed = 0
    at_cuts = sorted([chance.below(hours * 3600) for _ in range(cuts)])
    while elapsed < hours * 3600:
        node.pass_s(30, 30)
        elapsed += 30
        lamp = node.lamps[0]
        if kind == "metered":
            lamp.intake.sample(node.level() * 80, 2300, 350, 950)
        if chance.below(40) == 0:
            lamp.intake.presence(1)
            lamp.intake.presence(0)
        for answer in node.answers():
            if answer[1] != table.ENERGY:
                others.append(answer)
            elif answer[2] not in reports:
                reports.append(answer[2])
                totals = answer[2][10:]
                for i in range(5):
                    if totals[i] < highest[i]:
                        raise ValueError("a counter went back", i, totals[i], highest[i])
                highest = totals
        if at_cuts and elapsed >= at_cuts[0]:
            at_cuts.pop(0)
            # The RAM of the chip's clock goes with the supply; ten minutes in the dark.
            elapsed += 600
            second = NOON + elapsed
            node = Node(
                store, (kind,), second % 86400, [b""], options=options, day=DAY + second // 86400, counter=1000,
                tick=chance.below(TICKS_MAX),
            )  # fmt: skip
    return reports, others, node


def sums(reports):
    """Return the sums of all reports: five energies, occupied s, detections."""
    return [sum([values[3 + i] or 0 for values in reports]) for i in range(7)]


def run_night(folder):
    """The accounts of nights."""
    for kind in ("counted", "metered"):
        for cuts in (0, 4):
            reports, _, node = night(kind, cuts)
            totals = node.lamps[0].controller.monitor.counters.totals
            reported = [node.reports._accounts[0]._reported[i] for i in (0, 1, 2, 3, 4, 8, 9)]
            print(kind, cuts, len(reports), sums(reports) == reported, sums(reports), totals)


def run_real(folder):
    """A switch with a signature that rests often, on the real store, by asyncio; light commands meanwhile."""

    def verify(message, signature):
        for _ in range(50):
            yield
        return signature == message[-32:] + message[:32]

    node = Node(Store(folder), verify=verify)
    node.pass_s(10)
    print(node.stage(NEW))
    print("unsigned", node.switch(NEW), node.level(), node.store.read("plan0"))
    message = codec.PURPOSE_PLAN + b"\0" + hashlib.sha256(NEW).digest()
    values = (0, len(NEW), None, None, hash8_of(NEW), message[-32:] + message[:32])
    node.answers()

    async def both():
        beats = []
        task = asyncio.create_task(node.actions.run(lambda: beats.append(1)))
        await asyncio.sleep(0)
        node.actions.on_message("plan", signed(900, table.VERB_PLAN_SWITCH, values), False)
        node.tick += 1000
        node.actions.on_message("plan", signed(901, table.VERB_PLAN_SWITCH, values), False)
        node.tick += 1000
        node.actions.on_message("cmd", signed(902, table.VERB_EMERGENCY, (0, 1000, 10)), False)
        print("meanwhile", [values[5] for values in reports_of(node.answers(), table.ACK)], node.level())
        for _ in range(200):
            await asyncio.sleep(0.001)
            if node.actions._steps is None:
                break
        print("steps", len(beats) > 50)
        task.cancel()

    asyncio.run(both())
    node.follow()
    answers = node.answers()
    print("then", [values[3:6] for values in reports_of(answers, table.ACK)], node.level(), node.lamps[0].controller.by)
    print("plan", [values[2:4] + values[6:] for values in reports_of(answers, table.PLAN)] == [[0, 3, hash8_of(NEW)]])
    node.counter = 902
    node.tell(table.VERB_RESUME, (0,))
    print("resumed", node.level(), node.store.read("plan0") == NEW, node.store.read("next0"))
    print(sorted(os.listdir(folder)))


SECTIONS = {"verbs": run_verbs, "forged": run_forged, "cuts": run_cuts, "night": run_night, "real": run_real}


def main(arguments):
    """Run one section."""
    SECTIONS[arguments[0]](arguments[1])


if __name__ == "__main__":
    main(sys.argv[1:])
