"""compose.yaml: what can be seen of the stack's safety without starting it."""

from importlib import import_module
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
STACK = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
SERVICES, NETWORKS = STACK["services"], STACK["networks"]
OURS = {"engine", "gatekeeper", "migrate", "preflight", "simvenues"}
ONE_SHOT = {"migrate", "preflight"}
EDGES = {"edge_gatekeeper", "edge_grafana", "edge_prometheus"}
OPEN_NETWORKS = EDGES | {"feeds"}
UIDS = {"engine": 10001, "gatekeeper": 10002, "preflight": 10003, "simvenues": 10004}
PAPER = ROOT / "secrets" / "paper"


def members(network):
    return {name for name, service in SERVICES.items() if network in service["networks"]}


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_hardened(name):
    """Read-only, without capabilities, bounded, never privileged."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    assert service["pids_limit"] <= 256
    assert service["mem_limit"]
    assert service["logging"]["options"]["max-size"]
    assert all("noexec" in mount for mount in service["tmpfs"])
    assert name in ONE_SHOT or service["healthcheck"]["interval"]
    assert not {"privileged", "cap_add", "ulimits", "network_mode", "pid"} & set(service)


@pytest.mark.parametrize("name", set(SERVICES) - OURS)
def test_public_images_are_pinned_and_not_root(name):
    """A name with a version, and a user other than root."""
    assert ":" in SERVICES[name]["image"]
    assert not SERVICES[name]["image"].endswith(":latest")
    assert SERVICES[name]["user"].partition(":")[0] not in {"0", "root"}


@pytest.mark.parametrize("name", OURS)
def test_our_images_are_built_with_their_own_lock(name):
    """Target and argument name the same service."""
    build = SERVICES[name]["build"]
    assert (build["target"], build["args"]["SERVICE"]) == (name, name)
    dockerfile = (ROOT / build["dockerfile"]).read_text("utf-8")
    assert f"FROM runtime AS {name}\n" in dockerfile
    assert f'"-I", "-u", "-m", "interlock_{name}"' in dockerfile
    assert '"-O"' not in dockerfile
    assert "# syntax" not in dockerfile


@pytest.mark.parametrize("name", OURS)
def test_our_images_know_their_commit(name):
    """Every image is built with the same one, and its service can read it."""
    args = SERVICES[name]["build"]["args"]
    assert args["INTERLOCK_COMMIT"] == "${INTERLOCK_COMMIT:-unknown}"
    runtime = (ROOT / "docker" / "Dockerfile").read_text("utf-8").partition(" AS runtime\n")[2]
    stage = runtime.partition("\nFROM ")[0]
    assert "ARG INTERLOCK_COMMIT=unknown\n" in stage
    assert "INTERLOCK_COMMIT=${INTERLOCK_COMMIT}" in stage


def test_ports_are_published_on_loopback_only():
    """Nobody on the network of the machine can open them."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert sorted(port.rpartition(":")[2] for port in ports) == ["3000", "8082", "9090"]
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_networks_are_sealed():
    """No way out, and no address of the host on the bridge."""
    for name in set(NETWORKS) - OPEN_NETWORKS:
        assert NETWORKS[name]["internal"] is True
        assert NETWORKS[name]["driver_opts"] == {"com.docker.network.bridge.inhibit_ipv4": "true"}


def test_who_meets_whom():
    """The engine has no network in common with anything it need not reach, nor a way out."""
    assert {network: members(network) for network in NETWORKS} == {
        "gate": {"engine", "gatekeeper"},
        "market": {"engine", "simvenues"},
        "orders": {"gatekeeper", "preflight", "simvenues"},
        "data": {"engine", "preflight", "migrate", "postgres", "redis"},
        "record": {"gatekeeper", "postgres"},
        "reading": {"grafana", "postgres"},
        "scrape_engine": {"engine", "prometheus"},
        "scrape_gatekeeper": {"gatekeeper", "prometheus"},
        "scrape_simvenues": {"simvenues", "prometheus"},
        "monitoring": {"prometheus", "alertmanager", "grafana"},
        "edge_gatekeeper": {"gatekeeper"},
        "edge_prometheus": {"prometheus"},
        "edge_grafana": {"grafana"},
        "feeds": {"simvenues"},
    }


@pytest.mark.parametrize("network", EDGES)
def test_a_published_port_is_no_way_out(network):
    """Nothing answers what a member sends to the outside."""
    options = NETWORKS[network]["driver_opts"]
    assert options == {"com.docker.network.bridge.enable_ip_masquerade": "false"}


def test_start_order():
    """Stores, migration, gatekeeper and venues, preflight that must succeed, engine."""
    waits = {
        name: {other: how["condition"] for other, how in service.get("depends_on", {}).items()}
        for name, service in SERVICES.items()
    }
    assert waits["migrate"] == {"postgres": "service_healthy"}
    assert waits["gatekeeper"]["migrate"] == "service_completed_successfully"
    assert waits["gatekeeper"]["simvenues"] == "service_healthy"
    assert waits["preflight"]["gatekeeper"] == "service_healthy"
    assert waits["engine"]["preflight"] == "service_completed_successfully"


