"""Whether a rater, or a study, can be trusted: arrays in, frozen dataclasses out.

Tests of one rater, each an e-value that is valid after every vote: `checks`, `habits`, `against_board`, which bet
(`bets`) against what honest raters do (`honest`). One decision from all of them: `verdict`; for all raters of a study,
with a board that excludes bad raters: `screening`. Groups that vote for one system together: `groups`, by the bets of
`coordinated`. A weight per rater: `skills`. Agreement of a study's raters:
`between`. Several identities of one person, and alarms about screens: `arrivals`, `twins`.
"""

from .against_board import Agreement, agreement, vote_p_values
from .arrivals import TWIN_PAIRS, PassRate, Risk, pass_rate_moved, risk
from .between import Consensus, inter_rater, intra_rater, krippendorff
from .checks import Golds, Repeats, gold, repeats
from .evidence import ANSWERS, Evidence
from .habits import DecisionTimes, SlotBias, StraightLining, decision_times, slot_bias, straight_lining
from .screening import FLAGGED_BEFORE, Screening, board, leave_rater_out, pooled, screen
from .skills import Skills, reliability
from .twins import Appearances, crowd, have_twins
from .verdict import (
    AGAINST_BOARD,
    ALPHA,
    CARELESS,
    COORDINATED,
    FAILED_GOLDS,
    FAVOURS_SYSTEM,
    INCONSISTENT,
    MIN_BOARD_RATERS,
    MIN_VOTES,
    RULES,
    SLOT_BIAS,
    STRAIGHT_LINING,
    TOO_FAST,
    VERSION,
    Fired,
    RaterVotes,
    Verdict,
    judge,
    weigh,
)

# They flag all votes of a rater, and a person may clear these flags.
QUALITY_RULES = ("risk", *RULES, COORDINATED)

__all__ = [
    "AGAINST_BOARD",
    "ALPHA",
    "ANSWERS",
    "CARELESS",
    "COORDINATED",
    "FAILED_GOLDS",
    "FAVOURS_SYSTEM",
    "FLAGGED_BEFORE",
    "INCONSISTENT",
    "MIN_BOARD_RATERS",
    "MIN_VOTES",
    "QUALITY_RULES",
    "RULES",
    "SLOT_BIAS",
    "STRAIGHT_LINING",
    "TOO_FAST",
    "TWIN_PAIRS",
    "VERSION",
    "Agreement",
    "Appearances",
    "Consensus",
    "DecisionTimes",
    "Evidence",
    "Fired",
    "Golds",
    "PassRate",
    "RaterVotes",
    "Repeats",
    "Risk",
    "Screening",
    "Skills",
    "SlotBias",
    "StraightLining",
    "Verdict",
    "agreement",
    "board",
    "crowd",
    "decision_times",
    "gold",
    "have_twins",
    "inter_rater",
    "intra_rater",
    "judge",
    "krippendorff",
    "leave_rater_out",
    "pass_rate_moved",
    "pooled",
    "reliability",
    "repeats",
    "risk",
    "screen",
    "slot_bias",
    "straight_lining",
    "vote_p_values",
    "weigh",
]
