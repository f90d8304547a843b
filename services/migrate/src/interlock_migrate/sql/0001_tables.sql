-- The record to query: mirrors and reports. No service needs any of it to decide.

CREATE TABLE journal (
    seq bigint NOT NULL,
    boot_id text NOT NULL,
    wall_ns bigint NOT NULL,
    type text NOT NULL,
    record jsonb NOT NULL,
    h text NOT NULL UNIQUE
);
CREATE INDEX journal_by_seq ON journal (seq);
COMMENT ON TABLE journal IS 'Mirror of the gatekeeper''s hash-chained journal, line by line';

CREATE TABLE anchors (
    anchor_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    seq bigint NOT NULL,
    h text NOT NULL,
    wall_ns bigint NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE anchors IS 'Heads of the journal''s chain as they were seen from outside it';

CREATE TABLE sessions (
    session_id text PRIMARY KEY,
    env text NOT NULL,
    stage text NOT NULL,
    universe text NOT NULL,
    config_sha256 text NOT NULL,
    market_source text,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    exit_code integer
);

CREATE TABLE order_results (
    intent_id text PRIMARY KEY,
    session_id text NOT NULL,
    group_id text NOT NULL,
    leg text NOT NULL,
    purpose text NOT NULL,
    instrument text NOT NULL,
    side text NOT NULL,
    quantity numeric NOT NULL,
    price numeric,
    outcome text NOT NULL,
    code text,
    filled_quantity numeric,
    average_price numeric,
    fee numeric,
    fee_currency text,
    latency_ms double precision,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX order_results_by_session ON order_results (session_id, created_at);
COMMENT ON TABLE order_results IS 'Orders and their fills, as the engine saw them';

CREATE TABLE round_trips (
    session_id text NOT NULL,
    round_trip_id text NOT NULL,
    asset text NOT NULL,
    direction text NOT NULL,
    opened_at timestamptz NOT NULL,
    closed_at timestamptz,
    notional_usd numeric,
    pnl_usd numeric,
    exit_reason text,
    entry_edge_bps double precision,
    exit_premium_bps double precision,
    detail jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (session_id, round_trip_id)
);
CREATE INDEX round_trips_by_close ON round_trips (closed_at);

CREATE TABLE kpi_snapshots (
    session_id text NOT NULL,
    at timestamptz NOT NULL,
    final boolean NOT NULL,
    kpi jsonb NOT NULL,
    PRIMARY KEY (session_id, at)
);
COMMENT ON TABLE kpi_snapshots IS 'The KPI JSON of a session at every checkpoint, and at its end';

CREATE TABLE preflight_reports (
    report_id text PRIMARY KEY,
    at timestamptz NOT NULL,
    ok boolean NOT NULL,
    mode text NOT NULL,
    report jsonb NOT NULL
);
