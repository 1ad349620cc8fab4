"""The virtual board's ways out: sockets and TLS on virtual time, ESP-NOW between boards, Wi-Fi that goes."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sim.board.virtual_board import Street, VirtualBoard
from tests.runtimes import Runtime


class EchoServer:
    """A real TLS server that answers each line; one client at a time, bounded waits."""

    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "broker.test")])
        now = datetime.datetime(2020, 1, 1)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(7)
            .not_valid_before(now)
            .not_valid_after(now.replace(year=2090))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(
                x509.SubjectAlternativeName(
                    [x509.DNSName("broker.test"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
                ),
                critical=False,
            )
            .sign(key, hashes.SHA256())
        )
        self.der = certificate.public_bytes(serialization.Encoding.DER)
        pem = folder / "server.pem"
        pem.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pem)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            raw.settimeout(10)
            try:
                with self._context.wrap_socket(raw, server_side=True) as client:
                    while data := client.recv(1024):
                        client.sendall(b"echo " + data)
            except OSError:
                continue

    def close(self) -> None:
        """Stop listening."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(timeout=5)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EchoServer]:
    one = EchoServer(tmp_path)
    yield one
    one.close()


TLS_MAIN = """
import asyncio, tls, time
context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
context.verify_mode = tls.CERT_REQUIRED
with open("/ca.der", "rb") as file:
    context.load_verify_locations(file.read())
async def main():
    reader, writer = await asyncio.wait_for(
        asyncio.open_connection("127.0.0.1", PORT, ssl=context, server_hostname="broker.test"), 20)
    for n in range(3):
        writer.write(b"line %d\\n" % n)
        await writer.drain()
        line = await asyncio.wait_for(reader.readline(), 10)
        if line != b"echo line %d\\n" % n:
            print("wrong", line)
        await asyncio.sleep(400)
    print("three echoes in", time.ticks_ms() // 60000, "minutes")
asyncio.run(main())
"""


@pytest.mark.parametrize("mode", ["rate", "jump"])
def test_tls_talks_to_a_real_server_over_virtual_time(
    tmp_path: Path, micropython_runtime: Runtime, server: EchoServer, mode: str
) -> None:
    """A handshake takes real milliseconds; at x1000 these would be virtual seconds, and every link would time out."""
    # A quarter of a second for an answer: this computer may be busy with other tests.
    with Street(tmp_path / "street", 1000 if mode == "rate" else 1, mode == "jump", answer_us=250_000) as street:
        board = street.board("b", micropython_runtime, heap_bytes=160 * 1024)
        board.install({"main.py": TLS_MAIN.replace("PORT", str(server.port)), "ca.der": server.der})
        board.start()
        board.wait_for("repl", timeout_s=20)
        board.query()
        assert "\n".join(board.printed).split("\n") == ["three echoes in 20 minutes"]


NODE_A = """
import asyncio, espnow, machine
radio = espnow.AIOESPNow()
radio.active(True)
radio.add_peer(b"\\xff" * 6)
radio.add_peer(b"\\x02\\0\\0\\0\\0\\x02")
async def main():
    await asyncio.sleep_ms(200)
    print("broadcast", radio.send(b"\\xff" * 6, b"wave 1"))
    print("unicast", await radio.asend(b"\\x02\\0\\0\\0\\0\\x02", b"wave 2"))
    print("peers", radio.peer_count(), radio.stats()[:3])
    async for mac, message in radio:
        print("answer", mac[-1], message)
        break
asyncio.run(main())
"""
NODE_B = """
import asyncio, espnow
radio = espnow.AIOESPNow()
radio.active(True)
print(radio.recv(0))
async def main():
    for _ in range(2):
        mac, message = await radio.airecv()
        print("got", mac[-1], message)
    radio.add_peer(mac)
    radio.send(mac, b"heard")
asyncio.run(main())
"""


def test_espnow_between_two_boards(tmp_path: Path, micropython_runtime: Runtime) -> None:
    """The wave runs over this radio; a street in which lamps do not hear each other tests nothing."""
    with Street(tmp_path / "street") as street:
        a, b = street.board("a", micropython_runtime), street.board("b", micropython_runtime)
        a.install({"main.py": NODE_A})
        b.install({"main.py": NODE_B})
        b.start()
        b.wait_print("(None, None)")
        a.start()
        a.wait_for("repl")
        b.wait_for("repl")
        a.query()
        b.query()
        assert b.printed[1:] == ["got 1 b'wave 1'", "got 1 b'wave 2'"]
        assert a.printed == ["broadcast True", "unicast True", "peers (2, 0) (2, 2, 0)", "answer 2 b'heard'"]


