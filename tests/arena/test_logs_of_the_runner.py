"""The logs of supervisord and its programs: bounded, and nothing ends when they cannot be written."""

import errno

import pytest
from supervisor.loggers import LogRecord

from arena.run import logs


@pytest.fixture
def log(tmp_path):
    log = logs.PatientLog(str(tmp_path / "web.log"), maxBytes=100, backupCount=2)
    yield log
    log.close()


def say(log, text):
    log.emit(LogRecord(20, text if isinstance(text, bytes) else text.encode()))


def test_a_log_and_its_backups_stay_small(log, tmp_path):
    for number in range(100):
        say(log, f"line {number:04}\n")
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["web.log", "web.log.1", "web.log.2"]
    assert all(path.stat().st_size <= 100 for path in tmp_path.iterdir())
    assert (tmp_path / "web.log").read_text().endswith("line 0099\n")
    assert (tmp_path / "web.log").stat().st_mode & 0o777 == 0o640


def test_what_cannot_be_written_is_counted_and_the_log_goes_on(log, tmp_path, monkeypatch):
    say(log, "before\n")

    def full(file, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(logs, "_write_all", full)
        for _ in range(10):
            say(log, "lost line\n")
    say(log, "after\n")
    before, empty, missing, after = (tmp_path / "web.log").read_text().splitlines()
    assert (before, empty, after) == ("before", "", "after")
    assert missing.endswith("100 bytes are missing here: they could not be written")


def test_a_folder_that_is_gone_ends_nothing(log, tmp_path):
    say(log, "before\n")
    log.reopen()
    (tmp_path / "web.log").unlink()
    tmp_path.rmdir()
    say(log, "lost\n")
    tmp_path.mkdir()
    say(log, "after\n")
    assert "5 bytes are missing" in (tmp_path / "web.log").read_text()


def test_supervisords_own_lines_have_their_form(log, tmp_path):
    log.setFormat("%(levelname)s %(message)s\n")
    log.emit(LogRecord(20, "spawned: %(name)s", name="web"))
    assert (tmp_path / "web.log").read_text() == "INFO spawned: web\n"


def test_a_real_full_device_is_survived(tmp_path):
    log = logs.PatientLog("/dev/full")
    say(log, "lost\n")
    assert log.dropped == 5
