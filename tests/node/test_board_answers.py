"""Real time while an answer is owed, and no longer: a life in virtual time must not outrun its broker, nor wait for
nobody."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sim.board.virtual_board import VirtualBoard
from tests.runtimes import Runtime

MAIN = """
import network, socket, time
link = socket.socket()
link.setblocking(False)
try:
    link.connect(socket.getaddrinfo("127.0.0.1", PORT)[0][-1])
except OSError as error:
    if error.errno != 115:
        raise
time.sleep_ms(200)
answers = 0
begin = time.ticks_ms()
for number in range(QUESTIONS):
    link.write(b"question")
    for step in range(STEPS):
        time.sleep_ms(100)
        got = link.read(100)
        if got:
            answers += 1
            break
print("answers", answers, "passed", time.ticks_diff(time.ticks_ms(), begin))
"""


def life(
    folder: Path, runtime: Runtime, serve: Callable[[socket.socket], None], questions: int, steps: int
) -> tuple[int, int, float]:
    """Let a board ask a peer: return the answers it had, virtual ms and real s that passed."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        peer, _ = listener.accept()
        with peer:
            serve(peer)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    main = MAIN.replace("PORT", str(listener.getsockname()[1]))
    main = main.replace("QUESTIONS", str(questions)).replace("STEPS", str(steps))
    with VirtualBoard(folder, runtime, jump=True) as board:
        board.install({"main.py": main})
        board.start()
        began = time.monotonic()
        words = board.wait_print("answers", 30)["text"].split()
        passed_s = time.monotonic() - began
    listener.close()
    return int(words[1]), int(words[3]), passed_s


def test_a_peer_that_could_not_run_yet_is_waited_for(tmp_path: Path, micropython_runtime: Runtime):
    """On a loaded computer the broker gets its turn late. A node whose time went on meanwhile would call it dead:
    seconds of virtual time pass in a millisecond. So time is real time until the peer has read what was sent."""

    def slow(peer: socket.socket) -> None:
        time.sleep(0.4)
        while data := peer.recv(100):
            peer.sendall(data)

    # Two seconds of patience: with real time for 100 ms only they are over before the peer wakes.
    answers, passed_ms, _ = life(tmp_path, micropython_runtime, slow, 1, 20)
    assert answers == 1 and 300 <= passed_ms < 1500


def test_a_peer_that_has_nothing_to_say_is_not_waited_for(tmp_path: Path, micropython_runtime: Runtime):
    """Most of what a node says needs no answer. To wait 100 ms for each would make a month a day long."""

    def silent(peer: socket.socket) -> None:
        while peer.recv(100):
            pass

    answers, passed_ms, passed_s = life(tmp_path, micropython_runtime, silent, 60, 50)
    # 60 times 5 s of virtual time. With 100 ms for each they take 6 s of the computer's; they take half a second.
    assert answers == 0 and passed_ms >= 299_000
    assert passed_s < 4
    print(f"\nfigure: {micropython_runtime.name}: 60 messages without an answer in {passed_s:.2f} s")


def test_a_peer_that_hangs_is_the_programs_affair(tmp_path: Path, micropython_runtime: Runtime):
    """A broker that is stopped reads nothing for ever. Its node must find that out by its own time, so the patience of
    the virtual clock ends."""
    is_over = threading.Event()

    def hung(peer: socket.socket) -> None:
        is_over.wait(20)

    answers, passed_ms, passed_s = life(tmp_path, micropython_runtime, hung, 1, 600)
    is_over.set()
    assert answers == 0 and passed_ms >= 59_000
    assert passed_s < 10
