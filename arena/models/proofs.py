"""Proofs of work that have been used."""

from django.db import models


class SpentProof(models.Model):
    """A challenge whose answer was taken, so that it counts once (`arena.limits.proof_of_work`). Kept while the
    challenge could be answered, and some days longer."""

    digest = models.CharField(max_length=64, primary_key=True)
    at = models.DateTimeField(db_index=True)

    class Personal:
        not_personal = {"digest": "SHA-256 of a random text that the server had made; of nobody in particular"}
        lifetime = "after two days (the sweep `arrivals`)"

    def __str__(self):
        return f"proof spent at {self.at}"
