"""The names of the faults for reports and host tools, in the order of the codes of `faults`. The node does not load it.

TALQ 2.7.1 (talq-data-model-2-7-1-online.json: fLampMonitorEvents, fLampActuatorEvents, fTimeEvents, fGenericEvents,
fCommunicationEvents). Codes in ``OWN`` have no word in TALQ and travel as vendor events.
"""

NAMES = (
    "lampFailure",
    "dimmingFailure",
    "lampUnexpectedOn",
    "cyclingFailure",
    "lampPowerTooHigh",
    "lampPowerTooLow",
    "powerFactorTooLow",
    "supplyVoltageTooHigh",
    "supplyVoltageTooLow",
    "currentTooHigh",
    "currentTooLow",
    "supplyLoss",
    "highTemperature",
    "relayFailure",
    "controlGearCommFailure",
    "meterMissing",
    "sensorStuckOn",
    "sensorSilent",
    "sensorChatter",
    "photocellFailure",
    "lastSyncError",
    "invalidProgram",
    "invalidConfig",
    "communicationFailure",
    "deviceMalfunction",
)

SEVERITIES = ("info", "warning", "error", "critical")

OWN = (15, 16, 17, 18, 19)

# Which TALQ function reports them, where it is not the LampMonitor ("": not tied to a function, fGenericEvents).
FUNCTIONS = {20: "Time", 21: "LampActuator", 22: "", 23: "Communication", 24: ""}

# The LampActuator's own spelling (deprecated in TALQ 2.7.1), where it differs from the LampMonitor's.
ACTUATOR_NAMES = {14: "controlGearComFailure"}
