"""The parsers of what others send: any bytes give a value or one of the errors they promise."""

import tempfile
from decimal import Decimal
from pathlib import Path

from interlock_core.arming import parse_arm_at
from interlock_core.wire import strict
from interlock_core.wire.attestation import open_sealed
from interlock_core.wire.gate import OrderIntent
from interlock_core.wire.strict import SchemaError
from interlock_gatekeeper import journal
from interlock_gatekeeper.transport import Answer
from interlock_gatekeeper.vault import PAPER_VAULT
from interlock_gatekeeper.venues.binance import PERP, SPOT, Binance
from interlock_gatekeeper.venues.readings import Ended
from interlock_gatekeeper.venues.upbit import Upbit

ADAPTERS = (
    Upbit("http://venue", PAPER_VAULT.upbit),
    Binance(PERP, "http://venue", PAPER_VAULT.binance),
    Binance(SPOT, "http://venue", PAPER_VAULT.binance),
)
ENDED = Ended("7", Decimal(1), Decimal(0), Decimal(0), None)
STATUSES = (200, 400, 404, 418, 500)


def intent(data):
    """An order intent: a message or SchemaError, and what was read can be written again."""
    try:
        found = strict.decode(OrderIntent, data)
    except SchemaError:
        return
    if strict.decode(OrderIntent, strict.encode(found)) != found:
        raise AssertionError(found)


def arm_at(data):
    """LIVE_ARM_AT: an instant or None, never an error."""
    found = parse_arm_at(data.decode("utf-8", "replace"))
    if found is not None and type(found) is not int:
        raise AssertionError(found)


def journal_line(data):
    """A journal: read to its first defect, which no one's bytes can hide."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / journal.day_file(0)
        path.write_bytes(data)
        found = journal.read(path, lambda _: None)
    if found.lines:
        raise AssertionError("nobody can guess a hash chain")


def venue_answer(data):
    """A venue's answer: a reading, or ValueError for public data."""
    for adapter in ADAPTERS:
        for status in STATUSES:
            answer = Answer(status, data)
            adapter.read_order(answer)
            adapter.read_query(answer)
            adapter.read_fills(ENDED, answer)
            for read in (adapter.read_instruments, adapter.read_prices):
                try:
                    read(answer)
                except ValueError:
                    continue


def attestation(data):
    """A sealed attestation: SchemaError for everything that was not sealed."""
    try:
        open_sealed(data, b"k" * 32)
    except SchemaError:
        return
    raise AssertionError("nobody can guess a MAC")


TARGETS = {f.__name__: f for f in (intent, arm_at, journal_line, venue_answer, attestation)}
