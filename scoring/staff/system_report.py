"""A system as its makers would ask for it, for staff alone: its rating and how it came, whom it beat and on what, what
listeners said of its clips, and what the live model makes of them.

Votes are those of the study's last edition, up to its place in the ledger. Of listeners there is what they said, never
who they are.
"""

from dataclasses import asdict
from typing import Any

import numpy as np
from django.db.models import Avg, Case, Count, Exists, OuterRef, Q, StdDev, Value, When
from scipy.special import expit

from annotations.models import Flag, Vote, VoteDetails
from arena.models import Prompt, Status, Study, System
from arena.refusals import NotFound
from scoring import inputs
from scoring.boards.page import find_edition
from scoring.inputs import NOT_RANKED
from scoring.models import Rating, Reward, RewardModel
from scoring.stats import board_method
from scoring.stats.bradley_terry import BOTH_BAD, OutcomeFit
from scoring.stats.bradley_terry.results import reach
from scoring.stats.head_to_head import PRIOR_VOTES, Tally, excess, histogram, tallies, votes_to_separate
from scoring.stats.rounding import rounded

MOST_EDITIONS = 200  # of the history, evenly spread, the first and the last among them
OUTCOMES = {1.0: "won", 0.0: "lost", 0.5: "tied", BOTH_BAD: "both_bad"}
COUNTS = ("n", "wins", "losses", "ties", "both_bad", "share", "low", "high")
TABLES = {  # and their columns
    "history": ("edition", "created_at", "rating", "low", "high", "group", "n"),
    "neighbours": ("place", "system", "difference", "low", "high", "n", "still_needed"),
    "opponents": ("opponent", *COUNTS, "expected"),
    "prompts": ("prompt_id", "prompt", *COUNTS, "expected", "excess", "excess_low", "excess_high"),
    "clips": ("clip", "prompt_id", "prompt", "seconds", "reward", *COUNTS),
    "reward_bins": ("low", "high", "n"),
    "tags": ("tag", "said", "wins", "losses", "ties", "both_bad"),
    "comments": ("comment", "clip", "slot", "outcome", "prompt_id", "prompt"),
}


def find_system(study: Study, name: str) -> System:
    """The system of that name, if it is or was in the study."""
    known = Q(studies=study) | Q(ratings__edition__study=study)
    system = System.objects.filter(known, name=name).distinct().first()
    if not system:
        raise NotFound(f"{study.slug} has no system {name!r}.")
    return system


def report(study: Study, system: System, with_comments: bool) -> dict[str, Any]:
    """Everything, as plain JSON: single figures, and TABLES, each a list of rows with the same columns.

    with_comments: whether listeners' own words are in it; else `comments` is None. What is not known is None.
    """
    edition = find_edition(study)
    model = RewardModel.live()
    mine = _Mine(study, system, edition)
    rewards = _rewards(study, system, model)
    said = _votes_said(study, system, edition)
    return {
        "study": study.slug,
        "system": system.name,
        "edition": _edition(edition),
        "rating": mine.rating(),
        "total": _figures(Tally.of(mine.credit)),
        "history": _history(study, system),
        "opponents": mine.opponents(),
        "prior_votes": PRIOR_VOTES,
        "prompts": mine.prompts(),
        "clips": mine.clips(rewards),
        "reward_model": model.name if model else None,
        "rewards": _reward_summary(study, system, model),
        "reward_bins": [
            {"low": _round(low), "high": _round(high), "n": n} for low, high, n in histogram(list(rewards.values()))
        ],
        "bias": _bias(study, system, model),
        "neighbours": mine.neighbours(),
        "tags": _tags(said, system),
        "comments": _comments(said, system) if with_comments else None,
    }


