"""Signatures: the plan in force is the one that the site's key has signed, checked on the stock image."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from firmware.links.codec import PURPOSE_PLAN
from firmware.system.ed25519 import KEY_BYTES, SIGNATURE_BYTES, verify, verify_steps
from firmware.system.sha512 import run_to_end, sha512
from host_tools.cli import app
from host_tools.plan import sign
from host_tools.plan.sign import SignError
from tests.node import links_main
from tests.node.links_main import RFC_8032

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "ville" / "site.yaml"
ORDER = 2**252 + 27742317777372353535851937790883648493
PRIME = 2**255 - 19

# FIPS 180-4's examples (csrc.nist.gov, "SHA512.pdf"), and the empty message.
FIPS = (
    (b"", "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
          "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"),
    (b"abc", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
             "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"),
    (b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
     "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018"
     "501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909"),
)  # fmt: skip


@pytest.mark.parametrize(("data", "digest"), FIPS)
def test_sha512_is_that_of_the_standard(data, digest):
    """The chip has no SHA-512. So ours is FIPS 180-4's, by its examples."""
    assert sha512(data).hex() == digest


@given(st.binary(max_size=400))
@settings(max_examples=60)
def test_sha512_agrees_with_the_hosts(data):
    """The host hashes with OpenSSL. So ours agrees at every length around the blocks' ends."""
    assert sha512(data) == hashlib.sha512(data).digest()


@pytest.mark.parametrize(("key", "message", "signature"), RFC_8032)
def test_the_vectors_of_the_rfc(key, message, signature):
    """RFC 8032, 7.1: these signatures are good."""
    assert verify(bytes.fromhex(key), bytes.fromhex(message), bytes.fromhex(signature))


def is_good_elsewhere(key: bytes, message: bytes, signature: bytes) -> bool:
    """What OpenSSL says, by cryptography."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=100), st.integers(0, 10**6))
@settings(max_examples=40)
def test_agrees_with_openssl(seed, message, turned):
    """What the host signs the node must accept, and nothing else. So on any key and message, genuine or with one bit
    turned anywhere, node and OpenSSL say the same."""
    private = Ed25519PrivateKey.from_private_bytes(seed)
    key, signature = private.public_key().public_bytes_raw(), private.sign(message)
    assert verify(key, message, signature)
    parts = [bytearray(key), bytearray(message), bytearray(signature)]
    part = parts[turned % 3] or parts[2]
    part[turned // 3 % len(part)] ^= 1 << turned % 8
    assert verify(*parts) is is_good_elsewhere(*map(bytes, parts)) is False


@given(st.binary(max_size=70), st.binary(max_size=10), st.binary(max_size=70))
@settings(max_examples=60)
def test_any_bytes_are_refused(key, message, signature):
    """Whoever can send a plan can send any signature. So no bytes raise, and none are good."""
    assert not verify(key, message, signature)
    assert not verify((key + bytes(32))[:32], message, (signature + bytes(64))[:64])


# The eight points of small order and their other encodings (Chalkias, Garillot, Nikolaenko, "Taming the many EdDSAs",
# table 6): with them one signature is good for many messages where a verifier does not look.
SMALL = (
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
)


def test_strict_where_the_rfc_leaves_room():
    """One signature must have one form. So an S beyond the order, a coordinate beyond the prime, and a zero with a sign
    are refused; RFC 8032, 5.1.7."""
    key, message, signature = (bytes.fromhex(one) for one in RFC_8032[1])
    s = int.from_bytes(signature[32:], "little")
    assert not verify(key, message, signature[:32] + (s + ORDER).to_bytes(32, "little"))
    for encoding in ((PRIME + 3).to_bytes(32, "little"), bytes.fromhex(SMALL[6]), b"\xff" * 32):
        assert not verify(encoding, message, signature)
        assert not verify(key, message, encoding + signature[32:])
    for wrong in (key[:31], key + b"\0", b""):
        assert not verify(wrong, message, signature)
        assert not verify(key, message, signature[:-1])
    assert (KEY_BYTES, SIGNATURE_BYTES) == (32, 64)


@pytest.mark.parametrize("key", SMALL)
def test_a_key_that_fits_everything_fits_nothing(key):
    """With a key of small order one signature is good for every message, and OpenSSL says so. So the node refuses such
    keys, whatever the signature; and such points as R too, under any key."""
    genuine, message, signature = (bytes.fromhex(one) for one in RFC_8032[1])
    for r in SMALL:
        for s in (0, 1):
            assert not verify(bytes.fromhex(key), b"plan", bytes.fromhex(r) + s.to_bytes(32, "little"))
    assert not verify(genuine, message, bytes.fromhex(key) + signature[32:])


def test_openssl_would_take_it():
    """The case above is none that we made up: the neutral point as key, and a signature of zeros but for a one."""
    key = bytes.fromhex(SMALL[0])
    assert is_good_elsewhere(key, b"any plan", key + bytes(32))
    assert not verify(key, b"any plan", key + bytes(32))


def test_it_rests_often():
    """The lamp's task runs on the same core. So a verification rests more than six hundred times, and the tasks in
    between may do anything: two verifications at once come out right."""
    key, message, signature = (bytes.fromhex(one) for one in RFC_8032[2])
    one, other = verify_steps(key, message, signature), verify_steps(key, b"other", signature)
    rests = 0
    results = {}
    running = {"one": one, "other": other}
    while running:
        for name, steps in list(running.items()):
            try:
                next(steps)
                rests += 1
            except StopIteration as stop:
                results[name] = stop.value
                del running[name]
    assert results == {"one": True, "other": False}
    assert rests > 1200
    assert run_to_end(verify_steps(key, message, signature))


def test_the_same_on_the_chips_interpreter(micropython_runtime, capsys):
    """A signature that is good here and bad there is a lamp without its plan. So the RFC's vectors, the same with a bit
    turned, and SHA-512 come out the same there."""
    links_main.main(["ed25519"])
    here = capsys.readouterr().out
    done = micropython_runtime.run(["tests/node/links_main.py", "ed25519"])
    assert done.returncode == 0, done.stderr
    assert done.stdout == here
    assert here.count("genuine True turned False\n") == 4


def test_time_on_micropython(micropython_runtime, record_property):
    """What it costs here, for the estimate of what it costs there: total, and the longest time between two rests, with
    and without the collector's own."""
    done = micropython_runtime.run(["tests/node/links_main.py", "ed25519_time"])
    assert done.returncode == 0, done.stderr
    with_collector, without = done.stdout.splitlines()
    print(f"figure: {micropython_runtime.name}: Ed25519 {with_collector}; collector apart: {without}")
    record_property("ed25519", done.stdout)
    assert with_collector.startswith("good True")
    words = without.split()
    # A hundredth of the whole at most: on a chip that takes 2 s, 20 ms (reasoned); a collection comes on top.
    assert int(words[3]) < int(words[1]) / 100


