"""A plan comes to a street once a year, over a bad link, in the hour of a power cut: whole, or not at all."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.control.plan_format import PLAN_MAX_BYTES
from firmware.links import codec_fields as table
from firmware.system.config_stage import ConfigStage
from firmware.system.ed25519 import verify_steps
from firmware.system.pieces import RANGES_MAX, Pieces
from firmware.system.plan_stage import PlanStage, hash8_of
from firmware.system.store import Store
from host_tools.plan.sign import public_key_of, sign_plan
from tests.node import acts_main
from tests.node.acts_main import DAY, METER, NEW, NOON, OLD, PARIS, CutStore, cut_switch, plan_of

KEY = bytes(range(32))
CUTS = 40
CONFIG = {
    "format": 1, "site": "ville", "node": "L001", "id": 1234, "zone": list(PARIS), "place": [48856600, 2352200],
    "lamps": [{
        "dimmer": {"name": "dimmer_pwm", "pin": 4}, "levels": [100, 1000], "powers": [9000, 64000], "standby": 500,
        "start": 1000, "config": {"meter_limits": list(METER)},
    }],
}  # fmt: skip


def finish(steps) -> int:
    """Return the verdict of a switch."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def staged(store, plan: bytes, size: int = 20, lamp: int = 0) -> PlanStage:
    stage = PlanStage(store, lamp)
    stage.load()
    for at in range(0, len(plan), size):
        assert stage.stage(at, hash8_of(plan), plan[at : at + size]) == table.STAGED
    return stage


def switch(stage: PlanStage, plan: bytes, **changes) -> int:
    hash8 = changes.pop("hash8", hash8_of(plan))
    signature = changes.pop("signature", b"")
    verify = changes.pop("verify", None)
    return finish(stage.switch_steps(changes.pop("length", len(plan)), hash8, signature, verify, **changes))


@given(st.binary(min_size=1, max_size=600), st.integers(10, 90), st.randoms(use_true_random=False))
def test_chunks_come_in_any_order_and_more_than_once(data, size, rng):
    """A radio delivers out of order and again. So the whole is what was sent, however its parts came."""
    chunks = [(at, data[at : at + size]) for at in range(0, len(data), size)]
    order = chunks + rng.sample(chunks, rng.randint(0, len(chunks)))
    rng.shuffle(order)
    pieces = Pieces()
    for at, chunk in order:
        assert pieces.whole(b"k", len(data)) is None or at < len(data)
        assert pieces.add(b"k", at, chunk)
    assert pieces.whole(b"k", len(data)) == data
    assert pieces.whole(b"k", len(data) - 1) is None and pieces.whole(b"x", len(data)) is None
    assert pieces.add(b"k", len(data), b"x") and pieces.whole(b"k", len(data)) is None, "there is more"
    assert pieces.whole(b"k", len(data) + 1) == data + b"x"


@given(st.lists(st.tuples(st.integers(-5, 9000), st.binary(max_size=40), st.booleans()), max_size=150))
def test_what_is_staged_is_bounded(chunks):
    """Memory is where a lamp dies. So no sequence of chunks keeps more than the largest plan and
    32 stretches of it, and what is kept is what was sent."""
    pieces = Pieces(9)
    here: dict[bytes, dict[int, int]] = {b"a": {}, b"b": {}}
    for at, chunk, is_other in chunks:
        key = b"a" if is_other else b"b"
        is_kept = pieces.add(key, at, chunk)
        assert is_kept or at < 0 or not chunk or at + len(chunk) > PLAN_MAX_BYTES or len(pieces._ranges) > RANGES_MAX
        if is_kept:
            here[b"b" if is_other else b"a"].clear()
            here[key].update(enumerate(chunk, at))
        ranges = pieces._ranges
        assert len(ranges) <= 2 * RANGES_MAX and ranges == sorted(set(ranges))
        assert len(pieces._buffer) <= 9 + PLAN_MAX_BYTES
        known = {i for start, end in batched_pairs(ranges) for i in range(start, end)}
        assert known == set(here[pieces.key] if pieces.key else ())
        assert all(pieces._buffer[9 + i] == here[pieces.key][i] for i in known)


def batched_pairs(ranges: list[int]) -> list[tuple[int, int]]:
    """Return starts and ends as pairs."""
    return list(zip(ranges[::2], ranges[1::2], strict=True))


