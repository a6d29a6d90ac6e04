"""Files that researchers send to be scored: they are stored, scored by a gpu worker, and erased.

The web process stores them and never decodes. The database says what is left to do: a worker claims a job, scores a
batch of its files, and releases the claim. The next turn goes to the researcher who was served longest ago. The claim
of a killed worker expires, and another worker scores the rest.
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

from arena.disk import check_room_for_files
from arena.refusals import NotFound, TooMany, Unavailable
from arena.services import local_copy
from scoring.jury import hearing, scorers
from scoring.models import RewardModel, ScoreItem, ScoreJob
from scoring.registry.live import find_model
from scoring.reward.faults import DeviceFailed
from scoring.workers.leases import renewed

FOLDER = "uploads"
LEASE = timedelta(seconds=30)  # renewed while the worker lives
MAX_ATTEMPTS = 3
BATCH = 8  # files that are scored in one turn
KEEP = timedelta(days=1)
LONGEST_ERROR = 500  # characters
UNFINISHED_EACH = 100  # jobs that one researcher may have waiting
GAVE_UP = f"Scoring this file ended the worker {MAX_ATTEMPTS} times; it is not tried again."
logger = logging.getLogger(__name__)


# ---- storing ------------------------------------------------------------------------------------------


def check_open(user: Any) -> None:
    """Refuse a job that could not be scored, or would fill the disk, before its files are stored. Raises Unavailable
    and TooMany."""
    check_room_for_files()
    try:
        find_model()
    except NotFound as missing:
        raise Unavailable(missing.message, code="no_live_model") from missing
    if ScoreJob.objects.filter(user=user, done_at=None).count() >= UNFINISHED_EACH:
        raise TooMany(
            f"You already have {UNFINISHED_EACH} jobs waiting: wait until some of them are done.", retry_after_s=30
        )


def submit(user: Any, prompt: str, uploads: Iterable[Any]) -> ScoreJob:
    """Store the uploaded files as a job: all of them, or none. What is left where this process is killed is erased
    later."""
    items: list[ScoreItem] = []
    stored: list[str] = []
    try:
        for number, upload in enumerate(uploads):
            sha256 = _sha256(upload)
            stored.append(_store(upload))
            items.append(ScoreItem(position=number, filename=upload.name[:255], sha256=sha256, file=stored[-1]))
        with transaction.atomic():
            job = ScoreJob.objects.create(user=user, prompt=prompt, created_at=timezone.now())
            for item in items:
                item.job = job
            ScoreItem.objects.bulk_create(items)
    except Exception:  # no space, no database
        for name in stored:
            default_storage.delete(name)
        raise
    return job


def _sha256(upload):
    sha256 = hashlib.sha256()
    for chunk in upload.chunks():
        sha256.update(chunk)
    return sha256.hexdigest()


def _store(upload):
    return default_storage.save(f"{FOLDER}/{uuid4().hex}{PurePath(upload.name).suffix.lower()[:10]}", upload)


def ahead_of(job: ScoreJob) -> int:
    """An upper limit for the number of turns, of BATCH files of one job each, before the turn that completes this job:
    the turns that its owner's older jobs and itself still need, and at most as many for each other researcher. A job
    that is being scored counts. Failed attempts, and jobs that are sent later, are not foreseen.
    """
    waiting = Count("items", Q(items__reward=None, items__error=""))
    jobs = ScoreJob.objects.filter(done_at=None).order_by().annotate(n=waiting)
    owner_turns = 0
    other_turns: Counter[int] = Counter()
    for pk, user, created_at, n in jobs.values_list("pk", "user", "created_at", "n"):
        turns = max(1, ceil(n / BATCH))
        if user != job.user_id:
            other_turns[user] += turns
        elif pk == job.pk or created_at < job.created_at:
            owner_turns += turns
    return max(owner_turns - 1, 0) + sum(min(turns, owner_turns) for turns in other_turns.values())


# ---- scoring ------------------------------------------------------------------------------------------


def work_off(seconds: float = 20) -> int:
    """Score waiting files, in turns, for about `seconds`. Returns how many files got an outcome. Raises DeviceFailed:
    this process can score no more; the claim on the job expires, and counts as an attempt."""
    deadline, n = time.monotonic() + seconds, 0
    while time.monotonic() < deadline and (job := claim()):
        n += score_some(job)
    return n


def claim() -> ScoreJob | None:
    """Claim a waiting job until the lease expires, and set the model that is to score all of its files. None where no
    job is free. Among the researchers with a free job, it is the turn of the one served longest ago, and of their
    oldest job. Never waits for a lock.
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
    """Whether a worker could claim a job now. Work that is less urgent should then make room."""
    return RewardModel.live() is not None and _free(timezone.now()).exists()


