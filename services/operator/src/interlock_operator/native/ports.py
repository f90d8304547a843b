"""Free ports on loopback: the default where it is free, a neighbor where it is taken."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from interlock_operator.errors import EXIT_USAGE, OperatorError

LOOPBACK = "127.0.0.1"
# The kernel gives outgoing connections the numbers from 32768 up: a server that binds one of
# them a moment after it was seen free may find it taken.
FIRST_EPHEMERAL = 32_768
NEIGHBOR_STEP = 100


@dataclass(frozen=True, slots=True)
class PortWish:
    """A port to have: who for, the setting that names it, and the usual number."""

    name: str
    setting: str
    default: int


@contextlib.contextmanager
def choose(wishes: tuple[PortWish, ...], environ: Mapping[str, str]) -> Iterator[dict[str, int]]:
    """Yield a free port for every wish, by name, that no other stack is given meanwhile.

    A port that the operator set is taken as it is, or refused with the setting's name.
    """
    with contextlib.ExitStack() as held:
        yield {wish.name: _choose_one(wish, environ.get(wish.setting, ""), held) for wish in wishes}


def _choose_one(wish: PortWish, asked: str, held: contextlib.ExitStack) -> int:
    if asked:
        if not asked.isascii() or not asked.isdigit() or not 0 < int(asked) < 2**16:
            raise OperatorError(
                f"{wish.setting}: expected a port number, was {asked!r}", exit_code=EXIT_USAGE
            )
        if not _take(int(asked), held):
            raise OperatorError(
                f"{wish.setting}: port {asked} is taken by another program", exit_code=EXIT_USAGE
            )
        return int(asked)
    for port in range(wish.default, FIRST_EPHEMERAL, NEIGHBOR_STEP):
        if _take(port, held):
            return port
    raise OperatorError(f"no free port on {LOOPBACK} for {wish.name}: set {wish.setting}")


def _take(port: int, held: contextlib.ExitStack) -> bool:
    """Say whether the port is free, and if so keep other stacks from choosing it."""
    mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        # An abstract name, unique where the port is: between the choice and the server's own bind
        # it tells other stacks. The kernel frees it with this process, however that ends.
        mark.bind(f"\0interlock-port-{port}")
    except OSError:
        mark.close()
        return False
    if not _is_free(port):
        mark.close()
        return False
    held.callback(mark.close)
    return True


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        # As the servers do: a port with connections still in TIME_WAIT is free.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((LOOPBACK, port))
            # Two sockets with SO_REUSEADDR may bind one port while none of them listens.
            sock.listen(1)
        except OSError:
            return False
    return True
