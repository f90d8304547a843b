"""The ledger equation: what must hold of all books, whatever happened in between."""

from collections import Counter
from decimal import Decimal

from interlock_engine.ledger.records import Sent, Settled
from interlock_gatekeeper import audit

ZERO = Decimal(0)


def flows(orders):
    """Return what fills did to each balance, fees included, by venue and asset.

    For perpetuals: to each position by symbol, and to the wallet.
    """
    found = Counter()
    for venue, order in orders:
        upbit = venue.value == "UPBIT"
        quote = "KRW" if upbit else "USDT"
        symbol = order.new.symbol
        if venue.value == "BINANCE_PERP":
            for fill in order.fills:
                sign = 1 if fill.side == "buy" else -1
                found[venue.value, symbol] += sign * fill.quantity
                found[venue.value, "USDT"] += fill.realized - fill.fee
            continue
        base = symbol.removeprefix("KRW-") if upbit else symbol.removesuffix("USDT")
        for fill in order.fills:
            sign = 1 if fill.side == "buy" else -1
            found[venue.value, base] += sign * fill.quantity
            found[venue.value, quote] -= sign * fill.funds
            found[venue.value, fill.fee_asset] -= fill.fee
    return found


def check(system, start, *, foreign=()):
    """Assert that venues, journal and ledger agree on every order, and every balance is explained.

    `start` are the balances before the first order; `foreign` the client ids that are not ours.
    """
    at_venue = [(venue, order) for venue, order in system.world.audit]
    ids = [order.new.client_id for _, order in at_venue]
    assert len(set(ids)) == len(ids), "an order is at a venue twice"

    # Start balance + fills - fees = end balance, for every asset on every venue.
    change = flows(at_venue)
    ended = system.balances()
    for key in {*start, *ended, *change}:
        assert start.get(key, ZERO) + change[key] == ended.get(key, ZERO), key

    # The journal holds every order of the venues with what it filled, and nothing that filled more.
    settled = {
        known.result.client_order_id: known.result
        for known in system.gatekeeper._state.settled.values()
    }
    assert not system.gatekeeper._state.open_orders, "an order is not proven ended"
    for _, order in at_venue:
        if order.new.client_id in foreign:
            continue
        assert not order.is_open, "an order is open at a venue"
        result = settled.pop(order.new.client_id)
        assert result.filled_quantity == order.filled, order.new.client_id
        assert result.fee == order.fee.quantize(Decimal("1e-12")), order.new.client_id
    assert all(result.filled_quantity == ZERO for result in settled.values())

    # The engine's ledger holds every order it sent, each proven, and none that it did not send.
    kept = system.ledger()
    sent = {record.intent.intent_id for record in kept if isinstance(record, Sent)}
    proven = {r.result.intent_id: r.result for r in kept if isinstance(r, Settled)}
    assert sent == set(proven), "an order of the engine is not proven"
    journaled = system.gatekeeper._state.settled
    for intent_id, result in proven.items():
        if intent_id in journaled:
            assert journaled[intent_id].result == result
    engines = {i for i in journaled if not i.startswith("flat-")}
    assert engines <= sent, "the journal holds an order that the ledger does not"


def check_journal(system):
    """Assert that the journal tells the same story from its first line, and breaks no invariant."""
    told = audit.verify(system.gatekeeper._journal.folder, environment="paper")
    assert told.defect is None, told.defect
    assert not told.violations, told.violations[:3]
