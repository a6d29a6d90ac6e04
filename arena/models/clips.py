"""What is compared: systems, prompts, clips, and the excerpts of clips that raters hear."""

from collections.abc import Collection, Iterable, Set
from datetime import timedelta
from typing import Any

from django.db import models, transaction
from django.db.models import Func, Q
from django.db.models.functions import MD5
from django.utils import timezone

from arena.storable import nfc


class ClaimQuerySet(models.QuerySet):
    """Pending work that several workers share. A claim is a lease: a worker that dies loses it when it expires."""

    first_claimed: tuple[str, ...] = ("pk",)

    def claim(self, seconds: float = 200) -> int | None:
        """The pk of a pending row, claimed for `seconds` (longer than a decoding child may take); None where none is
        free. Never waits for a lock."""
        now = timezone.now()
        free = self.filter(Q(claimed_until__isnull=True) | Q(claimed_until__lt=now), status=Status.PENDING)
        with transaction.atomic():
            unlocked = free.select_for_update(no_key=True, skip_locked=True, of=("self",))
            row: Any = unlocked.order_by(*self.first_claimed).first()
            if row:
                row.claimed_until = now + timedelta(seconds=seconds)
                row.save(update_fields=["claimed_until"])
        return row and row.pk

    def try_again(self) -> int:
        """Make rejected rows pending again. Returns how many."""
        return self.filter(status=Status.REJECTED).update(status=Status.PENDING, reason="", claimed_until=None)


class Status(models.TextChoices):
    PENDING = "pending"
    READY = "ready"
    REJECTED = "rejected"


class Nfc(Func):
    """A text in Unicode's composed form, as `arena.storable.nfc`."""

    template, output_field = "normalize(%(expressions)s, NFC)", models.TextField()


class SystemQuerySet(models.QuerySet["System"]):
    def called(self, names: Collection[str]) -> dict[str, "System"]:
        """{name: system} of the systems that exist among the names, in whichever Unicode form either is written: rows
        from before names were stored in one form are found too."""
        forms = {nfc(name) for name in names}
        systems = {system.name: system for system in self.filter(name__in=forms)}
        if rest := [form for form in forms - systems.keys() if not form.isascii()]:
            older: Any = self.annotate(form=Nfc("name")).filter(form__in=rest).order_by("-pk")
            systems |= {system.form: system for system in older}
        return {name: systems[nfc(name)] for name in names if nfc(name) in systems}

    def made(self, names: Set[str]) -> dict[str, "System"]:
        """{name: system}, as `called`; those that do not exist are created."""
        known = self.called(names)
        new = {nfc(name) for name in names - known.keys()}
        if not new:
            return known
        systems: list[Any] = [System(name=name) for name in sorted(new)]
        self.bulk_create(systems, ignore_conflicts=True)
        return self.called(names)

    def ids_of(self, names: Iterable[str]) -> dict[str, int]:
        """{name: id} of the systems that exist among the names."""
        return dict(self.filter(name__in=list(names)).values_list("name", "pk"))


class System(models.Model):
    """A generator under test, known by the name its makers give it."""

    name = models.CharField(max_length=100, unique=True)
    description = models.TextField(blank=True)
    sings_lyrics = models.BooleanField(
        null=True, blank=True, help_text="Whether it sings the lyrics of a prompt; unknown until somebody says so."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True, blank=True, help_text="No longer served; its votes stay.")

    objects = SystemQuerySet.as_manager()

    class Personal:
        not_personal = {"name, description": "the generator and what it is, as staff or an import writes it"}

    class Meta:
        ordering = ["name"]
        constraints = [models.CheckConstraint(condition=~Q(name=""), name="system_has_a_name")]

    def __str__(self):
        return self.name

    def clean(self) -> None:
        if self._state.adding:  # an existing name stays as it is: editions name it
            self.name = nfc(self.name)


class PromptQuerySet(models.QuerySet["Prompt"]):
    def saying(self, words: Collection[tuple[str, str]]) -> dict[tuple[str, str], "Prompt"]:
        """{(text, lyrics): prompt} of the prompts that exist among these, in whichever Unicode form."""
        forms = {(nfc(text), nfc(lyrics)) for text, lyrics in words}
        prompts = self._among(self.filter(text__in={text for text, _ in forms}), "text", "lyrics")
        if rest := [form for form in forms - prompts.keys() if not "".join(form).isascii()]:
            older = self.annotate(nfc_text=Nfc("text"), nfc_lyrics=Nfc("lyrics")).order_by("-pk")
            older = older.filter(nfc_text__in={text for text, _ in rest})
            prompts = self._among(older, "nfc_text", "nfc_lyrics") | prompts
        by_words = {(text, lyrics): (nfc(text), nfc(lyrics)) for text, lyrics in words}
        return {pair: prompts[form] for pair, form in by_words.items() if form in prompts}

    def _among(self, prompts, text, lyrics):
        return {(getattr(prompt, text), getattr(prompt, lyrics)): prompt for prompt in prompts}

    def made(self, words: Set[tuple[str, str]], **fields: Any) -> dict[tuple[str, str], "Prompt"]:
        """{(text, lyrics): prompt}, as `saying`; those that do not exist are created, with these fields."""
        known = self.saying(words)
        new = {(nfc(text), nfc(lyrics)) for text, lyrics in words - known.keys()}
        if not new:
            return known
        prompts: list[Any] = [Prompt(text=text, lyrics=lyrics, **fields) for text, lyrics in sorted(new)]
        self.bulk_create(prompts, ignore_conflicts=True)
        return self.saying(words)


