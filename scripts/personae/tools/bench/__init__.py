"""The benchmark: the engine beside the usual way to do the same work, in one run on one machine."""
