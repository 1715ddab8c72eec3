"""Figures of the report: each module turns declared tables into an `Illustration`."""
