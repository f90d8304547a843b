"""The audit sees what a rewritten journal hides: decisions made again, anchors compared."""

import copy
from dataclasses import replace
from decimal import Decimal

import pytest
from tests.unit.gatekeeper.conftest import PERP_BTC

from interlock_gatekeeper import audit, journal
from interlock_gatekeeper.journal import Anchor, Journal
from interlock_gatekeeper.machine import Submit
from interlock_gatekeeper.policy import Denied
from interlock_gatekeeper.records import Kind


@pytest.fixture
def lived(paper):
    """A session with an approved order, its fill, a denial by a check and one by the hold."""
    paper.open()
    sent = paper.order(paper.intent())
    assert isinstance(sent, Submit)
    paper.settle(paper.result(sent.order, "0.001"))
    big = paper.order(paper.intent("intent-0002", quantity=Decimal(1)))
    assert isinstance(big, Denied)
    paper.machine.heartbeat(paper.state.epoch, paper.now, None)
    paper.machine.guard(paper.now)
    held = paper.order(paper.intent("intent-0003", price=Decimal("9999.9")))
    assert isinstance(held, Denied)
    paper.kill()
    return paper


def write(folder, bench, change=lambda record: record):
    """Write the records of a machine as its shell would, each changed first; well chained."""
    book = Journal(
        folder, boot_id="b", config_sha256="c", commit="d", observe_sync_s=lambda _: None
    )
    book.recover(lambda _: None)
    for record in bench.take():
        changed = change(copy.deepcopy(record))
        book.append(changed, bench.now, before=record.before, after=record.after)
    book.close()


def violations(folder):
    report = audit.verify(folder, environment="paper")
    assert report.defect is None
    return [(v.number, v.text) for v in report.violations]


def test_an_honest_journal_is_decided_again_to_the_same_end(lived, tmp_path):
    """Each recorded verdict follows from its facts, and the replay ends the same (V14)."""
    write(tmp_path, lived)
    assert violations(tmp_path) == []
    replayed = audit.verify(tmp_path, environment="paper").state
    assert replayed.phase == lived.state.phase
    assert replayed.positions == lived.state.positions == {PERP_BTC: Decimal("0.001")}
    assert replayed.ledger == lived.state.ledger


def facts(changes, kind):
    def change(record):
        if record.kind is kind:
            record.data["facts"] |= changes
        return record

    return change


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (facts({"backing_off": True}, Kind.SENT), "decided SENT, the recorded facts lead to VENUE"),
        (facts({"notional_usd": "2000"}, Kind.SENT), "lead to ORDER_MAX"),
        (facts({"notional_usd": "1"}, Kind.DENY), "decided ORDER_MAX, the recorded facts lead to"),
    ],
)
def test_a_verdict_that_its_facts_do_not_bear_is_found(lived, tmp_path, change, text):
    """A well-chained lie, too (V14)."""
    write(tmp_path, lived, change)
    found = violations(tmp_path)
    assert {number for number, _ in found} == {14}
    assert any(text in said for _, said in found)


def test_a_hold_that_is_taken_out_shows_in_what_it_denied(lived, tmp_path):
    """Records are the only thing that changes the state: one less, and a denial has no ground."""

    def without(record):
        return replace(record, kind=Kind.RECON) if record.kind is Kind.HOLD else record

    write(tmp_path, lived, without)
    assert any("decided HOLD" in text for _, text in violations(tmp_path))


def test_every_anchor_must_be_in_the_chain(lived, tmp_path):
    """Right ones pass; another hash and a line that is not there are named."""
    write(tmp_path, lived)
    lines = []
    journal.read(tmp_path, lines.append)
    anchors = [Anchor(line.seq, line.raw["h"], 0, "minute") for line in lines]
    assert audit.compare_anchors(tmp_path, anchors * 2) == []
    wrong = [Anchor(2, "0" * 64, 0, "minute"), Anchor(2, lines[1].raw["h"], 0, "ARM")]
    assert audit.compare_anchors(tmp_path, wrong) == [
        "line 2: its hash is not the one anchored (minute)"
    ]
    ahead = Anchor(len(lines) + 1, "0" * 64, 0, "KILL")
    assert audit.compare_anchors(tmp_path, [ahead]) == [
        f"line {len(lines) + 1}: anchored, but the journal has no such line"
    ]
