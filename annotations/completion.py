"""How a rater's listening test ended; the server says so only once it has every vote."""

from django.utils import timezone

from arena.refusals import Conflict
from arena.services import progress, require_ready

from .checks import attention

FEWEST_CHECKS = 2  # one wrong answer may be a slip


def outcome_of(rater, study, now=None):
    """ "completed", "failed_checks" or "screened_out". Conflict `not_finished` while battles are open or to come."""
    try:
        require_ready(rater, study)
    except Conflict as refused:
        if refused.code == "screened_out":
            return "screened_out"
        raise
    open_battles = rater.battles.filter(study=study).open(now or timezone.now()).count()
    so_far = progress(rater, study)
    if open_battles or (study.accepts_battles and so_far["done"] < so_far["total"]):
        left = max(open_battles, so_far["total"] - so_far["done"])
        raise Conflict("This listening test is not finished yet.", code="not_finished", open=left)
    served = rater.battles.filter(study=study)
    if not served.exists():
        return "screened_out"  # the quotas were full before this rater had their turn
    passed, given = attention(rater, study)
    answered = served.filter(close_reason="voted").count()
    if answered < served.count() / 2 or (given >= FEWEST_CHECKS and passed < given / 2):
        return "failed_checks"
    return "completed"
