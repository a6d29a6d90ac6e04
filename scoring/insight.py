"""What a listener learns after a vote: the model's opinion, the crowd's share, and how often they agree with both."""

from collections import defaultdict

from django.db.models import Count

from annotations.models import Flag, Vote
from arena.refusals import NotFound

from . import inputs
from .anchors import Anchors
from .inputs import CREDIT_TO_A
from .models import RewardModel


def insight(rater, battle_id):
    """{"model", "crowd", "agreement"} for a battle the rater has answered; null where not yet known."""
    vote = Vote.objects.filter(battle_id=battle_id, rater=rater).select_related("battle__study").first()
    if not vote:
        raise NotFound("You have no vote on such a battle.")
    study = vote.battle.study
    mine = list(
        Vote.objects.filter(rater=rater, battle__study=study, battle__kind="ranked")
        .exclude(flags__rule=Flag.WITHDRAWN)
        .select_related("battle")
    )
    model = _Model.of_study(study, mine)
    crowd = _crowd(study, rater)
    return {
        "model": model and model.opinion(vote.battle),
        "crowd": _share(crowd, vote.battle),
        "agreement": {
            "with_model": _agreement(mine, lambda battle: model and model.probability(battle)),
            "with_crowd": _agreement(mine, lambda battle: (_share(crowd, battle) or {}).get("share_a")),
        },
    }


class _Model:
    """The live model's view of the battles of some votes, corrected by its per-system bias."""

    def __init__(self, name, rewards, anchors):
        self.name, self.rewards, self.anchors = name, rewards, anchors

    @classmethod
    def of_study(cls, study, votes):
        model = RewardModel.live()
        if not model:
            return None
        clips = {pk for vote in votes for pk in (vote.battle.clip_a_id, vote.battle.clip_b_id)}
        fit = study.anchor_fits.filter(reward_model=model).order_by("-created_at").first()
        bias = dict(fit.biases.values_list("system_id", "bias")) if fit else {}
        return cls(model.name, inputs.clip_rewards(model, clips), Anchors(bias, stderr={}, n_pairs={}))

    def probability(self, battle):
        """P(A wins), or None where a clip has no reward yet."""
        rewards = self.rewards.get(battle.clip_a_id), self.rewards.get(battle.clip_b_id)
        if None in rewards:
            return None
        return self.anchors.probability(*rewards, battle.system_a_id, battle.system_b_id)

    def opinion(self, battle):
        probability = self.probability(battle)
        if probability is None:
            return None
        return {
            "reward_model": self.name,
            "prefers": "A" if probability >= 0.5 else "B",
            "probability_a": round(probability, 4),
        }


def _crowd(study, rater):
    """{(system, other): [credit of the first from others' votes, votes]}, both ways round."""
    credits = defaultdict(lambda: [0.0, 0])
    others = Vote.objects.filter(battle__study=study, preference__in=CREDIT_TO_A).exclude(rater=rater)
    counted = others.exclude(flags__rule=Flag.WITHDRAWN).values_list(
        "battle__system_a_id", "battle__system_b_id", "preference"
    )
    for a, b, preference, n in counted.annotate(n=Count("pk")).order_by():
        for pair, credit in (((a, b), CREDIT_TO_A[preference]), ((b, a), 1 - CREDIT_TO_A[preference])):
            credits[pair][0] += credit * n
            credits[pair][1] += n
    return credits


def _share(crowd, battle):
    credit, n = crowd.get((battle.system_a_id, battle.system_b_id), (0.0, 0))
    return {"share_a": round(credit / n, 4), "n_votes": n} if n else None


def _agreement(votes, probability_of):
    """How many of the decisive votes went where the other side leans: {"agreed", "of"}, None where nothing to say."""
    agreed = of = 0
    for vote in votes:
        probability = probability_of(vote.battle)
        if vote.preference in ("A", "B") and probability not in (None, 0.5):
            of += 1
            agreed += (probability > 0.5) == (vote.preference == "A")
    return {"agreed": agreed, "of": of} if of else None
