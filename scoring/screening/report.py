"""The report on a study's raters: how many were flagged by which rule, and how well they agree with each other and with
themselves."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Count

from annotations import quality
from annotations.models import Flag, Screening
from annotations.quality import QUALITY_RULES
from arena.models import Study

from .answers import Answers, repeats_of


def findings(study: Study, raters: Sequence[Answers], screen: str, version: int) -> dict[str, Any]:
    """The number of raters with each result, and of those flagged by each rule."""
    results = Screening.objects.filter(
        study=study, screen=screen, version=version, rater__in=[answers.rater.pk for answers in raters]
    )
    flags = Flag.objects.filter(vote__battle__study=study, rule__in=QUALITY_RULES)
    return {
        "raters": len(raters),
        "votes": sum(len(answers.votes) for answers in raters),
        "results": dict(results.values_list("result").annotate(n=Count("pk")).order_by("result")),
        "rules": dict(flags.values_list("rule").annotate(n=Count("vote__rater", distinct=True)).order_by("rule")),
    }


def agreement(raters: Sequence[Answers]) -> dict[str, Any]:
    """Krippendorff's alpha, and the shares of equal answers between raters and within one."""
    ranked = [(number, vote) for number, answers in enumerate(raters) for vote in answers.ranked]
    heard: tuple[Any, ...] = (
        [vote.battle.clip_a_id for _, vote in ranked],
        [vote.battle.clip_b_id for _, vote in ranked],
        [vote.preference for _, vote in ranked],
        [number for number, _ in ranked],
    )
    repeats = [(*pair, number) for number, answers in enumerate(raters) for pair in repeats_of(answers)]
    first, second, rater = zip(*repeats, strict=True) if repeats else ([], [], [])
    return {
        "krippendorff_alpha": _consensus(quality.krippendorff(*heard)),
        "inter_rater": _consensus(quality.inter_rater(*heard)),
        "intra_rater": _consensus(quality.intra_rater(first, second, rater)),
    }


def no_agreement(reason: str) -> dict[str, Any]:
    """The result of `agreement` where it cannot be computed."""
    unknown = _consensus(quality.Consensus(None, None, 0, 0, reason))
    return dict.fromkeys(("krippendorff_alpha", "inter_rater", "intra_rater"), unknown)


def _consensus(consensus):
    low, high = consensus.interval or (None, None)
    figures = {"value": consensus.value, "low": low, "high": high}
    rounded = {name: None if figure is None else round(figure, 4) for name, figure in figures.items()}
    return {**rounded, "n": consensus.n, "n_raters": consensus.n_raters, "reason": consensus.reason}
