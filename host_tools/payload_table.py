"""The one description of what travels between nodes and operators: every message, every field, on both radios.

From it follow the node's compact table (firmware/links/codec_fields.py), the JSON twin and its schemas
(`host_tools.payload`), and docs/payload.md: `python -m host_tools.payload` writes the files anew, and a test says
whether they are current. Messages of this version never change; a change is a new version of the header.

What may be in a report: no personal data (reliability.md R19). Presence leaves a node only as sums of five detections
or more over a quarter of an hour or longer (firmware/control/counters.py); no message says that somebody is here now.
"""

from dataclasses import dataclass

from firmware.control import faults
from firmware.control.civil import DAY_MAX
from firmware.control.fault_names import NAMES as FAULT_NAMES
from firmware.control.plan_format import PLAN_MAX_BYTES, RAMP_MAX_DS
from firmware.control.power import POWER_MAX_MW

from .payload_words import (
    BOOT_CAUSES,
    BYS,
    CHANGES,
    CLOCK_VERDICTS,
    FAULTS,
    LIMITS,
    LOGS,
    PRESENCE,
    QUALITIES,
    REASONS,
    RESETS,
    SCOPES,
    SOURCES,
    SWITCHES,
    VERBS,
    VERDICTS,
    Words,
)

VERSION = 1
# The type of a frame that carries a command; its second table has the verbs.
COMMAND = 8


@dataclass(frozen=True)
class Field:
    """One field. Its values are ``low``, ``low + scale``, … up to ``high``, in the unit that its name ends with.

    ``bits`` 1 … 30; 0: bytes, ``low`` to ``high`` of them, of variable length only as the last field. ``unknown``: may
    be absent (all bits set on the wire, None on the node, null in JSON). ``words``: what each value is called in JSON;
    ``is_mask``: bits that are called so.
    """

    name: str
    bits: int
    low: int
    high: int
    help: str
    scale: int = 1
    unknown: bool = False
    words: Words | None = None
    is_mask: bool = False

    @property
    def most(self) -> int:
        """The largest code on the wire."""
        return (self.high - self.low) // self.scale


@dataclass(frozen=True)
class Message:
    """A report of a node (``code`` is the type in the header), or a verb of a command."""

    name: str
    code: int
    fields: tuple[Field, ...]
    help: str
    is_verb: bool = False


_COUNTER_MAX = (1 << 30) - 1
_TOTAL_MAX = (1 << 30) - 2
_DAY_SECOND_MAX = 86399
# The largest value of a record of firmware/control/counters.py: above lies what is suppressed.
_VALUE_MAX = 65534
_FULL = 1000


def _lamp() -> Field:
    return Field("lamp", 2, 0, 3, "output of the node, 0 for the first")


def _level(name: str = "level_permille", unknown: bool = False) -> Field:
    return Field(name, 10, 0, _FULL, "level, in permille of full light", unknown=unknown)


def _reason(name: str = "reason", unknown: bool = False) -> Field:
    return Field(name, 5, 0, 30, "why (firmware/control/reasons.py; TALQ 2.7.1 for the first four)", words=REASONS)


def _by(name: str = "by") -> Field:
    return Field(name, 4, 0, 14, "who of them it is", words=BYS)


def _moment(prefix: str = "", what: str = "when, UTC", unknown: bool = True) -> tuple[Field, Field]:
    return (
        Field(f"{prefix}day", 17, 0, DAY_MAX, f"{what}: days since 2000-01-01", unknown=unknown),
        Field(f"{prefix}second", 17, 0, _DAY_SECOND_MAX, f"{what}: seconds of the day", unknown=unknown),
    )


def _ramp(name: str) -> Field:
    help_ = "duration of the fade to the level (TALQ rampToLevelTime, rampFromLevelTime)"
    return Field(name, 14, 0, RAMP_MAX_DS * 100, help_, scale=100)


def _duration_min() -> Field:
    return Field("duration_min", 11, 1, 1440, "how long it lasts; then the program again")


def _sequence() -> Field:
    return Field("sequence", 8, 0, 255, "counts the node's events: a hole is an event that was lost")


def _bytes(name: str, low: int, high: int, help_: str) -> Field:
    return Field(name, 0, low, high, help_)


def _wh(name: str, what: str) -> Field:
    return Field(name, 16, 0, _VALUE_MAX, f"{what} in the period", unknown=True)


def _total(name: str, help_: str) -> Field:
    return Field(name, 30, 0, _TOTAL_MAX, f"{help_}, since commissioning")


