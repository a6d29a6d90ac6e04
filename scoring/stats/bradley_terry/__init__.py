"""Ratings from paired comparisons, with error bars that survive raters who vote many times.

    fit                     Bradley-Terry; a tie is half a win each way
    fit_with_covariates     the same, with what else moves a vote (slot, first played, ...) estimated beside the ratings
    fit_davidson            ties as an answer of their own
    fit_grounded            ties and "both bad", which gives the ratings an absolute zero
    bootstrap               any of them again on resampled raters: a check of the intervals
    linearise               a fit to first order in the weights of its votes: what each vote moves

One idea: an estimate is the minimum of a function, and everything else is read off there. The covariance is always
the sandwich of the curvature and of how far the raters pull apart. Arrays in, frozen dataclasses out.
"""

from .bootstrap import Bootstrap, bootstrap
from .influence import Linearised, linearise
from .outcomes import OutcomeFit, fit_davidson, fit_grounded
from .pairs import CovariateFit, fit, fit_version_1, fit_with_covariates
from .results import BadCovariate, Fit, NoFiniteEstimate, NotOffered
from .votes import BOTH_BAD

__all__ = [
    "BOTH_BAD",
    "BadCovariate",
    "Bootstrap",
    "CovariateFit",
    "Fit",
    "Linearised",
    "NoFiniteEstimate",
    "NotOffered",
    "OutcomeFit",
    "bootstrap",
    "fit",
    "fit_davidson",
    "fit_grounded",
    "fit_version_1",
    "fit_with_covariates",
    "linearise",
]
