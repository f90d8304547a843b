"""The gatekeeper's shell: it journals what the machine decided, and only then acts on it.

The machine decides in one tick; this module owns the order of things around it: append, make
durable, recheck, write to the wire in the same tick, read the answer, settle.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from interlock_core.arming import ArmRequest
from interlock_core.clock import Clock, monotonic_ns
from interlock_core.instrument import Venue, parse_key
from interlock_core.reasons import DenyReason
from interlock_core.wire.gate import OrderIntent, OrderResult, SessionOpen, Telemetry
from interlock_gatekeeper import journal, selftest
from interlock_gatekeeper.arms import Operator
from interlock_gatekeeper.halting import Halting
from interlock_gatekeeper.journal import Journal, JournalError, Line
from interlock_gatekeeper.machine import Known, Machine, Submit
from interlock_gatekeeper.metrics import APPROVED, Metrics
from interlock_gatekeeper.policy import Denied
from interlock_gatekeeper.recorder import Refusal
from interlock_gatekeeper.records import Kind, Record, apply
from interlock_gatekeeper.self_watch import SelfWatch
from interlock_gatekeeper.state import Killed, Now, OpenOrder, Session, State
from interlock_gatekeeper.submit import Submitter

log = logging.getLogger(__name__)

TICK_S = 0.1
RESOLVE_RETRY_S = 1.0
STOP_TIMEOUT_S = 8.0
SELF_TEST_EVERY_S = 60.0


class Gateway:
    """Every request of every socket ends in one method here."""

    def __init__(
        self,
        *,
        machine: Machine,
        book: Journal,
        clock: Clock,
        metrics: Metrics,
        boot_id: str,
        submitters: Mapping[Venue, Submitter],
        halting: Halting,
    ) -> None:
        self.machine = machine
        self.boot_id = boot_id
        self._journal = book
        self._clock = clock
        self._metrics = metrics
        self._submitters = submitters
        self._halting = halting
        self._halted = asyncio.Event()
        self._watch = SelfWatch(self.state, book)
        self._in_flight: dict[str, asyncio.Task[OrderResult | None]] = {}
        self._background: set[asyncio.Task[None]] = set()

    @property
    def state(self) -> State:
        """Return the state, for reading only."""
        return self.machine.state

    def now(self) -> Now:
        """Return both clocks, read now."""
        return Now(self._clock.wall_ns(), self._clock.boot_ns())

    async def recover(self) -> None:
        """Rebuild the state from the journal and leave BOOT; in doubt, KILLED."""

        def visit(line: Line) -> None:
            apply(self.state, line.record)

        found = self._journal.recover(visit)
        now = self.now()
        self.state.seen.self.chain_verified = found.defect is None
        if found.defect is not None:
            log.critical("journal is broken", extra={"defect": found.defect})
            self.state.journal_failed = True
            self.state.phase = Killed("AUDIT_BROKEN", now.boot_ns)
            self._metrics.kills.labels("AUDIT_BROKEN").inc()
            return
        # Without a journal nobody knows which LIVE_ARM_AT was used: only later ones may arm.
        mark = now.wall_ns if found.lines == 0 else 0
        boot = Record(
            Kind.BOOT,
            {
                "boot_id": self.boot_id,
                "high_water_mark_ns": mark,
                "torn_bytes": found.torn_bytes,
            },
        )
        apply(self.state, boot)
        self._append([replace(boot, before="BOOT", after="BOOT")])
        self.machine.recovered(now)
        await self._commit()
        for order in self.state.unknown_orders:
            self._resolve(order)

    async def _commit(self) -> None:
        """Append what the machine decided; wait for the disk where a record must be durable."""
        records = self.machine.take_records()
        if not records:
            return
        seq = self._append(records)
        if any(journal.needs_sync(record) for record in records):
            await self._durable(seq)

    def _append(self, records: list[Record]) -> int:
        seq = self._journal.seq
        for record in records:
            if record.kind is Kind.KILL:
                self._metrics.kills.labels(record.data["cause"]).inc()
                log.critical("killed", extra={"cause": record.data["cause"]})
                self._halted.set()
            elif record.kind is Kind.HOLD:
                self._metrics.holds.labels(record.data["cause"]).inc()
                log.warning("on hold", extra={"cause": record.data["cause"]})
            elif record.kind is Kind.CLOSE:
                self._halted.set()
            if self.state.journal_failed:
                continue
            try:
                seq = self._journal.append(
                    record, self.now(), before=record.before, after=record.after
                )
            except JournalError as error:
                self._fail_journal(error)
        self._metrics.audit_seq.set(seq)
        return seq

    async def _durable(self, seq: int) -> None:
        try:
            await self._journal.durable(seq)
        except JournalError as error:
            self._fail_journal(error)

    def _fail_journal(self, error: JournalError) -> None:
        if self.state.journal_failed:
            return
        self.state.journal_failed = True
        log.critical("journal failed: nothing is sent any more", extra={"error": str(error)})
        self.machine.kill(self.now(), cause="JOURNAL_FAILED", actor="journal")
        self._append(self.machine.take_records())

    async def arm(self, request: ArmRequest, stage: str, operator: Operator) -> Refusal | None:
        """Arm for one session of a stage, durably, or say why not."""
        self.self_test()
        refusal = self.machine.arm(request, stage, now=self.now(), operator=operator)
        await self._commit()
        if refusal is None and self.state.journal_failed:
            return Refusal("ARM_AUDIT", "the journal failed while arming: nothing is armed")
        return refusal

    async def disarm(self, actor: str) -> None:
        """Take an arm back or end the live session."""
        self.machine.disarm(actor, self.now())
        await self._commit()

    async def renew(self, actor: str) -> Refusal | None:
        """Renew a continuous session, durably, or say why not."""
        refusal = self.machine.renew(self.now(), actor)
        await self._commit()
        return refusal

    async def drilled(self, *, passed: bool, figures: Mapping[str, float]) -> None:
        """Record a kill drill."""
        self.machine.drilled(passed=passed, now=self.now(), **figures)
        await self._commit()

    def self_test(self) -> None:
        """Run the must-deny vectors through the running checks; a miss kills."""
        misses = selftest.run()
        seen = self.state.seen.self
        seen.selftest_ns, seen.selftest_misses = self.now().boot_ns, misses
        if misses:
            self._metrics.selftest_failures.inc(len(misses))
            log.critical("self-test failed", extra={"misses": "; ".join(misses)})
            self.machine.note(Kind.SELFTEST, misses=list(misses))
            self.machine.kill(self.now(), cause="SELFTEST", actor="self-test")

    async def kill(self, cause: str, actor: str) -> None:
        """Set the latch in this tick, then make it durable, then return."""
        self.machine.kill(self.now(), cause=cause, actor=actor)
        await self._commit()
        # A second kill finds the latch set: it, too, returns only when the record is on the disk.
        await self._durable(self._journal.seq)

    async def reset(self, actor: str, *, cause: str, residual: str) -> Refusal | None:
        """Clear the latch, or say why not."""
        refusal = self.machine.reset(self.now(), actor, cause=cause, residual=residual)
        await self._commit()
        if refusal is None and self.state.journal_failed:
            return Refusal("RESET_AUDIT", "the journal failed: restart the gatekeeper")
        return refusal

    async def flatten(self, sha256: str) -> list[OrderResult | None] | Refusal:
        """Close what a halt left, with reducing orders; return what became of each."""
        orders = self.machine.flatten(sha256, self.now())
        if isinstance(orders, Refusal):
            return orders
        results = await asyncio.gather(*(self._start(order) for order in orders))
        self._halted.set()
        return results

    async def open_session(
        self, request: SessionOpen, allocation: Mapping[str, Decimal]
    ) -> Session | Refusal:
        """Open a session durably, or say why not."""
        opened = self.machine.open_session(request, self.now(), allocation)
        await self._commit()
        if isinstance(opened, Session) and self.state.session is None:
            return Refusal(DenyReason.AUDIT, "the journal failed while opening the session")
        return opened

    async def heartbeat(self, epoch: int, telemetry: Telemetry | None) -> Session | Refusal:
        """Renew the lease, or say why not."""
        renewed = self.machine.heartbeat(epoch, self.now(), telemetry)
        await self._commit()
        return renewed

    async def close_session(self, cause: str) -> None:
        """End the running session with its cause."""
        self.machine.close(cause, self.now())
        await self._commit()

    async def refuse_request(self, code: DenyReason, detail: str) -> None:
        """Record a request that was refused before it was an order."""
        self._metrics.decisions.labels(code).inc()
        self.machine.refuse_request(code, detail, self.now())
        await self._commit()

    async def cancel(self, intent_id: str) -> None:
        """Ask the venue to cancel an order that is not proven ended; never refused."""
        order = self.state.open_orders.get(intent_id)
        if order is not None:
            await self._submitter(order).cancel(order)
            await self._commit()

    async def order(self, intent: OrderIntent) -> OrderResult | Denied | None:
        """Return what became of an intent: a result, a veto, or None while it is in doubt."""
        start = monotonic_ns()
        decision = self.machine.order(intent, self.now())
        self._metrics.decide.observe((monotonic_ns() - start) / 1e9)
        match decision:
            case Denied():
                self._metrics.decisions.labels(decision.reason).inc()
                await self._commit()
                return decision
            case Known():
                return decision.result or await self._follow(intent.intent_id)
            case Submit():
                self._metrics.decisions.labels(APPROVED).inc()
                return await self._start(decision.order)

    async def _follow(self, intent_id: str) -> OrderResult | None:
        task = self._in_flight.get(intent_id)
        return None if task is None else await asyncio.shield(task)

    async def _start(self, order: OpenOrder) -> OrderResult | None:
        intent_id = order.intent.intent_id
        task = asyncio.create_task(self._send(order))
        self._in_flight[intent_id] = task
        task.add_done_callback(lambda _: self._in_flight.pop(intent_id, None))
        # A caller that goes away must not stop an order that is on its way.
        return await asyncio.shield(task)

    async def _send(self, order: OpenOrder) -> OrderResult | None:
        records = self.machine.take_records()
        sent_seq = self._append(records)
        submitter = self._submitter(order)
        try:
            result = await submitter.submit(order, durable=lambda: self._durable(sent_seq))
        except Exception:  # an order that may be on its way must end as in doubt, whatever broke
            log.exception("submission failed", extra={"client_order_id": order.client_order_id})
            self.machine.unknown(order, "internal error", self.now())
            self.machine.kill(self.now(), cause="INTERNAL", actor="submit")
            result = None
        await self._commit()
        if result is None:
            self._resolve(order)
        return result

    def _submitter(self, order: OpenOrder) -> Submitter:
        return self._submitters[parse_key(order.intent.instrument)[0]]

    async def _repair(self, order: OpenOrder) -> None:
        """Close a leg that the engine left open; its books are not ours any more: kill."""
        await self._start(order)
        await self.kill("UNHEDGED_LEG", "gatekeeper: it closed the leg itself")

    def _resolve(self, order: OpenOrder) -> None:
        self._keep(self._resolve_for_ever(order))

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def known(self, intent_id: str) -> OrderResult | OpenOrder | None:
        """Return the settled result of an intent, its open order, or None."""
        settled = self.state.settled.get(intent_id)
        return settled.result if settled else self.state.open_orders.get(intent_id)

    def is_forgotten(self, intent_id: str) -> bool:
        """Say whether an intent ended so long ago that its answer is not kept in memory."""
        return hash(intent_id) in self.state.forgotten

    async def tick(self) -> None:
        """Let time pass once, ask the triggers, and show the state to the metrics."""
        now = self.now()
        self._watch.look(now)
        self.machine.tick(now)
        self.machine.guard(now)
        self.machine.unready(now)
        match self.machine.repair(now):
            case Denied(reason=reason):
                self._metrics.decisions.labels(reason).inc()
            case Submit(order=order):
                self._metrics.decisions.labels(APPROVED).inc()
                self._keep(self._repair(order))
        await self._commit()
        await self._durable(self._journal.seq)
        self._metrics.show(self.state, now)

    async def run(self) -> None:
        """Let time pass and carry halts out, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tick_for_ever())
            group.create_task(self._self_test_for_ever())
            group.create_task(self._halt_for_ever())

    async def _tick_for_ever(self) -> None:
        while True:
            await self.tick()
            await asyncio.sleep(TICK_S)

    async def _self_test_for_ever(self) -> None:
        while True:
            self.self_test()
            await asyncio.sleep(SELF_TEST_EVERY_S)

    async def _halt_for_ever(self) -> None:
        while True:
            if self.machine.sweep_due(self.now()):
                listing = await self._halting.sweep()
                self.machine.swept(listing, self.now())
                await self._commit()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._halted.wait(), TICK_S)
            self._halted.clear()

    async def _resolve_for_ever(self, order: OpenOrder) -> None:
        while order.intent.intent_id in self.state.open_orders:
            try:
                await self._submitter(order).resolve(order)
            except Exception:  # an order in doubt is asked for as long as it is in doubt
                log.exception("resolver failed", extra={"client_order_id": order.client_order_id})
                await asyncio.sleep(RESOLVE_RETRY_S)

    async def stop(self) -> None:
        """End the session, let what was written be answered, and end every other question.

        The journal keeps what is still open: the next process asks for it.
        """
        await self.close_session("gatekeeper_stopped")
        if self._in_flight:
            await asyncio.wait(self._in_flight.values(), timeout=STOP_TIMEOUT_S)
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._commit()
