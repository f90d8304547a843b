"""How long the gatekeeper takes: to decide, to send, to stop."""
