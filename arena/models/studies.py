"""The settings of a listening test."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from arena import study_settings
from arena.study_settings import ANSWERS

from .clips import Clip, Excerpt, Prompt, System


def default_answers() -> list[str]:
    return list(ANSWERS)


def default_questions() -> dict[str, Any]:
    return {"degree": False, "axes": [], "tags": [], "comment": True}


class StudyQuerySet(models.QuerySet):
    def with_content(self) -> "StudyQuerySet":
        """Those with something to show: a clip of one of their systems, or a battle. Others have no public page."""
        battles = Study._meta.get_field("battles").related_model._default_manager.filter(study=OuterRef("pk"))
        clips = Clip.objects.filter(system__studies=OuterRef("pk"))
        return self.filter(Exists(battles) | Exists(clips))


class Study(models.Model):
    """The settings of a listening test. `arena.study_settings` checks that they are consistent."""

    class Access(models.TextChoices):
        OPEN = "open"
        INVITED = "invited"

    class Switching(models.TextChoices):
        SYNC = "sync", "sync: one playhead for both clips"
        RESTART = "restart", "restart: the other clip starts over"
        RESUME = "resume", "resume: the other clip goes on where it was left"

    class Pairing(models.TextChoices):
        LEAST_VOTED = "least-voted"
        UNIFORM = "uniform"
        INFORMATIVE = "informative", "informative: where a vote tells the board most"

    class ProofOfWork(models.TextChoices):
        AUTO = "auto", "auto: for an hour when many more listeners join than usual"
        ON = "on"
        OFF = "off"

    class Headphones(models.TextChoices):
        OFF = "off"
        RECOMMENDED = "recommended", "recommended: who fails may go on, and their votes are flagged"
        REQUIRED = "required", "required: who fails cannot go on"

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    description = models.TextField(blank=True)
    is_default = models.BooleanField(default=False, help_text="Where a listener without an invitation goes.")
    is_simulated = models.BooleanField(default=False, help_text="Its votes are made up; every page says so.")
    is_open = models.BooleanField(default=True, help_text="Whether new battles are served.")
    access = models.CharField(
        max_length=10, choices=Access.choices, default=Access.OPEN,
        help_text="invited: only with a link from `manage.py study invite`.",
    )  # fmt: skip
    ends_at = models.DateTimeField(null=True, blank=True)

    systems = models.ManyToManyField(System, blank=True, related_name="studies")
    prompts = models.ManyToManyField(Prompt, blank=True, related_name="studies", help_text="None: all prompts.")

    answers = models.JSONField(default=default_answers)
    questions = models.JSONField(
        default=default_questions,
        help_text='{"degree": asked for much or slightly, "axes": asked after the overall answer, "tags": reasons to '
        'pick from, "comment": whether a comment may be written}',
    )
    min_listen_ms = models.PositiveIntegerField(
        default=4000, validators=[MinValueValidator(1)], help_text="To be heard of each clip."
    )
    switching = models.CharField(max_length=10, choices=Switching.choices, default=Switching.SYNC)
    excerpt_s = models.PositiveSmallIntegerField(default=30, validators=[MinValueValidator(1), MaxValueValidator(90)])
    full_length = models.BooleanField(
        default=False,
        help_text="Play clips from their very beginning, and the shortest of a prompt to its end. Their excerpts then "
        "all begin at the same place and differ in their encoding only.",
    )
    excerpts_mb = models.PositiveIntegerField(
        default=4000, validators=[MinValueValidator(1)],
        help_text="Megabytes that the study's excerpts may take. Beyond that, clips keep one excerpt each.",
    )  # fmt: skip
    codec = models.CharField(max_length=4, choices=Excerpt._meta.get_field("codec").choices, default="mp3")
    reveal = models.BooleanField(default=True, help_text="Whether a listener learns who was who after each vote.")

    pairing = models.CharField(max_length=20, choices=Pairing.choices, default=Pairing.LEAST_VOTED)
    epsilon = models.FloatField(default=0.1, help_text="Share of pairs drawn uniformly, 0.1 to 1.")
    votes_per_pair = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Enough for a pair of systems. None: no end",
    )
    battles_per_rater = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text="None: all there are."
    )

    raters_per_connection = models.PositiveIntegerField(
        null=True, blank=True, default=150, validators=[MinValueValidator(1)],
        help_text="New listeners from one address within an hour. None: any number.",
    )  # fmt: skip
    raters_per_network = models.PositiveIntegerField(
        null=True, blank=True, default=450, validators=[MinValueValidator(1)],
        help_text="The same from one network of 256 addresses, or an IPv6 /48.",
    )  # fmt: skip
    battles_per_connection = models.PositiveIntegerField(
        null=True, blank=True, default=4500, validators=[MinValueValidator(1)],
        help_text="Battles for one address within an hour; votes beyond that are flagged. None: any number.",
    )  # fmt: skip
    battles_per_network = models.PositiveIntegerField(
        null=True, blank=True, default=13_500, validators=[MinValueValidator(1)],
        help_text="The same for one network of 256 addresses, or an IPv6 /48.",
    )  # fmt: skip

    places_per_connection = models.PositiveSmallIntegerField(
        default=33, validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="Percent of the places that are open under votes_per_pair which one address may hold at a time.",
    )  # fmt: skip

    proof_of_work = models.CharField(
        max_length=4, choices=ProofOfWork.choices, default=ProofOfWork.AUTO,
        help_text="Whether a new listener's browser has to do a small sum first.",
    )  # fmt: skip
    proof_bits = models.PositiveSmallIntegerField(
        default=15, validators=[MinValueValidator(8), MaxValueValidator(22)],
        help_text="How hard: each more doubles it. 15 is about a second on a phone.",
    )  # fmt: skip
    proof_for_battles = models.BooleanField(default=False, help_text="The same sum for each battle.")
    proof_until = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Until when `auto` asks for it; written by a sweep."
    )

    practice = models.PositiveSmallIntegerField(
        default=0, validators=[MaxValueValidator(10)], help_text="Battles at the start that count for nothing."
    )
    block_length = models.PositiveSmallIntegerField(
        default=10,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="Battles that count, a block.",
    )
    blocks = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text="None: as many as there are battles for."
    )
    golds = models.PositiveSmallIntegerField(
        default=0, validators=[MaxValueValidator(10)], help_text="Per block: a clip against its degraded self."
    )
    traps = models.PositiveSmallIntegerField(
        default=0,
        validators=[MaxValueValidator(10)],
        help_text="Per block: a clip against itself with beeps.",
    )
    repeats = models.PositiveSmallIntegerField(
        default=0, validators=[MaxValueValidator(10)], help_text="Per block: an earlier battle with its slots swapped."
    )
    volume_check = models.BooleanField(default=False, help_text="Set the volume before the first battle.")
    headphones = models.CharField(max_length=12, choices=Headphones.choices, default=Headphones.OFF)
    exclude_flagged = models.BooleanField(
        default=True, help_text="Whether the board leaves out the votes of raters whom the quality rules flag."
    )
    weight_by_reliability = models.BooleanField(
        default=False, help_text="Whether a vote counts on the board as much as its rater has proved reliable."
    )
    boards_public = models.BooleanField(
        default=True, help_text="Whether everybody may see the study's boards, plots and exclusions, or only staff."
    )

    consent_version = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1)])
    consent_text = models.TextField(
        default="We store your answers and what you listened to, under a random number in a cookie: no name, "
        "no address. To notice one person voting as many, a scrambled mark of your connection is kept for two days. "
        "The answers are published for research. You can withdraw them at any time."
    )
    groups = models.JSONField(
        default=list, blank=True,
        help_text='What listeners may say they are when they agree, one of them or none: ["musician", "listener"]. '
        'A group of at least 20 has a board of its own.',
    )  # fmt: skip
    platform = models.JSONField(
        default=dict, blank=True,
        help_text='Where raters come from, as the names of its URL parameters: {"participant": "PROLIFIC_PID", '
        '"study": "STUDY_ID", "session": "SESSION_ID"}. Empty: nowhere in particular.',
    )  # fmt: skip
    completion = models.JSONField(
        default=dict, blank=True,
        help_text='{"message": "...", "codes": {"completed": "..."}, "return_url": "https://..."}, or less.',
    )  # fmt: skip
    created_at = models.DateTimeField(auto_now_add=True)

    objects = StudyQuerySet.as_manager()

    class Personal:
        not_personal = {
            "slug, name, description, consent_text, completion": "what staff tells listeners",
            "answers, questions, groups": "what listeners may answer",
            "platform": "the names of URL parameters; their values are kept nowhere, see Participation",
        }

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

    def clean(self) -> None:
        if problems := study_settings.problems(self):
            raise ValidationError(problems)

    @property
    def has_content(self) -> bool:
        """Whether there is a clip of one of its systems, or a battle; without, it has no public page."""
        return Study.objects.with_content().filter(pk=self.pk).exists()

    @property
    def accepts_battles(self) -> bool:
        return self.is_open and not (self.ends_at and self.ends_at <= timezone.now())

    @property
    def has_page(self) -> bool:
        """Whether people can listen in it: it has something to show, see `with_content`."""
        return Study.objects.with_content().filter(pk=self.pk).exists()

    @property
    def has_checks(self) -> bool:
        """Whether there are checks among the battles, so that the rater cannot choose their order."""
        return bool(self.practice or self.golds or self.traps or self.repeats)
