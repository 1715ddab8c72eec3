"""The benchmark: the engine against the usual way to do the same work, in one run."""