def _free(now):
    return ScoreJob.objects.filter(Q(claimed_until=None) | Q(claimed_until__lt=now), done_at=None)


def score_some(job: ScoreJob) -> int:
    """Score a batch of a claimed job's files and release the claim. Returns how many files got an outcome.

    After an attempt without any outcome the files are scored one by one, so that a file that ends its worker affects no
    other. Where no file got an outcome the claim stays until it expires: a pause before the next attempt.
    """
    waiting = list(job.items.filter(reward=None, error=""))
    batch = waiting[: 1 if job.attempts > 1 else BATCH]
    if job.attempts > MAX_ATTEMPTS:
        outcomes = [(batch[0], None, GAVE_UP)] if batch else []
    else:
        with _claim_renewed(job):
            outcomes = _score(job, batch, waiting)
    for item, reward, error in outcomes:
        _write(item, reward, error)
    if len(outcomes) == len(waiting):
        ScoreJob.objects.filter(pk=job.pk, done_at=None).update(done_at=timezone.now(), claimed_until=None)
    elif outcomes:
        ScoreJob.objects.filter(pk=job.pk).update(claimed_until=None, attempts=0)
    return len(outcomes)


def _score(job, batch, waiting):
    """[(item, reward, error)] of the items that get an outcome. In the last attempt the machine's fault is one, too."""
    is_last = job.attempts >= MAX_ATTEMPTS
    try:
        scorer = scorers.load_scorer(job.reward_model.pk)
        with ExitStack() as copies:
            files = [(copies.enter_context(local_copy(item.file)), job.prompt) for item in batch]
            rewards = list(hearing.rewards_of_files(scorer, files))
    except DeviceFailed:
        raise
    except Exception as failure:  # the model cannot be loaded, or the storage cannot be read: no file is at fault
        logger.exception("%s cannot be scored under %s", job, job.reward_model)
        reason = f"It could not be scored under {job.reward_model}: {failure}"
        return [(item, None, reason) for item in waiting] if is_last else []
    outcomes: list[tuple[ScoreItem, float | None, str]] = []
    for item, reward in zip(batch, rewards, strict=True):
        if not isinstance(reward, hearing.NoReward):
            outcomes.append((item, reward, ""))
        elif is_last or not reward.machines_fault:
            outcomes.append((item, None, reward.reason))
    return outcomes


def _claim_renewed(job):
    """Keep the job claimed as long as the block runs and this process lives."""
    jobs = ScoreJob.objects.filter(pk=job.pk)
    return renewed(lambda: bool(jobs.update(claimed_until=timezone.now() + LEASE)), LEASE)


def _write(item, reward, error):
    """Store the outcome, unless another worker was first, and erase the file."""
    ScoreItem.objects.filter(pk=item.pk, reward=None, error="").update(reward=reward, error=error[:LONGEST_ERROR])
    _erase_file(item)


# ---- erasing ------------------------------------------------------------------------------------------


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
    """Erase files whose request failed before its job was stored, and those of deleted users."""
    for name in default_storage.listdir(FOLDER)[1]:
        path = f"{FOLDER}/{name}"
        is_old = default_storage.get_modified_time(path) < now - KEEP
        if is_old and not ScoreItem.objects.filter(file=path).exists():
            default_storage.delete(path)


def _erase_file(item):
    item.file.storage.delete(item.file.name)
    ScoreItem.objects.filter(pk=item.pk).update(file="")
