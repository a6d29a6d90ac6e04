"""Rows to arrays: the votes of a board, the scored votes of an anchor fit, the pairs of a training set.

Everything reads the ledger up to a `seq`, so that the same call later gives the same arrays.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from annotations.models import Flag, Ledger, Reliability
from arena.models import Battle, System

from .boards import counts_both_bad, excluded_flags
from .bradley_terry import BOTH_BAD
from .covariates import known_covariates
from .models import Embedding, Reward
from .weighting import NONE, UNIFORM_PAIRS, uniform_pair_weights

# Checks say something of the rater, not of the systems; a repeat says nothing new.
NOT_RANKED = (Battle.Kind.GOLD, Battle.Kind.TRAP, Battle.Kind.PRACTICE, Battle.Kind.REPEAT)
SEQ = 6  # where the place in the ledger stands in a row that is used
CREDIT_TO_A = {"A": 1.0, "B": 0.0, "TIE": 0.5}


@dataclass(frozen=True)
class StudyVotes:
    """The votes of a study that may be used, in ledger order, and how many may not, by reason.

    a, b: int [V] indices into `systems` (names, sorted). outcome: float [V], credit to a; BOTH_BAD (-1) where neither
    was good enough, and such votes were asked for.
    cluster: int [V], one label per rater; a vote without rater is a cluster of its own.
    weight: float [V], 1 unless votes weigh as much as their raters are reliable, or as their pairs were seldom drawn.
    clip_a, clip_b: int [V], clip ids, 0 where a vote came without clips. prompt: int [V], 0 where unknown.
    seq: int [V], places in the ledger, ascending. covariates: {name: float [V]}, those that were asked for.
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
    seq: np.ndarray
    excluded: dict[str, int]
    n_raters: int
    n_without_rater: int
    input_hash: str
    covariates: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def decisive(self):
        """bool [V]: somebody won."""
        return (self.outcome == 0) | (self.outcome == 1)


@dataclass
class _Rows:
    used: list = field(default_factory=list)
    excluded: Counter = field(default_factory=Counter)
    hash: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def keep_known(self, known, unknown="covariate_unknown"):
        """Only the votes of which something is known, {seq: values}; their values, [V, k]. unknown: the reason why the
        others are excluded."""
        used = [row for row in self.used if row[SEQ] in known]
        if len(used) < len(self.used):
            self.excluded[unknown] += len(self.used) - len(used)
        self.used = used
        values = [known[row[SEQ]] for row in used]
        self.hash.update(repr(values).encode())
        return np.array(values)


def study_votes(
    study, seq, excluded_flags=(Flag.WITHDRAWN,), reliability=None, both_bad=False, covariates=(), weighting=NONE
):
    """The votes of the study with a place in the ledger up to `seq`, as StudyVotes.

    excluded_flags: rules whose flags exclude a vote, unless a person has cleared it; a withdrawal always does.
    reliability: a `Reliability` id; votes then weigh as much as their raters' skill, as last estimated up to that row,
    and those of raters without an estimate as much as the average one.
    both_bad: whether votes BOTH_BAD are used. covariates: names of `COVARIATES`; votes without them are excluded.
    weighting: UNIFORM_PAIRS for the weights that undo how pairs were drawn; votes without a known draw are excluded.
    """
    rows = _read(study, seq, excluded_flags, both_bad)
    drawn = uniform_pair_weights(study, seq) if weighting == UNIFORM_PAIRS else {}
    if weighting == UNIFORM_PAIRS:
        rows.keep_known(drawn, "draw_unknown")
    beside = rows.keep_known(known_covariates(study, seq, covariates)) if covariates else None
    names = dict(System.objects.filter(pk__in={pk for row in rows.used for pk in row[:2]}).values_list("pk", "name"))
    systems = sorted(names.values())
    index = {pk: systems.index(name) for pk, name in names.items()}
    raters = {}
    clusters = [
        -position - 1 if rater is None else raters.setdefault(rater, len(raters))
        for position, (*_, rater) in enumerate(rows.used)
    ]
    columns = [np.array(column) for column in zip(*rows.used, strict=True)] or [np.array([], int)] * 8
    return StudyVotes(
        systems=systems,
        a=np.array([index[row[0]] for row in rows.used], dtype=np.intp),
        b=np.array([index[row[1]] for row in rows.used], dtype=np.intp),
        outcome=columns[2].astype(float),
        cluster=np.array(clusters, dtype=np.int64),
        weight=_weights(study, [row[-1] for row in rows.used], reliability)
        * np.array([drawn.get(row[SEQ], 1.0) for row in rows.used], dtype=float),
        clip_a=columns[3].astype(np.int64),
        clip_b=columns[4].astype(np.int64),
        prompt=columns[5].astype(np.int64),
        seq=columns[6].astype(np.int64),
        excluded=dict(sorted(rows.excluded.items())),
        n_raters=len(raters),
        n_without_rater=sum(cluster < 0 for cluster in clusters),
        input_hash=rows.hash.hexdigest(),
        covariates={name: beside[:, k] for k, name in enumerate(covariates)} if len(rows.used) else {},
    )


