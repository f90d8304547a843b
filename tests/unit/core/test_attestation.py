"""The preflight's attestation: what is sealed opens unchanged, and nothing else opens."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock_core.clock import NS_PER_S
from interlock_core.wire import strict
from interlock_core.wire.attestation import (
    CHECKS,
    Attestation,
    key_in,
    open_sealed,
    problem,
    seal,
)
from interlock_core.wire.strict import SchemaError

KEY = b"k" * 32
NOW = 1_700_000_000 * NS_PER_S
GOOD = Attestation(1, NOW, "c" * 64, "a" * 40, CHECKS, "20231114T221320Z-preflight-0a0b")
SEALED = seal(GOOD, KEY)


def why(attestation=GOOD, *, now=NOW, config="c" * 64, commit="a" * 40):
    return problem(attestation, now_wall_ns=now, config_sha256=config, commit=commit)


def test_what_was_sealed_opens():
    """The same attestation, under the same key only."""
    assert open_sealed(SEALED, KEY) == GOOD
    with pytest.raises(SchemaError, match="mac"):
        open_sealed(SEALED, b"j" * 32)


@given(place=st.integers(0, len(SEALED) - 1), byte=st.integers(0, 255))
def test_a_changed_byte_is_refused(place, byte):
    """Whichever byte, whatever it becomes."""
    changed = SEALED[:place] + bytes([byte]) + SEALED[place + 1 :]
    if changed != SEALED:
        with pytest.raises(SchemaError):
            open_sealed(changed, KEY)


@given(place=st.integers(0, len(SEALED)), more=st.binary(min_size=1, max_size=3))
def test_a_byte_more_or_less_is_refused(place, more):
    """Not even white space may be added, and nothing may be cut off."""
    for changed in (SEALED[:place] + more + SEALED[place:], SEALED[: min(place, len(SEALED) - 1)]):
        with pytest.raises(SchemaError):
            open_sealed(changed, KEY)


@given(st.binary(max_size=200))
def test_anything_else_is_refused(raw):
    """Only SchemaError comes out of bytes that nobody sealed."""
    with pytest.raises(SchemaError):
        open_sealed(raw, KEY)


@pytest.mark.parametrize("change", [{"schema": 2}, {"at_wall_ns": "x"}, {"passed": "all"}])
def test_a_sealed_message_of_another_shape_is_refused(change):
    """A fitting MAC does not excuse a wrong field."""
    other = replace(GOOD)
    for name, value in change.items():
        object.__setattr__(other, name, value)
    with pytest.raises(SchemaError):
        open_sealed(seal(other, KEY), KEY)


@pytest.mark.parametrize("mac", [None, 5, "", "ü"])
def test_a_mac_that_is_none_is_refused(mac):
    """Missing, a number, empty, not ASCII."""
    value = {**strict.plain(GOOD), "mac": mac}
    with pytest.raises(SchemaError, match="mac"):
        open_sealed(strict.canonical(value), KEY)


def test_it_holds_for_ten_minutes():
    """Not a nanosecond longer, and at most two seconds ahead of our clock."""
    assert why(now=NOW + 600 * NS_PER_S) is None
    assert "600 s old" in why(now=NOW + 600 * NS_PER_S + 1)
    assert why(now=NOW - 2 * NS_PER_S) is None
    assert "future" in why(now=NOW - 2 * NS_PER_S - 1)


def test_it_holds_for_one_configuration_and_one_commit():
    """Equal digest and commit; an unknown commit is equal to nothing."""
    assert "configuration" in why(config="d" * 64)
    assert "commit bbbbbbb" in why(replace(GOOD, commit="b" * 40))
    assert "INTERLOCK_COMMIT" in why(replace(GOOD, commit="unknown"), commit="unknown")


@given(st.lists(st.sampled_from([*CHECKS, "other"]), max_size=8))
def test_it_holds_for_all_seven_checks_only(passed):
    """Six, eight, or another one are not the seven."""
    found = why(replace(GOOD, passed=tuple(passed)))
    assert (found is None) == (sorted(passed) == sorted(CHECKS))


def test_a_short_key_is_refused():
    """A key file's line end does not count."""
    assert key_in(KEY + b"\n") == KEY
    with pytest.raises(ValueError, match="at least 32 bytes, was 31"):
        key_in(b"k" * 31 + b"\n")
