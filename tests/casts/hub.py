"""A hub of weights on this machine, as far as its protocol concerns a download: resolve URLs, redirects to a store of
large files on another host, ranges, commits, checksums, gates. What talks to it is the real client.
"""

import contextlib
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c0ffee" + "0" * 34


class Hub:
    """Serves `files` {(repository, name): bytes}. Files of `large` bytes or more lie in the store."""

    def __init__(self, large=1000):
        self.files, self.large = {}, large
        self.gated = set()  # repositories that want the token "let-me-in"
        self.damaged = set()  # names whose content is not what the checksum says
        self.cut_at = None  # bytes after which the connection ends; then the hub is down until it is None
        self.stalls_at = None  # bytes after which nothing more comes
        self.requests = []  # (method, path, range)
        self.tokens = []  # (path, authorization), where there was one
        self.released = threading.Event()

    def __enter__(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"hub": self}))
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    def add(self, repository, **contents):
        for name, content in contents.items():
            self.files[repository, name.replace("__", ".")] = content

    def ranges(self):
        return [asked for method, path, asked in self.requests if method == "GET" and path.startswith("/store/")]


class Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def handle(self):
        with contextlib.suppress(ConnectionError):  # a client that was killed
            super().handle()

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        self.hub.requests.append((self.command, self.path, self.headers.get("Range")))
        if token := self.headers.get("Authorization"):
            self.hub.tokens.append((self.path, token))
        store, _, digest = self.path.partition("/store/")
        if not store and digest:
            name, content = next(
                (name, content)
                for (_, name), content in self.hub.files.items()
                if hashlib.sha256(content).hexdigest() == digest
            )
            return self.send_content(name, content, {"ETag": '"of-the-store"'})
        repository, _, rest = self.path[1:].partition("/resolve/")
        name = rest.partition("/")[2]
        if repository in self.hub.gated and self.headers.get("Authorization") != "Bearer let-me-in":
            return self.refuse(401, "GatedRepo")
        if repository not in {known for known, _ in self.hub.files}:
            return self.refuse(401, "RepoNotFound")
        if (repository, name) not in self.hub.files:
            return self.refuse(404, "EntryNotFound")
        content = self.hub.files[repository, name]
        if len(content) < self.hub.large:
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            return self.send_content(name, content, {"ETag": f'"{blob}"', "X-Repo-Commit": COMMIT})
        digest = hashlib.sha256(content).hexdigest()
        self.send_response(302)
        self.send_header("Location", f"http://localhost:{self.hub.port}/store/{digest}")
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("X-Linked-Etag", f'"{digest}"')
        self.send_header("X-Linked-Size", str(len(content)))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def refuse(self, status, code):
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_content(self, name, content, headers):
        start = int((self.headers.get("Range") or "bytes=0-")[6:].rstrip("-"))
        if name in self.hub.damaged:
            content = bytes(len(content))
        if start and self.hub.cut_at is not None:  # the client tries to go on: now the hub is down for good
            return self.refuse(503, "Down")
        body = content[start:]
        self.send_response(206 if start else 200)
        for header, value in headers.items():
            self.send_header(header, value)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.hub.cut_at is not None:
            self.wfile.write(body[: self.hub.cut_at])
            self.close_connection = True
        elif self.hub.stalls_at is not None and len(body) > self.hub.stalls_at and not start:
            self.wfile.write(body[: self.hub.stalls_at])
            self.wfile.flush()
            self.hub.released.wait(60)
        else:
            self.wfile.write(body)
