"""What a listener sees after a vote: the model's opinion, the share of the others, and how often they agree with
both."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.db.models import Count, Q, QuerySet

from annotations.models import Flag, Vote
from arena.models import Battle, Rater
from arena.refusals import NotFound
from scoring import inputs
from scoring.inputs import CREDIT_TO_A
from scoring.models import AnchorFit, RewardModel
from scoring.registry.calibration import calibration_of, sigmoid
from scoring.stats.anchors import Anchors


def insight(rater: Rater, battle_id: Any) -> dict[str, Any]:
    """{"model", "crowd", "agreement"} for a battle the rater has answered; None where not yet known, and all None where
    the study does not reveal systems."""
    vote = Vote.objects.filter(battle_id=battle_id, rater=rater).select_related("battle__study").first()
    if not vote:
        raise NotFound("You have no vote on such a battle.")
    votes = list(comparable_votes(rater).filter(battle__study=vote.battle.study))
    opinions = Opinions(rater, [vote, *votes])
    return {
        "model": opinions.of_model(vote.battle),
        "crowd": opinions.of_crowd(vote.battle),
        "agreement": {"with_model": opinions.with_model(votes), "with_crowd": opinions.with_crowd(votes)},
    }


def comparable_votes(rater: Rater) -> QuerySet[Vote]:
    """The rater's votes that may be compared with others': ordinary and standing ones, in studies that reveal
    systems."""
    return (
        Vote.objects.filter(rater=rater, battle__study__reveal=True, battle__kind=Battle.Kind.RANKED)
        .exclude(flags__rule=Flag.WITHDRAWN)
        .select_related("battle__study")
    )


class Opinions:
    """The opinions of the live model and of the other raters on the battles of some votes, in any studies.

    Takes a fixed number of queries. There is no opinion on a clip against itself, or where the study does not reveal
    systems.
    """

    def __init__(self, rater: Rater, votes: Iterable[Vote]) -> None:
        battles = [vote.battle for vote in votes if _is_revealed(vote.battle)]
        studies = {battle.study_id for battle in battles}
        self.model = _Model.of_battles(battles, studies)
        self.crowd = _crowd(studies, rater)

    def of_model(self, battle: Battle) -> dict[str, Any] | None:
        """{"reward_model", "prefers", "probability_a"}, or None."""
        probability = self._probability(battle)
        if probability is None:
            return None
        return {
            "reward_model": self.model.name,
            "prefers": "A" if probability >= 0.5 else "B",
            "probability_a": round(probability, 4),
        }

    def of_crowd(self, battle: Battle) -> dict[str, Any] | None:
        """{"share_a", "n_votes"} of the others' votes between these two systems, or None."""
        if not _is_revealed(battle):
            return None
        credit, n = self.crowd.get((battle.study_id, battle.system_a_id, battle.system_b_id), (0.0, 0))
        return {"share_a": round(credit / n, 4), "n_votes": n} if n else None

    def with_model(self, votes: Iterable[Vote]) -> dict[str, int] | None:
        """How many of the decisive votes agree with the model: {"agreed", "of"}, or None where there are none."""
        return _count(agrees(vote, self._probability(vote.battle)) for vote in votes)

    def with_crowd(self, votes: Iterable[Vote]) -> dict[str, int] | None:
        return _count(agrees(vote, (self.of_crowd(vote.battle) or {}).get("share_a")) for vote in votes)

    def _probability(self, battle):
        return self.model.probability(battle) if self.model and _is_revealed(battle) else None


def agrees(vote: Vote, probability_a: float | None) -> bool | None:
    """Whether a vote agrees with the other opinion; None where one of them prefers neither."""
    if vote.preference not in ("A", "B") or probability_a in (None, 0.5):
        return None
    return (probability_a > 0.5) == (vote.preference == "A")


def _count(agreements):
    comparable = [agreement for agreement in agreements if agreement is not None]
    return {"agreed": sum(comparable), "of": len(comparable)} if comparable else None


def _is_revealed(battle):
    return battle.study.reveal and battle.kind not in Battle.ONE_CLIP


class _Model:
    """The live model's opinion on some battles, corrected by its per-system bias in each study. Lapses are applied
    where the model has them; without them, no temperature is applied."""

    def __init__(self, model, rewards, anchors) -> None:
        self.name, self.rewards, self.anchors = model.name, rewards, anchors
        self.calibration = calibration_of(model)

    @classmethod
    def of_battles(cls, battles, studies):
        model = RewardModel.live()
        if not model:
            return None
        clips = {pk for battle in battles for pk in (battle.clip_a_id, battle.clip_b_id) if pk}
        fits = AnchorFit.objects.filter(reward_model=model, study__in=studies).order_by("study_id", "-created_at")
        biases: dict[int, dict[int, float]] = defaultdict(dict)
        for fit in fits.distinct("study_id").prefetch_related("biases"):
            biases[fit.study_id] = {bias.system_id: bias.bias for bias in fit.biases.all()}
        anchors = {study: Anchors(biases[study], stderr={}, n_pairs={}) for study in studies}
        return cls(model, inputs.clip_rewards(model, clips), anchors)

    def probability(self, battle):
        """P(A wins), or None where a clip has no reward yet."""
        a, b = self.rewards.get(battle.clip_a_id), self.rewards.get(battle.clip_b_id)
        if a is None or b is None:
            return None
        anchors = self.anchors[battle.study_id]
        margin = anchors.correct(a, battle.system_a_id) - anchors.correct(b, battle.system_b_id)
        return sigmoid(self.calibration.log_odds_of_corrected(margin))


def _crowd(studies, rater):
    """{(study, system, other): [credit of the first from others' votes, votes]}, both ways round."""
    credits: dict[tuple[int, int, int], list] = defaultdict(lambda: [0.0, 0])
    said = Vote.objects.filter(battle__study__in=studies, preference__in=CREDIT_TO_A)
    others = inputs.not_excluded(said.exclude(Q(rater=rater) | Q(battle__policy=Battle.AGAIN)))
    counted = others.values_list("battle__study_id", "battle__system_a_id", "battle__system_b_id", "preference")
    for study, a, b, preference, n in counted.annotate(n=Count("pk")).order_by():
        for pair, credit in (((a, b), CREDIT_TO_A[preference]), ((b, a), 1 - CREDIT_TO_A[preference])):
            credits[study, *pair][0] += credit * n
            credits[study, *pair][1] += n
    return credits
