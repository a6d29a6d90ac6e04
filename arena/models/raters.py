"""Raters: a pseudonym, and in erasable tables all that could identify them."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

from arena.refusals import Unauthenticated

from .studies import Study


class RaterQuerySet(models.QuerySet["Rater"]):
    def locked(self, pk: uuid.UUID) -> "Rater":
        """The rater, for an act of theirs: until the transaction ends, others of theirs wait. Unauthenticated for who
        has withdrawn. Raw SQL, for every battle and every vote begins here."""
        lock = "SELECT * FROM arena_rater WHERE id = %s AND withdrawn_at IS NULL FOR NO KEY UPDATE"
        found: list[Rater] = list(self.raw(lock, [pk]))
        if not found:
            raise Unauthenticated("Authentication credentials were not provided.")
        return found[0]


class Rater(models.Model):
    """A listener, known by a pseudonym. After a withdrawal the row stays as an empty tombstone."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(
        max_length=10,
        choices=[("listener", "listener"), ("simulated", "simulated"), ("imported", "imported")],
        default="listener",
    )
    import_key = models.CharField(
        max_length=64, null=True, blank=True, unique=True, editable=False,
        help_text="HMAC of the label an import knew this rater by.",
    )  # fmt: skip
    ears_free_at = models.DateTimeField(null=True, blank=True, help_text="When their last listening ended.")
    created_at = models.DateTimeField(default=timezone.now)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    objects = RaterQuerySet.as_manager()

    is_authenticated = True  # REST framework checks this on request.user

    class Personal:
        rater = "self"
        blanked = {
            "import_key": "an HMAC of the label by which an import knew the rater",
            "ears_free_at": "when their last listening ended",
        }
        kept = {
            "id": "the pseudonym: a random number. Votes of one rater are a cluster, in old editions too",
            "kind": "whether the rater was a listener, simulated or imported; it says what the votes are",
            "created_at": "when the row was made; by itself it says nothing of anybody",
            "withdrawn_at": "that and when they withdrew, or they could vote again",
        }

    def __str__(self):
        return f"rater {str(self.pk)[:8]}"


class Consent(models.Model):
    """Which consent text a rater agreed to. Erased by a withdrawal."""

    rater = models.ForeignKey(Rater, models.CASCADE, related_name="consents")
    study = models.ForeignKey(Study, models.CASCADE)
    version = models.PositiveIntegerField()
    given_at = models.DateTimeField(default=timezone.now)

    class Personal:
        rater = "rater"
        deleted = {"study, version, given_at": "which consent text of which study the rater agreed to, and when"}

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["rater", "study", "version"], name="consent_once"),
        ]

    def __str__(self):
        return f"consent of {self.rater_id} to {self.study} {self.version}"


class Participation(models.Model):
    """A rater in a study: where they came from, the checks before the first battle, how it ended.

    Erased by a withdrawal. `participant` is an HMAC, keyed per study, of the rater's id at a platform or in an
    invitation: it reveals neither who they are nor, since each study has a rater of its own, that they took part in
    two.
    """

    class Headphones(models.TextChoices):
        UNKNOWN = "unknown"
        PASS = "pass"
        FAIL = "fail"

    rater = models.ForeignKey(Rater, models.CASCADE, related_name="participations")
    study = models.ForeignKey(Study, models.CASCADE, related_name="participations")
    participant = models.CharField(max_length=64, null=True, blank=True)
    volume = models.FloatField(null=True, blank=True, help_text="As set before the first battle, 0 to 1.")
    headphones = models.CharField(max_length=8, blank=True, choices=Headphones.choices)
    headphone_attempts = models.PositiveSmallIntegerField(default=0)
    group = models.CharField(max_length=60, blank=True, help_text="One of the study's groups, as the rater says.")
    started_at = models.DateTimeField(default=timezone.now)
    outcome = models.CharField(max_length=20, blank=True, help_text="As the rater was told at the end.")
    finished_at = models.DateTimeField(null=True, blank=True)

    class Personal:
        rater = "rater"
        deleted = {
            "participant": "an HMAC, keyed per study, of the id that a platform or an invitation gave the rater",
            "study, started_at": "which study the rater entered, and when",
            "volume, headphones, headphone_attempts": "the volume they set and whether they wore headphones",
            "group": "which of the study's groups they say they belong to",
            "outcome, finished_at": "how it ended, and when",
        }

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["rater", "study"], name="participation_once"),
            models.UniqueConstraint(fields=["study", "participant"], name="participant_once"),
            models.CheckConstraint(condition=Q(volume__isnull=True) | Q(volume__gte=0, volume__lte=1), name="volume"),
        ]
        indexes = [models.Index(fields=["started_at"], name="participation_by_time")]

    def __str__(self):
        return f"{self.rater} in {self.study}"


class Arrival(models.Model):
    """When a rater came, and from where, as HMACs whose key changes every day (`arena.limits.marks`). Kept for two days
    at most. A mark is NULL where it is unknown: the address is not public, or the row is older than the mark."""

    rater = models.ForeignKey(Rater, models.CASCADE, related_name="arrivals")
    connection = models.CharField(max_length=64, null=True, blank=True, help_text="Of the address; of an IPv6 /64.")
    network = models.CharField(max_length=64, null=True, blank=True, help_text="Of the IPv4 /24 or the IPv6 /48.")
    device = models.CharField(max_length=64, null=True, blank=True, help_text="Of the connection and the User-Agent.")
    is_forwarded = models.BooleanField(
        default=False, help_text="Whether a proxy forwarded the request, though TRUSTED_PROXIES is 0."
    )
    at = models.DateTimeField(default=timezone.now)

    class Personal:
        rater = "rater"
        deleted = {
            "connection, network, device": "HMACs, keyed per day, of the address, its network, and address and browser",
            "is_forwarded, at": "whether through a proxy, and when the rater came",
        }
        lifetime = "after two days (the sweep `arrivals`)"

    class Meta:
        indexes = [
            models.Index(fields=["connection", "at"], name="arrival_by_connection"),
            models.Index(fields=["network", "at"], name="arrival_by_network"),
            models.Index(fields=["device", "at"], name="arrival_by_device"),
        ]

    def __str__(self):
        return f"arrival of {self.rater}"
