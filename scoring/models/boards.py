"""The statistics of a study: editions, and what belongs to them."""

from typing import Any

from django.db import models
from django.db.models import Q

from arena.models import Study, System

from .rewards import RewardModel


class EditionQuerySet(models.QuerySet):
    def newest_of_each(self) -> "EditionQuerySet":
        """The last edition of each study that has one."""
        newest = Edition.objects.filter(study=models.OuterRef("pk")).order_by("-number").values("pk")[:1]
        return self.filter(pk__in=Study.objects.order_by().values_list(models.Subquery(newest)))

    def newest(self) -> Any:
        """A study's last edition, None before the first."""
        return self.order_by("-number").first()


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

    objects = EditionQuerySet.as_manager()

    class Personal:
        not_personal = {
            "method, config, input_hash": "how the board was computed",
            "excluded, result": "counts, and ratings of systems",
        }

    class Meta:
        ordering = ["study", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["study", "number"], name="edition_numbered"),
            models.CheckConstraint(condition=Q(number__gte=1), name="edition_from_one"),
        ]

    def __str__(self):
        return f"{self.study} edition {self.number}"


class Rating(models.Model):
    """A system's Bradley-Terry value in an edition, as a row for queries; `Edition.result` is canonical."""

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


class Standing(models.Model):
    """The vote counts of each pair of a study's systems up to a ledger number, and the ratings that follow from them:
    a preview of the next edition. A cache; see `scoring.boards.standings`."""

    study = models.OneToOneField(Study, models.CASCADE, related_name="standing")
    ledger_seq = models.BigIntegerField()
    config = models.JSONField(help_text="That of the edition it goes on from.")
    counts = models.BinaryField(help_text="`pair_counts.COUNTS`, one for each pair.")
    n_votes = models.PositiveIntegerField(help_text="Votes used.")
    ratings = models.JSONField(help_text="By system.")
    moved_at = models.DateTimeField()

    class Personal:
        not_personal = {"config, counts, ratings": "votes on each pair of systems, counted, and what follows from them"}

    def __str__(self):
        return f"standing of {self.study} at {self.ledger_seq}"


class BoardCheck(models.Model):
    """Up to where the ledger was read, since a study's last edition, without anything to publish: no vote that counts,
    or the same board as before. It keeps the sweep from computing that again and again; the next edition removes it."""

    study = models.OneToOneField(Study, models.CASCADE, related_name="board_check")
    ledger_seq = models.BigIntegerField()
    config = models.JSONField(help_text="Under which the board was computed.")
    checked_at = models.DateTimeField()

    class Personal:
        not_personal = {"config": "how a board is computed"}

    def __str__(self):
        return f"check of {self.study} at {self.ledger_seq}"


class PredictionPowered(models.Model):
    """Ratings from an edition's votes together with a reward model's predictions on pairs that nobody voted on. They
    are shown beside the edition, never instead of it. Append-only; the newest is shown."""

    edition = models.ForeignKey(Edition, models.PROTECT, related_name="prediction_powered")
    reward_model = models.ForeignKey(RewardModel, models.PROTECT, related_name="prediction_powered")
    method_version = models.PositiveIntegerField()
    config = models.JSONField()
    result = models.JSONField(help_text="The canonical result; rebuilding gives the same. It may be why there is none.")
    created_at = models.DateTimeField()

    class Personal:
        not_personal = {"config, result": "ratings of systems, and how they were computed"}

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "prediction-powered ratings"
        indexes = [models.Index(fields=["edition", "-id"], name="prediction_powered_latest")]

    def __str__(self):
        return f"{self.edition} with {self.reward_model}"


