"""The report: one self-contained HTML page with figures, scorecard and transcripts."""
