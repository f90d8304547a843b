"""What each container may do, as the kernel and the container engine see it."""

import pytest
from tests.container.stack import LONG_RUNNING, ONE_SHOT

UIDS = {
    "engine": 10001,
    "gatekeeper": 10002,
    "simvenues": 10004,
    "postgres": 999,
    "redis": 999,
    "prometheus": 65534,
    "alertmanager": 65534,
}
NOTHING = "0000000000000000"
RUN_FROM_TMP = """
trap 'rm -f /tmp/t' EXIT
cp /bin/true /tmp/t 2>/dev/null || cp /bin/busybox /tmp/t
chmod +x /tmp/t && echo written
/tmp/t
"""


@pytest.mark.parametrize("service", [*LONG_RUNNING, *ONE_SHOT])
def test_the_engine_was_asked_for_a_hardened_container(stack, service):
    """Read-only, no capability, no new privileges, bounded memory and processes."""
    found = stack.inspect(service)
    host, user = found["HostConfig"], found["Config"]["User"]
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Privileged"] is False
    assert host["Init"] is True
    assert 0 < host["PidsLimit"] <= 256
    assert 0 < host["Memory"] <= 512 * 1024**2
    assert host["LogConfig"]["Config"]["max-size"]
    assert user.partition(":")[0] not in {"", "0", "root"}
    bindings = (host["PortBindings"] or {}).values()
    assert all(each["HostIp"] == "127.0.0.1" for binding in bindings for each in binding)


@pytest.mark.parametrize("service", LONG_RUNNING)
def test_the_kernel_gives_it_nothing(stack, service):
    """Every process: own user, no capability in any set, no new privileges, seccomp on."""
    pids = stack.execute(service, "sh", "-c", "echo /proc/[0-9]*/status").stdout.split()
    checked = 0
    for path in pids:
        shown = stack.execute(service, "cat", path, check=False).stdout
        if not shown:
            continue
        status = dict(line.split(":\t", 1) for line in shown.splitlines() if ":\t" in line)
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert status[name] == NOTHING
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == "2"
        assert set(status["Uid"].split()) == {str(UIDS[service])}
        checked += 1
    assert checked >= 2, "the init and the service itself"


@pytest.mark.parametrize("service", LONG_RUNNING)
def test_nothing_can_be_written_to_the_root_nor_run_from_tmp(stack, service):
    """The file system is read-only, and what can be written cannot be executed."""
    refused = stack.execute(service, "touch", "/etc/x", check=False)
    assert refused.returncode != 0
    done = stack.execute(service, "sh", "-c", RUN_FROM_TMP, check=False)
    assert (done.returncode, done.stdout) == (126, "written\n")
