"""Ports for the servers that tests start."""

from __future__ import annotations

import random
import socket

# Below those that Linux gives to whoever asks for any, which may take one before its server does.
CHOSEN = range(20_000, 32_000)


def free_port(host: str) -> int:
    """A port of this host that nobody listens at now."""
    while True:
        port = random.choice(CHOSEN)
        with socket.socket() as one:
            try:
                one.bind((host, port))
            except OSError:  # taken
                continue
        return port
