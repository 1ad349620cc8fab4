"""Commands carried out: the lamp obeys, answers, and does nothing that nobody entitled has asked for."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from firmware.control.clock import SIGNED
from firmware.control.faults import RELAY_FAILURE
from firmware.control.inputs import CLOCK_UNKNOWN
from firmware.control.reasons import BY_EMERGENCY, BY_FIXED, BY_OVERRIDE, BY_SERVICE
from firmware.links import codec_fields as table
from firmware.links.outbox import ALARM
from firmware.system.boot_files import INTENDED
from firmware.system.bootlog import REASON_COMMAND, REASON_SERVICE
from firmware.system.plan_stage import hash8_of
from host_tools import payload
from tests.node import acts_main
from tests.node.acts_main import (
    DAY,
    NEW,
    NOON,
    OLD,
    TICK0,
    CutStore,
    Node,
    plan_of,
    reports_of,
    signed,
    ticks_diff,
    verdict_of,
)
from tests.node.test_plan_stage import config_bytes

DIM = table.VERB_DIM
IDENTIFY = (table.VERB_IDENTIFY, (60,))


@pytest.fixture
def node() -> Node:
    """A node that has told its start."""
    made = Node(CutStore({"plan0": OLD}))
    made.pass_s(40)
    made.answers()
    return made


def by(node: Node) -> int:
    return node.lamps[0].controller.by


def second_of(node: Node) -> int:
    """UTC of day `DAY` now."""
    return NOON + ticks_diff(node.tick, TICK0) // 1000


def test_light(node):
    """The operator's words for light, each in force until it ends and no longer; emergency stands above override."""
    assert node.verdict(DIM, (0, 500, 5, 0)) == table.DONE
    assert (node.level(), by(node)) == (500, BY_OVERRIDE)
    assert node.verdict(table.VERB_EMERGENCY, (0, 1000, 2)) == table.DONE
    assert (node.level(), by(node)) == (1000, BY_EMERGENCY)
    node.pass_s(130)
    assert (node.level(), by(node)) == (500, BY_OVERRIDE), "the emergency is over"
    node.pass_s(180)
    assert (node.level(), by(node)) == (600, BY_FIXED)
    later = second_of(node) + 100
    override = (0, 900, 0, 0, DAY, later, DAY, later + 60)
    assert node.verdict(table.VERB_OVERRIDE, override) == table.ACCEPTED, "it will be in force"
    node.pass_s(95)
    assert node.level() == 600
    node.pass_s(10)
    assert node.level() == 900
    assert node.verdict(table.VERB_RESUME, (0,)) == table.DONE
    assert (node.level(), by(node)) == (600, BY_FIXED)
    assert node.verdict(table.VERB_TEST, (0, 250, 1)) == table.DONE
    assert (node.level(), by(node)) == (250, BY_SERVICE)


def test_the_lamp_follows_at_once(node):
    """A command that waits for the next poll is one too late. So the lamp's task is woken by it."""
    woken = []
    node.lamps[0].kick = lambda: woken.append(1)
    node.tell(DIM, (0, 500, 5, 0))
    assert woken
    assert node.lamps[0].dimmer.level_permille == 500


def test_a_lamp_that_is_not_there(node):
    """A node with one lamp must not take a command for its fourth as one for the first, nor break on it."""
    for verb, values in (
        (DIM, (3, 500, 5, 0)), (table.VERB_WHY, (1,)), (table.VERB_PLAN_STAGE, (2, 0, bytes(8), b"x")),
        (table.VERB_PLAN_SWITCH, (1, 1, None, None, bytes(8), b"")), (table.VERB_ACKNOWLEDGE, (1, 0)),
    ):  # fmt: skip
        assert node.verdict(verb, values) == table.REFUSED
    # The dark of a lamp there is not ends like any other.
    assert node.verdict(DIM, (3, 0, 1, 0)) == table.REFUSED
    node.pass_s(70)
    assert node.level() == 600


