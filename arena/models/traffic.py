"""How much of a study comes from one connection or network."""

from django.db import models

from .studies import Study


class Traffic(models.Model):
    """How many raters, battles or votes of a study came from behind one mark (`arena.limits.marks`) within an hour.
    Kept for two days at most."""

    class Kind(models.TextChoices):
        RATERS = "raters"
        BATTLES = "battles"
        VOTES = "votes"

    study = models.ForeignKey(Study, models.CASCADE, related_name="+")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    mark = models.CharField(max_length=64)
    hour = models.DateTimeField(help_text="When it began, UTC.")
    n = models.PositiveIntegerField()

    class Personal:
        not_personal = {
            "kind": "what was counted",
            "mark": "an HMAC, keyed per day, of a connection or network; it tells neither whose it was nor who came",
        }
        lifetime = "after two days (the sweep `arrivals`)"

    class Meta:
        verbose_name_plural = "traffic"
        constraints = [
            models.UniqueConstraint(fields=["study", "kind", "mark", "hour"], name="traffic_counted_once"),
        ]

    def __str__(self):
        return f"{self.n} {self.kind} in {self.study_id} within the hour from {self.hour}"
