"""The host's side of the payload: the JSON twin both ways, JSON Schemas, and the files generated from the table.

    python -m host_tools.payload          writes firmware/links/codec_fields.py and docs/payload.md anew
    python -m host_tools.payload --check  exits 1 where they are not current

The twin's names are the table's: stable, with the unit at the end. Unknown is null; enumerations and masks are words,
bytes are hexadecimal. What the table does not know is refused with its place, in both directions.
"""

import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firmware.links import codec

from .payload_table import BY_VERB, COMMAND, COMMANDS, ENVELOPE, MESSAGES, REPORTS, VERSION, Field, Message
from .payload_words import VERDICTS

ROOT = Path(__file__).resolve().parents[1]
FIELDS_FILE = "firmware/links/codec_fields.py"
DOCS_FILE = "docs/payload.md"

_KINDS = {message.code: message for message in REPORTS}
_VERBS = {message.code: message for message in COMMANDS}
_TRANSPORT_BYTES = 51  # EU868, DR0 … DR2: lorawan.md F


class PayloadError(ValueError):
    """A JSON twin or payload that the table refuses. ``place``: like "status.level_permille"."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.place = place
        self.reason = reason


def to_json(data: bytes) -> dict[str, Any]:
    """Return the twin of a report: {"message": "status", …}. Raises `CodecError`, as the node would."""
    kind, values = codec.decode(data)
    message = _KINDS[kind]
    return {"message": message.name, **fields_to_json(message, values)}


def from_json(twin: Mapping[str, Any]) -> bytes:
    """Return the bytes of a report's twin. Raises `PayloadError`."""
    name = twin.get("message")
    if not isinstance(name, str) or name not in MESSAGES:
        raise PayloadError("message", f"{name!r} is none of {', '.join(MESSAGES)}")
    message = MESSAGES[name]
    return codec.encode(message.code, fields_from_json(message, {k: v for k, v in twin.items() if k != "message"}))


def command_values(verb: str, twin: Mapping[str, Any]) -> tuple[int, list[Any]]:
    """Return (verb, values) for `codec.encode_command` from {"lamp": 0, "level_permille": 300, …}."""
    if verb not in BY_VERB:
        raise PayloadError("verb", f"{verb!r} is none of {', '.join(BY_VERB)}")
    return BY_VERB[verb].code, fields_from_json(BY_VERB[verb], twin)


def command_to_json(data: bytes) -> dict[str, Any]:
    """Return the twin of a command, whose MAC is not checked here."""
    envelope = codec.decode_envelope(data)
    verb, values = codec.decode_verb(data)
    message = _VERBS[verb]
    return {
        "verb": message.name,
        "envelope": fields_to_json(ENVELOPE, envelope),
        **fields_to_json(message, values),
    }


def fields_to_json(message: Message, values: list[Any]) -> dict[str, Any]:
    """Return the twin of one message's values, in the order of the table."""
    return {field.name: _to_json(field, value) for field, value in zip(message.fields, values, strict=True)}


def fields_from_json(message: Message, twin: Mapping[str, Any]) -> list[Any]:
    """Return the values of a twin. A field that may be unknown may be left out; a strange name is refused."""
    names = [field.name for field in message.fields]
    for name in twin:
        if name not in names:
            raise PayloadError(f"{message.name}.{name}", f"no such field: there are {', '.join(names)}")
    return [_from_json(message, field, twin) for field in message.fields]


def _to_json(field: Field, value: Any) -> Any:
    if field.bits == 0:
        return bytes(value).hex()
    if value is None or field.words is None:
        return value
    if field.is_mask:
        return [word for bit, word in sorted(field.words.items()) if value >> bit & 1]
    return field.words.get(value, f"number_{value}")


def _from_json(message: Message, field: Field, twin: Mapping[str, Any]) -> Any:
    place = f"{message.name}.{field.name}"
    value = twin.get(field.name)
    if value is None:
        if not field.unknown:
            raise PayloadError(place, "is missing, and must be known")
        return None
    if field.bits == 0:
        if not isinstance(value, str):
            raise PayloadError(place, f"{value!r}: give the bytes in hexadecimal")
        try:
            found = bytes.fromhex(value)
        except ValueError:
            raise PayloadError(place, f"{value!r} is not hexadecimal") from None
        if not field.low <= len(found) <= field.high:
            raise PayloadError(place, f"{len(found)} bytes: {field.low} to {field.high}")
        return found
    if field.words is not None:
        return _from_words(place, field, value)
    if type(value) is not int:
        raise PayloadError(place, f"{value!r} is no integer")
    if not field.low <= value <= field.high:
        raise PayloadError(place, f"{value}: {field.low} to {field.high}")
    return value


