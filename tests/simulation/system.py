"""The simulated venues, the gatekeeper and the engine, real as they are, on one virtual clock."""

import asyncio
import contextlib
import json
import tempfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from tests.ports import free_port
from tests.simulation.virtual import OWNER

from interlock_core.clock import SystemClock
from interlock_engine import app as engine_app
from interlock_engine.ledger import sessions
from interlock_engine.ledger.file import decode
from interlock_engine.settings import read_settings as engine_settings
from interlock_gatekeeper.app import App as Gatekeeper
from interlock_gatekeeper.settings import read_settings as gate_settings
from interlock_gatekeeper.vault import open_vault
from interlock_simvenues.app import running as simvenues
from interlock_simvenues.faults.rule import parse as rule_of
from interlock_simvenues.settings import read as sim_settings

ENGINE, GATEKEEPER, VENUES = "engine", "gatekeeper", "venues"
SESSION = "session-under-test"


class System:
    """Starts, kills and starts again; `environ` are settings of every part."""

    def __init__(self, folder: Path, **environ):
        self.folder = folder
        self.sockets = tempfile.TemporaryDirectory(prefix="ilk-")
        names = ("SIM_PORT", "GATE_HEALTH_PORT", "GATE_CONSOLE_PORT", "ENGINE_PORT")
        ports = {name: str(free_port()) for name in names}
        self.environ = {
            **ports,
            "SIMVENUES_URL": f"http://127.0.0.1:{ports['SIM_PORT']}",
            "GATEKEEPER_URL": f"http://127.0.0.1:{ports['GATE_HEALTH_PORT']}",
            "GATE_SOCKET": f"{self.sockets.name}/e/engine.sock",
            "OPERATOR_SOCKET": f"{self.sockets.name}/o/operator.sock",
            "GATE_STATE_DIR": str(folder / "gatekeeper"),
            "RUNS_DIR": str(folder / "runs"),
            "SESSION_ID": SESSION,
            "MARKET_SOURCE": "synthetic",
            "SIM_REGIME": "lively",
            "SIM_RATE_LIMITS": "off",
            "BINANCE_MARKET": "spot",
            "WARM_UP_S": "3",
            **environ,
        }
        self.loop = asyncio.get_running_loop()
        self.tasks = {}
        self._lives = {}
        self.simulator = None
        self.gatekeeper = None
        self.engine = None

    @contextlib.contextmanager
    def _as(self, owner):
        """Let what begins within belong to a new life of a component."""
        self._lives[owner] = self._lives.get(owner, 0) + 1
        token = OWNER.set(self.life(owner))
        try:
            yield
        finally:
            OWNER.reset(token)

    def life(self, owner):
        """Return the name of a component's present life: what is dead stays so."""
        return f"{owner} {self._lives[owner]}"

    async def start(self):
        """Start everything; return once the engine's session is open."""
        await self.start_venues()
        self.start_gatekeeper()
        self.start_engine()
        await self.until(self.is_trading, "trading")

    async def start_venues(self):
        """Start the venues; return once they listen."""
        with self._as(VENUES):
            self.tasks[VENUES] = asyncio.ensure_future(self._run_venues())
        await self.until(lambda: self.simulator is not None, "venues")

    async def _run_venues(self):
        async with simvenues(sim_settings(self.environ)) as (simulator, _port):
            self.simulator = simulator
            await asyncio.Event().wait()

    def start_gatekeeper(self):
        """Start a gatekeeper on the journal as it is."""
        settings = gate_settings(self.environ)
        with self._as(GATEKEEPER):
            self.gatekeeper = Gatekeeper(settings, open_vault(settings), settings.stage)
            self.tasks[GATEKEEPER] = asyncio.ensure_future(self.gatekeeper.run())

    def start_engine(self):
        """Start an engine on the ledger as it is."""
        with self._as(ENGINE):
            self.tasks[ENGINE] = asyncio.ensure_future(self._run_engine())

    async def _run_engine(self):
        settings, clock = engine_settings(self.environ), SystemClock()
        self.engine = engine_app.App(settings, sessions.choose(settings, clock), clock)
        return await self.engine.run()

    def folders(self, owner):
        """Return where a component's files lie."""
        name = {ENGINE: "RUNS_DIR", GATEKEEPER: "GATE_STATE_DIR"}[owner]
        return [self.environ[name]]

    def kill(self, owner):
        """End a component as SIGKILL does; whoever calls within it is gone with it."""
        self.loop.kill(self.life(owner), self.folders(owner))

    async def restart(self, owner):
        """Wait for a killed component's end and start it again."""
        await self.loop.bury(self.life(owner))
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await self.tasks[owner]
        if owner == ENGINE:
            self.engine = None
            self.start_engine()
        else:
            self.start_gatekeeper()

    def is_trading(self):
        """Say whether the engine has a session and compared its books; fail where it ended."""
        task = self.tasks[ENGINE]
        if task.done() and not task.cancelled():
            raise AssertionError(f"the engine ended: {task.exception() or task.result()}")
        state = self.gatekeeper._state
        return (
            self.engine is not None
            and self.engine._lease.ready
            and state.session is not None
            and state.epoch == self.engine._client.epoch
            and self.engine._reconciler.compared
            and bool(self.engine._market.routes)
        )

    async def until(self, question, what, within_s=120.0):
        """Let virtual time pass until something holds; fail after within_s of it."""
        deadline = self.loop.time() + within_s
        while not question():
            assert self.loop.time() < deadline, (
                f"not within {within_s} virtual s: {what}; {self._standing()}"
            )
            await asyncio.sleep(0.01)

    def _standing(self):
        if self.engine is None:
            return "no engine"
        state = self.gatekeeper._state
        trader = self.engine._trader
        positions = [
            (
                s.route.asset,
                s.position.phase.value,
                s.busy,
                s.position.held,
                trader.is_doubtful(s.position),
            )
            for s in self.engine._market.open_positions()
        ]
        return (
            f"vetoes {self.engine._score.vetoes}, gate epoch {self.engine._client.epoch}, "
            f"held {[s.held for s in self.engine._market.open_positions()]}, "
            f"verdicts {list(state.seen.verdicts)[-2:]}, "
            f"positions {positions}, unconfirmed {trader._unconfirmed}, "
            f"differences {self.engine._reconciler.differences}, "
            f"in doubt {list(self.engine._score.in_doubt)}, open {list(state.open_orders)}, "
            f"engine: {self.engine._lease.reason or 'ready'}, "
            f"guards {self.engine._guard.holding()}, gatekeeper {state.phase_name}, "
            f"hold {state.holding}, flat {state.flat}"
        )

    async def stop_engine(self):
        """Ask the engine to end and return its exit code."""
        self.engine.stop()
        return await self.tasks[ENGINE]

    async def close(self):
        """Stop what still runs, venues last."""
        for owner in (ENGINE, GATEKEEPER):
            task = self.tasks.get(owner)
            if task is not None and not task.done():
                (self.engine if owner == ENGINE else self.gatekeeper).stop()
                await asyncio.gather(task, return_exceptions=True)
        self.tasks[VENUES].cancel()
        await asyncio.gather(self.tasks[VENUES], return_exceptions=True)
        self.sockets.cleanup()

    def misbehave(self, *rules):
        """Load rules into the simulated venues."""
        self.world.faults.add([rule_of(rule) for rule in rules], self.world.clock.wall_ns())

    async def settle(self):
        """Let nothing new begin, close what is open, and return once no order is on its way."""
        self.engine._guard.health.stopping = True
        for state in self.engine._market.open_positions():
            if state.held is not None:
                state.held = replace(state.held, opened_ns=0)
        await self.until(self._is_quiet, "everything closed", 600.0)

    def go_on(self):
        """Let new round trips begin again."""
        self.engine._guard.health.stopping = False

    def _is_quiet(self):
        """Say whether nothing is open and every order has ended, in all books."""
        engine, state = self.engine, self.gatekeeper._state
        if not engine._market.routes or engine._market.open_positions() or state.open_orders:
            return False
        busy = any(route.busy for route in engine._market.routes.values())
        return not busy and engine._reconciler.compared and not engine._score.in_doubt

    @property
    def world(self):
        """Return the simulated venues' world."""
        return self.simulator.world

    def ledger(self):
        """Return the engine's ledger, as far as its lines are whole."""
        raw = (Path(self.environ["RUNS_DIR"]) / SESSION / "ledger.jsonl").read_bytes()
        return list(decode(raw[: raw.rfind(b"\n") + 1]))

    def kpi(self):
        """Return the KPI JSON as it was last written."""
        return json.loads((Path(self.environ["RUNS_DIR"]) / SESSION / "kpi.json").read_text())

    def balances(self):
        """Return what the accounts hold by venue and asset; perpetual positions by symbol."""
        world = self.world
        ledgers = {"UPBIT": world.upbit_ledger, "BINANCE": world.spot_ledger}
        found = {
            (venue, asset): held.free + held.locked
            for venue, ledger in ledgers.items()
            for asset, held in ledger.balances.items()
        }
        perp = world.perp_account
        found["BINANCE_PERP", "USDT"] = perp.wallet
        for position in perp.positions.values():
            found["BINANCE_PERP", position.symbol] = position.amount
        return {key: held for key, held in found.items() if held != Decimal(0)}
