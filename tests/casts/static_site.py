"""The project's static files behind a plain web server: for tests of modules that need no Django."""

import functools
import http.server
import threading
from contextlib import contextmanager
from pathlib import Path

STATIC = Path(__file__).parents[2] / "static"


class Handler(http.server.SimpleHTTPRequestHandler):
    extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, ".js": "text/javascript"}

    def log_message(self, *args):
        pass


@contextmanager
def serve():
    """Yields its address. `/static/js/x.js` is a module; `/static/css/` is a page that does nothing."""
    handler = functools.partial(Handler, directory=STATIC.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
