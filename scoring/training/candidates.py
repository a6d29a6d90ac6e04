"""Training a candidate reward model, with held-out metrics, on votes in the ledger or in an exported file."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from django.core.files.base import File
from django.core.files.storage import default_storage

from annotations import ledger
from arena.models import Study
from arena.refusals import Conflict
from scoring.jury import scorers
from scoring.jury.embedding import embed_all
from scoring.jury.features import as_block
from scoring.models import RewardModel, TrainingMark
from scoring.reward.encoders import Encoder, get_encoder

from . import from_export, from_ledger

RECIPE = "RankNet, arXiv 2606.17006"


def train_candidate(
    studies: Sequence[Study],
    *,
    encoder_keys: Sequence[str] = scorers.DEFAULT_ENCODERS,
    seeds: Sequence[int] = (0,),
    name: str | None = None,
    progress: Callable[[dict[str, Any]], object] | None = None,
    up_to_seq: int | None = None,
    split: str = "prompt",
    blocks: Sequence[str] | None = None,
    leave_out: str | None = None,
    weight_by_reliability: bool = False,
    checkpoint: Path | None = None,
    **options: Any,
) -> RewardModel:
    """Train heads on the studies' votes up to `up_to_seq` (default: the head of the ledger) and store the best as a
    candidate.

    Clips that lack an embedding are embedded first. Votes on clips that cannot be embedded are left out and counted.
    blocks: keys of the encoders whose blocks the head reads. A vote is used only if all of encoder_keys have embedded
    its clips, so that all ablations see the same votes. leave_out: slug of a study that is only tested on.
    weight_by_reliability: a vote weighs as much as its rater's skill, as last estimated at that place of the ledger. A
    `TrainingMark` changes the weight of votes on its clips; the model's configuration names the last mark used.
    checkpoint: a path; where a training was killed, the next call with the same arguments continues it on the same
    votes. BadTrainingCheckpoint where the arguments differ. The caller deletes the file. The rest is as for
    `reward.train.train`; options: lapses and threads.
    """
    if not studies:
        raise Conflict("There is no study yet: nothing to train on.")
    encoders = [get_encoder(key) for key in encoder_keys]
    embed_all([(encoder.key, encoder.revision) for encoder in encoders])
    ledger.catch_up()
    start = _start_of(checkpoint, up_to_seq, weight_by_reliability) or _now(studies, up_to_seq, weight_by_reliability)
    data = from_ledger.training_set(
        studies, start["ledger_seq"], list(map(as_block, encoders)), start["reliability"], start.get("last_mark")
    )
    slugs = [study.slug for study in studies]
    if not len(data.target):
        raise Conflict(f"No usable votes on embedded clips in the studies ({', '.join(slugs)}): nothing to train on.")
    return _train_and_store(
        data,
        encoders,
        name,
        ledger_seq=start["ledger_seq"],
        facts={"studies": slugs, **{name: start.get(name) for name in ("reliability", "last_mark")}},
        blocks=blocks,
        seeds=seeds,
        split=split,
        leave_out=leave_out,
        checkpoint=checkpoint,
        note=start,
        progress=progress,
        **options,
    )


def train_on_export(
    export: str | Path,
    clips: str | Path,
    *,
    encoder_keys: Sequence[str] = scorers.DEFAULT_ENCODERS,
    keep_flagged: bool = False,
    name: str | None = None,
    blocks: Sequence[str] | None = None,
    embedded: Callable[[int], object] | None = None,
    **options: Any,
) -> RewardModel:
    """As train_candidate, on the rows of an `export` of votes or pairs and its folder of clips, of this arena or of
    another. Raises from_export.BadExport; a clip that cannot be embedded is recorded with the reason.

    keep_flagged: also the votes that quality rules flag. embedded: called with the number of clips embedded. options:
    seeds, split, leave_out, lapses, checkpoint, threads and progress, as for train_candidate.
    """
    encoders = [get_encoder(key) for key in encoder_keys]
    data, rows, failed = from_export.training_set(export, clips, encoders, keep_flagged=keep_flagged, progress=embedded)
    if not len(data.target):
        raise Conflict(f"{export}: no usable votes on clips that can be embedded (left out: {data.excluded}).")
    return _train_and_store(
        data,
        encoders,
        name,
        ledger_seq=rows.ledger_seq(),
        facts={
            "studies": sorted(set(data.source.tolist())),
            "export": {"file": Path(export).name, "sha256": rows.sha256, "keep_flagged": keep_flagged},
            "not_embedded": failed,
        },
        blocks=blocks,
        **options,
    )


def _start_of(checkpoint, up_to_seq, weight_by_reliability):
    """The result of `_now` in the training that left this checkpoint; None without one. Where no up_to_seq is asked
    for, the place that the ledger had reached then holds on."""
    from scoring.reward.training_checkpoint import BadTrainingCheckpoint, noted_in

    if not (noted := noted_in(checkpoint)):
        return None
    choices = {
        "up_to_seq": (noted["ledger_seq"], noted["ledger_seq"] if up_to_seq is None else up_to_seq),
        "weight_by_reliability": (bool(noted["reliability"]), weight_by_reliability),
    }
    for choice, (then, now) in choices.items():
        if then != now:
            raise BadTrainingCheckpoint(
                f"{checkpoint}: of a training with {choice} {then}, not {now}; start with the same, or delete it"
            )
    return noted


def _now(studies, up_to_seq, weight_by_reliability):
    """The state of the database that a training depends on and that may change while it runs."""
    seq = ledger.head() if up_to_seq is None else up_to_seq
    last = {
        study.slug: study.reliabilities.filter(ledger_seq__lte=seq).order_by("-pk").values_list("pk", flat=True).first()
        for study in studies
        if weight_by_reliability
    }
    if weight_by_reliability and not any(last.values()):
        raise Conflict("No study has estimates of its raters' reliability yet: train without weights.")
    return {
        "ledger_seq": seq,
        "reliability": {slug: pk for slug, pk in last.items() if pk},
        "last_mark": TrainingMark.objects.order_by("-pk").values_list("pk", flat=True).first(),
    }


def _train_and_store(data, encoders, name, *, ledger_seq, facts, blocks, **options):
    from scoring.reward.train import train

    positional, labels = data.as_arguments()
    features, a, b, target, prompt = positional
    trained = train(
        features,
        a,
        b,
        target,
        prompt,
        **labels,
        blocks={encoder.key: encoder.dimension for encoder in encoders},
        use=blocks,
        **options,
    )
    used = [encoder for encoder in encoders if blocks is None or encoder.key in blocks]
    return store_model(
        trained.head,
        used,
        name or _next_name(encoder.key for encoder in used),
        ledger_seq=ledger_seq,
        config={
            "recipe": f"{RECIPE}, with lapses" if options.get("lapses") else RECIPE,
            **facts,
            "encoders": [encoder.key for encoder in encoders],
            "blocks": [encoder.key for encoder in used],
            "left_out": options.get("leave_out"),
            "split": trained.split,
            "excluded": data.excluded,
            "n_unembedded": data.excluded.get("not_embedded", 0),
            "seed": trained.seed,
            "seeds": trained.seeds,
            "best_epoch": trained.best_epoch,
            "threads": options.get("threads", 1),
            "lapses": options.get("lapses", False),
        },
        metrics={**trained.metrics, "over_seeds": trained.over_seeds},
        history=trained.history,
    )


def store_model(
    head: Any,
    encoders: Sequence[Encoder],
    name: str,
    *,
    ledger_seq: int = 0,
    config: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    history: list[dict[str, Any]] | None = None,
) -> RewardModel:
    """Store a head, which reads the encoders' blocks in their order, as a candidate reward model with its file.

    ledger_seq: the place up to which it may have seen votes; 0 for a head that saw none of this arena's.
    """
    from scoring.reward.head import save_head
    from scoring.reward.scorer import encoder_metadata

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "head.safetensors"
        sha256 = save_head(head, path, encoder_metadata(encoders))
        with path.open("rb") as weights:
            stored = default_storage.save(f"weights/{sha256}.safetensors", File(weights))
    return RewardModel.objects.create(
        name=name,
        encoders=list(map(as_block, encoders)),
        weights=stored,
        sha256=sha256,
        ledger_seq=ledger_seq,
        config=config or {},
        metrics=metrics or {},
        history=history or [],
    )


def _next_name(encoder_keys):
    """A name that no reward model has: the encoders' keys and a number."""
    stem, number = "+".join(encoder_keys), RewardModel.objects.count() + 1
    while RewardModel.objects.filter(name=f"{stem}-{number}").exists():
        number += 1
    return f"{stem}-{number}"
