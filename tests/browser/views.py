"""What a console may have to show: one view for each state, and one that means harm."""

from dataclasses import replace

from interlock_gatekeeper.view import InDoubt, Residual, VenueView, Verdict, View

AT_MS = 1_795_442_400_000  # 2026-11-23 14:00:00 UTC

PAPER = View(
    at_ms=AT_MS,
    environment="paper",
    state="PAPER",
    cause=None,
    hold=None,
    stage="paper",
    armed=True,
    reasons=(),
    arm_failures=(),
    arm_left_ms=None,
    lease_left_ms=2_640,
    hard_left_ms=None,
    heartbeat_age_ms=360,
    epoch=1,
    n_usd="10000",
    reserved_usd="412.37",
    exposure_usd="2750.10",
    unhedged_usd="18.20",
    unhedged_cap_usd="100",
    pnl_usd="3.41",
    loss_limit_usd="500",
    drawdown_usd="1.05",
    drawdown_limit_usd="400",
    turnover_usd="18230.55",
    open_orders=2,
    in_doubt=(),
    positions=(("UPBIT:KRW-BTC", "0.0213"), ("BINANCE_PERP:BTCUSDT", "-0.021")),
    residual=None,
    halt_phase=None,
    verdicts=(
        Verdict(AT_MS - 400, "intent-0042", "BINANCE_PERP:BTCUSDT", "APPROVED", "201.30 USD"),
        Verdict(
            AT_MS - 1_900,
            "intent-0041",
            "UPBIT:KRW-ETH",
            "PRICE_COLLAR",
            "the limit 4100000 is 71 bps through the ask 4071000, the collar is 50 bps",
        ),
        Verdict(
            AT_MS - 65_000,
            "intent-0040",
            "UPBIT:KRW-BTC",
            "EDGE_IMPLAUSIBLE",
            "the claimed edge is 412 bps, expected (0, 300]",
        ),
    ),
    venues=(
        VenueView(
            "UPBIT", up=True, ref_age_ms=310, private_age_ms=1_200, clock_offset_ms=-41, note=""
        ),
        VenueView(
            "BINANCE_PERP", up=True, ref_age_ms=120, private_age_ms=800, clock_offset_ms=12, note=""
        ),
    ),
    audit_seq=18_422,
    anchor_age_ms=12_000,
    selftest_age_ms=31_000,
    boot_id="b-7f3a90c1",
)

_REAL = replace(
    PAPER,
    environment="live",
    stage="smoke",
    n_usd="50",
    reserved_usd="12.40",
    exposure_usd="24.80",
    unhedged_cap_usd="20",
    unhedged_usd="4.00",
    pnl_usd="-0.82",
    loss_limit_usd="5.0",
    drawdown_usd="1.05",
    drawdown_limit_usd="4.0",
    turnover_usd="211.40",
)
_IDLE = replace(
    _REAL,
    armed=False,
    lease_left_ms=None,
    heartbeat_age_ms=None,
    n_usd="0",
    reserved_usd="0",
    exposure_usd="0",
    unhedged_usd=None,
    unhedged_cap_usd=None,
    pnl_usd=None,
    loss_limit_usd=None,
    drawdown_usd=None,
    drawdown_limit_usd=None,
    turnover_usd=None,
    open_orders=0,
    positions=(),
    verdicts=(),
)

