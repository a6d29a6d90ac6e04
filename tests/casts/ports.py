"""A port for a server of a test's own."""

import os
import socket

FIRST, AFTER = 20_000, 32_000  # below those that Linux gives to connections: they come and go while a server starts


def free_port():
    """A port on which nobody listens; processes begin to look at different ones."""
    ports = AFTER - FIRST
    for step in range(ports):
        port = FIRST + (97 * os.getpid() + step) % ports
        with socket.socket() as server:
            try:
                server.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"All ports from {FIRST} to {AFTER - 1} are taken.")