def _hours(name: str, help_: str) -> Field:
    return Field(name, 20, 0, (1 << 20) - 2, f"{help_}, since commissioning")


def _plan_hash(name: str = "plan_hash", length: int = 8) -> Field:
    return _bytes(name, length, length, "the first bytes of the SHA-256 of it")


REPORTS = (
    Message(
        "status",
        1,
        (
            _lamp(),
            _level(),
            _reason(),
            _by(),
            Field("faults", faults.CODES, 0, (1 << faults.CODES) - 1, "active faults", words=FAULTS, is_mask=True),
            Field("clock", 2, 0, 2, "quality of the node's clock", words=QUALITIES),
            Field("temperature_dc", 8, -600, 1900, "of the driver, tenths of °C", scale=10, unknown=True),
            Field("power_mw", 13, 0, 819_000, "drawn now, measured or from the curve", scale=100, unknown=True),
            Field("presence", 3, 0, 6, "detections of the last closed quarter", unknown=True, words=PRESENCE),
            Field("boots", 4, 0, 15, "starts of the node, modulo 16: a step is a start nobody reported"),
            Field("plan_tag", 4, 0, 15, "low bits of the first byte of the plan's SHA-256"),
        ),
        "Routine report, 11 bytes. Sent by period and by exception, never because of presence.",
    ),
    Message(
        "energy",
        2,
        (
            _lamp(),
            Field("end_quarter", 23, 0, 8_000_000, "end: UTC quarters of an hour since 2000-01-01", unknown=True),
            Field("quarters", 7, 1, 96, "length of the period in quarters of an hour"),
            _wh("measured_wh", "by the meter"),
            _wh("estimated_wh", "from the curve, where nothing was measured,"),
            _wh("full_night_wh", "baseline full night"),
            _wh("fixed_dimming_wh", "baseline fixed dimming"),
            _wh("extinction_wh", "baseline extinction"),
            Field("occupied_s", 17, 0, 86_400, "with somebody there; unknown below five detections", unknown=True),
            Field("detections", 16, 0, _VALUE_MAX, "passers; unknown below five", unknown=True),
            _total("total_measured_wh", "by the meter"),
            _total("total_estimated_wh", "from the curve"),
            _hours("lamp_h", "burning hours of the lamp"),
            _hours("driver_h", "hours of the driver under supply"),
            _hours("starts", "starts of the lamp"),
        ),
        "Energy and use of a period of whole quarters, beside the three declared baselines; sums to add up by.",
    ),
    Message(
        "why",
        3,
        (
            _lamp(),
            _level(),
            _reason(),
            _by(),
            Field("index", 6, 0, 62, "which of them, counted from 0", unknown=True),
            Field("program", 5, 0, 30, "program of the plan", unknown=True),
            Field("limit", 4, 0, 14, "what made the level another one than `by` asks for", words=LIMITS),
            Field("since_s", 20, 0, 1_000_000, "how long this has been so"),
            Field("until_s", 17, 0, 86_400, "when the next change comes", unknown=True),
            _level("next_level_permille", unknown=True),
            _reason("next_reason"),
            _by("next_by"),
            Field("next_index", 6, 0, 62, "which of them", unknown=True),
        ),
        "Why am I lit: the one answer of firmware/control/why.py.",
    ),
    Message(
        "ack",
        4,
        (
            Field("scope", 2, 0, 1, "what the command was addressed to", words=SCOPES),
            Field("sender", 2, 0, 3, "which of the four senders spoke"),
            Field("address", 16, 0, 65535, "id of that node or group"),
            Field("counter", 30, 0, _COUNTER_MAX, "of the command"),
            Field("verb", 5, 0, 30, "of the command", unknown=True, words=VERBS),
            Field("verdict", 5, 0, 30, "what became of it", words=VERDICTS),
            Field("floor", 30, 0, _COUNTER_MAX - 1, "with replayed: the next must be above", unknown=True),
            Field("challenge", 30, 0, _COUNTER_MAX - 1, "for a `clock` command, good for 30 s", unknown=True),
            _plan_hash("plan_hash", 4),
        ),
        "Answer to a command; plan_hash is that of the plan in force (0 without one).",
    ),
    Message(
        "configuration",
        5,
        (
            Field("offset", 14, 0, PLAN_MAX_BYTES, "place of the chunk"),
            Field("length", 14, 0, PLAN_MAX_BYTES, "length of the whole"),
            _plan_hash("configuration_hash"),
            _bytes("chunk", 0, 1024, "the bytes there"),
        ),
        "A part of the configuration in force, answer to configuration_read.",
    ),
    Message(
        "fault",
        6,
        (
            _lamp(),
            _sequence(),
            Field("fault", 5, 0, faults.CODES - 1, "which (TALQ 2.7.1 names where it has one)", words=FAULTS),
            Field("is_active", 1, 0, 1, "raised, or cleared", words={0: "cleared", 1: "raised"}),
            Field("count", 8, 0, 254, "how often it has come so far; stays at 254"),
            *_moment(),
        ),
        "A fault was raised or cleared.",
    ),
    Message(
        "boot",
        7,
        (
            _sequence(),
            Field("cause", 4, 0, 14, "of the start", words=BOOT_CAUSES),
            Field("boots", 16, 0, 65535, "starts so far, modulo 65536"),
            Field("last_uptime_s", 24, 0, (1 << 24) - 2, "how long the node ran before", unknown=True),
            *_moment(),
            Field("software", 16, 0, 65535, "version of the firmware: major * 4096 + minor * 64 + patch"),
            _plan_hash("plan_hash", 4),
        ),
        "The node has started.",
    ),
    Message(
        "clock_step",
        9,
        (
            _sequence(),
            Field("source", 3, 0, 6, "who set the clock", words=SOURCES),
            Field("verdict", 3, 0, 6, "what was done with it", words=CLOCK_VERDICTS),
            Field("step_s", 30, -500_000_000, 500_000_000, "by how much, limited to 500 million", unknown=True),
            *_moment(what="the new time, UTC"),
        ),
        "The clock was set, stepped, doubted or refused.",
    ),
    Message(
        "plan",
        10,
        (
            _lamp(),
            _sequence(),
            Field("outcome", 2, 0, 2, "of the switch", words=SWITCHES),
            Field("verdict", 5, 0, 30, "why it was refused", words=VERDICTS),
            *_moment(),
            _plan_hash("plan_hash", 8),
        ),
        "A plan was switched, refused, or rolled back; plan_hash is that of the plan in force now.",
    ),
    Message(
        "derogation",
        11,
        (
            _lamp(),
            _sequence(),
            Field("is_in_force", 1, 0, 1, "begins, or has ended", words=CHANGES),
            Field("guard_permille", 10, 0, _FULL, "the class guard that is not kept"),
            *_moment(),
        ),
        "The lamp is allowed below the guard of its lighting class, by a decision in the plan.",
    ),
    Message(
        "refusals",
        12,
        (
            _sequence(),
            Field("malformed", 16, 0, 65535, "commands that no table fits"),
            Field("misaddressed", 16, 0, 65535, "for somebody else"),
            Field("forged", 16, 0, 65535, "with a wrong MAC"),
            Field("replayed", 16, 0, 65535, "with an old counter"),
            Field("stale", 16, 0, 65535, "expired, or from the future"),
            Field("limited", 16, 0, 65535, "beyond the rate"),
            Field("other", 16, 0, 65535, "dark too long, no clock, not for groups, wrong challenge, no memory"),
            *_moment(),
        ),
        "Security log: refused commands since the start, each count stays at 65535.",
    ),
    Message(
        "log",
        13,
        (
            Field("log", 1, 0, 1, "which of them", words=LOGS),
            Field("offset", 14, 0, PLAN_MAX_BYTES, "place of the chunk"),
            Field("length", 14, 0, PLAN_MAX_BYTES, "length of the whole"),
            _bytes("chunk", 0, 1024, "the bytes there (firmware/system/bootlog.py says what they are)"),
        ),
        "A part of the log of starts or of errors, answer to log_read.",
    ),
    Message(
        "gear",
        14,
        (
            _lamp(),
            Field("gear_h", 20, 0, (1 << 20) - 2, "operating hours of the gear", unknown=True),
            Field("gear_starts", 24, 0, (1 << 24) - 2, "its starts", unknown=True),
            Field("light_h", 20, 0, (1 << 20) - 2, "hours of the light source", unknown=True),
            Field("light_starts", 24, 0, (1 << 24) - 2, "its starts", unknown=True),
            _total("gear_wh", "energy of the gear by its own meter"),
            _bytes("gtin", 6, 6, "bank 1: GTIN of the luminaire, ff… where it has none"),
            _bytes("identification", 8, 8, "bank 1: its number, ff… where it has none"),
        ),
        "What a D4i gear says of itself, once a day and after a start: another identity is another gear.",
    ),
)

