"""Which pairs of systems a study's next votes are worth most on, as `scoring` computed it."""

from functools import cached_property

import numpy as np
from django.db import models

from .studies import Study


class PairingTable(models.Model):
    """The probability of every pair of systems under the policy `informative`, computed after an edition.

    One row per version. The probabilities are cumulative, in the order of numpy's `triu_indices`: (0, 1), (0, 2), ...;
    a draw is one binary search in them. The study's share of uniform draws (epsilon) is added when a pair is drawn.
    """

    KEPT = 3  # versions per study; a battle stores the probability with which it was drawn

    study = models.ForeignKey(Study, models.CASCADE, related_name="pairing_tables")
    version = models.PositiveIntegerField(help_text="The number of the edition that it was made after.")
    systems = models.JSONField(help_text="Their ids, ascending.")
    cumulative = models.BinaryField(help_text="float64, little-endian, one for each pair.")
    config = models.JSONField(default=dict, help_text="How it was computed.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Personal:
        not_personal = {"systems, cumulative, config": "how likely each pair of systems is, and how that was computed"}

    class Meta:
        ordering = ["study", "-version"]
        constraints = [models.UniqueConstraint(fields=["study", "version"], name="pairing_table_version")]

    def __str__(self):
        return f"pairing table {self.version} of {self.study}"

    @cached_property
    def probability(self) -> np.ndarray:
        """float [pairs], sums to 1."""
        return np.diff(np.frombuffer(self.cumulative, dtype="<f8"), prepend=0.0)
