"""The scorecard: every claim of the two papers against what was measured here.

AA is Lu et al., arXiv 2601.10387; PV is Chen et al., arXiv 2507.21509. Each claim states its
criterion beside it, fixed before any result is seen; a claim without the data that it needs is
``not testable here``, with the reason.
"""
