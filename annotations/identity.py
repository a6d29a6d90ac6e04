"""Whether a rater is one person answering at a human pace: a screen over when and from where raters came and what they
answered.

The result is `unknown` where the screen fails or has no data; nobody is excluded for that.

A study is screened with four queries, however many raters it has: who is due, over which connections they and others
came, what these answered, and who was cleared. A rater is due who has voted within the hour and about whom something
is new: their own votes, or an arrival or a vote over the connection that they came by. Results are stored for some
raters at a time: where a worker is killed, the next one goes on with the others.

A connection is told here by the mark `device`, so together with the browser's name: strangers behind one address are
then less often taken for each other. Who changes that name is for the screens of groups.
"""

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from arena.locks import Lock, held_over_transactions
from arena.models import ANSWERS, Arrival, Battle, Study

from . import quality
from .alarms import raise_alarm
from .checks import MIRRORED
from .models import Flag, Screening, Vote
from .services import flag_all

logger = logging.getLogger(__name__)

SCREEN, VERSION = "risk", 1
HOUR = timedelta(hours=1)
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
SETTLED = timedelta(minutes=1)  # a vote commits within this time after its timestamp
AT_ONCE = 500  # raters whose results are stored together

# The raters with countable votes within the hour, what is new about them and since when they were last screened.
DUE = """
    WITH recent AS MATERIALIZED (
        SELECT battle.study_id, vote.rater_id, max(vote.received_at) AS voted_at, count(*) AS n_votes,
               percentile_cont(0.5) WITHIN GROUP (ORDER BY vote.decided_ms - vote.opened_ms)
                   FILTER (WHERE vote.decided_ms >= vote.opened_ms) AS median_ms
        FROM annotations_vote AS vote
            JOIN arena_battle AS battle ON battle.id = vote.battle_id AND battle.kind = 'ranked'
            JOIN arena_study AS study ON study.id = battle.study_id
            JOIN arena_rater AS rater ON rater.id = vote.rater_id AND rater.withdrawn_at IS NULL
        WHERE vote.received_at > %(since)s
            AND coalesce(battle.study_id = %(study)s, study.is_open AND NOT study.is_simulated)
            AND NOT EXISTS (
                SELECT FROM annotations_flag AS flag WHERE flag.vote_id = vote.id AND flag.rule = 'withdrawn'
            )
        GROUP BY battle.study_id, vote.rater_id
    ), came AS MATERIALIZED (
        SELECT DISTINCT ON (rater_id) rater_id, device, at FROM arena_arrival
        WHERE rater_id IN (SELECT rater_id FROM recent) ORDER BY rater_id, at
    ), arrived AS (
        SELECT device, max(at) AS at FROM arena_arrival
        WHERE device IN (SELECT device FROM came) GROUP BY device
    ), voted AS (
        SELECT recent.study_id, arrival.device, max(recent.voted_at) AS at
        FROM recent JOIN arena_arrival AS arrival USING (rater_id) GROUP BY 1, 2
    )
    SELECT {columns}
    FROM recent
        LEFT JOIN came USING (rater_id)
        LEFT JOIN arrived ON arrived.device = came.device
        LEFT JOIN voted ON voted.device = came.device AND voted.study_id = recent.study_id
        LEFT JOIN annotations_screening AS last ON last.rater_id = recent.rater_id AND last.study_id = recent.study_id
            AND last.screen = %(screen)s AND last.version = %(version)s
    WHERE last.at IS NULL OR last.at < greatest(recent.voted_at, arrived.at, voted.at) + %(settled)s"""
TARGETS = "recent.rater_id, recent.n_votes, recent.median_ms, came.device, came.at"

