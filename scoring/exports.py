"""Training pairs as rows: the decisive votes on clips, with what the reward model made of them."""

from collections import Counter
from pathlib import PurePath

from annotations.exports import vote_rows
from arena.models import Clip

from . import inputs
from .inputs import NOT_RANKED

CHUNK = 1000
PAIR_COLUMNS = (
    "seq", "study", "simulated", "battle", "rater", "prompt_id", "prompt", "lyrics", "chosen", "rejected",
    "degree", "flags", "margin", "reward_model",
)  # fmt: skip


def pair_rows(seq, study=None, model=None, last_reward=None, excluded=None):
    """One row per decisive vote on clips, up to `seq`: {prompt, chosen, rejected, margin, ...} in ledger order.

    margin: reward of the chosen minus that of the rejected clip under `model`; None where either has none
    among the rewards up to the id `last_reward`.
    excluded: a Counter that is filled with the votes left out, by reason.
    """
    excluded = Counter() if excluded is None else excluded
    chunk = []
    for row in vote_rows(seq, study, excluded):
        reason = _why_no_pair(row)
        if reason:
            excluded[reason] += 1
            continue
        chunk.append(row)
        if len(chunk) == CHUNK:
            yield from _with_clips(chunk, model, last_reward)
            chunk = []
    yield from _with_clips(chunk, model, last_reward)


def _why_no_pair(row):
    if row["kind"] in NOT_RANKED:
        return row["kind"]
    if row["preference"] in ("TIE", "BOTH_BAD"):
        return row["preference"].lower()
    return None if row["clip_a"] else "no_clips"


def _with_clips(rows, model, last_reward):
    ids = {row[slot] for row in rows for slot in ("clip_a", "clip_b")}
    clips = Clip.objects.in_bulk(ids)
    rewards = inputs.clip_rewards(model, ids, last_reward) if model else {}
    for row in rows:
        won, lost = ("a", "b") if row["preference"] == "A" else ("b", "a")
        chosen, rejected = clips[row[f"clip_{won}"]], clips[row[f"clip_{lost}"]]
        scores = rewards.get(chosen.pk), rewards.get(rejected.pk)
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
            "margin": None if None in scores else round(scores[0] - scores[1], 6),
            "reward_model": model.name if model else None,
        }


def clip_json(clip, system):
    return {"clip": clip.pk, "system": system, "sha256": clip.sha256, "file": clip_file(clip)}


def clip_file(clip):
    """The name of the clip's audio in a folder made by `export --clips`."""
    return f"{clip.pk}{PurePath(clip.original.name).suffix}"
