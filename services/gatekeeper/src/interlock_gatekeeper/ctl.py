"""`gatekeeperctl`: the operator's commands over the operator's socket."""

from __future__ import annotations

import argparse
import http.client
import json
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interlock_core.settings import ConfigError, Setting, environment, load, path, text
from interlock_gatekeeper import journal, operator_api
from interlock_gatekeeper.records import apply
from interlock_gatekeeper.state import State

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_NOT_ARMED, EXIT_KILLED = 0, 1, 2, 3, 4
TIMEOUT_S = 10
HTTP_OK = 200

SPEC = (
    Setting(
        "OPERATOR_SOCKET", path, "/run/interlock/operator/operator.sock", "the operator's socket"
    ),
    Setting(
        "GATE_STATE_DIR", path, "/var/lib/interlock", "folder of the journal, for audit verify"
    ),
    Setting("ARBITRAGE_ENV", text, "paper", "paper or live, for audit verify"),
)
ARM_SPEC = (
    Setting("LIVE_ARM_ACK", text, "", "I_UNDERSTAND_LIVE_RISK"),
    Setting("LIVE_ARM_AT", text, "", "the time of arming, at most 10 minutes ago"),
    Setting("LIVE_MAX_NOTIONAL_USD", text, "", "10..1000"),
)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("operator", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(str(self._path))


def main() -> None:
    """Run one operator command and exit with its code."""
    parser = _parser()
    arguments = parser.parse_args()
    try:
        values = load(SPEC, environment())
        code = int(arguments.run(values, arguments))
    except ConfigError as error:
        _say("\n".join(error.problems))
        code = EXIT_USAGE
    except (OSError, http.client.HTTPException) as error:
        _say(f"cannot reach the gatekeeper at its operator socket: {error}")
        code = EXIT_FAILED
    sys.exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gatekeeperctl",
        description="Operator commands of the safety gatekeeper.",
        epilog="exit codes: 0 done, 1 failed, 2 usage, 3 not armed or refused, 4 killed",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    state = commands.add_parser("state", help="show the state; exit code 3 not armed, 4 killed")
    state.add_argument("--json", action="store_true", help="the full report as JSON")
    state.set_defaults(run=_state)
    arm = commands.add_parser(
        "arm",
        help="arm live trading for one session",
        description="Reads LIVE_ARM_ACK, LIVE_ARM_AT and LIVE_MAX_NOTIONAL_USD.",
    )
    arm.add_argument("--stage", required=True, help="smoke, pilot, hour or continuous")
    arm.set_defaults(run=_arm)
    disarm = commands.add_parser("disarm", help="take an arm back or end the live session")
    disarm.set_defaults(run=_disarm)
    kill = commands.add_parser("kill", help="stop every new order now; stays until a reset")
    kill.add_argument("--reason", default="operator", help="for the record")
    kill.set_defaults(run=_kill)
    reset = commands.add_parser("reset", help="clear the kill latch; never arms")
    reset.set_defaults(run=_reset)
    audit = commands.add_parser("audit", help="check the journal")
    audit.add_argument("what", choices=["verify"], help="re-hash and replay every line")
    audit.set_defaults(run=_audit)
    return parser


def _state(values: Mapping[str, Any], arguments: argparse.Namespace) -> int:
    status, report = _call(values, "GET", operator_api.PATH_STATE)
    if status != HTTP_OK:
        return _refused(report)
    print(json.dumps(report, indent=2) if arguments.json else _summary(report))  # noqa: T201
    if report["state"] == "KILLED":
        return EXIT_KILLED
    return EXIT_OK if report["armed"] else EXIT_NOT_ARMED


def _arm(_values: Mapping[str, Any], arguments: argparse.Namespace) -> int:
    facts = load(ARM_SPEC, environment())
    body = {
        "ack": facts["live_arm_ack"],
        "arm_at": facts["live_arm_at"],
        "max_notional_usd": facts["live_max_notional_usd"],
        "stage": arguments.stage,
    }
    return _act(_values, operator_api.PATH_ARM, body)


def _disarm(values: Mapping[str, Any], _arguments: argparse.Namespace) -> int:
    return _act(values, operator_api.PATH_DISARM, {})


def _kill(values: Mapping[str, Any], arguments: argparse.Namespace) -> int:
    return _act(values, operator_api.PATH_KILL, {"reason": arguments.reason})


def _reset(values: Mapping[str, Any], _arguments: argparse.Namespace) -> int:
    return _act(values, operator_api.PATH_RESET, {})


def _act(values: Mapping[str, Any], path: str, body: dict[str, str]) -> int:
    status, report = _call(values, "POST", path, body)
    if status != HTTP_OK:
        return _refused(report)
    print(_summary(report))  # noqa: T201 - the command's answer
    return EXIT_OK


def _call(
    values: Mapping[str, Any], method: str, path: str, body: dict[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    connection = _UnixConnection(values["operator_socket"])
    try:
        raw = None if body is None else json.dumps(body)
        connection.request(method, path, raw, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def _refused(report: Mapping[str, Any]) -> int:
    _say(f"{report.get('code', 'REFUSED')}: {report.get('detail', 'no reason given')}")
    return EXIT_NOT_ARMED


def _summary(report: Mapping[str, Any]) -> str:
    reasons = "; ".join(report["reasons"]) or "none"
    return (
        f"state {report['state']}, armed {'yes' if report['armed'] else 'no'}, "
        f"epoch {report['epoch']}, limit {report['n_usd']} USD, "
        f"open orders {report['open_orders']}, in doubt {len(report['unknown_orders'])}, "
        f"reasons: {reasons}"
    )


def _audit(values: Mapping[str, Any], _arguments: argparse.Namespace) -> int:
    """Re-hash every line and replay it through the same code the gatekeeper runs."""
    state = State(environment=values["arbitrage_env"])
    found = journal.read(
        values["gate_state_dir"] / journal.FILE_NAME, lambda line: apply(state, line.record)
    )
    if found.defect is not None:
        _say(f"BROKEN: {found.defect} ({found.lines} lines before it are intact)")
        return EXIT_FAILED
    print(  # noqa: T201 - the command's answer
        f"intact: {found.lines} lines, head {found.head[:16]}, torn bytes {found.torn_bytes}, "
        f"epoch {state.epoch}, orders settled {len(state.settled)}, "
        f"not proven ended {len(state.open_orders)}"
    )
    return EXIT_OK


def _say(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201 - the user's own terminal


if __name__ == "__main__":
    main()
