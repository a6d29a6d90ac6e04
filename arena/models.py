"""The stage: what is compared (systems, prompts, clips) and how it is served (studies, raters, battles).

What must always hold is a named constraint here or, where Django has no words for it (composite foreign
keys), a statement in migration 0002. A check that comes to NULL passes: hence every `isnull=False`.
"""

import uuid
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import MD5
from django.utils import timezone

ANSWERS = ("A", "B", "TIE", "BOTH_BAD")


class ClaimQuerySet(models.QuerySet):
    """Pending work that several workers share. A claim is a lease: who dies loses it when it runs out."""

    def claim(self, seconds=200):
        """The pk of a pending row, now ours for `seconds` (longer than a decoding child may take); None where there
        is none free. Nobody waits on a lock."""
        now = timezone.now()
        free = self.filter(Q(claimed_until__isnull=True) | Q(claimed_until__lt=now), status=Status.PENDING)
        with transaction.atomic():
            row = free.order_by("pk").select_for_update(no_key=True, skip_locked=True, of=("self",)).first()
            if row:
                row.claimed_until = now + timedelta(seconds=seconds)
                row.save(update_fields=["claimed_until"])
        return row and row.pk

    def try_again(self):
        """Make rejected rows pending again. Returns how many."""
        return self.filter(status=Status.REJECTED).update(status=Status.PENDING, reason="", claimed_until=None)


class Status(models.TextChoices):
    PENDING = "pending"
    READY = "ready"
    REJECTED = "rejected"


class System(models.Model):
    """A generator under test, known by the name its makers give it."""

    name = models.CharField(max_length=100, unique=True)
    description = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True, blank=True, help_text="No longer served; its votes stay.")

    class Meta:
        ordering = ["name"]
        constraints = [models.CheckConstraint(condition=~Q(name=""), name="system_has_a_name")]

    def __str__(self):
        return self.name


class Prompt(models.Model):
    """Text (and lyrics) asked for."""

    text = models.TextField()
    lyrics = models.TextField(blank=True)
    tags = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(MD5("text"), MD5("lyrics"), name="prompt_once"),
            models.CheckConstraint(condition=~Q(text="", lyrics=""), name="prompt_says_something"),
        ]

    def __str__(self):
        return self.text[:80] or self.lyrics[:80]


class Clip(models.Model):
    """One audio file a system made for a prompt. The original stays private; raters hear excerpts of it."""

    system = models.ForeignKey(System, models.PROTECT, related_name="clips")
    prompt = models.ForeignKey(Prompt, models.PROTECT, related_name="clips")
    sha256 = models.CharField(max_length=64)
    original = models.FileField(max_length=200, blank=True)
    filename = models.CharField(max_length=255, blank=True, help_text="As it was called where it came from.")
    seed = models.CharField(max_length=40, blank=True)
    tags = models.JSONField(default=list, blank=True)
    licence = models.CharField(max_length=100, blank=True)

    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    reason = models.TextField(blank=True, help_text="Why it was rejected, for a person to read.")
    claimed_until = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    ingested_at = models.DateTimeField(null=True, blank=True)

    duration_ms = models.PositiveIntegerField(null=True, blank=True)
    sample_rate = models.PositiveIntegerField(null=True, blank=True)
    channels = models.PositiveSmallIntegerField(null=True, blank=True)
    codec = models.CharField(max_length=40, blank=True)
    loudness_lufs = models.FloatField(null=True, blank=True)
    true_peak_dbtp = models.FloatField(null=True, blank=True)

    objects = ClaimQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["system", "prompt", "sha256"], name="clip_once"),
            models.CheckConstraint(
                condition=~Q(status="ready")
                | Q(duration_ms__isnull=False, duration_ms__gt=0, loudness_lufs__isnull=False),
                name="clip_ready_is_measured",
            ),
            models.CheckConstraint(condition=~Q(status="rejected") | ~Q(reason=""), name="clip_rejected_says_why"),
        ]
        indexes = [
            models.Index(fields=["id"], condition=Q(status="pending"), name="clip_pending"),
            models.Index(fields=["prompt", "system"], name="clip_of_prompt"),
        ]

    def __str__(self):
        return f"clip {self.pk} ({self.system})"


