"""Clip pairs that staff want more raters to hear."""

from django.db import models
from django.db.models import F, Q

from .clips import Clip
from .studies import Study


class Again(models.Model):
    """Two clips to be served `wanted` more times in a study, each time to a rater who has not heard the pair.

    `left` is counted down in the transaction that serves. A battle that is skipped or never answered is not served
    again, so `wanted` is the maximum. Such battles have the policy `Battle.AGAIN`.
    """

    MOST = 50

    study = models.ForeignKey(Study, models.PROTECT, related_name="again")
    clip_low = models.ForeignKey(Clip, models.PROTECT, related_name="+", help_text="The one of the lower id.")
    clip_high = models.ForeignKey(Clip, models.PROTECT, related_name="+")
    wanted = models.PositiveSmallIntegerField()
    left = models.PositiveSmallIntegerField(help_text="Servings to come; 0 when done or stopped.")
    by = models.CharField(max_length=150, help_text="The user's name.")
    asked_at = models.DateTimeField()
    stopped_at = models.DateTimeField(null=True, blank=True)

    class Personal:
        kept = {"by": "the name of the account that asked; it is part of how the votes came about"}

    class Meta:
        verbose_name = "clip pair served again"
        verbose_name_plural = "clip pairs served again"
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(wanted__gte=1, wanted__lte=50), name="again_bounded"),
            models.CheckConstraint(condition=Q(left__lte=F("wanted")), name="again_left_of_wanted"),
            models.CheckConstraint(condition=Q(clip_low__lt=F("clip_high")), name="again_two_clips"),
            models.UniqueConstraint(
                fields=["study", "clip_low", "clip_high"], condition=Q(left__gt=0), name="again_once_at_a_time"
            ),
        ]

    def __str__(self):
        return f"clips {self.clip_low_id} and {self.clip_high_id} in {self.study_id}, {self.left} of {self.wanted} left"