# An answer, in network order, and the SQL that gives these bytes.
ANSWER = np.dtype([("vote", ">i8"), ("rater", ">i4"), ("clip_a", ">i8"), ("clip_b", ">i8"), ("answer", ">i2")])
ANSWERS_OF = """
    SELECT string_agg(int8send(vote.id) || int4send(chosen.n::int4 - 1) || int8send(battle.clip_a_id)
        || int8send(battle.clip_b_id) || int2send((array_position(%s::text[], vote.preference::text) - 1)::int2), '')
    FROM unnest(%s::uuid[]) WITH ORDINALITY AS chosen (rater, n)
        JOIN annotations_vote AS vote ON vote.rater_id = chosen.rater
        JOIN arena_battle AS battle ON battle.id = vote.battle_id AND battle.study_id = %s AND battle.kind = 'ranked'"""
# The raters' rows are locked, then their results stored: one statement for some raters.
STORE = """
    WITH present AS (
        SELECT id FROM arena_rater WHERE id = ANY(%s::uuid[]) AND withdrawn_at IS NULL ORDER BY id FOR NO KEY UPDATE
    )
    INSERT INTO annotations_screening AS last
        (rater_id, study_id, screen, version, at, looked_at_end, result, score, detail, n_votes)
    SELECT present.id, %s, %s, %s, %s, false, new.result, new.score, new.detail, new.n_votes
    FROM present JOIN unnest(%s::uuid[], %s::text[], %s::float8[], %s::jsonb[], %s::int[])
        AS new (rater, result, score, detail, n_votes) ON new.rater = present.id
    ON CONFLICT (rater_id, study_id, screen, version) DO UPDATE
        SET at = excluded.at, result = excluded.result, score = excluded.score, detail = excluded.detail,
            n_votes = excluded.n_votes
    RETURNING rater_id"""
MIRROR = np.array([ANSWERS.index(MIRRORED[answer]) for answer in ANSWERS])


def due_studies(now: datetime | None = None) -> list[int]:
    """Primary keys of the open studies with raters who are due."""
    return [study for (study,) in _due("DISTINCT recent.study_id", None, now or timezone.now())]


def screen_identities(study: Study, now: datetime | None = None) -> dict[UUID, str]:
    """Screen the study's raters who are due. Returns {rater id: result}; nothing while another worker is at it."""
    now = now or timezone.now()
    with held_over_transactions(Lock.IDENTITIES, study) as is_alone:
        if not is_alone:
            return {}
        targets = [_Target(*row) for row in _due(TARGETS, study.pk, now)]
        risks = _risks(study, targets, now)
        for start in range(0, len(targets), AT_ONCE):
            _write(study, targets[start : start + AT_ONCE], risks, now)
    return {rater: risk.result for rater, risk in risks.items()}


@dataclass(frozen=True)
class _Target:
    """A rater who is due: their votes within the hour, the median of the time they took, and how they first came."""

    rater: UUID
    n_votes: int
    median_ms: float | None
    device: str | None
    at: datetime | None


def _due(columns, study, now):
    values = {"study": study, "since": now - HOUR, "settled": SETTLED, "screen": SCREEN, "version": VERSION}
    with connection.cursor() as cursor:
        cursor.execute(DUE.format(columns=columns), values)
        return cursor.fetchall()


def _risks(study, targets, now):
    """{rater id: quality.Risk}."""
    try:
        n_came, has_twin = _company(study, targets)
        return {
            target.rater: quality.risk(
                arrivals_same_connection=None if target.device is None else n,
                twin_agreement=1.0 if is_twin else None,
                twin_pairs=quality.TWIN_PAIRS if is_twin else 0,
                median_decision_ms=target.median_ms,
            )
            for target, n, is_twin in zip(targets, n_came, has_twin, strict=True)
        }
    except (ArithmeticError, DatabaseError, LookupError, TypeError, ValueError) as error:
        logger.exception("the screen %s does not run", SCREEN)
        raise_alarm(study, SCREEN, f"The screen does not run: {error}", {}, now)
        return {target.rater: quality.Risk("unknown", None, {}) for target in targets}