# What stands before the verb of every command, after the header byte: 12 bytes. The MAC of 8 bytes comes last.
ENVELOPE = Message(
    "envelope",
    COMMAND,
    (
        Field("scope", 2, 0, 1, "node or group", words=SCOPES),
        Field("sender", 2, 0, 3, "which of the four senders speaks"),
        Field("address", 16, 0, 65535, "id of that node or group"),
        Field("counter", 30, 0, _COUNTER_MAX, "strictly rising for each key"),
        *_moment("issued_", "when it was signed, UTC", unknown=False),
        Field("lifetime_s", 12, 10, 36_000, "expires so long after", scale=10),
    ),
    "Before the verb of every command.",
)

COMMANDS = (
    Message(
        "dim",
        0,
        (_lamp(), _level(), _duration_min(), _ramp("ramp_to_ms")),
        "A level at once, for some minutes.",
        True,
    ),
    Message(
        "override",
        1,
        (
            _lamp(),
            _level(),
            _ramp("ramp_to_ms"),
            _ramp("ramp_from_ms"),
            *_moment("start_", "when it begins, UTC (unknown: at once)"),
            *_moment("end_", "when it ends, UTC (unknown: with resume)"),
        ),
        "TALQ 2.7.1 override command: the last wins.",
        True,
    ),
    Message("resume", 2, (_lamp(),), "Back to the program: ends override and emergency.", True),
    Message("emergency", 3, (_lamp(), _level(), _duration_min()), "Above all overrides: light for the scene.", True),
    Message("test", 4, (_lamp(), _level(), _duration_min()), "Service: a level for whoever stands below.", True),
    Message(
        "identify",
        5,
        (Field("duration_s", 10, 1, 600, "how long the node shows itself, without blinking its lamp"),),
        "Which one are you?",
        True,
    ),
    Message("why", 6, (_lamp(),), "Answered by `why`.", True),
    Message(
        "configuration_read",
        7,
        (
            Field("offset", 14, 0, PLAN_MAX_BYTES, "from where"),
            Field("most_bytes", 11, 1, 1024, "how much of it"),
        ),
        "Answered by `configuration`.",
        True,
    ),
    Message(
        "plan_stage",
        8,
        (
            _lamp(),
            Field("offset", 14, 0, PLAN_MAX_BYTES - 1, "place of the chunk"),
            _plan_hash(),
            _bytes("chunk", 1, 1024, "the bytes there"),
        ),
        "A part of a plan, kept aside; the plan in force stays in force.",
        True,
    ),
    Message(
        "plan_switch",
        9,
        (
            _lamp(),
            Field("length", 14, 0, PLAN_MAX_BYTES, "of the whole plan"),
            *_moment("start_", "when to switch, UTC (unknown: at once)"),
            _plan_hash(),
            _bytes("signature", 0, 64, "Ed25519 of the site over it (64 bytes), or none"),
        ),
        "Verify what was staged, switch to it, or refuse it whole.",
        True,
    ),
    Message(
        "configuration_write",
        10,
        (
            Field("offset", 14, 0, PLAN_MAX_BYTES - 1, "place of the chunk"),
            Field("length", 14, 1, PLAN_MAX_BYTES, "of the whole; reached: verify and use it at the next start"),
            _plan_hash("configuration_hash"),
            _bytes("chunk", 1, 1024, "the bytes there"),
        ),
        "A part of a configuration.",
        True,
    ),
    Message("reset", 11, (Field("mode", 2, 0, 2, "how", words=RESETS),), "Start anew; the lamp keeps its level.", True),
    Message(
        "clock",
        12,
        (Field("challenge", 30, 0, _COUNTER_MAX - 1, "from an ack of this node, not older than 30 s"),),
        "The time of issue sets the clock: the challenge proves that nobody held the command back.",
        True,
    ),
    Message(
        "acknowledge",
        13,
        (_lamp(), Field("fault", 5, 0, faults.CODES - 1, "a latched fault whose cause is gone", words=FAULTS)),
        "Clears it (firmware/control/faults.py).",
        True,
    ),
    Message(
        "log_read",
        14,
        (
            Field("log", 1, 0, 1, "which of them", words=LOGS),
            Field("offset", 14, 0, PLAN_MAX_BYTES, "from where"),
            Field("most_bytes", 11, 1, 1024, "how much of it"),
        ),
        "Answered by `log`: why the node started, each time, and what went wrong.",
        True,
    ),
)

MESSAGES = {message.name: message for message in REPORTS}
BY_VERB = {message.name: message for message in COMMANDS}

# What the table leans on must not slip away: the ranges above are those of the core.
if POWER_MAX_MW > 819_000 or len(FAULT_NAMES) != faults.CODES:
    raise ValueError("the table no longer fits firmware/control: make a new version of it")
