"""`reverbere command` and `reverbere listen`: a signed command and its answer in words, and every report as JSON.

Without ``--hardware`` the file hardware.yaml beside the site is taken; it says which nodes there are, and where the
broker is.
"""

import asyncio
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from firmware.links.codec import CodecError
from host_tools.command_sender import CommandSender, SenderError, day_and_second
from host_tools.node_config import Fleet
from host_tools.node_talk import Refused, set_clock
from host_tools.payload import PayloadError, command_values
from host_tools.payload_words import FAULTS
from host_tools.plan import units
from host_tools.plan.problems import suggestion
from host_tools.plan.zones import zone_info
from host_tools.site_keys import KeysError, SiteKeys
from host_tools.site_link import GOOD, Answers, Broker, LinkError, reports, send, talk, tls_context

from .node import KeysOption, SiteArgument, load_nodes, say
from .plan_show import instant

VERBS = (
    "dim", "override", "resume", "emergency", "test", "identify", "why", "reset", "service", "clock", "acknowledge",
)  # fmt: skip
_WITH_LEVEL = ("dim", "override", "emergency", "test")
_WITH_TIME = ("dim", "emergency", "test", "identify")
_FOR_GROUPS = ("dim", "override", "resume", "emergency", "identify")
# Those that are for the node, and not for one of its outputs.
_WHOLE = ("identify", "reset", "service", "clock")
_TIME = {"s": 1, "min": 60, "h": 3600}
# Every verdict of an ack, as people say it.
VERDICT_WORDS = {
    "accepted": "obeys",
    "duplicate": "has obeyed already",
    "staged": "has taken it, to be used later",
    "done": "has done it",
    "malformed": "could not read it: update its firmware, or this tool",
    "misaddressed": "is not the one addressed: check its number against the hardware file",
    "forged": "does not believe it: its keys are others than those of this folder",
    "replayed": "has seen a higher number: send it again",
    "stale": "finds it too old: check the clocks of this machine and of the node",
    "too_early": "finds it from the future: check the clocks of this machine and of the node",
    "rate_limited": "was asked too much: wait a minute",
    "dark_too_long": "will not be dark for so long: give a shorter time or a higher level",
    "no_clock": "does not know the time, and refuses this without it: set its clock first",
    "not_for_groups": "takes this from nobody but its own key: send it to the node itself",
    "challenge_wrong": "has waited too long for this: send it again",
    "store_failed": "could not write to its memory: look at its events",
    "busy": "is busy with something else: wait a minute",
    "refused": "refuses",
    "plan_invalid": "finds the plan wrong",
    "signature_wrong": "does not believe the plan's signature",
}

HardwareOption = Annotated[
    Path | None, typer.Option(help="The hardware file; hardware.yaml beside the site otherwise.")
]
BrokerOption = Annotated[str | None, typer.Option(help="HOST:PORT where it is not that of the hardware file.")]
PlainOption = Annotated[bool, typer.Option("--plain", help="Without TLS: for a bench only.")]


