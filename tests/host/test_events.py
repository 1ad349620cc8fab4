"""Files of events: what a person may write, and what is refused with its line, reason and remedy."""

import csv
import io
import json
from datetime import UTC, datetime

import pytest

from firmware.control.inputs import COMMAND_OVERRIDE, COMMAND_RESUME
from host_tools.plan.events import EVENTS_MAX, Event, EventsError, Override, read_events, read_override

HEADER = "utc,kind,value\n"


def written(tmp_path, text: str):
    """Write a file of events."""
    file = tmp_path / "events.csv"
    file.write_text(text, encoding="utf-8")
    return file


def problems(tmp_path, text: str) -> list[str]:
    """Return what is wrong with a file."""
    with pytest.raises(EventsError) as caught:
        read_events(written(tmp_path, text))
    return [str(problem) for problem in caught.value.problems]


def test_every_kind_is_read(tmp_path):
    """An operator writes a night by hand: every kind, plain, in UTC."""
    text = HEADER + (
        "2026-06-21T20:00:00Z,presence,1\n"
        "2026-06-21T20:00:30.250Z,presence,0\n"
        "2026-06-21T22:01:00+02:00,lux,35\n"
        "2026-06-21 20:02,lux,none\n\n"
        "2026-06-21T20:03Z, external , 400\n"
        "2026-06-21T20:03Z,local,12.5\n"
        "2026-06-21T20:03Z,neighbour,1\n"
        "2026-06-21T20:04Z,temperature,-12.5\n"
        "2026-06-21T20:05Z,clock,held\n"
        "2026-06-21T20:06Z,clock,2026-01-01T00:00:00Z\n"
        "2026-06-21T20:07Z,override,null\n"
    )
    found = [(event.utc.strftime("%H:%M:%S.%f")[:-3], event.kind, event.value) for event in read_events(
        written(tmp_path, text)
    )]  # fmt: skip
    assert found == [
        ("20:00:00.000", "presence", 1),
        ("20:00:30.250", "presence", 0),
        ("20:01:00.000", "lux", 35),
        ("20:02:00.000", "lux", None),
        ("20:03:00.000", "external", 400),
        ("20:03:00.000", "local", 125),
        ("20:03:00.000", "neighbour", 1),
        ("20:04:00.000", "temperature", "-12.5"),
        ("20:05:00.000", "clock", "held"),
        ("20:06:00.000", "clock", datetime(2026, 1, 1, tzinfo=UTC)),
        ("20:07:00.000", "override", Override(COMMAND_RESUME)),
    ]


COMMAND = {
    "state": {"name": "LevelState", "value": 80},
    "rampToLevelTime": 2.5,
    "rampFromLevelTime": 4,
    "reason": "override",
    "cmsRefId": "a,b",
    "start": "2026-06-21T22:30:00+02:00",
    "expiration": "2026-06-21T21:30:00Z",
}


def test_an_override_as_talq_has_it(tmp_path):
    """What a CMS sent is pasted as it is, with or without the quotes that CSV wants, as OverrideCommand or Command."""
    expected = Override(
        COMMAND_OVERRIDE, 800, 2500, 4000, datetime(2026, 6, 21, 20, 30, tzinfo=UTC),
        datetime(2026, 6, 21, 21, 30, tzinfo=UTC),
    )  # fmt: skip
    quoted = io.StringIO()
    csv.writer(quoted).writerow(
        ["2026-06-21T20:00Z", "override", json.dumps({"addresses": ["x"], "targetCommand": COMMAND})]
    )
    text = f"{HEADER}2026-06-21T20:00Z,override,{json.dumps(COMMAND)}\n{quoted.getvalue()}"
    assert [event.value for event in read_events(written(tmp_path, text))] == [expected, expected]


