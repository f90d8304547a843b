"""The console's page, drawn from a `View` and nothing else: the same view gives the same text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

from interlock_gatekeeper.console_words import bar, money, number, part_of, span, time_of_day
from interlock_gatekeeper.markup import Html, el
from interlock_gatekeeper.view import InDoubt, Residual, VenueView, Verdict, View

SHOWN_VERDICTS = 12
STALE_AFTER_MS = 2_000
CLOCK_OFF_MS = 500
REFRESH = "2;url=/"


@dataclass(frozen=True, slots=True)
class Lamp:
    """How a state looks, and what it means."""

    tone: str
    meaning: str


LAMPS = {
    "PAPER": Lamp("calm", "Simulated venues only: no real order can be sent."),
    "BOOT": Lamp("idle", "Starting: the journal is being read and open orders are being proven."),
    "DISARMED": Lamp("idle", "Live trading is off. Only an operator's arm turns it on."),
    "ARMED": Lamp("ready", "Armed for one session: waiting for the engine to open it."),
    "LIVE": Lamp("danger", "A session trades real money."),
    "EXPIRED": Lamp("idle", "The live session ended. Its orders are being proven."),
    "KILLED": Lamp("stopped", "Every new order is refused until an operator resets."),
}
ODD = Lamp("ready", "This console does not know the state: treat it as a fault.")

HALT_PHASES = {
    "SWEEP": "cancelling every order",
    "RESOLVE": "proving the orders in doubt",
    "FLAT": "nothing is open, every order is proven",
    "RESIDUAL": "orders or positions are left",
}


def _asset(name: str) -> Html:
    return Html(resources.files(__package__).joinpath(name).read_text("utf-8"))


STYLE = _asset("console.css")
SCRIPT = _asset("console.js")


def render_page(
    view: View, fragment: str, *, nonce: str, token: str, notice: str | None = None
) -> str:
    """Return the whole page round a view's fragment.

    The nonce is for its style and script, the token for its one button.
    """
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("title", f"{view.state} - Interlock"),
        el("link", rel="icon", href="data:,"),
        el("noscript", el("meta", http_equiv="refresh", content=REFRESH)),
        el("style", STYLE, nonce=nonce),
    )
    body = el(
        "body",
        el("header", el("p", el("b", "Interlock"), " gatekeeper", class_="brand"), _kill(token)),
        el("p", notice, class_="notice", role="alert") if notice else None,
        el("p", id="stale", class_="notice", role="alert", hidden=""),
        el("main", Html(fragment)),
        el(
            "footer",
            el(
                "p",
                "KILL stops every new order at once and stays until an operator resets: ",
                el("code", "make reset"),
            ),
            el("p", "Nothing on this page can arm or reset."),
        ),
        el("script", SCRIPT, nonce=nonce),
    )
    return f"<!doctype html>\n{el('html', head, body, lang='en')}\n"


def _kill(token: str) -> Html:
    return el(
        "form",
        el("input", type="hidden", name="token", value=token),
        el("button", "KILL", type="submit"),
        id="kill",
        method="post",
        action="/kill",
    )


def render_fragment(view: View) -> str:
    """Return the main section: parts with an id, each of which the script replaces by itself.

    The parts are always there, empty or not, so that a screen reader keeps its place and the lamp
    is announced when its words change, not every second.
    """
    return "\n".join(
        (
            el("section", *_lamp(view), id="lamp", role="status", aria_live="assertive"),
            el("section", *_trading(view), id="trading"),
            el("section", *_times(view), id="times", aria_label="Time left"),
            el("section", *_arm_failures(view), id="arm", class_="card wide"),
            el("section", *_residual(view.residual), id="residual", class_="card wide"),
            el("section", *_doubt(view.in_doubt), id="doubt", class_="card wide"),
            el("section", *_budget(view), id="budget", class_="card"),
            el("section", *_venues(view.venues), id="venues", class_="card"),
            el("section", *_positions(view.positions), id="positions", class_="card"),
            el("section", *_verdicts(view.verdicts), id="verdicts", class_="card wide"),
            el("section", *_record(view), id="record", class_="card wide"),
            el("p", view.boot_id, id="boot", hidden=""),
        )
    )


def _lamp(view: View) -> Iterator[Html]:
    lamp = LAMPS.get(view.state, ODD)
    cause = el("p", "Cause: ", el("strong", view.cause), class_="cause") if view.cause else None
    halt = None
    if view.halt_phase:
        meaning = HALT_PHASES.get(view.halt_phase, "")
        halt = el("p", "Halt: ", el("strong", view.halt_phase), f" {meaning}")
    yield el(
        "div",
        el("h1", view.state),
        el("p", lamp.meaning),
        cause,
        halt,
        class_=f"lamp {lamp.tone}",
    )
    if view.hold:
        yield el("p", el("strong", "HOLD"), f" No new risk: {view.hold}", class_="hold")


def _trading(view: View) -> Iterator[Html]:
    yield el("p", _may(view), class_="may")
    if view.reasons:
        yield el("ul", *(el("li", reason) for reason in view.reasons), class_="reasons")


def _may(view: View) -> str:
    if view.hold and view.state in ("LIVE", "PAPER"):
        return "The engine may only reduce."
    return "The engine may trade." if view.armed else "The engine may not trade."


def _times(view: View) -> Iterator[Html]:
    left = (
        ("Arm lapses in", view.arm_left_ms),
        ("Lease ends in", view.lease_left_ms),
        ("Session ends in", view.hard_left_ms),
    )
    beat = view.heartbeat_age_ms
    yield _facts(
        [
            *((name, span(ms)) for name, ms in left if ms is not None),
            ("Last heartbeat", "none" if beat is None else f"{span(beat)} ago"),
            ("Environment", view.environment),
            ("Stage", view.stage),
            ("Epoch", str(view.epoch)),
            ("As of", f"{time_of_day(view.at_ms)} UTC"),
        ]
    )


def _arm_failures(view: View) -> Iterator[Html]:
    if view.state != "DISARMED":
        return
    yield el("h2", "Arming")
    if not view.arm_failures:
        yield el(
            "p",
            "Nothing known here stands against it. An operator arms with ",
            el("code", "make arm"),
        )
        return
    yield el("p", "What would refuse it now, and how to mend it:")
    yield el(
        "ul",
        *(el("li", _badge(code, "warn"), el("span", mend)) for code, mend in view.arm_failures),
        class_="rows",
    )


def _residual(residual: Residual | None) -> Iterator[Html]:
    if residual is None:
        return
    yield el("h2", "Residual")
    yield el("p", "The halt could not end these. A reset must repeat the hash:")
    yield el("p", el("code", residual.hash, class_="hash"))
    orders = [el("li", _badge("order", "bad"), el("code", order)) for order in residual.orders]
    yield el("ul", *orders, *_position_rows(residual.positions), class_="rows")


def _doubt(orders: tuple[InDoubt, ...]) -> Iterator[Html]:
    if not orders:
        return
    yield el("h2", f"Orders in doubt: {len(orders)}")
    yield el("p", "The venue may or may not have taken them: they hold their budget until proven.")
    yield el("ul", *map(_doubt_row, orders), class_="rows")


def _doubt_row(order: InDoubt) -> Html:
    what = f"{order.side} {order.quantity} {order.instrument}"
    return el(
        "li",
        _badge(f"{span(order.age_ms)} old", "bad"),
        el("span", what, " ", el("code", order.client_order_id, class_="quiet")),
    )


def _budget(view: View) -> Iterator[Html]:
    yield el("h2", "Budget and limits")
    yield _gross(view)
    yield from _limit("Unhedged", view.unhedged_usd, view.unhedged_cap_usd, "cap")
    yield from _limit("Loss", view.pnl_usd, view.loss_limit_usd, "limit", losing=True)
    yield from _limit("Drawdown", view.drawdown_usd, view.drawdown_limit_usd, "limit")
    facts = [("Open orders", str(view.open_orders))]
    if view.turnover_usd is not None:
        facts.append(("Turnover", f"{money(view.turnover_usd)} USD"))
    yield _facts(facts)


def _gross(view: View) -> Html:
    words = f"{money(view.reserved_usd)} reserved + {money(view.exposure_usd)} exposure"
    if number(view.n_usd) == 0:
        return el("p", f"No budget now: {words}", class_="quiet")
    used = [part_of(amount, view.n_usd) for amount in (view.reserved_usd, view.exposure_usd)]
    return bar("Gross", f"{words} of {money(view.n_usd)} USD", used)


def _limit(
    name: str, value: str | None, limit: str | None, word: str, *, losing: bool = False
) -> Iterator[Html]:
    """Yield a bar; nothing where nothing is known of it. With losing, minus is what counts."""
    if value is None and limit is None:
        return
    shown = f"PnL {money(value, plus=True)} USD" if losing else f"{money(value)} USD"
    yield bar(name, f"{shown}, {word} {money(limit)}", [part_of(value, limit, losing=losing)])


def _venues(venues: tuple[VenueView, ...]) -> Iterator[Html]:
    yield el("h2", "Venues")
    if not venues:
        yield el("p", "none known", class_="quiet")
        return
    yield el("ul", *map(_venue, venues), class_="venues")


def _venue(venue: VenueView) -> Html:
    facts = [("Prices", _age(venue.ref_age_ms, late_ms=STALE_AFTER_MS))]
    if venue.private_age_ms is not None:
        facts.append(("Private", _age(venue.private_age_ms)))
    if venue.clock_offset_ms is not None:
        off = ", off" if abs(venue.clock_offset_ms) > CLOCK_OFF_MS else ""
        facts.append(("Clock", f"{venue.clock_offset_ms:+d} ms{off}"))
    return el(
        "li",
        el("h3", venue.venue, " ", _badge("up", "good") if venue.up else _badge("down", "bad")),
        _facts(facts),
        el("p", venue.note, class_="quiet") if venue.note else None,
    )


def _age(age_ms: int | None, late_ms: int | None = None) -> str:
    if age_ms is None:
        return "never"
    late = late_ms is not None and age_ms > late_ms
    return f"{span(age_ms)} ago{', stale' if late else ''}"


def _verdicts(verdicts: tuple[Verdict, ...]) -> Iterator[Html]:
    yield el("h2", "Last verdicts")
    if not verdicts:
        yield el("p", "none known", class_="quiet")
        return
    yield el("ol", *map(_verdict, verdicts[:SHOWN_VERDICTS]), class_="verdicts")


def _verdict(verdict: Verdict) -> Html:
    return el(
        "li",
        el("time", time_of_day(verdict.at_ms)),
        _badge(verdict.code, "good" if verdict.code == "APPROVED" else "warn"),
        el("span", verdict.instrument, " ", el("code", verdict.intent_id, class_="quiet")),
        el("span", verdict.detail, class_="detail"),
    )


def _positions(positions: tuple[tuple[str, str], ...]) -> Iterator[Html]:
    yield el("h2", "Positions")
    if not positions:
        yield el("p", "none known", class_="quiet")
        return
    yield el("ul", *_position_rows(positions), class_="rows")


def _position_rows(positions: tuple[tuple[str, str], ...]) -> list[Html]:
    return [el("li", el("span", key), el("b", quantity)) for key, quantity in positions]


def _record(view: View) -> Iterator[Html]:
    yield el("h2", "Record")
    facts = [("Journal records", str(view.audit_seq))]
    if view.anchor_age_ms is not None:
        facts.append(("Last anchor", _age(view.anchor_age_ms)))
    if view.selftest_age_ms is not None:
        facts.append(("Last self-test", _age(view.selftest_age_ms)))
    facts.append(("Boot", view.boot_id))
    yield _facts(facts)


def _facts(facts: list[tuple[str, str]]) -> Html:
    return el("dl", *(el("div", el("dt", name), el("dd", value)) for name, value in facts))


def _badge(word: str, tone: str) -> Html:
    return el("b", word, class_=f"badge {tone}")