def command(
    site: SiteArgument,
    target: Annotated[str, typer.Argument(help="The node, or with --group the group.")],
    verb: Annotated[str, typer.Argument(help=f"What to do: {', '.join(VERBS)}.")],
    level: Annotated[
        str | None, typer.Argument(help="The level of dim, override, emergency and test, like 50%; a fault's name.")
    ] = None,
    *,
    keys: KeysOption,
    time: Annotated[str | None, typer.Option("--for", help="How long, like 10min (identify: like 30s).")] = None,
    start: Annotated[str | None, typer.Option(help="When an override begins, like 2026-12-24T18:00.")] = None,
    end: Annotated[str | None, typer.Option(help="When an override expires; with resume otherwise.")] = None,
    ramp: Annotated[str, typer.Option(help="How fast dim and override fade, like 3s.")] = "0 s",
    lamp: Annotated[int, typer.Option(min=0, max=3, help="The output of the node.")] = 0,
    is_group: Annotated[bool, typer.Option("--group", help="The target is a group.")] = False,
    number: Annotated[int, typer.Option("--sender", min=0, max=3, help="Each office sends as another one.")] = 0,
    wait: Annotated[float, typer.Option(min=1, max=600, help="How long to wait for answers, in s.")] = 15,
    hardware: HardwareOption = None,
    broker: BrokerOption = None,
    plain: PlainOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answers as JSON.")] = False,
) -> None:
    """Send a signed command and say in words what its node answers.

    clock: sets its clock by this machine's. acknowledge FAULT: clears a fault whose cause is gone. service: as reset,
    and its serial line is open for two hours.

    Exits 0 when every node obeys, 1 when one refuses or is silent, 2 when nothing could be sent.
    """
    fleet = load_nodes(site, beside(site, hardware))
    fields = _fields(verb, level, time, ramp, lamp)
    if start is not None or end is not None:
        fields |= _moments(verb, start, end, fleet)
    if is_group and verb not in _FOR_GROUPS:
        _refuse(verb, f"is for one node: groups take {', '.join(_FOR_GROUPS)}")
    nodes, address = _addressed(fleet, target, is_group)
    try:
        found = SiteKeys(keys)
        secret = found.group_secret(target) if is_group else found.node_secret(target)
        sender = CommandSender(secret, address, found.counters, is_group=is_group, sender=number)
        place = broker_of(fleet, found, broker, plain)
        group = target if is_group else None
        if verb == "clock":
            answers = asyncio.run(_set_clock(place, fleet.site.name, nodes[0], sender, wait))
        else:
            name = "reset" if verb == "service" else verb
            answers = asyncio.run(send(place, fleet.site.name, sender, name, fields, nodes, group, wait))
    except (KeysError, SenderError, LinkError) as error:
        _refuse(target, str(error))
    except (PayloadError, CodecError) as error:
        _refuse(verb, str(error))
    if as_json:
        typer.echo(json.dumps({"acks": answers.acks, "whys": answers.whys, "silent": answers.silent}, indent=1))
    else:
        say("\n".join(_told(answers, wait)))
    if answers.silent or any(ack["verdict"] not in GOOD for ack in answers.acks.values()):
        raise typer.Exit(1)


async def _set_clock(broker: Broker, site: str, node: str, sender: CommandSender, wait: float) -> Answers:
    async with talk(broker, site, node, sender, wait) as one:
        try:
            ack = await set_clock(one)
        except Refused as refused:
            ack = dict(refused.ack)
    return Answers({node: ack})


def listen(
    site: SiteArgument,
    keys: KeysOption,
    count: Annotated[int, typer.Option(min=0, help="End after so many reports; 0: never.")] = 0,
    hardware: HardwareOption = None,
    broker: BrokerOption = None,
    plain: PlainOption = False,
) -> None:
    """Print every report of a site as a line of JSON (docs/payload.md), until Ctrl-C.

    Exits 0 when it was ended, 2 when the site, the keys or the broker cannot be used.
    """
    fleet = load_nodes(site, beside(site, hardware))
    try:
        place = broker_of(fleet, SiteKeys(keys), broker, plain)
        with suppress(KeyboardInterrupt):
            asyncio.run(_print_reports(place, fleet.site.name, count))
    except (KeysError, LinkError) as error:
        _refuse("listen", str(error))


async def _print_reports(broker: Broker, site: str, count: int) -> None:
    printed = 0
    async for report in reports(broker, site):
        print(json.dumps(report, ensure_ascii=False), flush=True)
        printed += 1
        if printed == count:
            return


def beside(site: Path, given: Path | None) -> Path:
    """Return the hardware file: the given one, else that beside the site."""
    return given if given is not None else site.with_name("hardware.yaml")


def broker_of(fleet: Fleet, keys: SiteKeys, given: str | None, plain: bool) -> Broker:
    """Return where the broker is: as given, else as the hardware file says. Raises `LinkError`."""
    mqtt = fleet.hardware.mqtt
    if given is not None:
        found = re.fullmatch(r"\[?([^\]]+?)\]?(?::([0-9]{1,5}))?", given)
        if not found:
            raise LinkError(f"{given!r} is no broker: write HOST or HOST:PORT")
        host, port = found[1], int(found[2] or (1883 if plain else 8883))
    elif mqtt is not None:
        host, port = mqtt.host, mqtt.port
        plain = plain or not mqtt.tls
    else:
        raise LinkError("the hardware file has no mqtt: give --broker HOST:PORT")
    return Broker(host, port, None if plain else tls_context(keys))


def _addressed(fleet: Fleet, target: str, is_group: bool) -> tuple[list[str], int]:
    """Return the nodes that are to answer, and the number to which the command goes."""
    if not is_group:
        if target not in fleet.hardware.nodes:
            hint = " (a group needs --group)" if target in fleet.site.groups else ""
            _refuse(target, f"there is no such node{hint}{suggestion(target, fleet.hardware.nodes)}")
        return [target], fleet.node_id(target)
    if target not in fleet.site.groups:
        _refuse(target, f"there is no such group{suggestion(target, fleet.site.groups)}")
    nodes = [node for node in fleet.hardware.nodes if target in fleet.groups(node)]
    if not nodes:
        _refuse(target, "no node is in this group: name a node for its lamps in the hardware file")
    return nodes, fleet.group_ids[target]


