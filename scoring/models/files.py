"""Files: numbered exports, and uploads that researchers sent to be scored."""

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

    class Personal:
        not_personal = {"format, config, excluded, sha256": "what was exported, and how"}
        kept = {
            "file": "votes under pseudonyms as they stood on that day: others have it already, and it is rebuilt to be "
            "checked. Later releases leave withdrawn votes out",
        }

    class Meta:
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"release {self.number}"


class ScoreJob(models.Model):
    """Files that a researcher sent to be scored; none is a clip of the arena. Erased a day after it is done."""

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

    class Personal:
        user = "user"
        deleted = {
            "prompt": "what a researcher asked for",
            "reward_model, claimed_until, attempts, served_at, created_at, done_at": "when and by which model it was "
            "scored",
        }
        lifetime = "a day after it is done (the sweep `erasures`)"

    class Meta:
        ordering = ["created_at"]
        indexes = [
            models.Index(fields=["created_at"], condition=Q(done_at__isnull=True), name="score_job_pending"),
            models.Index(fields=["user", "served_at"], name="score_job_served"),
        ]

    def __str__(self) -> str:
        return f"score job {self.pk}"


class ScoreItem(models.Model):
    """One file of a score job: its reward, or the error that prevented one."""

    job = models.ForeignKey(ScoreJob, models.CASCADE, related_name="items")
    position = models.PositiveSmallIntegerField()
    filename = models.CharField(max_length=255, blank=True)
    file = models.FileField(max_length=200, blank=True, upload_to="uploads/", help_text="Erased once it is scored.")
    sha256 = models.CharField(max_length=64)
    reward = models.FloatField(null=True, blank=True)
    error = models.TextField(blank=True)

    class Personal:
        user = "job__user"
        deleted = {
            "filename": "what the researcher calls the file",
            "file, sha256": "the audio that the researcher sent",
            "position, reward, error": "what came of it",
        }
        lifetime = (
            "the file when it is scored, at the latest a day after its row is gone; the row with its job (the "
            "sweep `erasures`)"
        )

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
