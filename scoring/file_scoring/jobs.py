"""Files that researchers send to be scored: into the database, through a gpu worker, and away again.

The web process stores them and never decodes. The database says what is left to do: a worker claims a job, scores a
batch of its files, and lets go. Then it is the turn of the researcher who was served longest ago. A killed worker's
claim runs out, and the next one finds what is left.
"""

import hashlib
import logging
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import datetime, timedelta
from math import ceil
from pathlib import PurePath
from typing import Any
from uuid import uuid4

from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Count, OuterRef, Q, Subquery
from django.utils import timezone

from arena.refusals import TooMany, Unavailable
from arena.services import local_copy
from scoring.models import RewardModel, ScoreItem, ScoreJob
from scoring.reward.faults import DeviceFailed
from scoring.workers.leases import renewed

FOLDER = "uploads"
LEASE = timedelta(seconds=30)  # renewed while the worker lives
MAX_ATTEMPTS = 3
BATCH = 8  # files between two looks at who else waits
KEEP = timedelta(days=1)
UNFINISHED_EACH = 100  # jobs of one researcher that may wait at once
GAVE_UP = f"Scoring this file ended the worker {MAX_ATTEMPTS} times; it is not tried again."
logger = logging.getLogger(__name__)


# ---- in -----------------------------------------------------------------------------------------------


def check_open(user: Any) -> None:
    """Refuse early what could not be scored, or would fill the disk."""
    if not RewardModel.live():
        raise Unavailable(
            "There is no live reward model. Train one with `manage.py train_reward --activate`, or make one of those "
            "there live with `manage.py activate_model NAME`.",
            code="no_live_model",
        )
    if ScoreJob.objects.filter(user=user, done_at=None).count() >= UNFINISHED_EACH:
        raise TooMany(f"{UNFINISHED_EACH} of your jobs wait already: fetch those first.", retry_after_s=30)


def submit(user: Any, prompt: str, uploads: Iterable[Any]) -> ScoreJob:
    """Store the uploaded files as a job. A file whose row never comes is erased later."""
    items = [
        ScoreItem(position=number, filename=upload.name[:255], sha256=_sha256(upload), file=_store(upload))
        for number, upload in enumerate(uploads)
    ]
    with transaction.atomic():
        job = ScoreJob.objects.create(user=user, prompt=prompt, created_at=timezone.now())
        for item in items:
            item.job = job
        ScoreItem.objects.bulk_create(items)
    return job


def _sha256(upload):
    sha256 = hashlib.sha256()
    for chunk in upload.chunks():
        sha256.update(chunk)
    return sha256.hexdigest()


def _store(upload):
    return default_storage.save(f"{FOLDER}/{uuid4().hex}{PurePath(upload.name).suffix.lower()[:10]}", upload)


def ahead_of(job: ScoreJob) -> int:
    """How many turns, of BATCH files of one job each, are taken before the one that ends this job, at most: those that
    its owner's older jobs and itself still need, and as many of everybody else's, if they need so many. A job that is
    scored now counts. Not foreseen are attempts that come to nothing, and researchers who are yet to send something.
    """
    waiting = Count("items", Q(items__reward=None, items__error=""))
    jobs = ScoreJob.objects.filter(done_at=None).order_by().annotate(n=waiting)
    mine = 0
    theirs: Counter[int] = Counter()
    for pk, user, created_at, n in jobs.values_list("pk", "user", "created_at", "n"):
        turns = max(1, ceil(n / BATCH))
        if user != job.user_id:
            theirs[user] += turns
        elif pk == job.pk or created_at < job.created_at:
            mine += turns
    return max(mine - 1, 0) + sum(min(turns, mine) for turns in theirs.values())


# ---- through ------------------------------------------------------------------------------------------


def work_off(seconds: float = 20) -> int:
    """Score what waits, in turns, for about `seconds`. Returns how many files have an outcome now. Raises
    DeviceFailed: this process can score no more; the claim on the job runs out, and counts as an attempt."""
    deadline, n = time.monotonic() + seconds, 0
    while time.monotonic() < deadline and (job := claim()):
        n += score_some(job)
    return n


