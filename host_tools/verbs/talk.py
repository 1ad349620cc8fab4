"""What an operator does with a node in more than one message: plans, configurations, its log.

`reverbere plan push`, `reverbere node read`, `write` and `log`; and `service` for the installer at the pole.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import serial
import typer
from rich.console import Console

from firmware.links.codec import CodecError
from firmware.system.store import Store
from host_tools.command_sender import CommandSender, SenderError
from host_tools.node_config import Fleet
from host_tools.node_talk import Log, Refused, hash8, push_plan, read_configuration, read_log, write_configuration
from host_tools.payload import PayloadError
from host_tools.plan.problems import SiteError, suggestion
from host_tools.plan.sign import sign_plan
from host_tools.plan.zones import zone_info
from host_tools.service_call import ServiceError, open_service
from host_tools.site_keys import KeysError, SiteKeys
from host_tools.site_link import LinkError, Talk, talk

from . import node as node_verbs
from . import plan as plan_verbs
from .command import VERDICT_WORDS, BrokerOption, HardwareOption, PlainOption, beside, broker_of
from .node import BuildDayOption, KeysOption, SiteArgument, load_nodes, say
from .plan import fail
from .plan_show import instant

NodeArgument = Annotated[str, typer.Argument(help="The node, by its name in the hardware file.")]
SenderOption = Annotated[int, typer.Option("--sender", min=0, max=3, help="Each office sends as another one.")]
WaitOption = Annotated[float, typer.Option(min=3, max=600, help="How long to wait for each answer, in s.")]
Result = TypeVar("Result")


@plan_verbs.app.command()
def push(
    site: SiteArgument,
    node: NodeArgument,
    *,
    keys: KeysOption,
    at: Annotated[str | None, typer.Option(help="When to switch, like 2026-12-24T12:00; at once otherwise.")] = None,
    number: SenderOption = 0,
    wait: WaitOption = 30,
    hardware: HardwareOption = None,
    broker: BrokerOption = None,
    plain: PlainOption = False,
) -> None:
    """Send a node the plans of all its lamps, signed, and have it switch to them.

    Exits 0 when it has, or will at its time; 1 when it refuses (the old plan stands), 2 when nothing could be sent.
    """
    fleet = _fleet(site, hardware, node)
    start = None
    if at is not None:
        try:
            start = instant(at, zone_info(fleet.site.zone_name))
        except ValueError as error:
            _refuse("--at", str(error))
        if start <= datetime.now(UTC):
            _refuse("--at", f"{at} is over: leave it out for at once")
    signing = _kept(lambda: SiteKeys(keys).signing_key).private_bytes_raw()

    async def run(one: Talk) -> list[str]:
        lines = []
        for lamp, name in enumerate(fleet.lamps(node)):
            plan = fleet.site.plan_bytes(name)
            verdict = await push_plan(one, lamp, plan, sign_plan(plan, signing), start)
            when = "is in force" if verdict == "done" else f"is there, and will be in force {at or 'at once'}"
            lines.append(f"{node}, output {lamp}: the plan of {name}, {hash8(plan)} ({len(plan)} bytes), {when}")
        return lines

    say("\n".join(_talk(fleet, node, keys, number, wait, broker, plain, run)))


@node_verbs.app.command()
def read(
    site: SiteArgument,
    node: NodeArgument,
    *,
    keys: KeysOption,
    out: Annotated[Path | None, typer.Option(help="File for it; compared with the files otherwise.")] = None,
    build_day: BuildDayOption = None,
    number: SenderOption = 0,
    wait: WaitOption = 30,
    hardware: HardwareOption = None,
    broker: BrokerOption = None,
    plain: PlainOption = False,
) -> None:
    """Read a node's configuration, and say whether it is what site and hardware file say.

    Exits 0 when it is (or with --out), 1 when it is another or the node refuses, 2 when nothing could be sent.
    """
    fleet = _fleet(site, hardware, node)
    data = _talk(fleet, node, keys, number, wait, broker, plain, read_configuration)
    if out is not None:
        _kept(lambda: out.write_bytes(data))
        say(f"{node}: configuration {hash8(data)} of {len(data)} bytes, written to {out}")
        return
    try:
        theirs = json.loads(data)
    except ValueError:
        theirs = {}
    # The build day is of the bundle, not of the files.
    given = theirs.get("clock", {}).get("build_day", 0)
    ours = json.loads(fleet.data(node, node_verbs.day_number(build_day) if build_day else given))
    differences = list(_differences("", ours, theirs))
    if not differences:
        say(f"{node}: configuration {hash8(data)} of {len(data)} bytes, as the files say")
        return
    say("\n".join([f"{node}: its configuration {hash8(data)} is another than that of the files:", *differences]))
    raise typer.Exit(1)


@node_verbs.app.command()
def write(
    site: SiteArgument,
    node: NodeArgument,
    *,
    keys: KeysOption,
    build_day: BuildDayOption = None,
    number: SenderOption = 0,
    wait: WaitOption = 30,
    hardware: HardwareOption = None,
    broker: BrokerOption = None,
    plain: PlainOption = False,
) -> None:
    """Give a node the configuration that the files say, for its next start.

    Drivers that its bundle does not hold cannot be sent so. Exits 0 when it has it, 1 when it refuses, 2 else.
    """
    fleet = _fleet(site, hardware, node)
    try:
        data = fleet.data(node, node_verbs.day_number(build_day))
    except SiteError as error:
        fail(error.file, error.problems)
    _talk(fleet, node, keys, number, wait, broker, plain, lambda one: write_configuration(one, data))
    say(f"{node} has configuration {hash8(data)} of {len(data)} bytes; it uses it from its next start on (reset)")


@node_verbs.app.command()
def log(
    site: Annotated[Path | None, typer.Argument(help="The site, a YAML file.")] = None,
    node: Annotated[str | None, typer.Argument(help="The node, by its name in the hardware file.")] = None,
    *,
    copy: Annotated[Path | None, typer.Option(help="A copy of the node's /data, instead of the node itself.")] = None,
    keys: Annotated[
        Path | None, typer.Option(envvar="REVERBERE_KEYS", help="The folder of the site's keys, to ask the node.")
    ] = None,
    number: SenderOption = 0,
    wait: WaitOption = 30,
    hardware: HardwareOption = None,
    broker: BrokerOption = None,
    plain: PlainOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show why a node started, each time, and what went wrong: asked of the node, or from a copy of its /data.

    Exits 0 when shown, 1 when the node refuses, 2 when it cannot be asked or the copy not read.
    """
    if copy is not None:
        if not (copy / "store").is_dir():
            _refuse(str(copy), "has no store/ in it: give the copy of the node's /data")
        store = Store(str(copy / "store"))
        found = Log(store.read("boots") or b"", store.read("errors") or b"")
    elif site is None or node is None or keys is None:
        _refuse("log", "give a site, a node and --keys, or --copy with a copy of the node's /data")
    else:
        found = _talk(_fleet(site, hardware, node), node, keys, number, wait, broker, plain, read_log)
    if as_json:
        typer.echo(json.dumps(found.tree(), indent=1))
    else:
        say("\n".join(found.lines()) or "nothing is in its log")


