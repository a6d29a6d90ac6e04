"""The jury: what models say (embeddings, rewards) and what the statistics say (editions, anchors)."""

import numpy as np
from django.db import models
from django.db.models import F, Q

from arena.models import Clip, Study, System


class Embedding(models.Model):
    """One clip through one encoder. A row without a vector is a claim on the work, or says why it failed."""

    clip = models.ForeignKey(Clip, models.PROTECT, related_name="embeddings")
    encoder = models.CharField(max_length=40)
    revision = models.CharField(max_length=40)
    vector = models.BinaryField(null=True, blank=True, help_text="float32, little-endian.")
    error = models.TextField(blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["clip", "encoder", "revision"], name="embedding_once"),
            models.CheckConstraint(condition=Q(vector__isnull=True) | Q(error=""), name="embedding_vector_or_error"),
        ]

    def __str__(self):
        return f"{self.encoder} {self.revision} of clip {self.clip_id}"

    @property
    def array(self):
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

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["status"], condition=Q(status="live"), name="reward_model_one_live"),
        ]

    def __str__(self):
        return self.name

    @classmethod
    def live(cls):
        return cls.objects.filter(status=cls.Status.LIVE).first()


class Reward(models.Model):
    """The scalar a reward model gives a clip, under a prompt protocol (how the prompt was put to it)."""

    PROMPT_TEXT = "text"

    clip = models.ForeignKey(Clip, models.PROTECT, related_name="rewards")
    reward_model = models.ForeignKey(RewardModel, models.PROTECT, related_name="rewards")
    protocol = models.CharField(max_length=20, default=PROMPT_TEXT)
    value = models.FloatField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["clip", "reward_model", "protocol"], name="reward_once"),
            models.CheckConstraint(
                condition=Q(value__gt=float("-inf"), value__lt=float("inf")), name="reward_is_finite"
            ),
        ]
        indexes = [models.Index(fields=["reward_model", "clip"], name="reward_of_model")]

    def __str__(self):
        return f"{self.value:.3f} for clip {self.clip_id}"


class Edition(models.Model):
    """One immutable, numbered computation of a board."""

    study = models.ForeignKey(Study, models.PROTECT, related_name="editions")
    number = models.PositiveIntegerField()
    method = models.CharField(max_length=40)
    method_version = models.PositiveIntegerField()
    config = models.JSONField()
    ledger_seq = models.BigIntegerField()
    input_hash = models.CharField(max_length=64)
    n_votes = models.PositiveIntegerField(help_text="Votes used.")
    excluded = models.JSONField(help_text="Votes not used, by reason.")
    result = models.JSONField(help_text="The canonical result; rebuilding gives the same.")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["study", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["study", "number"], name="edition_numbered"),
            models.CheckConstraint(condition=Q(number__gte=1), name="edition_from_one"),
        ]

    def __str__(self):
        return f"{self.study} edition {self.number}"


class Rating(models.Model):
    """A system's Bradley-Terry value on an edition, as a row to query; `Edition.result` is canonical."""

    edition = models.ForeignKey(Edition, models.PROTECT, related_name="ratings")
    system = models.ForeignKey(System, models.PROTECT, related_name="ratings")
    group = models.PositiveIntegerField(help_text="Systems of different groups cannot be compared.")
    value = models.FloatField()
    stderr = models.FloatField()
    low = models.FloatField(null=True)
    high = models.FloatField(null=True)
    n_votes = models.PositiveIntegerField()
    wins = models.PositiveIntegerField()
    losses = models.PositiveIntegerField()
    ties = models.PositiveIntegerField()

    class Meta:
        ordering = ["edition", "group", "-value"]
        constraints = [models.UniqueConstraint(fields=["edition", "system"], name="rating_once")]

    def __str__(self):
        return f"{self.system}: {self.value:.2f}"


class QualityReport(models.Model):
    """What the quality rules found in a study at one place of the ledger, and how well its raters agree."""

    study = models.ForeignKey(Study, models.PROTECT, related_name="quality_reports")
    ledger_seq = models.BigIntegerField()
    version = models.PositiveIntegerField()
    report = models.JSONField()
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["study", "-ledger_seq", "-pk"]

    def __str__(self):
        return f"quality of {self.study} at {self.ledger_seq}"


class AnchorFit(models.Model):
    """One fit of the per-system bias of a reward model to the votes of a study."""

    study = models.ForeignKey(Study, models.PROTECT, related_name="anchor_fits")
    reward_model = models.ForeignKey(RewardModel, models.PROTECT, related_name="anchor_fits")
    ledger_seq = models.BigIntegerField()
    config = models.JSONField()
    n_pairs = models.PositiveIntegerField()
    n_unscored = models.PositiveIntegerField(help_text="Decisive votes on clips without a reward yet.")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["study", F("created_at").desc()]
        indexes = [models.Index(fields=["study", "reward_model", "-created_at"], name="anchor_fit_latest")]

    def __str__(self):
        return f"anchors of {self.reward_model} in {self.study}"


class AnchorBias(models.Model):
    """The reward model's additive error on one system."""

    fit = models.ForeignKey(AnchorFit, models.PROTECT, related_name="biases")
    system = models.ForeignKey(System, models.PROTECT, related_name="biases")
    bias = models.FloatField()
    stderr = models.FloatField()
    n_pairs = models.PositiveIntegerField()

    class Meta:
        verbose_name_plural = "anchor biases"
        constraints = [models.UniqueConstraint(fields=["fit", "system"], name="bias_once")]

    def __str__(self):
        return f"{self.system}: {self.bias:.2f}"


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

    def __str__(self):
        return f"release {self.number}"
