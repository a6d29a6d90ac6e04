"""What the sweeps remember: when each last ran and where it stopped, and which rows have failed."""

from django.db import models

from .studies import Study


class Sweep(models.Model):
    """A sweep of beat's schedule. `finished_at` is when it had last reached everything that was due."""

    name = models.CharField(max_length=40, unique=True, help_text="As in the schedule.")
    created_at = models.DateTimeField(auto_now_add=True)
    begun_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    position = models.BigIntegerField(
        null=True, blank=True, help_text="The row it reached last; it goes on behind it. None: it reached all."
    )
    working_on = models.BigIntegerField(null=True, blank=True, help_text="The row it is at, or was killed at.")
    expected_from = models.DateTimeField(
        null=True, blank=True, help_text="Since when it had to run again: the arena stood still before."
    )

    n_failures = models.PositiveIntegerField(default=0, help_text="Of the sweep as a whole, in a row.")
    error = models.TextField(blank=True, help_text="The last traceback of the sweep as a whole.")
    failed_at = models.DateTimeField(null=True, blank=True)
    next_try_at = models.DateTimeField(null=True, blank=True)

    class Personal:
        not_personal = {"name, error": "a sweep of the schedule, and where in the program it failed"}

    class Meta:
        ordering = ["name"]

    def __str__(self):
        return self.name


class ExcerptRequest(models.Model):
    """What a study's excerpts were last requested for; see `arena.serving.excerpts_due`."""

    study = models.OneToOneField(Study, models.CASCADE, related_name="excerpt_request")
    basis = models.CharField(max_length=32, help_text="A hash of all that its excerpts depend on.")
    requested_at = models.DateTimeField()
    full_since = models.DateTimeField(
        null=True, blank=True, help_text="Since when its pools have not been filled, for want of room (excerpts_mb)."
    )

    class Personal:
        not_personal = {"basis": "a hash of a study's settings and clips"}

    def __str__(self):
        return f"excerpts of {self.study}"


class SweepFailure(models.Model):
    """A row that a sweep failed on, and when it is tried again. Deleted when it succeeds."""

    sweep = models.ForeignKey(Sweep, models.CASCADE, related_name="failures")
    what = models.CharField(max_length=20, help_text="What kind of row: study, edition, clip, ...")
    row = models.BigIntegerField(help_text="Its primary key.")
    study = models.ForeignKey(Study, models.CASCADE, null=True, blank=True, related_name="sweep_failures")
    n_failures = models.PositiveIntegerField(default=0, help_text="In a row.")
    error = models.TextField(help_text="The last traceback.")
    is_told = models.BooleanField(default=False, help_text="Whether an alarm has told staff.")
    failed_at = models.DateTimeField()
    next_try_at = models.DateTimeField(help_text="The pause doubles with each failure, up to an hour.")

    class Personal:
        not_personal = {"what, error": "what kind of row failed, and where in the program"}

    class Meta:
        ordering = ["-failed_at"]
        constraints = [models.UniqueConstraint(fields=["sweep", "row"], name="sweep_failure_once")]

    def __str__(self):
        return f"{self.sweep}: {self.what} {self.row}"
