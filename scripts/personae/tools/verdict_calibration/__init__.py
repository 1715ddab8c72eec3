"""Error rates of the scorecard's verdicts, measured on simulated studies."""
