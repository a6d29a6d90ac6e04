"""Ingest in the foreground, beside running workers: for commands that wait until clips can be served."""

import time
from collections.abc import Collection

from tqdm import tqdm

from arena.models import Clip, Excerpt, Status, Study
from arena.services import cut_excerpt, ingest_clip

from .pools import request_excerpts


def ingest(clips: Collection[int], study: Study) -> None:
    """Measure the clips and cut the excerpts the study needs, sharing the work with any running workers."""
    _work_off(Clip.objects.filter(pk__in=clips), ingest_clip, "ingest")
    request_excerpts(study)
    first = Excerpt.objects.filter(study=study, clip__in=clips, codec=study.codec, n_before=0)
    _work_off(first, cut_excerpt, "excerpts")  # the rest of the pools is for the workers


def _work_off(items, work, what):
    """Do the pending work among `items`; wait for what a worker has claimed."""
    with tqdm(total=items.count(), desc=what, unit="clip") as bar:
        while pending := items.filter(status=Status.PENDING).count():
            bar.update(bar.total - pending - bar.n)
            if (pk := items.claim()) is None:
                time.sleep(0.2)
            else:
                work(pk)
        bar.update((bar.total or bar.n) - bar.n)
