"""pytest plugin: a PostgreSQL and a Redis of this test run's own, fast instead of durable, gone at its end.

So the tests run beside `make run` and beside themselves. Loaded with `-p`, because pytest-django reads the
settings, and they the environment, before any conftest. DATABASE_URL and REDIS_URL name others instead.
"""

import atexit
import os
import shutil
import signal
import subprocess
from pathlib import Path

from arena.run import embedded
from arena.run.home import make_run_folder
from arena.run.processes import wait_until


def start():
    folder = make_run_folder(embedded.database_account(Path("none yet")), prefix="arena-test-")
    processes = []
    atexit.register(stop, folder, processes, os.getpid())
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: pytest then ends in order
    os.environ["ARENA_HOME"] = str(folder / "home")
    for library in ("OMP", "OPENBLAS"):  # matrices are small and tests run side by side: more threads only wait, busily
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    os.environ.setdefault("SECRET_KEY", "the same in every run, as schedules follow from it")
    if not os.environ.get("DATABASE_URL"):
        database = embedded.Postgres.prepare(folder / "data", folder, durable=False)
        launch(database, folder, processes)
        os.environ["DATABASE_URL"] = database.owner_url  # tests make and empty tables
    if not os.environ.get("REDIS_URL"):
        os.environ["REDIS_URL"] = launch(embedded.Redis(folder), folder, processes)


def launch(store, folder, processes):
    """Start a store, wait until it answers and return its URL."""
    name = store.program.name
    with (folder / f"{name}.log").open("w") as log:
        # A session of its own: Ctrl-C is for pytest, which may need the store to the end.
        options = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, "start_new_session": True}
        process = store.program.start(**options)
    processes.append((process, signal.Signals[store.program.stop_signal]))
    if not wait_until(store.answers, 60):
        raise RuntimeError(f"{name} does not start:\n{(folder / f'{name}.log').read_text()}")
    return store.url


def stop(folder, processes, owner):
    if os.getpid() != owner:  # a fork of a test has inherited us
        return
    for process, stop_signal in processes:
        process.send_signal(stop_signal)
    for process, _ in processes:
        process.wait(30)
    shutil.rmtree(folder, ignore_errors=True)


start()
