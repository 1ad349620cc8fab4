"""The serial line of a delivered node, on real interpreters, with standard input for a cable."""

import hmac

from tests.runtimes import Runtime

MAIN = "tests/node/serial_door_main.py"
KEY = bytes(range(100, 132))
CHALLENGE = bytes(range(16)).hex()


def proof(key: bytes, challenge: str = CHALLENGE) -> str:
    """What an installer's tool answers, by RFC 2104 as Python has it."""
    return hmac.digest(key, f"reverbere service L001 {challenge}".encode(), "sha256").hex()


def typed(runtime: Runtime, *lines: str) -> list[str]:
    """Return what the node says to these lines."""
    done = runtime.run([MAIN, KEY.hex()], stdin="".join(lines))
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_installer_with_the_nodes_own_key_gets_in(micropython_runtime: Runtime):
    """Somebody on a ladder must get in when the network is dead, without a password that others know too. So the proof
    with this node's key opens, and it is logged."""
    said = typed(micropython_runtime, "service?\r\n", f"open {proof(KEY)}\r\n")
    assert said == [f"challenge L001 {CHALLENGE}", "service", "open ['service mode opened by proof']"]


def test_whoever_has_a_cable_and_no_key_stays_outside(micropython_runtime: Runtime):
    """A pole can be opened with a coin. So control characters, code, long lines and the wrong key bring nothing but a
    refusal in the log."""
    said = typed(
        micropython_runtime, "\x01\x03\x04import machine\r\n", "A" * 5000 + "\r\n", "service?\n",
        f"open {proof(bytes(32))}\n", f"open {proof(KEY)}\n",
    )  # fmt: skip
    assert said[0] == f"challenge L001 {CHALLENGE}"
    # The challenge is used up by the wrong answer: the right one comes too late.
    assert said[1:3] == ["refused", "refused"]
    assert said[3].startswith("closed")
