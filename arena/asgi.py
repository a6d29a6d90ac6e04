"""The web process as its server (granian) runs it: Django in threads that no slow client can hold.

A thread is taken for a request that has arrived whole, and is free again before the answer is on its way: a client that
trickles headers, a body or its reading costs a socket, and nobody waits for it. Headers have a time limit in the
server, bodies and answers here. Why so: docs/decisions/web-server.md.
"""

import asyncio
import io
import json
import os
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any
from urllib.parse import unquote_to_bytes

from .run.exec import PARENT, die_with_parent
from .wsgi import application as django

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

THREADS = 8  # each with its connection to the database
STREAMS = 4  # answers that are made while they are sent, such as exports, each in a thread of its own
MOST_BYTES = 2_500_000  # of a body; the largest vote has a tenth of that
IN_MEMORY = 65_536  # longer bodies wait in a temporary file
BODY_SECONDS = 30  # for all of it
PIECE_BYTES = 32_768
PIECE_SECONDS = 30  # for a piece of a long body to come, or of an answer to go
# Files to be scored. These endpoints read the body themselves, after they have seen who sends it.
LONG_BODIES = ("/api/score/", "/api/best-of-n/")


class Refused(OSError):
    """A request that is answered here, because of how its body comes. An OSError, as Django expects of reading one."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail


class Application:
    """An ASGI application around a WSGI application."""

    def __init__(self, wsgi: Callable[..., Iterable[bytes]]) -> None:
        self.wsgi = wsgi
        self.threads = ThreadPoolExecutor(THREADS, "request")
        self.streams = ThreadPoolExecutor(STREAMS, "stream")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = joined(scope["headers"])
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as short:
            try:
                body, length = await body_of(scope["path"], headers, receive, short)
            except Refused as refusal:
                await refuse(send, refusal)
            else:
                await self._answer(environ(scope, headers, body, length), send)

    async def _answer(self, environ: dict[str, Any], send: Send) -> None:
        loop = asyncio.get_running_loop()
        status, headers, content = await loop.run_in_executor(self.threads, self._run, environ)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if isinstance(content, bytes):
            await send_bytes(send, content)
        elif isinstance(content, FileOf):
            await self._send_file(send, content)
        else:
            await loop.run_in_executor(self.streams, send_stream, content, send, loop)

    def _run(self, environ: dict[str, Any]) -> tuple[int, list[tuple[bytes, bytes]], Any]:
        """(status, headers, content), where content is bytes, or has still to be read."""
        begun: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
            encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
            begun[:] = int(status[:3]), encoded

        result = self.wsgi(environ, start_response)
        status, headers = begun
        if getattr(result, "streaming", False) or (isinstance(result, FileOf) and not result.is_short()):
            return status, headers, result
        try:
            return status, headers, b"".join(result)
        finally:
            if hasattr(result, "close"):
                result.close()  # Django's end of the request: in the thread whose database connection it is about

    async def _send_file(self, send: Send, file: "FileOf") -> None:
        loop = asyncio.get_running_loop()
        try:
            while piece := await loop.run_in_executor(self.threads, file.read):
                await in_time(send, _piece(piece, more=True))
            await send(_piece(b""))
        finally:
            await loop.run_in_executor(self.threads, file.close)


# ---- requests -----------------------------------------------------------------------------------------


def joined(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """{name: value} of headers; one that comes several times as one. Names with an underscore are left out: WSGI could
    not tell `X_Forwarded_For` from the header that a proxy sets."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if "_" not in name:
            separator = "; " if name == "cookie" else ","
            headers[name] = f"{headers[name]}{separator}{value}" if name in headers else value
    return headers


async def body_of(path: str, headers: dict[str, str], receive: Receive, short: IO[bytes]) -> tuple[Any, int]:
    """(the body, its length), once all of it is in the file `short`; a long one of LONG_BODIES while it arrives."""
    told = int(headers["content-length"]) if "content-length" in headers else None
    if not told and "transfer-encoding" not in headers:
        return short, 0
    if told and told > MOST_BYTES:
        if path not in LONG_BODIES:
            raise Refused(413, "too_large", f"The body has {told:,} bytes; at most {MOST_BYTES:,} are read here.")
        return io.BufferedReader(Arriving(receive, asyncio.get_running_loop()), PIECE_BYTES), told
    try:
        async with asyncio.timeout(BODY_SECONDS):
            length = await _collect(short, receive, path)
    except TimeoutError:
        raise Refused(408, "too_slow", f"The body did not arrive within {BODY_SECONDS} s.") from None
    short.seek(0)
    return short, length


