"""The arena's own processes."""

import sys
from pathlib import Path

from .program import Program


def apps(port: int, folder: Path) -> list[Program]:
    """web, a worker for each queue, and beat; `folder` is where beat stores when it last ran each task."""
    return [
        # On stop, requests in progress have 5 s; a task that is killed is left to the next sweep.
        Program("web", _python("gunicorn", *_gunicorn(port))),
        _worker("urgent", "--concurrency=1"),
        _worker("ingest", "--concurrency=2"),
        _worker("default", "--concurrency=2", name="worker"),
        _worker("slow", "--concurrency=2"),  # two, because a retraining may take one for hours
        _worker("gpu", "--pool=solo"),
        Program("beat", _celery("beat", f"--schedule={folder}/beat")),
    ]


# Workers need not know of each other: the database says what is left to do.
_QUIET = ("--without-gossip", "--without-mingle")


# No address, no query, no referrer, no browser: a log is a file that a withdrawal does not reach.
ACCESS_LOG = '%(t)s "%(m)s %(U)s" %(s)s %(B)s bytes %(M)s ms'


def _gunicorn(port: int) -> list[str]:
    options = "--worker-class=gthread --workers=2 --threads=8 --graceful-timeout=5 --access-logfile=-"
    return [
        *options.split(),
        f"--access-logformat={ACCESS_LOG}",
        "--no-control-socket",
        f"--bind=127.0.0.1:{port}",
        "arena.wsgi:application",
    ]


def _worker(queue: str, *options: str, name: str | None = None) -> Program:
    return Program(name or queue, _celery("worker", "-Q", queue, "-n", f"{queue}@%h", *options, *_QUIET))


def _celery(command: str, *options: str) -> list[str]:
    return _python("celery", "-A", "arena.celery", command, "--loglevel=INFO", *options)


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]
