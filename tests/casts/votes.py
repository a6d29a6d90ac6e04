"""Votes cast as fast as a test can: served, answered and numbered in the ledger, without the HTTP in between."""

from django.utils import timezone

from annotations import ledger
from annotations.models import Vote
from arena.services import give_consent
from arena.serving import serve_battle


def cast(study, preferences, rater=None):
    """One vote per letter, by one rater."""
    rater = rater or give_consent(None, study, study.consent_version)
    for preference in preferences:
        battle, _ = serve_battle(rater, study)
        battle.closed_at, battle.close_reason = timezone.now(), "voted"
        battle.save(update_fields=["closed_at", "close_reason"])
        Vote.objects.create(battle=battle, rater=rater, preference=preference, received_at=timezone.now())
    ledger.extend()
    return rater


def vote_at_once(study, rater):
    """A vote A on the rater's next battle, without the waiting that `cast_vote` asks for."""
    battle, _ = serve_battle(rater, study)
    battle.closed_at, battle.close_reason = timezone.now(), "voted"
    battle.save(update_fields=["closed_at", "close_reason"])
    return Vote.objects.create(battle=battle, rater=rater, preference="A", received_at=timezone.now())