class Excerpt(models.Model):
    """The blinded, level-matched copy of a clip's first `length_ms` that is played."""

    clip = models.ForeignKey(Clip, models.PROTECT, related_name="excerpts")
    length_ms = models.PositiveIntegerField()
    codec = models.CharField(max_length=4, choices=[("mp3", "MP3 320 kbit/s"), ("wav", "WAV 16 bit")])
    file = models.FileField(max_length=200, blank=True)

    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    reason = models.TextField(blank=True, help_text="Why it cannot be played, and so is not paired.")
    claimed_until = models.DateTimeField(null=True, blank=True, editable=False)

    size = models.PositiveIntegerField(null=True, blank=True, help_text="In bytes.")
    gain_db = models.FloatField(null=True, blank=True)
    loudness_lufs = models.FloatField(null=True, blank=True)
    true_peak_dbtp = models.FloatField(null=True, blank=True)
    peaks = models.JSONField(default=list, blank=True)

    objects = ClaimQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["clip", "length_ms", "codec"], name="excerpt_once"),
            models.CheckConstraint(
                condition=~Q(status="ready") | (Q(size__isnull=False, size__gt=0) & ~Q(file="")),
                name="excerpt_ready_has_a_file",
            ),
            models.CheckConstraint(condition=~Q(status="rejected") | ~Q(reason=""), name="excerpt_rejected_says_why"),
        ]
        indexes = [models.Index(fields=["id"], condition=Q(status="pending"), name="excerpt_pending")]

    def __str__(self):
        return f"excerpt of clip {self.clip_id}, {self.length_ms / 1000:g} s {self.codec}"


def default_answers():
    return list(ANSWERS)


def default_questions():
    return {"degree": False, "axes": [], "tags": [], "comment": True}


class Study(models.Model):
    """The settings of a listening test."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    description = models.TextField(blank=True)
    is_default = models.BooleanField(default=False, help_text="Where a listener without an invitation goes.")
    is_simulated = models.BooleanField(default=False, help_text="Its votes are made up; every page says so.")
    is_open = models.BooleanField(default=True, help_text="Whether new battles are served.")
    ends_at = models.DateTimeField(null=True, blank=True)

    systems = models.ManyToManyField(System, blank=True, related_name="studies")
    prompts = models.ManyToManyField(Prompt, blank=True, related_name="studies", help_text="None: all prompts.")
    answers = models.JSONField(default=default_answers)
    questions = models.JSONField(default=default_questions)
    min_listen_ms = models.PositiveIntegerField(
        default=4000, validators=[MinValueValidator(1)], help_text="To be heard of each clip."
    )
    excerpt_s = models.PositiveSmallIntegerField(default=30, validators=[MinValueValidator(1), MaxValueValidator(90)])
    codec = models.CharField(max_length=4, choices=Excerpt._meta.get_field("codec").choices, default="mp3")
    epsilon = models.FloatField(default=0.2, help_text="Share of pairs drawn uniformly, 0.1 to 1.")
    battles_per_rater = models.PositiveIntegerField(null=True, blank=True, help_text="None: all there are.")
    consent_version = models.PositiveIntegerField(default=1)
    consent_text = models.TextField(
        default="We store your answers and what you listened to, under a random number in a cookie: no name, "
        "no address. The answers are published for research. You can withdraw them at any time."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "studies"
        ordering = ["slug"]
        constraints = [
            models.UniqueConstraint(fields=["is_default"], condition=Q(is_default=True), name="study_one_default"),
            models.CheckConstraint(condition=Q(epsilon__gte=0.1, epsilon__lte=1), name="study_epsilon"),
            models.CheckConstraint(condition=Q(excerpt_s__gte=1, excerpt_s__lte=90), name="study_excerpt_length"),
        ]

    def __str__(self):
        return self.slug

    def clean(self):
        unknown = [answer for answer in self.answers if answer not in ANSWERS]
        if unknown or not {"A", "B"} <= set(self.answers):
            raise ValidationError({"answers": f"A and B, and any of TIE, BOTH_BAD; not {self.answers!r}."})
        expected = default_questions()
        if not isinstance(self.questions, dict) or set(self.questions) != set(expected):
            raise ValidationError({"questions": f"Write an object with exactly the keys {sorted(expected)}."})

    @property
    def accepts_battles(self):
        return self.is_open and not (self.ends_at and self.ends_at <= timezone.now())


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

    is_authenticated = True  # what a REST view asks of request.user

    def __str__(self):
        return f"rater {str(self.pk)[:8]}"


class Consent(models.Model):
    """Which consent text a rater agreed to. Erased by a withdrawal."""

    rater = models.ForeignKey(Rater, models.CASCADE, related_name="consents")
    study = models.ForeignKey(Study, models.CASCADE)
    version = models.PositiveIntegerField()
    given_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["rater", "study", "version"], name="consent_once"),
        ]

    def __str__(self):
        return f"consent of {self.rater_id} to {self.study} {self.version}"


class BattleQuerySet(models.QuerySet):
    def open(self, now):
        return self.filter(closed_at__isnull=True, expires_at__gt=now)

    def counted(self, now):
        """What a pair's quota sees: answered battles, and those for which an answer is still expected."""
        return self.filter(Q(close_reason="voted") | Q(closed_at__isnull=True, reserved_until__gt=now))


