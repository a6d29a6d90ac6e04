"""Training pairs as rows: the decisive votes on clips, with the reward model's margins and rewards."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from annotations.exports import vote_rows
from arena.models import Clip, Study
from scoring import inputs
from scoring.inputs import DECISIVE
from scoring.registry.calibration import probability

CHUNK = 1000
PAIR_COLUMNS_2 = (
    "seq", "study", "simulated", "battle", "rater", "prompt_id", "prompt", "lyrics", "chosen", "rejected",
    "degree", "flags", "margin", "reward_model",
)  # fmt: skip
PAIR_COLUMNS = (*PAIR_COLUMNS_2, "probability", "chosen_reward", "rejected_reward")


@dataclass(frozen=True)
class PairJury:
    """The model that judges the pairs of an export, and the filters that leave pairs out.

    model: a RewardModel or None. last_reward: the id of the last reward that counts. temperature: of the model, None
    where it was not measured; lapses {rate, temperature}: used instead of it, if there are any. min_margin: pairs whose
    margin, chosen minus rejected, is smaller are left out: 0 leaves out the pairs for whose winner the model would not
    have voted, a negative number only the implausible ones, a positive one also the close ones. min_reward: pairs whose
    chosen clip has a smaller reward are left out.
    """

    model: object = None
    last_reward: int | None = None
    temperature: float | None = None
    lapses: dict | None = None
    min_margin: float | None = None
    min_reward: float | None = None

    def why_not(self, chosen_reward: float | None, margin: float | None) -> str | None:
        """Why a pair with these is left out; None where it is not. A filter leaves out every pair it cannot judge."""
        for name, least, value in (
            ("min_margin", self.min_margin, margin),
            ("min_reward", self.min_reward, chosen_reward),
        ):
            if least is None:
                continue
            if value is None:
                return "no_reward"
            if value < least:
                return f"below_{name}"
        return None


def pair_rows(
    seq: int, study: Study | None = None, jury: PairJury | None = None, excluded: Counter[str] | None = None
) -> Iterator[dict[str, Any]]:
    """One row per decisive vote on clips, up to `seq`: {prompt, chosen, rejected, margin, ...} in ledger order.

    jury: a PairJury. margin: reward of the chosen minus that of the rejected clip; None where either has none.
    probability: that the chosen clip is preferred, calibrated on held-out votes; None where that is not known.
    excluded: a Counter, to which the votes left out are added, by reason.
    """
    jury = jury or PairJury()
    excluded = Counter() if excluded is None else excluded
    chunk = []
    for row in vote_rows(seq, study, excluded):
        reason = _why_no_pair(row)
        if reason:
            excluded[reason] += 1
            continue
        chunk.append(row)
        if len(chunk) == CHUNK:
            yield from _with_clips(chunk, jury, excluded)
            chunk = []
    yield from _with_clips(chunk, jury, excluded)


def _why_no_pair(row):
    """The reason why a vote makes no pair; "" where it does: it is decisive, and on clips."""
    return inputs.why_excluded(row["kind"], row["preference"], DECISIVE) or ("" if row["clip_a"] else "no_clips")


def _with_clips(rows, jury, excluded):
    ids = {row[slot] for row in rows for slot in ("clip_a", "clip_b")}
    clips = Clip.objects.in_bulk(ids)
    rewards = inputs.clip_rewards(jury.model, ids, jury.last_reward) if jury.model else {}
    for row in rows:
        won, lost = ("a", "b") if row["preference"] == "A" else ("b", "a")
        chosen, rejected = clips[row[f"clip_{won}"]], clips[row[f"clip_{lost}"]]
        scores = rewards.get(chosen.pk), rewards.get(rejected.pk)
        # Not `rounded`, which has no -0.0: old releases may have it, and are rebuilt to the same bytes.
        margin = None if scores[0] is None or scores[1] is None else round(scores[0] - scores[1], 6)
        chosen_reward, rejected_reward = (None if score is None else round(score, 6) for score in scores)
        # By the rounded numbers, so that a reader who filters gets the same rows.
        if reason := jury.why_not(chosen_reward, margin):
            excluded[reason] += 1
            continue
        yield {
            "seq": row["seq"],
            "study": row["study"],
            "simulated": row["simulated"],
            "battle": row["battle"],
            "rater": row["rater"],
            "prompt_id": row["prompt_id"],
            "prompt": row["prompt"],
            "lyrics": row["lyrics"],
            "chosen": clip_json(chosen, row[f"system_{won}"]),
            "rejected": clip_json(rejected, row[f"system_{lost}"]),
            "degree": row["degree"],
            "flags": row["flags"],
            "margin": margin,
            "reward_model": jury.model.name if jury.model else None,
            "probability": probability(margin, jury.temperature, jury.lapses),
            "chosen_reward": chosen_reward,
            "rejected_reward": rejected_reward,
        }


def clip_json(clip: Clip, system: str) -> dict[str, Any]:
    return {"clip": clip.pk, "system": system, "sha256": clip.sha256, "file": clip_file(clip)}


def clip_file(clip: Clip) -> str:
    """The name of the clip's audio in a folder made by `export --clips`."""
    return f"{clip.pk}{PurePath(str(clip.original.name)).suffix}"
