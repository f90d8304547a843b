"""No secret survives redaction, whichever way it was written."""

import base64
import json
import logging
from urllib.parse import quote, quote_plus, urlencode

from hypothesis import given
from hypothesis import strategies as st

from interlock_core.logs import JsonFormatter
from interlock_core.redaction import REDACTED, Redactor

SECRET = 'aZ9+/="\\%&k3y&0123?'
PRINTABLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=16, max_size=64)


def test_every_spelling_is_taken_out():
    """As it is, in JSON, in a URL in either case, in hex."""
    redactor = Redactor([SECRET])
    for spelling in (
        SECRET,
        json.dumps(SECRET),
        json.dumps({"echo": json.dumps({"key": SECRET})}),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        urlencode({"key": SECRET}),
        quote(SECRET, safe="").lower(),
        SECRET.encode().hex(),
    ):
        said = redactor.text(f"before {spelling} after")
        assert REDACTED in said
        assert "k3y" not in said
        assert said.startswith("before ")
        assert said.endswith(" after")
        assert redactor.raw(spelling.encode()) == redactor.text(spelling).encode()


@given(PRINTABLE, st.binary(max_size=5), st.binary(max_size=5))
def test_base64_hides_nothing(secret, before, after):
    """Standard and URL-safe, wherever in the encoded bytes the secret begins."""
    redactor = Redactor([secret])
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        said = redactor.raw(encode(before + secret.encode() + after))
        assert REDACTED.encode() in said
        assert len(said) <= len(REDACTED) + 4 + 4 * (len(before) + len(after) + 6) // 3


def test_short_words_are_left_alone():
    """A secret of five characters would blacken ordinary text."""
    assert Redactor(["a", "abcde"]).text("a abcde") == "a abcde"
    assert Redactor().raw(b"anything") == b"anything"


def test_one_secret_within_another_leaves_no_rest():
    """The longer one goes first."""
    assert Redactor(["abcdefgh", "abcdefgh-more"]).text("abcdefgh-more") == REDACTED


def test_a_log_line_shows_no_secret():
    """In message, extra field and traceback; and the line stays JSON."""
    formatter = JsonFormatter("test", [SECRET])
    try:
        raise RuntimeError(f"key={SECRET}")
    except RuntimeError as error:
        info = (RuntimeError, error, error.__traceback__)
    record = logging.LogRecord("n", logging.ERROR, "p", 1, "m %s", (SECRET,), info)
    record.why = {"url": quote(SECRET, safe="")}
    line = formatter.format(record)
    assert json.loads(line)["event"] == f"m {REDACTED}"
    assert line.count(REDACTED) >= 3
    assert "k3y" not in line
