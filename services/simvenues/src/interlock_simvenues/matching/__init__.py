"""The matching core: pure, no I/O, time passed in. Both venues and a replay use it alike."""
