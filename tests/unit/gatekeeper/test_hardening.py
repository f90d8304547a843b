"""When the process will not run with the keys it was given."""

import os

import pytest

from interlock_gatekeeper import hardening
from interlock_gatekeeper.hardening import HardeningError, harden, refusals

SECRET = "0123456789abcdefUPBIT_SECRET_KEY"


def test_the_kernel_may_refuse(monkeypatch):
    """Then no key is read."""

    class Kernel:
        def prctl(self, *_):
            return -1

    monkeypatch.setattr(hardening.ctypes, "CDLL", lambda _: Kernel())
    monkeypatch.setattr(hardening.resource, "setrlimit", lambda *_: None)
    with pytest.raises(HardeningError, match="PR_SET_DUMPABLE"):
        harden()


@pytest.mark.parametrize(("uid", "euid"), [(0, 0), (0, 1000), (1000, 0)])
def test_root_never_trades_on_real_venues(monkeypatch, uid, euid):
    """Neither the real nor the effective user may be root; on simulated venues it may."""
    monkeypatch.setattr(os, "getuid", lambda: uid)
    monkeypatch.setattr(os, "geteuid", lambda: euid)
    nothing = {"secrets": (), "environ": {}, "argv": ()}
    assert "root" in refusals(real_venues=True, **nothing)[0]
    assert refusals(real_venues=False, **nothing) == ()
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert refusals(real_venues=True, **nothing) == ()


def test_a_key_in_sight_is_refused_and_not_shown():
    """Whole or within something longer; the variable is named, the key is not."""
    environ = {"A": "x", "B": f"token={SECRET}"}
    said = refusals(
        real_venues=False, secrets=(SECRET,), environ=environ, argv=("python", f"-X{SECRET}")
    )
    assert [reason.partition(" ")[0] for reason in said] == ["B:", "a"]
    assert SECRET not in "".join(said)
