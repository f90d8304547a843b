"""`gatekeeperctl`: the operator's commands over the operator's socket."""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import logging
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg

from interlock_core.common_settings import POSTGRES_DSN, SHARED
from interlock_core.settings import ConfigError, Setting, environment, load, path, text
from interlock_gatekeeper import audit, journal, operator_api, recon

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_NOT_ARMED, EXIT_KILLED = 0, 1, 2, 3, 4
TIMEOUT_S = 10
DRILLS = 20
SIMVENUES_URL = next(setting for setting in SHARED if setting.name == "SIMVENUES_URL")
HTTP_OK = 200

SPEC = (
    Setting(
        "OPERATOR_SOCKET", path, "/run/interlock/operator/operator.sock", "the operator's socket"
    ),
    Setting(
        "GATE_STATE_DIR", path, "/var/lib/interlock", "folder of the journal, for audit verify"
    ),
    Setting("ARBITRAGE_ENV", text, "paper", "paper or live, for audit verify"),
    POSTGRES_DSN,
    SIMVENUES_URL,
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
    reconcile = commands.add_parser(
        "reconcile",
        help="our books beside the venues' accounts; exit code 1 where they differ, 3 unread",
    )
    reconcile.add_argument("--json", action="store_true", help="every row as JSON")
    reconcile.set_defaults(run=_reconcile)
    arm = commands.add_parser(
        "arm",
        help="arm live trading for one session",
        description="Reads LIVE_ARM_ACK, LIVE_ARM_AT and LIVE_MAX_NOTIONAL_USD.",
    )
    arm.add_argument("--stage", required=True, help="smoke, pilot, hour or continuous")
    arm.add_argument("--approval", default="", help="the stage and the notional, typed again")
    arm.set_defaults(run=_arm)
    disarm = commands.add_parser("disarm", help="take an arm back or end the live session")
    disarm.set_defaults(run=_disarm)
    kill = commands.add_parser("kill", help="stop every new order now; stays until a reset")
    kill.add_argument("--reason", default="operator", help="for the record")
    kill.set_defaults(run=_kill)
    reset = commands.add_parser(
        "reset",
        help="clear the kill latch; never arms",
        description="The cause is repeated to acknowledge it; where something is left, its hash "
        "takes it over. On a terminal both are shown and asked for.",
    )
    reset.add_argument("--cause", default="", help="the kill's cause, as `state` shows it")
    reset.add_argument("--residual", default="", help="hash of what is left, as `state` shows it")
    reset.set_defaults(run=_reset)
    renew = commands.add_parser("renew", help="give a continuous session four more hours")
    renew.set_defaults(run=_renew)
    flatten = commands.add_parser(
        "flatten", help="close what a halt left, by collared orders that only reduce"
    )
    flatten.add_argument("--residual", required=True, help="hash, as `state` shows it")
    flatten.set_defaults(run=_flatten)
    approve = commands.add_parser("approve", help="approve, as a second person, a wish to arm")
    approve.add_argument("wish", help="as the refused arm named it, such as: hour 500")
    approve.set_defaults(run=_approve)
    drill = commands.add_parser(
        "drill",
        help="kill a throw-away gatekeeper on the simulated venues, and report the figures",
        description="Needs SIMVENUES_URL. Proves that a kill denies every intent and cancels.",
    )
    drill.add_argument("--count", type=int, default=DRILLS, help=f"how many (default {DRILLS})")
    drill.add_argument("--no-report", action="store_true", help="only measure")
    drill.set_defaults(run=_drill)
    audit = commands.add_parser("audit", help="check the journal and its anchors")
    audit.add_argument(
        "what",
        choices=["verify"],
        help="re-hash and replay every line, check every invariant, compare the anchors",
    )
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


def _reconcile(values: Mapping[str, Any], arguments: argparse.Namespace) -> int:
    status, report = _call(values, "GET", operator_api.PATH_RECONCILE)
    if status != HTTP_OK:
        return _refused(report)
    print(json.dumps(report, indent=2) if arguments.json else _table(report))  # noqa: T201
    venues = report["venues"].values()
    if any(row["verdict"] == recon.DIFFERS for rows in venues for row in rows or ()):
        return EXIT_FAILED
    unread = any(rows is None for rows in venues)
    return EXIT_NOT_ARMED if unread or report["in_doubt"] else EXIT_OK


def _table(report: Mapping[str, Any]) -> str:
    """Return the rows as a table: what, ours, theirs, verdict."""
    lines = [("venue", "what", "ours", "venue has", "verdict")]
    for venue, rows in report["venues"].items():
        if rows is None:
            lines.append((venue, "account", "-", "-", "could not be read"))
        lines += [
            (venue, r["what"], r["ours"] or "-", r["theirs"] or "-", r["verdict"])
            for r in rows or ()
        ]
    lines += [("", f"order {name}", "-", "-", "in doubt") for name in report["in_doubt"]]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _arm(_values: Mapping[str, Any], arguments: argparse.Namespace) -> int:
    facts = load(ARM_SPEC, environment())
    body = {
        "ack": facts["live_arm_ack"],
        "arm_at": facts["live_arm_at"],
        "max_notional_usd": facts["live_max_notional_usd"],
        "stage": arguments.stage,
        "approval": arguments.approval,
    }
    return _act(_values, operator_api.PATH_ARM, body)


def _disarm(values: Mapping[str, Any], _arguments: argparse.Namespace) -> int:
    return _act(values, operator_api.PATH_DISARM, {})


def _kill(values: Mapping[str, Any], arguments: argparse.Namespace) -> int:
    return _act(values, operator_api.PATH_KILL, {"reason": arguments.reason})


def _reset(values: Mapping[str, Any], arguments: argparse.Namespace) -> int:
    cause, residual = arguments.cause, arguments.residual
    if not cause and sys.stdin.isatty():
        _, report = _call(values, "GET", operator_api.PATH_STATE)
        left = report["residual"]
        print(f"killed: {report['cause']}; left: {json.dumps(left) if left else 'nothing'}")  # noqa: T201
        cause = input("type the cause to acknowledge it: ").strip()
        residual = input("type the residual's hash to take it over: ").strip() if left else ""
    return _act(values, operator_api.PATH_RESET, {"cause": cause, "residual": residual})


def _renew(values: Mapping[str, Any], _arguments: argparse.Namespace) -> int:
    return _act(values, operator_api.PATH_RENEW, {})


def _flatten(values: Mapping[str, Any], arguments: argparse.Namespace) -> int:
    status, report = _call(
        values, "POST", operator_api.PATH_FLATTEN, {"residual": arguments.residual}
    )
    if status != HTTP_OK:
        return _refused(report)
    for order in report["orders"]:
        if order is None:
            print("an order is in doubt: see `interlock status`")  # noqa: T201
        else:
            print(f"{order['intent_id']}: {order['outcome']}, filled {order['filled_quantity']}")  # noqa: T201
    return EXIT_OK


def _approve(values: Mapping[str, Any], arguments: argparse.Namespace) -> int:
    return _act(values, operator_api.PATH_APPROVE, {"wish": arguments.wish})


def _drill(values: Mapping[str, Any], arguments: argparse.Namespace) -> int:
    from interlock_gatekeeper import drill  # noqa: PLC0415 - a whole gatekeeper, for this one command

    # What the drilled gatekeeper says of its own death is no news.
    logging.getLogger("interlock_gatekeeper").setLevel(logging.CRITICAL + 1)
    count = max(arguments.count, 1)
    try:
        drills = asyncio.run(drill.run(values["simvenues_url"], count, _say))
    except drill.DrillError as error:
        _say(f"the drill failed: {error}")
        return EXIT_FAILED
    passed = drill.passed(drills)
    deny = drill.p99([one.deny_ms for one in drills])
    cancel = drill.p99([one.cancel_ms for one in drills])
    print(  # noqa: T201 - the command's answer
        f"{count} drills {'passed' if passed else 'FAILED'}: p99 to the first denial {deny:.1f} ms "
        f"(limit {drill.MAX_DENY_MS:.0f}), to the first cancel {cancel:.1f} ms "
        f"(limit {drill.MAX_CANCEL_MS:.0f})"
    )
    if not arguments.no_report:
        body = {"passed": passed, "drills": count, "deny_p99_ms": deny, "cancel_p99_ms": cancel}
        status, report = _call(values, "POST", operator_api.PATH_DRILL, body)
        if status != HTTP_OK:
            return _refused(report)
    return EXIT_OK if passed else EXIT_FAILED


def _act(values: Mapping[str, Any], path: str, body: dict[str, str]) -> int:
    status, report = _call(values, "POST", path, body)
    if status != HTTP_OK:
        return _refused(report)
    print(_summary(report))  # noqa: T201 - the command's answer
    return EXIT_OK


def _call(
    values: Mapping[str, Any], method: str, path: str, body: Mapping[str, object] | None = None
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
    left = report["residual"]
    rest = f", residual {left['sha256']} ({len(left['orders'])} orders, " if left else ""
    rest += f"{len(left['positions'])} positions)" if left else ""
    return (
        f"state {report['state']}, armed {'yes' if report['armed'] else 'no'}, "
        f"epoch {report['epoch']}, limit {report['n_usd']} USD, "
        f"open orders {report['open_orders']}, in doubt {len(report['unknown_orders'])}, "
        f"flat {'yes' if report['flat'] else 'no'}{rest}, reasons: {reasons}"
    )


def _audit(values: Mapping[str, Any], _arguments: argparse.Namespace) -> int:
    """Re-hash and replay every line, check every invariant, compare what was anchored."""
    folder = values["gate_state_dir"]
    found = audit.verify(folder, environment=values["arbitrage_env"])
    problems = [f"V{v.number} line {v.seq}: {v.text}" for v in found.violations]
    if found.defect is not None:
        problems.insert(0, f"{found.defect} ({found.lines} lines before it are intact)")
    anchors: list[journal.Anchor] | None = None
    if values["postgres_dsn"]:
        try:
            anchors = audit.read_anchors(values["postgres_dsn"])
        except psycopg.Error as error:
            problems.append(f"anchors could not be read: {type(error).__name__}")
    problems += audit.compare_anchors(folder, anchors or [])
    for problem in problems:
        _say(f"BROKEN: {problem}")
    if problems:
        return EXIT_FAILED
    compared = "not compared, no POSTGRES_DSN" if anchors is None else f"{len(anchors)} agree"
    state = found.state
    print(  # noqa: T201 - the command's answer
        f"intact: {found.lines} lines, head {found.head[:16]}, torn bytes {found.torn_bytes}, "
        f"no invariant broken, anchors {compared}, epoch {state.epoch}, "
        f"orders settled {len(state.settled)}, not proven ended {len(state.open_orders)}"
    )
    return EXIT_OK


def _say(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201 - the user's own terminal


if __name__ == "__main__":
    main()
