"""Votes, and what is known about them. Append-only; triggers of migration 0002 enforce it.

`Vote` holds nothing personal and no free text. A withdrawal erases what does (`VoteDetails`).
"""

from django.db import models
from django.db.models import F, Q

from arena.models import ANSWERS, Battle, Rater, Study


class Vote(models.Model):
    """A rater's answer to a battle."""

    battle = models.OneToOneField(Battle, models.PROTECT, related_name="vote")
    rater = models.ForeignKey(Rater, models.PROTECT, null=True, blank=True, related_name="votes")
    preference = models.CharField(max_length=8, choices=[(answer, answer) for answer in ANSWERS])
    degree = models.CharField(max_length=8, blank=True, choices=[("much", "much"), ("slightly", "slightly")])
    axes = models.JSONField(default=dict, blank=True)
    tags = models.JSONField(default=list, blank=True)

    heard = models.JSONField(default=dict, blank=True, help_text="Intervals in ms of clip time, per slot.")
    heard_a_ms = models.PositiveIntegerField(null=True, blank=True, help_text="Covered once or more.")
    heard_b_ms = models.PositiveIntegerField(null=True, blank=True)
    first_played = models.CharField(max_length=1, blank=True)
    switches = models.PositiveIntegerField(null=True, blank=True)
    first_play_ms = models.PositiveIntegerField(null=True, blank=True, help_text="Since the battle appeared.")
    opened_ms = models.PositiveIntegerField(null=True, blank=True, help_text="When both clips had been heard.")
    decided_ms = models.PositiveIntegerField(null=True, blank=True)
    pauses = models.PositiveIntegerField(null=True, blank=True)
    hidden = models.PositiveIntegerField(null=True, blank=True, help_text="How often the page was out of sight.")
    volume = models.FloatField(null=True, blank=True, help_text="Of the page's own control, 0 to 1.")
    idempotency_key = models.CharField(
        max_length=100, null=True, blank=True, help_text="Its SHA-256: the key itself is the client's to choose."
    )
    received_at = models.DateTimeField()

    class Personal:
        rater = "rater"
        kept = {
            "battle, preference, degree, axes, tags": "the answer, in words that the study offers: published editions "
            "and releases are rebuilt from it, later ones leave it out as withdrawn",
            "heard, heard_a_ms, heard_b_ms, first_played, switches": "what was heard of the clips, in milliseconds; "
            "part of what was released, and covariates of old boards",
            "first_play_ms, opened_ms, decided_ms, pauses, hidden, volume": "counts and times of the player; part of "
            "what was released",
            "idempotency_key": "the SHA-256 of a key that the client chooses (the site's own page, at random), so that "
            "an answer that is sent twice is one vote",
            "received_at": "when; part of what was released",
        }

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(preference__in=ANSWERS), name="vote_preference"),
            models.CheckConstraint(condition=Q(degree__in=["", "much", "slightly"]), name="vote_degree"),
            models.CheckConstraint(condition=Q(first_played__in=["", "A", "B"]), name="vote_first_played"),
            models.UniqueConstraint(fields=["rater", "idempotency_key"], name="vote_key_once_per_rater"),
        ]
        indexes = [models.Index(fields=["received_at"], name="vote_by_time")]

    def __str__(self) -> str:
        return f"vote {self.pk}: {self.preference}"

    @property
    def answer(self) -> tuple[str, str, dict, list[str]]:
        """Two votes with equal values are the same answer."""
        return (self.preference, self.degree, self.axes, sorted(self.tags))


class VoteDetails(models.Model):
    """What came with a vote and could identify the rater. Erased by a withdrawal."""

    vote = models.OneToOneField(Vote, models.CASCADE, related_name="details")
    comment = models.TextField(blank=True)
    events = models.JSONField(default=list, blank=True)
    user_agent = models.CharField(max_length=300, blank=True)
    language = models.CharField(max_length=100, blank=True)

    class Personal:
        rater = "vote__rater"
        deleted = {
            "comment": "what the rater wrote",
            "events": "what they did with the player, step by step",
            "user_agent, language": "what their browser says of itself, and the languages it asks for",
        }
        lifetime = "when the vote is withdrawn, also without the rater"

    class Meta:
        verbose_name_plural = "vote details"

    def __str__(self) -> str:
        return f"details of vote {self.vote_id}"


