"""Changes to several models at once: casting a vote, flagging one, a rater's withdrawal."""

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Exists, QuerySet
from django.utils import timezone

from arena.limits import Marks, close_voted, limit_of
from arena.models import Battle, Participation, Rater, Study, default_questions
from arena.personal.erasure import erase
from arena.refusals import Conflict, Gone, NotFound, NotHeard, Refusal
from arena.serving import late_from

from .events import timeline
from .listening import clip_intervals, listening_ends
from .models import Flag, Vote, VoteDetails
from .quality import QUALITY_RULES

CLOCK_TOLERANCE = timedelta(seconds=1)
UNDO = timedelta(seconds=10)
LATE_VERSION = WITHDRAWN_VERSION = IMPOSSIBLE_VERSION = CLEARED_VERSION = NO_HEADPHONES_VERSION = 1
OVER_LIMIT_VERSION = 1


@dataclass(frozen=True)
class Answer:
    """A rater's answer and how it came about. The API checks shapes; `cast_vote` checks that it fits the study."""

    preference: str
    heard: dict
    degree: str = ""
    axes: dict = field(default_factory=dict)
    tags: list = field(default_factory=list)
    comment: str = ""
    first_played: str = ""
    switches: int = 0
    events: list = field(default_factory=list)
    user_agent: str = ""
    language: str = ""

    @property
    def said(self) -> tuple[Any, ...]:
        """Comparable with `Vote.answer`."""
        return (self.preference, self.degree, self.axes, sorted(self.tags))


@transaction.atomic
def cast_vote(
    rater: Rater,
    battle_id: UUID,
    answer: Answer,
    idempotency_key: str,
    now: datetime | None = None,
    came_by: Marks | None = None,
) -> tuple[Vote, bool]:
    """Store a rater's answer to a battle, once. Returns (vote, created). came_by: from `limits.marks_of`.

    The same answer again, under any key, returns the stored vote. Raises NotFound, Conflict (another
    answer, a skipped battle, or a key used for another battle), Gone (expired), NotHeard, Refusal (the
    answer does not fit the study).
    """
    now = now or timezone.now()
    rater = Rater.objects.locked(rater.pk)  # votes of a rater one at a time
    idempotency_key = hashlib.sha256(idempotency_key.encode()).hexdigest()  # a vote stores no text from the client
    battle = _battle_of(rater, battle_id, idempotency_key)
    standing = _standing_vote(battle, answer)
    if standing:
        return standing, False
    if battle.expires_at and min(battle.expires_at, battle.study.ends_at or battle.expires_at) <= now:
        raise Gone("This battle has expired; please take a new one.", code="expired")
    _check_fits(answer, battle.study)
    listening = _check_heard(answer, battle, rater, now)
    times = timeline(answer.events)

    vote = Vote(
        battle=battle,
        rater=rater,
        preference=answer.preference,
        degree=answer.degree,
        axes=answer.axes,
        tags=answer.tags,
        heard=listening.intervals,
        heard_a_ms=listening.coverage_ms("A"),
        heard_b_ms=listening.coverage_ms("B"),
        first_played=answer.first_played,
        switches=answer.switches,
        **asdict(times),
        idempotency_key=idempotency_key,
        received_at=now,
    )
    details = VoteDetails(
        comment=answer.comment,
        events=answer.events,
        user_agent=answer.user_agent,
        language=answer.language,
    )
    _store(vote, details, listening_ends(listening, battle.served_at, rater.ears_free_at))
    over = close_voted(battle.study, battle.pk, came_by, now)
    for rule, version, detail in _findings(rater, battle, listening, times, over, now):
        flag(vote, rule, version, detail, now)
    return vote, True


def _findings(rater, battle, listening, times, over, now):
    """(rule, version, detail) of what is found in a vote at once. over: the result of `close_voted`."""
    if over:
        yield Flag.OVER_LIMIT, OVER_LIMIT_VERSION, {"per": over, "limit": limit_of(battle.study, "votes", over)}
    if now > (until := late_from(battle)):
        yield Flag.LATE, LATE_VERSION, {"reserved_until": until.isoformat()}
    if battle.study.headphones != Study.Headphones.OFF and _without_headphones(rater, battle.study):
        yield Flag.NO_HEADPHONES, NO_HEADPHONES_VERSION, {}
    if times.contradicts(listening.total_ms):
        yield Flag.IMPOSSIBLE, IMPOSSIBLE_VERSION, {"heard_ms": listening.total_ms, **asdict(times)}


def _without_headphones(rater, study):
    failed = Participation.Headphones.FAIL
    return Participation.objects.filter(rater=rater, study=study, headphones=failed).exists()


