"""The scorecard: every claim of the two papers compared with the measurements of a study.

AA is Lu et al., arXiv 2601.10387; PV is Chen et al., arXiv 2507.21509. The criterion of each claim
is part of its definition and was fixed before the results. A claim whose data are missing is ``not
testable here``, with the reason.
"""