VIEWS = {
    "paper": PAPER,
    "boot": replace(_IDLE, state="BOOT", reasons=("state is BOOT",), venues=(), audit_seq=0),
    "disarmed": replace(
        _IDLE,
        state="DISARMED",
        reasons=("state is DISARMED",),
        arm_failures=(
            ("ARM_PREFLIGHT", "run `make preflight`: its report is older than 10 minutes"),
            ("ARM_LADDER", "stage pilot needs a passed smoke of the last 7 days on this commit"),
        ),
    ),
    "ready": replace(_IDLE, state="DISARMED", reasons=("state is DISARMED",)),
    "armed": replace(_IDLE, state="ARMED", armed=True, n_usd="50", arm_left_ms=372_000),
    "live": replace(_REAL, state="LIVE", armed=True, hard_left_ms=211_000),
    "hold": replace(
        _REAL,
        state="LIVE",
        armed=False,
        hold="CLOCK_STEP: wall time moved 310 ms against boot time",
        reasons=("HOLD: CLOCK_STEP",),
        hard_left_ms=203_000,
        reserved_usd="31.90",
        exposure_usd="16.00",
        in_doubt=(InDoubt("gk3f7a90c1d2e4b5a6f7", "UPBIT:KRW-BTC", "buy", "0.0012", 4_300),),
        venues=(
            VenueView(
                "UPBIT",
                up=True,
                ref_age_ms=2_710,
                private_age_ms=9_000,
                clock_offset_ms=640,
                note="the clock is 640 ms off",
            ),
            VenueView(
                "BINANCE_PERP",
                up=False,
                ref_age_ms=None,
                private_age_ms=None,
                clock_offset_ms=None,
                note="VENUE_DOWN: no answer for 12 s",
            ),
        ),
    ),
    "expired": replace(
        _IDLE, state="EXPIRED", halt_phase="RESOLVE", reasons=("state is EXPIRED",), n_usd="50"
    ),
    "killed": replace(
        _REAL,
        state="KILLED",
        armed=False,
        cause="LOSS_LIMIT",
        halt_phase="RESIDUAL",
        reasons=("KILLED: LOSS_LIMIT",),
        lease_left_ms=None,
        heartbeat_age_ms=64_000,
        reserved_usd=None,
        exposure_usd=None,
        pnl_usd="-5.31",
        residual=Residual(
            "9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c5b4a39281706f5e4d3c2b1a0",
            ("gk3f7a90c1d2e4b5a6f7", "gk00112233445566778899"),
            (("UPBIT:KRW-BTC", "0.0213"),),
        ),
        in_doubt=(
            InDoubt("gk3f7a90c1d2e4b5a6f7", "UPBIT:KRW-BTC", "buy", "0.0012", 64_300),
            InDoubt("gk00112233445566778899", "BINANCE_PERP:BTCUSDT", "sell", "0.001", 65_000),
        ),
    ),
}

MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>"
BREAKOUT = "\"'></p></section></main><form action=/arm><button>ARM</button>"
STREAM = "x\r\r\ndata: y\n\nevent: z\u2028\u202e\x00\x1b[31m"
HARM = MARKUP + BREAKOUT + STREAM + "W" * 5_000

HOSTILE = View(
    at_ms=AT_MS,
    environment=HARM,
    state=HARM,
    cause=HARM,
    hold=HARM,
    stage=HARM,
    armed=False,
    reasons=(HARM,),
    arm_failures=((HARM, HARM),),
    arm_left_ms=0,
    lease_left_ms=0,
    hard_left_ms=0,
    heartbeat_age_ms=0,
    epoch=-1,
    n_usd=HARM,
    reserved_usd="NaN",
    exposure_usd="-Infinity",
    unhedged_usd="1e999999999",
    unhedged_cap_usd="1e-999999999",
    pnl_usd=HARM,
    loss_limit_usd="0",
    drawdown_usd="sNaN",
    drawdown_limit_usd="-1",
    turnover_usd=HARM,
    open_orders=-1,
    in_doubt=(InDoubt(HARM, HARM, HARM, HARM, 0),),
    positions=((HARM, HARM),),
    residual=Residual(HARM, (HARM,), ((HARM, HARM),)),
    halt_phase=HARM,
    verdicts=(Verdict(AT_MS, HARM, HARM, HARM, HARM),),
    venues=(
        VenueView(
            HARM, up=False, ref_age_ms=None, private_age_ms=None, clock_offset_ms=None, note=HARM
        ),
    ),
    audit_seq=-1,
    anchor_age_ms=0,
    selftest_age_ms=0,
    boot_id=HARM,
)
