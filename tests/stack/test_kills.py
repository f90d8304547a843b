"""SIGKILL of each process while it trades: nothing is lost or done twice, the books are even."""

import os
import signal
from decimal import Decimal

import pytest
from tests.stack.conftest import fetch, processes
from tests.stack.test_up import check_kpi

from interlock_engine.ledger.file import decode
from interlock_engine.ledger.records import Begun, Ended, Finished, Resumed, Sent, Settled

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]
KILLS = 1


def _ledger(stack):
    (path,) = (stack.folder / "runs").glob("*-paper-*/ledger.jsonl")
    raw = path.read_bytes()
    return list(decode(raw[: raw.rfind(b"\n") + 1]))


def _accounts(stack):
    """Return every balance at the simulated venues, by venue and asset."""
    found = fetch(stack.facts()["simvenues_url"] + "/admin/accounts")
    return {
        (venue, asset): Decimal(held["free"]) + Decimal(held["locked"])
        for venue in ("UPBIT", "BINANCE")
        for asset, held in found[venue].items()
    }


def _flows(orders):
    """Return what the fills of the venues' own order lists did to each balance, fees included."""
    flows = {}
    for order in orders:
        if order["venue"] not in ("UPBIT", "BINANCE") or Decimal(order["filled"]) == 0:
            continue
        upbit = order["venue"] == "UPBIT"
        quote = "KRW" if upbit else "USDT"
        base = order["symbol"].removeprefix("KRW-") if upbit else order["symbol"][:-4]
        sign = 1 if order["side"] == "buy" else -1
        for asset, change in (
            (base, sign * Decimal(order["filled"])),
            (quote, -sign * Decimal(order["funds"])),
            (order["fee_asset"], -Decimal(order["fee"])),
        ):
            key = (order["venue"], asset)
            flows[key] = flows.get(key, Decimal(0)) + change
    return flows


@pytest.mark.parametrize("victim", ["engine", "gatekeeper", "postgres", "valkey"])
def test_killed_again_and_again_it_ends_with_even_books(up, eventually, victim):
    """Journal, ledger, venue and database agree on every order; every balance is explained."""
    stack = up("--regime", "lively", BINANCE_MARKET="spot", TIME_LIMIT_S="5")
    stack.wait_until_trading()
    start = _accounts(stack)
    for _ in range(KILLS):
        seen = stack.orders()
        eventually(lambda before=seen: stack.orders() > before, within_s=90, what="orders")
        os.kill(stack.children()[victim], signal.SIGKILL)
        eventually(
            lambda: victim in stack.children() and stack.engine().get("state") == "trading",
            within_s=60,
            what="trading again",
        )
    seen = stack.orders()
    eventually(lambda: stack.orders() > seen, within_s=90, what="orders after the last kill")
    orders, ended = _end_of_engine(stack, eventually)
    kept = _ledger(stack)
    assert isinstance(kept[0], Begun)
    assert isinstance(kept[-1], Ended), "something was left open"
    assert sum(isinstance(r, Resumed) for r in kept) == (KILLS if victim == "engine" else 0)

    sent = {r.intent.intent_id: r for r in kept if isinstance(r, Sent)}
    settled = {r.result.intent_id: r.result for r in kept if isinstance(r, Settled)}
    assert set(sent) == set(settled), "an order without a proven end"
    at_venue = {order["client_id"]: order for order in orders}
    assert len(at_venue) == len(orders), "an order was sent twice"
    ours = {r.client_order_id: r for r in settled.values() if r.client_order_id in at_venue}
    assert set(ours) == set(at_venue), "an order that nobody accounts for"
    for client_id, result in ours.items():
        assert result.filled_quantity == Decimal(at_venue[client_id]["filled"])
    flows = _flows(orders)
    for key, balance in ended.items():
        assert balance == start.get(key, Decimal(0)) + flows.get(key, Decimal(0)), key
    kpi = stack.kpi()
    check_kpi(kpi)
    assert kpi["round_trips_completed"] == sum(isinstance(r, Finished) for r in kept)
    assert all(item["resolved"] for item in kpi["residuals"])


def _end_of_engine(stack, eventually):
    """End the engine in order; return the venues' orders and balances as it left them."""
    engine = stack.children()["engine"]
    # A supervisor that does not look cannot take the venues away with the engine.
    os.kill(stack.process.pid, signal.SIGSTOP)
    os.kill(engine, signal.SIGINT)
    eventually(lambda: engine not in processes(), within_s=30, what="the engine's end")
    found = fetch(stack.facts()["simvenues_url"] + "/admin/orders")["orders"], _accounts(stack)
    os.kill(stack.process.pid, signal.SIGCONT)
    assert stack.wait_for_end(30) == 0
    return found