def test_what_the_air_swallows_does_not_arrive(tmp_path: Path, micropython_runtime: Runtime) -> None:
    """A wave must survive loss and a lamp that is out of reach; a radio that always works would not show it."""
    listen = """
import espnow
radio = espnow.ESPNow()
radio.active(True)
print("listening")
while True:
    mac, message = radio.recv(60000)
    if mac:
        print(message)
"""
    call = """
import espnow, machine, time
radio = espnow.ESPNow()
radio.active(True)
radio.add_peer(b"\\xff" * 6)
pin = machine.Pin(5, machine.Pin.IN)
for name in (b"lost", b"deaf", b"heard"):
    while not pin.value():
        time.sleep_ms(5)
    radio.send(b"\\xff" * 6, name)
    print("sent", name)
    while pin.value():
        time.sleep_ms(5)
    print("ready")
"""
    with Street(tmp_path / "street") as street:
        a, b = street.board("a", micropython_runtime), street.board("b", micropython_runtime)
        a.install({"main.py": call})
        b.install({"main.py": listen})
        b.start()
        b.wait_print("listening")
        a.start()
        for air in (
            {"loss_permille": 1000, "deaf_to": []},
            {"loss_permille": 0, "deaf_to": [a.mac]},
            {"loss_permille": 0, "deaf_to": []},
        ):
            b.send("radio", **air)
            b.query()
            mark = len(a.events)
            a.set_pin(5, 1)
            a.wait_print("sent", since=mark)
            a.set_pin(5, 0)
            a.wait_print("ready", since=mark)
            b.query()
        b.wait_print("heard")
        assert b.printed == ["listening", "b'heard'"]


def test_espnow_without_a_neighbour_is_not_acknowledged(tmp_path: Path, micropython_runtime: Runtime) -> None:
    """A sender must learn that nobody is there, and that its buffer is bounded."""
    main = """
import espnow
radio = espnow.ESPNow()
try:
    radio.send(b"\\x02\\0\\0\\0\\0\\x09", b"x")
except OSError as error:
    print(error.args[1])
radio.active(True)
radio.add_peer(b"\\x02\\0\\0\\0\\0\\x09")
print(radio.send(b"\\x02\\0\\0\\0\\0\\x09", b"x"))
try:
    radio.send(b"\\x02\\0\\0\\0\\0\\x09", b"x" * 251)
except ValueError:
    print("too long")
"""
    with VirtualBoard(tmp_path / "b", micropython_runtime) as board:
        board.install({"main.py": main})
        board.start()
        board.wait_for("repl")
        board.query()
        assert board.printed == ["ESP_ERR_ESPNOW_NOT_INIT", "False", "too long"]


def test_access_point_that_goes_takes_the_sockets_with_it(
    tmp_path: Path, micropython_runtime: Runtime, server: EchoServer
) -> None:
    """A link must notice that the street's Wi-Fi is gone, and come back when it is."""
    main = f"""
import network, time, socket
wlan = network.WLAN(network.WLAN.IF_STA)
try:
    socket.getaddrinfo("127.0.0.1", 1)
except OSError as error:
    print("no network")
wlan.active(True)
wlan.connect("street", "secret")
while not wlan.isconnected():
    time.sleep_ms(100)
print("joined", wlan.ifconfig()[0])
link = socket.socket()
link.connect(socket.getaddrinfo("127.0.0.1", {server.port})[0][-1])
print("linked")
while wlan.isconnected():
    time.sleep_ms(20)
try:
    print("gone", link.read(1))
except OSError as error:
    print("gone", error.errno)  # the server reset it, or it just ended
while not wlan.isconnected():
    time.sleep_ms(100)
print("back")
"""
    with VirtualBoard(tmp_path / "b", micropython_runtime, jump=True, wifi={"is_wired": False}) as board:
        board.install({"main.py": main})
        board.start()
        board.wait_print("linked")
        board.set_wifi(False)
        board.wait_print("gone ")
        board.set_wifi(True)
        board.wait_print("back")
        # Whether the end shows as data that stop or as a reset depends on what the server was doing.
        assert [line.split()[0] for line in board.printed] == ["no", "joined", "linked", "gone", "back"]
