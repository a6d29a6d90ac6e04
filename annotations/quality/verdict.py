"""One decision per rater from all available evidence; missing data never counts against a rater.

Each rule bets against the rater. At any look before the rater has finished, a rule fires if its e-value reaches
1 / (alpha times the rule's share). When the rater has finished there is one more look, at the two strongest rules: the
same bets, compared with those against honest raters simulated in the same battles. This is an exact test, where
1 / alpha is only a bound, and has far more power. All shares, with that of the groups a rater is in, sum
to 1, so the chance that any rule flags an honest rater at any look is at most alpha (Bonferroni over rules, Ville over
looks). That holds for raters as `honest.py`
describes them, on a correct board; the least sharp of them are flagged more often than the others (half as sharp as
the board, over 30 votes: about one in seven).

The rule `careless` multiplies the evidence from votes, repeats, golds and times. This is valid because for an honest
rater these are independent, and a product of independent e-values is an e-value.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import bets
from .against_board import agreement_of
from .checks import CAREFUL_GOLD, gold, gold_log_e, repeated, repeats
from .evidence import Evidence, Floats, mixture
from .habits import HONEST_FAST, decision_times, fast_log_e, slot_bias_of, straight_lining
from .honest import Heard, heard, log_mean

FAILED_GOLDS, INCONSISTENT, SLOT_BIAS, TOO_FAST = "failed_golds", "inconsistent", "slot_bias", "too_fast"
STRAIGHT_LINING, AGAINST_BOARD = "straight_lining", "against_board"
FAVOURS_SYSTEM, CARELESS = "favours_system", "careless"
COORDINATED = "coordinated"  # of a group of raters: see `groups`
RULES = (FAILED_GOLDS, INCONSISTENT, SLOT_BIAS, TOO_FAST, STRAIGHT_LINING, AGAINST_BOARD, FAVOURS_SYSTEM, CARELESS)

VERSION = {**dict.fromkeys(RULES, 1), FAVOURS_SYSTEM: 2, COORDINATED: 1}
ALPHA = 0.05
SHARE = dict.fromkeys(RULES, 0.01)  # of alpha, at any look
SHARE_FINISHED = {CARELESS: 0.54, FAVOURS_SYSTEM: 0.34}  # of alpha, at the final look
SHARE_COORDINATED = 0.04  # of alpha, at any look, for all groups of a study
MIN_VOTES = 15
MIN_BOARD_RATERS = 8
HONEST_CONSISTENCY = 0.6  # assumed: an honest rater's chance to make the same choice again is at least this
SIMULATED = 299  # honest raters per p-value
_SEED = 240304132


@dataclass(frozen=True, eq=False)
class RaterVotes:
    """One rater's answers, in order.

    a, b: int [V], systems in slots A and B of ranked battles. preference: [V] A, B, TIE, BOTH_BAD. gold_passed:
    bool [G]. repeat_first, repeat_second: [K] answers, the second with the slots swapped; second hearings are not
    among the ranked votes, the first are. decision_ms: [V] since the gate opened, NaN where unknown.
    None: the study does not have this.
    """

    a: ArrayLike
    b: ArrayLike
    preference: ArrayLike
    gold_passed: ArrayLike | None = None
    repeat_first: ArrayLike | None = None
    repeat_second: ArrayLike | None = None
    decision_ms: ArrayLike | None = None

    @property
    def n_answers(self) -> int:
        """Ranked votes plus checks."""
        return sum(np.size(x) for x in (self.preference, self.gold_passed, self.repeat_first) if x is not None)


@dataclass(frozen=True)
class Fired:
    """A rule that fired: its e-value, its p-value if it was used in the final look, and plain numbers that say why."""

    rule: str
    version: int
    e: float
    p: float | None
    detail: dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """result: "pass", "fail" (some rule fired) or "unknown" (`reason` says what is missing). evidence: by rule."""

    result: str
    rules: tuple[Fired, ...]
    evidence: dict[str, Evidence]
    reason: str = ""


def judge(
    rater: RaterVotes,
    theta: ArrayLike,
    board_raters: int,
    *,
    theta_se: ArrayLike | None = None,
    finished: bool = False,
    alpha: float = ALPHA,
    others_undecided: float | None = None,
) -> Verdict:
    """Judge one rater. theta: [n] board's ratings in logits, preferably without the rater's own votes, and theta_se
    their standard errors (`leave_rater_out` gives both). board_raters: number of raters of that board. finished: the
    rater will not answer any more, or has reached a number of votes fixed in advance; take the final look. alpha: the
    chance to flag an honest rater. others_undecided: see `straight_lining`.

    With fewer than MIN_VOTES answers, or MIN_BOARD_RATERS raters, the result is "unknown".
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is a probability between 0 and 1, not {alpha}")
    if rater.n_answers < MIN_VOTES:
        return Verdict("unknown", (), {}, f"{rater.n_answers} answers; a verdict needs {MIN_VOTES}")
    if board_raters < MIN_BOARD_RATERS:
        return Verdict("unknown", (), {}, f"a board of {board_raters} raters; a verdict needs {MIN_BOARD_RATERS}")
    votes, counts = heard(rater.a, rater.b, rater.preference, theta, theta_se), _Counts.of(rater)
    evidence = _weigh(rater, votes, counts, others_undecided)
    p_values = _calibrate(votes, counts, evidence) if finished else {}
    fired = tuple(
        Fired(rule, VERSION[rule], bet.e, p_values.get(rule), bet.detail)
        for rule, bet in evidence.items()
        if bet.e >= 1 / (alpha * SHARE[rule]) or p_values.get(rule, 1.0) <= alpha * SHARE_FINISHED.get(rule, 0.0)
    )
    return Verdict("fail" if fired else "pass", fired, evidence)


