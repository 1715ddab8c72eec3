"""The scorecard: every claim of the two papers compared with the measurements of a study.

AA is Lu et al., arXiv 2601.10387; PV is Chen et al., arXiv 2507.21509. A claim is data: estimand,
unit of resampling, null, smallest size of interest and minimum of units were fixed beforehand, and
one rule (`decision`) makes a verdict of them. A claim whose tables are missing is ``not testable
here``; one with too little data is ``inconclusive``.
"""