def board_votes(study, seq, config):
    """The votes that a board of this configuration counts."""
    return study_votes(
        study,
        seq,
        config["excluded_flags"],
        config.get("reliability"),
        both_bad=counts_both_bad(config),
        covariates=config.get("covariates", ()),
        weighting=config.get("weighting", NONE),
    )


def _read(study, up_to, excluded_flags, both_bad):
    credit = {**CREDIT_TO_A, "BOTH_BAD": BOTH_BAD} if both_bad else CREDIT_TO_A
    entries = Ledger.objects.filter(study=study, seq__lte=up_to).order_by("seq")
    excluded = _excluded_by_flag(entries, excluded_flags)
    rows = _Rows()
    for seq, vote, preference, kind, a, b, clip_a, clip_b, prompt, rater in entries.filter(
        vote__isnull=False
    ).values_list(
        "seq",
        "vote_id",
        "vote__preference",
        "vote__battle__kind",
        "vote__battle__system_a_id",
        "vote__battle__system_b_id",
        "vote__battle__clip_a_id",
        "vote__battle__clip_b_id",
        "vote__battle__prompt_id",
        "vote__rater_id",
    ).iterator(chunk_size=5000):  # fmt: skip
        reason = _why_excluded(excluded.get(vote), kind, preference, credit)
        rows.hash.update(f"{vote},{a},{b},{preference},{rater},{reason}\n".encode())
        if reason:
            rows.excluded[reason] += 1
        else:
            rows.used.append((a, b, credit[preference], clip_a or 0, clip_b or 0, prompt or 0, seq, rater))
    return rows


def _weights(study, raters, reliability):
    if reliability is None:
        return np.ones(len(raters))
    skill = dict(
        Reliability.objects.filter(study=study, pk__lte=reliability).order_by("pk").values_list("rater_id", "skill")
    )
    average = sum(skill.values()) / len(skill) if skill else 1.0
    return np.array([skill.get(rater, average) for rater in raters], dtype=float)


def _excluded_by_flag(entries, excluded_flags):
    """{vote id: the rule that excludes it}; of several the first in `excluded_flags`, but a withdrawal before all."""
    rules = [rule for rule in excluded_flags if rule != Flag.WITHDRAWN]
    flags = entries.filter(flag__rule__in=[*rules, Flag.CLEARED, Flag.WITHDRAWN])
    found = {}
    for vote, rule in flags.values_list("flag__vote_id", "flag__rule"):
        found.setdefault(vote, set()).add(rule)
    excluded = {}
    for vote, fired in found.items():
        if Flag.WITHDRAWN in fired:
            excluded[vote] = Flag.WITHDRAWN
        elif Flag.CLEARED not in fired:
            excluded[vote] = next(rule for rule in rules if rule in fired)
    return excluded


def _why_excluded(flagged_by, kind, preference, credit):
    if flagged_by:
        return flagged_by
    if kind in NOT_RANKED:
        return kind
    return "" if preference in credit else preference.lower()


def clip_rewards(model, clip_ids, last_reward=None):
    """{clip id: reward} under the model, for those of the clips that have one (of id up to `last_reward`)."""
    rewards = Reward.objects.filter(
        reward_model=model, protocol=Reward.PROMPT_TEXT, clip_id__in={int(pk) for pk in clip_ids} - {0}
    )
    if last_reward is not None:
        rewards = rewards.filter(pk__lte=last_reward)
    return dict(rewards.values_list("clip_id", "value"))


@dataclass(frozen=True)
class TrainingSet:
    """features float32 [C, D] of C clips; N pairs as rows of it; target float [N]; prompt int [N]."""

    features: np.ndarray
    a: np.ndarray
    b: np.ndarray
    target: np.ndarray
    prompt: np.ndarray
    n_unembedded: int


def training_set(studies, seq, encoders):
    """The usable votes of the studies on clips that all encoders (key, revision) have embedded."""
    votes = [study_votes(study, seq, excluded_flags(study)) for study in studies]
    a, b, target, prompt = (
        np.concatenate([getattr(one, name) for one in votes]) for name in ("clip_a", "clip_b", "outcome", "prompt")
    )
    vectors = embedded(np.union1d(a, b), encoders)
    usable = np.array([x in vectors and y in vectors for x, y in zip(a, b, strict=True)], dtype=bool)
    order = {clip: row for row, clip in enumerate(vectors)}
    return TrainingSet(
        features=np.stack(list(vectors.values())) if vectors else np.empty((0, 0), np.float32),
        a=np.array([order[clip] for clip in a[usable]], dtype=np.intp),
        b=np.array([order[clip] for clip in b[usable]], dtype=np.intp),
        target=target[usable],
        prompt=prompt[usable],
        n_unembedded=int((~usable).sum()),
    )


def embedded(clip_ids, encoders):
    """{clip id: float32 [D]} over the clips that every encoder has embedded; blocks in the encoders' order."""
    blocks = [
        {
            row.clip_id: row.array
            for row in Embedding.objects.filter(
                encoder=key, revision=revision, vector__isnull=False, clip_id__in=[int(pk) for pk in clip_ids]
            )
        }
        for key, revision in encoders
    ]
    common = sorted(set.intersection(*(set(block) for block in blocks)))
    return {clip: np.concatenate([block[clip] for block in blocks]) for clip in common}