def _from_words(place: str, field: Field, value: Any) -> int:
    numbers = {word: number for number, word in (field.words or {}).items()}
    if field.is_mask:
        if not isinstance(value, list) or any(not isinstance(one, str) or one not in numbers for one in value):
            raise PayloadError(place, f"{value!r}: a list of {', '.join(numbers)}")
        return sum(1 << numbers[one] for one in set(value))
    if isinstance(value, str):
        if value in numbers:
            return numbers[value]
        number = value.removeprefix("number_")
        if number != value and number.isdecimal() and len(number) < 9 and field.low <= int(number) <= field.high:
            return int(number)
    raise PayloadError(place, f"{value!r} is none of {', '.join(numbers)}")


def json_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a report's twin, or of a verb's."""
    message = MESSAGES.get(name) or BY_VERB.get(name)
    if message is None:
        raise PayloadError("message", f"{name!r} is none of {', '.join((*MESSAGES, *BY_VERB))}")
    if name in MESSAGES and name in BY_VERB:
        message = MESSAGES[name]
    return _schema(message)


def verb_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a verb's fields ("why" is a report, too: `json_schema` returns that)."""
    return _schema(BY_VERB[name])


def _schema(message: Message) -> dict[str, Any]:
    properties = {field.name: _property(field) for field in message.fields}
    required = [field.name for field in message.fields]
    if not message.is_verb:
        properties = {"message": {"const": message.name}, **properties}
        required.insert(0, "message")
    else:
        required = [field.name for field in message.fields if not field.unknown]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": message.name,
        "description": message.help,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _property(field: Field) -> dict[str, Any]:
    found: dict[str, Any]
    if field.bits == 0:
        pattern = f"^([0-9a-f]{{2}}){{{field.low},{field.high}}}$"
        found = {"type": "string", "pattern": pattern}
    elif field.is_mask:
        words = list((field.words or {}).values())
        found = {"type": "array", "items": {"enum": words}, "uniqueItems": True}
    elif field.words is not None:
        others = [f"number_{i}" for i in range(field.low, field.high + 1) if i not in field.words]
        found = {"enum": [*field.words.values(), *others]}
        if field.unknown:
            found["enum"].append(None)
    else:
        found = {"type": "integer", "minimum": field.low, "maximum": field.high}
        if field.unknown:
            found["type"] = ["integer", "null"]
    return {"description": field.help, **found}


def size_of(message: Message) -> tuple[int, int]:
    """Return the fewest and the most bytes of a message's fields."""
    bits = low = high = 0
    for field in message.fields:
        if field.bits == 0:
            whole = (bits + 7) // 8
            bits = 0
            low, high = low + whole + field.low, high + whole + field.high
        bits += field.bits
    return low + (bits + 7) // 8, high + (bits + 7) // 8


def fields_module() -> str:
    """Return the text of `FIELDS_FILE`: the table as the node has it."""
    fields = b""
    count = 0
    rows: dict[str, bytes] = {}
    tables = (("REPORTS_AT", _KINDS, 16), ("VERBS_AT", _VERBS, 16), ("ENVELOPE_AT", {0: ENVELOPE}, 1))
    for name, messages, size in tables:
        row = bytearray(b"\xff\x00" * size)
        for code, message in messages.items():
            row[2 * code : 2 * code + 2] = bytes((count, len(message.fields)))
            for field in message.fields:
                fields += _compact(field)
                count += 1
        rows[name] = bytes(row)
    if count > 254:
        raise ValueError("more than 254 fields: the index has one byte")
    lines = [
        '"""Generated by `python -m host_tools.payload` from host_tools/payload_table.py: do not edit.',
        "",
        "``FIELDS``: 11 bytes a field: bits (32 more: may be unknown), scale (u16), low (i32), largest code (i32).",
        "``…_AT``: two bytes a message: its first field (255: no such message) and how many it has.",
        '"""',
        "",
        "# ruff: noqa: E501",
        "",
        "from firmware.control.compat import const",
        "",
        f"VERSION = const({VERSION})",
        "",
        "# Types of reports, and of a command.",
        *(f"{message.name.upper()} = const({message.code})" for message in REPORTS),
        f"COMMAND = const({COMMAND})",
        "",
        "# Verbs of commands.",
        *(f"VERB_{message.name.upper()} = const({message.code})" for message in COMMANDS),
        "",
        "# Verdicts on commands.",
        *(f"{word.upper()} = const({number})" for number, word in VERDICTS.items()),
        "",
        *(f"{name} = {_literal(row)}" for name, row in rows.items()),
        "# fmt: off",
        "FIELDS = (",
        *(f"    {_literal(fields[at : at + 11])}" for at in range(0, len(fields), 11)),
        ")",
        "# fmt: on",
    ]
    return "\n".join(lines) + "\n"


def _literal(data: bytes) -> str:
    return 'b"' + "".join(f"\\x{byte:02x}" for byte in data) + '"'


