"""docs/asyncapi.yaml: whoever writes a tool for a town's data starts from it, so it must be true."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest
import yaml

from firmware.links import codec, topics
from firmware.links.mqtt_link import STATE_OFFLINE, STATE_ONLINE
from host_tools import asyncapi, payload
from host_tools.mosquitto_config import acl
from host_tools.payload_table import BY_VERB, COMMANDS, ENVELOPE, MESSAGES, REPORTS, Message
from tests.runtimes import ROOT

DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / asyncapi.FILE).read_text(encoding="utf-8"))
MAC = bytes(codec.MAC_BYTES)


def resolve(reference: str) -> Any:
    """What a local reference points to."""
    found: Any = DOCUMENT
    assert reference.startswith("#/")
    for part in reference[2:].split("/"):
        found = found[part]
    return found


def references(node: Any) -> list[str]:
    """Every $ref below a node."""
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [one for value in node.values() for one in references(value)]
    if isinstance(node, list):
        return [one for value in node for one in references(value)]
    return []


def validate(name: str, twin: object) -> None:
    """Validate a twin by the schema of the document itself."""
    schema = {**resolve(f"#/components/messages/{name}")["payload"], "components": DOCUMENT["components"]}
    jsonschema.Draft7Validator(schema).validate(twin)


def test_it_is_current() -> None:
    """A description that is written by hand is right once."""
    assert (ROOT / asyncapi.FILE).read_text(encoding="utf-8") == asyncapi.text(), "run python -m host_tools.asyncapi"
    assert asyncapi.main(["--check"]) == 0


def test_structure_is_asyncapi_3() -> None:
    """AsyncAPI 3.0.0, sections "AsyncAPI Object" to "Message Object": what its tools refuse a document for."""
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= DOCUMENT["info"].keys()
    for server in DOCUMENT["servers"].values():
        assert {"host", "protocol"} <= server.keys() and "://" not in server["host"]
    for reference in references(DOCUMENT):
        resolve(reference)
    for channel in DOCUMENT["channels"].values():
        assert set(re.findall(r"\{(\w+)\}", channel["address"])) == set(channel["parameters"])
        assert channel["messages"]
    for operation in DOCUMENT["operations"].values():
        assert operation["action"] in ("send", "receive")
        channel = operation["channel"]["$ref"]
        # "messages MUST be a subset of the messages defined in the referenced channel", through the channel.
        assert all(one["$ref"].startswith(f"{channel}/messages/") for one in operation["messages"])
    for name, message in DOCUMENT["components"]["messages"].items():
        assert message["name"] == name
        jsonschema.Draft7Validator.check_schema(message["payload"])


def test_every_topic_and_message_is_there_once() -> None:
    """A topic that the node knows and the document forgets is one that nobody subscribes to."""
    addresses = {channel["address"] for channel in DOCUMENT["channels"].values()}
    assert addresses == {
        *(f"{topics.PREFIX}/{{site}}/{{node}}/{name}" for name in topics.PUBLISHED + topics.LISTENED),
        f"{topics.PREFIX}/{{site}}/group/{{group}}/cmd",
    }
    for operation in DOCUMENT["operations"].values():
        name = operation["channel"]["$ref"].rsplit("/", 1)[1]
        assert (operation["action"] == "send") == (name in topics.PUBLISHED)
        address = resolve(operation["channel"]["$ref"])["address"]
        # The broker's rules let the node do exactly that.
        verb = "write" if operation["action"] == "send" else "read"
        rule = address.format(site="town", node="%u", group="+")
        assert f"pattern {verb} {rule}" in acl("town").splitlines()
    sent = [one for names in asyncapi.REPORTS_ON.values() for one in names]
    assert sorted(sent) == sorted(message.name for message in REPORTS), "each report has one topic"
    on_node = {one for name in topics.LISTENED for one in DOCUMENT["channels"][name]["messages"]}
    assert on_node == {f"command_{message.name}" for message in COMMANDS}


def ends(message: Message) -> list[list[Any]]:
    """The lowest and the highest values that a message can have."""
    lowest = [bytes(field.low) if field.bits == 0 else field.low for field in message.fields]
    highest = [b"\xff" * field.high if field.bits == 0 else field.high for field in message.fields]
    unknown = [None if field.unknown else value for field, value in zip(message.fields, lowest, strict=True)]
    return [lowest, highest, unknown]


@pytest.mark.parametrize("name", list(MESSAGES))
def test_what_a_node_reports_fits_its_schema(name: str) -> None:
    """Bytes as a node sends them, through the twin, against the document: whoever trusts it is not surprised."""
    for values in ends(MESSAGES[name]):
        twin = payload.to_json(codec.encode(MESSAGES[name].code, values))
        validate(name, twin)
        with pytest.raises(jsonschema.ValidationError):
            validate(name, {**twin, "surprise": 1})
        with pytest.raises(jsonschema.ValidationError):
            validate(name, {**twin, "message": "other"})


@pytest.mark.parametrize("verb", list(BY_VERB))
def test_what_an_operator_commands_fits_its_schema(verb: str) -> None:
    """The same for commands, whose wrong field would be found out by a lamp only."""
    for envelope in ends(ENVELOPE)[:2]:
        for values in ends(BY_VERB[verb]):
            twin = payload.command_to_json(codec.encode_command(envelope, BY_VERB[verb].code, values) + MAC)
            validate(f"command_{verb}", twin)
            with pytest.raises(jsonschema.ValidationError):
                validate(f"command_{verb}", {**twin, "envelope": {**twin["envelope"], "counter": -1}})


def test_state_is_one_of_two_letters() -> None:
    """The will is written by the broker: what it says must be known in advance."""
    for value in (STATE_OFFLINE, STATE_ONLINE):
        validate("state", value.decode())
        with pytest.raises(codec.CodecError):
            # It can never be taken for a report: the high nibble is no version of ours.
            codec.decode(value)
    with pytest.raises(jsonschema.ValidationError):
        validate("state", "2")
