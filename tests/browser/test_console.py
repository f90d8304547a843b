"""The console in a browser: every state, live, by a mouse, without scripts, narrow and dark."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import httpx
import pytest
from tests.browser.views import HOSTILE, PAPER, VIEWS

pytestmark = pytest.mark.asyncio(loop_scope="module")

NARROW, WIDE = 360, 1280
LEAST_CONTRAST = 4.5

# Every visible text against what is painted behind it, by WCAG's formula.
POOR_TEXTS = """(least) => {
  const parse = (c) => c.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c;
      if (c[3] !== 0) throw new Error("half transparent: " + e.className);
    }
    throw new Error("nothing is painted behind");
  };
  const poor = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !e.checkVisibility()) continue;
    const a = light(parse(getComputedStyle(e).color)), b = light(behind(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < least) poor.push(`${ratio.toFixed(2)} ${texts.currentNode.data}`);
  }
  return poor;
}"""
TOO_WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


async def until(holds):
    """Wait until something holds."""
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [NARROW, WIDE])
async def test_every_state_can_be_read(look, desk, tmp_path, width, scheme):
    """Its words, enough contrast, no sideways scrolling, KILL in sight; a picture of each."""
    seen = await look(width, scheme, script=False)
    for name, view in {**VIEWS, "hostile": HOSTILE}.items():
        desk.view = view
        await seen.go()
        if name != "hostile":
            assert await seen.page.locator("h1").inner_text() == view.state
        assert await seen.page.evaluate(POOR_TEXTS, LEAST_CONTRAST) == [], name
        assert await seen.page.evaluate(TOO_WIDE) <= 0, name
        box = await seen.page.get_by_role("button", name="KILL").bounding_box()
        assert box["y"] + box["height"] < 100
        assert box["height"] >= 44
        await seen.page.screenshot(path=tmp_path / f"{name}-{scheme}-{width}.png", full_page=True)


async def test_it_lives_without_reload(look, desk):
    """States follow one another on the same document; so does the tab's title."""
    seen = await look()
    await seen.go()
    await seen.page.evaluate("() => { window.same = true; }")
    for name in ("armed", "live", "hold", "expired", "killed"):
        desk.view = VIEWS[name]
        await seen.reads(VIEWS[name].state, "h1")
    await seen.reads("LOSS_LIMIT", "#lamp")
    assert await seen.page.title() == "KILLED - Interlock"
    assert await seen.page.evaluate("() => window.same") is True


async def test_a_part_that_does_not_change_is_left_alone(look, desk):
    """What a person has selected, or a screen reader is reading, stays."""
    desk.view = VIEWS["killed"]
    seen = await look()
    await seen.go()
    await seen.page.evaluate(
        "() => getSelection().selectAllChildren(document.querySelector('.hash'))"
    )
    desk.view = replace(desk.view, audit_seq=99_999)
    await seen.reads("99999", "#record")
    selected = await seen.page.evaluate("() => getSelection().toString()")
    assert selected == desk.view.residual.hash


@pytest.mark.parametrize("script", [True, False])
async def test_one_click_kills(look, desk, script):
    """With scripts and without: the latch is set and the page says so."""
    seen = await look(script=script)
    await seen.go()
    await seen.page.get_by_role("button", name="KILL").click()
    await seen.reads("KILLED", "h1")
    assert desk.kills == [("CONSOLE", "console")]
    assert seen.page.url == desk.url


async def test_the_keyboard_kills(look, desk):
    """The button is the first thing that can be reached."""
    seen = await look()
    await seen.go()
    await seen.page.keyboard.press("Tab")
    await seen.page.keyboard.press("Enter")
    await seen.reads("KILLED", "h1")
    assert len(desk.kills) == 1


async def test_without_scripts_it_refreshes_itself(look, desk):
    """Within two seconds."""
    seen = await look(script=False)
    await seen.go()
    desk.view = VIEWS["live"]
    await seen.reads("LIVE", "h1")


