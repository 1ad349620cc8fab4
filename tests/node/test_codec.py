"""The payload: what a node tells and hears, on both radios, in bytes that two sides check."""

from __future__ import annotations

import re

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.control import faults
from firmware.links import codec, codec_fields
from host_tools import payload
from host_tools.payload import PayloadError
from host_tools.payload_table import BY_VERB, COMMANDS, ENVELOPE, MESSAGES, REPORTS, VERSION, Field, Message
from tests.node import links_main

HEAP_MAX_BYTES = 9216
# Reports whose last field is as long as the message: only for links that carry it.
CHUNKED = ("configuration", "log")
# The twin's fields, each with a reason to leave the node (R19): a new one must be entered here by hand.
PERSONAL = re.compile(r"person|vehicle|plate|mac|presence_now|last_seen")


def values_of(field: Field) -> st.SearchStrategy:
    """Values that a field holds exactly."""
    if field.bits == 0:
        return st.binary(min_size=field.low, max_size=min(field.high, 120))
    found = st.integers(0, field.most).map(lambda code: field.low + code * field.scale)
    found |= st.sampled_from([field.low, field.high])
    return found | st.none() if field.unknown else found


def messages(table: tuple[Message, ...]) -> st.SearchStrategy:
    return st.sampled_from(table).flatmap(
        lambda message: st.tuples(st.just(message), st.tuples(*map(values_of, message.fields)).map(list))
    )


def packed(message: Message, values: list) -> bytes:
    """The rule of docs/payload.md restated on one large integer: an oracle that shares no code with the codec."""
    number = bits = 0
    done = b""
    for field, value in zip(message.fields, values, strict=True):
        if field.bits == 0:
            done += number.to_bytes((bits + 7) // 8, "little") + value
            number = bits = 0
            continue
        code = 2**field.bits - 1 if value is None else (value - field.low) // field.scale
        number |= code << bits
        bits += field.bits
    return done + number.to_bytes((bits + 7) // 8, "little")


def test_a_status_by_hand():
    """Whoever writes another decoder in ten years needs one message worked out on paper. Lamp 1 at 500 permille by the
    program's fixed control, high temperature active, clock good, 45.0 °C, 64.0 W, 5 to 9 detections, boots 3, tag 10:
    fields from the lowest bit on, 80 bits after the header."""
    bits = [(1, 2), (500, 10), (3, 5), (1, 4), (1 << faults.HIGH_TEMPERATURE, 25), (2, 2), (105, 8), (640, 13)]
    bits += [(1, 3), (3, 4), (10, 4)]
    number = at = 0
    for code, width in bits:
        number |= code << at
        at += width
    by_hand = bytes([0x11]) + number.to_bytes(10, "little")
    twin = {
        "message": "status", "lamp": 1, "level_permille": 500, "reason": "program", "by": "fixed",
        "faults": ["highTemperature"], "clock": "good", "temperature_dc": 450, "power_mw": 64_000,
        "presence": "5_to_9", "boots": 3, "plan_tag": 10,
    }  # fmt: skip
    assert payload.from_json(twin) == by_hand
    assert payload.to_json(by_hand) == twin
    assert len(by_hand) == 11


def test_the_routine_report_fits_eleven_bytes_and_all_fit_the_slowest_radio():
    """At LoRaWAN's DR0 a byte costs 33 ms on the air and 51 is all there is (lorawan.md F). So a status has at most 11
    bytes, and every report but the chunks of configuration and log fits."""
    assert payload.size_of(MESSAGES["status"]) == (10, 10)
    for message in REPORTS:
        if message.name not in CHUNKED:
            assert payload.size_of(message)[1] + 1 <= 51, message.name
    for message in COMMANDS:
        assert payload.size_of(message)[0] + 22 <= 51, message.name
        assert payload.size_of(message)[1] + 22 <= codec.MESSAGE_MAX_BYTES


@given(messages(REPORTS))
def test_a_report_comes_back_as_it_went(drawn):
    """A number that is another one on the other side is worse than none. So every report decodes to what was encoded,
    by bytes that the rule in docs/payload.md gives, and its twin comes back too."""
    message, values = drawn
    data = codec.encode(message.code, values)
    assert data == bytes([VERSION << 4 | message.code]) + packed(message, values)
    assert codec.decode(data) == (message.code, values)
    twin = payload.to_json(data)
    assert payload.from_json(twin) == data
    jsonschema.validate(twin, payload.json_schema(message.name))


@given(st.tuples(*map(values_of, ENVELOPE.fields)).map(list), messages(COMMANDS), st.binary(min_size=8, max_size=8))
def test_a_command_comes_back_as_it_went(envelope, drawn, mac):
    """The same for commands: envelope, verb, fields, and the MAC behind them."""
    message, values = drawn
    data = codec.encode_command(envelope, message.code, values) + mac
    assert codec.decode_envelope(data) == envelope
    assert codec.decode_verb(data) == (message.code, values)
    twin = payload.command_to_json(data)
    fields = {name: value for name, value in twin.items() if name not in ("verb", "envelope")}
    assert payload.command_values(message.name, fields) == (message.code, values)
    jsonschema.validate(fields, payload.verb_schema(message.name))


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda data: bytes([0x11]) + data))
@settings(max_examples=400)
def test_any_bytes_are_a_message_or_a_codec_error(data):
    """Anything may stand on a topic or in the air. So bytes decode or raise `CodecError` with a place and a reason, and
    what decodes has no second encoding."""
    try:
        kind, values = codec.decode(data)
    except codec.CodecError as error:
        assert error.place and error.reason
    else:
        assert codec.encode(kind, values) == data
    for decode in (codec.decode_envelope, codec.decode_verb):
        try:
            decode(data)
        except codec.CodecError as error:
            assert error.place and error.reason


