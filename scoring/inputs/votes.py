"""The votes of a study as arrays: which of them say something of their systems, why the others do not, and what each
weighs."""

import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from django.db.models import Exists, OuterRef, QuerySet

from annotations import group_numbers, vote_blocks
from annotations.models import Flag, Ledger, Reliability, Vote
from arena.models import ANSWERS, Battle, Study, System
from scoring.stats.board_method import counts_both_bad
from scoring.stats.bradley_terry import BOTH_BAD
from scoring.stats.clusters import clusters_of
from scoring.stats.pair_weights import NONE, UNIFORM_PAIRS, uniform_pair_weights

from .covariates import Covariate, covariates_of, known_covariates

# Checks say something of the rater, not of the systems; a repeat says nothing new.
NOT_RANKED = (Battle.Kind.GOLD, Battle.Kind.TRAP, Battle.Kind.PRACTICE, Battle.Kind.REPEAT)
CREDIT_TO_A = {"A": 1.0, "B": 0.0, "TIE": 0.5}
DECISIVE = ("A", "B")
HASHED = ("vote", "system_a", "system_b", "answer", "rater")
GROUPS = ("connection", "network")


@dataclass(frozen=True)
class StudyVotes:
    """The votes of a study that may be used, in ledger order, and how many may not, by reason.

    a, b: int [V] indices into `systems` (names, sorted). outcome: float [V], credit to a; BOTH_BAD (-1) where neither
    was good enough, and such votes were asked for.
    weight: float [V], 1 unless votes weigh as much as their raters are reliable, or as their pairs were seldom drawn.
    clip_a, clip_b: int [V], clip ids, 0 where a vote came without clips. prompt: int [V], 0 where unknown.
    rater_id: V16 [V], the bytes of a UUID; zeros where a vote came without rater. cluster: int [V], as `clusters_of`.
    seq: int [V], places in the ledger, ascending. connection, network: int [V], opaque numbers by how raters came, -1
    where unknown or not asked for. covariates: {name: float [V]}, those that were asked for.
    """

    systems: list[str]
    a: np.ndarray
    b: np.ndarray
    outcome: np.ndarray
    cluster: np.ndarray
    weight: np.ndarray
    clip_a: np.ndarray
    clip_b: np.ndarray
    prompt: np.ndarray
    rater_id: np.ndarray
    seq: np.ndarray
    connection: np.ndarray
    network: np.ndarray
    excluded: dict[str, int]
    n_raters: int
    n_without_rater: int
    input_hash: str
    covariates: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def decisive(self) -> np.ndarray:
        """bool [V]: somebody won."""
        return (self.outcome == 0) | (self.outcome == 1)

    @property
    def rater(self) -> np.ndarray:
        """str [V], as exports name raters; `no rater 17` for the vote at 17 where there is none."""
        _, first, of = np.unique(self.cluster, return_index=True, return_inverse=True)
        names = [rater_label(_uuid(self.rater_id[place]), int(self.seq[place])) for place in first]
        return np.array(names, dtype=str)[of]


@dataclass(frozen=True)
class _Records:
    """blocks.RECORD [V] of the votes that are used, how many are not, by reason, and a hash of what all of them say."""

    used: np.ndarray
    excluded: Counter
    hash: "hashlib._Hash"

    def keep(self, known, values, why_not):
        """Only the votes of which something is known, bool [V]; its values, of those, go into the hash. why_not: the
        reason why the others are excluded."""
        self.hash.update(np.ascontiguousarray(values, dtype=">f8").tobytes())
        left_out = Counter({why_not: int((~known).sum())})
        return replace(self, used=self.used[known], excluded=self.excluded + left_out)  # + drops what is 0