@pytest.mark.parametrize("script", [True, False])
async def test_hostile_texts_do_nothing(look, desk, script):
    """No dialog, no element of theirs, no second form; they stand there as text."""
    desk.view = HOSTILE
    seen = await look(script=script)
    seen.page.on("dialog", lambda dialog: seen.complaints.append(dialog.message))
    await seen.go()
    desk.view = replace(HOSTILE, cause="after an event", audit_seq=99_999)
    await seen.reads("after an event", "#lamp")
    assert await seen.page.locator("form, img, iframe, a").count() == 1
    assert await seen.page.locator("main script").count() == 0
    assert "<script>alert(1)</script>" in await seen.page.locator("#verdicts").inner_text()


async def test_where_eight_watch_the_ninth_sees_too(look, desk):
    """Where no stream is left the page looks again by itself."""
    async with httpx.AsyncClient(base_url=desk.url) as client, AsyncExitStack() as streams:
        for _ in range(8):
            await streams.enter_async_context(client.stream("GET", "/events"))
        seen = await look()
        await seen.go()
        desk.view = VIEWS["live"]
        await seen.reads("LIVE", "h1")
        assert await seen.page.title() == "LIVE - Interlock"
    assert any("503" in text for text in seen.complaints)
    seen.complaints = [text for text in seen.complaints if "503" not in text]


async def test_a_hidden_page_gives_its_stream_back(look, desk):
    """It does not claim to watch; shown again, it is fresh at once."""
    turn = """(how) => {
      Object.defineProperty(document, "hidden", { value: how === "away", configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    seen = await look()
    await seen.go()
    await until(lambda: desk.streams == 1)
    await seen.page.evaluate(turn, "away")
    await until(lambda: desk.streams == 0)
    assert await seen.page.title() == "Not watching - Interlock"
    desk.view = VIEWS["live"]
    await seen.page.evaluate(turn, "back")
    await seen.reads("LIVE", "h1")


async def test_many_pages_in_one_browser_leave_room_for_the_kill(look, desk):
    """A browser opens six connections to one place: a stream never stands before the button."""
    first = await look()
    pages = [first.page, *[await first.page.context.new_page() for _ in range(4)]]
    for page in pages:
        await page.goto(desk.url)
    await pages[0].get_by_role("button", name="KILL").click()
    await first.reads("KILLED", "h1")
    assert len(desk.kills) == 1


async def test_a_gatekeeper_that_falls_silent_is_not_shown_as_well(look, desk):
    """The page says that it is old; when another process answers, it is that one's page."""
    async with desk.served():
        seen = await look()
        await seen.go()
        await seen.reads("PAPER", "h1")
    await seen.page.get_by_text("what is shown here is old").wait_for()
    assert await seen.page.title() == "NO ANSWER - Interlock"
    desk.view = replace(PAPER, boot_id="b-another")
    async with desk.served(seen.port):
        await seen.reads("b-another", "#record")
        assert await seen.page.get_by_text("what is shown here is old").is_hidden()
        await seen.page.get_by_role("button", name="KILL").click()
        await seen.reads("KILLED", "h1")
    assert len(desk.kills) == 1
    seen.complaints = [text for text in seen.complaints if "ERR_" not in text]


async def test_a_page_from_before_a_restart_kills_with_a_second_press(look, desk):
    """Without scripts the old form is refused with a fresh page, which says so."""
    async with desk.served():
        seen = await look(script=False)
        await seen.go()
    async with desk.served(seen.port):
        button = seen.page.get_by_role("button", name="KILL")
        await button.click()
        await seen.page.get_by_text("Press KILL again").wait_for()
        assert desk.kills == []
        await button.click()
        await seen.reads("KILLED", "h1")
    assert len(desk.kills) == 1
    seen.complaints = [text for text in seen.complaints if "403" not in text]


async def test_the_page_makes_sense_to_a_screen_reader(look, desk):
    """Landmarks, one heading above the others, a lamp that is announced."""
    desk.view = VIEWS["live"]
    seen = await look()
    await seen.go()
    for role in ("banner", "main", "contentinfo"):
        assert await seen.page.get_by_role(role).count() == 1
    assert await seen.page.get_by_role("heading", level=1).all_inner_texts() == ["LIVE"]
    headings = await seen.page.get_by_role("heading", level=2).all_inner_texts()
    assert headings == ["Budget and limits", "Venues", "Positions", "Last verdicts", "Record"]
    assert "LIVE" in await seen.page.get_by_role("status").inner_text()