@given(messages(REPORTS), st.data())
def test_every_cut_and_every_longer_message_is_refused(drawn, data):
    """Half a message must not be read as a whole one. So each truncation, and each byte too many, is refused (but for
    the message whose last field has no fixed length)."""
    message, values = drawn
    whole = codec.encode(message.code, values)
    if message.name in CHUNKED:
        return
    length = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(codec.CodecError):
        codec.decode(whole[:length])
    with pytest.raises(codec.CodecError, match="too many"):
        codec.decode(whole + b"\0")


@given(messages((*REPORTS, *COMMANDS)), st.data())
def test_a_value_out_of_range_is_refused_by_the_sender_too(drawn, data):
    """On MicroPython struct packs 300 into a byte as 44 without a word. So the sender checks each range, type and
    count, with the field's place."""
    message, values = drawn
    if not message.fields:
        return
    at = data.draw(st.integers(0, len(values) - 1))
    field = message.fields[at]
    wrong = [1.5, "x", True, field.high + 1 if field.bits else bytes(field.high + 1), field.low - 1]
    if not field.unknown:
        wrong.append(None)
    values[at] = data.draw(st.sampled_from(wrong))
    with pytest.raises(codec.CodecError) as caught:
        if message.is_verb:
            codec.encode_command([0, 0, 1, 1, 9800, 0, 600], message.code, values)
        else:
            codec.encode(message.code, values)
    assert caught.value.place == f"field {at}"
    with pytest.raises(codec.CodecError, match="values"):
        codec.encode(1, [])


@given(messages((*REPORTS, *COMMANDS)), st.data())
def test_what_fills_up_is_zero(drawn, data):
    """A bit that nobody reads could be anything, and one message would have two encodings. So each bit that fills up a
    byte is refused when it is set; and in a command, what lies between the fields and the MAC."""
    message, values = drawn
    widths = [field.bits for field in message.fields]
    envelope = [0, 0, 1, 1, 9800, 0, 600]
    if message.is_verb:
        whole = bytearray(codec.encode_command(envelope, message.code, values))
    else:
        whole = bytearray(codec.encode(message.code, values))
    if 0 not in widths and sum(widths) % 8:
        bit = data.draw(st.integers(sum(widths) % 8, 7))
        whole[-1] |= 1 << bit
        with pytest.raises(codec.CodecError, match="padding"):
            codec.decode_verb(whole + bytes(8)) if message.is_verb else codec.decode(whole)
        whole[-1] &= ~(1 << bit)
    if message.is_verb and 0 not in widths:
        with pytest.raises(codec.CodecError, match="too many"):
            codec.decode_verb(whole + bytes(9))
        with pytest.raises(codec.CodecError, match="ends within"):
            codec.decode_verb(whole[:-1] + bytes(8))


