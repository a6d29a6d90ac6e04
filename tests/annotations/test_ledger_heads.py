"""Heads of the ledger: signed by a key that the database does not have, published, and checked when they come back."""

import json
import shutil
import subprocess
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from annotations import ledger, ledger_heads, ledger_timestamps
from annotations.tasks import extend_ledger
from tests.casts.votes import vote_at_once

NOW = timezone.now()


@pytest.fixture
def head(study, rater):
    vote_at_once(study, rater)
    ledger.extend()
    return ledger_heads.publish(NOW)


def verify(*arguments):
    said = StringIO()
    call_command("verify_ledger", *arguments, stdout=said)
    return said.getvalue()


def test_the_key_is_made_once_and_private(head):
    key = ledger_heads.folder() / "key.pem"
    assert key.stat().st_mode & 0o777 == 0o600
    assert ledger_heads.sign(9, "d", NOW).key == head.key == ledger_heads.public_key()


def test_a_head_a_minute_while_the_ledger_grows(study, rater, head):
    assert ledger_heads.publish(NOW + timedelta(minutes=5)) is None  # it does not grow
    vote_at_once(study, rater)
    ledger.extend()
    assert ledger_heads.publish(NOW + timedelta(seconds=59)) is None
    second = ledger_heads.publish(NOW + timedelta(seconds=60))
    assert [head.seq for head in ledger_heads.logged()] == [1, 2]
    assert ledger_heads.last_head() == second


def test_the_sweep_that_numbers_votes_signs_them(study, rater):
    extend_ledger()
    assert ledger_heads.last_head() is None
    vote_at_once(study, rater)
    extend_ledger()
    assert ledger_heads.last_head().seq == 1


def test_a_log_that_cannot_be_written_does_not_keep_a_vote_from_its_place(study, rater, settings, tmp_path, caplog):
    settings.ARENA_HOME = tmp_path / "file"
    settings.ARENA_HOME.write_text("no folder")
    vote_at_once(study, rater)
    extend_ledger()
    assert ledger.head() == 1
    assert "could not be written" in caplog.text


def test_a_line_that_a_crash_cut_off_is_no_head(head):
    with ledger_heads.log_file().open("a") as log:
        log.write(head.line[:100])
    assert ledger_heads.last_head() == head


def test_a_line_that_a_crash_cut_off_is_named_and_the_next_head_has_a_line_of_its_own(study, rater, head):
    with ledger_heads.log_file().open("a") as log:
        log.write(head.line[:100])
    vote_at_once(study, rater)
    ledger.extend()
    second = ledger_heads.publish(NOW + timedelta(minutes=2))
    assert ledger_heads.logged() == [head, second] and ledger_heads.last_head() == second
    with pytest.raises(CommandError, match=r"Line 2 of .*heads\.jsonl is no head"):
        verify()


@pytest.mark.parametrize(
    "change", [("{", ""), ('"signature"', '"signatur"'), ("+00:00", ""), ('"seq": 1', '"seq": "1"')]
)
def test_a_head_of_the_log_that_was_made_unreadable_is_named(head, change):
    ledger_heads.log_file().write_text(head.line.replace(*change) + "\n")
    with pytest.raises(CommandError, match="Line 1 of"):
        verify()


def test_a_disk_that_is_full_leaves_no_half_line(study, rater, head, monkeypatch):
    def is_full(_):
        raise OSError(28, "No space left on device")

    vote_at_once(study, rater)
    ledger.extend()
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr("os.fsync", is_full)
        ledger_heads.publish(NOW + timedelta(minutes=2))
    assert ledger_heads.log_file().read_text() == head.line + "\n"
    assert ledger_heads.publish(NOW + timedelta(minutes=2)).seq == 2


def test_a_clock_that_was_set_back_does_not_stop_the_signing(study, rater, head):
    vote_at_once(study, rater)
    ledger.extend()
    assert ledger_heads.publish(NOW - timedelta(days=3650)).seq == 2


def test_a_public_key_that_a_crash_has_left_out_is_written_again(study, rater, head):
    (ledger_heads.folder() / "key.pub").unlink()
    vote_at_once(study, rater)
    ledger.extend()
    ledger_heads.publish(NOW + timedelta(minutes=2))
    assert ledger_heads.public_key() == head.key
    assert "pass through 2 signed heads" in verify()


def test_a_damaged_key_does_not_keep_a_vote_from_its_place(study, rater, head, caplog):
    (ledger_heads.folder() / "key.pem").write_text("no key")
    ledger_heads.log_file().unlink()
    vote_at_once(study, rater)
    extend_ledger()
    assert ledger.head() == 2 and "could not be written" in caplog.text


def test_the_exclusions_show_the_last_head_to_everybody_and_it_can_be_given_back(study, head, client):
    answer = client.get("/api/exclusions/", {"study": "open"})
    assert answer.json()["ledger_head"] == json.loads(head.line)
    page = client.get("/boards/open/exclusions/").content.decode()
    for text in (answer.content.decode(), page, head.line):
        assert ledger_heads.parse(text) == [head]
        assert "pass through 2 signed heads" in verify("--against", text)


