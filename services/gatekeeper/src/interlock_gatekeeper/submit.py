"""From a reserved order to its result at one venue: one write, then only questions.

What was written is never written again. An answer that proves nothing leaves the order in doubt;
the resolver asks by client order id until the venue proves what happened.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from decimal import ROUND_UP

from interlock_core.clock import Clock, monotonic_ns
from interlock_core.money import ZERO
from interlock_core.reasons import DenyReason
from interlock_core.wire.gate import OrderResult, Outcome
from interlock_gatekeeper.calls import CallError, Calls
from interlock_gatekeeper.machine import Machine
from interlock_gatekeeper.metrics import Metrics
from interlock_gatekeeper.records import aborted_result
from interlock_gatekeeper.state import Now, OpenOrder
from interlock_gatekeeper.transport import ConnectError, NoAnswerError
from interlock_gatekeeper.venues.parse import WIRE_STEP, unfilled
from interlock_gatekeeper.venues.readings import (
    Absent,
    Accepted,
    Ambiguous,
    Ended,
    QueryReading,
    Refused,
)

log = logging.getLogger(__name__)

ANSWER_TIMEOUT_S = 5.0
FOLLOW_DELAYS_S = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0)
RESOLVE_DELAYS_S = (0.5, 1.0, 2.0, 4.0)
RESOLVE_EVERY_S = 5.0
ABSENT_ANSWERS = 3
# The code of an order that is proven never to have arrived.
ABSENT = "ABSENT"


class Submitter:
    """Sends orders to one venue and follows them to a proven end."""

    def __init__(
        self,
        *,
        calls: Calls,
        machine: Machine,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._calls = calls
        self._adapter = calls.adapter
        self._transport = calls.transport
        self._machine = machine
        self._clock = clock
        self._send_seconds = metrics.send.labels(calls.adapter.venue)

    def _now(self) -> Now:
        return Now(self._clock.wall_ns(), self._clock.boot_ns())

    async def submit(
        self, order: OpenOrder, *, durable: Callable[[], Awaitable[None]]
    ) -> OrderResult | None:
        """Send a reserved and appended order; return its result, or None where it is in doubt."""
        start = monotonic_ns()
        try:
            connection = await self._transport.prepare()
        except ConnectError as error:
            self._calls.note_silence()
            return self._abort(order, DenyReason.VENUE_DOWN, str(error))
        await durable()
        # From here to the write there is no await: nothing can change in between.
        aborted = self._machine.recheck(order, self._now())
        if aborted is not None:
            connection.close()
            return aborted
        try:
            request = self._adapter.order_request(order)
        except Exception:  # nothing was written; whatever ccxt raised, the order is aborted
            log.exception("cannot build the order request")
            connection.close()
            return self._abort(order, DenyReason.INTERNAL, "the request could not be signed")
        fired = monotonic_ns()
        connection.fire(request)
        try:
            answer = await self._transport.finish(connection, ANSWER_TIMEOUT_S)
        except NoAnswerError as error:
            self._calls.note_silence()
            self._doubt(order, str(error))
            return None
        self._calls.note(answer)
        self._send_seconds.observe((monotonic_ns() - fired) / 1e9)
        match self._adapter.read_order(answer, order.client_order_id):
            case Refused(code=code, detail=detail):
                return self._settle(order, unfilled(""), start, refused=(code, detail))
            case Ambiguous(why=why):
                self._doubt(order, why)
                return None
            case Ended() | Accepted() as reading:
                return await self._follow(order, reading, start)

    async def _follow(
        self, order: OpenOrder, reading: Ended | Accepted, start_ns: int
    ) -> OrderResult | None:
        current: QueryReading = reading
        for delay_s in FOLLOW_DELAYS_S:
            if isinstance(current, Ended):
                complete = await self._with_fills(order, current)
                if complete is not None:
                    return self._settle(order, complete, start_ns)
            await asyncio.sleep(delay_s)
            current = await self._query(order)
        self._doubt(order, "no terminal answer in time")
        return None

    async def resolve(self, order: OpenOrder) -> None:
        """Ask for an order in doubt until the venue proves what happened."""
        start, absent = monotonic_ns(), 0
        delays = iter(RESOLVE_DELAYS_S)
        while order.intent.intent_id in self._machine.state.open_orders:
            await asyncio.sleep(next(delays, RESOLVE_EVERY_S))
            reading = await self._query(order)
            # "Not found" proves absence only once the order can no longer arrive.
            late = (monotonic_ns() - start) / 1e9 >= self._adapter.late_s
            absent = absent + 1 if isinstance(reading, Absent) and late else 0
            if absent >= ABSENT_ANSWERS:
                self._settle(order, unfilled(""), start, refused=(ABSENT, "never arrived"))
            elif isinstance(reading, Ended):
                complete = await self._with_fills(order, reading)
                if complete is not None:
                    self._settle(order, complete, start)

    async def cancel(self, order: OpenOrder) -> None:
        """Ask the venue to cancel an order; settle it where the answer proves its end."""
        try:
            answer = await self._calls.ask(self._adapter.cancel_request(order))
        except CallError as error:
            log.warning("cancel was not answered", extra=_named(order, error))
            return
        reading = self._adapter.read_cancel(answer, order.client_order_id)
        if isinstance(reading, Ended):
            complete = await self._with_fills(order, reading)
            if complete is not None:
                self._settle(order, complete, monotonic_ns())

    async def _query(self, order: OpenOrder) -> QueryReading:
        try:
            answer = await self._calls.ask(self._adapter.query_request(order))
        except CallError as error:
            return Ambiguous(str(error))
        return self._adapter.read_query(answer, order.client_order_id)

    async def _with_fills(self, order: OpenOrder, ended: Ended) -> Ended | None:
        """Return the ended order with price and fee, or None where they are not known yet."""
        if ended.filled_quantity > order.intent.quantity:
            # Whatever this is about, it is not what was sent.
            log.critical("more filled than ordered", extra=_named(order, ended.filled_quantity))
            return None
        if ended.filled_quantity == ZERO:
            return ended
        request = self._adapter.fills_request(order, ended.venue_order_id)
        if request is None:
            return ended
        try:
            answer = await self._calls.ask(request)
        except CallError:
            return None
        reading = self._adapter.read_fills(ended, answer)
        return reading if isinstance(reading, Ended) else None

    def _abort(self, order: OpenOrder, code: str, detail: str) -> OrderResult:
        result = aborted_result(order, code, detail)
        self._machine.abort(result, self._now())
        return result

    def _doubt(self, order: OpenOrder, why: str) -> None:
        log.error("order in doubt", extra=_named(order, why))
        self._machine.unknown(order, why, self._now())

    def _settle(
        self,
        order: OpenOrder,
        ended: Ended,
        start_ns: int,
        *,
        refused: tuple[str, str] | None = None,
    ) -> OrderResult:
        code, detail = refused or (None, None)
        result = OrderResult(
            intent_id=order.intent.intent_id,
            client_order_id=order.client_order_id,
            outcome=_outcome(order, ended, refused=refused is not None),
            code=code,
            detail=detail,
            filled_quantity=ended.filled_quantity,
            average_price=ended.average_price,
            # Upbit's fees have up to 16 decimals, more than a message between services carries.
            fee=ended.fee.quantize(WIRE_STEP, rounding=ROUND_UP),
            fee_currency=ended.fee_currency,
            venue_order_id=ended.venue_order_id or None,
            latency_ms=round((monotonic_ns() - start_ns) / 1e6, 3),
        )
        self._machine.settle(result, self._now())
        return result


def _named(order: OpenOrder, why: object) -> dict[str, str]:
    return {"client_order_id": order.client_order_id, "why": str(why)}


def _outcome(order: OpenOrder, ended: Ended, *, refused: bool) -> Outcome:
    if refused:
        return Outcome.REJECTED
    if ended.filled_quantity == ZERO:
        return Outcome.UNFILLED
    full = ended.filled_quantity >= order.intent.quantity
    return Outcome.FILLED if full else Outcome.PARTLY_FILLED
