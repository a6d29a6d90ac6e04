"""A listener's own history: what they heard and answered, whose clips they were, and what model and crowd say.

One vote is one entry, the same on the page and in the download. The number of queries does not depend on the votes.
"""

from collections.abc import Sequence
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, Prefetch, QuerySet
from django.utils import timezone

from annotations.checks import MIRRORED
from annotations.models import Flag, Vote
from annotations.proportions import wilson
from arena.models import Battle, Consent, Rater, Study
from arena.serving import progress

from .insight import Opinions, agrees, comparable_votes

PER_PAGE = 25
LISTENING = ("first_played", "switches", "first_play_ms", "opened_ms", "decided_ms", "pauses", "hidden", "volume")


def own_page(rater: Rater, number: Any = 1) -> dict[str, Any]:
    """The content of /me/: {"page" of django.core.paginator, "entries" on it, "n_votes", "n_withdrawn", "agreement",
    "studies"}. An impossible page number means the nearest possible one."""
    page = Paginator(votes_of(rater), PER_PAGE).get_page(number)
    n_votes, n_withdrawn = page.paginator.count, votes_of(rater).filter(is_withdrawn=True).count()
    comparable, votes = list(comparable_votes(rater)), list(page)
    opinions = Opinions(rater, comparable + votes)
    return {
        "page": page,
        "entries": entries(votes, opinions),
        "n_votes": n_votes,
        "n_withdrawn": n_withdrawn,
        "n_standing": n_votes - n_withdrawn,
        "agreement": agreement(comparable, opinions),
        "studies": [(study, progress(rater, study)) for study in studies_of(rater)],
    }


def download(rater: Rater) -> dict[str, Any]:
    """Everything stored about a listener that they may know, as JSON. The results of the quality rules are included
    once they can no longer give away which battles are checks: where the study reveals systems, or has ended."""
    votes = list(votes_of(rater).prefetch_related("flags"))
    comparable = list(comparable_votes(rater))
    opinions = Opinions(rater, comparable + votes)
    consents = Prefetch("consent_set", Consent.objects.filter(rater=rater).order_by("version"), to_attr="agreed")
    participations = {participation.study_id: participation for participation in rater.participations.all()}
    return {
        "rater": rater.pk,
        "written_at": timezone.now(),
        "agreement": agreement(comparable, opinions),
        "studies": [
            _study(study, participations.get(study.pk)) for study in studies_of(rater).prefetch_related(consents)
        ],
        "screenings": [
            _screening(screening)
            for screening in rater.screenings.select_related("study")
            if _results_are_open(screening.study)
        ],
        "votes": [{**entry, **_listening(vote)} for entry, vote in zip(entries(votes, opinions), votes, strict=True)],
    }


def _listening(vote):
    """How the clips were played, and the vote's flags; only in the download, not on the page."""
    details = getattr(vote, "details", None)
    flags = [
        {"rule": flag.rule, "version": flag.rule_version, "at": flag.created_at}
        for flag in vote.flags.all()
        if flag.rule == Flag.WITHDRAWN or _results_are_open(vote.battle.study)
    ]
    return {
        "device": details.user_agent if details else "",
        "language": details.language if details else "",
        "events": details.events if details else [],
        "heard": vote.heard,
        "flags": flags,
        **{name: getattr(vote, name) for name in LISTENING},
    }


def _results_are_open(study):
    return study.reveal or not study.accepts_battles


def _screening(screening):
    """Without its `detail`, which may name other listeners or give away checks."""
    fields = ("screen", "version", "result", "score", "n_votes", "at")
    return {"study": screening.study.slug, **{name: getattr(screening, name) for name in fields}}


def votes_of(rater: Rater) -> QuerySet[Any]:
    """The rater's votes, the newest first, with `is_withdrawn`."""
    withdrawn = Flag.objects.filter(vote=OuterRef("pk"), rule=Flag.WITHDRAWN)
    return (
        Vote.objects.filter(rater=rater)
        .annotate(is_withdrawn=Exists(withdrawn))
        .select_related("battle__study", "battle__prompt", "battle__system_a", "battle__system_b", "details")
        .order_by("-received_at", "-pk")
    )


def studies_of(rater: Rater) -> QuerySet[Study]:
    return Study.objects.filter(consent__rater=rater).distinct().order_by("name")


def _study(study, participation):
    return {
        "study": study.slug,
        "name": study.name,
        "agreed": [{"version": consent.version, "at": consent.given_at} for consent in study.agreed],
        "volume": participation and participation.volume,
        "headphones": participation and participation.headphones,
        "group": participation and participation.group,
    }


def agreement(votes: Sequence[Vote], opinions: Opinions) -> dict[str, Any]:
    """{"with_model", "with_crowd"}: {"agreed", "of", "share", "low", "high"}, or None; 95 % Wilson interval."""
    return {
        "with_model": _with_interval(opinions.with_model(votes)),
        "with_crowd": _with_interval(opinions.with_crowd(votes)),
    }


def _with_interval(counts):
    if not counts:
        return None
    low, high = wilson(counts["agreed"], counts["of"]) or (0.0, 1.0)
    share = counts["agreed"] / counts["of"]
    return {**counts, "share": round(share, 4), "low": round(low, 4), "high": round(high, 4)}


def entries(votes: Sequence[Any], opinions: Opinions) -> list[dict[str, Any]]:
    """One dict per vote, JSON except for its times. Where the study does not reveal systems, an entry says no more
    about systems, checks and opinions than the page said after the vote."""
    repeated = {vote.battle.repeats_id for vote in votes} - {None}
    standing = Vote.objects.filter(battle__in=repeated).exclude(flags__rule=Flag.WITHDRAWN)
    first = dict(standing.values_list("battle_id", "preference"))
    return [_entry(vote, opinions, first.get(vote.battle.repeats_id)) for vote in votes]


def _entry(vote, opinions, first):
    battle, details = vote.battle, getattr(vote, "details", None)
    reveals = battle.study.reveal
    return {
        "battle": battle.pk,
        "study": battle.study.slug,
        "study_name": battle.study.name,
        "at": vote.received_at,
        "prompt": {"text": battle.prompt.text, "lyrics": battle.prompt.lyrics},
        "preference": vote.preference,
        "degree": vote.degree,
        "axes": vote.axes,
        "tags": vote.tags,
        "comment": details.comment if details else "",
        "heard_ms": {"A": vote.heard_a_ms, "B": vote.heard_b_ms},
        "withdrawn": vote.is_withdrawn,
        "systems": {"A": battle.system_a.name, "B": battle.system_b.name} if reveals else None,
        "check": _check(vote, first) if reveals or battle.kind == Battle.Kind.PRACTICE else None,
        "model": _model(vote, opinions),
        "crowd": _crowd(vote, opinions),
    }


def _check(vote, first):
    """{"kind", "expected", "passed"}; None for an ordinary battle. A repeat is compared with the first answer, if that
    still stands."""
    battle = vote.battle
    if battle.kind in (Battle.Kind.RANKED, Battle.Kind.IMPORTED):
        return None
    right = battle.expected or (first and MIRRORED[first])
    passed = vote.preference == right if right else None
    return {"kind": battle.kind, "expected": battle.expected or None, "passed": passed}


def _model(vote, opinions):
    opinion = None if vote.is_withdrawn else opinions.of_model(vote.battle)
    return opinion and {**opinion, "agrees": agrees(vote, opinion["probability_a"])}


def _crowd(vote, opinions):
    share = None if vote.is_withdrawn else opinions.of_crowd(vote.battle)
    return share and {**share, "agrees": agrees(vote, share["share_a"])}
