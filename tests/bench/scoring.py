"""Scoring clips: in batches against one at a time, 100,000 cached ones under a new head, a worker's memory, a swap."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median

ENCODERS = ("clap-music", "mert-330m", "clap-music-text")
WIDTH = 2048
CLIP_SECONDS, CLIP_RATE = 10, 48_000
CACHED = 100_000
SWAPS = 6
SWEEP_EVERY = 3  # seconds, as beat does
PROMPTS = ("calm piano", "driving rock", "a string quartet", "ambient noise")


def run() -> list[dict]:
    """One row per figure: `what`, `of`, `value` and `unit`."""
    import tests.services  # noqa: F401 - starts the databases and sets the environment for the settings

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "arena.settings")
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    rows = []
    with installed(full_size=False):
        rows += compare("tiny networks", n_clips=8, repeats=3)
        rows += rescore()
        rows += swap()
    with installed(full_size=True):
        rows += memory()
        rows += compare("full-size networks", n_clips=4, repeats=2)
    return rows


def row(what, of, value, unit):
    return {"what": what, "of": of, "value": float(f"{value:.3g}"), "unit": unit}


@contextmanager
def installed(full_size):
    """Networks of the published classes with random weights, installed for the block."""
    from tests.casts import tiny_networks

    before = os.environ.get("WEIGHTS_DIR", "")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["WEIGHTS_DIR"] = f"{folder}/weights"
        tiny_networks.install_all(Path(folder, "published"), full_size)
        try:
            yield
        finally:
            os.environ["WEIGHTS_DIR"] = before


# ---- one clip at a time against the scorer ----


def compare(of, n_clips, repeats):
    """The best of `repeats`, taken in turns so that a busy machine is busy for both. On cuda 32 clips at once."""
    import numpy as np
    import torch

    from scoring.reward.encoders import get_encoder
    from scoring.reward.head import RankNetHead
    from scoring.reward.scorer import Scorer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        n_clips, repeats, of = 32, 3, f"{of}, {torch.cuda.get_device_name()}"
    torch.manual_seed(0)
    head, encoders = RankNetHead(WIDTH).to(device), [get_encoder(key) for key in ENCODERS]
    scorer, reference = Scorer(head, encoders), Scorer(head, encoders, may_autocast=False)
    clips = made_up_clips(n_clips)
    one_by_one, at_once = [], []
    flops = flops_of(lambda: reference.score(*(column[:1] for column in clips)))  # and the networks are loaded
    scorer.score(*(column[:2] for column in clips))
    for _ in range(repeats):
        seconds, alone = timed(lambda: [reference.score([x], [r], [p])[0] for x, r, p in zip(*clips, strict=True)])
        one_by_one.append(seconds)
        seconds, together = timed(lambda: scorer.score(*clips))
        at_once.append(seconds)
    found = [
        row("one clip at a time", of, min(one_by_one) / n_clips, "s per clip of 10 s"),
        row(f"scorer, {n_clips} clips", of, min(at_once) / n_clips, "s per clip of 10 s"),
        row("scorer is faster", of, min(one_by_one) / min(at_once), "times"),
        row("largest difference of rewards", of, np.abs(together - alone).max(), "logits"),
    ]
    kind = scorer.autocast or "float32"
    rate, ceiling = flops * n_clips / min(at_once), matrix_ceiling(device, kind)
    return [
        *found,
        row(f"{kind} matrix ceiling reached", of, 100 * rate / ceiling, f"% of {ceiling / 1e12:.3g} TFLOP/s"),
    ]


def made_up_clips(n):
    """Waveforms, sample rates and prompts of n clips: noise over a tone, each its own."""
    import numpy as np

    rng = np.random.default_rng(0)
    t = np.arange(CLIP_SECONDS * CLIP_RATE) / CLIP_RATE
    waves = [
        (0.2 * np.sin(2 * np.pi * (220 + 20 * i) * t) + 0.05 * rng.normal(size=t.size)).astype("f4") for i in range(n)
    ]
    return waves, [CLIP_RATE] * n, [PROMPTS[i % len(PROMPTS)] for i in range(n)]


def timed(work):
    import torch

    began = time.perf_counter()
    result = work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began, result


def flops_of(work):
    """Floating-point operations in matrix products, convolutions and attention; a multiply-add counts as two."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def matrix_ceiling(device, kind):
    """Floating-point operations per second of the best of ten large square matrix products in that type."""
    import torch

    n = 8192 if device == "cuda" else 2048
    a = torch.randn(n, n, device=device, dtype=getattr(torch, kind))
    return 2 * n**3 / min(timed(lambda: a @ a)[0] for _ in range(10))


# ---- cached clips under a new head ----


