"""The node's configuration: what hangs on which pin, what each lamp is, whom to talk to. JSON, made by the host.

host_tools/node_config.py writes it from a site and the wiring of the node, and checks all of it; here is looked at only
what would leave a lamp without its controller. Parts that are absent are not there: no ``mqtt``, no link.

====================== ==============================================================================================
``format``             1
``site``, ``node``     names in topics; ``id``: 0 … 65535 in payloads; ``groups``: [[name, id], …]
``zone``, ``place``    as `Config`
``lamps``              1 … 4 of ``{"dimmer": device, "relay": device, "levels", "powers", "standby", "start",
                       "config"}``
``sensors``            up to 12 devices, each with ``"lamps": [0, …]`` and ``"period_s"``
``buses``              ``{"i2c0": {"scl": 22, "sda": 21, "hz": 100000}, "uart1": {"tx", "rx", "baud"}, …}``
``clock``              ``{"drift_ppm", "build_day", "sntp": [address, …], "chip": device}``
``mqtt``               ``{"host", "port", "server_name", "tls", "window_s", "keepalive_s"}``
``wifi``               ``{"ssid"}``; its password is a secret of the node
``wave``               ``{"channel": 1 … 13}``
``reports``            ``{"status_s": 60 … 86400, "energy_quarters": 1 … 96}``
====================== ==============================================================================================

A device is ``{"name": a driver, "pin" or "bus": where, …}``; the rest are the options of its constructor.

Loaded where it is used, and forgotten with `building` (`once`).
"""

import json

from firmware.control.compat import const
from firmware.control.config import Config

FORMAT = const(1)
LAMPS_MAX = const(4)
SENSORS_MAX = const(12)
STORE_NAME = "config"


class ConfigError(Exception):
    """A configuration that cannot be used. ``path``: where in it; ``what``: why, and what would do."""

    def __init__(self, path, what):
        super().__init__("configuration, %s: %s" % (path or "whole", what))
        self.path = path
        self.what = what


def load(data):
    """Return the configuration in ``data`` (bytes) as a dict, with every optional part present (None). Raises
    `ConfigError`."""
    try:
        tree = json.loads(data)
    except ValueError:
        raise ConfigError("", "is no JSON: send it again")
    if not isinstance(tree, dict) or tree.get("format") != FORMAT:
        raise ConfigError("format", "is not %d: send one for this firmware" % FORMAT)
    for key, kind in (("site", str), ("node", str), ("id", int), ("zone", list), ("place", list), ("lamps", list)):
        # A bool is an int on CPython and none on MicroPython.
        if type(tree.get(key)) is not kind:
            raise ConfigError(key, "is missing, or no %s" % kind.__name__)
    if not 1 <= len(tree["lamps"]) <= LAMPS_MAX:
        raise ConfigError("lamps", "%d, 1 to %d" % (len(tree["lamps"]), LAMPS_MAX))
    for key, empty in (("groups", []), ("sensors", []), ("buses", {}), ("clock", {}), ("reports", {})):
        if tree.get(key) is None:
            tree[key] = empty
    for key in ("mqtt", "wave"):
        tree[key] = tree.get(key)
    if len(tree["sensors"]) > SENSORS_MAX:
        raise ConfigError("sensors", "%d, at most %d" % (len(tree["sensors"]), SENSORS_MAX))
    for number, lamp in enumerate(tree["lamps"]):
        for key in ("dimmer", "levels", "powers", "standby", "start", "config"):
            if not isinstance(lamp, dict) or key not in lamp:
                raise ConfigError("lamps[%d].%s" % (number, key), "is missing")
    return tree


def controller_config(tree, lamp):
    """Return the `Config` of one of the lamps."""
    config = Config(
        tree["zone"], tree["place"][0], tree["place"][1], lamp["levels"], lamp["powers"], lamp["standby"], lamp["start"]
    )
    for key, value in lamp["config"].items():
        if not hasattr(config, key):  # names: Config
            raise ConfigError("config." + key, "is not known here: update the firmware, or leave it out")
        setattr(config, key, value)  # names: Config
    return config