def study_votes(
    study: Study,
    seq: int,
    excluded_flags: Sequence[str] = (Flag.WITHDRAWN,),
    reliability: int | None = None,
    both_bad: bool = False,
    covariates: Mapping[str, Covariate] | None = None,
    weighting: str = NONE,
    again: bool = False,
    groups: bool = False,
) -> StudyVotes:
    """The votes of the study with a place in the ledger up to `seq`, as StudyVotes.

    excluded_flags: rules whose flags exclude a vote, unless a person has cleared it; a withdrawal always does.
    reliability: a `Reliability` id; votes then weigh as much as their raters' skill, as last estimated up to that row,
    and those of raters without an estimate as much as the average one.
    both_bad: whether votes BOTH_BAD are used. covariates: of `covariates_of`; votes without them are excluded.
    weighting: UNIFORM_PAIRS for the weights that undo how pairs were drawn; votes without a known draw are excluded.
    again: whether votes on clip pairs that staff had served again are used. They were chosen for how people had
    answered, so a board or an anchor fit with them would be tilted.
    groups: whether to read by which connections and networks raters came.
    """
    credit = credit_to_a(both_bad)
    found = _read(study, seq, excluded_flags, credit, again)
    weight = np.ones(len(found.used))
    if weighting == UNIFORM_PAIRS:
        drawn = uniform_pair_weights(found.used["pair_probability"], found.used["eligible_pairs"])
        known = np.isfinite(drawn)
        weight = drawn[known]
        found = found.keep(known, weight, "draw_unknown")
    beside = np.empty((len(found.used), 0))
    if covariates:
        values = known_covariates(study, seq, covariates)
        known = np.isin(found.used["seq"], np.fromiter(values, dtype=np.int64, count=len(values)))
        beside = np.array([values[place] for place in found.used["seq"][known].tolist()], dtype=float)
        weight, found = weight[known], found.keep(known, beside, "covariate_unknown")
    numbers = _group_numbers(study, found) if groups else {name: np.full(len(found.used), -1) for name in GROUPS}
    covariates_of_votes = dict(zip(covariates or (), beside.T, strict=False))
    return _arrays(study, found, credit, weight, covariates_of_votes, reliability, numbers)


def credit_to_a(both_bad: bool) -> dict[str, float]:
    """{answer: credit} of the answers that are used."""
    return {**CREDIT_TO_A, "BOTH_BAD": BOTH_BAD} if both_bad else CREDIT_TO_A


def board_votes(study: Study, seq: int, config: Mapping[str, Any]) -> StudyVotes:
    """The votes that a board of this configuration counts."""
    return study_votes(
        study,
        seq,
        config["excluded_flags"],
        config.get("reliability"),
        both_bad=counts_both_bad(config),
        covariates=covariates_of(config),
        weighting=config.get("weighting", NONE),
        groups="influence" in config,
    )


def rater_label(rater: uuid.UUID | None, seq: int) -> str:
    """A vote without a rater is by somebody of its own."""
    return str(rater) if rater else f"no rater {seq}"


def why_excluded(
    kind: str,
    preference: str,
    credit: Collection[str] = CREDIT_TO_A,
    *,
    flagged_by: str | None = None,
    is_again: bool = False,
) -> str:
    """The reason why a vote says nothing of its systems, "" where it does.

    kind: of its battle. credit: the answers that say something. flagged_by: the rule that excludes it, see
    `excluding_rule`. is_again: whether it is on a clip pair that staff had served again, and those are not used.
    """
    if flagged_by:
        return flagged_by
    if is_again:
        return Battle.AGAIN
    if kind in NOT_RANKED:
        return str(kind)
    return "" if preference in credit else preference.lower()


def excluding_rule(fired: Collection[str], rules: Iterable[str]) -> str | None:
    """The rule that excludes a vote, None where none does: a withdrawal before all; else, unless a person has cleared
    the vote, the first of `rules` that flagged it. fired: the rules of the vote's flags."""
    if Flag.WITHDRAWN in fired:
        return Flag.WITHDRAWN
    return None if Flag.CLEARED in fired else next((rule for rule in rules if rule in fired), None)


def not_excluded(votes: QuerySet[Vote], rules: Collection[str] = ()) -> QuerySet[Vote]:
    """The rows of a queryset of votes that are not of a check or a repeat, and for which `excluding_rule` has none."""
    flags = Flag.objects.filter(vote=OuterRef("pk"))
    standing = votes.exclude(battle__kind__in=NOT_RANKED).filter(~Exists(flags.filter(rule=Flag.WITHDRAWN)))
    if not rules:
        return standing
    return standing.filter(~Exists(flags.filter(rule__in=rules)) | Exists(flags.filter(rule=Flag.CLEARED)))


def flagged_votes(
    study: Study, up_to: int, excluded_flags: Sequence[str], votes: Collection[int] | None = None
) -> dict[int, str]:
    """{vote id: the rule that excludes it} by the flags up to a `seq`; of several the first in `excluded_flags`, but a
    withdrawal before all, and none that a person has cleared. votes: ids, to ask of these only."""
    rules = [rule for rule in excluded_flags if rule != Flag.WITHDRAWN]
    flags = Ledger.objects.filter(study=study, seq__lte=up_to, flag__rule__in=[*rules, Flag.CLEARED, Flag.WITHDRAWN])
    if votes is not None:
        flags = flags.filter(flag__vote__in=votes)
    found: dict[int, set[str]] = {}
    for vote, rule in flags.values_list("flag__vote_id", "flag__rule"):
        found.setdefault(vote, set()).add(rule)
    excluding = {vote: excluding_rule(fired, rules) for vote, fired in found.items()}
    return {vote: rule for vote, rule in excluding.items() if rule}