def test_the_socket_is_the_only_thing_engine_and_gatekeeper_share():
    """The engine may use it, not replace it; the operator's socket is in no volume at all."""
    volumes = {
        name: {v.split(":")[0]: v.split(":")[1:] for v in SERVICES[name]["volumes"]}
        for name in ("engine", "gatekeeper")
    }
    assert set(volumes["engine"]) & set(volumes["gatekeeper"]) == {"engine_socket"}
    assert volumes["engine"]["engine_socket"] == ["/run/interlock/engine", "ro"]
    assert volumes["gatekeeper"]["engine_socket"] == ["/run/interlock/engine"]
    (operator,) = [m for m in SERVICES["gatekeeper"]["tmpfs"] if m.startswith("/run/interlock/")]
    assert operator.startswith("/run/interlock/operator:")
    assert "uid=10002" in operator
    assert "mode=0700" in operator


def test_the_gatekeeper_outlives_an_order_in_flight():
    """Stopping waits longer than an order may take to be known."""
    assert SERVICES["gatekeeper"]["stop_grace_period"] == "45s"
    assert SERVICES["engine"]["stop_grace_period"] == "15s"


@pytest.mark.parametrize("name", OURS)
def test_each_service_is_given_only_what_it_reads(name):
    """A variable that nobody reads would be a setting that does nothing."""
    declared = {setting.name for setting in import_module(f"interlock_{name}.settings").SPEC}
    given = set(SERVICES[name]["environment"]) - declared
    assert {variable.removesuffix("_FILE") for variable in given} <= declared


def test_a_change_in_env_reaches_the_engine():
    """Whatever may be tuned can be tuned in a container; stack and image fix the rest."""
    declared = {setting.name for setting in import_module("interlock_engine.settings").SPEC}
    given = {variable.removesuffix("_FILE") for variable in SERVICES["engine"]["environment"]}
    fixed = {"ENGINE_PORT", "GATE_SOCKET", "INTERLOCK_COMMIT", "SESSION_ID"}
    assert declared - given == fixed


@pytest.mark.parametrize("name", SERVICES)
def test_secrets_come_as_files(name):
    """No variable holds a password, a key or a connection string."""
    values = SERVICES[name].get("environment", {})
    words = ("PASSWORD", "SECRET", "DSN", "TOKEN", "_KEY", "REDIS_URL", "LIVE_ARM")
    for variable, value in values.items():
        if any(word in variable for word in words) and not variable.startswith("GF_"):
            assert variable.endswith("_FILE")
            assert value.removeprefix("/run/secrets/") in SERVICES[name]["secrets"]


def test_the_engine_has_no_venue_credential():
    """Nothing but its own way into the stores."""
    assert set(SERVICES["engine"]["secrets"]) == {"engine_postgres_dsn", "redis_url"}


def test_engine_gatekeeper_and_preflight_are_configured_alike():
    """They refuse to work together otherwise."""
    shared = ("ARBITRAGE_ENV", "STAGE", "VENUES", "BINANCE_MARKET", "UNIVERSE")
    found = {
        tuple(SERVICES[name]["environment"][key] for key in shared)
        for name in ("engine", "gatekeeper", "preflight")
    }
    assert found == {
        ("paper", "paper", "simulated", "${BINANCE_MARKET:-perp}", "${UNIVERSE:-top10}")
    }


def test_paper_secrets_are_there_and_agree():
    """Every file is committed, and each connection string holds the password it needs."""
    files = {entry["file"].removeprefix("./secrets/paper/") for entry in STACK["secrets"].values()}
    assert files == {f.name for f in PAPER.iterdir()} - {"README.md"}
    value = {name: (PAPER / name).read_text("utf-8").strip() for name in files}
    for role in ("gatekeeper", "engine", "preflight"):
        dsn = f"postgresql://{role}:{value[f'pg_{role}']}@postgres:5432/interlock"
        assert value[f"{role}_postgres_dsn"] == dsn
    assert f":{value['pg_owner']}@" in value["owner_postgres_dsn"]
    assert f":{value['redis_password']}@" in value["redis_url"]
    assert all((PAPER / name).stat().st_mode & 0o004 for name in files), "containers must read them"


@pytest.mark.parametrize(("name", "uid"), UIDS.items())
def test_our_images_do_not_run_as_root(name, uid):
    """Each service has its own user, so that files and sockets can tell them apart."""
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text("utf-8")
    stage = dockerfile.partition(f"FROM runtime AS {name}\n")[2].partition("\nFROM ")[0]
    assert f"USER {uid}:{uid}\n" in stage


def test_the_stand_ins_have_the_names_that_the_stack_asks_for():
    """Where no image registry is reached, CI builds every public image but Grafana's."""
    script = (ROOT / ".ci" / "images" / "build-standins").read_text("utf-8")
    for name in set(SERVICES) - OURS - {"grafana"}:
        repository, _, tag = SERVICES[name]["image"].partition(":")
        assert f'"{repository}:{tag}"' in script or f'"{repository}:${{' in script
        assert f":-{tag}}}" in script or f'"{repository}:{tag}"' in script
