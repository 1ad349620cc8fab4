"""What went wrong in TLS, by one name for one cause. Loaded where it is used, and forgotten (`system.once`)."""

from firmware.control.compat import const

from .transport import TlsError

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
    """Return the `TlsError` that an error of the interpreter stands for."""
    text = str(error)
    code = error.errno if isinstance(error, OSError) else None
    if code == _ALERT:
        return TlsError("tls alert")
    for words, what in _REASONS:
        if words in text:
            return TlsError(what)
    if code == _CERTIFICATE:
        return TlsError("tls certificate")
    return TlsError("tls", text)
