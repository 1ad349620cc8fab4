"""What a node writes down of its night is all that anybody will ever know of it: it must be whole, bounded, true."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from firmware.control.inputs import Now, Seen
from firmware.system import journal_format as layout
from firmware.system.intake import Intake
from firmware.system.intake_apply import INPUT_PRESENCE, KINDS, apply_input, is_valid
from firmware.system.journal import Journal
from firmware.system.journal_format import crc16
from firmware.system.journal_read import JournalError, Segment, bounds_of, fuzz_journal
from host_tools.cli import app
from sim.journal_replay import ReplayError, read_runs, replay_folder
from sim.lamp_replay import build_controller
from tests.control.lamp_nights import lamp_nights
from tests.node.journal_main import Clock, live, main

HASH = b"01234567"
NIGHTS = 12
CUTS = "tests/node/cuts_main.py"


def entries():
    """Any input that is valid."""
    return st.integers(0, KINDS - 1).flatmap(
        lambda kind: st.tuples(st.just(kind), *(st.integers(least, most) for least, most in bounds_of(kind)))
    )


def records_of(folder: Path) -> list[tuple[int, int, list[int]]]:
    found = []
    for file in sorted(folder.glob("*.jnl")):
        segment = Segment(file.read_bytes())
        while segment.next():
            found.append((segment.tick, segment.kind, segment.values))
        assert not segment.is_torn
    return found


def written(folder: Path, **keys) -> Journal:
    journal = Journal(str(folder), **keys)
    journal.start_run(0, 0, HASH, HASH, "1.0", 1000)
    return journal


def test_the_checksum_is_the_one_of_the_catalogue():
    """A host reads what a node wrote years ago. So the CRC is a named one: CRC-16/IBM-3740 has the check value 0x29B1
    (catalogue of parametrised CRC algorithms)."""
    assert crc16(b"123456789", 0, 9) == 0x29B1
    assert crc16(b"", 0, 0) == 0xFFFF


@given(st.lists(st.tuples(st.integers(0, 3), entries(), st.integers(0, 2**28)), max_size=40))
def test_what_is_written_is_read(tmp_path_factory, items):
    """A replay is as true as its inputs. So every input that a node can take comes back as it was, at its tick."""
    folder = tmp_path_factory.mktemp("journal")
    journal = written(folder)
    tick = 0
    expected = []
    for lamp, entry, ahead in items:
        tick = (tick + ahead) & 0x3FFFFFFF
        journal.input(tick, lamp, entry)
        expected.append((tick, entry[0], list(entry[1:])))
    assert journal.flush(tick)
    assert records_of(folder)[1:] == expected


def test_a_decision_may_lie_before_the_input_that_comes_after(tmp_path):
    """A late node carries a deadline out at its own tick. So ticks go back in a journal, also over the ring's end."""
    journal = written(tmp_path)
    journal.input(100, 0, (INPUT_PRESENCE, 1))
    journal.decision(0x3FFFFFF0, 0, 300, 500, 3, 1)
    journal.flush(100)
    assert [record[0] for record in records_of(tmp_path)] == [0, 100, 0x3FFFFFF0]


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(data):
    """A damaged flash is copied to the host with the rest. So no bytes end the reader otherwise than it says."""
    try:
        fuzz_journal(data)
    except JournalError as error:
        assert 0 <= error.place <= len(data) and error.what


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.integers(0, 2**32 - 1))
def test_whole_frames_of_nonsense_are_refused_or_read(bodies, sequence):
    """A right checksum over nonsense is a newer format or our fault. So it is said with its place, not guessed."""
    data = bytearray(layout.HEADER_SIZE)
    layout.put_header(data, sequence, 5, 1)
    for body in bodies:
        frame = bytes([len(body)]) + body
        data += frame + crc16(frame, 0, len(frame)).to_bytes(2, "little")
    try:
        assert fuzz_journal(bytes(data)) == len(bodies)
    except JournalError as error:
        assert layout.HEADER_SIZE <= error.place <= len(data)