def test_two_lamps_obey_each_for_itself():
    """Road and footpath share a node, and no command."""
    node = Node(CutStore({"plan0": OLD, "plan1": plan_of(700)}), ("plain", "plain"))
    assert [node.level(0), node.level(1)] == [600, 700]
    node.tell(DIM, (1, 300, 5, 0))
    assert [node.level(0), node.level(1)] == [600, 300]
    answers = node.tell(table.VERB_WHY, (1,))
    assert reports_of(answers, table.WHY)[0][:2] == [1, 300]
    assert node.stage(NEW, 1)[-1] == table.STAGED and node.switch(NEW, 1) == table.DONE
    assert node.stages[0].hash8 == hash8_of(OLD) and node.stages[1].hash8 == hash8_of(NEW)
    ack = reports_of(node.tell(table.VERB_WHY, (1,)), table.ACK)[0]
    assert ack[8] == hash8_of(NEW)[:4]


def test_dark_ends_though_the_clock_was_lost(node):
    """A dark command whose end nobody can tell any more must not be for ever: half an hour, whatever the clock."""
    assert node.verdict(DIM, (0, 0, 30, 0)) == table.DONE
    assert node.level() == 0
    node.trust.quality = CLOCK_UNKNOWN
    node.lamps[0].intake.clock(CLOCK_UNKNOWN, DAY, NOON, 0)
    node.keeper._quality = CLOCK_UNKNOWN
    node.pass_s(29 * 60, 20)
    assert node.level() == 0
    node.pass_s(90, 20)
    assert node.level() == 1000, "the fail-safe: there is no clock"


