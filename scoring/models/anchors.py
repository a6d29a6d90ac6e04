"""How far off a reward model is for each system."""

from typing import Any

from django.db import models
from django.db.models import F

from arena.models import Study, System

from .rewards import RewardModel


class AnchorFitQuerySet(models.QuerySet):
    def newest(self) -> Any:
        """The last fit, None before the first."""
        return self.order_by("-created_at", "-pk").first()

    def newest_of(self, reward_model: RewardModel | None) -> Any:
        """The reward model's last fit; None before the first, and without a model."""
        return self.filter(reward_model=reward_model).newest() if reward_model else None

    def newest_of_each(self, reward_model: RewardModel | None) -> "AnchorFitQuerySet":
        """The reward model's last fit in each study that has one; none without a model."""
        fits = AnchorFit.objects.filter(study=models.OuterRef("pk"), reward_model=reward_model)
        newest = fits.order_by("-created_at", "-pk").values("pk")[:1]
        if not reward_model:
            return self.none()
        return self.filter(pk__in=Study.objects.order_by().values_list(models.Subquery(newest)))


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

    objects = AnchorFitQuerySet.as_manager()

    class Personal:
        not_personal = {"config, slices, changes": "how the biases were fitted, and how they moved"}

    class Meta:
        ordering = ["study", F("created_at").desc()]
        indexes = [models.Index(fields=["study", "reward_model", "-created_at"], name="anchor_fit_latest")]

    def __str__(self) -> str:
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

    def __str__(self) -> str:
        return f"{self.system}: {self.bias:.2f}"