def weigh(rater: RaterVotes, theta: ArrayLike, *, theta_se: ArrayLike | None = None) -> dict[str, Evidence]:
    """{rule: Evidence} of every rule with data, whether or not it is enough to judge."""
    return _weigh(rater, heard(rater.a, rater.b, rater.preference, theta, theta_se), _Counts.of(rater))


def _weigh(
    rater: RaterVotes, votes: Heard, counts: "_Counts", others_undecided: float | None = None
) -> dict[str, Evidence]:
    board = agreement_of(votes)
    evidence_of = {
        CARELESS: _careless_evidence(votes, counts),
        FAVOURS_SYSTEM: board.favours_system,
        AGAINST_BOARD: board.against_board,
        SLOT_BIAS: slot_bias_of(votes).evidence,
        STRAIGHT_LINING: straight_lining(rater.preference, others_undecided).evidence,
    }
    if rater.gold_passed is not None:
        evidence_of[FAILED_GOLDS] = gold(rater.gold_passed).evidence
    if rater.repeat_first is not None and rater.repeat_second is not None:
        evidence_of[INCONSISTENT] = repeats(rater.repeat_first, rater.repeat_second).evidence
    if rater.decision_ms is not None:
        evidence_of[TOO_FAST] = decision_times(rater.decision_ms).evidence
    return {rule: evidence for rule, evidence in evidence_of.items() if evidence.n}


def _calibrate(votes: Heard, counts: "_Counts", evidence: dict[str, Evidence]) -> dict[str, float]:
    """The p-values of SHARE_FINISHED's rules: the share of honest raters, simulated with the same battles and
    checks, against whom the bet did at least as well (including the rater, so never 0 and exactly valid for any
    SIMULATED; Davison & Hinkley 1997, Bootstrap Methods, 4.2). A lost bet on a system is left out, as p = 1.
    """
    rng, p_values = np.random.default_rng(_SEED), {}
    chose_b = votes.simulate(SIMULATED, rng)
    if CARELESS in evidence:
        p_values[CARELESS] = _p_value(evidence[CARELESS], _careless(votes, chose_b, counts.simulate(SIMULATED, rng)))
    if FAVOURS_SYSTEM in evidence and evidence[FAVOURS_SYSTEM].log_e > 0:
        honest = bets.favours(votes, chose_b)
        p_values[FAVOURS_SYSTEM] = _p_value(evidence[FAVOURS_SYSTEM], mixture(honest.T, np.ones(honest.shape[1])))
    return p_values


def _p_value(evidence: Evidence, honest: Floats) -> float:
    return float((1 + (honest >= evidence.log_e - 1e-9).sum()) / (1 + honest.size))


# --- careless: all evidence in one bet ---


@dataclass(frozen=True, eq=False)
class _Counts:
    """Input of `careless` from the checks and times: how many there are, and the hits, [N] for N raters at once."""

    golds: int
    passed: np.ndarray
    repeats: int
    same: np.ndarray
    times: int
    fast: np.ndarray

    @classmethod
    def of(cls, rater: RaterVotes) -> "_Counts":
        golds = gold([] if rater.gold_passed is None else rater.gold_passed)
        same = np.zeros(0, bool)
        if rater.repeat_first is not None and rater.repeat_second is not None:
            same, _ = repeated(rater.repeat_first, rater.repeat_second)
        times = decision_times([] if rater.decision_ms is None else rater.decision_ms)
        hits = (np.array([int(x)]) for x in (golds.passed, np.sum(same), times.fast))
        passed, n_same, fast = hits
        return cls(golds.n, passed, len(same), n_same, times.n, fast)

    def simulate(self, size: int, rng: np.random.Generator) -> "_Counts":
        """`size` honest raters who are only just honest: as inconsistent and as fast as the null allows."""
        return _Counts(
            self.golds,
            rng.binomial(self.golds, rng.beta(*CAREFUL_GOLD, size)),
            self.repeats,
            rng.binomial(self.repeats, HONEST_CONSISTENCY, size),
            self.times,
            rng.binomial(self.times, HONEST_FAST, size),
        )

    def detail(self) -> dict[str, Any]:
        named: dict[str, int | np.ndarray] = {
            "golds": self.golds,
            "passed": self.passed,
            "repeats": self.repeats,
            "same": self.same,
            "times": self.times,
            "fast": self.fast,
        }
        return {name: int(np.sum(value)) for name, value in named.items()}


def _careless_evidence(votes: Heard, counts: _Counts) -> Evidence:
    log_e = float(_careless(votes, votes.chose_b[None], counts)[0])
    n = votes.a.size + counts.golds + counts.repeats + counts.times
    return Evidence(n, log_e, {"votes": int(votes.a.size), "b": int(votes.chose_b.sum())} | counts.detail())


def _careless(votes: Heard, chose_b: np.ndarray, counts: _Counts) -> Floats:
    """[N] log e-value of "answers B with a fixed chance, guesses the golds, perhaps too fast" against "honest"."""
    lean = np.array(bets.LEANS)
    again = 2 * lean * (1 - lean)  # B then A, or A then B, is the same clip
    n_same, n_changed = counts.same[:, None], (counts.repeats - counts.same)[:, None]
    repeats_ = n_same * np.log(again / HONEST_CONSISTENCY) + n_changed * np.log((1 - again) / (1 - HONEST_CONSISTENCY))
    answers = mixture((bets.careless(chose_b) + repeats_).T, bets.LEAN_WEIGHTS)
    # Slow answers do not prove care: half the bet on the times is held back, so they at most halve the e-value.
    times = np.logaddexp(fast_log_e(counts.times, counts.fast), 0) - np.log(2)
    return answers - log_mean(bets.log_honest(votes, chose_b)) + gold_log_e(counts.golds, counts.passed) + times
