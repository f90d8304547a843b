"""Exit 0 where GET http://127.0.0.1:PORT/PATH answers 200. Usage: healthcheck.py PORT PATH.

A bare socket: this starts every few seconds in every container, and an HTTP library takes ten
times as long to import as the question takes to ask.
"""

# ruff: noqa: INP001 - copied into the images by itself, never imported
import socket
import sys

TIMEOUT_S = 2.0


def status(port: int, path: str) -> bytes:
    """Return the status code the service on `port` answers with."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as connection:
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode("ascii"))
        first_line = connection.makefile("rb").readline()
    return first_line.split(b" ")[1]


if __name__ == "__main__":
    sys.exit(0 if status(int(sys.argv[1]), sys.argv[2]) == b"200" else 1)
