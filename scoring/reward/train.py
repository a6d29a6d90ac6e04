"""Train a head on votes: the published TuneJury recipe (arXiv 2606.17006, section 3), top to bottom in one
function.

RankNet loss on reward(a) - reward(b) with soft targets (a tie is 0.5), AdamW, early stopping on validation
loss, and sides split by prompt, so that what is reported was measured on prompts the head never met.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from scoring.reward import metrics
from scoring.reward.head import DROPOUT, HIDDEN, RankNetHead

SIDES = ("train", "validation", "test")


@dataclass(frozen=True)
class Trained:
    """What training leaves behind; all but the head is plain JSON.

    head: the epoch of least validation loss, in eval mode
    metrics: {"validation": ..., "test": ...} as metrics.summarise gives them, every vote counted once
    history: per epoch {epoch, train_loss, train_accuracy, validation_loss, validation_accuracy}; losses in
        nats and weighted, the training ones under dropout; an accuracy is None where every vote is a tie
    best_epoch: the epoch of the head, counted from 1
    split: {by, seed, fractions, prompts {side: [id]}, pairs {side: n}}
    """

    head: RankNetHead
    metrics: dict[str, dict]
    history: list[dict]
    best_epoch: int
    split: dict


def ranknet_loss(margin: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean of w (-t log sigmoid(m) - (1 - t) log sigmoid(-m)), in nats (Burges et al. 2005, equation 3).

    margin, target, weight: float [N]; margin = reward(a) - reward(b).
    """
    return binary_cross_entropy_with_logits(margin, target, weight)


def train(
    features: np.ndarray,
    pairs_a: np.ndarray,
    pairs_b: np.ndarray,
    target: np.ndarray,
    prompt: np.ndarray,
    *,
    weight: np.ndarray | None = None,
    seed: int = 0,
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15),
    hidden: tuple[int, ...] = HIDDEN,
    dropout: float = DROPOUT,
    learning_rate: float = 1e-4,
    weight_decay: float = 1e-3,
    batch_size: int = 32,
    patience: int = 30,
    min_delta: float = 1e-4,
    max_epochs: int = 1000,
    threads: int = 1,
    progress: Callable[[dict], None] | None = None,
) -> Trained:
    """Fit a head to N votes over C clips.

    features: float32 [C, D], one row per clip
    pairs_a, pairs_b: int [N], rows of features
    target: float [N], credit of a (1 a preferred, 0 b preferred, 0.5 a tie)
    prompt: [N] ids; all votes of a prompt fall on one side. weight: float [N] >= 0, default 1
    fractions: shares of the prompts for train, validation and test, at least one prompt each
    progress: called with each epoch's entry of the history
    threads: for torch while it trains; another number sums in another order, which gives another head

    The same input, seed and threads give the same head. Raises ValueError for no pairs, too few prompts, a
    clip under two prompts that fall on different sides, indices out of range, or numbers that are not finite.
    """
    x, a, b, t, w, prompt = _checked(features, pairs_a, pairs_b, target, prompt, weight)
    side = _split_by_prompt(prompt, fractions, seed)
    _assert_no_leak(side, prompt, a, b)
    rows = {name: np.flatnonzero(side == i) for i, name in enumerate(SIDES)}
    for name in ("train", "validation"):
        if not w[rows[name]].sum() > 0:
            raise ValueError(f"all votes of the {name} side have weight 0: nothing to learn from")
    w = w / w[rows["train"]].mean()

    with torch.random.fork_rng(devices=[]), _torch_threads(threads):
        torch.manual_seed(seed)
        shuffle = torch.Generator().manual_seed(seed)
        head = RankNetHead(x.shape[1], hidden, dropout)
        optimizer = torch.optim.AdamW(head.parameters(), lr=learning_rate, weight_decay=weight_decay, fused=True)

        history: list[dict] = []
        best_loss, best_epoch, best_state = float("inf"), 0, deepcopy(head.state_dict())
        for epoch in range(1, max_epochs + 1):
            head.train()
            order = rows["train"][torch.randperm(len(rows["train"]), generator=shuffle).numpy()]
            margins = []
            for start in range(0, len(order), batch_size):
                batch = order[start : start + batch_size]
                margin = _margins(head, x, a[batch], b[batch])
                loss = ranknet_loss(margin, torch.from_numpy(t[batch]), torch.from_numpy(w[batch]))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                margins.append(margin.detach())

            held_out = rows["validation"]
            train_margin, validation_margin = (
                torch.cat(margins).numpy(),
                _predict(head, x, a[held_out], b[held_out]),
            )
            entry = {
                "epoch": epoch,
                "train_loss": metrics.log_loss(train_margin, t[order], w[order]),
                "train_accuracy": metrics.accuracy(train_margin, t[order]),
                "validation_loss": metrics.log_loss(validation_margin, t[held_out], w[held_out]),
                "validation_accuracy": metrics.accuracy(validation_margin, t[held_out]),
            }
            history.append(entry)
            if progress:
                progress(entry)
            if entry["validation_loss"] < best_loss - min_delta:
                best_loss, best_epoch, best_state = (
                    entry["validation_loss"],
                    epoch,
                    deepcopy(head.state_dict()),
                )
            elif epoch - best_epoch >= patience:
                break

    head.load_state_dict(best_state)
    head.eval()
    held_out_metrics = {
        name: metrics.summarise(_predict(head, x, a[rows[name]], b[rows[name]]), t[rows[name]]) for name in SIDES[1:]
    }
    split = {
        "by": "prompt",
        "seed": seed,
        "fractions": list(fractions),
        "prompts": {name: np.unique(prompt[rows[name]]).tolist() for name in SIDES},
        "pairs": {name: len(rows[name]) for name in SIDES},
    }
    return Trained(head, held_out_metrics, history, best_epoch, split)