class Flag(models.Model):
    """A rule's finding about a vote. The rule `withdrawn` records the rater's own decision."""

    WITHDRAWN = "withdrawn"
    LATE = "late"
    OVER_LIMIT = "over_limit"  # more votes came from its connection or network within the hour than the study allows
    IMPOSSIBLE = "impossible_times"  # the player's events contradict the listening that it reports
    NO_HEADPHONES = "no_headphones"  # the study recommends headphones, and the rater failed the check
    CLEARED = "cleared"  # a person decided that the quality rules do not apply to this vote

    vote = models.ForeignKey(Vote, models.PROTECT, related_name="flags")
    rule = models.CharField(max_length=40)
    rule_version = models.PositiveIntegerField()
    detail = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField()

    class Personal:
        rater = "vote__rater"
        kept = {
            "rule, rule_version, created_at": "which rule took a vote out of which editions, and when; a withdrawal is "
            "one too",
            "detail": "the rule's figures; of `cleared` the name of the account that cleared the vote",
        }

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["vote", "rule", "rule_version"], name="flag_once"),
        ]

    def __str__(self) -> str:
        return f"{self.rule} on vote {self.vote_id}"


class Reliability(models.Model):
    """A rater's skill in a study, as estimated at one ledger `seq`. Append-only, so that weights can be rebuilt."""

    rater = models.ForeignKey(Rater, models.PROTECT, related_name="reliabilities")
    study = models.ForeignKey(Study, models.PROTECT, related_name="reliabilities")
    ledger_seq = models.BigIntegerField()
    version = models.PositiveIntegerField()
    skill = models.FloatField(help_text="The share of votes that follow the music rather than chance, 0 to 1.")
    stderr = models.FloatField()
    n_votes = models.PositiveIntegerField()
    created_at = models.DateTimeField()

    class Personal:
        rater = "rater"
        kept = {
            "study, ledger_seq, version, created_at, skill, stderr, n_votes": "estimates of the rater's skill by which "
            "old boards weighted votes: they could not be rebuilt without",
        }

    class Meta:
        verbose_name_plural = "reliabilities"
        constraints = [
            models.UniqueConstraint(fields=["rater", "study", "ledger_seq", "version"], name="reliability_once"),
            models.CheckConstraint(condition=Q(skill__gte=0, skill__lte=1), name="reliability_share"),
        ]

    def __str__(self) -> str:
        return f"{self.rater}: {self.skill:.2f}"


class GroupNumbers(models.Model):
    """In which groups of a study's raters a rater is, by how they came: opaque numbers, the same for raters with equal
    marks, which are soon forgotten (`arena.models.Arrival`). Append-only, and a withdrawal leaves it, so that boards by
    which groups were capped can be rebuilt. A rater without a row is in no known group."""

    rater = models.ForeignKey(Rater, models.PROTECT, related_name="group_numbers")
    study = models.ForeignKey(Study, models.PROTECT, related_name="group_numbers")
    place = models.PositiveIntegerField(help_text="In the order in which the study's raters first voted, from 0 up.")
    connection = models.PositiveIntegerField(
        null=True, blank=True, help_text="The place of the first rater who came over it; empty where unknown."
    )
    network = models.PositiveIntegerField(null=True, blank=True)
    device = models.PositiveIntegerField(null=True, blank=True)

    class Personal:
        rater = "rater"
        kept = {
            "study, place, connection, network, device": "which raters of a study came over one connection, network or "
            "device, by numbers that say nothing else: old boards, on which a connection weighs only so much, could "
            "not be rebuilt without",
        }

    class Meta:
        verbose_name_plural = "group numbers"
        constraints = [
            models.UniqueConstraint(fields=["study", "rater"], name="group_numbers_once"),
            models.UniqueConstraint(fields=["study", "place"], name="group_numbers_in_order"),
        ]

    def __str__(self) -> str:
        return f"{self.rater} in {self.study}"


class Screening(models.Model):
    """The last result of a screen for a rater in a study. It is `unknown` where the screen failed to run, which
    excludes nobody. Erased by a withdrawal."""

    class Result(models.TextChoices):
        PASS = "pass"
        FAIL = "fail"
        UNKNOWN = "unknown"

    rater = models.ForeignKey(Rater, models.CASCADE, related_name="screenings")
    study = models.ForeignKey(Study, models.CASCADE, related_name="screenings")
    screen = models.CharField(max_length=40)
    version = models.PositiveIntegerField()
    result = models.CharField(max_length=8, choices=Result.choices)
    score = models.FloatField(null=True, blank=True)
    detail = models.JSONField(default=dict, blank=True)
    n_votes = models.PositiveIntegerField(default=0, help_text="Votes it looked at.")
    looked_at_end = models.BooleanField(default=False, help_text="The one look when the rater had finished is taken.")
    at = models.DateTimeField()

    class Personal:
        rater = "rater"
        deleted = {
            "study, screen, version, result, score, detail, n_votes, looked_at_end, at": "what a screen says of how "
            "the rater listens, and of who they may be, and when it looked",
        }

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["rater", "study", "screen", "version"], name="screening_once"),
        ]

    def __str__(self) -> str:
        return f"{self.screen}: {self.result}"


