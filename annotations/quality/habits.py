"""How a rater answers regardless of the music: which slot, how fast, and in what pattern.

The server draws the slots. So to anybody who does not know the systems, an honest rater's decisive answers are tosses
of a fair coin, whatever the rater's taste and the board: a null that needs no model of the rater.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from annotations.proportions import wilson

from .evidence import Evidence, Floats, answers, bernoulli, decisive, mixture, of_path, running
from .honest import Heard, heard

SLOT_LEANS = (-4.0, -2.0, -1.0, 1.0, 2.0, 4.0)  # logits towards B, added to those of an honest rater
REACTION_MS = 200  # nobody can see the gate open, decide and press a key within this time
HONEST_FAST = 0.1  # share of such fast answers that is tolerated: the finger was ready
FAST = (0.3, 0.6, 0.9)
PATTERN = (0.05, 0.2, 0.8, 0.95)  # chances to repeat the last decisive answer: low is alternating, high always the same
UNDECIDED = (0.97, 0.995)  # chances to prefer neither clip, of a rater who always answers so
MORE_UNDECIDED = 9.0  # at most how many times the others' odds an honest rater's odds to prefer neither are
HALF, MOST = 0.5, 0.9  # bounds of the tolerated share of undecided answers


@dataclass(frozen=True)
class SlotBias:
    """b: number of answers B among n decisive ones; share and interval are None where n is 0."""

    n: int
    b: int
    share: float | None
    interval: tuple[float, float] | None
    evidence: Evidence


@dataclass(frozen=True)
class DecisionTimes:
    """n: number of known times. fast: how many were below REACTION_MS."""

    n: int
    median_ms: float | None
    fast: int
    evidence: Evidence


@dataclass(frozen=True)
class StraightLining:
    """longest_run: of one decisive answer; run_p: the chance of one at least as long in n tosses of a fair coin.
    entropy: of all answers, in bits (0: always the same; 1: A and B evenly)."""

    n: int
    longest_run: int
    run_p: float
    entropy: float
    evidence: Evidence


def slot_bias(
    a: ArrayLike, b: ArrayLike, preference: ArrayLike, theta: ArrayLike, *, theta_se: ArrayLike | None = None
) -> SlotBias:
    """Does the rater prefer a slot? Arguments as for `agreement`; valid after every vote.

    Null: the honest population, which leans to a slot a little (honest.LEAN_SD). Alternative: the same people with
    one of SLOT_LEANS added. The board makes this more powerful than counting: to choose A where A is far better is no
    bias.
    """
    return slot_bias_of(heard(a, b, preference, theta, theta_se))


def slot_bias_of(votes: Heard) -> SlotBias:
    n, chose_b = votes.chose_b.size, int(votes.chose_b.sum())
    honest = votes.log_path(votes.logit)
    paths = np.stack([votes.log_path(votes.logit + lean) - honest for lean in SLOT_LEANS])
    evidence = of_path(mixture(paths, np.ones(len(SLOT_LEANS))), {"votes": n, "b": chose_b})
    return SlotBias(n, chose_b, chose_b / n if n else None, wilson(chose_b, n), evidence)


def decision_times(ms: ArrayLike) -> DecisionTimes:
    """Are answers faster than a person can react? ms: [V] since the gate opened, NaN where unknown.

    Null: at most HONEST_FAST of the answers come within REACTION_MS. Alternative: more; mean over FAST. A negative
    time (a jump of the browser's clock) counts as unknown.
    """
    ms = np.asarray(ms, dtype=float)
    if ms.ndim != 1:
        raise ValueError(f"ms is one time per vote, not an array of shape {ms.shape}")
    ms = ms[np.isfinite(ms) & (ms >= 0)]
    quick = ms < REACTION_MS
    detail = {"times": int(ms.size), "fast": int(quick.sum())}
    evidence = of_path(fast_log_e(*running(quick)), detail)
    return DecisionTimes(ms.size, float(np.median(ms)) if ms.size else None, int(quick.sum()), evidence)


def fast_log_e(n: ArrayLike, fast: ArrayLike) -> Floats:
    """[...] log e-value of `fast` answers out of `n`."""
    return bernoulli(n, fast, HONEST_FAST, FAST)


def straight_lining(preference: ArrayLike, others_undecided: float | None = None) -> StraightLining:
    """Are the answers a pattern: always the same, or alternating? preference: [V], as shown on the page.
    others_undecided: the share of TIE and BOTH_BAD among the other raters' answers; None skips the second bet.

    Two bets, each half of the stake. Null of the first: decisive answers are a fair coin, since the slots were drawn;
    alternative: each repeats the last one with a chance from PATTERN, skipping undecided ones. Null of the
    second: each answer is undecided with a chance of at most `undecided_at_most`; alternative: one of UNDECIDED. Many
    undecided answers in a row are honest where others hear no difference either.
    """
    preference = answers("preference", preference)
    called = preference[decisive(preference)]
    repeated = called[1:] == called[:-1]
    run = _longest_run(repeated)
    run_p = chance_of_run(called.size, run)
    detail = {"votes": int(called.size), "longest_run": run, "run_p": run_p, "repeated": int(repeated.sum())}
    evidence = of_path(bernoulli(*running(repeated), 0.5, PATTERN), detail)
    if others_undecided is not None:
        undecided = preference.size - called.size
        always = bernoulli(preference.size, undecided, undecided_at_most(others_undecided), UNDECIDED)
        both = float(mixture(np.array([evidence.log_e, float(always)]), [0.5, 0.5]))
        evidence = Evidence(preference.size, both, detail | {"undecided": undecided})
    return StraightLining(called.size, run, run_p, _entropy(preference), evidence)


def undecided_at_most(others: float) -> float:
    """The largest chance of an undecided answer that is still honest, where the others' share of them is `others`."""
    if not 0 <= others <= 1:
        raise ValueError(f"the others' share of undecided answers is {others}, not a share")
    return float(np.clip(MORE_UNDECIDED * others / (1 + (MORE_UNDECIDED - 1) * others), HALF, MOST))


def chance_of_run(n: int, length: int) -> float:
    """P(n tosses of a fair coin hold a run, of either face, of at least `length`), exactly.

    By the length of the run at the end (Feller 1968, An Introduction to Probability Theory, XIII.7): each toss
    extends it with chance 1/2, or begins a new one.
    """
    if length <= 1:
        return 1.0 if n >= length else 0.0
    if n < length:
        return 0.0
    ending = np.zeros(length - 1)  # P(no such run yet, and the last run has 1, 2, ... length - 1 tosses)
    ending[0], reached = 1.0, 0.0
    for _ in range(n - 1):
        reached += ending[-1] / 2
        ending[1:], ending[0] = ending[:-1] / 2, ending.sum() / 2
    return float(reached)


def _longest_run(repeated: np.ndarray) -> int:
    longest = run = 1 if repeated.size else 0
    for again in repeated:
        run = run + 1 if again else 1
        longest = max(longest, run)
    return int(longest)


def _entropy(preference: np.ndarray) -> float:
    if not preference.size:
        return 0.0
    share = np.unique(preference, return_counts=True)[1] / preference.size
    return float(abs(-(share * np.log2(share)).sum()))