class _Mine:
    """The edition's votes that the system took part in, from its own side."""

    def __init__(self, study, system, edition) -> None:
        self.study, self.system, self.edition = study, system, edition
        self.votes: Any = None
        self.index: Any = None
        self.fit: Any = None
        self.credit, self.theirs, self.prompt, self.clip = (np.array([], dtype=kind) for kind in (float, int, int, int))
        if not edition:
            return
        self.votes = votes = inputs.board_votes(study, edition.ledger_seq, edition.config)
        if system.name not in votes.systems:
            return
        self.fit = board_method.fit_votes(votes, edition.config)
        self.index = index = votes.systems.index(system.name)
        is_a = votes.a == index
        took_part = is_a | (votes.b == index)
        decided = votes.outcome != BOTH_BAD
        self.credit = np.where(is_a | ~decided, votes.outcome, 1 - votes.outcome)[took_part]
        self.theirs = np.where(is_a, votes.b, votes.a)[took_part]
        self.prompt = votes.prompt[took_part]
        self.clip = np.where(is_a, votes.clip_a, votes.clip_b)[took_part]

    def expected(self, theirs):
        """float: the share the edition's model expects against each, of the answers that say who was better or that
        neither was. Covariates are left aside."""
        if isinstance(self.fit, OutcomeFit):
            p = self.fit.probabilities(np.full(len(theirs), self.index), theirs)
            return (p["a"] + p["tie"] / 2) / (1 - p.get("both_bad", 0.0))
        return expit(self.fit.theta[self.index] - self.fit.theta[theirs])

    def rating(self):
        """The row of the edition; None where it has none."""
        groups = self.edition.result["groups"] if self.edition else []
        for group in groups:
            for place, row in enumerate(group, start=1):
                if row["system"] == self.system.name:
                    return {**row, "rank": place, "of": len(group), "groups": len(groups)}
        return None

    def opponents(self):
        """Whom it met, the one it did worst against first."""
        by = tallies(self.theirs, self.credit)
        expected = dict(zip(by, self.expected(np.array(list(by))).tolist(), strict=True)) if by else {}
        rows = [
            {"opponent": self.votes.systems[other], **_figures(tally), "expected": _round(expected[other])}
            for other, tally in by.items()
        ]
        return sorted(rows, key=lambda row: (row["share"] is None, row["share"], row["opponent"]))

    def prompts(self):
        """What it was asked for, the worst first: by what it won beyond what its opponents there let expect, shrunk."""
        known = self.prompt > 0
        by = tallies(self.prompt[known], self.credit[known])
        counted = known & (self.credit != BOTH_BAD)
        shrunk = {}
        if counted.any():
            shrunk = excess(self.prompt[counted], self.credit[counted], self.expected(self.theirs[counted]))
        words = {prompt.pk: str(prompt) for prompt in Prompt.objects.filter(pk__in=list(by))}
        rows = [
            {"prompt_id": pk, "prompt": words[pk], **_figures(tally), **_excess(shrunk.get(pk))}
            for pk, tally in by.items()
        ]
        return sorted(rows, key=lambda row: (row["excess"] is None, row["excess"], row["prompt_id"]))

    def clips(self, rewards):
        """Its clips that can be played, those of the prompt with the least excess first, each with its votes."""
        by = tallies(self.clip, self.credit)
        place = {row["prompt_id"]: number for number, row in enumerate(self.prompts())}
        clips = self.system.clips.filter(status=Status.READY).select_related("prompt")
        if self.study.prompts.exists():
            clips = clips.filter(prompt__studies=self.study)
        rows = [
            {
                "clip": clip.pk,
                "prompt_id": clip.prompt_id,
                "prompt": str(clip.prompt),
                "seconds": clip.duration_ms / 1000,
                "reward": _round(rewards.get(clip.pk)),
                **_figures(by.get(clip.pk, Tally(0, 0, 0, 0))),
            }
            for clip in clips
        ]
        return sorted(rows, key=lambda row: (place.get(row["prompt_id"], len(place)), row["clip"]))

    def neighbours(self):
        """Who stands next to it on the edition, and the votes still needed to tell the two apart."""
        if self.fit is None:
            return []
        theta, covariance = self.fit.theta, self.fit.covariance
        order = sorted(
            next(group for group in self.fit.groups if self.index in group),
            key=lambda system: (-rounded(theta[system]), self.votes.systems[system]),
        )
        place = order.index(self.index)
        rows = []
        for name, at in (("above", place - 1), ("below", place + 1)):
            if not 0 <= at < len(order):
                continue
            other = order[at]
            difference = float(theta[self.index] - theta[other])
            variance = covariance[self.index, self.index] + covariance[other, other] - 2 * covariance[self.index, other]
            stderr = float(np.sqrt(max(variance, 0.0)))
            half = float(reach(np.array(stderr), self.fit.g_eff, self.edition.config["level"]))
            rows.append(
                {
                    "place": name,
                    "system": self.votes.systems[other],
                    "difference": _round(difference),
                    "low": _round(difference - half),
                    "high": _round(difference + half),
                    "n": int((self.theirs == other).sum()),
                    "still_needed": votes_to_separate(difference, half, stderr),
                }
            )
        return rows


def _edition(edition):
    return edition and {
        "number": edition.number,
        "created_at": edition.created_at.isoformat(),
        "ledger_seq": edition.ledger_seq,
        "method": f"{edition.method} {edition.method_version}",
        "treatment": edition.config.get("treatment", board_method.HALF_TIE),
        "n_votes": edition.n_votes,
    }


def _history(study, system):
    ratings = Rating.objects.filter(edition__study=study, system=system).order_by("edition__number")
    rows = list(
        ratings.values_list("edition__number", "edition__created_at", "value", "low", "high", "group", "n_votes")
    )
    if len(rows) > MOST_EDITIONS:
        rows = [rows[place] for place in np.linspace(0, len(rows) - 1, MOST_EDITIONS).round().astype(int)]
    return [
        {
            "edition": number, "created_at": at.isoformat(), "rating": _round(value), "low": _round(low),
            "high": _round(high), "group": group, "n": n,
        }
        for number, at, value, low, high, group, n in rows
    ]  # fmt: skip


