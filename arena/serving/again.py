"""Clip pairs that are served again: requested by staff, drawn before ordinary pairs, in limited number.

They were chosen for how people answered them, so their votes would bias a board: the battles have the policy `again`,
boards and anchor fits leave them out, and quotas do not count them. For the listener it is a battle like any other. The
probabilities of ordinary draws stay exact: whether a turn is ordinary depends neither on the rater's answers nor on the
policy.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from random import Random

from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from arena.models import Again, Battle, Study
from arena.refusals import Conflict, Refusal
from arena.serving.pairing import Draw, draw_uniform
from arena.serving.process_cache import forget, recent

from .draw_pair import Drawn, Offer


def ask_again(study: Study, clips: Iterable[int], wanted: int, by: str, now: datetime | None = None) -> Again:
    """Have two clips (ids) served `wanted` more times in the study. Returns the Again."""
    if not 1 <= wanted <= Again.MOST:
        raise Refusal(f"wanted is {wanted}; a clip pair can be served 1 to {Again.MOST} more times.")
    low, high = sorted(clips)
    forget(("again", study.pk))
    try:
        with transaction.atomic():
            return Again.objects.create(
                study=study, clip_low_id=low, clip_high_id=high, wanted=wanted, left=wanted, by=by,
                asked_at=now or timezone.now(),
            )  # fmt: skip
    except IntegrityError as error:
        if "again_once_at_a_time" not in str(error):
            raise
        raise Conflict("These clips are being served again already.", code="asked_already") from error


def _asked(study):
    open_ones = Again.objects.filter(study=study, left__gt=0).order_by("pk")
    return list(open_ones.values_list("pk", "clip_low", "clip_high"))


def stop(asked: QuerySet[Again], now: datetime | None = None) -> int:
    """Stop serving a QuerySet of Again. Returns how many were not finished."""
    return asked.filter(left__gt=0).update(left=0, stopped_at=now or timezone.now())


def draw_again(offer: Offer, past: Sequence[Battle], rng: Random) -> Drawn | None:
    """A Drawn among the clip pairs to be served again, all equally likely; None where this turn is an ordinary one:
    this rater can hear none of the requested pairs, or their last battle was already served again.

    Its probabilities are those within such a turn: of the pair of systems, and of the clips given the pair.
    """
    last = next((battle for battle in reversed(past) if battle.kind == Battle.Kind.RANKED), None)
    if offer.is_over or (last and last.policy == Battle.AGAIN):
        return None
    asked = recent(("again", offer.study.pk), lambda _: _asked(offer.study))  # for every battle, mostly empty
    options = [(pk, candidate) for pk, *clips in asked if (candidate := offer.find(*clips))]
    if not options:
        return None
    pk, candidate = options[draw_uniform(len(options), rng).index]
    if not Again.objects.filter(pk=pk, left__gt=0).update(left=F("left") - 1):  # another rater took the last one
        return None
    of_pair = Counter(option.system_ids for _, option in options)
    n = of_pair[candidate.system_ids]
    return Drawn(candidate, Battle.AGAIN, Draw(0, n / len(options), len(of_pair)), Draw(0, 1 / n, n))