class RobustnessCard(models.Model):
    """How certain an edition's ranking is and what would change it. Append-only; newer rewards lead to a new card."""

    edition = models.ForeignKey(Edition, models.PROTECT, related_name="cards")
    method_version = models.PositiveIntegerField()
    config = models.JSONField(help_text="The reward model, its anchors and the last reward that it was made with.")
    result = models.JSONField(help_text="Canonical; rebuilding gives the same.")
    created_at = models.DateTimeField()

    class Personal:
        not_personal = {
            "config, result": "what would change a board's order; of raters only how many, and none by pseudonym",
        }

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

    class Personal:
        not_personal = {"result": "what moved the ratings of systems, in counts of votes"}

    class Meta:
        ordering = ["edition", "-pk"]
        constraints = [models.UniqueConstraint(fields=["edition", "method_version"], name="edition_change_once")]

    def __str__(self):
        return f"changes of {self.edition}"


class CategoryBoards(models.Model):
    """The boards of an edition's categories, all in one row. Append-only; see `scoring.boards.categories`."""

    edition = models.OneToOneField(Edition, models.PROTECT, related_name="categories")
    method = models.CharField(max_length=40)
    method_version = models.PositiveIntegerField()
    config = models.JSONField(help_text="With the prompts of every tag, which may be edited later.")
    result = models.JSONField(help_text="Canonical; rebuilding gives the same but for what a withdrawal has erased.")
    summary = models.JSONField(help_text="Which categories `result` has, for lists.")
    created_at = models.DateTimeField()

    class Personal:
        not_personal = {"method, config": "how they were computed, and which prompts have which tag"}
        kept = {
            "result, summary": "boards of tags, and of languages and groups of at least 20 listeners; of who was in "
            "which only one hash of all, so that a rebuild knows whether somebody has withdrawn",
        }

    class Meta:
        verbose_name_plural = "category boards"
        ordering = ["edition"]

    def __str__(self):
        return f"categories of {self.edition}"


class Figure(models.Model):
    """One of the figures of a study's last edition: its data, and a drawing where it could be drawn.

    A cache that the next drawing replaces: everything here follows from editions, votes and rewards. See
    `scoring.boards.figures.data`.
    """

    study = models.ForeignKey(Study, models.CASCADE, related_name="figures")
    name = models.CharField(max_length=20)
    edition = models.ForeignKey(Edition, models.PROTECT, related_name="+")
    basis = models.CharField(max_length=64, help_text="A hash of what it was drawn from.")
    data = models.JSONField()
    narrow = models.TextField(blank=True, help_text="SVG for a phone; empty where it could not be drawn.")
    wide = models.TextField(blank=True, help_text="SVG for a larger screen.")
    drawn_at = models.DateTimeField()

    class Personal:
        not_personal = {
            "name, basis, data, narrow, wide": "a drawing of a board, of rewards or of counts, and its data",
        }

    class Meta:
        ordering = ["study", "pk"]
        constraints = [models.UniqueConstraint(fields=["study", "name"], name="figure_once")]

    def __str__(self):
        return f"{self.name} of {self.study}"


class GroupScreening(models.Model):
    """When a study's groups of raters were last judged together, and up to where in the ledger; see
    `scoring.screening.coordinated`."""

    study = models.OneToOneField(Study, models.CASCADE, related_name="group_screening")
    ledger_seq = models.BigIntegerField()
    findings = models.JSONField(help_text="The groups that were flagged, by opaque numbers, with the evidence.")
    seconds = models.FloatField(help_text="That it took.")
    at = models.DateTimeField()

    class Personal:
        not_personal = {"findings": "which systems groups of raters vote for or against, and how sure that is"}

    def __str__(self):
        return f"groups of {self.study} at {self.ledger_seq}"


class QualityReport(models.Model):
    """What the quality rules found in a study up to a ledger number, and how well its raters agree."""

    study = models.ForeignKey(Study, models.PROTECT, related_name="quality_reports")
    ledger_seq = models.BigIntegerField()
    version = models.PositiveIntegerField()
    report = models.JSONField()
    created_at = models.DateTimeField()

    class Personal:
        not_personal = {"report": "how many raters passed which rule and how well they agree, or an error's words"}

    class Meta:
        ordering = ["study", "-ledger_seq", "-pk"]
        indexes = [models.Index(fields=["study", "-id"], name="quality_report_latest")]

    def __str__(self):
        return f"quality of {self.study} at {self.ledger_seq}"
