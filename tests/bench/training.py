"""Training at full size, in a process of its own: to early stop, on a planted preference, against a bare loop."""

import json
import resource
import subprocess
import sys
import time
from itertools import pairwise
from statistics import median

import numpy as np

PAIRS, WIDTH = 17_500, 2_048
THREADS = 2
BARE_STEPS, GEMM = 60, 2_048


def run() -> list[dict]:
    """One row: seconds and epochs to early stop; the process's peak memory in MiB, features included; milliseconds per
    step of 32 pairs (of the median epoch, its validation included), and as a multiple of a bare forward, backward and
    AdamW of the same head, timed before and after; the share of the measured matrix ceiling; and the accuracy on the
    test side beside what who knows the truth would get, expected and on these very labels.
    """
    command = [sys.executable, "-m", __name__, str(THREADS)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return [json.loads(done.stdout.splitlines()[-1])]


def measure(threads: int) -> dict:
    import torch

    from scoring.reward.train import train
    from tests.planted import planted

    data = planted(PAIRS, WIDTH)
    torch.set_num_threads(threads)
    bare = [bare_step_ms(data.features)]
    ceiling = gemm_gflops()
    began = time.perf_counter()
    ends = []
    result = train(
        data.features, data.a, data.b, data.target, data.prompt,
        threads=threads, progress=lambda entry: ends.append(time.perf_counter()),
    )  # fmt: skip
    seconds = time.perf_counter() - began
    bare.append(bare_step_ms(data.features))
    test = np.isin(data.prompt, result.split["prompts"]["test"])
    bayes, best = data.bayes(test)
    steps = -(-result.split["pairs"]["train"] // 32)
    step_ms = median(np.diff([began, *ends])) * 1000 / steps
    return {
        "pairs": PAIRS,
        "width": WIDTH,
        "threads": threads,
        "seconds": round(seconds, 1),
        "epochs": len(result.history),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "step_ms": round(step_ms, 2),
        "bare_step_ms": round(sum(bare) / 2, 2),
        "ratio": round(step_ms / (sum(bare) / 2), 2),
        "of_ceiling": round(step_gflop(result.head) / (step_ms / 1000) / ceiling, 2),
        "accuracy": round(result.metrics["test"]["accuracy"], 4),
        "bayes": round(bayes, 4),
        "bayes_on_test": round(best["accuracy"], 4),
        "ece": round(result.metrics["test"]["ece"], 4),
    }


def bare_step_ms(features) -> float:
    """Median milliseconds of forward, backward and fused AdamW on 64 rows that are already there."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    from scoring.reward.head import RankNetHead

    head = RankNetHead(features.shape[1])
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-4, weight_decay=1e-3, fused=True)
    x, target = torch.from_numpy(features[:64]), torch.ones(32)
    times = []
    for _ in range(BARE_STEPS):
        began = time.perf_counter()
        rewards = head(x)
        loss = binary_cross_entropy_with_logits(rewards[:32] - rewards[32:], target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        times.append(time.perf_counter() - began)
    return median(times[5:]) * 1000


def step_gflop(head) -> float:
    """Multiplications and additions in the matrices of one step: forward, and backward to weights and inputs, but not
    to the features."""
    widths = [head.input_width, *head.hidden, 1]
    layers = [2 * 64 * i * o for i, o in pairwise(widths)]
    return (3 * sum(layers) - layers[0]) / 1e9


def gemm_gflops() -> float:
    """What the machine's matrix product reaches now, on square float32 matrices."""
    import torch

    a, b = torch.randn(GEMM, GEMM), torch.randn(GEMM, GEMM)
    times = []
    for _ in range(6):
        began = time.perf_counter()
        torch.mm(a, b)
        times.append(time.perf_counter() - began)
    return 2 * GEMM**3 / median(times[1:]) / 1e9


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
