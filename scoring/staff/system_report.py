"""The report on a system, for staff alone: its rating and its history, its results against each opponent and on each
prompt, what listeners said about its clips, and their rewards under the live model.

Votes are those of the study's last edition, up to its place in the ledger. The report holds what listeners said, never
who they are.
"""

from dataclasses import asdict
from typing import Any

import numpy as np
from django.db.models import Avg, Case, Count, Q, StdDev, Value, When
from scipy.special import expit

from annotations.models import Vote, VoteDetails
from arena.models import Prompt, Status, Study, System
from arena.refusals import NotFound
from scoring import inputs
from scoring.boards.page import find_edition
from scoring.models import Rating, Reward, RewardModel
from scoring.stats import board_method, influence
from scoring.stats.bradley_terry import BOTH_BAD, OutcomeFit
from scoring.stats.bradley_terry.results import reach
from scoring.stats.head_to_head import PRIOR_VOTES, Tally, excess, histogram, tallies, votes_to_separate
from scoring.stats.rounding import rounded

MOST_EDITIONS = 200  # of the history, evenly spread, with the first and the last
OUTCOMES = {1.0: "won", 0.0: "lost", 0.5: "tied", BOTH_BAD: "both_bad"}
COUNTS = ("n", "wins", "losses", "ties", "both_bad", "share", "low", "high")
TABLES = {  # with their columns
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
    in_study = Q(studies=study) | Q(ratings__edition__study=study)
    system = System.objects.filter(in_study, name=name).distinct().first()
    if not system:
        raise NotFound(f"{study.slug} has no system {name!r}.")
    return system


def report(study: Study, system: System, with_comments: bool) -> dict[str, Any]:
    """The report as plain JSON: single figures, and TABLES, each a list of rows with the same columns.

    with_comments: include listeners' own words; else `comments` is None. What is not known is None.
    """
    edition = find_edition(study)
    model = RewardModel.live()
    results = _Results(study, system, edition)
    rewards = _rewards(study, system, model)
    votes = _votes_with_words(study, system, edition)
    return {
        "study": study.slug,
        "system": system.name,
        "edition": _edition(edition),
        "rating": results.rating(),
        "total": _figures(Tally.of(results.credit)),
        "history": _history(study, system),
        "opponents": results.opponents(),
        "prior_votes": PRIOR_VOTES,
        "prompts": results.prompts(),
        "clips": results.clips(rewards),
        "reward_model": model.name if model else None,
        "rewards": _reward_summary(study, system, model),
        "reward_bins": [
            {"low": _round(low), "high": _round(high), "n": n} for low, high, n in histogram(list(rewards.values()))
        ],
        "bias": _bias(study, system, model),
        "neighbours": results.neighbours(),
        "tags": _tags(votes, system),
        "comments": _comments(votes, system) if with_comments else None,
    }


class _Results:
    """The edition's votes on the system, from its side: credit [N] to it, and the opponent, prompt and clip of each."""

    def __init__(self, study, system, edition) -> None:
        self.study, self.system, self.edition = study, system, edition
        self.votes: Any = None
        self.index: Any = None
        self.fit: Any = None
        self.credit, self.opponent, self.prompt, self.clip = (
            np.array([], dtype=kind) for kind in (float, int, int, int)
        )
        if not edition:
            return
        counted = inputs.board_votes(study, edition.ledger_seq, edition.config)
        self.votes = votes = influence.limited(counted, edition.config)
        if system.name not in votes.systems:
            return
        self.fit = board_method.fit_votes(votes, edition.config)
        self.index = index = votes.systems.index(system.name)
        is_a = votes.a == index
        took_part = is_a | (votes.b == index)
        decided = votes.outcome != BOTH_BAD
        self.credit = np.where(is_a | ~decided, votes.outcome, 1 - votes.outcome)[took_part]
        self.opponent = np.where(is_a, votes.b, votes.a)[took_part]
        self.prompt = votes.prompt[took_part]
        self.clip = np.where(is_a, votes.clip_a, votes.clip_b)[took_part]

    def expected(self, opponents):
        """float: the share of wins that the edition's model expects against each opponent, of the answers that name a
        winner or a tie. Covariates are ignored."""
        if isinstance(self.fit, OutcomeFit):
            p = self.fit.probabilities(np.full(len(opponents), self.index), opponents)
            return (p["a"] + p["tie"] / 2) / (1 - p.get("both_bad", 0.0))
        return expit(self.fit.theta[self.index] - self.fit.theta[opponents])

    def rating(self):
        """The row of the edition; None where it has none."""
        groups = self.edition.result["groups"] if self.edition else []
        for group in groups:
            for place, row in enumerate(group, start=1):
                if row["system"] == self.system.name:
                    return {**row, "rank": place, "of": len(group), "groups": len(groups)}
        return None

    def opponents(self):
        """Its opponents, the one against which it did worst first."""
        by = tallies(self.opponent, self.credit)
        expected = dict(zip(by, self.expected(np.array(list(by))).tolist(), strict=True)) if by else {}
        rows = [
            {"opponent": self.votes.systems[other], **_figures(tally), "expected": _round(expected[other])}
            for other, tally in by.items()
        ]
        return sorted(rows, key=lambda row: (row["share"] is None, row["share"], row["opponent"]))

    def prompts(self):
        """Its prompts, the worst first: by its wins beyond what is expected against its opponents there, shrunk."""
        has_prompt = self.prompt > 0
        by = tallies(self.prompt[has_prompt], self.credit[has_prompt])
        counted = has_prompt & (self.credit != BOTH_BAD)
        shrunk = {}
        if counted.any():
            shrunk = excess(self.prompt[counted], self.credit[counted], self.expected(self.opponent[counted]))
        texts = {prompt.pk: str(prompt) for prompt in Prompt.objects.filter(pk__in=list(by))}
        rows = [
            {"prompt_id": pk, "prompt": texts[pk], **_figures(tally), **_excess(shrunk.get(pk))}
            for pk, tally in by.items()
        ]
        return sorted(rows, key=lambda row: (row["excess"] is None, row["excess"], row["prompt_id"]))

    def clips(self, rewards):
        """Its clips that can be played, those of the prompt with the least excess first, each with its results."""
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
        """The systems next to it on the board, and the votes still needed to tell them apart."""
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
                    "n": int((self.opponent == other).sum()),
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
    summary = _scored(study, system, model).aggregate(
        mean=Avg("value"), deviation=StdDev("value", sample=True), n=Count("pk")
    )
    n, deviation = summary["n"], summary["deviation"]
    return {
        "mean": _round(summary["mean"]),
        "stderr": None if deviation is None else _round(deviation / n**0.5),
        "deviation": _round(deviation),
        "n": n,
    }


def _bias(study, system, model):
    """The system's bias in the live model's last anchor fit; the interval is None in the oldest fits."""
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


def _votes_with_words(study, system, edition):
    """The votes on the system's clips whose tags and comments are reported: up to the edition, not of a check, and
    until now neither withdrawn nor excluded from the board by a flag."""
    if not edition:
        return Vote.objects.none()
    votes = Vote.objects.filter(
        Q(battle__system_a=system) | Q(battle__system_b=system),
        battle__study=study,
        entry__seq__lte=edition.ledger_seq,
    )
    return inputs.not_excluded(votes, edition.config["excluded_flags"])


def _tags(votes, system):
    """How often each reason was given, by the outcome for the system."""
    credits: dict[str, list[float]] = {}
    for preference, tags, is_a in votes.exclude(tags=[]).values_list("preference", "tags", _is_a(system)):
        for tag in tags:
            credits.setdefault(tag, []).append(_credit(preference, is_a))
    rows = [{"tag": tag, "said": len(credit), **asdict(Tally.of(credit))} for tag, credit in credits.items()]
    return sorted(rows, key=lambda row: (-row["said"], row["tag"]))


def _comments(votes, system):
    """The comments on its battles, in an order that does not reveal who wrote them when."""
    comments = VoteDetails.objects.filter(vote__in=votes).exclude(comment="").select_related("vote__battle__prompt")
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


def _excess(shrunk):
    if not shrunk:
        return dict.fromkeys(("expected", "excess", "excess_low", "excess_high"))
    return {
        "expected": _round(shrunk.expected),
        "excess": _round(shrunk.value),
        "excess_low": _round(shrunk.low),
        "excess_high": _round(shrunk.high),
    }


def _round(value):
    return None if value is None else rounded(value)