def _fields(verb: str, level: str | None, time: str | None, ramp: str, lamp: int) -> dict[str, Any]:
    if verb not in VERBS:
        _refuse("verb", f"{verb!r} is none{suggestion(verb, VERBS)}")
    fields: dict[str, Any] = {} if verb in _WHOLE else {"lamp": lamp}
    if verb == "acknowledge":
        if level not in FAULTS.values():
            _refuse(verb, f"{level!r} is no fault{suggestion(str(level), list(FAULTS.values()))}")
        fields["fault"] = level
    elif (level is not None) != (verb in _WITH_LEVEL):
        _refuse(verb, "takes no level: leave it out" if level is not None else "needs a level: write it like 50%")
    if time is not None and verb not in _WITH_TIME:
        hint = "give --start and --end" if verb == "override" else "leave --for out"
        _refuse(verb, f"takes no time: {hint}")
    try:
        if verb in _WITH_LEVEL:
            fields["level_permille"] = units.quantity(level, {"%": 10}, "a level", "50%")
        if verb in ("dim", "override"):
            fields["ramp_to_ms"] = 100 * units.quantity(ramp, {"s": 10, "min": 600}, "a ramp", "3s")
        if verb == "override":
            fields["ramp_from_ms"] = fields["ramp_to_ms"]
        if verb in ("reset", "service"):
            fields["mode"] = "restart" if verb == "reset" else "service_mode"
        if verb in _WITH_TIME:
            if time is None:
                _refuse(verb, "needs to know for how long: add --for, like --for 10min")
            seconds = units.quantity(time, _TIME, "a time", "10min")
            if verb == "identify":
                fields["duration_s"] = seconds
            elif seconds % 60:
                raise ValueError(f"{time} is no whole number of minutes: round it")
            else:
                fields["duration_min"] = seconds // 60
        # Before anything is made or connected: the table knows the ranges.
        if verb != "clock":
            command_values("reset" if verb == "service" else verb, fields)
    except ValueError as error:
        _refuse(verb, str(error))
    return fields


def _moments(verb: str, start: str | None, end: str | None, fleet: Fleet) -> dict[str, Any]:
    """Return the moments of an override, which are written as the site's local time or with an offset."""
    if verb != "override":
        _refuse(verb, "begins at once and has no end of its own: leave --start and --end out")
    found: dict[str, Any] = {}
    moments = []
    for name, text in (("start", start), ("end", end)):
        if text is None:
            continue
        try:
            moment = instant(text, zone_info(fleet.site.zone_name))
        except ValueError as error:
            _refuse(f"--{name}", str(error))
        moments.append(moment)
        found[f"{name}_day"], found[f"{name}_second"] = day_and_second(moment)
    if len(moments) == 2 and moments[0] >= moments[1]:
        _refuse("--end", f"{end} is not after {start}: the override would never be")
    if end is not None and moments[-1] <= datetime.now(UTC):
        _refuse("--end", f"{end} is over: give a later one")
    return found


def _told(answers: Answers, wait: float) -> list[str]:
    lines = []
    for node, ack in answers.acks.items():
        lines.append(f"{node} {VERDICT_WORDS.get(ack['verdict'], ack['verdict'])} (number {ack['counter']})")
    for node, why in answers.whys.items():
        lines.append(f"{node} {_why(why)}")
    for node in answers.silent:
        lines.append(f"{node} has not answered within {wait:g} s: it may be cut off; the command expires by itself")
    return lines


def _why(why: Mapping[str, Any]) -> str:
    said = f"is at {why['level_permille'] / 10:g} % by {why['reason']} ({why['by']}), for {_spell(why['since_s'])}"
    if why["until_s"] is None or why["next_level_permille"] is None:
        return f"{said}; nothing else is planned"
    following = f"{why['next_level_permille'] / 10:g} % by {why['next_reason']} ({why['next_by']})"
    return f"{said}; in {_spell(why['until_s'])}: {following}"


def _spell(seconds: int) -> str:
    return str(timedelta(seconds=seconds))


def _refuse(what: str, reason: str) -> NoReturn:
    """Say why nothing was sent, and end the command with 2."""
    Console(stderr=True).print(f"{what}: {reason}\n  nothing was sent", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(2)