def steps_of(node: Node, seconds: int) -> list[tuple[int, int, int]]:
    """Return all decisions of the next seconds: when in s, level, ramp."""
    found = []
    lamp = node.lamps[0]
    after = lamp.intake.on_decision

    def note(controller):
        found.append((ticks_diff(controller.decided_ms, TICK0) // 1000, controller.level_permille, controller.fade_ms))
        after(controller)

    lamp.intake.on_decision = note
    for _ in range(seconds):
        node.pass_s(1)
        assert node.level() >= 400, "never dark, never below what it was"
    lamp.intake.on_decision = after
    return found


@pytest.mark.parametrize("level", [0, 200, 600, 1000])
@pytest.mark.parametrize("is_known", [True, False])
def test_identify_is_seen_and_never_blinks(level, is_known):
    """Whoever stands below must see which lamp it is; whoever drives by must not. So it glides between two lit levels,
    in 3 s, at least 10 s apart (ILP: 0.1 to 3 Hz is obtrusive), and then it is as it was."""
    store = CutStore({"plan0": plan_of(level, failsafe=max(level, 1))})
    node = Node(store, second=NOON if is_known else None)
    node.pass_s(20)
    before = node.level()
    was_by = by(node)
    if not is_known:
        # A key that was never stored is not believed without a clock.
        node.actions._show(60, node.tick)
    else:
        assert node.verdict(*IDENTIFY) == table.DONE
    node.lamps[0].follow()
    node.pass_s(4)
    assert by(node) == BY_SERVICE and node.level() >= 400
    steps = steps_of(node, 54)
    assert 4 <= len(steps) <= 6
    assert all(late[0] - early[0] >= 10 for early, late in pairwise(steps))
    assert all(fade == 3000 for _, _, fade in steps)
    changes = [abs(late[1] - early[1]) for early, late in pairwise(steps)]
    assert min(changes) >= 300
    node.pass_s(30)
    assert (node.level(), by(node)) == (before, was_by)


def test_identify_again_and_again_is_no_blinking(node):
    """A group's key hangs in every pole. So whoever uses it to ask each second gets the same slow glide."""
    steps = []
    after = node.lamps[0].intake.on_decision

    def note(controller):
        steps.append(controller.decided_ms)
        after(controller)

    node.lamps[0].intake.on_decision = note
    for _ in range(120):
        node.tell(table.VERB_IDENTIFY, (1,), scope=1)
        node.actions.poll()
    assert 4 <= len(steps) <= 13
    assert all(ticks_diff(late, early) >= 10_000 for early, late in pairwise(steps))


def test_identify_yields_to_all_that_matters(node):
    """Light for an accident is not to be glided away. So an emergency ends it at once, and bars it; so does a test."""
    node.tell(*IDENTIFY)
    node.pass_s(3)
    assert by(node) == BY_SERVICE
    assert node.verdict(table.VERB_EMERGENCY, (0, 1000, 5)) == table.DONE
    assert (by(node), node.lamps[0].controller.level_permille) == (BY_EMERGENCY, 1000)
    assert node.verdict(*IDENTIFY) == table.BUSY
    node.pass_s(60)
    assert (by(node), node.level()) == (BY_EMERGENCY, 1000)
    node.tell(table.VERB_RESUME, (0,))
    node.tell(table.VERB_TEST, (0, 333, 5))
    assert node.verdict(*IDENTIFY) == table.BUSY
    assert (by(node), node.level()) == (BY_SERVICE, 333)


def test_an_override_outlives_identify(node):
    """To be shown is no reason to forget what was commanded."""
    node.tell(DIM, (0, 500, 30, 0))
    node.tell(table.VERB_IDENTIFY, (20,))
    node.pass_s(60)
    assert (node.level(), by(node)) == (500, BY_OVERRIDE)


def test_why(node):
    """Why am I lit? One answer, in the words of the payload, and it leaves no trace."""
    node.tell(DIM, (0, 500, 5, 0))
    state = node.state()
    answers = node.tell(table.VERB_WHY, (0,))
    assert [answer[0] for answer in answers] == ["why", "ack"]
    node.box.put(ALARM, "x", b"", 0)
    report = payload.to_json(acts_main.codec.encode(table.WHY, answers[0][2]))
    assert (report["level_permille"], report["reason"], report["by"]) == (500, "override", "override")
    assert 295 <= report["until_s"] <= 300 and (report["next_level_permille"], report["next_by"]) == (600, "fixed")
    assert node.state() == state


def test_plan_by_commands(node):
    """The whole way of a plan: chunks, switch, the new level without a dark moment, and the event that says so."""
    assert node.stage(NEW) == [table.STAGED] * len(range(0, len(NEW), 20))
    levels = []
    after = node.switch_plan

    def switch_plan(number, plan):
        after(number, plan)
        levels.append(node.level())

    node.actions._switch_plan = switch_plan
    answers = node.tell(table.VERB_PLAN_SWITCH, (0, len(NEW), None, None, hash8_of(NEW), b""))
    assert verdict_of(answers) == table.DONE
    event = reports_of(answers, table.PLAN)[0]
    assert (event[2:4], event[6]) == ([0, table.DONE], hash8_of(NEW))
    assert levels[0] >= 600, "the new controller begins where the old one was"
    node.pass_s(15)
    assert node.level() == 800 and node.store.files["plan0"] == NEW
    assert reports_of(node.answers(), table.STATUS), "a new plan is worth a status"
    assert node.switch(NEW) == table.DONE, "its ack was lost: said again, it is still true"
    assert node.switch(OLD) == table.REFUSED, "it was never staged"
    assert node.level() == 800


def test_a_scheduled_plan_comes_by_itself(node):
    """The hour of the change is the town's, and nobody stands by."""
    node.stage(NEW)
    assert node.switch(NEW, start=(DAY, second_of(node) + 60)) == table.STAGED
    node.pass_s(50)
    assert node.level() == 600
    node.pass_s(45)
    assert node.level() == 800
    assert [values[2] for values in reports_of(node.answers(), table.PLAN)] == [0]


def test_a_plan_for_next_week(node):
    """Ticks turn round after twelve days, and half of them is six. So a plan comes after a week as after a minute."""
    node.stage(NEW)
    assert node.switch(NEW, start=(DAY + 8, NOON)) == table.STAGED
    node.pass_s(8 * 86400 - 3600, 900)
    assert node.level() == 600
    node.pass_s(3600, 30)
    assert node.level() == 800


def test_a_plan_that_flash_refuses_is_tried_again(node):
    """What was accepted comes into force when the flash takes it; it is asked four times a minute and no more."""
    node.stage(NEW)
    node.store.refuses = ("plan0",)
    assert node.switch(NEW) == table.STAGED
    asked = []
    install = node.stages[0].install
    node.stages[0].install = lambda: asked.append(1) or install()
    node.pass_s(120)
    assert 7 <= len(asked) <= 9 and node.level() == 600
    node.store.refuses = ()
    node.pass_s(16)
    assert node.level() == 800


def test_a_plan_for_which_there_is_no_memory(node):
    """The heap is full just then: the task must not die of it, again and again, until the node is reset."""

    def full():
        raise MemoryError

    install = node.stages[0].install
    node.stages[0].install = full
    node.stage(NEW)
    assert node.switch(NEW) == table.STAGED
    node.pass_s(20)
    assert node.level() == 600
    node.stages[0].install = install
    node.pass_s(30)
    assert node.level() == 800


def test_a_plan_that_there_is_no_memory_to_judge_is_refused():
    """The check of a signature is the most that a heap is ever asked for. Where it does not fit, the operator is told,
    the old plan goes on, what was sent is still there, and the next try may succeed."""
    is_full = [True]

    def verify(message, signature):
        yield
        if is_full[0]:
            raise MemoryError
        return True

    node = Node(CutStore({"plan0": OLD}), verify=verify)
    node.stage(NEW)
    answers = node.tell(table.VERB_PLAN_SWITCH, (0, len(NEW), None, None, hash8_of(NEW), b""))
    assert verdict_of(answers) == table.REFUSED
    assert reports_of(answers, table.PLAN)[0][2:4] == [1, table.REFUSED]
    assert node.store.files["plan0"] == OLD and node.level() == 600 and not node.stages[0].is_next
    # And a chunk for which there is none is refused by itself.
    tray = node.stages[0].tray
    kept, tray[0] = tray[0], NoRoom()
    assert node.stage(OLD, size=len(OLD)) == [table.REFUSED]
    tray[0] = kept
    is_full[0] = False
    assert node.switch(NEW) == table.DONE and node.level() == 800


class NoRoom:
    """Pieces for which the heap has no room: a double."""

    def add(self, *_):
        raise MemoryError


def test_commands_survive_a_switch_of_plan(node):
    """A plan may come while the fire brigade works below. So the emergency goes on, ends when it said, and the
    override under it is there again."""
    node.tell(DIM, (0, 450, 30, 0))
    node.tell(table.VERB_EMERGENCY, (0, 1000, 2))
    node.stage(NEW)
    assert node.switch(NEW) == table.DONE
    assert (node.level(), by(node)) == (1000, BY_EMERGENCY)
    node.pass_s(130)
    assert (node.level(), by(node)) == (450, BY_OVERRIDE)
    node.tell(table.VERB_RESUME, (0,))
    assert node.level() == 800
    node.stage(OLD)
    assert node.switch(OLD) == table.DONE
    node.pass_s(15)
    assert (node.level(), by(node)) == (600, BY_FIXED), "what was resumed does not come back"


def test_a_plan_that_does_not_run_is_taken_back(node):
    """Memory may be short for a new controller. So the old one goes on, is the plan of the next start, and it is
    said."""
    node.stage(NEW)
    node.switch_fails = True
    answers = node.tell(table.VERB_PLAN_SWITCH, (0, len(NEW), None, None, hash8_of(NEW), b""))
    assert verdict_of(answers) == table.PLAN_INVALID
    assert reports_of(answers, table.PLAN)[0][2] == 2
    assert node.store.files["plan0"] == OLD and node.level() == 600 and node.stages[0].hash8 == hash8_of(OLD)


def test_configuration(node):
    """What is written is read back, in parts, and used at the next start only."""
    data = config_bytes()
    verdicts = [
        node.verdict(table.VERB_CONFIGURATION_WRITE, (at, len(data), hash8_of(data), data[at : at + 100]))
        for at in range(0, len(data), 100)
    ]
    assert verdicts == [table.STAGED] * (len(verdicts) - 1) + [table.DONE]
    found = b""
    for at in range(0, len(data), 150):
        report = reports_of(node.tell(table.VERB_CONFIGURATION_READ, (at, 150)), table.CONFIGURATION)[0]
        assert report[:3] == [at, len(data), hash8_of(data)]
        found += report[3]
    assert json.loads(found) == json.loads(data)
    assert node.resets == [] and node.level() == 600
    bad = config_bytes(id=77)
    assert node.verdict(table.VERB_CONFIGURATION_WRITE, (0, len(bad), hash8_of(bad), bad)) == table.REFUSED


@pytest.mark.parametrize(("mode", "reason"), [(0, REASON_COMMAND), (1, REASON_SERVICE)])
def test_reset(node, mode, reason):
    """The ack of a reset leaves before it, the counters are stored, and the next start knows that it was wanted."""
    node.actions.on_message("cmd", signed(500, table.VERB_RESET, (mode,), second=second_of(node)))
    node.pass_s(3)
    assert node.resets == [], "the ack has not left"
    assert verdict_of(node.answers()) == table.ACCEPTED
    node.pass_s(1)
    assert node.resets == [mode] and "counters0" in node.store.files
    assert node.memory[0][4 + 3] == INTENDED and node.memory[0][4 + 6] == reason
    node.pass_s(20)
    assert node.resets == [mode], "once"


def test_reset_without_a_link(node):
    """Nobody fetches the ack: the reset comes all the same."""
    node.actions.on_message("cmd", signed(500, table.VERB_RESET, (0,), second=second_of(node)))
    node.pass_s(8)
    assert node.resets == [0]
    node.answers()
    node.counter = 500
    assert node.verdict(table.VERB_RESET, (2,)) == table.REFUSED


def test_the_operators_clock(node):
    """A node whose clock is years ahead refuses all that is signed today. So its ack holds a challenge, and the answer
    to that sets the clock."""
    node.keeper.report(SIGNED, DAY + 3000, 5, 0)
    node.pass_s(2)
    node.answers()
    answers = node.give(signed(50, DIM, (0, 500, 5, 0)))
    ack = reports_of(answers, table.ACK)[0]
    assert ack[5] == table.STALE and ack[7] is not None
    answers = node.give(signed(51, table.VERB_CLOCK, (ack[7],), second=NOON + 100))
    assert verdict_of(answers) == table.DONE
    node.trust.at(node.tick)
    assert (node.trust.day, node.trust.second) == (DAY, NOON + 100)
    node.pass_s(2)
    steps = [values for values in reports_of(node.answers(), table.CLOCK_STEP) if values[3]]
    assert len(steps) == 1 and steps[0][3] < -2999 * 86400 and steps[0][1] == SIGNED


def test_acknowledge(node):
    """A latched fault is cleared by whoever has looked, once its cause is gone, and not before."""
    intake = node.lamps[0].intake
    intake.relay_fault(1)
    node.pass_s(15)
    assert node.verdict(table.VERB_ACKNOWLEDGE, (0, RELAY_FAILURE)) == table.REFUSED
    intake.relay_fault(0)
    node.pass_s(15)
    assert node.lamps[0].controller.monitor.faults.active == 1 << RELAY_FAILURE
    assert node.verdict(table.VERB_ACKNOWLEDGE, (0, RELAY_FAILURE)) == table.DONE
    node.pass_s(2)
    assert [values[3] for values in reports_of(node.answers(), table.FAULT)] == [0]


def test_said_twice_is_done_once(node):
    """MQTT may deliver twice, and a broker may keep a message for ever. So the same bytes again change nothing, and get
    the same answer; that a broker kept it makes no difference but in a count."""
    data = signed(40, table.VERB_EMERGENCY, (0, 1000, 5), second=second_of(node))
    assert verdict_of(node.give(data)) == table.DONE
    node.counter = 40
    node.tell(table.VERB_RESUME, (0,))
    assert node.level() == 600
    assert verdict_of(node.give(data)) == table.REPLAYED
    assert node.level() == 600
    data = signed(60, table.VERB_EMERGENCY, (0, 900, 5), second=second_of(node))
    first = node.give(data, retain=True)
    assert (node.level(), node.actions.retained) == (900, 1)
    assert node.give(data, "plan", True) == first
    assert (node.level(), node.actions.retained) == (900, 2)


def test_an_old_retained_command_is_stale(node):
    """A broker hands out what was retained years ago at each connection: it expired ten minutes after it was signed."""
    data = signed(40, DIM, (0, 500, 5, 0), second=NOON - 3600)
    assert verdict_of(node.give(data, retain=True)) == table.STALE
    assert node.level() == 600


def test_a_full_outbox_loses_answers_only(node):
    """A link that is away for days must not stop a lamp from obeying."""
    for _ in range(60):
        node.box.put(ALARM, "event", bytes(80), 1)
    node.actions.on_message("cmd", signed(40, DIM, (0, 500, 5, 0), second=second_of(node)))
    assert node.level() == 500 and node.actions.lost == 1


def test_the_same_on_the_chips_interpreter(micropython_runtime, capsys, tmp_path):
    """Each verb, and each verb forged in a dozen ways, on what the chip runs: the same answers, and nothing changed."""
    for section in ("verbs", "forged"):
        acts_main.main([section, str(tmp_path / ("here" + section))])
        here = capsys.readouterr().out
        done = micropython_runtime.run(["tests/node/acts_main.py", section, str(tmp_path / ("there" + section))])
        assert done.returncode == 0, done.stderr
        assert done.stdout == here
    assert "wrong 0" in here
