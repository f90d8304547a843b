"""Free ports on loopback: the default where it is free, any other where it is taken."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass

from interlock_operator.errors import EXIT_USAGE, OperatorError

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class PortWish:
    """A port to have: who for, the setting that names it, and the usual number."""

    name: str
    setting: str
    default: int


def choose(wishes: tuple[PortWish, ...], environ: Mapping[str, str]) -> dict[str, int]:
    """Return a free port for every wish, by name.

    A port that the operator set is taken as it is, or refused with the setting's name.
    """
    # All stay bound until every one is chosen, so that no number is handed out twice.
    held: list[socket.socket] = []
    try:
        return {wish.name: _choose_one(wish, environ, held) for wish in wishes}
    finally:
        for sock in held:
            sock.close()


def _choose_one(wish: PortWish, environ: Mapping[str, str], held: list[socket.socket]) -> int:
    asked = environ.get(wish.setting, "")
    if asked:
        if not asked.isascii() or not asked.isdigit() or not 0 < int(asked) < 2**16:
            raise OperatorError(
                f"{wish.setting}: expected a port number, was {asked!r}", exit_code=EXIT_USAGE
            )
        if _bind(int(asked), held) is None:
            raise OperatorError(
                f"{wish.setting}: port {asked} is taken by another program", exit_code=EXIT_USAGE
            )
        return int(asked)
    port = _bind(wish.default, held) or _bind(0, held)
    if port is None:
        raise OperatorError(f"no free port on {LOOPBACK} for {wish.name}")
    return port


def _bind(port: int, held: list[socket.socket]) -> int | None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # As the servers do: a port with connections still in TIME_WAIT is free.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((LOOPBACK, port))
        # Two sockets with SO_REUSEADDR may bind one port while none of them listens.
        sock.listen(1)
    except OSError:
        sock.close()
        return None
    held.append(sock)
    number: int = sock.getsockname()[1]
    return number
