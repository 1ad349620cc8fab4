"""Message authentication and keys, on SHA-256 alone: the stock image has no hmac module.

HMAC: RFC 2104, checked by the vectors of RFC 4231. Keys for different purposes are derived from the one secret of a
node by HKDF (RFC 5869), so that no key is ever used for two things and none tells of another.

Why a MAC of 8 bytes is enough for a command: a forger who does not know the key is right once in 2^64 tries, and
`links.commands` looks at 2 a second at most: 20 years of trying succeed with a chance of 7 in 10^11. NIST SP 800-107
rev. 1, 5.3.3, allows 32 bits and recommends 64; LoRaWAN 1.0.4 uses 32. A MAC cut short does not weaken the key.
"""

import hashlib

from firmware.control.compat import const

_BLOCK = const(64)
_HASH = const(32)
# RFC 5869: no more than 255 blocks. A node needs one key at a time.
_EXPAND_MAX = const(8160)


def hmac_sha256(key, data) -> bytes:
    """Return the HMAC-SHA-256 (32 bytes) of ``data`` under ``key``, bytes of any length (16 or more for security)."""
    if len(key) > _BLOCK:
        key = hashlib.sha256(key).digest()
    inner = bytearray(_BLOCK)
    outer = bytearray(_BLOCK)
    for i in range(_BLOCK):
        byte = key[i] if i < len(key) else 0
        inner[i] = byte ^ 0x36
        outer[i] = byte ^ 0x5C
    digest = hashlib.sha256(inner)
    digest.update(data)
    last = hashlib.sha256(outer)
    last.update(digest.digest())
    return last.digest()


def is_same(one, other) -> bool:
    """Tell whether two tags are equal, in a time that does not depend on where they differ. Lengths are no secret."""
    if len(one) != len(other):
        return False
    differs = 0
    for i in range(len(one)):
        differs |= one[i] ^ other[i]
    return differs == 0


def tag(key, data, length: int) -> bytes:
    """Return the first ``length`` (8 … 32) bytes of the HMAC. Raises ValueError for less: see the module's text."""
    if not 8 <= length <= _HASH:
        raise ValueError("a tag of %d bytes: 8 to 32" % length)
    return hmac_sha256(key, data)[:length]


def hkdf_extract(salt, material) -> bytes:
    """Return the 32 bytes of RFC 5869, 2.2: an even key from uneven material."""
    return hmac_sha256(salt, material)


def hkdf_expand(key, info, length: int) -> bytes:
    """Return ``length`` (1 … 8160) bytes of RFC 5869, 2.3, from an even ``key`` of 32 bytes. Raises ValueError."""
    if not 1 <= length <= _EXPAND_MAX:
        raise ValueError("%d bytes of key: 1 to %d" % (length, _EXPAND_MAX))
    found = b""
    block = b""
    number = 1
    while len(found) < length:
        block = hmac_sha256(key, block + info + bytes((number,)))
        found += block
        number += 1
    return found[:length]


def derive(key, purpose, context) -> bytes:
    """Return the key of 32 bytes for a purpose (`codec.PURPOSE_COMMAND`, …) and a context, such as the sender's number.

    ``purpose`` holds no zero byte, so that purpose and context cannot run into each other.
    """
    return hkdf_expand(key, purpose + b"\0" + context, _HASH)