def test_a_torn_tail_costs_one_record(tmp_path):
    """A cut may leave half a frame on a file system that is none of ours. So at every byte of a segment the reader
    stops at the last whole frame, and says that it is torn."""
    journal = written(tmp_path)
    for number in range(20):
        journal.decision(number * 1000, 0, number, 300, 3, 1)
    journal.flush(20_000)
    data = next(tmp_path.glob("*.jnl")).read_bytes()
    ends = []
    whole = Segment(data)
    while whole.next():
        ends.append(whole.end)
    for size in range(layout.HEADER_SIZE, len(data)):
        segment = Segment(data[:size])
        count = 0
        while segment.next():
            count += 1
        assert count == sum(end <= size for end in ends)
        assert segment.is_torn == (size not in (layout.HEADER_SIZE, *ends))


def test_a_flipped_bit_is_never_a_record(tmp_path):
    """Bits rot. So with any one bit of a segment changed the records before it stand and nothing false comes after."""
    journal = written(tmp_path)
    for number in range(12):
        journal.decision(number * 1000, 0, number, 300, 3, 1)
    journal.flush(20_000)
    data = bytearray(next(tmp_path.glob("*.jnl")).read_bytes())
    right = records_of(tmp_path)
    for bit in range(len(data) * 8):
        data[bit // 8] ^= 1 << bit % 8
        try:
            segment = Segment(bytes(data))
            found = []
            while segment.next():
                found.append((segment.tick, segment.kind, segment.values))
            assert found == right[: len(found)] and len(found) < len(right)
        except JournalError:
            assert bit < layout.HEADER_SIZE * 8
        data[bit // 8] ^= 1 << bit % 8


def test_the_ring_is_bounded_and_loses_the_oldest(tmp_path):
    """A journal that fills the flash takes the plan's place. So the space is bounded, and what goes is the oldest."""
    for boot in range(30):
        journal = Journal(str(tmp_path), None, boot, segments=4, segment_bytes=2048)
        journal.start_run(boot, 0, HASH, HASH, "1.0", 1000)
        for number in range(100):
            journal.decision(number, 0, number, 300, 3, 1)
            if journal.is_due(number):
                assert journal.flush(number)
        journal.flush(100)
        files = list(tmp_path.glob("*.jnl"))
        assert len(files) <= 4 and sum(file.stat().st_size for file in files) <= 4 * 2048
    assert read_runs(tmp_path)[-1].boot == 29
    assert journal.lost == 0


def test_short_boots_do_not_push_out_the_night(tmp_path):
    """A contactor that chatters boots the node a hundred times at dusk. So boots share a segment, and nothing at all is
    written before the guard opens."""

    class Guard:
        is_ready = False

        def is_open(self):
            return self.is_ready

    guard = Guard()
    for boot in range(50):
        journal = Journal(str(tmp_path / "j"), guard, boot, segments=4)
        journal.start_run(5, 0, HASH, HASH, "1.0", 1000)
        assert not journal.flush(700_000)
    assert not (tmp_path / "j").exists()
    guard.is_ready = True
    for boot in range(50):
        journal = Journal(str(tmp_path / "j"), guard, boot, segments=4)
        journal.start_run(5, 0, HASH, HASH, "1.0", 1000)
        assert journal.flush(700_000)
    assert len(list((tmp_path / "j").glob("*.jnl"))) == 1
    assert [run.boot for run in read_runs(tmp_path / "j")] == list(range(50))


def test_a_full_buffer_becomes_a_gap(tmp_path, monkeypatch):
    """Where the flash refuses for long, records must go: a hole that shows is better than a night that seems whole. So
    the gap is counted, written, and the run is not followed beyond it."""
    journal = written(tmp_path / "j")
    monkeypatch.setattr(journal, "_open", lambda: (_ for _ in ()).throw(OSError(28)))
    for number in range(300):
        journal.decision(number, 0, number, 300, 3, 1)
    assert journal.lost > 100 and journal.failures > 0
    monkeypatch.undo()
    assert journal.flush(300)
    journal.decision(400, 0, 1, 300, 3, 1)
    journal.flush(1000)
    kinds = [record[1:] for record in records_of(tmp_path / "j")]
    assert (layout.GAP, [journal.lost]) in kinds
    run = read_runs(tmp_path / "j")[0]
    assert f"{journal.lost} record(s) were lost" in run.cut and len(run.records) == 300 - journal.lost


@pytest.mark.parametrize("share", ["none", "all", "part"])
def test_an_append_that_failed_is_not_written_twice(tmp_path, share):
    """An error at close says nothing of what reached the flash. So the next flush looks, and no record stands twice."""
    journal = written(tmp_path)
    journal.flush(0)
    good = journal._append

    def failing(path, mode, data):
        kept = {"none": 0, "all": len(data), "part": len(data) // 2}[share]
        if kept:
            good(path, mode, bytes(data[:kept]))
        raise OSError(5)

    journal.decision(10, 0, 111, 300, 3, 1)
    journal._append = failing
    assert not journal.flush(10)
    journal._append = good
    journal.decision(20, 0, 222, 300, 3, 1)
    assert journal.flush(20)
    run = read_runs(tmp_path)[0]
    levels = [values[0] for _, kind, values in run.records if kind == layout.DECISION]
    assert levels == ([111, 222] if share != "part" else [])
    assert bool(run.cut) == (share == "part")


def test_a_quiet_week_keeps_its_ticks(tmp_path):
    """Ticks are a ring: two records further apart than half of it would be told in the wrong order. So a mark is set
    every day."""
    journal = written(tmp_path)
    for hour in range(24 * 14):
        tick = hour * 3_600_000 & 0x3FFFFFFF
        if journal.is_due(tick):
            assert journal.flush(tick)
    marks = [record for record in records_of(tmp_path) if record[1] == layout.MARK]
    assert len(marks) >= 13


# --- inputs and replay -----------------------------------------------------------------------------------------------


def test_an_input_out_of_range_changes_nothing(tmp_path):
    """A driver's fault must not become the lamp's. So a value beyond its bounds reaches neither lamp nor journal."""
    seen, journal = Seen(), Journal(str(tmp_path))
    intake = Intake(None, seen, Now(), journal, Clock(0))
    for entry in ((0, 2), (1, 4, 0, 0, 0), (2, -2), (6, 0, 1001, 0, 0, -1, 0, -1, 0), (13, 0), (0,), (0, 1, 1)):
        assert not intake.take(entry)
    assert (seen.changes, journal._used, intake.refused) == (0, 0, 7)


@given(entries())
def test_each_valid_input_is_applied(entry):
    """The table of bounds and the code that applies must not part. So every kind in one is known to the other."""

    class Corrected:
        count = 0

        def correct(self, *values):
            self.count += 1

    seen, clock = Seen(), Corrected()
    assert is_valid(entry[0], entry[1:])
    apply_input(clock, seen, 0, entry)
    assert seen.changes + clock.count == 1


def test_a_copy_of_a_message_costs_neither_decision_nor_flash(tmp_path):
    """On an evening with the wave every second message is a copy. So a copy, an echo and a stranger's message are
    counted by the wave and reach neither controller nor journal; the next news does both."""
    record = {**next(iter(lamp_nights(1))), "config": {"own_id": 20, "neighbours": [[21, -1], [22, 1]]}}
    controller, seen, journal = build_controller(record), Seen(), Journal(str(tmp_path))
    intake = Intake(controller, seen, Now(), journal, Clock(0))
    intake.wake()
    assert intake.message(21, 21, 1, 1, 0)
    used, bubble = journal._used, controller.street.bubble
    assert (seen.messages, bubble.accepted) == (1, 1) and used > 0
    for sender, origin in ((22, 21), (21, 21), (21, 20), (99, 21)):
        assert intake.message(sender, origin, 1, 0, 1)
    assert (seen.messages, journal._used) == (1, used)
    assert (bubble.accepted, bubble.duplicate, bubble.unknown) == (1, 3, 1)
    assert intake.message(21, 21, 2, 1, 0)
    assert (seen.messages, bubble.accepted) == (2, 2) and journal._used > used
    assert not intake.message(70_000, 21, 3, 1, 0) and intake.refused == 1


def test_edges_from_an_interrupt_arrive_in_order():
    """A pulse shorter than the task's turn is a passer all the same. So edges wait in a ring, and when it is full the
    newest state wins: a sensor that is quiet now is not seen as stuck."""
    found = []
    intake = Intake(None, Seen(), Now(), None, Clock(0))
    intake.presence = found.append
    for turn in range(200):
        for value in (1, 0, 1) if turn % 2 else (0,):
            intake.post_presence(value)
        intake.take_posted()
    assert found == [value for turn in range(200) for value in ((1, 0, 1) if turn % 2 else (0,))]
    found.clear()
    for number in range(21):
        intake.post_presence(number & 1)
    intake.take_posted()
    assert len(found) == 8 and found[-1] == 0 and intake.lost_edges == 13


def test_a_new_controller_is_told_who_stands_there():
    """Somebody reads his letters under the lamp when its plan is switched. Sensors tell changes only, so what the old
    controller saw is given to the new one, with the edge that came during the switch; nobody is left in the dark."""
    former, later = Intake(None, Seen(), Now(), None, Clock(0)), Intake(None, Seen(), Now(), None, Clock(0))
    found = []
    later.take = found.append
    later.take_over(former)
    assert found == []
    former.seen.presence, former.seen.lux, former.seen.temperature_dc, former.seen.may_dim = 1, 0, -45, 1
    later.take_over(former)
    assert found == [(0, 1), (2, 0), (9, -45), (12, 1)]
    former.post_presence(1)
    former.post_presence(0)
    found.clear()
    later.take_over(former)
    assert (0, 1) not in found


@pytest.fixture(scope="module")
def nights(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("nights") / "records.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in lamp_nights(NIGHTS)), encoding="utf-8")
    return file


@pytest.mark.parametrize("late_ms", [0, 1, 370])
def test_a_nodes_journal_is_decided_again_without_a_difference(nights, tmp_path, late_ms, capsys):
    """Who looks into a complaint three weeks later has the journal and nothing else. So nights of every kind, lived by
    a node that is on time or late, are decided again to the same decisions, bit for bit."""
    main([str(nights), str(tmp_path), str(late_ms)])
    lived = [int(line.split()[1]) for line in capsys.readouterr().out.splitlines()]
    outcomes = replay_folder(tmp_path)
    assert [outcome.difference for outcome in outcomes] == [None] * NIGHTS
    assert [outcome.skipped + outcome.run.cut for outcome in outcomes] == [""] * NIGHTS
    assert [outcome.decisions for outcome in outcomes] == lived and sum(lived) > 200


def test_a_chips_journal_is_decided_again_on_a_server(micropython_runtime, nights, tmp_path):
    """The node has 31-bit integers and another interpreter. So what MicroPython lives and writes down, power cut before
    the last flush, a server decides again without a difference."""
    done = micropython_runtime.run(["tests/node/journal_main.py", nights, tmp_path, "5", "0"])
    assert done.returncode == 0, done.stderr
    outcomes = replay_folder(tmp_path)
    assert outcomes and all(outcome.difference is None and not outcome.skipped for outcome in outcomes)
    assert sum(outcome.decisions for outcome in outcomes) > 100


def run_verb(folder: Path):
    return CliRunner().invoke(app, ["sim", "replay", str(folder)])


def lived_folder(tmp_path: Path, number: int = 0) -> Path:
    record = max(lamp_nights(NIGHTS), key=lambda one: len(one["inputs"]))
    live(record, str(tmp_path), 1, 0, True)
    return tmp_path


def test_the_verb_finds_the_first_difference(tmp_path):
    """A replay that agrees with everything proves nothing. So a plan that another one has taken the place of shows, at
    its tick and its time of day, and the command says so with its exit code."""
    folder = lived_folder(tmp_path)
    agreed = run_verb(folder)
    assert agreed.exit_code == 0 and "first difference: none" in agreed.output
    # One decision is changed where it is written down, and its frame closed again.
    file = next(folder.glob("*.jnl"))
    data = bytearray(file.read_bytes())
    segment = Segment(bytes(data))
    decisions = 0
    while decisions < 3:
        start = segment.end
        assert segment.next()
        decisions += segment.kind == layout.DECISION
    frame = bytearray(layout.FRAME_MAX)
    before = Segment(bytes(data))
    while before.end != start:
        before.next()
    values = [segment.values[0] ^ 1, *segment.values[1:]]
    end = layout.put_frame(frame, 0, 0, layout.DECISION, segment.tick - before.tick, values)
    data[start : segment.end] = frame[:end]
    file.write_bytes(data)
    outcome = replay_folder(folder)[0]
    assert outcome.difference is not None
    assert outcome.difference.expected[1] ^ outcome.difference.got[1] == 1
    found = run_verb(folder)
    assert found.exit_code == 1
    assert f"FIRST DIFFERENCE at tick {outcome.difference.tick}" in found.output


def test_bad_input_is_refused_with_place_and_remedy(tmp_path):
    """Whoever copied half a folder must hear which half. So each refusal names file and byte, and what to do."""
    assert "no journal segment" in run_verb(tmp_path).output
    assert run_verb(tmp_path).exit_code == 2
    folder = lived_folder(tmp_path)
    next(folder.glob("*.bin")).rename(folder / "plan.txt")
    lacking = run_verb(folder)
    assert lacking.exit_code == 2 and "not in the folder" in lacking.output
    (folder / "plan.txt").rename(folder / "plan.bin")
    assert run_verb(folder).exit_code == 0
    first = sorted(folder.glob("*.jnl"))[0]
    whole = first.read_bytes()
    first.write_bytes(b"RVJ2" + whole[4:])
    refused = run_verb(folder)
    assert refused.exit_code == 2 and first.name in refused.output and "byte 0" in refused.output
    with pytest.raises(ReplayError, match="copy it again"):
        replay_folder(folder)
    first.write_bytes(whole)
    config = next(folder.glob("*.json"))
    text = config.read_bytes()
    config.write_bytes(text + b" ")
    assert "configuration" in run_verb(folder).output
    assert os.listdir(folder)


def test_a_run_without_its_beginning_is_told_apart(tmp_path):
    """The ring drops the oldest segment, and with it a run's beginning. So the rest is named and not judged, and other
    runs are."""
    folder = lived_folder(tmp_path)
    record = max(lamp_nights(NIGHTS), key=lambda one: len(one["inputs"]))
    while len(list(folder.glob("*.jnl"))) < 2:
        live(record, str(folder), len(list(folder.glob("*.json"))) + 1, 0, True)
    live(record, str(folder), 99, 0, True)
    sorted(folder.glob("*.jnl"))[0].unlink()
    outcomes = replay_folder(folder)
    assert outcomes[-1].difference is None and not outcomes[-1].skipped
    assert run_verb(folder).exit_code == 0


# --- power cuts ------------------------------------------------------------------------------------------------------


def figures(done) -> dict[str, int]:
    assert done.returncode == 0, done.stderr
    words = done.stdout.splitlines()[-1].split()
    return {words[i]: int(words[i + 1]) for i in range(0, len(words), 2)}


def test_no_cut_costs_a_flushed_record(micropython_runtime, record_property):
    """The feeder is cut at dawn in the middle of anything. So at every operation of an append, of a new segment and of
    the drop of an old one, half done or done and not acknowledged (all ways: in the soak), all that was flushed is
    there and the next boot goes on."""
    found = figures(micropython_runtime.run([CUTS, "sweep", "journal", "13"]))
    record_property("cuts", found["cuts"])
    assert found["cuts"] >= 60 and found["lost"] == 0 and found["completed"] == found["cuts"]


def test_a_full_flash_costs_no_old_record(micropython_runtime):
    """Flash runs full one day. So with any room that is left a flush is refused or done, and old records stay."""
    found = figures(micropython_runtime.run([CUTS, "full", "journal"]))
    assert found["lost"] == 0 and found["completed"] > 0


@pytest.mark.soak
def test_thousands_of_nested_cuts(micropython_runtime, record_property):
    """One cut is a test, a feeder's lifetime is many in a row. So thousands of random cuts, one to six in a row, lose
    nothing that was flushed."""
    found = figures(micropython_runtime.run([CUTS, "sweep", "journal"], timeout_s=120))
    assert found["cuts"] > 100 and found["lost"] == 0
    found = figures(micropython_runtime.run([CUTS, "nested", "journal", "7", "5000"], timeout_s=600))
    record_property("cuts", found["cuts"])
    assert found["cuts"] >= 5000 and found["lost"] == 0
