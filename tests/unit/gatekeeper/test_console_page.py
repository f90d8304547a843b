"""The console's page says what the view says, and says it harmlessly."""

from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from tests.browser.views import HOSTILE, PAPER, VIEWS

from interlock_gatekeeper.console_page import LAMPS, SCRIPT, STYLE, render_fragment, render_page
from interlock_gatekeeper.console_words import bar, money, part_of, span, time_of_day
from interlock_gatekeeper.markup import Html, el, safe

PARTS = "lamp trading times arm residual doubt budget venues positions verdicts record boot"
SHOWN = "main section h1 h2 h3 p b strong span code ul ol li dl div dt dd svg rect time"
VOID = {"input", "link", "meta"}


class Page(HTMLParser):
    """What a browser would see: elements with their attributes, and the text of each part."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements = []
        self.parts = {}
        self.text = ""
        self.open = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if dict(attrs).get("id") in PARTS.split():
            self.part = dict(attrs)["id"]
            self.parts[self.part] = ""
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data
            if self.parts:
                self.parts[self.part] += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(view, **changes):
    asked = {"nonce": "n0nce", "token": "t0ken", **changes}
    return Page(render_page(view, render_fragment(view), **asked))


@pytest.mark.parametrize("name", VIEWS)
def test_every_state_is_said_in_words(name):
    """The lamp, its meaning, its cause: never by colour alone."""
    view = VIEWS[name]
    lamp = Page(render_fragment(view)).parts["lamp"]
    assert view.state in lamp
    assert LAMPS[view.state].meaning in lamp
    assert (view.cause or "") in lamp
    assert (view.hold or "") in lamp
    assert ("HOLD" in lamp) == (view.hold is not None)


@pytest.mark.parametrize("name", VIEWS)
def test_every_part_is_always_there_in_its_place(name):
    """The script replaces parts by their id; the lamp is announced when it changes."""
    page = Page(render_fragment(VIEWS[name]))
    assert " ".join(page.parts) == PARTS
    (lamp,) = [a for a in page.all("section") if a["id"] == "lamp"]
    assert (lamp["role"], lamp["aria-live"]) == ("status", "assertive")


def test_what_passes_with_time_is_not_in_the_lamp():
    """A screen reader is not told the countdown every second."""
    for view in VIEWS.values():
        later = replace(view, at_ms=view.at_ms + 1_000, arm_left_ms=1, lease_left_ms=2)
        later = replace(later, hard_left_ms=3, heartbeat_age_ms=4)
        assert (
            Page(render_fragment(later)).parts["lamp"] == Page(render_fragment(view)).parts["lamp"]
        )


def test_the_times_that_matter_are_told():
    """Armed counts down; live has a lease and a deadline; a heartbeat has an age."""
    armed, live = (Page(render_fragment(VIEWS[name])).parts["times"] for name in ("armed", "live"))
    assert "Arm lapses in6 min 12 s" in armed
    assert "Last heartbeatnone" in armed
    assert "Lease ends in2.6 s" in live
    assert "Session ends in3 min 31 s" in live
    assert "Last heartbeat360 ms ago" in live


def test_whether_the_engine_may_trade():
    """Yes, only reducing, or no with the reasons."""
    said = {name: Page(render_fragment(view)).parts["trading"] for name, view in VIEWS.items()}
    assert said["live"] == "The engine may trade."
    assert said["hold"] == "The engine may only reduce.HOLD: CLOCK_STEP"
    assert said["killed"] == "The engine may not trade.KILLED: LOSS_LIMIT"
    held_and_killed = replace(VIEWS["killed"], hold="CLOCK_STEP")
    assert "may not trade" in Page(render_fragment(held_and_killed)).parts["trading"]


def test_a_disarmed_page_says_how_to_mend_what_stands_against_arming():
    """Each code with its remedy; nothing where nothing is known; no such part in other states."""
    arm = Page(render_fragment(VIEWS["disarmed"])).parts["arm"]
    for code, mend in VIEWS["disarmed"].arm_failures:
        assert f"{code}{mend}" in arm
    assert "make arm" in Page(render_fragment(VIEWS["ready"])).parts["arm"]
    assert Page(render_fragment(VIEWS["live"])).parts["arm"] == ""


def test_a_residual_is_shown_with_its_hash():
    """The hash that a reset must repeat, every order and every position."""
    page = Page(render_fragment(VIEWS["killed"]))
    residual = VIEWS["killed"].residual
    assert residual.hash in page.parts["residual"]
    assert all(order in page.parts["residual"] for order in residual.orders)
    assert "UPBIT:KRW-BTC0.0213" in page.parts["residual"]
    assert "Halt: RESIDUAL orders or positions are left" in page.parts["lamp"]
    assert "Orders in doubt: 2" in page.parts["doubt"]
    assert "1 min 04 s old" in page.parts["doubt"]
    assert "buy 0.0012 UPBIT:KRW-BTC" in page.parts["doubt"]


def test_budget_and_limits():
    """Used, limit and share in figures beside every bar; what is near or over says so."""
    live = Page(render_fragment(VIEWS["live"])).parts["budget"]
    assert "Gross74.4 %12.40 reserved + 24.80 exposure of 50.00 USD" in live
    assert "Unhedged20.0 %4.00 USD, cap 20.00" in live
    assert "Loss16.4 %PnL -0.82 USD, limit 5.00" in live
    assert "Drawdown26.3 %1.05 USD, limit 4.00" in live
    assert "Open orders2" in live
    assert "Turnover211.40 USD" in live
    assert "95.8 %, near the limit" in Page(render_fragment(VIEWS["hold"])).parts["budget"]
    killed = Page(render_fragment(VIEWS["killed"])).parts["budget"]
    assert "Grosscannot be computed" in killed
    assert "106.2 %, over the limit" in killed


def test_without_a_session_there_is_no_budget_and_no_false_alarm():
    """Zero of zero is not a problem; limits of which nothing is known are left out."""
    budget = Page(render_fragment(VIEWS["disarmed"])).parts["budget"]
    assert "No budget now: 0.00 reserved + 0.00 exposure" in budget
    assert "%" not in budget
    assert "cannot" not in budget
    assert "Drawdown" not in budget
    assert "Turnover" not in budget


def test_venues_verdicts_positions_and_record():
    """Each with what it needs to be understood."""
    page = Page(render_fragment(VIEWS["hold"]))
    assert "UPBIT upPrices2.7 s ago, stalePrivate9.0 s agoClock+640 ms, off" in page.parts["venues"]
    assert "BINANCE_PERP downPricesneverVENUE_DOWN: no answer" in page.parts["venues"]
    assert "13:59:58PRICE_COLLARUPBIT:KRW-ETH intent-0041the limit" in page.parts["verdicts"]
    assert "BINANCE_PERP:BTCUSDT-0.021" in page.parts["positions"]
    assert "Journal records18422Last anchor12.0 s ago" in page.parts["record"]
    bare = replace(VIEWS["boot"], anchor_age_ms=None, selftest_age_ms=None)
    empty = Page(render_fragment(bare))
    assert "none known" in empty.parts["venues"]
    assert "none known" in empty.parts["verdicts"]
    assert "none known" in empty.parts["positions"]
    assert "anchor" not in empty.parts["record"]


def test_a_flood_of_verdicts_stays_short():
    """The newest twelve."""
    many = replace(PAPER, verdicts=PAPER.verdicts * 100)
    assert render_fragment(many).count("<time>") == 12


def test_hostile_texts_stay_texts():
    """Whatever a string holds: no element, no attribute, no way out of its place."""
    page = page_of(HOSTILE)
    inside = page.elements[page.elements.index(("main", {})) :]
    footer = next(i for i, (tag, _) in enumerate(inside) if tag == "footer")
    assert {tag for tag, _ in inside[:footer]} <= set(SHOWN.split())
    assert all(not name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert [a["action"] for a in page.all("form")] == ["/kill"]
    assert len(page.all("button")) == 1
    assert len(page.all("script")) == 1
    assert page.all("img") == []
    assert "<script>alert(1)</script>" in page.text
    assert " ".join(page.parts) == PARTS


def test_hostile_texts_end_no_event_of_the_stream():
    """Neither a control character nor a direction mark survives, nor a text without end."""
    fragment = render_fragment(HOSTILE)
    assert all(char.isprintable() or char == "\n" for char in fragment)
    assert "\n\n" not in fragment
    assert not any(line.startswith("event:") for line in fragment.split("\n"))
    assert "W" * 401 not in fragment


def test_hostile_amounts_fill_no_bar():
    """NaN, infinity, giants and nonsense are shown as they came, and said to be no share."""
    budget = Page(render_fragment(HOSTILE)).parts["budget"]
    assert budget.count("cannot be computed") == 4
    assert "%" not in budget


def test_the_page_can_only_kill():
    """One form, one button, no link; style and script carry the nonce and nothing else does."""
    page = page_of(PAPER)
    (form,) = page.all("form")
    assert (form["method"], form["action"]) == ("post", "/kill")
    assert page.all("input") == [{"type": "hidden", "name": "token", "value": "t0ken"}]
    assert len(page.all("button")) == 1
    assert page.all("a") == []
    assert [a["nonce"] for a in page.all("script") + page.all("style")] == ["n0nce", "n0nce"]
    nonced = [tag for tag, attributes in page.elements if "nonce" in attributes]
    assert sorted(nonced) == ["script", "style"]
    assert all("style" not in attributes for _, attributes in page.elements)


def test_the_page_asks_for_nothing_from_elsewhere():
    """No address of another place, not even in style and script."""
    page = page_of(PAPER)
    addresses = [a.get("href") or a.get("src") for _, a in page.elements]
    assert set(addresses) == {None, "data:,"}
    assert "//" not in STYLE.replace("/*", "")
    assert "url(" not in STYLE
    assert "http" not in SCRIPT


def test_the_page_has_landmarks_a_language_and_lives_without_scripts():
    """What readers without eyes, and browsers without scripts, need."""
    page = page_of(PAPER)
    assert page.all("html") == [{"lang": "en"}]
    assert all(len(page.all(tag)) == 1 for tag in ("header", "main", "footer", "h1"))
    assert {"http-equiv": "refresh", "content": "2;url=/"} in page.all("meta")


def test_a_notice_is_an_alert():
    """A refused kill is told at once."""
    notice = page_of(PAPER, notice="press <again>")
    assert "press <again>" in notice.text
    assert [a for a in notice.all("p") if a.get("role") == "alert" and "hidden" not in a]


@pytest.mark.parametrize("name", VIEWS)
def test_the_same_view_draws_the_same_page(name):
    """Pure: parts that did not change are not touched in the browser."""
    assert render_fragment(VIEWS[name]) == render_fragment(VIEWS[name])


def test_an_unknown_state_is_a_fault():
    """The console never guesses."""
    view = replace(PAPER, state="NEW", halt_phase="OTHER")
    lamp = Page(render_fragment(view)).parts["lamp"]
    assert "treat it as a fault" in lamp
    assert "Halt: OTHER" in lamp


@pytest.mark.parametrize(
    ("amount", "limit", "losing", "share"),
    [
        ("0", "50", False, "0"),
        ("12.5", "50", False, "25"),
        ("0.001", "50", False, "0.1"),
        ("-12.5", "50", False, "25"),
        ("75", "50", False, "150"),
        ("-1", "4", True, "25"),
        ("1", "4", True, "0"),
        ("1", "0", False, None),
        ("1", "-1", False, None),
        (None, "50", False, None),
        ("1", None, False, None),
        ("x", "50", False, None),
        ("Infinity", "50", False, None),
        ("1e13", "1e-13", False, None),
        ("9.99e12", "1e-12", False, "999000000000000000000000000"),
    ],
)
def test_shares_of_a_limit(amount, limit, losing, share):
    """Rounded up to a tenth of a percent; None where it cannot be known."""
    found = part_of(amount, limit, losing=losing)
    assert found == (None if share is None else Decimal(share))


def test_a_bar_is_never_longer_than_its_track():
    """Over the limit it is full, and says so in words."""
    drawn = Page(bar("Gross", "words", [Decimal(80), Decimal(70)]))
    assert [(a["x"], a["width"]) for a in drawn.all("rect")] == [("0%", "80%"), ("80%", "20%")]
    assert "150 %, over the limit" in drawn.text


@pytest.mark.parametrize(
    ("ms", "said"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1_000, "1.0 s"),
        (59_999, "59.9 s"),
        (60_000, "1 min 00 s"),
        (3_599_000, "59 min 59 s"),
        (14_399_000, "3 h 59 min"),
    ],
)
def test_spans(ms, said):
    """Two units, never rounded up: a deadline is not later than it is."""
    assert span(ms) == said


def test_amounts_and_times_of_day():
    """Cents, thousands, a sign where asked; UTC."""
    assert money("1234.5") == "1,234.50"
    assert money("0", plus=True) == "+0.00"
    assert money(None) == "unknown"
    assert money("") == "unknown"
    assert money("many") == "many"
    assert time_of_day(PAPER.at_ms) == "14:00:00"


def test_only_markup_is_markup():
    """Everything else is escaped wherever it stands; None is left out."""
    assert (
        el("p", "<b>", Html("<b>"), None, title='"&') == '<p title="&quot;&amp;">&lt;b&gt;<b></p>'
    )
    assert el("input", type="hidden", value=None) == '<input type="hidden">'
    assert safe("a\r\n\x00b\u202e") == "a���b�"
    assert safe("x" * 500) == "x" * 400 + "..."
