"""Votes that reward models have not seen, and the gate's verdict on two models by them.

A model has seen every vote up to its place in the ledger, including those that validated and tested it; an imported one
has seen none of this arena's.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from arena.models import Study
from scoring import inputs
from scoring.jury import scorers
from scoring.jury.features import read_features
from scoring.models import RewardModel
from scoring.registry.calibration import calibration_of
from scoring.stats.board_method import excluded_flags

from . import gate

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class UnseenVotes:
    """seq int [N], ascending; clip_a, clip_b int [N]; target float [N], credit to a, 0.5 for a tie."""

    seq: np.ndarray
    clip_a: np.ndarray
    clip_b: np.ndarray
    target: np.ndarray

    @property
    def decisive(self) -> np.ndarray:
        """int [D]: the places in the ledger of the votes that somebody won."""
        return self.seq[self.target != 0.5]


def votes_between(studies: Sequence[Study], after: int, up_to: int) -> UnseenVotes:
    """The votes on clips that the studies' boards count, with after < seq <= up_to."""
    votes = [inputs.study_votes(study, up_to, excluded_flags(study)) for study in studies]
    seq, a, b, target = (
        np.concatenate([getattr(of_study, name) for of_study in votes])
        for name in ("seq", "clip_a", "clip_b", "outcome")
    )
    order = np.argsort(seq)
    order = order[(seq[order] > after) & (a[order] > 0) & (b[order] > 0)]
    return UnseenVotes(seq[order], a[order], b[order], target[order])


def judge(candidate: RewardModel, live: RewardModel, studies: Sequence[Study], up_to: int) -> tuple[gate.Verdict, int]:
    """(the gate's Verdict by the votes up to that seq that neither model has seen, how many of them it could not use
    because one of their clips is not embedded for both models).

    Each model's margins are calibrated by its own calibration, so that ECE and log loss are those of the probabilities
    that the arena would state; predicted winners do not change. The margins of a model that was not measured are used
    as they are.
    """
    votes = votes_between(studies, max(candidate.ledger_seq, live.ledger_seq), up_to)
    of_candidate, of_live = _margins(candidate, votes), _margins(live, votes)
    usable = np.isfinite(of_candidate) & np.isfinite(of_live)
    verdict = gate.judge(
        calibration_of(candidate).log_odds(of_candidate[usable]),
        calibration_of(live).log_odds(of_live[usable]),
        votes.target[usable],
    )
    return verdict, int((~usable).sum())


def _rewards(model, clips):
    """{clip id: reward} of the clips that the model's encoders have embedded and that get a finite reward."""
    embedded, features = read_features(clips.tolist(), model.encoders, logger.warning)
    rewards = scorers.load_scorer(model.pk).score_embeddings(features)
    return {
        clip: reward for clip, reward in zip(embedded.tolist(), rewards.tolist(), strict=True) if np.isfinite(reward)
    }


def _margins(model, votes):
    """float [N], NaN where a clip has no reward."""
    rewards = _rewards(model, np.union1d(votes.clip_a, votes.clip_b))
    of_a, of_b = inputs.in_columns(rewards, votes.clip_a, votes.clip_b)
    return of_a - of_b
