"""A battle and a vote over HTTP: the web process as `make run` starts it, a PostgreSQL that waits for its disk, clients
on the same cores; beside it the floor, bare psycopg with the same statements.

CYCLE_VOTES=0,100000 makes a quick table; laying down the million takes minutes.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import time
import uuid
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from statistics import median, quantiles

from tests.bench.cycle_stage import ANSWER, VOTES_PER_RATER

VOTES = (0, 1_000_000)
LISTENERS = (1, 8)
SECONDS, WARM_UP = 8.0, 2.0
CHECKOUT = Path(__file__).resolve().parents[2]


def run() -> list[dict]:
    """One row per number of votes, listeners and kind of cycle: cycles per second, and milliseconds of a battle, of a
    vote and of both: median and 95th percentile; statements of a cycle, BEGIN and COMMIT included; of_floor: the share
    of the floor's cycles per second. In a cycle `page` the battle is the one after the next, fetched ahead."""
    sizes = os.environ.get("CYCLE_VOTES")
    with stage() as (port, ask):
        study = ask("make")
        rows, laid_down = [], 0
        for votes in map(int, sizes.split(",")) if sizes else VOTES:
            if votes > laid_down:
                ask("fill", votes - laid_down)
                laid_down = votes
            for listeners in LISTENERS:
                found = {"psycopg": figures(**ask("floor", listeners))}
                for kind in ("battle, vote", "page"):
                    raters = ask("raters", listeners * 200)
                    found[kind] = figures(listen(port, kind, listeners, raters), SECONDS)
                for kind, row in found.items():
                    share = round(row["cycles_s"] / found["psycopg"]["cycles_s"], 2)
                    rows.append({"votes": votes, "listeners": listeners, "cycle": kind, **row, "of_floor": share})
    return [row | {"statements": f"{study['battle']} + {study['vote']}"} for row in rows]


def figures(times, seconds):
    """times: [(ms of the battle, ms of the vote)]."""
    whole = [battle + vote for battle, vote in times]
    numbers = {"cycles_s": round(len(times) / seconds, 1)}
    for name, values in (("battle", [t[0] for t in times]), ("vote", [t[1] for t in times]), ("both", whole)):
        numbers[f"{name}_p50"] = round(median(values), 1)
        numbers[f"{name}_p95"] = round(quantiles(values, n=20)[-1], 1)
    return numbers


@contextmanager
def stage():
    """(port of the web process, a function that has tests.bench.cycle_stage do something and returns what it says)."""
    from arena.run import embedded
    from arena.run.apps import apps
    from arena.run.home import make_run_folder
    from arena.run.processes import serves_pages, wait_until
    from tests.casts.ports import free_port

    folder = make_run_folder(embedded.database_account(Path("none yet")), prefix="arena-bench-")
    database = embedded.Postgres.prepare(folder / "data", folder)
    port = free_port()
    environment = {
        "DATABASE_URL": database.url, "DATABASE_OWNER_URL": database.owner_url, "REDIS_URL": "redis://none",
        "SECRET_KEY": "bench", "ARENA_HOME": str(folder / "home"), "TRUSTED_PROXIES": "1", "OPENBLAS_NUM_THREADS": "1",
    }  # fmt: skip
    options = {"cwd": CHECKOUT, "env": os.environ | environment}

    def ask(command, *arguments):
        argv = [sys.executable, "-m", "tests.bench.cycle_stage", command, *map(str, arguments)]
        return json.loads(subprocess.run(argv, **options, check=True, stdout=subprocess.PIPE).stdout)

    (web,) = [program for program in apps(port) if program.name == "web"]
    started = []
    with (folder / "log").open("w") as log:
        try:
            started.append(database.program.start(stdout=log, stderr=log))
            assert wait_until(database.answers, 60)
            subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity=0"], **options, check=True)
            started.append(web.start(environment, cwd=CHECKOUT, stdout=log, stderr=log))
            assert wait_until(lambda: serves_pages(port), 60)
            yield port, ask
        finally:
            for process in reversed(started):
                process.terminate()
                process.wait(60)
            rmtree(folder, ignore_errors=True)


def listen(port, kind, listeners, raters):
    """[(ms of the battle, ms of the vote)] of the cycles of all listeners within SECONDS."""
    begin = time.monotonic() + WARM_UP
    times = []
    each = len(raters) // listeners
    threads = [
        threading.Thread(target=one_listener, args=(port, kind, raters[n * each : (n + 1) * each], begin, times))
        for n in range(listeners)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert times, "nobody listened"
    return times


def one_listener(port, kind, raters, begin, times):
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for rater in raters:
        ahead = kind == "page" and battle_of(connection, port, rater, {"study": "bench"})
        for _ in range(VOTES_PER_RATER):
            began = time.perf_counter()
            asked = {"study": "bench", "after": ahead} if ahead else {"study": "bench"}
            served = battle_of(connection, port, rater, asked)
            between = time.perf_counter()
            status, body = post(connection, port, rater, f"/api/battles/{ahead or served}/vote/", ANSWER)
            assert status == 201, body
            ahead = ahead and served
            if time.monotonic() > begin + SECONDS:
                connection.close()
                return
            if time.monotonic() > begin:
                times.append(((between - began) * 1000, (time.perf_counter() - between) * 1000))
    raise RuntimeError("there were too few raters")


def battle_of(connection, port, rater, asked):
    status, battle = post(connection, port, rater, "/api/battles/", asked)
    assert status in (200, 201), battle
    return battle["id"]


def post(connection, port, rater, path, body):
    """(status, JSON). As little as a client can do, for it shares the cores."""
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\nCookie: {rater['cookies']}\r\nX-CSRFToken: {rater['csrf']}\r\n"
        f"X-Forwarded-For: {rater['address']}\r\nIdempotency-Key: {uuid.uuid4()}\r\nUser-Agent: bench\r\n\r\n"
    )
    connection.sendall(head.encode() + content)
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, rest = received.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(rest) < length:
        rest += connection.recv(65536)
    return int(head[9:12]), json.loads(rest)