def key_file(folder: Path, seed: bytes = bytes(range(32))) -> Path:
    file = folder / "site.key"
    sign.write_key(file, seed)
    return file


def test_a_compiled_site_is_signed(tmp_path):
    """The manifest had "signature": null. With the site's key, each plan has a signature that the node verifies, and
    the manifest one that anybody can; without the key nothing changes."""
    file = key_file(tmp_path)
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["plan", "compile", str(EXAMPLE), "--out", str(out), "--key", str(file)])
    assert done.exit_code == 0, done.output
    manifest = json.loads((out / "manifest.json").read_bytes())
    signature = manifest["signature"]
    key = bytes.fromhex(signature["public_key"])
    assert signature["algorithm"] == "Ed25519"
    assert set(signature["plans"]) == set(manifest["lamps"])
    for lamp, found in signature["plans"].items():
        plan = (out / f"{lamp}.plan").read_bytes()
        assert verify(key, PURPOSE_PLAN + b"\0" + hashlib.sha256(plan).digest(), bytes.fromhex(found))
        assert sign.verify_plan(plan, bytes.fromhex(found), key)
        assert not sign.verify_plan(plan + b"\0", bytes.fromhex(found), key)
        if lamp > "L003":
            break
    assert sign.verify_folder(out, key) == []
    # The same key and site give the same bytes, and a second run may replace the first.
    again = CliRunner().invoke(app, ["plan", "compile", str(EXAMPLE), "--out", str(out), "--key", str(file)])
    assert again.exit_code == 0
    assert json.loads((out / "manifest.json").read_bytes()) == manifest
    assert str(bytes(range(32)).hex()) not in (out / "manifest.json").read_text() + done.output


def test_a_folder_that_was_touched_is_told(tmp_path):
    """Between the office and the ladder lies a laptop. So each file that is not what was signed is named."""
    out = tmp_path / "out"
    file = key_file(tmp_path)
    CliRunner().invoke(app, ["plan", "compile", str(EXAMPLE), "--out", str(out), "--key", str(file)])
    key = sign.public_key_of(sign.load_key(file))
    (out / "L001.plan").write_bytes(b"other")
    (out / "L002.json").unlink()
    assert [one.split(":")[0] for one in sign.verify_folder(out, key)] == ["L001.plan", "L002.json"]
    manifest = json.loads((out / "manifest.json").read_bytes())
    manifest["site"] = "elsewhere"
    (out / "manifest.json").write_text(json.dumps(manifest))
    assert sign.verify_folder(out, key)[0].startswith("manifest.json")
    assert sign.verify_folder(out, bytes(32))[0].startswith("manifest.json")
    manifest["signature"] = None
    (out / "manifest.json").write_text(json.dumps(manifest))
    assert sign.verify_folder(out, key) == ["manifest.json: not signed: compile with --key"]


def test_keys_are_kept_as_keys(tmp_path):
    """A key that anybody on the machine can read is no key. So its file is the owner's alone, is never overwritten, and
    a wrong one is refused with what to do."""
    file = key_file(tmp_path)
    assert file.stat().st_mode & 0o777 == 0o600
    assert sign.load_key(file) == bytes(range(32))
    with pytest.raises(SignError, match="exists"):
        sign.write_key(file)
    other = tmp_path / "other.key"
    sign.write_key(other)
    assert sign.load_key(other) != sign.load_key(file)
    file.write_text("half a key")
    with pytest.raises(SignError, match="64 hexadecimal"):
        sign.load_key(file)
    with pytest.raises(SignError, match="cannot be read"):
        sign.load_key(tmp_path / "none")
    if os.name == "posix":
        other.chmod(0o644)
        with pytest.raises(SignError, match="chmod 600"):
            sign.load_key(other)
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["plan", "compile", str(EXAMPLE), "--out", str(out), "--key", str(file)])
    assert done.exit_code == 2
    assert not out.exists()
