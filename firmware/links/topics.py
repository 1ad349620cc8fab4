"""The topics of a node: ``reverbere/1/{site}/{node}/{name}`` and ``reverbere/1/{site}/group/{group}/cmd``.

docs/mqtt.md has the table; host_tools/mosquitto_config.py writes the broker's rules from the same names.
"""

from firmware.control.compat import const

PREFIX = "reverbere/1"
# What a node publishes, and what it listens to.
PUBLISHED = ("status", "energy", "event", "ack", "state", "why")
LISTENED = ("cmd", "plan", "cfg")
GROUPS_MAX = const(8)
_LEVEL_MAX = const(32)
_GROUP = "group"


def is_level(name):
    """Tell whether a site, node or group may be called so: 1 … 32 of ``A-Z a-z 0-9 _ -``."""
    if not 1 <= len(name) <= _LEVEL_MAX:
        return False
    for letter in name:
        if not ("a" <= letter <= "z" or "A" <= letter <= "Z" or "0" <= letter <= "9" or letter in "_-"):
            return False
    return True


class Topics:
    """The topics of one node. Raises ValueError for a name that cannot be a level, "group" as a node, or > 8 groups."""

    def __init__(self, site, node_id, groups=()):
        for name in (site, node_id):
            if not is_level(name):
                raise ValueError("name %r: 1 ... 32 of A-Z a-z 0-9 _ -" % name)
        if node_id == _GROUP:
            raise ValueError("a node cannot be called group")
        self.site = site
        self.node_id = node_id
        self.set_groups(groups)

    def set_groups(self, groups):
        """Take the groups the node belongs to. Raises ValueError."""
        if len(groups) > GROUPS_MAX:
            raise ValueError("%d groups: at most %d" % (len(groups), GROUPS_MAX))
        for name in groups:
            if not is_level(name):
                raise ValueError("group %r: 1 ... 32 of A-Z a-z 0-9 _ -" % name)
        self.groups = tuple(groups)

    def own(self, name):
        """Return the topic of one of the node's own names."""
        return "%s/%s/%s/%s" % (PREFIX, self.site, self.node_id, name)

    def group_cmd(self, group):
        """Return the command topic of a group."""
        return "%s/%s/%s/%s/cmd" % (PREFIX, self.site, _GROUP, group)

    def listened(self):
        """Return every topic to subscribe to, at most 3 + 8."""
        return [self.own(name) for name in LISTENED] + [self.group_cmd(group) for group in self.groups]

    def kind_of(self, topic):
        """Return "cmd", "plan" or "cfg" of a topic the node listens to, None of any other."""
        for name in LISTENED:
            if topic == self.own(name):
                return name
        for group in self.groups:
            if topic == self.group_cmd(group):
                return "cmd"
        return None