@contextmanager
def _torch_threads(n: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _margins(head: RankNetHead, x: Tensor, a: np.ndarray, b: np.ndarray) -> Tensor:
    """reward(a) - reward(b), both sides as one batch: batch norm must see winners and losers on the same
    scale.
    """
    rewards = head(x[torch.from_numpy(np.concatenate([a, b]))])
    return rewards[: len(a)] - rewards[len(a) :]


@torch.no_grad()
def _predict(head: RankNetHead, x: Tensor, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Margins in eval mode; each clip goes through the head once, however many votes it has."""
    clips, where = np.unique(np.concatenate([a, b]), return_inverse=True)
    rewards = head.eval()(x[torch.from_numpy(clips)]).numpy()[where]
    return rewards[: len(a)] - rewards[len(a) :]


def _split_by_prompt(prompt: np.ndarray, fractions: tuple[float, float, float], seed: int) -> np.ndarray:
    """Side 0, 1 or 2 of each vote, int [N]; the prompts are shuffled by seed and cut at the fractions."""
    if len(fractions) != 3 or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise ValueError(f"fractions {fractions} must be three positive shares that sum to 1")
    ids, index = np.unique(prompt, return_inverse=True)
    if len(ids) < 3:
        raise ValueError(
            f"the votes cover {len(ids)} prompt(s); train, validation and test need one each, so at least 3: "
            "collect votes on more prompts"
        )
    n_validation, n_test = (max(1, round(len(ids) * fraction)) for fraction in fractions[1:])
    n_train = max(1, len(ids) - n_validation - n_test)
    n_validation = min(n_validation, len(ids) - n_train - 1)
    side_of = np.full(len(ids), 2)
    order = np.random.default_rng(seed).permutation(len(ids))
    side_of[order[:n_train]] = 0
    side_of[order[n_train : n_train + n_validation]] = 1
    return side_of[index]


def _assert_no_leak(side: np.ndarray, prompt: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    """No prompt and no clip on two sides. A prompt there is our bug; a clip there was given under two
    prompts.
    """
    sides_met = set(zip(prompt.tolist(), side.tolist(), strict=True))
    assert len(sides_met) == len(set(prompt.tolist())), "a prompt is on two sides"
    clips = np.unique(np.stack([np.concatenate([a, b]), np.tile(side, 2)]), axis=1)[0]
    if twice := clips[1:][clips[1:] == clips[:-1]].tolist():
        raise ValueError(f"clip {twice[0]} has votes under prompts of different sides: a clip belongs to one prompt")


def _checked(features, pairs_a, pairs_b, target, prompt, weight):
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
