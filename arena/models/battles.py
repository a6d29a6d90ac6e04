"""Two clips for one prompt as served to one rater."""

import uuid
from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import F, Q

from .clips import Clip, Excerpt, Prompt, System
from .raters import Rater
from .studies import Study


class BattleQuerySet(models.QuerySet):
    def open(self, now: datetime) -> "BattleQuerySet":
        """Battles that can still be answered, by the study's end as it is now."""
        ends = Q(study__ends_at__isnull=True) | Q(study__ends_at__gt=now)
        return self.filter(ends, closed_at__isnull=True, expires_at__gt=now)

    def voted(self) -> "BattleQuerySet":
        """Battles that count towards a pair's quota permanently."""
        return self.filter(close_reason="voted", kind__in=["ranked", "imported"]).exclude(policy=Battle.AGAIN)

    def awaited(self, now: datetime) -> "BattleQuerySet":
        """Battles that count towards it temporarily: an answer is still expected."""
        awaited = self.filter(closed_at__isnull=True, reserved_until__gt=now, kind__in=["ranked", "imported"])
        return awaited.exclude(policy=Battle.AGAIN)


class Battle(models.Model):
    """Two clips for one prompt as served to one rater; slot A plays `clip_a`, slot B `clip_b`."""

    class Kind(models.TextChoices):
        RANKED = "ranked"
        IMPORTED = "imported"
        GOLD = "gold"
        TRAP = "trap"
        REPEAT = "repeat"
        PRACTICE = "practice"

    AGAIN = "again"  # the policy of battles that staff asked for, clip pair by clip pair: see `Again`
    ONE_CLIP = (Kind.GOLD, Kind.TRAP, Kind.PRACTICE)  # a clip against a variant of itself, with one right answer

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey(Study, models.PROTECT, related_name="battles")
    rater = models.ForeignKey(Rater, models.PROTECT, null=True, blank=True, related_name="battles")
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.RANKED)
    prompt = models.ForeignKey(Prompt, models.PROTECT, null=True, blank=True, related_name="battles")
    system_a = models.ForeignKey(System, models.PROTECT, related_name="+")
    system_b = models.ForeignKey(System, models.PROTECT, related_name="+")
    clip_a = models.ForeignKey(Clip, models.PROTECT, null=True, blank=True, related_name="+")
    clip_b = models.ForeignKey(Clip, models.PROTECT, null=True, blank=True, related_name="+")
    excerpt_a = models.ForeignKey(Excerpt, models.PROTECT, null=True, blank=True, related_name="+")
    excerpt_b = models.ForeignKey(Excerpt, models.PROTECT, null=True, blank=True, related_name="+")
    start_a_ms = models.PositiveIntegerField(null=True, blank=True, help_text="Where in clip A its excerpt begins.")
    start_b_ms = models.PositiveIntegerField(null=True, blank=True, help_text="Where in clip B its excerpt begins.")
    length_ms = models.PositiveIntegerField(null=True, blank=True)
    codec = models.CharField(max_length=4, blank=True)

    policy = models.CharField(max_length=40, blank=True)
    pair_probability = models.FloatField(null=True, blank=True)
    clip_probability = models.FloatField(null=True, blank=True)
    eligible_pairs = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Pairs of systems that could have been drawn for this rater, where that was kept.",
    )

    served_at = models.DateTimeField()
    reserved_until = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    close_reason = models.CharField(max_length=10, blank=True, choices=[("voted", "voted"), ("skipped", "skipped")])
    skip_reason = models.CharField(max_length=20, blank=True)
    external_id = models.CharField(max_length=100, null=True, blank=True, help_text="Its id where imported from.")
    expected = models.CharField(
        max_length=1, blank=True, choices=[("A", "A"), ("B", "B")], help_text="The right answer, where there is one."
    )
    repeats = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="repeated_by")

    objects = BattleQuerySet.as_manager()

    class Personal:
        rater = "rater"
        kept = {
            "study, kind, prompt, system_a, system_b, clip_a, clip_b": "what was compared: votes mean nothing without",
            "excerpt_a, excerpt_b, start_a_ms, start_b_ms, length_ms, codec, expected, repeats": "what was played, and "
            "the right answer",
            "policy, pair_probability, clip_probability, eligible_pairs": "how it was drawn; the weight of the vote "
            "follows from it",
            "served_at, reserved_until, expires_at": "when; quotas and the order of battles follow from it",
            "closed_at, close_reason, skip_reason": "when and how it ended, in words of a closed list. A withdrawal "
            "closes the open ones, as skipped",
            "external_id": "what an import calls the battle, so that it comes in once",
        }

    class Meta:
        ordering = ["served_at"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(clip_a=F("clip_b"))
                | (Q(kind__in=["gold", "trap", "practice"]) & ~Q(excerpt_a=F("excerpt_b"))),
                name="battle_clips_differ",
            ),
            models.CheckConstraint(
                condition=~Q(system_a=F("system_b")) | Q(kind__in=["gold", "trap", "practice"]),
                name="battle_systems_differ",
            ),
            models.CheckConstraint(
                condition=(Q(kind__in=["gold", "trap", "practice"]) & ~Q(expected=""))
                | (~Q(kind__in=["gold", "trap", "practice"]) & Q(expected="")),
                name="battle_check_expects",
            ),
            models.CheckConstraint(
                condition=Q(kind="repeat", repeats__isnull=False) | (~Q(kind="repeat") & Q(repeats__isnull=True)),
                name="battle_repeat_of_another",
            ),
            models.CheckConstraint(
                condition=Q(kind="imported")
                | Q(
                    rater__isnull=False, prompt__isnull=False, clip_a__isnull=False, clip_b__isnull=False,
                    excerpt_a__isnull=False, excerpt_b__isnull=False, length_ms__isnull=False, length_ms__gt=0,
                    reserved_until__isnull=False, expires_at__isnull=False,
                ) & ~Q(policy=""),
                name="battle_served_is_whole",
            ),
            models.CheckConstraint(
                condition=~Q(kind="ranked")
                | Q(
                    pair_probability__isnull=False, clip_probability__isnull=False,
                    pair_probability__gt=0, pair_probability__lte=1,
                    clip_probability__gt=0, clip_probability__lte=1,
                ),
                name="battle_ranked_is_drawn",
            ),
            models.CheckConstraint(
                condition=Q(kind="ranked") | Q(pair_probability__isnull=True, clip_probability__isnull=True),
                name="battle_probability_only_if_drawn",
            ),
            models.CheckConstraint(
                condition=Q(eligible_pairs__isnull=True) | Q(kind="ranked", eligible_pairs__gte=1),
                name="battle_eligible_only_if_drawn",
            ),
            models.CheckConstraint(
                condition=Q(closed_at__isnull=True, close_reason="")
                | (Q(closed_at__isnull=False) & ~Q(close_reason="")),
                name="battle_closed_for_a_reason",
            ),
            models.CheckConstraint(
                condition=(Q(close_reason="skipped") & ~Q(skip_reason=""))
                | (~Q(close_reason="skipped") & Q(skip_reason="")),
                name="battle_skipped_for_a_reason",
            ),
            models.UniqueConstraint(fields=["study", "external_id"], name="battle_imported_once"),
        ]  # fmt: skip
        indexes = [
            models.Index(fields=["rater", "study", "served_at"], name="battle_of_rater"),
            models.Index(fields=["study", "system_a", "system_b", "-served_at"], name="battle_of_pair"),
            models.Index(fields=["study", "closed_at"], condition=Q(close_reason="voted"), name="battle_voted"),
            models.Index(
                fields=["study", "reserved_until"], condition=Q(closed_at__isnull=True), name="battle_reserved"
            ),
        ]

    def __str__(self):
        return f"battle {str(self.pk)[:8]}"

    def excerpt(self, slot: str) -> Any:
        return getattr(self, f"excerpt_{slot.lower()}")
