"""The web process as `make run` starts it, with clients that trickle. What others get is asked with a wide bound: where
a slow client held a thread, they would get nothing at all."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from arena.run.apps import apps
from arena.run.processes import serves_pages, wait_until
from tests.casts.ports import free_port

pytestmark = pytest.mark.processes
CHECKOUT = Path(__file__).resolve().parents[2]
SLOW = 400  # 25 for each thread there is
LARGE = "/static/css/listen.css"


def start_web(port, folder):
    (program,) = [program for program in apps(port) if program.name == "web"]
    with (folder / "log").open("w") as log:
        return program.start(cwd=CHECKOUT, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    """(port, process) of the web process. Here it answers what needs no tables."""
    port, folder = free_port(), tmp_path_factory.mktemp("web")
    process = start_web(port, folder)
    assert wait_until(lambda: serves_pages(port), 60), (folder / "log").read_text()
    yield port, process
    process.terminate()
    assert process.wait(20) == 0


def slow_sockets(port, first, receive_buffer=None):
    sockets = []
    for _ in range(SLOW):
        client = socket.socket()
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.settimeout(20)
        client.connect(("127.0.0.1", port))
        client.sendall(first.replace("\n", "\r\n").encode())
        sockets.append(client)
    return sockets


HEADERS = "GET /healthz HTTP/1.1\nHost: 127.0.0.1\n"
BODY = "POST /api/raters/ HTTP/1.1\nHost: 127.0.0.1\nContent-Type: application/json\nContent-Length: 5000\n\n{"
READING = f"GET {LARGE} HTTP/1.1\nHost: 127.0.0.1\n\n" * 600  # more than sockets hold, and none of it is read


@pytest.mark.parametrize(
    ("first", "drip", "receive_buffer"),
    [(HEADERS, b"X-More: 1\r\n", None), (BODY, b" ", None), (READING, b"", 2048)],
    ids=["headers", "bodies", "answers"],
)
def test_others_are_answered_beside_slow_clients(web, first, drip, receive_buffer):
    port, _ = web
    trickling = slow_sockets(port, first, receive_buffer)
    try:
        for _ in range(20):
            for client in trickling:
                client.send(drip)
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request("GET", "/healthz")
            assert connection.getresponse().status == 200
            connection.close()
    finally:
        for client in trickling:
            client.close()


def post_chunked(port, path, pieces):
    """(status, JSON) of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    with contextlib.suppress(OSError):  # refused before all of it was sent
        connection.request(
            "POST",
            path,
            iter(pieces),
            {"Content-Type": "application/json", "Transfer-Encoding": "chunked"},
            encode_chunked=True,
        )
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def test_chunked_bodies_are_read_up_to_a_limit(web):
    port, _ = web
    status, fields = post_chunked(port, "/api/studies/none/decline/", [b'{"non', b'sense": 1}'])
    assert (status, "nonsense" in fields) == (400, True)
    status, refusal = post_chunked(port, "/api/studies/none/decline/", [b" " * 100_000] * 40)
    assert (status, refusal["code"]) == (413, "too_large")
    status, refusal = post_chunked(port, "/api/score/", [b" " * 100_000] * 40)
    assert (status, refusal["code"]) == (411, "length_required")


def workers_of(process):
    return {child.pid for child in psutil.Process(process.pid).children()}


def test_a_killed_worker_comes_back_and_all_are_replaced_while_pages_are_served(web):
    port, process = web
    workers = workers_of(process)
    os.kill(max(workers), signal.SIGKILL)
    assert wait_until(lambda: len(workers_of(process) - {max(workers)}) == len(workers), 60)
    assert wait_until(lambda: serves_pages(port), 60)
    before = workers_of(process)
    process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 90
    while before & workers_of(process):
        assert wait_until(lambda: serves_pages(port), 20)  # what waits for a worker that closes is reset, once
        assert time.monotonic() < deadline


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_no_worker_outlives_the_process_that_began_it(tmp_path):
    port = free_port()
    process = start_web(port, tmp_path)
    assert wait_until(lambda: serves_pages(port), 60)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    assert psutil.wait_procs(workers, timeout=30)[1] == []
