"""The `interlock` command line."""

from __future__ import annotations

import enum
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from interlock_core.settings import ConfigError
from interlock_operator import arm_command, gate_commands, preflight_command
from interlock_operator.errors import EXIT_USAGE, OperatorError, ServiceFailedError
from interlock_operator.native.plan import UpOptions
from interlock_operator.native.up import run_up
from interlock_operator.observe import watch as watching
from interlock_operator.observe.presenter import make_presenter
from interlock_operator.settings import read_settings

EPILOG = (
    "Exit codes: 0 done, 1 failed, 2 usage, 3 vetoed or not armed, 4 killed. "
    "Commands act on the stack that runs from this folder: the native one (`interlock up`), "
    "else the compose project."
)

app = typer.Typer(
    name="interlock",
    help="Cross-exchange arbitrage behind a safety gatekeeper.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
audit = typer.Typer(help="Check the gatekeeper's journal.", no_args_is_help=True)
app.add_typer(audit, name="audit")


class Universe(enum.StrEnum):
    """How many assets are traded."""

    TOP10 = "top10"
    TOP20 = "top20"
    TOP50 = "top50"


class Regime(enum.StrEnum):
    """How the synthetic market behaves."""

    LIVELY = "lively"
    CALIBRATED = "calibrated"


@app.command(epilog=EPILOG)
def up(
    *,
    duration: Annotated[
        int | None,
        typer.Option(
            min=0, max=604_800, help="End by itself after so many seconds (setting DURATION)."
        ),
    ] = None,
    universe: Annotated[
        Universe | None, typer.Option(help="How many assets (default: setting UNIVERSE, top10).")
    ] = None,
    regime: Annotated[
        Regime | None,
        typer.Option(
            help="Synthetic market: `lively` moves enough to show every part at work (its profit "
            "means nothing), `calibrated` keeps to measured premiums (default: SIM_REGIME, lively)."
        ),
    ] = None,
    view: Annotated[
        bool, typer.Option(help="The live terminal view; without it, a line every 10 s.")
    ] = True,
) -> None:
    """Run paper trading here, as processes: no Docker, no account, no key.

    Starts PostgreSQL, Valkey, the simulated venues, the gatekeeper, the preflight and the engine, \
    each once the one before is healthy. Ctrl+C closes positions and ends everything within 5 s. \
    Data stays in var/native, logs and kpi.json go to runs/SESSION_ID.
    """
    settings = read_settings()
    duration = (settings.duration if duration is None else duration) or None
    options = UpOptions(
        duration_s=duration,
        universe=universe.value if universe else settings.universe,
        regime=regime.value if regime else None,
    )
    presenter = make_presenter(view=view and sys.stdout.isatty(), duration_s=duration)
    raise typer.Exit(run_up(settings, options, presenter))


@app.command(epilog=EPILOG)
def status(
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Keep showing it, until Ctrl+C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Show what runs and whether it may trade. Exit code 0 armed, 3 not armed, 4 killed."""
    settings = read_settings()
    gate = gate_commands.find(settings.native_dir)
    if watch:
        watching.watch(gate)
        return
    if not as_json:
        _say_stack(gate)
        raise typer.Exit(gate_commands.run(gate, ("state",)))
    code, report = gate_commands.ask_state(gate)
    sight = watching.look_once(gate, report)
    document: dict[str, Any] = {
        "kind": "native" if gate.stack else "compose",
        "gatekeeper": sight.gatekeeper,
        "engine": sight.engine,
        "market": sight.market,
    }
    typer.echo(json.dumps(document, indent=2))
    raise typer.Exit(code)


def _say_stack(gate: gate_commands.Gate) -> None:
    if gate.stack is None:
        typer.echo("compose stack")
        return
    typer.echo(f"native stack, session {Path(gate.stack.session_dir).name}, pid {gate.stack.pid}")
    typer.echo(f"logs {gate.stack.session_dir}, console {gate.stack.console_url}")


@app.command(epilog=EPILOG)
def preflight(
    *,
    real: Annotated[
        bool, typer.Option("--real", help="Look at the venues too, with read-only keys.")
    ] = False,
) -> None:
    """Run the seven checks against the stack that runs here. Exit code 0 only if none fails."""
    raise typer.Exit(preflight_command.run(read_settings().native_dir, real=real))


@app.command(epilog=EPILOG)
def arm(
    *,
    stage: Annotated[
        str | None,
        typer.Option(help="smoke, pilot, hour or continuous (default: setting STAGE)."),
    ] = None,
    approval: Annotated[
        str,
        typer.Option(help="For hour and continuous: stage and notional typed again after 60 s."),
    ] = "",
) -> None:
    """Arm live trading for one session: a person's act, never a default.

    Reads LIVE_ARM_ACK, LIVE_ARM_AT (at most 10 minutes ago) and LIVE_MAX_NOTIONAL_USD; asks on a
    terminal for what is missing. The gatekeeper decides, and says why not. The stages hour and
    continuous are refused the first time: another user approves with `interlock approve`, or the
    same one repeats the arm after a minute with --approval.
    """
    settings = read_settings()
    gate = gate_commands.find(settings.native_dir)
    raise typer.Exit(arm_command.run(gate, settings, stage, approval))


@app.command(epilog=EPILOG)
def approve(
    wish: Annotated[str, typer.Argument(help='As the refused arm named it, e.g. "hour 500".')],
) -> None:
    """Approve, as a second person, a long stage that another one asked to arm."""
    raise typer.Exit(_ctl("approve", wish))


@app.command(epilog=EPILOG)
def renew() -> None:
    """Give a running continuous session four more hours, never beyond a day from its start."""
    raise typer.Exit(_ctl("renew"))


@app.command(epilog=EPILOG)
def disarm() -> None:
    """Take an arm back, or end the live session in order."""
    raise typer.Exit(_ctl("disarm"))


@app.command(epilog=EPILOG)
def drill(
    *,
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many kills.")] = 20,
) -> None:
    """Kill a throw-away gatekeeper while it trades on the simulated venues; arming needs it daily.

    Proves that a kill denies every intent at once and cancels, and tells the running gatekeeper.
    """
    raise typer.Exit(_ctl("drill", "--count", str(count), timeout_s=60 + 10 * count))


@app.command(epilog=EPILOG)
def kill(
    *,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "operator",
) -> None:
    """Stop every new order now. Stays until `interlock reset`."""
    raise typer.Exit(_ctl("kill", "--reason", reason))


@app.command(epilog=EPILOG)
def reset(
    *,
    cause: Annotated[str, typer.Option(help="The kill's cause, as `status` shows it.")] = "",
    residual: Annotated[
        str, typer.Option(help="Hash of what is left, as `status` shows it: takes it over.")
    ] = "",
) -> None:
    """Clear the kill latch once the cause is known. Never arms.

    The cause is repeated to acknowledge it; on a terminal it is shown and asked for. Where orders
    or positions are left, their hash takes them over: they are yours then.
    """
    raise typer.Exit(_ctl("reset", "--cause", cause, "--residual", residual))


@app.command(epilog=EPILOG)
def reconcile(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Every row as JSON.")] = False,
) -> None:
    """Show our books beside the venues' accounts, read now. Changes nothing.

    Exit code 0 where all agree, 1 where something differs, 3 where an account could not be read
    or an order is in doubt. Works without the engine.
    """
    raise typer.Exit(_ctl("reconcile", *(("--json",) if as_json else ())))


@app.command(epilog=EPILOG)
def flatten(
    *,
    residual: Annotated[str, typer.Option(help="Hash of what is left, as `status` shows it.")],
) -> None:
    """Close what a halt left, by collared orders that can only reduce. Works without the engine."""
    raise typer.Exit(_ctl("flatten", "--residual", residual))


@audit.command(epilog=EPILOG)
def verify() -> None:
    """Re-hash and replay every line of the journal; works with and without a running stack."""
    gate = gate_commands.find_journal(read_settings().native_dir)
    raise typer.Exit(gate_commands.run(gate, ("audit", "verify")))


def _ctl(*arguments: str, timeout_s: int = gate_commands.CTL_TIMEOUT_S) -> int:
    gate = gate_commands.find(read_settings().native_dir)
    return gate_commands.run(gate, arguments, timeout_s=timeout_s)


def main() -> None:
    """Run one command; every mistake of a user is one line and an exit code."""
    try:
        app()
    except ConfigError as error:
        _fail(error.problems, EXIT_USAGE)
    except ServiceFailedError as error:
        _fail((str(error), *(f"  | {line}" for line in error.tail)), error.exit_code)
    except OperatorError as error:
        _fail((str(error),), error.exit_code)


def _fail(lines: tuple[str, ...], code: int) -> None:
    for line in lines:
        typer.echo(line, err=True)
    sys.exit(code)