def _battle_of(rater, battle_id, idempotency_key):
    """The rater's battle with all that a vote and the answer to it need, in one statement."""
    theirs = Battle.objects.filter(pk=battle_id, rater=rater).annotate(
        is_key_used=Exists(Vote.objects.filter(rater=rater, idempotency_key=idempotency_key))
    )
    for battle in theirs.select_related("study", "system_a", "system_b", "vote"):
        return battle
    raise NotFound("You have no such battle.")


def _standing_vote(battle, answer):
    """The vote that this answer repeats, if any; a Conflict if it contradicts one."""
    vote = getattr(battle, "vote", None)
    if vote and vote.answer == answer.said:
        return vote
    if vote:
        raise Conflict("You have answered this battle already, differently.", code="already_voted")
    if battle.is_key_used:
        raise Conflict("This Idempotency-Key belongs to your vote on another battle.", code="key_reused")
    if battle.closed_at:
        raise Conflict("You have skipped this battle.", code="skipped")
    return None


@cache
def _columns(model, without):
    return [field for field in model._meta.concrete_fields if not field.primary_key and field.name != without]


def _store(vote, details, ears_free_at):
    """Insert a vote with its details, and note until when the rater has listened, in one statement."""
    of_vote, of_details = _columns(Vote, None), _columns(VoteDetails, "vote")
    rows = [(vote, field) for field in of_vote] + [(details, field) for field in of_details]
    values = [field.get_db_prep_save(getattr(row, field.attname), connection) for row, field in rows]
    with connection.cursor() as cursor:
        cursor.execute(_store_statement(), [*values, ears_free_at, vote.rater_id])
        (vote.pk,) = cursor.fetchone()


@cache
def _store_statement():
    def columns(fields):
        return ", ".join(f'"{field.column}"' for field in fields), ", ".join(["%s"] * len(fields))

    (vote, of_vote), (details, of_details) = columns(_columns(Vote, None)), columns(_columns(VoteDetails, "vote"))
    return f"""
        WITH vote AS (
            INSERT INTO annotations_vote ({vote}) VALUES ({of_vote}) RETURNING id
        ), details AS (
            INSERT INTO annotations_votedetails (vote_id, {details}) SELECT id, {of_details} FROM vote
        ), heard AS (
            UPDATE arena_rater SET ears_free_at = %s WHERE id = %s
        ) SELECT id FROM vote"""


def _check_fits(answer, study):
    """Refuse an answer that uses what the study does not ask for."""
    asked = {**default_questions(), **study.questions}
    if answer.preference not in study.answers:
        raise Refusal(f"preference is {answer.preference!r}; it is one of {', '.join(study.answers)}.")
    if answer.degree and not asked["degree"]:
        raise Refusal("degree: this study does not ask for it.")
    if unknown := sorted(set(answer.axes) - set(asked["axes"])):
        raise Refusal(f"axes: this study does not ask for {', '.join(unknown)}.")
    if bad := sorted(axis for axis, value in answer.axes.items() if value not in study.answers):
        raise Refusal(f"axes: {', '.join(bad)} must be one of {', '.join(study.answers)}.")
    if unknown := sorted(set(answer.tags) - set(asked["tags"])):
        raise Refusal(f"tags: this study does not offer {', '.join(unknown)}.")
    if answer.comment and not asked["comment"]:
        raise Refusal("comment: this study does not ask for it.")


def _check_heard(answer, battle, rater, now):
    """The Listening; NotHeard where it misses the gate of a clip or takes longer than the time since the battle was
    served."""
    try:
        listening = clip_intervals(answer.heard, battle.length_ms)
    except ValueError as error:
        raise Refusal(str(error)) from error
    gate = min(battle.study.min_listen_ms, battle.length_ms)
    missing = {slot: max(0, gate - listening.coverage_ms(slot)) for slot in ("A", "B")}
    if any(missing.values()):
        words = " and ".join(f"{ms / 1000:.1f} s more of {slot}" for slot, ms in missing.items() if ms)
        raise NotHeard(f"Please listen to {words}.", missing_ms=missing)
    if listening_ends(listening, battle.served_at, rater.ears_free_at) > now + CLOCK_TOLERANCE:
        raise NotHeard("More was reported as heard than there was time to hear.", code="heard_too_much")
    return listening


def flag(
    vote: Vote, rule: str, version: int, detail: dict[str, Any] | None = None, now: datetime | None = None
) -> Flag:
    """Flag a vote; the same rule and version again gives the same flag. Nothing is deleted."""
    return Flag.objects.get_or_create(
        vote=vote,
        rule=rule,
        rule_version=version,
        defaults={"detail": detail or {}, "created_at": now or timezone.now()},
    )[0]