def _rewards(study, system, model):
    """{clip id: reward} of the system's clips under the live model."""
    if not model:
        return {}
    return dict(_scored(study, system, model).order_by("clip").values_list("clip_id", "value"))


def _scored(study, system, model):
    rewards = Reward.objects.filter(reward_model=model, protocol=Reward.PROMPT_TEXT, clip__system=system)
    return rewards.filter(clip__prompt__studies=study) if study.prompts.exists() else rewards


def _reward_summary(study, system, model):
    if not model:
        return None
    found = _scored(study, system, model).aggregate(
        mean=Avg("value"), deviation=StdDev("value", sample=True), n=Count("pk")
    )
    n, deviation = found["n"], found["deviation"]
    return {
        "mean": _round(found["mean"]),
        "stderr": None if deviation is None else _round(deviation / n**0.5),
        "deviation": _round(deviation),
        "n": n,
    }


def _bias(study, system, model):
    """Of the live model's last anchor fit, with the interval that it was stored with: None in the oldest fits."""
    fit = study.anchor_fits.newest_of(model)
    bias = fit and fit.biases.filter(system=system).first()
    return bias and {
        "bias": _round(bias.bias),
        "stderr": _round(bias.stderr),
        "low": _round(bias.low),
        "high": _round(bias.high),
        "n_pairs": bias.n_pairs,
        "ledger_seq": fit.ledger_seq,
    }


def _votes_said(study, system, edition):
    """The votes on the system's clips in which listeners said more than an answer: up to the edition, not of a check,
    and neither withdrawn nor flagged for the board, until now."""
    if not edition:
        return Vote.objects.none()
    flags = Flag.objects.filter(vote=OuterRef("pk"))
    rules = edition.config["excluded_flags"]
    return (
        Vote.objects.filter(
            Q(battle__system_a=system) | Q(battle__system_b=system),
            battle__study=study,
            entry__seq__lte=edition.ledger_seq,
        )
        .exclude(battle__kind__in=NOT_RANKED)
        .filter(~Exists(flags.filter(rule=Flag.WITHDRAWN)))
        .filter(~Exists(flags.filter(rule__in=rules)) | Exists(flags.filter(rule=Flag.CLEARED)))
    )


def _tags(said, system):
    """How often each reason was given, by how the system had fared."""
    found: dict[str, list[float]] = {}
    for preference, tags, is_a in said.exclude(tags=[]).values_list("preference", "tags", _is_a(system)):
        for tag in tags:
            found.setdefault(tag, []).append(_credit(preference, is_a))
    rows = [{"tag": tag, "said": len(credit), **asdict(Tally.of(credit))} for tag, credit in found.items()]
    return sorted(rows, key=lambda row: (-row["said"], row["tag"]))


def _comments(said, system):
    """What was written about its battles, in an order that says nothing of who wrote when."""
    comments = VoteDetails.objects.filter(vote__in=said).exclude(comment="").select_related("vote__battle__prompt")
    rows = []
    for details in comments:
        battle = details.vote.battle
        is_a = battle.system_a_id == system.pk
        rows.append(
            {
                "comment": details.comment,
                "clip": battle.clip_a_id if is_a else battle.clip_b_id,
                "slot": "A" if is_a else "B",
                "outcome": OUTCOMES[_credit(details.vote.preference, is_a)],
                "prompt_id": battle.prompt_id,
                "prompt": str(battle.prompt) if battle.prompt else None,
            }
        )
    return sorted(rows, key=lambda row: (row["prompt"] or "", row["outcome"], row["comment"]))


def _is_a(system):
    return Case(When(battle__system_a=system, then=Value(True)), default=Value(False))


def _credit(preference, is_a):
    if preference in ("TIE", "BOTH_BAD"):
        return {"TIE": 0.5, "BOTH_BAD": BOTH_BAD}[preference]
    return float((preference == "A") == is_a)


def _figures(tally):
    """A Tally as a row's columns."""
    low, high = tally.interval() or (None, None)
    return {
        "n": tally.n, **asdict(tally), "share": _round(tally.share), "low": _round(low), "high": _round(high),
    }  # fmt: skip


def _excess(found):
    if not found:
        return dict.fromkeys(("expected", "excess", "excess_low", "excess_high"))
    return {
        "expected": _round(found.expected),
        "excess": _round(found.value),
        "excess_low": _round(found.low),
        "excess_high": _round(found.high),
    }


def _round(value):
    return None if value is None else rounded(value)
