"""Votes, an edition, a live model with its biases, and staff with chosen permissions."""

from datetime import UTC, datetime

from django.contrib.auth.models import Permission, User
from django.test import Client

from annotations import ledger
from annotations.models import Vote, VoteDetails
from arena.models import Battle, Clip, Prompt, System
from scoring.boards.refit import refit_board
from scoring.jury.rewards import store_rewards
from scoring.models import AnchorBias, AnchorFit, RewardModel

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def clip_of(system, prompt=0):
    return Clip.objects.filter(system__name=system, prompt=Prompt.objects.order_by("pk")[prompt]).first()


def vote(study, a, b, answers, prompt=0, rater=None, **said):
    """A vote per letter of `answers` on the clips of two systems: A, B, T(IE) or N(either)."""
    one, other = clip_of(a, prompt), clip_of(b, prompt)
    votes = []
    for letter in answers:
        battle = Battle.objects.create(
            study=study, kind="imported", rater=rater, prompt=one.prompt, system_a=one.system, system_b=other.system,
            clip_a=one, clip_b=other, served_at=NOW, closed_at=NOW, close_reason="voted",
        )  # fmt: skip
        preference = {"T": "TIE", "N": "BOTH_BAD"}.get(letter, letter)
        tags = said.get("tags", [])
        votes.append(Vote.objects.create(battle=battle, rater=rater, preference=preference, tags=tags, received_at=NOW))
        if "comment" in said:
            VoteDetails.objects.create(vote=votes[-1], comment=said["comment"], user_agent="a very rare browser")
    return votes


def edition(study, **chosen):
    ledger.catch_up()
    return refit_board(study, **chosen)


def live_model(study, rewards, biases=None, ledger_seq=0):
    """A live model that gives {clip: reward}, with {system name: (bias, stderr)} or (bias, stderr, low, high)."""
    model = RewardModel.objects.create(
        name="ear", status="live", encoders=[], weights="weights/none", sha256="0", ledger_seq=ledger_seq
    )
    store_rewards(model, {clip.pk: value for clip, value in rewards.items()})
    if biases is not None:
        fit = AnchorFit.objects.create(
            study=study, reward_model=model, ledger_seq=1, config={}, n_pairs=9, n_unscored=0, created_at=NOW
        )
        for name, figures in biases.items():
            columns = dict(zip(("bias", "stderr", "low", "high"), figures, strict=False))
            AnchorBias.objects.create(fit=fit, system=System.objects.get(name=name), n_pairs=9, **columns)
    return model


def logged_in(*permissions, staff=True, superuser=False):
    user = User.objects.create(username="ada", is_staff=staff, is_superuser=superuser)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client