class Alarm(models.Model):
    """Something an admin must see: the pass rate of a screen changed, or a screen or a sweep does not run."""

    study = models.ForeignKey(
        Study, models.CASCADE, null=True, blank=True, related_name="alarms", help_text="None: it concerns all of them."
    )
    screen = models.CharField(max_length=40)
    message = models.TextField()
    detail = models.JSONField(default=dict, blank=True)
    raised_at = models.DateTimeField()
    seen_at = models.DateTimeField(null=True, blank=True)

    class Personal:
        not_personal = {
            "screen, message, detail": "which screen or sweep raised it and why, in counts of all raters, or "
            "an error's words and where in the program it was",
        }

    class Meta:
        ordering = ["-raised_at"]

    def __str__(self) -> str:
        return self.message


class LedgerSeal(models.Model):
    """Hashes over all that the links of version 1 did not cover of the entries up to `through_seq`: see
    `ledger_links`. It has an entry in the ledger, whose link covers the hashes. Append-only."""

    through_seq = models.BigIntegerField()
    hashes = models.JSONField(help_text="SHA-256 in hex, one for every `ledger_links.SEAL_BLOCK` entries.")
    created_at = models.DateTimeField()

    class Personal:
        not_personal = {"hashes": "hashes over a thousand entries each, from which no entry can be told"}

    def __str__(self):
        return f"seal of entries 1 to {self.through_seq}"


class Ledger(models.Model):
    """Every vote and every flag, in the order that editions and releases refer to.

    A trigger writes the row in the transaction of the vote or flag; the sweep gives it its `seq` and its
    place in the chain of hashes. Because commits arrive out of order, only `seq <= n` is a set that never
    changes; a limit on times or ids is not. An entry of no study holds a seal.
    """

    study = models.ForeignKey(Study, models.PROTECT, null=True, blank=True)
    vote = models.OneToOneField(Vote, models.PROTECT, null=True, blank=True, related_name="entry")
    flag = models.OneToOneField(Flag, models.PROTECT, null=True, blank=True, related_name="entry")
    seal = models.OneToOneField(LedgerSeal, models.PROTECT, null=True, blank=True, related_name="entry")
    seq = models.BigIntegerField(null=True, blank=True, unique=True)
    digest = models.CharField(max_length=64, blank=True)
    link_version = models.PositiveSmallIntegerField(
        default=1, db_default=1, help_text="What the digest covers: see `ledger_links`."
    )

    class Personal:
        rater = "vote__rater", "flag__vote__rater"
        kept = {
            "study, seal, seq, digest, link_version": "the order of votes and flags and a chain of hashes, which shows "
            "if one is lost"
        }

    class Meta:
        verbose_name_plural = "ledger"
        ordering = [F("seq").asc(nulls_last=True)]
        constraints = [
            models.CheckConstraint(
                condition=Q(vote__isnull=True, flag__isnull=False, seal__isnull=True, study__isnull=False)
                | Q(vote__isnull=False, flag__isnull=True, seal__isnull=True, study__isnull=False)
                | Q(vote__isnull=True, flag__isnull=True, seal__isnull=False, study__isnull=True),
                name="ledger_vote_or_flag_or_seal",
            ),
            models.CheckConstraint(
                condition=Q(seq__isnull=True, digest="") | (Q(seq__isnull=False, seq__gte=1) & ~Q(digest="")),
                name="ledger_seq_with_digest",
            ),
        ]
        indexes = [
            models.Index(fields=["id"], condition=Q(seq__isnull=True), name="ledger_waiting"),
            models.Index(fields=["study", "seq"], name="ledger_of_study"),
        ]

    def __str__(self) -> str:
        return f"ledger {self.seq}"


class VoteBlock(models.Model):
    """Some of a study's votes in ledger order, as a cache for reading: see `vote_blocks`. A study's blocks are
    contiguous and repeat what never changes; all of them together may be deleted, and are then rebuilt."""

    study = models.ForeignKey(Study, models.CASCADE, related_name="vote_blocks")
    first_seq = models.BigIntegerField()
    last_seq = models.BigIntegerField()
    records = models.BinaryField(help_text="`blocks.RECORD`, one for each vote.")

    class Personal:
        kept = {
            "records": "a copy of votes that reads faster: the rater's pseudonym, the answer and what was compared, "
            "and nothing that Vote and Battle do not keep",
        }

    class Meta:
        ordering = ["study", "first_seq"]
        constraints = [models.UniqueConstraint(fields=["study", "first_seq"], name="vote_block_once")]

    def __str__(self) -> str:
        return f"votes {self.first_seq} to {self.last_seq} of {self.study}"
