"""The estimated cost of a study: GPU hours, judge calls, disk, jobs."""

from personae.workflow.estimate.rates import Rates, load_rates
from personae.workflow.estimate.totals import Estimate, estimate_study, node_key, node_seconds

__all__ = ["Estimate", "Rates", "estimate_study", "load_rates", "node_key", "node_seconds"]