def test_without_a_head_the_exclusions_say_so(study, client):
    assert client.get("/api/exclusions/", {"study": "open"}).json()["ledger_head"] is None
    assert client.get("/boards/open/exclusions/").status_code == 200


def test_a_file_of_heads_is_taken_too(head, tmp_path):
    file = tmp_path / "kept.jsonl"
    file.write_text(head.line + "\n")
    assert "pass through 2 signed heads" in verify("--against", str(file))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"seq": 2}, "The signature of the head of entry 2 is wrong"),
        ({"digest": "0" * 64}, "The signature of the head of entry 1 is wrong"),
        ({"at": "2020-01-01T00:00:00+00:00"}, "The signature of the head of entry 1 is wrong"),
        ({"signature": "zz"}, "The signature of the head of entry 1 is wrong"),
        ({"key": "00" * 32}, "is signed by the key 0000"),
    ],
)
def test_a_head_that_this_key_did_not_sign_is_refused(head, changed, says):
    with pytest.raises(CommandError, match=says):
        verify("--against", json.dumps(json.loads(head.line) | changed))


def test_a_head_signed_by_another_arena_is_checked_by_its_own_key(head, settings, tmp_path):
    key, settings.ARENA_HOME = ledger_heads.public_key(), tmp_path / "restored"
    with pytest.raises(CommandError, match="name the public key by --key"):
        verify("--against", head.line)
    assert "pass through 1 signed head" in verify("--against", head.line, "--key", key)


@pytest.mark.parametrize(
    ("source", "says"),
    [("no/such/file", "No such file"), ("{}", "There is no head"), ('{"seq": 1, "signature": 5}', "There is no head"),
     ("http://127.0.0.1:9/", "refused")],
)  # fmt: skip
def test_what_is_no_head_is_refused_in_words(db, source, says):
    with pytest.raises(CommandError, match=says):
        verify("--against", source)


# ---- time-stamps --------------------------------------------------------------------------------------

needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="OpenSSL plays the authority")
AUTHORITY = """
[tsa]
default_tsa = here
[here]
serial = {folder}/serial
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256
[ext]
extendedKeyUsage = critical,timeStamping
[req]
distinguished_name = name
[name]
"""


def openssl(*arguments, **options):
    return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, text=True, **options)


@pytest.fixture
def authority(tmp_path):
    """stamp(request, answer): a time-stamping authority."""
    conf = tmp_path / "tsa.conf"
    conf.write_text(AUTHORITY.format(folder=tmp_path))
    key, certificate = tmp_path / "tsa.key", tmp_path / "tsa.crt"
    subject = ("-subj", "/CN=A test authority", "-extensions", "ext", "-config", conf)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, *subject)

    def stamp(request, answer):
        signer = ("-inkey", key, "-signer", certificate)
        openssl("ts", "-reply", "-config", conf, "-queryfile", request, *signer, "-out", answer)
        return certificate

    return stamp


@needs_openssl
def test_an_authority_stamps_the_request_and_the_answer_is_of_this_head(head, authority, tmp_path):
    name, answer = tmp_path / "stamp", tmp_path / "stamp.tsr"
    said = StringIO()
    call_command("timestamp_ledger", str(name), stdout=said)
    assert "head of entry 1" in said.getvalue()
    text = openssl("ts", "-query", "-in", f"{name}.tsq", "-text").stdout
    assert "Hash Algorithm: sha256" in text and "Certificate required: yes" in text
    certificate = authority(f"{name}.tsq", answer)

    call_command("timestamp_ledger", str(name), check=str(answer), stdout=said)
    assert "stamps the head of entry 1 at 20" in said.getvalue()
    line = tmp_path / "line"
    line.write_text(head.line)
    openssl("ts", "-verify", "-in", answer, "-data", line, "-CAfile", certificate)
    assert "pass through 2 signed heads" in verify("--against", f"{name}.json")

    other = ledger_heads.sign(2, "d", NOW)
    with pytest.raises(ledger_timestamps.BadToken, match="not of the head of entry 2"):
        ledger_timestamps.stamped_at(other, answer.read_bytes())


def test_what_is_no_answer_of_an_authority_is_refused(head, tmp_path):
    call_command("timestamp_ledger", str(tmp_path / "stamp"), stdout=StringIO())
    for bad in (b"", b"<html>", (tmp_path / "stamp.tsq").read_bytes()):
        (tmp_path / "bad.tsr").write_bytes(bad)
        with pytest.raises(CommandError, match="no answer of a time-stamping authority"):
            call_command("timestamp_ledger", str(tmp_path / "stamp"), check=str(tmp_path / "bad.tsr"))


def test_without_a_head_there_is_nothing_to_stamp(db, tmp_path):
    with pytest.raises(CommandError, match="No head of the ledger was signed yet"):
        call_command("timestamp_ledger", str(tmp_path / "stamp"))
