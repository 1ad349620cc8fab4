"""What went wrong in TLS, one name for one cause. Loaded where it is used, and forgotten with `mqtt_open`."""

from firmware.control.compat import const

from .transport import LinkLost

_ALERT = const(-0x7780)
_CERTIFICATE = const(-0x2700)

# What mbedTLS and OpenSSL say of a certificate, and what we call it: one name for one cause, on every interpreter.
_REASONS = (
    ("Common Name", "tls name"),
    ("ostname mismatch", "tls name"),
    ("IP address mismatch", "tls name"),
    ("expired", "tls expired"),
    ("future", "tls not yet valid"),
    ("not yet valid", "tls not yet valid"),
    ("signed", "tls untrusted"),
    ("issuer", "tls untrusted"),
    ("revoked", "tls revoked"),
)


def tls_error(error):
    """Return the `LinkLost` that an error of the interpreter stands for."""
    text = str(error)
    code = error.errno if isinstance(error, OSError) else None
    if code == _ALERT:
        return LinkLost("tls alert")
    for words, what in _REASONS:
        if words in text:
            return LinkLost(what)
    if code == _CERTIFICATE:
        return LinkLost("tls certificate")
    return LinkLost("tls", text)
