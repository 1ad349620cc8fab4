"""What a node tells of itself is all that an operator has of it: true, stored before it is told, and about nobody."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.control.clock import NETWORK
from firmware.control.controller import Controller
from firmware.control.counters import RECORDS, NightCounters
from firmware.control.faults import CONTROL_GEAR_COMM_FAILURE, HIGH_TEMPERATURE, RELAY_FAILURE, SENSOR_STUCK_ON
from firmware.control.inputs import CLOCK_UNKNOWN
from firmware.control.plan import Plan
from firmware.links import codec, outbox
from firmware.links import codec_fields as table
from firmware.links.account import Account
from firmware.links.reports import Reports
from firmware.links.status_report import presence_class
from firmware.system import lifetime
from firmware.system.store import Store
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
    PowerCut,
    config_of,
    night,
    plan_of,
    reports_of,
    sums,
    ticks_diff,
)

QUARTER_MS = 900_000
OPTIONS = {"status_s": 600, "energy_quarters": 1}


def node_of(*kinds: str, **options) -> Node:
    """A node that has told its start."""
    made = Node(options.pop("store", CutStore({"plan0": OLD})), kinds or ("plain",), **options)
    made.pass_s(40, 2)
    made.answers()
    return made


def said(node: Node, seconds: int, step_s: int = 2) -> list[tuple]:
    """Return (second, topic, kind, values) of all that is sent in the next seconds."""
    found = []
    for second in range(0, seconds, step_s):
        node.pass_s(step_s, step_s)
        found += [(second, *answer) for answer in node.answers()]
    return found


def twins(node: Node, kind: int) -> list[dict]:
    return [payload.to_json(codec.encode(kind, values)) for values in reports_of(node.answers(), kind)]


def test_a_start_is_told_once():
    """A start that nobody ordered is a feeder, a watchdog or a thief. So it is told with its cause, as number 0."""
    node = Node(CutStore({"plan0": OLD}), second=None)
    node.pass_s(4, 2)
    boot = twins(node, table.BOOT)
    assert len(boot) == 1
    assert (boot[0]["sequence"], boot[0]["boots"], boot[0]["software"], boot[0]["day"]) == (0, 1, 4097, None)
    assert not [kind for _, _, kind, _ in said(node, 400) if kind == table.BOOT]
    again = Node(node.store, memory=[b""])
    again.pass_s(4, 2)
    assert twins(again, table.BOOT)[0]["boots"] == 2


def test_a_start_without_flash_is_told_too():
    """The log of boots cannot be written: that must not make a node silent."""
    store = CutStore({"plan0": OLD})
    store.refuses = ("boots",)
    node = Node(store)
    sent = said(node, 60)
    assert [second for second, _, kind, _ in sent if kind == table.BOOT] == [28]


def test_status_by_period_with_a_spread():
    """A town that reports in step falls over its own feet. So the period differs, by up to a tenth, at each report."""
    node = Node(CutStore({"plan0": OLD}), options=OPTIONS)
    drawn = iter([bytes((value, value)) for value in range(0, 256, 7)] * 3)
    node.reports._chance = lambda count: next(drawn)
    at = [second for second, _, kind, _ in said(node, 7200) if kind == table.STATUS]
    gaps = [late - early for early, late in pairwise(at)]
    assert 10 <= len(gaps) <= 14 and len(set(gaps[1:])) > 5
    assert all(538 <= gap <= 662 for gap in gaps[1:])


def test_status_says_what_is():
    """The operator reads what the lamp does, in the words of the payload."""
    node = node_of("plain")
    intake = node.lamps[0].intake
    intake.temperature(412)
    intake.sample(19_260, 2300, 90, 950)
    node.lamps[0].controller.monitor.faults.condition(node.tick, SENSOR_STUCK_ON, True)
    node.pass_s(6, 2)
    assert twins(node, table.STATUS) == [{
        "message": "status", "lamp": 0, "level_permille": 600, "reason": "program", "by": "fixed",
        "faults": ["sensorStuckOn"], "clock": "good", "temperature_dc": 410, "power_mw": 19_300, "presence": None,
        "boots": 1, "plan_tag": acts_main.hash8_of(OLD)[0] & 15,
    }]  # fmt: skip
    node = Node(CutStore(), second=None)
    node.reports.poll()
    status = twins(node, table.STATUS)[0]
    assert (status["clock"], status["reason"], status["power_mw"]) == ("unknown", "failsafe", 80_000)


def test_nobody_is_reported():
    """A message at each passer-by would be a diary of the street. So presence sends nothing, at any link."""
    node = node_of("counted", options={"status_s": 86400, "energy_quarters": 96})
    for _ in range(200):
        node.lamps[0].intake.presence(1)
        node.pass_s(4, 2)
        node.lamps[0].intake.presence(0)
        node.pass_s(4, 2)
        assert node.answers() == []


def test_faults_are_told_when_they_come_and_go():
    """A fault that shows itself in the next routine report is a dark lamp for an hour. So it is an alarm at once, with
    its moment; the status follows, and what is small is an event."""
    node = node_of()
    intake = node.lamps[0].intake
    intake.gear_fault(1)
    node.pass_s(32, 2)
    assert node.box.peek()[0] == "event" and node.box._entries[0].priority == outbox.ALARM
    answers = node.answers()
    raised = [payload.to_json(codec.encode(table.FAULT, values)) for values in reports_of(answers, table.FAULT)]
    assert [(one["fault"], one["is_active"], one["count"]) for one in raised] == [
        ("controlGearCommFailure", "raised", 1)
    ]
    assert raised[0]["day"] == DAY
    assert reports_of(answers, table.STATUS)[0][4] == 1 << CONTROL_GEAR_COMM_FAILURE
    intake.gear_fault(0)
    node.pass_s(12, 2)
    assert node.box._entries[0].priority == outbox.EVENT
    assert [one["is_active"] for one in twins(node, table.FAULT)] == ["cleared"]
    faults = node.lamps[0].controller.monitor.faults
    faults.raised = faults.cleared = 1 << HIGH_TEMPERATURE
    node.pass_s(2, 2)
    assert [one["is_active"] for one in twins(node, table.FAULT)] == ["raised", "cleared"], "it came and went"


def test_a_storm_of_faults_is_bounded():
    """A loose wire makes a fault each second. So no more than 20 are told at once and one a minute; the numbers show
    that there were more, and a status is sent once in 5 s."""
    node = node_of()
    faults = node.lamps[0].controller.monitor.faults
    for i in range(600):
        faults.condition(node.tick, SENSOR_STUCK_ON, i % 2 == 0)
        node.pass_s(2, 2)
    assert node.box.bytes_waiting <= 5000
    events = reports_of(node.answers(), table.FAULT)
    assert 38 <= len(events) <= 41
    numbers = [values[1] for values in events]
    assert sum((late - early) % 256 > 1 for early, late in pairwise(numbers)) >= 18, "holes"


def test_events_are_numbered():
    """A hole in the numbers is an event that was lost: so there is none where none was."""
    node = Node(CutStore({"plan0": OLD}))
    node.pass_s(10, 2)
    for i in range(300):
        node.reports.plan(0, 1, table.REFUSED)
        if i % 20 == 0:
            node.pass_s(2, 2)
    node.pass_s(2, 2)
    # The box holds 48; what it dropped are holes.
    assert node.box.dropped[outbox.EVENT] > 0
    numbers = [values[1] for values in reports_of(node.answers(), table.PLAN)]
    assert all((late - early) % 256 == 1 for early, late in pairwise(numbers))


def test_the_clock_that_steps_is_told():
    """Lamps that dim an hour early have a clock that was set. So each step is told, with its source, and what is only
    confirmed is not."""
    node = Node(CutStore(), second=None)
    node.pass_s(10, 2)
    node.answers()
    node.keeper.report(NETWORK, DAY, NOON, 0)
    node.pass_s(2, 2)
    step = twins(node, table.CLOCK_STEP)
    assert [(one["source"], one["verdict"], one["step_s"], one["day"]) for one in step] == [
        ("network", "set", None, DAY)
    ]
    node.pass_s(100, 2)
    node.trust.at(node.tick)
    node.keeper.report(NETWORK, DAY, node.trust.second, 900)
    node.pass_s(10, 2)
    assert twins(node, table.CLOCK_STEP) == []
    node.trust.at(node.tick)
    node.keeper.report(NETWORK, DAY, node.trust.second - 300, 0)
    node.pass_s(4, 2)
    assert [(one["verdict"], -302 <= one["step_s"] <= -298) for one in twins(node, table.CLOCK_STEP)] == [
        ("stepped", True)
    ]


def test_derogation_is_told_when_it_changes():
    """The town has decided to go below the class of the road: said once when it begins, once when it ends, over all
    starts between."""
    store = CutStore({"plan0": OLD})

    def told(is_derogated: bool) -> list[int]:
        # What was sent before the cut, and not yet noted as sent, would come again.
        store.files.pop("outbox", None)
        node = Node(store, memory=[b""])
        node.reports._told[0].is_derogated = is_derogated
        node.pass_s(60, 2)
        return [values[2] for values in reports_of(node.answers(), table.DEROGATION)]

    assert [told(one) for one in (False, True, True, False, False)] == [[], [1], [], [0], []]


def test_refusals_are_told_once_a_day():
    """Somebody tries the lock. So the operator hears of it, once a day, where there is something to hear."""
    node = node_of(options={"status_s": 86400})
    for _ in range(3):
        node.give(bytes(40))
    sent = [(second, values) for second, _, kind, values in said(node, 3 * 86400, 60) if kind == table.REFUSALS]
    assert len(sent) == 1 and 86_000 <= sent[0][0] <= 86_400
    assert sent[0][1][1] == 3


@pytest.mark.parametrize("kind", ["counted", "metered"])
@pytest.mark.parametrize("quarters", [1, 4, 7, 96])
@pytest.mark.parametrize("cuts", [0, 3])
def test_the_reports_of_a_night_add_up(kind, quarters, cuts):
    """The proof of savings is the sum of these reports. So it is the sum of the counters, over every power cut, with no
    period told twice; and no counter goes back."""
    reports, _, node = night(kind, cuts, quarters=quarters)
    account = node.reports._accounts[0]
    assert sums(reports) == [account._reported[place] for place in (0, 1, 2, 3, 4, 8, 9)]
    totals = node.lamps[0].controller.monitor.counters.totals
    # What is not yet reported is of the period under way.
    assert all(0 <= totals[i] - account._reported[i] <= 100 * quarters for i in range(5))
    ends = [values[1] for values in reports]
    assert ends == sorted(set(ends)) and all(end % quarters == 0 or cuts for end in ends)
    for early, late in pairwise(reports):
        assert late[1] - late[2] == early[1], "no hole and no overlap"
    assert all(values[9] is None or values[9] >= 5 for values in reports)
    if quarters == 1 and kind == "counted" and not cuts:
        # 15 h at 600 permille of the curve: 48 W.
        assert abs(sums(reports)[1] - 15 * 48) <= 1


@pytest.mark.parametrize("is_late", [False, True])
def test_a_cut_at_any_write_loses_no_report(is_late):
    """Stored, then told: a cut between the two must not make it vanish, nor count it twice. So the last report is sent
    again after a start, as it was."""
    for dies_at in range(60):
        store = CutStore({"plan0": OLD})
        store.dies_at = dies_at
        store.is_late = is_late
        reports = []
        elapsed = 0
        node = None
        was_cut = False
        while elapsed < 2 * 3600:
            try:
                if node is None:
                    node = Node(store, ("counted",), NOON + elapsed, memory=[b""], options=OPTIONS)
                node.pass_s(60, 30)
            except PowerCut:
                was_cut = True
                node = None
                store.dies_at = -1
            elapsed += 60
            if node is not None:
                reports += [values for values in reports_of(node.answers(), table.ENERGY) if values not in reports]
        if node is None:
            node = Node(store, ("counted",), NOON + elapsed, memory=[b""], options=OPTIONS)
            reports += [values for values in reports_of(node.answers(), table.ENERGY) if values not in reports]
        account = node.reports._accounts[0]
        assert sums(reports) == [account._reported[place] for place in (0, 1, 2, 3, 4, 8, 9)], dies_at
        totals = [values[10:12] for values in reports]
        assert totals == sorted(totals)
        if not was_cut:
            break
    assert not was_cut and dies_at > 8


def test_nothing_is_told_that_could_not_be_stored():
    """A counter that was told and then forgotten would go back. So a node whose flash refuses is silent about energy,
    and tells all of it when the flash takes it again."""
    store = CutStore({"plan0": OLD})
    store.refuses = ("counters0",)
    node = node_of("counted", store=store, options=OPTIONS)
    assert not [kind for _, _, kind, _ in said(node, 4 * 900, 10) if kind == table.ENERGY]
    assert 0 < node.reports._accounts[0].failures <= 62, "asked again once a minute"
    store.refuses = ()
    told = [values for _, _, kind, values in said(node, 1000, 10) if kind == table.ENERGY]
    assert sums(told)[1] == node.reports._accounts[0]._reported[1] > 40
    assert told[0][2] >= 4


def test_a_lamp_without_counters_reports_no_energy(tmp_path):
    """Nothing is measured and nothing declared: then nothing is claimed. Its burning hours are kept all the same, for
    constant light output, and its latched faults."""
    store = Store(str(tmp_path / "store"))
    store.write("plan0", OLD)
    node = node_of(store=store, options=OPTIONS)
    node.lamps[0].intake.relay_fault(1)
    node.pass_s(20, 2)
    node.lamps[0].intake.relay_fault(0)
    assert not [kind for _, _, kind, _ in said(node, 7300, 10) if kind == table.ENERGY]
    again = Node(store, memory=[b""])
    assert again.lamps[0].controller.energy.burning_s >= 6300
    assert again.lamps[0].controller.monitor.faults.active == 1 << RELAY_FAILURE


def test_counters_go_on_over_a_switch_of_plan():
    """A new plan is a new controller, and the lamp is the old one: nothing that it has counted is lost."""
    node = node_of("counted", options=OPTIONS)
    node.pass_s(3000, 10)
    counters = node.lamps[0].controller.monitor.counters
    before = list(counters.live)
    burning = node.lamps[0].controller.energy.burning_s
    reports = reports_of(node.answers(), table.ENERGY)
    node.stage(NEW)
    assert node.switch(NEW) == table.DONE
    after = node.lamps[0].controller.monitor.counters
    assert after is not counters
    assert all(late >= early for early, late in zip(before, after.live, strict=True))
    node.pass_s(2000, 10)
    node.lamps[0].controller.count_to(node.tick)
    assert node.lamps[0].controller.energy.burning_s >= burning + 2000
    reports += reports_of(node.answers(), table.ENERGY)
    assert sums(reports)[1] == node.reports._accounts[0]._reported[1]
    assert after.live[1] >= before[1] + 2000 * 48_000 // 3_600_000


def test_reports_are_for_the_link():
    """Acks before events, events before routine; on topics that a link knows."""
    node = Node(CutStore({"plan0": OLD}), ("counted",), options=OPTIONS)
    node.pass_s(960, 30)
    answers = node.answers()
    assert [answer[0] for answer in answers] == ["event"] * 2 + ["energy"] + ["status"]
    assert all(len(codec.encode(kind, values)) <= 51 for _, kind, values in answers)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=24), st.integers(1, 9))
@settings(max_examples=40)
def test_presence_leaves_in_batches_only(passers, every):
    """Fewer than five could be one person's way home (lighting.md F15). So no report, of however few quarters, tells of
    one to four detections, and all together tell of those that the counters released."""
    node = Node(CutStore({"plan0": OLD}), ("counted",))
    controller = node.lamps[0].controller
    counters = NightCounters()
    controller.monitor.counters = counters
    account = Account(node.store, 0, every)
    tick = TICK0
    counters.count_to(tick)
    told = []
    for quarter, count in enumerate(passers):
        for i in range(count):
            counters.state(tick + 20_000 * i + 1000, 1000, True, True, True, True)
            counters.state(tick + 20_000 * i + 11_000, 1000, True, True, True, False)
        tick = (tick + QUARTER_MS) & (2**30 - 1)
        counters.quarter(tick, 900_000 + quarter)
        report = account.poll(controller, tick, True, DAY, 0)
        if report:
            told.append(codec.decode(report)[1])
    for values in told:
        assert values[9] is None or values[9] >= 5
        assert (values[8] is None) == (values[9] is None)
    assert sum(values[9] or 0 for values in told) == account._reported[9] <= counters.totals[9]
    assert ticks_diff(tick, TICK0) >= 0


@pytest.mark.parametrize(("count", "word"), [(0, 0), (5, 1), (9, 1), (10, 2), (199, 5), (400, 6), (65535, 0)])
def test_presence_classes(count, word):
    """A status tells how busy the last quarter was, in classes, and nothing of now."""
    counters = NightCounters()
    assert presence_class(counters) is None and presence_class(None) is None
    counters.closed = RECORDS + 3
    struct.pack_into("<H", counters.records, 2 * 18 + 16, count)
    assert presence_class(counters) == word


def test_counters_may_be_given_back_before_the_clock_speaks():
    """A clock chip answers before the reports are built, and that starts the counters. So whoever builds the controller
    gives it its life back at once; that the reports do it again changes nothing."""
    store = CutStore({"plan0": OLD})
    node = node_of("counted", store=store, options=OPTIONS)
    node.pass_s(4000, 20)
    told = reports_of(node.answers(), table.ENERGY)
    saved = store.files["counters0"]
    controller = Controller(config_of("counted"), Plan(OLD))
    assert lifetime.restore(controller, saved, 0)
    controller.monitor.counters.count_to(5)
    account = Account(store, 0, 1)
    account.start(controller)
    assert controller.monitor.counters.totals[1] == account._reported[1] == sums(told)[1] > 40
    assert controller.monitor.counters.totals[6] >= 3600


def test_counters_that_began_too_soon_destroy_nothing():
    """Whoever joins the parts in the wrong order must not cost a lamp its years. So what is stored stands, nothing
    lower is told, and the next start is as if that one had not been."""
    store = CutStore({"plan0": OLD})
    node = node_of("counted", store=store, options=OPTIONS)
    node.pass_s(4000, 20)
    saved = store.files["counters0"]
    wrong = Node(CutStore({"plan0": OLD}), ("counted",), options=OPTIONS)
    wrong.pass_s(60, 20)
    wrong.answers()
    account = wrong.reports._accounts[0] = Account(store, 0, 1)
    account.start(wrong.lamps[0].controller)
    assert not [kind for _, _, kind, _ in said(wrong, 4000, 20) if kind == table.ENERGY]
    wrong.reports.save()
    assert store.files["counters0"] == saved and account.failures > 0
    again = Node(store, ("counted",), memory=[b""])
    assert again.lamps[0].controller.monitor.counters.totals[1] > 40


@given(st.binary(max_size=220))
def test_any_bytes_for_counters(data):
    """Whatever is in that file, the node starts; and what is no state of counters is none."""
    store = CutStore({"plan0": OLD, "counters0": data})
    node = Node(store, ("counted",))
    node.pass_s(4, 2)
    assert lifetime.is_saved(data, 0) or node.lamps[0].controller.monitor.counters.totals == [0] * 10


def test_options_out_of_range_are_refused():
    """A status every second would be a flood: refused where the node is put together."""
    node = Node(CutStore())
    for options in ({"status_s": 59}, {"status_s": 86401}, {"energy_quarters": 0}, {"energy_quarters": 97}):
        with pytest.raises(ValueError, match="every"):
            Reports(node.lamps, node.configs, node.stages, node.keeper, node.box, node.store, node.bootlog, None,
                    options, node.now)  # fmt: skip


def test_without_a_clock_reports_have_no_moment():
    """Better no date than a wrong one: energy is counted in quarters of the tick, and adds up all the same."""
    node = Node(CutStore({"plan0": plan_of(600, failsafe=700)}), ("metered",), second=None, options=OPTIONS)
    reports = []
    for _ in range(0, 4000, 30):
        node.lamps[0].intake.sample(56_000, 2300, 250, 950)
        node.pass_s(30, 30)
        reports += reports_of(node.answers(), table.ENERGY)
    assert node.trust.quality == CLOCK_UNKNOWN
    assert len(reports) == 4 and all(values[1] is None and values[2] == 1 for values in reports)
    assert sums(reports)[0] == node.reports._accounts[0]._reported[0] >= 4 * 13


def test_the_same_on_the_chips_interpreter(micropython_runtime, capsys):
    """The night's accounts, with and without power cuts, on what the chip runs: the same to the Wh."""
    acts_main.main(["night", ""])
    here = capsys.readouterr().out
    done = micropython_runtime.run(["tests/node/acts_main.py", "night", ""])
    assert done.returncode == 0, done.stderr
    assert done.stdout == here and "False" not in here
