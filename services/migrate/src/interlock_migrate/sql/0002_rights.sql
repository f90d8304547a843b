-- Least rights: nobody but the owner may delete, truncate or alter; the journal's mirror only grows.

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO gatekeeper, engine, preflight, reader;

GRANT INSERT ON journal, anchors TO gatekeeper;

GRANT SELECT, INSERT, UPDATE ON sessions, order_results, round_trips, kpi_snapshots TO engine;

GRANT SELECT, INSERT ON preflight_reports TO preflight;
GRANT SELECT ON schema_migrations, sessions, journal, anchors TO preflight;

GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO reader;
