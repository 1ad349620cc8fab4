"""The TLS context of a node: the site's own authority, the node's own certificate, nothing else is believed.

MicroPython's C module is called ``tls`` on every port since 1.23; ``ssl`` on the ESP32 is a Python layer above it which
begins with verification off. So ``tls`` comes first, and ``ssl`` serves CPython.

Loaded where it is used, and forgotten with `mqtt_open` (`firmware.system.once`).
"""

try:
    import tls  # type: ignore[import-not-found]
except ImportError:
    import ssl as tls

from firmware.system.keys import derive

from .codec import PURPOSE_PSK
from .mqtt_packets import MqttError


class TlsUnusable(MqttError):
    """A certificate, a key or the interpreter cannot be used: "tls files", "tls no psk". No retry will help."""


def make_tls_context(authority_der, certificate_der=None, key_der=None):
    """Return a context that believes ``authority_der`` only, checks name and dates, and shows the node's certificate.

    All in DER (MicroPython reads PEM from 1.29 only), as bytes; on CPython ``certificate_der`` and ``key_der`` are the
    paths of PEM files instead, since its ``ssl`` reads keys from files only. Raises `TlsUnusable`.

    Checking dates needs a clock: the site's certificates begin on 2000-01-01, the day on which an ESP32 wakes up
    (host_tools/certificates.py), so that a node without the time can still ask for it.
    """
    try:
        context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        context.verify_mode = tls.CERT_REQUIRED
        if hasattr(context, "check_hostname"):  # CPython
            context.load_verify_locations(cadata=authority_der)
            # As the ESP32's image: TLS 1.2, where a refused certificate shows in the handshake.
            context.maximum_version = tls.TLSVersion.TLSv1_2
        else:
            context.load_verify_locations(authority_der)
        if certificate_der is not None:
            context.load_cert_chain(certificate_der, key_der)
    except (OSError, ValueError) as error:
        raise TlsUnusable("tls files", str(error))
    return context


def make_psk_context(identity, key):
    """Return a context with a key shared by this node and the broker only (RFC 4279): no clock is needed, no dates.

    ``identity``, ``key`` bytes (16 … 64). MicroPython 1.29 or later (its ``SSLContext.psk_identity`` and ``psk_key``;
    only PSK suites are then offered); raises `TlsUnusable` elsewhere. The broker proves by the same key that it is the
    broker, so no certificate is asked for. Not tried: no interpreter of the tests has it.
    """
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    if not hasattr(context, "psk_identity"):
        raise TlsUnusable("tls no psk", "needs MicroPython 1.29: use certificates")
    if hasattr(context, "check_hostname"):
        context.check_hostname = False
    context.verify_mode = tls.CERT_NONE
    context.psk_identity = identity
    context.psk_key = key
    return context


def node_context(mqtt, node, secret, store):
    """Return (context or None, port) for a node's configuration ``mqtt``. Raises `TlsUnusable`.

    With a ``psk_port`` the node's own key is used there, where the interpreter can; else its certificate, at ``port``.
    """
    port = mqtt.get("port", 8883)
    if mqtt.get("psk_port"):
        try:
            return make_psk_context(node.encode(), derive(secret, PURPOSE_PSK, b"")), mqtt["psk_port"]
        except TlsUnusable:
            pass  # Before 1.29.
    if not mqtt.get("tls", True):
        return None, port
    return make_tls_context(store.read("ca"), store.read("cert"), store.read("key")), port
