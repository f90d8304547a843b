"""Ports of loopback for what a test starts."""

import contextlib
import random
import socket

# Below the range that the kernel hands out to outgoing connections: nobody takes one meanwhile.
_FREE = iter(random.sample(range(20_000, 32_000), 12_000))


def free_port():
    """Return a port that nobody listens on, each once in a run."""
    for port in _FREE:
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise LookupError("no free port is left")
