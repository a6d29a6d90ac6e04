"""Rows to arrays: the votes of a board, the scored votes of an anchor fit, the pairs of a training set.

Everything reads the ledger up to a `seq`, so that the same call later gives the same arrays.
"""

import hashlib
import logging
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from annotations.models import Flag, Ledger, Reliability
from arena.models import Battle, System

from .anchor_history import AnchorPairs
from .boards import counts_both_bad, excluded_flags
from .bradley_terry import BOTH_BAD
from .covariates import covariates_of, known_covariates
from .features import read_all_features
from .models import Reward
from .weighting import NONE, UNIFORM_PAIRS, uniform_pair_weights

# Checks say something of the rater, not of the systems; a repeat says nothing new.
NOT_RANKED = (Battle.Kind.GOLD, Battle.Kind.TRAP, Battle.Kind.PRACTICE, Battle.Kind.REPEAT)
UNCOUNTED = (*NOT_RANKED, Battle.AGAIN)
SEQ = 6  # where the place in the ledger stands in a row that is used
CREDIT_TO_A = {"A": 1.0, "B": 0.0, "TIE": 0.5}
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StudyVotes:
    """The votes of a study that may be used, in ledger order, and how many may not, by reason.

    a, b: int [V] indices into `systems` (names, sorted). outcome: float [V], credit to a; BOTH_BAD (-1) where neither
    was good enough, and such votes were asked for.
    cluster: int [V], one label per rater; a vote without rater is a cluster of its own.
    weight: float [V], 1 unless votes weigh as much as their raters are reliable, or as their pairs were seldom drawn.
    clip_a, clip_b: int [V], clip ids, 0 where a vote came without clips. prompt: int [V], 0 where unknown.
    rater: str [V], as exports name raters; `no rater 17` for the vote at 17 where there is none.
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
    rater: np.ndarray
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
    study,
    seq,
    excluded_flags=(Flag.WITHDRAWN,),
    reliability=None,
    both_bad=False,
    covariates=(),
    weighting=NONE,
    again=False,
):
    """The votes of the study with a place in the ledger up to `seq`, as StudyVotes.

    excluded_flags: rules whose flags exclude a vote, unless a person has cleared it; a withdrawal always does.
    reliability: a `Reliability` id; votes then weigh as much as their raters' skill, as last estimated up to that row,
    and those of raters without an estimate as much as the average one.
    both_bad: whether votes BOTH_BAD are used. covariates: of `covariates_of`; votes without them are excluded.
    weighting: UNIFORM_PAIRS for the weights that undo how pairs were drawn; votes without a known draw are excluded.
    again: whether votes on clip pairs that staff had served again are used. They were chosen for how people had
    answered, so a board or an anchor fit with them would be tilted.
    """
    rows = _read(study, seq, excluded_flags, both_bad, again)
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
        rater=np.array([rater_label(row[-1], row[-2]) for row in rows.used], dtype=str),
        seq=columns[6].astype(np.int64),
        excluded=dict(sorted(rows.excluded.items())),
        n_raters=len(raters),
        n_without_rater=sum(cluster < 0 for cluster in clusters),
        input_hash=rows.hash.hexdigest(),
        covariates={name: beside[:, k] for k, name in enumerate(covariates)} if len(rows.used) else {},
    )


def rater_label(rater, seq):
    """A vote without a rater is by somebody of its own."""
    return str(rater) if rater else f"no rater {seq}"


def board_votes(study, seq, config):
    """The votes that a board of this configuration counts."""
    return study_votes(
        study,
        seq,
        config["excluded_flags"],
        config.get("reliability"),
        both_bad=counts_both_bad(config),
        covariates=covariates_of(config),
        weighting=config.get("weighting", NONE),
    )


def _read(study, up_to, excluded_flags, both_bad, again):
    credit = {**CREDIT_TO_A, "BOTH_BAD": BOTH_BAD} if both_bad else CREDIT_TO_A
    entries = Ledger.objects.filter(study=study, seq__lte=up_to).order_by("seq")
    excluded = _excluded_by_flag(entries, excluded_flags)
    rows = _Rows()
    for seq, vote, preference, kind, policy, a, b, clip_a, clip_b, prompt, rater in entries.filter(
        vote__isnull=False
    ).values_list(
        "seq",
        "vote_id",
        "vote__preference",
        "vote__battle__kind",
        "vote__battle__policy",
        "vote__battle__system_a_id",
        "vote__battle__system_b_id",
        "vote__battle__clip_a_id",
        "vote__battle__clip_b_id",
        "vote__battle__prompt_id",
        "vote__rater_id",
    ).iterator(chunk_size=5000):  # fmt: skip
        of = Battle.AGAIN if policy == Battle.AGAIN and not again else kind
        reason = why_excluded(excluded.get(vote), of, preference, credit)
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


def why_excluded(flagged_by, kind, preference, credit=CREDIT_TO_A):
    """The reason why a vote says nothing of its systems, "" where it does; credit: the answers that say something."""
    if flagged_by:
        return flagged_by
    if kind in UNCOUNTED:
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


def anchor_pairs(study, model, seq, excluded_flags):
    """(the decisive votes up to `seq` on clips that the model has scored, as AnchorPairs; how many it has not)."""
    votes = study_votes(study, seq, excluded_flags)
    rewards = clip_rewards(model, np.union1d(votes.clip_a, votes.clip_b))
    scored = np.array([a in rewards and b in rewards for a, b in zip(votes.clip_a, votes.clip_b, strict=True)], bool)
    on_clips, names = votes.decisive & (votes.clip_a > 0), np.array(votes.systems, dtype=str)
    used = on_clips & scored
    pairs = AnchorPairs(
        score_a=np.array([rewards[clip] for clip in votes.clip_a[used]], dtype=float),
        score_b=np.array([rewards[clip] for clip in votes.clip_b[used]], dtype=float),
        system_a=names[votes.a[used]],
        system_b=names[votes.b[used]],
        a_wins=votes.outcome[used],
        cluster=votes.cluster[used],
        seq=votes.seq[used],
    )
    return pairs, int((on_clips & ~scored).sum())


@dataclass(frozen=True)
class TrainingSet:
    """Votes on clips, in ledger order, as `reward.train` takes them.

    features: float32 [C, D], a row per clip, by clip id; the encoders' blocks beside each other. a, b: int [N], rows of
    it. target: float [N], credit to a, 0.5 for a tie. weight: float [N]. prompt: int [N]; rater, system_a, system_b:
    str [N], a vote without rater has a label of its own; source: str [N], the study's slug; time: int [N], its seq.
    excluded: {reason: n}, among them `no_clips`, and `not_embedded`: votes on clips that an encoder could not embed.
    """

    features: np.ndarray
    a: np.ndarray
    b: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    prompt: np.ndarray
    rater: np.ndarray
    system_a: np.ndarray
    system_b: np.ndarray
    source: np.ndarray
    time: np.ndarray
    excluded: dict[str, int]

    def as_arguments(self):
        """(positional, by name): what `train` is called with."""
        return (self.features, self.a, self.b, self.target, self.prompt), {
            "rater": self.rater,
            "systems": (self.system_a, self.system_b),
            "source": self.source,
            "time": self.time,
            "weight": self.weight,
        }


def training_set(studies, seq, encoders, reliability=None, last_mark=None):
    """The usable votes of the studies up to `seq` on clips that all encoders have embedded, {"key", "revision",
    "dimension"} each. A clip whose stored embedding is damaged is not: see features.read_features.

    reliability: {study's slug: a `Reliability` id}; the votes of these studies weigh as much as their raters' skill.
    last_mark: id up to which `TrainingMark`s are honoured: votes on marked clips weigh so many times as much.
    Votes on clip pairs that were served again are used, too: here what people find hard is not to be averaged away.
    """
    columns, excluded = {}, Counter()
    for study in studies:
        votes = study_votes(study, seq, excluded_flags(study), (reliability or {}).get(study.slug), again=True)
        names = np.array(votes.systems, dtype=str)
        for name, values in {
            "clip_a": votes.clip_a,
            "clip_b": votes.clip_b,
            "target": votes.outcome,
            "weight": votes.weight * mark_weights(study, votes, last_mark),
            "prompt": votes.prompt,
            "rater": votes.rater,
            "system_a": names[votes.a] if len(names) else names,
            "system_b": names[votes.b] if len(names) else names,
            "source": np.full(len(votes.seq), study.slug),
            "time": votes.seq,
        }.items():
            columns.setdefault(name, []).append(values)
        excluded.update(votes.excluded)
    columns = {name: np.concatenate(values) for name, values in columns.items()}
    clip_ids, features = read_all_features(np.union1d(columns["clip_a"], columns["clip_b"]), encoders, logger.warning)
    return assemble(columns, clip_ids, features, excluded)


def mark_weights(study, votes, last_mark):
    """float [V]: how many times as much a vote of the study weighs by the marks up to that id; 1 without one."""
    marks = {  # of several on the same clips the last stays
        (low, high): weight
        for low, high, weight in study.training_marks.filter(pk__lte=last_mark or 0)
        .order_by("pk")
        .values_list("clip_low", "clip_high", "weight")
    }
    if not marks:
        return np.ones(len(votes.seq))
    low, high = np.minimum(votes.clip_a, votes.clip_b), np.maximum(votes.clip_a, votes.clip_b)
    return np.array([marks.get(clips, 1.0) for clips in zip(low.tolist(), high.tolist(), strict=True)], dtype=float)


def assemble(columns, clip_ids, features, excluded):
    """The TrainingSet of votes, whose columns are those of its fields but clip_a and clip_b, ids, for a and b.

    clip_ids: int [C], ascending, of the rows of features. A vote on another clip is excluded.
    """
    with_clips = (columns["clip_a"] > 0) & (columns["clip_b"] > 0)
    usable = np.isin(columns["clip_a"], clip_ids) & np.isin(columns["clip_b"], clip_ids)
    in_order = np.flatnonzero(usable)[np.argsort(columns["time"][usable], kind="stable")]
    votes = {name: values[in_order] for name, values in columns.items()}
    left_out = Counter(no_clips=int((~with_clips).sum()), not_embedded=int((with_clips & ~usable).sum()))
    excluded = Counter(excluded) + left_out  # which drops what is 0
    return TrainingSet(
        features=features,
        a=np.searchsorted(clip_ids, votes.pop("clip_a")),
        b=np.searchsorted(clip_ids, votes.pop("clip_b")),
        excluded=dict(sorted(excluded.items())),
        **votes,
    )
