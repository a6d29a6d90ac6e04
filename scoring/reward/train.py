"""Train a head on votes: the published TuneJury recipe (arXiv 2606.17006, section 3), top to bottom in one
function.

RankNet loss on reward(a) - reward(b) with soft targets (a tie is 0.5), AdamW, early stopping on validation loss, and
sides that share nothing a split keeps apart (see splits), so that what is reported was measured on what the head never
met. Not published: the loss for raters who sometimes toss a coin (see loss.LapsingRankNet), which is a choice.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from scoring.metrics import preference
from scoring.metrics.lapses import Lapses, calibrate, calibrated_loss, log_odds
from scoring.reward import splits, training_checkpoint
from scoring.reward.head import DROPOUT, HIDDEN, RankNetHead
from scoring.reward.loss import STEP, LapsingRankNet, ranknet_loss
from scoring.reward.splits import SIDES, Labels

LEARNING_RATE, WITH_LAPSES = 1e-4, 3e-5  # as published; smaller steps make a smoother reward
ROWS = 4096  # clips that are rewarded at once
COMPARED = ("accuracy", "ece", "log_loss")  # over seeds


@dataclass(frozen=True)
class Trained:
    """What training leaves behind; all but the head is plain JSON.

    head: of the seed and the epoch of least validation loss, in eval mode
    metrics: {side: metrics.report} of that head, every vote counted once, whatever its weight; for the training side
        metrics.summarise. Beside it `calibrated`: what lapses.calibrate made of the validation side {rate, temperature,
        n}, and ece and log_loss of the probabilities that it gives this side; None where it made nothing
    history: per seed and epoch {seed, epoch, train_loss, train_accuracy, validation_loss, validation_accuracy},
        and with lapses the rate that the loss had learnt by its end, which is too low where the head knows votes by
        heart; losses in nats and weighted, the training ones under dropout, the validation ones with lapses
        lapses.calibrated_loss; an accuracy is None where every vote is a tie
    seed, best_epoch: those of the head; epochs count from 1
    seeds: per seed {seed, epochs, best_epoch, metrics {side: metrics.summarise}}
    over_seeds: {side: {accuracy, ece, log_loss: {mean, sd}}}; sd is None for one seed; None where nothing was decided
    split: what splits.cut records
    """

    head: RankNetHead
    metrics: dict[str, dict[str, Any]]
    history: list[dict[str, Any]]
    seed: int
    best_epoch: int
    seeds: list[dict[str, Any]]
    over_seeds: dict[str, dict[str, Any]]
    split: dict[str, Any]


def train(
    features: np.ndarray,
    pairs_a: np.ndarray,
    pairs_b: np.ndarray,
    target: np.ndarray,
    prompt: np.ndarray,
    *,
    rater: np.ndarray | None = None,
    systems: tuple[np.ndarray, np.ndarray] | None = None,
    source: np.ndarray | None = None,
    time: np.ndarray | None = None,
    weight: np.ndarray | None = None,
    split: str = "prompt",
    leave_out: str | None = None,
    blocks: Mapping[str, int] | None = None,
    use: Sequence[str] | None = None,
    seeds: Sequence[int] = (0,),
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    hidden: Sequence[int] = HIDDEN,
    dropout: float = DROPOUT,
    learning_rate: float | None = None,
    weight_decay: float = 1e-3,
    batch_size: int = 32,
    lapses: bool = False,
    patience: int = 30,
    min_delta: float = 1e-4,
    max_epochs: int = 1000,
    threads: int = 1,
    checkpoint: str | os.PathLike[str] | None = None,
    note: dict[str, Any] | None = None,
    progress: Callable[[dict[str, Any]], object] | None = None,
) -> Trained:
    """Fit a head to N votes over C clips, once per seed, and keep the one of least validation loss.

    features: float32 [C, D], one row per clip; not copied where it is contiguous and all of it is used
    pairs_a, pairs_b: int [N], rows of features
    target: float [N], credit of a (1 a preferred, 0 b preferred, 0.5 a tie). weight: float [N] >= 0, default 1
    prompt, rater, systems (of a, of b), source, time: [N] labels for the split and for accuracy by group
    split: one of splits.SPLITS, cut by the first seed at `fractions` (published: 17,554, 2,111 and 2,135
        pairs); the same for all seeds
    leave_out: a source that only tests; the others train and validate
    blocks, use: widths of the encoders' blocks of columns by name, in their order, and the names of those that the head
        is to read; default all. The head is as wide as they are together
    batch_size: pairs; a single one that is left at the end of an epoch joins the batch before it
    learning_rate: default as published, or less with lapses
    lapses: learn with the head what share of the votes follow no preference, and do not bend the reward to them
    threads: for torch while it trains; another number sums in another order, which gives another head. Two are faster
        where two cores are idle, and many times slower where they are not: each waits for the other after every layer
    checkpoint: a file written after every epoch. Where it is there, training goes on from it, and ends with the head
        that it would have ended with uninterrupted. The file is left there
    note: plain JSON that the checkpoint is to carry, for `noted_in`
    progress: called with each epoch's entry of the history, those of a checkpoint included

    The same input, seeds and threads give the same head. Raises ValueError for no pairs, for labels that the split
    needs and does not have, indices out of range, or numbers that are not finite;
    training_checkpoint.BadTrainingCheckpoint for a checkpoint of other data or settings.
    """
    x, a, b, t, w, prompt = _checked(features, pairs_a, pairs_b, target, prompt, weight)
    x = _used_blocks(x, blocks, use)
    if learning_rate is None:
        learning_rate = WITH_LAPSES if lapses else LEARNING_RATE
    seeds = [int(seed) for seed in seeds]
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds {seeds} must be one or more different numbers")
    system_a, system_b = systems or (None, None)
    labels = Labels(a, b, prompt, rater, system_a, system_b, source, time)
    side, split_facts = splits.cut(labels, split, fractions=fractions, seed=seeds[0], leave_out=leave_out)
    rows = {name: np.flatnonzero(side == i) for i, name in enumerate(SIDES)}
    for name in ("train", "validation"):
        if not w[rows[name]].sum() > 0:
            raise ValueError(f"all votes of the {name} side have weight 0: nothing to learn from")
    w = w / w[rows["train"]].mean()

    runs: list[dict[str, Any]] = []  # of the seeds that are done: {seed, epochs, best_epoch, history, metrics}
    winner: dict[str, Any] | None = None  # {seed, best_epoch, best_loss, best_state} of the best of them
    at: dict[str, Any] | None = None  # the seed that a checkpoint was in the middle of
    if checkpoint is not None:
        settings = [seeds, list(hidden), dropout, learning_rate, weight_decay, batch_size, lapses, patience, min_delta]
        settings.append(threads)
        fingerprint = training_checkpoint.fingerprint_of([x.numpy(), a, b, t, w, side], settings)
        if Path(checkpoint).exists():
            runs, winner, at = training_checkpoint.read(checkpoint, fingerprint)
            if progress:
                for run in [*runs, at] if at else runs:
                    for earlier_entry in run["history"]:
                        progress(earlier_entry)

    with torch.random.fork_rng(devices=[]), _torch_threads(threads):
        for seed in seeds[len(runs) :]:
            torch.manual_seed(seed)
            shuffle = torch.Generator().manual_seed(seed)
            head = RankNetHead(x.shape[1], hidden, dropout)
            learnt: list[dict[str, Any]] = [{"params": head.parameters()}]
            tosses = LapsingRankNet() if lapses else None
            if tosses:
                learnt.append({"params": tosses.parameters(), "lr": STEP, "weight_decay": 0.0})
            optimizer = torch.optim.AdamW(learnt, lr=learning_rate, weight_decay=weight_decay, fused=True)
            history: list[dict[str, Any]] = []
            best_loss: float = float("inf")
            best_epoch, best_state = 0, deepcopy(head.state_dict())
            if at:
                head.load_state_dict(at["head"])
                if tosses:
                    tosses.load_state_dict(at["tosses"])
                optimizer.load_state_dict(at["optimizer"])
                torch.set_rng_state(at["dropout_rng"])
                shuffle.set_state(at["shuffle_rng"])
                history, best_loss, best_epoch, best_state = (
                    at[name] for name in ("history", "best_loss", "best_epoch", "best_state")
                )
                at = None

            while len(history) < max_epochs and len(history) - best_epoch < patience:
                head.train()
                order = rows["train"][torch.randperm(len(rows["train"]), generator=shuffle).numpy()]
                margins = []
                for batch in _batches(order, batch_size):
                    margin = _margins(head, x, a[batch], b[batch])
                    loss = (tosses or ranknet_loss)(margin, torch.from_numpy(t[batch]), torch.from_numpy(w[batch]))
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    margins.append(margin.detach())

                held_out = rows["validation"]
                train_margin = torch.cat(margins).numpy()
                validation_margin = _predict(head, x, a[held_out], b[held_out])
                # Calibrated: with the rate that is learnt, a head would look better for being sharper alone, long after
                # it began to order the clips worse.
                validation_loss = calibrated_loss if tosses else preference.log_loss
                rate = tosses.rate if tosses else 0.0
                entry: dict[str, Any] = {
                    "seed": seed,
                    "epoch": len(history) + 1,
                    "train_loss": preference.log_loss(log_odds(train_margin, rate), t[order], w[order]),
                    "train_accuracy": preference.accuracy(train_margin, t[order]),
                    "validation_loss": validation_loss(validation_margin, t[held_out], w[held_out]),
                    "validation_accuracy": preference.accuracy(validation_margin, t[held_out]),
                    **({"rate": rate} if tosses else {}),
                }
                history.append(entry)
                if entry["validation_loss"] < best_loss - min_delta:
                    best_loss, best_epoch = entry["validation_loss"], entry["epoch"]
                    best_state = deepcopy(head.state_dict())
                if checkpoint is not None:
                    at_this_epoch = {
                        "seed": seed,
                        "head": head.state_dict(),
                        "tosses": tosses and tosses.state_dict(),
                        "optimizer": optimizer.state_dict(),
                        "dropout_rng": torch.get_rng_state(),
                        "shuffle_rng": shuffle.get_state(),
                        "history": history,
                        "best_loss": best_loss,
                        "best_epoch": best_epoch,
                        "best_state": best_state,
                    }
                    training_checkpoint.write(checkpoint, fingerprint, note, runs, winner, at_this_epoch)
                if progress:
                    progress(entry)

            head.load_state_dict(best_state)
            margin_of = {name: _predict(head, x, a[of_side], b[of_side]) for name, of_side in rows.items()}
            runs.append(
                {
                    "seed": seed,
                    "epochs": len(history),
                    "best_epoch": best_epoch,
                    "history": history,
                    "metrics": {
                        name: preference.summarise(margin, t[rows[name]]) for name, margin in margin_of.items()
                    },
                }
            )
            if winner is None or best_loss < winner["best_loss"]:
                winner = {"seed": seed, "best_epoch": best_epoch, "best_loss": best_loss, "best_state": best_state}
            if checkpoint is not None:
                training_checkpoint.write(checkpoint, fingerprint, note, runs, winner, None)

        head = RankNetHead(x.shape[1], hidden, dropout)
        assert winner, "there is a seed at least"
        head.load_state_dict(winner["best_state"])
        margin_of = {name: _predict(head, x, a[rows[name]], b[rows[name]]) for name in SIDES if name != "train"}
        calibration = calibrate(margin_of["validation"], t[rows["validation"]])
        held_out_metrics = {
            name: {
                **preference.report(
                    margin,
                    t[rows[name]],
                    source=None if labels.source is None else labels.source[rows[name]],
                    systems=None
                    if labels.system_a is None or labels.system_b is None
                    else (labels.system_a[rows[name]], labels.system_b[rows[name]]),
                ),
                "calibrated": calibration and _as_calibrated(calibration, margin, t[rows[name]]),
            }
            for name, margin in margin_of.items()
        }
    of_winner = next(run for run in runs if run["seed"] == winner["seed"])
    return Trained(
        head=head.eval(),
        metrics={"train": of_winner["metrics"]["train"], **held_out_metrics},
        history=[entry for run in runs for entry in run["history"]],
        seed=winner["seed"],
        best_epoch=winner["best_epoch"],
        seeds=[{name: run[name] for name in ("seed", "epochs", "best_epoch", "metrics")} for run in runs],
        over_seeds={
            name: {figure: _mean_and_sd([run["metrics"][name][figure] for run in runs]) for figure in COMPARED}
            for name in SIDES
        },
        split=split_facts,
    )


@contextmanager
def _torch_threads(n: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _batches(order: np.ndarray, size: int) -> list[np.ndarray]:
    """The order cut at every `size` pairs, but not before a last pair: alone, it would be two rows to batch norm, which
    makes one of them +1 and the other -1 of any feature, whatever the clips.
    """
    cuts = range(size, len(order) - (size > 1), size)
    return np.split(order, cuts)


def _margins(head: RankNetHead, x: Tensor, a: np.ndarray, b: np.ndarray) -> Tensor:
    """reward(a) - reward(b), both sides as one batch: batch norm must see winners and losers on the same
    scale.
    """
    rewards = head(x[torch.from_numpy(np.concatenate([a, b]))])
    return rewards[: len(a)] - rewards[len(a) :]


@torch.no_grad()
def _predict(head: RankNetHead, x: Tensor, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Margins in eval mode; each clip goes through the head once, however many votes it has."""
    head.eval()
    clips, where = np.unique(np.concatenate([a, b]), return_inverse=True)
    rewards = torch.cat([head(x[chunk]) for chunk in torch.from_numpy(clips).split(ROWS)]).numpy()[where]
    return rewards[: len(a)] - rewards[len(a) :]


