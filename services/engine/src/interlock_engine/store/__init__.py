"""Optional stores: the engine trades and measures without them."""