def reasons_of(
    records: np.ndarray, flagged: Mapping[int, str], credit: Mapping[str, float], again: bool = False
) -> tuple[np.ndarray, list[str]]:
    """(int [V], [reason]): why each vote says nothing of its systems, by `why_excluded`; 0, "", where it does.

    records: blocks.RECORD [V]. flagged: {vote id: the rule that excludes it}. again: as for `study_votes`.
    """
    answers = [answer.lower() for answer in ANSWERS if answer not in credit]
    rules = list(dict.fromkeys(flagged.values()))
    # In this order, which is part of an edition's input hash.
    names = ["", *answers, *map(str, NOT_RANKED), *([] if again else [Battle.AGAIN]), *rules]
    code = {name: place for place, name in enumerate(names)}
    unflagged = [
        [
            [code[why_excluded(kind, answer, credit, is_again=is_again and not again)] for is_again in (False, True)]
            for answer in ANSWERS
        ]
        for kind in vote_blocks.KINDS
    ]
    reason = np.array(unflagged, dtype=np.int16)[records["kind"], records["answer"], records["again"]]
    for place, rule in _flagged(records["vote"], flagged):
        reason[place] = code[rule]
    return reason, names


def credits_of(records: np.ndarray, credit: Mapping[str, float]) -> np.ndarray:
    """float [V], NaN for an answer that is not used."""
    return np.array([credit.get(answer, np.nan) for answer in ANSWERS])[records["answer"]]


def _flagged(votes, flagged):
    """(place, rule) of each of the votes, int [V], that is flagged."""
    ids = np.fromiter(flagged, dtype=np.int64, count=len(flagged))
    votes = votes.astype(np.int64)
    return [(place, flagged[int(votes[place])]) for place in np.flatnonzero(np.isin(votes, ids)).tolist()]


def _read(study, up_to, excluded_flags, credit, again):
    records = vote_blocks.read(study, up_to)
    flagged = flagged_votes(study, up_to, excluded_flags)
    reason, names = reasons_of(records, flagged, credit, again)
    digest = hashlib.sha256(json.dumps(names).encode())
    for column in (*(records[name] for name in HASHED), reason.astype(">i2")):
        digest.update(column.tobytes())
    counts = np.bincount(reason, minlength=len(names))
    return _Records(records[reason == 0], Counter(dict(zip(names[1:], counts[1:].tolist(), strict=True))), digest)


def _group_numbers(study, found):
    """{name: int [V]} of GROUPS; they go into the hash."""
    known = group_numbers.read(study)
    numbers = {name: group_numbers.of_raters(known, found.used["rater"], name) for name in GROUPS}
    for column in numbers.values():
        found.hash.update(column.astype(">i4").tobytes())
    return numbers


def _arrays(study, found, credit, weight, covariates, reliability, numbers):
    used = found.used
    a, b = used["system_a"].astype(np.int64), used["system_b"].astype(np.int64)
    ids = np.union1d(a, b)
    names = dict(System.objects.filter(pk__in=ids.tolist()).values_list("pk", "name"))
    systems = sorted(names.values())
    place = np.array([systems.index(names[pk]) for pk in ids.tolist()], dtype=np.intp)
    cluster = clusters_of(used["rater"])
    return StudyVotes(
        systems=systems,
        a=place[np.searchsorted(ids, a)],
        b=place[np.searchsorted(ids, b)],
        outcome=credits_of(used, credit),
        cluster=cluster,
        weight=weight * _reliabilities(study, used["rater"], cluster, reliability),
        clip_a=used["clip_a"].astype(np.int64),
        clip_b=used["clip_b"].astype(np.int64),
        prompt=used["prompt"].astype(np.int64),
        rater_id=np.ascontiguousarray(used["rater"]),
        seq=used["seq"].astype(np.int64),
        excluded=dict(sorted((reason, n) for reason, n in found.excluded.items() if n)),
        n_raters=int(cluster.max(initial=-1)) + 1,
        n_without_rater=int((cluster < 0).sum()),
        input_hash=found.hash.hexdigest(),
        covariates=covariates,
        **numbers,
    )


def _reliabilities(study, rater_id, cluster, reliability):
    """float [V]: the skill of each vote's rater up to that `Reliability`; 1 without one."""
    if reliability is None:
        return np.ones(len(cluster))
    skill = dict(
        Reliability.objects.filter(study=study, pk__lte=reliability).order_by("pk").values_list("rater_id", "skill")
    )
    average = sum(skill.values()) / len(skill) if skill else 1.0
    _, first, of = np.unique(cluster, return_index=True, return_inverse=True)
    return np.array([skill.get(_uuid(rater_id[place]), average) for place in first], dtype=float)[of]


def _uuid(raw):
    """None for nobody."""
    return uuid.UUID(bytes=bytes(raw)) if bytes(raw) != vote_blocks.ANYBODY else None
