"""What the numbers of enumerations are called in JSON. Those of firmware/control are taken from there."""

from firmware.control import clock, inputs, limits, reasons
from firmware.control.fault_names import NAMES as FAULT_NAMES

Words = dict[int, str]


def _words(module: object, names: str, prefix: str = "") -> Words:
    """Return {value: word} of constants of firmware/control, so that nothing is numbered twice."""
    return {getattr(module, name): name.removeprefix(prefix).lower() for name in names.split()}


REASONS = _words(reasons, "DEFAULT OVERRIDE SENSOR PROGRAM INACTIVE FAILSAFE PROTECTION")
BYS = _words(
    reasons,
    "BY_DEFAULT BY_FIXED BY_ASTRO BY_DYNAMIC BY_PERIOD BY_OVERRIDE BY_LOCAL BY_EMERGENCY BY_SERVICE BY_CLOCK "
    "BY_TEMPERATURE",
    "BY_",
)
LIMITS = _words(limits, "NONE GUARD DRIVER_MINIMUM THERMAL PROTECTION")
LIMITS |= _words(reasons, "ONE_CLASS_DOWN TWO_CLASSES_DOWN RISES_USED_UP")
QUALITIES = _words(inputs, "CLOCK_UNKNOWN CLOCK_HELD CLOCK_GOOD", "CLOCK_")
SOURCES = _words(clock, "FEEDER RTC NETWORK GNSS SIGNED")
CLOCK_VERDICTS = _words(clock, "SET KEPT STEPPED DOUBTED REFUSED")
FAULTS = dict(enumerate(FAULT_NAMES))
# Detections of the last closed quarter. Fewer than five are not told: they could be one person's way home.
PRESENCE = dict(enumerate(("below_5", "5_to_9", "10_to_19", "20_to_49", "50_to_99", "100_to_199", "200_or_more")))
# What `machine.reset_cause()` and the node's own marker can tell apart (reliability.md, finding 7).
BOOT_CAUSES = dict(enumerate(("power", "watchdog", "command", "update", "error", "soft", "rollback", "planned")))
# Why a command was refused, and what an ack says. 0 … 3 mean that it is, or will be, in force.
VERDICTS = dict(
    enumerate(
        (
            "accepted",
            "duplicate",
            "staged",
            "done",
            "malformed",
            "misaddressed",
            "forged",
            "replayed",
            "stale",
            "too_early",
            "rate_limited",
            "dark_too_long",
            "no_clock",
            "not_for_groups",
            "challenge_wrong",
            "store_failed",
            "busy",
            "refused",
            "plan_invalid",
            "signature_wrong",
        )
    )
)
VERBS = dict(
    enumerate(
        (
            "dim",
            "override",
            "resume",
            "emergency",
            "test",
            "identify",
            "why",
            "configuration_read",
            "plan_stage",
            "plan_switch",
            "configuration_write",
            "reset",
            "clock",
            "acknowledge",
            "log_read",
        )
    )
)
SCOPES = {0: "node", 1: "group"}
SWITCHES = {0: "switched", 1: "refused", 2: "rolled_back"}
RESETS = {0: "restart", 1: "service_mode"}
CHANGES = {0: "ended", 1: "in_force"}
LOGS = {0: "boots", 1: "errors"}