class Battle(models.Model):
    """Two clips for one prompt as served to one rater; slot A plays `clip_a`, slot B `clip_b`."""

    class Kind(models.TextChoices):
        RANKED = "ranked"
        IMPORTED = "imported"
        GOLD = "gold"
        PRACTICE = "practice"

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
    length_ms = models.PositiveIntegerField(null=True, blank=True)
    codec = models.CharField(max_length=4, blank=True)

    policy = models.CharField(max_length=40, blank=True)
    pair_probability = models.FloatField(null=True, blank=True)
    clip_probability = models.FloatField(null=True, blank=True)

    served_at = models.DateTimeField()
    reserved_until = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    close_reason = models.CharField(max_length=10, blank=True, choices=[("voted", "voted"), ("skipped", "skipped")])
    skip_reason = models.CharField(max_length=20, blank=True)
    external_id = models.CharField(max_length=100, null=True, blank=True, help_text="Its id where imported from.")

    objects = BattleQuerySet.as_manager()

    class Meta:
        ordering = ["served_at"]
        constraints = [
            models.CheckConstraint(condition=~Q(clip_a=F("clip_b")), name="battle_clips_differ"),
            models.CheckConstraint(
                condition=~Q(system_a=F("system_b")) | Q(kind__in=["gold", "practice"]),
                name="battle_systems_differ",
            ),
            models.CheckConstraint(
                condition=~Q(kind="ranked")
                | Q(
                    rater__isnull=False, prompt__isnull=False, clip_a__isnull=False, clip_b__isnull=False,
                    excerpt_a__isnull=False, excerpt_b__isnull=False, length_ms__isnull=False, length_ms__gt=0,
                    reserved_until__isnull=False, expires_at__isnull=False,
                    pair_probability__isnull=False, clip_probability__isnull=False,
                    pair_probability__gt=0, pair_probability__lte=1,
                    clip_probability__gt=0, clip_probability__lte=1,
                ) & ~Q(policy=""),
                name="battle_ranked_is_whole",
            ),
            models.CheckConstraint(
                condition=Q(kind="ranked") | Q(pair_probability__isnull=True, clip_probability__isnull=True),
                name="battle_probability_only_if_drawn",
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
            models.Index(fields=["study", "system_a", "system_b"], name="battle_of_pair"),
        ]

    def __str__(self):
        return f"battle {str(self.pk)[:8]}"

    def excerpt(self, slot):
        return getattr(self, f"excerpt_{slot.lower()}")
