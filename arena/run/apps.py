"""The arena's own processes."""

import sys

from .program import Program


def apps(port: int) -> list[Program]:
    """web, a worker for each queue, and beat."""
    return [
        # On stop, requests in progress have 5 s; a task that is killed is left to the next sweep.
        Program("web", _python("granian", *_web(port))),
        _worker("urgent", "--concurrency=1"),
        _worker("ingest", "--concurrency=2"),
        _worker("default", "--concurrency=2", name="worker"),
        _worker("slow", "--concurrency=2"),  # two, because a retraining may take one for hours
        _worker("gpu", "--pool=solo"),
        # Its times are in memory: they may begin anew, and a file of them could not be written to a full disk.
        Program("beat", _celery("beat", "--scheduler=celery.beat:Scheduler")),
    ]


# Workers need not know of each other: the database says what is left to do.
_QUIET = ("--without-gossip", "--without-mingle")


# No address, no query, no referrer, no browser: a log is a file that a withdrawal does not reach.
ACCESS_LOG = '[%(time)s] "%(method)s %(path)s" %(status)d %(dt_ms).0f ms'


def _web(port: int) -> list[str]:
    """Two processes of the threads that arena/asgi.py has. Headers have 10 s, and so has a connection that idles."""
    options = "--interface=asginl --no-ws --http=1 --workers=2 --respawn-failed-workers --workers-kill-timeout=5"
    limits = "--http1-header-read-timeout=10000 --http1-buffer-size=65536 --backlog=4096"
    log = ["--access-log", f"--access-log-fmt={ACCESS_LOG}"]
    return [*options.split(), *limits.split(), *log, "--host=127.0.0.1", f"--port={port}", "arena.asgi:application"]


def _worker(queue: str, *options: str, name: str | None = None) -> Program:
    return Program(name or queue, _celery("worker", "-Q", queue, "-n", f"{queue}@%h", *options, *_QUIET))


def _celery(command: str, *options: str) -> list[str]:
    return _python("celery", "-A", "arena.celery", command, "--loglevel=INFO", *options)


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]
