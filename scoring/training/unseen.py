"""Votes that reward models have not seen, and what the gate makes of two models on them.

A model has seen every vote up to its place in the ledger, those that validated and tested it included; an imported one
has seen none of ours.
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
        np.concatenate([getattr(one, name) for one in votes]) for name in ("seq", "clip_a", "clip_b", "outcome")
    )
    order = np.argsort(seq)
    order = order[(seq[order] > after) & (a[order] > 0) & (b[order] > 0)]
    return UnseenVotes(seq[order], a[order], b[order], target[order])


def judge(candidate: RewardModel, live: RewardModel, studies: Sequence[Study], up_to: int) -> tuple[gate.Verdict, int]:
    """(the gate's Verdict on votes up to that seq that neither model has seen, how many of those it could not use
    because a clip of theirs is not embedded for both models).

    Each model's margins are read by its own calibration, so that ECE and log loss are those of the probabilities that
    the arena would state; who wins stays as it was. A model that was not measured is taken at its word.
    """
    votes = votes_between(studies, max(candidate.ledger_seq, live.ledger_seq), up_to)
    mine, its = _margins(candidate, votes), _margins(live, votes)
    usable = np.isfinite(mine) & np.isfinite(its)
    mine, its = calibration_of(candidate).log_odds(mine[usable]), calibration_of(live).log_odds(its[usable])
    return gate.judge(mine, its, votes.target[usable]), int((~usable).sum())


def _rewards(model, clips):
    """{clip id: reward} of the clips that the model's encoders have embedded, and that it gives a finite one."""
    found, features = read_features(clips.tolist(), model.encoders, logger.warning)
    rewards = scorers.load_scorer(model.pk).score_embeddings(features)
    return {clip: reward for clip, reward in zip(found.tolist(), rewards.tolist(), strict=True) if np.isfinite(reward)}


def _margins(model, votes):
    """float [N], NaN where the model gives a clip no reward."""
    rewards = _rewards(model, np.union1d(votes.clip_a, votes.clip_b))
    of_a, of_b = inputs.in_columns(rewards, votes.clip_a, votes.clip_b)
    return of_a - of_b