def test_a_plan_comes_into_force_and_stays():
    """What was acknowledged holds at the next start too."""
    store = CutStore()
    stage = staged(store, NEW)
    assert switch(stage, NEW) == table.STAGED
    assert stage.is_due(False, 0, 0), "at once needs no clock"
    assert stage.install() == NEW
    assert stage.hash8 == hash8_of(NEW) and not stage.is_next
    assert store.files == {"plan0": NEW}
    assert PlanStage(store, 0).load() == NEW
    # The ack was lost, and the operator says it again: nothing is written, and nothing has to be staged.
    writes = store.writes
    assert switch(stage, NEW) == table.DONE and store.writes == writes


def spoilt(plan: bytes) -> bytes:
    """A plan that says the lamp may fail dark: well formed, and refused by control."""
    return plan_of(500, failsafe=0)


BAD = {
    "holes": ({"length": len(NEW) + 1}, table.REFUSED),
    "nothing": ({"length": 0}, table.REFUSED),
    "another hash": ({"hash8": bytes(8)}, table.REFUSED),
    "no signature": ({"verify": lambda message, signature: iter(())}, table.SIGNATURE_WRONG),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_verified_changes_nothing(name):
    """Bad input is refused, and the plan in force stays in force."""
    changes, verdict = BAD[name]
    store = CutStore({"plan0": OLD})
    stage = staged(store, NEW)
    assert switch(stage, NEW, **changes) == verdict
    assert stage.what
    assert store.files == {"plan0": OLD} and not stage.is_next and stage.install() is None
    assert switch(stage, NEW) == table.STAGED, "what was staged is still there"


@given(st.integers(0, len(NEW) - 1), st.integers(0, 7))
def test_a_spoilt_plan_is_none(at, bit):
    """A bit that flips on the way is seen by the hash; one that flipped before that, by the plan's own check."""
    data = bytearray(NEW)
    data[at] ^= 1 << bit
    store = CutStore({"plan0": OLD})
    stage = staged(store, bytes(data))
    assert switch(stage, bytes(data)) == table.PLAN_INVALID
    stage = PlanStage(store, 0)
    stage.load()
    assert stage.stage(0, hash8_of(NEW), bytes(data)) == table.STAGED
    assert switch(stage, NEW) == table.PLAN_INVALID
    assert store.files == {"plan0": OLD}


def test_a_plan_that_fails_dark_is_refused():
    """The lamp fails lit: no signature makes another plan of it."""
    store = CutStore({"plan0": OLD})
    dark = spoilt(NEW)
    stage = staged(store, dark)
    assert switch(stage, dark) == table.PLAN_INVALID
    assert "fails lit" in stage.what


def test_the_sites_signature(tmp_path: Path):
    """A plan is as good as whoever stands behind it. So a node with the site's key takes what the host has signed with
    the private one, and nothing else; Ed25519 by two implementations, the node's and OpenSSL's."""
    public = public_key_of(KEY)

    def verify(message, signature):
        return (yield from verify_steps(public, message, signature))

    store = Store(str(tmp_path / "store"))
    store.write("plan0", OLD)
    stage = staged(store, NEW)
    good = sign_plan(NEW, KEY)
    for signature in (
        b"",
        bytes(64),
        good[:-1] + bytes((good[-1] ^ 1,)),
        sign_plan(OLD, KEY),
        sign_plan(NEW, bytes(32)),
    ):
        assert switch(stage, NEW, signature=signature, verify=verify) == table.SIGNATURE_WRONG
        assert store.read("plan0") == OLD and store.names() == ["plan0"]
    steps = stage.switch_steps(len(NEW), hash8_of(NEW), good, verify)
    assert sum(1 for _ in steps) > 200, "it rests between the steps of a signature"
    assert stage.install() == NEW and store.read("plan0") == NEW


def test_a_plan_changed_while_it_is_judged_is_refused():
    """Who may send commands may not sign plans. So a chunk that comes while the signature of the others is being looked
    at, and would ride along with it, is seen before anything is stored; sent again, the right one is taken."""
    store = CutStore({"plan0": OLD})
    stage = staged(store, NEW)
    other = plan_of(500)

    def verify(message, signature):
        stage.stage(30, hash8_of(NEW), other[30:])
        yield
        return True

    assert switch(stage, NEW, verify=verify) == table.REFUSED
    assert store.files == {"plan0": OLD} and not stage.is_next
    stage.stage(0, hash8_of(NEW), NEW)
    assert switch(stage, NEW) == table.STAGED and stage.install() == NEW


def test_a_plan_for_another_day():
    """A town changes its plans at an hour, all at once. So a plan waits for its moment, over power cuts, and a node
    without a clock goes on by the old one."""
    store = CutStore({"plan0": OLD})
    stage = staged(store, NEW)
    assert switch(stage, NEW, start_day=DAY, start_s=NOON) == table.STAGED
    again = PlanStage(store, 0)
    assert again.load() == OLD and again.is_next
    assert not again.is_due(True, DAY, NOON - 1) and not again.is_due(True, DAY - 1, NOON + 5)
    assert not again.is_due(False, DAY + 5, 0)
    assert again.is_due(True, DAY, NOON) and again.is_due(True, DAY + 1, 0)
    assert again.install() == NEW
    assert store.files == {"plan0": NEW}


def test_the_last_switch_wins():
    """Whoever decides last decides. So a switch replaces one that was to come, and one to the plan in force calls it
    off."""
    store = CutStore({"plan0": OLD})
    stage = staged(store, NEW)
    assert switch(stage, NEW, start_day=DAY, start_s=0) == table.STAGED
    assert switch(stage, OLD) == table.DONE
    assert store.files == {"plan0": OLD} and not stage.is_next
    third = plan_of(400)
    stage = staged(store, NEW)
    assert switch(stage, NEW, start_day=DAY, start_s=0) == table.STAGED
    stage.stage(0, hash8_of(third), third)
    assert switch(stage, third) == table.STAGED
    assert stage.install() == third and store.files == {"plan0": third}


def test_outputs_do_not_mix():
    """Two lamps on one pole have two plans. So a chunk for one is none for the other, and memory is taken once."""
    store = CutStore()
    tray = [None]
    road, path = PlanStage(store, 0, tray), PlanStage(store, 1, tray)
    assert road.stage(0, hash8_of(NEW), NEW) == table.STAGED
    assert switch(path, NEW) == table.REFUSED
    assert path.stage(0, hash8_of(OLD), OLD) == table.STAGED
    assert switch(road, NEW) == table.REFUSED, "its chunks have made room"
    assert switch(path, OLD) == table.STAGED and path.install() == OLD
    assert store.files == {"plan1": OLD}


def test_a_full_flash_changes_nothing():
    """Flash wears out. So a switch that cannot be stored is refused, one that was accepted is tried again, and the lamp
    goes on by its old plan."""
    store = CutStore({"plan0": OLD})
    stage = staged(store, NEW)
    store.refuses = ("next0",)
    assert switch(stage, NEW) == table.STORE_FAILED
    assert store.files == {"plan0": OLD} and not stage.is_next
    store.refuses = ("plan0",)
    assert switch(stage, NEW) == table.STAGED, "it needs not be sent again"
    assert stage.install() is None and stage.is_next and stage.hash8 == hash8_of(OLD)
    store.refuses = ()
    assert stage.install() == NEW and store.files == {"plan0": NEW}


def test_a_plan_of_an_older_firmware_is_dropped():
    """A plan may wait while the firmware is updated. So it is looked at again when its moment comes."""
    store = CutStore({"plan0": OLD})
    stage = staged(store, NEW)
    assert switch(stage, NEW, start_day=DAY, start_s=0) == table.STAGED
    store.files["next0"] = store.files["next0"][:9] + b"RVP\x01" + NEW[4:]
    again = PlanStage(store, 0)
    again.load()
    assert again.install() is None and "format 1" in again.what
    assert store.files == {"plan0": OLD} and not again.is_next


@given(st.binary(max_size=40))
def test_any_bytes_in_the_store(data):
    """Who wrote that file? So whatever it holds, the node starts, and the plan in force is what it was."""
    store = CutStore({"plan0": OLD, "next0": data})
    stage = PlanStage(store, 0)
    assert stage.load() == OLD
    if stage.is_due(True, 80000, 0):
        assert stage.install() is None
    assert store.files["plan0"] == OLD


@pytest.mark.parametrize("former", [OLD, None])
def test_a_switch_can_be_taken_back(tmp_path: Path, former):
    """A plan that control takes and the node cannot run (memory) must not be tried at each start. So the one before,
    which the store still has, is in force again, there and at the next start; and the next switch works."""
    store = Store(str(tmp_path / "store"))
    if former:
        store.write("plan0", former)
    stage = staged(store, NEW)
    assert switch(stage, NEW) == table.STAGED and stage.install() == NEW
    stage.roll_back()
    assert stage.hash8 == (hash8_of(former) if former else bytes(8))
    for each in (store, Store(str(tmp_path / "store"))):
        assert each.read("plan0") == former
    stage = staged(store, NEW)
    assert switch(stage, NEW) == table.STAGED and stage.install() == NEW and store.read("plan0") == NEW


@pytest.mark.parametrize("is_late", [False, True])
def test_no_cut_loses_a_plan_or_mixes_two(is_late):
    """Feeders are cut every day. So at every cut, at any write of two switches, one of the two plans is in force and
    lit; what was accepted comes into force without another word, and the next switch works."""
    outcomes = []
    for dies_at in range(CUTS):
        outcome, is_cut = cut_switch(dies_at, is_late)
        outcomes.append(outcome)
        if not is_cut:
            break
    else:
        pytest.fail("more writes than expected")
    assert len(outcomes) > 8
    assert {"old old 800", "new new 800", "new old 800"} <= set(outcomes)
    assert set(outcomes) <= {"old old 800", "old new 800", "new new 800", "new old 800"}


def config_bytes(**changes) -> bytes:
    return json.dumps({**CONFIG, **changes}).encode()


def write_all(stage: ConfigStage, data: bytes, seed: int = 0, hash8: bytes | None = None) -> list[int]:
    chunks = [(at, data[at : at + 50]) for at in range(0, len(data), 50)]
    random.Random(seed).shuffle(chunks)
    hash8 = hash8 or hashlib.sha256(data).digest()[:8]
    return [stage.write(at, len(data), hash8, chunk) for at, chunk in chunks]


@pytest.mark.parametrize("seed", range(4))
def test_a_configuration_comes_whole(tmp_path: Path, seed):
    """A node with half a configuration is a lamp without a driver. So it is used when it is all there, and checked."""
    stage = ConfigStage(Store(str(tmp_path / "store")), None, 1234)
    data = config_bytes()
    verdicts = write_all(stage, data, seed)
    assert verdicts[:-1] == [table.STAGED] * (len(verdicts) - 1) and verdicts[-1] == table.DONE
    length, hash8, chunk = stage.read(3, 20)
    assert (length, hash8, chunk) == (len(data), hash8_of(data), data[3:23])
    assert stage.read(len(data), 20)[2] == b""


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"format": 2}, "format"), ({"id": 77}, "node 77"), ({"lamps": []}, "lamps"), ({"place": []}, "wrong kind"),
        ({"lamps": [{**CONFIG["lamps"][0], "config": {"colour": 1}}]}, "colour"),
        ({"lamps": [{**CONFIG["lamps"][0], "config": []}]}, "wrong kind"),
    ],
)  # fmt: skip
def test_a_configuration_of_no_use_is_refused(changes, what):
    """What the next start cannot use must not wait for it."""
    store = CutStore({"config": b"before"})
    stage = ConfigStage(store, None, 1234)
    assert write_all(stage, config_bytes(**changes))[-1] == table.REFUSED
    assert what in stage.what
    assert store.files == {"config": b"before"}
    for data in (b"{", b"\xff\xfe", b"[]", b"null"):
        assert write_all(stage, data)[-1] == table.REFUSED
    assert write_all(stage, config_bytes(), hash8=bytes(8))[-1] == table.REFUSED
    assert store.files == {"config": b"before"}
    store.refuses = ("config",)
    assert write_all(stage, config_bytes())[-1] == table.STORE_FAILED


def test_the_same_on_the_chips_interpreter(micropython_runtime, capsys, tmp_path):
    """What the chip runs is MicroPython: it loses as little at each cut, and signatures rest as often."""
    for section in ("cuts", "real"):
        acts_main.main([section, str(tmp_path / ("here" + section))])
        here = capsys.readouterr().out
        done = micropython_runtime.run(["tests/node/acts_main.py", section, str(tmp_path / ("there" + section))])
        assert done.returncode == 0, done.stderr
        assert done.stdout == here
    assert "unsigned 19 600 None" in here
    assert "meanwhile [16, 3] 1000" in here, "busy; and the emergency does not wait for a signature"
    assert "then [[900, 9, 3]] 1000 7" in here, "the plan has changed, and the emergency goes on"
    assert "resumed 800 True None" in here
