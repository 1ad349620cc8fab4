"""mosquitto's configuration and rules for one site: who a client is comes from its certificate, and nothing else.

A node may publish and receive on its own topics only (``%u`` is the common name of its certificate), and receive the
commands of groups. It may receive every group's: they are authenticated by themselves, hold no secret, and a list of
members at the broker would have to be kept right for every lamp that moves. mosquitto's ACL file does not look at
subscriptions but at every message it would deliver: a node that subscribes to ``#`` still gets its own topics only.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from host_tools.certificates import NODE_ID

PREFIX = "reverbere/1"
# As firmware/links/topics.py, which a test compares.
PUBLISHED = ("status", "energy", "event", "ack", "state", "why")
LISTENED = ("cmd", "plan", "cfg")

# A plan is the largest message there is.
MESSAGE_MAX = 16384
# Commands expire by themselves; after a day without its node a session is only memory.
SESSION_LIFE = "1d"
KEEPALIVE_MAX_S = 3960


def acl(site: str, operators: Iterable[str] = ()) -> str:
    """Return the ACL file of a site. ``operators``: common names made by `Authority.operator`."""
    if not NODE_ID.fullmatch(site):
        raise ValueError(f"site {site!r}: use 1 to 32 of A-Z a-z 0-9 _ -")
    lines = [
        f"# Site {site}. Written by host_tools/mosquitto_config.py; %u is the common name of a node's certificate.",
        *(f"pattern write {PREFIX}/{site}/%u/{name}" for name in PUBLISHED),
        *(f"pattern read {PREFIX}/{site}/%u/{name}" for name in LISTENED),
        f"pattern read {PREFIX}/{site}/group/+/cmd",
    ]
    for name in operators:
        if "." not in name or any(sign in name for sign in "\r\n+#/"):
            # Without the dot, which no node's id has, a node could be certified under an operator's name.
            raise ValueError(f"operator {name!r}: give the common name of a certificate made by `Authority.operator`")
        lines += ["", f"user {name}", f"topic readwrite {PREFIX}/{site}/#"]
    return "\n".join(lines) + "\n"


def config(folder: Path, port: int = 8883, has_revocations: bool = False, psk_port: int | None = None) -> str:
    """Return mosquitto.conf for a folder that holds ca.crt, broker.crt, broker.key, acl (and revoked.crl, psk).

    ``psk_port``: a second listener, for nodes that prove themselves by a key of their own (MicroPython 1.29).
    """
    lines = [
        f"listener {port}",
        f"cafile {folder}/ca.crt",
        f"certfile {folder}/broker.crt",
        f"keyfile {folder}/broker.key",
        *([f"crlfile {folder}/revoked.crl"] if has_revocations else []),
        "tls_version tlsv1.2",
        "require_certificate true",
        "allow_anonymous false",
        "use_identity_as_username true",
        # Else a node could take over another's session by calling itself so.
        "use_username_as_clientid true",
        f"acl_file {folder}/acl",
        f"message_size_limit {MESSAGE_MAX}",
        "max_queued_messages 100",
        "max_inflight_messages 4",
        f"max_keepalive {KEEPALIVE_MAX_S}",
        "set_tcp_nodelay true",
        "persistence true",
        f"persistence_location {folder}/",
        # A server that is killed has said PUBACK for what came after its last save.
        "autosave_interval 60",
        f"persistent_client_expiration {SESSION_LIFE}",
    ]
    if psk_port is not None:
        lines += [
            f"listener {psk_port}",
            "psk_hint reverbere",
            f"psk_file {folder}/psk",
            "tls_version tlsv1.2",
            "use_identity_as_username true",
            "use_username_as_clientid true",
        ]
    return "\n".join(lines) + "\n"