def claim() -> ScoreJob | None:
    """A job that waits and is free, ours until the lease runs out, with the model that is to score all of its files;
    None where there is none. Of the researchers with such a job the one served longest ago has the turn, with the
    oldest of theirs. Nobody waits on a lock.
    """
    live, now = RewardModel.live(), timezone.now()
    if not live:
        return None
    with transaction.atomic():
        job = _in_turn(_free(now)).select_for_update(no_key=True, skip_locked=True, of=("self",)).first()
        if job:
            job.claimed_until, job.served_at, job.attempts = now + LEASE, now, job.attempts + 1
            job.reward_model = job.reward_model or live
            job.save(update_fields=["claimed_until", "served_at", "attempts", "reward_model"])
    return job


def _in_turn(jobs):
    served = ScoreJob.objects.filter(user=OuterRef("user"), served_at__isnull=False).order_by("-served_at")
    owner_served_at = Subquery(served.values("served_at")[:1])
    return jobs.order_by(owner_served_at.asc(nulls_first=True), "created_at")


def are_waiting() -> bool:
    """Whether a worker could claim a job now: somebody waits, so work that can wait should make room."""
    return RewardModel.live() is not None and _free(timezone.now()).exists()


def _free(now):
    return ScoreJob.objects.filter(Q(claimed_until=None) | Q(claimed_until__lt=now), done_at=None)


def score_some(job: ScoreJob) -> int:
    """Score a batch of a claimed job's files and let go of it. Returns how many have an outcome now.

    After an attempt that came to nothing the files are taken one by one, so that one that ends its worker takes no
    other along. Where nothing could be done the claim stays until it runs out: a pause before the next attempt.
    """
    waiting = list(job.items.filter(reward=None, error=""))
    taken = waiting[: 1 if job.attempts > 1 else BATCH]
    if job.attempts > MAX_ATTEMPTS:
        outcomes = [(taken[0], None, GAVE_UP)] if taken else []
    else:
        with _held(job):
            outcomes = _score(job, taken, waiting)
    for item, reward, error in outcomes:
        _keep(item, reward, error)
    if len(outcomes) == len(waiting):
        ScoreJob.objects.filter(pk=job.pk, done_at=None).update(done_at=timezone.now(), claimed_until=None)
    elif outcomes:
        ScoreJob.objects.filter(pk=job.pk).update(claimed_until=None, attempts=0)
    return len(outcomes)


def _score(job, taken, waiting):
    """[(item, reward, error)] of those that have an outcome. The last attempt takes the machine's fault for one."""
    from .score import score_files

    is_last = job.attempts >= MAX_ATTEMPTS
    try:
        with ExitStack() as copies:
            files = [(copies.enter_context(local_copy(item.file)), job.prompt) for item in taken]
            scored = list(score_files(files, job.reward_model))
    except DeviceFailed:
        raise
    except Exception as failure:  # the model cannot be loaded, or the storage not be read: no file's fault
        logger.exception("%s cannot be scored under %s", job, job.reward_model)
        reason = f"It could not be scored under {job.reward_model}: {failure}"[:500]
        return [(item, None, reason) for item in waiting] if is_last else []
    return [(item, one.reward, one.error) for item, one in zip(taken, scored, strict=True) if is_last or not one.again]


def _held(job):
    """Keep the job claimed as long as this process lives."""
    jobs = ScoreJob.objects.filter(pk=job.pk)
    return renewed(lambda: bool(jobs.update(claimed_until=timezone.now() + LEASE)), LEASE)


def _keep(item, reward, error):
    """Write the outcome down, unless another worker was first, and erase the file."""
    ScoreItem.objects.filter(pk=item.pk, reward=None, error="").update(reward=reward, error=error)
    _erase_file(item)


# ---- away ---------------------------------------------------------------------------------------------


def erase(now: datetime | None = None) -> int:
    """Delete jobs a day after they were done, and every file that no waiting item needs. Returns how many jobs."""
    now = now or timezone.now()
    for item in ScoreItem.objects.exclude(file="").exclude(reward=None, error=""):
        _erase_file(item)
    _, deleted = ScoreJob.objects.filter(done_at__lt=now - KEEP).delete()
    if default_storage.exists(FOLDER):
        _erase_orphans(now)
    return deleted.get(ScoreJob._meta.label, 0)


def _erase_orphans(now):
    """Files of requests that ended before their job was written down, or of researchers who are gone."""
    for name in default_storage.listdir(FOLDER)[1]:
        path = f"{FOLDER}/{name}"
        is_old = default_storage.get_modified_time(path) < now - KEEP
        if is_old and not ScoreItem.objects.filter(file=path).exists():
            default_storage.delete(path)


def _erase_file(item):
    item.file.storage.delete(item.file.name)
    ScoreItem.objects.filter(pk=item.pk).update(file="")
