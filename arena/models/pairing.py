"""Which pairs of systems a study's next votes are worth most on, as the jury left it for the stage."""

from functools import cached_property

import numpy as np
from django.db import models

from .studies import Study


class PairingTable(models.Model):
    """The probability of every pair of the systems under the policy `informative`, made after an edition.

    One row per version. The probabilities are cumulative, in the order of numpy's `triu_indices`: (0, 1), (0, 2), ...;
    a draw is one search in them. A study's share of uniform draws (epsilon) comes on top, when a pair is drawn.
    """

    KEPT = 3  # versions of a study; a battle keeps the probability it was drawn with

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
    def probability(self):
        """float [pairs], of sum 1."""
        return np.diff(np.frombuffer(self.cumulative, dtype="<f8"), prepend=0.0)
