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


class TrainingMark(models.Model):
    """How much the votes on two clips weigh in training sets from now on, beside what they weigh anyway. Append-only:
    of several on the same clips the last counts, so weight 1 takes a mark back."""

    WEIGHT = 3.0

    study = models.ForeignKey(Study, models.PROTECT, related_name="training_marks")
    clip_low = models.ForeignKey(Clip, models.PROTECT, related_name="+", help_text="The one of the lower id.")
    clip_high = models.ForeignKey(Clip, models.PROTECT, related_name="+")
    weight = models.FloatField(default=WEIGHT)
    by = models.CharField(max_length=150, help_text="The user's name.")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(weight__gt=0, weight__lte=10), name="training_mark_weight"),
            models.CheckConstraint(condition=Q(clip_low__lt=F("clip_high")), name="training_mark_two_clips"),
        ]
        indexes = [models.Index(fields=["study", "clip_low", "clip_high"], name="training_mark_of_clips")]

    def __str__(self):
        return f"clips {self.clip_low_id} and {self.clip_high_id} in {self.study_id} x {self.weight:g}"


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


class PredictionPowered(models.Model):
    """Ratings of an edition's votes and, beside them, of a reward model's opinion of pairs nobody voted on. They stand
    beside the edition, never instead of it. Append-only; of several the newest is shown."""

    edition = models.ForeignKey(Edition, models.PROTECT, related_name="prediction_powered")
    reward_model = models.ForeignKey(RewardModel, models.PROTECT, related_name="prediction_powered")
    method_version = models.PositiveIntegerField()
    config = models.JSONField()
    result = models.JSONField(help_text="The canonical result; rebuilding gives the same. It may be why there is none.")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "prediction-powered ratings"
        indexes = [models.Index(fields=["edition", "-id"], name="prediction_powered_latest")]

    def __str__(self):
        return f"{self.edition} with {self.reward_model}"


class RobustnessCard(models.Model):
    """How sure an edition's order is and what would change it. Append-only; newer rewards make another card."""

    edition = models.ForeignKey(Edition, models.PROTECT, related_name="cards")
    method_version = models.PositiveIntegerField()
    config = models.JSONField(help_text="The reward model, its anchors and the last reward that it was made with.")
    result = models.JSONField(help_text="Canonical; rebuilding gives the same.")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["edition", "-pk"]

    def __str__(self):
        return f"robustness of {self.edition}"


class EditionChange(models.Model):
    """What moved an edition away from the one before it: new votes, exclusions, method. Append-only."""

    edition = models.ForeignKey(Edition, models.PROTECT, related_name="changes")
    method_version = models.PositiveIntegerField()
    result = models.JSONField(help_text="Canonical; rebuilding gives the same.")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["edition", "-pk"]
        constraints = [models.UniqueConstraint(fields=["edition", "method_version"], name="edition_change_once")]

    def __str__(self):
        return f"changes of {self.edition}"


class CategoryBoards(models.Model):
    """The boards of an edition's categories, all in one row. Append-only; see `scoring.categories`."""

    edition = models.OneToOneField(Edition, models.PROTECT, related_name="categories")
    method = models.CharField(max_length=40)
    method_version = models.PositiveIntegerField()
    config = models.JSONField(help_text="With the prompts of every tag, which may be edited later.")
    result = models.JSONField(help_text="Canonical; rebuilding gives the same but for what a withdrawal has erased.")
    summary = models.JSONField(help_text="Which categories `result` has, for lists.")
    created_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "category boards"
        ordering = ["edition"]

    def __str__(self):
        return f"categories of {self.edition}"


class Figure(models.Model):
    """One of the figures of a study's last edition: its data, and a drawing where it could be drawn.

    A cache, replaced by the next: everything here follows from editions, votes and rewards. See `scoring.figures`.
    """

    study = models.ForeignKey(Study, models.CASCADE, related_name="figures")
    name = models.CharField(max_length=20)
    edition = models.ForeignKey(Edition, models.PROTECT, related_name="+")
    basis = models.CharField(max_length=64, help_text="A hash of what it was drawn from.")
    data = models.JSONField()
    narrow = models.TextField(blank=True, help_text="SVG for a phone; empty where it could not be drawn.")
    wide = models.TextField(blank=True, help_text="SVG for a larger screen.")
    drawn_at = models.DateTimeField()

    class Meta:
        ordering = ["study", "pk"]
        constraints = [models.UniqueConstraint(fields=["study", "name"], name="figure_once")]

    def __str__(self):
        return f"{self.name} of {self.study}"


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
    slices = models.JSONField(default=list, help_text="The same by time: each part of the pairs by itself.")
    changes = models.JSONField(default=list, help_text="What the newest part says against those before it.")
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
    low = models.FloatField(null=True, help_text="Of its interval, clustered by rater; null before it was kept.")
    high = models.FloatField(null=True)
    n_pairs = models.PositiveIntegerField()
    n_needed = models.PositiveIntegerField(null=True, help_text="Further pairs to the wanted half-width, about.")

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
