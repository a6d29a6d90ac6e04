"""Start supervisord and control it over its socket: it restarts what dies, each time a little later.

It has a session of its own, so that a terminal's Ctrl-C reaches only its parent, and it ends when its parent does.
"""

import contextlib
import os
import shlex
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from supervisor.xmlrpc import SupervisorTransport

from .errors import CannotStart
from .home import CHECKOUT
from .processes import wait_until
from .program import Program

OUTPUT = "supervisord.out"
LOG_MODE = 0o640  # for its owner and group, as arena.run.logs makes them
FAIR_CHANCE_SECONDS = 10  # after that, a program that keeps ending counts as one that cannot start
WAITING = {"BACKOFF", "FATAL"}  # it ended, and is not running
GIVE_UP_SECONDS = 300  # a database may need this long to recover from a crash


def configuration(folder: Path, log: Path, stores: list[Program], apps: list[Program]) -> str:
    """supervisord stops the highest priority first: the apps together, then redis, then postgres."""
    sections = [
        _section("unix_http_server", file=folder / "supervisor.sock", chmod="0700"),
        _section(
            "supervisord",
            logfile=log / "supervisord.log",
            logfile_maxbytes="1MB",
            logfile_backups=1,
            pidfile=folder / "supervisord.pid",
            childlogdir=folder,
            nodaemon="true",
            silent="true",
            **({"user": "root"} if os.geteuid() == 0 else {}),
        ),
        _section(
            "rpcinterface:supervisor",
            **{"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
        ),
    ]
    for priority, program in enumerate(stores, start=1):
        sections.append(_program(program, log, priority))
    sections.append(_section("group:apps", programs=",".join(app.name for app in apps), priority=99))
    for app in apps:
        sections.append(_program(app, log, 99))
    return "\n".join(sections)


def _program(program: Program, log: Path, priority: int) -> str:
    return _section(
        f"program:{program.name}",
        command=shlex.join(program.argv()),
        priority=priority,
        autostart="false",
        autorestart="true",
        startsecs=5,
        startretries=10**9,  # each wait is a second longer than the one before
        stopsignal=program.stop_signal.removeprefix("SIG"),
        stopwaitsecs=program.patience,
        killasgroup="true",
        redirect_stderr="true",
        stdout_logfile=log / f"{program.name}.log",
        stdout_logfile_maxbytes="10MB",
        stdout_logfile_backups=2,
    )


def _section(name: str, **options: object) -> str:
    lines = [f"{key} = {str(value).replace('%', '%%')}" for key, value in options.items()]
    return "\n".join([f"[{name}]", *lines, ""])


class Supervisor:
    def __init__(self, folder: Path, log: Path, stores: list[Program], apps: list[Program]) -> None:
        self.folder, self.log = folder, log
        self.config = folder / "supervisord.conf"
        self.config.write_text(configuration(folder, log, stores, apps))
        self.process: subprocess.Popen[Any] | None = None

    @property
    def rpc(self) -> Any:
        # A new connection each time: the transport cannot reuse one that failed.
        transport = SupervisorTransport(None, None, f"unix://{self.folder / 'supervisor.sock'}")
        return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor

    def start(self, lock: IO[str]) -> None:
        """Start supervisord and wait until it listens. It keeps the file `lock` open as long as it lives."""
        command = [sys.executable, "-m", "arena.run.logs", "-c", str(self.config)]
        (self.log / OUTPUT).touch(LOG_MODE)
        for file in self.log.iterdir():  # of earlier versions, too
            file.chmod(LOG_MODE)
        with (self.log / OUTPUT).open("w") as output:
            self.process = Program("supervisord", command).start(
                cwd=CHECKOUT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=[lock.fileno()],
            )
        wait_until(lambda: self._has_ended() or self._listens(), 60)
        if self._has_ended() or not self._listens():
            raise CannotStart(f"supervisord does not start:\n{self._tail(OUTPUT)}")

    def _has_ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def _listens(self) -> bool:
        try:
            return bool(self.rpc.getState())
        except OSError:
            return False

    def start_program(self, name: str) -> None:
        self.rpc.startProcess(name, False)

    def start_apps(self) -> None:
        """Start all apps that are not running yet."""
        self.rpc.startProcessGroup("apps", False)

    def start_again_now(self) -> None:
        """Start what waits for its next attempt, which after many failures is minutes away."""
        for process in self.rpc.getAllProcessInfo():
            if process["statename"] in WAITING:
                name = f"{process['group']}:{process['name']}"
                with contextlib.suppress(xmlrpc.client.Fault):  # it has just begun its next attempt
                    if process["statename"] == "BACKOFF":
                        self.rpc.stopProcess(name, False)
                    self.rpc.startProcess(name, False)

    def expect(self, name: str, answers: Callable[[], bool], process: str | None = None) -> None:
        """Wait until `answers()`. CannotStart for a program that keeps ending or does not answer for too long."""
        began = time.monotonic()
        while not answers():
            waited = time.monotonic() - began
            if waited > GIVE_UP_SECONDS or (waited > FAIR_CHANCE_SECONDS and self._keeps_ending(process or name)):
                log = f"{name}.log"
                raise CannotStart(f"{name} does not start. The end of {self.log / log}:\n{self._tail(log)}")
            time.sleep(0.05)

    def _keeps_ending(self, process: str) -> bool:
        return self.rpc.getProcessInfo(process)["statename"] in WAITING

    def _tail(self, file: str) -> str:
        lines = (self.log / file).read_text(errors="replace").splitlines()
        return "\n".join(f"    {line}" for line in lines[-15:])

    def stop(self) -> None:
        """Stop everything in order and wait for it."""
        if self.process and not self._has_ended():
            self.process.terminate()
            self.process.wait()