def _as_calibrated(calibration: Lapses, margin: np.ndarray, target: np.ndarray) -> dict[str, float | int | None]:
    calibrated = calibration.log_odds(margin)
    return {
        **asdict(calibration),
        "ece": preference.expected_calibration_error(calibrated, target),
        "log_loss": preference.log_loss(calibrated, target),
    }


def _mean_and_sd(values: list[float | None]) -> dict[str, float | None]:
    """Of the seeds' values, which are all there or all None: every seed is judged on the same votes."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return {"mean": None, "sd": None}
    return {"mean": float(np.mean(known)), "sd": float(np.std(known, ddof=1)) if len(known) > 1 else None}


# ---- the input ----------------------------------------------------------------------------------------


def _used_blocks(x: Tensor, blocks: Mapping[str, int] | None, use: Sequence[str] | None) -> Tensor:
    """The columns of the blocks named in `use`, in the order of `blocks`."""
    if use is None:
        return x
    if blocks is None or sum(blocks.values()) != x.shape[1]:
        raise ValueError(f"blocks {blocks and dict(blocks)} do not add up to the {x.shape[1]} columns of features")
    if not use or set(use) - blocks.keys():
        raise ValueError(f"the blocks to use are {', '.join(use) or 'none'}; name some of: {', '.join(blocks)}")
    columns = [block for name, block in zip(blocks, x.split(list(blocks.values()), dim=1), strict=True) if name in use]
    return torch.cat(columns, dim=1)


def _checked(
    features: ArrayLike,
    pairs_a: ArrayLike,
    pairs_b: ArrayLike,
    target: ArrayLike,
    prompt: ArrayLike,
    weight: ArrayLike | None,
) -> tuple[Tensor, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    x = np.ascontiguousarray(features, dtype=np.float32)
    a, b = np.asarray(pairs_a), np.asarray(pairs_b)
    t, prompt = np.asarray(target, dtype=np.float32), np.asarray(prompt)
    w = np.ones(t.shape, dtype=np.float32) if weight is None else np.asarray(weight, dtype=np.float32)
    if x.ndim != 2:
        raise ValueError(f"features have shape {list(x.shape)}, expected [clips, width]")
    if a.ndim != 1 or not a.shape == b.shape == t.shape == prompt.shape == w.shape:
        raise ValueError("pairs_a, pairs_b, target, prompt and weight must be [N], with the same N")
    if not a.size:
        raise ValueError("no pairs to train on: collect or import votes first")
    if a.dtype.kind not in "iu" or b.dtype.kind not in "iu":
        raise ValueError(f"pairs_a and pairs_b must be integer rows of features, not {a.dtype} and {b.dtype}")
    if min(a.min(), b.min()) < 0 or max(a.max(), b.max()) >= len(x):
        raise ValueError(f"a pair names a clip outside the {len(x)} rows of features")
    if not np.isfinite(x).all():
        raise ValueError(f"features of clip {int(np.argmin(np.isfinite(x).all(axis=1)))} hold NaN or infinite values")
    if not ((t >= 0) & (t <= 1)).all():
        raise ValueError("a target lies outside [0, 1]: it is the credit of a, 1 for a win, 0.5 for a tie")
    if not (np.isfinite(w) & (w >= 0)).all():
        raise ValueError("a weight is negative or not finite")
    return torch.from_numpy(x), a.astype(np.int64), b.astype(np.int64), t, w, prompt
