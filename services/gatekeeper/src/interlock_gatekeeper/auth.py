"""Who is on the other end of a socket, and does this request belong to the running session."""

from __future__ import annotations

import hmac
import socket
import struct
from dataclasses import dataclass, field

from interlock_core.wire import gate

WINDOW = 64
_CREDENTIALS = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Peer:
    """The kernel's word about the process on the other end."""

    pid: int
    uid: int
    gid: int


def peer_of(sock: socket.socket) -> Peer:
    """Return the peer's credentials as the kernel recorded them at connect."""
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return Peer(*_CREDENTIALS.unpack(raw))


@dataclass(slots=True)
class SessionKey:
    """The MAC key of one epoch and the sequence numbers it has seen."""

    epoch: int
    key: bytes = field(repr=False)
    highest: int = 0
    seen: set[int] = field(default_factory=set)

    def problem(
        self, *, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> str | None:
        """Return why a request is refused, or None and mark its sequence number as used.

        A number is good once, and only within 64 of the highest seen, so that two requests in
        flight may overtake each other and nothing can be replayed.
        """
        epoch = _whole(headers.get(gate.HEADER_EPOCH))
        sequence = _whole(headers.get(gate.HEADER_SEQUENCE))
        claimed = headers.get(gate.HEADER_MAC, "")
        if epoch is None or sequence is None:
            return "epoch or sequence header is missing"
        expected = gate.mac(
            self.key, method=method, path=path, sequence=sequence, epoch=epoch, body=body
        )
        if not hmac.compare_digest(claimed.encode(), expected.encode()):
            return "the MAC does not match"
        if epoch != self.epoch:
            return "the epoch is not the running one"
        if sequence in self.seen or sequence <= self.highest - WINDOW:
            return "the sequence number was used before"
        self.seen.add(sequence)
        self.highest = max(self.highest, sequence)
        self.seen = {number for number in self.seen if number > self.highest - WINDOW}
        return None


def _whole(raw: str | None) -> int | None:
    if raw is None or not raw.isascii() or not raw.isdigit() or len(raw) > 18:  # noqa: PLR2004 - 63 bits
        return None
    return int(raw)
