"""The engine's container: no key, no token, no way round the gatekeeper."""

import ast
import json

import pytest

SOCKET = "/run/interlock/engine/engine.sock"
# The gatekeeper's paper keys. Its live keys would be here for the same reason: not at all.
KEYS = ("sim-upbit-access-key", "sim-upbit-secret-key", "sim-binance-api-key", "sim-binance-api-s")
ARM = ("LIVE_ARM", "LIVE_MAX_NOTIONAL_USD")
FOREIGN = (
    "interlock_gatekeeper",
    "interlock_preflight",
    "interlock_simvenues",
    "interlock_operator",
    "ccxt",
    "pip",
)
# A process that ends between the listing and the reading is no failure.
READ_ENVIRONMENTS = "cat /proc/[0-9]*/environ; true"
FIND_SPECS = """
import importlib.util, sys
print([name for name in sys.argv[1:] if importlib.util.find_spec(name)])
"""
# Whatever the engine's user can read, except the kernel's own files.
SEARCH = """
import json, os, stat, sys
needles = [needle.encode() for needle in sys.argv[1:]]
found, sockets, files = {}, [], 0
for folder, names, entries in os.walk("/"):
    names[:] = [n for n in names if os.path.join(folder, n) not in ("/proc", "/sys", "/dev")]
    for entry in entries:
        path = os.path.join(folder, entry)
        try:
            mode = os.lstat(path).st_mode
            if stat.S_ISSOCK(mode):
                sockets.append(path)
            if not stat.S_ISREG(mode):
                continue
            with open(path, "rb") as handle:
                data = handle.read()
        except OSError:
            continue
        files += 1
        for needle in needles:
            if needle in data:
                found.setdefault(needle.decode(), []).append(path)
print(json.dumps({"found": found, "sockets": sockets, "files": files}))
"""
CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).close()
    print("open")
except OSError as error:
    print("closed", error)
"""
POST = """
import sys, urllib.error, urllib.request
request = urllib.request.Request(sys.argv[1], data=b"{}", method="POST")
try:
    with urllib.request.urlopen(request, timeout=5) as answer:
        print(answer.status)
except urllib.error.HTTPError as error:
    print(error.code)
"""
KNOCK = """
import socket, sys
with socket.socket(socket.AF_UNIX) as sock:
    sock.settimeout(3)
    try:
        sock.connect(sys.argv[1])
        print("connected")
    except OSError as error:
        print("refused", error.errno)
"""


@pytest.fixture(scope="module")
def searched(stack):
    """Search every readable file of the engine's container once."""
    return json.loads(stack.python("engine", SEARCH, *KEYS, *ARM, "interlock_core"))


def reachable(stack, host, port):
    return stack.python("engine", CONNECT, host, str(port)).startswith("open")


def test_no_code_that_could_trade_by_itself(stack):
    """Neither the gatekeeper's package nor a library that signs venue requests is installed."""
    assert ast.literal_eval(stack.python("engine", FIND_SPECS, *FOREIGN)) == []
    there = ast.literal_eval(stack.python("engine", FIND_SPECS, "interlock_engine"))
    assert there == ["interlock_engine"]


def test_no_venue_key_in_any_file(searched):
    """Not a byte of the simulator's keys in the whole file system; the search itself works."""
    assert searched["files"] > 1000
    assert searched["found"]["interlock_core"]
    assert [key for key in KEYS if key in searched["found"]] == []


def test_no_arm_token_in_any_file(searched):
    """The names of its settings stand in the shared rule's code, and nowhere else."""
    places = {path for name in ARM for path in searched["found"].get(name, [])}
    assert [path for path in places if "/site-packages/interlock_core/" not in path] == []


def test_no_key_and_no_token_in_any_environment(trading):
    """Neither in what the container was given nor in any process of it."""
    given = trading.inspect("engine")["Config"]["Env"]
    running = trading.execute("engine", "sh", "-c", READ_ENVIRONMENTS).stdout
    assert "ARBITRAGE_ENV=paper" in running
    for text in (*given, running):
        assert not [word for word in (*KEYS, *ARM, "_KEY=", "_SECRET=") if word in text]


def test_the_engines_socket_is_the_only_one(searched):
    """The operator's socket exists in the gatekeeper alone."""
    assert searched["sockets"] == [SOCKET]


def test_the_operators_socket_is_the_gatekeepers_own(trading):
    """It is there, on a file system in memory that no other container mounts."""
    listed = trading.execute("gatekeeper", "ls", "/run/interlock/operator").stdout.split()
    assert listed == ["operator.sock"]
    mounts = trading.execute("gatekeeper", "cat", "/proc/mounts").stdout
    assert "tmpfs /run/interlock/operator " in mounts
    denied = trading.execute("engine", "ls", "/run/interlock/operator", check=False)
    assert denied.returncode != 0


def test_the_engine_can_use_its_socket_but_not_replace_it(trading):
    """A read-only mount: connecting works, deleting and creating do not."""
    assert trading.python("engine", KNOCK, SOCKET).startswith("connected")
    assert trading.execute("engine", "rm", "-f", SOCKET, check=False).returncode != 0
    beside = "/run/interlock/engine/x"
    assert trading.execute("engine", "touch", beside, check=False).returncode != 0


@pytest.mark.parametrize("service", ["simvenues", "prometheus", "redis"])
def test_nobody_else_has_the_engines_socket(trading, service):
    """It is mounted in two containers only."""
    assert trading.execute(service, "ls", SOCKET, check=False).returncode != 0


def test_the_engine_reaches_what_it_needs(trading):
    """The venues' data, the stores, and the gatekeeper's health."""
    for host, port in (
        ("simvenues", 8090),
        ("redis", 6379),
        ("postgres", 5432),
        ("gatekeeper", 8081),
    ):
        assert reachable(trading, host, port), host


def test_the_engine_reaches_nothing_else(trading):
    """No other service, no address of this machine, no address outside, and no route there."""
    gateway = trading.docker(
        *("network", "inspect", f"{trading.project}_gate"),
        *("-f", "{{(index .IPAM.Config 0).Gateway}}"),
    ).strip()
    for host, port in (
        ("alertmanager", 9093),
        ("preflight", 80),
        ("192.0.2.1", 443),
        ("example.invalid", 443),
        (gateway, 22),
    ):
        assert not reachable(trading, host, port), host
    routes = trading.execute("engine", "cat", "/proc/net/route").stdout.splitlines()[1:]
    assert routes
    assert [route for route in routes if route.split()[1] == "00000000"] == []


def test_nothing_on_the_network_can_arm(trading):
    """The gatekeeper listens on its health port and its console, and neither knows an order."""
    listening = set()
    for table in ("tcp", "tcp6"):
        rows = trading.execute("gatekeeper", "cat", f"/proc/net/{table}").stdout.splitlines()[1:]
        listening |= {
            int(address.partition(":")[2], 16)
            for _, address, _, state, *_ in map(str.split, rows)
            # The container engine's own resolver listens on 127.0.0.11.
            if state == "0A" and not address.startswith("0B00007F")
        }
    assert listening == {8081, 8082}
    for port in sorted(listening):
        for path in ("/arm", "/v1/arm", "/disarm", "/reset", "/v1/orders", "/v1/session"):
            answer = trading.python("engine", POST, f"http://gatekeeper:{port}{path}").strip()
            assert answer in {"403", "404", "405"}, f"{port}{path}: {answer}"