@node_verbs.app.command()
def service(
    port: Annotated[str, typer.Argument(help="The serial port that the node is on, like /dev/ttyUSB0 or COM3.")],
    node: Annotated[str | None, typer.Argument(help="Which node it has to be; any of this folder's otherwise.")] = None,
    *,
    keys: KeysOption,
    baud: Annotated[int, typer.Option(min=1200, max=2_000_000, help="Bits a second.")] = 115_200,
    wait: Annotated[float, typer.Option(min=1, max=120, help="How long to wait for the node, in s.")] = 15,
) -> None:
    """Open a node's prompt at its serial line for two hours, by proof of its own key; the node logs it.

    Exits 0 when it is open, 1 when the node is another, silent or refuses, 2 when port or keys cannot be used.
    """
    try:
        found = SiteKeys(keys)
        with serial.Serial(port, baud, timeout=0.1) as line:
            name = open_service(line, node, found.service_secret, wait)
    except ServiceError as error:
        say(f"{port}: {error}")
        raise typer.Exit(1) from error
    except KeysError as error:
        _refuse("--keys", str(error))
    except (serial.SerialException, OSError, ValueError) as error:
        _refuse(port, f"{error}: see which port it is, and that no other program holds it")
    say(
        f"{name} has opened its prompt for two hours; its lamp is at its safe level. Now: mpremote connect {port} …\n"
        f"In the end: mpremote connect {port} reset"
    )


def _fleet(site: Path, hardware: Path | None, node: str) -> Fleet:
    fleet = load_nodes(site, beside(site, hardware))
    if node not in fleet.hardware.nodes:
        _refuse(node, f"there is no such node{suggestion(node, fleet.hardware.nodes)}")
    return fleet


def _talk(
    fleet: Fleet,
    node: str,
    folder: Path,
    number: int,
    wait: float,
    broker: str | None,
    plain: bool,
    run: Callable[[Talk], Awaitable[Result]],
) -> Result:
    """Talk to a node, and end the command where it refuses or cannot be reached."""

    async def connected() -> Result:
        keys = SiteKeys(folder)
        sender = CommandSender(keys.node_secret(node), fleet.node_id(node), keys.counters, sender=number)
        async with talk(broker_of(fleet, keys, broker, plain), fleet.site.name, node, sender, wait) as one:
            return await run(one)

    try:
        return asyncio.run(connected())
    except Refused as refused:
        verdict = refused.ack["verdict"]
        say(f"{node} {VERDICT_WORDS.get(verdict, verdict)}: what it had stands")
        raise typer.Exit(1) from refused
    except (KeysError, SenderError, LinkError, PayloadError, CodecError) as error:
        _refuse(node, str(error))


def _differences(path: str, ours: Any, theirs: Any) -> list[str]:
    """Say where two configurations differ, the files first."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        found = []
        for key in sorted({*ours, *theirs}):
            found += _differences(f"{path}.{key}" if path else key, ours.get(key), theirs.get(key))
        return found
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return [
            line
            for n, pair in enumerate(zip(ours, theirs, strict=True))
            for line in _differences(f"{path}[{n}]", *pair)
        ]
    return [] if ours == theirs else [f"  {path}: {json.dumps(ours)} in the files, {json.dumps(theirs)} in the node"]


def _kept(do: Callable[[], Result]) -> Result:
    """Do what may fail for a file, and end the command where it does."""
    try:
        return do()
    except KeysError as error:
        _refuse("--keys", str(error))
    except OSError as error:
        _refuse("--out", f"cannot be written: {error.strerror}")


def _refuse(what: str, reason: str) -> NoReturn:
    """Say why nothing was done, and end the command with 2."""
    Console(stderr=True).print(f"{what}: {reason}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(2)
