"""Rows to arrays: the votes of a board, the scored votes of an anchor fit.

Everything reads the ledger up to a `seq`, so that the same call later gives the same arrays.
"""

from .rewards import anchor_pairs, clip_rewards, in_columns, last_reward
from .votes import (
    CREDIT_TO_A,
    DECISIVE,
    NOT_RANKED,
    StudyVotes,
    board_votes,
    credit_to_a,
    credits_of,
    excluding_rule,
    flagged_votes,
    not_excluded,
    rater_label,
    reasons_of,
    study_votes,
    why_excluded,
)

__all__ = [
    "CREDIT_TO_A",
    "DECISIVE",
    "NOT_RANKED",
    "StudyVotes",
    "anchor_pairs",
    "board_votes",
    "clip_rewards",
    "credit_to_a",
    "credits_of",
    "excluding_rule",
    "flagged_votes",
    "in_columns",
    "last_reward",
    "not_excluded",
    "rater_label",
    "reasons_of",
    "study_votes",
    "why_excluded",
]