def flag_votes(
    vote_ids: Iterable[int], rule: str, version: int, detail: dict[str, Any], now: datetime | None = None
) -> int:
    """Flag many votes under one rule, except those it has flagged in this version. Returns the number of new flags."""
    return flag_all([(vote, rule, version, detail) for vote in vote_ids], now)


def flag_all(findings: Collection[tuple[int, str, int, dict[str, Any]]], now: datetime | None = None) -> int:
    """Flag votes, each under a rule of its own, except those that it has flagged in this version: one statement.
    findings: [(vote's id, rule, version, detail)]. Returns the number of new flags."""
    if not findings:
        return 0
    votes, rules, versions, details = zip(*sorted(findings, key=lambda finding: finding[:3]), strict=True)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO annotations_flag (vote_id, rule, rule_version, detail, created_at) "
            "SELECT vote, rule, version, detail, %s "
            "FROM unnest(%s::bigint[], %s::text[], %s::int[], %s::jsonb[]) AS new (vote, rule, version, detail) "
            "ON CONFLICT DO NOTHING",
            [now or timezone.now(), list(votes), list(rules), list(versions), [json.dumps(d) for d in details]],
        )
        return cursor.rowcount


@transaction.atomic
def clear(votes: QuerySet[Vote], by: str, now: datetime | None = None) -> int:
    """Record a person's decision that, in this study and from now on, the quality rules do not apply to the raters of
    these votes. It clears all votes of a rater, because otherwise some would stay excluded. Votes that no quality rule
    has flagged have no effect. Returns the number of votes newly cleared."""
    flagged = Flag.objects.filter(vote__in=votes, rule__in=QUALITY_RULES, vote__rater__isnull=False)
    cleared = 0
    for rater, study in sorted(set(flagged.values_list("vote__rater", "vote__battle__study"))):
        Rater.objects.select_for_update(no_key=True).get(pk=rater)  # a screen sees this decision, or runs after it
        theirs = Vote.objects.filter(rater=rater, battle__study=study).values_list("pk", flat=True)
        cleared += flag_votes(theirs, Flag.CLEARED, CLEARED_VERSION, {"by": by}, now)
    return cleared


@transaction.atomic
def withdraw_vote(rater: Rater, battle_id: UUID, now: datetime | None = None) -> Vote:
    """The rater's undo, within UNDO of the vote: a flag, not a deletion; the battle stays closed."""
    now = now or timezone.now()
    rater = Rater.objects.locked(rater.pk)
    vote = Vote.objects.filter(battle_id=battle_id, rater=rater).first()
    if not vote:
        raise NotFound("You have no vote on such a battle.")
    if vote.flags.filter(rule=Flag.WITHDRAWN).exists():
        return vote
    if now > vote.received_at + UNDO:
        raise Gone("A vote can be taken back within 10 seconds.", code="too_late_to_undo")
    flag(vote, Flag.WITHDRAWN, WITHDRAWN_VERSION, {"by": "undo"}, now)
    erase(Vote.objects.filter(pk=vote.pk))
    return vote


@transaction.atomic
def withdraw_votes(rater: Rater, now: datetime | None = None) -> int:
    """Withdraw every vote of the rater, who may go on voting. Returns how many were withdrawn now."""
    rater = Rater.objects.select_for_update(no_key=True).get(pk=rater.pk)
    n_withdrawn = _flag_as_withdrawn(rater, now or timezone.now())
    erase(rater.votes.all())
    return n_withdrawn


@transaction.atomic
def withdraw_rater(rater: Rater, now: datetime | None = None) -> None:
    """Erase what is personal, as every table declares it (see `arena.personal`), and withdraw every vote. The rater's
    row stays, empty, so that clusters and old editions can be rebuilt; later editions and releases exclude the votes as
    `withdrawn`."""
    now = now or timezone.now()
    rater = Rater.objects.select_for_update(no_key=True).get(pk=rater.pk)
    _flag_as_withdrawn(rater, now)
    rater.battles.filter(closed_at__isnull=True).update(closed_at=now, close_reason="skipped", skip_reason="withdrawn")
    rater.withdrawn_at = rater.withdrawn_at or now
    rater.save(update_fields=["withdrawn_at"])
    erase(Rater.objects.filter(pk=rater.pk))


def _flag_as_withdrawn(rater, now):
    """Flag the rater's votes that are not withdrawn yet. Returns how many."""
    standing = rater.votes.exclude(flags__rule=Flag.WITHDRAWN).values_list("pk", flat=True)
    return flag_votes(list(standing), Flag.WITHDRAWN, WITHDRAWN_VERSION, {"by": "rater"}, now)