def test_other_versions_and_types_are_refused():
    """A node of next year must not be misread by a server of this year. So each other version and each type without a
    table is refused by its header."""
    for first in range(256):
        known = first >> 4 == VERSION and (first & 15) in {message.code for message in REPORTS}
        with pytest.raises(codec.CodecError) as caught:
            codec.decode(bytes([first]))
        assert (caught.value.place == "header") is not known
    with pytest.raises(codec.CodecError, match="0 bytes"):
        codec.decode(b"")
    with pytest.raises(codec.CodecError, match="2000 bytes"):
        codec.decode(bytes([0x11]) * 2000)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"message": "statut"}, "message"),
        ({"level": 3}, "status.level"),
        ({"level_permille": 1001}, "status.level_permille"),
        ({"level_permille": None}, "status.level_permille"),
        ({"level_permille": True}, "status.level_permille"),
        ({"reason": "moon"}, "status.reason"),
        ({"reason": "number_99"}, "status.reason"),
        ({"faults": ["lampFailure", 3]}, "status.faults"),
        ({"faults": "lampFailure"}, "status.faults"),
    ],
)
def test_a_wrong_twin_is_refused_with_its_place(change, place):
    """An operator's program that errs must hear where. So a twin with a strange name, word or number is refused."""
    twin = payload.to_json(codec.encode(1, [0, 500, 3, 1, 0, 2, None, None, None, 0, 0]))
    with pytest.raises(PayloadError) as caught:
        payload.from_json({**twin, **change})
    assert caught.value.place == place


def test_generated_files_are_current():
    """A table on the node that differs from the one on the host is a fleet that nobody understands. So the node's
    table and the page are what the one table gives."""
    assert payload.main(["--check"]) == 0


def test_positions_are_in_the_table():
    """Constants by which firmware picks a type or a verb are the table's."""
    for message in REPORTS:
        assert getattr(codec_fields, message.name.upper()) == message.code
    for name, verb in BY_VERB.items():
        assert getattr(codec_fields, f"VERB_{name.upper()}") == verb.code
    assert codec.ENVELOPE_BYTES == payload.size_of(ENVELOPE)[0] == payload.size_of(ENVELOPE)[1]


def test_nothing_personal_is_told():
    """Telemetry holds no personal data (reliability.md R19). So no field says that somebody is here now, and the list
    of fields is published."""
    page = (payload.ROOT / payload.DOCS_FILE).read_text(encoding="utf-8")
    for message in (*REPORTS, *COMMANDS):
        for field in message.fields:
            assert not PERSONAL.search(field.name)
            assert f"`{field.name}`" in page


@pytest.mark.soak
def test_a_million_wrong_messages():
    """Anything may come (reliability.md R16): noise, and messages with bytes changed, cut or added."""
    chance = links_main.Chance(8)
    good = [codec.encode(kind, links_main.drawn_values(chance, codec_fields.REPORTS_AT, kind))
            for kind in links_main.codes_of(codec_fields.REPORTS_AT)]  # fmt: skip
    envelope = [0, 0, 1, 1, 9800, 0, 600]
    for verb in links_main.codes_of(codec_fields.VERBS_AT):
        values = links_main.drawn_values(chance, codec_fields.VERBS_AT, verb)
        good.append(codec.encode_command(envelope, verb, values) + bytes(8))
    for _ in range(1_000_000):
        data = bytearray(good[chance.below(len(good))])
        for _ in range(chance.below(3)):
            data[chance.below(len(data))] = chance.below(256)
        if chance.below(4) == 0:
            data = data[: 1 + chance.below(len(data))]
        links_main.fuzz_codec(bytes(data))


HEAP = """
import gc
from firmware.control import compat
import struct
gc.collect()
before = gc.mem_alloc()
from firmware.links import codec
gc.collect()
print(gc.mem_alloc() - before)
"""


def test_the_table_costs_little_heap(micropython_runtime, record_property):
    """The chip has a hundred kilobytes for everything. So codec and table together keep less than 9 kB on the 32-bit
    build, code included."""
    done = micropython_runtime.run(["-c", HEAP])
    assert done.returncode == 0, done.stderr
    kept = int(done.stdout)
    print(f"figure: {micropython_runtime.name}: codec and table keep {kept} bytes of heap")
    record_property("codec_heap_bytes", kept)
    if micropython_runtime.name == "micropython32":
        assert kept < HEAP_MAX_BYTES


def test_the_same_bytes_on_the_chips_interpreter(micropython_runtime, capsys):
    """Two sides must agree on each bit, one of them with 31-bit integers. So thousands of messages, and thousands of
    broken ones with the texts of their errors, have the same digest there."""
    links_main.main(["codec"])
    here = capsys.readouterr().out
    done = micropython_runtime.run(["tests/node/links_main.py", "codec"])
    assert done.returncode == 0, done.stderr
    assert done.stdout == here
    assert "REPORT" not in here and "COMMAND" not in here
