"""How the web process reads bodies and sends answers, without a server: what a client does is a list of messages."""

import asyncio
import io
import json
import threading

import pytest

from arena import asgi


class Client:
    """One request to a WSGI application behind `asgi.Application`, and its answer."""

    def __init__(self, wsgi, *pieces, path="/", method="POST", headers=(), pause=0, takes=True):
        self.pieces, self.pause, self.takes, self.sent = list(pieces), pause, takes, []
        scope = {
            "type": "http", "http_version": "1.1", "method": method, "path": path, "raw_path": path.encode(),
            "query_string": b"a=1", "headers": [(name.encode(), value.encode()) for name, value in headers],
            "client": ("192.0.2.7", 4711), "server": ("127.0.0.1", 8000), "scheme": "http",
        }  # fmt: skip
        asyncio.run(asgi.Application(wsgi)(scope, self.receive, self.send))

    async def receive(self):
        await asyncio.sleep(self.pause)
        piece = self.pieces.pop(0)
        if piece is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": bool(self.pieces)}

    async def send(self, message):
        if not self.takes and len(self.sent) > 2:
            await asyncio.sleep(60)
        self.sent.append(message)

    @property
    def status(self):
        return self.sent[0]["status"]

    @property
    def body(self):
        return b"".join(message["body"] for message in self.sent[1:])

    @property
    def code(self):
        return json.loads(self.body)["code"]


def echo(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))]


def say_environ(environ, start_response):
    start_response("200 OK", [])
    return [json.dumps({name: value for name, value in environ.items() if isinstance(value, str)}).encode()]


CHUNKED = [("transfer-encoding", "chunked")]


def length(n):
    return [("content-length", str(n))]


def test_a_body_is_read_whole_with_and_without_a_stated_length():
    assert Client(echo, b"one ", b"two", headers=length(7)).body == b"one two"
    assert Client(echo, b"one ", b"", b"two", headers=CHUNKED).body == b"one two"
    assert Client(echo, b"x" * 1_000_000, b"y" * 1_000_000, headers=CHUNKED).body == b"x" * 1_000_000 + b"y" * 1_000_000


def test_a_body_that_is_too_long_is_413_and_nobody_reads_it():
    never_called = None
    told = Client(never_called, b"x", headers=length(asgi.MOST_BYTES + 1))
    assert (told.status, told.code) == (413, "too_large")
    untold = Client(never_called, *[b"x" * 100_000] * 30, headers=CHUNKED)
    assert (untold.status, untold.code) == (413, "too_large")
    assert untold.pieces, "all of it was read"


def test_a_file_to_be_scored_is_read_while_it_arrives_and_needs_a_length():
    piece, n = b"x" * 50_000, 100
    whole = Client(echo, *[piece] * n, path="/api/score/", headers=length(len(piece) * n))
    assert (whole.status, len(whole.body)) == (200, len(piece) * n)
    unsaid = Client(echo, *[piece] * n, path="/api/score/", headers=CHUNKED)
    assert (unsaid.status, unsaid.code) == (411, "length_required")


def test_who_is_refused_before_the_body_need_not_send_it():
    def forbids(environ, start_response):
        start_response("401 Unauthorized", [])
        return [b"no"]

    refused = Client(forbids, b"x", b"never sent", path="/api/score/", headers=length(5_000_000))
    assert (refused.status, refused.body) == (401, b"no")
    assert len(refused.pieces) == 2


def test_a_body_that_trickles_is_408(monkeypatch):
    monkeypatch.setattr(asgi, "BODY_SECONDS", 0.05)
    late = Client(None, b"x", b"y", headers=length(2), pause=30)
    assert (late.status, late.code) == (408, "too_slow")


def test_a_body_that_breaks_off_is_400_and_a_long_one_is_an_oserror_for_its_reader():
    broken = Client(None, b"x", None, headers=length(9))
    assert (broken.status, broken.code) == (400, "bad_body")

    def reads(environ, start_response):
        with pytest.raises(OSError, match="ended early"):
            environ["wsgi.input"].read(5_000_000)
        start_response("400 Bad Request", [])
        return []

    assert Client(reads, b"x", None, path="/api/score/", headers=length(5_000_000)).status == 400


def test_headers_come_as_wsgi_names_them_and_none_can_pose_as_a_proxys():
    headers = [
        ("Content-Type", "text/plain"), ("X-Forwarded-For", "198.51.100.1"), ("X_Forwarded_For", "203.0.113.9"),
        ("Cookie", "a=1"), ("Cookie", "b=2"), ("Accept", "x/y"), ("Accept", "z/w"), *length(1),
    ]  # fmt: skip
    seen = json.loads(Client(say_environ, b"x", path="/%C3%A9%00", headers=headers).body)
    assert seen["HTTP_X_FORWARDED_FOR"] == "198.51.100.1"
    assert (seen["HTTP_COOKIE"], seen["HTTP_ACCEPT"]) == ("a=1; b=2", "x/y,z/w")
    assert (seen["CONTENT_TYPE"], seen["CONTENT_LENGTH"], seen["REMOTE_ADDR"]) == ("text/plain", "1", "192.0.2.7")
    assert "HTTP_CONTENT_LENGTH" not in seen and "HTTP_CONTENT_TYPE" not in seen
    assert seen["PATH_INFO"] == "/Ã©\0" and seen["QUERY_STRING"] == "a=1"  # bytes as Latin-1, as WSGI wants them


def test_a_file_is_sent_piece_by_piece_and_closed():
    file = io.BytesIO(b"x" * 200_000)

    def sends(environ, start_response):
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](file)

    answer = Client(sends, method="GET")
    assert len(answer.body) == 200_000 and file.closed
    assert max(len(message["body"]) for message in answer.sent[1:]) == asgi.PIECE_BYTES


class Stream:
    """An answer that is made while it is sent, as Django's StreamingHttpResponse."""

    streaming = True

    def __init__(self, n):
        self.threads, self.closed, self.n = set(), False, n

    def __iter__(self):
        for _ in range(self.n):
            self.threads.add(threading.current_thread().name)
            yield b"x" * 1000

    def close(self):
        self.closed = True


def test_an_answer_made_while_it_is_sent_has_a_thread_of_its_own():
    stream = Stream(100)

    def streams(environ, start_response):
        start_response("200 OK", [])
        return stream

    assert len(Client(streams, method="GET").body) == 100_000
    assert stream.closed and len(stream.threads) == 1
    assert next(iter(stream.threads)).startswith("stream")


def test_who_does_not_take_an_answer_is_given_up(monkeypatch):
    monkeypatch.setattr(asgi, "PIECE_SECONDS", 0.05)
    stream, file = Stream(100), io.BytesIO(b"x" * 400_000)

    def answers(content):
        def application(environ, start_response):
            start_response("200 OK", [])
            return content(environ)

        return application

    for content in (lambda _: stream, lambda environ: environ["wsgi.file_wrapper"](file), lambda _: [b"x" * 400_000]):
        with pytest.raises(TimeoutError):
            Client(answers(content), method="GET", takes=False)
    assert stream.closed and file.closed