def rescore():
    """All of it by score_pending, as the worker does: reads, head, writes; then what a sweep costs when idle."""
    import torch

    from scoring.jury.worker import score_pending
    from tests.casts.reward_models import make_live

    seed_cached_clips()
    model = new_model("rescoring")
    make_live(model)
    before, threads = peak_mib(), torch.get_num_threads()
    torch.set_num_threads(2)
    seconds, n = timed(lambda: score_pending(seconds=600))
    torch.set_num_threads(threads)
    assert n == model.rewards.count() == CACHED, n
    idle = [timed(score_pending)[0] for _ in range(5)]
    of = f"{CACHED:,} cached clips, three blocks"
    return [
        row("rescoring under a new head", of, seconds, "s"),
        row("its memory beyond what was there", of, peak_mib() - before, "MiB"),
        row("a sweep with nothing left to do", of, 1000 * median(idle), "ms"),
    ]


def new_model(name):
    from scoring.reward.head import HIDDEN
    from tests.casts.reward_models import make_model

    return make_model(name, hidden=HIDDEN, encoder_keys=ENCODERS)


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def seed_cached_clips():
    """CACHED ready clips with their three embeddings; the clips of other benchmarks have no files to embed."""
    import numpy as np
    from django.db import connection
    from django.utils import timezone

    from arena.models import Clip, Prompt, System
    from scoring.reward.encoders import get_encoder

    Clip.objects.update(status="rejected", reason="Of another benchmark.")
    system, prompt = System.objects.create(name="cached"), Prompt.objects.create(text="cached")
    features = np.random.default_rng(0).normal(size=(1000, WIDTH)).astype("<f4")
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO arena_clip (system_id, prompt_id, sha256, original, filename, seed, tags, licence, status,
                                    reason, created_at, duration_ms, loudness_lufs, codec)
            SELECT %s, %s, n::text, '', '', '', '[]', '', 'ready', '', now(), 10000, -14, ''
            FROM generate_series(1, %s) n RETURNING id
            """,
            [system.pk, prompt.pk, CACHED],
        )
        clips = [clip for (clip,) in cursor.fetchall()]
        columns = "clip_id, encoder, revision, vector, error, created_at, attempts"
        with cursor.copy(f"COPY scoring_embedding ({columns}) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["int8", "varchar", "varchar", "bytea", "text", "timestamptz", "int2"])
            start, now = 0, timezone.now()
            for encoder in map(get_encoder, ENCODERS):
                stop = start + encoder.dimension
                vectors = [vector.tobytes() for vector in features[:, start:stop]]
                for clip in clips:
                    copy.write_row((clip, encoder.key, encoder.revision, vectors[clip % 1000], "", now, 1))
                start = stop
        cursor.execute("ANALYZE arena_clip, scoring_embedding")


# ---- from activate_model to the first reward ----


def swap():
    """A worker of its own process that sweeps every SWEEP_EVERY seconds, as beat makes it; CACHED clips wait."""

    from tests.casts.reward_models import make_live

    models = [new_model(f"swap {number}") for number in range(SWAPS)]
    code = f"while True:\n    score_pending()\n    time.sleep({SWEEP_EVERY})\n"
    with worker("print('ready', flush=True)\n" + code) as process:
        process.stdout.readline()
        waits = []
        for model in models:
            began = time.monotonic()
            make_live(model)
            while not model.rewards.exists():
                time.sleep(0.02)
            waits.append(time.monotonic() - began)
            time.sleep(SWEEP_EVERY / 2 + 0.7)
    of = f"{CACHED:,} cached clips, sweeps every {SWEEP_EVERY} s"
    return [
        row("activate_model to the first reward, median", of, median(waits), "s"),
        row("activate_model to the first reward, worst", of, max(waits), "s"),
    ]


@contextmanager
def worker(code):
    start = "import django, time\ndjango.setup()\nfrom scoring.jury.worker import score_pending\n"
    process = subprocess.Popen([sys.executable, "-c", start + code], stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


# ---- a worker's memory ----

MEASURE = """
import resource, psutil
from scoring.reward.encoders import get_encoder
from scoring.reward.head import RankNetHead
from scoring.reward.scorer import Scorer
from tests.bench import scoring
def rss(): return psutil.Process().memory_info().rss / 2**20
print(rss(), flush=True)
encoders = [get_encoder(key) for key in scoring.ENCODERS]
for encoder in encoders: encoder.network()
print(rss(), flush=True)
Scorer(RankNetHead(scoring.WIDTH), encoders, may_autocast=False).score(*scoring.made_up_clips(4))
print(scoring.peak_mib(), flush=True)
"""


def memory():
    with worker(MEASURE) as process:
        started, loaded, peak = (float(process.stdout.readline()) for _ in range(3))
    of = "full-size networks (515M parameters)"
    return [
        row("a worker's memory before a network", of, started, "MiB"),
        row("with the networks loaded", of, loaded, "MiB"),
        row("at most, while it scores 4 clips of 10 s", of, peak, "MiB"),
    ]