def _compact(field: Field) -> bytes:
    if field.bits == 0:
        return struct.pack("<BHii", 0, 1, field.low, field.high - field.low)
    # The last code is kept free where it means unknown; on the chip nothing is wider than a small integer.
    free = (1 << field.bits) - 1 - field.unknown
    if not (0 < field.bits <= 30 and field.most <= free and field.low + field.most * field.scale == field.high):
        raise ValueError(f"{field.name}: {field.bits} bits cannot hold {field.low} … {field.high}")
    return struct.pack("<BHii", field.bits | (32 if field.unknown else 0), field.scale, field.low, field.most)


def markdown() -> str:
    """Return docs/payload.md."""
    lines = [
        "# The payload",
        "",
        "Generated by `python -m host_tools.payload` from `host_tools/payload_table.py`: do not edit.",
        "",
        "One binary format for both radios. A message is a header byte (version in the high nibble, type in the low),",
        "then its fields in the order below: integers of so many bits, lowest bit first, packed without gaps over",
        "little-endian bytes; bytes begin at a whole byte. What fills the last byte is 0. A field holds",
        "(value - lowest) / step; where it may be unknown, all its bits set mean so. One message has one encoding: an",
        "unknown version, type, length or value is refused, and nothing changes.",
        "",
        f"Version {VERSION}. In JSON (`host_tools.payload`) the names are those below, unknown is null, bytes are",
        "hexadecimal. Days are counted from 2000-01-01, all moments are UTC.",
        "",
        "No personal data: presence leaves a node only as sums of five detections or more over whole quarters of an",
        "hour. This page is the list of all that is told.",
        "",
        "## Reports",
        "",
        f"With LoRaWAN's slowest data rates {_TRANSPORT_BYTES} bytes fit; `configuration` and `log` can be longer.",
        "",
        "| message | type | bytes |",
        "|---|---|---|",
    ]
    for message in REPORTS:
        lines.append(f"| [{message.name}](#{message.name}) | {message.code} | {_bytes_of(message, 1)} |")
    for message in REPORTS:
        lines += ["", f"### {message.name}", "", f"{message.help} Type {message.code}, {_bytes_of(message, 1)} bytes."]
        lines += _markdown_fields(message)
    lines += [
        "",
        "## Commands",
        "",
        f"A command has type {COMMAND}: header, envelope (12 bytes), verb (1 byte), the verb's fields, MAC (8 bytes).",
        "The MAC is the first 8 bytes of HMAC-SHA-256 over all that stands before it. Its key is derived by",
        "HKDF-expand (RFC 5869) from the node's secret with the info `reverbere/1 command`, 0, the sender's number;",
        "for a group from the group's secret with `reverbere/1 group command`, 0, the sender's number.",
        "`firmware/links/commands.py` says what a node accepts.",
        "",
        "### envelope",
        *_markdown_fields(ENVELOPE),
    ]
    for message in COMMANDS:
        lines += ["", f"### Verb {message.code}: {message.name}", ""]
        lines += [f"{message.help} {_bytes_of(message, 22)} bytes with all around it."]
        lines += _markdown_fields(message)
    words: dict[str, dict[int, str]] = {}
    for message in (*REPORTS, *COMMANDS):
        for field in message.fields:
            if field.words and field.name not in ("next_reason", "next_by", "is_active", "is_in_force", "faults"):
                words[field.name] = field.words
    lines += ["", "## Words", ""]
    for name, meaning in sorted(words.items()):
        lines.append(f"- `{name}`: " + ", ".join(f"{number} {word}" for number, word in sorted(meaning.items())))
    return "\n".join(lines) + "\n"


def _bytes_of(message: Message, around: int) -> str:
    low, high = size_of(message)
    return f"{low + around}" if low == high else f"{low + around} to {high + around}"


def _markdown_fields(message: Message) -> list[str]:
    lines = ["", "| field | bits | from | to | step | unknown | what |", "|---|---|---|---|---|---|---|"]
    for field in message.fields:
        bits = str(field.bits) if field.bits else "bytes"
        unknown = "yes" if field.unknown else ""
        lines.append(
            f"| `{field.name}` | {bits} | {field.low} | {field.high} | {field.scale} | {unknown} | {field.help} |"
        )
    return lines


def generated() -> dict[str, str]:
    """Return the path and text of every generated file."""
    return {FIELDS_FILE: fields_module(), DOCS_FILE: markdown()}


def main(arguments: list[str]) -> int:
    """Write the generated files, or with ``--check`` say which are not current. Returns the exit code."""
    stale = [path for path, text in generated().items() if not _is_current(ROOT / path, text)]
    if "--check" in arguments:
        for path in stale:
            print(f"{path} is not current: python -m host_tools.payload")
        return 1 if stale else 0
    for path, text in generated().items():
        (ROOT / path).write_text(text, encoding="utf-8")
        print(f"wrote {path}")
    return 0


def _is_current(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
