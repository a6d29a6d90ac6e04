"""The jury: what models say (embeddings, rewards) and what the statistics say (editions, anchors)."""

import uuid

import numpy as np
from django.conf import settings
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
    attempts = models.PositiveSmallIntegerField(
        default=0, help_text="Claims, but for those that a worker lived to let go of without an outcome."
    )
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


class Decision(models.Model):
    """Who or what made a reward model live, or did not, and why. Append-only: the history of the live model."""

    class Act(models.TextChoices):
        ACTIVATED = "activated", "activated by a person"
        PROMOTED = "promoted", "promoted by the gate"
        KEPT = "kept", "kept out by the gate"
        ROLLED_BACK = "rolled_back", "rolled back to"

    model = models.ForeignKey(RewardModel, models.PROTECT, related_name="decisions")
    act = models.CharField(max_length=12, choices=Act.choices)
    replaced = models.ForeignKey(
        RewardModel, models.PROTECT, null=True, related_name="+", help_text="The live model until then."
    )
    by = models.CharField(max_length=150, help_text="A user's name, a command, or the gate.")
    reasons = models.JSONField(default=dict)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-pk"]

    def __str__(self):
        return f"{self.get_act_display()}: {self.model}"


class Retraining(models.Model):
    """The settings of the loop that trains a candidate on newer votes and lets the gate judge it. One row."""

    is_on = models.BooleanField(default=False)
    studies = models.ManyToManyField(Study, blank=True, help_text="None: all that are not simulated.")
    encoders = models.CharField(max_length=200, default="spectral", help_text="Keys, comma-separated.")
    min_new_votes = models.PositiveIntegerField(
        default=200, help_text="Decisive votes that the live model has not seen, before a candidate is trained."
    )
    judge_share = models.FloatField(
        default=0.4, help_text="Share of those votes, the newest, that judge the candidate instead of training it."
    )
    seeds = models.PositiveSmallIntegerField(default=3)
    promotes = models.BooleanField(default=True, help_text="The gate may make a candidate live by itself.")

    class Meta:
        verbose_name_plural = "retraining"
        constraints = [
            models.CheckConstraint(condition=Q(pk=1), name="retraining_is_one_row"),
            models.CheckConstraint(
                condition=Q(judge_share__gt=0, judge_share__lt=1), name="retraining_judge_share_between_0_and_1"
            ),
            models.CheckConstraint(condition=Q(seeds__gte=1, min_new_votes__gte=1), name="retraining_at_least_1"),
        ]

    def __str__(self):
        return "retraining"

    @classmethod
    def load(cls):
        """The row, as it is before anybody has changed it where there is none."""
        return cls.objects.filter(pk=1).first() or cls(pk=1)

    @property
    def encoder_keys(self):
        return [key.strip() for key in self.encoders.split(",") if key.strip()]

    def chosen_studies(self):
        """The studies whose votes train and judge a candidate, in the order of their making."""
        chosen = self.studies.order_by("pk") if self.studies.exists() else Study.objects.filter(is_simulated=False)
        return list(chosen.order_by("pk"))


class RetrainingRun(models.Model):
    """One turn of the loop. `step` is what is to be done next; `facts` has what each step found, by its name."""

    class Step(models.TextChoices):
        TRAIN = "train", "train a candidate"
        JUDGE = "judge", "judge it on votes neither saw"
        RESCORE = "rescore", "rescore the clips"
        ANCHORS = "anchors", "refit the anchors"
        DONE = "done", "done"
        FAILED = "failed", "failed"

    step = models.CharField(max_length=10, choices=Step.choices, default=Step.TRAIN)
    live_before = models.ForeignKey(RewardModel, models.PROTECT, null=True, related_name="+")
    candidate = models.ForeignKey(RewardModel, models.PROTECT, null=True, related_name="runs")
    train_seq = models.BigIntegerField(help_text="The candidate may see votes up to this place of the ledger.")
    judge_seq = models.BigIntegerField(help_text="Votes after that, up to this place, judge it.")
    config = models.JSONField(help_text="The settings as they were.")
    facts = models.JSONField(default=dict)
    error = models.TextField(blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True, editable=False)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["ended_at"],
                condition=Q(ended_at__isnull=True),
                nulls_distinct=False,
                name="retraining_run_one_at_a_time",
            ),
        ]

    def __str__(self):
        return f"retraining run {self.pk}"


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
    created_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["created_at"]
        indexes = [models.Index(fields=["created_at"], condition=Q(done_at__isnull=True), name="score_job_pending")]

    def __str__(self):
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

    def __str__(self):
        return self.filename or f"file {self.position}"
