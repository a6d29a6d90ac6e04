"""How a rater's listening test ended; decided only once the server has every vote."""

from collections.abc import Mapping
from datetime import datetime

from django.utils import timezone

from arena.models import Battle, Participation, Rater, Study
from arena.participants import participant_of
from arena.refusals import Conflict, Forbidden
from arena.services import require_ready
from arena.serving import full_for_now, progress, waits_for_clips

from .checks import attention
from .models import Flag, Vote

FEW_CHECKS = 4  # with fewer, half of them wrong may be only two mistakes


def finish(rater: Rater, study: Study, platform: Mapping[str, str], now: datetime | None = None) -> str:
    """The rater's outcome, recorded in their participation: "completed", "failed_checks" (too many golds and traps
    wrong, or too few answers not withdrawn), "screened_out" (by the headphone check, or no battle was left to serve) or
    "full" (for the moment others hold all places that are left for them: they may come back).

    platform: the platform's parameters, which must be those the rater came with, because the return URL will be signed.
    Conflict `not_finished` while battles are open or still to come; Forbidden with another participant's parameters, or
    before consent and checks are complete.
    """
    now = now or timezone.now()
    participation = Participation.objects.filter(rater=rater, study=study).first()
    if study.platform and participation and participation.participant != participant_of(study, platform, None):
        raise Forbidden("These are not the platform parameters that you came with.", code="platform_needed")
    outcome = _outcome(rater, study, now)
    Participation.objects.filter(rater=rater, study=study).update(outcome=outcome, finished_at=now)
    return outcome


def _outcome(rater, study, now):
    try:
        require_ready(rater, study)
    except Conflict as refused:
        if refused.code == "screened_out":
            return "screened_out"
        raise
    _require_finished(rater, study, now)
    if study.accepts_battles and full_for_now(rater, study, now):
        return "full"
    served = rater.battles.filter(study=study, kind=Battle.Kind.RANKED).count()
    if not served:  # the quotas were full, or the study closed during practice, which is not their fault
        closed_on_them = not study.accepts_battles and rater.votes.filter(battle__study=study).exists()
        return "completed" if closed_on_them else "screened_out"
    passed, n_checks = attention(rater, study)
    too_few_answers = _standing(rater, study) < served / 2
    too_many_wrong = (n_checks >= 2 and passed < n_checks / 2) or (n_checks >= FEW_CHECKS and passed <= n_checks / 2)
    return "failed_checks" if too_few_answers or too_many_wrong else "completed"


def _require_finished(rater, study, now):
    open_battles = rater.battles.filter(study=study).open(now).count()
    so_far = progress(rater, study)
    to_come = study.accepts_battles and (so_far["done"] < so_far["total"] or waits_for_clips(rater, study))
    if open_battles or to_come:
        left = max(open_battles, so_far["total"] - so_far["done"])
        raise Conflict("This listening test is not finished yet.", code="not_finished", open=left)


def _standing(rater, study):
    """The number of ranked votes that were not withdrawn."""
    votes = Vote.objects.filter(rater=rater, battle__study=study, battle__kind=Battle.Kind.RANKED)
    return votes.exclude(flags__rule=Flag.WITHDRAWN).count()
