"""Embeddings of clips, reward models, and the rewards they give."""

from typing import Self

import numpy as np
from django.db import models
from django.db.models import F, Q

from arena.models import Clip, Study


class Embedding(models.Model):
    """One clip's embedding by one encoder. A row without a vector is a claim by a worker, or says why it failed."""

    clip = models.ForeignKey(Clip, models.PROTECT, related_name="embeddings")
    encoder = models.CharField(max_length=40)
    revision = models.CharField(max_length=40)
    vector = models.BinaryField(null=True, blank=True, help_text="float32, little-endian.")
    error = models.TextField(blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(
        default=0, help_text="Claims, but for those that a worker lived to let go of without an outcome."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Personal:
        not_personal = {"encoder, revision, vector, error": "what an encoder makes of a clip, or why it cannot"}

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["clip", "encoder", "revision"], name="embedding_once"),
            models.CheckConstraint(condition=Q(vector__isnull=True) | Q(error=""), name="embedding_vector_or_error"),
        ]

    def __str__(self) -> str:
        return f"{self.encoder} {self.revision} of clip {self.clip_id}"

    @property
    def array(self) -> np.ndarray:
        assert self.vector is not None, "it was embedded"
        return np.frombuffer(self.vector, dtype="<f4")


class RewardModel(models.Model):
    """Encoder blocks and a head. At most one is live."""

    class Status(models.TextChoices):
        CANDIDATE = "candidate"
        LIVE = "live"
        RETIRED = "retired"

    name = models.CharField(max_length=100, unique=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.CANDIDATE)
    encoders = models.JSONField(help_text='In the order of the features: [{"key", "revision", "dimension"}].')
    weights = models.FileField(max_length=200)
    sha256 = models.CharField(max_length=64)
    ledger_seq = models.BigIntegerField(default=0, help_text="Trained on votes up to this place.")
    config = models.JSONField(default=dict)
    metrics = models.JSONField(default=dict, help_text="On held-out votes, each with its count.")
    history = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    activated_at = models.DateTimeField(null=True, blank=True)

    class Personal:
        not_personal = {
            "name, encoders, sha256, config, metrics, history": "what it is made of, how it was trained, how well it "
            "does",
        }
        kept = {
            "weights": "what was learned from many votes, some of them withdrawn since; the next training leaves those "
            "out",
        }

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["status"], condition=Q(status="live"), name="reward_model_one_live"),
        ]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def live(cls) -> Self | None:
        return cls.objects.filter(status=cls.Status.LIVE).first()


class Reward(models.Model):
    """The scalar a reward model gives a clip, under a prompt protocol (how the prompt was presented to it)."""

    PROMPT_TEXT = "text"

    clip = models.ForeignKey(Clip, models.PROTECT, related_name="rewards")
    reward_model = models.ForeignKey(RewardModel, models.PROTECT, related_name="rewards")
    protocol = models.CharField(max_length=20, default=PROMPT_TEXT)
    value = models.FloatField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Personal:
        not_personal = {"protocol": "how the prompt was put to the reward model"}

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["clip", "reward_model", "protocol"], name="reward_once"),
            models.CheckConstraint(
                condition=Q(value__gt=float("-inf"), value__lt=float("inf")), name="reward_is_finite"
            ),
        ]
        indexes = [models.Index(fields=["reward_model", "clip"], name="reward_of_model")]

    def __str__(self) -> str:
        return f"{self.value:.3f} for clip {self.clip_id}"


class TrainingMark(models.Model):
    """A factor on the weight of the votes on two clips in training sets from now on. Append-only: of several marks on
    the same clips the last counts, so weight 1 takes a mark back."""

    WEIGHT = 3.0

    study = models.ForeignKey(Study, models.PROTECT, related_name="training_marks")
    clip_low = models.ForeignKey(Clip, models.PROTECT, related_name="+", help_text="The one of the lower id.")
    clip_high = models.ForeignKey(Clip, models.PROTECT, related_name="+")
    weight = models.FloatField(default=WEIGHT)
    by = models.CharField(max_length=150, help_text="The user's name.")
    created_at = models.DateTimeField()

    class Personal:
        kept = {"by": "the name of the account that set it; training sets follow from it"}

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(weight__gt=0, weight__lte=10), name="training_mark_weight"),
            models.CheckConstraint(condition=Q(clip_low__lt=F("clip_high")), name="training_mark_two_clips"),
        ]
        indexes = [models.Index(fields=["study", "clip_low", "clip_high"], name="training_mark_of_clips")]

    def __str__(self) -> str:
        return f"clips {self.clip_low_id} and {self.clip_high_id} in {self.study_id} x {self.weight:g}"
