"""Values, clocks, wire messages and the arming rule that every Interlock service shares."""