async def _collect(body, receive, path):
    more, length = True, 0
    while more:
        piece, more = _part(await receive())
        length += len(piece)
        if length > MOST_BYTES:
            if path in LONG_BODIES:
                detail = f"Send Content-Length with a body of more than {MOST_BYTES:,} bytes."
                raise Refused(411, "length_required", detail)
            raise Refused(413, "too_large", f"At most {MOST_BYTES:,} bytes are read here.")
        try:
            body.write(piece)
        except OSError as error:  # a longer body waits in a file
            detail = "The server has no space for this at the moment. Send it again later."
            raise Refused(503, "disk_full", detail) from error
    return length


def _part(message):
    if message["type"] == "http.disconnect":
        raise Refused(400, "bad_body", "The body ended early, or is not what its headers say.")
    return message.get("body", b""), message.get("more_body", False)


class Arriving(io.RawIOBase):
    """A body that a thread reads while it arrives. A piece that does not come in time is an OSError."""

    def __init__(self, receive: Receive, loop: asyncio.AbstractEventLoop) -> None:
        self._receive, self._loop = receive, loop
        self._piece, self._more = b"", True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._piece and self._more:
            message = asyncio.run_coroutine_threadsafe(in_time(self._receive), self._loop).result()
            self._piece, self._more = _part(message)
        taken, self._piece = self._piece[: len(buffer)], self._piece[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)


def environ(scope: Scope, headers: dict[str, str], body: IO[bytes], length: int) -> dict[str, Any]:
    """The request as WSGI says it (PEP 3333)."""
    server, client = scope.get("server") or ("localhost", 80), scope.get("client") or ("", 0)
    meta = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    meta.pop("HTTP_CONTENT_LENGTH", None)
    content_type = meta.pop("HTTP_CONTENT_TYPE", "")
    return {
        **meta,
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "CONTENT_TYPE": content_type,
        "CONTENT_LENGTH": str(length),
        "REMOTE_ADDR": client[0],
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileOf,
    }


# ---- answers ------------------------------------------------------------------------------------------


class FileOf:
    """An answer that is a file, read piece by piece as the client takes it (`wsgi.file_wrapper`)."""

    def __init__(self, file: Any, block_size: int = PIECE_BYTES) -> None:
        self._file = file
        self._first = file.read(PIECE_BYTES)

    def is_short(self) -> bool:
        return len(self._first) < PIECE_BYTES

    def read(self) -> bytes:
        piece, self._first = self._first or self._file.read(PIECE_BYTES), b""
        return piece

    def __iter__(self) -> Any:
        return iter(self.read, b"")

    def close(self) -> None:
        self._file.close()


def _piece(content, *, more=False):
    return {"type": "http.response.body", "body": content, "more_body": more}


async def in_time(work: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    async with asyncio.timeout(PIECE_SECONDS):
        return await work(*arguments)


async def send_bytes(send: Send, content: bytes) -> None:
    """In pieces, as fast as the client takes them."""
    if len(content) > PIECE_BYTES:
        for start in range(0, len(content), PIECE_BYTES):
            await in_time(send, _piece(content[start : start + PIECE_BYTES], more=True))
        content = b""
    await send(_piece(content))


def send_stream(pieces: Any, send: Send, loop: asyncio.AbstractEventLoop) -> None:
    """Pieces that this thread makes while they are sent."""
    try:
        for piece in pieces:
            asyncio.run_coroutine_threadsafe(in_time(send, _piece(piece, more=True)), loop).result()
        asyncio.run_coroutine_threadsafe(in_time(send, _piece(b"")), loop).result()
    finally:
        pieces.close()


async def refuse(send: Send, refusal: Refused) -> None:
    """As the API refuses. What is left of the body is not read, so the connection ends."""
    content = json.dumps({"code": refusal.code, "detail": refusal.detail}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send(_piece(content))


if PARENT in os.environ:  # a worker of `make run`: without the process that began it nobody would end it
    die_with_parent(signal.SIGTERM)
application = Application(django)
