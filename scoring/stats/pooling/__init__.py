"""The board of a part of the votes, pulled towards the board of the others as far as its own votes leave it open.

With theta_0 the ratings by the votes outside a category and theta_c those inside it,

    logit P(a beats b) = theta_0[a] - theta_0[b] outside, theta_c[a] - theta_c[b] inside,
    theta_c ~ Normal(theta_0, spread^2 I),

both are fitted together: minus the log-likelihood plus ||theta_c - theta_0||^2 / (2 spread^2) plus l2 ||theta_0||^2.
A category without votes has the overall board, one with endlessly many its own, and between them every system goes
its own way by as much as its votes there say. "Outside" and not "all", or a category would be its own evidence.

    Votes            the votes of a study, counted once for all of its categories
    estimate_spread  how far its categories of one kind differ
    fit_pooled       the board of one category

Source of partial pooling and its intervals: Robinson (1991), Statist. Sci. 6, sections 2 and 5; the others stand where
they are used. Arrays in, frozen dataclasses out.
"""

from .fit import Pooled, fit_pooled
from .parts import Votes
from .spread import Spread, estimate_spread

__all__ = ["Pooled", "Spread", "Votes", "estimate_spread", "fit_pooled"]
