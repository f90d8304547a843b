-- `gatekeeperctl audit verify` compares the journal with what was anchored. Still insert-only:
-- nobody but the owner can change or remove an anchor.
GRANT SELECT ON anchors TO gatekeeper;