class Prompt(models.Model):
    """The text (and lyrics) that systems are asked for."""

    text = models.TextField()
    lyrics = models.TextField(blank=True)
    tags = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = PromptQuerySet.as_manager()

    class Personal:
        not_personal = {"text, lyrics, tags": "what systems were asked for, as staff or an import writes it"}

    class Meta:
        constraints = [
            models.UniqueConstraint(MD5("text"), MD5("lyrics"), name="prompt_once"),
            models.CheckConstraint(condition=~Q(text="", lyrics=""), name="prompt_says_something"),
        ]

    def __str__(self):
        return self.text[:80] or self.lyrics[:80]

    def clean(self) -> None:
        if self._state.adding:
            self.text, self.lyrics = nfc(self.text), nfc(self.lyrics)


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

    class Personal:
        not_personal = {
            "sha256, original, codec": "the audio that a system made",
            "filename, seed, tags, licence": "what the manifest of an import says of it",
            "reason": "why it was rejected, in the program's words",
        }

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


class ExcerptQuerySet(ClaimQuerySet):
    first_claimed = ("n_before", "pk")  # a pool that has nothing comes before one that has something


class Excerpt(models.Model):
    """The blinded, level-matched copy of `length_ms` of a clip that is played; as a variant, audibly degraded (for gold
    battles) or with a tone sequence mixed in (for attention traps).

    It is cut for one study and served there only. The excerpts of a study's clip at one length are its pool: they begin
    at different places and are encoded afresh, so that neither their bytes nor a place in them name the clip.
    """

    SPENT = "spent"  # served, and its file deleted: the row stays, because battles refer to it

    class Variant(models.TextChoices):
        PLAIN = "", "plain"
        LOWPASS = "lowpass"
        CLIPPED = "clipped"
        NOISY = "noisy"
        TONES = "tones"

    study = models.ForeignKey(
        "Study", models.CASCADE, null=True, blank=True, related_name="excerpts",
        help_text="Where alone it is served. None: cut for all studies, by an earlier version.",
    )  # fmt: skip
    clip = models.ForeignKey(Clip, models.PROTECT, related_name="excerpts")
    start_ms = models.PositiveIntegerField(default=0, help_text="Where in the clip it begins.")
    length_ms = models.PositiveIntegerField()
    codec = models.CharField(max_length=4, choices=[("mp3", "MP3 320 kbit/s"), ("wav", "WAV 16 bit")])
    variant = models.CharField(max_length=10, blank=True, default=Variant.PLAIN, choices=Variant.choices)
    file = models.FileField(max_length=200, blank=True)

    status = models.CharField(
        max_length=10, choices=[*Status.choices, (SPENT, "spent: its file is deleted")], default=Status.PENDING
    )
    reason = models.TextField(blank=True, help_text="Why it cannot be played, and so is not paired.")
    claimed_until = models.DateTimeField(null=True, blank=True, editable=False)
    n_before = models.PositiveSmallIntegerField(
        default=0, help_text="Excerpts that its pool had when it was requested; those with few are cut first."
    )
    n_served = models.PositiveIntegerField(default=0, help_text="Battles that it was served in.")
    is_replaced = models.BooleanField(
        default=False, help_text="Whether another has been requested since it was served."
    )

    size = models.PositiveIntegerField(null=True, blank=True, help_text="In bytes.")
    gain_db = models.FloatField(null=True, blank=True)
    loudness_lufs = models.FloatField(null=True, blank=True)
    true_peak_dbtp = models.FloatField(null=True, blank=True)

    objects = ExcerptQuerySet.as_manager()

    class Personal:
        not_personal = {
            "file": "the audio that is played",
            "reason": "why it cannot be played, in the program's words",
        }

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(status="ready") | (Q(size__isnull=False, size__gt=0) & ~Q(file="")),
                name="excerpt_ready_has_a_file",
            ),
            models.CheckConstraint(condition=~Q(status="rejected") | ~Q(reason=""), name="excerpt_rejected_says_why"),
        ]
        indexes = [
            models.Index(fields=["n_before", "id"], condition=Q(status="pending"), name="excerpt_to_cut"),
            models.Index(fields=["study"], condition=Q(status="rejected"), name="excerpt_refused"),
            models.Index(
                fields=["study", "clip", "length_ms", "variant"], condition=Q(status="ready"), name="excerpt_pool"
            ),
            models.Index(fields=["study"], condition=Q(n_served__gt=0, is_replaced=False), name="excerpt_used"),
            models.Index(fields=["id"], condition=Q(status="ready", is_replaced=True), name="excerpt_to_tidy"),
            models.Index(fields=["id"], condition=Q(status="spent") & ~Q(file=""), name="excerpt_to_delete"),
        ]

    def __str__(self):
        return f"{self.variant} excerpt of clip {self.clip_id}, {self.length_ms / 1000:g} s {self.codec}".lstrip()