@pytest.mark.parametrize("text", ["null", '{"targetCommand": null}', '{"addresses": []}', "{}"])
def test_no_target_command_resumes(text):
    """TALQ: an OverrideCommand without targetCommand ends the one in force."""
    assert read_override(text) == Override(COMMAND_RESUME)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{state: 1}", "not JSON"),
        ('{"state": 101}', "whole percent from 0 to 100"),
        ('{"state": true}', "whole percent"),
        ('{"rampToLevelTime": 1}', "state None is no level"),
        ('{"state": {"name": "RGBState"}}', "LevelState"),
        ('{"state": 1, "ramp": 3}', "ramp not known: TALQ's are"),
        ('{"state": 1, "reason": "sensor"}', "write kind external"),
        ('{"state": 1, "rampToLevelTime": 1001}', "seconds from 0 to 1000"),
        ('{"state": 1, "rampFromLevelTime": NaN}', "seconds from 0 to 1000"),
        ('{"state": 1, "start": "2026-06-21T20:00"}', "has no offset"),
        ('{"state": 1, "expiration": "2026-06-21T20:00:00.5Z"}', "finer than a second"),
        ('{"state": 1, "start": "2026-06-21T20:00Z", "expiration": "2026-06-21T20:00Z"}', "expires before it starts"),
        ("[1]", "is an object"),
    ],
)
def test_a_wrong_override_is_refused(text, said):
    """A command that is misread would light or darken a street: each fault is named."""
    with pytest.raises(ValueError, match="override: ") as caught:
        read_override(text)
    assert said in str(caught.value)


def test_all_faults_are_told_at_once_with_their_lines(tmp_path):
    """Nobody wants to correct a file one error a run."""
    found = problems(
        tmp_path,
        HEADER
        + "2026-06-21T20:00Z,presence,2\n"
        + "2026-06-21T20:00Z,presence,1\n"
        + "2026-06-21T19:00Z,lux,5\n"
        + "tonight,lux,5\n"
        + "2026-06-21,lux,5\n"
        + "2026-06-21T21:00Z,lux,-1\n"
        + "2026-06-21T21:00Z,presense,1\n"
        + "2026-06-21T21:00Z,local,100.5\n"
        + "2026-06-21T21:00Z,clock,late\n"
        + "2026-06-21T21:00Z,temperature,hot\n"
        + "2026-06-21T21:00Z;lux;5\n"
        + "2031-06-21T21:00Z,lux,5\n"
        + "1999-06-21T21:00Z,lux,5\n",
    )
    assert [line.split(":")[0] for line in found] == [f"line {number}" for number in (2, 4, *range(5, 15))]
    said = "\n".join(found)
    for part in (
        "write 1 while it is there", "put the lines in order of time", "write UTC like", "has no time of day",
        "a whole number from 0 to 1000000", "write one of presence", "percent from 0 to 100", "good, held, doubted",
        "degrees Celsius", "1 column(s)", "split the file", "2020 to 2199",
    ):  # fmt: skip
        assert part in said


def test_files_that_are_none(tmp_path):
    """The wrong file, or none, is said in a sentence and not in a traceback."""
    assert "header is missing" in problems(tmp_path, "time,kind,value\n")[0]
    assert "header is missing" in problems(tmp_path, "")[0]
    assert "at most" in problems(tmp_path, HEADER + "2026-06-21T20:00Z,lux,1\n" * (EVENTS_MAX + 1))[0]
    with pytest.raises(EventsError) as caught:
        read_events(tmp_path / "none.csv")
    assert "cannot be read" in str(caught.value.problems[0])
    file = tmp_path / "latin.csv"
    file.write_bytes(b"utc,kind,value\n\xe9")
    with pytest.raises(EventsError) as caught:
        read_events(file)
    assert "UTF-8" in str(caught.value.problems[0])


def test_a_header_alone_is_a_quiet_night(tmp_path):
    """Nothing happened: that is a night too; a mark of Windows' editors before the header does no harm."""
    assert read_events(written(tmp_path, "\ufeffutc, kind, value\n")) == []
    assert Event(datetime(2026, 1, 1, tzinfo=UTC), "lux", 1).value == 1