def _company(study, targets):
    """(how many raters came over each target's connection within an hour of it, whether one of the others is its twin);
    (0, False) without a connection."""
    n_came, has_twin = np.zeros(len(targets), int), np.zeros(len(targets), bool)
    places = [place for place, target in enumerate(targets) if target.device is not None]
    arrivals = Arrival.objects.filter(device__in={targets[place].device for place in places})
    rows = list(arrivals.values_list("device", "rater_id", "at"))
    connections, raters = _Numbers(), _Numbers()
    over, who, when = _columns(rows, connections, raters)
    appearances = quality.Appearances.of(over, who, when, _microseconds(HOUR))
    came = [(targets[place].device, targets[place].rater, targets[place].at) for place in places]
    connection_of, rater_of, at = _columns(came, connections, raters)
    n_came[places] = n = quality.crowd(appearances, connection_of, at)
    in_company = np.isin(appearances.connection, connection_of[n > 1])
    answers = _answers(study, raters, np.unique(appearances.rater[in_company]))
    has_twin[places] = quality.have_twins(appearances, connection_of, rater_of, at, answers)
    return n_came.tolist(), has_twin.tolist()


class _Numbers(dict):
    """{name: its number, from 0 up, in the order in which names are first asked for}."""

    def __missing__(self, name):
        self[name] = len(self)
        return self[name]


def _columns(rows, connections, raters):
    """int [N] each: the connections, raters and times of arrivals."""
    numbers = [(connections[name], raters[rater], _microseconds(at - EPOCH)) for name, rater, at in rows]
    return np.array(numbers, np.int64).reshape(-1, 3).T


def _microseconds(duration):
    return duration // timedelta(microseconds=1)


def _answers(study, raters, chosen):
    """(rater, pair, answer), each int [V]: the last answer of each chosen rater to each clip pair, as if the clip with
    the lower id had been in slot A. raters: {id: number}; chosen: numbers."""
    ids = list(raters)
    with connection.cursor() as cursor:
        cursor.execute(ANSWERS_OF, [list(ANSWERS), [ids[number] for number in chosen], study.pk])
        records = np.frombuffer(bytes(cursor.fetchone()[0] or b""), ANSWER)
    records = records[np.argsort(records["vote"])]
    low, high = np.minimum(records["clip_a"], records["clip_b"]), np.maximum(records["clip_a"], records["clip_b"])
    answer = np.where(records["clip_a"] < records["clip_b"], records["answer"], MIRROR[records["answer"]])
    pair = np.unique(np.stack([low, high], axis=1).astype(np.int64), axis=0, return_inverse=True)[1].reshape(-1)
    rater = chosen[records["rater"]]
    _, last = np.unique((rater * (pair.max(initial=0) + 1) + pair)[::-1], return_index=True)
    kept = len(records) - 1 - last
    return rater[kept], pair[kept], answer[kept].astype(np.int64)


@transaction.atomic
def _write(study, targets, risks, now):
    """Store results and flags, but for raters who have withdrawn meanwhile; the locks keep a withdrawal out until
    then."""
    raters = [target.rater for target in targets]
    columns = (
        raters,
        [risks[rater].result for rater in raters],
        [risks[rater].score for rater in raters],
        [json.dumps(risks[rater].signals) for rater in raters],
        [target.n_votes for target in targets],
    )
    with connection.cursor() as cursor:
        cursor.execute(STORE, [raters, study.pk, SCREEN, VERSION, now, *columns])
        stored = {rater for (rater,) in cursor.fetchall()}
    if failed := [rater for rater in raters if rater in stored and risks[rater].result == Screening.Result.FAIL]:
        _flag(study, failed, risks, now)


def _flag(study, raters, risks, now):
    """Flag the votes within the hour of raters whom nobody has cleared."""
    cleared = Flag.objects.filter(vote__rater__in=raters, vote__battle__study=study, rule=Flag.CLEARED)
    not_cleared = set(raters) - set(cleared.values_list("vote__rater", flat=True))
    votes = Vote.objects.filter(
        battle__study=study, battle__kind=Battle.Kind.RANKED, received_at__gt=now - HOUR, rater__in=not_cleared
    ).exclude(flags__rule=Flag.WITHDRAWN)
    flag_all(
        [
            (vote, SCREEN, VERSION, {"score": risks[rater].score, **risks[rater].signals})
            for vote, rater in votes.values_list("pk", "rater_id")
        ],
        now,
    )
