"""How a reward model came to be live, and the loop that trains the next one."""

from typing import Self

from django.db import models
from django.db.models import Q

from arena.models import Study

from .rewards import RewardModel


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

    class Personal:
        kept = {"by": "the name of the account that decided; the history of the live model says who"}
        not_personal = {"reasons": "the figures it was decided on"}

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
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

    class Personal:
        not_personal = {"encoders": "keys of encoders"}

    class Meta:
        verbose_name_plural = "retraining"
        constraints = [
            models.CheckConstraint(condition=Q(pk=1), name="retraining_is_one_row"),
            models.CheckConstraint(
                condition=Q(judge_share__gt=0, judge_share__lt=1), name="retraining_judge_share_between_0_and_1"
            ),
            models.CheckConstraint(condition=Q(seeds__gte=1, min_new_votes__gte=1), name="retraining_at_least_1"),
        ]

    def __str__(self) -> str:
        return "retraining"

    @classmethod
    def load(cls) -> Self:
        """The row; with the defaults where nobody has saved it yet."""
        return cls.objects.filter(pk=1).first() or cls(pk=1)

    @property
    def encoder_keys(self) -> list[str]:
        return [key.strip() for key in self.encoders.split(",") if key.strip()]

    def chosen_studies(self) -> list[Study]:
        """The studies whose votes train and judge a candidate, in the order in which they were created."""
        chosen = self.studies.order_by("pk") if self.studies.exists() else Study.objects.filter(is_simulated=False)
        return list(chosen.order_by("pk"))


class RetrainingRun(models.Model):
    """One run of the loop. `step` is the next thing to do; `facts` has the findings of each step, by its name."""

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

    class Personal:
        not_personal = {"config, facts, error": "the settings, what each step found, or an error's words"}

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

    def __str__(self) -> str:
        return f"retraining run {self.pk}"
