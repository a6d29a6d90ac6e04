"""Files out and in: numbered exports, and what researchers sent to be scored."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from arena.models import Study

from .rewards import RewardModel


class Release(models.Model):
    """One immutable, numbered export."""

    number = models.PositiveIntegerField(unique=True)
    content = models.CharField(max_length=10, choices=[("votes", "votes"), ("pairs", "pairs")])
    study = models.ForeignKey(Study, models.PROTECT, null=True, blank=True)
    format = models.CharField(max_length=10)
    method_version = models.PositiveIntegerField()
    config = models.JSONField(default=dict)
    ledger_seq = models.BigIntegerField()
    n_rows = models.PositiveIntegerField()
    excluded = models.JSONField()
    sha256 = models.CharField(max_length=64, help_text="Of the file's bytes.")
    file = models.FileField(max_length=200, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"release {self.number}"


class ScoreJob(models.Model):
    """Files that somebody sent to be scored, none of them a clip of the arena. Erased a day after it is done."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="score_jobs")
    prompt = models.TextField(blank=True)
    reward_model = models.ForeignKey(
        RewardModel, models.PROTECT, null=True, related_name="+", help_text="The live model when it was scored."
    )
    claimed_until = models.DateTimeField(null=True, blank=True, editable=False)
    attempts = models.PositiveSmallIntegerField(
        default=0, editable=False, help_text="Claims since the last of its files had an outcome."
    )
    served_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="The last claim. Who was served longest ago is next."
    )
    created_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["created_at"]
        indexes = [
            models.Index(fields=["created_at"], condition=Q(done_at__isnull=True), name="score_job_pending"),
            models.Index(fields=["user", "served_at"], name="score_job_served"),
        ]

    def __str__(self) -> str:
        return f"score job {self.pk}"


class ScoreItem(models.Model):
    """One file of a score job: its reward, or the reason why it has none."""

    job = models.ForeignKey(ScoreJob, models.CASCADE, related_name="items")
    position = models.PositiveSmallIntegerField()
    filename = models.CharField(max_length=255, blank=True)
    file = models.FileField(max_length=200, blank=True, upload_to="uploads/", help_text="Erased once it is scored.")
    sha256 = models.CharField(max_length=64)
    reward = models.FloatField(null=True, blank=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["job", "position"]
        constraints = [
            models.UniqueConstraint(fields=["job", "position"], name="score_item_once"),
            models.CheckConstraint(condition=Q(reward__isnull=True) | Q(error=""), name="score_item_reward_or_error"),
            models.CheckConstraint(
                condition=Q(reward__isnull=True) | Q(reward__gt=float("-inf"), reward__lt=float("inf")),
                name="score_item_is_finite",
            ),
        ]

    def __str__(self) -> str:
        return self.filename or f"file {self.position}"
