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
NOISES = ("logistic", "flips")
BARE_STEPS, GEMMS, GEMM = 20, 3, 2_048  # after every epoch


def run() -> list[dict]:
    """One row for each reading of 25 % label noise: the reward model's own, and labels flipped whatever the margin,
    with the rate of lapses learnt. Seconds (and of processor time), epochs to early stop; the process's peak memory in
    MiB, features included; milliseconds per step of 32 pairs (of the median epoch, its validation included), as a
    multiple of a bare forward, backward and AdamW of the same head, and the share of the matrix ceiling that it
    reaches, both measured after every epoch, so that a busy machine is busy for all. The accuracy on the test side
    beside what who knows the truth would get, expected and on these very labels; how often the head agrees with the
    preference itself; and the calibration error of the plain sigmoid and as the validation side calibrates it.
    """
    rows = []
    for noise in NOISES:
        command = [sys.executable, "-m", __name__, str(THREADS), noise]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    return rows


def measure(threads: int, noise: str) -> dict:
    import torch

    from scoring.reward.train import train
    from tests.casts.planted import planted

    lapses = noise == "flips"
    data = planted(PAIRS, WIDTH, flips=lapses)
    torch.set_num_threads(threads)
    bare = BareLoop(data.features)
    epochs, bare_ms, ceilings, beside = [], [], [], np.zeros(2)
    at = began = clocks()

    def after_epoch(entry):
        nonlocal at, beside
        ended = clocks()
        epochs.append((ended - at)[0])
        with torch.random.fork_rng(devices=[]):  # what is drawn here is not missed there
            bare_ms.append(bare.step_ms())
            ceilings.append(gemm_gflops())
        at = clocks()
        beside += at - ended

    votes = data.features, data.a, data.b, data.target, data.prompt
    result = train(*votes, lapses=lapses, threads=threads, progress=after_epoch)
    seconds, cpu_seconds = (clocks() - began - beside).tolist()
    test = np.isin(data.prompt, result.split["prompts"]["test"])
    bayes, best = data.bayes(test)
    with torch.no_grad():
        a, b = (result.head(torch.from_numpy(data.features[clips[test]])).numpy() for clips in (data.a, data.b))
    steps = -(-result.split["pairs"]["train"] // 32)
    step_ms = np.array(epochs) * 1000 / steps
    return {
        "pairs": PAIRS,
        "width": WIDTH,
        "noise": noise,
        "threads": threads,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu_seconds, 1),
        "epochs": len(epochs),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "step_ms": round(float(median(step_ms)), 2),
        "of_bare_loop": round(float(median(step_ms / bare_ms)), 2),
        "of_ceiling": round(float(median(step_gflop(result.head) / (step_ms / 1000) / ceilings)), 2),
        "accuracy": round(result.metrics["test"]["accuracy"], 4),
        "bayes": round(bayes, 4),
        "bayes_on_test": round(best["accuracy"], 4),
        "agrees": round(float(np.mean((a > b) == (data.probability[test] > 0.5))), 4),
        "ece": round(result.metrics["test"]["ece"], 4),
        "calibrated_ece": round(result.metrics["test"]["calibrated"]["ece"], 4),
    }


def clocks():
    """Seconds of the wall and of this process's processors."""
    return np.array([time.perf_counter(), time.process_time()])


class BareLoop:
    """Forward, backward and fused AdamW of a head of its own on 64 rows that are already there, and nothing else."""

    def __init__(self, features):
        import torch

        from scoring.reward.head import RankNetHead

        self.head = RankNetHead(features.shape[1])
        self.optimizer = torch.optim.AdamW(self.head.parameters(), lr=1e-4, weight_decay=1e-3, fused=True)
        self.x, self.target = torch.from_numpy(features[:64]), torch.ones(32)

    def step_ms(self) -> float:
        """The mean of a few steps."""
        from torch.nn.functional import binary_cross_entropy_with_logits

        began = time.perf_counter()
        for _ in range(BARE_STEPS):
            rewards = self.head(self.x)
            loss = binary_cross_entropy_with_logits(rewards[:32] - rewards[32:], self.target)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return (time.perf_counter() - began) * 1000 / BARE_STEPS


def step_gflop(head) -> float:
    """Multiplications and additions in the matrices of one step: forward, and backward to weights and inputs, but not
    to the features."""
    widths = [head.input_width, *head.hidden, 1]
    layers = [2 * 64 * i * o for i, o in pairwise(widths)]
    return (3 * sum(layers) - layers[0]) / 1e9


def gemm_gflops() -> float:
    """What the machine's matrix product reaches now, on square float32 matrices."""
    import torch

    a, b = torch.ones(GEMM, GEMM), torch.ones(GEMM, GEMM)
    began = time.perf_counter()
    for _ in range(GEMMS):
        torch.mm(a, b)
    return GEMMS * 2 * GEMM**3 / (time.perf_counter() - began) / 1e9


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), sys.argv[2])))
