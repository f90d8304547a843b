"""Without the gatekeeper nothing is traded; with it again, a new session is."""

import io
import json
import subprocess
import tarfile

from jsonschema import Draft202012Validator
from tests.container.stack import eventually

from interlock_core.wire import kpi

STANDING_BY_S, ALARM_S, BACK_S = 15, 60, 60
ALARM = 'ALERTS{alertname="GatekeeperDown",alertstate="firing",severity="P0"}'


def runs(stack):
    """Return every kpi.json of the engine's volume, by session."""
    command = ["docker", "cp", f"{stack.container('engine')}:/runs/.", "-"]
    archive = subprocess.run(command, capture_output=True, timeout=60, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {
            member.name.split("/")[-2]: json.load(tar.extractfile(member))
            for member in tar.getmembers()
            if member.name.endswith("/kpi.json")
        }


def test_a_killed_gatekeeper_stops_all_orders_and_a_new_session_resumes(trading):
    """The engine stands by, nothing is accepted until the alarm is out, a new epoch trades."""
    eventually(lambda: trading.orders() > 0, within_s=BACK_S, what="a first order")
    before = trading.epoch()
    trading.docker("kill", trading.container("gatekeeper"))
    eventually(lambda: trading.engine_is("standing_by"), within_s=STANDING_BY_S, what="standing by")
    count = trading.orders()

    def quiet_until_the_alarm():
        assert trading.orders() == count
        return trading.query(ALARM)

    eventually(quiet_until_the_alarm, within_s=ALARM_S, what="the P0 alert")
    trading.docker("start", trading.container("gatekeeper"))
    eventually(lambda: trading.healthy("gatekeeper"), within_s=BACK_S, what="a healthy gatekeeper")
    eventually(lambda: trading.engine_is("trading"), within_s=BACK_S, what="trading again")
    assert trading.epoch() > before
    eventually(lambda: trading.orders() > count, within_s=BACK_S, what="an order again")


def test_a_stopped_engine_ends_well_and_leaves_its_record(trading):
    """Exit code 0, and a final KPI file that the schema accepts."""
    known = {name for name, found in runs(trading).items() if found["final"]}
    try:
        trading.compose("stop", "engine")
        assert trading.inspect("engine")["State"]["ExitCode"] == 0
        ended = {name: found for name, found in runs(trading).items() if name not in known}
        assert ended
        for found in ended.values():
            assert found["final"] is True
            Draft202012Validator(kpi.schema()).validate(found)
    finally:
        trading.compose("start", "engine")
