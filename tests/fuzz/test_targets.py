"""A short round of every fuzz target; `make fuzz` goes on for as long as it is told."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fuzz.seeds import SEEDS
from tests.fuzz.targets import TARGETS

ROUND = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
DEEP = 5000


@st.composite
def mutated(draw, seeds):
    """Draw bytes: noise, or a good example with a piece of noise in it."""
    noise = draw(st.binary(max_size=40))
    seed = draw(st.sampled_from((b"", *seeds)))
    start = draw(st.integers(0, len(seed)))
    end = draw(st.integers(start, min(len(seed), start + 8)))
    return seed[:start] + noise + seed[end:]


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes_are_read_or_refused(name):
    """No error but the promised one."""

    @ROUND
    @given(mutated(SEEDS[name]))
    def one_round(data):
        TARGETS[name](data)

    one_round()


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize(
    "data",
    [
        *(b"1", b'"x"', b"null", b"[]", b"{}", b"[" * DEEP, b'{"a":' * DEEP),
        *(b"9" * DEEP, b'{"seq":' + b"9" * DEEP + b"}", b"NaN", b"1e999", b'"\\ud800"'),
    ],
    ids=lambda data: repr(data[:8]),
)
def test_awkward_documents_are_read_or_refused(name, data):
    """Not an object, too deep, too long, not finite, half a character; with a line end, too."""
    TARGETS[name](data)
    TARGETS[name](data + b"\n")
