"""Where prices come from: synthetic, recorded or mirrored, all behind one interface."""
